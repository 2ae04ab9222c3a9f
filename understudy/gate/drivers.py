"""Whoever drives scenario after scenario: the world's own driver, or a policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from understudy.records import Policy
from understudy.worlds.world import Planner, World


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
class Human:
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
