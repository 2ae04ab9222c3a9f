"""A traffic light changes its mind within a moment: the detector's fault, or the lamp's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Event, Light
from understudy.triggers.spans import clock, joined


@dataclass(frozen=True)
class LightFlicker:
    """A light changes its state and back within `within_s`. Score: how much quicker, s."""

    needs: ClassVar[tuple[str, ...]] = ("lights",)

    within_s: float = 1.0

    def find(self, drive: Drive) -> Iterator[Event]:
        if drive.lights is None:
            return
        state, now = drive.lights.state.T, clock(drive)  # (L, T)
        known = (state[:, 1:] != Light.UNKNOWN) & (state[:, :-1] != Light.UNKNOWN)
        light, change = np.nonzero((state[:, 1:] != state[:, :-1]) & known)
        first, last = change[:-1], change[1:] + 1  # the instants before and after two changes
        took_s = now.t_s[change[1:]] - now.t_s[change[:-1]]
        back = (light[1:] == light[:-1]) & (state[light[1:], last] == state[light[1:], first])
        back &= (took_s < self.within_s) & (np.searchsorted(now.pauses, last) == np.searchsorted(now.pauses, first))
        yield from joined(drive, first[back], last[back], self.within_s - took_s[back])
