"""Something stands in the way and asks for braking: a stopped lorry, debris, the end of a queue met too fast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from understudy.records import Drive, Event
from understudy.triggers.scene import PATH, scene


@dataclass(frozen=True)
class StandingObjectAhead:
    """The ego must brake harder than `decel` to stop before something that stands in its path. Score: how hard."""

    needs: ClassVar[tuple[str, ...]] = PATH

    decel: float = 2.5  # m/s²; what a driver who sees a queue in time stays below
    standing: float = 0.5  # m/s
    above: float = 4.0  # m/s
    hold_s: float = 0.3

    def find(self, drive: Drive) -> Iterator[Event]:
        seen = scene(drive)
        rows = seen.near_path
        speed, gap = drive["speed"][seen.instant[rows]], seen.gap(rows)
        there = (gap > 0.5) & (speed > self.above) & (speed**2 > 2 * self.decel * gap)
        rows, speed, gap = rows[there], speed[there], gap[there]
        stands = (seen.fast2[rows] < self.standing**2) & seen.in_path(rows, margin=-0.2)
        yield from seen.find(rows[stands], speed[stands] ** 2 / (2 * gap[stands]), self.hold_s)
