"""Which lanes were driven, and where the road goes on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from understudy.geometry import arc_length, wrap
from understudy.records import Floats

if TYPE_CHECKING:
    from understudy.maps.roads import Near, Roads

HOPS = 3  # a pose every 2 m may step over the short lanes of a junction
# Lanes that can be reached: how long the lanes between are, and which.
Reached = dict[int, tuple[float, tuple[int, ...]]]


def match(roads: Roads, poses: Floats) -> tuple[str, ...]:
    """The lanes driven by poses (T, 3), in order, connected wherever the map's graph is.

    The cheapest sequence of candidate lanes (Viterbi): each pose pays for its distance and turn from its lane, each
    change of lane for not following the graph. Empty where no pose has a lane.
    """
    poses = _thinned(np.asarray(poses, float))
    near = roads.near(poses[:, :2])
    misfit = near.misfit(poses[:, 2])
    rows = np.split(np.arange(len(near.point)), np.flatnonzero(np.diff(near.point)) + 1) if len(near.point) else []
    if not rows:
        return ()
    reachable = cache(partial(_reachable, roads))
    total, came = misfit[rows[0]], [np.zeros(len(rows[0]), int)]
    for before, now in pairwise(rows):
        driven = float(np.hypot(*(poses[near.point[now[0]], :2] - poses[near.point[before[0]], :2])))
        step = np.array([[_change(roads, reachable, near, a, b, driven) for a in before] for b in now])  # (now, before)
        came.append(np.argmin(total + step, axis=1))
        total = np.min(total + step, axis=1) + misfit[now]
    best = int(np.argmin(total))
    lanes = []
    for now, back in zip(rows[::-1], came[::-1], strict=True):
        lanes.append(int(near.lane[now[best]]))
        best = int(back[best])
    return tuple(roads.lane_ids[lane] for lane in _filled(reachable, lanes[::-1]))


def _change(roads: Roads, reachable: Callable[[int], Reached], near: Near, a: int, b: int, driven: float) -> float:
    """What it costs to be at row b of `near` one pose after row a, in metres."""
    lane, other = int(near.lane[a]), int(near.lane[b])
    if lane == other:
        return 0.2 * abs(float(near.s[b] - near.s[a]) - driven)
    gap = reachable(lane).get(other)
    if gap is not None:
        return 0.2 + 0.2 * abs(float(roads.length[lane] - near.s[a] + gap[0] + near.s[b]) - driven)
    beside = (roads.lanes[lane].left_lane, roads.lanes[lane].right_lane)
    return 4.0 if roads.lane_ids[other] in beside else 8.0


def _reachable(roads: Roads, lane: int) -> Reached:
    """The lanes that follow a lane within HOPS steps."""
    reached: Reached = {}
    border: list[tuple[int, float, tuple[int, ...]]] = [(lane, 0.0, ())]
    for _ in range(HOPS):
        further = []
        for last, between, via in border:
            for following in roads.successors[last]:
                if following not in reached:
                    reached[following] = (between, via)
                    further.append((following, between + float(roads.length[following]), (*via, following)))
        border = further
    return reached


def _filled(reachable: Callable[[int], Reached], lanes: list[int]) -> list[int]:
    """The lanes without repetitions, with the short ones between them that no pose fell into."""
    route = lanes[:1]
    for lane in lanes[1:]:
        if lane != route[-1]:
            route.extend(reachable(route[-1]).get(lane, (0.0, ()))[1])
            route.append(lane)
    return route


def _thinned(poses: Floats) -> Floats:
    """Known poses at least 2 m apart: what a standing car sees a hundred times counts once."""
    poses = poses[np.isfinite(poses).all(axis=1)]
    if len(poses) == 0:
        return poses
    gone = arc_length(poses[:, :2])
    return poses[np.unique(np.floor(gone / 2.0), return_index=True)[1]]


def extend(roads: Roads, route: tuple[str, ...], metres: float) -> tuple[str, ...]:
    """The route gone on by at least `metres` beyond its last lane, straight on, as far as the map goes."""
    if not route:
        return route
    lanes = [roads.index(id) for id in route]
    gone = 0.0
    while gone < metres:
        ahead = [lane for lane in roads.successors[lanes[-1]] if lane not in lanes]
        if not ahead:
            break
        lanes.append(min(ahead, key=lambda lane: _turn(roads, lanes[-1], lane)))
        gone += float(roads.length[lanes[-1]])
    return tuple(roads.lane_ids[lane] for lane in lanes)


def _turn(roads: Roads, lane: int, following: int) -> float:
    """By how much the heading differs between the ends of two lanes."""
    ends = roads.heading(np.array([lane, following]), roads.length[[lane, following]])
    return float(np.abs(wrap(ends[1] - ends[0])))
