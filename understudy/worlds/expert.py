"""The world's own driver: SUMO's wish for speed, executed by somebody human.

SUMO knows who has the right of way and who is in front, and goes on wishing for a speed after `moveToXY`. A person then
wanders a little in the lane, and now and then brakes late and hard. What SUMO does not know of (people off the
crossings, things on the road, whoever breaks the rules, a light that turns red over a car that stands right at its
line) the driver looks out for alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from understudy.geometry import seen_from
from understudy.metrics.road import PAST_THE_LINE
from understudy.records import PLAN_STEP_S, PLAN_STEPS, Floats, Ints, Kind, Light, Plan
from understudy.worlds.detect import chance, smooth
from understudy.worlds.traffic import ACTORS

if TYPE_CHECKING:
    from understudy.worlds.city import City

_ACCEL, _BRAKE = 1.8, 8.0
_EASY_JERK, _BRAKE_JERK, _PANIC_JERK = 2.0, 4.0, 25.0  # m/s³
_PANIC = -4.5  # m/s² from which nobody brakes gently
_LOOK_S = 3.0
_LINE = 12.0  # m to a red light's line, within which the driver stops for it himself
_MIDDLE = 2.4  # m ahead of the rear axle: what is kept on the lane's centre
_AHEAD = np.arange(1, PLAN_STEPS + 1) * PLAN_STEP_S
_TIMES = np.arange(0.0, _LOOK_S + 0.01, 0.5)


@dataclass(slots=True)
class Expert:
    """Drives one world. Its plans are privileged: they are made from the truth, not from the observation."""

    world: City
    wander: float = 0.13  # m, standard deviation
    late: float = 0.04  # share of 4 s spans in which the driver is slow to brake

    _accel: float = 0.0
    _lines: Floats = field(init=False)  # (n,) m along the way, of the lines where lights may stop it
    _lights: Ints = field(init=False)  # (n,) which of the town's signals these are

    def __post_init__(self) -> None:
        lights = {signal.lane: i for i, signal in enumerate(self.world.town.signals)}
        found = [(s, lights[lane]) for lane, s in self.world.way.line.ends if lane in lights]
        self._lines, self._lights = np.array([s for s, _ in found]), np.array([light for _, light in found], int)

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
        # The rear axle cuts the bend a little, so that the front does not leave the lane on the other side.
        bend = np.interp(s, way.line.s, way.bend)
        target = drift + world.events.shift(s) + 0.5 * _MIDDLE**2 * bend
        share = np.exp(-along / max(0.9 * world.ego.speed, 7.0))
        d = target + (world.beside - target) * share
        slope = (
            np.gradient(d, np.maximum(np.arange(len(d)) * 1e-3 + along, 1e-3)) if along[-1] > 2.0 else np.zeros(len(d))
        )
        pose = way.beside(s, d)
        pose[:, 2] += np.arctan(np.clip(slope, -0.4, 0.4))
        return seen_from(world.ego.pose, pose)

    def _wished(self) -> float:
        """The acceleration that the driver wants now."""
        world, ego = self.world, self.world.ego
        wish = world.traffic.wish
        if -2.0 < wish < -0.5 and self._inattentive():
            wish = -0.3
        room = float(world.way.speed_at(np.array(world.way.s + 0.6 * ego.speed))) - ego.speed
        free = max(0.8 * room, -3.5) if room < 0 else 1.2 * room
        return min(
            max(min(wish, free, self._hazard(), self._red(), world.events.brake()), -_BRAKE),
            _ACCEL if ego.speed > 3 else 1.4,
        )

    def _inattentive(self) -> bool:
        world = self.world
        return bool(chance(world.seed, np.array([2]), np.array([world.t_s / 4.0]), 21)[0] < self.late)

    def _red(self) -> float:
        """The acceleration that keeps the front bumper behind a red light near by: inf without one."""
        world, ego = self.world, self.world.ego
        gap = self._lines - world.way.s - ego.vehicle.front
        near = np.flatnonzero((gap > -PAST_THE_LINE) & (gap < _LINE))
        if not len(near):
            return np.inf
        room = gap[near[world.lights[self._lights[near]] == Light.RED]]
        needed = ego.speed**2 / (2 * np.maximum(room - 0.3, 0.1))
        heeded = needed[(needed < 5.0) & ((needed > 1.0) | (room < 1.0))]
        return -float(heeded.max()) if len(heeded) else np.inf

    def _hazard(self) -> float:
        """The acceleration that keeps clear of whoever is, or soon will be, on the path: inf without a reason.

        SUMO keeps its own vehicles apart by lanes, not by their bodies; and of an event's actors it knows nothing, so
        those are watched for longer and given a wider berth; so is everybody where SUMO has lost the ego.
        """
        world, ego = self.world, self.world.ego
        crowd, front = world.crowd, ego.vehicle.front
        unruly = (crowd.track >= ACTORS) | world.traffic.alone
        reach = np.where(unruly, front + 37.0 + 3.0 * ego.speed, front + 10.0 + 1.6 * ego.speed)
        near = np.flatnonzero(np.abs(crowd.x - ego.pose[0]) + np.abs(crowd.y - ego.pose[1]) < 1.4 * reach)
        if len(near) == 0:
            return np.inf
        who, unruly = crowd.take(near), unruly[near, None]
        x = who.x[:, None] + who.speed[:, None] * np.cos(who.yaw)[:, None] * _TIMES
        y = who.y[:, None] + who.speed[:, None] * np.sin(who.yaw)[:, None] * _TIMES
        s, d, heading = world.way.project(np.stack([x, y], -1), 130.0)
        turn = who.yaw[:, None] - heading
        cos, sin = np.abs(np.cos(turn)), np.abs(np.sin(turn))
        half, across = (
            cos * who.length[:, None] + sin * who.width[:, None],
            sin * who.length[:, None] + cos * who.width[:, None],
        )
        gap = s - half / 2 - world.way.s - front
        margin = np.where(unruly, 0.45 + 0.2 * np.minimum(who.speed, 2.0)[:, None], 0.3)
        meets = np.abs(d - world.events.shift(s)) < (across + ego.vehicle.width) / 2 + margin
        meets &= s + half / 2 > world.way.s - ego.vehicle.rear_overhang + 1.0
        # Who follows in the lane keeps off the ego, not the other way round.
        meets &= ~((s < world.way.s) & (np.cos(turn) > 0.7) & (np.abs(d) < 1.0))[:, :1]
        # The well-behaved are left to SUMO, who knows their right of way, until they are close and in the way.
        walks = (who.kind == Kind.PEDESTRIAN)[:, None]
        together = (np.where(walks, 1.0, 0.5) >= _TIMES) & (gap < 1.6 * max(ego.speed, 1.0))
        meets &= np.where(unruly, gap < ego.speed * _TIMES + ego.speed**2 / 5 + 5.0, together)
        gap = np.where(meets, gap, np.inf).min(axis=1)
        nearest = int(np.argmin(gap))
        if not np.isfinite(gap[nearest]):
            return np.inf
        along = float(np.cos(turn[nearest, 0]) * who.speed[nearest])
        closing, room = max(ego.speed - along, 0.0), max(float(gap[nearest]) - 1.5, 0.1)
        needed = closing**2 / (2 * room)
        if unruly[nearest, 0] and along > 1.0:  # somebody to follow, whom SUMO does not know: IDM
            wanted = 2.0 + 1.2 * ego.speed + ego.speed * (ego.speed - along) / (2 * np.sqrt(1.7 * 2.6))
            return float(1.7 * (1 - (max(wanted, 2.0) / max(float(gap[nearest]), 0.3)) ** 2))
        if needed > (1.0 if unruly[nearest, 0] else 3.0):
            return -needed
        return -2.0 if gap[nearest] < 1.5 and ego.speed < 4.0 and along <= ego.speed else np.inf
