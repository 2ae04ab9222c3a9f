"""The city seen through the ego's cameras: the crowd and the lights as solids, and the pictures taken so far.

Pictures are kept encoded, because ten minutes of six cameras would fill the memory; those that a policy looks back on
also as they are.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from understudy.records import NS, Array, Camera, Floats, Ints, Kind, Rig
from understudy.worlds.ground import Ground, rasterise
from understudy.worlds.net import Town
from understudy.worlds.render import Renderer
from understudy.worlds.scene import BRAKE, FLASH, LEFT, RIGHT, SOLID, Scene, Shape, Weather, solids, weather
from understudy.worlds.traffic import ACTORS, PARKED, Crowd

if TYPE_CHECKING:
    from understudy.worlds.city import City

_QUALITY = 92


@lru_cache(maxsize=4)
def ground_of(town: Town) -> Ground:
    """The town from above."""
    return rasterise(town.map)


def as_solids(crowd: Crowd) -> Array:
    """Road users as SOLID, with the lights that they show."""
    right, left, brake, blue = ((crowd.signals & bit) > 0 for bit in (1, 2, 8, 2048))
    flash = blue | (crowd.kind == Kind.EMERGENCY)
    return solids(
        len(crowd.x), shape=crowd.shape, id=crowd.track, x=crowd.x, y=crowd.y, yaw=crowd.yaw, length=crowd.length,
        width=crowd.width, height=crowd.height, colour=crowd.paint,
        state=brake * BRAKE + left * LEFT + right * RIGHT + flash * FLASH,
    )  # fmt: skip


def signals_as_solids(town: Town, facing: Floats) -> Array:
    """Traffic lights as SOLID, in no state yet: they look towards those whom they are for."""
    heads = np.array([signal.head for signal in town.signals]).reshape(-1, 3)
    made = solids(
        len(heads),
        shape=Shape.SIGNAL,
        x=heads[:, 0],
        y=heads[:, 1],
        yaw=facing + np.pi,
        colour=(0.1, 0.1, 0.1),
    )
    made["z"] = heads[:, 2] - made["height"] / 2
    return made


@dataclass(slots=True)
class Film:
    """The pictures of one camera: `records.Pictures`."""

    size: tuple[int, int]
    recent: deque[Array]
    t_ns: list[int] = field(default_factory=list)
    encoded_: list[bytes] = field(default_factory=list)

    def add(self, t_ns: int, picture: Array) -> None:
        import simplejpeg  # of the extra [city], which a turn of recorded drives does without

        self.t_ns.append(t_ns)
        self.recent.append(picture)
        # A lamp is a pixel or two: its colour must not be shared with its neighbours.
        self.encoded_.append(simplejpeg.encode_jpeg(picture, _QUALITY, colorsubsampling="444"))

    def __len__(self) -> int:
        return len(self.t_ns)

    def read(self, indices: Ints) -> Array:
        """Pictures (n, H, W, 3) uint8."""
        return (
            np.stack([self._one(int(index)) for index in indices])
            if len(indices)
            else np.zeros((0, *self.size[::-1], 3), np.uint8)
        )

    def _one(self, index: int) -> Array:
        back = len(self.t_ns) - index
        if back <= len(self.recent):
            return self.recent[-back]
        import simplejpeg

        return np.asarray(simplejpeg.decode_jpeg(self.encoded_[index]))

    def encoded(self, index: int) -> tuple[str, bytes]:
        return "jpeg", self.encoded_[index]


@dataclass(frozen=True, slots=True)
class _Until:
    """The film as it is now: a camera's record does not grow."""

    film: Film
    count: int

    def __len__(self) -> int:
        return self.count

    def read(self, indices: Ints) -> Array:
        return self.film.read(indices)

    def encoded(self, index: int) -> tuple[str, bytes]:
        return self.film.encoded(index)


class Cameras:
    """Takes a picture with every camera of a rig at each instant of a world."""

    def __init__(self, rig: Rig, world: City, recent: int) -> None:
        """The last `recent` pictures of each are kept as they are."""
        self._rig = rig
        self._film = {
            name: Film((int(w), int(h)), deque(maxlen=recent)) for name, (w, h) in zip(rig.names, rig.size, strict=True)
        }
        self._parked = world.traffic.all_parked
        self._standing = np.concatenate([as_solids(self._parked), signals_as_solids(world.town, world.facing)])
        self._fixed = world.town.fixed
        self._weather = weather(world.scenario.weather)
        self._seed = world.seed
        self._glare = False
        self._worn: Floats | None = None
        self._renderer: Renderer | None = None

    def shoot(self, world: City) -> Floats:
        """One picture with each camera; gives how many pixels of all of them show each of the crowd, (N,)."""
        events = world.events
        glare = events.glare_s[0] <= world.t_s < events.glare_s[1]
        if self._renderer is None or glare != self._glare or events.worn is not self._worn:
            ground = ground_of(world.town)
            if events.worn is not None:
                ground = ground.worn(events.worn)
            self._renderer = Renderer(
                self._rig, Scene(ground, self._fixed, self._lit(events.glare_azimuth, glare)), self._seed
            )
            self._glare, self._worn = glare, events.worn
        crowd = world.crowd
        parks = (crowd.track >= PARKED) & (crowd.track < ACTORS)  # actors of events move, and must be drawn
        moving = as_solids(crowd.take(~parks))
        self._standing["state"][len(self._parked.track) :] = world.lights
        near = np.empty(len(moving) + len(self._standing), SOLID)
        near[: len(moving)], near[len(moving) :] = moving, self._standing
        seen = self._renderer.render(world.ego.pose, near, seed=self._seed + round(world.t_s * 10))
        for film, picture in zip(self._film.values(), seen.pictures, strict=True):
            film.add(round(world.t_s * NS), picture)
        shown = seen.visible.sum(axis=0)
        pixels = np.zeros(len(crowd.x))
        pixels[~parks] = shown[: len(moving)]
        pixels[parks] = shown[len(moving) :][np.searchsorted(self._parked.track, crowd.track[parks])]
        return pixels

    def _lit(self, azimuth: float, glare: bool) -> Weather:
        own = self._weather
        if not glare:
            return own
        air = {name: getattr(own, name) for name in ("visibility", "dirt", "exposure", "noise")}
        return replace(weather("low_sun"), sun_azimuth=azimuth, **air)

    def taken(self) -> tuple[Camera, ...]:
        """The cameras with all their pictures so far."""
        rig = self._rig
        return tuple(
            Camera(name, film.size, np.array(film.t_ns, np.int64), _Until(film, len(film)), rig.K[k], rig.ego_T_cam[k],
                   rig.distortion[k], rig.coefficients[k])
            for k, (name, film) in enumerate(self._film.items())
        )  # fmt: skip
