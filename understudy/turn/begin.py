"""What a turn begins with: who is champion, what the fleet will do, and that nothing leaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import msgspec

from understudy.gate.suites import suite
from understudy.turn.apart import Side, assert_apart
from understudy.turn.campaign import FIRST
from understudy.turn.clips import clips_of, used_for_training
from understudy.turn.diary import turns
from understudy.turn.towns import fleet_of, told
from understudy.turn.under_way import Turn


def begin(turn: Turn, world: str) -> Mapping[str, Any]:
    """Who is champion, what the fleet will do, what the turn before asks for: from here on none of it changes."""
    before = turns(turn.lake)
    reigns = turn.registry.reigns()
    last = before.get(turn.number - 1, {}).get("campaign", {})
    asked = last if "weights" in last else asdict(FIRST)
    fleets = {
        kind: [told(tour) for tour in fleet_of(kind, turn.preset, turn.number, turn.seed, events)]
        for kind, events in (("train", asked["events"]), ("regression", ()), ("wheel", ()))
        if world == "city"
    }
    return {
        "world": world,
        "seed": turn.seed,
        "preset": msgspec.to_builtins(turn.preset),
        "champion": reigns[-1].model if reigns else None,
        "binding": sorted(turn.registry.binding()),
        "campaign": {name: asked[name] for name in ("weights", "events", "words")},
        "fleet": fleets,
    }


def assert_nothing_leaks(turn: Turn) -> None:
    """Raise DataError where train, regression and gate share a drive, a place or a seed of a town."""
    told = turn.came_to("begin")
    clips = clips_of(turn.lake)
    of = {"train": used_for_training(clips), "regression": [clip for clip in clips if clip.side == "regression"]}
    fleets = {"train": ("train", "wheel"), "regression": ("regression",)}
    sides = {
        side: Side()
        .with_clips(of[side])
        .with_scenarios(tour["scenario"] for kind in kinds for tour in told["fleet"].get(kind, ()))
        for side, kinds in fleets.items()
    }
    if told["champion"]:
        places = turn.registry.model(told["champion"]).card.get("data", {}).get("places", ())
        sides["train"] = sides["train"].with_places(places)
    gate = turn.preset.gate
    if told["world"] == "city":
        scenarios = [scenario for name in gate.suites for scenario in suite(name, gate.routes).scenarios]
        sides["gate"] = Side().with_scenarios(scenarios)
    assert_apart(sides)
