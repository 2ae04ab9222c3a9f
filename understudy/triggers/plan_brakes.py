"""The plan brakes and the driver did not: a phantom, or a danger that the driver missed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from understudy.records import Drive, Event
from understudy.triggers.shadows import driven_later, said
from understudy.triggers.spans import events


@dataclass(frozen=True)
class PlanBrakes:
    """Until its horizon the plan loses `loss` of speed, and the driver lost less than a third of that.

    Score: how much more the plan loses, m/s.
    """

    needs: ClassVar[tuple[str, ...]] = ("plan", "speed")

    loss: float = 3.0  # m/s
    hold_s: float = 0.3

    def find(self, drive: Drive) -> Iterator[Event]:
        driven = driven_later(drive) - drive["speed"]
        planned = driven + said(drive, "speed_difference")
        brakes = (planned < -self.loss) & (driven > -self.loss / 3)
        yield from events(drive, brakes, driven - planned, self.hold_s, bridge_s=0.5)
