"""The driver drives where the map has no road, or against its lanes: the map is wrong, or the driver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.geometry import move, wrap
from understudy.records import Drive, Event
from understudy.triggers.ground import LOOK_S, looks, roads
from understudy.triggers.spans import events


@dataclass(frozen=True)
class OffTheMap:
    """The middle of the ego is more than `off` away from drivable ground, or in a lane that goes the other way.

    Score: how far off, m; a lane's width, 3.5, in a lane that goes the other way.
    """

    needs: ClassVar[tuple[str, ...]] = ("pose", "speed", "map")

    off: float = 0.5  # m
    against: float = 2.4  # rad between the headings of the ego and its lane
    above: float = 1.0  # m/s
    hold_s: float = 0.5

    WRONG_WAY: ClassVar[float] = 3.5  # m, a lane's width

    def find(self, drive: Drive) -> Iterator[Event]:
        ground, at = roads(drive), looks(drive)
        if not len(ground):
            return  # a map without lanes says nothing of where to drive
        at = at[drive["speed"][at] > self.above]
        poses = drive.poses[at]
        middle = move(poses, np.array([drive.vehicle.centre_x, 0.0]))
        lane, _, _, heading = ground.nearest(middle, poses[:, 2])
        wrong = (lane >= 0) & (np.abs(wrap(poses[:, 2] - heading)) > self.against) & ~ground.junction[lane]
        off = np.fmax(ground.off_road(middle), np.where(wrong, self.WRONG_WAY, 0.0))
        column = np.full(len(drive), np.nan)
        column[at] = np.where(ground.known(middle), off, np.nan)
        yield from events(drive, column > self.off, column, self.hold_s, bridge_s=1.5 * LOOK_S)
