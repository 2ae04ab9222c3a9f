"""Scripts of things on the road, and of the road and the light themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from understudy.worlds.events.stage import (
    FRONT,
    TICK_S,
    Actor,
    Actors,
    Passing,
    gap_to,
    leader,
    new_track,
    open_road,
    put,
)
from understudy.worlds.scene import weather

if TYPE_CHECKING:
    from understudy.worlds.city import City

_HAZARD = 1 | 2  # SUMO's bits of both indicators


def _stretch(world: City, low: float, high: float) -> bool:
    """Whether there is a free straight stretch ahead on which something may stand."""
    return world.ego.speed > 4.5 and open_road(world, 0, high) and leader(world, low + 25) is None


def _passed(
    world: City, actors: list[Actor], start: float, end: float, left: float, needs_gap: bool
) -> Iterator[Actors]:
    """Let things stand until the ego has driven round them."""
    world.events.passing = Passing(start, end, left, needs_gap=needs_gap)
    while gap_to(world, end) > -45.0:
        yield put(world, actors, counts=gap_to(world, end) > -4.0 - FRONT and gap_to(world, start) < 60.0)


def stopped_truck(world: City, rng: np.random.Generator) -> Iterator[Actors | None]:
    """A lorry unloads in the ego's lane."""
    while not _stretch(world, 60, 105):
        yield None
    s = world.way.s + FRONT + float(rng.uniform(62, 72))
    lorry = Actor(new_track(world), "lorry", s + 4.25, -0.45, signals=_HAZARD)
    yield from _passed(world, [lorry], s, s + 8.5, 2.5, needs_gap=True)


def debris(world: City, rng: np.random.Generator) -> Iterator[Actors | None]:
    """Lost load lies in the lane."""
    while not _stretch(world, 45, 85):
        yield None
    s = world.way.s + FRONT + float(rng.uniform(45, 55))
    things = [Actor(new_track(world), "debris", s + float(o), -0.75 - 0.35 * i, turn=float(rng.uniform(0, 3)))
              for i, o in enumerate(np.sort(rng.uniform(0, 3.5, 2)))]  # fmt: skip
    yield from _passed(world, things, s - 0.5, s + 4.0, 1.4, needs_gap=True)


def road_works(world: City, rng: np.random.Generator) -> Iterator[Actors | None]:
    """Cones take half of the lane away."""
    while not _stretch(world, 50, 110):
        yield None
    s = world.way.s + FRONT + float(rng.uniform(50, 58))
    edge = np.concatenate([np.linspace(-1.5, -0.35, 4), np.full(5, -0.35), [-0.9, -1.5]])
    things = [Actor(new_track(world), "cone", s + 2.6 * i, float(d)) for i, d in enumerate(edge)]
    things.append(Actor(new_track(world), "barrier", s + 11.0, -1.3))
    yield from _passed(world, things, s + 3.0, s + 2.6 * len(edge) - 3.0, 1.35, needs_gap=True)


def blocked_junction(world: City, rng: np.random.Generator) -> Iterator[Actors | None]:
    """A lorry stands across the junction, and clears it after a while."""
    way = world.way
    inside = np.array([lane.junction for lane in world.town.map.lanes])
    while True:
        ahead = (way.line.s > way.s + FRONT + 25) & (way.line.s < way.s + FRONT + 45)
        rows = np.flatnonzero(ahead & inside[way.line.lane])
        wide = len(rows) >= 6 and way.line.s[rows[-1]] < way.goal
        if wide and world.ego.speed > 5 and leader(world, 45) is None and way.limit_at(way.s) < 20:
            break
        yield None
    middle = float(way.line.s[rows[min(len(rows) - 1, 7)]])
    lorry = Actor(
        new_track(world),
        "van",
        middle,
        0.3,
        turn=float(rng.choice([-1.0, 1.0]) * rng.uniform(1.2, 1.6)),
        signals=_HAZARD,
    )
    stays = float(rng.uniform(9, 15))
    while stays > 0:
        stays -= TICK_S if gap_to(world, middle) < 14 or world.ego.speed < 0.5 else 0.4 * TICK_S
        yield put(world, [lorry], counts=gap_to(world, middle) < 45)
    away = np.sign(lorry.turn) * 3.5
    lorry.turn = 0.0
    while abs(lorry.d) < 22.0:
        lorry.across = float(away)
        lorry.move()
        yield put(world, [lorry], counts=abs(lorry.d) < 2.5)


def faded_markings(world: City, rng: np.random.Generator) -> Iterator[Actors | None]:
    """The paint of a stretch of road has gone; there from the beginning, an event while the ego is on it."""
    way = world.way
    start = way.s + float(rng.uniform(30, 70))
    end = start + float(rng.uniform(80, 140))
    s = np.arange(start, end, 4.0)
    world.events.worn = np.concatenate(
        [way.beside(s, np.full(len(s), -7.0))[:, :2], way.beside(s, np.full(len(s), 10.0))[::-1, :2]]
    )
    while way.s < end:
        yield Actors() if way.s > start - 15.0 else None


def blinding_sun(world: City, rng: np.random.Generator) -> Iterator[Actors | None]:
    """The low sun stands right ahead, where there is a sun."""
    shines = max(weather(world.scenario.weather).sun) > 0
    while not (shines and open_road(world, 0, 50, 0.2)):
        yield None
    world.events.glare_azimuth = float(world.ego.pose[2])
    lasts = float(rng.uniform(6, 10))
    world.events.glare_s = (world.t_s, world.t_s + lasts)
    for _ in range(round(lasts / TICK_S)):
        yield Actors()


def dead_traffic_light(world: City, rng: np.random.Generator) -> Iterator[Actors | None]:
    """The lights of the next junction are off."""
    program_of = {signal.lane: signal.program for signal in world.town.signals}
    while True:
        near = [(lane, s) for lane, s in world.way.line.ends if lane in program_of and 50 < gap_to(world, s) < 130]
        if near:
            break
        yield None
    lane, stop = near[0]
    program = program_of[lane]
    links = world.town.programs[program].state.shape[1]
    world.traffic.sumo.set_signals(program, "O" * links)
    world.events.dark[program] = (world.t_s, np.inf)
    while gap_to(world, stop) > -40.0:
        yield Actors(counts=-FRONT < gap_to(world, stop) < 60.0)
    world.traffic.sumo.restore_signals(program)
    world.events.dark[program] = (world.events.dark[program][0], world.t_s)
