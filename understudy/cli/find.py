"""The seconds that matter: shadow runs, clips, the page, questions in SQL."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from understudy.cli.group import json_option, lake_option, main, processes_option, set_option
from understudy.cli.output import NO_DRIVES, emit, legible, number, open_lake, progress, reasons, short, tell_failures
from understudy.errors import UnderstudyError
from understudy.identifiers import counted

if TYPE_CHECKING:
    from understudy.evidence import Share


@main.command(
    epilog="""understudy shadow lane_follow
    understudy shadow constant_turn pilot.onnx --processes 2
    understudy shadow lane_follow --set lane_follow.headway_s=2.0"""
)
@click.argument("policies", nargs=-1, required=True)
@set_option
@processes_option
@json_option
@lake_option
@click.pass_context
def shadow(
    ctx: click.Context,
    policies: tuple[str, ...],
    assignments: tuple[str, ...],
    processes: int,
    as_json: bool,
    lake: Path | None,
) -> None:
    """Let POLICIES plan silently at every instant.

    A policy is a name (see `understudy plugins policy`), `module:Class`, a model.onnx with its card beside it,
    champion, or model:HASH. Several share one pass over a drive. A drive that lacks what a policy needs is skipped and
    counted.
    """
    from understudy import settings
    from understudy import shadow as stage
    from understudy.registry import Registry

    told = settings.parse(assignments, policies)
    if stray := sorted(set(told) - set(policies)):
        raise UnderstudyError(f"--set wants POLICY.KEY=VALUE with one of {', '.join(policies)}, got {stray[0]!r}")
    here = open_lake(lake)
    specs = {name: Registry(here.root).spec(name) for name in policies}
    with progress("planning") as tell:
        reports = stage.run(here, [*specs.values()], {specs[name]: own for name, own in told.items()}, processes, tell)
    rows = [
        {"id": name, "planned": len(r.made), "kept": len(r.kept), "skipped": len(r.skipped), "failed": len(r.failures)}
        for name, r in reports.items()
    ]
    emit(rows, dict.fromkeys(("id", "planned", "kept", "skipped", "failed"), str), as_json, "")
    for name, report in reports.items():
        for count, reason in reasons(report.skipped):
            click.echo(f"{name}: {counted(count, 'drive')} skipped, {reason}", err=True)
        tell_failures(f"shadowed by {name}", report.failures)
    if not here.drives():
        click.echo(NO_DRIVES, err=True)
    ctx.exit(1 if any(report.failures for report in reports.values()) else 0)


@main.command(
    epilog="""understudy mine --budget 20
    understudy mine --budget 120s --set context_s=6
    understudy mine --budget 300s --set variety=0.5"""
)
@click.option("--budget", help="So many clips (20), or so many seconds of clips (120s) [default: 20].")
@set_option
@processes_option
@json_option
@lake_option
@click.pass_context
def mine(
    ctx: click.Context,
    budget: str | None,
    assignments: tuple[str, ...],
    processes: int,
    as_json: bool,
    lake: Path | None,
) -> None:
    """Find events, and keep the clips that matter most.

    Prints what each trigger brought, and what drives lacked for it. Triggers and their settings can be told in the
    lake's understudy.toml, under [mine]; --set takes the same keys.
    """
    from understudy import mine as stage
    from understudy import settings

    here = open_lake(lake)
    told = settings.merge(
        settings.read(here.root / "understudy.toml", ["mine"]).get("mine", {}), settings.parse(assignments)
    )
    if budget is not None:
        told["budget"] = budget
    wanted = settings.fill(stage.Mine, told, prefix="mine")
    with progress("mining") as tell:
        mined = stage.run(here, wanted, processes, tell)
    rows = [
        {"id": one.trigger, "events": one.events, "per_hour": one.per_hour, "clips": one.clips, "drives": one.drives}
        | {"lacking": dict(one.lacking)}
        for one in sorted(mined.yields, key=lambda one: (-one.clips, -one.events, one.trigger))
    ]
    silent = [] if as_json or not sys.stdout.isatty() else [row for row in rows if not row["events"]]
    fired = [row for row in rows if row not in silent]
    emit(fired, {"id": str, "events": str, "per_hour": number(1), "clips": str, "drives": str}, as_json, "")
    if not here.drives():
        click.echo(NO_DRIVES, err=True)
        return
    if silent:
        click.echo(silence(silent), err=True)
    seconds = sum(clip.seconds for clip in mined.clips)
    unlike = f", {mined.unlike} of them unlike all else" if mined.unlike else ""
    click.echo(f"{len(mined.clips)} clips kept, {seconds:.0f} s{unlike}; `understudy show` shows them", err=True)
    if wanted.variety and not mined.unlike:
        click.echo("nothing is kept for variety: no model in the shadow has embeddings, or no room was left", err=True)
    tell_failures("searched", mined.report.failures)
    ctx.exit(1 if mined.report.failures else 0)


def silence(rows: list[dict[str, Any]]) -> str:
    """What is told of triggers without events: those that looked, and those that no drive had enough for."""
    unasked = [row for row in rows if not row["drives"]]
    looked = len(rows) - len(unasked)
    told = [f"{looked} {'trigger' if looked == 1 else 'triggers'} found nothing"] if looked else []
    if unasked:
        needs = Counter(need for row in unasked for need in row["lacking"])
        lacks = ", ".join(f"{count} {'lacks' if count == 1 else 'lack'} {need}" for need, count in needs.most_common())
        told.append(f"{len(unasked)} {'was' if len(unasked) == 1 else 'were'} not asked: {lacks}")
    return "; ".join(told)


@main.command(
    epilog="""understudy show
    understudy show sample-cut-in/2.0:8.0"""
)
@click.argument("identifier", required=False)
@json_option
@lake_option
def show(identifier: str | None, as_json: bool, lake: Path | None) -> None:
    """Write a page of moments, and print where it is.

    Of all kept clips, or of what an IDENTIFIER names.

    An identifier is a DRIVE, a stretch of one (DRIVE/12.0:18.0), clip:... or event:..., or a model:... whose card is
    printed. A drive's name may be cut short where no other begins alike.
    """
    if identifier is not None and identifier.startswith("model:"):
        from understudy.registry import Registry, model_card

        click.echo(model_card(Registry(open_lake(lake).root), identifier))
        return
    from understudy.web.show import show as write

    path = write(open_lake(lake), identifier)
    click.echo(json.dumps({"id": identifier or "clips", "page": str(path)}) if as_json else str(path))


@main.command(epilog="""understudy query "SELECT policy, trigger, count(*) FROM events GROUP BY ALL" """)
@click.argument("sql")
@click.option("--as-of", metavar="RUN", help="The lake as it was after an earlier run.")
@json_option
@lake_option
def query(sql: str, as_of: str | None, as_json: bool, lake: Path | None) -> None:
    """Ask a question in SQL over all tables of the lake.

    DuckDB answers. It can only read, and only the lake.
    """
    rows = legible(open_lake(lake).at(as_of).query(sql))
    emit(rows, dict.fromkeys(rows[0] if rows else (), short), as_json, "no rows", lists=True)


@main.command(epilog="understudy audit")
@click.option(
    "--kept", is_flag=True, help="With the kinds of event that are kept for judging: no trigger may be tuned on them."
)
@json_option
@lake_option
def audit(kept: bool, as_json: bool, lake: Path | None) -> None:
    """Compare what the triggers found with what really happened.

    For drives of the city, whose rare events are known: the share of each kind that its triggers caught (recall), and
    of each trigger's events the share that lie on one (precision, a lower bound), with 95 % intervals.
    """
    from understudy.audit import audit_lake
    from understudy.worlds.events import KINDS

    expected = {name: kind.triggers for name, kind in KINDS.items() if kept or not kind.kept}
    found = audit_lake(open_lake(lake), expected)
    if not found.hours:
        click.echo("no drive in the lake knows its truth; `understudy fleet drive` records some", err=True)
        return
    kinds = [
        {"id": one.kind, "happened": one.recall.n, "caught": one.recall.hits, **_share("recall", one.recall)}
        | {"by": ", ".join(f"{name} {hits}" for name, hits in one.first.items() if hits)}
        for one in found.kinds
    ]
    triggers = [
        {"id": one.trigger, "per_hour": one.per_hour, **_share("precision", one.precision)} for one in found.triggers
    ]
    two = number(2)
    emit(
        kinds,
        {"id": str, "happened": str, "recall": two, "low": two, "high": two, "by": str},
        as_json,
        "no kind of event",
    )
    emit(
        triggers,
        {"id": str, "per_hour": number(1), "precision": two, "low": two, "high": two},
        as_json,
        "no events; `understudy mine` finds some",
    )
    click.echo(f"{found.hours:.1f} hours", err=True)


def _share(name: str, share: Share) -> dict[str, float]:
    low, high = share.interval
    return {name: share.value, "low": low, "high": high}
