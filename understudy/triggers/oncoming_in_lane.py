"""Somebody comes the wrong way in the ego's own path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from understudy.records import Drive, Event
from understudy.triggers.scene import PATH, scene


@dataclass(frozen=True)
class OncomingInLane:
    """A road user in the ego's path moves against it, and they would meet within `within_s`. Score: how much, s."""

    needs: ClassVar[tuple[str, ...]] = PATH

    within_s: float = 3.0
    against: float = 2.0  # m/s; somebody reversing is slower
    above: float = 2.0  # m/s, of the ego
    hold_s: float = 0.4

    def find(self, drive: Drive) -> Iterator[Event]:
        seen = scene(drive)
        rows = seen.near_path[seen.gap(seen.near_path) > 0]
        rows = rows[seen.in_path(rows, margin=-0.8)]
        forward, leftward = seen.along(rows)
        speed = drive["speed"][seen.instant[rows]]
        left_s = seen.gap(rows) / (speed + self.against)
        against = (forward < -self.against) & (forward < -2 * abs(leftward)) & (speed > self.above)
        left_s[against] = seen.gap(rows[against]) / (speed[against] - forward[against])
        against &= left_s < self.within_s
        yield from seen.find(rows[against], self.within_s - left_s[against], self.hold_s)
