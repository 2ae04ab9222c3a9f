"""Somebody comes from the side and would be where the ego is when the ego is there: a runner of red lights, a child."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import STATIC, Drive, Event
from understudy.triggers.scene import PATH, kinds, scene


@dataclass(frozen=True)
class CrossingPath:
    """A road user that moves across the ego's path reaches it within `within_s`, less than `margin_s` before or after
    the ego, if both go on as they do. Score: how much less, s."""

    needs: ClassVar[tuple[str, ...]] = PATH

    within_s: float = 2.5
    margin_s: float = 1.0
    across: float = 1.0  # m/s
    above: float = 2.0  # m/s, of the ego

    def find(self, drive: Drive) -> Iterator[Event]:
        seen = scene(drive)
        reach2 = self.within_s**2 * seen.fast2  # how far they come in the time, squared
        rows = np.flatnonzero((seen.aside**2 < reach2) & (seen.fast2 > self.across**2) & (seen.ahead > 0))
        rows = rows[~kinds(seen.objects["kind"][rows], STATIC)]
        forward, leftward = seen.along(rows)
        across = (np.abs(leftward) > np.maximum(self.across, np.abs(forward))) & (seen.aside[rows] * leftward < 0)
        rows, forward, leftward = rows[across], forward[across], leftward[across]
        speed = drive["speed"][seen.instant[rows]]
        there_s = -seen.aside[rows] / leftward
        spot = seen.gap(rows) + forward * there_s  # along the path, from the ego's front
        apart_s = np.abs(spot / np.maximum(speed, self.above) - there_s)
        meet = (there_s < self.within_s) & (spot > 0) & (apart_s < self.margin_s) & (speed > self.above)
        yield from seen.find(rows[meet], self.margin_s - apart_s[meet], hold_s=0.2)
