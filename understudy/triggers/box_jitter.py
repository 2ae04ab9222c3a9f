"""A box jumps or changes its size as no body can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Event, Floats
from understudy.triggers.scene import OBJECTS, scene
from understudy.triggers.spans import clock


@dataclass(frozen=True)
class BoxJitter:
    """A track within `distance` jumps by `jump` more than an acceleration of `accel` explains, or its length or width
    changes by that much from one instant to the next. Score: the jump, m."""

    needs: ClassVar[tuple[str, ...]] = OBJECTS

    jump: float = 0.7  # m
    accel: float = 15.0  # m/s²
    distance: float = 30.0  # m

    def find(self, drive: Drive) -> Iterator[Event]:
        seen, t = scene(drive), clock(drive).t_s
        objects, instant = seen.objects, seen.instant
        one = seen.before[seen.again]
        two = seen.before[one]
        steady = (two >= 0) & (instant[seen.again] - instant[one] == 1) & (instant[one] - instant[two] == 1)
        steady &= (np.abs(seen.ahead[seen.again]) < 2 * self.distance) & (np.abs(seen.left[seen.again]) < self.distance)
        row, one, two = seen.again[steady], one[steady], two[steady]
        step_s, before_s = t[instant[row]] - t[instant[one]], t[instant[one]] - t[instant[two]]

        def turn(name: str) -> Floats:
            """By how much a track is not where its last step led, m."""
            here = objects[name]
            return np.asarray(here[row] - here[one] - (here[one] - here[two]) * (step_s / before_s))

        jump = np.sqrt(turn("x") ** 2 + turn("y") ** 2) - self.accel * step_s * (step_s + before_s) / 2
        for name in ("length", "width"):
            jump = np.fmax(jump, np.abs(objects[name][row] - objects[name][one]))
        jumps = np.flatnonzero(jump > self.jump)
        jumps = jumps[seen.distance(row[jumps]) < self.distance]
        yield from seen.find(row[jumps], jump[jumps])
