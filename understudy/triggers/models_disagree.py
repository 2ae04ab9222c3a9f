"""Two candidates that saw the same want different things: at least one of them is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Event
from understudy.triggers.spans import events


@dataclass(frozen=True)
class ModelsDisagree:
    """The likeliest plans of two shadow runs end further apart than `metres` for `hold_s`. Score: how far, m."""

    needs: ClassVar[tuple[str, ...]] = ("shadows",)

    metres: float = 5.0
    hold_s: float = 0.3

    def find(self, drive: Drive) -> Iterator[Event]:
        ends = [run.plan.likeliest[:, -1, :2] for run in drive.shadows.values()]
        apart = np.full(len(drive), np.nan)
        for one, other in combinations(ends, 2):
            apart = np.fmax(apart, np.hypot(*(one - other).T))
        yield from events(drive, apart > self.metres, apart, self.hold_s, bridge_s=0.5)
