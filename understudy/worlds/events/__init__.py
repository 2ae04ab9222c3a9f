"""The long tail: rare things that happen on the way, by small seeded scripts, and are written into the truth.

A script is a generator that runs once a tick. It yields None while it waits for its moment, then what it puts on the
road in this tick (which may be nothing of its own), and ends when it is over. From its first such tick to its last the
event happens. Each kind names beforehand the triggers that should catch it. The kinds marked `kept` are never tuned on:
nobody looks at how triggers do on them before selection is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from understudy.errors import UnknownName
from understudy.records import NS, Array, Event, Floats, Light
from understudy.worlds.events import others, people, road
from understudy.worlds.events.stage import NOBODY, Actors, Passing
from understudy.worlds.sumo import name
from understudy.worlds.traffic import Crowd

if TYPE_CHECKING:
    from understudy.worlds.city import City

TAIL_S = (8.0, 16.0)  # between one event and the next of `tail`
_PATIENCE_S = 30.0  # how long a script of `tail` may wait for its moment
_BEFORE_S = 4.0  # nothing happens in the first seconds

Script = Callable[["City", np.random.Generator], Iterator[Actors | None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of event: its script, and the triggers that should catch it."""

    script: Script
    triggers: tuple[str, ...]
    kept: bool = False
    lit: bool = False  # comes about at lights alone


KINDS: dict[str, Kind] = {
    "cut_in": Kind(others.cut_in, ("cut_in", "hard_brake", "human_brakes", "would_hit")),
    "hard_braking_leader": Kind(
        others.hard_braking_leader, ("leader_brakes", "hard_brake", "human_brakes", "short_time_to_collision")
    ),
    "jaywalker": Kind(
        people.jaywalker, ("pedestrian_ahead", "crossing_path", "hard_brake", "harsh_brake_near_vulnerable")
    ),
    "child_behind_parked_car": Kind(
        people.child, ("pedestrian_ahead", "crossing_path", "hard_brake", "harsh_brake_near_vulnerable")
    ),
    "red_light_runner": Kind(
        others.red_light_runner, ("crossing_path", "hard_brake", "would_hit"), kept=True, lit=True
    ),
    "wrong_way": Kind(others.wrong_way, ("oncoming_in_lane", "hard_brake"), kept=True),
    "stopped_truck": Kind(
        road.stopped_truck,
        ("goes_round", "standing_object_ahead", "swerve", "off_the_map", "abrupt_steering", "would_hit"),
    ),
    "debris": Kind(road.debris, ("obstacle_in_path", "standing_object_ahead", "swerve", "would_hit"), kept=True),
    "road_works": Kind(road.road_works, ("obstacle_in_path", "standing_object_ahead", "swerve", "would_hit")),
    "emergency_vehicle": Kind(others.emergency_vehicle, ("emergency_vehicle",)),
    "blocked_junction": Kind(
        road.blocked_junction,
        ("standing_object_ahead", "short_time_to_collision", "hard_brake", "would_hit"),
        kept=True,
    ),
    "faded_markings": Kind(road.faded_markings, ("uncertain", "models_disagree", "would_leave_road")),
    "blinding_sun": Kind(road.blinding_sun, ("uncertain", "models_disagree", "surprise")),
    "dead_traffic_light": Kind(road.dead_traffic_light, ("dead_light",), lit=True),
    "cyclist_overtaking_right": Kind(people.cyclist_on_the_right, ("close_vulnerable",), kept=True),
    "tailgater": Kind(others.tailgater, ("tailgater",)),
    "waiting_pedestrian": Kind(people.waiting_pedestrian, ("close_vulnerable", "needless_stop", "pedestrian_ahead")),
}


@dataclass(slots=True)
class _Running:
    kind: str
    ticks: Iterator[Actors | None]
    since_s: float
    first_s: float = float("nan")
    last_s: float = float("nan")


class Events:
    """What happens in one world, and what its driver has to know of it beside the traffic."""

    def __init__(self, world: City) -> None:
        event = world.scenario.event
        if event not in ("none", "tail") and event not in KINDS:
            raise UnknownName("event", event, ["none", "tail", *KINDS])
        self._world = world
        self._rng = world.scenario.rng("events")
        self._next_s = _BEFORE_S if event != "none" else np.inf
        self._running: _Running | None = None
        self._over: list[_Running] = []
        self._order: list[str] = []
        self.tracks = 0  # given to actors so far
        self.passing: Passing | None = None  # something to be driven round
        self._yielding: set[int] = set()  # tracks that slow down for the ego on its way round
        self.dark: dict[str, tuple[float, float]] = {}  # programmes switched off, from when to when
        self.worn: Floats | None = None  # a ring of road whose paint has gone
        self.glare_s = (np.inf, -np.inf)  # from when to when the sun blinds, and
        self.glare_azimuth = 0.0  # where it stands

    # For the world, every tick -------------------------------------------------------------------------------------

    def before(self) -> None:
        """Begin what is due, before SUMO takes its step; who meets the ego on its way round lets it pass."""
        now = self._world.t_s
        slowed = self.passing.yielding(self._world) if self.passing is not None else {}
        for track, speed in {**dict.fromkeys(sorted(self._yielding - set(slowed)), -1.0), **slowed}.items():
            self._world.traffic.sumo.set_speed(name(track), speed)
        self._yielding = set(slowed)
        if self._running is None and now >= self._next_s:
            kind = self._chosen()
            self._running = _Running(kind, KINDS[kind].script(self._world, self._rng), now)

    def after(self) -> Crowd:
        """What the event that runs has put on the road, after SUMO's step."""
        run, now = self._running, self._world.t_s
        if run is None:
            return NOBODY
        waits = not np.isfinite(run.first_s)
        try:
            actors = next(run.ticks)
        except StopIteration:
            self._finish(run, now)
            return NOBODY
        if actors is None:
            if now - run.since_s > _PATIENCE_S and self._world.scenario.event == "tail":
                self._finish(run, now)  # its moment did not come
            return NOBODY
        if actors.counts:
            run.first_s, run.last_s = now if waits else run.first_s, now
        return actors.crowd

    def _chosen(self) -> str:
        if self._world.scenario.event != "tail":
            return self._world.scenario.event
        if not self._order:  # each kind once before any comes again
            self._order = [str(kind) for kind in self._rng.permutation(list(KINDS))]
        return self._order.pop()

    def _finish(self, run: _Running, now: float) -> None:
        if np.isfinite(run.first_s):
            self._over.append(run)
        else:
            self._order.insert(0, run.kind)  # its moment did not come: later
        self._running, self.passing = None, None
        if not np.isfinite(run.first_s):
            self._next_s = now
        else:
            tail = self._world.scenario.event == "tail"
            self._next_s = now + float(self._rng.uniform(*TAIL_S)) if tail else np.inf

    def happened(self) -> tuple[Event, ...]:
        """The events so far, their kind as the trigger's name."""
        runs = [*self._over, *([self._running] if self._running and np.isfinite(self._running.first_s) else [])]
        return tuple(Event("", round(run.first_s * NS), round(run.last_s * NS), 1.0, run.kind) for run in runs)

    def darkened(self, state: Array, t_s: Floats) -> Array:
        """States of the lights (T, L) with those that were off at `t_s` (T,)."""
        state = state.copy()
        for program, (start, end) in self.dark.items():
            columns = [k for k, signal in enumerate(self._world.town.signals) if signal.program == program]
            rows = np.flatnonzero((t_s >= start) & (t_s < end))
            state[rows[:, None], columns] = Light.OFF
        return state

    # For the driver ------------------------------------------------------------------------------------------------

    def shift(self, s: Floats) -> Floats:
        """How far to the left of the lane's centre one has to drive at `s` along the way."""
        return self.passing.shift(s) if self.passing is not None and self.passing.committed else np.zeros(np.shape(s))

    def brake(self) -> float:
        """The acceleration that stops in front of what cannot be passed yet; inf where nothing is to be passed."""
        return self.passing.brake(self._world) if self.passing is not None else np.inf
