"""The command line: parse, call one stage, show.

Nothing heavy is imported here: `--help` must answer at once, so each command imports its own stage.
Data goes to stdout (a table for a terminal, JSON lines when piped or with --json), progress and errors to stderr.
Exit codes: 0 done, 1 something the user can mend (or some items failed), 2 wrong usage.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from understudy.errors import UnderstudyError

if TYPE_CHECKING:
    from understudy.store import Lake

Command = TypeVar("Command", bound=Callable[..., Any])


class _Examples(click.Command):
    """A command whose help ends with the lines of its examples as they were written."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.epilog:
            with formatter.section("Example"):
                for line in self.epilog.strip().splitlines():
                    formatter.write(f"  {line.strip()}\n")


class _Group(click.Group):
    """Errors of ours are one line; a mistyped command is answered with the nearest one."""

    command_class = _Examples

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of the trip, not of the alphabet

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from understudy.errors import hint

        if args and args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f"no command named {args[0]!r}{hint(args[0], self.commands)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UnderstudyError as error:
            click.echo(f"understudy: {error}", err=True)
            ctx.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="understudy")
def main() -> None:
    """Find the seconds that matter in hours of driving.

    Reads drive logs, lets candidate drivers plan silently beside whoever drove, and keeps the moments where they
    would have done otherwise.

    \b
      understudy ingest comma2k19 ~/comma2k19     logs into the lake
      understudy shadow lane_follow               a candidate plans at every instant
      understudy mine --budget 20                 the twenty clips that matter
      understudy show                             one page to look at
    """


def _lake_option(command: Command) -> Command:
    return click.option(
        "--lake",
        "lake",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="FOLDER",
        help="Where drives and results live [default: $UNDERSTUDY_LAKE or ./lake].",
    )(command)


def _json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="JSON lines, also to a terminal.")(command)


def _set_option(command: Command) -> Command:
    return click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="A setting, in TOML's grammar; may be repeated.",
    )(command)


def _processes_option(command: Command) -> Command:
    return click.option(
        "--processes",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="Work in so many processes; 0 is this one.",
    )(command)


# Showing --------------------------------------------------------------------------------------------------------------


def _emit(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Callable[[Any], str]], as_json: bool, empty: str
) -> None:
    """Rows as a table for eyes, or as JSON lines for programs; `columns` say how a cell is written for eyes."""
    if as_json or not sys.stdout.isatty():
        for row in rows:
            click.echo(
                json.dumps({name: None if value != value else value for name, value in row.items()}, default=str)
            )
        return
    if not rows:
        click.echo(empty, err=True)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        numeric = any(isinstance(row.get(name), int | float) for row in rows)
        # Names are for copying: they are never broken.
        table.add_column(name.replace("_", " "), justify="right" if numeric else "left", no_wrap=name == "id")
    for row in rows:
        table.add_row(*(write(row[name]) if row.get(name) is not None else "–" for name, write in columns.items()))
    Console().print(table)


def _number(digits: int) -> Callable[[Any], str]:
    return lambda value: "–" if value != value else f"{value:.{digits}f}"


def _yes(value: Any) -> str:
    return "yes" if value else "–"


def _trace(outcome: Any, total: int = 0) -> None:
    """A bug of ours, or of a plug-in, shows where it happened; the drives after it go on."""
    if outcome.trace:
        click.echo(outcome.trace, err=True)


@contextmanager
def _progress(verb: str) -> Iterator[Callable[[Any, int], None]]:
    """A bar on stderr while drives are worked on; nothing where nobody looks."""
    if not sys.stderr.isatty():
        yield _trace
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(verb),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[last]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(verb, total=None, last="")

        def tell(outcome: Any, total: int) -> None:
            _trace(outcome)
            bar.update(task, total=total, advance=1, last=outcome.name[-40:])

        yield tell


def _reasons(messages: Mapping[str, str]) -> list[tuple[int, str]]:
    """How many subjects gave each reason, most frequent first."""
    counts: dict[str, int] = {}
    for message in messages.values():
        counts[message] = counts.get(message, 0) + 1
    return sorted(((count, message) for message, count in counts.items()), reverse=True)


def _tell_failures(what: str, failures: Mapping[str, str]) -> None:
    for subject, message in sorted(failures.items()):
        click.echo(f"understudy: {subject} not {what}: {message}", err=True)


def _open(lake: Path | None, *, make: bool = False) -> Lake:
    from understudy.store import Lake, find_lake

    root = find_lake(lake)
    if not make and not root.is_dir():
        raise UnderstudyError(f"there is no lake yet in {root}; `understudy ingest` makes one, or say --lake FOLDER")
    return Lake(root)


# The trip -------------------------------------------------------------------------------------------------------------


@main.command(epilog="understudy sample sample && understudy ingest mcap sample")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def sample(folder: Path) -> None:
    """Write five short simulated drives into FOLDER as MCAP, to try things on."""
    from understudy import sample as stage
    from understudy.workers import Outcome

    with _progress("drawing") as tell:
        paths = stage.write(folder, on_drive=lambda name: tell(Outcome(name), 5))
    click.echo(f"{len(paths)} drives in {folder}")


@main.command(
    epilog="""understudy ingest comma2k19 ~/comma2k19
    understudy ingest tub ~/mycar/data --set rate_hz=20"""
)
@click.argument("reader")
@click.argument("folder", type=click.Path(path_type=Path))
@_set_option
@_processes_option
@_json_option
@_lake_option
@click.pass_context
def ingest(
    ctx: click.Context,
    reader: str,
    folder: Path,
    assignments: tuple[str, ...],
    processes: int,
    as_json: bool,
    lake: Path | None,
) -> None:
    """Read the drives in FOLDER with READER into the lake.

    Logs stay where they lie: their columns are kept, their pictures are looked up when somebody looks. Drives that are
    in the lake already are left alone; one that cannot be read is reported, and the others go on.
    """
    from understudy import settings
    from understudy.ingest import ingest as run

    with _progress("reading") as tell:
        report = run(_open(lake, make=True), reader, folder, settings.parse(assignments), processes, tell)
    total = len(report.made) + len(report.kept) + len(report.failures)
    row = {
        "id": f"ingest:{reader}",
        "read": len(report.made),
        "kept": len(report.kept),
        "failed": len(report.failures),
        "of": total,
    }
    if as_json or not sys.stdout.isatty():
        click.echo(json.dumps(row | {"failures": dict(report.failures)}))
    else:
        kept = f", {len(report.kept)} in the lake already" if report.kept else ""
        click.echo(f"{len(report.made)} of {total} drives read{kept}")
    _tell_failures("read", report.failures)
    ctx.exit(1 if report.failures else 0)


@main.command(epilog="understudy drives")
@click.option("--as-of", metavar="RUN", help="The lake as it was after an earlier run.")
@_json_option
@_lake_option
def drives(as_of: str | None, as_json: bool, lake: Path | None) -> None:
    """List the drives in the lake: length, cameras, objects, map, gaps."""
    rows = _open(lake).at(as_of).drives()
    _emit(
        rows,
        {
            "id": str,
            "seconds": _number(1),
            "km": _number(2),
            "rate_hz": _number(1),
            "cameras": lambda names: str(len(names) or "–"),
            "objects": str,
            "map": _yes,
            "gaps": str,
        },
        as_json,
        "no drives yet; `understudy ingest READER FOLDER` reads some",
    )


@main.command(
    epilog="""understudy shadow lane_follow
    understudy shadow constant_turn pilot.onnx --processes 2
    understudy shadow lane_follow --set lane_follow.headway_s=2.0"""
)
@click.argument("policies", nargs=-1, required=True)
@_set_option
@_processes_option
@_json_option
@_lake_option
@click.pass_context
def shadow(
    ctx: click.Context,
    policies: tuple[str, ...],
    assignments: tuple[str, ...],
    processes: int,
    as_json: bool,
    lake: Path | None,
) -> None:
    """Let POLICIES plan silently at every instant of every drive.

    A policy is a name (see `understudy plugins policy`), `module:Class`, or a model.onnx with its card beside it.
    Several share one pass over a drive. A drive that lacks what a policy needs is skipped and counted.
    """
    from understudy import settings
    from understudy import shadow as stage

    told = settings.parse(assignments)
    if stray := sorted(set(told) - set(policies)):
        raise UnderstudyError(f"--set wants POLICY.KEY=VALUE with one of {', '.join(policies)}, got {stray[0]!r}")
    with _progress("planning") as tell:
        reports = stage.run(_open(lake), policies, told, processes, tell)
    rows = [
        {"id": name, "planned": len(r.made), "kept": len(r.kept), "skipped": len(r.skipped), "failed": len(r.failures)}
        for name, r in reports.items()
    ]
    _emit(rows, dict.fromkeys(("id", "planned", "kept", "skipped", "failed"), str), as_json, "")
    for name, report in reports.items():
        for count, reason in _reasons(report.skipped):
            click.echo(f"{name}: {count} drives skipped, {reason}", err=True)
        _tell_failures(f"shadowed by {name}", report.failures)
    ctx.exit(1 if any(report.failures for report in reports.values()) else 0)


@main.command(
    epilog="""understudy mine --budget 20
    understudy mine --budget 120s --set context_s=6"""
)
@click.option("--budget", help="So many clips (20), or so many seconds of clips (120s) [default: 20].")
@_set_option
@_processes_option
@_json_option
@_lake_option
@click.pass_context
def mine(
    ctx: click.Context,
    budget: str | None,
    assignments: tuple[str, ...],
    processes: int,
    as_json: bool,
    lake: Path | None,
) -> None:
    """Find the events that triggers see in every drive, and keep the clips that matter most.

    Prints what each trigger brought. Triggers and their settings can be told in the lake's understudy.toml, under
    [mine]; --set takes the same keys.
    """
    from understudy import mine as stage
    from understudy import settings

    here = _open(lake)
    told = settings.merge(settings.read(here.root / "understudy.toml").get("mine", {}), settings.parse(assignments))
    if budget is not None:
        told["budget"] = budget
    with _progress("mining") as tell:
        mined = stage.run(here, settings.fill(stage.Mine, told, prefix="mine"), processes, tell)
    rows = [
        {"id": one.trigger, "events": one.events, "per_hour": one.per_hour, "clips": one.clips, "drives": one.drives}
        for one in sorted(mined.yields, key=lambda one: (-one.clips, -one.events, one.trigger))
    ]
    silent = [] if as_json or not sys.stdout.isatty() else [row for row in rows if not row["events"]]
    fired = [row for row in rows if row not in silent]
    _emit(fired, {"id": str, "events": str, "per_hour": _number(1), "clips": str, "drives": str}, as_json, "")
    if silent:
        click.echo(f"{len(silent)} more triggers found nothing", err=True)
    seconds = sum(clip.seconds for clip in mined.clips)
    click.echo(f"{len(mined.clips)} clips kept, {seconds:.0f} s; `understudy show` shows them", err=True)
    _tell_failures("searched", mined.report.failures)
    ctx.exit(1 if mined.report.failures else 0)


@main.command(
    epilog="""understudy show
    understudy show sample-cut-in/2.0:8.0"""
)
@click.argument("identifier", required=False)
@_json_option
@_lake_option
def show(identifier: str | None, as_json: bool, lake: Path | None) -> None:
    """Write a page of all kept clips, or of one moment by its IDENTIFIER, and print where it is.

    An identifier is a DRIVE, a stretch of one (DRIVE/12.0:18.0), clip:... or event:...; a drive's name may be cut short
    where no other begins alike.
    """
    from understudy.web.show import show as write

    path = write(_open(lake), identifier)
    click.echo(json.dumps({"id": identifier or "clips", "page": str(path)}) if as_json else str(path))


@main.command(epilog="""understudy query "SELECT trigger, count(*) FROM events GROUP BY trigger" """)
@click.argument("sql")
@click.option("--as-of", metavar="RUN", help="The lake as it was after an earlier run.")
@_json_option
@_lake_option
def query(sql: str, as_of: str | None, as_json: bool, lake: Path | None) -> None:
    """Ask a question in SQL (DuckDB) over all tables of the lake. It can only read, and only the lake."""
    rows = _open(lake).at(as_of).query(sql).to_pylist()
    names = list(rows[0]) if rows else []
    _emit(
        rows,
        {name: lambda value: f"{value:.6g}" if isinstance(value, float) else str(value) for name in names},
        as_json,
        "no rows",
    )


@main.command(epilog="understudy plugins trigger")
@click.argument("kind", required=False)
@_json_option
def plugins(kind: str | None, as_json: bool) -> None:
    """List what can be asked for by name: readers, policies, triggers.

    Your own need no packaging: `module:Class` works wherever a name does.
    """
    from understudy import plugins as found
    from understudy.errors import UnknownName

    kinds = ("reader", "policy", "trigger")
    if kind is not None and kind not in kinds:
        raise UnknownName("kind of plug-in", kind, kinds)
    rows = []
    for one in [kind] if kind else kinds:
        for name in found.names(one):
            doc = (found.load(one, name).__doc__ or "").strip().splitlines()
            rows.append({"id": name, "kind": one, "about": doc[0] if doc else ""})
    _emit(rows, dict.fromkeys(("kind", "id", "about"), str), as_json, "none")


@main.command(epilog="understudy gc --compact")
@click.option("--compact", is_flag=True, help="Join small files of finished runs first.")
@click.option("--forget", is_flag=True, help="Also remove the runs that newer ones replaced whole.")
@_json_option
@_lake_option
def gc(compact: bool, forget: bool, as_json: bool, lake: Path | None) -> None:
    """Remove files that no run in the lake reaches, and the leftovers of killed ones."""
    here = _open(lake)
    if compact:
        here.compact()
    freed = here.gc(forget)
    _emit([{"id": "gc", **freed}], {"files": str, "bytes": str}, as_json, "")
