"""The wheel is thrown round: the swerve of a log that knows only its commands, such as a tub."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Event
from understudy.triggers.spans import events, rate


@dataclass(frozen=True)
class AbruptSteering:
    """The steering command changes faster than `rate`. Score: the peak, fractions of full lock a second."""

    needs: ClassVar[tuple[str, ...]] = ("steer",)

    rate: float = 2.0  # full locks a second
    over_s: float = 0.4

    def find(self, drive: Drive) -> Iterator[Event]:
        turning = np.abs(rate(drive, drive["steer"], self.over_s))
        yield from events(drive, turning > self.rate, turning, bridge_s=0.5)
