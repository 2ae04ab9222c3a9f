"""Where the others are at any time: rows of tracked boxes, interpolated."""

from __future__ import annotations

import numpy as np

from understudy.records import Floats, Ints, Objects

LONGEST_GAP_S = 0.6  # a track unseen for longer is not there in between (nuScenes annotates every 0.5 s)


class Tracks:
    """The objects of a drive: rows sorted by track and time. `number` counts the tracks from 0."""

    def __init__(self, t_s: Floats, objects: Objects) -> None:
        self.t_s = t_s
        instant = objects.instant
        _, number = np.unique(objects["track"], return_inverse=True)
        order = np.lexsort((instant, number))
        self.number, self.t = number[order], t_s[instant[order]]  # (R,) sorted by track, then time
        self._span = float(t_s[-1] - t_s[0]) + 2 * LONGEST_GAP_S + 1.0
        self._axis = self.number * self._span + (self.t - t_s[0])
        self.x, self.y, yaw = (objects[name][order] for name in ("x", "y", "yaw"))
        self.yaw = np.unwrap(np.nan_to_num(yaw))
        self.vx = self._velocity(objects["vx"][order], self.x)
        self.vy = self._velocity(objects["vy"][order], self.y)
        self.speed, self.kind = np.hypot(self.vx, self.vy), objects["kind"][order]
        first = np.flatnonzero(np.diff(self.number, prepend=-1))
        # An object of unknown size is a point.
        sides = (np.nan_to_num(objects[name][order]) for name in ("length", "width"))
        self.length, self.width = (
            np.maximum.reduceat(side, first) if len(first) else side for side in sides
        )  # by number
        self.radius = np.hypot(self.length, self.width) / 2
        seen_at = np.flatnonzero(np.diff(objects.starts))  # instants with any object
        self._seen_at = seen_at if len(seen_at) else np.zeros(1, int)
        self._row = np.argsort(order)  # the row of each row of `objects`
        self._starts = objects.starts

    def __len__(self) -> int:
        return len(self.t)

    def _velocity(self, told: Floats, place: Floats) -> Floats:
        """Velocities (R,) along one axis: as told, else from the rows before and after; who is seen once stands."""
        step = np.diff(self.t)
        follows = (np.diff(self.number) == 0) & (step > 0) & (step <= LONGEST_GAP_S)
        between = np.where(follows, np.diff(place) / np.where(follows, step, 1.0), 0.0)
        sides = np.append(follows, False).astype(int) + np.insert(follows, 0, False)
        mean = (np.append(between, 0.0) + np.insert(between, 0, 0.0)) / np.maximum(sides, 1)
        return np.where(np.isfinite(told), told, mean)

    def frame(self, t: Floats) -> Ints:
        """The instant with objects nearest to times (...,)."""
        known = self.t_s[self._seen_at]
        after = np.clip(np.searchsorted(known, t), 0, len(known) - 1)
        before = np.maximum(after - 1, 0)
        return np.asarray(self._seen_at[np.where(t - known[before] < known[after] - t, before, after)])

    def present(self, frame: Ints) -> tuple[Ints, Ints]:
        """Rows of the objects seen at instants (n,): for each, the index into `frame` (m,) and the row (m,)."""
        first, count = self._starts[frame], self._starts[frame + 1] - self._starts[frame]
        owner = np.repeat(np.arange(len(frame)), count)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        return owner, self._row[first[owner] + place]

    def poses(self, number: Ints, t: Floats) -> Floats:
        """Poses (n, m, 3) of tracks (n,) at times (n, m), linear between rows; nan where the track is not seen."""
        at = number[:, None] * self._span + (t - self.t_s[0])
        after = np.searchsorted(self._axis, at - 1e-6)
        low, high = np.clip(after - 1, 0, len(self) - 1), np.clip(after, 0, len(self) - 1)
        exact = np.abs(self._axis[high] - at) < 1e-6
        low = np.where(exact, high, low)
        gap = self._axis[high] - self._axis[low]
        there = (self.number[low] == number[:, None]) & (self.number[high] == number[:, None]) & (gap <= LONGEST_GAP_S)
        there &= (self._axis[low] <= at + 1e-6) & (at <= self._axis[high] + 1e-6)  # before its first, after its last
        share = np.where(gap > 0, (at - self._axis[low]) / np.maximum(gap, 1e-9), 0.0)
        columns = [values[low] + share * (values[high] - values[low]) for values in (self.x, self.y, self.yaw)]
        return np.where(there[..., None], np.stack(columns, axis=-1), np.nan)

    def nearest_row(self, number: Ints, t: Floats) -> Ints:
        """The row (n,) of a track (n,) last seen at or before times (n,)."""
        at = number * self._span + (t - self.t_s[0])
        return np.asarray(np.clip(np.searchsorted(self._axis, at + 1e-6) - 1, 0, len(self) - 1))
