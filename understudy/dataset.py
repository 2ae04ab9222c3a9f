"""Datasets: instants with their pictures and labels, frozen under a hash, split by place.

What goes in: the labelled instants of all drives, or only those inside clips chosen for training, and of these what
lies in the place of such a clip: where one reaches into the next place, another may be kept for regression. No sample
is taken from a place that a regression clip of the lake reaches into. Held out is a share of the places; that no place
is on both sides is asserted. What a drive lacks is unknown in its samples, never filled in.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from understudy import workers
from understudy.errors import DataError, UnderstudyError
from understudy.labelers import kept
from understudy.network.samples import STAGE, STATE, write_rig
from understudy.observe import Observer, rig_of
from understudy.policies.onnx import resized
from understudy.records import NS, Array, Camera, Clip, Ints
from understudy.registry import regression_suite
from understudy.store import Lake, Part, code_version
from understudy.store.files import digest
from understudy.store.reviews import heeded, reached, standing

_DECODED = 16  # pictures of a camera held at full size at once
_TURN, _CHANGE, _STANDING = 0.1, 2.0, 0.5  # rad, m/s, m/s


@dataclass(frozen=True)
class Dataset:
    """What a dataset is made of."""

    size: tuple[int, int] = (128, 64)  # W, H of the pictures kept
    history_s: tuple[float, ...] = (0.6, 0.0)  # ages of the frames of a sample, decreasing to 0
    cameras: tuple[str, ...] = ()  # all by default
    clips: bool = False  # only instants within clips chosen for training
    dull: float = 1.0  # share of the instants to train on that is kept of those without turn, light or change of speed
    held_out: float = 0.2  # share of the places (or of each drive) that is kept for testing
    within_drives: bool = False  # hold out the end of each drive instead: a look at learning, no test of a model


@dataclass(frozen=True)
class Frozen:
    """A dataset as it was frozen."""

    name: str
    samples: int
    held_out: int
    places: tuple[str, ...]  # trained on
    test_places: tuple[str, ...]
    report: workers.Report


def run(
    lake: Lake,
    settings: Dataset | None = None,
    clips: Collection[Clip] = (),
    processes: int = 0,
    on_drive: Callable[[workers.Outcome, int], None] | None = None,
) -> Frozen:
    """Freeze a dataset from the drives of the lake that have pictures and labels; `clips` are those to learn from.

    What reviewers said is heeded: a dropped clip is none, the places of one sent to regression are barred, and from
    within one whose labels are bad no sample is taken.
    """
    settings = settings or Dataset()
    said = standing(lake.root)
    clips = heeded(clips, said)
    code = code_version(["understudy.dataset", "understudy.network.samples", "understudy.store"])
    labelled = {entry.subject: entry.part for entry in lake.entries(stage="label")}
    drives = [drive for drive in lake.drives() if drive["id"] in labelled and "pictures" in drive["offers"]]
    if not drives:
        raise UnderstudyError("no drive of the lake has both pictures and labels; `understudy label` makes labels")
    old = kept.outdated(lake, drives)
    wanted = {drive["id"]: [drive["part"], labelled[drive["id"]]] for drive in drives if drive["id"] not in old}
    spans = {drive: [(clip.start_ns, clip.end_ns) for clip in clips if clip.drive == drive and clip.side == "train"]
             for drive in wanted}  # fmt: skip
    struck = {drive: sorted((one.start_ns, one.end_ns) for one in said.values() if one.drive == drive
                            and one.verdict == "bad_label") for drive in wanted}  # fmt: skip
    taught = sorted({clip.place for clip in clips if clip.side == "train"})
    judging = [clip for clip in [*clips, *regression_suite(lake)] if clip.side == "regression"]
    barred = sorted(frozenset().union(*reached(lake, judging).values()))
    name = digest(
        [asdict(settings), sorted(wanted.items()), sorted(spans.items()), sorted(struck.items()), taught, barred, code]
    )
    with lake.run(STAGE, name, asdict(settings), code) as run:
        for drive in old:
            run.skip(drive, "its labels are of an older version of it; `understudy label` makes them anew")
        parts = [
            run.part(drive, [*inputs, digest([spans[drive], struck[drive], taught, barred])])
            for drive, inputs in wanted.items()
        ]
        todo = [part for part in parts if not part.done]
        done = [part.subject for part in parts if part not in todo]
        make = partial(_freeze_one, lake, settings, name, spans, struck, frozenset(taught), frozenset(barred))
        report = workers.fill(run, make, todo, done, processes, on_drive, _subject)
        about = [entry.about for part in parts if (entry := part.entry()) is not None]
        train, test = (
            tuple(sorted({place for one in about for place in one[side]})) for side in ("places", "test_places")
        )
        if not settings.within_drives:
            assert_apart(train, test, "held-out samples")
        assert_apart(train, barred, "regression clips")
        samples, held_out = (sum(one[key] for one in about) for key in ("samples", "held_out"))
        return Frozen(name, samples, held_out, train, test, report)


def assert_apart(train: Collection[str], other: Collection[str], whose: str) -> None:
    """Raise DataError where training shares a place with something that is to judge it."""
    if shared := sorted(set(train) & set(other)):
        raise DataError(f"the split leaks: training and {whose} share {len(shared)} places, {shared[0]!r} among them")


def held_out(place: str, share: float) -> bool:
    """Whether a place is kept for testing: by its name alone, so that it never changes sides."""
    number = int.from_bytes(hashlib.sha256(f"split:{place}".encode()).digest()[:8], "big")
    return number < share * 2**64


# One drive ------------------------------------------------------------------------------------------------------------


def _subject(part: Part) -> str:
    return part.subject


def _freeze_one(
    lake: Lake,
    settings: Dataset,
    name: str,
    spans: Mapping[str, list[tuple[int, int]]],
    struck: Mapping[str, list[tuple[int, int]]],
    taught: frozenset[str],
    barred: frozenset[str],
    part: Part,
) -> None:
    drive = lake.drive(part.subject, objects=False, lights=False, map=False, truth=False)
    stamps, labels = kept.read(lake, drive.id)
    instants = np.searchsorted(drive.t_ns, stamps)
    places = np.array([drive.place_at(instant) for instant in instants], object)
    keep = ~np.isin(places, list(barred))
    if settings.clips:
        keep &= _within(stamps, spans[drive.id]) & np.isin(places, list(taught))
    keep &= ~_within(stamps, struck[drive.id])
    keep &= np.any([one.valid for one in labels.values()], axis=0)
    instants, places = instants[keep], places[keep]
    if settings.within_drives:
        test = np.arange(len(instants)) >= round(len(instants) * (1 - settings.held_out))
    else:
        test = np.array([held_out(place, settings.held_out) for place in places], bool)
    seen = Observer(drive).observe(instants, (), settings.history_s)
    values = {labeler: one.value[keep] for labeler, one in labels.items()}
    stays = test | thinned(eventful(values, seen.speed[:, -1]), settings.dull)
    instants, places, test = instants[stays], places[stays], test[stays]
    cameras = tuple(one for one in drive.cameras if not settings.cameras or one.name in settings.cameras)
    frames, frame, valid = _frames(cameras, drive.t_ns[instants], settings)
    arrays: dict[str, Array] = {"frames": frames, "frame": frame, "frame_valid": valid, "test": test}
    arrays["t_ns"] = drive.t_ns[instants]
    arrays |= {name: _narrow(getattr(seen, name)[stays]) for name in STATE}
    arrays |= {f"label_{labeler}": value[stays] for labeler, value in values.items()}
    part.write(
        {},
        {f"{name}.npy": _npy(array) for name, array in arrays.items()} | {"rig.json": write_rig(rig_of(cameras))},
        about={
            "dataset": name,
            "samples": len(instants),
            "held_out": int(test.sum()),
            "places": sorted(set(places[~test].tolist())),
            "test_places": sorted(set(places[test].tolist())),
            "history_s": settings.history_s,
            "size": settings.size,
            "split": "within drives" if settings.within_drives else "by place",
            "grid": kept.grid(lake, drive.id),
        },
    )


def eventful(labels: Mapping[str, Array], speed: Array) -> Array:
    """Where something happens, (B,): within the next 4 s the car turns, or its speed changes, or it drives (B,) towards
    a light. Without a path there is no telling, and everything counts; a path that is unknown teaches little."""
    if "path" not in labels:
        return np.ones(len(speed), bool)
    last = labels["path"][:, -1]
    found = (np.abs(last[:, 2]) > _TURN) | (np.abs(last[:, 3] - speed) > _CHANGE)
    if "light" in labels:
        found |= (labels["light"] > 0) & (speed > _STANDING)
    return np.asarray(found)


def thinned(eventful: Array, share: float) -> Array:
    """All that is eventful (B,), and of the rest so large a share, evenly."""
    count = np.floor(np.cumsum(~eventful) * share)
    return np.asarray(eventful | (np.diff(count, prepend=0.0) > 0))


def _within(stamps: Ints, spans: Collection[tuple[int, int]]) -> Array:
    """Which stamps lie in any of some spans, ends included."""
    return sum(((stamps >= low) & (stamps <= high) for low, high in spans), np.zeros(len(stamps), bool))


def _frames(cameras: tuple[Camera, ...], now: Ints, settings: Dataset) -> tuple[Array, Array, Array]:
    """The frames that samples at stamps `now` (S,) and their histories show, each once: pictures (N, C, H, W, 3), the
    frame of each sample and age (S, F), and which pictures are there (N, C)."""
    at = now[:, None] - np.round(np.array(settings.history_s) * NS).astype(np.int64)  # (S, F)
    shown = np.stack([camera.fresh(at) for camera in cameras], axis=-1)  # (S, F, C)
    frames, frame = np.unique(shown.reshape(-1, len(cameras)), axis=0, return_inverse=True)
    width, height = settings.size
    pictures = np.zeros((*frames.shape, height, width, 3), np.uint8)
    for c, camera in enumerate(cameras):
        wanted = np.unique(frames[frames[:, c] >= 0, c])
        for start in range(0, len(wanted), _DECODED):
            indices = wanted[start : start + _DECODED]
            small = resized(camera.pictures.read(indices), settings.size)
            for index, picture in zip(indices, small, strict=True):
                pictures[frames[:, c] == index, c] = picture
    return pictures, frame.reshape(at.shape).astype(np.int32), frames >= 0


def _narrow(values: Array) -> Array:
    return values.astype(np.float32) if values.dtype.kind == "f" else values


def _npy(array: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
