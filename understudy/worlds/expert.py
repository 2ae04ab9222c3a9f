"""The world's own driver: SUMO's wish for speed, executed by somebody human.

SUMO knows who has the right of way and who is in front, and goes on wishing for a speed after `moveToXY`. A person then
reacts a little late, wanders a little in the lane, and now and then brakes late and hard. What SUMO does not know of
(people off the crossings, things on the road, whoever breaks the rules) the driver looks out for alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from understudy.geometry import seen_from
from understudy.records import PLAN_STEP_S, PLAN_STEPS, Floats, Plan
from understudy.worlds.detect import chance, smooth

if TYPE_CHECKING:
    from understudy.worlds.city import City

_ACCEL, _BRAKE = 1.8, 8.0
_EASY_JERK, _BRAKE_JERK, _PANIC_JERK = 2.0, 4.0, 25.0  # m/s³
_PANIC = -4.5  # m/s² from which nobody brakes gently
_LOOK_S = 3.0
_AHEAD = np.arange(1, PLAN_STEPS + 1) * PLAN_STEP_S
_TIMES = np.arange(0.0, _LOOK_S + 0.01, 0.25)


@dataclass(slots=True)
class Expert:
    """Drives one world. Its plans are privileged: they are made from the truth, not from the observation."""

    world: City
    reaction_s: float = 0.4
    wander: float = 0.13  # m, standard deviation
    late: float = 0.04  # share of 4 s spans in which the driver is slow to brake

    _accel: float = 0.0
    _offset: float = 0.0

    def plan(self) -> Plan:
        """The next four seconds, from now on."""
        world, ego = self.world, self.world.ego
        wished = self._wished()
        rate = _EASY_JERK if wished > self._accel else _PANIC_JERK if wished < _PANIC else _BRAKE_JERK
        step = rate * world.PLAN_S
        self._accel += min(max(wished - self._accel, -step), 4 * step if self._accel < -0.5 else step)
        if ego.speed < 0.05 and self._accel < 0:
            self._accel = 0.0 if wished > 0.05 else min(wished, -0.5)
        speed = np.clip(ego.speed + self._accel * _AHEAD, 0.0, max(ego.speed, world.way.limit_at(world.way.s) + 1.0))
        along = np.cumsum(np.concatenate([[ego.speed], speed])[:-1] + speed) * PLAN_STEP_S / 2
        return Plan.single(np.concatenate([self._path(along), speed[:, None]], axis=1)[None])

    def _path(self, along: Floats) -> Floats:
        """Poses (K, 3) in the ego frame: back to the lane's centre, but for the wander and what must be passed."""
        world = self.world
        way, now = world.way, np.array([world.t_s])
        drift = self.wander * smooth(world.seed, np.array([1]), now / 4.0, 20)[0]
        s = way.s + along
        target = drift + np.array([world.events.shift(x) for x in s])
        share = np.exp(-along / max(0.9 * world.ego.speed, 7.0))
        d = target + (world.beside - target) * share
        slope = np.gradient(d, np.maximum(np.arange(len(d)) * 1e-3 + along, 1e-3)) if along[-1] > 2.0 else np.zeros(len(d))
        pose = way.beside(s, d)
        pose[:, 2] += np.arctan(np.clip(slope, -0.4, 0.4))
        return seen_from(world.ego.pose, pose)

    def _wished(self) -> float:
        """The acceleration that the driver wants now."""
        world, ego = self.world, self.world.ego
        wish = world.events.clear_of(world.wish)  # what SUMO wishes, unless an event's driver knows better
        if wish < -0.5 and wish > -2.0 and self._inattentive():
            wish = max(wish, -0.3)
        hazard = min(self._hazard(), world.events.brake())
        return min(max(min(wish, hazard), -_BRAKE), _ACCEL if ego.speed > 3 else 1.4)

    def _inattentive(self) -> bool:
        world = self.world
        return bool(chance(world.seed, np.array([2]), np.array([world.t_s / 4.0]), 21)[0] < self.late)

    def _hazard(self) -> float:
        """How hard to brake for those whom SUMO does not see, or whom it trusts too much: inf without a reason."""
        world, ego = self.world, self.world.ego
        who = world.events.unruly
        if len(who.x) == 0:
            return np.inf
        front = ego.vehicle.length - ego.vehicle.rear_overhang
        x = who.x[:, None] + who.speed[:, None] * np.cos(who.yaw)[:, None] * _TIMES
        y = who.y[:, None] + who.speed[:, None] * np.sin(who.yaw)[:, None] * _TIMES
        s, d, heading = world.way.project(np.stack([x, y], -1), 90.0)
        turn = who.yaw[:, None] - heading
        reach = (np.abs(np.sin(turn)) * who.length[:, None] + np.abs(np.cos(turn)) * who.width[:, None]) / 2
        half = (np.abs(np.cos(turn)) * who.length[:, None] + np.abs(np.sin(turn)) * who.width[:, None]) / 2
        gap = s - half - world.way.s - front
        d = d - np.vectorize(world.events.shift)(s)
        # Fast ones need a wider berth: they may be on the path a moment later than seems.
        margin = 0.45 + 0.25 * np.minimum(who.speed, 2.0)[:, None]
        meets = (np.abs(d) < reach + ego.vehicle.width / 2 + margin) & (gap > -front - 1.0)
        # By the time it is there, would we be there too?
        reached = ego.speed * _TIMES + 4.0
        oncoming = (np.cos(turn) < -0.5) & (who.speed[:, None] > 1.0)
        meets &= (gap < np.maximum(reached, 0.0) + ego.speed**2 / 5) | oncoming
        gap = np.where(meets, gap, np.inf)
        nearest = float(np.min(gap))
        if not np.isfinite(nearest):
            return np.inf
        along = float(np.max(np.where(np.isfinite(gap.min(1)), np.maximum(np.cos(turn[:, 0]), 0) * who.speed, 0)))
        room = max(nearest - 1.8, 0.1)
        closing = max(ego.speed - along, 0.0)
        needed = closing**2 / (2 * room)
        return -needed if needed > 0.8 else (-0.5 if ego.speed > 1.0 and closing > 0.5 and room < 25 else 0.3 if room > 2 else -1.0)
