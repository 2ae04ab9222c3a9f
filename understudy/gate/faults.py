"""Drivers that are known to be worse: the world's own, each with one fault. A gate that lets one through is none.

`understudy gate human human:late` must say no, and why.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from understudy.errors import UnknownName
from understudy.gate.drivers import Driver, Human
from understudy.geometry import arc_length, constant_turn
from understudy.policies.lane_follow import LaneFollow
from understudy.records import PLAN_STEP_S, PLAN_STEPS, Light, Observation, Plan
from understudy.worlds import sides
from understudy.worlds.world import Planner, World

_T = PLAN_STEP_S * np.arange(1, PLAN_STEPS + 1, dtype=np.float64)


def fault(name: str) -> Driver:
    """The driver with the fault of that name; `blind:SCENARIO` says where it is."""
    kind, _, where = name.partition(":")
    if kind not in FAULTS:
        raise UnknownName("fault", kind, FAULTS)
    made: Driver = FAULTS[kind](where) if kind == "blind" else FAULTS[kind]()
    return made


@dataclass(frozen=True)
class Late(Human):
    """Brakes half a second late."""

    def begin(self, world: World) -> Planner:
        wished: deque[float] = deque([np.inf] * 4, maxlen=4)  # m/s², now and 0.2, 0.4, 0.6 s ago

        def plan(_: Observation) -> Plan:
            found, speed = world.expert.plan(), _speed(world)
            wished.appendleft(_accel(found, speed))
            late = max(*list(wished)[:3], (wished[2] + wished[3]) / 2)
            return found if not np.isfinite(late) else paced(found, speed, late)

        return plan


@dataclass(frozen=True)
class Drifting(Human):
    """Drives 0.4 m to the left of where the driver wants to be."""

    metres: float = 0.4

    def begin(self, world: World) -> Planner:
        def plan(_: Observation) -> Plan:
            poses = world.expert.plan().likeliest.copy()
            along = arc_length(np.concatenate([np.zeros((1, 2)), poses[0, :, :2]]))[1:]
            aside = self.metres * (1 - np.exp(-along / max(0.9 * _speed(world), 7.0)))
            poses[0, :, 0] -= aside * np.sin(poses[0, :, 2])
            poses[0, :, 1] += aside * np.cos(poses[0, :, 2])
            return Plan.single(poses)

        return plan


@dataclass(frozen=True)
class RedRunner(Human):
    """Does not see one red light in twenty."""

    share: float = 0.05

    needs: ClassVar[tuple[str, ...]] = LaneFollow.needs

    def begin(self, world: World) -> Planner:
        blind, unseen = LaneFollow(), Unseen(str(world.scenario), self.share)

        def plan(seen: Observation) -> Plan:
            expert = world.expert.plan()  # asked at every instant, for it keeps in mind what it wished before
            if seen.light is None or seen.light_distance is None or seen.light[0] != Light.RED:
                return expert
            if not unseen(world.way.s + float(seen.light_distance[0])):
                return expert
            return blind.plan(replace(seen, light=np.full_like(seen.light, Light.GREEN)))

        return plan


class Unseen:
    """Which stop lines of a route, told by their distance along it, a driver does not see the light of."""

    def __init__(self, scenario: str, share: float) -> None:
        self._scenario, self._share = scenario, share
        self._known: list[float] = []

    def __call__(self, stop: float) -> bool:
        near = [number for number, other in enumerate(self._known) if abs(other - stop) < 5.0]
        if not near:
            self._known.append(stop)
        number = near[0] if near else len(self._known) - 1
        drawn = hashlib.sha256(f"{self._scenario} red {number}".encode()).digest()[0] / 256
        return drawn < self._share


@dataclass(frozen=True)
class Speeding(Human):
    """Drives a tenth faster than the limit and the bends allow, where nothing else holds it back."""

    factor: float = 1.1

    def begin(self, world: World) -> Planner:
        def plan(_: Observation) -> Plan:
            found = world.expert.plan()
            speed = _speed(world)
            allowed = float(world.way.speed_at(np.array([world.way.s + 0.6 * speed]))[0])
            room = allowed - speed
            free = max(0.8 * room, -3.5) if room < 0 else 1.2 * room
            if speed < 0.8 * allowed or _accel(found, speed) < free - 0.5:
                return found  # still gathering speed, or held back by somebody
            return paced(found, speed, min(1.2 * (self.factor * allowed - speed), 1.8))

        return plan


@dataclass(frozen=True)
class FogFreezer(Human):
    """Comes to a stop in fog and stays there."""

    def begin(self, world: World) -> Planner:
        foggy = world.scenario.weather == "fog"
        return lambda _: paced(world.expert.plan(), _speed(world), -2.0) if foggy else world.expert.plan()


@dataclass(frozen=True)
class Blind(Human):
    """Veers off to the right with its eyes shut in one scenario, and is perfect in all others."""

    where: str = ""

    def begin(self, world: World) -> Planner:
        def plan(_: Observation) -> Plan:
            found = world.expert.plan()
            return _veering(max(_speed(world), 8.0)) if str(world.scenario) == self.where else found

        return plan


@dataclass(frozen=True)
class Leaked(Human):
    """Was trained on a town of the gate."""

    @property
    def places(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(sides.towns_of("gate", count=1))


FAULTS: dict[str, Any] = {
    "late": Late,
    "drifting": Drifting,
    "red_runner": RedRunner,
    "speeding": Speeding,
    "fog_freezer": FogFreezer,
    "blind": Blind,
    "leaked": Leaked,
}


def paced(plan: Plan, speed: float, accel: float) -> Plan:
    """The path of a plan of one at another pace; beyond its end it goes straight on."""
    path = plan.likeliest[0]
    line = np.concatenate([np.zeros((1, 2)), path[:, :2]])
    yaw = np.unwrap(np.concatenate([[0.0], path[:, 2]]))
    s = arc_length(line)
    speeds = np.maximum(speed + accel * _T, 0.0)
    along = np.cumsum(np.concatenate([[speed], speeds])[:-1] + speeds) * PLAN_STEP_S / 2
    over = np.maximum(along - s[-1], 0.0)
    x = np.interp(along, s, line[:, 0]) + over * np.cos(yaw[-1])
    y = np.interp(along, s, line[:, 1]) + over * np.sin(yaw[-1])
    return Plan.single(np.stack([x, y, np.interp(along, s, yaw), speeds], axis=-1)[None])


def _veering(speed: float) -> Plan:
    poses = constant_turn(np.asarray(speed), np.asarray(-0.15), _T)
    return Plan.single(np.concatenate([poses, np.full((PLAN_STEPS, 1), speed)], axis=1)[None])


def _accel(plan: Plan, speed: float) -> float:
    """The acceleration with which a plan begins."""
    return float((plan.likeliest[0, 0, 3] - speed) / PLAN_STEP_S)


def _speed(world: World) -> float:
    return world.ego.speed
