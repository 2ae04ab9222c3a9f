"""A frozen dataset as training and evaluation read it: arrays in memory-mapped files, gathered by index.

One entry of the lake holds one drive: its frames (N, C, H, W, 3) uint8 at the size that the network wants, decoded
once; for each of its S samples the stamp, the frames of the history, the state of the car, and the labels; and the rig.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from understudy.errors import DataError, UnknownName, the_one
from understudy.records import Array, Floats, Ints, Rig
from understudy.store import Entry, Lake
from understudy.store.files import digest

STAGE = "dataset"
STATE = ("past_poses", "speed", "yaw_rate", "accel", "command")  # fields of an observation, kept by these names


@dataclass(frozen=True)
class Batch:
    """Some samples of one rig. What is not known of the car is 0, as it is for the policy that runs the network."""

    rig: Rig
    pictures: Array  # (B, F, C, H, W, 3) uint8, black where there is none
    picture_valid: Array  # (B, F, C)
    state: Mapping[str, Array]  # STATE: past_poses (B, F, 3); speed, yaw_rate, accel (B, F); command (B,)
    labels: Mapping[str, Array]  # by labeler, (B, ...); unknown is nan or labelers.UNKNOWN

    def __len__(self) -> int:
        return len(self.pictures)


@dataclass(frozen=True)
class _Drive:
    """The samples of one drive."""

    id: str
    rig: Rig
    arrays: Mapping[str, Array]
    labels: Mapping[str, Array]


class Samples:
    """All samples of a dataset, numbered through."""

    def __init__(self, lake: Lake, dataset: str) -> None:
        """Opens the dataset of that name (or its beginning); nothing is read until asked for."""
        names = sorted({entry.about["dataset"] for entry in lake.entries(stage=STAGE)})
        self.name = the_one("dataset", dataset, names)
        entries = lake.entries(stage=STAGE, key=self.name)
        self.about: dict[str, Any] = entries[0].about
        # The name tells what was asked for; a drive that failed may have been frozen since.
        self.contents = digest(sorted(entry.part for entry in entries))
        self.places = sorted({place for entry in entries for place in entry.about["places"]})  # learned from
        self.drives = [_open(lake, entry) for entry in entries if entry.about["samples"]]
        if any("t_ns" not in drive.arrays for drive in self.drives):
            raise DataError(f"dataset {self.name} is of an older form; label and freeze its drives again")
        counts = [len(drive.arrays["frame"]) for drive in self.drives]
        self._first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def __len__(self) -> int:
        return int(self._first[-1])

    @cached_property
    def test(self) -> Array:
        """Which samples are held out, (S,)."""
        return np.concatenate([drive.arrays["test"] for drive in self.drives])

    @cached_property
    def rig_number(self) -> Ints:
        """Which rig each sample was seen by, (S,): an index into `rigs`."""
        kinds = np.array([self._kinds.index(write_rig(drive.rig)) for drive in self.drives], np.int64)
        return kinds[self.drive_number]

    @cached_property
    def drive_number(self) -> Ints:
        """Which of `drives` each sample is of, (S,)."""
        return np.repeat(np.arange(len(self.drives)), np.diff(self._first))

    @cached_property
    def _kinds(self) -> list[bytes]:
        return sorted({write_rig(drive.rig) for drive in self.drives})

    @cached_property
    def rigs(self) -> list[Rig]:
        """The different rigs of the dataset."""
        return [next(drive.rig for drive in self.drives if write_rig(drive.rig) == kind) for kind in self._kinds]

    def column(self, name: str) -> Array:
        """A state or a label of all samples, (S, ...). Drives that lack a label have no rows of it."""
        found = [{**drive.arrays, **drive.labels}.get(name) for drive in self.drives]
        there = [np.asarray(values) for values in found if values is not None]
        if not there:
            raise UnknownName("label", name, sorted({label for drive in self.drives for label in drive.labels}))
        return np.concatenate(there)

    def take(self, indices: Ints) -> Batch:
        """Some samples in the given order; they must have been seen by one rig."""
        drives = np.searchsorted(self._first, indices, side="right") - 1
        rows = np.asarray(indices) - self._first[drives]
        parts = [(np.flatnonzero(drives == number), self.drives[number]) for number in np.unique(drives)]
        frame = self._gather(parts, rows, "frame")
        frames = parts[0][1].arrays["frames"]
        pictures = np.zeros((*frame.shape, *frames.shape[1:]), np.uint8)
        valid = np.zeros((*frame.shape, frames.shape[1]), bool)
        for places, drive in parts:
            known = frame[places] >= 0  # (b, F)
            number = np.where(known, frame[places], 0)
            valid[places] = drive.arrays["frame_valid"][number] & known[..., None]
            pictures[places] = drive.arrays["frames"][number]
        pictures[~valid] = 0
        state = {name: np.nan_to_num(self._gather(parts, rows, name)) for name in STATE}
        names = {name for _, drive in parts for name in drive.labels}
        labels = {name: self._labels(parts, rows, name) for name in sorted(names)}
        return Batch(parts[0][1].rig, pictures, valid, state, labels)

    @staticmethod
    def _gather(parts: list[tuple[Ints, _Drive]], rows: Ints, name: str) -> Array:
        first = parts[0][1].arrays[name]
        out = np.zeros((len(rows), *first.shape[1:]), first.dtype)
        for places, drive in parts:
            out[places] = drive.arrays[name][rows[places]]
        return out

    @staticmethod
    def _labels(parts: list[tuple[Ints, _Drive]], rows: Ints, name: str) -> Array:
        example = next(drive.labels[name] for _, drive in parts if name in drive.labels)
        unknown = np.nan if example.dtype.kind == "f" else np.iinfo(example.dtype).min
        out = np.full((len(rows), *example.shape[1:]), unknown, example.dtype)
        for places, drive in parts:
            if name in drive.labels:
                out[places] = drive.labels[name][rows[places]]
        return out


def _open(lake: Lake, entry: Entry) -> _Drive:
    arrays = {
        name.removesuffix(".npy"): np.load(lake.blob(entry, name), mmap_mode="r", allow_pickle=False)
        for name in entry.blobs
        if name.endswith(".npy")
    }
    labels = {name.removeprefix("label_"): array for name, array in arrays.items() if name.startswith("label_")}
    arrays = {name: array for name, array in arrays.items() if not name.startswith("label_")}
    return _Drive(entry.subject, read_rig(lake.blob(entry, "rig.json").read_bytes()), arrays, labels)


def write_rig(rig: Rig) -> bytes:
    """A rig as JSON; nan as null."""
    values = {name: getattr(rig, name) for name in ("names", "distortion", "coefficients")}
    arrays = {name: getattr(rig, name).tolist() for name in ("size", "K", "ego_T_cam")}
    return msgspec.json.encode({**values, **arrays})


def read_rig(data: bytes) -> Rig:
    told = msgspec.json.decode(data)
    count = len(told["names"])

    def matrices(name: str, side: int) -> Floats:
        return np.array(told[name], float).reshape(count, side, side)

    return Rig(
        names=tuple(told["names"]),
        size=np.array(told["size"], np.int64).reshape(count, 2),
        K=matrices("K", 3),
        ego_T_cam=matrices("ego_T_cam", 4),
        distortion=tuple(told["distortion"]),
        coefficients=tuple(tuple(values) for values in told["coefficients"]),
    )
