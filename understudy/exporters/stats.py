"""Statistics of a dataset's features, by LeRobot's names and in its shapes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from understudy.records import Array, Floats, Ints

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}


def told(values: Array) -> dict[str, Any]:
    """Of frames (n,) or (n, d): lists with a number for each of the d."""
    columns = values.reshape(len(values), -1)
    numbers = {"min": columns.min(axis=0), "max": columns.max(axis=0)}
    columns = columns.astype(np.float64)
    numbers |= {"mean": columns.mean(axis=0), "std": columns.std(axis=0)}
    numbers |= {name: np.quantile(columns, share, axis=0) for name, share in QUANTILES.items()}
    return {name: value.tolist() for name, value in numbers.items()} | {"count": [len(values)]}


@dataclass(frozen=True)
class Histogram:
    """How often each shade occurs in each channel of some pictures: all their statistics follow from it exactly."""

    counts: Ints  # (3, 256)
    pictures: int

    @classmethod
    def of(cls, pictures: Array) -> Self:
        """Of pictures (n, H, W, 3); of large ones every so manyth pixel, LeRobot's 150 to the longer side at most."""
        step = max(1, max(pictures.shape[1:3]) // 150)
        pixels = pictures[:, ::step, ::step].reshape(-1, 3)
        return cls(np.stack([np.bincount(pixels[:, c], minlength=256) for c in range(3)]), len(pictures))

    @classmethod
    def sum(cls, parts: Iterable[Self]) -> Self:
        parts = list(parts)
        return cls(np.sum([part.counts for part in parts], axis=0), sum(part.pictures for part in parts))

    def told(self) -> dict[str, Any]:
        """In shares of full brightness, each number in a list (3, 1, 1)."""
        shades = np.arange(256) / 255
        total = self.counts.sum(axis=1)
        mean = self.counts @ shades / total
        std = np.sqrt(np.maximum(self.counts @ shades**2 / total - mean**2, 0.0))
        numbers = {"min": self._quantile(0.0), "max": self._quantile(1.0), "mean": mean, "std": std}
        numbers |= {name: self._quantile(share) for name, share in QUANTILES.items()}
        return {name: value[:, None, None].tolist() for name, value in numbers.items()} | {"count": [self.pictures]}

    def _quantile(self, share: float) -> Floats:
        """The shade that at least this share of the pixels does not exceed, (3,)."""
        below = np.cumsum(self.counts, axis=1)
        least = np.maximum(np.ceil(share * below[:, -1]), 1)
        return np.asarray(np.argmax(below >= least[:, None], axis=1) / 255)
