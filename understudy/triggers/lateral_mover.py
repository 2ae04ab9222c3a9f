"""The leader moves sideways: it swerves, changes lanes or is lost by the tracker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Event
from understudy.triggers.scene import PATH, scene


@dataclass(frozen=True)
class LateralMover:
    """The leader moves across the ego's path faster than `across` for `hold_s`. Score: how fast, m/s."""

    needs: ClassVar[tuple[str, ...]] = (*PATH, "leader_track")

    across: float = 1.2  # m/s; a calm change of lanes takes 3 s
    range: float = 30.0  # m: further away, the turn of the road is not known well enough
    hold_s: float = 0.3

    def find(self, drive: Drive) -> Iterator[Event]:
        seen = scene(drive)
        rows = np.flatnonzero(seen.objects["track"] == seen.rows(drive["leader_track"]))
        rows = rows[seen.gap(rows) < self.range]
        forward, leftward = seen.along(rows)
        across = np.abs(leftward)
        fast = (across > self.across) & (forward > 2 * across)  # or else it only crosses
        yield from seen.find(rows[fast], across[fast], self.hold_s)
