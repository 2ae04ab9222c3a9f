"""What a human would have done instead: the city goes back to the instant, and its own driver takes the wheel.

A model at the wheel leaves no path to learn from, for what came next was its own doing. A world can be lived again: the
scenario begins anew, the ego is led along what was recorded, and from the instant on the expert drives for 4 s. No log
can be asked this, so what is learned from it says nothing of what is gained on logs: it is marked `privileged`, and no
comparison of ways to choose data may use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from understudy.labelers import Label
from understudy.labelers.path import by_human
from understudy.observe import driven
from understudy.records import PLAN_STEP_S, PLAN_STEPS, Array, Drive, Driver, Floats, Ints
from understudy.worlds.ego import PLAN_EVERY, TICK_S
from understudy.worlds.scenario import Scenario

if TYPE_CHECKING:
    from understudy.worlds.city import City

AHEAD_S = PLAN_STEPS * PLAN_STEP_S
_SAME_M = 1e-3


@dataclass(frozen=True)
class Expert:
    """The path (B, K, 4) of the labeler `path`, as the city's own driver would have driven from the instant on.

    Known where `path` is not because a model drives, at instants `every_s` apart, and only if the scenario, lived
    again, comes to the same instant: other code or another SUMO may make another city. Each costs a restart.
    """

    every_s: float = 4.0

    needs: ClassVar[tuple[str, ...]] = (
        "pose",
        "speed",
        "who_drives",
        "accel",
        "yaw_rate",
        "road_wheel_angle",
        "pushed",
    )
    privileged: ClassVar[bool] = True

    def label(self, drive: Drive, instants: Ints) -> Label:
        from understudy.worlds.city import City  # needs the extra [city], and a listing of plug-ins must not

        value = np.full((len(instants), PLAN_STEPS, 4), np.nan, np.float32)
        if "scenario" in drive.facts and drive.truth is not None:
            with City(needs=()) as world:
                for row in self._asked(drive, instants):
                    value[row] = _instead(world, drive, int(instants[row]))
        return Label(value)

    def _asked(self, drive: Drive, instants: Ints) -> list[int]:
        """Rows of instants at which the world plans, that no human drives on from."""
        even = np.round(drive.t_s[instants] / TICK_S).astype(int) % PLAN_EVERY == 0
        open_rows = np.flatnonzero(even & ~by_human(drive, instants, AHEAD_S))
        chosen: list[int] = []
        for row in open_rows.tolist():
            if not chosen or drive.t_s[instants[row]] - drive.t_s[instants[chosen[-1]]] >= self.every_s - 1e-6:
                chosen.append(row)
        return chosen


def _instead(world: City, drive: Drive, instant: int) -> Floats:
    """What the expert drives from an instant on, (K, 4); nan where it does not get there or not through."""
    world.begin(Scenario.parse(str(drive.facts["scenario"])))
    if not _same(world, drive, 0):
        return np.full((PLAN_STEPS, 4), np.nan)
    world.relive(drive, float(drive.t_s[instant]))
    if world.ended or not _same(world, drive, instant):
        return np.full((PLAN_STEPS, 4), np.nan)
    world.who, world.pushed = Driver.HUMAN, False
    for _ in range(round(AHEAD_S / world.PLAN_S)):
        if not world.ended:
            world.advance(world.expert.plan())
    return np.asarray(driven(world.drive(), np.array([instant]))[0])


def _same(world: City, drive: Drive, instant: int) -> bool:
    """Whether everybody is where they were."""
    assert drive.truth is not None and drive.truth.objects is not None
    then = drive.truth.objects.slice(instant, instant + 1)
    return len(then["x"]) == len(world.crowd.x) and all(
        _near(then[name], there) for name, there in (("x", world.crowd.x), ("y", world.crowd.y))
    )


def _near(a: Array, b: Array) -> bool:
    return bool(np.allclose(a, b, rtol=0.0, atol=_SAME_M))
