"""The driver passes a red light. Or the light's state is wrong, which is as good to know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.geometry import inverse, move
from understudy.records import PAUSE_S, Drive, Event, Floats, Ints, Light
from understudy.triggers.spans import clock, joined


@dataclass(frozen=True)
class RedLight:
    """The front bumper crosses the end of a lane whose light is red. Score: for how long it has been red, s."""

    needs: ClassVar[tuple[str, ...]] = ("lights", "map", "pose")

    aside: float = 2.0  # m from the lane's centre: further off, the light is not meant
    above: float = 1.0  # m/s

    def find(self, drive: Drive) -> Iterator[Event]:
        if drive.lights is None or drive.map is None:
            return
        # A lane within a junction may share its light with the one before it, but nobody stops at its end.
        lines = {lane.id: lane.centre for lane in drive.map.lanes if not lane.junction}
        front = move(drive.poses, np.array([drive.vehicle.front, 0.0]))  # (T, 2)
        red = drive.lights.state == Light.RED  # (T, L)
        found = [
            (crossed, red_for(drive, red[:, light])[crossed])
            for light, lane in enumerate(drive.lights.lanes)
            if lane in lines and (crossed := self._crossed(drive, front, lines[lane], red[:, light])).size
        ]
        if found:
            at, score = (np.concatenate(parts) for parts in zip(*found, strict=True))
            yield from joined(drive, at, at, score)

    def _crossed(self, drive: Drive, front: Floats, line: Floats, red: Floats) -> Ints:
        """The instants just after the end of a lane's centre line was crossed on red."""
        last = line[-1] - line[-2]
        stop = np.array([*line[-1], np.arctan2(last[1], last[0])])
        beyond, aside = move(inverse(stop), front).T
        step_s = np.diff(clock(drive).t_s)
        crosses = (beyond[:-1] < 0) & (beyond[1:] >= 0) & (np.abs(aside[1:]) < self.aside) & (step_s < PAUSE_S)
        crosses &= beyond[1:] - beyond[:-1] > self.above * step_s
        return np.flatnonzero(crosses & red[:-1] & red[1:]) + 1


def red_for(drive: Drive, red: Floats) -> Floats:
    """For how many seconds a light has been red, (T,)."""
    t = clock(drive).t_s
    return t - t[np.maximum.accumulate(np.where(red, 0, np.arange(len(t))))]
