"""The ground of a town as a raster of surfaces: what a map looks like from above, painted cell by cell.

A raster rather than polygons, because a camera asks for the ground below each pixel, and looking it up costs the same
in a village and in a city. Cells are painted by their centres: an area's edge is right to half a cell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property

import numba
import numpy as np
import shapely

from understudy.errors import DataError
from understudy.records import Array, Floats, Map

PAVEMENT_WIDTH = 2.5  # m
KERB_WIDTH = 0.2
LINE_WIDTH = 0.15
STOP_LINE_WIDTH = 0.5
DASH, GAP = 3.0, 4.5  # of a dashed line, m
STRIPE = 0.5  # of a crossing: as wide as the asphalt between two stripes


class Surface(IntEnum):
    """What a cell of the ground is."""

    GRASS = 0
    ASPHALT = 1
    PAVEMENT = 2
    KERB = 3
    WHITE = 4  # paint
    YELLOW = 5
    WORN = 6  # paint that has almost gone
    CYCLEWAY = 7
    MILLED = 8  # a road's top layer taken off: road works
    DIRT = 9


PAINT = (Surface.WHITE, Surface.YELLOW)


@dataclass(frozen=True, eq=False)
class Ground:
    """Surfaces on a grid: cell (row, column) covers origin + cell * (column, row) and one cell beyond."""

    origin: tuple[float, float]  # map frame, m
    cell: float  # m
    surface: Array  # (Y, X) uint8 Surface

    @cached_property
    def size(self) -> tuple[float, float]:
        """Extent along x and y, m."""
        rows, columns = self.surface.shape
        return columns * self.cell, rows * self.cell

    def at(self, points: Floats) -> Array:
        """The surface (...,) below points (..., 2) of the map frame; GRASS beyond the raster."""
        column, row = np.moveaxis(np.floor((np.asarray(points) - self.origin) / self.cell).astype(np.int64), -1, 0)
        rows, columns = self.surface.shape
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        found = self.surface[np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)]
        return np.where(inside, found, np.uint8(Surface.GRASS))

    def painted(self, ring: Floats, surface: Surface) -> Ground:
        """The same ground with the inside of a ring (P, 2) of another surface: road works, a patch."""
        painted = self.surface.copy()
        _Brush(painted, self.origin, self.cell).area(ring, surface)
        return replace(self, surface=painted)

    def worn(self, ring: Floats) -> Ground:
        """The same ground with its paint almost gone inside a ring (P, 2): faded markings."""
        corners = (np.stack([ring.min(axis=0), ring.max(axis=0)]) - self.origin) / self.cell + [[-1.0], [2.0]]
        low, high = np.clip(corners, 0, self.surface.shape[::-1]).astype(int)
        block = (slice(low[1], high[1]), slice(low[0], high[0]))
        inside = np.zeros_like(self.surface[block])
        origin = (self.origin[0] + low[0] * self.cell, self.origin[1] + low[1] * self.cell)
        _Brush(inside, origin, self.cell).area(ring, Surface.ASPHALT)
        worn = self.surface.copy()
        worn[block][(inside > 0) & np.isin(worn[block], PAINT)] = Surface.WORN
        return replace(self, surface=worn)


def rasterise(town: Map, cell: float = 0.1, margin: float = 40.0) -> Ground:
    """The ground of a map, `margin` metres beyond its outermost road.

    Roads are the map's drivable areas (its lanes' polygons where it has none), with a kerb and a pavement around them.
    Raises DataError on a map without any road.
    """
    roads = [np.asarray(ring) for ring in (town.drivable or tuple(lane.polygon for lane in town.lanes))]
    if not roads:
        raise DataError("drawing the ground: the map has neither drivable areas nor lanes")
    low = np.min([ring.min(axis=0) for ring in roads], axis=0) - margin
    high = np.max([ring.max(axis=0) for ring in roads], axis=0) + margin
    columns, rows = np.ceil((high - low) / cell).astype(int)
    ground = Ground((float(low[0]), float(low[1])), cell, np.zeros((rows, columns), np.uint8))
    brush = _Brush(ground.surface, ground.origin, cell)
    for ring in _widened(roads, PAVEMENT_WIDTH):
        brush.area(ring, Surface.PAVEMENT)
    for ring in _widened(roads, KERB_WIDTH):
        brush.area(ring, Surface.KERB)
    for ring in roads:
        brush.area(ring, Surface.ASPHALT)
    for lane in town.lanes:
        if lane.kind == "bicycle":
            brush.area(lane.polygon, Surface.CYCLEWAY)
    for marking in town.markings:
        if marking.style == "kerb":
            brush.line(marking.points, KERB_WIDTH, Surface.KERB)
        else:
            colour = Surface.YELLOW if marking.colour == "yellow" else Surface.WHITE
            brush.line(marking.points, LINE_WIDTH, colour, dashed=marking.style == "dashed")
    for ring in town.crosswalks:
        brush.area(ring, Surface.ASPHALT)
        brush.stripes(ring, Surface.WHITE)
    for line in town.stop_lines:
        brush.line(line, STOP_LINE_WIDTH, Surface.WHITE)
    return ground


def _widened(rings: Iterable[Floats], width: float) -> list[Floats]:
    grown = (shapely.Polygon(ring).buffer(width, quad_segs=4) for ring in rings)
    return [np.asarray(part.exterior.coords) for area in grown for part in shapely.get_parts(area)]


@dataclass(frozen=True)
class _Brush:
    """Paints areas and lines of the map frame into a raster."""

    surface: Array
    origin: tuple[float, float]
    cell: float

    def area(self, ring: Floats, surface: Surface) -> None:
        _fill(self.surface, self._cells(ring), np.uint8(surface), np.zeros(2), 1.0)

    def stripes(self, ring: Floats, surface: Surface) -> None:
        """Bars across the longer side of a crossing's ring."""
        box = np.asarray(shapely.Polygon(ring).minimum_rotated_rectangle.exterior.coords)
        sides = np.diff(box[:3], axis=0)
        along = sides[np.argmax(np.hypot(*sides.T))]
        along = along / max(float(np.hypot(*along)), 1e-9) * self.cell / (2 * STRIPE)  # periods per cell
        _fill(self.surface, self._cells(ring), np.uint8(surface), along, 0.5)

    def line(self, points: Floats, width: float, surface: Surface, dashed: bool = False) -> None:
        """A band around a line (P, 2), cut off square at its ends."""
        dash, period = (DASH / self.cell, (DASH + GAP) / self.cell) if dashed else (1.0, 0.0)
        _stroke(self.surface, self._cells(points), width / 2 / self.cell, np.uint8(surface), dash, period)

    def _cells(self, points: Floats) -> Floats:
        """Map to raster: cell centres at whole numbers."""
        return (np.asarray(points, float)[:, :2] - self.origin) / self.cell - 0.5


@numba.njit(cache=True, nogil=True)
def _fill(surface, ring, value, along, share):  # type: ignore[no-untyped-def]
    """Cells whose centre lies inside the ring (even-odd rule); with `along`, only the first `share` of each period."""
    rows, columns = surface.shape
    first, last = max(0, int(np.ceil(ring[:, 1].min()))), min(rows - 1, int(np.floor(ring[:, 1].max())))
    start, crossings = _crossings(ring, first, max(last + 1 - first, 0))
    for row in range(first, last + 1):
        inside = np.sort(crossings[start[row - first] : start[row - first + 1]])
        for i in range(0, len(inside) - 1, 2):
            left, right = max(0, int(np.ceil(inside[i]))), min(columns - 1, int(np.floor(inside[i + 1])))
            if share >= 1.0:
                surface[row, left : max(right + 1, left)] = value
                continue
            for column in range(left, right + 1):
                phase = (column - ring[0, 0]) * along[0] + (row - ring[0, 1]) * along[1]
                if phase - np.floor(phase) < share:
                    surface[row, column] = value


@numba.njit(cache=True, nogil=True)
def _crossings(ring, first, count):  # type: ignore[no-untyped-def]
    """Where `count` rows from `first` on cross the ring's sides: of row i from start[i] to start[i + 1]."""
    start = np.zeros(count + 1, np.int64)
    crossings = np.empty(0)
    for found in (False, True):  # first how many, then which: a row need not look at every side
        if found:
            start = np.cumsum(start)
            crossings, free = np.empty(start[-1]), start.copy()
        for i in range(len(ring)):
            x0, y0 = ring[i - 1]
            x1, y1 = ring[i]
            low, high = min(y0, y1), max(y0, y1)  # of the rows low <= row < high
            for row in range(max(int(np.ceil(low)), first), min(int(np.ceil(high)), first + count)):
                if found:
                    crossings[free[row - first]] = x0 + (row - y0) / (y1 - y0) * (x1 - x0)
                    free[row - first] += 1
                else:
                    start[row - first + 1] += 1
    return start, crossings


@numba.njit(cache=True, nogil=True)
def _stroke(surface, line, reach, value, dash, period):  # type: ignore[no-untyped-def]
    """Cells within `reach` of the line; with a period, only where the distance along it falls into a dash."""
    rows, columns = surface.shape
    reach = max(reach, 0.5)
    begun = 0.0
    for i in range(len(line) - 1):
        (x0, y0), (x1, y1) = line[i], line[i + 1]
        length = np.hypot(x1 - x0, y1 - y0)
        if length < 1e-9:
            continue
        ux, uy = (x1 - x0) / length, (y1 - y0) / length
        after = reach if i < len(line) - 2 else 0.0  # round off the outer side of a bend
        left, right = max(0, int(min(x0, x1) - reach)), min(columns - 1, int(max(x0, x1) + reach + 1))
        for row in range(max(0, int(min(y0, y1) - reach)), min(rows - 1, int(max(y0, y1) + reach + 1)) + 1):
            begin, end = left, right
            if abs(uy) > 1e-3:  # a row meets no more than a stretch of a slanting band
                middle, half = x0 + (row - y0) * ux / uy, reach / abs(uy) + 1.0
                begin, end = max(left, int(np.floor(middle - half))), min(right, int(np.ceil(middle + half)))
            for column in range(begin, end + 1):
                along = (column - x0) * ux + (row - y0) * uy
                across = (row - y0) * ux - (column - x0) * uy
                beyond = max(along - length, 0.0)
                if along < 0 or beyond > after or across * across + beyond * beyond > reach * reach:
                    continue
                if period == 0 or (begun + along) % period < dash:
                    surface[row, column] = value
        begun += length
