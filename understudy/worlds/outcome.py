"""A policy driven through a scenario, and what came of it.

The score of a route is the mean PDM-style score of what was driven, judged once a second over four seconds like any
plan, times the share of the route that was completed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from understudy.metrics import SUBSCORES, Scene, score
from understudy.observe import driven
from understudy.records import Drive, Floats, Observation, Plan, Policy

_WINDOW = 40  # instants that a score looks ahead
_EVERY = 10


class World(Protocol):
    """What answers a plan with what is seen next. `ended` is empty while it goes on, then says how it ended."""

    ended: str

    def step(self, plan: Plan) -> Observation: ...

    def drive(self) -> Drive: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one scenario. A sub-score that could never be known is nan."""

    scenario: str
    ended: str  # arrived, collision, lost, stuck, timeout
    completion: float
    at_fault: bool  # a collision that was the ego's fault
    metres: float
    seconds: float
    score: float
    subscores: dict[str, float]


def drive_with(world: World, policy: Policy, seen: Observation) -> None:
    """Let a policy drive a world that has just been reset, until the scenario ends."""
    while not world.ended:
        seen = world.step(policy.plan(seen))


def judged(drive: Drive) -> Outcome:
    """The outcome of a drive in a world, from its truth."""
    facts = drive.facts
    last = len(drive) - 1 - _WINDOW
    nothing = dict.fromkeys(SUBSCORES, float("nan"))
    completion, ended = float(facts["completion"]), str(facts["ended"])
    if last < 0:
        return Outcome(
            str(facts["scenario"]), ended, completion, ended == "collision", drive.metres, drive.seconds, 0.0, nothing
        )
    instants = np.unique(np.append(np.arange(0, last, _EVERY), last))
    found = score(Scene.of(drive), instants, driven(drive, instants))
    means = {name: _mean(found[name]) for name in SUBSCORES}
    at_fault = bool(np.nanmin(found["no_collision"], initial=1.0) < 1.0)
    worth = _mean(found["score"]) * completion
    return Outcome(str(facts["scenario"]), ended, completion, at_fault, drive.metres, drive.seconds, worth, means)


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
