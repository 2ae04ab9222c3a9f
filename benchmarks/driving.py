"""How far a network drives between failures: `python -m benchmarks.driving MODEL.onnx [--routes 40]`.

Everyday routes of 40 s in the gate's towns, which nobody trains on, beside the city's own driver on the same routes.
A failure is a collision at fault, leaving the road, running a red light, or 20 s without progress where the reference
would have gone on. One line a route, then the sums.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from understudy import metrics
from understudy.gate.driving import drive_on, world_of
from understudy.gate.entrants import Entrant, entrant
from understudy.gate.suites import suite
from understudy.policies.onnx import Onnx
from understudy.records import Drive, Observation, Plan
from understudy.store import Lake
from understudy.worlds.outcome import judged, runs, window_scores
from understudy.worlds.scenario import Scenario

FAILURES = ("collision", "off_road", "red_light", "stuck")


class Black(Onnx):
    """A model that is shown black pictures."""

    def plan(self, seen: Observation) -> Plan:
        assert seen.picture_valid is not None
        dark = tuple(np.zeros_like(stack) for stack in seen.pictures)
        return super().plan(replace(seen, pictures=dark, picture_valid=np.zeros_like(seen.picture_valid)))


def main(model: str, routes: int, first: int, name: str, black: bool) -> None:
    candidate = entrant("benchmarks.driving:Black", {"path": model}) if black else entrant(model)
    expert = entrant("human")
    told = suite(name, routes)
    rows = []
    for scenario in told.scenarios[first:routes]:
        _, row = driven(scenario, candidate, told.seconds)
        reference, _ = driven(scenario, expert, told.seconds)
        row |= {"expert_metres": round(reference.metres, 1)}
        rows.append(row)
        print(json.dumps(row), flush=True)
    sums = {key: sum(row[key] for row in rows) for key in ("metres", "expert_metres", *FAILURES)}
    failures = sum(sums[key] for key in FAILURES)
    print(
        json.dumps(
            {
                "routes": len(rows),
                "km": round(sums["metres"] / 1e3, 2),
                "of_experts": round(sums["metres"] / max(sums["expert_metres"], 1.0), 3),
                "score": round(float(np.mean([row["score"] for row in rows])), 3),
                "km_between_failures": round(sums["metres"] / 1e3 / failures, 3) if failures else None,
                "failures": {key: sums[key] for key in FAILURES},
                "reds": sum(row["reds"] for row in rows),
            }
        )
    )


def driven(scenario: str, who: Entrant, seconds: float) -> tuple[Drive, dict[str, Any]]:
    """The drive of a scenario, and what happened in it."""
    world = world_of(Scenario.parse(scenario), who, Lake(Path(".")))
    try:
        trouble = drive_on(world, who, world.reset(Scenario.parse(scenario)), seconds)
        drive = world.drive()
    finally:
        world.close()
    route = judged(drive, who.id, trouble)
    left = runs(window_scores(metrics.Scene.of(drive))["drivable"] == 0)
    return drive, {
        "scenario": scenario.removeprefix("scenario:city/"),
        "ended": route.ended,
        "metres": round(route.metres, 1),
        "score": round(route.score, 3),
        "collision": int(route.at_fault),
        "off_road": max(left, int(route.ended == "lost")),
        "red_light": route.red_light,
        "stuck": route.stuck,
        "reds": route.reds,
        "lane_distance": round(route.lane_distance, 2),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--routes", type=int, default=40)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--suite", default="everyday")
    parser.add_argument("--black", action="store_true", help="Show it black pictures.")
    given = parser.parse_args()
    main(given.model, given.routes, given.first, given.suite, given.black)
