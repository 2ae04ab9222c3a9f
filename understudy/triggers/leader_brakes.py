"""The leader slows down rapidly and the driver does not: the tracker is wrong, or the driver late."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from understudy.records import Drive, Event
from understudy.triggers.spans import events, rate


@dataclass(frozen=True)
class LeaderBrakes:
    """A leader within `range` decelerates above `decel` while the ego's own stays below `own`. Score: the peak."""

    needs: ClassVar[tuple[str, ...]] = ("leader_track", "leader_speed", "leader_gap", "accel", "speed")

    decel: float = 3.0  # m/s²
    own: float = 1.0  # m/s²
    range: float = 60.0  # m
    above: float = 3.0  # m/s, of the ego
    over_s: float = 0.5
    hold_s: float = 0.2

    def find(self, drive: Drive) -> Iterator[Event]:
        decel = -rate(drive, drive["leader_speed"], self.over_s, of=drive["leader_track"])
        late = (drive["accel"] > -self.own) & (drive["leader_gap"] < self.range) & (drive["speed"] > self.above)
        yield from events(drive, (decel > self.decel) & late, decel, self.hold_s, bridge_s=0.5)
