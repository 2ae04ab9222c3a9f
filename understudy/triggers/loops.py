"""The loops over object rows that scenes need, compiled: an hour with 30 objects an instant is a million rows.

Measured on such an hour, against the same in numpy: positions 4 ms for 18, paths 7 for 10, the last sight of each track
4 for 30.
"""

from __future__ import annotations

import numba
import numpy as np

from understudy.records import Floats, Ints


@numba.njit(cache=True)
def seen_from(starts: Ints, poses: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """How far rows (R,) in the map frame are ahead and to the left of the poses (T, 3) of their instants."""
    ahead, left = np.empty(len(x)), np.empty(len(x))
    for i in range(len(poses)):
        cos, sin = np.cos(poses[i, 2]), np.sin(poses[i, 2])
        for j in range(starts[i], starts[i + 1]):
            east, north = x[j] - poses[i, 0], y[j] - poses[i, 1]
            ahead[j], left[j] = cos * east + sin * north, cos * north - sin * east
    return ahead, left


@numba.njit(cache=True)
def beside_path(starts: Ints, curvature: Floats, ahead: Floats, left: Floats, bend: float) -> tuple[Floats, Floats]:
    """How far an arc of `curvature` (T,) has turned where rows (R,) are, and how far to its left they are.

    The latter is nan where it has turned by more than `bend`.
    """
    turn, aside = np.empty(len(ahead)), np.empty(len(ahead))
    for i in range(len(curvature)):
        for j in range(starts[i], starts[i + 1]):
            turn[j] = curvature[i] * ahead[j]
            aside[j] = left[j] - turn[j] * ahead[j] / 2 if abs(turn[j]) <= bend else np.nan
    return turn, aside


@numba.njit(cache=True)
def seen_before(starts: Ints, track: Ints, tracks: int) -> tuple[Ints, Ints]:
    """The row in which each row's track was seen before, and how many instants ago, both (R,); -1 and 0 for never.

    `track` (R,) has numbers below `tracks`.
    """
    row, instant = np.full(tracks, -1), np.zeros(tracks, np.int64)  # of the newest sight of each track
    before, waited = np.empty(len(track), np.int64), np.empty(len(track), np.int64)
    for i in range(len(starts) - 1):
        for j in range(starts[i], starts[i + 1]):
            one = track[j]
            before[j] = row[one]
            waited[j] = i - instant[one] if row[one] >= 0 else 0
            row[one], instant[one] = j, i
    return before, waited
