"""Solids into samples, shadows into samples, and what each face then looks like.

The ground is flat and everything stands on it, so that whatever covers a sample lies before the ground; the ground
itself is not drawn here but looked up later.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from understudy.records import Array
from understudy.worlds.render.lens import MOST_TAPS
from understudy.worlds.render.look import FOG_STEP
from understudy.worlds.render.materials import LEAVES, PLAIN, SHOPS, STRIPES
from understudy.worlds.render.pyramid import NOISE_SIDE
from understudy.worlds.render.raster import dot, exact, kernel, minus, quad, turned
from understudy.worlds.render.shapes import LEVELS
from understudy.worlds.scene import Shape

NOTHING, SUN_SHADOW, CONTACT_SHADOW = -1, -2, -3  # what a sample shows when it shows no face
FACES = 32_000  # a camera's most
FAR, DOT, SPECK = 40.0, 18.0, 7.0  # pixels: below which a solid is drawn from its simpler templates
REACH = 200.0  # m: solids beyond are not drawn
SMALLEST = 1.0  # pixels: nor are smaller ones
SHADOW_REACH = 70.0
FLOOR, BAY = 3.1, 2.7  # m from window to window
_LAST_MOVER = int(Shape.EMERGENCY)
_TREE, _CONIFER = int(Shape.TREE), int(Shape.CONIFER)
_SIGNAL, _SIGN, _LAMP_POST = int(Shape.SIGNAL), int(Shape.SIGN), int(Shape.LAMP_POST)
FACE = np.dtype(
    [
        ("colour", "f4", (3,)),  # light that it sends; through the air already if it has no texture
        ("owner", "i4"),  # row of its solid among the moving ones, -1 for fixed ones
        ("texture", "i4"),
        ("seed", "i4"),
        ("spread", "f4"),  # how much wider along it a pixel is than across the view
        ("along", "f4", (4,)),  # metres along it are depth * (along[:3] ray) + along[3]
        ("up", "f4", (4,)),  # and metres up from its solid's base
    ]
)

PLACED = np.dtype(
    [
        ("owner", "i8"),  # row among the moving solids, -1 for fixed ones
        ("shape", "i8"),
        ("bits", "i8"),  # what shines
        ("x", "f8"),  # of its base in the ego frame
        ("y", "f8"),
        ("z", "f8"),
        ("cos", "f8"),  # of its heading in the ego frame
        ("sin", "f8"),
        ("length", "f8"),
        ("width", "f8"),
        ("height", "f8"),
        ("ball", "f8"),  # radius of a ball around it
        ("shade", "?"),  # whether it may cast a shadow
        ("red", "f8"),
        ("green", "f8"),
        ("blue", "f8"),
        ("lit", "f8"),  # by lamps
        ("seed", "i8"),
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
    ground: Array  # (2, pixels) uint32 what was looked up, see `patches`
    warm: Array  # (pixels,) float32: the light of lamps on the ground
    taps: Array  # (8, most taps) uint32 room for looking up


def canvas(pixels: int) -> Canvas:
    """Room for a camera of so many pixels."""
    return Canvas(
        np.empty(4 * pixels, np.float32), np.empty(4 * pixels, np.int32), np.zeros(FACES, FACE),
        np.empty((pixels, 3), np.float32), np.empty((pixels, 3), np.uint8), np.empty(pixels, np.float32),
        np.zeros((2, pixels), np.uint32), np.zeros(pixels, np.float32), np.empty((8, MOST_TAPS * pixels), np.uint32),
    )  # fmt: skip


@kernel
def place(solids, moving, pose, origin, look, focal, placed, n):
    """The solids that any camera may see, as PLACED from the n-th on. Returns how many there are now."""
    light = look.light[0]
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    for i in range(len(solids)):
        s = solids[i]
        dx, dy = s.x - pose[0], s.y - pose[1]
        far = np.sqrt(dx * dx + dy * dy)
        ball = 0.55 * np.sqrt(s.length * s.length + s.width * s.width + s.height * s.height)
        if far > REACH or 2 * ball * focal < SMALLEST * far:
            continue
        t = placed[n]
        t.owner, t.shape = i if moving else -1, s.shape
        t.bits = 1 << s.state if s.shape == _SIGNAL else s.state
        t.x, t.y, t.z = cos * dx + sin * dy, cos * dy - sin * dx, s.z
        t.cos, t.sin = np.cos(s.yaw - pose[2]), np.sin(s.yaw - pose[2])
        t.length, t.width, t.height, t.ball = s.length, s.width, s.height, ball
        t.shade = far < SHADOW_REACH and s.shape != _SIGNAL
        t.red, t.green, t.blue = s.red * s.red, s.green * s.green, s.blue * s.blue  # nearly linear light
        t.seed = (np.int64(s.x * 7.0) * 73856093 ^ np.int64(s.y * 7.0) * 19349663) & 0x7FFFFFFF
        t.lit = 0.0
        if light.lamps > 0:
            beam = headlight(t.x - min(s.length / 2, 3.0), t.y, s.z + s.height / 2)
            t.lit = light.lamps * (lamplight(look.lamplight, s.x - origin[0], s.y - origin[1]) + 0.8 * beam)
        n += 1
    return n


@kernel
def visible(camera, screen, placed, sun, look, templates, faces):
    """Which face each of a camera's samples shows; `sun` is the direction towards it in the ego frame."""
    screen.inverse_depth[:] = 0.0
    screen.face[:] = NOTHING
    _shadows(placed, sun, camera, screen, look.light[0])
    _draw(placed, sun, camera, screen, look, templates, faces)


@kernel
def _outside(at, ball, camera):
    """Whether a ball around a spot of the camera's frame lies behind it, or beyond one of the picture's four sides."""
    left, right, upper, lower = camera.low[0], camera.high[0], camera.low[1], camera.high[1]
    across = ball * np.sqrt(1 + max(left * left, right * right))
    down = ball * np.sqrt(1 + max(upper * upper, lower * lower))
    return (
        at[2] < -ball
        or at[0] - right * at[2] > across
        or left * at[2] - at[0] > across
        or at[1] - lower * at[2] > down
        or upper * at[2] - at[1] > down
    )


@kernel
def _shadows(placed, sun, camera, screen, light):
    """The sun's shadows of solids, and the darkness below vehicles, as areas of the ground."""
    rotation = camera.rotation
    centre = camera.centre[0], camera.centre[1], camera.centre[2]
    sun_x, sun_y, sun_z = sun
    sunny = light.sun[0] > 0.01 and sun_z > 0.03
    for i in range(len(placed)):
        s = placed[i]
        if not s.shade:
            continue
        top = s.z + s.height
        reach = min(1 / sun_z, 60.0 / top) if sunny else 0.0  # metres of shadow per metre of height
        middle = s.x - sun_x * reach * top / 2, s.y - sun_y * reach * top / 2, 0.0
        if _outside(turned(rotation, minus(middle, centre)), s.ball + top * reach / 2, camera):
            continue
        # Half the box's base in the camera's frame, forwards and to the left.
        most = 0.08 if s.shape == _LAMP_POST or s.shape == _SIGN else 100.0  # they are posts, whatever is on top
        long, wide = min(s.length / 2, most), min(s.width / 2, most)
        c, w = s.cos, s.sin
        ahead = turned(rotation, (c * long, w * long, 0.0))
        side = turned(rotation, (-w * wide, c * wide, 0.0))
        base = turned(rotation, minus((s.x, s.y, 0.0), centre))
        if sunny:
            foot = 0.3 * top if s.shape == _TREE or s.shape == _CONIFER else s.z
            low = turned(rotation, (-sun_x * reach * foot, -sun_y * reach * foot, 0.0))
            high = turned(rotation, (-sun_x * reach * top, -sun_y * reach * top, 0.0))
            # A box's shadow is a hexagon: its base and its top's shadow, less the corner of each that lies inside the
            # other. Counter-clockwise from the corner that is nearest to the sun.
            a = 1.0 if c * sun_x + w * sun_y > 0 else -1.0
            b = 1.0 if c * sun_y - w * sun_x > 0 else -1.0
            rear = _corner(base, low, ahead, side, a, b)
            front = _corner(base, high, ahead, side, -a, -b)
            if a * b > 0:
                left0, left1 = _corner(base, low, ahead, side, -a, b), _corner(base, high, ahead, side, -a, b)
                right0, right1 = _corner(base, low, ahead, side, a, -b), _corner(base, high, ahead, side, a, -b)
            else:
                left0, left1 = _corner(base, low, ahead, side, a, -b), _corner(base, high, ahead, side, a, -b)
                right0, right1 = _corner(base, low, ahead, side, -a, b), _corner(base, high, ahead, side, -a, b)
            quad(SUN_SHADOW, 1e-7, rear, left0, left1, front, camera, screen)
            quad(SUN_SHADOW, 1e-7, rear, front, right1, right0, camera, screen)
        if s.shape <= _LAST_MOVER and s.z < 0.5:
            none = (0.0, 0.0, 0.0)
            fl, rl = _corner(base, none, ahead, side, 1.02, 1.1), _corner(base, none, ahead, side, -1.02, 1.1)
            rr, fr = _corner(base, none, ahead, side, -1.02, -1.1), _corner(base, none, ahead, side, 1.02, -1.1)
            quad(CONTACT_SHADOW, 2e-7, fl, rl, rr, fr, camera, screen)


@kernel
def _corner(base, shift, ahead, side, a, b):
    """base + shift + a * ahead + b * side."""
    return (
        base[0] + shift[0] + a * ahead[0] + b * side[0],
        base[1] + shift[1] + a * ahead[1] + b * side[1],
        base[2] + shift[2] + a * ahead[2] + b * side[2],
    )


@kernel
def transmittance(distance, clear):
    """Share of the light that comes through so much air."""
    return clear[min(int(distance / FOG_STEP), len(clear) - 1)]


@kernel
def headlight(x, y, z):
    """The ego's low beam at a spot in its frame: a lobe ahead of the bumper that ends at the height of the lamps."""
    ahead = x - 3.7
    if ahead <= 0.0:
        return 0.0
    across = y / (0.28 * ahead + 0.9)
    above = max(z - 0.7 - 0.01 * ahead, 0.0) / (0.03 * ahead + 0.2)
    across, fall, above = across * across, ahead / 16.0, above * above
    return 1.1 / ((1.0 + across * across) * (1.0 + fall * fall) * (1.0 + above * above)) * min(ahead / 2.0, 1.0)


@kernel
def lamplight(table, x, y):
    """Street lamps' light at a spot, x and y in metres from the ground's origin."""
    row, column = int(y), int(x)
    if 0 <= row < table.shape[0] - 1 and 0 <= column < table.shape[1] - 1:
        fy, fx = y - row, x - column
        low = table[row, column] * (1 - fx) + table[row, column + 1] * fx
        high = table[row + 1, column] * (1 - fx) + table[row + 1, column + 1] * fx
        return low * (1 - fy) + high * fy
    return 0.0


@kernel
def _draw(placed, sun, camera, screen, look, templates, faces):
    """All solids that a camera may see."""
    start, quads, planes, code = templates
    light, material, clear = look.light[0], look.material, look.clear
    rotation = camera.rotation
    centre = camera.centre[0], camera.centre[1], camera.centre[2]
    used = 0
    for i in range(len(placed)):
        s = placed[i]
        middle = turned(rotation, minus((s.x, s.y, s.z + s.height / 2), centre))
        pixels = 2 * s.ball * camera.focal / max(middle[2], s.ball)
        if pixels < SMALLEST or _outside(middle, s.ball, camera):
            continue
        # The unit box's axes in the camera's frame.
        c, w = s.cos, s.sin
        base = turned(rotation, minus((s.x, s.y, s.z), centre))
        ahead = turned(rotation, (c * s.length, w * s.length, 0.0))
        side = turned(rotation, (-w * s.width, c * s.width, 0.0))
        up = turned(rotation, (0.0, 0.0, s.height))
        template = LEVELS * s.shape + (pixels < FAR) + (pixels < DOT) + (pixels < SPECK)
        # The camera in the unit box: whichever way the box is stretched, it stays on its side of each face.
        eye = minus(centre, (s.x, s.y, s.z))
        eye = (c * eye[0] + w * eye[1]) / s.length, (c * eye[1] - w * eye[0]) / s.width, eye[2] / s.height
        for q in range(start[template], start[template + 1]):
            if planes[q, 0] * eye[0] + planes[q, 1] * eye[1] + planes[q, 2] * eye[2] <= planes[q, 3]:
                continue
            if used == len(faces):
                return
            p0, p1 = _corner_of(base, ahead, side, up, quads, q, 0), _corner_of(base, ahead, side, up, quads, q, 1)
            p2, p3 = _corner_of(base, ahead, side, up, quads, q, 2), _corner_of(base, ahead, side, up, quads, q, 3)
            plane = quad(used, 0.0, p0, p1, p2, p3, camera, screen)
            if plane[2] == 0.0 and plane[0] == 0.0 and plane[1] == 0.0:
                continue
            view = (p0[0] + p2[0]) / 2, (p0[1] + p2[1]) / 2, (p0[2] + p2[2]) / 2
            _paint(faces[used], s, material[code[q]], view, plane, camera, sun, light, clear)
            used += 1


@exact
def _corner_of(base, ahead, side, up, quads, q, j):
    """A corner of a template's quad in the camera's frame."""
    x, y, z = quads[q, j, 0], quads[q, j, 1], quads[q, j, 2]
    return (
        base[0] + ahead[0] * x + side[0] * y + up[0] * z,
        base[1] + ahead[1] * x + side[1] * y + up[1] * z,
        base[2] + ahead[2] * x + side[2] * y + up[2] * z,
    )


@kernel
def _paint(f, s, material, view, plane, camera, sun, light, clear):
    """The light that a face sends: diffuse, mirrored sky, its own glow; and where its texture lies.

    `view` is from the camera to its middle, `plane` as `quad` gave it.
    """
    rotation = camera.rotation
    scale = -1.0 / np.sqrt(dot(plane, plane))
    normal = plane[0] * scale, plane[1] * scale, plane[2] * scale  # outwards
    ex = rotation[0, 0] * normal[0] + rotation[1, 0] * normal[1] + rotation[2, 0] * normal[2]  # ego frame
    ey = rotation[0, 1] * normal[0] + rotation[1, 1] * normal[1] + rotation[2, 1] * normal[2]
    up = rotation[0, 2] * normal[0] + rotation[1, 2] * normal[1] + rotation[2, 2] * normal[2]
    to_sun = max(dot((ex, ey, up), sun), 0.0)
    far = np.sqrt(dot(view, view))
    steep = min(-dot(view, normal) / far, 1.0)
    view_up = (rotation[0, 2] * view[0] + rotation[1, 2] * view[1] + rotation[2, 2] * view[2]) / far
    mirrored_up = view_up + 2 * steep * up
    gloss = material.gloss * (0.5 + 0.5 * (1 - steep) * (1 - steep))
    sky = min(max(mirrored_up * 1.5 + 0.2, 0.0), 1.0)
    dim = 0.25 if mirrored_up < -0.1 else 1.0  # it mirrors the ground
    shining = 1.0 if s.bits & material.lit_by else material.lamp * light.lamps
    air = transmittance(far, clear) if material.texture == PLAIN else 1.0
    for k in range(3):
        paint = (s.red, s.green, s.blue)[k]
        albedo = material.albedo[k] * (paint if material.tinted > 0 else 1.0)
        incoming = light.ambient[k] * (0.66 + 0.34 * up) + light.sun[k] * to_sun + s.lit * (0.35 + 0.65 * steep)
        mirrored = dim * light.horizon[k] * (1 - sky) + light.zenith[k] * sky
        sent = albedo * incoming * (1 - gloss) + gloss * mirrored + material.glow[k] * shining
        f.colour[k] = sent * air + light.horizon[k] * (1 - air)
    f.owner, f.texture = s.owner, material.texture
    f.spread = 1.0 / max(steep, 0.05)
    if material.texture == PLAIN:
        return
    flat = max(np.sqrt(ex * ex + ey * ey), 1e-6)
    tx, ty = -ey / flat, ex / flat  # level, along the face
    for k in range(3):
        f.along[k] = rotation[k, 0] * tx + rotation[k, 1] * ty
        f.up[k] = rotation[k, 2]
    f.along[3] = (camera.centre[0] - s.x) * tx + (camera.centre[1] - s.y) * ty
    f.up[3] = camera.centre[2] - s.z
    f.seed = s.seed


@kernel
def _hash(a, b, c):
    """A number in 0..1 of its own for every three integers."""
    h = np.uint32(a) * np.uint32(0x9E3779B1) ^ np.uint32(b) * np.uint32(0x85EBCA77)
    h ^= np.uint32(c) * np.uint32(0xC2B2AE3D)
    h = np.uint32((h ^ (h >> np.uint32(15))) * np.uint32(0x2C1B3C6D))
    h = np.uint32((h ^ (h >> np.uint32(12))) * np.uint32(0x297A2D39))
    return float(h ^ (h >> np.uint32(15))) / 4294967296.0


@kernel
def textured(f, u, v, depth, pixel, light, tile):
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
    up, along, wide, tall = up * (1 / FLOOR), along * (1 / BAY), pixel * f.spread * (1 / BAY), pixel * (1 / FLOOR)
    floor, bay = int(np.floor(up)), int(np.floor(along))
    if floor == 0 and f.texture == SHOPS:
        glass = _share(along, wide, 0.08, 0.92) * _share(up, tall, 0.12, 0.78)
    else:
        glass = _share(along, wide, 0.24, 0.76) * _share(up, tall, 0.30, 0.80)
    wall = (1.0 - glass) * (1.0 - 0.14 * max(0.0, 1.0 - up * 1.2))
    red, green, blue = red * wall, green * wall, blue * wall
    if glass > 0:
        drawn = _hash(floor, bay, f.seed)
        shine = light.lamps * (1.0 if drawn < 0.33 else 0.02) * (0.35 + drawn) * glass
        glass *= 0.12 + 0.08 * drawn + 0.08 * (up - floor)
        red += light.horizon[0] * glass + 0.75 * shine
        green += light.horizon[1] * glass + 0.55 * shine
        blue += light.horizon[2] * glass * 1.1 + 0.28 * shine
    return red, green, blue


@kernel
def _share(x, width, low, high):
    """How much of an interval around x falls between `low` and `high` of the unit cells."""
    a, b = x - width / 2, x + width / 2
    whole_a, whole_b = np.floor(a), np.floor(b)
    part_a, part_b = min(max(a - whole_a - low, 0.0), high - low), min(max(b - whole_b - low, 0.0), high - low)
    return ((whole_b - whole_a) * (high - low) + part_b - part_a) / width
