"""What there is by name, and tidying up."""

from __future__ import annotations

from pathlib import Path

import click

from understudy.cli.group import json_option, lake_option, main
from understudy.cli.output import emit, open_lake


@main.command(epilog="understudy plugins trigger")
@click.argument("kind", required=False)
@json_option
def plugins(kind: str | None, as_json: bool) -> None:
    """List what can be asked for by name.

    Readers, policies, triggers, labelers and exporters.

    Your own need no packaging: `module:Class` works wherever a name does.
    """
    from understudy import plugins as found
    from understudy.errors import UnknownName

    kinds = ("reader", "policy", "trigger", "labeler", "exporter")
    if kind is not None and kind not in kinds:
        raise UnknownName("kind of plug-in", kind, kinds)
    rows = []
    for one in [kind] if kind else kinds:
        for name in found.names(one):
            about, _, _ = (found.load(one, name).__doc__ or "").strip().partition("\n\n")
            rows.append({"id": name, "kind": one, "about": " ".join(about.split())})
    emit(rows, dict.fromkeys(("kind", "id", "about"), str), as_json, "none")


@main.command(epilog="understudy gc --compact")
@click.option("--compact", is_flag=True, help="Join small files of finished runs first.")
@click.option(
    "--forget", is_flag=True, help="Also remove the runs that newer ones replaced whole, and trainings broken off."
)
@json_option
@lake_option
def gc(compact: bool, forget: bool, as_json: bool, lake: Path | None) -> None:
    """Remove files that no run in the lake reaches.

    Among them are the leftovers of killed runs.
    """
    here = open_lake(lake)
    if compact:
        here.compact()
    freed = here.gc(forget)
    emit([{"id": "gc", **freed}], {"files": str, "bytes": str}, as_json, "")
