"""What lies around the car, seen from above: road, lane lines and their direction, vehicles, vulnerable road users,
and the ground that a red light closes to us.

The map is drawn once for each stretch of the drive, north up and finer than the cells, and then looked up at the cells
of every instant; objects are drawn into the cells directly. Beyond the map's extent, and without objects, cells are
unknown rather than empty. Without a map, ground that the ego or other traffic drove over, at any time of the drive, is
drivable, and of the rest nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numba
import numpy as np
from PIL import Image, ImageDraw

from understudy.geometry import Grid, inverse, move
from understudy.labelers import UNKNOWN, Label
from understudy.labelers.light import ahead
from understudy.labelers.swept import swept
from understudy.maps import outline
from understudy.records import (
    MOTOR_VEHICLES,
    VULNERABLE,
    Array,
    Drive,
    Floats,
    Ints,
    Kind,
    Lane,
    Light,
    Map,
    Objects,
    Observation,
)

# Channels of the label.
CLASSES = ("drivable", "line", "vehicle", "vulnerable", "closed")  # 0 or 1
CHANNELS = (*CLASSES, "direction_x", "direction_y", "velocity_x", "velocity_y")
DRIVABLE, CLOSED = CLASSES.index("drivable"), CLASSES.index("closed")
GROUND, OTHERS, DIRECTION, VELOCITY = slice(0, 2), slice(2, 4), slice(5, 7), slice(7, 9)
DIRECTION_UNIT = 1 / 127  # of a unit vector along the lane, in the ego frame
VELOCITY_UNIT = 0.25  # m/s over ground, turned into the ego frame

_FINE = 0.25  # metres a pixel of the drawn map
_STRETCH = 64  # instants that share one drawing
_LONGEST = 600.0  # metres of path that share one drawing
_LANE = 2.5  # metres of width that a lane's direction is told for
_TURNS = 254  # steps of direction in a drawing; 0 is none, 255 is several
_LIGHT_M = 60.0  # a light farther away closes nothing within any view
_PAST_M = 1.0  # beyond the stop line, where running the light begins (metrics)
_CLOSED_M, _CLOSED_HALF_M = 8.0, 1.75  # of the route are closed, to either side; farther on, ways part


@dataclass(frozen=True)
class Bev:
    """The surroundings (B, 9, X, Y) int8 on a grid: CHANNELS.

    Where it is told how many pixels show an object, the cells of one that fewer than `least_px` show are unknown.
    Closed is what lies beyond the stop line of our next light while that is red; while it is yellow nobody can tell.
    """

    grid: Grid = field(default_factory=Grid)
    least_px: float = 4.0

    needs: ClassVar[tuple[str, ...]] = ("pose",)

    def label(self, drive: Drive, instants: Ints) -> Label:
        value = np.full((len(instants), len(CHANNELS), *self.grid.shape), UNKNOWN, np.int8)
        poses = drive.poses[instants]
        placed = np.flatnonzero(np.isfinite(poses).all(axis=1))
        objects = drive.truth.objects if drive.truth and drive.truth.objects else drive.objects
        driven_over = swept(drive, objects) if drive.map is None else None
        for rows in _stretches(poses, placed):
            if drive.map is not None:
                value[rows, GROUND], value[rows, DIRECTION] = _ground(drive.map, poses[rows], self.grid)
            elif driven_over is not None:
                value[rows, DRIVABLE] = _driven_over(driven_over, poses[rows], self.grid)
        if objects is not None:
            for row in placed:
                others = objects.slice(instants[row], instants[row] + 1)
                value[row, OTHERS], value[row, VELOCITY] = _boxes(others, poses[row], self.grid, self.least_px)
        if len(placed) and not drive.lacks(("route", "lights")):
            value[placed, CLOSED] = _closed(ahead(drive, instants[placed]), self.grid)
        return Label(value)


# The map --------------------------------------------------------------------------------------------------------------


def _stretches(poses: Floats, rows: Ints) -> Iterator[Ints]:
    """Rows in order, cut where a drawing would grow too large."""
    start = 0
    for row in range(1, len(rows)):
        reach = np.ptp(poses[rows[start : row + 1], :2], axis=0).max()
        if row - start == _STRETCH or reach > _LONGEST:
            yield rows[start:row]
            start = row
    if len(rows):
        yield rows[start:]


def _ground(map: Map, poses: Floats, grid: Grid) -> tuple[Array, Array]:
    """Road and lines (B, 2, X, Y), and direction (B, 2, X, Y), from the map around some poses (B, 3)."""
    sheet, at = _Sheet.around(poses, grid)
    known = sheet.draw(_extent(map), [])[at] > 0
    rings = [*map.drivable, *(outline(lane) for lane in map.lanes)]
    road = sheet.draw(rings, [])[at]
    line = sheet.draw([], _lines(map), width=grid.cell)[at]
    turn = sheet.directions(map.lanes)[at].astype(np.float64)
    told = known & (turn > 0) & (turn <= _TURNS)
    heading = (turn - 1) * (2 * np.pi / _TURNS) - poses[:, 2][:, None, None]
    direction = np.stack([np.cos(heading), np.sin(heading)], axis=1) / DIRECTION_UNIT
    return (
        np.where(known[:, None], np.stack([road, line], axis=1), UNKNOWN).astype(np.int8),
        np.where(told[:, None], np.round(direction), UNKNOWN).astype(np.int8),
    )


def _driven_over(quads: Floats, poses: Floats, grid: Grid) -> Array:
    """1 where any of the quads (n, 4, 2) lies, unknown elsewhere, (B, X, Y)."""
    sheet, at = _Sheet.around(poses, grid)
    high = sheet.low + _FINE * np.array(sheet.size)
    near = ((quads.max(axis=1) > sheet.low) & (quads.min(axis=1) < high)).all(axis=1)
    return np.where(sheet.draw(list(quads[near]), [])[at] > 0, 1, UNKNOWN).astype(np.int8)


def _extent(map: Map) -> list[Floats] | None:
    return None if map.extent is None else [map.extent]


def _lines(map: Map) -> list[Floats]:
    """What is painted, else the sides of the lanes outside junctions."""
    if map.markings:
        return [marking.points for marking in map.markings]
    sides = (side for lane in map.lanes if not lane.junction for side in (lane.left, lane.right))
    return [side for side in sides if side is not None]


@dataclass(frozen=True)
class _Sheet:
    """A drawing with its lower left corner at `low`, x along the first axis: pixels are looked up as [x, y]."""

    low: Floats
    size: tuple[int, int]

    @classmethod
    def around(cls, poses: Floats, grid: Grid) -> tuple[Self, tuple[Array, ...]]:
        """A sheet for the cells around some poses (B, 3), and where on it they lie, each (B, X, Y)."""
        cells = move(poses[:, None, None], grid.centres())  # (B, X, Y, 2) in the map frame
        low = cells.min(axis=(0, 1, 2)) - 1.0
        size = np.ceil((cells.max(axis=(0, 1, 2)) + 1.0 - low) / _FINE).astype(int)
        return cls(low, (int(size[0]), int(size[1]))), tuple(
            np.moveaxis(((cells - low) / _FINE).astype(np.int64), -1, 0)
        )

    def draw(self, rings: list[Floats] | None, lines: list[Floats], width: float = 0.0) -> Array:
        """1 inside any of the rings (everywhere without rings) and along the lines, else 0."""
        picture = Image.new("L", self._turned, 1 if rings is None else 0)
        pen = ImageDraw.Draw(picture)
        for ring in rings or []:
            if self._meets(ring):
                pen.polygon(self._pixels(ring), fill=1)
        for line in lines:
            if self._meets(line):
                pen.line(self._pixels(line), fill=1, width=max(1, round(width / _FINE)))
        return np.asarray(picture)

    def directions(self, lanes: tuple[Lane, ...]) -> Array:
        """The direction of the lane at each pixel in _TURNS steps from 1 on; 0 outside lanes, 255 in junctions."""
        picture = Image.new("L", self._turned, 0)
        pen = ImageDraw.Draw(picture)
        near = [lane for lane in lanes if self._meets(outline(lane))]
        for lane in (lane for lane in near if not lane.junction):
            heading = np.arctan2(*np.diff(lane.centre, axis=0).T[::-1])
            step = np.round(heading % (2 * np.pi) * (_TURNS / (2 * np.pi))).astype(int) % _TURNS + 1
            for number, fill in enumerate(step.tolist()):
                pen.line(self._pixels(lane.centre[number : number + 2]), fill=fill, width=round(_LANE / _FINE))
        for lane in (lane for lane in near if lane.junction):
            pen.polygon(self._pixels(outline(lane)), fill=255)
        return np.asarray(picture)

    @property
    def _turned(self) -> tuple[int, int]:
        return self.size[1], self.size[0]  # y runs along a picture's rows, so that the array comes out as [x, y]

    def _pixels(self, points: Floats) -> list[tuple[float, float]]:
        at = (points - self.low) / _FINE - 0.5
        return [(float(y), float(x)) for x, y in at]

    def _meets(self, points: Floats) -> bool:
        at = (points - self.low) / _FINE
        return bool((at.max(axis=0) > 0).all() and (at.min(axis=0) < self.size).all())


# The light ------------------------------------------------------------------------------------------------------------


def _closed(seen: Observation, grid: Grid) -> Array:
    """1 where the route is closed by a red light, unknown at instants whose light is, (B, X, Y)."""
    assert seen.light is not None and seen.light_distance is not None and seen.route is not None
    near = np.nan_to_num(seen.light_distance, nan=np.inf) < _LIGHT_M
    value = np.zeros((len(near), *grid.shape), np.int8)
    value[near & np.isin(seen.light, (Light.UNKNOWN, Light.YELLOW))] = UNKNOWN
    cells, along = grid.centres(), Observation.ROUTE_STEP * np.arange(seen.route.shape[1])
    for row in np.flatnonzero(near & (seen.light == Light.RED)):
        stretch = seen.light_distance[row] + _PAST_M + np.arange(0, _CLOSED_M, grid.cell / 2)
        points = np.stack([np.interp(stretch, along, seen.route[row, :, axis]) for axis in (0, 1)], axis=-1)
        points = points[np.isfinite(points).all(axis=1)]
        if len(points) > 1:
            apart = np.hypot(*np.moveaxis(cells[:, :, None] - points, -1, 0)).min(axis=2)
            beyond = (cells - points[0]) @ (points[1] - points[0]) >= 0
            value[row, (apart < _CLOSED_HALF_M) & beyond] = 1
    return value


# Objects --------------------------------------------------------------------------------------------------------------


def _boxes(others: Objects, pose: Floats, grid: Grid, least_px: float) -> tuple[Array, Array]:
    """Vehicles and vulnerable road users (2, X, Y), and their velocities (2, X, Y), at one instant."""
    there = np.zeros((2, *grid.shape), np.int8)
    velocity = np.full((2, *grid.shape), UNKNOWN, np.int8)
    kind = others["kind"]
    vehicle = np.isin(kind, [*MOTOR_VEHICLES, Kind.UNKNOWN])
    wanted = vehicle | np.isin(kind, VULNERABLE)
    boxes = np.stack([others[name] for name in ("x", "y", "yaw", "length", "width", "vx", "vy")], axis=-1)
    wanted &= np.isfinite(boxes[:, :3]).all(axis=1)
    hidden = others["visible_pixels"] < least_px if "visible_pixels" in others else np.zeros(len(kind), bool)
    # Hidden ones first: where one that is seen covers a cell too, there is something.
    order = np.concatenate([np.flatnonzero(wanted & hidden), np.flatnonzero(wanted & ~hidden)])
    boxes = boxes[order]
    boxes[:, :2] = move(inverse(pose), boxes[:, :2])
    boxes[:, 2] -= pose[2]
    boxes[:, 3:5] = np.nan_to_num(boxes[:, 3:5])
    boxes[:, 5:7] = move(np.array([0, 0, -pose[2]]), boxes[:, 5:7]) / VELOCITY_UNIT
    layer, mark = np.where(vehicle, 0, 1)[order], np.where(hidden, UNKNOWN, 1)[order].astype(np.int8)
    boxes[mark == UNKNOWN, 5:7] = np.nan
    _fill(boxes, layer, mark, grid.x0, grid.y0, grid.cell, there, velocity)
    return there, velocity


@numba.njit(cache=True)
def _fill(
    boxes: Floats, layer: Ints, mark: Array, x0: float, y0: float, cell: float, there: Array, velocity: Array
) -> None:
    """Mark the cells whose middle lies in a box. A box thinner than a cell counts as wide as one, lest it be missed."""
    for n in range(len(boxes)):
        x, y, yaw = boxes[n, 0], boxes[n, 1], boxes[n, 2]
        along, across = max(boxes[n, 3], cell) / 2, max(boxes[n, 4], cell) / 2
        cos, sin = np.cos(yaw), np.sin(yaw)
        reach = np.hypot(along, across)
        for i in range(max(0, int((x - reach - x0) / cell)), min(there.shape[1], int((x + reach - x0) / cell) + 1)):
            for j in range(max(0, int((y - reach - y0) / cell)), min(there.shape[2], int((y + reach - y0) / cell) + 1)):
                dx, dy = x0 + cell * (i + 0.5) - x, y0 + cell * (j + 0.5) - y
                if abs(dx * cos + dy * sin) <= along and abs(dy * cos - dx * sin) <= across:
                    there[layer[n], i, j] = mark[n]
                    for axis in range(2):
                        v = boxes[n, 5 + axis]
                        velocity[axis, i, j] = UNKNOWN if np.isnan(v) else np.int8(min(max(round(v), -127), 127))
