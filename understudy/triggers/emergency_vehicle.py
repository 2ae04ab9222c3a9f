"""A police car, fire engine or ambulance is near: rules change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Event, Kind
from understudy.triggers.scene import OBJECTS, scene


@dataclass(frozen=True)
class EmergencyVehicle:
    """An emergency vehicle within `distance` for `hold_s`. Score: how much nearer, m."""

    needs: ClassVar[tuple[str, ...]] = OBJECTS

    distance: float = 50.0  # m
    hold_s: float = 0.5

    def find(self, drive: Drive) -> Iterator[Event]:
        seen = scene(drive)
        rows, away = seen.near(np.flatnonzero(seen.objects["kind"] == Kind.EMERGENCY), self.distance)
        yield from seen.find(rows, self.distance - away, self.hold_s, bridge_s=2.0)
