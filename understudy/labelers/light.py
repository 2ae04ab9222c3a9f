"""What the next traffic light on our route showed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from understudy.labelers import UNKNOWN, Label
from understudy.observe import Observer
from understudy.records import Drive, Ints, Observation
from understudy.records import Light as State

NONE = 0  # there is no light on the route within range; RED, YELLOW, GREEN and OFF are as in records.Light
STATES = 5


@dataclass(frozen=True)
class Light:
    """The state of the next light on the route (B,), NONE where there is none within `range_m`.

    From the truth where the drive declares one, else from what the car knew; unknown where that is unknown.
    """

    range_m: float = 50.0

    needs: ClassVar[tuple[str, ...]] = ("pose", "route", "lights")

    def label(self, drive: Drive, instants: Ints) -> Label:
        seen = ahead(drive, instants)
        assert seen.light is not None and seen.light_distance is not None
        near = np.nan_to_num(seen.light_distance, nan=np.inf) < self.range_m
        shown = np.where(seen.light == State.UNKNOWN, UNKNOWN, seen.light)
        placed = np.isfinite(drive.poses[instants]).all(axis=1)
        return Label(np.where(near, shown, np.where(placed, NONE, UNKNOWN)).astype(np.int8))


def ahead(drive: Drive, instants: Ints) -> Observation:
    """The route ahead and the next light on it, as it truly was where the drive declares that."""
    if drive.truth is not None and drive.truth.lights is not None:
        drive = replace(drive, lights=drive.truth.lights)
    return Observer(drive).observe(instants, ("pose", "route"), (0.0,))
