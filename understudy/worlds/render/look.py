"""Tables of a scene and its weather, computed once: light, air, street lamps, noise, dirt on the glass."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from understudy.records import Array, Floats
from understudy.worlds.render.materials import MATERIALS, linear
from understudy.worlds.render.pyramid import noise_tile
from understudy.worlds.scene import Scene, Shape

FOG_STEP = 0.5  # m between entries of the table of transmittance
LAMP_REACH = 18.0  # m

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
