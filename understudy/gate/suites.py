"""Which scenarios: named lists of identifiers, made from nothing but their names, in towns that nobody trains on.

everyday    ordinary traffic in clear weather: here the candidate may not be worse
lights      routes through towns with lights, long enough to meet some red ones, and 2.5 times as many
events      every kind of rare event in turn
weather     every weather but clear in turn, dirty lenses among them
KIND        one kind of event, or one weather: `cut_in`, `fog`
replay      the recorded drives of the lake that have objects and a map, from slightly shifted starts
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from understudy.errors import DataError, UnknownName
from understudy.worlds import towns
from understudy.worlds.events import KINDS
from understudy.worlds.scenario import Scenario
from understudy.worlds.scene import WEATHERS
from understudy.worlds.sketches import KINDS as TOWN_KINDS

STANDARD = ("everyday", "lights", "events", "weather")
SIDE = "gate"
_TOWNS = 10
_LIT = ("grid", "organic", "spider")  # kinds of towns with lights at their junctions
_METRES, _SECONDS = 250, 40.0
_LIGHTS_METRES, _LIGHTS_SECONDS = 800, 120.0
_LIGHTS_TIMES = 2.5  # a route meets four red lights in three: 48 x 2.5 routes meet some 150
_REPLAYABLE = ("pose", "speed", "objects", "map")
_WEATHERS = tuple(name for name in WEATHERS if name != "clear")


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


def suite(name: str, routes: int, drives: Iterable[Mapping[str, Any]] = ()) -> Suite:
    """The suite of that name with so many routes (lights: 2.5 times as many); `drives` are those of the lake.

    A longer suite begins with the scenarios of a shorter one.
    """
    if name == "replay":
        return _replayed(routes, [drive for drive in drives if set(_REPLAYABLE) <= set(drive["offers"])])
    if name == "lights":
        return _made(name, round(_LIGHTS_TIMES * routes), _LIGHTS_METRES, _LIGHTS_SECONDS, _LIT)
    if name in ("everyday", "events", "weather", *KINDS, *_WEATHERS):
        return _made(name, routes, _METRES, _SECONDS, tuple(TOWN_KINDS))
    raise UnknownName("suite", name, [*STANDARD, "replay", *KINDS, *_WEATHERS])


def _made(name: str, routes: int, metres: int, seconds: float, kinds: tuple[str, ...]) -> Suite:
    places = towns.towns_of(SIDE, kinds, _TOWNS)
    happens = {"events": tuple(KINDS), **{kind: (kind,) for kind in KINDS}}.get(name, ("none",))
    weathers = {"weather": _WEATHERS, **{one: (one,) for one in _WEATHERS}}.get(name, ("clear",))
    scenarios = tuple(
        str(
            Scenario(
                town=places[i % len(places)],
                route=f"r{i}:{metres}",
                weather=weathers[i % len(weathers)],
                event=happens[i % len(happens)],
                seed=i,
            )
        )
        for i in range(routes)
    )
    assert_side(scenarios, SIDE)
    return Suite(name, scenarios, seconds)


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
        if (found := towns.side(town)) != side:
            raise DataError(f"{identifier} lies in {town}, a {found} town; this suite is for the {side} side only")


def leaked(places: Iterable[str]) -> tuple[str, ...]:
    """Those of the places of a training that are towns of the gate."""
    found = []
    for place in places:
        kind, colon, _ = place.partition(":")
        if colon and kind in (*TOWN_KINDS, "osm") and towns.side(place) == SIDE:
            found.append(place)
    return tuple(sorted(found))
