"""A box jumps or changes its size as no body can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numba
import numpy as np

from understudy.records import Drive, Event, Floats, Ints
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
        seen = scene(drive)
        x, y, length, width = (seen.objects[name] for name in ("x", "y", "length", "width"))
        starts, t_s = seen.objects.starts, clock(drive).t_s
        jump = _jumps(starts, t_s, x, y, length, width, seen.before, seen.waited, self.accel)
        rows, _ = seen.near(np.flatnonzero(jump > self.jump), self.distance)
        yield from seen.find(rows, jump[rows])


@numba.njit(cache=True)
def _jumps(
    starts: Ints,
    t_s: Floats,
    x: Floats,
    y: Floats,
    length: Floats,
    width: Floats,
    before: Ints,
    waited: Ints,
    accel: float,
) -> Floats:
    """By how much each row (R,) strays from where its track's last step led, beyond what `accel` explains, or grows."""
    jump = np.zeros(len(x))
    for i in range(1, len(starts) - 1):
        step_s, last_s = t_s[i] - t_s[i - 1], t_s[i - 1] - t_s[max(i - 2, 0)]
        ratio, explained = step_s / max(last_s, 1e-9), accel / 2 * step_s * (step_s + last_s)
        for j in range(starts[i], starts[i + 1]):
            if waited[j] != 1:
                continue
            one = before[j]
            grown = max(abs(length[j] - length[one]), abs(width[j] - width[one]))
            if grown > 0:
                jump[j] = grown
            if waited[one] == 1:
                two = before[one]
                east = x[j] - x[one] - (x[one] - x[two]) * ratio
                north = y[j] - y[one] - (y[one] - y[two]) * ratio
                stray = np.sqrt(east * east + north * north) - explained
                if stray > jump[j]:
                    jump[j] = stray
    return jump
