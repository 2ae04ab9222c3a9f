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
MOST_TAPS = 6


CAMERA = np.dtype(
    [
        ("width", "i8"),
        ("height", "i8"),
        ("pixel", "i8"),  # where its pixels start; its samples start at four times that
        ("row", "i8"),  # where its rows of samples start
        ("column", "i8"),
        ("focal", "f8"),  # pixels
        ("rotation", "f8", (3, 3)),  # cam_R_ego
        ("centre", "f8", (3,)),  # in the ego frame
    ]
)


class Lens(NamedTuple):
    """C cameras one behind the other in flat arrays: samples row by row (2H x 2W), pixels row by row (H x W)."""

    camera: Array  # (C,) CAMERA
    ray: Array  # (2, samples) float32 u, v: a sample looks along (u, v, 1) in its camera's frame
    column: Array  # (columns, 2) float32: no sample to the right has a lower u, and none to the left a higher one
    row: Array  # (rows, 2) float32 the same of v, down and up
    direction: Array  # (pixels, 3) float32: unit vector of each pixel's centre in the ego frame
    distance: Array  # (pixels,) float32: to the ground, m; infinite for the sky
    tap_start: Array  # (pixels + 1,) int32
    tap: Array  # (taps, 2) float32: spots on the ground in the ego frame
    level: Array  # (taps,) int8: of the pyramid, as coarse as what the tap stands for is wide


def lens(rig: Rig, cell: float) -> Lens:
    """The tables of a rig above a ground of cells of `cell` metres. Raises DataError where the lens model has no ray."""
    parts = [_one(rig, camera, cell) for camera in range(len(rig.names))]
    joined = [np.ascontiguousarray(np.concatenate(arrays)) for arrays in zip(*parts, strict=True)]
    rays, column, row, direction, distance, taps, spots, level = joined
    width, height = np.asarray(rig.size, np.int64).T
    camera = np.zeros(len(rig.names), CAMERA)
    camera["width"], camera["height"], camera["focal"] = width, height, rig.K[:, 0, 0]
    for name, size in (("pixel", width * height), ("row", 2 * height), ("column", 2 * width)):
        camera[name] = np.cumsum(size) - size
    camera["rotation"], camera["centre"] = np.swapaxes(rig.ego_T_cam[:, :3, :3], 1, 2), rig.ego_T_cam[:, :3, 3]
    tap_start = np.concatenate([[0], np.cumsum(taps)]).astype(np.int32)
    return Lens(camera, np.ascontiguousarray(rays.T), column, row, direction, distance, tap_start, spots, level)


def _one(rig: Rig, camera: int, cell: float) -> tuple[Array, ...]:
    width, height = (int(side) for side in rig.size[camera])
    column, row = np.meshgrid((np.arange(2 * width) - 0.5) / 2, (np.arange(2 * height) - 0.5) / 2)
    seen = rays(np.stack([column, row], -1), rig.K[camera], rig.distortion[camera], rig.coefficients[camera])
    if not np.isfinite(seen).all():
        raise DataError(f"drawing camera {rig.names[camera]}: its lens model has no ray for some pixels; try a smaller picture")
    u, v = seen[..., 0], seen[..., 1]
    ego_R_cam, centre = rig.ego_T_cam[camera, :3, :3], rig.ego_T_cam[camera, :3, 3]
    ahead = seen @ ego_R_cam.T  # (2H, 2W, 3)
    pixel = _quarters(ahead).mean(axis=2)
    pixel /= np.linalg.norm(pixel, axis=-1, keepdims=True)
    taps, spots, level, distance = _taps(ahead, centre, pixel, cell)
    return (
        seen[..., :2].reshape(-1, 2).astype(np.float32),
        _monotone(u.min(axis=0), u.max(axis=0)),
        _monotone(v.min(axis=1), v.max(axis=1)),
        pixel.reshape(-1, 3).astype(np.float32),
        distance.astype(np.float32),
        taps,
        spots,
        level,
    )


def _quarters(grid: Floats) -> Floats:
    """(2H, 2W, n) samples as (H, W, 4, n): those of each pixel, row by row."""
    rows, columns, n = grid.shape
    split = grid.reshape(rows // 2, 2, columns // 2, 2, n)
    return np.swapaxes(split, 1, 2).reshape(rows // 2, columns // 2, 4, n)


def _monotone(low: Floats, high: Floats) -> Array:
    """Bounds (n, 2) made to rise, so that the columns that may see a span of u are found by bisection whatever the lens."""
    low = np.minimum.accumulate(low[::-1])[::-1]
    return np.stack([low, np.maximum.accumulate(high)], axis=-1).astype(np.float32)


def _taps(ahead: Floats, centre: Floats, pixel: Floats, cell: float) -> tuple[Array, Array, Array, Floats]:
    """Spots that stand for the patch of ground below each pixel: several along its longer side, each as wide as the shorter.

    Returns how many each pixel has (P,), the spots (n, 2), their levels (n,), and the distance to the ground (P,).
    """
    corner = _quarters(_hit(ahead, centre))  # (H, W, 4, 2): the patch at its four samples
    middle = _hit(pixel, centre).reshape(-1, 2)
    across = (corner[:, :, 1] + corner[:, :, 3] - corner[:, :, 0] - corner[:, :, 2]).reshape(-1, 2)
    down = (corner[:, :, 2] + corner[:, :, 3] - corner[:, :, 0] - corner[:, :, 1]).reshape(-1, 2)
    widths = np.hypot(*across.T), np.hypot(*down.T)
    longer = np.where((widths[0] > widths[1])[:, None], across, down)
    major, minor = np.maximum(*widths), np.maximum(np.minimum(*widths), cell)
    below = pixel.reshape(-1, 3)[:, 2] < 0
    taps = np.where(below, np.clip(np.ceil(major / minor - 0.25), 1, MOST_TAPS), 0).astype(np.int64)
    level = np.rint(np.log2(np.maximum(minor, major / np.maximum(taps, 1)) / cell)).clip(0, 15)
    owner = np.repeat(np.arange(len(taps)), taps)
    nth = np.arange(len(owner)) - np.repeat(np.cumsum(taps) - taps, taps)
    share = (nth + 0.5) / taps[owner] - 0.5
    spots = middle[owner] + share[:, None] * longer[owner]
    distance = np.where(below, np.hypot(np.hypot(*(middle - centre[:2]).T), centre[2]), np.inf)
    return taps, spots.astype(np.float32), level[owner].astype(np.int8), distance


def _hit(directions: Floats, centre: Floats) -> Floats:
    """Where rays (..., 3) from a centre meet the ground, (..., 2), held at FARTHEST."""
    flat = np.hypot(directions[..., 0], directions[..., 1])
    t = centre[2] / np.maximum(-directions[..., 2], 1e-6 * np.maximum(flat, 1e-9))
    t = np.minimum(t, FARTHEST / np.maximum(flat, 1e-9))
    return np.asarray(centre[:2] + directions[..., :2] * t[..., None])
