"""The plan is far from where the car was at the same times: the plain disagreement of active learning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from understudy.records import Drive, Event
from understudy.triggers.shadows import said
from understudy.triggers.spans import events


@dataclass(frozen=True)
class Displaced:
    """The mean displacement over the plan exceeds `metres` for `hold_s`: changes of speed rather than of steering.

    Score: the largest, m.
    """

    needs: ClassVar[tuple[str, ...]] = ("plan",)

    metres: float = 3.0
    hold_s: float = 0.3

    def find(self, drive: Drive) -> Iterator[Event]:
        away = said(drive, "mean_displacement")
        yield from events(drive, away > self.metres, away, self.hold_s, bridge_s=0.5)
