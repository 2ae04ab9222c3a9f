"""The leader leaves the lane, often for something that stands beyond it and was hidden until now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Event
from understudy.triggers import leader
from understudy.triggers.spans import moments


@dataclass(frozen=True)
class CutOut:
    """A leader less than `headway_s` away is gone, and the next one, if any, is further by `further`.

    A leader that is no longer detected looks the same. Score: how much less than `headway_s`.
    """

    needs: ClassVar[tuple[str, ...]] = leader.NEEDS

    headway_s: float = 2.0
    further: float = 5.0  # m
    above: float = 3.0  # m/s: in a queue everybody is near

    def find(self, drive: Drive) -> Iterator[Event]:
        gap, speed, change = drive["leader_gap"], drive["speed"], leader.changes(drive)
        now = np.where(drive["leader_track"][change.after] < 0, np.inf, gap[change.after])
        before, moving = gap[change.before], speed[change.before] > self.above
        headway_s = before / np.maximum(speed[change.before], self.above)
        out = moving & (before > 0) & (headway_s < self.headway_s) & (now - before > self.further)
        yield from moments(drive, change.after[out], self.headway_s - headway_s[out])
