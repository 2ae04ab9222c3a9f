"""The car is thrown to one side: lateral jerk, which a steady turn does not have however tight it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Event
from understudy.triggers.spans import events, rate


@dataclass(frozen=True)
class Swerve:
    """Lateral acceleration (speed times yaw rate) changes faster than `jerk`. Score: the peak, m/s³."""

    needs: ClassVar[tuple[str, ...]] = ("speed", "yaw_rate")

    jerk: float = 4.0  # m/s³
    over_s: float = 0.5

    def find(self, drive: Drive) -> Iterator[Event]:
        jerk = np.abs(rate(drive, drive["speed"] * drive["yaw_rate"], self.over_s))
        yield from events(drive, jerk > self.jerk, jerk, bridge_s=1.0)
