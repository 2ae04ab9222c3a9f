"""Somebody vulnerable is in the way: a jaywalker, a child from behind a parked car, a cyclist."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from understudy.records import VULNERABLE, Drive, Event
from understudy.triggers.scene import PATH, kinds, scene


@dataclass(frozen=True)
class PedestrianAhead:
    """A pedestrian, cyclist or animal in the ego's path, less than `within_s` away. Score: how much less, s."""

    needs: ClassVar[tuple[str, ...]] = PATH

    within_s: float = 2.5
    margin: float = 0.5  # m to each side of the body's path
    above: float = 1.0  # m/s

    def find(self, drive: Drive) -> Iterator[Event]:
        seen = scene(drive)
        rows = seen.near_path[kinds(seen.objects["kind"][seen.near_path], VULNERABLE)]
        speed, gap = drive["speed"][seen.instant[rows]], seen.gap(rows)
        there = (gap > 0) & (gap < self.within_s * speed) & (speed > self.above) & seen.in_path(rows, self.margin)
        yield from seen.find(rows[there], self.within_s - gap[there] / speed[there], hold_s=0.2)
