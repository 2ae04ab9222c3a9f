"""What a city hands to its cameras: the ground, the solids that stand on it, the weather they are seen in.

Solids are rows of a structured array, so that a thousand trees are one array and so are forty cars:

    cars = solids(2, shape=Shape.CAR, x=[10, 30], y=3.5, yaw=0.0, id=[7, 8])
    cars["state"][0] = BRAKE

A solid is an upright box (position of its base's centre, heading, length, width, height) that its shape fills.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np

from understudy.errors import ShapeError, UnknownName, hint
from understudy.records import Array, Kind
from understudy.worlds.ground import Ground, Surface, rasterise

__all__ = [
    "BRAKE", "FLASH", "LEFT", "RIGHT", "SHAPE_OF", "SIZE", "SOLID", "WEATHERS",
    "Ground", "Scene", "Shape", "Surface", "Weather", "rasterise", "solids", "weather",
]  # fmt: skip


class Shape(IntEnum):
    """What a solid looks like."""

    BOX = 0
    CAR = 1
    VAN = 2
    TRUCK = 3
    BUS = 4
    MOTORCYCLE = 5
    BICYCLE = 6
    PEDESTRIAN = 7
    ANIMAL = 8
    CONE = 9
    BARRIER = 10
    DEBRIS = 11
    EMERGENCY = 12
    BUILDING = 13
    HOUSE = 14
    TREE = 15
    CONIFER = 16
    BUSH = 17
    POLE = 18
    LAMP_POST = 19  # its arm points along its heading
    SIGN = 20  # its face looks along its heading
    SIGNAL = 21  # a traffic light's head; its lamps look along its heading


# Length, width, height in metres of a usual one.
SIZE: dict[Shape, tuple[float, float, float]] = {
    Shape.BOX: (1.0, 1.0, 1.0),
    Shape.CAR: (4.5, 1.85, 1.5),
    Shape.VAN: (5.4, 2.0, 2.3),
    Shape.TRUCK: (8.5, 2.5, 3.4),
    Shape.BUS: (12.0, 2.55, 3.1),
    Shape.MOTORCYCLE: (2.1, 0.8, 1.65),
    Shape.BICYCLE: (1.8, 0.6, 1.75),
    Shape.PEDESTRIAN: (0.4, 0.55, 1.75),
    Shape.ANIMAL: (0.9, 0.3, 0.65),
    Shape.CONE: (0.4, 0.4, 0.75),
    Shape.BARRIER: (0.3, 1.6, 1.0),
    Shape.DEBRIS: (0.8, 0.6, 0.4),
    Shape.EMERGENCY: (5.6, 2.1, 2.5),
    Shape.BUILDING: (16.0, 12.0, 12.0),
    Shape.HOUSE: (10.0, 9.0, 8.0),
    Shape.TREE: (5.0, 5.0, 8.0),
    Shape.CONIFER: (4.0, 4.0, 10.0),
    Shape.BUSH: (1.6, 1.6, 1.1),
    Shape.POLE: (0.15, 0.15, 5.5),
    Shape.LAMP_POST: (3.0, 0.3, 7.5),
    Shape.SIGN: (0.1, 0.65, 2.7),
    Shape.SIGNAL: (0.35, 0.4, 1.1),
}

SHAPE_OF: dict[Kind, Shape] = {
    Kind.UNKNOWN: Shape.BOX,
    Kind.CAR: Shape.CAR,
    Kind.TRUCK: Shape.TRUCK,
    Kind.BUS: Shape.BUS,
    Kind.MOTORCYCLE: Shape.MOTORCYCLE,
    Kind.BICYCLE: Shape.BICYCLE,
    Kind.PEDESTRIAN: Shape.PEDESTRIAN,
    Kind.ANIMAL: Shape.ANIMAL,
    Kind.CONE: Shape.CONE,
    Kind.BARRIER: Shape.BARRIER,
    Kind.DEBRIS: Shape.DEBRIS,
    Kind.EMERGENCY: Shape.EMERGENCY,
}

# What shines on a vehicle, as bits of its `state`. A signal's `state` is its records.Light.
BRAKE, LEFT, RIGHT, FLASH = 1, 2, 4, 8

SOLID = np.dtype(
    [
        ("id", "i8"),
        ("shape", "u1"),
        ("state", "u1"),
        ("x", "f8"),  # map frame, m
        ("y", "f8"),
        ("z", "f8"),  # of its base above the ground
        ("yaw", "f8"),
        ("length", "f8"),
        ("width", "f8"),
        ("height", "f8"),
        ("red", "f4"),  # paint, sRGB in 0..1
        ("green", "f4"),
        ("blue", "f4"),
    ]
)


_USUAL = np.array([SIZE[shape] for shape in Shape])


def solids(n: int, shape: Any = Shape.BOX, **columns: Any) -> Array:
    """`n` solids (n,) SOLID of a shape (or n shapes); sizes are the usual ones and paint is grey unless given.

    `colour=` takes one or n (r, g, b); every other keyword is a field of SOLID.
    """
    made = np.zeros(n, SOLID)
    made["shape"] = shape
    made["length"], made["width"], made["height"] = _USUAL[made["shape"]].T
    made["red"], made["green"], made["blue"] = np.moveaxis(
        np.asarray(columns.pop("colour", (0.6, 0.6, 0.6)), float), -1, 0
    )
    for name, values in columns.items():
        if name not in SOLID.names:  # type: ignore[operator]
            raise ShapeError(f"solids have no field {name!r}{hint(name, SOLID.names or ())}")
        made[name] = values
    return made


Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Weather:
    """What stands between a scene and a picture: light, air, water, lens and sensor.

    Colours are linear radiances in which white paper under a clear noon sky is about 1.
    """

    sun_azimuth: float = -0.9  # rad in the map frame, where the sun stands
    sun_elevation: float = 0.85  # rad
    sun: Colour = (1.0, 0.93, 0.82)  # direct light; black hides it behind clouds
    ambient: Colour = (0.30, 0.34, 0.40)  # light from everywhere
    zenith: Colour = (0.17, 0.34, 0.70)
    horizon: Colour = (0.62, 0.72, 0.85)
    clouds: float = 0.35  # share of the sky
    visibility: float = 4000.0  # m at which 5 % of the contrast is left (Koschmieder)
    wet: float = 0.0  # mirrors in the road, 0..1
    rain: float = 0.0  # streaks, 0..1
    lamps: float = 0.0  # headlights, street lamps and windows, 0..1
    glow: float = 0.0  # share of the light that a lens scatters
    dirt: float = 0.0  # share of the lens that is dirty
    exposure: float = 1.0
    noise: float = 1.0  # standard deviation in grey levels


_DAY = Weather()
_GREY = replace(
    _DAY,
    sun=(0.0, 0.0, 0.0),
    ambient=(0.60, 0.62, 0.65),
    zenith=(0.55, 0.58, 0.62),
    horizon=(0.72, 0.74, 0.76),
    clouds=0.0,
    visibility=2500.0,
)
_NIGHT = Weather(
    sun=(0.0, 0.0, 0.0),
    ambient=(0.010, 0.012, 0.018),
    zenith=(0.003, 0.004, 0.009),
    horizon=(0.016, 0.015, 0.018),
    clouds=0.0,
    visibility=2000.0,
    lamps=1.0,
    glow=0.05,
    exposure=1.7,
    noise=3.0,
)

WEATHERS: dict[str, Weather] = {
    "clear": _DAY,
    "overcast": _GREY,
    "rain": replace(
        _GREY,
        ambient=(0.40, 0.42, 0.46),
        zenith=(0.34, 0.37, 0.41),
        horizon=(0.48, 0.51, 0.55),
        visibility=600.0,
        wet=0.8,
        rain=0.6,
        lamps=0.35,
        glow=0.06,
        dirt=0.12,
        exposure=1.25,
        noise=1.5,
    ),
    "fog": replace(
        _GREY,
        ambient=(0.52, 0.54, 0.56),
        zenith=(0.62, 0.64, 0.66),
        horizon=(0.66, 0.68, 0.70),
        visibility=90.0,
        lamps=0.4,
        glow=0.10,
    ),
    "dusk": replace(
        _DAY,
        sun_elevation=0.06,
        sun=(0.30, 0.14, 0.05),
        ambient=(0.13, 0.13, 0.19),
        zenith=(0.06, 0.10, 0.24),
        horizon=(0.62, 0.36, 0.22),
        lamps=0.6,
        glow=0.05,
        exposure=1.8,
        noise=1.5,
    ),
    "low_sun": replace(
        _DAY,
        sun_azimuth=0.05,
        sun_elevation=0.14,
        sun=(1.5, 1.05, 0.62),
        ambient=(0.24, 0.26, 0.31),
        zenith=(0.22, 0.36, 0.66),
        horizon=(1.0, 0.84, 0.62),
        clouds=0.15,
        wet=0.05,
        glow=0.12,
    ),
    "night": _NIGHT,
    "rain_night": replace(_NIGHT, visibility=500.0, wet=0.9, rain=0.6, glow=0.09, dirt=0.12, noise=3.5),
    "dirty_lens": replace(_DAY, dirt=0.5, glow=0.04),
}


def weather(name: str) -> Weather:
    """A weather by name; UnknownName offers the nearest."""
    if name not in WEATHERS:
        raise UnknownName("weather", name, WEATHERS)
    return WEATHERS[name]


@dataclass(frozen=True, eq=False)
class Scene:
    """What does not change while a scenario runs. What moves (traffic lights included) comes with each instant."""

    ground: Ground
    fixed: Array  # (n,) SOLID: buildings, trees, poles, parked cars
    weather: Weather = Weather()
