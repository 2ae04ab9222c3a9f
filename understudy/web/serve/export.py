"""Out of the console: a moment as MCAP for Rerun and Foxglove, clips in the formats of others' trainers."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask

from understudy import recorder
from understudy.errors import UnderstudyError
from understudy.identifiers import parse
from understudy.records import NS, Array, Camera, Drive, Ints
from understudy.web.serve.console import Console, console_of
from understudy.web.serve.moment import LONGEST_S, stretch_of

router = APIRouter()


@router.get(
    "/mcap/{identifier:path}",
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def mcap(console: Annotated[Console, Depends(console_of)], identifier: str) -> Response:
    """A moment as an MCAP file: pictures, plans, objects, signals, in schemas that Rerun and Foxglove show."""
    drive, start_s, stop_s = stretch_of(console, parse(identifier))
    cut = stretch(console.drive(drive), start_s, stop_s)
    folder = tempfile.TemporaryDirectory(prefix="understudy-mcap-")
    path = Path(folder.name) / "moment.mcap"
    recorder.write(cut, path)
    name = f"{drive.replace('/', '-')}-{start_s:.1f}.mcap"
    return FileResponse(
        path,
        media_type="application/octet-stream",
        filename=name,
        background=BackgroundTask(folder.cleanup),
    )


def stretch(drive: Drive, start_s: float, stop_s: float | None) -> Drive:
    """At most a minute of a drive, with the pictures of that time."""
    if start_s > drive.seconds:
        raise UnderstudyError(f"{drive.id} is {drive.seconds:.1f} s long; {start_s:g} s lies beyond its end")
    end_s = min(drive.seconds if stop_s is None else stop_s, start_s + LONGEST_S)
    zero = int(drive.t_ns[0])
    first, stop = np.searchsorted(drive.t_ns, [zero + round(start_s * NS), zero + round(end_s * NS) + 1]).tolist()
    cut = drive.slice(first, max(stop, first + 1))
    cameras = tuple(
        _seen(camera, *np.searchsorted(camera.t_ns, [cut.t_ns[0], cut.t_ns[-1] + 1]).tolist())
        for camera in drive.cameras
    )
    return replace(cut, cameras=tuple(camera for camera in cameras if len(camera.t_ns)))


def _seen(camera: Camera, first: int, stop: int) -> Camera:
    return replace(camera, t_ns=camera.t_ns[first:stop], pictures=_Some(camera, first, stop - first))


class _Some:
    """A stretch of a camera's pictures."""

    def __init__(self, camera: Camera, first: int, count: int) -> None:
        self._all, self._first, self._count = camera.pictures, first, count

    def __len__(self) -> int:
        return self._count

    def read(self, indices: Ints) -> Array:
        return self._all.read(np.asarray(indices) + self._first)

    def encoded(self, index: int) -> tuple[str, bytes]:
        return self._all.encoded(index + self._first)
