"""What a network knows of drives that it has not seen: the view from above, the plan, the command of the car.

Intersection over union is that of the nuScenes protocol: the sum of all intersections over the sum of all unions, at a
probability of one half, over the cells whose answer is known. Displacement comes under its two names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from understudy import metrics
from understudy.errors import DataError
from understudy.geometry import Grid, frenet
from understudy.labelers import UNKNOWN
from understudy.labelers.bev import CHANNELS, CLASSES
from understudy.network.model import Network
from understudy.network.predict import fitted, lineage, load, predict
from understudy.network.samples import Samples
from understudy.records import Array, Floats, Ints
from understudy.store import Lake
from understudy.worlds.scenario import Scenario

_AT_1S = 1  # the second pose
_BENT = 0.02  # 1/m: a curve of 50 m radius
_BINS = 10
_HEADS = ("choice", "light", "control")


@dataclass(frozen=True)
class Measured:
    """What came out over some samples, with how many answers it rests on."""

    samples: int
    iou: Mapping[str, float]  # by class
    plan: Mapping[str, float]  # metres, see `plan_errors`; and the mean score of the likeliest plans
    plans: int
    calibration: float  # expected calibration error of the likeliest mode's probability
    light: float  # share of lights told right, where there is one
    control: Mapping[str, float]  # mean absolute error of steer and throttle, and of saying their mean
    counts: Mapping[str, int]  # lights, and the cells of each class's union


@dataclass(frozen=True)
class Shown:
    """One sample to look at: what was seen, what was true, what was said."""

    drive: str
    names: tuple[str, ...]  # of the cameras
    pictures: Array  # (C, H, W, 3), the newest
    grid: Grid
    bev: Array  # (9, X, Y), the label
    said_bev: Array  # (9, X, Y), CLASSES as logits
    path: Array  # (K, 4) driven; nan where unknown
    poses: Array  # (M, K, 4)
    probability: Array  # (M,)
    light: int
    said_light: int


@dataclass(frozen=True)
class Evaluated(Measured):
    """What came out over all samples, and over those of each weather, event and place."""

    model: str
    dataset: str
    split: str
    by: Mapping[str, Mapping[str, Measured]]
    left_out: int = 0  # held-out samples where it, or one that it goes on from, has learned
    shown: tuple[Shown, ...] = ()


def run(lake: Lake, model: str, dataset: str = "", side: str = "test", show: int = 0, beside: str = "") -> Evaluated:
    """Evaluate a model on the `test`, `train` or `all` samples of a dataset (by default the one it learned from).

    Of the `test` samples those are left out in whose places it has learned, or the model `beside` which it is held.
    With `show` so many samples are handed on to be looked at: half of them at even steps, half where the plan is worst.
    """
    network, about = load(lake, model)
    samples = Samples(lake, dataset or about["dataset"])
    if fitted(samples, network.size) != network.size:
        raise DataError(f"evaluating {model}: it learned on another grid than that of the labels of {samples.name}")
    sides = {"test": samples.test, "train": ~samples.test, "all": np.ones(len(samples), bool)}
    indices = np.flatnonzero(sides[side])
    if not len(indices):
        raise DataError(f"evaluating {model}: dataset {samples.name} has no {side} samples")
    there = len(indices)
    if side == "test":
        indices = unseen(lake, samples, indices, [model, beside] if beside else [model])
    if not len(indices):
        raise DataError(
            f"evaluating {model}: all {there} test samples of {samples.name} lie where it, its ancestors or the model "
            "beside it have learned; a dataset of other places can judge it"
        )
    left_out = there - len(indices)
    blind = bool(about["settings"]["blind"])
    indices, found = answers(network, samples, indices, blind)
    found["score"] = scores(lake, samples, indices, found)
    by: dict[str, dict[str, Measured]] = {}
    for what, names in circumstances(lake, samples, indices).items():
        by[what] = {name: measured(found, names == name) for name in sorted(set(names))}
    chosen = indices[worth_showing(found, show)]
    return Evaluated(
        **vars(measured(found, np.ones(len(indices), bool))),
        model=model,
        dataset=samples.name,
        split=samples.about["split"],
        by=by,
        left_out=left_out,
        shown=tuple(_shown(network, samples, chosen, blind)) if show else (),
    )


def unseen(lake: Lake, samples: Samples, indices: Ints, models: Sequence[str]) -> Ints:
    """Those of the held-out samples in whose places no model, and none that it goes on from, has learned.

    What a dataset holds out, nobody has learned from it, be it the end of a drive whose beginning was.
    """
    line = [one.about for model in models for one in lineage(lake, model)]
    learned = {place for about in line if about["dataset"] != samples.name for place in about["places"]}
    if not learned:
        return indices
    numbers, stamps = samples.drive_number[indices], samples.column("t_ns")[indices]
    new = np.ones(len(indices), bool)
    for number in np.unique(numbers):
        drive = lake.drive(
            samples.drives[number].id, objects=False, lights=False, map=False, truth=False, cameras=False
        )
        own = numbers == number
        new[own] = [drive.place_at(instant) not in learned for instant in np.searchsorted(drive.t_ns, stamps[own])]
    return indices[new]


def told(found: Measured) -> dict[str, float]:
    """The measures by the names that people read, as far as they are known."""
    values = {
        **{f"IoU {name}": value for name, value in found.iou.items()},
        **{f"plan {name}": value for name, value in found.plan.items()},
        **{f"control {name}": value for name, value in found.control.items()},
        "calibration error": found.calibration,
        "lights told right": found.light,
    }
    return {name: value for name, value in values.items() if np.isfinite(value)}


def answers(network: Network, samples: Samples, indices: Ints, blind: bool) -> tuple[Ints, dict[str, Array]]:
    """What was said of samples and what was true, in the order that `predict` takes; the view as counts of cells."""
    order: list[Ints] = []
    parts: dict[str, list[Array]] = {}
    for taken, batch, said in predict(network, samples, indices, blind):
        order.append(taken)
        shape = (len(taken), len(CLASSES))
        bev = batch.labels.get("bev")
        hit, union = (np.zeros(shape), np.zeros(shape)) if bev is None else overlap(said["bev"], bev)
        row = {"hit": hit, "union": union, **{f"said_{name}": said[name] for name in ("poses", *_HEADS)}}
        unknown = {
            "path": np.full((len(taken), *said["poses"].shape[2:]), np.nan, np.float32),
            "light": np.full(len(taken), UNKNOWN, np.int8),
            "control": np.full((len(taken), 2), np.nan, np.float32),
        }
        row |= {name: batch.labels.get(name, value) for name, value in unknown.items()}
        for name, value in row.items():
            parts.setdefault(name, []).append(value)
    return np.concatenate(order), {name: np.concatenate(values) for name, values in parts.items()}


def measured(found: Mapping[str, Array], rows: Array) -> Measured:
    """The measures over some of the answers, rows (S,)."""
    one = {name: value[rows] for name, value in found.items()}
    hits, unions = one["hit"].sum(axis=0), one["union"].sum(axis=0)
    known = np.isfinite(one["path"]).all(axis=(1, 2))
    plans = [one[name][known] for name in ("said_poses", "said_choice", "path")]
    there = one["light"] > 0
    right = one["said_light"].argmax(1) == one["light"]
    return Measured(
        samples=int(rows.sum()),
        iou={name: hits[k] / unions[k] if unions[k] else np.nan for k, name in enumerate(CLASSES)},
        plan={**plan_errors(*plans), "score": mean_of(one["score"][known])} if known.any() else {},
        plans=int(known.sum()),
        calibration=calibration_error(*plans) if known.any() else np.nan,
        light=float(right[there].mean()) if there.any() else np.nan,
        control=control_errors(one),
        counts={"lights": int(there.sum()), **{name: int(unions[k]) for k, name in enumerate(CLASSES)}},
    )


def scores(lake: Lake, samples: Samples, indices: Ints, found: Mapping[str, Array]) -> Floats:
    """What the likeliest plan at each sample is worth by the metrics, (B,); nan where nothing of it is known."""
    plans = found["said_poses"][np.arange(len(indices)), found["said_choice"].argmax(axis=1)].astype(float)
    numbers, stamps = samples.drive_number[indices], samples.column("t_ns")[indices]
    worth = np.full(len(indices), np.nan)
    for number in np.unique(numbers):
        drive, rows = lake.drive(samples.drives[number].id, cameras=False), np.flatnonzero(numbers == number)
        if not drive.lacks(("pose", "speed")):
            instants = np.searchsorted(drive.t_ns, stamps[rows])
            worth[rows] = metrics.score(metrics.Scene.of(drive), instants, plans[rows])["score"]
    return worth


def mean_of(values: Floats) -> float:
    """Their mean, of those that are known."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def circumstances(lake: Lake, samples: Samples, indices: Ints) -> dict[str, Array]:
    """Under what each sample was driven: its place, and its weather and event where the drive tells of them."""
    numbers = samples.drive_number[indices]
    told = []
    for drive in samples.drives:
        facts = lake.drive(drive.id, objects=False, lights=False, map=False, truth=False, cameras=False).facts
        identifier = str(facts.get("scenario", ""))
        event = Scenario.parse(identifier).event if identifier.startswith("scenario:city") else ""
        told.append((str(facts.get("town", drive.id)), str(facts.get("weather", "")), event))
    columns = zip(*told, strict=True)
    found = {
        what: np.array(values)[numbers] for what, values in zip(("place", "weather", "event"), columns, strict=True)
    }
    return {what: values for what, values in found.items() if (values != "").all()}


def worth_showing(found: Mapping[str, Array], count: int) -> Ints:
    """Half of the rows at even steps, half where the likeliest plan ends farthest from the path."""
    likeliest = found["said_poses"][np.arange(len(found["path"])), found["said_choice"].argmax(axis=1)]
    apart = np.nan_to_num(np.hypot(*np.moveaxis(likeliest[:, -1, :2] - found["path"][:, -1, :2], -1, 0)), nan=-1.0)
    even = np.linspace(0, len(apart) - 1, count - count // 2).round().astype(np.int64)
    return np.concatenate([even, np.argsort(-apart)[: count // 2]])


def _shown(network: Network, samples: Samples, indices: Ints, blind: bool) -> Iterator[Shown]:
    size = network.size
    for taken, batch, said in predict(network, samples, indices, blind):
        probability = softmax(said["choice"], axis=1)
        empty = np.full((len(taken), len(CHANNELS), *size.grid.shape), UNKNOWN, np.int8)
        unknown = np.full((len(taken), *said["poses"].shape[2:]), np.nan)
        for k in range(len(taken)):
            yield Shown(
                drive=samples.drives[samples.drive_number[taken[k]]].id,
                names=batch.rig.names,
                pictures=batch.pictures[k, -1],
                grid=size.grid,
                bev=batch.labels.get("bev", empty)[k],
                said_bev=said["bev"][k],
                path=batch.labels.get("path", unknown)[k],
                poses=said["poses"][k],
                probability=probability[k],
                light=int(batch.labels["light"][k]) if "light" in batch.labels else UNKNOWN,
                said_light=int(said["light"][k].argmax()),
            )


def overlap(said: Array, label: Array) -> tuple[Floats, Floats]:
    """Cells of intersection and of union (B, 5), from logits (B, 9, X, Y) and labels of the same shape."""
    known = label[:, : len(CLASSES)] != UNKNOWN
    true, taken = label[:, : len(CLASSES)] == 1, said[:, : len(CLASSES)] > 0
    hit, union = (true & taken & known).sum(axis=(2, 3)), ((true | taken) & known).sum(axis=(2, 3))
    return hit.astype(float), union.astype(float)


def plan_errors(poses: Array, choice: Array, path: Array) -> dict[str, float]:
    """Means over plans (B, M, K, 4) of the likeliest mode against the path (B, K, 4), in metres.

    `mean_displacement` and `final_displacement` are what ST-P3 and UniAD call L2; `lateral_1s` is the distance at 1 s
    to the driven path, wherever along it; `lateral_1s_bent` the same where its curvature is above 0.02 1/m.
    """
    likeliest = poses[np.arange(len(poses)), choice.argmax(axis=1)]
    apart = np.hypot(*np.moveaxis(likeliest[..., :2] - path[..., :2], -1, 0))  # (B, K)
    modes = np.hypot(*np.moveaxis(poses[..., :2] - path[:, None, :, :2], -1, 0)).mean(axis=-1)
    lines = np.concatenate([np.zeros((len(path), 1, 2)), path[..., :2]], axis=1).astype(float)
    side = np.array([abs(float(frenet(line, at)[1])) for line, at in zip(lines, likeliest[:, _AT_1S, :2], strict=True)])
    still = np.hypot(*np.diff(lines, axis=1).sum(axis=1).T) < 0.5
    side = np.where(still, np.abs(likeliest[:, _AT_1S, 1]), side)  # a path of no length has no sides
    driven = np.maximum(np.hypot(*np.moveaxis(np.diff(lines, axis=1), -1, 0)).sum(axis=1), 1.0)
    bent = np.abs(path[:, -1, 2]) / driven > _BENT
    return {
        "mean_displacement": float(apart.mean()),
        "final_displacement": float(apart[:, -1].mean()),
        "min_displacement": float(modes.min(axis=1).mean()),
        "lateral_1s": float(side.mean()),
        "lateral_1s_bent": float(side[bent].mean()) if bent.any() else float("nan"),
        "bent": float(bent.sum()),
    }


def calibration_error(poses: Array, choice: Array, path: Array) -> float:
    """Expected calibration error (Guo et al. 2017): how far the likeliest mode's probability is from how often that
    mode is the one nearest to the path."""
    share = softmax(choice, axis=1)
    modes = np.hypot(*np.moveaxis(poses[..., :2] - path[:, None, :, :2], -1, 0)).mean(axis=-1)
    right = modes.argmin(axis=1) == choice.argmax(axis=1)
    sure = share.max(axis=1)
    bins = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    gaps = [np.abs(right[bins == k].mean() - sure[bins == k].mean()) * (bins == k).mean() for k in np.unique(bins)]
    return float(np.sum(gaps))


def control_errors(found: Mapping[str, Array]) -> dict[str, float]:
    """Mean absolute errors of steer and throttle, each beside that of always saying the mean of these samples."""
    errors = {}
    for column, name in enumerate(("steer", "throttle")):
        true = found["control"][:, column]
        if (known := np.isfinite(true)).any():
            errors[name] = float(np.abs(found["said_control"][known, column] - true[known]).mean())
            errors[f"{name}_of_the_mean"] = float(np.abs(true[known] - true[known].mean()).mean())
    return errors
