"""A route as one smooth line: where on it something is, how fast it allows, where lights stop it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import shapely

from understudy.geometry import arc_length, first_pass, resample
from understudy.records import Floats, Ints

if TYPE_CHECKING:
    from understudy.maps.roads import Roads

CROSSING = 30.0  # m over which the line changes to the lane beside


@dataclass(frozen=True, slots=True)
class RouteLine:
    """The centre line of a route as one smooth line, a point every metre."""

    points: Floats  # (P, 2)
    s: Floats  # (P,) distance along the line
    heading: Floats  # (P,)
    lane: Ints  # (P,) index of the lane
    speed_limit: Floats  # (P,) nan where unknown
    route: tuple[str, ...]
    end: Floats  # (len(route),) s at each lane's end, the stop line of its light; nan where the route leaves it before

    @property
    def ends(self) -> tuple[tuple[str, float], ...]:
        """Each lane that is followed to its end, and the distance along the line to there. A lane may come twice."""
        return tuple((id, float(s)) for id, s in zip(self.route, self.end, strict=True) if np.isfinite(s))

    def project(
        self, points: Floats, low: Floats | None = None, span: Floats | float = np.inf
    ) -> tuple[Floats, Floats]:
        """Where points (n, 2) lie: distance along the line (n,) and signed distance to its left (n,); nan for nan.

        With `low` (n,) only the `span` metres (of all, or (n,)) of the line from there on are looked at, so that a
        place which the route passes twice is the right one.
        """
        along, across = np.full(len(points), np.nan), np.full(len(points), np.nan)
        apart = float(self.s[1])
        reach = np.broadcast_to(np.minimum(np.nan_to_num(np.asarray(span) / apart) + 2, len(self.s)), len(points))
        reach = reach.astype(int)
        width = int(reach.max(initial=2))
        for rows in np.array_split(np.flatnonzero(np.isfinite(points[:, 0])), max(1, len(points) * width // 2_000_000)):
            first = np.zeros(len(rows), int) if low is None else (np.nan_to_num(low[rows]) / apart).astype(int)
            first = np.clip(first, 0, len(self.s) - 2)
            index = np.minimum(first[:, None], len(self.s) - width) + np.arange(width)
            offset = points[rows, None] - self.points[index]
            away = np.einsum("nwc,nwc->nw", offset, offset)
            away[(index < first[:, None]) | (index >= (first + reach[rows])[:, None])] = np.inf
            nearest = np.argmin(away, axis=1) + index[:, 0]
            choice = [self._on_segment(points[rows], nearest + before) for before in (-1, 0)]
            second = np.abs(choice[1][2]) < np.abs(choice[0][2])
            along[rows], across[rows] = (np.where(second, choice[1][i], choice[0][i]) for i in (0, 1))
        return along, across

    def _on_segment(self, points: Floats, index: Ints) -> tuple[Floats, Floats, Floats]:
        """Distance along the line, to its left, and altogether, of points (n, 2) projected to segments (n,) of it."""
        index = np.clip(index, 0, len(self.s) - 2)
        step = self.points[index + 1] - self.points[index]
        length = np.hypot(*step.T)
        offset, unit = points - self.points[index], step / length[:, None]
        t = np.clip(np.sum(offset * unit, axis=1), 0, length)
        away = np.hypot(*(offset - t[:, None] * unit).T)
        left = unit[:, 0] * offset[:, 1] - unit[:, 1] * offset[:, 0]
        return self.s[index] + t, np.copysign(away, left), away

    def follow(self, points: Floats) -> Floats:
        """The distance along the line (T,) of the successive points (T, 2) of a path that follows it, each looked for
        near where the one before was."""
        along = np.full(len(points), np.nan)
        known = np.flatnonzero(np.isfinite(points[:, 0]))
        if len(known):
            begins = self.s[[first_pass(self.points, points[known[0]])]]
            along[known[:1]] = self.project(points[known[:1]], np.maximum(begins - 5.0, 0.0), 10.0)[0]
        for before, now in pairwise(known):
            reach = 5.0 + 2 * float(np.hypot(*(points[now] - points[before])))
            low = np.maximum(along[[before]] - reach, 0.0)
            along[now] = self.project(points[[now]], low, 2 * reach)[0][0]
        return along

    def at(self, s: Floats) -> Floats:
        """Poses (..., 3) on the line at distances `s` (...,), held at its ends."""
        turn = np.unwrap(self.heading)
        columns = (self.points[:, 0], self.points[:, 1], turn)
        return np.stack([np.interp(s, self.s, column) for column in columns], axis=-1)


def line(roads: Roads, route: tuple[str, ...]) -> RouteLine:
    """The route (not empty) as one line. To a lane that does not follow it crosses over on a smooth curve."""
    lanes = [roads.index(id) for id in route]
    pieces: list[Floats] = []
    owners: list[Ints] = []
    ends: list[float] = []
    enter, length = 0.0, 0.0
    for place, lane in enumerate(lanes):
        following = lanes[place + 1] if place + 1 < len(lanes) else None
        leave, entry, bridge = _join(roads, lane, following, enter)
        piece = np.concatenate([_cut(roads.lanes[lane].centre, enter, leave), bridge])
        if pieces:
            length += float(np.hypot(*(piece[0] - pieces[-1][-1])))
        own = length + max(leave - enter, 0.0)
        ends.append(own if leave > roads.length[lane] - 1e-6 else np.nan)
        length += float(arc_length(piece)[-1])
        pieces.append(piece)
        owners.append(np.full(len(piece), lane))
        enter = entry
    raw, owner = np.concatenate(pieces), np.concatenate(owners)
    along = arc_length(raw)
    s = np.linspace(0, along[-1], max(int(np.ceil(along[-1])), 1) + 1)
    points = resample(raw, s)
    lane_at = owner[np.clip(np.searchsorted(along, s - 1e-6), 0, len(owner) - 1)]
    step = np.gradient(points, axis=0)
    return RouteLine(
        points,
        s,
        np.arctan2(step[:, 1], step[:, 0]),
        lane_at,
        roads.speed_limit[lane_at],
        tuple(route),
        np.array(ends),
    )


def _join(roads: Roads, lane: int, following: int | None, enter: float) -> tuple[float, float, Floats]:
    """Where to leave a lane (s), where to enter the following one (s), and the points of the curve between."""
    here, none = float(roads.length[lane]), np.empty((0, 2))
    if following is None:
        return here, 0.0, none
    a, b = roads.lines[lane], roads.lines[following]
    start, end = shapely.get_point(b, 0), shapely.get_point(b, -1)
    if shapely.distance(shapely.get_point(a, -1), start) < 1.0:
        return here, 0.0, none
    low, high = (float(shapely.line_locate_point(a, point)) for point in (start, end))
    low = max(low, enter)
    if high - low > 5.0:  # side by side: cross over in the middle, over CROSSING where there is room
        half, middle = min(CROSSING, high - low) / 2, (low + high) / 2
        leave = middle - half
        entry = float(shapely.line_locate_point(b, shapely.line_interpolate_point(a, middle + half)))
    else:  # one ahead of the other
        leave, entry = max(here, enter), 0.0
    tangents = roads.heading(np.array([lane, following]), np.array([leave, entry]))
    ends = shapely.get_coordinates([shapely.line_interpolate_point(a, leave), shapely.line_interpolate_point(b, entry)])
    return leave, entry, _curve(ends[0], tangents[0], ends[1], tangents[1])


def _cut(line: Floats, start: float, stop: float) -> Floats:
    """The part of a line (P, 2) between two distances along it."""
    s = arc_length(line)
    between = s[(s > start) & (s < stop)]
    return resample(line, np.concatenate([[start], between, [max(stop, start)]]))


def _curve(a: Floats, heading_a: float, b: Floats, heading_b: float) -> Floats:
    """Points (10, 2) of the cubic Hermite curve between two poses, its ends left out."""
    reach = np.hypot(*(b - a))
    t = np.linspace(0, 1, 12)[1:-1, None]
    tangent_a, tangent_b = (reach * np.array([np.cos(turn), np.sin(turn)]) for turn in (heading_a, heading_b))
    return np.asarray(
        (1 + 2 * t) * (1 - t) ** 2 * a
        + t * (1 - t) ** 2 * tangent_a
        + t**2 * (3 - 2 * t) * b
        - t**2 * (1 - t) * tangent_b
    )
