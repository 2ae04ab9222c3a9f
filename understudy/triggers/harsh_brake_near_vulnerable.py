"""The driver brakes harshly and somebody vulnerable is near: the near miss that was disclosed as a trigger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from understudy.records import Drive, Event
from understudy.triggers.scene import OBJECTS, scene


@dataclass(frozen=True)
class HarshBrakeNearVulnerable:
    """Deceleration above `decel` with a pedestrian, cyclist or animal within `distance`. Score: its peak, m/s²."""

    needs: ClassVar[tuple[str, ...]] = (*OBJECTS, "accel", "speed")

    decel: float = 2.5  # m/s²
    distance: float = 10.0  # m
    above: float = 1.0  # m/s: slower than that, and it is the jolt of stopping

    def find(self, drive: Drive) -> Iterator[Event]:
        seen = scene(drive)
        braking = (drive["accel"] < -self.decel) & (drive["speed"] > self.above)
        rows, _ = seen.near(seen.vulnerable[braking[seen.instant[seen.vulnerable]]], self.distance)
        yield from seen.find(rows, -drive["accel"][seen.instant[rows]])
