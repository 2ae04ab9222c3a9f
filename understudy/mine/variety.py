"""Variety: what lies furthest from all that is known, in the space in which a network thinks of situations."""

from __future__ import annotations

import numpy as np

from understudy.records import Array, Floats, Ints


def furthest(
    points: Array,
    count: int,
    known: Array,
    random: np.random.Generator,
    worth: Floats | None = None,
    nearly: float = 1.0,
) -> Ints:
    """k-centre greedy: again and again the point (n, D) furthest from the known (m, D) and from those taken so far.

    Its largest distance from a point to the nearest taken one is at most twice the smallest possible (Gonzalez 1985).
    With `worth` (n,), of the points at `nearly` (0 to 1) times the greatest distance and beyond the one of the most
    worth is taken, and the bound grows to 2 / `nearly` times. Chance decides between equals.
    """
    nearest = np.full(len(points), np.inf)
    for point in known:
        nearest = np.minimum(nearest, _squared(points, point))
    chosen: list[int] = []
    tie = random.random(len(points))
    worth = tie if worth is None else worth
    for _ in range(min(count, len(points))):
        far = np.flatnonzero(nearest >= nearly**2 * nearest.max())  # squares; what is taken is at -1
        chosen.append(int(far[np.lexsort((tie[far], worth[far]))[-1]]))
        nearest = np.minimum(nearest, _squared(points, points[chosen[-1]]))
        nearest[chosen] = -1.0
    return np.array(chosen, dtype=np.int64)


def _squared(points: Array, point: Array) -> Floats:
    return np.asarray(((points - point) ** 2).sum(axis=1))
