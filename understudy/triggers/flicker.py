"""A detection disappears and comes back, though the object never left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Event
from understudy.triggers.scene import OBJECTS, scene
from understudy.triggers.spans import clock, joined


@dataclass(frozen=True)
class Flicker:
    """A track within `distance` is missing for at most `within_s`. Score: how much nearer than `distance` it is, m."""

    needs: ClassVar[tuple[str, ...]] = OBJECTS

    distance: float = 30.0  # m
    within_s: float = 1.0  # longer than that, and it may have been hidden

    def find(self, drive: Drive) -> Iterator[Event]:
        seen, t = scene(drive), clock(drive).t_s
        rows, away = seen.near(np.flatnonzero(seen.waited > 1), self.distance)
        back = seen.instant[rows]
        lost = back - seen.waited[rows]
        short = t[back] - t[lost] <= self.within_s
        yield from joined(drive, lost[short], back[short], self.distance - away[short])
