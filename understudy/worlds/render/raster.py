"""Quads into samples: which of many faces each sample of a camera sees, and how far it is.

A face covers a sample when the sample's ray lies inside the pyramid of the camera's centre and the face's corners. That
needs no clipping and no straight lines in the picture, so any lens is drawn exactly (after M. Olano and T. Greer,
"Triangle Scan Conversion using 2D Homogeneous Coordinates", 1997). Along a row the four tests and the depth are linear,
which compilers turn into vector instructions.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from understudy.records import Array
from understudy.worlds.render.lens import BINS

# Without Python's test for a division by zero, which would keep loops from being vectorised. A product and a sum may be
# one instruction, which saves 7 % of drawing; so pictures are equal to the bit on processors of one kind only.
# Where a rounding decides, `exact` (it has to be said, or callers' settings count): a quad with two equal corners is a
# triangle if they stay equal.
kernel = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
exact = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=False)
NEAR = 0.05  # m
_F = np.float32


class Screen(NamedTuple):
    """The samples of one camera, (2H * 2W,) each, and where to look for them."""

    u: Array  # float32; a sample looks along (u, v, 1)
    v: Array
    column: Array  # (BINS, 2), see Lens
    row: Array
    inverse_depth: Array  # float32, 0 where nothing is
    face: Array  # int32 index of the face that it shows, or NOTHING, SUN_SHADOW, CONTACT_SHADOW


@kernel
def minus(a, b):
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


@kernel
def dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@exact
def cross(a, b):
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@kernel
def turned(matrix, a):
    """A matrix (3, 3) times a vector."""
    return (
        matrix[0, 0] * a[0] + matrix[0, 1] * a[1] + matrix[0, 2] * a[2],
        matrix[1, 0] * a[0] + matrix[1, 1] * a[1] + matrix[1, 2] * a[2],
        matrix[2, 0] * a[0] + matrix[2, 1] * a[1] + matrix[2, 2] * a[2],
    )


@kernel
def quad(index, flat, a, b, c, d, camera, screen):
    """Draws the convex quad a, b, c, d (camera frame; counter-clockwise seen from outside) into samples.

    `flat` > 0 gives it that inverse depth throughout. Returns its plane (the inverse depth of a ray is their product),
    or zeros where it looks away or misses the picture.
    """
    left, right = _widened(_widened(_widened(_widened((1e9, -1e9), 0, a, b), 0, b, c), 0, c, d), 0, d, a)
    upper, lower = _widened(_widened(_widened(_widened((1e9, -1e9), 1, a, b), 1, b, c), 1, c, d), 1, d, a)
    if left > camera.high[0] or right < camera.low[0] or upper > camera.high[1] or lower < camera.low[1]:
        return 0.0, 0.0, 0.0
    normal = cross(minus(c, a), minus(d, b))
    away = dot(normal, a)
    if away >= 0:
        return 0.0, 0.0, 0.0
    c0, c1 = _span(left, right, camera.low[0], camera.high[0], screen.column)
    r0, r1 = _span(upper, lower, camera.low[1], camera.high[1], screen.row)
    if c0 >= c1 or r0 >= r1:
        return 0.0, 0.0, 0.0
    scale = 1.0 / away
    plane = normal[0] * scale, normal[1] * scale, normal[2] * scale
    near = (_F(0), _F(0), _F(flat)) if flat > 0 else (_F(plane[0]), _F(plane[1]), _F(plane[2]))
    edges = _edge(a, b), _edge(b, c), _edge(c, d), _edge(d, a)
    _fill(np.int32(index), edges, near, (c0, c1, r0, r1), 2 * camera.width, screen)
    return plane


@kernel
def _widened(bounds, axis, a, b):
    """Bounds of u (axis 0) or v (axis 1) that take in a corner, and where the edge beyond passes the near plane."""
    low, high = bounds
    if a[2] >= NEAR:
        at = a[axis] / a[2]
        low, high = min(low, at), max(high, at)
    if (a[2] < NEAR) != (b[2] < NEAR):
        at = (a[axis] + (NEAR - a[2]) / (b[2] - a[2]) * (b[axis] - a[axis])) / NEAR
        low, high = min(low, at), max(high, at)
    return low, high


@kernel
def _span(low, high, lowest, highest, bins):
    """The columns (or rows) that may see a stretch of u (or v): first, one beyond last."""
    scale = BINS / (highest - lowest)
    first = bins[min(int(max((low - lowest) * scale, 0.0)), BINS - 1), 0]
    return first, bins[min(int((high - lowest) * scale), BINS - 1), 1]


@kernel
def _edge(a, b):
    """The plane through the camera's centre and an edge; rays inside lie on its positive side."""
    e = cross(b, a)
    return _F(e[0]), _F(e[1]), _F(e[2])


@kernel
def _fill(index, edges, plane, block, width, screen):
    """Samples of a block (columns from, to, rows from, to) that the quad covers and nothing nearer does."""
    ab, bc, cd, da = edges
    u, v, depth, face = screen.u, screen.v, screen.inverse_depth, screen.face
    c0, c1, r0, r1 = block
    for r in range(r0, r1):
        first = np.uint64(r * width + c0)  # unsigned (never counted from the end) and no branch: vectorised
        for c in range(c1 - c0):
            k = first + np.uint64(c)
            x, y = u[k], v[k]
            near = plane[0] * x + plane[1] * y + plane[2]
            inside = (
                (ab[0] * x + ab[1] * y + ab[2] >= 0)
                & (bc[0] * x + bc[1] * y + bc[2] >= 0)
                & (cd[0] * x + cd[1] * y + cd[2] >= 0)
                & (da[0] * x + da[1] * y + da[2] >= 0)
                & (near > depth[k])
            )
            depth[k] = near if inside else depth[k]
            face[k] = index if inside else face[k]
