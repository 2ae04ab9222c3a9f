"""Samples into pictures: ground, sky and air behind the solids, then water, lens and sensor."""

from __future__ import annotations

import numpy as np

from understudy.worlds.render.draw import (
    CONTACT_SHADOW,
    NOTHING,
    SUN_SHADOW,
    place,
    textured,
    transmittance,
    visible,
)
from understudy.worlds.render.materials import PLAIN
from understudy.worlds.render.patches import ground
from understudy.worlds.render.pyramid import NOISE_SIDE
from understudy.worlds.render.raster import Screen, kernel

GRID = 32  # cells across a picture, of scattered light
ZERO, WHITE, ROUND, KNEE, SHOULDER = (np.float32(x) for x in (0.0, 255.0, 0.5, 0.6, 0.4))
C1, C2, C3, C4 = (np.float32(c) for c in (0.662002687, 0.684122060, 0.323583601, 0.0225411470))


@kernel
def surroundings(fixed, moving, placed, pose, lens, look, origin):
    """The solids around the ego, and the direction towards the sun, both in its frame."""
    focal = lens.camera[0].focal
    for c in range(len(lens.camera)):
        focal = max(focal, lens.camera[c].focal)
    n = place(moving, True, pose, origin, look, focal, placed, 0)
    n = place(fixed, False, pose, origin, look, focal, placed, n)
    cos, sin, sun = np.cos(pose[2]), np.sin(pose[2]), look.light[0].toward_sun
    return placed[:n], (cos * sun[0] + sin * sun[1], cos * sun[1] - sin * sun[0], sun[2])


@kernel
def pictures(fixed, moving, placed, pose, seed, lens, look, pyramid, patches, templates, canvas, out, counts):
    """All cameras of an instant into `out` (pixels, 3); samples that show each moving solid into `counts` (C, N)."""
    light = look.light[0]
    placed, sun = surroundings(fixed, moving, placed, pose, lens, look, pyramid.origin)
    for c in range(len(lens.camera)):
        camera = lens.camera[c]
        width, height = camera.width, camera.height
        n = width * height
        p, q = camera.pixel, camera.pixel + n
        rays = slice(camera.sample, camera.sample + 4 * n)
        screen = Screen(
            lens.ray[0, rays],
            lens.ray[1, rays],
            lens.column[c],
            lens.row[c],
            canvas.inverse_depth[: 4 * n],
            canvas.face[: 4 * n],
        )
        open_, shown, mirror = canvas.open[:n], canvas.light[:n], canvas.mirror[:n]
        visible(camera, screen, placed, sun, look, templates, canvas.faces)
        _solids(camera, screen, canvas.faces, light, look.clear, look.tile, shown, open_, counts[c])
        ground(pose, c, patches, lens, pyramid, light, look.lamplight, canvas)
        _sky(pose, lens.direction[p:q], lens.distance[p:q], light, look.clear, look.tile, open_, shown)
        if light.wet > 0:
            _reflect(width, height, lens.direction[p:q], light, shown, mirror)
        if light.rain > 0:
            _streak(width, height, seed + c * 7919, light, shown)
        if light.glow > 0 or light.dirt > 0:
            _scatter(width, height, look.dirt[p:q], light.glow, shown)
        grain = np.uint64(seed + c * 7919) * np.uint64(11400714819323198485) >> np.uint64(48)
        _expose(
            shown.ravel(), np.float32(light.exposure), look.grain[grain : grain + np.uint64(3 * n)], out[p:q].ravel()
        )


@kernel
def _solids(camera, screen, faces, sky, clear, tile, light, open_, counts):
    """The light that solids send to each pixel, the mean over its four samples, and which samples they leave open."""
    width, height = camera.width, camera.height
    ray_u, ray_v, depth, face = screen.u, screen.v, screen.inverse_depth, screen.face
    red_air, green_air, blue_air = sky.horizon
    for row in range(height):
        for column in range(width):
            p = row * width + column
            k = 4 * row * width + 2 * column
            free, in_sun, below = 0, 0, 0
            red, green, blue = 0.0, 0.0, 0.0
            first = face[k]
            same = first == face[k + 1] and first == face[k + 2 * width] and first == face[k + 2 * width + 1]
            if same and first == NOTHING:
                open_[p, 0], open_[p, 1], open_[p, 2] = 4, 0, 0
                light[p, 0], light[p, 1], light[p, 2] = 0.0, 0.0, 0.0
                continue
            samples, each = (1, 4) if same else (4, 1)
            for j in range(samples):
                i = k + (j & 1) + (j >> 1) * 2 * width
                if face[i] < 0:
                    free += each
                    in_sun += each * (face[i] == SUN_SHADOW)
                    below += each * (face[i] == CONTACT_SHADOW)
                    continue
                f = faces[face[i]]
                if f.owner >= 0:
                    counts[f.owner] += each
                if f.texture == PLAIN:
                    red, green, blue = red + each * f.colour[0], green + each * f.colour[1], blue + each * f.colour[2]
                    continue
                u, v, z = ray_u[i], ray_v[i], 1.0 / depth[i]
                r, g, b = textured(f, u, v, z, z / camera.focal, sky, tile)
                air = each * transmittance(np.sqrt(1 + u * u + v * v) * z, clear)
                red += r * air + red_air * (each - air)
                green += g * air + green_air * (each - air)
                blue += b * air + blue_air * (each - air)
            open_[p, 0], open_[p, 1], open_[p, 2] = free, in_sun, below
            light[p, 0], light[p, 1], light[p, 2] = red / 4, green / 4, blue / 4


@kernel
def _sky(pose, direction, distance, sky, clear, tile, open_, light):
    """Adds the light of the sky where samples are open: gradient, clouds, a hazy line of trees, the sun."""
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    sun_x, sun_y, sun_z = sky.toward_sun
    bright = 0.75 * sky.horizon[0] + 0.5 * sky.sun[0]
    for p in range(len(light)):
        if open_[p, 0] == 0 or distance[p] < np.inf:
            continue
        part = open_[p, 0] / 4.0
        dx, dy, z = direction[p, 0], direction[p, 1], max(direction[p, 2], 0.0)
        x, y = cos * dx - sin * dy, sin * dx + cos * dy
        white, halo = 0.0, 0.0
        if sky.clouds > 0:
            flat = 40.0 / (z + 0.12)
            cloud = tile[int(y * flat) & (NOISE_SIDE - 1), int(x * flat) & (NOISE_SIDE - 1)]
            white = min(max((cloud + 2.0 * sky.clouds - 1.2) * 0.55, 0.0), 0.85) * min(z * 8.0, 1.0)
        toward = x * sun_x + y * sun_y + z * sun_z
        if toward > 0.8:
            halo = (toward - 0.8) * 5.0
            halo = halo * halo * halo * 0.35 + (40.0 if toward > 0.9994 else 0.0)
        if z < 0.06:  # atan2 is dear, and only the lowest sky has trees
            trees = 0.022 + 0.012 * tile[3, int((np.arctan2(y, x) + np.pi) * 40.7) & (NOISE_SIDE - 1)]
            part *= 1.0 - 0.65 * clear[-1] if z < trees else 1.0
        t = z / (z + 0.22)
        for k in range(3):
            blue = (sky.horizon[k] * (1 - t) + sky.zenith[k] * t) * (1 - white) + bright * white
            light[p, k] += (blue + sky.sun[k] * halo) * part


@kernel
def _reflect(width, height, direction, sky, light, mirror):
    """Wet ground: each column mirrors what stands above it, about the row where that ends."""
    for column in range(width):
        base = -1
        for row in range(height):
            p = row * width + column
            if mirror[p] < 0:
                base = row
                continue
            grazing = 1.0 + direction[p, 2]  # one minus the cosine to the ground's normal
            share = sky.wet * mirror[p] * (0.06 + 0.55 * grazing * grazing * grazing)
            source = 2 * base + 1 - row
            for c in range(3):
                if base < 0 or source < 1:
                    seen = sky.horizon[c]
                else:
                    i = source * width + column
                    seen = (light[i - width, c] + 2 * light[i, c] + light[min(i + width, base * width + column), c]) / 4
                light[p, c] += share * (min(seen, 3.0) - light[p, c])


@kernel
def _streak(width, height, seed, sky, light):
    """Falling rain: short bright lines, elsewhere at each instant."""
    state = np.uint64(seed) * np.uint64(2862933555777941757) + np.uint64(3037000493)
    for _ in range(int(sky.rain * width * 0.6)):
        state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
        bits = np.int64(state >> np.uint64(20))
        column, row = (bits & 0xFFFF) * width >> 16, ((bits >> 16) & 0xFFFF) * height >> 16
        length = 1 + (height * (1 + ((bits >> 32) & 3)) >> 5)
        for r in range(row, min(row + length, height)):
            p = r * width + column
            for c in range(3):
                light[p, c] += 0.16 * (1.2 * sky.horizon[c] + 0.03 * sky.lamps - light[p, c])


@kernel
def _scatter(width, height, dirt, glow, light):
    """Light that a lens scatters: `glow` of it everywhere, more where there is dirt, taken from a blurred picture."""
    rows = max(GRID * height // width, 2)
    mean, spare = np.zeros((rows, GRID, 3)), np.zeros((rows, GRID, 3))
    for r in range(rows):
        top, bottom = r * height // rows, (r + 1) * height // rows
        for c in range(GRID):
            left, right = c * width // GRID, max((c + 1) * width // GRID, c * width // GRID + 1)
            scale = 1.0 / ((bottom - top) * (right - left))
            for row in range(top, bottom):
                for p in range(row * width + left, row * width + right):
                    for k in range(3):
                        mean[r, c, k] += light[p, k] * scale
    for _ in range(3):  # three box blurs are nearly a Gaussian
        for r in range(rows):
            for c in range(GRID):
                for k in range(3):
                    spare[r, c, k] = (mean[r, max(c - 1, 0), k] + mean[r, c, k] + mean[r, min(c + 1, GRID - 1), k]) / 3
        for r in range(rows):
            for c in range(GRID):
                for k in range(3):
                    mean[r, c, k] = (
                        spare[max(r - 1, 0), c, k] + spare[r, c, k] + spare[min(r + 1, rows - 1), c, k]
                    ) / 3
    across = np.minimum(np.maximum((np.arange(width) + 0.5) * (GRID / width) - 0.5, 0.0), GRID - 1.001)
    line = spare[0]
    for row in range(height):
        y = min(max((row + 0.5) * rows / height - 0.5, 0.0), rows - 1.001)
        r = int(y)
        for c in range(GRID):
            for k in range(3):
                line[c, k] = mean[r, c, k] + (y - r) * (mean[r + 1, c, k] - mean[r, c, k])
        for column in range(width):
            c = int(across[column])
            part = across[column] - c
            p = row * width + column
            share = glow + (1 - glow) * dirt[p]
            for k in range(3):
                light[p, k] += share * (line[c, k] + part * (line[c + 1, k] - line[c, k]) - light[p, k])


@kernel
def _expose(light, exposure, grain, out):
    """Light to grey levels, (n,) each: a shoulder so that lamps keep their colour, then sRGB, then the sensor's noise.

    The sRGB curve is approximated by roots (I. Taylor, "sRGB approximations for HLSL", 2012; within half a grey level),
    because roots are vector instructions and powers are not.
    """
    for i in range(len(out)):
        x = light[i] * exposure
        beyond = x - KNEE
        beyond = beyond if beyond > ZERO else ZERO
        x = (x if x < KNEE else KNEE) + beyond * SHOULDER / (beyond + SHOULDER)
        root = np.sqrt(x)
        fourth = np.sqrt(root)
        grey = (C1 * root + C2 * fourth - C3 * np.sqrt(fourth) - C4 * x) * WHITE + grain[i] + ROUND
        grey = grey if grey > ZERO else ZERO
        out[i] = np.uint8(grey if grey < WHITE else WHITE)
