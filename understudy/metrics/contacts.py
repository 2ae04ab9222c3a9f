"""Who touches whom, and whose fault it is: collisions, and time to collision.

The first contact of a plan with another decides, by the rules of nuPlan (collision_utils.py) and of NAVSIM
(pdm_scorer.py): contact at the very beginning is nobody's fault here, the ego standing is not at fault, running into
what stands is, being run into from behind is not, hitting with the front bumper is, and touching sideways is where the
ego is not wholly in one lane. Time to collision asks the same of contacts that would follow if the ego went on as it
does. Boxes are oriented and tested by separating axes, after a test by distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from understudy.geometry import compose, constant_turn, corners, overlap
from understudy.maps import Roads
from understudy.metrics.motion import DT, EVERY, Motion, T, ahead
from understudy.metrics.tracks import Tracks
from understudy.records import STATIC, Array, Floats, Ints, Vehicle

if TYPE_CHECKING:
    from understudy.metrics.scene import Scene

EGO_STANDS = 0.05  # m/s
OTHER_STANDS = 0.5  # m/s: speeds of others are differences of annotated positions
BEHIND_COS = np.cos(np.radians(150))  # as seen from the rear axle
TTC_STANDS = 0.005  # m/s
PROJECTED = np.array([0, 3, 6, 9])  # samples ahead: 0 to 0.9 s
JUDGED = len(T) - int(PROJECTED[-1])  # samples whose projection ends within the 4 s


@dataclass(frozen=True, slots=True)
class Contacts:
    """How P plans fare among the others: nan where they are unknown."""

    no_collision: Floats  # (P,) 1; 0.5 for a thing hit, 0 for a road user
    ttc: Floats  # (P,) 1; 0 where going on as it does for up to 0.9 s would hit

    @classmethod
    def of(cls, scene: Scene, instants: Ints, motion: Motion) -> Contacts:
        known = np.zeros(len(motion), bool) if scene.tracks is None else scene.recorded(instants, float(T[-1]))
        no_collision, ttc = np.where(known, 1.0, np.nan), np.where(known, 1.0, np.nan)
        tracks = scene.tracks
        if tracks is not None and len(tracks) and known.any():
            plan, number = _close(tracks, scene.vehicle, scene.t[instants], motion, known)
            pairs = _Pairs(scene, tracks, plan, number, scene.t[instants], motion)
            np.minimum.at(no_collision, plan, pairs.no_collision())
            np.minimum.at(ttc, plan, pairs.ttc())
        return cls(no_collision, ttc)


def touches(scene: Scene, instants: Ints, motion: Motion) -> Array:
    """Whether the ego's box overlaps anybody's at each sample (P, 41), whoever is to blame."""
    found = np.zeros(motion.speed.shape, bool)
    tracks = scene.tracks
    if tracks is not None and len(tracks) and len(motion):
        plan, number = _close(tracks, scene.vehicle, scene.t[instants], motion, np.ones(len(motion), bool))
        pairs = _Pairs(scene, tracks, plan, number, scene.t[instants], motion)
        np.logical_or.at(found, plan, pairs.touching(motion.centre(scene.vehicle)[plan], 0))
    return found


def _close(tracks: Tracks, vehicle: Vehicle, t: Floats, motion: Motion, known: Array) -> tuple[Ints, Ints]:
    """Pairs of a plan (n,) and a track (n,) that may come into contact: none is missed, most others are left out.

    Looked at every 0.5 s only. A pair is left out when even so the boxes' outer circles stay apart by more than both
    can move until the next look; for the ego that is measured, projections included.
    """
    centre = motion.centre(vehicle)[..., :2]  # (P, 41, 2)
    knots = np.arange(0, len(T), EVERY)
    look = np.minimum((np.arange(len(T)) + EVERY // 2) // EVERY, len(knots) - 1)  # the look nearest to each sample
    slack = np.hypot(*np.moveaxis(centre - centre[:, knots][:, look], -1, 0)).max(axis=1)
    for shift in PROJECTED[1:]:
        away = ahead(_going_on(motion, shift), vehicle.centre_x)[..., :2] - centre[:, knots][:, look[shift:][:JUDGED]]
        slack = np.maximum(slack, np.hypot(*np.moveaxis(away, -1, 0)).max(axis=1))
    plans = np.flatnonzero(known)
    when = t[plans, None] + T[knots]  # (n, 9)
    frame = tracks.frame(when)
    owner, row = tracks.present(frame.ravel())
    plan, knot = plans[owner // len(knots)], owner % len(knots)
    lag = np.abs(tracks.t[row] - when.ravel()[owner]) + DT * EVERY / 2
    apart = np.hypot(tracks.x[row] - centre[plan, knots[knot], 0], tracks.y[row] - centre[plan, knots[knot], 1])
    radius = np.hypot(vehicle.length, vehicle.width) / 2 + tracks.radius[tracks.number[row]]
    near = apart < radius + slack[plan] + lag * tracks.speed[row] + 0.5
    code = np.unique(plan[near] * (tracks.number[-1] + 1) + tracks.number[row[near]])
    return code // (tracks.number[-1] + 1), code % (tracks.number[-1] + 1)


def _going_on(motion: Motion, shift: int) -> Floats:
    """Poses (P, JUDGED, 3) of the rear axle `shift` samples on, at the speed and rate of turn of each sample.

    Along the arc and not straight on as in nuPlan: who turns beside a wall is not about to hit it.
    """
    rate = np.gradient(motion.pose[..., 2], DT, axis=1)[:, :JUDGED]
    arc = constant_turn(motion.speed[:, :JUDGED], rate, np.asarray(shift * DT))
    return compose(motion.pose[:, :JUDGED], arc)


class _Pairs:
    """n pairs of a plan and a track, on the samples of the plan."""

    def __init__(self, scene: Scene, tracks: Tracks, plan: Ints, number: Ints, t: Floats, motion: Motion) -> None:
        self.scene, self.tracks, self.plan, self.number = scene, tracks, plan, number
        self.motion, self.vehicle = motion, scene.vehicle
        self.when = t[plan, None] + T  # (n, 41)
        self.other = tracks.poses(number, self.when)  # (n, 41, 3)
        self.length, self.width, self.radius = (
            values[number] for values in (tracks.length, tracks.width, tracks.radius)
        )

    def touching(self, centre: Floats, shift: int) -> Array:
        """Whether ego boxes (n, m, 3) overlap the other `shift` samples later, (n, m)."""
        other = self.other[:, shift : shift + centre.shape[1]]
        dx, dy = other[..., 0] - centre[..., 0], other[..., 1] - centre[..., 1]
        reach = self.radius + np.hypot(self.vehicle.length, self.vehicle.width) / 2
        hit = np.asarray(dx * dx + dy * dy < (reach**2)[:, None])
        pair, k = np.nonzero(hit)
        hit[pair, k] = overlap(
            centre[pair, k],
            self.vehicle.length,
            self.vehicle.width,
            other[pair, k],
            self.length[pair],
            self.width[pair],
        )
        return hit

    def no_collision(self) -> Floats:
        """(n,)"""
        hit = self.touching(self.motion.centre(self.vehicle)[self.plan], 0)
        pair = np.flatnonzero(hit.any(axis=1) & ~hit[:, 0])
        k = hit[pair].argmax(axis=1)
        ego = self.motion.pose[self.plan[pair], k]
        moves = np.abs(self.motion.speed[self.plan[pair], k]) > EGO_STANDS
        fault = moves & self.at_fault(pair, ego, k, astride(self.scene.roads, self.vehicle, ego))
        thing = np.isin(self.tracks.kind[self.tracks.nearest_row(self.number[pair], self.when[pair, k])], STATIC)
        found = np.ones(len(self.plan))
        found[pair] = np.where(fault, np.where(thing, 0.5, 0.0), 1.0)
        return found

    def ttc(self) -> Floats:
        """(n,)"""
        going = [_going_on(self.motion, shift) for shift in PROJECTED]  # each (P, JUDGED, 3)
        hits = [
            self.touching(ahead(pose, self.vehicle.centre_x)[self.plan], shift)
            for pose, shift in zip(going, PROJECTED, strict=True)
        ]
        hit = np.stack(hits, axis=-1)  # (n, JUDGED, 4)
        at_first = hit[:, 0, 0].copy()
        hit &= (np.abs(self.motion.speed[self.plan, :JUDGED]) > TTC_STANDS)[..., None]
        hit = hit.reshape(len(hit), JUDGED * len(PROJECTED))
        pair = np.flatnonzero(hit.any(axis=1) & ~at_first)
        k, shift = np.divmod(hit[pair].argmax(axis=1), len(PROJECTED))
        now = self.motion.pose[self.plan[pair], k]
        loose = astride(self.scene.roads, self.vehicle, now) | in_junction(self.scene.roads, now)
        then = np.stack(going)[shift, self.plan[pair], k]
        found = np.ones(len(self.plan))
        found[pair] = np.where(self.at_fault(pair, then, k + PROJECTED[shift], loose), 0.0, 1.0)
        return found

    def at_fault(self, pair: Ints, ego: Floats, k: Ints, loose: Array) -> Array:
        """Whether a moving ego at poses (m, 3) is to blame for touching the others of pairs (m,) at samples (m,).

        `loose` (m,) says where the ego has no lane of its own, and so must look to its sides.
        """
        other = self.other[pair, k]
        row = self.tracks.nearest_row(self.number[pair], self.when[pair, k])
        dx, dy = other[:, 0] - ego[:, 0], other[:, 1] - ego[:, 1]
        cos = (dx * np.cos(ego[:, 2]) + dy * np.sin(ego[:, 2])) / np.maximum(np.hypot(dx, dy), 1e-9)
        bumper = ahead(ego, self.vehicle.centre_x + self.vehicle.length / 2)
        front = overlap(bumper, 0.0, self.vehicle.width, other, self.length[pair], self.width[pair])
        return np.asarray((self.tracks.speed[row] <= OTHER_STANDS) | ((cos > BEHIND_COS) & (front | loose)))


def astride(roads: Roads | None, vehicle: Vehicle, ego: Floats) -> Array:
    """Whether the ego at rear axle poses (n, 3) is in several lanes at once, or beside the road, (n,).

    A lane and one that follows it are one (nuPlan's "common or connected" lanes), and what lies beyond the map's extent
    is not beside the road.
    """
    if roads is None or not len(ego):
        return np.zeros(len(ego), bool)
    points = corners(ahead(ego, vehicle.centre_x), vehicle.length, vehicle.width)  # (n, 4, 2)
    near = roads.near(points.reshape(-1, 2), reach=0.0)
    under: list[list[set[int]]] = [[set() for _ in range(4)] for _ in ego]  # the lanes of each corner
    for point, lane in zip(near.point.tolist(), near.lane.tolist(), strict=True):
        under[point // 4][point % 4].add(lane)
    apart = np.array([len(set.union(*four)) > 1 and not _in_one(roads, four) for four in under])
    return apart | (~roads.inside(points) & roads.known(points)).any(axis=1)


def _in_one(roads: Roads, corners: list[set[int]]) -> bool:
    """Whether one lane, or one and a lane that follows it, holds all four corners."""
    return any(
        all(lane in lanes or following in lanes for lanes in corners)
        for lane in set.union(*corners)
        for following in (lane, *roads.successors[lane])
    )


def in_junction(roads: Roads | None, ego: Floats) -> Array:
    """Whether rear axles (n, 3) are in a junction, (n,)."""
    found = np.zeros(len(ego), bool)
    if roads is not None and len(ego):
        near = roads.near(ego[:, :2], reach=0.0)
        found[near.point[roads.junction[near.lane]]] = True
    return found
