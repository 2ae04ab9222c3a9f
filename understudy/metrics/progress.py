"""Progress along the route, against the Intelligent Driver Model in the same scene.

The reference drives the middle of the route as fast as the limit and the bends allow, keeps its distance from whoever
is on its way, and stops for red (Treiber, Hennecke and Helbing 2000, with the parameters of nuPlan's IDM planner
but for the braking, which is that of its IDM agents).
As in NAVSIM, a reference that would itself touch somebody or come too close is none: nobody is asked to outrun it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from understudy.maps import RouteLine
from understudy.metrics.blocks import GOES_ROUND, REACH, REACH_BACK
from understudy.metrics.contacts import Contacts, touches
from understudy.metrics.motion import DT, Motion, T
from understudy.metrics.road import PAST_THE_LINE, STANDS
from understudy.metrics.tracks import LONGEST_GAP_S, Tracks
from understudy.records import Array, Floats, Ints, Light, Vehicle

if TYPE_CHECKING:
    from understudy.metrics.scene import Scene

# As in nuPlan's idm_planner.yaml, whose wished speed stands in where the map knows no limit; but it brakes by 3 m/s²,
# and BRAKE is that of nuPlan's idm_agents_observation.yaml.
FREE_SPEED, MIN_GAP, HEADWAY_S, ACCEL, BRAKE = 10.0, 1.0, 1.5, 1.0, 2.0
HARDEST_BRAKE = 6.0  # m/s²
BEND_ACCEL = 2.0  # m/s² sideways
SHORT = 5.0  # m: below this nobody is told apart (NAVSIM)
ROUND_SPEED = 5.0  # m/s beside what it goes round
ASIDE = 0.3  # m beside the middle that are beside it


def progress(scene: Scene, instants: Ints, motion: Motion) -> Floats:
    """Metres along the route as a share of the reference's, in [0, 1]; 1 where neither goes SHORT far, (P,)."""
    if scene.line is None or scene.tracks is None:
        return np.full(len(motion), np.nan)
    start = scene.along[instants]
    driven = np.hypot(*np.moveaxis(np.diff(motion.pose[..., :2], axis=1), -1, 0)).sum(axis=1)
    # No further than it may have come: a route that turns back is near at a later place, too.
    end, _ = scene.line.project(motion.pose[:, -1, :2], np.maximum(start - 20.0, 0.0), 20.0 + 1.5 * driven + SHORT)
    gone, wanted = np.maximum(end - start, 0.0), scene.reference(instants)
    share = np.minimum(gone / np.maximum(wanted, 1e-9), 1.0)
    return np.where(np.isfinite(wanted + gone), np.where(np.maximum(wanted, gone) > SHORT, share, 1.0), np.nan)


def reference(scene: Scene, instants: Ints) -> Floats:
    """Metres that the reference goes in 4 s from instants (n,); 0 where it is none, nan where it cannot be known.

    That is beyond the recording, and where it passes a light whose state is unknown then, or comes into a junction of a
    log without lights.
    """
    line, tracks = scene.line, scene.tracks
    if line is None or tracks is None or scene.roads is None:
        return np.full(len(instants), np.nan)
    route = _Route(scene, line, tracks)
    along = route.drive(instants)  # (n, 41)
    speed = np.gradient(along, DT, axis=1)
    motion = Motion(scene.blocks.poses(line, along), speed)
    contacts = Contacts.of(scene, instants, motion)
    clean = (contacts.no_collision == 1) & (contacts.ttc == 1)
    # Beside the middle it is where nobody has to let it be: there it touches nobody, whoever's fault it would be.
    aside = np.abs(scene.blocks.left(along)) > ASIDE
    rows = np.flatnonzero(aside.any(axis=1))
    clean[rows] &= ~(touches(scene, instants[rows], motion.take(rows)) & aside[rows]).any(axis=1)
    gone = np.where(clean, along[:, -1] - along[:, 0], 0.0)
    known = scene.recorded(instants, float(T[-1])) & np.isfinite(along).all(axis=1)
    if scene.lights is None:
        known &= ~route.enters(scene.roads.junction[line.lane], along)
    known &= ~route.passes_unknown(instants, along)
    return np.where(known, gone, np.nan)


class _Route:
    """The route as the reference sees it: how fast it may go where, who is on it, where lights are."""

    def __init__(self, scene: Scene, line: RouteLine, tracks: Tracks) -> None:
        self.scene, self.line, self.tracks = scene, line, tracks
        vehicle: Vehicle = scene.vehicle
        self.front = vehicle.front
        self.free = _free_speed(line, np.any(scene.blocks.within(line.s, GOES_ROUND), axis=1))
        rows = _near(line, tracks)
        frame = tracks.frame(tracks.t[rows])
        low = np.maximum(scene.along[frame] - REACH_BACK, 0.0)
        s, d = line.project(np.stack([tracks.x[rows], tracks.y[rows]], axis=-1), low, REACH_BACK + REACH)
        turn = line.at(s)[:, 2]
        skew = tracks.yaw[rows] - turn
        length, width = tracks.length[tracks.number[rows]], tracks.width[tracks.number[rows]]
        cos, sin = np.abs(np.cos(skew)), np.abs(np.sin(skew))
        in_way = np.abs(d) < (sin * length + cos * width + vehicle.width) / 2
        in_way &= ~(scene.blocks.within(s).any(axis=1) & (tracks.speed[rows] <= STANDS))  # that is gone round
        order = np.lexsort((s, frame))
        order = order[in_way[order]]
        self.frame, self.s = frame[order], s[order]
        self.rear = (s - (cos * length + sin * width) / 2)[order]
        self.speed = np.maximum(tracks.vx[rows] * np.cos(turn) + tracks.vy[rows] * np.sin(turn), 0.0)[order]
        governed = list(zip(scene.lights.lanes, scene.lights.state.T, strict=True)) if scene.lights else []
        self.stops = [(end, state) for id, end in line.ends for lane, state in governed if lane == id]
        self._span = float(line.s[-1]) + 1e3
        self._axis = self.frame * self._span + self.s

    def drive(self, instants: Ints) -> Floats:
        """Distances along the route (n, 41) of the rear axle over 4 s."""
        s, v = self.scene.along[instants].copy(), np.maximum(np.nan_to_num(self.scene.speed[instants]), 0.0)
        when = self.scene.t[instants, None] + T
        frame = self.tracks.frame(when)
        # Nobody is seen in the middle of a long gap, nor long before the first instant with objects or after the last.
        frame = np.where(np.abs(self.tracks.t_s[frame] - when) <= LONGEST_GAP_S / 2 + 1e-6, frame, -1)
        gone = [s.copy()]
        for step in range(len(T) - 1):
            gap, leader = self._leader(frame[:, step], s)
            stop = self._red(when[:, step], s)
            accel = np.minimum(self._idm(s, v, gap, leader), self._idm(s, v, stop, np.zeros_like(v)))
            after = np.maximum(v + np.maximum(accel, -HARDEST_BRAKE) * DT, 0.0)
            s, v = s + (v + after) / 2 * DT, after
            gone.append(s.copy())
        return np.stack(gone, axis=1)

    def _idm(self, s: Floats, v: Floats, gap: Floats, leader: Floats) -> Floats:
        """The acceleration of the Intelligent Driver Model; `gap` is inf where nobody is ahead."""
        free = np.interp(s, self.line.s, self.free)
        wanted = MIN_GAP + np.maximum(0.0, v * HEADWAY_S + v * (v - leader) / (2 * np.sqrt(ACCEL * BRAKE)))
        near = np.where(np.isfinite(gap), (wanted / np.maximum(gap, 0.1)) ** 2, 0.0)
        return np.asarray(ACCEL * (1 - (v / np.maximum(free, 0.1)) ** 4 - near))

    def _leader(self, frame: Ints, s: Floats) -> tuple[Floats, Floats]:
        """Bumper to bumper distance (n,) to the next on the route at instants (n,), inf for none, and its speed. The
        instant is -1 where nobody is seen."""
        if not len(self.s):
            return np.full(len(s), np.inf), np.zeros(len(s))
        following = np.searchsorted(self._axis, frame * self._span + np.nan_to_num(s) + self.scene.vehicle.centre_x)
        row = np.minimum(following, len(self.s) - 1)
        there = (following < len(self.s)) & (self.frame[row] == frame)
        return np.where(there, self.rear[row] - s - self.front, np.inf), np.where(there, self.speed[row], 0.0)

    def _red(self, when: Floats, s: Floats) -> Floats:
        """Distance (n,) from the front bumper to the next stop line whose light is red at times (n,), inf for none."""
        nearest, row = np.full(len(s), np.inf), self.scene.row(when)
        for end, state in self.stops:
            gap = end - s - self.front
            holds = (state[row] == Light.RED) & (gap > -PAST_THE_LINE)
            nearest = np.where(holds, np.minimum(nearest, gap), nearest)
        return nearest

    def passes_unknown(self, instants: Ints, along: Floats) -> Array:
        """Whether the front bumper of paths (n, 41) passes a stop line while its light is unknown, (n,)."""
        found, front = np.zeros(len(along), bool), along + self.front
        row = self.scene.row(self.scene.t[instants, None] + T)
        for end, state in self.stops:
            passes = (front[:, :-1] <= end) & (front[:, 1:] > end)
            found |= (passes & (state[row[:, :-1]] == Light.UNKNOWN)).any(axis=1)
        return found

    def enters(self, area: Array, along: Floats) -> Array:
        """Whether the front bumper of paths (n, 41) comes into an area, given as points of the route, (n,)."""
        entries = np.cumsum(np.diff(area.astype(int), prepend=int(area[0])) > 0)
        first, last = (np.searchsorted(self.line.s, np.nan_to_num(along[:, k]) + self.front) for k in (0, -1))
        top = len(entries) - 1
        return np.asarray(entries[np.minimum(last, top)] > entries[np.minimum(first, top)])


def _near(line: RouteLine, tracks: Tracks) -> Ints:
    """Rows of tracks that may be on the route."""
    area = shapely.buffer(shapely.LineString(line.points), 6.0)
    shapely.prepare(area)
    return np.flatnonzero(shapely.contains_xy(area, tracks.x, tracks.y))


def _free_speed(line: RouteLine, beside: Array) -> Floats:
    """The speed at each point of the route that neither limit, bend nor what is gone round there (a mask) forbids,
    slowing down in time for the next."""
    apart = float(line.s[1])
    turn = np.unwrap(line.heading)
    reach = max(1, round(5.0 / apart))  # a bend is what turns over 10 m; over less it is noise
    spread = np.pad(turn, reach, mode="edge")
    bend = np.abs(spread[2 * reach :] - spread[: -2 * reach]) / (2 * reach * apart)
    limit = np.where(np.isfinite(line.speed_limit), line.speed_limit, FREE_SPEED)
    speed = np.minimum(limit, np.sqrt(BEND_ACCEL / np.maximum(bend, 1e-4)))
    speed[beside] = np.minimum(speed[beside], ROUND_SPEED)
    for i in range(len(speed) - 2, -1, -1):  # v² = v'² + 2 b s, with half of BRAKE: the model follows what falls late
        speed[i] = min(speed[i], np.sqrt(speed[i + 1] ** 2 + BRAKE * apart))
    return speed
