"""Scripts of other drivers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from understudy.records import Light
from understudy.worlds.events.stage import (
    FRONT,
    TICK_S,
    Actor,
    Actors,
    gap_to,
    leader,
    new_track,
    on_way,
    open_road,
    parked_ahead,
    put,
)
from understudy.worlds.sumo import name
from understudy.worlds.traffic import BODIES, PEOPLE, Crowd

if TYPE_CHECKING:
    from understudy.worlds.city import City

_INDICATOR_LEFT, _BRAKE = 2, 8  # SUMO's bits of a vehicle's signals
_FAR = 75.0  # m from the ego, where a vehicle may turn into another


def cut_in(world: City, rng: np.random.Generator) -> Iterator[Actors | None]:
    """Somebody moves in close ahead: out of a parking place, or from the lane on the left."""
    lane = world.town.lane
    while True:
        here = lane[world.way.lane_at(world.way.s + FRONT)]
        clear = world.ego.speed > 6.0 and open_road(world, 0, 45) and leader(world, 40) is None
        if clear and here.left_lane and len(on_way(world, 30, 30, 1.6, 3.3)) == 0:
            who = Actor(new_track(world), "saloon", world.way.s - 16.0, 3.3, speed=world.ego.speed + 4.0)
            break
        if clear and parked_ahead(world, 8, 30):
            ahead = 2.0 + world.ego.speed * rng.uniform(1.5, 1.9)  # it is in the lane two seconds later
            who = Actor(new_track(world), "small", world.way.s + FRONT + ahead, -2.75, speed=2.0)
            break
        yield None
    from_left = who.d > 0
    since = 0.0
    while gap_to(world, who.s) < 70.0 and since < 30.0:
        since += TICK_S
        limit = world.way.limit_at(who.s)
        near = gap_to(world, who.s) - 2.4 < (7.0 if from_left else 60.0)
        if from_left and near and since < 9.0 and who.d > 3.0:  # drawing level and a little ahead
            who.speed, who.across = max(world.ego.speed + 3.5, 6.0), 0.0
        else:
            who.across = float(np.clip(-0.9 * who.d, -1.3, 1.3)) if abs(who.d) > 0.05 else 0.0
            goal = max(0.55 * world.ego.speed, 3.0) if since < 6.0 and from_left else 0.85 * limit
            who.speed += float(np.clip(goal - who.speed, -2.0 * TICK_S, 1.8 * TICK_S))
        who.signals = _INDICATOR_LEFT if abs(who.d) > 0.3 and not from_left else 0
        who.move()
        moves_in = abs(who.d) < 3.2 and since < 8.0
        yield put(world, [who], counts=moves_in)


def hard_braking_leader(world: City, rng: np.random.Generator) -> Iterator[Actors | None]:
    """The car ahead brakes hard for no visible reason."""
    while True:
        row = leader(world, FRONT + 8 + 3.0 * world.ego.speed)
        if (
            row is not None
            and world.crowd.track[row] < PEOPLE
            and world.crowd.speed[row] > 5.0
            and world.ego.speed > 5.0
        ):
            break
        yield None
    who = name(int(world.crowd.track[row]))
    sumo = world.traffic.sumo
    sumo.set_speed(who, 0.0)
    for _ in range(round(rng.uniform(2.5, 4.0) / TICK_S)):
        yield Actors()
    sumo.set_speed(who, -1.0)


def tailgater(world: City, rng: np.random.Generator) -> Iterator[Actors | None]:
    """Somebody follows far too closely for a while."""
    while not (world.ego.speed > 6.5 and open_road(world, -10, 50, 0.5) and len(on_way(world, 0, 45)) == 0):
        yield None
    who = Actor(new_track(world), "saloon", world.way.s - 32.0, 0.0, speed=world.ego.speed + 3.0)
    stays, since = float(rng.uniform(12, 18)), 0.0
    while who.s > world.way.s - 75.0:
        since += TICK_S
        room = world.way.s - 0.9 - (who.s + 2.35)
        wanted = 0.35 * world.ego.speed + 1.0 if since < stays else 200.0
        accel = (
            np.clip(1.0 * (room - wanted) + 2.2 * (world.ego.speed - who.speed) + min(world.ego.accel, 0.0), -9.0, 2.5)
            if since < stays
            else -1.5
        )
        who.speed = max(who.speed + float(accel) * TICK_S, 0.0)
        who.signals = _BRAKE if accel < -1.0 else 0
        who.move()
        yield put(world, [who], counts=room < 0.58 * world.ego.speed and world.ego.speed > 5.5)
        if since > stays and who.speed < 0.2:
            return


def wrong_way(world: City, rng: np.random.Generator) -> Iterator[Actors | None]:
    """Somebody comes towards the ego in its own lane, and gives way late."""
    while not (world.ego.speed > 5 and open_road(world, 0, 95, 0.25) and leader(world, 95) is None):
        yield None
    who = Actor(new_track(world), "saloon", world.way.s + FRONT + 85.0, 0.2, speed=-float(rng.uniform(6, 8)))
    yields_at = float(rng.uniform(2.2, 2.8))  # seconds before they would meet
    while gap_to(world, who.s) > -35.0:
        closing = world.ego.speed - who.speed
        if (gap_to(world, who.s) - 2.4) / max(closing, 1.0) < yields_at + 0.6:
            who.across = float(np.clip(3.4 - who.d, 0.0, 2.2))
        who.move()
        yield put(world, [who], counts=who.d < 1.8 and gap_to(world, who.s) < 70)


def red_light_runner(world: City, rng: np.random.Generator) -> Iterator[Actors | None]:
    """Somebody crosses at red while the ego has green."""
    way = world.way
    greens = {signal.lane: k for k, signal in enumerate(world.town.signals)}
    while True:
        stop = next(((lane, s) for lane, s in way.line.ends if lane in greens and 10 < gap_to(world, s) < 30), None)
        if stop and world.ego.speed > 5:
            state = world.town.lights_at(np.array(world.sumo_s))[greens[stop[0]]]
            path = _across(world, stop[1]) if state == Light.GREEN else None
            if path is not None:
                break
        yield None
    line, meets = path
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    speed = float(rng.uniform(8, 11))
    track = new_track(world)
    meeting_s = gap_to(world, stop[1] + 8.0) / max(world.ego.speed, 4.0) + float(rng.uniform(0.0, 0.5))
    at = meets - speed * meeting_s
    while at < along[-1] - 3.0:
        at += speed * TICK_S
        x, y = (float(np.interp(at, along, line[:, axis])) for axis in (0, 1))
        x2, y2 = (float(np.interp(at + 1.0, along, line[:, axis])) for axis in (0, 1))
        row = Crowd.of(track, "saloon", (x, y, float(np.arctan2(y2 - y, x2 - x))), speed)
        yield Actors(row if at > 1.0 else Crowd.joined([row]).take(np.zeros(0, int)), counts=abs(at - meets) < 26.0)


def _across(world: City, stop: float):  # type: ignore[no-untyped-def]
    """A line (P, 2) across the ego's way in the next junction, and where on it they meet; None if there is none."""
    way, lane = world.way, world.town.lane
    inside = way.beside(np.arange(stop + 3.0, stop + 22.0, 1.0), 0.0)
    own = set(way.lanes)
    for inner in world.town.map.lanes:
        if (
            not inner.junction
            or inner.kind != "vehicle"
            or inner.id in own
            or not inner.predecessors
            or not inner.successors
        ):
            continue
        apart = np.hypot(*(inner.centre[:, None] - inside[None, :, :2]).transpose(2, 0, 1))
        if apart.min() > 1.5:
            continue
        before, after = inner.predecessors[0], inner.successors[0]
        if lane[before].junction or lane[after].junction:
            continue
        turn = np.arctan2(*(inner.centre[-1] - inner.centre[0])[::-1]) - way.at(stop)[2]
        if abs(np.sin(turn)) < 0.75:
            continue
        line = np.concatenate([lane[before].centre, inner.centre, lane[after].centre])
        nearest = int(np.argmin(np.hypot(*(line[:, None] - inside[None, :, :2]).transpose(2, 0, 1)).min(1)))
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
        if along[nearest] > 30.0:
            return line, float(along[nearest])
    return None


def emergency_vehicle(world: City, rng: np.random.Generator) -> Iterator[Actors | None]:
    """Another vehicle nearby is on an emergency run: blue lights, and faster than the rest."""
    while True:
        crowd = world.crowd
        apart = np.hypot(crowd.x - world.ego.pose[0], crowd.y - world.ego.pose[1])
        candidates = np.flatnonzero((apart > _FAR) & (crowd.track < PEOPLE) & (crowd.kind == 1) & (crowd.speed > 3))
        if len(candidates):
            break
        yield None
    row = candidates[rng.integers(len(candidates))]
    track, usual = int(crowd.track[row]), list(BODIES)[crowd.body[row]]
    world.traffic.transform(track, "emergency")
    world.traffic.sumo.set_speed_factor(name(track), 1.5)
    since, met, away = 0.0, False, 0.0
    while since < 40.0 or away <= _FAR:  # nobody is to see it change
        since += TICK_S
        here = np.flatnonzero(world.crowd.track == track)
        apart = np.hypot(world.crowd.x[here] - world.ego.pose[0], world.crowd.y[here] - world.ego.pose[1])
        away = float(apart[0]) if len(here) else np.inf
        met = met or away < 45.0
        yield Actors(counts=bool(away < 45.0))
        if met and len(here) == 0:
            break
    # Were it to come by again as what it is now, that would be in no event of the truth.
    world.traffic.transform(track, usual)
    world.traffic.sumo.set_speed_factor(name(track), 1.0)
