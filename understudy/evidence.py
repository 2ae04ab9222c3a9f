"""How sure a number is: intervals that travel with every share that we state."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `n`, with the 95 % interval of Wilson (1927), which holds for small n and for shares near 0 and 1."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        """The share itself; nan of nothing."""
        return self.hits / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Low and high; (0, 1) of nothing."""
        if not self.n:
            return 0.0, 1.0
        z = 1.959963984540054
        centre = (self.hits + z * z / 2) / (self.n + z * z)
        reach = z / (self.n + z * z) * math.sqrt(self.hits * (self.n - self.hits) / self.n + z * z / 4)
        return max(0.0, centre - reach), min(1.0, centre + reach)

    def __str__(self) -> str:
        if not self.n:
            return "–"
        low, high = self.interval
        return f"{self.value:.2f} ({low:.2f}–{high:.2f})"
