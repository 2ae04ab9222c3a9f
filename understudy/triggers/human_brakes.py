"""The driver brakes and the plan does not: it has not seen what the driver saw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from understudy.records import Drive, Event
from understudy.triggers.shadows import driven_later, said
from understudy.triggers.spans import events


@dataclass(frozen=True)
class HumanBrakes:
    """Until the plan's horizon the driver lost `loss` of speed, and the plan loses less than a third of that.

    Score: how much more the driver lost, m/s.
    """

    needs: ClassVar[tuple[str, ...]] = ("plan", "speed")

    loss: float = 3.0  # m/s
    hold_s: float = 0.3

    def find(self, drive: Drive) -> Iterator[Event]:
        driven = driven_later(drive) - drive["speed"]
        planned = driven + said(drive, "speed_difference")
        brakes = (driven < -self.loss) & (planned > -self.loss / 3)
        yield from events(drive, brakes, planned - driven, self.hold_s, bridge_s=0.5)
