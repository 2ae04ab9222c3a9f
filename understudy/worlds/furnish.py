"""Buildings, trees and street lamps along a town's roads, from nothing but its ground.

The distance to the nearest road and the direction in which it grows say everything that planning needs: what stands at
which distance, and which way it faces.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numba
import numpy as np
from scipy import ndimage

from understudy.records import Array
from understudy.worlds.ground import Ground, Surface
from understudy.worlds.scene import SIZE, Shape, solids

_GRID = 1.0  # m
_ROAD = [s for s in Surface if s not in (Surface.GRASS, Surface.PAVEMENT, Surface.DIRT)]
_WALLS = np.array(
    [
        (0.74, 0.66, 0.55),
        (0.66, 0.45, 0.36),
        (0.80, 0.77, 0.70),
        (0.58, 0.60, 0.62),
        (0.72, 0.58, 0.44),
        (0.50, 0.40, 0.36),
    ]
)
_GREENS = np.array([(0.27, 0.42, 0.16), (0.33, 0.46, 0.19), (0.22, 0.36, 0.17), (0.42, 0.47, 0.20)])


def furnish(ground: Ground, seed: int = 0) -> Array:
    """Fixed solids (n,) SOLID that keep clear of the roads: same ground and seed, same town."""
    plot = _Plot(ground, np.random.default_rng(seed))
    return np.concatenate([_buildings(plot), _lamps(plot), _trees(plot)])


class _Plot:
    """The ground on a grid of a metre: how far the road is, which way it lies, and what has been built on."""

    def __init__(self, ground: Ground, rng: np.random.Generator) -> None:
        step = max(round(_GRID / ground.cell), 1)
        self.rng, self.origin, self.cell = rng, ground.origin, step * ground.cell
        self.away = ndimage.distance_transform_edt(~np.isin(ground.surface[::step, ::step], _ROAD)) * self.cell
        north, east = np.gradient(ndimage.gaussian_filter(self.away, 2.0))
        self.facing = np.arctan2(-north, -east)
        self.taken = np.zeros(self.away.shape, bool)

    def spots(self, low: float, high: float, spacing: float) -> Iterator[tuple[int, int, float, float]]:
        """Cells between two distances from the road, in random order, at least `spacing` apart: row, column, x, y."""
        cells = np.argwhere((self.away >= low) & (self.away <= high))
        cells = cells[self.rng.permutation(len(cells))]
        cells = cells[_apart(cells, np.zeros(self.away.shape, bool), round(spacing / self.cell))]
        places = (cells[:, ::-1] + 0.5) * self.cell + self.origin
        for (row, column), (x, y) in zip(cells.tolist(), places.tolist(), strict=True):
            yield row, column, x, y

    def block(self, row: int, column: int, reach: float) -> tuple[slice, slice]:
        """The cells within so many metres, as a square."""
        n = round(reach / self.cell)
        return slice(max(row - n, 0), row + n + 1), slice(max(column - n, 0), column + n + 1)


@numba.njit(cache=True)
def _apart(cells, blocked, reach):  # type: ignore[no-untyped-def]
    """Which cells (n, 2), in their order, are not within `reach` rows and columns of one kept before, (n,)."""
    kept = np.zeros(len(cells), np.bool_)
    for i in range(len(cells)):
        row, column = cells[i]
        if not blocked[row, column]:
            kept[i] = True
            blocked[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1] = True
    return kept


def _buildings(plot: _Plot) -> Array:
    rng, made = plot.rng, []
    for row, column, x, y in plot.spots(11.0, 17.0, 6.0):
        house = rng.random() < 0.35
        deep, wide = (rng.uniform(8, 10), rng.uniform(9, 13)) if house else (rng.uniform(10, 14), rng.uniform(11, 20))
        tall = rng.choice([4.6, 8.9]) if house else 3.1 * rng.integers(2, 7) + 0.6  # whole floors
        wall = _WALLS[rng.integers(len(_WALLS))] * rng.uniform(0.85, 1.1)
        reach = np.hypot(deep, wide) / 2
        around = plot.block(row, column, reach + 1)
        clear = (
            plot.away[row, column] - deep / 2 > 3.5 and plot.away[around].min() > 0.5 and not plot.taken[around].any()
        )
        if clear and rng.random() < 0.9:
            plot.taken[plot.block(row, column, reach - 1)] = True
            shape = Shape.HOUSE if house else Shape.BUILDING
            made.append((shape, x, y, plot.facing[row, column], deep, wide, tall, wall))
    return _rows(made)


def _lamps(plot: _Plot) -> Array:
    size = SIZE[Shape.LAMP_POST]
    return _rows(
        [
            (Shape.LAMP_POST, x, y, plot.facing[row, column], *size, np.full(3, 0.5))
            for row, column, x, y in plot.spots(0.8, 1.8, 22.0)
        ]
    )


def _trees(plot: _Plot) -> Array:
    rng, made = plot.rng, []
    for low, high, share in ((2.9, 4.2, 0.7), (4.5, 35.0, 0.5)):  # along the street, and behind the houses
        for row, column, x, y in plot.spots(low, high, 9.0):
            if plot.taken[row, column] or rng.random() > share:
                continue
            draw = rng.random()
            shape = Shape.TREE if draw < 0.65 or low < 4 else Shape.CONIFER if draw < 0.8 else Shape.BUSH
            length, width, height = np.array(SIZE[shape]) * rng.uniform(0.7, 1.25)
            green = _GREENS[rng.integers(len(_GREENS))] * rng.uniform(0.8, 1.15)
            made.append((shape, x, y, rng.uniform(-np.pi, np.pi), length, width, height, green))
    return _rows(made)


def _rows(made: list[tuple[Any, ...]]) -> Array:
    """Solids from tuples of shape, x, y, yaw, length, width, height and paint."""
    if not made:
        return solids(0)
    shape, x, y, yaw, length, width, height, colour = zip(*made, strict=True)
    return solids(
        len(made), shape, x=x, y=y, yaw=yaw, length=length, width=width, height=height, colour=np.stack(colour)
    )
