"""What the gate asks of a world and of whoever drives in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from understudy.records import Drive, Observation, Plan, Policy
from understudy.worlds.replay import Replay
from understudy.worlds.scenario import Scenario

Planner = Callable[[Observation], Plan]
_STOOD_M = 5.0  # a log whose driver came less far has no way to complete


class World(Protocol):
    """What answers in closed loop: the city, or a replay of a recorded drive."""

    PLAN_S: ClassVar[float]  # how long a plan is followed
    scenario: Scenario

    @property
    def ended(self) -> str:
        """Why the scenario is over; empty while it goes on."""
        ...

    def reset(self, scenario: Scenario, seed: int | None = None) -> Observation: ...
    def step(self, plan: Plan) -> Observation: ...
    def drive(self) -> Drive: ...
    @property
    def expert(self) -> Any: ...
    @property
    def completion(self) -> float: ...


class Log:
    """A replay of a recorded drive, reset by scenario like any world: its seed shifts the start, 0 does not."""

    PLAN_S: ClassVar[float] = Replay.PLAN_S

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self.expert = self  # the log's own driver

    def plan(self) -> Plan:
        """What the log's driver did next."""
        return self._replay.expert()

    def reset(self, scenario: Scenario, seed: int | None = None) -> Observation:
        self.scenario = scenario
        seen = self._replay.reset(scenario.seed if seed is None else seed)
        self._metres = self._replay.way.goal - self._replay.way.s
        return seen

    def step(self, plan: Plan) -> Observation:
        return self._replay.step(plan)

    def drive(self) -> Drive:
        return self._replay.drive()

    @property
    def ended(self) -> str:
        return self._replay.ended

    @property
    def completion(self) -> float:
        """The share of the way that the log's driver came; all of it where that one stood."""
        return 1.0 if self._metres < _STOOD_M else self._replay.completion


class Driver(Protocol):
    """Who drives scenario after scenario. `places` are those that it was trained on."""

    @property
    def needs(self) -> tuple[str, ...]: ...
    @property
    def history_s(self) -> tuple[float, ...]: ...
    @property
    def places(self) -> tuple[str, ...]: ...
    def begin(self, world: World) -> Planner:
        """How it drives the scenario to which the world has just been reset."""
        ...


@dataclass(frozen=True)
class Expert:
    """The world's own driver. Its plans are made from the truth, so it needs no observation."""

    needs: ClassVar[tuple[str, ...]] = ()
    history_s: ClassVar[tuple[float, ...]] = (0.0,)
    places: ClassVar[tuple[str, ...]] = ()

    def begin(self, world: World) -> Planner:
        return lambda _: world.expert.plan()


@dataclass(frozen=True)
class Planning:
    """A policy, which begins every scenario alike; a model's card tells its places as `data.places`."""

    policy: Policy

    @property
    def needs(self) -> tuple[str, ...]:
        return self.policy.needs

    @property
    def history_s(self) -> tuple[float, ...]:
        return self.policy.history_s

    @property
    def card(self) -> dict[str, Any]:
        return getattr(self.policy, "card", None) or {}

    @property
    def places(self) -> tuple[str, ...]:
        data = self.card.get("data")
        return tuple(data.get("places", ())) if isinstance(data, dict) else ()

    def begin(self, world: World) -> Planner:
        return self.policy.plan
