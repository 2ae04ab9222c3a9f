"""The gate, and who is champion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from understudy.cli.group import json_option, lake_option, main, processes_option, set_option
from understudy.cli.output import emit, make_room, number, open_lake, progress, yes

OUTCOMES = {"promote": 0, "refuse": 3, "undecided": 4}


@main.command(
    epilog="""understudy gate lane_follow constant_turn
    understudy gate champion pilot.onnx --processes 2 --junit verdict.xml"""
)
@click.argument("champion")
@click.argument("candidate")
@click.option(
    "--junit", "junit_path", type=click.Path(dir_okay=False, path_type=Path), help="Also as JUnit XML, for CI."
)
@set_option
@processes_option
@json_option
@lake_option
@click.pass_context
def gate(
    ctx: click.Context,
    champion: str,
    candidate: str,
    junit_path: Path | None,
    assignments: tuple[str, ...],
    processes: int,
    as_json: bool,
    lake: Path | None,
) -> None:
    """May CANDIDATE take the place of CHAMPION?

    Both drive the same scenarios in closed loop; the paired differences decide, and every clip that a champion has
    passed reliably must be passed. Drivers are policies, model.onnx, model:HASH, `champion`, or `human`: the world's
    own. Routes that either has driven before are not driven again. It says promote, refuse or undecided (exit codes 0,
    3 and 4; 1 is an error) and changes no champion: `understudy promote` does.
    """
    from understudy import settings
    from understudy.gate import report
    from understudy.gate.entrants import entrant
    from understudy.gate.run import run
    from understudy.gate.verdict import Gate
    from understudy.registry import Registry
    from understudy.web.verdict import write

    here = open_lake(lake, make=True)
    registry = Registry(here.root)
    specs = registry.spec(champion), registry.spec(candidate)
    told = settings.parse(assignments, specs)
    by_policy = {name: told.pop(name) for name in specs if name in told}
    rules = settings.fill(Gate, told, prefix="gate")
    both = [entrant(spec, by_policy.get(spec)) for spec in specs]
    for given, one in zip((champion, candidate), both, strict=True):  # refused before anything is made
        registry.assert_same(given, one.hash)
    # A model drives from its copy in the lake: its file may be replaced meanwhile, and who is judged is who is kept.
    kept = registry.add(both[0].id, both[0].hash, specs[0]).spec, registry.add(both[1].id, both[1].hash, specs[1]).spec
    by_policy = {where: by_policy[spec] for where, spec in zip(kept, specs, strict=True) if spec in by_policy}
    if junit_path is not None:
        make_room(junit_path)
    with progress("driving") as tell:
        verdict = run(
            here,
            *kept,
            rules,
            settings=by_policy,
            binding=registry.binding(),
            processes=processes,
            on_route=tell,
        )
    text = report.as_json(verdict)
    registry.record(text, dict(zip((verdict.champion, verdict.candidate), kept, strict=True)))
    if junit_path is not None:
        junit_path.write_bytes(report.junit(verdict))
    if as_json:
        click.echo(text.decode())
    else:
        two = number(3)
        columns: dict[str, Callable[[Any], str]] = {"id": str}
        columns |= dict.fromkeys(("champion", "candidate", "difference", "low", "high"), two)
        emit(report.rows(verdict), columns, as_json, "no routes were driven")
        for reason in verdict.reasons:
            click.echo(f"{reason.kind}: {reason.text}", err=True)
        click.echo(f"{verdict.outcome} after {verdict.routes} routes of each; {write(here, verdict)}", err=True)
    ctx.exit(OUTCOMES[verdict.outcome])


@main.command(epilog="understudy models")
@json_option
@lake_option
def models(as_json: bool, lake: Path | None) -> None:
    """List the models that the gate has seen.

    `understudy show model:HASH` shows the card of one.
    """
    from understudy.registry import Registry

    registry = Registry(open_lake(lake).root)
    reigns = registry.reigns()
    rows = [
        {
            "id": f"model:{one.hash[:12]}", "name": one.name, "added": one.added,
            "verdicts": len(registry.verdicts(one.hash)), "champion": bool(reigns) and reigns[-1].model == one.hash,
        }
        for one in registry.models()
    ]  # fmt: skip
    shown: dict[str, Callable[[Any], str]] = dict.fromkeys(("id", "name", "verdicts", "added"), str)
    shown |= {"added": lambda at: at[:16].replace("T", " "), "champion": yes}
    emit(rows, shown, as_json, "no models yet; `understudy gate CHAMPION CANDIDATE` makes two known")


@main.command(epilog="understudy promote model:3f2a19 --why 'the first one'")
@click.argument("model")
@click.option("--why", default="", help="The reason, where there is no verdict to promote by.")
@lake_option
def promote(model: str, why: str, lake: Path | None) -> None:
    """Make a MODEL the champion.

    It takes a verdict `promote` against the present champion, or a reason.
    """
    from understudy.registry import Registry

    registry = Registry(open_lake(lake).root)
    reign = registry.promote(model, why)
    click.echo(f"{registry.model(reign.model).name} is champion: {reign.why}")


@main.command(epilog="understudy rollback --why 'it brakes for shadows'")
@click.option("--why", default="rolled back", help="The reason.")
@lake_option
def rollback(why: str, lake: Path | None) -> None:
    """Make the champion before the present one champion again."""
    from understudy.registry import Registry

    registry = Registry(open_lake(lake).root)
    click.echo(f"{registry.model(registry.rollback(why).model).name} is champion: {why}")
