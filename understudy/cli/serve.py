"""The console."""

from __future__ import annotations

from pathlib import Path

import click

from understudy.cli.group import lake_option, main
from understudy.cli.output import open_lake


@main.command(
    epilog="""understudy serve
    understudy serve lake --port 8800
    understudy serve --host 0.0.0.0 --name lab-3.example"""
)
@click.argument("folder", metavar="[LAKE]", required=False, type=click.Path(file_okay=False, path_type=Path))
@lake_option
@click.option("--port", default=8700, show_default=True, type=click.IntRange(0, 65535), help="0 takes any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Another address than this machine's own.")
@click.option("--name", "names", multiple=True, help="A name that browsers call this host by; may be repeated.")
def serve(folder: Path | None, lake: Path | None, port: int, host: str, names: tuple[str, ...]) -> None:
    """Look at a LAKE in a browser.

    Drives, moments that play, the queue of clips to review, turns and models. Prints an address that lets one browser
    in, once, and a fresh one when it was used. Until Ctrl-C, and only on this machine unless --host says otherwise.
    """
    from understudy.web.serve.run import serve as run

    if folder is not None and lake is not None:
        raise click.UsageError("a lake is named twice")
    run(open_lake(folder or lake), port, host, names, click.echo)
