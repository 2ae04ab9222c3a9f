"""Cars drive where the map has no road: the map is old, or they are not there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import MOTOR_VEHICLES, Drive, Event
from understudy.triggers.ground import LOOK_S, looks, roads
from understudy.triggers.scene import OBJECTS, kinds, scene


@dataclass(frozen=True)
class MapAgainstVision:
    """A motor vehicle within `distance` moves further than `off` from drivable ground. Score: how far off, m."""

    needs: ClassVar[tuple[str, ...]] = (*OBJECTS, "map")

    off: float = 1.0  # m
    moving: float = 2.0  # m/s; who stands off the road is parked
    distance: float = 40.0  # m

    def find(self, drive: Drive) -> Iterator[Event]:
        seen, ground = scene(drive), roads(drive)
        objects = seen.objects
        looked = np.zeros(len(drive), bool)
        looked[looks(drive)] = True
        rows = np.flatnonzero(seen.rows(looked) & (seen.fast2 > self.moving**2))
        rows, _ = seen.near(rows[kinds(objects["kind"][rows], MOTOR_VEHICLES)], self.distance)
        spots = np.stack([objects["x"][rows], objects["y"][rows]], axis=-1)
        known = ground.known(spots)
        rows, off = rows[known], ground.off_road(spots[known])
        far = (off > self.off) & np.isfinite(off)  # a map without any road is no word against what is seen
        yield from seen.find(rows[far], off[far], bridge_s=2 * LOOK_S)
