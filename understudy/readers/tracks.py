"""Rows of tracked boxes, in whatever order a log keeps them, as the objects of a drive."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from understudy.records import NS, Array, Floats, Ints, Objects


def objects(instants: int, instant: Ints, columns: Mapping[str, Array]) -> Objects:
    """Rows (R,) in any order, each at an `instant`, sorted by instant and track."""
    order = np.lexsort((columns["track"], instant))
    starts = np.searchsorted(instant[order], np.arange(instants + 1))
    return Objects(starts, {name: np.asarray(values)[order] for name, values in columns.items()})


def velocities(t_ns: Ints, track: Ints, x: Floats, y: Floats, half_s: float = 0.5) -> tuple[Floats, Floats]:
    """Velocity (R,), (R,) of rows in any order: the same track's difference over up to `half_s` either way.

    nuScenes' devkit derives the velocity of its boxes in the same way. A track seen once has none (nan).
    """
    order = np.lexsort((t_ns, track))
    t, who = t_ns[order] / NS, track[order]
    t = t - t.min(initial=np.inf)
    span = 2 * half_s + t.max(initial=0.0) + 1  # tracks one after the other on one axis, farther apart than half_s
    _, place = np.unique(who, return_inverse=True)
    axis = place * span + t
    first = np.searchsorted(axis, axis - half_s - 1e-6)
    last = np.searchsorted(axis, axis + half_s + 1e-6, side="right") - 1
    vx, vy = np.full(len(t), np.nan), np.full(len(t), np.nan)
    seen = last > first
    for values, out in ((x[order], vx), (y[order], vy)):
        rate = (values[last] - values[first])[seen] / (t[last] - t[first])[seen]
        out[order[seen]] = rate
    return vx, vy
