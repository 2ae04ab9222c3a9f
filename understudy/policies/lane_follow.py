"""Follow the lanes of the route, keep the distance by IDM, slow down for bends, stop for red.

It is handed the route and the objects, so it says what a careful driver with full knowledge would do: a yardstick for
networks, and a candidate to disagree with on day one, when there is no network yet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numba
import numpy as np

from understudy.errors import PolicyError
from understudy.observe import held, leader_on
from understudy.records import PLAN_STEP_S, PLAN_STEPS, Floats, Light, Observation, Plan

_DT = 0.1
_STEP = Observation.ROUTE_STEP
_LOCK = 0.6  # rad, of the front wheels
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
        front = seen.vehicle.front
        limit = np.where(np.isfinite(seen.speed_limit), seen.speed_limit, self.speed_limit)  # (B,)
        bend = _bend_speed(route)  # (B, G)
        stop = self._stop_distance(seen)  # (B,) from the rear axle, inf without a red light
        gap, leader_speed, _ = leader_on(route, seen.objects, seen.vehicle.width, front)  # (B,), (B,)
        speed = np.maximum(seen.speed[:, -1], 0.0)
        driver = self.headway_s, self.min_gap, self.max_accel, self.comfortable_brake
        told = np.stack([speed, limit, gap, leader_speed, stop], axis=1).astype(float)
        poses = _drive(np.ascontiguousarray(route, float), bend, told, driver, front, seen.vehicle.wheelbase)
        poses[~np.isfinite(seen.route[:, 0, 0]) | ~np.isfinite(seen.speed[:, -1])] = np.nan
        return Plan.single(poses)

    def _stop_distance(self, seen: Observation) -> Floats:
        """Distance from the rear axle to the stop line of a light that says stop, else inf."""
        if seen.light is None or seen.light_distance is None:
            return np.full(len(seen), np.inf)
        speed = np.maximum(seen.speed[:, -1], 0.0)
        room = seen.light_distance - seen.vehicle.front
        can_stop = speed**2 / (2 * np.maximum(room, 0.1)) < self.comfortable_brake
        stops = (seen.light == Light.RED) & (room > -1.0) | (seen.light == Light.YELLOW) & can_stop & (room > 0)
        return np.where(stops & np.isfinite(seen.light_distance), seen.light_distance, np.inf)


@numba.njit(cache=True)
def _drive(route, bend, told, driver, front, wheelbase):  # type: ignore[no-untyped-def]
    """Poses and speeds (B, K, 4) of cars that drive along routes (B, G, 2), each for itself: in closed loop there is
    one, and forty steps of columns of one cost a hundred times as much.

    `told` is (B, 5): speed, limit, gap to the leader, its speed, distance to the stop; `bend` (B, G) what bends allow.
    """
    headway, min_gap, max_accel, brake = driver
    every = round(PLAN_STEP_S / _DT)
    poses = np.empty((len(route), PLAN_STEPS, 4))
    for i in range(len(route)):
        speed, limit, gap, leader, stop = told[i]
        x, y, yaw, along = 0.0, 0.0, 0.0, 0.0
        for step in range(1, PLAN_STEPS * every + 1):
            free = min(limit, _at(bend[i], along + speed))  # what is a second ahead counts
            follows = gap + leader * step * _DT < stop - front
            nearest = min(gap + leader * step * _DT, stop - front) - along
            # IDM. Above the wished speed its free term brakes very hard: (v/v0)^4 is held to comfortable braking.
            approach = speed - leader if follows else speed
            wanted = min_gap + max(0.0, speed * headway + speed * approach / (2 * math.sqrt(max_accel * brake)))
            interaction = (wanted / max(nearest, 0.1)) ** 2 if math.isfinite(nearest) else 0.0
            free_term = max(1 - (speed / max(free, 0.1)) ** 4, -brake / max_accel)
            speed = max(speed + min(max(max_accel * (free_term - interaction), -6.0), max_accel) * _DT, 0.0)
            # Pure pursuit: the wheel angle of the arc through a point on the route ahead.
            ahead = along + min(max(0.9 * speed, 4.0), 20.0)
            dx, dy = _at(route[i, :, 0], ahead) - x, _at(route[i, :, 1], ahead) - y
            curvature = 2 * (math.cos(yaw) * dy - math.sin(yaw) * dx) / max(dx * dx + dy * dy, 1.0)
            wheel = min(max(math.atan(curvature * wheelbase), -_LOCK), _LOCK)
            # The bicycle goes on along its arc, whose chord lies half the turn aside.
            turn, metres = speed * math.tan(wheel) / wheelbase * _DT, speed * _DT
            chord = metres * (math.sin(turn / 2) / (turn / 2) if turn else 1.0)
            x, y = x + chord * math.cos(yaw + turn / 2), y + chord * math.sin(yaw + turn / 2)
            yaw, along = yaw + turn, along + metres
            if step % every == 0:
                poses[i, step // every - 1] = x, y, math.atan2(math.sin(yaw), math.cos(yaw)), speed
    return poses


@numba.njit(cache=True)
def _at(values, along):  # type: ignore[no-untyped-def]
    """`values` (G,), one every ROUTE_STEP metres, at a distance along the route."""
    place = min(along / _STEP, len(values) - 1.001) if along > 0.0 else 0.0  # nan is nowhere: never beyond the array
    low = int(place)
    return values[low] * (low + 1 - place) + values[low + 1] * (place - low)


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
