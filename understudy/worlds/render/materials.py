"""What faces are made of: colours, gloss, textures, and the lamps among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.records import Floats, Light
from understudy.worlds.scene import BRAKE, FLASH, LEFT, RIGHT

PLAIN, WINDOWS, SHOPS, LEAVES, STRIPES = range(5)  # textures; SHOPS are windows above wider ones


def linear(srgb: Floats | tuple[float, ...]) -> Floats:
    """Linear light from sRGB values in 0..1 (IEC 61966-2-1)."""
    value = np.asarray(srgb, float)
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


@dataclass(frozen=True)
class Material:
    """How a face looks."""

    srgb: tuple[float, float, float]
    tinted: bool = False  # multiplied by the solid's own paint
    gloss: float = 0.0  # how much of the sky it mirrors
    texture: int = PLAIN
    glow: tuple[float, float, float] = (0.0, 0.0, 0.0)  # linear light given off while shining
    lit_by: int = 0  # bits of a solid's state that make it shine
    lamp: float = 0.0  # share of the glow whenever lamps are on


def _bit(light: Light) -> int:
    return 1 << int(light)


_RED, _AMBER, _GREEN, _WARM = (3.2, 0.05, 0.03), (3.0, 1.25, 0.04), (0.05, 2.6, 0.75), (3.0, 2.5, 1.7)

MATERIALS: dict[str, Material] = {
    "paint": Material((1.0, 1.0, 1.0), tinted=True, gloss=0.10),
    "cloth": Material((1.0, 1.0, 1.0), tinted=True),
    "trousers": Material((0.20, 0.22, 0.30)),
    "skin": Material((0.80, 0.60, 0.48)),
    "hair": Material((0.20, 0.14, 0.10)),
    "fur": Material((0.55, 0.40, 0.26)),
    "glass": Material((0.10, 0.12, 0.14), gloss=0.45),
    "tyre": Material((0.10, 0.10, 0.11)),
    "rim": Material((0.55, 0.56, 0.58)),
    "trim": Material((0.13, 0.13, 0.14)),
    "metal": Material((0.48, 0.50, 0.52)),
    "white": Material((0.93, 0.93, 0.91)),
    "orange": Material((0.95, 0.38, 0.06)),
    "red": Material((0.78, 0.07, 0.07)),
    "blue": Material((0.10, 0.24, 0.62)),
    "striped": Material((0.90, 0.90, 0.88), texture=STRIPES),
    "wall": Material((1.0, 1.0, 1.0), tinted=True, texture=WINDOWS),
    "front": Material((1.0, 1.0, 1.0), tinted=True, texture=SHOPS),
    "plaster": Material((1.0, 1.0, 1.0), tinted=True),
    "flat_roof": Material((0.36, 0.35, 0.34)),
    "tiles": Material((0.52, 0.26, 0.19)),
    "bark": Material((0.30, 0.23, 0.17)),
    "leaves": Material((1.0, 1.0, 1.0), tinted=True, texture=LEAVES),
    "headlamp": Material((0.85, 0.87, 0.88), gloss=0.3, glow=(4.0, 3.7, 3.0), lamp=1.0),
    "taillamp": Material((0.45, 0.03, 0.03), glow=_RED, lit_by=BRAKE, lamp=0.15),
    "left": Material((0.62, 0.36, 0.12), glow=_AMBER, lit_by=LEFT),
    "right": Material((0.62, 0.36, 0.12), glow=_AMBER, lit_by=RIGHT),
    "beacon": Material((0.10, 0.18, 0.60), glow=(0.04, 0.16, 4.0), lit_by=FLASH),
    "street_lamp": Material((0.75, 0.75, 0.70), glow=_WARM, lamp=1.0),
    "lamp_red": Material((0.14, 0.05, 0.05), glow=_RED, lit_by=_bit(Light.RED)),
    "lamp_yellow": Material((0.14, 0.11, 0.04), glow=_AMBER, lit_by=_bit(Light.YELLOW)),
    "lamp_green": Material((0.04, 0.12, 0.08), glow=_GREEN, lit_by=_bit(Light.GREEN)),
}
CODE = {name: code for code, name in enumerate(MATERIALS)}
