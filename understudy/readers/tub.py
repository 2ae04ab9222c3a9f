"""Donkeycar's tub, version 2: a record and a picture a tick of the car's loop, steering and throttle, no poses.

`manifest.json` holds five JSON lines, the last of which lists the catalogs (one JSON record a line) and the records
that were deleted since. A drive is continuous: a tub falls into several where its session changes, where it pauses for
more than a second, or where more than DELETED_RUN records in a row were deleted.

Conversions between versions stamp the records anew, a few milliseconds apart. Such stamps are refused, and the rate of
the car's loop is to be given instead.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy.errors import DataError
from understudy.readers import folder
from understudy.readers.images import ImageFiles, first_size
from understudy.readers.kinematics import rate_hz
from understudy.records import NS, Array, Camera, Drive, Driver, Floats, Ints, Vehicle

EXPECTED = "donkeycar tubs of version 2, each with manifest.json and catalog_0.catalog"
MANIFEST = "manifest.json"
DELETED_RUN = 5  # a longer run of deleted records ends a drive
PAUSE_MS = 1000
FASTEST_HZ = 100.0  # no donkeycar's loop runs faster
CAR = Vehicle(length=0.4, width=0.2, height=0.2, wheelbase=0.26, rear_overhang=0.07)  # assumed: about 1:10
DRIVERS = {"user": Driver.HUMAN, "local_angle": Driver.MODEL, "local": Driver.MODEL, "pilot": Driver.MODEL}

Row = tuple[int, dict[str, Any]]  # a record and its place in the tub


@dataclass(frozen=True)
class Tub:
    """One drive per tub, or several where it is not continuous."""

    rate_hz: float | None = None  # of the car's loop (DRIVE_LOOP_HZ, by default 20), instead of the stamps in the log

    def scan(self, root: Path) -> Iterator[str]:
        """`tub` for its first drive, `tub@512` for one that begins at record 512."""
        root = Path(root)
        keys = (key for path in root.rglob(MANIFEST) for key in self._keys(path.parent, root))
        return folder.found(keys, root, EXPECTED)

    def fingerprint(self, root: Path, key: str) -> str:
        """Of the drive's own records and pictures: a tub grows, and its earlier drives stay what they are."""
        tub, rows = self._find(Path(root), key)
        pictures = [path for _, record in rows if (path := _picture(tub, record))]
        with folder.reading("a tub's records", tub):
            told = json.dumps([folder.fingerprint(tub, pictures), rows])
        return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()

    def read(self, root: Path, key: str) -> Drive:
        tub, rows = self._find(Path(root), key)
        with folder.reading(f"tub {key}", tub):
            first, last = rows[0][0], rows[-1][0]
            name = f"{tub.resolve().name}-{first}" if first else tub.resolve().name  # whichever drive of the tub it is
            t_ns = self._stamps(key, rows)
            who = np.array([DRIVERS.get(str(record.get("user/mode")), Driver.UNKNOWN) for _, record in rows])
            # In `local_angle` the pilot steers, and the throttle is the user's.
            half = np.array([record.get("user/mode") == "local_angle" for _, record in rows])
            commands = {
                "steer": -_driven(rows, "angle", who == Driver.MODEL),  # the log's + is right
                "throttle": _driven(rows, "throttle", (who == Driver.MODEL) & ~half),
            }
            return Drive(
                id=folder.drive_id("tub", name, self.fingerprint(root, key)),
                t_ns=t_ns,
                columns={"who_drives": who, **{of: said for of, said in commands.items() if np.isfinite(said).any()}},
                vehicle=CAR,
                cameras=tuple(_camera(tub, rows, t_ns)),
                facts={
                    "dataset": "donkeycar",
                    "rates_hz": {"pictures": rate_hz(t_ns)},
                    "stamps": "the log's" if self.rate_hz is None else "from rate_hz",
                    "records": [first, last],
                    "deleted": last - first + 1 - len(rows),
                },
            )

    def _keys(self, tub: Path, root: Path) -> Iterator[str]:
        key = folder.key_of(tub, root)
        yield key
        try:
            yield from (f"{key}@{rows[0][0]}" for rows in self._drives(tub)[1:])
        except DataError:
            return  # `read` will say what is wrong

    def _find(self, root: Path, key: str) -> tuple[Path, list[Row]]:
        """The tub's folder and the drive's rows."""
        try:
            tub, first = folder.drive_folder(root, key), ""
        except DataError:  # the key tells the record too; a folder's name may hold an @ of its own
            place, at, first = key.rpartition("@")
            if not at:
                raise
            tub = folder.drive_folder(root, place)
        for rows in self._drives(tub):
            if first in ("", str(rows[0][0])):
                return tub, rows
        raise DataError(f"no drive of this tub begins at record {first!r}; in {tub}")

    def _drives(self, tub: Path) -> list[list[Row]]:
        """The rows of each drive of a tub: runs of at least two records that were not deleted."""
        with folder.reading("a tub's records", tub):
            rows = _rows(tub)
            runs: list[list[Row]] = []
            for row in rows:
                if runs and self._continues(runs[-1][-1], row):
                    runs[-1].append(row)
                else:
                    runs.append([row])
        runs = [run for run in runs if len(run) > 1]
        if not runs:
            raise DataError(f"{len(rows)} records are not deleted, no two of them in a row; in {tub}")
        return runs

    def _continues(self, before: Row, after: Row) -> bool:
        """Whether two records belong to one drive."""
        if before[1].get("_session_id") != after[1].get("_session_id") or after[0] - before[0] > DELETED_RUN + 1:
            return False
        return self.rate_hz is not None or after[1]["_timestamp_ms"] - before[1]["_timestamp_ms"] <= PAUSE_MS

    def _stamps(self, key: str, rows: list[Row]) -> Ints:
        """Stamps by the loop's rate where it is given, else the log's if they can be believed."""
        if self.rate_hz is not None:
            if not self.rate_hz > 0:
                raise DataError(f"tub {key}: rate_hz={self.rate_hz} is no rate; what was the car's DRIVE_LOOP_HZ?")
            place = np.array([index for index, _ in rows])
            return np.asarray(np.round((place - place[0]) / self.rate_hz * NS), dtype=np.int64)
        stamps = np.array([int(record["_timestamp_ms"]) for _, record in rows], dtype=np.int64)
        steps = np.diff(stamps)
        if steps.min() <= 0 or np.median(steps) * FASTEST_HZ < 1000:
            found = "go backwards" if steps.min() < 0 else f"are {np.median(steps):g} ms apart"
            raise DataError(f"tub {key}: its stamps {found}, not those of driving; give the rate: --set rate_hz=20")
        return stamps * 1_000_000


def _manifest(tub: Path) -> dict[str, Any]:
    """The last line of the manifest: catalogs and deleted records."""
    path = folder.inside(tub, MANIFEST)
    with folder.reading("a tub's manifest", path):
        found = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        if len(found) != 5 or not isinstance(found[4], dict):
            raise ValueError(f"found {len(found)} JSON lines, expected 5")
        return found[4]


def _catalogs(tub: Path) -> list[Path]:
    return [folder.inside(tub, str(name)) for name in _manifest(tub)["paths"]]


def _rows(tub: Path) -> list[Row]:
    """The records that were not deleted, each with its place among all."""
    records: list[dict[str, Any]] = []
    catalogs = _catalogs(tub)
    for path in catalogs:
        with folder.reading("a tub's catalog", path):
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            if path == catalogs[-1] and lines and not lines[-1].endswith("\n"):
                lines.pop()  # the car lost its power while it wrote: there is no record yet
            for number, line in enumerate(lines, start=1):
                try:
                    records.append(dict(json.loads(line)))
                except (TypeError, ValueError) as error:
                    raise ValueError(f"line {number} holds no record ({error})") from error
    deleted = {int(index) for index in _manifest(tub)["deleted_indexes"]}
    return [(index, record) for index, record in enumerate(records) if index not in deleted]


def _driven(rows: list[Row], command: str, by_model: Array) -> Floats:
    """What was commanded: by the pilot where it drove and its command was kept, else by the user."""
    user, pilot = (np.array([record.get(f"{who}/{command}") for _, record in rows], float) for who in ("user", "pilot"))
    return np.where(by_model & np.isfinite(pilot), pilot, user)


def _picture(tub: Path, record: dict[str, Any]) -> Path | None:
    name = record.get("cam/image_array")
    return None if name is None else folder.inside(tub / "images", str(name))


def _camera(tub: Path, rows: list[Row], t_ns: Ints) -> Iterator[Camera]:
    """The pictures of the records that name one; how large they are is read from the first that can be."""
    pictures = {index: path for index, (_, record) in enumerate(rows) if (path := _picture(tub, record))}
    size = first_size(path for path in pictures.values() if path.is_file())
    if size is not None:
        yield Camera("front", size, t_ns[list(pictures)], ImageFiles(tuple(pictures.values()), size))
