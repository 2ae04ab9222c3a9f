"""Donkeycar's tub, version 2: what was not chosen is marked as deleted, as donkeycar's own tools do.

A tub holds a record and a picture per tick. From the first chosen moment of a drive to its last all records are
written, and those in between that were not chosen are listed under `deleted_indexes`: `donkey train` passes over them,
and donkeycar's tub manager shows them and brings them back. So is what nobody should learn from: driven by a model,
pushed off the path on purpose, or with commands that are unknown.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from understudy.errors import UnderstudyError
from understudy.exporters.moments import Chosen, human
from understudy.readers.images import OPENED
from understudy.records import NS, Array, Camera, Drive, Driver, Floats, Ints

CATALOG = 1000  # records a file, as donkeycar's
INPUTS = {"cam/image_array": "image_array", "user/angle": "float", "user/throttle": "float", "user/mode": "str"}


@dataclass(frozen=True)
class Tub:
    """One tub of all chosen moments, one of its sessions per drive."""

    camera: str = ""  # whose pictures; the first of the drive where empty

    needs: ClassVar[tuple[str, ...]] = ("steer", "throttle", "pictures")

    def write(self, chosen: Sequence[Chosen], folder: Path) -> Iterator[tuple[str, str]]:
        tub = _Tub(folder)
        for one in chosen:
            drive = one.read()
            camera = self._camera(drive)
            ticks = _ticks(drive, camera)
            inside = np.stack([(drive.t_ns >= start) & (drive.t_ns <= stop) for start, stop in one.stretches])
            learn = np.all([human(drive), np.isfinite(drive["steer"]), np.isfinite(_throttle(drive))], axis=0)
            useful = np.asarray(inside[:, ticks] & learn[ticks])  # (stretches, ticks)
            if useful.any():
                anywhere = np.asarray(inside.any(axis=0))
                first, last = np.flatnonzero(anywhere[ticks])[[0, -1]]
                tub.session(drive, camera, ticks[first : last + 1], anywhere & learn)
            for name, here in zip(one.names, useful, strict=True):
                yield (
                    name,
                    "" if here.any() else f"camera {camera.name} shows nothing there that a human is known to do",
                )
        if tub.count:
            tub.close()

    def _camera(self, drive: Drive) -> Camera:
        cameras = {camera.name: camera for camera in drive.cameras}
        name = self.camera or next(iter(cameras))
        if name not in cameras:
            raise UnderstudyError(f"drive {drive.id} has no camera {name!r}; it has {', '.join(cameras)}")
        return cameras[name]


def _ticks(drive: Drive, camera: Camera) -> Ints:
    """The instants at which a new picture is there: one record each."""
    newest = camera.latest(drive.t_ns)
    return np.flatnonzero((newest >= 0) & (np.diff(newest, prepend=-1) > 0))


@dataclass
class _Tub:
    """A tub in the making. Nothing in it is taken from the clock: the same choice makes the same tub."""

    folder: Path
    count: int = 0
    deleted: list[int] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    created_s: float = 0.0
    lines: list[str] = field(default_factory=list)  # of the catalog that is not full yet

    def session(self, drive: Drive, camera: Camera, rows: Ints, learn: Array) -> None:
        """The records of one drive at some instants; those of which nobody should learn are deleted."""
        (self.folder / "images").mkdir(exist_ok=True)
        began_s = float(drive.t_ns[0]) / NS
        self.created_s = self.created_s or began_s
        self.sessions.append(f"{time.strftime('%y-%m-%d', time.gmtime(began_s))}_{len(self.sessions)}")
        angle, throttle = -drive["steer"], _throttle(drive)  # in a tub + is right
        model = drive.columns.get("who_drives", np.zeros(len(drive))) == Driver.MODEL
        newest = camera.latest(drive.t_ns)
        for row in rows.tolist():
            picture = f"{self.count}_cam_image_array_.jpg"
            (self.folder / "images" / picture).write_bytes(_jpeg(*camera.pictures.encoded(int(newest[row]))))
            commands = {"user/angle": float(angle[row]), "user/throttle": float(throttle[row])}
            if not learn[row]:
                self.deleted.append(self.count)
            self._append(
                {
                    "_index": self.count,
                    "_session_id": self.sessions[-1],
                    "_timestamp_ms": int(drive.t_ns[row]) // 1_000_000,
                    "cam/image_array": picture,
                    "user/mode": "local" if model[row] else "user",
                    **{name: value for name, value in commands.items() if np.isfinite(value)},
                }
            )

    def _append(self, record: Mapping[str, Any]) -> None:
        self.lines.append(_line(record))
        self.count += 1
        if len(self.lines) == CATALOG:
            self._write_catalog()

    def _write_catalog(self) -> None:
        """A catalog, and beside it how long its lines are, by which donkeycar finds them."""
        number = (self.count - 1) // CATALOG
        name = f"catalog_{number}.catalog"
        about = {
            "created_at": self.created_s,
            "line_lengths": [len(line) for line in self.lines],
            "path": f"{name}_manifest",
            "start_index": number * CATALOG,
        }
        (self.folder / name).write_text("".join(self.lines), encoding="utf-8")
        (self.folder / f"{name}_manifest").write_text(_line(about), encoding="utf-8")
        self.lines = []

    def close(self) -> None:
        if self.lines:
            self._write_catalog()
        catalogs = [f"catalog_{number}.catalog" for number in range(-(-self.count // CATALOG))]
        last = len(self.sessions) - 1
        sessions = {"all_full_ids": self.sessions, "last_id": last, "last_full_id": self.sessions[last]}
        where = {"paths": catalogs, "current_index": self.count, "max_len": CATALOG, "deleted_indexes": self.deleted}
        about = {"created_at": self.created_s, "sessions": sessions}
        lines = [list(INPUTS), list(INPUTS.values()), {}, about, where]
        (self.folder / "manifest.json").write_text("".join(map(_line, lines)), encoding="utf-8")


def _line(value: Any) -> str:
    return json.dumps(value, allow_nan=False, sort_keys=True) + "\n"


def _throttle(drive: Drive) -> Floats:
    """One pedal, as donkeycar has it: negative is braking."""
    return np.asarray(drive["throttle"] - np.nan_to_num(drive["brake"]) if "brake" in drive else drive["throttle"])


def _jpeg(form: str, data: bytes) -> bytes:
    if form == "jpeg":
        return data
    out = io.BytesIO()
    Image.open(io.BytesIO(data), formats=OPENED).convert("RGB").save(out, "JPEG", quality=95)
    return out.getvalue()
