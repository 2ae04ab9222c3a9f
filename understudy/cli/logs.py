"""Drives into the lake."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from understudy.cli.group import json_option, lake_option, main, processes_option, set_option
from understudy.cli.output import NO_DRIVES, emit, number, open_lake, progress, tell_failures, yes
from understudy.identifiers import counted


@main.command(epilog="understudy sample sample && understudy ingest mcap sample")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def sample(folder: Path) -> None:
    """Write five short simulated drives as MCAP.

    They lie in FOLDER then, to try things on: each holds a moment that matters.
    """
    from understudy import sample as stage
    from understudy.workers import Outcome

    with progress("drawing") as tell:
        paths = stage.write(folder, on_drive=lambda name: tell(Outcome(name), 5))
    click.echo(f"{counted(len(paths), 'drive')} in {folder}")


@main.command(
    epilog="""understudy ingest comma2k19 ~/comma2k19
    understudy ingest tub ~/mycar/data --set rate_hz=20"""
)
@click.argument("reader")
@click.argument("folder", type=click.Path(path_type=Path))
@set_option
@processes_option
@json_option
@lake_option
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

    here = open_lake(lake, make=True)
    with progress("reading") as tell:
        report = run(here, reader, folder, settings.parse(assignments), processes, tell)
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
        click.echo(f"{len(report.made)} of {counted(total, 'drive')} read{kept}")
    tell_failures("read", report.failures)
    ctx.exit(1 if report.failures else 0)


@main.command(epilog="understudy drives")
@click.option("--as-of", metavar="RUN", help="The lake as it was after an earlier run.")
@json_option
@lake_option
def drives(as_of: str | None, as_json: bool, lake: Path | None) -> None:
    """List the drives in the lake.

    With their length, cameras, objects, map, and gaps in time.
    """
    rows = open_lake(lake).at(as_of).drives()
    emit(
        rows,
        {
            "id": str,
            "seconds": number(1),
            "km": number(2),
            "rate_hz": number(1),
            "cameras": lambda names: str(len(names) or "–"),
            "objects": str,
            "map": yes,
            "gaps": str,
        },
        as_json,
        NO_DRIVES,
    )
