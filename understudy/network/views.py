"""The virtual camera: the same pictures, taken from a car that stands a little to the side and looks elsewhere.

A network that has only seen good driving does not know how to come back to it. Here the car is moved, not the picture:
a camera that is mounted elsewhere on a car that stands elsewhere takes the very same picture. So a view is another lift
table, exact for turns and for shifts alike, and the labels are moved along: the surroundings are looked up from the new
place, and the path leads back to where the human drove.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from understudy.geometry import Grid, compose, inverse, move, rigid
from understudy.labelers import UNKNOWN
from understudy.records import Array, Floats, Rig

RECOVER_STEP = 3  # the pose 2 s ahead


def poses(count: int, shift_m: float, turn_rad: float, seed: int) -> Floats:
    """ego_T_view (count, 3) of the views, evenly spread; the first is the car itself."""
    random = np.random.default_rng(seed)
    spread = (np.stack([random.permutation(count - 1), random.permutation(count - 1)], -1) + 0.5) / max(count - 1, 1)
    moved = (2 * spread - 1) * np.array([shift_m, turn_rad])
    return np.concatenate([np.zeros((1, 3)), np.concatenate([np.zeros((count - 1, 1)), moved], axis=1)])


def rig_from(rig: Rig, ego_T_view: Floats) -> Rig:
    """The rig as it is mounted on the car that stands at the view."""
    x, y, yaw = ego_T_view
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    view_T_ego = np.linalg.inv(rigid(turn, np.array([x, y, 0.0])))
    return replace(rig, ego_T_cam=view_T_ego @ rig.ego_T_cam)


def past_from(past_poses: Floats, ego_T_view: Floats) -> Floats:
    """Where the moved car was at each frame (B, F, 3): it was moved as much then as now."""
    return compose(inverse(ego_T_view), compose(past_poses, ego_T_view))


def labels_from(
    labels: Mapping[str, Array], ego_T_view: Floats, grid: Grid, recover_m: float, steer_m: float = np.nan
) -> dict[str, Array]:
    """The labels as they are for the moved car. The path comes back within `recover_m` or 2 s, whichever is longer.

    `steer_m` is how much steering a curvature wants (fraction of full lock times metres): without it the steering of
    the moved car is unknown.
    """
    if not np.any(ego_T_view):
        return dict(labels)
    moved = dict(labels)
    if "path" in labels:
        moved["path"] = _path(labels["path"], ego_T_view, recover_m)
    if "bev" in labels:
        moved["bev"] = _bev(labels["bev"], ego_T_view, grid)
    if "control" in labels:
        steer = steer_m * _return(ego_T_view, recover_m)
        moved["control"] = labels["control"] + np.array([steer, 0.0], np.float32)
    return moved


def _path(path: Array, ego_T_view: Floats, recover_m: float) -> Array:
    """The offset from what was driven fades along the way: whole at its start (a standing car stays), then gone."""
    start = np.zeros((len(path), 1, 2))
    steps = np.diff(np.concatenate([start, path[..., :2]], axis=1), axis=1)
    along = np.cumsum(np.hypot(steps[..., 0], steps[..., 1]), axis=1)  # (B, K)
    length = np.maximum(recover_m, along[:, [RECOVER_STEP]])
    u = np.clip(along / length, 0, 1)
    left = (1 - u) ** 2 * (1 + 2 * u)  # 1 to 0, level at both ends
    target = compose(path[..., :3], left[..., None] * ego_T_view)
    return np.concatenate([compose(inverse(ego_T_view), target), path[..., 3:]], axis=-1).astype(np.float32)


def _return(ego_T_view: Floats, recover_m: float) -> float:
    """The curvature at the start of the cubic that leads back to the path within `recover_m`."""
    _, side, turn = ego_T_view
    return float(-6 * side / recover_m**2 - 4 * turn / recover_m)


def _bev(bev: Array, ego_T_view: Floats, grid: Grid) -> Array:
    """Each cell of the moved grid is looked up where it lies; directions and velocities turn."""
    at = (move(ego_T_view, grid.centres()) - np.array([grid.x0, grid.y0])) / grid.cell
    x, y = np.floor(at[..., 0]).astype(int), np.floor(at[..., 1]).astype(int)
    inside = (x >= 0) & (x < grid.shape[0]) & (y >= 0) & (y < grid.shape[1])
    moved = bev[:, :, np.where(inside, x, 0), np.where(inside, y, 0)]
    moved[:, :, ~inside] = UNKNOWN
    cos, sin = np.cos(ego_T_view[2]), np.sin(ego_T_view[2])
    for first in (4, 6):
        known = moved[:, first] != UNKNOWN
        a, b = (moved[:, first + axis].astype(np.float32) for axis in (0, 1))
        for axis, value in ((0, cos * a + sin * b), (1, cos * b - sin * a)):
            moved[:, first + axis] = np.where(known, np.clip(np.round(value), -127, 127), UNKNOWN).astype(np.int8)
    return np.asarray(moved)
