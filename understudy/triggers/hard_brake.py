"""The driver brakes hard: somebody was surprised. With `above` 25 m/s, the disclosed "brakes sharply on a highway"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from understudy.records import Drive, Event
from understudy.triggers.spans import events


@dataclass(frozen=True)
class HardBrake:
    """Deceleration above `decel` for `hold_s` or longer. Score: the peak, m/s²."""

    needs: ClassVar[tuple[str, ...]] = ("accel", "speed")

    decel: float = 3.0  # m/s²
    hold_s: float = 0.3
    above: float = 0.5  # m/s: slower than that, and it is the jolt of stopping

    def find(self, drive: Drive) -> Iterator[Event]:
        hard = (drive["accel"] < -self.decel) & (drive["speed"] > self.above)
        yield from events(drive, hard, -drive["accel"], self.hold_s, bridge_s=0.5)
