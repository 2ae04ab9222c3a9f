"""What moved near the ego, as boxes: small enough to be kept for every route, so that looking needs no second drive."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from understudy.metrics.motion import ahead
from understudy.records import Array, Drive, Floats, Light

EGO, LIT = 100, 200  # what a box is: a Kind, the ego, or LIT + Light, a bar across the end of a light's lane
REACH_M = 50.0  # around the ego
STEP_S = 0.5  # between the instants that are kept

Boxes = dict[str, Array]  # columns (n,), by time: t_s, sort, x, y (of the centre), yaw, length, width


def boxes_of(drive: Drive) -> Boxes:
    """All that is near the ego, every STEP_S and at the end."""
    wanted = np.append(np.arange(0.0, drive.seconds, STEP_S), drive.seconds)
    return boxes_at(drive, np.unique(np.searchsorted(drive.t_s, wanted - 1e-6).clip(max=len(drive) - 1)))


def boxes_at(drive: Drive, instants: Array) -> Boxes:
    """All that is near the ego at these instants (n,)."""
    parts = [_ego(drive, instants), *_others(drive, instants), *_lights(drive, instants)]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(joined["t_s"], kind="stable")
    return {name: column[order] for name, column in joined.items()}


def _ego(drive: Drive, instants: Array) -> Boxes:
    x, y, yaw = ahead(drive.poses[instants], drive.vehicle.centre_x).T
    size = {"length": np.full(len(x), drive.vehicle.length), "width": np.full(len(x), drive.vehicle.width)}
    return {"t_s": drive.t_s[instants], "sort": np.full(len(x), EGO), "x": x, "y": y, "yaw": yaw, **size}


def _others(drive: Drive, instants: Array) -> Iterator[Boxes]:
    objects = drive.truth.objects if drive.truth and drive.truth.objects else drive.objects
    if objects is None:
        return
    at = objects.instant
    near = np.hypot(objects["x"] - drive["x"][at], objects["y"] - drive["y"][at]) < REACH_M
    rows = np.flatnonzero(np.isin(at, instants) & near & np.isfinite(objects["length"]))
    columns = {name: np.asarray(objects[name])[rows] for name in ("x", "y", "yaw", "length", "width")}
    yield {"t_s": drive.t_s[at[rows]], "sort": np.asarray(objects["kind"])[rows].astype(np.int64), **columns}


def _lights(drive: Drive, instants: Array) -> Iterator[Boxes]:
    lights = drive.truth.lights if drive.truth and drive.truth.lights else drive.lights
    if lights is None or drive.map is None:
        return
    known = {lane.id: lane for lane in drive.map.lanes}
    for lane, state in zip(lights.lanes, np.asarray(lights.state).T, strict=True):
        if lane not in known or (ends := known[lane]).left is None or ends.right is None:
            continue
        left, right = ends.left[-1], ends.right[-1]
        x, y = (left + right) / 2
        shown = instants[np.hypot(drive["x"][instants] - x, drive["y"][instants] - y) < REACH_M]
        shown = shown[np.isin(state[shown], (Light.RED, Light.YELLOW, Light.GREEN, Light.OFF))]
        one, across = np.ones(len(shown)), float(np.arctan2(*(left - right)[::-1]))
        yield {
            "t_s": drive.t_s[shown], "sort": LIT + state[shown].astype(np.int64), "x": x * one, "y": y * one,
            "yaw": across * one, "length": float(np.hypot(*(left - right))) * one, "width": 0.8 * one,
        }  # fmt: skip


def ego_of(boxes: Boxes) -> Floats:
    """The ego's poses (n, 3)."""
    own = boxes["sort"] == EGO
    return np.stack([boxes[name][own] for name in ("x", "y", "yaw")], axis=-1).astype(float)
