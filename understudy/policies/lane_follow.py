"""Follow the lanes of the route, keep the distance by IDM, slow down for bends, stop for red.

It is handed the route and the objects, so it says what a careful driver with full knowledge would do: a yardstick for
networks, and a candidate to disagree with on day one, when there is no network yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.errors import PolicyError
from understudy.geometry import bicycle
from understudy.observe import held, leader_on
from understudy.records import PLAN_STEP_S, PLAN_STEPS, Floats, Light, Observation, Plan

_DT = 0.1
_BEND_ACCEL = 2.0  # m/s² sideways that passengers take without complaint


@dataclass(frozen=True)
class LaneFollow:
    """The Intelligent Driver Model along the route (Treiber, Hennecke, Helbing 2000), steered by pure pursuit."""

    speed_limit: float = 13.9  # m/s, where the map knows none
    headway_s: float = 1.5
    min_gap: float = 2.0
    max_accel: float = 1.5
    comfortable_brake: float = 2.5

    needs: ClassVar[tuple[str, ...]] = ("pose", "speed", "yaw_rate", "route", "objects")
    history_s: ClassVar[tuple[float, ...]] = (0.0,)

    def plan(self, seen: Observation) -> Plan:
        if seen.route is None or seen.objects is None:
            raise PolicyError("lane_follow needs the route and the objects in its observation")
        route = held(seen.route)  # (B, G, 2)
        front = seen.vehicle.length - seen.vehicle.rear_overhang
        limit = np.where(np.isfinite(seen.speed_limit), seen.speed_limit, self.speed_limit)  # (B,)
        bend = _bend_speed(route)  # (B, G)
        stop = self._stop_distance(seen)  # (B,) from the rear axle, inf without a red light
        gap, leader_speed, _ = leader_on(route, seen.objects, seen.vehicle.width, front)  # (B,), (B,)

        pose = np.zeros((len(seen), 3))
        speed = np.maximum(seen.speed[:, -1], 0.0)
        along = np.zeros(len(seen))
        poses = np.empty((len(seen), PLAN_STEPS, 4))
        every = round(PLAN_STEP_S / _DT)
        for step in range(1, PLAN_STEPS * every + 1):
            free = np.minimum(limit, _at(bend, along + speed * 1.0))
            nearest = np.minimum(gap + leader_speed * step * _DT - along, stop - front - along)
            approach = np.where(gap + leader_speed * step * _DT < stop - front, speed - leader_speed, speed)
            accel = self._idm(speed, free, nearest, approach)
            speed = np.maximum(speed + accel * _DT, 0.0)
            pose = bicycle(
                pose, speed, self._steer(pose, speed, along, route, seen.vehicle.wheelbase), seen.vehicle.wheelbase, _DT
            )
            along = along + speed * _DT
            if step % every == 0:
                poses[:, step // every - 1] = np.concatenate([pose, speed[:, None]], axis=1)
        poses[~np.isfinite(seen.route[:, 0, 0]) | ~np.isfinite(seen.speed[:, -1])] = np.nan
        return Plan.single(poses)

    def _idm(self, speed: Floats, free: Floats, gap: Floats, approach: Floats) -> Floats:
        """IDM acceleration; `gap` is inf where nothing is ahead."""
        wanted = self.min_gap + np.maximum(
            0.0, speed * self.headway_s + speed * approach / (2 * np.sqrt(self.max_accel * self.comfortable_brake))
        )
        ratio = speed / np.maximum(free, 0.1)
        interaction = np.where(np.isfinite(gap), (wanted / np.maximum(gap, 0.1)) ** 2, 0.0)
        # Above the wished speed IDM's free term brakes very hard: (v/v0)^4 is held to comfortable braking.
        free_term = np.maximum(1 - ratio**4, -self.comfortable_brake / self.max_accel)
        return np.clip(self.max_accel * (free_term - interaction), -6.0, self.max_accel)

    def _stop_distance(self, seen: Observation) -> Floats:
        """Distance from the rear axle to the stop line of a light that says stop, else inf."""
        if seen.light is None or seen.light_distance is None:
            return np.full(len(seen), np.inf)
        speed = np.maximum(seen.speed[:, -1], 0.0)
        room = seen.light_distance - (seen.vehicle.length - seen.vehicle.rear_overhang)
        can_stop = speed**2 / (2 * np.maximum(room, 0.1)) < self.comfortable_brake
        stops = (seen.light == Light.RED) & (room > -1.0) | (seen.light == Light.YELLOW) & can_stop & (room > 0)
        return np.where(stops & np.isfinite(seen.light_distance), seen.light_distance, np.inf)

    def _steer(self, pose: Floats, speed: Floats, along: Floats, route: Floats, wheelbase: float) -> Floats:
        """Pure pursuit: the wheel angle of the arc through a point on the route ahead."""
        ahead = np.clip(0.9 * speed, 4.0, 20.0)
        target = np.stack([_at(route[..., 0], along + ahead), _at(route[..., 1], along + ahead)], -1) - pose[:, :2]
        cos, sin = np.cos(pose[:, 2]), np.sin(pose[:, 2])
        left = cos * target[:, 1] - sin * target[:, 0]
        curvature = 2 * left / np.maximum(np.sum(target**2, axis=1), 1.0)
        return np.asarray(np.clip(np.arctan(curvature * wheelbase), -0.6, 0.6))


def _at(values: Floats, along: Floats) -> Floats:
    """`values` (B, G), one every ROUTE_STEP metres, at distances (B,) along the route."""
    place = np.clip(along / Observation.ROUTE_STEP, 0, values.shape[1] - 1.001)
    low = place.astype(int)
    rows = np.arange(len(values))
    share = place - low
    return np.asarray(values[rows, low] * (1 - share) + values[rows, low + 1] * share)


def _bend_speed(route: Floats) -> Floats:
    """The speed (B, G) at which each point of the route costs _BEND_ACCEL sideways, with time left to slow down."""
    step = np.diff(route, axis=1)
    # A held end of the route has no direction, and goes on in the last; a turn over five points (10 m) is a bend, over
    # one it is noise.
    goes = np.hypot(step[..., 0], step[..., 1]) > 0.1
    last = np.maximum.accumulate(np.where(goes, np.arange(goes.shape[1]), 0), axis=1)
    heading = np.unwrap(np.take_along_axis(np.arctan2(step[..., 1], step[..., 0]), last, axis=1), axis=1)
    bend = np.zeros(route.shape[:2])
    reach = 5
    bend[:, reach // 2 + 1 : reach // 2 + 1 + heading.shape[1] - reach] = np.abs(
        heading[:, reach:] - heading[:, :-reach]
    ) / (reach * Observation.ROUTE_STEP)
    speed = np.sqrt(_BEND_ACCEL / np.maximum(bend, 1e-3))
    # Backwards in space: v² ≤ v_next² + 2 b Δs, so that the car is already slow where the bend begins.
    for index in range(route.shape[1] - 2, -1, -1):
        speed[:, index] = np.minimum(
            speed[:, index], np.sqrt(speed[:, index + 1] ** 2 + 2 * 1.5 * Observation.ROUTE_STEP)
        )
    return speed
