"""What blocks the lane of the route for good, and is gone round: a lorry that unloads, a row of cones, lost load.

It stays in its place for as long as it is seen. Who goes round it may use the lane beside it, and who waits behind it
for ever has not driven well: `direction` and `lane_keeping` spare the one, and the reference of `progress` goes round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from understudy.geometry import corners
from understudy.metrics.road import OFF_ROAD, PAST_THE_LINE
from understudy.metrics.tracks import Tracks
from understudy.records import Array, Floats, Ints

if TYPE_CHECKING:
    from understudy.maps import RouteLine
    from understudy.metrics.scene import Scene

STAYS, SEEN_S = 1.0, 2.0  # m and s: it stays within the one for as long as it is seen, and that at least the other
GOES_ROUND = 20.0  # m before and behind it in which one may be beside it
ROOM = 0.5  # m left between it and who goes round
QUEUES = 10.0  # m: who stands so near before a light or junction, or behind who does, queues, and will drive on
REACH = 250.0  # m of the route, from where the ego is, on which anything is looked for


@dataclass(frozen=True, slots=True)
class Blocks:
    """n things that whoever keeps to the middle of the route would touch, the farthest first."""

    track: Ints  # (n,) numbers of tracks
    rear: Floats  # (n,) m along the route where it begins
    front: Floats  # (n,) m along the route where it ends
    aside: Floats  # (n,) m to the left of the middle, on which the ego's centre goes by with ROOM

    @classmethod
    def of(cls, scene: Scene) -> Blocks:
        line, tracks = scene.line, scene.tracks
        if line is None or scene.roads is None or tracks is None or not len(tracks):
            return cls(np.empty(0, int), *np.empty((3, 0)))
        row = _stays(tracks)
        low = np.maximum(scene.along[tracks.frame(tracks.t[row])] - 50.0, 0.0)
        s, d = line.project(np.stack([tracks.x[row], tracks.y[row]], axis=-1), low, 50.0 + REACH)
        number, skew = tracks.number[row], tracks.yaw[row] - line.at(s)[:, 2]
        cos, sin = np.abs(np.cos(skew)), np.abs(np.sin(skew))
        half = (cos * tracks.length[number] + sin * tracks.width[number]) / 2
        reach = (sin * tracks.length[number] + cos * tracks.width[number] + scene.vehicle.width) / 2
        order = np.argsort(-s)
        order = order[(np.abs(d) < reach)[order]]
        s, d, half, reach = s[order], d[order], half[order], reach[order]
        kept = ~_queues(scene, line, s - half, s + half)
        # On the side where the way is shorter, where there is road for it; where there is none, one has to wait.
        sides = np.stack([d + reach + ROOM, d - reach - ROOM])  # (2, n)
        ends = line.at(np.stack([s - half, s + half]))  # (2, n, 3)
        box = corners(_beside(ends, sides[:, None]), scene.vehicle.length, scene.vehicle.width)  # (2, 2, n, 4, 2)
        way = np.where(scene.roads.inside(box, OFF_ROAD).all(axis=(1, 3)), np.abs(sides), np.inf)
        kept &= np.isfinite(way).any(axis=0)
        aside = sides[way.argmin(axis=0), np.arange(len(s))]
        return cls(number[order][kept], (s - half)[kept], (s + half)[kept], aside[kept])

    def __len__(self) -> int:
        return len(self.track)

    def beside(self, s: Floats) -> Array:
        """Whether places along the route (n,) are near enough to one for going round it."""
        return np.asarray(((self.rear - GOES_ROUND < s[:, None]) & (s[:, None] < self.front + GOES_ROUND)).any(axis=1))

    def way_round(self, line: RouteLine, along: Floats) -> Floats:
        """Poses (..., 3) at distances along the route (...): on its middle, or beside it where one goes round."""
        found, s = np.zeros(len(line.s)), line.s
        for rear, front, aside in zip(self.rear, self.front, self.aside, strict=True):
            knots = rear - GOES_ROUND, rear - GOES_ROUND / 4, front + GOES_ROUND / 4, front + GOES_ROUND
            here = np.interp(s, knots, (0.0, aside, aside, 0.0))
            found = np.where(np.abs(here) > np.abs(found), here, found)
        pose = _beside(line.at(along), np.interp(along, s, found))
        pose[..., 2] += np.arctan(np.interp(along, s, np.gradient(found, s)))
        return pose


def _stays(tracks: Tracks) -> Ints:
    """A row of each track that stays where it is."""
    first = np.flatnonzero(np.diff(tracks.number, prepend=-1))
    last = np.append(first[1:], len(tracks)) - 1
    sides = [np.maximum.reduceat(axis, first) - np.minimum.reduceat(axis, first) for axis in (tracks.x, tracks.y)]
    return np.asarray(first[(np.hypot(*sides) < STAYS) & (tracks.t[last] - tracks.t[first] >= SEEN_S)])


def _queues(scene: Scene, line: RouteLine, rear: Floats, front: Floats) -> Array:
    """Whether those from `rear` to `front` (n,), the farthest first, wait at a light or junction or behind who does."""
    waits = _stop_lines(scene, line)
    found = np.zeros(len(rear), bool)
    for i in range(len(rear)):
        found[i] = any(-PAST_THE_LINE <= place - front[i] < QUEUES for place in waits)
        if found[i]:
            waits.append(rear[i])
    return found


def _stop_lines(scene: Scene, line: RouteLine) -> list[float]:
    """Where along the route a light or a junction may make one wait."""
    roads, lit = scene.roads, scene.lights.lanes if scene.lights is not None else ()
    assert roads is not None
    junction = roads.junction[[roads.index(id) for id in line.route]]
    enters = np.append(~junction[:-1] & junction[1:], False)
    return [float(end) for id, end, into in zip(line.route, line.end, enters, strict=True)
            if np.isfinite(end) and (into or id in lit)]  # fmt: skip


def _beside(pose: Floats, left: Floats) -> Floats:
    """Poses (..., 3) moved to the left of their own heading by `left` (...)."""
    x, y, turn = np.moveaxis(pose, -1, 0)
    return np.stack(np.broadcast_arrays(x - left * np.sin(turn), y + left * np.cos(turn), turn), axis=-1)
