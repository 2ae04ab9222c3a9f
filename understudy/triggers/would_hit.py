"""The plan would have hit somebody; the driver did not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from understudy.records import Drive, Event
from understudy.triggers.shadows import caused


@dataclass(frozen=True)
class WouldHit:
    """The plan's `no_collision` lies `least` below the driver's own. Score: by how much, summed over the seconds."""

    needs: ClassVar[tuple[str, ...]] = ("plan", "objects")

    least: float = 0.5

    def find(self, drive: Drive) -> Iterator[Event]:
        yield from caused(drive, "no_collision", self.least)
