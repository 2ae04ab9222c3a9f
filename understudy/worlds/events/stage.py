"""What scripts share: actors that move along the ego's way, moments that suit, and how to drive round something."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from understudy.records import Array, Floats
from understudy.worlds.traffic import ACTORS, BODIES, PARKED, PEOPLE, Crowd

if TYPE_CHECKING:
    from understudy.worlds.city import City

TICK_S = 0.1
NOBODY = Crowd(*(np.zeros(0, float if 2 <= i < 6 else np.int64) for i in range(7)))
FRONT = 3.7  # from the ego's rear axle to its front bumper


@dataclass(frozen=True, slots=True)
class Actors:
    """What a script has on the road in this tick, and whether it is the event yet (or only an actor on its way)."""

    crowd: Crowd = NOBODY
    counts: bool = True


@dataclass(slots=True)
class Actor:
    """One road user that a script moves, in coordinates of the ego's way: `s` along it, `d` to its left."""

    track: int
    body: str
    s: float
    d: float
    speed: float = 0.0  # along the way, negative against it
    across: float = 0.0  # to the left
    turn: float = 0.0  # of its heading from where it goes, for what stands
    signals: int = 0

    def row(self, world: City) -> Crowd:
        pose = world.way.beside(self.s, self.d)
        speed = math.hypot(self.speed, self.across)
        heading = math.atan2(self.across, self.speed) if speed > 0.05 else 0.0
        return Crowd.of(self.track, self.body, (pose[0], pose[1], pose[2] + heading + self.turn), speed, self.signals)

    def move(self) -> None:
        self.s += self.speed * TICK_S
        self.d += self.across * TICK_S


def put(world: City, actors: Sequence[Actor], counts: bool = True) -> Actors:
    """The actors where they are now."""
    return Actors(Crowd.joined([actor.row(world) for actor in actors]), counts)


def new_track(world: City) -> int:
    """A track that nobody has had."""
    world.events.tracks += 1
    return ACTORS + world.events.tracks


def gap_to(world: City, s: float) -> float:
    """From the ego's front bumper to `s`."""
    return s - world.way.s - FRONT


def open_road(world: City, start: float, end: float, bend: float = 0.12) -> bool:
    """Whether the way between two distances from the ego is a straight street without a junction."""
    line = world.way.line
    near = (line.s >= world.way.s + start) & (line.s <= world.way.s + end)
    if near.sum() < 2 or world.way.s + end > world.way.goal:
        return False
    heading = np.unwrap(line.heading[near])
    inside = any(world.town.map.lanes[lane].junction for lane in set(line.lane[near].tolist()))
    return not inside and float(np.ptp(heading)) < bend


def on_way(world: City, ahead: float, behind: float = 0.0, width: float = 1.6, centre: float = 0.0) -> Array:
    """Rows of the crowd that move along the way within `width` of `centre`, from `behind` to `ahead` of the ego."""
    crowd = world.crowd
    s, d, heading = world.way.project(np.stack([crowd.x, crowd.y], -1), ahead + 10)
    s = s - world.way.s
    same = np.cos(crowd.yaw - heading) > 0.7
    return np.flatnonzero((np.abs(d - centre) < width) & (s > -behind) & (s < ahead) & same & (crowd.track < PARKED))


def leader(world: City, ahead: float) -> int | None:
    """The row of the crowd that is next in front of the ego on its way."""
    rows = on_way(world, ahead)
    if len(rows) == 0:
        return None
    s, _, _ = world.way.project(np.stack([world.crowd.x[rows], world.crowd.y[rows]], -1))
    ahead_of = s > world.way.s + FRONT
    return int(rows[ahead_of][np.argmin(s[ahead_of])]) if ahead_of.any() else None


@dataclass(slots=True)
class Passing:
    """Something in the ego's lane from `start` to `end` (along the way), passed `left` metres to its left."""

    start: float
    end: float
    left: float
    committed: bool = False
    needs_gap: bool = True

    RAMP: ClassVar[float] = 16.0
    PACE: ClassVar[float] = 7.0  # m/s, at most, on the way round
    PICK_UP: ClassVar[float] = 1.0  # m/s², at least, until then
    PULLS_OUT: ClassVar[float] = 0.4  # m to the left of its lane's centre: others see it go round

    def shift(self, s: Floats) -> Floats:
        """The way round, with smooth ramps before and behind."""
        rise = np.clip((s - (self.start - self.RAMP - FRONT)) / self.RAMP, 0, 1)
        fall = np.clip((self.end + self.RAMP + 1.0 - s) / self.RAMP, 0, 1)
        share = np.minimum(rise, fall)
        return np.asarray(self.left * share**2 * (3 - 2 * share))

    def brake(self, world: City) -> float:
        """Decide whether to go; until then the acceleration that stops before the way round begins, else inf."""
        room = gap_to(world, self.start) - self.RAMP - 1.0
        if room > 40 or world.way.s > self.end:
            return np.inf
        if self.committed:
            return 1.2 * (self.PACE - world.ego.speed) if world.ego.speed > self.PACE - 0.5 else np.inf
        if not self.needs_gap or (room < 25 and self._free(world)):
            self.committed = True
            return np.inf
        needed = world.ego.speed**2 / (2 * max(room, 0.3))
        return -needed if needed > 0.9 else np.inf if room > 3 else -1.0

    def _free(self, world: City) -> bool:
        """Whether nobody else would be where the ego is on its way round."""
        crowd, ego = world.crowd, world.ego
        moving = crowd.track < PARKED
        s, d, heading = world.way.project(np.stack([crowd.x[moving], crowd.y[moving]], -1), 130.0, back=110.0)
        speed = crowd.speed[moving] * np.cos(crowd.yaw[moving] - heading)
        beside = (np.abs(d - self.left) < 1.9) & (np.abs(d) > 1.2)
        way_round = self.end + self.RAMP - world.way.s + 1.5 * self.PACE
        t = np.arange(0.0, self.PACE / self.PICK_UP + way_round / self.PACE, 0.25)
        pace = np.minimum(np.minimum(ego.speed, self.PACE) + self.PICK_UP * t, self.PACE)  # who stands starts slowly
        driven = np.cumsum(pace * 0.25)
        t, driven = t[driven < way_round], driven[driven < way_round]
        mine, theirs = world.way.s + driven, s[:, None] + speed[:, None] * t
        near = np.abs(theirs - mine) < 9.0 + crowd.length[moving, None] / 2
        return not bool(np.any(near[beside]))

    def yielding(self, world: City) -> dict[int, float]:
        """The speed by track to which others slow down for the ego on its way round, of which SUMO knows nothing.

        Who comes towards it waits where the way round ends; who comes up beside it falls in behind. They see where the
        car is, not who plans for it.
        """
        begun = world.way.s > self.start - self.RAMP - FRONT and world.beside > self.PULLS_OUT
        if not begun or world.way.s > self.end + self.RAMP:
            return {}
        crowd, ego = world.crowd, world.ego
        rows = np.flatnonzero(crowd.track < PEOPLE)
        s, d, heading = world.way.project(np.stack([crowd.x[rows], crowd.y[rows]], -1), 130.0, back=110.0)
        along, half = np.cos(crowd.yaw[rows] - heading), crowd.length[rows] / 2
        speed, beside = crowd.speed[rows], (np.abs(d - self.left) < 1.9) & (np.abs(d) > 1.2)
        towards = beside & (along < -0.7) & (s > self.end)
        behind = beside & (along > 0.7) & (s + half < world.way.s)
        room = np.where(towards, s - half - self.end - self.RAMP, world.way.s - ego.vehicle.rear_overhang - s - half)
        slower = np.where(towards, 0.0, min(ego.speed, self.PACE))
        needed = np.maximum(speed - slower, 0.0) ** 2 / (2 * np.maximum(room - 2.0, 0.1))
        yields = np.flatnonzero((towards | behind) & ((needed > 1.0) | (room < 5.0)))
        return dict(zip(crowd.track[rows[yields]].tolist(), slower[yields].tolist(), strict=True))


def parked_ahead(world: City, low: float, high: float) -> float | None:
    """The `s` of the front of a parked car on the right, between two distances from the front bumper."""
    crowd = world.crowd
    rows = np.flatnonzero((crowd.track >= PARKED) & (crowd.track < ACTORS))
    s, d, _ = world.way.project(np.stack([crowd.x[rows], crowd.y[rows]], -1))
    fits = (d < -2.0) & (d > -3.6) & (s - world.way.s - FRONT > low) & (s - world.way.s - FRONT < high)
    if not fits.any():
        return None
    first = rows[fits][np.argmin(s[fits])]
    return float(s[fits].min() + BODIES["saloon"].length / 2 if first >= 0 else 0.0)
