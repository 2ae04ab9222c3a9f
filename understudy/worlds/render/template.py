"""Building blocks of shapes: frusta, plates, discs and balls in a unit box, as flat quads with a material."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from understudy.records import Floats
from understudy.worlds.render.materials import CODE


class Template:
    """Quads (4, 3) with materials, gathered part by part; the corners run counter-clockwise seen from outside."""

    def __init__(self) -> None:
        self.quads: list[Floats] = []
        self.codes: list[int] = []

    def frustum(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        z: tuple[float, float],
        side: str,
        *,
        top_x: tuple[float, float] | None = None,
        top_y: tuple[float, float] | None = None,
        front: str | None = None,
        rear: str | None = None,
        top: str | None = None,
        bottom: str | None = None,
    ) -> Template:
        """A box whose top may be smaller or shifted; open below unless `bottom` is given."""
        low = _rectangle(x, y, z[0])
        high = _rectangle(top_x or x, top_y or y, z[1])
        centre = (low.mean(axis=0) + high.mean(axis=0)) / 2
        faces = [(0, front or side), (1, side), (2, rear or side), (3, side)]  # +x, -y, -x, +y
        for i, material in faces:
            j = (i + 1) % 4
            self._quad(np.stack([low[i], low[j], high[j], high[i]]), material, centre)
        self._quad(high, top or side, centre)
        if bottom:
            self._quad(low, bottom, centre)
        return self

    def plate(self, x: float, y: tuple[float, float], z: tuple[float, float], material: str) -> Template:
        """A flat rectangle across, seen from outside: towards +x where x > 0, else towards -x."""
        quad = np.array([[x, y[0], z[0]], [x, y[1], z[0]], [x, y[1], z[1]], [x, y[0], z[1]]])
        self._quad(quad, material, np.array([0.0, np.mean(y), np.mean(z)]))
        return self

    def disc(
        self, centre: Floats | tuple[float, float, float], axis: int, radii: tuple[float, float], material: str
    ) -> Template:
        """An octagon around an axis (0 or 1), facing away from the box's middle; radii along the horizontal and z."""
        angle = np.pi / 8 + np.arange(8) * np.pi / 4
        ring = np.tile(np.asarray(centre, float), (8, 1))
        ring[:, 1 - axis] += radii[0] * np.cos(angle)
        ring[:, 2] += radii[1] * np.sin(angle)
        inward = np.asarray(centre, float).copy()
        inward[axis] = 0.0
        for first in (0, 2, 4):
            self._quad(ring[[0, first + 1, first + 2, first + 3]], material, inward)
        return self

    def blob(self, z: tuple[float, float], radius: float, material: str, sides: int = 7, rings: int = 4) -> Template:
        """A ball between two heights, for crowns."""
        heights = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)
        centre = np.array([0.0, 0.0, np.mean(z)])
        around = np.arange(sides + 1) * 2 * np.pi / sides
        half = (z[1] - z[0]) / 2
        for low, high in pairwise(heights):
            for a, b in pairwise(around):
                corners = [(low, a), (low, b), (high, b), (high, a)]
                quad = [
                    [radius * np.cos(h) * np.cos(t), radius * np.cos(h) * np.sin(t), centre[2] + half * np.sin(h)]
                    for h, t in corners
                ]
                self._quad(np.array(quad), material, centre)
        return self

    def wheels(self, xs: tuple[float, ...], radius_x: float, radius_z: float) -> Template:
        """Axles with a wheel on either side."""
        for x in xs:
            self.frustum((x - radius_x * 0.8, x + radius_x * 0.8), (-0.475, 0.475), (0.0, radius_z * 1.6), "tyre")
            for side in (-0.505, 0.505):
                self.disc((x, side, radius_z), 1, (radius_x, radius_z), "tyre")
                self.disc((x, side * 1.01, radius_z), 1, (radius_x * 0.55, radius_z * 0.55), "rim")
        return self

    def lamps(
        self, front: tuple[float, float], rear: tuple[float, float], width: float = 0.16, plain: bool = False
    ) -> Template:
        """Headlights, tail lights and indicators at the corners, between the heights given; no indicators if plain."""
        for side, turn in ((1, "left"), (-1, "right")):
            inner, edge, outer = side * (0.47 - width), side * (0.47 if plain else 0.425), side * 0.47
            self.plate(0.503, ordered(inner, edge), front, "headlamp").plate(
                -0.503, ordered(inner, edge), rear, "taillamp"
            )
            if not plain:
                self.plate(0.503, ordered(edge, outer), front, turn).plate(-0.503, ordered(edge, outer), rear, turn)
        return self

    def _quad(self, quad: Floats, material: str, inside: Floats) -> None:
        normal = np.cross(quad[2] - quad[0], quad[3] - quad[1])
        outward = float(normal @ (quad.mean(axis=0) - inside)) > 0
        self.quads.append(quad if outward else quad[::-1])
        self.codes.append(CODE[material])


def ordered(a: float, b: float) -> tuple[float, float]:
    return (a, b) if a < b else (b, a)


def _rectangle(x: tuple[float, float], y: tuple[float, float], z: float) -> Floats:
    return np.array([[x[1], y[1], z], [x[1], y[0], z], [x[0], y[0], z], [x[0], y[1], z]])
