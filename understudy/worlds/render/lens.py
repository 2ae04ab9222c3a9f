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
        ("pixel", "i8"),  # where its pixels start; its samples start at four times that
        ("low", "f8", (2,)),  # lowest u and v of its samples
        ("high", "f8", (2,)),
        ("focal", "f8"),  # pixels
        ("rotation", "f8", (3, 3)),  # cam_R_ego
        ("centre", "f8", (3,)),  # in the ego frame
    ]
)


class Lens(NamedTuple):
    """C cameras one behind the other in flat arrays: samples row by row (2H x 2W), pixels row by row (H x W)."""

    camera: Array  # (C,) CAMERA
    ray: Array  # (2, samples) float32 u, v: a sample looks along (u, v, 1) in its camera's frame
    column: Array  # (C, BINS, 2) int32: the first sample column that may see a u in this bin or above, one beyond the last
    row: Array  # (C, BINS, 2) int32: the same of rows and v
    direction: Array  # (pixels, 3) float32: unit vector of each pixel's centre in the ego frame
    distance: Array  # (pixels,) float32: to the ground, m; infinite for the sky
    spot: Array  # (pixels, 4) float32: middle of the patch of ground that it sees (ego frame), step from tap to tap
    taps: Array  # (pixels,) int64: how many lookups stand for the patch, 0 for the sky
    level: Array  # (pixels,) int64: of the ground's pyramid, as coarse as the patch is wide


def lens(rig: Rig, cell: float) -> Lens:
    """The tables of a rig above a ground of cells of `cell` metres. Raises DataError where the lens model has no ray."""
    parts = [_one(rig, camera, cell) for camera in range(len(rig.names))]
    rays, *pixels = (np.ascontiguousarray(np.concatenate(arrays)) for arrays in zip(*parts, strict=True))
    width, height = np.asarray(rig.size, np.int64).T
    camera = np.zeros(len(rig.names), CAMERA)
    camera["width"], camera["height"], camera["focal"] = width, height, rig.K[:, 0, 0]
    camera["pixel"] = np.cumsum(width * height) - width * height
    camera["rotation"], camera["centre"] = np.swapaxes(rig.ego_T_cam[:, :3, :3], 1, 2), rig.ego_T_cam[:, :3, 3]
    column, row = np.zeros((2, len(camera), BINS, 2), np.int32)
    for i, at in enumerate(camera["pixel"]):
        seen = rays[4 * at : 4 * (at + width[i] * height[i])].reshape(2 * height[i], 2 * width[i], 2)
        camera["low"][i], camera["high"][i] = seen.min(axis=(0, 1)), seen.max(axis=(0, 1))
        column[i], row[i] = _bins(seen[..., 0]), _bins(seen[..., 1].T)
    return Lens(camera, np.ascontiguousarray(rays.T), column, row, *pixels)


def _one(rig: Rig, camera: int, cell: float) -> tuple[Array, ...]:
    width, height = (int(side) for side in rig.size[camera])
    column, row = np.meshgrid((np.arange(2 * width) - 0.5) / 2, (np.arange(2 * height) - 0.5) / 2)
    seen = rays(np.stack([column, row], -1), rig.K[camera], rig.distortion[camera], rig.coefficients[camera])
    if not np.isfinite(seen).all():
        raise DataError(f"drawing camera {rig.names[camera]}: its lens model has no ray for some pixels; try a smaller picture")
    ego_R_cam, centre = rig.ego_T_cam[camera, :3, :3], rig.ego_T_cam[camera, :3, 3]
    ahead = seen @ ego_R_cam.T  # (2H, 2W, 3)
    pixel = _quarters(ahead).mean(axis=2)
    pixel /= np.linalg.norm(pixel, axis=-1, keepdims=True)
    return (
        seen[..., :2].reshape(-1, 2).astype(np.float32),
        pixel.reshape(-1, 3).astype(np.float32),
        *_patches(ahead, centre, pixel, cell),
    )


def _quarters(grid: Floats) -> Floats:
    """(2H, 2W, n) samples as (H, W, 4, n): those of each pixel, row by row."""
    rows, columns, n = grid.shape
    split = grid.reshape(rows // 2, 2, columns // 2, 2, n)
    return np.swapaxes(split, 1, 2).reshape(rows // 2, columns // 2, 4, n)


def _bins(u: Floats) -> Array:
    """For each bin of u (rows, columns), the columns that may see it (BINS, 2), whatever the lens: first, one beyond last."""
    edge = np.linspace(u.min(), u.max(), BINS + 1)
    highest = np.maximum.accumulate(u.max(axis=0))  # of a column and all to its left
    lowest = np.minimum.accumulate(u.min(axis=0)[::-1])[::-1]
    first = np.searchsorted(highest, edge[:-1] - 1e-6, side="left")
    last = np.searchsorted(lowest, edge[1:] + 1e-6, side="right")
    return np.stack([first, last], axis=-1)


def _patches(ahead: Floats, centre: Floats, pixel: Floats, cell: float) -> tuple[Array, Array, Array, Array]:
    """How far the ground is, and the taps that stand for the patch that each pixel sees: distance, spot, taps, level.

    Taps lie along the patch's longer side and are as wide as the shorter. A lookup mixes the nearest four cells, so that
    taps may lie two cells apart.
    """
    corner = _quarters(_hit(ahead, centre))  # (H, W, 4, 2): the patch at its four samples
    middle = _hit(pixel, centre).reshape(-1, 2)
    across = (corner[:, :, 1] + corner[:, :, 3] - corner[:, :, 0] - corner[:, :, 2]).reshape(-1, 2)
    down = (corner[:, :, 2] + corner[:, :, 3] - corner[:, :, 0] - corner[:, :, 1]).reshape(-1, 2)
    widths = np.hypot(*across.T), np.hypot(*down.T)
    longer = np.where((widths[0] > widths[1])[:, None], across, down)
    major, minor = np.maximum(*widths), np.maximum(np.minimum(*widths), cell)
    below = pixel.reshape(-1, 3)[:, 2] < 0
    taps = np.clip(np.ceil(major / (2 * minor)), 1, MOST_TAPS)
    level = np.rint(np.log2(np.maximum(minor, major / (2 * taps)) / cell)).clip(0, 15)
    spot = np.concatenate([middle, longer / taps[:, None]], axis=1)
    distance = np.where(below, np.hypot(np.hypot(*(middle - centre[:2]).T), centre[2]), np.inf)
    return distance.astype(np.float32), spot.astype(np.float32), np.where(below, taps, 0).astype(np.int64), level.astype(np.int64)


def _hit(directions: Floats, centre: Floats) -> Floats:
    """Where rays (..., 3) from a centre meet the ground, (..., 2), held at FARTHEST."""
    flat = np.hypot(directions[..., 0], directions[..., 1])
    t = centre[2] / np.maximum(-directions[..., 2], 1e-6 * np.maximum(flat, 1e-9))
    t = np.minimum(t, FARTHEST / np.maximum(flat, 1e-9))
    return np.asarray(centre[:2] + directions[..., :2] * t[..., None])
