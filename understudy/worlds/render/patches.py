"""The ground that pixels see, looked up in its pyramid.

What pixels look up hardly changes: from instant to instant the ego moves and turns, and everything else stays. So the
lookups of a camera are laid out beforehand, those of one level and one number of taps together, and a lookup is a few
plain loops, one after another, which compilers turn into vector instructions: addresses, then the fetching (the only
loop that jumps about in memory), then the mixing of four cells, then light.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from understudy.records import Array
from understudy.worlds.render.draw import headlight, lamplight
from understudy.worlds.render.lens import Lens
from understudy.worlds.render.look import FOG_STEP
from understudy.worlds.render.pyramid import Pyramid
from understudy.worlds.render.raster import kernel

_F, _I, _U = np.float32, np.int32, np.uint32  # said of every step, or lanes would be twice as wide
_ONE = np.uint64(1)
_PAIR, _HALF = _U(0x00FF00FF), _U(0x00800080)  # two bytes in a word, with room for products; and half a unit of each

GROUP = np.dtype(
    [
        ("first", "i8"),  # of its level's cells in the pyramid
        ("columns", "i8"),  # of its level
        ("most", "f4", (2,)),  # the last place in it, in 256ths of a cell
        ("scale", "f8"),  # 256ths of a cell in a metre
        ("taps", "i8"),  # of each of its pixels
        ("tap", "i8"),  # where its taps start: the first of all pixels, the second of all, ...
        ("pixel", "i8"),  # where its pixels start
        ("count", "i8"),  # of pixels
    ]
)


class Patches(NamedTuple):
    """The lookups of all cameras of a rig above one ground, through one air."""

    group: Array  # (G,) GROUP
    camera: Array  # (C, 2) the first group of each camera, one beyond the last
    place: Array  # (2, taps) float32 in the ego frame, in 256ths of a cell
    pixel: Array  # (n,) int32 in its camera
    share: Array  # (pixels,) float32 what the sum of a pixel's taps is divided by, as a factor; 0 where no ground is
    air: Array  # (pixels,) float32 transmittance to there


def patches(lens: Lens, pyramid: Pyramid, clear: Array) -> Patches:
    """The lookups of a rig; `clear` is the transmittance of the air by distance, in steps of FOG_STEP."""
    level = np.minimum(lens.level, len(pyramid.start) - 1).astype(np.int64)
    camera = np.repeat(np.arange(len(lens.camera)), lens.camera["width"] * lens.camera["height"])
    seen = np.flatnonzero(lens.taps)
    key = np.stack([camera, level, lens.taps])[:, seen]
    kinds, which = np.unique(key, axis=1, return_inverse=True)
    group = np.zeros(kinds.shape[1], GROUP)
    own = [seen[which.ravel() == i] for i in range(len(group))]
    own_level, group["taps"], group["count"] = kinds[1], kinds[2], [len(pixels) for pixels in own]
    group["first"], group["columns"] = pyramid.start[own_level], pyramid.shape[own_level, 1]
    group["most"], group["scale"] = (pyramid.shape[own_level, ::-1] - 1) * 256 - 1, 256 / pyramid.cell / 2.0**own_level
    sizes = group["count"] * group["taps"]
    group["tap"], group["pixel"] = np.cumsum(sizes) - sizes, np.cumsum(group["count"]) - group["count"]
    place = np.empty((2, sizes.sum()), _F)
    for one, pixels in zip(group, own, strict=True):
        along = np.arange(one["taps"]) - (one["taps"] - 1) / 2
        spot = lens.spot[pixels, :2].T[:, None] + along[:, None] * lens.spot[pixels, 2:].T[:, None]  # (2, taps, n)
        place[:, one["tap"] : one["tap"] + spot[0].size] = one["scale"] * spot.reshape(2, -1)
    distance = np.where(lens.taps > 0, lens.distance, 0.0)
    in_order = np.concatenate([seen[:0], *own])  # a rig may see no ground at all
    return Patches(
        group,
        np.searchsorted(kinds[0], np.arange(len(lens.camera))[:, None] + [0, 1]),
        place,
        (in_order - lens.camera["pixel"][camera[in_order]]).astype(_I),
        np.where(lens.taps > 0, 1 / (255.0 * np.maximum(lens.taps, 1)), 0.0).astype(_F),
        clear[np.minimum(distance / FOG_STEP, len(clear) - 1).astype(np.int64)],
    )


@kernel
def ground(pose, camera, patches, lens, pyramid, sky, lamplights, canvas):
    """Adds the light of the ground to a camera's pixels where samples are open, and notes how much it mirrors."""
    first, last = patches.camera[camera]
    p = lens.camera[camera].pixel
    q = p + lens.camera[camera].width * lens.camera[camera].height
    _look_up(pose, patches.group[first:last], patches.place, patches.pixel, pyramid, canvas.taps, canvas.ground)
    up = max(sky.toward_sun[2], 0.0)
    if sky.lamps > 0:
        _warm(pose, lens.spot[p:q], patches.share[p:q], pyramid.origin, sky.lamps, lamplights, canvas.warm)
    else:
        canvas.warm[: q - p] = 0.0
    sun, ambient, haze = sky.sun, sky.ambient, sky.horizon
    _light(
        canvas.ground[0], canvas.ground[1], patches.share[p:q], patches.air[p:q], canvas.open.ravel(), canvas.warm,
        (_F(ambient[0] + sun[0] * up), _F(ambient[1] + sun[1] * up), _F(ambient[2] + sun[2] * up)),
        (_F(haze[0]), _F(haze[1]), _F(haze[2])),
        _F(sky.shadow), _F(0.5 * sky.wet), canvas.light.ravel(), canvas.mirror,
    )  # fmt: skip


@kernel
def _look_up(pose, groups, place, pixel, pyramid, taps, found):
    """Sums of taps into `found` (2, pixels): red and blue, green and how much it mirrors, two to a word."""
    cos, sin = _F(np.cos(pose[2])), _F(np.sin(pose[2]))
    east, north = pose[0] - pyramid.origin[0], pose[1] - pyramid.origin[1]
    index, weight, red_blue, green_gloss = taps[4], taps[5], taps[6], taps[7]
    for i in range(len(groups)):
        g = groups[i]
        m, n = g.count, g.count * g.taps
        x, y = place[0, g.tap : g.tap + n], place[1, g.tap : g.tap + n]
        # A lookup mixes the four cells around it: half a cell less, and a cell's first corner.
        u, v = _F(east * g.scale - 128.0), _F(north * g.scale - 128.0)
        _addresses(x, y, cos, sin, u, v, g.most[0], g.most[1], _I(g.first), _I(g.columns), index, weight)
        _fetch(pyramid.colour, index[:n], g.columns, taps)
        _mix(taps[0], taps[1], taps[2], taps[3], weight[:n], red_blue, green_gloss)
        for k in range(1, g.taps):
            _add(red_blue[:m], red_blue[k * m : k * m + m])
            _add(green_gloss[:m], green_gloss[k * m : k * m + m])
        for j in range(m):
            p = np.uint64(pixel[g.pixel + j])
            found[0, p], found[1, p] = red_blue[j], green_gloss[j]


@kernel
def _addresses(x, y, cos, sin, u0, v0, most_u, most_v, first, columns, index, weight):
    """The first of each tap's four cells, and how far it lies from its corner, in 256ths: two bytes of a word."""
    for t in range(len(x)):
        u, v = u0 + cos * x[t] - sin * y[t], v0 + sin * x[t] + cos * y[t]
        u, v = u if u > _F(0) else _F(0), v if v > _F(0) else _F(0)
        u, v = u if u < most_u else most_u, v if v < most_v else most_v
        column, row = _I(u), _I(v)
        index[t] = _U(first + _I(_I(row >> _I(8)) * columns) + _I(column >> _I(8)))
        weight[t] = _U(_U(column & _I(255)) | _U(_U(row & _I(255)) << _U(8)))


@kernel
def _fetch(colour, index, columns, taps):
    """The four cells of each tap into the first four rows."""
    for t in range(len(index)):
        i = np.uint64(index[t])
        j = i + np.uint64(columns)
        taps[0, t], taps[1, t], taps[2, t], taps[3, t] = colour[i], colour[i + _ONE], colour[j], colour[j + _ONE]


@kernel
def _mix(a_, b_, c_, d_, weight, red_blue, green_gloss):
    """Four cells as one, each by its weight in 256ths."""
    for t in range(len(weight)):
        a, b, c, d = a_[t], b_[t], c_[t], d_[t]
        wb, wc = _U(weight[t] & _U(255)), _U(weight[t] >> _U(8))
        wd = _U(_U(wb * wc) >> _U(8))
        wa, wb, wc = _U(_U(256) - wb - wc + wd), _U(wb - wd), _U(wc - wd)
        mixed = _U(_U(a & _PAIR) * wa + _U(b & _PAIR) * wb + _U(c & _PAIR) * wc + _U(d & _PAIR) * wd + _HALF)
        red_blue[t] = _U(_U(mixed >> _U(8)) & _PAIR)
        a, b, c, d = _U(a >> _U(8)), _U(b >> _U(8)), _U(c >> _U(8)), _U(d >> _U(8))
        mixed = _U(_U(a & _PAIR) * wa + _U(b & _PAIR) * wb + _U(c & _PAIR) * wc + _U(d & _PAIR) * wd + _HALF)
        green_gloss[t] = _U(_U(mixed >> _U(8)) & _PAIR)


@kernel
def _add(total, more):
    for t in range(len(total)):
        total[t] = _U(total[t] + more[t])


@kernel
def _warm(pose, spot, share, origin, lamps, lamplights, warm):
    """The light of street lamps and of the ego's own, by night."""
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    east, north = pose[0] - origin[0], pose[1] - origin[1]
    for p in range(len(spot)):
        if share[p] > 0:
            ex, ey = spot[p, 0], spot[p, 1]
            x, y = east + cos * ex - sin * ey, north + sin * ex + cos * ey
            warm[p] = lamps * (1.2 * lamplight(lamplights, x, y) + 1.3 * headlight(ex, ey, 0.0))


@kernel
def _light(red_blue, green_gloss, share, air, open_, warm, day, haze, shadow, wet, light, mirror):
    """Adds the light of the ground through the air where samples are open: colours and samples (3 n,), else (n,)."""
    for p in range(len(share)):
        free, in_sun, below = _F(open_[3 * p]), _F(open_[3 * p + 1]), _F(open_[3 * p + 2])
        each = _F(1) / (free if free > _F(1) else _F(1))
        bright = _F(1) - _F(0.55) * below * each
        lit = (_F(1) - shadow * in_sun * each) * bright
        red, blue = _F(_U(red_blue[p] & _U(0xFFFF))) * share[p], _F(_U(red_blue[p] >> _U(16))) * share[p]
        green, gloss = _F(_U(green_gloss[p] & _U(0xFFFF))) * share[p], _F(_U(green_gloss[p] >> _U(16))) * share[p]
        part = free * _F(0.25) if share[p] > _F(0) else _F(0)
        back, through, lamp = part * (_F(1) - air[p]), part * air[p] * (_F(1) - wet * gloss), warm[p] * bright
        light[3 * p] += red * red * (day[0] * lit + lamp) * through + haze[0] * back
        light[3 * p + 1] += green * green * (day[1] * lit + _F(0.88) * lamp) * through + haze[1] * back
        light[3 * p + 2] += blue * blue * (day[2] * lit + _F(0.68) * lamp) * through + haze[2] * back
        mirror[p] = gloss * air[p] if part > _F(0) else _F(-1)
