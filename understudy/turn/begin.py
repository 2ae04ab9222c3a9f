"""What a turn begins with: who is champion, what the fleet will do, and that nothing leaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import msgspec

from understudy.gate.suites import suite
from understudy.registry import regression_suite, used_for_training
from understudy.store.reviews import reached
from understudy.turn.apart import Side, assert_apart
from understudy.turn.campaign import FIRST
from understudy.turn.clips import asked_in
from understudy.turn.diary import turns
from understudy.turn.towns import fleet_of, told
from understudy.turn.under_way import Turn
from understudy.worlds.scenario import Scenario


def begin(turn: Turn, world: str) -> Mapping[str, Any]:
    """Who is champion, what the fleet will do, what the turn before asks for: from here on none of it changes."""
    before = turns(turn.lake)
    reigns = turn.registry.reigns()
    last = before.get(turn.number - 1, {}).get("campaign", {})
    asked = last if "weights" in last else asdict(FIRST)
    champion = reigns[-1].model if reigns else None
    still_open = left_open(turn, before.get(turn.number - 1, {}), champion)
    learned = turn.places(champion)
    fleets = {
        kind: [told(tour) for tour in fleet_of(kind, turn.preset, turn.number, turn.seed, events, learned)]
        for kind, events in (("train", asked["events"]), ("regression", ()), ("wheel", ()))
        if world == "city"
    }
    return {
        "world": world,
        "seed": turn.seed,
        "preset": msgspec.to_builtins(turn.preset),
        "champion": champion,
        "open": still_open,
        "binding": sorted(turn.registry.binding()),
        "campaign": {name: asked[name] for name in ("weights", "events", "words")},
        "fleet": fleets,
    }


def left_open(turn: Turn, before: Mapping[str, Any], champion: str | None) -> str | None:
    """The candidate that the turn before left undecided against who is champion still, and that no gate by hand has
    refused since; it goes on learning. None where the regression suite has come to ask in a place where it learned."""
    promoted = before.get("promote", {})
    if promoted.get("outcome") != "undecided" or champion is None or promoted["champion"] != champion:
        return None
    candidate = str(before["export"]["candidate"])
    said = [one["outcome"] for one in turn.registry.verdicts(candidate) if one["champion_hash"] == champion]
    if said[-1:] == ["refuse"] or asked_in(turn, champion) & turn.places(candidate):
        return None
    return candidate


def assert_nothing_leaks(turn: Turn) -> None:
    """Raise DataError where train, regression and gate share a drive, a place or a seed of a town.

    A reviewer may send a clip to regression from where the fleet trains. From then on nothing is learned there,
    whatever the fleet drives; and where the champion has learned there before, the gate does not ask it.
    """
    told = turn.came_to("begin")
    learned = turn.learned
    regression = regression_suite(turn.lake)
    lie_in = reached(turn.lake, regression)
    barred = frozenset().union(*lie_in.values())
    judging = [clip for clip in regression if lie_in[clip.id].isdisjoint(learned)]
    tours = {kind: [tour["scenario"] for tour in fleet] for kind, fleet in told["fleet"].items()}
    learning = [*tours.get("train", ()), *tours.get("wheel", ())]
    driven = [scenario for scenario in learning if Scenario.parse(scenario).town not in barred]
    sides = {
        "train": Side().with_clips(used_for_training(turn.lake)).with_scenarios(driven).with_places(learned),
        "regression": Side()
        .with_clips(judging)
        .with_places(frozenset().union(*(lie_in[clip.id] for clip in judging)))
        .with_scenarios(tours.get("regression", ())),
    }
    gate = turn.gate
    if told["world"] == "city":
        made = (suite(name, gate.routes, first=gate.first) for name in gate.suites)
        scenarios = [scenario for one in made for scenario in one.scenarios]
        sides["gate"] = Side().with_scenarios(scenarios)
    assert_apart(sides)
