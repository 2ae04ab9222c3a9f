"""What blocks the lane of the route for good, and is gone round: a lorry that unloads, a row of cones, lost load.

It stays in its place for as long as it is seen. Who goes round it may use the lane beside it, and who waits behind it
for ever has not driven well: `direction` and `lane_keeping` spare the one, and the reference of `progress` goes round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from understudy.geometry import corners
from understudy.metrics.road import OFF_ROAD, PAST_THE_LINE, STANDS
from understudy.metrics.tracks import Tracks
from understudy.records import Array, Floats, Ints

if TYPE_CHECKING:
    from understudy.maps import Roads, RouteLine
    from understudy.metrics.scene import Scene

STAYS, SEEN_S = 1.0, 2.0  # m and s: it stays within the one for as long as it is seen, and that at least the other
GOES_ROUND = 20.0  # m before and behind it in which one may be beside it
ROOM = 0.5  # m left between it and who goes round
SPARED = 1.0  # m further aside than that way round, or than the middle, in which one still goes round
QUEUES = 10.0  # m: who stands so near before a light or junction, or behind who does, queues, and will drive on
REACH_BACK, REACH = 50.0, 250.0  # m of the route, from where the ego is, on which others are looked for


@dataclass(frozen=True, slots=True)
class Blocks:
    """n stretches of the route on whose middle the ego would touch what stays there, in order, and the ways round."""

    rear: Floats  # (n,) m along the route where it begins
    front: Floats  # (n,) m along the route where it ends
    way: Floats  # (n,) m to the left of the middle, on which the ego's centre goes by with ROOM

    @classmethod
    def of(cls, scene: Scene) -> Blocks:
        line, roads, tracks = scene.line, scene.roads, scene.tracks
        if line is None or roads is None or tracks is None or not len(tracks):
            return cls(*np.empty((3, 0)))
        stays = _OnRoute.of(scene, line, tracks, _stays(scene, tracks))
        queue = _queue(scene, line, roads, tracks)
        queues = ((stays.rear[:, None] < queue[:, 1]) & (queue[:, 0] < stays.front[:, None])).any(axis=1)
        middle = np.searchsorted(line.s, (stays.rear + stays.front) / 2).clip(0, len(line.s) - 1)
        stays = stays.take(~queues & ~roads.junction[line.lane[middle]])
        # What is so near to the next that one does not come back to the middle in between is gone round as one.
        apart = stays.rear[1:] > np.maximum.accumulate(stays.front)[:-1] + 2 * GOES_ROUND
        found = []
        for group in np.split(np.arange(len(stays.rear)), np.flatnonzero(apart) + 1):
            one = stays.take(group)
            if len(group) and np.isfinite(way := _way_round(scene, line, roads, one)):
                found.append((one.rear[0], one.front.max(), way))
        return cls(*np.array(found).reshape(-1, 3).T)

    def __len__(self) -> int:
        return len(self.rear)

    def within(self, s: Floats, metres: float = 0.0) -> Array:
        """Whether places along the route (m,) are in one of the stretches, or so near before or behind it, (m, n)."""
        return np.asarray((self.rear - metres < s[:, None]) & (s[:, None] < self.front + metres))

    def spare(self, s: Floats, d: Floats) -> Array:
        """Whether one goes round at places along the route and to the left of its middle (m,), each (m,)."""
        low, high = np.minimum(self.way, 0.0) - SPARED, np.maximum(self.way, 0.0) + SPARED
        aside = (low < d[:, None]) & (d[:, None] < high)
        return np.asarray((self.within(s, GOES_ROUND) & aside).any(axis=1))

    def left(self, along: Floats) -> Floats:
        """How far to the left of the route's middle one drives at distances along it (...), 0 where nothing blocks."""
        found = np.zeros(np.shape(along))
        for rear, front, way in zip(self.rear, self.front, self.way, strict=True):
            knots = rear - GOES_ROUND, rear - GOES_ROUND / 2, front + GOES_ROUND / 2, front + GOES_ROUND
            share = np.interp(along, knots, (0.0, 1.0, 1.0, 0.0))
            found += way * share**2 * (3 - 2 * share)  # smoothly: who still turns is about to hit what it goes round
        return found

    def poses(self, line: RouteLine, along: Floats) -> Floats:
        """Poses (..., 3) at distances along the route (...): on its middle, or beside it where one goes round."""
        step = 0.5
        pose = _moved(line.at(along), self.left(along))
        pose[..., 2] += np.arctan((self.left(along + step) - self.left(along - step)) / (2 * step))
        return pose


@dataclass(frozen=True, slots=True)
class _OnRoute:
    """Those of some boxes that an ego on the middle of the route would touch, by where they begin."""

    rear: Floats  # (n,) m along the route
    front: Floats
    left: Floats  # (n,) m to the left of the middle that the ego's centre must be to go by on the left, touching them
    right: Floats  # and on the right

    @classmethod
    def of(cls, scene: Scene, line: RouteLine, tracks: Tracks, row: Ints) -> _OnRoute:
        low = np.maximum(np.nan_to_num(scene.along[tracks.frame(tracks.t[row])]) - REACH_BACK, 0.0)
        s, d = line.project(np.stack([tracks.x[row], tracks.y[row]], axis=-1), low, REACH_BACK + REACH)
        skew = tracks.yaw[row] - line.at(s)[:, 2]
        length, width = tracks.length[tracks.number[row]], tracks.width[tracks.number[row]]
        cos, sin = np.abs(np.cos(skew)), np.abs(np.sin(skew))
        half, reach = (cos * length + sin * width) / 2, (sin * length + cos * width + scene.vehicle.width) / 2
        found = cls(s - half, s + half, d + reach, d - reach)
        order = np.argsort(found.rear, kind="stable")
        return found.take(order[(np.abs(d) < reach)[order]])

    def take(self, rows: Array) -> _OnRoute:
        return _OnRoute(self.rear[rows], self.front[rows], self.left[rows], self.right[rows])


def _stays(scene: Scene, tracks: Tracks) -> Ints:
    """Of each track that stays where it is the row at which the ego is nearest."""
    first = np.flatnonzero(np.diff(tracks.number, prepend=-1))
    last = np.append(first[1:], len(tracks)) - 1
    sides = [np.fmax.reduceat(axis, first) - np.fmin.reduceat(axis, first) for axis in (tracks.x, tracks.y)]
    stays = (np.hypot(*sides) < STAYS) & (tracks.t[last] - tracks.t[first] >= SEEN_S)
    ego = scene.poses[scene.row(tracks.t)]
    away = np.hypot(tracks.x - ego[:, 0], tracks.y - ego[:, 1])
    return np.asarray(np.lexsort((away, tracks.number))[first][stays])  # nan is sorted last


def _queue(scene: Scene, line: RouteLine, roads: Roads, tracks: Tracks) -> Floats:
    """From where to where along the route (n, 2) anybody ever stood before a light or a junction, or behind who did."""
    follows = np.append(False, np.diff(tracks.number) == 0)
    stood = _OnRoute.of(scene, line, tracks, _begins(tracks.speed <= STANDS, follows))
    ego = scene.along[_begins(np.abs(scene.speed) <= STANDS, np.arange(len(scene.speed)) > 0)]
    vehicle = scene.vehicle
    rear = np.concatenate([stood.rear, ego - vehicle.rear_overhang])
    front = np.concatenate([stood.front, ego + vehicle.front])
    waits, found = _stop_lines(scene, line, roads), []
    for i in np.argsort(-rear, kind="stable"):
        if any(-PAST_THE_LINE <= place - front[i] < QUEUES for place in waits):
            waits.append(rear[i])
            found.append((rear[i], front[i]))
    return np.array(found).reshape(-1, 2)


def _begins(stands: Array, follows: Array) -> Ints:
    """The rows of (n,) at which one begins to stand; `follows` says which rows follow another of the same one."""
    return np.flatnonzero(stands & ~(follows & np.append(False, stands[:-1])))


def _stop_lines(scene: Scene, line: RouteLine, roads: Roads) -> list[float]:
    """Where along the route a light or a junction may make one wait."""
    lit = scene.lights.lanes if scene.lights is not None else ()
    junction = roads.junction[[roads.index(id) for id in line.route]]
    enters = np.append(~junction[:-1] & junction[1:], False)
    return [float(end) for id, end, into in zip(line.route, line.end, enters, strict=True)
            if np.isfinite(end) and (into or id in lit)]  # fmt: skip


def _way_round(scene: Scene, line: RouteLine, roads: Roads, one: _OnRoute) -> float:
    """How far to the left of the middle one goes by, the shorter way for which there is road; nan without, and then
    one has to wait."""
    ends = line.at(np.concatenate([one.rear, one.front]))
    for way in sorted((one.left.max() + ROOM, one.right.min() - ROOM), key=abs):
        box = corners(_moved(ends, np.full(len(ends), way)), scene.vehicle.length, scene.vehicle.width)
        if roads.inside(box, OFF_ROAD).all():
            return float(way)
    return np.nan


def _moved(pose: Floats, left: Floats) -> Floats:
    """Poses (..., 3) moved to the left of their own heading by `left` (...)."""
    x, y, turn = np.moveaxis(pose, -1, 0)
    return np.stack([x - left * np.sin(turn), y + left * np.cos(turn), turn], axis=-1)
