"""Somebody follows far too closely: braking now would be theirs to answer for, and ours to feel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from understudy.records import Drive, Event
from understudy.triggers.scene import PATH, scene


@dataclass(frozen=True)
class Tailgater:
    """A follower in the ego's path stays less than `headway_s` behind for `hold_s`. Score: how much less, s."""

    needs: ClassVar[tuple[str, ...]] = PATH

    headway_s: float = 0.6
    above: float = 5.0  # m/s
    hold_s: float = 1.0

    def find(self, drive: Drive) -> Iterator[Event]:
        seen = scene(drive)
        rows = seen.near_path[seen.ahead[seen.near_path] < -drive.vehicle.rear_overhang]
        speed = drive["speed"][seen.instant[rows]]
        gap = -seen.ahead[rows] - drive.vehicle.rear_overhang - seen.objects["length"][rows] / 2
        close = (gap > 0) & (gap < self.headway_s * speed) & (speed > self.above) & seen.in_path(rows, margin=-0.5)
        rows, headway_s = rows[close], gap[close] / speed[close]
        follows = seen.along(rows)[0] > self.above
        yield from seen.find(rows[follows], self.headway_s - headway_s[follows], self.hold_s)
