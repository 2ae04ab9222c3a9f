"""Moments out of the lake, for the tools of others."""

from __future__ import annotations

from pathlib import Path

import click

from understudy.cli.group import json_option, lake_option, main, set_option
from understudy.cli.output import emit, open_lake, progress, reasons
from understudy.errors import UnderstudyError


@main.command(
    epilog="""understudy extract mcap sample-cut-in/2.0:8.0 --to moment
    understudy extract lerobot --to dataset --set fps=10
    understudy extract tub mycar-0a1b mycar-77f0/12.0:60.0 --to ~/mycar/chosen"""
)
@click.argument("kind", metavar="FORMAT")
@click.argument("moments", nargs=-1)
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="FOLDER",
    help="A folder that is not there yet.",
)
@set_option
@json_option
@lake_option
def extract(
    kind: str, moments: tuple[str, ...], folder: Path, assignments: tuple[str, ...], as_json: bool, lake: Path | None
) -> None:
    """Take MOMENTS out in a FORMAT of others: mcap, lerobot, tub or csv.

    A moment is a DRIVE, a stretch of one (DRIVE/12.0:18.0), clip:... or event:...; without any, all clips that were
    kept for training are taken. The folder appears whole or not at all, and nothing is overwritten.
    """
    from understudy import settings
    from understudy.exporters import write
    from understudy.registry import used_for_training

    here = open_lake(lake)
    if not moments:
        moments = tuple(clip.id for clip in used_for_training(here))
        if not moments:
            raise UnderstudyError(
                "no clip of the lake is kept for training; `understudy mine` keeps some, from places to train in where "
                "the regression suite has none, or name a moment"
            )
    with progress("writing") as tell:
        report = write(kind, here, moments, folder, settings.parse(assignments), tell)
    row = {"id": kind, "written": len(report.made), "kept": len(report.kept), "skipped": len(report.skipped)}
    emit([row | {"folder": str(folder)}], dict.fromkeys(("written", "kept", "skipped", "folder"), str), as_json, "")
    for count, reason in reasons(report.skipped):
        click.echo(f"{count} left out: {reason}", err=True)
