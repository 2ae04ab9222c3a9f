"""What plays: pictures straight from the log, and plans, seen from above and in each camera, a second at a time.

An answer to `/play` holds everything of some tenths of a drive in one piece, so that six cameras keep their rate over
one connection: the length of the head in four bytes, the head as JSON, then the pictures that it lists, one behind the
other.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from understudy.errors import DataError, UnderstudyError
from understudy.records import NS, Camera, Drive, Ints
from understudy.store.files import to_json
from understudy.store.pictures import LoggedPictures
from understudy.web import bev
from understudy.web.camera import looks_ahead, ribbons, smaller
from understudy.web.moment import Moment, driven, intents
from understudy.web.serve.console import Console, console_of
from understudy.web.serve.moment import instants

LONGEST_S = 2.0  # that one answer holds
KEEP = {"cache-control": "private, max-age=3600"}  # the address says what was read (`v`), so it never changes
TYPES = {"jpeg": "image/jpeg", "png": "image/png"}
_BEHIND = -0.5  # a camera that looks back further than this sees nothing of what comes

router = APIRouter()
Seconds = Annotated[float, Query(ge=0, le=1e7, allow_inf_nan=False)]


@router.get("/picture/{id:path}", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
def picture(
    console: Annotated[Console, Depends(console_of)],
    id: str,
    camera: Annotated[int, Query(ge=0, le=100)],
    at: Seconds,
    width: Annotated[int, Query(ge=0, le=4096)] = 0,
) -> Response:
    """The newest picture of a camera at some second of a drive, as it was stored, or no wider than `width`."""
    drive = console.drive(id)
    seen = _camera(drive, camera)
    index = int(seen.latest(np.array([int(drive.t_ns[0]) + round(at * NS)]))[0])
    if index < 0:
        raise UnderstudyError(f"camera {seen.name} has no picture yet at {at:g} s")
    try:
        form, data = seen.pictures.encoded(index)
        if width and seen.size[0] > width:
            form, data = "jpeg", smaller(data, width)
    except OSError as error:
        raise DataError(f"picture {index + 1} of camera {seen.name} cannot be read: {error}") from error
    return Response(data, media_type=TYPES.get(form, "application/octet-stream"), headers=KEEP)


@router.get("/play/{id:path}", response_class=Response, responses={200: {"content": {"application/octet-stream": {}}}})
def play(
    console: Annotated[Console, Depends(console_of)],
    id: str,
    start: Seconds,
    stop: Seconds,
    at: Seconds,
    truth: bool = False,
    pictures: bool = True,
) -> Response:
    """What plays from `start` to `stop`, in seconds of the drive, drawn around the ego as it was `at` some second."""
    if not 0 < stop - start <= LONGEST_S:
        raise UnderstudyError(f"playing from {start:g} to {stop:g} s: one answer holds at most {LONGEST_S:g} s")
    drive = console.drive(id, truth)
    zero = int(drive.t_ns[0])
    span = (zero + round(start * NS), zero + round(stop * NS))
    anchor = console.moment(id, int(np.argmin(np.abs(drive.t_s - at))), truth)
    frames = list(_frames(anchor, instants(drive, *span)))
    shown = list(_pictures(drive, *span)) if pictures else []
    told = [{"camera": index, "s": (stamp - zero) / NS, "bytes": len(data)} for index, stamp, data in shown]
    head = to_json({"frames": frames, "pictures": told})
    body = b"".join([struct.pack("<I", len(head)), head, *(data for _, _, data in shown)])
    return Response(body, media_type="application/octet-stream", headers=KEEP)


def _camera(drive: Drive, index: int) -> Camera:
    if index >= len(drive.cameras):
        raise UnderstudyError(f"drive {drive.id} has {len(drive.cameras)} cameras, there is no number {index}")
    return drive.cameras[index]


def _frames(anchor: Moment, wanted: Ints) -> Iterator[dict[str, Any]]:
    """Each instant: the scene from above, how the ground lies under it, and the paths in every calibrated camera."""
    drive, view = anchor.drive, bev.View.of(anchor)
    cameras = [(i, camera) for i, camera in enumerate(drive.cameras) if camera.calibrated and len(camera.t_ns)]
    ahead = [(i, camera) for i, camera in cameras if looks_ahead(camera) > _BEHIND]
    for instant in wanted.tolist():
        inside, ground = bev.then(anchor, instant, view)
        shadows = tuple(intents(drive.shadows.values(), instant, anchor.looks))
        there = Moment(drive, instant, driven(drive, instant), shadows, anchor.looks)
        overlays = {
            str(i): "".join(ribbons(there, camera, int(camera.t_ns[max(_latest(camera, there), 0)])))
            for i, camera in ahead
        }
        yield {"s": float(drive.t_s[instant]), "above": inside, "ground": ground, "cameras": overlays}


def _latest(camera: Camera, there: Moment) -> int:
    return int(camera.latest(there.drive.t_ns[there.instant : there.instant + 1])[0])


def _pictures(drive: Drive, start_ns: int, stop_ns: int) -> Iterator[tuple[int, int, bytes]]:
    """The pictures of a span: camera, stamp, encoded; the one that is still shown when the span begins comes first."""
    for number, camera in enumerate(drive.cameras):
        first, stop = camera.latest(np.array([start_ns, stop_ns - 1]))
        wanted = np.arange(max(int(first), 0), int(stop) + 1)
        try:
            encoded = several(camera, wanted)
        except (OSError, DataError):
            continue  # the page says so where the picture is (`/picture`)
        yield from ((number, int(camera.t_ns[i]), data) for i, data in zip(wanted, encoded, strict=True))


def several(camera: Camera, wanted: Ints) -> list[bytes]:
    """Some pictures of a camera, encoded."""
    if isinstance(camera.pictures, LoggedPictures):
        return [data for _, data in camera.pictures.several(wanted)]
    return [camera.pictures.encoded(int(index))[1] for index in wanted]
