"""Hold the present speed and yaw rate: the floor that every other policy must beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.geometry import constant_turn
from understudy.records import PLAN_STEP_S, PLAN_STEPS, Observation, Plan


@dataclass(frozen=True)
class ConstantTurn:
    """Goes on exactly as now; needs nothing but the car's own motion."""

    needs: ClassVar[tuple[str, ...]] = ("speed", "yaw_rate")
    history_s: ClassVar[tuple[float, ...]] = (0.0,)

    def plan(self, seen: Observation) -> Plan:
        t = PLAN_STEP_S * np.arange(1, PLAN_STEPS + 1, dtype=np.float64)  # (K,)
        speed, yaw_rate = seen.speed[:, -1:], seen.yaw_rate[:, -1:]  # (B, 1)
        poses = constant_turn(speed, yaw_rate, t)  # (B, K, 3)
        return Plan.single(np.concatenate([poses, np.broadcast_to(speed, poses.shape[:2])[..., None]], axis=-1))
