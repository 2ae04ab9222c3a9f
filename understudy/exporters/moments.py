"""What was chosen: identifiers become stretches of drives, and stretches become drives of their own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from understudy.errors import UnderstudyError, the_one
from understudy.identifiers import Identifier, parse
from understudy.labelers.path import by_human
from understudy.records import NS, Array, Camera, Drive, Ints, Pictures
from understudy.store import Lake

Stretch = tuple[int, int]  # first and last stamp, both within


@dataclass(frozen=True)
class Chosen:
    """Stretches of one drive, in order and apart from each other. The drive is read when it is asked for."""

    lake: Lake
    id: str
    part: str  # the name of the drive as an input
    offers: frozenset[str]  # what the drive has: columns, and words of Drive.NEEDS
    cameras: tuple[str, ...]
    whole: Stretch
    stretches: tuple[Stretch, ...]

    def read(self) -> Drive:
        """The whole drive, with its shadow runs."""
        return self.lake.drive(self.id, shadows=True)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the pieces: that of the drive, or DRIVE@12.0-18.0 in seconds since its start."""
        return tuple(self._name(stretch) for stretch in self.stretches)

    def _name(self, stretch: Stretch) -> str:
        if stretch == self.whole:
            return self.id
        start, stop = (f"{(stamp - self.whole[0]) / NS:.3f}".rstrip("0") for stamp in stretch)
        return f"{self.id}@{start}{'0' * start.endswith('.')}-{stop}{'0' * stop.endswith('.')}"

    def pieces(self, drive: Drive) -> Iterator[Drive]:
        """The stretches, each as a drive of its own by its own name."""
        for name, stretch in zip(self.names, self.stretches, strict=True):
            yield drive if stretch == self.whole else piece(drive, stretch, name)


def piece(drive: Drive, stretch: Stretch, name: str) -> Drive:
    """A stretch of a drive as a drive: its pictures begin with the one that was seen at its first instant."""
    start, stop = np.searchsorted(drive.t_ns, stretch[0]), np.searchsorted(drive.t_ns, stretch[1], side="right")
    if start >= stop:
        raise UnderstudyError(f"{name}: the drive has no instant in it")
    cut = drive.slice(int(start), int(stop))
    truth = drive.truth and replace(
        cut.truth or drive.truth,
        events=tuple(
            replace(event, drive=name)
            for event in drive.truth.events
            if event.end_ns >= stretch[0] and event.start_ns <= stretch[1]
        ),
    )
    cameras = tuple(_cut(camera, int(cut.t_ns[0]), int(cut.t_ns[-1])) for camera in drive.cameras)
    facts = {**drive.facts, "cut_from": {"drive": drive.id, "stretch_ns": list(stretch)}}
    return replace(cut, id=name, truth=truth, cameras=cameras, facts=facts)


def human(drive: Drive) -> Array:
    """Which instants (T,) are a human's own driving: neither a model's, nor pushed off the path on purpose."""
    return by_human(drive, np.arange(len(drive)), 0.0)


def file_of(folder: Path, name: str, suffix: str) -> Path:
    """Where a piece's file goes: its name without what no file should be called by."""
    path = folder / (re.sub(r"[^\w.@~+=-]+", "_", name) + suffix)
    if path.exists():
        raise UnderstudyError(f"exporting {name}: another piece has its file's name; in {path}")
    return path


def _cut(camera: Camera, start_ns: int, stop_ns: int) -> Camera:
    first = max(int(np.searchsorted(camera.t_ns, start_ns, side="right")) - 1, 0)
    stop = max(int(np.searchsorted(camera.t_ns, stop_ns, side="right")), first)
    return replace(camera, t_ns=camera.t_ns[first:stop], pictures=_Some(camera.pictures, first, stop - first))


@dataclass(frozen=True, slots=True)
class _Some:
    """Pictures of a camera from the `first` on."""

    pictures: Pictures
    first: int
    count: int

    def __len__(self) -> int:
        return self.count

    def read(self, indices: Ints) -> Array:
        return self.pictures.read(indices + self.first)

    def encoded(self, index: int) -> tuple[str, bytes]:
        return self.pictures.encoded(index + self.first)


# From identifiers -----------------------------------------------------------------------------------------------------


def choose(lake: Lake, moments: Iterable[str]) -> list[Chosen]:
    """What some identifiers name, by drive in order of their ids; moments that overlap become one."""
    drives = {drive["id"]: drive for drive in lake.drives()}
    found: dict[str, list[Stretch]] = {}
    for moment in moments:
        drive, stretch = _stretch(lake, drives, parse(moment))
        found.setdefault(drive, []).append(stretch)
    return [
        Chosen(
            lake,
            id,
            drives[id]["part"],
            frozenset(drives[id]["offers"]),
            tuple(drives[id]["cameras"]),
            _whole(drives[id]),
            _merged(found[id]),
        )
        for id in sorted(found)
    ]


def _stretch(lake: Lake, drives: Mapping[str, Any], named: Identifier) -> tuple[str, Stretch]:
    if named.kind in ("clip", "event"):
        row = _row(lake, named)
        return row["drive"], (row["start_ns"], row["end_ns"])
    if named.kind != "drive":
        raise UnderstudyError(f"no moment named {named}: expected a DRIVE, DRIVE/12.0:18.0, clip:... or event:...")
    id = lake.resolve(named.name)
    first, last = _whole(drives[id])
    start = first + round((named.start_s or 0.0) * NS)
    stop = last if named.stop_s is None else min(first + round(named.stop_s * NS), last)
    if start > last:
        raise UnderstudyError(f"{named}: the drive is {(last - first) / NS:.1f} s long")
    return id, (start, stop)


def _row(lake: Lake, named: Identifier) -> dict[str, Any]:
    """The clip or event of that name, which may be cut short."""
    table = f"{named.kind}s"
    rows = (
        lake.table(table, columns=["id", "drive", "start_ns", "end_ns"]).to_pylist() if table in lake.tables() else []
    )
    known: dict[str, dict[str, Any]] = {row["id"]: row for row in rows}
    return known[the_one(named.kind, str(named), known)]


def _whole(drive: Mapping[str, Any]) -> Stretch:
    return drive["start_ns"], drive["start_ns"] + round(drive["seconds"] * NS)


def _merged(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    merged: list[Stretch] = []
    for start, stop in sorted(stretches):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return tuple(merged)
