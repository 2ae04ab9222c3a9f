"""The ego's way through a town: a chain of lanes without a change, and questions along it.

A chain of successors needs no lane change, so a route says at every metre where its driver wants to be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numba
import numpy as np

from understudy.geometry import arc_length
from understudy.maps import Roads, RouteLine
from understudy.records import Array, Command, Floats
from understudy.worlds.net import Town
from understudy.worlds.scenario import Scenario

ENTERS_M = 9.0  # m along the first lane, where SUMO lets the front bumper enter
START = ENTERS_M - 3.7  # of the rear axle
BEYOND = 400.0  # m of way after the goal, so that nobody has to stop there
_COMMAND_AHEAD = 40  # m
_TURN = np.radians(30)
_SIDEWAYS, _SLOWING = 1.7, 1.3  # m/s² that a careful driver spends on bends and on slowing down for them


class Way:
    """Route, goal and the distance driven along it."""

    def __init__(self, roads: Roads, lanes: Sequence[str], metres: float, start: float) -> None:
        self.roads, self.lanes = roads, tuple(lanes)
        self.line: RouteLine = roads.line(self.lanes)
        self.s, self.goal = start, start + metres
        self._heading = np.unwrap(self.line.heading)

    def follow(self, x: float, y: float) -> float:
        """Move on to where the ego is now: `s`, and its signed distance to the left of the way."""
        low = max(int(self.s) - 4, 0)
        near = self.line.points[low : low + 24]
        s, d, _ = frenet(near, np.array([[x, y]]))
        self.s = float(self.line.s[low] + s[0])
        return float(d[0])

    def at(self, s: Floats | float) -> Floats:
        """Poses (..., 3) on the way."""
        columns = (self.line.points[:, 0], self.line.points[:, 1], self._heading)
        return np.stack([np.interp(s, self.line.s, column) for column in columns], axis=-1)

    def beside(self, s: Floats | float, d: Floats | float) -> Floats:
        """Poses (..., 3) `d` to the left of the way, facing along it."""
        pose = self.at(s)
        pose[..., 0] -= d * np.sin(pose[..., 2])
        pose[..., 1] += d * np.cos(pose[..., 2])
        return pose

    def project(self, points: Floats, reach: float = 120.0, back: float = 30.0) -> tuple[Floats, Floats, Floats]:
        """Distance along, to the left, and heading of the way, for points (..., 2) from `back` behind to `reach` ahead.

        Points beyond are infinitely far to its left: who knows where the way turns.
        """
        low = max(int(self.s - back), 0)
        near = self.line.points[low : low + int(back + reach)]
        found = frenet(near, np.ascontiguousarray(points).reshape(-1, 2))
        s, d, heading = (values.reshape(points.shape[:-1]) for values in found)
        s = s + self.line.s[low]
        return s, np.where((s < self.line.s[low] + len(near) - 1) & (s > self.line.s[low]), d, np.inf), heading

    def speed_at(self, s: Floats) -> Floats:
        """How fast a careful driver goes at most at `s`: the limit, bends, and time to slow down for them."""
        return np.asarray(np.interp(s, self.line.s, self._speed))

    @cached_property
    def bend(self) -> Floats:
        """(P,) 1/m, positive to the left, over ten metres."""
        reach = 5
        bend = np.zeros(len(self.line.s))
        bend[reach:-reach] = (self._heading[2 * reach :] - self._heading[: -2 * reach]) / (2 * reach)
        return bend

    @cached_property
    def _speed(self) -> Floats:
        """(P,) m/s, so that no bend costs more than _SIDEWAYS and no slowing down more than _SLOWING."""
        tightest = np.maximum.reduce([np.roll(np.abs(self.bend), shift) for shift in (-3, 0, 3)])
        limit = np.where(np.isfinite(self.line.speed_limit), self.line.speed_limit, 13.9)
        speed = np.minimum(limit, np.sqrt(_SIDEWAYS / np.maximum(tightest, 1e-4)))
        step = np.diff(self.line.s)
        for i in range(len(step) - 1, -1, -1):
            speed[i] = min(speed[i], math.sqrt(speed[i + 1] ** 2 + 2 * _SLOWING * step[i]))
        return np.asarray(speed)

    def lane_at(self, s: float) -> str:
        lane: int = self.line.lane[self._index(s)]
        return self.roads.lanes[lane].id

    def limit_at(self, s: float) -> float:
        return float(self.line.speed_limit[self._index(s)])

    def command_at(self, s: float) -> int:
        return int(self._commands[self._index(s)])

    def _index(self, s: float) -> int:
        return min(max(int(np.searchsorted(self.line.s, s, side="right")) - 1, 0), len(self.line.s) - 1)

    @cached_property
    def _commands(self) -> Array:
        """What a navigator says at each point (P,): the turn of the next 40 m."""
        ahead = np.minimum(np.arange(len(self._heading)) + _COMMAND_AHEAD, len(self._heading) - 1)
        turn = self._heading[ahead] - self._heading
        inside = np.array([lane.junction for lane in self.roads.lanes])[self.line.lane]
        passed = np.concatenate([[0], np.cumsum(inside)])
        crosses = passed[ahead] > passed[:-1]
        return np.where(turn > _TURN, Command.LEFT, np.where(turn < -_TURN, Command.RIGHT,
                        np.where(crosses, Command.STRAIGHT, Command.FOLLOW))).astype(np.int8)  # fmt: skip

    def window(self, back: float = 30.0, ahead: float = 170.0) -> RouteLine:
        """The piece of the line around the ego, for observers: what is far away cannot be mistaken for what is near."""
        low = max(self._index(self.s - back), 0)
        high = self._index(self.s + ahead) + 1
        line, origin = self.line, self.line.s[low]
        end = line.end - origin
        end = np.where((end < 0) | (line.end > line.s[high - 1]), np.nan, end)
        return RouteLine(
            line.points[low:high], line.s[low:high] - origin, line.heading[low:high], line.lane[low:high],
            line.speed_limit[low:high], line.route, end,
        )  # fmt: skip


def way(town: Town, scenario: Scenario) -> Way:
    """The town's route of the scenario's number: the same for every traffic, weather, event and seed."""
    return Way(town.roads, lanes_of(town, scenario), scenario.metres, START)


def lanes_of(town: Town, scenario: Scenario) -> list[str]:
    """The chain of lanes of that route, from the one on which it begins to some way beyond the goal."""
    rng = Scenario(scenario.world, town.id, f"r{scenario.number}", "", "", "", 0).rng("route")
    roomy = [lane for lane in town.streets if arc_length(town.lane[lane].centre)[-1] > 50]
    lanes = [roomy[rng.integers(len(roomy))]]
    length = arc_length(town.lane[lanes[0]].centre)[-1]
    while length < START + scenario.metres + BEYOND:
        onward = town.onward[lanes[-1]]
        lanes.append(onward[rng.integers(len(onward))])
        length += arc_length(town.lane[lanes[-1]].centre)[-1]
    return lanes


@numba.njit(cache=True)
def frenet(line, points):  # type: ignore[no-untyped-def]
    """`geometry.frenet` of points (n, 2): here it is asked a thousand times a second for a few points each."""
    s, d, heading = np.empty(len(points)), np.empty(len(points)), np.empty(len(points))
    for i in range(len(points)):
        x, y, nearest, begins = points[i, 0], points[i, 1], np.inf, 0.0
        for k in range(len(line) - 1):
            dx, dy = line[k + 1, 0] - line[k, 0], line[k + 1, 1] - line[k, 1]
            length = max(math.sqrt(dx * dx + dy * dy), 1e-9)
            ux, uy = dx / length, dy / length
            ox, oy = x - line[k, 0], y - line[k, 1]
            t = ox * ux + oy * uy
            inside = min(max(t, 0.0), length)
            apart = (ox - inside * ux) ** 2 + (oy - inside * uy) ** 2
            if apart < nearest:
                nearest = apart
                # Before the first and beyond the last point the line goes on straight.
                along = min(max(t, -np.inf if k == 0 else 0.0), np.inf if k == len(line) - 2 else length)
                s[i], d[i], heading[i] = begins + along, oy * ux - ox * uy, math.atan2(uy, ux)
            begins += length
    return s, d, heading
