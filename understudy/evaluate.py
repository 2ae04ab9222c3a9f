"""What a network knows of drives that it has not seen: the view from above, the plan, the command of the car.

Intersection over union is that of the nuScenes protocol: the sum of all intersections over the sum of all unions, at a
probability of one half, over the cells whose answer is known. Displacement comes under its two names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from understudy.errors import DataError
from understudy.geometry import frenet
from understudy.labelers import UNKNOWN
from understudy.labelers.bev import CHANNELS
from understudy.network.predict import load, predict
from understudy.network.samples import Samples
from understudy.records import Array, Floats
from understudy.store import Lake

CLASSES = CHANNELS[:4]
_AT_1S = 1  # the second pose
_BENT = 0.02  # 1/m: a curve of 50 m radius
_BINS = 10


@dataclass(frozen=True)
class Evaluated:
    """What came out, with how many answers it rests on."""

    model: str
    samples: int
    iou: Mapping[str, float]  # by class
    plan: Mapping[str, float]  # metres; see `plan_errors`
    plans: int
    calibration: float  # expected calibration error of the likeliest mode's probability
    light: float  # share of lights told right, where there is one
    control: Mapping[str, float]  # mean absolute error of steer and throttle, and of saying their mean
    split: str
    counts: Mapping[str, int] = field(default_factory=dict)


def run(lake: Lake, model: str, dataset: str = "", side: str = "test") -> Evaluated:
    """Evaluate a model on the `test`, `train` or `all` samples of a dataset (by default the one it learned from)."""
    network, about = load(lake, model)
    samples = Samples(lake, dataset or about["dataset"])
    sides = {"test": samples.test, "train": ~samples.test, "all": np.ones(len(samples), bool)}
    indices = np.flatnonzero(sides[side])
    if not len(indices):
        raise DataError(f"evaluating {model}: dataset {samples.name} has no {side} samples")
    hits, unions = np.zeros(len(CLASSES)), np.zeros(len(CLASSES))
    parts: dict[str, list[Array]] = {}
    for _, batch, said in predict(network, samples, indices, bool(about["settings"]["blind"])):
        if "bev" in batch.labels:
            hit, union = overlap(said["bev"], batch.labels["bev"])
            hits, unions = hits + hit, unions + union
        for name in ("path", "light", "control"):
            if name in batch.labels:
                parts.setdefault(name, []).append(batch.labels[name])
        for name in ("poses", "choice", "light", "control"):
            parts.setdefault(f"said_{name}", []).append(said[name])
    found = {name: np.concatenate(values) for name, values in parts.items()}
    plan, plans, calibration = {}, 0, np.nan
    if "path" in found and (known := np.isfinite(found["path"]).all(axis=(1, 2))).any():
        poses, choice, path = (found[name][known] for name in ("said_poses", "said_choice", "path"))
        plan, plans = plan_errors(poses, choice, path), int(known.sum())
        calibration = calibration_error(poses, choice, path)
    light, lights = np.nan, 0
    if "light" in found and (there := found["light"] > 0).any():
        light, lights = float((found["said_light"].argmax(1) == found["light"])[there].mean()), int(there.sum())
    return Evaluated(
        model=model,
        samples=len(indices),
        iou={name: hits[k] / unions[k] if unions[k] else np.nan for k, name in enumerate(CLASSES)},
        plan=plan,
        plans=plans,
        calibration=calibration,
        light=light,
        control=control_errors(found) if "control" in found else {},
        split=samples.about["split"],
        counts={"lights": lights, **{name: int(unions[k]) for k, name in enumerate(CLASSES)}},
    )


def overlap(said: Array, label: Array) -> tuple[Floats, Floats]:
    """Cells of intersection and of union (4,), from logits (B, 8, X, Y) and labels of the same shape."""
    known = label[:, : len(CLASSES)] != UNKNOWN
    true, taken = label[:, : len(CLASSES)] == 1, said[:, : len(CLASSES)] > 0
    hit, union = (true & taken & known).sum(axis=(0, 2, 3)), ((true | taken) & known).sum(axis=(0, 2, 3))
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
    share = np.exp(choice - choice.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
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
