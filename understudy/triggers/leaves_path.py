"""The plan goes somewhere else than the driver went: the paths part, whatever their speeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from understudy.records import Drive, Event
from understudy.triggers.shadows import said
from understudy.triggers.spans import events


@dataclass(frozen=True)
class LeavesPath:
    """The planned path is further than `lateral` from the driven one for `hold_s`.

    At a fork that no command announced this says nothing of the plan: prefer what a plan would have caused.
    Score: how far, m.
    """

    needs: ClassVar[tuple[str, ...]] = ("plan",)

    lateral: float = 1.5  # m
    hold_s: float = 0.3

    def find(self, drive: Drive) -> Iterator[Event]:
        away = said(drive, "lateral_difference")
        yield from events(drive, away > self.lateral, away, self.hold_s, bridge_s=0.5)
