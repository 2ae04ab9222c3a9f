"""Stop-and-go traffic: the car halts again and again within a short time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Event
from understudy.triggers.spans import clock, peaks, spans


@dataclass(frozen=True)
class StopAndGo:
    """At least `stops` halts begin within `within_s`, the car going faster than `going` in between. Score: how many."""

    needs: ClassVar[tuple[str, ...]] = ("speed",)

    stops: int = 3
    within_s: float = 60.0
    standing: float = 0.3  # m/s
    going: float = 2.0  # m/s

    def find(self, drive: Drive) -> Iterator[Event]:
        speed, now = drive["speed"], clock(drive)
        slow = ~(speed >= self.going)  # what is unknown parts no halt from the next
        first, last = spans(drive, slow)
        halt = peaks(-speed, slow, first, last) > -self.standing
        first, last = first[halt], last[halt]
        more = self.stops - 1  # halts after the first of a crowd
        jam = np.zeros(len(drive), bool)
        ends = first[more:]
        begins = first[: len(ends)]
        unpaused = np.searchsorted(now.pauses, begins) == np.searchsorted(now.pauses, ends)
        for one in np.flatnonzero(unpaused & (now.t_s[ends] - now.t_s[begins] <= self.within_s)):
            jam[first[one] : last[one + more] + 1] = True
        halts = np.zeros(len(drive))
        halts[first] = 1
        for start, end in zip(*spans(drive, jam), strict=True):
            yield Event(drive.id, int(drive.t_ns[start]), int(drive.t_ns[end]), float(halts[start : end + 1].sum()))
