"""A traffic light is off: who goes first is now a matter of eyes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Event, Light
from understudy.triggers.spans import events


@dataclass(frozen=True)
class DeadLight:
    """Some light is off for `hold_s`. Score: how many are."""

    needs: ClassVar[tuple[str, ...]] = ("lights",)

    hold_s: float = 1.0

    def find(self, drive: Drive) -> Iterator[Event]:
        if drive.lights is None:
            return
        dead = np.sum(drive.lights.state == Light.OFF, axis=1).astype(float)
        yield from events(drive, dead > 0, dead, self.hold_s, bridge_s=1.0)
