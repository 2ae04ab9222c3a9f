"""Buildings, trees and street lamps along a town's roads, from nothing but its ground.

The distance to the nearest road and the direction in which it grows say everything that planning needs: what stands at
which distance, and which way it faces.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from understudy.records import Array, Floats
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
_GREENS = np.array([(0.27, 0.42, 0.16), (0.33, 0.46, 0.19), (0.22, 0.36, 0.17), (0.42, 0.47, 0.20)])  # fmt: skip


def furnish(ground: Ground, seed: int = 0, density: float = 1.0) -> Array:
    """Fixed solids (n,) SOLID that keep clear of the roads: same ground and seed, same town."""
    rng = np.random.default_rng(seed)
    away, facing = _roads(ground)
    taken = np.zeros(away.shape, bool)
    return np.concatenate(
        [
            _buildings(rng, ground, away, facing, taken, density),
            _lamps(rng, ground, away, facing),
            _trees(rng, ground, away, facing, taken, density),
        ]
    )


def _roads(ground: Ground) -> tuple[Floats, Floats]:
    """Distance to the nearest road (Y, X) in cells of a metre, and the heading towards it."""
    step = max(round(_GRID / ground.cell), 1)
    away = ndimage.distance_transform_edt(~np.isin(ground.surface[::step, ::step], _ROAD)) * step * ground.cell
    north, east = np.gradient(ndimage.gaussian_filter(away, 2.0))
    return away, np.arctan2(-north, -east)


def _spots(
    rng: np.random.Generator, ground: Ground, away: Floats, low: float, high: float, spacing: float
) -> tuple[Array, Floats]:
    """Cells between two distances from the road, in random order and at least `spacing` apart; and their map positions."""
    cells = np.argwhere((away >= low) & (away <= high))
    cells = cells[rng.permutation(len(cells))]
    kept: list[tuple[int, int]] = []
    blocked = np.zeros(away.shape, bool)
    reach = round(spacing / _GRID)
    for row, column in cells:
        if not blocked[row, column]:
            kept.append((row, column))
            blocked[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1] = True
    chosen = np.array(kept, int).reshape(-1, 2)
    scale = max(round(_GRID / ground.cell), 1) * ground.cell
    return chosen, (chosen[:, ::-1] + 0.5) * scale + ground.origin


def _buildings(
    rng: np.random.Generator, ground: Ground, away: Floats, facing: Floats, taken: Array, density: float
) -> Array:
    chosen, at = _spots(rng, ground, away, 11.0, 17.0, 6.0)
    made = []
    for (row, column), (x, y) in zip(chosen, at, strict=True):
        house = rng.random() < 0.35
        deep, wide = (rng.uniform(8, 10), rng.uniform(9, 13)) if house else (rng.uniform(10, 14), rng.uniform(11, 20))
        reach = int(np.hypot(deep, wide) / 2) + 1
        block = slice(max(row - reach, 0), row + reach + 1), slice(max(column - reach, 0), column + reach + 1)
        clear = away[row, column] - deep / 2 > 3.5 and away[block].min() > 0.5
        if rng.random() > 0.9 * density or not clear or taken[block].any():
            continue
        taken[max(row - reach + 2, 0) : row + reach - 1, max(column - reach + 2, 0) : column + reach - 1] = True
        wall = _WALLS[rng.integers(len(_WALLS))] * rng.uniform(0.85, 1.1)
        made.append((Shape.HOUSE if house else Shape.BUILDING, x, y, facing[row, column], deep, wide, rng.choice([4.6, 8.9]) if house else 3.1 * rng.integers(2, 7) + 0.6, wall))  # fmt: skip
    return _rows(made)


def _lamps(rng: np.random.Generator, ground: Ground, away: Floats, facing: Floats) -> Array:
    chosen, at = _spots(rng, ground, away, 0.8, 1.8, 22.0)
    length, width, height = SIZE[Shape.LAMP_POST]
    return _rows(
        [(Shape.LAMP_POST, x, y, facing[row, column], length, width, height, (0.5, 0.5, 0.5)) for (row, column), (x, y) in zip(chosen, at, strict=True)]
    )  # fmt: skip


def _trees(
    rng: np.random.Generator, ground: Ground, away: Floats, facing: Floats, taken: Array, density: float
) -> Array:
    made = []
    for low, high, spacing, share in ((2.9, 4.2, 9.0, 0.7), (4.5, 35.0, 9.0, 0.5)):
        chosen, at = _spots(rng, ground, away, low, high, spacing)
        for (row, column), (x, y) in zip(chosen, at, strict=True):
            if taken[row, column] or rng.random() > share * density:
                continue
            draw = rng.random()
            shape = Shape.TREE if draw < 0.65 or low < 4 else Shape.CONIFER if draw < 0.8 else Shape.BUSH
            size = np.array(SIZE[shape]) * rng.uniform(0.7, 1.25)
            made.append((shape, x, y, rng.uniform(-np.pi, np.pi), size[0], size[1], size[2], _GREENS[rng.integers(len(_GREENS))] * rng.uniform(0.8, 1.15)))  # fmt: skip
    return _rows(made)


def _rows(made: list[tuple[object, ...]]) -> Array:
    """Solids from tuples of shape, x, y, yaw, length, width, height and paint."""
    if not made:
        return solids(0)
    shape, x, y, yaw, length, width, height, colour = zip(*made, strict=True)
    return solids(
        len(made), list(shape), x=x, y=y, yaw=yaw, length=length, width=width, height=height, colour=np.stack(colour)
    )  # type: ignore[arg-type]
