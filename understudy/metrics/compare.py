"""A plan against what was driven, and a whole route's score."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from understudy.errors import UnknownName
from understudy.records import Floats


def displacements(plan: Floats, driven: Floats) -> tuple[Floats, Floats]:
    """Distance (...,) between a planned and a driven path (..., K, 2 or more) at equal times, under its two names.

    The mean over all steps up to the horizon, which ST-P3 and VAD call L2, and the distance at the horizon, which UniAD
    calls L2. The first is nearly always the smaller; never compare one with the other.
    """
    apart = np.hypot(plan[..., 0] - driven[..., 0], plan[..., 1] - driven[..., 1])
    return apart.mean(axis=-1), apart[..., -1]


def speed_difference(plan: Floats, driven: Floats) -> Floats:
    """Planned minus driven speed (...,) at the horizon, of paths (..., K, 4)."""
    return np.asarray(plan[..., -1, 3] - driven[..., -1, 3])


def lateral_difference(plan: Floats, driven: Floats) -> Floats:
    """How far the planned path leaves the driven path to a side, whatever the times: the most over the plan, (...,).

    Paths (..., K, 3 or more) start at the origin. Points of the plan that lie beyond the end of the driven path are not
    compared: to be faster is not to be elsewhere. nan where either is; 0 where nothing lies side by side.
    """
    line = np.concatenate([np.zeros_like(driven[..., :1, :2]), driven[..., :2]], axis=-2)
    start, step = line[..., :-1, :], np.diff(line, axis=-2)  # (..., K, 2)
    length = np.hypot(step[..., 0], step[..., 1])
    heading = np.stack([np.cos(driven[..., 2]), np.sin(driven[..., 2])], axis=-1)  # a car that stands points somewhere
    unit = np.where(length[..., None] > 0.05, step / np.maximum(length, 1e-9)[..., None], heading)
    offset = plan[..., :, None, :2] - start[..., None, :, :]  # (..., points, segments, 2)
    along = np.sum(offset * unit[..., None, :, :], axis=-1)
    clipped = np.clip(along, 0, length[..., None, :])
    away = np.hypot(*np.moveaxis(offset - clipped[..., None] * unit[..., None, :, :], -1, 0))
    nearest = np.argmin(np.nan_to_num(away, nan=np.inf), axis=-1)[..., None]
    distance = np.take_along_axis(away, nearest, -1)[..., 0]
    travelled = np.cumsum(length, axis=-1)
    reached = np.take_along_axis((travelled - length)[..., None, :] + along, nearest, -1)[..., 0]
    beside = reached <= travelled[..., -1:] + 1e-9
    most = np.max(np.where(beside, distance, 0.0), axis=-1)
    known = np.isfinite(plan[..., :2]).all(axis=(-1, -2)) & np.isfinite(driven[..., :2]).all(axis=(-1, -2))
    return np.where(known, most, np.nan)


# Leaderboard 2.0 of CARLA (statistics_manager.py): what is left of a score after one infraction of each kind.
INFRACTIONS: dict[str, float] = {
    "collision_pedestrian": 0.50,
    "collision_vehicle": 0.60,
    "collision_static": 0.65,
    "red_light": 0.70,
    "stop_sign": 0.80,
    "scenario_timeout": 0.70,
    "yield_to_emergency": 0.70,
}


def driving_score(completion: float, infractions: Mapping[str, int], outside: float = 0.0) -> float:
    """CARLA's driving score as a fraction: route completion x product of factor^count over infractions.

    `completion` and `outside` are shares of the route driven, and driven outside its lanes: the second multiplies by
    (1 - outside). 80 % of a route with two cars hit and one red light run: 0.8 x 0.6² x 0.7 = 0.2016.
    Raises UnknownName for an infraction that is not among INFRACTIONS.
    """
    left = completion * (1 - outside)
    for name, count in infractions.items():
        if name not in INFRACTIONS:
            raise UnknownName("infraction", name, INFRACTIONS)
        left *= INFRACTIONS[name] ** count
    return left
