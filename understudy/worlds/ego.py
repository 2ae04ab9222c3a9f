"""The ego: a kinematic bicycle with slow actuators, and the controller that makes it follow a plan.

Closed-loop benchmarks let a controller follow the plan (nuPlan an LQR, NAVSIM the same): a policy is judged by what it
wants, executed by a car. Plans are renewed at 5 Hz and followed at 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from understudy.geometry import compose
from understudy.records import PLAN_STEP_S, PLAN_STEPS, Floats, Vehicle

TICK_S = 0.1
PLAN_EVERY = 2  # ticks
MAX_WHEEL = 0.58  # rad
_WHEEL_RATE = 0.9  # rad/s
_WHEEL_LAG_S = 0.12
_ACCEL_LAG_S = 0.15
_MAX_ACCEL, _MAX_BRAKE = 3.0, 8.0
_STEP_TIMES = np.arange(PLAN_STEPS + 1) * PLAN_STEP_S


@dataclass(slots=True)
class Ego:
    """Where the car is and how it moves. `pose` is that of the rear axle in the map frame."""

    pose: Floats  # (3,)
    speed: float = 0.0
    accel: float = 0.0
    wheel: float = 0.0  # road wheel angle, rad
    yaw_rate: float = 0.0
    vehicle: Vehicle = field(default_factory=Vehicle)

    def drive(self, wanted_accel: float, wanted_wheel: float) -> None:
        """One tick: the actuators approach what is wanted, and the bicycle moves."""
        wanted_accel = min(max(wanted_accel, -_MAX_BRAKE), _MAX_ACCEL)
        wanted_wheel = min(max(wanted_wheel, -MAX_WHEEL), MAX_WHEEL)
        self.accel += (wanted_accel - self.accel) * (1 - math.exp(-TICK_S / _ACCEL_LAG_S))
        turn = (wanted_wheel - self.wheel) * (1 - math.exp(-TICK_S / _WHEEL_LAG_S))
        self.wheel += min(max(turn, -_WHEEL_RATE * TICK_S), _WHEEL_RATE * TICK_S)
        before = self.speed
        self.speed = max(before + self.accel * TICK_S, 0.0)
        if self.speed == 0.0:
            self.accel = (0.0 - before) / TICK_S
        mean = (before + self.speed) / 2
        self.yaw_rate = mean * math.tan(self.wheel) / self.vehicle.wheelbase
        # geometry.bicycle, spelled out: this runs 800 times a second, and numpy's scalars would take half of that.
        half = self.yaw_rate * TICK_S / 2
        chord = mean * TICK_S * (math.sin(half) / half if abs(half) > 1e-9 else 1.0)
        x, y, yaw = self.pose
        turned = yaw + 2 * half
        self.pose = np.array(
            [
                x + chord * math.cos(yaw + half),
                y + chord * math.sin(yaw + half),
                math.pi - (math.pi - turned) % (2 * math.pi),
            ]
        )


class Follower:
    """Pure pursuit along a plan (Coulter 1992), and the acceleration that keeps to its speeds."""

    def __init__(self, pose: Floats, speed: float, poses: Floats) -> None:
        """A plan's `poses` (K, 4), made at `pose` (3,) where the car drove at `speed`. A nan plan brakes gently."""
        self._known = bool(np.isfinite(poses[:, :3]).all())
        if not self._known:
            return
        path = np.concatenate([np.zeros((1, 3)), poses[:, :3]])
        here = compose(pose, path)
        step = np.hypot(*np.diff(path[:, :2], axis=0).T)
        speeds = np.concatenate([[speed], np.where(np.isfinite(poses[:, 3]), poses[:, 3], step / PLAN_STEP_S)])
        self._speeds = np.maximum(speeds, 0.0)
        # Twelve points a step on the curve through the poses (cubic, Hermite) keep the arc between them.
        share = np.linspace(0, 1, 13)[1:]
        a, b = here[:-1], here[1:]
        tangent = np.stack([np.cos(here[:, 2]), np.sin(here[:, 2])], -1)
        h = np.stack(
            [
                2 * share**3 - 3 * share**2 + 1,
                share**3 - 2 * share**2 + share,
                3 * share**2 - 2 * share**3,
                share**3 - share**2,
            ]
        )
        points = (
            h[0][None, :, None] * a[:, None, :2] + h[2][None, :, None] * b[:, None, :2]
            + (h[1][None, :, None] * tangent[:-1, None] + h[3][None, :, None] * tangent[1:, None]) * step[:, None, None]
        ).reshape(-1, 2)  # fmt: skip
        self._points = np.concatenate([here[:1, :2], points])
        self._along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(self._points, axis=0).T))])

    def control(self, ego: Ego, elapsed_s: float) -> tuple[float, float]:
        """The acceleration and the road wheel angle to ask for, `elapsed_s` after the plan was made."""
        if not self._known:
            return -2.5, ego.wheel
        wanted = float(np.interp(elapsed_s + PLAN_STEP_S, _STEP_TIMES, self._speeds))
        accel = (wanted - ego.speed) / PLAN_STEP_S
        if wanted < 0.05 and ego.speed < 0.3:
            accel = min(accel, -1.0)
        return accel, self._wheel(ego)

    def _wheel(self, ego: Ego) -> float:
        if self._along[-1] < 0.8:  # a plan that stands says nothing about where to steer
            return ego.wheel
        x, y, yaw = ego.pose
        nearest = int(np.argmin((self._points[:, 0] - x) ** 2 + (self._points[:, 1] - y) ** 2))
        ahead = self._along[nearest] + min(max(0.55 * ego.speed, 2.8), 14.0)
        if ahead <= self._along[-1]:
            tx, ty = (float(np.interp(ahead, self._along, self._points[:, axis])) for axis in (0, 1))
        else:  # beyond the plan's end it goes on as it ended
            end, before = self._points[-1], self._points[-4]
            over = (ahead - self._along[-1]) / max(math.hypot(*(end - before)), 1e-6)
            tx, ty = end + over * (end - before)
        dx, dy = tx - x, ty - y
        left = -math.sin(yaw) * dx + math.cos(yaw) * dy
        return math.atan(2 * left * ego.vehicle.wheelbase / max(dx * dx + dy * dy, 1.0))
