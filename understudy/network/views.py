"""The virtual camera: the same pictures, taken from a car that stands a little to the side and looks elsewhere.

A network that has only seen good driving does not know how to come back to it. Here the car is moved, not the picture:
a camera that is mounted elsewhere on a car that stands elsewhere takes the very same picture. So a view is another lift
table, exact for turns and for shifts alike, and the labels are moved along: the surroundings are looked up from the new
place, and the path leads back to where the human drove, bending at once: what is taught beside the path and turned
from it is all that a network learns of steering back. A car that was moved ahead is late to brake, and brakes harder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from understudy.geometry import Grid, compose, constant_turn, inverse, move, rigid, seen_from
from understudy.labelers import UNKNOWN
from understudy.labelers.bev import DIRECTION, VELOCITY
from understudy.records import PLAN_STEP_S, PLAN_STEPS, Array, Drive, Floats, Rig

_BACK_STEP = 2  # the pose 1.5 s ahead, at which a car at speed is back on the path
_LEVEL_STEP = 3  # and the pose 2 s ahead, at which it is where the human is along it
_HURRY = 0.3  # how much faster than the human a car drives that was moved back


def poses(count: int, ahead_m: float, shift_m: float, turn_rad: float, seed: int) -> Floats:
    """ego_T_view (count, 3) of the views, evenly spread; the first is the car itself."""
    random = np.random.default_rng(seed)
    spread = (np.stack([random.permutation(count - 1) for _ in range(3)], -1) + 0.5) / max(count - 1, 1)
    moved = (2 * spread - 1) * np.array([ahead_m, shift_m, turn_rad])
    return np.concatenate([np.zeros((1, 3)), moved])


def rig_from(rig: Rig, ego_T_view: Floats) -> Rig:
    """The rig as it is mounted on the car that stands at the view."""
    x, y, yaw = ego_T_view
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    view_T_ego = np.linalg.inv(rigid(turn, np.array([x, y, 0.0])))
    return replace(rig, ego_T_cam=view_T_ego @ rig.ego_T_cam)


def drive_from(drive: Drive, ego_T_view: Floats) -> Drive:
    """The drive of a car that always stands at the view; nothing else has changed."""
    poses = compose(drive.poses, ego_T_view)
    return replace(drive, columns={**drive.columns, "x": poses[:, 0], "y": poses[:, 1], "yaw": poses[:, 2]})


def past_from(past_poses: Floats, ego_T_view: Floats) -> Floats:
    """Where the moved car was at each frame (B, F, 3): it was moved as much then as now."""
    return compose(inverse(ego_T_view), compose(past_poses, ego_T_view))


def labels_from(
    labels: Mapping[str, Array], ego_T_view: Floats, grid: Grid, recover_m: float, steer_m: float = np.nan
) -> dict[str, Array]:
    """The labels as they are for the moved car. The path comes back within `recover_m` or 1.5 s, whichever is longer.

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
        moved["control"] = labels["control"] + np.array([steer, np.nan if ego_T_view[0] else 0.0], np.float32)
    return moved


def _path(path: Array, ego_T_view: Floats, recover_m: float) -> Array:
    """The offset from what was driven fades: beside the path and turned from it by the cubic that begins as the moved
    car stands and ends on the path; ahead within 2 s, but nobody drives backwards, and who is behind hurries no more
    than _HURRY. So a standing car stays."""
    ahead = ego_T_view[0]
    here = np.concatenate([np.zeros((len(path), 1, 3)), path[..., :3]], axis=1)  # (B, 1 + K, 3)
    steps = np.hypot(*np.moveaxis(np.diff(here[..., :2], axis=1), -1, 0))
    along = np.cumsum(steps, axis=1)  # (B, K)
    late = _fading(np.arange(1, PLAN_STEPS + 1) / (_LEVEL_STEP + 1))
    driven = along - np.sign(ahead) * np.minimum(abs(ahead) * (1 - late), along * (1.0 if ahead > 0 else _HURRY))
    driven = np.minimum.accumulate(driven[:, ::-1], axis=1)[:, ::-1]  # who will have to stand brakes at once
    still = ahead + driven - along  # metres that the moved car is ahead of the human, (B, K)
    bend = np.diff(np.unwrap(here[..., 2]), axis=1) / np.maximum(steps, 0.1)
    level = compose(path[..., :3], constant_turn(still, still * bend, np.array(1.0)))  # on the path, as far as it is
    now = constant_turn(np.full(len(path), ahead), ahead * bend[:, 0], np.array(1.0))
    offset = seen_from(now, ego_T_view)  # (B, 3): in a bend the path ahead lies aside, and turned
    aside, slope = _back(offset, along, np.maximum(recover_m, along[:, [_BACK_STEP]]))
    target = compose(level, np.stack([np.zeros_like(aside), aside, np.arctan(slope)], axis=-1))
    faster = np.diff(still, axis=1, prepend=ahead) / PLAN_STEP_S  # over the step before each pose
    faster = (faster + np.concatenate([faster[:, 1:], np.zeros((len(path), 1))], axis=1)) / 2
    speed = np.maximum(path[..., 3] + faster, 0.0)
    return np.concatenate([compose(inverse(ego_T_view), target), speed[..., None]], axis=-1).astype(np.float32)


def _back(offset: Floats, along: Floats, within: Floats) -> tuple[Floats, Floats]:
    """Beside the path, and the slope there, (B, K), `along` metres from where the offset is (B, 3): the cubic that
    begins there, turned as it is, and lies on the path `within` metres (B, 1) on."""
    side, turn = offset[:, 1:2], np.tan(offset[:, 2:3])
    u = np.minimum(along / within, 1.0)
    aside = side * _fading(u) + turn * along * (1 - u) ** 2
    return aside, side * 6 * u * (u - 1) / within + turn * (1 - u) * (1 - 3 * u)


def _fading(u: Floats) -> Floats:
    """From 1 at 0 to 0 at 1 and beyond, level at both ends."""
    u = np.clip(u, 0, 1)
    return np.asarray((1 - u) ** 2 * (1 + 2 * u))


def _return(ego_T_view: Floats, recover_m: float) -> float:
    """The curvature at the start of the cubic that leads back to the path within `recover_m`, see `_back`."""
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
    for first in (DIRECTION.start, VELOCITY.start):
        known = moved[:, first] != UNKNOWN
        a, b = (moved[:, first + axis].astype(np.float32) for axis in (0, 1))
        for axis, value in ((0, cos * a + sin * b), (1, cos * b - sin * a)):
            moved[:, first + axis] = np.where(known, np.clip(np.round(value), -127, 127), UNKNOWN).astype(np.int8)
    return np.asarray(moved)
