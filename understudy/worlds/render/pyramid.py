"""The ground's colours in ever coarser levels, so that a far pixel averages what it sees in one lookup or a few."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from understudy.records import Array
from understudy.worlds.ground import Ground, Surface
from understudy.worlds.render.materials import linear
from understudy.worlds.render.raster import kernel

NOISE_SIDE = 128  # cells of the noise tile, a power of two

# sRGB colour, and how much of the sky it mirrors when wet.
SURFACES: dict[Surface, tuple[tuple[float, float, float], float]] = {
    Surface.GRASS: ((0.33, 0.41, 0.20), 0.0),
    Surface.ASPHALT: ((0.33, 0.33, 0.34), 1.0),
    Surface.PAVEMENT: ((0.56, 0.54, 0.52), 0.6),
    Surface.KERB: ((0.68, 0.67, 0.65), 0.4),
    Surface.WHITE: ((0.90, 0.90, 0.88), 0.7),
    Surface.YELLOW: ((0.90, 0.68, 0.12), 0.7),
    Surface.WORN: ((0.42, 0.42, 0.42), 1.0),
    Surface.CYCLEWAY: ((0.50, 0.27, 0.23), 0.9),
    Surface.MILLED: ((0.44, 0.40, 0.36), 0.5),
    Surface.DIRT: ((0.45, 0.36, 0.26), 0.2),
}


class Pyramid(NamedTuple):
    """The ground's colours in levels, each twice as coarse as the one before.

    A cell is four bytes in a word: from the lowest red, green, blue (roots of linear light, or asphalt would show
    steps) and how much of the sky it mirrors when wet. The first level is twice as coarse as the ground's surfaces, so
    that a marking's edge is smooth in it.
    """

    start: Array  # (levels,) of each level in `colour`
    shape: Array  # (levels, 2) rows, columns
    colour: Array  # (cells,) uint32
    origin: Array  # (2,) map frame, m
    cell: float  # of the first level, m


@lru_cache(maxsize=4)
def pyramid(ground: Ground) -> Pyramid:
    """The pyramid of a ground; kept, because many drives share a town."""
    palette = np.array([[*np.sqrt(linear(srgb)), mirror] for srgb, mirror in SURFACES.values()], np.float32) * 255
    shape = [_half(ground.surface.shape, 2)]
    while min(shape[-1]) > 2:
        shape.append(_half(shape[-1], 1))
    ends = np.cumsum([rows * columns for rows, columns in shape])
    cells = np.empty((ends[-1], 4), np.uint8)
    levels = [level.reshape(*size, 4) for level, size in zip(np.split(cells, ends[:-1]), shape, strict=True)]
    _first_level(palette, ground.surface, noise_tile(), ground.cell, levels[0])
    for fine, coarse in pairwise(levels):
        _halved(fine, coarse)
    start = np.append(0, ends[:-1])
    return Pyramid(start, np.array(shape), cells.view("<u4")[:, 0], np.array(ground.origin), 2 * ground.cell)


def _half(shape: tuple[int, ...], least: int) -> tuple[int, int]:
    rows, columns = (max((side + 1) // 2, least) for side in shape)
    return rows, columns


@kernel
def _first_level(palette, surface, tile, cell, half):
    """Colours (Y / 2, X / 2, 4) of surfaces (Y, X), with patches some metres wide and grain, into `half`.

    Linear light is averaged, not its root.
    """
    rows, columns = half.shape[:2]
    squared = palette * palette
    for row in range(rows):
        high, low = min(2 * row, surface.shape[0] - 1), min(2 * row + 1, surface.shape[0] - 1)
        for column in range(columns):
            left, right = min(2 * column, surface.shape[1] - 1), min(2 * column + 1, surface.shape[1] - 1)
            a, b, c, d = surface[high, left], surface[high, right], surface[low, left], surface[low, right]
            patch = tile[int(row * cell * 4.0) & (NOISE_SIDE - 1), int(column * cell * 4.0) & (NOISE_SIDE - 1)]
            grain = tile[row * 37 & (NOISE_SIDE - 1), column * 37 & (NOISE_SIDE - 1)]
            mirror = (palette[a, 3] + palette[b, 3] + palette[c, 3] + palette[d, 3]) / 4
            rough = 1.0 + (0.10 - 0.05 * mirror / 255.0) * patch + 0.05 * grain
            for i in range(3):
                light = (squared[a, i] + squared[b, i] + squared[c, i] + squared[d, i]) / 4
                half[row, column, i] = min(np.sqrt(light * max(rough, 0.0)) + 0.5, 255.0)
            half[row, column, 3] = mirror


@kernel
def _halved(level, half):
    rows, columns = half.shape[:2]
    for row in range(rows):
        low = min(2 * row + 1, level.shape[0] - 1)
        for column in range(columns):
            right = min(2 * column + 1, level.shape[1] - 1)
            for i in range(4):
                a, b = float(level[2 * row, 2 * column, i]), float(level[2 * row, right, i])
                c, d = float(level[low, 2 * column, i]), float(level[low, right, i])
                half[row, column, i] = np.sqrt((a * a + b * b + c * c + d * d) / 4) + 0.5


@lru_cache(maxsize=1)
def noise_tile() -> Array:
    """Noise whose spectrum falls with frequency: clouds, patches of asphalt, leaves."""
    spectrum = np.fft.fft2(np.random.default_rng(1).normal(size=(NOISE_SIDE, NOISE_SIDE)))
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(NOISE_SIDE) * NOISE_SIDE] * 2))
    smooth = np.fft.ifft2(spectrum / np.maximum(frequency, 3.0) ** 1.2).real
    return np.asarray((smooth - smooth.mean()) / smooth.std(), np.float32)
