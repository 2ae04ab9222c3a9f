"""A speed or an acceleration that this drive hardly ever shows: rarely high or low, as a disclosed trigger has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from understudy.records import Drive, Event, Floats
from understudy.triggers.spans import events


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

    @property
    def needs(self) -> tuple[str, ...]:
        return self.columns

    def find(self, drive: Drive) -> Iterator[Event]:
        outside = np.max([self._outside(name, drive[name]) for name in self.columns], axis=0)
        yield from events(drive, outside > 0, outside, bridge_s=1.0)

    def _outside(self, name: str, values: Floats) -> Floats:
        """Distance beyond the usual range in units of its width, (T,); negative inside and where unknown."""
        known = values[np.isfinite(values)]
        if not len(known):
            return np.full(len(values), -1.0)
        low, high = self.usual[name] if name in self.usual else np.quantile(known, [0.25, 0.75])
        width = max(high - low, self.least / self.reach)
        margin = 0.0 if name in self.usual else self.reach * width
        return np.nan_to_num((np.maximum(values - high, low - values) - margin) / width, nan=-1.0)
