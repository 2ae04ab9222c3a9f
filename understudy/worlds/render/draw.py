"""Solids into samples: which face each sample of a camera sees, and how far it is.

A face covers a sample when the sample's ray lies inside the pyramid of the camera's centre and the face's corners. That
needs no clipping and no straight lines in the picture, so any lens is drawn exactly (after M. Olano and T. Greer,
"Triangle Scan Conversion using 2D Homogeneous Coordinates", 1997). Along a row the four tests and the depth are linear,
which compilers turn into vector instructions.

The ground is flat and everything stands on it, so that whatever covers a sample lies before the ground.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from understudy.records import Array
from understudy.worlds.render.lens import BINS
from understudy.worlds.render.look import FOG_STEP, NOISE_SIDE
from understudy.worlds.render.shapes import LEAVES, PLAIN, SHOPS, STRIPES
from understudy.worlds.scene import Shape

NOTHING, SUN_SHADOW, CONTACT_SHADOW = -1, -2, -3  # what a sample shows when it shows no face
NEAR = 0.05  # m
FACES = 32_000  # a camera's most
FAR, DOT = 32.0, 13.0  # pixels: below which a solid is drawn from its simpler templates
REACH = 260.0  # m: solids beyond are not drawn
SHADOW_REACH = 70.0
FLOOR, BAY = 3.1, 2.7  # m from window to window
_LAST_MOVER = int(Shape.EMERGENCY)
_SIGNAL, _TREE, _CONIFER, _LAMP_POST = int(Shape.SIGNAL), int(Shape.TREE), int(Shape.CONIFER), int(Shape.LAMP_POST)


FACE = np.dtype(
    [
        ("colour", "f4", (3,)),  # light that it sends; through the air already if it has no texture
        ("owner", "i4"),  # row of its solid among the moving ones, -1 for fixed ones
        ("texture", "i4"),
        ("seed", "i4"),
        ("steep", "f4"),  # cosine between its normal and the view
        ("along", "f4", (4,)),  # metres along it are depth * (along[:3] ray) + along[3]
        ("up", "f4", (4,)),  # and metres up from its solid's base
    ]
)


class Canvas(NamedTuple):
    """Where one camera at a time is drawn; kept from picture to picture."""

    inverse_depth: Array  # (samples,) float32, 0 where nothing is
    face: Array  # (samples,) int32: index of a face, or NOTHING, SUN_SHADOW, CONTACT_SHADOW
    faces: Array  # (FACES,) FACE
    light: Array  # (pixels, 3) float32
    open: Array  # (pixels, 3) uint8 samples that show no solid; of these, in the sun's shadow and below a vehicle
    mirror: Array  # (pixels,) float32: share of mirrored light; -1 where it is not ground


def canvas(pixels: int) -> Canvas:
    """Room for a camera of so many pixels."""
    return Canvas(
        np.empty(4 * pixels, np.float32), np.empty(4 * pixels, np.int32), np.zeros(FACES, FACE),
        np.empty((pixels, 3), np.float32), np.empty((pixels, 3), np.uint8), np.empty(pixels, np.float32),
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def visible(camera, fixed, moving, pose, origin, u, v, column, row, light, material, clear, lamps, templates, inverse_depth, face, faces):  # type: ignore[no-untyped-def]
    """Which face each of a camera's samples shows."""
    inverse_depth[:] = 0.0
    face[:] = NOTHING
    corner, edge, plane = np.empty((4, 3)), np.empty((4, 3), np.float32), np.empty(3, np.float32)
    for solids in (fixed, moving):
        _shadows(solids, pose, camera, light, corner, edge, plane, u, v, column, row, inverse_depth, face)
    used = 0
    for solids, first in ((moving, 0), (fixed, -1)):
        used = _draw(solids, first, used, pose, origin, camera, u, v, column, row, light, material, clear, lamps, templates, corner, edge, plane, inverse_depth, face, faces)  # fmt: skip


@numba.njit(cache=True, nogil=True)
def fill(index, edge, plane, c0, c1, r0, r1, width, u, v, inverse_depth, face):  # type: ignore[no-untyped-def]
    """Samples of a block of rows and columns that the quad covers and nothing nearer does."""
    a0, b0, d0 = edge[0, 0], edge[0, 1], edge[0, 2]
    a1, b1, d1 = edge[1, 0], edge[1, 1], edge[1, 2]
    a2, b2, d2 = edge[2, 0], edge[2, 1], edge[2, 2]
    a3, b3, d3 = edge[3, 0], edge[3, 1], edge[3, 2]
    pa, pb, pc = plane[0], plane[1], plane[2]
    for r in range(r0, r1):
        first, last = r * width + c0, r * width + c1
        row_u, row_v, row_depth, row_face = u[first:last], v[first:last], inverse_depth[first:last], face[first:last]
        for k in range(len(row_u)):  # slices and no branch: so that this loop is vectorised
            x, y = row_u[k], row_v[k]
            near = pa * x + pb * y + pc
            inside = (
                (a0 * x + b0 * y + d0 >= 0)
                & (a1 * x + b1 * y + d1 >= 0)
                & (a2 * x + b2 * y + d2 >= 0)
                & (a3 * x + b3 * y + d3 >= 0)
                & (near > row_depth[k])
            )
            row_depth[k] = near if inside else row_depth[k]
            row_face[k] = index if inside else row_face[k]


@numba.njit(cache=True, nogil=True)
def _quad(index, flat, camera, corner, edge, plane, u, v, column, row, inverse_depth, face):  # type: ignore[no-untyped-def]
    """Draws the convex quad `corner` (4, 3), in the camera's frame; `flat` > 0 gives it that inverse depth throughout.

    Returns whether it faces the camera and may meet the picture. Its plane is left in `plane`: inverse depth by ray.
    """
    low_u, high_u, low_v, high_v = 1e9, -1e9, 1e9, -1e9
    for i in range(4):
        z = corner[i, 2]
        if z >= NEAR:
            t = 1.0 / z
            a, b = corner[i, 0] * t, corner[i, 1] * t
            low_u, high_u, low_v, high_v = min(low_u, a), max(high_u, a), min(low_v, b), max(high_v, b)
        j = (i + 1) & 3
        if (z < NEAR) != (corner[j, 2] < NEAR):  # the bounds take in where this edge passes the near plane
            t = (NEAR - z) / (corner[j, 2] - z)
            a, b = (corner[i, 0] + t * (corner[j, 0] - corner[i, 0])) / NEAR, (corner[i, 1] + t * (corner[j, 1] - corner[i, 1])) / NEAR
            low_u, high_u, low_v, high_v = min(low_u, a), max(high_u, a), min(low_v, b), max(high_v, b)
    left, right, upper, lower = camera.low[0], camera.high[0], camera.low[1], camera.high[1]
    if low_u > right or high_u < left or low_v > lower or high_v < upper:
        return False
    bins = BINS / (right - left)
    c0 = column[int(max((low_u - left) * bins, 0.0)) & (BINS - 1), 0]
    c1 = column[min(int((high_u - left) * bins), BINS - 1), 1]
    bins = BINS / (lower - upper)
    r0 = row[int(max((low_v - upper) * bins, 0.0)) & (BINS - 1), 0]
    r1 = row[min(int((high_v - upper) * bins), BINS - 1), 1]
    if c0 >= c1 or r0 >= r1:
        return False
    # The plane n p = d; the corners run counter-clockwise as seen from where n points.
    ax, ay, az = corner[2, 0] - corner[0, 0], corner[2, 1] - corner[0, 1], corner[2, 2] - corner[0, 2]
    bx, by, bz = corner[3, 0] - corner[1, 0], corner[3, 1] - corner[1, 1], corner[3, 2] - corner[1, 2]
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    d = nx * corner[0, 0] + ny * corner[0, 1] + nz * corner[0, 2]
    if d >= 0:
        return False
    for i in range(4):
        j = (i + 1) & 3
        edge[i, 0] = corner[i, 2] * corner[j, 1] - corner[i, 1] * corner[j, 2]
        edge[i, 1] = corner[i, 0] * corner[j, 2] - corner[i, 2] * corner[j, 0]
        edge[i, 2] = corner[i, 1] * corner[j, 0] - corner[i, 0] * corner[j, 1]
    if flat > 0:
        plane[0], plane[1], plane[2] = 0.0, 0.0, flat
    else:
        t = 1.0 / d
        plane[0], plane[1], plane[2] = nx * t, ny * t, nz * t
    fill(np.int32(index), edge, plane, c0, c1, r0, r1, 2 * camera.width, u, v, inverse_depth, face)
    return True


@numba.njit(cache=True, nogil=True)
def _outside(x, y, z, ball, camera):  # type: ignore[no-untyped-def]
    """Whether a ball around a spot of the ego frame lies beyond one of the picture's four sides, or behind the camera."""
    rotation = camera.rotation
    x, y, z = x - camera.centre[0], y - camera.centre[1], z - camera.centre[2]
    ahead = rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z
    if ahead < -ball:
        return True
    across = rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z
    left, right = camera.low[0], camera.high[0]
    reach = ball * np.sqrt(1 + max(left * left, right * right))
    if across - right * ahead > reach or left * ahead - across > reach:
        return True
    down = rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z
    upper, lower = camera.low[1], camera.high[1]
    reach = ball * np.sqrt(1 + max(upper * upper, lower * lower))
    return down - lower * ahead > reach or upper * ahead - down > reach


@numba.njit(cache=True, nogil=True)
def _shadows(solids, pose, camera, light, corner, edge, plane, u, v, column, row, inverse_depth, face):  # type: ignore[no-untyped-def]
    """The sun's shadows of solids, and the darkness below vehicles, as areas of the ground."""
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    sun_x, sun_y, sun_z = light.toward_sun
    sun_x, sun_y = cos * sun_x + sin * sun_y, cos * sun_y - sin * sun_x  # ego frame
    sunny = light.sun[0] > 0.01 and sun_z > 0.03
    ring = np.empty((8, 2))
    for i in range(len(solids)):
        s = solids[i]
        dx, dy = s.x - pose[0], s.y - pose[1]
        if dx * dx + dy * dy > SHADOW_REACH * SHADOW_REACH or s.shape == _SIGNAL:
            continue
        x, y = cos * dx + sin * dy, cos * dy - sin * dx
        turn = s.yaw - pose[2]
        fx, fy = np.cos(turn) * s.length / 2, np.sin(turn) * s.length / 2
        lx, ly = -np.sin(turn) * s.width / 2, np.cos(turn) * s.width / 2
        if s.shape == _LAMP_POST:
            fx, fy = fx * 0.05, fy * 0.05
        top = s.z + s.height
        reach = min(1 / sun_z, 60.0 / top) if sunny else 0.0
        ball = 0.55 * np.sqrt(s.length * s.length + s.width * s.width) + top * reach / 2
        if _outside(x - sun_x * reach * top / 2, y - sun_y * reach * top / 2, 0.0, ball, camera):
            continue
        if sunny:
            foot = top * 0.3 if s.shape == _TREE or s.shape == _CONIFER else s.z
            rear = 0  # the corner nearest to the sun
            for j in range(4):
                a, b = (1 if j in (0, 3) else -1), (1 if j in (0, 1) else -1)
                px, py = x + a * fx + b * lx, y + a * fy + b * ly
                ring[j, 0], ring[j, 1] = px - sun_x * reach * foot, py - sun_y * reach * foot
                ring[j + 4, 0], ring[j + 4, 1] = px - sun_x * reach * top, py - sun_y * reach * top
                if px * sun_x + py * sun_y > ring[rear, 0] * sun_x + ring[rear, 1] * sun_y + reach * foot * (sun_x * sun_x + sun_y * sun_y):
                    rear = j
            # A box's shadow is a hexagon: its base and its top's shadow, without the corner of each that lies inside.
            left, right, ahead = (rear + 1) & 3, (rear + 3) & 3, (rear + 2) & 3
            _on_ground(SUN_SHADOW, 1e-7, ring, (rear, left, left + 4, ahead + 4), camera, corner, edge, plane, u, v, column, row, inverse_depth, face)
            _on_ground(SUN_SHADOW, 1e-7, ring, (rear, ahead + 4, right + 4, right), camera, corner, edge, plane, u, v, column, row, inverse_depth, face)
        if s.shape <= _LAST_MOVER and s.z < 0.5:
            for j in range(4):
                a, b = (1.02 if j in (0, 3) else -1.02), (1.1 if j in (0, 1) else -1.1)
                ring[j, 0], ring[j, 1] = x + a * fx + b * lx, y + a * fy + b * ly
            _on_ground(CONTACT_SHADOW, 2e-7, ring, (0, 1, 2, 3), camera, corner, edge, plane, u, v, column, row, inverse_depth, face)


@numba.njit(cache=True, nogil=True)
def _on_ground(index, flat, ring, at, camera, corner, edge, plane, u, v, column, row, inverse_depth, face):  # type: ignore[no-untyped-def]
    """A quad of the ground from four corners (ego frame) that run either way round."""
    ax, ay = ring[at[2], 0] - ring[at[0], 0], ring[at[2], 1] - ring[at[0], 1]
    bx, by = ring[at[3], 0] - ring[at[1], 0], ring[at[3], 1] - ring[at[1], 1]
    clockwise = ax * by < ay * bx
    centre, rotation = camera.centre, camera.rotation
    for j in range(4):
        i = at[3 - j if clockwise else j]
        x, y, z = ring[i, 0] - centre[0], ring[i, 1] - centre[1], -centre[2]
        for k in range(3):
            corner[j, k] = rotation[k, 0] * x + rotation[k, 1] * y + rotation[k, 2] * z
    _quad(index, flat, camera, corner, edge, plane, u, v, column, row, inverse_depth, face)


@numba.njit(cache=True, nogil=True)
def transmittance(distance, clear):  # type: ignore[no-untyped-def]
    """Share of the light that comes through so much air."""
    return clear[min(int(distance / FOG_STEP), len(clear) - 1)]


@numba.njit(cache=True, nogil=True)
def headlight(x, y, z):  # type: ignore[no-untyped-def]
    """The ego's low beam at a spot in its frame: a lobe ahead of the bumper that ends at the height of the lamps."""
    ahead = x - 3.7
    if ahead <= 0.0:
        return 0.0
    across = y / (0.28 * ahead + 0.9)
    above = max(z - 0.7 - 0.01 * ahead, 0.0) / (0.03 * ahead + 0.2)
    across, fall, above = across * across, ahead / 16.0, above * above
    return 1.1 / ((1.0 + across * across) * (1.0 + fall * fall) * (1.0 + above * above)) * min(ahead / 2.0, 1.0)


@numba.njit(cache=True, nogil=True)
def lamplight(table, x, y):  # type: ignore[no-untyped-def]
    """Street lamps' light at a spot, x and y in metres from the ground's origin."""
    row, column = int(y), int(x)
    if 0 <= row < table.shape[0] - 1 and 0 <= column < table.shape[1] - 1:
        fy, fx = y - row, x - column
        low = table[row, column] * (1 - fx) + table[row, column + 1] * fx
        high = table[row + 1, column] * (1 - fx) + table[row + 1, column + 1] * fx
        return low * (1 - fy) + high * fy
    return 0.0


@numba.njit(cache=True, nogil=True)
def _draw(solids, first, used, pose, origin, camera, u, v, column, row, light, material, clear, lamps, templates, corner, edge, plane, inverse_depth, face, faces):  # type: ignore[no-untyped-def]  # fmt: skip
    """All solids that a camera may see. Returns how many faces are in use now."""
    start, quads, planes, code = templates
    rotation, centre = camera.rotation, camera.centre
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    base, body = np.empty(3), np.empty((3, 3))
    for i in range(len(solids)):
        s = solids[i]
        dx, dy = s.x - pose[0], s.y - pose[1]
        if dx * dx + dy * dy > REACH * REACH:
            continue
        x, y, z = cos * dx + sin * dy, cos * dy - sin * dx, s.z
        ball = 0.55 * np.sqrt(s.length * s.length + s.width * s.width + s.height * s.height)
        if _outside(x, y, z + s.height / 2, ball, camera):
            continue
        for k in range(3):
            base[k] = rotation[k, 0] * (x - centre[0]) + rotation[k, 1] * (y - centre[1]) + rotation[k, 2] * (z - centre[2])
        pixels = 2 * ball * camera.focal / max(base[2], ball)
        if pixels < 0.6:
            continue
        turn = s.yaw - pose[2]
        c, w = np.cos(turn), np.sin(turn)
        for k in range(3):  # camera frame from the unit box
            body[k, 0] = (rotation[k, 0] * c + rotation[k, 1] * w) * s.length
            body[k, 1] = (rotation[k, 1] * c - rotation[k, 0] * w) * s.width
            body[k, 2] = rotation[k, 2] * s.height
        bits = 1 << s.state if s.shape == _SIGNAL else np.int64(s.state)
        lit = 0.0
        if light.lamps > 0:
            ahead = x - min(s.length / 2, 3.0)
            lit = lamplight(lamps, s.x - origin[0], s.y - origin[1]) + 0.8 * headlight(ahead, y, z + s.height / 2)
        template = 3 * s.shape + (2 if pixels < DOT else 1 if pixels < FAR else 0)
        # The camera in the unit box: whichever way the box is stretched, it stays on its side of each face.
        x, y, z = centre[0] - x, centre[1] - y, centre[2] - z
        x, y, z = (c * x + w * y) / s.length, (c * y - w * x) / s.width, z / s.height
        for q in range(start[template], start[template + 1]):
            if planes[q, 0] * x + planes[q, 1] * y + planes[q, 2] * z <= planes[q, 3]:
                continue
            if used == len(faces):
                return used
            for j in range(4):
                for k in range(3):
                    corner[j, k] = base[k] + body[k, 0] * quads[q, j, 0] + body[k, 1] * quads[q, j, 1] + body[k, 2] * quads[q, j, 2]
            if _quad(used, 0.0, camera, corner, edge, plane, u, v, column, row, inverse_depth, face):
                f = faces[used]
                f.owner = i if first == 0 else -1
                _paint(f, s, material[code[q]], bits, lit * light.lamps, corner, plane, camera, pose, light, clear)
                used += 1
    return used


@numba.njit(cache=True, nogil=True)
def _paint(f, s, material, bits, lit, corner, plane, camera, pose, light, clear):  # type: ignore[no-untyped-def]
    """The light that a face sends: diffuse, mirrored sky, its own glow; and where its texture lies."""
    rotation = camera.rotation
    length = -1.0 / np.sqrt(plane[0] * plane[0] + plane[1] * plane[1] + plane[2] * plane[2])
    nx, ny, nz = plane[0] * length, plane[1] * length, plane[2] * length  # outward normal, camera frame
    ex = rotation[0, 0] * nx + rotation[1, 0] * ny + rotation[2, 0] * nz  # ego frame
    ey = rotation[0, 1] * nx + rotation[1, 1] * ny + rotation[2, 1] * nz
    up = rotation[0, 2] * nx + rotation[1, 2] * ny + rotation[2, 2] * nz
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    sun = light.toward_sun
    to_sun = max(ex * (cos * sun[0] + sin * sun[1]) + ey * (cos * sun[1] - sin * sun[0]) + up * sun[2], 0.0)
    # The view from the camera to the middle of the face, mirrored in it.
    vx, vy, vz = (corner[0, 0] + corner[2, 0]) / 2, (corner[0, 1] + corner[2, 1]) / 2, (corner[0, 2] + corner[2, 2]) / 2
    far = np.sqrt(vx * vx + vy * vy + vz * vz)
    steep = min(-(vx * nx + vy * ny + vz * nz) / far, 1.0)
    mirrored_up = (rotation[0, 2] * vx + rotation[1, 2] * vy + rotation[2, 2] * vz) / far + 2 * steep * up
    gloss = material.gloss * (0.5 + 0.5 * (1 - steep) * (1 - steep))
    sky = min(max(mirrored_up * 1.5 + 0.2, 0.0), 1.0)
    dim = 0.25 if mirrored_up < -0.1 else 1.0  # it mirrors the ground
    shining = 1.0 if bits & material.lit_by else material.lamp * light.lamps
    air = transmittance(far, clear) if material.texture == PLAIN else 1.0
    for k in range(3):
        paint = (s.red, s.green, s.blue)[k]
        albedo = material.albedo[k] * (paint * paint if material.tinted > 0 else 1.0)
        incoming = light.ambient[k] * (0.66 + 0.34 * up) + light.sun[k] * to_sun + lit * (0.35 + 0.65 * steep)
        mirrored = dim * light.horizon[k] * (1 - sky) + light.zenith[k] * sky
        sent = albedo * incoming * (1 - gloss) + gloss * mirrored + material.glow[k] * shining
        f.colour[k] = sent * air + light.horizon[k] * (1 - air)
    f.texture = material.texture
    f.steep = max(steep, 0.05)
    if material.texture == PLAIN:
        return
    flat = max(np.sqrt(ex * ex + ey * ey), 1e-6)
    tx, ty = -ey / flat, ex / flat  # level, along the face
    for k in range(3):
        f.along[k] = rotation[k, 0] * tx + rotation[k, 1] * ty
        f.up[k] = rotation[k, 2]
    dx, dy = s.x - pose[0], s.y - pose[1]
    f.along[3] = (camera.centre[0] - cos * dx - sin * dy) * tx + (camera.centre[1] - cos * dy + sin * dx) * ty
    f.up[3] = camera.centre[2] - s.z
    f.seed = (np.int64(s.x * 7.0) * 73856093 ^ np.int64(s.y * 7.0) * 19349663) & 0x7FFFFFFF


@numba.njit(cache=True, nogil=True)
def _hash(a, b, c):  # type: ignore[no-untyped-def]
    """A number in 0..1 of its own for every three integers."""
    h = (np.uint32(a) * np.uint32(0x9E3779B1)) ^ (np.uint32(b) * np.uint32(0x85EBCA77)) ^ (np.uint32(c) * np.uint32(0xC2B2AE3D))  # fmt: skip
    h = np.uint32((h ^ (h >> np.uint32(15))) * np.uint32(0x2C1B3C6D))
    h = np.uint32((h ^ (h >> np.uint32(12))) * np.uint32(0x297A2D39))
    return float(h ^ (h >> np.uint32(15))) / 4294967296.0


@numba.njit(cache=True, nogil=True)
def textured(f, u, v, depth, pixel, light, tile):  # type: ignore[no-untyped-def]
    """The light (3) of a sample of a textured face; `pixel` is a pixel's width there in metres."""
    along = depth * (f.along[0] * u + f.along[1] * v + f.along[2]) + f.along[3]
    up = depth * (f.up[0] * u + f.up[1] * v + f.up[2]) + f.up[3]
    red, green, blue = f.colour[0], f.colour[1], f.colour[2]
    if f.texture == LEAVES:
        row, column = int(up * 9.0) & (NOISE_SIDE - 1), (int(along * 9.0) + f.seed) & (NOISE_SIDE - 1)
        bright = max(1.0 + 0.28 * tile[row, column], 0.35)
        return red * bright, green * bright, blue * bright
    if f.texture == STRIPES:
        stripe = (along + up) / 0.4
        if stripe - np.floor(stripe) < 0.5:
            return red * 0.85, green * 0.06, blue * 0.06
        return red, green, blue
    # Windows: their share of a pixel, the product of two integrals over it.
    up, along, wide, tall = up / FLOOR, along / BAY, pixel / (BAY * f.steep), pixel / FLOOR
    floor, bay = int(np.floor(up)), int(np.floor(along))
    if floor == 0 and f.texture == SHOPS:
        glass = _share(along, wide, 0.08, 0.92) * _share(up, tall, 0.12, 0.78)
    else:
        glass = _share(along, wide, 0.24, 0.76) * _share(up, tall, 0.30, 0.80)
    drawn = _hash(floor, bay, f.seed)
    shine = light.lamps * (1.0 if drawn < 0.33 else 0.02) * (0.35 + drawn) * glass
    wall = (1.0 - glass) * (1.0 - 0.14 * max(0.0, 1.0 - up * 1.2))
    glass *= 0.12 + 0.08 * drawn + 0.08 * (up - floor)
    return (
        red * wall + light.horizon[0] * glass + 0.75 * shine,
        green * wall + light.horizon[1] * glass + 0.55 * shine,
        blue * wall + light.horizon[2] * glass * 1.1 + 0.28 * shine,
    )


@numba.njit(cache=True, nogil=True)
def _share(x, width, low, high):  # type: ignore[no-untyped-def]
    """How much of an interval around x falls between `low` and `high` of the unit cells."""
    width = max(width, 1e-3)
    a, b = x - width / 2, x + width / 2
    whole_a, whole_b = np.floor(a), np.floor(b)
    part_a, part_b = min(max(a - whole_a - low, 0.0), high - low), min(max(b - whole_b - low, 0.0), high - low)
    return ((whole_b - whole_a) * (high - low) + part_b - part_a) / width
