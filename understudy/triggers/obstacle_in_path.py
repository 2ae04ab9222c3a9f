"""Cones, barriers or debris lie in the way: road works, shifted lanes, lost loads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from understudy.records import STATIC, Drive, Event
from understudy.triggers.scene import PATH, kinds, scene


@dataclass(frozen=True)
class ObstacleInPath:
    """Something that is no road user lies in the ego's path, less than `within_s` away. Score: how much less, s."""

    needs: ClassVar[tuple[str, ...]] = PATH

    within_s: float = 3.0
    above: float = 2.0  # m/s
    hold_s: float = 0.3

    def find(self, drive: Drive) -> Iterator[Event]:
        seen = scene(drive)
        rows = seen.near_path[kinds(seen.objects["kind"][seen.near_path], STATIC)]
        speed, gap = drive["speed"][seen.instant[rows]], seen.gap(rows)
        there = (gap > 0) & (gap < self.within_s * speed) & (speed > self.above) & seen.in_path(rows, margin=0.0)
        yield from seen.find(rows[there], self.within_s - gap[there] / speed[there], self.hold_s)
