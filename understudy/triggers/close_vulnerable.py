"""The ego passes close to somebody who has no crumple zone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from understudy.records import Drive, Event
from understudy.triggers.scene import OBJECTS, scene


@dataclass(frozen=True)
class CloseVulnerable:
    """A pedestrian, cyclist or animal within `distance` of the moving ego's body. Score: how much nearer, m."""

    needs: ClassVar[tuple[str, ...]] = (*OBJECTS, "speed")

    distance: float = 1.5  # m; the law of many countries for passing a cyclist in town
    above: float = 2.0  # m/s

    def find(self, drive: Drive) -> Iterator[Event]:
        seen = scene(drive)
        rows, away = seen.near(seen.vulnerable, self.distance)
        moving = drive["speed"][seen.instant[rows]] > self.above
        yield from seen.find(rows[moving], self.distance - away[moving])
