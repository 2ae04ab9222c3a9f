"""A plan's eight poses as a motion at 10 Hz.

Between two planned poses the position follows the cubic that has both positions and both velocities (cubic Hermite):
heading and speed are part of a plan, so nothing is left to choose. NAVSIM instead drives the plan with an LQR tracker
and a bicycle model; that judges tracker and plan together, needs the tracker's tuning to be part of the metric, and
lets a rough plan pass for smooth. In closed loop a controller drives anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import CubicHermiteSpline, CubicSpline

from understudy.geometry import compose
from understudy.records import PLAN_STEP_S, PLAN_STEPS, Floats, Vehicle

DT = 0.1
T = DT * np.arange(round(PLAN_STEPS * PLAN_STEP_S / DT) + 1)  # (41,) s since the instant of planning
KNOTS = PLAN_STEP_S * np.arange(PLAN_STEPS + 1)  # (9,) s
EVERY = round(PLAN_STEP_S / DT)  # samples between knots

_ONES, _ZEROS = np.eye(PLAN_STEPS + 1), np.zeros((PLAN_STEPS + 1, PLAN_STEPS + 1))
_BY_POINT, _BY_VELOCITY = CubicHermiteSpline(KNOTS, _ONES, _ZEROS), CubicHermiteSpline(KNOTS, _ZEROS, _ONES)
# Interpolation is linear in what is interpolated, so it is a product with these, all (41, 9).
_POINT, _VELOCITY = _BY_POINT(T), _BY_VELOCITY(T)
_POINT_RATE, _VELOCITY_RATE = _BY_POINT(T, 1), _BY_VELOCITY(T, 1)
_TURN = CubicSpline(KNOTS, _ONES, bc_type="natural")(T)


@dataclass(frozen=True, slots=True)
class Motion:
    """P motions of the ego over the next 4 s, 41 samples each, in the map frame."""

    pose: Floats  # (P, 41, 3) of the rear axle; yaw unwrapped along time
    speed: Floats  # (P, 41) forward

    @classmethod
    def of_plans(cls, map_T_ego: Floats, speed: Floats, paths: Floats) -> Motion:
        """The motions of paths (P, 8, 4) planned at poses (P, 3) and speeds (P,), taken from the plan where unknown."""
        paths = np.asarray(paths, float)
        speed = np.where(np.isfinite(speed), speed, paths[:, 0, 3])
        start = np.concatenate([np.zeros((len(paths), 3)), speed[:, None]], axis=1)
        knots = np.concatenate([start[:, None], paths], axis=1)  # (P, 9, 4)
        yaw = np.unwrap(np.nan_to_num(knots[..., 2]), axis=1)
        vx, vy = knots[..., 3] * np.cos(yaw), knots[..., 3] * np.sin(yaw)
        x, y = (knots[..., axis] @ _POINT.T + v @ _VELOCITY.T for axis, v in ((0, vx), (1, vy)))
        rate_x, rate_y = (knots[..., axis] @ _POINT_RATE.T + v @ _VELOCITY_RATE.T for axis, v in ((0, vx), (1, vy)))
        turn = np.where(np.isfinite(knots).all(axis=(1, 2))[:, None], yaw @ _TURN.T, np.nan)
        forward = rate_x * np.cos(turn) + rate_y * np.sin(turn)
        pose = compose(map_T_ego[:, None], np.stack([x, y, turn], axis=-1))
        pose[..., 2] = map_T_ego[:, None, 2] + turn
        return cls(pose, forward)

    def __len__(self) -> int:
        return len(self.pose)

    def take(self, rows: Any) -> Motion:
        return Motion(self.pose[rows], self.speed[rows])

    def centre(self, vehicle: Vehicle) -> Floats:
        """Poses (P, 41, 3) of the centre of the ego's box."""
        return ahead(self.pose, vehicle.centre_x)


def ahead(pose: Floats, metres: Floats | float) -> Floats:
    """Poses (..., 3) moved forward along their own heading."""
    moved = np.array(pose, float)
    moved[..., 0] += metres * np.cos(pose[..., 2])
    moved[..., 1] += metres * np.sin(pose[..., 2])
    return moved
