"""What a map does not say about its lanes, worked out from their shapes; and the part of a map around a drive.

Logs keep maps with gaps: lanes without polygons, without successors, without neighbours. What follows from the lanes'
lines is filled in here, with stated tolerances; nothing else is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import shapely
from shapely.geometry import LineString, Polygon

from understudy.geometry import arc_length, frenet, resample, wrap
from understudy.records import Floats

JOIN_M = 1.0  # a lane follows another when it begins this near to its end ...
JOIN_RAD = np.radians(45)  # ... and in about this direction
BESIDE_RAD = np.radians(20)
ROADSIDE_M = 10.0
LANE_WIDTH = 3.5  # m, where neither the lane nor its neighbours say
WIDTHS = (2.5, 5.0)  # m, believed of a lane


def tidy(line: Floats, apart: float = 0.05) -> Floats:
    """A line (P, 2) without nan points and with one point in every stretch of `apart` metres; both ends are kept."""
    line = np.asarray(line, dtype=np.float64)[:, :2]
    line = line[np.isfinite(line).all(axis=1)]
    if len(line) == 0:
        return line
    stretch = np.floor(arc_length(line) / apart)
    kept = line[np.concatenate([[True], np.diff(stretch) > 0])]
    return np.concatenate([kept[:-1], line[-1:]]) if len(kept) > 1 else kept


def ends(line: Floats) -> tuple[Floats, Floats]:
    """The poses (3,) at the beginning and at the end of a line, headed along it."""
    first, last = line[1] - line[0], line[-1] - line[-2]
    return np.array([*line[0], np.arctan2(first[1], first[0])]), np.array([*line[-1], np.arctan2(last[1], last[0])])


def successors(lines: Sequence[Floats]) -> list[list[int]]:
    """For each lane the lanes that begin where it ends: within JOIN_M and JOIN_RAD."""
    if not lines:
        return []
    start, end = (np.stack(poses) for poses in zip(*map(ends, lines), strict=True))  # (n, 3)
    apart = np.hypot(*(end[:, None, :2] - start[None, :, :2]).transpose(2, 0, 1))
    turn = np.abs(wrap(end[:, None, 2] - start[None, :, 2]))
    follows = (apart < JOIN_M) & (turn < JOIN_RAD)
    np.fill_diagonal(follows, False)
    return [list(np.flatnonzero(row)) for row in follows]


def neighbours(lines: Sequence[Floats], widths: Floats) -> tuple[list[int], list[int]]:
    """For each lane the lane to its left and the one to its right in the same direction, -1 for none.

    A neighbour runs parallel (within BESIDE_RAD) beside the middle of the lane, half to one and a half widths away.
    """
    left, right = [-1] * len(lines), [-1] * len(lines)
    if not lines:
        return left, right
    middles = np.stack([resample(line, np.array([arc_length(line)[-1] / 2]))[0] for line in lines])
    headings = np.array([frenet(line, middle)[2] for line, middle in zip(lines, middles, strict=True)])
    nearest = {True: np.full(len(lines), np.inf), False: np.full(len(lines), np.inf)}
    for other, line in enumerate(lines):
        along, across, heading = frenet(line, middles)
        width = (widths + widths[other]) / 2
        beside = (along > 0) & (along < arc_length(line)[-1]) & (np.abs(wrap(heading - headings)) < BESIDE_RAD)
        beside &= (np.abs(across) > width / 2) & (np.abs(across) < 1.5 * width)
        for lane in np.flatnonzero(beside):
            is_left = bool(across[lane] < 0)  # the lane lies right of the other
            if abs(across[lane]) < nearest[is_left][lane]:
                nearest[is_left][lane] = abs(across[lane])
                (left if is_left else right)[lane] = other
    return left, right


def width(line: Floats, ring: Floats) -> float:
    """Twice the median distance from a lane's inner centre points to the edge of its polygon; nan for a tiny lane."""
    inner = line[1:-1]
    if len(inner) == 0:
        return float("nan")
    edge = LineString(np.concatenate([ring, ring[:1]]))
    return float(np.clip(2 * np.median(shapely.distance(shapely.points(inner), edge)), *WIDTHS))


def ribbon(line: Floats, across: float) -> Floats:
    """The ring (2 P, 2) of a lane `across` metres wide about its centre line (P, 2)."""
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    left = np.stack([-along[:, 1], along[:, 0]], axis=-1) * across / 2
    return np.concatenate([line + left, (line - left)[::-1]])


# The part of a map around a drive -------------------------------------------------------------------------------------


def around(path: Floats, margin: float, lines: Iterable[Floats]) -> Polygon:
    """Where the map is known: within `margin` of a path (T, 2) and ROADSIDE_M of the convex hull of the lanes."""
    trail = tidy(path, apart=1.0)
    region = shapely.buffer(LineString(trail) if len(trail) > 1 else shapely.points(trail[0]), margin)
    hull = shapely.convex_hull(shapely.multipoints(np.concatenate(list(lines))))
    known = region.intersection(shapely.buffer(hull, ROADSIDE_M))
    return max(_polygons(known), key=lambda part: part.area, default=region)


def rings(area: Any) -> tuple[Floats, ...]:
    """The outer rings (P, 2) of an area, which is cut through its holes until it has none."""
    pieces: list[Floats] = []
    queue = _polygons(area)
    while queue:
        part = queue.pop()
        if part.interiors:
            x = part.interiors[0].centroid.x
            west, south, east, north = part.bounds
            for low, high in ((west - 1, x), (x, east + 1)):
                queue += _polygons(part.intersection(shapely.box(low, south - 1, high, north + 1)))
        elif part.area > 0.01:
            pieces.append(np.asarray(part.exterior.coords)[:-1, :2])
    return tuple(pieces)


def pieces(line: Floats, region: Polygon) -> list[Floats]:
    """The stretches of a line that lie within a region."""
    cut = LineString(line).intersection(region)
    return [
        np.asarray(part.coords)
        for part in getattr(cut, "geoms", [cut])
        if part.geom_type == "LineString" and len(part.coords) > 1
    ]


def from_boundaries(boundaries: Iterable[Floats]) -> Any:
    """The area inside an odd number of closed boundaries, of which some are outlines and some are holes."""
    area: Any = Polygon()
    for ring in boundaries:
        if len(ring) > 3:
            area = area.symmetric_difference(shapely.make_valid(Polygon(ring)))
    return area


def _polygons(area: Any) -> list[Polygon]:
    """The polygons of any geometry that are not empty."""
    if isinstance(area, Polygon):
        return [] if area.is_empty else [area]
    return [polygon for part in getattr(area, "geoms", []) for polygon in _polygons(part)]
