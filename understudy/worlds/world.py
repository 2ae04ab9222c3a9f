"""What is asked of a world by whoever drives in it: the city and the replay of a log answer alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

from understudy.records import Drive, Observation, Plan
from understudy.worlds.ego import Ego
from understudy.worlds.scenario import Scenario
from understudy.worlds.way import Way

Planner = Callable[[Observation], Plan]


class Native(Protocol):
    """The driver that a world has of its own. It plans from the truth, so it needs no observation."""

    def plan(self) -> Plan: ...


class World(Protocol):
    """What answers in closed loop. It is closed like a file."""

    PLAN_S: ClassVar[float]  # how long a plan is followed
    scenario: Scenario
    ego: Ego
    way: Way
    ended: str  # why the scenario is over; empty while it goes on

    def reset(self, scenario: Scenario) -> Observation:
        """Begin a scenario, and say what is seen at its first instant."""
        ...

    def step(self, plan: Plan) -> Observation:
        """Follow a plan of one (B = 1) for PLAN_S, and say what is seen then."""
        ...

    def drive(self) -> Drive:
        """All that has been driven so far; `facts` tell the scenario, how it ended and the share completed."""
        ...

    def close(self) -> None: ...
    @property
    def expert(self) -> Native: ...
    @property
    def completion(self) -> float:
        """The share of the way that has been driven."""
        ...


def drive_with(world: World, planner: Planner, seen: Observation) -> None:
    """Let somebody drive a world that has just been reset, until the scenario ends."""
    while not world.ended:
        seen = world.step(planner(seen))
