"""Somebody is seen for the first time when already near and in the way: a late detection, or a hidden child."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import PAUSE_S, Drive, Event
from understudy.triggers.scene import PATH, scene
from understudy.triggers.spans import clock


@dataclass(frozen=True)
class Surprise:
    """A new track in the ego's path, less than `within_s` away. Score: how much less, s."""

    needs: ClassVar[tuple[str, ...]] = PATH

    within_s: float = 1.5
    above: float = 3.0  # m/s

    def find(self, drive: Drive) -> Iterator[Event]:
        seen, now = scene(drive), clock(drive)
        rows = seen.near_path[seen.before[seen.near_path] < 0]
        resumed = now.t_s[np.concatenate([[0], now.pauses + 1])]  # after a pause everybody is new
        at = now.t_s[seen.instant[rows]]
        settled = at - resumed[np.searchsorted(resumed, at, side="right") - 1] > PAUSE_S
        speed, gap = drive["speed"][seen.instant[rows]], seen.gap(rows)
        late = settled & (gap > 0) & (gap < self.within_s * speed) & (speed > self.above)
        late &= seen.in_path(rows, margin=0.0)
        yield from seen.find(rows[late], self.within_s - gap[late] / speed[late])
