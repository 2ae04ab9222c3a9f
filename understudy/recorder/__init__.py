"""Drives of ours into MCAP: what viewers show in Foxglove's schemas, the rest under `/understudy/`.

docs/mcap.md lists the channels; the reader `mcap` reads them back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np

from understudy.errors import DataError
from understudy.readers.mcap import layout
from understudy.recorder import views
from understudy.recorder.channels import PICTURES, VIEWS, Channels
from understudy.records import Array, Camera, Drive, Ints, Lights, Objects, Rig, Truth

STRIDE = 64  # instants that `write` appends at a time, so that the channels of a file keep step


def write(drive: Drive, path: Path, viewers: bool = True) -> None:
    """Write a whole drive; the reader `mcap` gives back an equal one. Without `viewers` only that reader shows it."""
    with Recorder(path, viewers) as recorder:
        for start in range(0, len(drive), STRIDE):
            recorder.append(drive.slice(start, min(start + STRIDE, len(drive))))


class Recorder:
    """Records a drive that comes in pieces, each a Drive of the next instants.

    >>> with Recorder(path) as recorder:
    ...     recorder.append(piece)
    ...     recorder.picture("front", t_ns, "jpeg", data)

    What holds throughout (id, vehicle, frame, map, cameras) is taken from the first piece, what grows (route, places,
    derived, facts, the truth's events) from the last; every piece has the same columns. Pictures come one by one, for
    the cameras of the first piece (`unseen` makes them of a rig), or lie in the pieces' cameras, where each is recorded
    once. A recording that is left by an error, or killed, leaves nothing of its name.
    """

    def __init__(self, path: Path, viewers: bool = True) -> None:
        self._path = Path(path)
        self._viewers = viewers
        self._first: Drive | None = None
        self._last: Drive | None = None
        self._lit: dict[str, bytes] = {}  # the state of the lights last written, by topic
        self._seen: dict[str, int] = {}  # the stamp of the picture last written, by camera

    def __enter__(self) -> Self:
        self._channels = Channels(self._path)
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None:
                self._end()
                self._channels.close()
        finally:
            self._channels.discard()

    def append(self, piece: Drive) -> None:
        """Record the next instants."""
        if self._first is None:
            self._first = piece
            self._begin(piece)
        else:
            self._check(piece)
        self._last = piece
        self._columns(piece)
        self._objects(layout.OBJECTS, piece, piece.objects)
        self._lights(layout.LIGHTS, piece, piece.lights)
        if piece.truth is not None:
            self._objects(layout.TRUTH_OBJECTS, piece, piece.truth.objects)
            self._lights(layout.TRUTH_LIGHTS, piece, piece.truth.lights)
        for name, shadow in piece.shadows.items():
            topic, schema, about = layout.PLANS + name, layout.plans_schema(shadow), {"policy": shadow.policy}
            for t_ns, row in zip(piece.t_ns.tolist(), layout.plan_rows(shadow), strict=True):
                self._channels.json(topic, schema, t_ns, row, about)
        self._pictures(piece, until_ns=int(piece.t_ns[-1]))
        if self._viewers:
            for shown in views.moving(piece):
                self._channels.protobuf(VIEWS, *shown)

    def picture(self, camera: str, t_ns: int, form: str, data: bytes) -> None:
        """Record a picture as it is; `form` is jpeg or png."""
        if camera not in self._seen:
            raise self._wrong(f"no camera named {camera!r} in the first piece")
        if t_ns <= self._seen[camera]:
            raise self._wrong(f"camera {camera}: time goes backwards at {t_ns} ns")
        self._seen[camera] = t_ns
        self._channels.protobuf(PICTURES, *views.picture(layout.picture_topic(camera), camera, t_ns, form, data))

    def _begin(self, piece: Drive) -> None:
        """What is said once."""
        start_ns = int(piece.t_ns[0])
        first_ns = min([start_ns, *(int(camera.t_ns[0]) for camera in piece.cameras if len(camera.t_ns))])
        if first_ns < 0:
            raise self._wrong(f"MCAP's time begins at 0, the drive's at {first_ns} ns")
        self._seen = {camera.name: -1 for camera in piece.cameras}
        if len(self._seen) < len(piece.cameras):
            raise self._wrong("two cameras of the same name")
        self._describe(piece, start_ns)
        if piece.map is not None:
            self._channels.json(layout.MAP, layout.MAP_SCHEMA, start_ns, layout.known(piece.map))
        if self._viewers:
            for shown in views.standing(piece):
                self._channels.protobuf(VIEWS, *shown)

    def _end(self) -> None:
        """What is known only now."""
        if self._last is None:
            raise self._wrong("no instants")
        end_ns = int(self._last.t_ns[-1])
        self._pictures(self._last, until_ns=np.iinfo(np.int64).max)
        self._describe(self._last, end_ns)
        if self._last.truth is not None:
            events = [layout.known(event) for event in self._last.truth.events]
            self._channels.json(layout.TRUTH_EVENTS, layout.EVENTS_SCHEMA, end_ns, {"events": events})

    def _describe(self, piece: Drive, t_ns: int) -> None:
        """The drive as a whole: when it begins, for who reads a file that was cut short, and again when it ends."""
        assert self._first is not None
        about = {
            "version": layout.VERSION,
            "id": self._first.id,
            "frame": self._first.frame,
            "route": piece.route,
            "places": piece.places,
            "derived": sorted(piece.derived),
            "vehicle": layout.known(self._first.vehicle),
            "cameras": [layout.camera(camera) for camera in self._first.cameras],
            "truth": self._first.truth is not None,
            "facts": piece.facts,
        }
        self._channels.json(layout.DRIVE, layout.DRIVE_SCHEMA, t_ns, about)

    def _check(self, piece: Drive) -> None:
        """That a piece continues those before it."""
        assert self._first is not None and self._last is not None
        if piece.t_ns[0] <= self._last.t_ns[-1]:
            raise self._wrong(f"time goes backwards at {piece.t_ns[0]} ns")
        first, now = _parts(self._first), _parts(piece)
        changed = sorted(name for name in first | now if first.get(name) != now.get(name))
        if changed:
            raise self._wrong(
                f"the piece at {piece.t_ns[0]} ns differs from the first in {', '.join(changed)}; "
                "all pieces have the same columns"
            )

    def _columns(self, piece: Drive) -> None:
        schema = layout.columns_schema(piece.columns)
        for t_ns, row in zip(piece.t_ns.tolist(), layout.rows(piece.columns, len(piece)), strict=True):
            self._channels.json(layout.COLUMNS, schema, t_ns, row)

    def _objects(self, topic: str, piece: Drive, objects: Objects | None) -> None:
        if objects is None:
            return
        schema = layout.objects_schema(objects.columns)
        starts: list[int] = objects.starts.tolist()
        found = list(layout.rows(objects.columns, starts[-1]))
        for t_ns, start, stop in zip(piece.t_ns.tolist(), starts, starts[1:], strict=False):
            self._channels.json(topic, schema, t_ns, {"objects": found[start:stop]})

    def _lights(self, topic: str, piece: Drive, lights: Lights | None) -> None:
        """All the lights whenever one changes."""
        if lights is None:
            return
        x, y, z = lights.heads.T
        for t_ns, state in zip(piece.t_ns.tolist(), lights.state, strict=True):
            if self._lit.get(topic) != state.tobytes():
                self._lit[topic] = state.tobytes()
                found = layout.rows({"x": x, "y": y, "z": z, "state": state}, len(state))
                said = [{"lane": lane, **row} for lane, row in zip(lights.lanes, found, strict=True)]
                self._channels.json(topic, layout.LIGHTS_SCHEMA, t_ns, {"lights": said})

    def _pictures(self, piece: Drive, until_ns: int) -> None:
        for camera in piece.cameras:
            first, stop = np.searchsorted(camera.t_ns, [self._seen.get(camera.name, -1), until_ns], side="right")
            for index in range(first, stop):
                self.picture(camera.name, int(camera.t_ns[index]), *camera.pictures.encoded(index))

    def _wrong(self, what: str) -> DataError:
        return DataError(f"recording a drive: {what}; in {self._path}")


def _parts(piece: Drive) -> dict[str, Any]:
    """What every piece has in common: which columns, of which dtypes."""
    parts: dict[str, Any] = {name: values.dtype.name for name, values in piece.columns.items()}
    truth = piece.truth or Truth()
    for owner, objects in (("objects", piece.objects), ("truth.objects", truth.objects)):
        if objects is not None:
            parts |= {f"{owner}.{name}": values.dtype.name for name, values in objects.columns.items()}
    for owner, lights in (("lights", piece.lights), ("truth.lights", truth.lights)):
        if lights is not None:
            parts[owner] = lights.lanes
    for name, shadow in piece.shadows.items():
        parts[f"plans.{name}"] = (shadow.policy, str(layout.plans_schema(shadow)))
    return parts | {"truth": piece.truth is not None}


class _Nothing:
    """The pictures of a camera that has taken none."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size

    def __len__(self) -> int:
        return 0

    def read(self, indices: Ints) -> Array:
        return np.empty((len(indices), self.size[1], self.size[0], 3), np.uint8)

    def encoded(self, index: int) -> tuple[str, bytes]:
        raise DataError(f"picture {index} of a camera that has taken none")


def unseen(rig: Rig) -> tuple[Camera, ...]:
    """A rig's cameras before their first pictures, for the first piece of a drive whose pictures come one by one."""
    return tuple(
        Camera(
            name=name,
            size=(int(rig.size[i, 0]), int(rig.size[i, 1])),
            t_ns=np.empty(0, np.int64),
            pictures=_Nothing((int(rig.size[i, 0]), int(rig.size[i, 1]))),
            K=rig.K[i],
            ego_T_cam=rig.ego_T_cam[i],
            distortion=rig.distortion[i],
            coefficients=rig.coefficients[i],
        )
        for i, name in enumerate(rig.names)
    )
