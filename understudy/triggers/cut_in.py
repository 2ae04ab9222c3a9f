"""Somebody moves in between the ego and its leader, or before an ego that had none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Event
from understudy.triggers import leader
from understudy.triggers.spans import moments


@dataclass(frozen=True)
class CutIn:
    """A new leader, nearer than the old one by `nearer`, and less than `headway_s` away.

    An ego that changes lanes behind somebody looks the same. Score: how much less than `headway_s`.
    """

    needs: ClassVar[tuple[str, ...]] = leader.NEEDS

    headway_s: float = 2.0
    nearer: float = 3.0  # m
    above: float = 3.0  # m/s: in a queue everybody is near

    def find(self, drive: Drive) -> Iterator[Event]:
        gap, speed, change = drive["leader_gap"], drive["speed"], leader.changes(drive)
        before = np.where(drive["leader_track"][change.before] < 0, np.inf, gap[change.before])
        now, moving = gap[change.after], speed[change.after] > self.above
        headway_s = now / np.maximum(speed[change.after], self.above)
        into = moving & (now > 0) & (headway_s < self.headway_s) & (before - now > self.nearer)
        yield from moments(drive, change.after[into], self.headway_s - headway_s[into])
