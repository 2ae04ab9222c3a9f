"""The leader would be hit within a moment if both went on as they do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Event
from understudy.triggers.spans import events


@dataclass(frozen=True)
class ShortTimeToCollision:
    """Gap over closing speed is below `limit_s` for `hold_s`. Score: by how much it fell short at worst, s."""

    needs: ClassVar[tuple[str, ...]] = ("leader_gap", "leader_speed", "speed")

    limit_s: float = 2.0
    hold_s: float = 0.2
    closing: float = 1.0  # m/s: slower than that is a queue closing up

    def find(self, drive: Drive) -> Iterator[Event]:
        closing = drive["speed"] - drive["leader_speed"]
        left_s = drive["leader_gap"] / np.maximum(closing, self.closing)
        short = (closing > self.closing) & (left_s > 0) & (left_s < self.limit_s)
        short &= drive["leader_speed"] > -1  # who comes towards the ego is no leader
        yield from events(drive, short, self.limit_s - left_s, self.hold_s, bridge_s=0.5)
