"""A speed or an acceleration that this drive hardly ever shows: rarely high or low, as a disclosed trigger has it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from understudy.errors import SettingsError
from understudy.records import Drive, Event, Floats
from understudy.triggers.spans import events

_ENOUGH = 2048  # values from all over a drive tell its quartiles


@dataclass(frozen=True)
class RareValue:
    """A column lies far outside its usual range: the fleet's where `usual` gives it, else that of the drive itself.

    The drive's own range is its quartiles, widened by `reach` times the distance between them (Tukey's fences; at least
    `least` each way, so that a column which never changes does not make its noise rare).
    Score: how many such distances outside the range.
    """

    columns: tuple[str, ...] = ("speed", "accel")
    reach: float = 3.0
    least: float = 1.5  # in the column's unit
    usual: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # column -> quantiles of the fleet

    def __post_init__(self) -> None:
        if not 0 < self.reach < math.inf:
            raise SettingsError(f"rare_value.reach wants more than 0, got {self.reach:g}")

    @property
    def needs(self) -> tuple[str, ...]:
        return self.columns

    def find(self, drive: Drive) -> Iterator[Event]:
        outside = self._outside(drive, self.columns[0])
        for name in self.columns[1:]:
            outside = np.fmax(outside, self._outside(drive, name))
        yield from events(drive, outside > 0, outside, bridge_s=1.0)

    def _outside(self, drive: Drive, name: str) -> Floats:
        """Distance beyond the usual range in units of its width, (T,); negative inside, nan where unknown."""
        values = drive[name]
        if name in self.usual:
            low, high, reach = *self.usual[name], 0.0
        else:
            sample = values[:: 1 + len(values) // _ENOUGH]
            known = sample[np.isfinite(sample)]
            low, high = np.quantile(known, [0.25, 0.75]) if len(known) else (0.0, 0.0)
            reach = self.reach
        width = max(high - low, self.least / self.reach)
        return np.abs(values - (low + high) / 2) / width - (reach + (high - low) / width / 2)
