"""Tables of a scene and its weather, computed once: the ground's colours in ever coarser levels, light, tone, dirt."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from understudy.records import Array, Floats
from understudy.worlds.render.raster import kernel
from understudy.worlds.render.shapes import MATERIALS, linear
from understudy.worlds.scene import Ground, Scene, Shape, Surface

NOISE_SIDE = 128  # cells of the noise tile, a power of two
FOG_STEP = 0.5  # m between entries of the table of transmittance
LAMP_REACH = 18.0  # m

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

    A cell is four bytes in a word: from the lowest red, green, blue (roots of linear light, or asphalt would show steps)
    and how much of the sky it mirrors when wet. The first level is twice as coarse as the ground's surfaces, so that a
    marking's edge is smooth in it.
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
    levels = [_first_level(palette, ground.surface, noise_tile(), ground.cell)]
    while min(levels[-1].shape[:2]) > 2:
        levels.append(_halved(levels[-1]))
    sizes = [level.shape[0] * level.shape[1] for level in levels]
    return Pyramid(
        np.cumsum([0, *sizes[:-1]]),
        np.array([level.shape[:2] for level in levels]),
        np.concatenate([level.reshape(-1, 4) for level in levels]).view("<u4")[:, 0],
        np.array(ground.origin),
        2 * ground.cell,
    )


@kernel
def _first_level(palette, surface, tile, cell):
    """Colours (Y / 2, X / 2, 4) of surfaces (Y, X), with patches some metres wide and grain; linear light is averaged, not its root."""
    rows, columns = (surface.shape[0] + 1) // 2, (surface.shape[1] + 1) // 2
    squared = palette * palette
    half = np.empty((rows, columns, 4), np.uint8)
    for row in range(rows):
        low = min(2 * row + 1, surface.shape[0] - 1)
        for column in range(columns):
            right = min(2 * column + 1, surface.shape[1] - 1)
            a, b = surface[2 * row, 2 * column], surface[2 * row, right]
            c, d = surface[low, 2 * column], surface[low, right]
            patch = tile[int(row * cell * 4.0) & (NOISE_SIDE - 1), int(column * cell * 4.0) & (NOISE_SIDE - 1)]
            grain = tile[row * 37 & (NOISE_SIDE - 1), column * 37 & (NOISE_SIDE - 1)]
            mirror = (palette[a, 3] + palette[b, 3] + palette[c, 3] + palette[d, 3]) / 4
            rough = 1.0 + (0.10 - 0.05 * mirror / 255.0) * patch + 0.05 * grain
            for i in range(3):
                light = (squared[a, i] + squared[b, i] + squared[c, i] + squared[d, i]) / 4
                half[row, column, i] = min(np.sqrt(light * max(rough, 0.0)) + 0.5, 255.0)
            half[row, column, 3] = mirror
    return half


@kernel
def _halved(level):
    rows, columns = (level.shape[0] + 1) // 2, (level.shape[1] + 1) // 2
    half = np.empty((rows, columns, 4), np.uint8)
    for row in range(rows):
        low = min(2 * row + 1, level.shape[0] - 1)
        for column in range(columns):
            right = min(2 * column + 1, level.shape[1] - 1)
            for i in range(4):
                a, b = float(level[2 * row, 2 * column, i]), float(level[2 * row, right, i])
                c, d = float(level[low, 2 * column, i]), float(level[low, right, i])
                half[row, column, i] = np.sqrt((a * a + b * b + c * c + d * d) / 4) + 0.5
    return half


LIGHT = np.dtype(
    [
        ("toward_sun", "f8", (3,)),  # unit vector in the map frame
        ("sun", "f8", (3,)),  # radiance on a surface that faces it
        ("ambient", "f8", (3,)),
        ("zenith", "f8", (3,)),
        ("horizon", "f8", (3,)),
        ("clouds", "f8"),
        ("wet", "f8"),
        ("rain", "f8"),
        ("lamps", "f8"),
        ("glow", "f8"),
        ("dirt", "f8"),
        ("exposure", "f8"),
        ("shadow", "f8"),  # share of the ground's light that the sun's shadow takes
    ]
)
MATERIAL = np.dtype(
    [
        ("albedo", "f8", (3,)),
        ("glow", "f8", (3,)),
        ("tinted", "f8"),
        ("gloss", "f8"),
        ("lamp", "f8"),
        ("lit_by", "i8"),
        ("texture", "i8"),
    ]
)


class Look(NamedTuple):
    """Everything about light, air and sensor that a picture needs."""

    light: Array  # (1,) LIGHT
    material: Array  # (M,) MATERIAL
    clear: Array  # (n,) float32 transmittance of the air by distance
    lamplight: Array  # (Y, X) float32 street lamps on the ground, one cell a metre
    tile: Array  # (NOISE_SIDE, NOISE_SIDE) float32: smooth noise of unit deviation that joins at its edges
    grain: (
        Array  # (n,) float32 grey levels of noise, for three colours of the largest picture from any of the first 65536
    )
    dirt: Array  # (pixels,) float32 share of the light that comes from everywhere


def look(scene: Scene, pixels: list[tuple[int, int]], seed: int) -> Look:
    """The tables of a scene for cameras of sizes (W, H); the seed places the dirt."""
    air = scene.weather
    light = np.zeros(1, LIGHT)
    for name in ("sun", "ambient", "zenith", "horizon", "clouds", "wet", "rain", "lamps", "glow", "dirt", "exposure"):
        light[name] = getattr(air, name)
    flat = np.cos(air.sun_elevation)
    light["toward_sun"] = flat * np.cos(air.sun_azimuth), flat * np.sin(air.sun_azimuth), np.sin(air.sun_elevation)
    direct = np.mean(air.sun) * max(np.sin(air.sun_elevation), 0.0)
    light["shadow"] = direct / max(direct + np.mean(air.ambient), 1e-6)
    dirt = [_dirt(np.random.default_rng([seed, camera]), *size, air.dirt) for camera, size in enumerate(pixels)]
    longest = 3 * max(width * height for width, height in pixels)
    grain = np.random.default_rng(seed).normal(0.0, air.noise, 65536).astype(np.float32)
    grain = np.resize(grain, 65536 + longest)
    return Look(
        light, materials(),
        np.exp(-3.0 / air.visibility * FOG_STEP * np.arange(1024)).astype(np.float32),
        _lamplight(scene) if air.lamps > 0 else np.zeros((1, 1), np.float32),
        noise_tile(), grain, np.concatenate(dirt),
    )  # fmt: skip


@lru_cache(maxsize=1)
def materials() -> Array:
    table = np.zeros(len(MATERIALS), MATERIAL)
    for row, material in zip(table, MATERIALS.values(), strict=True):
        row["albedo"], row["glow"] = linear(material.srgb), material.glow
        for name in ("tinted", "gloss", "lamp", "lit_by", "texture"):
            row[name] = getattr(material, name)
    return table


@lru_cache(maxsize=1)
def noise_tile() -> Array:
    """Noise whose spectrum falls with frequency: clouds, patches of asphalt, leaves."""
    spectrum = np.fft.fft2(np.random.default_rng(1).normal(size=(NOISE_SIDE, NOISE_SIDE)))
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(NOISE_SIDE) * NOISE_SIDE] * 2))
    smooth = np.fft.ifft2(spectrum / np.maximum(frequency, 3.0) ** 1.2).real
    return ((smooth - smooth.mean()) / smooth.std()).astype(np.float32)


def _dirt(rng: np.random.Generator, width: int, height: int, share: float) -> Array:
    """Smears and drops on one camera's glass, (W * H,)."""
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / width)
    veil: Floats = np.zeros((height, width))
    for _ in range(round(40 * share)):
        cx, cy, radius = rng.uniform(0, 1), rng.uniform(0, height / width), rng.uniform(0.01, 0.07)
        far = ((x - cx) / radius) ** 2 + ((y - cy) / (radius * rng.uniform(0.6, 1.6))) ** 2
        veil = np.maximum(veil, rng.uniform(0.35, 0.85) * np.exp(-far * far))
    return veil.astype(np.float32).ravel()


def _lamplight(scene: Scene) -> Array:
    """How much light the street lamps cast on each square metre of ground."""
    columns, rows = (int(np.ceil(side)) for side in scene.ground.size)
    light = np.zeros((rows, columns), np.float32)
    for post in scene.fixed[scene.fixed["shape"] == Shape.LAMP_POST]:
        x = post["x"] - scene.ground.origin[0] + 0.4 * post["length"] * np.cos(post["yaw"])
        y = post["y"] - scene.ground.origin[1] + 0.4 * post["length"] * np.sin(post["yaw"])
        low_x, low_y = max(int(x - LAMP_REACH), 0), max(int(y - LAMP_REACH), 0)
        patch = light[low_y : max(int(y + LAMP_REACH), 0), low_x : max(int(x + LAMP_REACH), 0)]
        far = np.hypot(
            np.arange(patch.shape[1])[None] + low_x + 0.5 - x, np.arange(patch.shape[0])[:, None] + low_y + 0.5 - y
        )
        patch += np.clip(1 - far / LAMP_REACH, 0, 1) ** 2 / (1 + (far / post["height"]) ** 2)
    return light
