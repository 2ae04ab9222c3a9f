"""A fleet of simulated cars that record drives into a lake, with a person or a model at the wheel.

Each car drives by itself, in a worker of its own if there are several, and its drive reaches the lake whole or not at
all: SUMO may crash, the disk may be full, the worker may be killed, and the others go on. The count of those lost is
told. A model drives with a safety driver beside it, who takes over when it gets dangerous; that is recorded too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from understudy import workers
from understudy.errors import UnderstudyError, UnknownName
from understudy.ingest import ingest
from understudy.policies import named
from understudy.recorder import write
from understudy.records import Drive, Driver, Plan, Policy
from understudy.store import Lake
from understudy.store.upkeep import RECORDINGS
from understudy.worlds import sides
from understudy.worlds.city import HERTZ, City
from understudy.worlds.events import KINDS
from understudy.worlds.events.stage import open_road
from understudy.worlds.rig import default_rig
from understudy.worlds.scenario import Scenario
from understudy.worlds.scene import weather as weather_of
from understudy.worlds.sketches import program
from understudy.worlds.traffic import LEVELS

FOLDER = RECORDINGS  # of the lake
PICTURES = (128, 64)  # W, H of a camera's pictures: those that `nano` wants
REGRESSION_EVERY = 5  # one drive in five is in a regression town
PUSHED_SHARE = 0.3  # of human drives
_PUSH_EVERY_S = (12.0, 30.0)
_TAKE_OVER_S = 6.0
_FASTEST = 14.0  # m/s, for how long a route must be


@dataclass(frozen=True)
class Tour:
    """What one car does: a scenario for some minutes, under a driver."""

    scenario: Scenario
    minutes: float
    driver: str  # human, or a policy as `policies.named` takes it
    settings: Mapping[str, Any]
    pictures: tuple[int, int] | None  # W, H of what its cameras take; without cameras none
    pictures_hz: float = HERTZ  # how many each takes in a second

    @property
    def name(self) -> str:
        """The drive's file."""
        return re.sub(r"[^\w.~-]+", "_", self.drive)

    @property
    def pushed(self) -> bool:
        """Whether the car is pushed off its path now and then: in three human drives of ten. Not where regression clips
        may come of it, for whoever is asked such a clip is brought to its start without a push."""
        human = self.driver == "human" and sides.side(self.scenario.town) != "regression"
        return human and bool(self.scenario.rng("pushed").random() < PUSHED_SHARE)

    @cached_property
    def drive(self) -> str:
        """The drive's identifier: the scenario, who drove, and what the cameras took where it is not the usual."""
        by = "" if self.driver == "human" else f"~{named(self.driver, self.settings).id}"
        if self.pictures is None:
            by += "~no-cameras"
        elif (self.pictures, self.pictures_hz) != (PICTURES, HERTZ):
            by += f"~{self.pictures[0]}x{self.pictures[1]}@{self.pictures_hz:g}"
        return str(self.scenario).removeprefix("scenario:") + by


def tours(
    town_names: Sequence[str] = (),
    cars: int = 8,
    minutes: float = 10.0,
    driver: str = "human",
    settings: Mapping[str, Any] | None = None,
    pictures: tuple[int, int] | None = PICTURES,
    traffic: str = "everyday",
    weather: str = "clear",
    event: str = "tail",
    seed: int = 0,
    pictures_hz: float = HERTZ,
) -> list[Tour]:
    """What each car will do. Without towns they are chosen: train towns of every kind, and every fifth for regression.

    A town that belongs to the gate is refused: what the gate judges on must not be seen before. So are fewer pictures
    than instants where they are looked at to drive, and weather, traffic and events that nobody knows.
    """
    weather_of(weather)
    if traffic not in LEVELS:
        raise UnknownName("level of traffic", traffic, LEVELS)
    if event not in (events := ("none", "tail", *KINDS)):
        raise UnknownName("event", event, events)
    if driver != "human" and pictures_hz < HERTZ and "pictures" in named(driver, settings).policy.needs:
        raise UnderstudyError(f"{driver} drives by pictures and wants {HERTZ:.0f} a second; leave --pictures-hz out")
    for name in town_names:
        if sides.side(name) == "gate":
            raise UnderstudyError(f"town {name} belongs to the gate: no fleet may drive there; choose another number")
    train = town_names or sides.towns_of("train", count=max(cars, 1))
    regression = () if town_names else sides.towns_of("regression", count=max(cars // REGRESSION_EVERY, 1))
    made = []
    for car in range(cars):
        for_regression = bool(regression) and car % REGRESSION_EVERY == REGRESSION_EVERY - 1
        town = regression[car // REGRESSION_EVERY] if for_regression else train[car % len(train)]
        route = f"r{seed * 1000 + car}:{round(minutes * 60 * _FASTEST)}"
        scenario = Scenario("city", town, route, traffic, weather, event, seed * 1000 + car)
        made.append(Tour(scenario, minutes, driver, dict(settings or {}), pictures, pictures_hz))
    return made


def fleet_drive(
    lake: Lake,
    plan: Sequence[Tour],
    processes: int = 0,
    on_drive: Callable[[workers.Outcome], None] | None = None,
) -> workers.Report:
    """Drive tours and take the drives into the lake; those driven before are left alone.

    The report's failures are the drives that were lost, each with its reason.
    """
    folder = lake.root / FOLDER
    todo = [tour for tour in plan if not (folder / f"{tour.name}.mcap").exists()]
    if todo:
        program("sumo")  # without the extra [city]: one word of it, not one for every car
    folder.mkdir(parents=True, exist_ok=True)  # only now: a lake that has it is one of the city
    with lake.reading():  # gc leaves alone what is being written
        outcomes = workers.map_drives(partial(_record, folder), todo, processes, on_drive, describe=_name)
    failures = {outcome.name: outcome.error for outcome in outcomes if outcome.error}
    if any(folder.glob("*.mcap")):
        taken = ingest(lake, "mcap", folder, processes=processes)
        return workers.Report(taken.made, taken.kept, taken.skipped, {**failures, **taken.failures})
    return workers.Report((), (), {}, failures)


def _name(tour: Tour) -> str:
    return tour.name


def _record(folder: Path, tour: Tour) -> float:
    """Drive one tour and write it; the seconds driven. An error leaves no file."""
    needs: tuple[str, ...] = ()
    history: tuple[float, ...] = (0.0,)
    policy: Policy | None = None
    if tour.driver != "human":
        policy = named(tour.driver, tour.settings).policy
        needs, history = policy.needs, policy.history_s
    with City(needs, history, default_rig(*tour.pictures) if tour.pictures else None, tour.pictures_hz) as world:
        world.begin(tour.scenario)
        if policy is None:
            _human(world, tour)
        else:
            _model(world, tour, policy)
        drive = _renamed(world.drive(), tour.drive)
    write(drive, folder / f"{tour.name}.mcap")
    return drive.seconds


def _renamed(drive: Drive, name: str) -> Drive:
    assert drive.truth is not None
    events = tuple(replace(event, drive=name) for event in drive.truth.events)
    return replace(drive, id=name, truth=replace(drive.truth, events=events))


def _human(world: City, tour: Tour) -> None:
    """The world's own driver; in some drives pushed aside now and then, for the sake of the recovery."""
    rng = tour.scenario.rng("pushes")
    next_s = float(rng.uniform(*_PUSH_EVERY_S)) if tour.pushed else np.inf
    while not world.ended and world.t_s < tour.minutes * 60:
        if world.t_s >= next_s and 4.0 < world.ego.speed < 16.0 and open_road(world, 0, 35):
            aside = float(rng.choice([-1.0, 1.0]) * rng.uniform(0.6, 1.2))  # m in one second
            world.push(2 * aside * world.ego.vehicle.wheelbase / world.ego.speed**2, 1.0)
            next_s = world.t_s + float(rng.uniform(*_PUSH_EVERY_S))
        world.advance(world.expert.plan())


def _model(world: City, tour: Tour, policy: Policy) -> None:
    """A policy, and beside it a safety driver who takes over when the plan would not do."""
    world.who, until_s = Driver.MODEL, -1.0
    while not world.ended and world.t_s < tour.minutes * 60:
        cautious = world.expert.plan()  # the safety driver thinks along all the time
        plan = policy.plan(world.observe())
        if dangerous(world, plan, cautious):
            until_s = world.t_s + _TAKE_OVER_S
        world.who = Driver.SAFETY if world.t_s < until_s else Driver.MODEL
        world.advance(cautious if world.who is Driver.SAFETY else plan)


def dangerous(world: City, plan: Plan, cautious: Plan) -> bool:
    """Whether a safety driver would take the wheel now: far off the lane, no plan, or going on where one must brake."""
    wanted, safe = plan.likeliest[0], cautious.likeliest[0]
    if not np.isfinite(wanted).all() or abs(world.beside) > 1.4:
        return True
    speed, step = world.ego.speed, 1.0  # judged by the speed in a second
    braking = (speed - safe[1, 3]) / step
    return bool(braking > 2.8 and wanted[1, 3] > safe[1, 3] + 1.5)
