"""What a map answers: which lane is here, is this road, which lanes were driven, where does the route go on.

A `Map` is what was read; `Roads` is the same map with its indices, prepared once. Every method takes many points at
once. Distances are exact (GEOS); nothing is rasterised.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import shapely

from understudy.errors import UnknownName
from understudy.geometry import arc_length, resample, wrap
from understudy.records import Array, Floats, Ints, Lane, Map

LANE_WIDTH = 3.5  # m, for lanes that come without a polygon
REACH = 3.0  # m beyond a lane's polygon within which a point may still belong to it
SEAM = 1.5  # m: gaps between neighbouring lane polygons up to twice this are road, not grass


@dataclass(frozen=True, slots=True)
class Near:
    """Lanes near points, one row per pair; rows of the same point are together, in the order of the points."""

    point: Ints  # (n,) index of the point
    lane: Ints  # (n,) index of the lane
    s: Floats  # (n,) distance along the lane's centre
    d: Floats  # (n,) signed distance to the left of it
    heading: Floats  # (n,) of the lane there
    inside: Array  # (n,) the point is in the lane's polygon


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
    def ends(self) -> dict[str, float]:
        """Distance along the line to the end of each lane that is followed to its end."""
        return {id: float(s) for id, s in zip(self.route, self.end, strict=True) if np.isfinite(s)}

    def project(self, points: Floats, low: Floats | None = None, span: float = np.inf) -> tuple[Floats, Floats]:
        """Where points (n, 2) lie: distance along the line (n,) and signed distance to its left (n,); nan for nan.

        With `low` (n,) only the `span` metres of the line from there on are looked at, so that a place which the route
        passes twice is the right one.
        """
        along, across = np.full(len(points), np.nan), np.full(len(points), np.nan)
        apart = float(self.s[1])
        width = int(min(span / apart + 2, len(self.s)))
        for rows in np.array_split(np.flatnonzero(np.isfinite(points[:, 0])), max(1, len(points) * width // 2_000_000)):
            first = np.zeros(len(rows), int) if low is None else (np.nan_to_num(low[rows]) / apart).astype(int)
            index = np.clip(first[:, None], 0, len(self.s) - width) + np.arange(width)
            offset = points[rows, None] - self.points[index]
            nearest = np.argmin(np.einsum("nwc,nwc->nw", offset, offset), axis=1) + index[:, 0]
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
        along[known[:1]] = self.project(points[known[:1]])[0]
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


class Roads:
    """A map prepared for questions. Indices of lanes point into `map.lanes`; lanes for bicycles are no answer."""

    def __init__(self, map: Map) -> None:
        self.map = map
        self.lanes = map.lanes
        self.lane_ids: tuple[str, ...] = tuple(lane.id for lane in self.lanes)
        self._index = {id: index for index, id in enumerate(self.lane_ids)}
        self.junction = np.array([lane.junction for lane in self.lanes], bool)
        self.speed_limit = np.array([lane.speed_limit for lane in self.lanes], float)
        self.successors, self.predecessors = self._links()
        self._lines = np.array([shapely.LineString(lane.centre) for lane in self.lanes], object)
        self.length = np.asarray(shapely.length(self._lines), float)
        self._polygons = np.array([_polygon(lane) for lane in self.lanes], object)
        driven = [lane.kind != "bicycle" and length > 0 for lane, length in zip(self.lanes, self.length, strict=True)]
        self._driven = np.flatnonzero(driven)  # the lanes that a car drives in
        self._tree = shapely.STRtree(self._polygons[self._driven])
        self.width = np.asarray(shapely.area(self._polygons) / np.maximum(self.length, 1e-9), float)  # (lanes,) mean
        self._set_out_segments()
        self._wider: dict[float, shapely.Geometry] = {}

    def _links(self) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
        """Successors and predecessors as indices: told by either side, and only lanes that are here."""
        after: list[dict[int, None]] = [{} for _ in self.lanes]
        for index, lane in enumerate(self.lanes):
            after[index].update((self._index[id], None) for id in lane.successors if id in self._index)
            for id in lane.predecessors:
                if id in self._index:
                    after[self._index[id]][index] = None
        before: list[list[int]] = [[] for _ in self.lanes]
        for index, following in enumerate(after):
            for other in following:
                before[other].append(index)
        return tuple(tuple(found) for found in after), tuple(tuple(found) for found in before)

    def _set_out_segments(self) -> None:
        """All centre lines one behind the other, so that one search finds the segment at any (lane, s)."""
        starts, units, along, first = [np.empty((0, 2))], [np.empty((0, 2))], [np.empty(0)], 0.0
        self._first = np.zeros(len(self.lanes))
        for index, lane in enumerate(self.lanes):
            s = arc_length(lane.centre)
            real = np.diff(s) > 1e-9
            step = np.diff(lane.centre, axis=0)[real]
            starts.append(lane.centre[:-1][real])
            units.append(step / np.hypot(*step.T)[:, None])
            along.append(first + s[:-1][real])
            self._first[index] = first
            first += s[-1] + 1.0
        self._start, self._unit, self._along = np.concatenate(starts), np.concatenate(units), np.concatenate(along)

    def __len__(self) -> int:
        return len(self.lanes)

    def __contains__(self, id: str) -> bool:
        return id in self._index

    def index(self, id: str) -> int:
        """The index of a lane by its identifier; UnknownName if it is not here."""
        if id not in self._index:
            raise UnknownName("lane", id, self.lane_ids)
        return self._index[id]

    # Where is this? ---------------------------------------------------------------------------------------------------

    @cached_property
    def drivable(self) -> shapely.Geometry:
        """Where a car may be: the map's drivable rings and its lanes; without rings, lanes with their seams closed."""
        lanes = shapely.union_all(self._polygons)
        rings = [_valid(ring) for ring in self.map.drivable if len(ring) >= 3]
        closed = shapely.buffer(shapely.buffer(lanes, SEAM, join_style="mitre"), -SEAM, join_style="mitre")
        area = shapely.union_all([lanes, *rings] if rings else [lanes, closed])
        return area

    @cached_property
    def _parts(self) -> shapely.STRtree:
        return shapely.STRtree(shapely.get_parts(shapely.boundary(self.drivable)))

    def inside(self, points: Floats, tolerance: float = 0.0) -> Array:
        """Whether points (..., 2) lie on drivable ground, or at most `tolerance` beside it, (...,) bool."""
        return np.asarray(shapely.contains_xy(self._widened(tolerance), points[..., 0], points[..., 1]))

    def _widened(self, metres: float) -> shapely.Geometry:
        if metres not in self._wider:
            area = shapely.buffer(self.drivable, metres) if metres else self.drivable
            shapely.prepare(area)
            self._wider[metres] = area
        return self._wider[metres]

    def off_road(self, points: Floats) -> Floats:
        """How far points (..., 2) lie outside the drivable area, (...,) in metres: 0 inside, nan for nan."""
        points = np.asarray(points, float)
        away = np.where(np.isfinite(points[..., 0]), 0.0, np.nan)
        out = ~self.inside(points) & np.isfinite(away)
        if out.any():
            if shapely.is_empty(self.drivable):
                away[out] = np.inf
            else:
                (_, _), distance = self._parts.query_nearest(
                    shapely.points(points[out]), all_matches=False, return_distance=True
                )
                away[out] = distance
        return away

    @cached_property
    def _extent(self) -> shapely.Geometry | None:
        if self.map.extent is None:
            return None
        area = _valid(self.map.extent)
        shapely.prepare(area)
        return area

    def known(self, points: Floats) -> Array:
        """Whether the map says anything about points (..., 2), (...,) bool; one without an extent knows everything."""
        points = np.asarray(points, float)
        if self._extent is None:
            return np.isfinite(points[..., 0])
        return np.asarray(shapely.contains_xy(self._extent, points[..., 0], points[..., 1]))

    def near(self, points: Floats, reach: float = REACH) -> Near:
        """All lanes whose polygon is within `reach` of each of `points` (N, 2)."""
        points = np.asarray(points, float)
        real = np.flatnonzero(np.isfinite(points[:, 0]))
        spots = shapely.points(points[real])
        pairs = self._tree.query(spots, predicate="dwithin", distance=reach)
        row, found = pairs[:, np.lexsort(pairs[::-1])]
        lane = self._driven[found]
        spot = spots[row]
        s = np.asarray(shapely.line_locate_point(self._lines[lane], spot), float)
        segment = self._segment(lane, s)
        unit, offset = self._unit[segment], points[real[row]] - self._start[segment]
        left = unit[:, 0] * offset[:, 1] - unit[:, 1] * offset[:, 0]
        inside = (
            np.asarray(shapely.intersects(self._polygons[lane], spot), bool) if reach > 0 else np.ones(len(row), bool)
        )
        return Near(
            real[row],
            lane,
            s,
            np.copysign(shapely.distance(self._lines[lane], spot), left),
            np.arctan2(unit[:, 1], unit[:, 0]),
            inside,
        )

    def nearest(self, points: Floats, yaw: Floats | None = None) -> tuple[Ints, Floats, Floats, Floats]:
        """The lane of each of `points` (N, 2): its index (-1 for none within reach), s, d and heading, each (N,).

        The lane that contains the point wins over one beside it, one that goes the way of `yaw` (N,) over one against.
        """
        near = self.near(points)
        cost = _misfit(near, None if yaw is None else np.asarray(yaw)[near.point])
        best = np.full(len(points), -1)
        order = np.lexsort((cost, near.point))
        first = order[np.unique(near.point[order], return_index=True)[1]]
        best[near.point[first]] = first
        found = best >= 0
        s, d, heading = (np.full(len(points), np.nan) for _ in range(3))
        lane = np.full(len(points), -1)
        lane[found] = near.lane[best[found]]
        for values, column in ((s, near.s), (d, near.d), (heading, near.heading)):
            values[found] = column[best[found]]
        return lane, s, d, heading

    def heading(self, lane: Ints, s: Floats) -> Floats:
        """Heading (N,) of lanes (N,) at distances `s` (N,) along their centres."""
        unit = self._unit[self._segment(lane, s)]
        return np.arctan2(unit[:, 1], unit[:, 0])

    def end(self, lane: int) -> Floats:
        """The pose (3,) at a lane's end, where the stop line of its light lies."""
        turn = self.heading(np.array([lane]), self.length[[lane]])[0]
        return np.array([*self.lanes[lane].centre[-1], turn])

    def _segment(self, lane: Ints, s: Floats) -> Ints:
        at = self._first[lane] + np.clip(s, 0, self.length[lane] - 1e-6)
        return np.searchsorted(self._along, at, side="right") - 1

    # Which way? -------------------------------------------------------------------------------------------------------

    def match(self, poses: Floats) -> tuple[str, ...]:
        """The lanes driven by poses (T, 3), in order, connected wherever the map's graph is.

        The cheapest sequence of candidate lanes (Viterbi): each pose pays for its distance and turn from its lane, each
        change of lane for not following the graph. Empty where no pose has a lane.
        """
        poses = _thinned(np.asarray(poses, float))
        near = self.near(poses[:, :2])
        misfit = _misfit(near, poses[near.point, 2])
        rows = np.split(np.arange(len(near.point)), np.flatnonzero(np.diff(near.point)) + 1) if len(near.point) else []
        if not rows:
            return ()
        total, came = misfit[rows[0]], [np.zeros(len(rows[0]), int)]
        for before, now in pairwise(rows):
            driven = float(np.hypot(*(poses[near.point[now[0]], :2] - poses[near.point[before[0]], :2])))
            step = np.array([[self._change(near, a, b, driven) for a in before] for b in now])  # (now, before)
            came.append(np.argmin(total + step, axis=1))
            total = np.min(total + step, axis=1) + misfit[now]
        best = int(np.argmin(total))
        lanes = []
        for now, back in zip(rows[::-1], came[::-1], strict=True):
            lanes.append(int(near.lane[now[best]]))
            best = int(back[best])
        return tuple(self.lane_ids[lane] for lane in self._filled(lanes[::-1]))

    def _change(self, near: Near, a: int, b: int, driven: float) -> float:
        """What it costs to be at row b of `near` one pose after row a, in metres."""
        lane, other = int(near.lane[a]), int(near.lane[b])
        if lane == other:
            return 0.2 * abs(float(near.s[b] - near.s[a]) - driven)
        gap = self._hops[lane].get(other)
        if gap is not None:
            return 0.2 + 0.2 * abs(float(self.length[lane] - near.s[a] + gap[0] + near.s[b]) - driven)
        beside = (self.lanes[lane].left_lane, self.lanes[lane].right_lane)
        return 4.0 if self.lane_ids[other] in beside else 8.0

    @cached_property
    def _hops(self) -> tuple[dict[int, tuple[float, tuple[int, ...]]], ...]:
        """Lanes that follow each lane within three steps: how long the lanes between are, and which."""
        found = []
        for index in range(len(self.lanes)):
            reached: dict[int, tuple[float, tuple[int, ...]]] = {}
            border: list[tuple[int, float, tuple[int, ...]]] = [(index, 0.0, ())]
            for _ in range(3):
                further = []
                for lane, between, via in border:
                    for following in self.successors[lane]:
                        if following not in reached:
                            reached[following] = (between, via)
                            further.append((following, between + float(self.length[following]), (*via, following)))
                border = further
            found.append(reached)
        return tuple(found)

    def _filled(self, lanes: list[int]) -> list[int]:
        """The lanes without repetitions, with the short ones between them that no pose fell into."""
        route = lanes[:1]
        for lane in lanes[1:]:
            if lane != route[-1]:
                route.extend(self._hops[route[-1]].get(lane, (0.0, ()))[1])
                route.append(lane)
        return route

    def extend(self, route: tuple[str, ...], metres: float) -> tuple[str, ...]:
        """The route gone on by at least `metres` beyond its last lane, straight on, as far as the map goes."""
        if not route:
            return route
        lanes = [self.index(id) for id in route]
        gone = 0.0
        while gone < metres:
            ahead = [lane for lane in self.successors[lanes[-1]] if lane not in lanes]
            if not ahead:
                break
            lanes.append(min(ahead, key=lambda lane: self._turn(lanes[-1], lane)))
            gone += float(self.length[lanes[-1]])
        return tuple(self.lane_ids[lane] for lane in lanes)

    def _turn(self, lane: int, following: int) -> float:
        """By how much the heading differs between the ends of two lanes."""
        ends = self.heading(np.array([lane, following]), self.length[[lane, following]])
        return float(np.abs(wrap(ends[1] - ends[0])))

    def line(self, route: tuple[str, ...]) -> RouteLine:
        """The route (not empty) as one line. To a lane that does not follow it crosses over on a smooth curve."""
        lanes = [self.index(id) for id in route]
        pieces: list[Floats] = []
        owners: list[Ints] = []
        ends: list[float] = []
        enter, length = 0.0, 0.0
        for place, lane in enumerate(lanes):
            following = lanes[place + 1] if place + 1 < len(lanes) else None
            leave, entry, bridge = self._join(lane, following, enter)
            piece = np.concatenate([_cut(self.lanes[lane].centre, enter, leave), bridge])
            if pieces:
                length += float(np.hypot(*(piece[0] - pieces[-1][-1])))
            own = length + max(leave - enter, 0.0)
            ends.append(own if leave > self.length[lane] - 1e-6 else np.nan)
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
            self.speed_limit[lane_at],
            tuple(route),
            np.array(ends),
        )

    def _join(self, lane: int, following: int | None, enter: float) -> tuple[float, float, Floats]:
        """Where to leave a lane (s), where to enter the following one (s), and the points of the curve between."""
        here, none = float(self.length[lane]), np.empty((0, 2))
        if following is None:
            return here, 0.0, none
        a, b = self._lines[lane], self._lines[following]
        start, end = shapely.get_point(b, 0), shapely.get_point(b, -1)
        if shapely.distance(shapely.get_point(a, -1), start) < 1.0:
            return here, 0.0, none
        low, high = (float(shapely.line_locate_point(a, point)) for point in (start, end))
        low = max(low, enter)
        if high - low > 5.0:  # side by side: cross over in the middle, over 30 m where there is room
            half, middle = min(15.0, (high - low) / 2), (low + high) / 2
            leave = middle - half
            entry = float(shapely.line_locate_point(b, shapely.line_interpolate_point(a, middle + half)))
        else:  # one ahead of the other
            leave, entry = max(here, enter), 0.0
        tangents = self.heading(np.array([lane, following]), np.array([leave, entry]))
        ends = shapely.get_coordinates(
            [shapely.line_interpolate_point(a, leave), shapely.line_interpolate_point(b, entry)]
        )
        return leave, entry, _curve(ends[0], tangents[0], ends[1], tangents[1])


def _valid(ring: Floats) -> shapely.Geometry:
    return shapely.make_valid(shapely.Polygon(ring))


def _polygon(lane: Lane) -> shapely.Geometry:
    """A lane's polygon, or a strip along its centre where it has none."""
    if len(lane.polygon) >= 3:
        ring = _valid(lane.polygon)
        if ring.area > 0:
            return ring
    return shapely.buffer(shapely.LineString(lane.centre), LANE_WIDTH / 2, cap_style="flat")


def _misfit(near: Near, yaw: Floats | None) -> Floats:
    """How badly a pose fits a lane, in metres: 5 for being outside its polygon, 10 for going against it."""
    cost = np.abs(near.d) + 5.0 * ~near.inside
    if yaw is None:
        return cost
    return np.asarray(cost + 5.0 * (1 - np.cos(np.where(np.isfinite(yaw), yaw - near.heading, 0.0))))


def _thinned(poses: Floats) -> Floats:
    """Known poses at least 2 m apart: what a standing car sees a hundred times counts once."""
    poses = poses[np.isfinite(poses).all(axis=1)]
    if len(poses) == 0:
        return poses
    gone = arc_length(poses[:, :2])
    return poses[np.unique(np.floor(gone / 2.0), return_index=True)[1]]


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
