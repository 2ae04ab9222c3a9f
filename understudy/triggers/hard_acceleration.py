"""The driver accelerates hard: a gap taken, or an escape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from understudy.records import Drive, Event
from understudy.triggers.spans import events


@dataclass(frozen=True)
class HardAcceleration:
    """Acceleration above `accel` for `hold_s` or longer. Score: the peak, m/s²."""

    needs: ClassVar[tuple[str, ...]] = ("accel",)

    accel: float = 2.5  # m/s²; nuPlan calls more than 2.4 uncomfortable
    hold_s: float = 0.5

    def find(self, drive: Drive) -> Iterator[Event]:
        yield from events(drive, drive["accel"] > self.accel, drive["accel"], self.hold_s, bridge_s=0.5)
