"""The plan would stop where the driver went on, and nothing came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Event
from understudy.triggers.shadows import driven_later, said
from understudy.triggers.spans import events


@dataclass(frozen=True)
class NeedlessStop:
    """The plan stands at its horizon; the driver went on and broke no rule. Score: how fast the driver then was."""

    needs: ClassVar[tuple[str, ...]] = ("plan", "speed")

    standing: float = 0.5  # m/s
    going: float = 3.0  # m/s
    hold_s: float = 0.5

    def find(self, drive: Drive) -> Iterator[Event]:
        driven = driven_later(drive)
        planned = driven + said(drive, "speed_difference")
        rules = [said(drive, f"human_{name}") for name in ("no_collision", "drivable", "direction", "lights")]
        broken = np.fmin.reduce(rules) < 1  # then it had been wise to stop
        needless = (planned < self.standing) & (driven > self.going) & (drive["speed"] > self.standing) & ~broken
        yield from events(drive, needless, driven, self.hold_s, bridge_s=0.5)
