"""Where a plan goes on the road: drivable ground, direction, lane, speed limit, red lights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from understudy.geometry import corners, wrap
from understudy.maps import LANE_WIDTH
from understudy.metrics.motion import DT, EVERY, Motion, T, ahead
from understudy.records import PLAN_STEP_S, Array, Floats, Ints, Light

if TYPE_CHECKING:
    from understudy.metrics.scene import Scene

OFF_ROAD = 0.3  # m beside the drivable area that a map's inaccuracy may explain (nuPlan)
AGAINST = (2.0, 6.0)  # m against the lanes' direction within a second: half of a violation, a whole one (nuPlan)
WITHIN = 2  # planned steps in that second
OFF_CENTRE = 0.5  # m (NAVSIM), in a lane of the usual width; in a wider one its middle means less
STANDS = 0.5  # m/s: who stands leaves no lane
OFF_CENTRE_KNOTS = 5  # planned poses in a row: 2 s (NAVSIM)
OVERSPEED = 2.23  # m/s above the limit on average that leave nothing of the score (nuPlan)
PAST_THE_LINE = 1.0  # m beyond its stop line that the front bumper may be while a light is red


def drivable(scene: Scene, motion: Motion) -> Floats:
    """1 where all four corners stay on the road, 0 where one leaves it by more than OFF_ROAD, (P,)."""
    if scene.roads is None:
        return np.full(len(motion), np.nan)
    box = corners(motion.centre(scene.vehicle), scene.vehicle.length, scene.vehicle.width)
    kept = scene.roads.inside(box, OFF_ROAD).all(axis=(1, 2))
    return np.where(scene.roads.known(box).all(axis=(1, 2)), kept, np.nan)


def lane_scores(scene: Scene, instants: Ints, motion: Motion) -> dict[str, Floats]:
    """`direction`, `lane_keeping` and `speed_limit`, each (P,), from the lanes under the ego's centre every 0.5 s.

    Lanes overlap in junctions: the one that agrees best with the ego's heading is the one that it is in. Who goes round
    what blocks its lane for good breaks neither direction nor lane.
    """
    names = ("direction", "lane_keeping", "speed_limit")
    if scene.roads is None or not len(scene.roads) or not len(motion):
        return {name: np.full(len(motion), np.nan) for name in names}
    centre = motion.centre(scene.vehicle)[:, ::EVERY]  # (P, 9, 3)
    speed = motion.speed[:, ::EVERY]
    shape = speed.shape
    near = scene.roads.near(centre[..., :2].reshape(-1, 2), reach=0.0)
    agrees = np.cos(wrap(centre[..., 2].reshape(-1)[near.point] - near.heading))

    def best(worth: Floats, default: float) -> Floats:
        found = np.full(shape[0] * shape[1], -np.inf)
        np.maximum.at(found, near.point, worth)
        return np.where(np.isfinite(found), found, default).reshape(shape)

    known = scene.roads.known(centre[..., :2]).all(axis=1)
    spare = np.maximum(scene.roads.width[near.lane] - LANE_WIDTH, 0.0) / 2
    off_centre = best(np.where(agrees > 0.5, spare - np.abs(near.d), -np.inf), -np.inf) < -OFF_CENTRE
    junction = best(scene.roads.junction[near.lane].astype(float), 0.0) > 0
    limits = scene.roads.speed_limit[near.lane]
    limit = best(np.where((agrees > 0.5) & np.isfinite(limits), limits, -np.inf), np.nan)
    along, free = speed * best(agrees, 0.0), ~_goes_round(scene, instants, centre, speed)
    found = {
        "direction": _direction(np.where(free, along, np.maximum(along, 0.0))),
        "lane_keeping": 1.0 - _in_a_row(off_centre & free & ~junction & (np.abs(speed) > STANDS), OFF_CENTRE_KNOTS),
        "speed_limit": _speed_limit(speed, limit),
    }
    return {name: np.where(known, found[name], np.nan) for name in names}


def _goes_round(scene: Scene, instants: Ints, centre: Floats, speed: Floats) -> Array:
    """Whether the ego drives forward round what blocks its lane, (P, K), where its centre (P, K, 3) and its speed are
    those planned at instants (P,)."""
    if scene.line is None or not len(scene.blocks):
        return np.zeros(speed.shape, bool)
    # No further than it may have come: a route that turns back is near at a later place, too.
    driven = np.hypot(*np.moveaxis(np.diff(centre[..., :2], axis=1), -1, 0)).sum(axis=1)
    low, span = np.maximum(scene.along[instants] - 20.0, 0.0), 25.0 + 1.5 * driven
    steps = speed.shape[1]
    s, d = scene.line.project(centre[..., :2].reshape(-1, 2), np.repeat(low, steps), np.repeat(span, steps))
    onward = np.cos(centre[..., 2].ravel() - scene.line.at(s)[:, 2]) > 0.5
    return (scene.blocks.spare(s, d) & onward).reshape(speed.shape) & (speed >= 0)


def _direction(along: Floats) -> Floats:
    """1, 0.5 or 0 from the speed along the lane (P, 9): by the most metres against it within any second."""
    metres = (along[:, 1:] + along[:, :-1]) / 2 * PLAN_STEP_S
    windows = np.lib.stride_tricks.sliding_window_view(metres, WITHIN, axis=1)
    against = -windows.sum(axis=-1).min(axis=1)
    return np.where(against < AGAINST[0], 1.0, np.where(against < AGAINST[1], 0.5, 0.0))


def _in_a_row(bad: Array, count: int) -> Array:
    """Whether `count` neighbours of a row of (P, n) are all bad, (P,)."""
    windows = np.lib.stride_tricks.sliding_window_view(bad, count, axis=1)
    return np.asarray(windows.all(axis=-1).any(axis=-1))


def _speed_limit(speed: Floats, limit: Floats) -> Floats:
    """1 less the mean speed above the limit as a share of OVERSPEED, not below 0; nan where no limit is known, (P,)."""
    known = np.isfinite(limit)
    over = np.where(known, np.maximum(speed - limit, 0.0), 0.0)
    mean = over.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(known.any(axis=1), np.maximum(0.0, 1.0 - mean / OVERSPEED), np.nan)


def lights(scene: Scene, instants: Ints, motion: Motion) -> Floats:
    """0 where the front bumper passes the stop line of a red light, 1 elsewhere; nan for an unknown light, (P,)."""
    if scene.lights is None or scene.roads is None:
        return np.full(len(motion), np.nan)
    ran, unclear = np.zeros(len(motion), bool), np.zeros(len(motion), bool)
    front = ahead(motion.pose, scene.vehicle.front)[..., :2]  # (P, 41, 2)
    low, high = front.min(axis=1), front.max(axis=1)
    for column, id in enumerate(scene.lights.lanes):
        if id not in scene.roads:
            continue
        lane = scene.roads.index(id)
        *end, turn = scene.roads.end(lane)
        near = np.flatnonzero(((low - 5 < end) & (end < high + 5)).all(axis=1))
        offset = front[near] - end
        past = offset[..., 0] * np.cos(turn) + offset[..., 1] * np.sin(turn) - PAST_THE_LINE
        aside = np.abs(offset[..., 1] * np.cos(turn) - offset[..., 0] * np.sin(turn))
        crosses = (past[:, :-1] <= 0) & (past[:, 1:] > 0) & (aside[:, 1:] < scene.roads.width[lane] / 2)
        plan, k = np.nonzero(crosses)
        state = scene.lights.state[scene.row(scene.t[instants[near[plan]]] + DT * (k + 1)), column]
        ran[near[plan[state == Light.RED]]] = True
        unclear[near[plan[state == Light.UNKNOWN]]] = True
    known = scene.recorded(instants, float(T[-1])) & (ran | ~unclear)
    return np.where(known, ~ran, np.nan)
