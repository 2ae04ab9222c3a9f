"""What the light must have shown, by what everyone did: for logs that know no lights.

Who stands at a line has to stop there; who goes over it at speed may go. Standing and going are told of the ego and of
all that drive in its lane, at each entrance of a junction on the route. What nobody shows is unknown, and whether there
is a light at all is not told: a line to stop at has the same effect.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from understudy.geometry import wrap
from understudy.labelers import UNKNOWN, Label
from understudy.labelers.light import NONE
from understudy.labelers.swept import LONGEST_GAP_S
from understudy.maps import RouteLine
from understudy.observe import Observer, place_on
from understudy.records import MOTOR_VEHICLES, Array, Drive, Floats, Ints, Light

STANDS = 0.3  # m/s
GOES = 2.0  # m/s
AT_THE_LINE = (-6.0, 1.0)  # m, of the front bumper, positive beyond: the next one in a queue is further back
BEFORE_S = 2.0  # for how long before somebody crossed it must have been allowed
MOVES_OFF_S = 1.5  # nobody reacts at once: before somebody moves off it may have been allowed already
IN_LANE = 1.5  # m
NEAR = 40.0  # m before and after the line where others are looked at


@dataclass(frozen=True)
class InferredLight:
    """RED or GREEN for the next entrance of a junction on the route (B,), in the words of the labeler `light`.

    NONE where there is none within `range_m`. Neither lights nor truth are looked at.
    """

    range_m: float = 50.0

    needs: ClassVar[tuple[str, ...]] = ("pose", "speed", "route")

    def label(self, drive: Drive, instants: Ints) -> Label:
        line = Observer(drive).line
        entrances = _entrances(drive, line)
        front = place_on(line.points, drive.poses[:, :2]) + drive.vehicle.front
        following = np.searchsorted(entrances, front[instants] - AT_THE_LINE[1])
        value = np.full(len(instants), UNKNOWN, np.int8)
        for number, s in enumerate(entrances.tolist()):
            stop, go = _shown(drive, line, s, front)
            here = (following == number) & (s - front[instants] < self.range_m)
            value[here & stop[instants] & ~go[instants]] = Light.RED
            value[here & go[instants] & ~stop[instants]] = Light.GREEN
        ahead = np.append(entrances, np.inf)[following] - front[instants]
        value[ahead >= self.range_m] = NONE
        return Label(value)


def _entrances(drive: Drive, line: RouteLine) -> Floats:
    """Where on the route its junctions begin, ascending."""
    assert drive.map is not None
    lanes = {lane.id: lane for lane in drive.map.lanes}
    return np.array(
        [
            end
            for (before, after), end in zip(pairwise(drive.route), line.end, strict=False)  # the line goes on beyond
            if np.isfinite(end) and lanes[after].junction and not lanes[before].junction
        ]
    )


def _shown(drive: Drive, line: RouteLine, s: float, front: Floats) -> tuple[Array, Array]:
    """At which instants (T,) somebody shows that one must stop at `s`, and that one may go."""
    stop, go = np.zeros(len(drive), bool), np.zeros(len(drive), bool)
    for rows, place, speed in [(np.arange(len(drive)), front, drive["speed"]), *_others(drive, line, s)]:
        t, beyond = drive.t_s[rows], place - s
        standing = (np.abs(speed) < STANDS) & (beyond > AT_THE_LINE[0]) & (beyond < AT_THE_LINE[1])
        moves_off = t[1:][standing[:-1] & ~standing[1:]]
        late = np.append(moves_off, np.inf)[np.searchsorted(moves_off, t, side="right")] - t < MOVES_OFF_S
        stop[rows[standing & ~late]] = True
        seen = np.diff(t) <= LONGEST_GAP_S  # when somebody who was hidden crossed is not known
        crosses = np.flatnonzero((beyond[:-1] < 0) & (beyond[1:] >= 0) & (speed[1:] > GOES) & seen)
        for end in crosses + 1:
            since = np.flatnonzero(~(np.abs(speed[: end + 1]) >= STANDS))  # it moves since then
            begin = max(t[end] - BEFORE_S, t[since[-1]] if len(since) else -np.inf)
            go[(drive.t_s > begin) & (drive.t_s <= t[end])] = True
    return stop, go


def _others(drive: Drive, line: RouteLine, s: float) -> Iterator[tuple[Ints, Floats, Floats]]:
    """Of each vehicle in the ego's lane near `s`: its instants, where on the route its front is, its speed."""
    objects = drive.objects
    if objects is None:
        return
    point = np.stack([objects["x"], objects["y"]], axis=-1)
    here = line.at(np.array(s))
    near = np.flatnonzero(
        (np.hypot(*(point - here[:2]).T) < NEAR)
        & np.isin(objects["kind"], MOTOR_VEHICLES)
        & np.isfinite(objects["yaw"])
    )
    place, across = line.project(point[near], np.full(len(near), max(s - NEAR, 0.0)), 2 * NEAR)
    along = np.abs(wrap(objects["yaw"][near] - line.at(place)[:, 2])) < np.pi / 4
    kept = (np.abs(across) < IN_LANE) & along
    near, place = near[kept], place[kept] + np.nan_to_num(objects["length"][near[kept]]) / 2
    speed = np.hypot(objects["vx"][near], objects["vy"][near])
    instant, track = objects.instant[near], objects["track"][near]
    for one in np.unique(track):
        rows = np.flatnonzero(track == one)
        yield instant[rows], place[rows], speed[rows]
