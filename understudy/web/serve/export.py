"""Out of the console: a moment as MCAP for Rerun and Foxglove, clips in the formats of others' trainers."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.background import BackgroundTask

from understudy import exporters, plugins, recorder
from understudy.errors import UnderstudyError, UnknownName
from understudy.exporters.moments import piece
from understudy.identifiers import parse
from understudy.records import NS, Drive
from understudy.registry import used_for_training
from understudy.store.files import digest
from understudy.web.serve.access import TICKET_S
from understudy.web.serve.console import Console, console_of
from understudy.web.serve.moment import LONGEST_S, stretch_of
from understudy.web.serve.pages import page

MOST_TICKETS = 16

router = APIRouter()


@router.get(
    "/mcap/{identifier:path}",
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def mcap(console: Annotated[Console, Depends(console_of)], identifier: str) -> Response:
    """A moment as an MCAP file: pictures, plans, objects, signals, in schemas that Rerun and Foxglove show."""
    folder = tempfile.TemporaryDirectory(prefix="understudy-mcap-")
    path = _written(console, identifier, Path(folder.name))
    return FileResponse(
        path, media_type="application/octet-stream", filename=path.name, background=BackgroundTask(folder.cleanup)
    )


@router.post("/foxglove")
def foxglove(
    request: Request,
    console: Annotated[Console, Depends(console_of)],
    moment: Annotated[str, Form(max_length=400)],
) -> dict[str, str]:
    """Hand a moment to the Foxglove app of whoever asks: the address that opens it there, good for some minutes.

    The app reads the file from here with a ticket. The address goes to the app, never by way of Foxglove's web site.
    """
    if len(console.access.tickets) >= MOST_TICKETS:
        raise UnderstudyError(f"{MOST_TICKETS} moments are open in other programs; in some minutes there is room again")
    folder = tempfile.TemporaryDirectory(prefix="understudy-mcap-")
    path = _written(console, moment, Path(folder.name))
    token = console.access.ticket(path)

    def void() -> None:
        console.access.tickets.pop(token, None)
        folder.cleanup()

    forget = threading.Timer(TICKET_S, void)
    forget.daemon = True
    forget.start()
    there = quote(f"{request.base_url}ticket/{token}/{quote(path.name)}", safe="")
    return {"open": f"foxglove://open?ds=remote-file&ds.url={there}"}


def _written(console: Console, identifier: str, folder: Path) -> Path:
    """A moment, as an MCAP file in a folder."""
    drive, start_s, stop_s = stretch_of(console, parse(identifier))
    path = folder / f"{drive.replace('/', '-')}-{start_s:.1f}.mcap"
    recorder.write(stretch(console.drive(drive), start_s, stop_s), path)
    return path


# Clips, in the formats of others --------------------------------------------------------------------------------------


@router.get("/exports", response_class=HTMLResponse)
def exports(request: Request, console: Annotated[Console, Depends(console_of)]) -> HTMLResponse:
    """What was exported, and a form for more."""
    folder = console.lake.root / "exports"
    made = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    made = [name for name in made if not name.startswith(".")]
    return page(
        request, "exports.html", kinds=plugins.names("exporter"), made=made, said=console.exported, folder=str(folder),
        busy=_busy(console), clips=len(_kept(console)),
    )  # fmt: skip


@router.post("/exports")
def export(
    console: Annotated[Console, Depends(console_of)],
    kind: Annotated[str, Form(max_length=40)],
    which: Annotated[str, Form(max_length=4000)] = "kept",
) -> Response:
    """Write clips in another's format into a folder of the lake: `kept` (for training), or identifiers."""
    if kind not in plugins.names("exporter"):
        raise UnknownName("exporter", kind, plugins.names("exporter"))
    if _busy(console):
        raise UnderstudyError("an export is being written; the next one when that is done")
    moments = _kept(console) if which == "kept" else which.split()
    for moment in moments:
        parse(moment)
    if not moments:
        raise UnderstudyError("there is nothing to export: `understudy mine` keeps clips")
    name = f"{kind}-{digest(moments)[:8]}"
    console.exported[name] = f"{len(moments)} moments, being written"
    console.export = threading.Thread(target=_export, args=(console, kind, moments, name), daemon=True)
    console.export.start()
    return RedirectResponse("/exports", 303)


def _busy(console: Console) -> bool:
    return console.export is not None and console.export.is_alive()


def _kept(console: Console) -> list[str]:
    """The clips to train on, without those that reviewers have taken away or that lie where the gate asks."""
    return sorted(clip.id for clip in used_for_training(console.lake))


def _export(console: Console, kind: str, moments: list[str], name: str) -> None:
    try:
        report = exporters.write(kind, console.lake, moments, console.lake.root / "exports" / name)
        left = f", {len(report.skipped)} left out: {next(iter(report.skipped.values()))}" if report.skipped else ""
        console.exported[name] = f"{len(report.made) + len(report.kept)} pieces{left}"
    except UnderstudyError as error:
        console.exported[name] = f"not written: {error}"
    except Exception as error:  # of a library's own, which would leave "being written" for ever
        console.exported[name] = f"not written: {type(error).__name__}: {error}"


# A moment -------------------------------------------------------------------------------------------------------------


def stretch(drive: Drive, start_s: float, stop_s: float | None) -> Drive:
    """At most a minute of a drive, with the pictures of that time."""
    if start_s > drive.seconds:
        raise UnderstudyError(f"{drive.id} is {drive.seconds:.1f} s long; {start_s:g} s lies beyond its end")
    end_s = min(drive.seconds if stop_s is None else stop_s, start_s + LONGEST_S)
    first, last = (int(drive.t_ns[0]) + round(at * NS) for at in (start_s, end_s))
    return piece(drive, (first, last), drive.id)
