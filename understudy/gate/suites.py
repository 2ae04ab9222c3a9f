"""Which scenarios: named lists of identifiers, made from nothing but their names, in towns that nobody trains on.

everyday    ordinary traffic in clear weather: here the candidate may not be worse
braking     what comes into the way of a car at once, by those who walk and those who drive; twice as many routes
events      every kind of rare event in turn, where the city's own driver meets it
weather     every weather but clear in turn, dirty lenses among them; twice as many routes
lights      a light that is red when the car gets there, in little traffic; ten times as many routes, shorter
KIND        one kind of event, or one weather: `cut_in`, `fog`
replay      the recorded drives of the lake that have objects and a map, from slightly shifted starts
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from understudy.errors import DataError, UnknownName
from understudy.geometry import arc_length
from understudy.records import Light
from understudy.worlds import sides, towns
from understudy.worlds.city import DEPART_S
from understudy.worlds.events import KINDS
from understudy.worlds.events.met import METRES, met
from understudy.worlds.net import Signal, Town
from understudy.worlds.scenario import Scenario
from understudy.worlds.scene import WEATHERS
from understudy.worlds.sketches import LIT
from understudy.worlds.way import ENTERS_M, lanes_of

STANDARD = ("everyday", "braking", "events", "weather", "lights")  # the longest last
SIDE = "gate"
TOWNS = 10  # the first of the side: no suite drives in others
_SECONDS = 40.0
_SUDDEN = ("child_behind_parked_car", "hard_braking_leader", "jaywalker", "cut_in")
_TIMES = {"braking": 2, "weather": 2, "lights": 10}  # as many routes: docs/gate.md says what that is to show
_LIT_TOWNS, _LIGHTS_METRES, _LIGHTS_SECONDS = 6, 200, 25.0
_ARRIVES_M = (40.0, 150.0)  # from the start to the stop line
_EASY_ACCEL = 1.6  # m/s², with which whoever is to meet the light gathers speed
_RED_S = np.arange(-3.0, 6.0)  # around the time of arrival: the light is red all the while
_REPLAYABLE = ("pose", "speed", "objects", "map")
_WEATHERS = tuple(name for name in WEATHERS if name != "clear")
KNOWN = (*STANDARD, "replay", *KINDS, *_WEATHERS)


@dataclass(frozen=True)
class Suite:
    """Scenarios in the order in which they are driven, and how long each may take."""

    name: str
    scenarios: tuple[str, ...]
    seconds: float

    def within(self, seconds: float) -> Suite:
        """The same with less time for each; 0 changes nothing."""
        return replace(self, seconds=min(seconds, self.seconds)) if seconds else self

    def block(self, number: int, of: int) -> tuple[str, ...]:
        """The scenarios of one of `of` blocks, as equal as can be."""
        bounds = [round(i * len(self.scenarios) / of) for i in (number, number + 1)]
        return self.scenarios[bounds[0] : bounds[1]]


def suite(name: str, routes: int, drives: Iterable[Mapping[str, Any]] = (), first: int = 0) -> Suite:
    """The suite of that name with so many routes, or a multiple of it (`_TIMES`), after leaving out the `first`.

    `drives` are those of the lake, to replay: they are the same whatever is left out. A longer suite begins with the
    scenarios of a shorter one.
    """
    if name == "replay":
        return _replayed(routes, [drive for drive in drives if set(_REPLAYABLE) <= set(drive["offers"])])
    if name not in KNOWN:
        raise UnknownName("suite", name, KNOWN)
    times = _TIMES.get(name, 1)
    made = (_before_lights if name == "lights" else partial(_made, name))((first + routes) * times)
    return replace(made, scenarios=made.scenarios[first * times :])


def _made(name: str, routes: int) -> Suite:
    kinds = {"events": tuple(KINDS), "braking": _SUDDEN, **{kind: (kind,) for kind in KINDS}}.get(name)
    if kinds is not None:
        found = [met(SIDE, kind) for kind in kinds]
        scenarios = tuple(str(next(found[i % len(found)])) for i in range(routes))
    else:
        weathers = {"everyday": ("clear",), "weather": _WEATHERS}.get(name, (name,))
        scenarios = tuple(_ordinary(i, weathers) for i in range(routes))
    assert_side(scenarios, SIDE)
    return Suite(name, scenarios, _SECONDS)


def _ordinary(i: int, weathers: tuple[str, ...]) -> str:
    """A route without an event. Every weather comes to every town."""
    lap, which = divmod(i, len(weathers))
    places = sides.towns_of(SIDE, count=TOWNS)
    return str(Scenario(town=places[(lap + which) % TOWNS], route=f"r{i}:{METRES}", weather=weathers[which], seed=i))


def _before_lights(routes: int) -> Suite:
    """Routes of gate towns that come to a red light soon: others spend most of their time between lights."""
    places = sides.towns_of(SIDE, LIT, _LIT_TOWNS)
    found = [_red_routes(towns.town(place)) for place in places]
    scenarios = tuple(str(replace(next(found[i % len(found)]), seed=i)) for i in range(routes))
    assert_side(scenarios, SIDE)
    return Suite("lights", scenarios, _LIGHTS_SECONDS)


def _red_routes(town: Town) -> Iterator[Scenario]:
    """Those routes of a town, by their numbers, whose first light is within reach and red on arrival."""
    signals = {signal.lane: signal for signal in town.signals}
    for number in itertools.count():
        scenario = Scenario(town=town.id, route=f"r{number}:{_LIGHTS_METRES}", traffic="light")
        lanes = [town.lane[lane] for lane in lanes_of(town, scenario)]
        stops = np.cumsum([arc_length(lane.centre)[-1] for lane in lanes]) - ENTERS_M
        for lane, metres in zip(lanes, stops, strict=True):
            if metres > _ARRIVES_M[1]:
                break
            if lane.id in signals:
                if metres >= _ARRIVES_M[0] and _red_at(town, signals[lane.id], metres, lanes[0].speed_limit):
                    yield scenario
                break


def _red_at(town: Town, signal: Signal, metres: float, limit: float) -> bool:
    """Whether a car that starts when the town has come to life, `metres` before the light, finds it red."""
    arrival = DEPART_S + metres / limit + limit / (2 * _EASY_ACCEL)
    return bool(np.all(town.programs[signal.program].at(arrival + _RED_S)[:, signal.link] == Light.RED))


def _replayed(routes: int, drives: list[Mapping[str, Any]]) -> Suite:
    """Every drive from where its car was, then every drive from beside that, and so on."""
    logs = sorted(str(drive["id"]) for drive in drives)
    if not logs:
        raise DataError(f"the lake has no drive to replay; that takes {', '.join(_REPLAYABLE)}")
    scenarios = (
        Scenario("replay", logs[i % len(logs)], "r0", "logged", "clear", "none", i // len(logs)) for i in range(routes)
    )
    return Suite("replay", tuple(str(one) for one in scenarios), _SECONDS)


def assert_side(scenarios: Iterable[str], side: str) -> None:
    """Raises DataError for a scenario whose town is not on that side of the split."""
    for identifier in scenarios:
        town = Scenario.parse(identifier).town
        if (found := sides.side(town)) != side:
            raise DataError(f"{identifier} lies in {town}, a {found} town; this suite is for the {side} side only")


def leaked(places: Iterable[str]) -> tuple[str, ...]:
    """Those of the places of a training that are towns of the gate; one from a map is known by its contents alone."""
    return tuple(sorted(place for place in places if sides.side_of_place(place) == SIDE))


def special(suite: str, identifier: str) -> str:
    """What is special about a scenario of a suite: its event, else its weather, else the suite."""
    found = Scenario.parse(identifier)
    if found.event not in ("none", "tail"):
        return found.event
    return found.weather if found.weather != "clear" else suite
