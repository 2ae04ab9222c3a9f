"""The city's cameras: what a rig sees of a scene at an instant, drawn on one processor core.

The ground is looked up (each pixel knows from its rig which spots of it it sees), solids are drawn into four samples a
pixel with a depth buffer, and light, air, water, lens and sensor follow. Same arguments, same pictures, to the bit, on
processors of one kind.

    renderer = Renderer(default_rig(), Scene(rasterise(town), fixed, weather("rain")))
    seen = renderer.render(pose, moving, seed=7)
    seen.pictures[0]  # (64, 128, 3) uint8
    seen.visible[0]   # (N,) pixels of the front camera that show each of the moving solids
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from understudy.errors import DataError, ShapeError
from understudy.records import Array, Floats, Rig
from understudy.worlds.render.draw import PLACED, canvas, visible
from understudy.worlds.render.lens import lens
from understudy.worlds.render.look import look
from understudy.worlds.render.patches import patches
from understudy.worlds.render.pyramid import pyramid
from understudy.worlds.render.raster import Screen
from understudy.worlds.render.shade import pictures, surroundings
from understudy.worlds.render.shapes import TEMPLATES
from understudy.worlds.scene import SOLID, Scene, Shape

__all__ = ["Renderer", "Seen"]


def _forget_stale() -> None:
    """Numba keeps compiled code until its own file changes; ours calls across files, so any change must count."""
    here = Path(__file__).parent
    newest = max(file.stat().st_mtime for file in here.glob("*.py"))
    for index in here.glob("__pycache__/*.nbi"):
        if index.stat().st_mtime < newest:
            index.unlink(missing_ok=True)


_forget_stale()


@dataclass(frozen=True, slots=True)
class Seen:
    """What the cameras of a rig saw at one instant."""

    pictures: tuple[Array, ...]  # one (H, W, 3) uint8 RGB per camera
    visible: Array  # (C, N) float32 pixels that show each moving solid, occlusion taken off


class Renderer:
    """Draws one scene through one rig.

    The rig is the true one: for a camera that was knocked out of calibration, draw with `rig.knocked(...)` and tell the
    policy the rig as it was measured. Making a renderer takes some tens of milliseconds.
    """

    def __init__(self, rig: Rig, scene: Scene, seed: int = 0) -> None:
        self._sizes = [(int(width), int(height)) for width, height in rig.size]
        self._lens = lens(rig, 2 * scene.ground.cell)
        self._look = look(scene, self._sizes, seed)
        self._pyramid = pyramid(scene.ground)
        self._patches = patches(self._lens, self._pyramid, self._look.clear)
        self._fixed = _checked(scene.fixed)
        self._canvas = canvas(max(width * height for width, height in self._sizes))

    def render(self, pose: Floats, moving: Array, seed: int = 0) -> Seen:
        """Pictures from map_T_ego (3,) with the solids (N,) SOLID that are there now; the seed is for noise, rain."""
        moving = _checked(moving)
        out = np.empty((len(self._lens.direction), 3), np.uint8)
        counts = np.zeros((len(self._sizes), len(moving)), np.int32)
        pictures(
            self._fixed, moving, self._room(moving), _finite(pose), seed & 0xFFFFFFFF,
            self._lens, self._look, self._pyramid, self._patches, TEMPLATES, self._canvas, out, counts,
        )  # fmt: skip
        first = self._lens.camera["pixel"]
        views = tuple(out[p : p + w * h].reshape(h, w, 3) for p, (w, h) in zip(first, self._sizes, strict=True))
        return Seen(views, (counts / 4).astype(np.float32))

    def measure(self, pose: Floats, moving: Array, camera: int) -> tuple[Array, Array]:
        """Depth along the camera's axis (H, W) in metres, infinite for ground and sky, and the row in `moving` (H, W)
        of the solid seen, -1 for ground and sky, -2 for fixed ones; at one sample of each pixel."""
        moving = _checked(moving)
        width, height = self._sizes[camera]
        lens_, canvas_, n = self._lens, self._canvas, 4 * width * height
        one = lens_.camera[camera]
        u, v = lens_.ray[:, one["sample"] : one["sample"] + n]
        depth, face, faces = canvas_.inverse_depth[:n], canvas_.face[:n], canvas_.faces
        screen = Screen(u, v, lens_.column[camera], lens_.row[camera], depth, face)
        placed, sun = surroundings(
            self._fixed, moving, self._room(moving), _finite(pose), lens_, self._look, self._pyramid.origin
        )
        visible(one, screen, placed, sun, self._look, TEMPLATES, faces)
        depth, face = (samples.reshape(2 * height, 2 * width)[::2, ::2] for samples in (depth, face))
        owner = np.where(faces["owner"][face] < 0, -2, faces["owner"][face])
        with np.errstate(divide="ignore"):
            return np.where(face < 0, np.inf, 1 / depth), np.where(face < 0, -1, owner)

    def _room(self, moving: Array) -> Array:
        return np.empty(len(self._fixed) + len(moving), PLACED)


def _finite(pose: Floats) -> Floats:
    pose = np.asarray(pose, float)
    if pose.shape != (3,) or not np.isfinite(pose).all():
        raise DataError(f"drawing: the pose is {pose.tolist()}, expected x, y, yaw")
    return pose


def _checked(solids: Array) -> Array:
    """The solids, sound: kernels trust what they are given."""
    if solids.dtype != SOLID or solids.ndim != 1:
        raise ShapeError(
            f"drawing: solids are {solids.dtype} {solids.shape}, expected (N,) SOLID; make them by solids()"
        )
    numbers = np.stack([solids[name] for name in ("x", "y", "z", "yaw", "length", "width", "height")])
    bad = ~np.isfinite(numbers).all(axis=0) | (numbers[4:] <= 0).any(axis=0) | (solids["shape"] >= len(Shape))
    if bad.any():
        raise DataError(f"drawing: solid {int(np.argmax(bad))} cannot be drawn: {solids[np.argmax(bad)]}")
    return np.ascontiguousarray(solids)
