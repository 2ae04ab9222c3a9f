"""Donkeycar's tub, version 2: a record and a picture a tick of the car's loop, steering and throttle, no poses.

`manifest.json` holds five JSON lines, the last of which lists the catalogs (one JSON record a line) and the records that
were deleted since. A drive is continuous: a tub falls into several where its session changes, where it stands still for
more than a second, or where more than DELETED_RUN records in a row were deleted.

Conversions between versions stamp the records anew, a few milliseconds apart. Such stamps are refused, and the rate of
the car's loop is to be given instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy.errors import DataError
from understudy.readers import folder
from understudy.readers.images import ImageFiles, image_size
from understudy.records import NS, Array, Camera, Drive, Driver, Floats, Ints, Vehicle

EXPECTED = "donkeycar tubs of version 2, each with manifest.json and catalog_0.catalog"
MANIFEST = "manifest.json"
DELETED_RUN = 5  # a longer run of deleted records ends a drive
PAUSE_S = 1.0
FASTEST_HZ = 100.0  # no donkeycar's loop runs faster
CAR = Vehicle(length=0.4, width=0.2, height=0.2, wheelbase=0.26, rear_overhang=0.07)  # assumed: about 1:10
DRIVERS = {"user": Driver.HUMAN, "local_angle": Driver.MODEL, "local": Driver.MODEL, "pilot": Driver.MODEL}

Record = dict[str, Any]


@dataclass(frozen=True)
class Tub:
    """One drive per tub, or several where it is not continuous."""

    rate_hz: float | None = None  # of the car's loop (DRIVE_LOOP_HZ, by default 20), instead of the stamps in the log

    def scan(self, root: Path) -> Iterator[str]:
        root = Path(root)
        return folder.found(
            (key for path in root.rglob(MANIFEST) for key in self._keys(path.parent, root)), root, EXPECTED
        )

    def _keys(self, tub: Path, root: Path) -> Iterator[str]:
        """`tub` for its first drive, `tub@512` for one that begins at record 512."""
        key = folder.key_of(tub, root)
        yield key
        try:
            yield from (f"{key}@{part[0]}" for part in self._parts(tub)[1:])
        except DataError:
            return  # `read` will say what is wrong

    def fingerprint(self, root: Path, key: str) -> str:
        tub, part, records = self._find(Path(root), key)
        pictures = [path for index in part if (path := _picture(tub, records[index]))]
        return folder.fingerprint(tub, [tub / MANIFEST, *_catalogs(tub), *pictures])

    def read(self, root: Path, key: str) -> Drive:
        tub, part, records = self._find(Path(root), key)
        with folder.reading(f"tub {key}", tub):
            rows = [records[index] for index in part]
            t_ns = self._stamps(key, np.array(part), rows)
            columns, pilot = {}, np.array([DRIVERS.get(row.get("user/mode"), Driver.UNKNOWN) for row in rows], np.int8)
            if any("user/mode" in row for row in rows):
                columns["who_drives"] = pilot
            for name, source, sign in (("steer", "angle", -1.0), ("throttle", "throttle", 1.0)):  # the log's + is right
                values = _driven(rows, source, pilot == Driver.MODEL)
                if np.isfinite(values).any():
                    columns[name] = sign * values
            name = "-".join([tub.resolve().name, *key.split("@")[1:]])
            return Drive(
                id=folder.drive_id("tub", name, self.fingerprint(root, key)),
                t_ns=t_ns,
                columns=columns,
                vehicle=CAR,
                cameras=tuple(_camera(tub, rows, t_ns)),
                facts={
                    "dataset": "donkeycar",
                    "rates_hz": {"pictures": round((len(t_ns) - 1) * NS / float(t_ns[-1] - t_ns[0]), 1)},
                    "stamps": "the log's" if self.rate_hz is None else "from rate_hz",
                    "records": [int(part[0]), int(part[-1])],
                    "deleted": int(part[-1] - part[0] + 1 - len(part)),
                },
            )

    def _find(self, root: Path, key: str) -> tuple[Path, list[int], list[Record]]:
        """The tub, the records of the drive, and all records."""
        place, _, first = key.partition("@")
        tub = folder.drive_folder(root, place)
        parts = self._parts(tub)
        part = next((part for part in parts if str(part[0]) == first), None) if first else parts[0]
        if part is None:
            raise DataError(f"no drive of this tub begins at record {first!r}; in {tub}")
        return tub, part, _records(tub)

    def _parts(self, tub: Path) -> list[list[int]]:
        """The records of each drive of a tub: runs of at least two that were not deleted."""
        records = _records(tub)
        deleted = set(_manifest(tub)["deleted_indexes"])
        kept = [index for index in range(len(records)) if index not in deleted]
        parts: list[list[int]] = []
        for index in kept:
            if parts and not self._breaks(records, parts[-1][-1], index):
                parts[-1].append(index)
            else:
                parts.append([index])
        parts = [part for part in parts if len(part) > 1]
        if not parts:
            raise DataError(f"{len(records)} records, {len(kept)} of them not deleted: no two in a row; in {tub}")
        return parts

    def _breaks(self, records: list[Record], before: int, index: int) -> bool:
        """Whether a drive ends between two records."""
        paused = 0.0
        if self.rate_hz is None:
            paused = (_stamp(records[index]) - _stamp(records[before])) / 1000
        session = records[index].get("_session_id") != records[before].get("_session_id")
        return session or index - before > DELETED_RUN + 1 or paused > PAUSE_S

    def _stamps(self, key: str, part: Ints, rows: list[Record]) -> Ints:
        """Stamps by the loop's rate where it is given, else the log's if they can be believed."""
        if self.rate_hz is not None:
            if self.rate_hz <= 0:
                raise DataError(f"tub {key}: rate_hz={self.rate_hz} is no rate; what was the car's DRIVE_LOOP_HZ?")
            return np.asarray(np.round((part - part[0]) / self.rate_hz * NS), dtype=np.int64)
        stamps = np.array([_stamp(row) for row in rows], dtype=np.int64)
        steps = np.diff(stamps)
        if steps.min() <= 0 or np.median(steps) * FASTEST_HZ < 1000:
            found = "go backwards" if steps.min() < 0 else f"are {np.median(steps):g} ms apart"
            raise DataError(
                f"tub {key}: its stamps {found}, so they are not of driving; give the rate: --set rate_hz=20"
            )
        return stamps * 1_000_000


def _manifest(tub: Path) -> Record:
    """The last line of the manifest: catalogs and deleted records."""
    path = tub / MANIFEST
    with folder.reading("a tub's manifest", path):
        lines = path.read_text(encoding="utf-8").split("\n")
        found = [json.loads(line) for line in lines if line.strip()]
        if len(found) != 5 or not isinstance(found[4], dict):
            raise ValueError(f"found {len(found)} JSON lines, expected 5")
        return {
            "paths": list(found[4]["paths"]),
            "deleted_indexes": [int(index) for index in found[4]["deleted_indexes"]],
        }


def _catalogs(tub: Path) -> list[Path]:
    return [folder.inside(tub, str(name)) for name in _manifest(tub)["paths"]]


def _records(tub: Path) -> list[Record]:
    """All records, deleted ones too."""
    records: list[Record] = []
    for path in _catalogs(tub):
        with folder.reading("a tub's catalog", path):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                try:
                    record = json.loads(line)
                except json.JSONDecodeError as error:
                    raise ValueError(f"line {number}: {error}") from error
                if not isinstance(record, dict):
                    raise ValueError(f"line {number} holds no record")
                records.append(record)
    return records


def _stamp(record: Record) -> int:
    return int(record["_timestamp_ms"])


def _driven(rows: list[Record], source: str, by_model: Array) -> Floats:
    """What steered or drove: the pilot's command where the pilot drove and its command was kept, else the user's."""
    user, pilot = (
        np.array([row.get(f"{who}/{source}", np.nan) for row in rows], dtype=np.float64) for who in ("user", "pilot")
    )
    return np.where(by_model & np.isfinite(pilot), pilot, user)


def _picture(tub: Path, record: Record) -> Path | None:
    name = record.get("cam/image_array")
    return None if name is None else folder.inside(tub / "images", str(name))


def _camera(tub: Path, rows: list[Record], t_ns: Ints) -> Iterator[Camera]:
    """The pictures of the records that name one; how large they are is read from the first that is there."""
    paths = [_picture(tub, row) for row in rows]
    named = [index for index, path in enumerate(paths) if path]
    there = next((paths[index] for index in named if paths[index].is_file()), None)
    if there:
        size = image_size(there)
        yield Camera("front", size, t_ns[named], ImageFiles(tuple(paths[index] for index in named), size))
