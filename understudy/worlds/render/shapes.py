"""What each shape is made of: a few frusta per thing.

A template lies in a unit box (x and y in -0.5..0.5, z in 0..1) and is stretched to each solid's length, width and
height. A shape has up to four templates: for near by, for afar, for when it is a dot of a few
pixels, and for when it is a speck.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from understudy.records import Array
from understudy.worlds.render.template import Template, ordered
from understudy.worlds.scene import Shape

LEVELS = 4  # of detail

_ALL, _NARROWER = (-0.5, 0.5), (-0.46, 0.46)


def _car() -> Template:
    car = Template()
    car.frustum(_ALL, (-0.48, 0.48), (0.13, 0.42), "paint", top_y=_ALL)
    car.frustum(_ALL, _ALL, (0.42, 0.60), "paint", top_x=(-0.485, 0.44), top_y=_NARROWER)
    car.frustum((-0.45, 0.24), (-0.455, 0.455), (0.60, 0.93), "glass", top_x=(-0.33, 0.07), top_y=(-0.385, 0.385))
    car.frustum((-0.335, 0.075), (-0.39, 0.39), (0.93, 1.0), "paint", top_x=(-0.28, 0.02), top_y=(-0.33, 0.33))
    for sign in (-1, 1):  # pillars between the side windows
        car.frustum(
            (-0.15, -0.125),
            ordered(sign * 0.40, sign * 0.462),
            (0.60, 0.94),
            "paint",
            top_y=ordered(sign * 0.33, sign * 0.392),
        )
    car.wheels((-0.31, 0.30), 0.075, 0.22)
    car.lamps((0.42, 0.53), (0.44, 0.56))
    car.plate(0.502, (-0.28, 0.28), (0.24, 0.38), "trim").plate(-0.502, (-0.14, 0.14), (0.34, 0.42), "white")
    return car


def _van(stripe: str | None = None, beacon: bool = False) -> Template:
    van = Template()
    van.frustum(_ALL, _ALL, (0.12, 0.50), "paint", top_x=(-0.5, 0.48))
    van.frustum((-0.5, 0.48), _ALL, (0.50, 0.56), "paint", top_x=(-0.5, 0.37), top_y=(-0.49, 0.49))
    van.frustum(
        (-0.5, 0.37),
        (-0.49, 0.49),
        (0.56, 0.90 if beacon else 1.0),
        "paint",
        top_x=(-0.49, 0.24),
        top_y=(-0.45, 0.45),
        front="glass",
    )
    for sign in (-1, 1):
        van.frustum(
            (0.10, 0.33),
            ordered(0.0, sign * 0.495),
            (0.58, 0.80),
            "glass",
            top_x=(0.10, 0.27),
            top_y=ordered(0.0, sign * 0.475),
        )
        if stripe:
            van.frustum((-0.49, 0.47), ordered(0.0, sign * 0.505), (0.34, 0.44), stripe)
    if beacon:
        van.frustum((0.05, 0.17), (-0.40, 0.40), (0.90, 1.0), "beacon")
    van.plate(-0.502, (-0.38, 0.38), (0.60, 0.82), "glass").plate(0.502, (-0.3, 0.3), (0.22, 0.34), "trim")
    van.wheels((-0.31, 0.32), 0.065, 0.15)
    return van.lamps((0.36, 0.46), (0.32, 0.48), width=0.12)


def _truck() -> Template:
    truck = Template()
    truck.frustum((-0.5, 0.22), _ALL, (0.30, 1.0), "white", rear="metal")
    truck.frustum((-0.5, 0.48), (-0.42, 0.42), (0.16, 0.30), "trim")
    truck.frustum((0.25, 0.5), (-0.48, 0.48), (0.16, 0.50), "paint")
    truck.frustum(
        (0.25, 0.5),
        (-0.48, 0.48),
        (0.50, 0.80),
        "glass",
        top_x=(0.25, 0.47),
        top_y=(-0.45, 0.45),
        rear="paint",
        top="paint",
    )
    truck.frustum((0.25, 0.33), (-0.485, 0.485), (0.50, 0.80), "paint", top_y=(-0.455, 0.455))
    truck.wheels((-0.36, -0.22, 0.36), 0.058, 0.145)
    return truck.lamps((0.20, 0.27), (0.18, 0.25), width=0.12)


def _bus() -> Template:
    bus = Template()
    bus.frustum(_ALL, _ALL, (0.10, 0.42), "paint")
    bus.frustum(_ALL, _ALL, (0.42, 0.82), "glass", top_x=(-0.498, 0.49), top_y=(-0.49, 0.49))
    bus.frustum((-0.498, 0.49), (-0.49, 0.49), (0.82, 1.0), "paint", top_y=(-0.46, 0.46))
    for x in (-0.48, -0.32, -0.16, 0.0, 0.16, 0.32, 0.46):
        bus.frustum((x - 0.008, x + 0.008), (-0.502, 0.502), (0.42, 0.82), "paint", top_y=(-0.492, 0.492))
    bus.plate(0.50, (-0.32, 0.32), (0.85, 0.95), "street_lamp")  # the board with its destination
    bus.wheels((-0.27, 0.30), 0.042, 0.16)
    return bus.lamps((0.18, 0.26), (0.20, 0.34), width=0.12)


def _rider(bike: Template, seat: float, x: float, body: str) -> Template:
    """A person sitting on two wheels, from the height of the seat to the top of the box."""
    lean = 0.10
    for sign in (-1, 1):
        bike.frustum(
            (x - 0.02, x + 0.10),
            ordered(sign * 0.12, sign * 0.30),
            (0.18, seat),
            "trousers",
            top_x=(x - 0.10, x + 0.06),
        )
        bike.frustum(
            (x + lean, x + 0.34),
            ordered(sign * 0.30, sign * 0.42),
            (0.60, 0.68),
            body,
            top_x=(x + lean - 0.05, x + 0.28),
        )
    bike.frustum(
        (x - 0.12, x + 0.08),
        (-0.30, 0.30),
        (seat, 0.84),
        body,
        top_x=(x - 0.04 + lean, x + 0.12 + lean),
        top_y=(-0.36, 0.36),
    )
    bike.frustum((x + lean - 0.02, x + lean + 0.12), (-0.15, 0.15), (0.86, 0.94), "skin", bottom="skin")
    return bike.frustum((x + lean - 0.05, x + lean + 0.12), (-0.18, 0.18), (0.93, 1.0), "trim")


def _bicycle() -> Template:
    bike = Template()
    for x in (-0.31, 0.31):
        bike.frustum((x - 0.17, x + 0.17), (-0.03, 0.03), (0.0, 0.36), "tyre", top_x=(x - 0.12, x + 0.12))
    bike.frustum((-0.28, 0.22), (-0.03, 0.03), (0.24, 0.44), "paint", top_x=(-0.2, 0.26))
    bike.frustum((0.24, 0.28), (-0.4, 0.4), (0.54, 0.58), "trim")
    return _rider(bike, 0.54, -0.14, "cloth")


def _motorcycle() -> Template:
    bike = Template()
    for x in (-0.33, 0.33):
        bike.frustum((x - 0.17, x + 0.17), (-0.12, 0.12), (0.0, 0.36), "tyre", top_x=(x - 0.12, x + 0.12))
    bike.frustum((-0.36, 0.30), (-0.22, 0.22), (0.18, 0.48), "paint", top_x=(-0.45, 0.30))
    bike.frustum((0.18, 0.32), (-0.26, 0.26), (0.48, 0.66), "glass")
    bike.plate(0.33, (-0.12, 0.12), (0.40, 0.50), "headlamp").plate(-0.46, (-0.14, 0.14), (0.40, 0.48), "taillamp")
    return _rider(bike, 0.48, -0.16, "trim")


def _pedestrian() -> Template:
    person = Template()
    for sign, step in ((-1, 0.22), (1, -0.22)):
        person.frustum(
            (step - 0.14, step + 0.16), ordered(sign * 0.06, sign * 0.30), (0.0, 0.48), "trousers", top_x=(-0.2, 0.2)
        )
        person.frustum(
            (-step - 0.12, -step + 0.12), ordered(sign * 0.38, sign * 0.50), (0.42, 0.80), "cloth", top_x=(-0.12, 0.12)
        )
    person.frustum((-0.26, 0.26), (-0.34, 0.34), (0.46, 0.82), "cloth", top_x=(-0.24, 0.24), top_y=(-0.42, 0.42))
    person.frustum((-0.18, 0.24), (-0.14, 0.14), (0.84, 0.95), "skin", bottom="skin")
    return person.frustum((-0.24, 0.20), (-0.16, 0.16), (0.92, 1.0), "hair")


def _animal() -> Template:
    animal = Template()
    for x in (-0.28, 0.16):
        animal.frustum((x, x + 0.09), (-0.3, 0.3), (0.0, 0.5), "fur")
    animal.frustum((-0.34, 0.28), (-0.34, 0.34), (0.40, 0.82), "fur")
    return animal.frustum((0.26, 0.50), (-0.24, 0.24), (0.62, 1.0), "fur", bottom="fur")


def _cone() -> Template:
    cone = Template().frustum(_ALL, _ALL, (0.0, 0.06), "trim")
    for low, high, material in (
        (0.06, 0.36, "orange"),
        (0.36, 0.54, "white"),
        (0.54, 0.70, "orange"),
        (0.70, 0.84, "white"),
        (0.84, 1.0, "orange"),
    ):
        a, b = 0.36 * (1.08 - low), 0.36 * (1.08 - high)
        cone.frustum((-a, a), (-a, a), (low, high), material, top_x=(-b, b), top_y=(-b, b))
    return cone


def _barrier() -> Template:
    barrier = Template().frustum(_ALL, (-0.45, 0.45), (0.0, 0.1), "trim")
    return barrier.frustum((-0.2, 0.2), _ALL, (0.45, 1.0), "striped", bottom="trim")


def _tree(sides: int = 7, rings: int = 4) -> Template:
    trunk = (-0.04, 0.04)
    tree = Template().frustum(trunk, trunk, (0.0, 0.4), "bark", top_x=(-0.03, 0.03), top_y=(-0.03, 0.03))
    return tree.blob((0.26, 1.0), 0.5, "leaves", sides, rings)


def _conifer() -> Template:
    tree = Template().frustum((-0.04, 0.04), (-0.04, 0.04), (0.0, 0.2), "bark")
    for low, high, wide, narrow in ((0.12, 0.50, 0.48, 0.22), (0.38, 0.76, 0.36, 0.14), (0.64, 1.0, 0.25, 0.0)):
        top = (-narrow / 2, narrow / 2)
        for x, y in ((wide, 0.7 * wide), (0.7 * wide, wide)):  # two crossed frusta are nearly round
            tree.frustum((-x, x), (-y, y), (low, high), "leaves", top_x=top, top_y=top)
    return tree


def _house() -> Template:
    house = Template().frustum((-0.48, 0.48), (-0.46, 0.46), (0.0, 0.7), "wall")
    return house.frustum(
        _ALL, _ALL, (0.69, 1.0), "tiles", top_y=(0.0, 0.0), front="plaster", rear="plaster", bottom="trim"
    )


def _lamp_post() -> Template:
    post = Template().frustum(
        (-0.025, 0.025), (-0.25, 0.25), (0.0, 0.98), "metal", top_x=(-0.015, 0.015), top_y=(-0.15, 0.15)
    )
    post.frustum((0.0, 0.48), (-0.12, 0.12), (0.975, 0.99), "metal")
    return post.frustum((0.30, 0.50), (-0.4, 0.4), (0.965, 0.985), "metal", bottom="street_lamp")


def _sign() -> Template:
    sign = Template().frustum((-0.3, 0.0), (-0.05, 0.05), (0.0, 0.9), "metal")
    sign.disc((0.05, 0.0, 0.86), 0, (0.5, 0.12), "red").disc((0.2, 0.0, 0.86), 0, (0.36, 0.087), "white")
    sign.disc((-0.35, 0.0, 0.86), 0, (0.5, 0.12), "metal")
    return sign.plate(0.3, (-0.15, -0.05), (0.81, 0.91), "trim").plate(0.3, (0.03, 0.15), (0.81, 0.91), "trim")


def _signal() -> Template:
    head = Template().frustum((-0.5, 0.2), _ALL, (0.0, 1.0), "trim", bottom="trim")
    for centre, name in ((0.83, "lamp_red"), (0.50, "lamp_yellow"), (0.17, "lamp_green")):
        head.disc((0.22, 0.0, centre), 0, (0.39, 0.142), name)
        head.frustum((0.2, 0.5), (-0.42, 0.42), (centre + 0.135, centre + 0.15), "trim", bottom="trim")
    return head


# From afar, in as few faces as still show what it is and whether it brakes.


def _box(material: str, **faces: str) -> Template:
    return Template().frustum(_ALL, _ALL, (0.0, 1.0), material, **faces)  # type: ignore[arg-type]


def _far_car() -> Template:
    car = Template()
    car.frustum(_ALL, _ALL, (0.15, 0.60), "paint").frustum(_ALL, (-0.45, 0.45), (0.0, 0.15), "tyre")
    car.frustum(
        (-0.45, 0.24), (-0.455, 0.455), (0.60, 1.0), "glass", top_x=(-0.33, 0.07), top_y=(-0.38, 0.38), top="paint"
    )
    return car.lamps((0.42, 0.53), (0.44, 0.56))


def _dot(cabin: tuple[float, float], belt: float, roof: str = "paint") -> Template:
    """A vehicle a few pixels tall: a body, a cabin over the stretch given, lamps."""
    dot = Template().frustum(_ALL, _ALL, (0.1, belt), "paint")
    dot.frustum(cabin, (-0.46, 0.46), (belt, 1.0), "glass" if roof == "paint" else roof, top=roof)
    return dot.lamps((0.3, 0.5), (0.3, 0.5), width=0.2, plain=True)


def _far_van(stripe: str | None = None, beacon: bool = False) -> Template:
    van = Template()
    van.frustum(_ALL, _ALL, (0.12, 0.52), "paint").frustum((-0.45, 0.45), (-0.45, 0.45), (0.0, 0.12), "tyre")
    van.frustum((-0.5, 0.40), (-0.49, 0.49), (0.52, 0.92), "paint", top_x=(-0.49, 0.24), front="glass")
    if stripe:
        van.frustum((-0.49, 0.47), (-0.505, 0.505), (0.34, 0.44), stripe)
    if beacon:
        van.frustum((0.05, 0.17), (-0.40, 0.40), (0.90, 1.0), "beacon")
    return van.lamps((0.36, 0.46), (0.32, 0.48), width=0.12, plain=not stripe)


def _far_truck() -> Template:
    truck = Template().frustum((-0.5, 0.22), _ALL, (0.30, 1.0), "white", rear="metal")
    truck.frustum((-0.45, 0.45), (-0.45, 0.45), (0.0, 0.30), "tyre").frustum(
        (0.25, 0.5), (-0.48, 0.48), (0.16, 0.80), "paint"
    )
    return truck.plate(0.505, (-0.45, 0.45), (0.5, 0.76), "glass").lamps(
        (0.20, 0.27), (0.18, 0.25), width=0.12, plain=True
    )


def _far_bus() -> Template:
    bus = Template()
    bus.frustum(_ALL, _ALL, (0.05, 0.42), "paint").frustum(_ALL, _ALL, (0.42, 0.82), "glass")
    return bus.frustum(_ALL, _ALL, (0.82, 1.0), "paint").lamps((0.18, 0.26), (0.20, 0.34), width=0.12)


def _far_rider(body: str) -> Template:
    bike = (
        Template()
        .frustum((-0.5, 0.5), (-0.08, 0.08), (0.0, 0.36), "tyre")
        .frustum((-0.3, 0.3), (-0.2, 0.2), (0.3, 0.55), "paint")
    )
    bike.frustum((-0.26, 0.0), (-0.3, 0.3), (0.5, 0.85), body, top_x=(-0.1, 0.1))
    return bike.frustum((-0.1, 0.1), (-0.18, 0.18), (0.85, 1.0), "trim").plate(
        -0.35, (-0.14, 0.14), (0.40, 0.48), "taillamp"
    )


def _far_pedestrian() -> Template:
    person = Template().frustum((-0.2, 0.2), (-0.3, 0.3), (0.0, 0.48), "trousers")
    return person.frustum((-0.25, 0.25), (-0.45, 0.45), (0.46, 0.84), "cloth").frustum(
        (-0.2, 0.2), (-0.15, 0.15), (0.84, 1.0), "skin"
    )


def _far_cone() -> Template:
    cone = Template().frustum((-0.36, 0.36), (-0.36, 0.36), (0.0, 0.45), "orange", top_x=(-0.2, 0.2), top_y=(-0.2, 0.2))
    return cone.frustum((-0.2, 0.2), (-0.2, 0.2), (0.45, 0.7), "white").frustum(
        (-0.14, 0.14), (-0.14, 0.14), (0.7, 1.0), "orange"
    )


def _crown(low: float, wide: float, narrow: float) -> Template:
    """A tree a few pixels tall: a trunk, and a frustum of leaves."""
    tree = Template().frustum((-0.05, 0.05), (-0.05, 0.05), (0.0, low), "bark") if low > 0 else Template()
    return tree.frustum(
        (-wide, wide), (-wide, wide), (low, 1.0), "leaves", top_x=(-narrow, narrow), top_y=(-narrow, narrow)
    )


def _far_lamp_post() -> Template:
    post = Template().frustum((-0.02, 0.02), (-0.2, 0.2), (0.0, 0.98), "metal")
    return post.frustum((0.0, 0.5), (-0.3, 0.3), (0.965, 0.985), "metal", bottom="street_lamp")


def _far_signal() -> Template:
    head = Template().frustum((-0.5, 0.2), _ALL, (0.0, 1.0), "trim")
    for centre, name in ((0.83, "lamp_red"), (0.50, "lamp_yellow"), (0.17, "lamp_green")):
        head.plate(0.22, (-0.345, 0.345), (centre - 0.126, centre + 0.126), name)  # as large as the disc
    return head


_NEAR: dict[Shape, Callable[[], Template]] = {
    Shape.BOX: lambda: _box("cloth", bottom="cloth"),
    Shape.CAR: _car,
    Shape.VAN: _van,
    Shape.TRUCK: _truck,
    Shape.BUS: _bus,
    Shape.MOTORCYCLE: _motorcycle,
    Shape.BICYCLE: _bicycle,
    Shape.PEDESTRIAN: _pedestrian,
    Shape.ANIMAL: _animal,
    Shape.CONE: _cone,
    Shape.BARRIER: _barrier,
    Shape.DEBRIS: lambda: Template().frustum(_ALL, _ALL, (0.0, 1.0), "fur", top_x=(-0.3, 0.42), top_y=(-0.4, 0.25)),
    Shape.EMERGENCY: lambda: _van(stripe="red", beacon=True),
    Shape.BUILDING: lambda: _box("front", top="flat_roof"),
    Shape.HOUSE: _house,
    Shape.TREE: _tree,
    Shape.CONIFER: _conifer,
    Shape.BUSH: lambda: Template().blob((0.0, 1.0), 0.5, "leaves", sides=6, rings=3),
    Shape.POLE: lambda: _box("metal"),
    Shape.LAMP_POST: _lamp_post,
    Shape.SIGN: _sign,
    Shape.SIGNAL: _signal,
}
_FAR: dict[Shape, Callable[[], Template]] = {
    Shape.CAR: _far_car,
    Shape.VAN: _far_van,
    Shape.TRUCK: _far_truck,
    Shape.BUS: _far_bus,
    Shape.MOTORCYCLE: lambda: _far_rider("trim"),
    Shape.BICYCLE: lambda: _far_rider("cloth"),
    Shape.PEDESTRIAN: _far_pedestrian,
    Shape.CONE: _far_cone,
    Shape.EMERGENCY: lambda: _far_van(stripe="red", beacon=True),
    Shape.TREE: lambda: _tree(sides=6, rings=3),
    Shape.LAMP_POST: _far_lamp_post,
    Shape.SIGNAL: _far_signal,
}
_DOT: dict[Shape, Callable[[], Template]] = {
    Shape.CAR: lambda: _dot((-0.4, 0.2), 0.6),
    Shape.VAN: lambda: _dot((-0.5, 0.35), 0.5, roof="paint"),
    Shape.TRUCK: lambda: _dot((-0.5, 0.22), 0.45, roof="white"),
    Shape.BUS: lambda: _dot(_ALL, 0.42),
    Shape.TREE: lambda: _crown(0.3, 0.4, 0.28),
    Shape.CONIFER: lambda: _crown(0.15, 0.42, 0.05),
    Shape.BUSH: lambda: _crown(0.0, 0.45, 0.3),
}
_SPECK: dict[Shape, Callable[[], Template]] = {
    Shape.CAR: lambda: _box("paint"),
    Shape.VAN: lambda: _box("paint"),
    Shape.TRUCK: lambda: _box("white"),
    Shape.BUS: lambda: _box("paint"),
    Shape.EMERGENCY: lambda: _box("paint"),
    Shape.PEDESTRIAN: lambda: _box("cloth"),
    Shape.TREE: lambda: _crown(0.0, 0.36, 0.30),
    Shape.CONIFER: lambda: _crown(0.0, 0.36, 0.05),
    Shape.LAMP_POST: lambda: Template().frustum((-0.02, 0.02), (-0.2, 0.2), (0.0, 0.98), "metal"),
}


class Templates(NamedTuple):
    """All templates in flat arrays: LEVELS a shape, one shape after the other; t has quads `start[t]:start[t + 1]`."""

    start: Array  # (LEVELS * S + 1,) int32
    quad: Array  # (Q, 4, 3) float32
    plane: Array  # (Q, 4) float32 outward normal and offset, of the unit box
    material: Array  # (Q,) uint8


def _flat() -> Templates:
    every = []
    for shape in Shape:
        near = _NEAR[shape]
        far = _FAR.get(shape, near)
        dot = _DOT.get(shape, far)
        every += [near(), far(), dot(), _SPECK.get(shape, dot)()]
    start = np.cumsum([0] + [len(template.quads) for template in every])
    # A triangle is a quad with two corners that are the same, not nearly the same.
    quads = np.concatenate([np.stack(template.quads) for template in every]).round(6)
    codes = np.concatenate([template.codes for template in every])
    normal = np.cross(quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1])
    plane = np.concatenate([normal, np.sum(normal * quads[:, 0], axis=1, keepdims=True)], axis=1)
    return Templates(start.astype(np.int32), quads.astype(np.float32), plane.astype(np.float32), codes.astype(np.uint8))


TEMPLATES = _flat()
