"""Where the fleet of a turn drives: routes and traffic that no other turn has, in towns that turns go round."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from understudy.fleet import Tour, tours
from understudy.network.sizes import size_of
from understudy.turn.preset import Preset
from understudy.worlds.events import KINDS as EVENTS
from understudy.worlds.sides import side_of_place, towns_of
from understudy.worlds.sketches import LIT

_FLEETS = ("train", "regression", "wheel")  # each has seeds of its own
_TURNS = 1000  # that one seed has room for
_REGRESSION_TOWNS = 4


def fleet_of(
    kind: str, preset: Preset, number: int, seed: int, events: Sequence[str] = (), learned: Collection[str] = ()
) -> list[Tour]:
    """The tours with a human at the wheel, in towns to train in or in those kept for regression; for `wheel`, what the
    champion is to drive. `events` are kinds that cars are sent after, one each; the rest meet what comes. In towns
    that the champion has `learned` in nothing is kept for regression."""
    cars, minutes = {
        "train": (preset.cars, preset.minutes),
        "regression": (preset.regression_cars, preset.regression_minutes),
        "wheel": (preset.wheel_cars, preset.wheel_minutes),
    }[kind]
    side, count = ("regression", _REGRESSION_TOWNS) if kind == "regression" else ("train", preset.towns)
    pool = towns_of(side, count=count + len(learned))
    if kind == "regression":
        pool = [town for town in pool if town not in learned]
    before = (number - 1) * cars  # cars of earlier turns
    names = [pool[(before + car) % count] for car in range(cars)]
    own = ((seed * _TURNS) + number) * len(_FLEETS) + _FLEETS.index(kind)
    made = tours(names, cars, minutes, pictures=size_of(preset.size).picture, seed=own)
    sent = _sent(events, names)
    return [
        replace(
            tour,
            scenario=replace(
                tour.scenario,
                weather=preset.weathers[(before + car) % len(preset.weathers)],
                event=sent.get(car, tour.scenario.event),
            ),
        )
        for car, tour in enumerate(made)
    ]


def _sent(events: Sequence[str], names: Sequence[str]) -> dict[int, str]:
    """The kind that a car is sent after, by car: the first that is free and in a town where the kind can come about."""
    sent: dict[int, str] = {}
    for kind in events:
        fits = (car for car, name in enumerate(names) if not EVENTS[kind].lit or name.partition(":")[0] in LIT)
        if (car := next((car for car in fits if car not in sent), None)) is not None:
            sent[car] = kind
    return sent


def common_side(places: Sequence[str]) -> str:
    """The side of a drive that was in towns of the city, which are all on one side; empty for any other drive."""
    found = {side_of_place(place) for place in places}
    return found.pop() if len(found) == 1 else ""


def told(tour: Tour) -> dict[str, Any]:
    """A tour as the diary keeps it."""
    return {"scenario": str(tour.scenario), "minutes": tour.minutes}
