"""One scenario driven by one entrant, whatever the entrant does: it may crash, dawdle or talk nonsense, and loses."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TypeVar

import numpy as np

from understudy.errors import DataError, PolicyError, UnderstudyError, UnknownName
from understudy.gate.entrants import Entrant
from understudy.records import Observation, Plan
from understudy.store import Lake
from understudy.worlds.boxes import Boxes, boxes_of
from understudy.worlds.city import City, looks_hz
from understudy.worlds.outcome import Route, judged
from understudy.worlds.replay import Replay
from understudy.worlds.scenario import Scenario
from understudy.worlds.world import Planner, World

PLAN_LIMIT_S = 2.0  # of computing for one plan; a car plans every 0.2 s, but on a machine of its own
FIRST_LIMIT_S = 60.0  # for the first, in which an entrant may load, compile and warm up
_FAR_TOO_LONG = 5.0  # times the limit: a plan that takes longer is not waited for
_FINE = 3  # decimals, m and rad: a plan must not hang on the last bit of a sum

T = TypeVar("T")


class Lost(UnderstudyError):
    """The entrant has lost the route: it cannot be driven on."""


class _CutOff(BaseException):
    """Raised in what computes for far too long; no `except Exception` of an entrant's stops it."""


def world_of(scenario: Scenario, entrant: Entrant, lake: Lake) -> World:
    """A world in which a scenario can be driven, showing what the entrant needs to see."""
    driver = entrant.driver
    if scenario.world == "city":
        return City(driver.needs, driver.history_s, entrant.rig, looks_hz(driver.history_s))
    if scenario.world != "replay":
        raise UnknownName("world", scenario.world, ["city", "replay"])
    if "pictures" in driver.needs:
        raise DataError(f"{entrant.id} needs pictures, and a replay has none")
    return Replay(lake.drive(scenario.town, cameras=False, truth=False), driver.needs, driver.history_s)


def drive_route(lake: Lake, identifier: str, entrant: Entrant, seconds: float) -> tuple[Route, Boxes]:
    """What the route is worth that an entrant drives in a scenario within a time limit; and what moved near it.

    Raises UnderstudyError where the world cannot begin the scenario: that is nobody's loss.
    """
    scenario = Scenario.parse(identifier)
    with closing(world_of(scenario, entrant, lake)) as world:
        trouble = drive_on(world, entrant, world.reset(scenario), seconds)
        drive = world.drive()
        return judged(drive, entrant.id, trouble), boxes_of(drive)


def drive_on(world: World, entrant: Entrant, seen: Observation, seconds: float) -> str:
    """Let an entrant drive for so long, or until the world ends; why it lost, or nothing."""
    try:
        planner, limit = _survived(lambda: entrant.driver.begin(world)), FIRST_LIMIT_S
        for _ in range(round(seconds / world.PLAN_S)):
            if world.ended:
                break
            seen = world.step(asked(planner, seen, limit))
            limit = PLAN_LIMIT_S
    except Lost as lost:
        return str(lost)
    return ""


def asked(planner: Planner, seen: Observation, limit_s: float) -> Plan:
    """The plan of a policy that may be faulty; raises Lost."""
    began = time.process_time()
    try:
        with _cut_off(_FAR_TOO_LONG * limit_s):
            plan = _survived(lambda: planner(seen))
    except _CutOff:
        raise Lost(f"too slow: over {_FAR_TOO_LONG * limit_s:g} s for a plan, at most {limit_s:g}") from None
    if (took := time.process_time() - began) > limit_s:
        raise Lost(f"too slow: {took:.1f} s for a plan, at most {limit_s:g}")
    if not isinstance(plan, Plan) or len(plan) != 1:
        raise Lost(f"wrong shape: {f'{len(plan)} plans' if isinstance(plan, Plan) else type(plan).__name__} for one")
    poses = plan.likeliest
    if not np.isfinite(poses).all():
        raise Lost("nan in its plan")
    return Plan.single(np.round(poses, _FINE))


@contextmanager
def _cut_off(seconds: float) -> Iterator[None]:
    """Raise _CutOff in what computes for longer, and again where that is caught: it may never come back. Signals reach
    the main thread alone."""

    def cut_off(*_: object) -> None:
        raise _CutOff

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGPROF, cut_off)
    signal.setitimer(signal.ITIMER_PROF, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def _survived(act: Callable[[], T]) -> T:
    try:
        return act()
    except Lost:
        raise
    except PolicyError as error:
        raise Lost(f"wrong shape: {error}") from error
    except Exception as error:  # an entrant may raise anything, and the gate goes on
        raise Lost(f"crashed: {type(error).__name__}: {error}") from error
