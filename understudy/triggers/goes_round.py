"""The driver leaves the middle of the lane and comes back: something stood there, or somebody slow was overtaken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Event
from understudy.triggers.spans import events


@dataclass(frozen=True)
class GoesRound:
    """The ego drives further than `aside` from its lane's middle for `hold_s`. Score: how far, m."""

    needs: ClassVar[tuple[str, ...]] = ("lane_offset", "speed")

    aside: float = 1.5  # m; a lane is 3.5 m wide
    above: float = 1.0  # m/s
    hold_s: float = 1.0

    def find(self, drive: Drive) -> Iterator[Event]:
        aside = np.abs(drive["lane_offset"])
        yield from events(drive, (aside > self.aside) & (drive["speed"] > self.above), aside, self.hold_s, bridge_s=1.0)
