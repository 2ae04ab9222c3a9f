"""The model says itself that it does not know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Event
from understudy.triggers.shadows import said
from understudy.triggers.spans import events


@dataclass(frozen=True)
class Uncertain:
    """A model's spread is above `times` its usual one in this drive for `hold_s`. Score: how many times."""

    needs: ClassVar[tuple[str, ...]] = ("plan",)

    times: float = 3.0
    least: float = 0.2  # m: whatever is usual, less is certainty
    hold_s: float = 0.3

    def find(self, drive: Drive) -> Iterator[Event]:
        spread = said(drive, "spread")
        if not np.isfinite(spread).any():
            return
        times = spread / max(float(np.nanmedian(spread)), self.least)
        yield from events(drive, times > self.times, times, self.hold_s, bridge_s=0.5)
