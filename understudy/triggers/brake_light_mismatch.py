"""Brake lights are seen on, but their car accelerates: one of the two is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Event
from understudy.triggers.scene import OBJECTS, scene
from understudy.triggers.spans import clock


@dataclass(frozen=True)
class BrakeLightMismatch:
    """A track with its brake lights on gains speed faster than `accel` for `hold_s`; silent where nobody looked.

    Score: how fast, m/s².
    """

    needs: ClassVar[tuple[str, ...]] = OBJECTS

    accel: float = 1.0  # m/s²
    distance: float = 40.0  # m
    hold_s: float = 0.5

    def find(self, drive: Drive) -> Iterator[Event]:
        seen, t = scene(drive), clock(drive).t_s
        if "brake_light" not in seen.objects:
            return
        rows, _ = seen.near(np.flatnonzero((seen.objects["brake_light"] > 0.5) & (seen.before >= 0)), self.distance)
        before = seen.before[rows]
        gain = np.sqrt(seen.fast2[rows]) - np.sqrt(seen.fast2[before])
        gain /= t[seen.instant[rows]] - t[seen.instant[before]]
        wrong = gain > self.accel
        yield from seen.find(rows[wrong], gain[wrong], self.hold_s, bridge_s=0.2)
