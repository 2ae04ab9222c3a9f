"""A detection disappears and comes back, though the object never left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

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
        lost, back = seen.instant[seen.before[seen.again]], seen.instant[seen.again]
        gone = (back - lost > 1) & (t[back] - t[lost] <= self.within_s)
        rows = seen.again[gone]
        away = seen.distance(rows)
        near = away < self.distance
        yield from joined(drive, lost[gone][near], back[gone][near], self.distance - away[near])
