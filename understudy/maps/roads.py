"""A map with its indices, prepared once and asked many times."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely

from understudy.errors import UnknownName
from understudy.geometry import arc_length
from understudy.maps.matching import extend, match
from understudy.maps.route import RouteLine, line
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

    def misfit(self, yaw: Floats | None) -> Floats:
        """How badly each point, or pose with its `yaw` (N,), fits its lane, in metres (n,).

        That is its distance from the centre, 5 for being outside the polygon, and 10 for going against the lane.
        """
        cost = np.abs(self.d) + 5.0 * ~self.inside
        if yaw is None:
            return cost
        turn = yaw[self.point] - self.heading
        return np.asarray(cost + 5.0 * (1 - np.cos(np.where(np.isfinite(turn), turn, 0.0))))


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
        self.lines = np.array([shapely.LineString(lane.centre) for lane in self.lanes], object)
        self.length = np.asarray(shapely.length(self.lines), float)
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
        rings = [_valid(ring) for ring in self.map.drivable if len(ring) >= 3]
        # On a grid: in floating point GEOS now and then drops a whole polygon that shares an edge with others.
        area = shapely.union_all([*self._polygons, *rings], grid_size=1e-7)
        if rings:
            return area
        closed = shapely.buffer(shapely.buffer(area, SEAM, join_style="mitre"), -SEAM, join_style="mitre")
        return shapely.union(area, closed)

    @cached_property
    def _kerbs(self) -> shapely.STRtree:
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
                (_, _), distance = self._kerbs.query_nearest(
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
        s = np.asarray(shapely.line_locate_point(self.lines[lane], spot), float)
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
            np.copysign(shapely.distance(self.lines[lane], spot), left),
            np.arctan2(unit[:, 1], unit[:, 0]),
            inside,
        )

    def nearest(self, points: Floats, yaw: Floats | None = None) -> tuple[Ints, Floats, Floats, Floats]:
        """The lane of each of `points` (N, 2): its index (-1 for none within reach), s, d and heading, each (N,).

        The lane that contains the point wins over one beside it, one that goes the way of `yaw` (N,) over one against.
        """
        near = self.near(points)
        best = np.full(len(points), -1)
        order = np.lexsort((near.misfit(yaw), near.point))
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
        """The lanes driven by poses (T, 3), in order, connected wherever the map's graph is; see `matching`."""
        return match(self, poses)

    def extend(self, route: tuple[str, ...], metres: float) -> tuple[str, ...]:
        """The route gone on by at least `metres` beyond its last lane, straight on, as far as the map goes."""
        return extend(self, route, metres)

    def line(self, route: tuple[str, ...]) -> RouteLine:
        """The route (not empty) as one line; UnknownName for a lane that is not here."""
        return line(self, route)


def _valid(ring: Floats) -> shapely.Geometry:
    return shapely.make_valid(shapely.Polygon(ring))


def outline(lane: Lane) -> Floats:
    """The ring (P, 2) around a lane: its polygon, or a strip along its centre where it has none."""
    return lane.polygon if len(lane.polygon) >= 3 else np.array(_polygon(lane).exterior.coords)[:-1]


def _polygon(lane: Lane) -> shapely.Geometry:
    """A lane's polygon, or a strip along its centre where it has none."""
    if len(lane.polygon) >= 3:
        ring = _valid(lane.polygon)
        if ring.area > 0:
            return ring
    return shapely.buffer(shapely.LineString(lane.centre), LANE_WIDTH / 2, cap_style="flat")
