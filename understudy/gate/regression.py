"""Clips on which somebody failed once. A champion that passes one reliably binds all who come after it.

A clip is driven from five slightly shifted starts, 0.2 s apart; at the beginning of a drive, from its first five. Where
it comes from a scenario, the scenario is driven again: the world's own driver brings the car to the start, hands over,
and the entrant drives to the clip's end. Where it comes from a log, the plans made every 0.5 s from each start to the
clip's end are judged in the log, with all others driving as they were recorded: a clip begins some seconds before what
it is kept for.

A clip binds once a champion has passed it from 5 of 5, each time with half of the reference's progress. A candidate
fails it at 2 or fewer, and a fifth of that progress is a pass. Were every clip to bind that a champion passed once,
chance alone would refuse every candidate as the suite grows: of 200 clips that each of two equal drivers passes nine
times in ten, 20 would fail. And were one bound of progress asked of both, who creeps to a halt would bind those who
halt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from understudy import metrics
from understudy.errors import UnderstudyError
from understudy.gate.drivers import Human, Planning
from understudy.gate.driving import FIRST_LIMIT_S, PLAN_LIMIT_S, Lost, asked, drive_on, world_of
from understudy.gate.entrants import Entrant
from understudy.observe import Observer
from understudy.records import NS, PLAN_STEP_S, Clip
from understudy.store import Lake
from understudy.worlds.city import City
from understudy.worlds.outcome import route_subscores, window_scores
from understudy.worlds.scenario import Scenario

STARTS = 5
APART_S = 0.2
FAILS_AT = 2  # of 5
LEAST_PROGRESS = 0.2  # nuPlan's "making progress": to stand is not to pass
BINDING_PROGRESS = 0.5  # that a champion must make for a clip to bind
_NOTHING, _EVERYTHING = dict.fromkeys(metrics.SUBSCORES, 0.0), dict.fromkeys(metrics.SUBSCORES, 1.0)


@dataclass(frozen=True)
class ClipResult:
    """How many of the five starts each has passed, whether the clip binds, and where it lies."""

    clip: str
    champion: int | None  # with the progress that binds; none where the clip binds and the champion cannot be asked
    candidate: int
    bound: bool  # by an earlier champion
    drive: str = ""
    start_ns: int = 0
    end_ns: int = 0
    place: str = ""

    @property
    def binds(self) -> bool:
        return self.bound or self.champion == STARTS

    @property
    def failed(self) -> bool:
        return self.candidate <= FAILS_AT


def passes(lake: Lake, clip: Clip, entrant: Entrant) -> tuple[int, int]:
    """From how many of the five starts an entrant passes a clip of a drive of the lake, from none at which it raises;
    and from how many of these with the progress that a champion must make for the clip to bind.

    UnderstudyError where it cannot be asked: there is no such drive, or the drive lacks what the entrant needs.
    """
    drive = lake.drive(clip.drive)
    begin_s = (clip.start_ns - int(drive.t_ns[0])) / NS
    end_s = (clip.end_ns - int(drive.t_ns[0])) / NS
    scenario = str(drive.facts.get("scenario", ""))
    if scenario.startswith("scenario:"):
        return _counted([_driven(lake, scenario, steps, end_s, entrant) for steps in starts(begin_s)])
    if not isinstance(entrant.driver, Planning):
        raise UnderstudyError(f"{entrant.id} has no plan for {drive.id}, which is a log: it drives worlds only")
    observer, scene = Observer(drive), metrics.Scene.of(drive)
    shifts = APART_S * np.arange(STARTS)
    first_s = max(begin_s - APART_S * (STARTS // 2), 0.0)
    return _counted([_planned(observer, scene, first_s + shift, end_s, entrant.driver) for shift in shifts])


def starts(begin_s: float) -> range:
    """The starts of a clip of a scenario that begins so long after its drive, in plans: a world hands over between two.
    All differ."""
    first = max(round(begin_s / City.PLAN_S) - STARTS // 2, 0)
    return range(first, first + STARTS)


def _counted(found: Sequence[Mapping[str, float]]) -> tuple[int, int]:
    return sum(map(passed, found)), sum(passed(one, BINDING_PROGRESS) for one in found)


def _driven(lake: Lake, scenario: str, steps: int, end_s: float, entrant: Entrant) -> Mapping[str, float]:
    """The sub-scores of what is driven once the world's own driver has brought the car so many plans along."""
    found = Scenario.parse(scenario)
    with closing(world_of(found, entrant, lake)) as world:
        seen = world.reset(found)
        expert = Human().begin(world)
        for _ in range(steps):
            if world.ended:
                return _EVERYTHING  # there is nothing left to fail
            seen = world.step(expert(seen))
        if drive_on(world, entrant, seen, end_s - steps * world.PLAN_S) or world.ended == "lost":
            return _NOTHING  # who went another way has not met what the clip is kept for
        drive = world.drive()
    # The whole drive is the scene: a piece of it might be taken for the road's first pass.
    subscores = route_subscores(window_scores(metrics.Scene.of(drive), since_s=steps * world.PLAN_S))
    if world.ended == "collision" and not np.isfinite(subscores["no_collision"]):
        return _NOTHING  # too soon for a window that says whose fault it was
    return subscores


def _planned(
    observer: Observer, scene: metrics.Scene, start_s: float, end_s: float, driver: Planning
) -> Mapping[str, float]:
    """The sub-scores of the plans made every 0.5 s, taken together as the windows of a route are."""
    drive, planned = scene.drive, []
    starts_s = np.arange(start_s, end_s + 1e-6, PLAN_STEP_S)
    instants = np.unique(np.clip(np.searchsorted(drive.t_s, starts_s - 1e-6), 0, len(drive) - 1))
    limit = FIRST_LIMIT_S
    for instant in instants:
        seen = observer.observe(np.array([instant]), driver.needs, driver.history_s)
        try:
            planned.append(asked(driver.policy.plan, seen, limit).likeliest)
        except Lost:
            return _NOTHING
        limit = PLAN_LIMIT_S
    return route_subscores(metrics.score(scene, instants, np.concatenate(planned)))


def passed(subscores: Mapping[str, float], least: float = LEAST_PROGRESS) -> bool:
    """Nothing hit, nowhere off the road, no red light run, and not left standing; nothing known is no pass."""
    multipliers = [subscores[name] for name in metrics.MULTIPLIERS if np.isfinite(subscores[name])]
    progress = subscores["progress"]
    return bool(multipliers) and min(multipliers) == 1 and not progress < least
