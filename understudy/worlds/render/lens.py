"""Tables of a rig, computed once: where each pixel looks, and which spots of the ground it sees.

Everything that a lens does to a picture is in these tables; the drawing itself knows no lens model. A pixel has four
samples (two by two), at a quarter of a pixel from its centre.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from understudy.errors import DataError
from understudy.geometry import rays
from understudy.records import Array, Floats, Rig

FARTHEST = 600.0  # m: the ground beyond looks like the ground there
MOST_TAPS = 4
BINS = 2048


CAMERA = np.dtype(
    [
        ("width", "i8"),
        ("height", "i8"),
        ("pixel", "i8"),  # where its pixels start
        ("sample", "i8"),  # where its rays start: cameras of one make share them
        ("low", "f8", (2,)),  # lowest u and v of its samples
        ("high", "f8", (2,)),
        ("focal", "f8"),  # pixels
        ("rotation", "f8", (3, 3)),  # cam_R_ego
        ("centre", "f8", (3,)),  # in the ego frame
    ]
)


class Lens(NamedTuple):
    """C cameras in flat arrays: samples row by row (2H x 2W), pixels row by row (H x W)."""

    camera: Array  # (C,) CAMERA
    ray: Array  # (2, samples) float32 u, v: a sample looks along (u, v, 1) in its camera's frame; nan where black
    column: Array  # (C, BINS, 2) int32: the first column of samples that may see a u in this bin, one beyond the last
    row: Array  # (C, BINS, 2) int32: the same of rows and v
    direction: Array  # (pixels, 3) float32: unit vector of each pixel's centre in the ego frame
    distance: Array  # (pixels,) float32: to the ground, m; infinite for the sky, -infinite for black corners
    spot: Array  # (pixels, 4) float32: middle of the patch of ground that it sees (ego frame), step from tap to tap
    taps: Array  # (pixels,) uint8: how many lookups stand for the patch, 0 for the sky
    level: Array  # (pixels,) uint8: of the ground's pyramid, as coarse as the patch is wide


def lens(rig: Rig, cell: float) -> Lens:
    """A rig's tables above a ground of cells of `cell` metres. Pixels for which the lens model has no ray stay black.

    Raises DataError on a camera that has only such pixels.
    """
    width, height = np.asarray(rig.size, np.int64).T
    camera = np.zeros(len(rig.names), CAMERA)
    camera["width"], camera["height"], camera["focal"] = width, height, rig.K[:, 0, 0]
    camera["pixel"] = np.cumsum(width * height) - width * height
    camera["rotation"], camera["centre"] = np.swapaxes(rig.ego_T_cam[:, :3, :3], 1, 2), rig.ego_T_cam[:, :3, 3]
    column, row = np.zeros((2, len(camera), BINS, 2), np.int32)
    makes: dict[object, int] = {}
    all_rays: list[Array] = []
    pixels: list[tuple[Array, ...]] = []
    for i, name in enumerate(rig.names):
        seen = _rays(int(width[i]), int(height[i]), rig.K[i], rig.distortion[i], rig.coefficients[i])  # (2H, 2W, 3)
        if not np.isfinite(seen).any():
            raise DataError(f"drawing camera {name}: its lens model has no ray for any pixel; K {rig.K[i].tolist()}")
        make = (*rig.size[i], rig.K[i].tobytes(), rig.distortion[i], rig.coefficients[i])
        if make not in makes:
            makes[make] = sum(len(part) for part in all_rays)
            all_rays.append(seen[..., :2].reshape(-1, 2))
        camera["sample"][i] = makes[make]
        camera["low"][i], camera["high"][i] = (
            np.nanmin(seen[..., :2], axis=(0, 1)),
            np.nanmax(seen[..., :2], axis=(0, 1)),
        )
        column[i], row[i] = _bins(seen[..., 0]), _bins(seen[..., 1].T)
        pixels.append(_pixels(seen, rig.ego_T_cam[i], cell))
    joined = (np.ascontiguousarray(np.concatenate(part)) for part in zip(*pixels, strict=True))
    return Lens(camera, np.ascontiguousarray(np.concatenate(all_rays).T.astype(np.float32)), column, row, *joined)


def _rays(width: int, height: int, K: Floats, distortion: str, coefficients: tuple[float, ...]) -> Floats:
    """Directions (2H, 2W, 3) of a camera's samples; nan where the lens model has none."""
    samples = np.stack(np.meshgrid((np.arange(2 * width) - 0.5) / 2, (np.arange(2 * height) - 0.5) / 2), -1)
    return rays(samples, K, distortion, coefficients)


def _quarters(grid: Floats) -> Floats:
    """(2H, 2W, n) samples as (H, W, 4, n): those of each pixel, row by row."""
    rows, columns, n = grid.shape
    split = grid.reshape(rows // 2, 2, columns // 2, 2, n)
    return np.swapaxes(split, 1, 2).reshape(rows // 2, columns // 2, 4, n)


def _bins(u: Floats) -> Array:
    """The columns that may see each bin of u (rows, columns), whatever the lens: (BINS, 2) first, one beyond last."""
    known = np.isfinite(u)
    edge = np.linspace(np.nanmin(u), np.nanmax(u), BINS + 1)
    highest = np.maximum.accumulate(np.where(known, u, -np.inf).max(axis=0))  # of a column and all to its left
    lowest = np.minimum.accumulate(np.where(known, u, np.inf).min(axis=0)[::-1])[::-1]
    first = np.searchsorted(highest, edge[:-1] - 1e-6, side="left")
    last = np.searchsorted(lowest, edge[1:] + 1e-6, side="right")
    return np.stack([first, last], axis=-1)


def _pixels(seen: Floats, ego_T_cam: Floats, cell: float) -> tuple[Array, Array, Array, Array, Array]:
    """Direction, distance, spot, taps and level of each pixel, see Lens, from its samples' rays (2H, 2W, 3).

    Taps lie along the longer side of the patch of ground that a pixel sees, and are as wide as the shorter. A lookup
    mixes the nearest four cells, so that taps may lie two cells apart.
    """
    centre = ego_T_cam[:3, 3]
    ahead = seen @ ego_T_cam[:3, :3].T
    pixel = _quarters(ahead).mean(axis=2)
    black = ~np.isfinite(pixel).all(axis=-1).ravel()
    ahead, pixel = (np.where(np.isfinite(rays_), rays_, [0.0, 0.0, 1.0]) for rays_ in (ahead, pixel))
    pixel /= np.linalg.norm(pixel, axis=-1, keepdims=True)
    corner = _quarters(_hit(ahead, centre))  # (H, W, 4, 2): the patch at its four samples
    middle = _hit(pixel, centre).reshape(-1, 2)
    across = (corner[:, :, 1] + corner[:, :, 3] - corner[:, :, 0] - corner[:, :, 2]).reshape(-1, 2)
    down = (corner[:, :, 2] + corner[:, :, 3] - corner[:, :, 0] - corner[:, :, 1]).reshape(-1, 2)
    widths = np.hypot(*across.T), np.hypot(*down.T)
    longer = np.where((widths[0] > widths[1])[:, None], across, down)
    major, minor = np.maximum(*widths), np.maximum(np.minimum(*widths), cell)
    below = (pixel.reshape(-1, 3)[:, 2] < 0) & ~black
    taps = np.clip(np.ceil(major / (2 * minor)), 1, MOST_TAPS)
    level = np.rint(np.log2(np.maximum(minor, major / (2 * taps)) / cell)).clip(0, 15)
    distance = np.where(
        below, np.hypot(np.hypot(*(middle - centre[:2]).T), centre[2]), np.where(black, -np.inf, np.inf)
    )
    return (
        pixel.reshape(-1, 3).astype(np.float32),
        distance.astype(np.float32),
        np.concatenate([middle, longer / taps[:, None]], axis=1).astype(np.float32),
        np.where(below, taps, 0).astype(np.uint8),
        level.astype(np.uint8),
    )


def _hit(directions: Floats, centre: Floats) -> Floats:
    """Where rays (..., 3) from a centre meet the ground, (..., 2), held at FARTHEST."""
    flat = np.hypot(directions[..., 0], directions[..., 1])
    t = centre[2] / np.maximum(-directions[..., 2], 1e-6 * np.maximum(flat, 1e-9))
    t = np.minimum(t, FARTHEST / np.maximum(flat, 1e-9))
    return np.asarray(centre[:2] + directions[..., :2] * t[..., None])
