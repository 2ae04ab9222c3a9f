"""From a drive to what a policy may know at its instants: the same for logs (batched over time) and for worlds.

Nothing of the future enters, except what `Drive.derived` names (the coarse command and the route of a log, which are
derived from where the driver went next; and where a log has only poses, what a car's own instruments would have shown:
speed, rate of turn and acceleration, fitted to them over half a second to either side), and `future` itself, for
oracles that declare that they need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from understudy.errors import DataError
from understudy.geometry import first_pass, frenet, interpolate, inverse, move, paused, seen_from, wrap
from understudy.maps import Roads, RouteLine
from understudy.records import (
    NS,
    OBJECT_COLUMNS,
    OPTIONAL_OBJECT_COLUMNS,
    PLAN_STEP_S,
    PLAN_STEPS,
    Array,
    Camera,
    Drive,
    Floats,
    Ints,
    Light,
    Observation,
    Rig,
)

ROUTE_POINTS = 61  # 120 m ahead
OBJECT_RANGE = 120.0
_CHUNK = 64  # instants whose place on the route is looked up together


class Observer:
    """Sits in one drive and says what can be known at its instants."""

    def __init__(self, drive: Drive, line: RouteLine | None = None) -> None:
        """`line` is the path of the drive's route where the caller has it already (a world has)."""
        self.drive = drive
        self._given_line = line
        self._decoded: dict[str, dict[int, Array]] = {}

    def observe(self, instants: Ints, needs: tuple[str, ...], history_s: tuple[float, ...]) -> Observation:
        """What can be known at instants (B,); frames are `history_s` old, oldest first.

        Raises DataError where the drive lacks what is needed: ask `drive.lacks(needs)` first.
        """
        drive = self.drive
        if missing := drive.lacks(needs):
            raise DataError(f"drive {drive.id} lacks {', '.join(missing)}")
        now = drive.t_ns[instants]
        at = now[:, None] - (np.asarray(history_s) * NS).astype(np.int64)  # (B, F)
        seen = Observation(
            age_s=np.asarray(history_s, float),
            past_poses=self._past_poses(instants, at),
            speed=self._past("speed", at),
            yaw_rate=self._past("yaw_rate", at),
            accel=self._past("accel", at),
            command=drive["command"][instants] if "command" in drive else np.zeros(len(instants), np.int8),
            speed_limit=drive["speed_limit"][instants] if "speed_limit" in drive else np.full(len(instants), np.nan),
            vehicle=drive.vehicle,
        )
        if "pictures" in needs:
            pictures, valid = self._pictures(at)
            seen = replace(seen, pictures=pictures, picture_valid=valid, rig=rig_of(drive.cameras))
        if "route" in needs:
            route, light, distance = self._route(instants)
            seen = replace(seen, route=route, light=light, light_distance=distance)
        if "objects" in needs:
            seen = replace(seen, objects=self._objects(instants))
        if "future" in needs:
            seen = replace(seen, future=driven(drive, instants))
        return seen

    def _past(self, column: str, at: Ints) -> Floats:
        """A column at earlier stamps (B, F); nan before the drive began, where it pauses and where the log lacks it."""
        if column not in self.drive:
            return np.full(at.shape, np.nan)
        t_ns = self.drive.t_ns
        found = np.interp((at - t_ns[0]) / NS, self.drive.t_s, self.drive[column], left=np.nan)
        return np.where(paused(t_ns, at), np.nan, found)

    def _past_poses(self, instants: Ints, at: Ints) -> Floats:
        if not self.drive.has("pose"):
            return np.full((*at.shape, 3), np.nan)
        poses = self.drive.poses
        return seen_from(poses[instants][:, None], interpolate(self.drive.t_ns, poses, at))

    def _pictures(self, at: Ints) -> tuple[tuple[Array, ...], Array]:
        """Pictures per camera (B, F, H, W, 3), and which are there (B, F, C). In order of time each picture is decoded
        once: as long as a later instant's history may reach it, it is kept."""
        stacks, valid = [], []
        for camera in self.drive.cameras:
            index = camera.fresh(at)  # (B, F)
            known = index >= 0
            wanted = np.unique(index[known])
            kept = self._decoded.get(camera.name, {})
            fresh = np.array([i for i in wanted if int(i) not in kept], dtype=np.int64)
            decoded = dict(kept)
            if len(fresh):
                decoded.update(zip(fresh.tolist(), camera.pictures.read(fresh), strict=True))
            oldest, newest = camera.latest(np.array([at[:, 0].max(), at.max()]))  # that a later instant may ask for
            self._decoded[camera.name] = {i: picture for i, picture in decoded.items() if oldest <= i <= newest}
            width, height = camera.size
            stack = np.zeros((*index.shape, height, width, 3), np.uint8)
            for place in zip(*np.nonzero(known), strict=True):
                stack[place] = decoded[int(index[place])]
            stacks.append(stack)
            valid.append(known)
        return tuple(stacks), np.stack(valid, axis=-1)

    @cached_property
    def _roads(self) -> Roads:
        if self.drive.map is None:
            raise DataError(f"drive {self.drive.id} has no map")
        return Roads(self.drive.map)

    @cached_property
    def line(self) -> RouteLine:
        """The path of the drive's route, with straight roads added beyond its end."""
        if self._given_line is not None:
            return self._given_line
        return self._roads.line(self._roads.extend(self.drive.route, 200.0))

    @cached_property
    def _light_stops(self) -> tuple[Floats, Ints]:
        """Where on the route the drive's lights stop traffic: ascending distances along it, the lights' columns."""
        lights = self.drive.lights.lanes if self.drive.lights else ()
        found = [(s, k) for lane, s in self.line.ends for k, governed in enumerate(lights) if governed == lane]
        return np.array([s for s, _ in found]), np.array([k for _, k in found], dtype=np.int64)

    @cached_property
    def _along(self) -> Floats:
        """Where on the route the ego is at every instant, (T,): found in order, so that a road which is driven twice is
        told apart whichever instants are asked for."""
        return place_on(self.line.points, self.drive.poses[:, :2])

    def _route(self, instants: Ints) -> tuple[Floats, Array, Floats]:
        """The route ahead (B, G, 2) in the ego frame, the next light on it (B,), the way to its stop line (B,)."""
        poses = self.drive.poses[instants]
        # A world's line is but the stretch around the car.
        s = self._along[instants] if self._given_line is None else place_on(self.line.points, poses[:, :2])
        wanted = s[:, None] + Observation.ROUTE_STEP * np.arange(ROUTE_POINTS)
        points = np.stack(
            [np.interp(wanted, self.line.s, self.line.points[:, axis], right=np.nan) for axis in (0, 1)], -1
        )
        route = move(inverse(poses)[:, None], points)
        light = np.full(len(instants), Light.UNKNOWN, np.int8)
        distance = np.full(len(instants), np.nan)
        stops, columns = self._light_stops
        if len(stops) and self.drive.lights is not None:
            front = self.drive.vehicle.front
            # A light counts until the front bumper is a metre past its stop line.
            following = np.searchsorted(stops, s + front - 1.0)
            ahead = following < len(stops)
            chosen = np.minimum(following, len(stops) - 1)
            near = ahead & (stops[chosen] - s < Observation.ROUTE_STEP * ROUTE_POINTS)
            light = np.where(near, self.drive.lights.state[instants, columns[chosen]], Light.UNKNOWN).astype(np.int8)
            distance = np.where(near, stops[chosen] - s, np.nan)
        return route, light, distance

    def _objects(self, instants: Ints) -> Mapping[str, Array]:
        """Objects near the ego, padded to (B, N), in the ego frame; velocities are over ground, turned into it."""
        objects = self.drive.objects
        if objects is None:
            raise DataError(f"drive {self.drive.id} has no objects")
        poses = self.drive.poses[instants]
        counts = np.diff(objects.starts)[instants]
        widest = int(counts.max(initial=0))
        there = np.arange(widest) < counts[:, None]  # (B, N)
        rows = np.where(there, objects.starts[instants][:, None] + np.arange(widest), 0)
        if not len(objects["x"]):
            rows = np.zeros((len(instants), 0), np.int64)
            there = rows.astype(bool)
        names = [name for name in (*OBJECT_COLUMNS, *OPTIONAL_OBJECT_COLUMNS) if name in objects]
        found: dict[str, Array] = {name: objects[name][rows] for name in names}
        local = move(inverse(poses)[:, None], np.stack([found["x"], found["y"]], -1))
        found["x"], found["y"] = local[..., 0], local[..., 1]
        turn = np.zeros_like(poses)
        turn[:, 2] = -poses[:, 2]
        velocity = move(turn[:, None], np.stack([found["vx"], found["vy"]], -1))
        found["vx"], found["vy"] = velocity[..., 0], velocity[..., 1]
        found["yaw"] = wrap(found["yaw"] - poses[:, None, 2])
        found["valid"] = there & (np.hypot(found["x"], found["y"]) < OBJECT_RANGE)
        return found


def select_frames(seen: Observation, history_s: tuple[float, ...]) -> Observation:
    """The same observation with only the frames of another history, which must be among its own."""
    if tuple(seen.age_s) == tuple(history_s):
        return seen
    frames = [int(np.argmin(np.abs(seen.age_s - age))) for age in history_s]
    return replace(
        seen,
        age_s=seen.age_s[frames],
        past_poses=seen.past_poses[:, frames],
        speed=seen.speed[:, frames],
        yaw_rate=seen.yaw_rate[:, frames],
        accel=seen.accel[:, frames],
        pictures=tuple(stack[:, frames] for stack in seen.pictures),
        picture_valid=None if seen.picture_valid is None else seen.picture_valid[:, frames],
    )


def driven(drive: Drive, instants: Ints) -> Floats:
    """What was driven after each instant (B, K, 4): x, y, yaw in its ego frame, speed; nan where none was recorded."""
    ahead = drive.t_ns[instants][:, None] + (np.arange(1, PLAN_STEPS + 1) * PLAN_STEP_S * NS).astype(np.int64)
    poses = drive.poses
    path = seen_from(poses[instants][:, None], interpolate(drive.t_ns, poses, ahead))
    speed = np.full(ahead.shape, np.nan)
    if "speed" in drive:
        known = np.isfinite(path[..., 0])
        speed[known] = np.interp((ahead[known] - drive.t_ns[0]) / NS, drive.t_s, drive["speed"])
    return np.concatenate([path, speed[..., None]], axis=-1)


def place_on(line: Floats, points: Floats) -> Floats:
    """Distance along a line (P, 2) for the successive points (B, 2) of a path that follows it.

    Each stretch of the path is looked for near where the one before ended, so that a route which crosses itself or
    passes the same road twice is followed in its own order.
    """
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    out = np.full(len(points), np.nan)
    known = np.flatnonzero(np.isfinite(points[:, 0]))
    travelled = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points[known], axis=0).T))])
    at = along[first_pass(line, points[known[0]])] if len(known) else 0.0
    for first in range(0, len(known), _CHUNK):
        chunk = known[first : first + _CHUNK]
        goes = travelled[first + len(chunk) - 1] - travelled[max(first - 1, 0)]
        low = min(max(int(np.searchsorted(along, at - 30.0)) - 1, 0), len(line) - 2)
        high = int(np.searchsorted(along, at + goes + 60.0)) + 2
        out[chunk] = along[low] + frenet(line[low:high], points[chunk])[0]
        at = out[chunk[-1]]
    return out


def held(route: Floats) -> Floats:
    """A route (B, G, 2) with its last known point held beyond its end, so that it can be interpolated."""
    known = np.isfinite(route[..., 0])
    last = np.maximum(known.sum(axis=1) - 1, 0)
    index = np.minimum(np.arange(route.shape[1]), last[:, None])
    return np.nan_to_num(np.take_along_axis(route, index[..., None], axis=1))


def leader_on(route: Floats, objects: Mapping[str, Array], width: float, front: float) -> tuple[Floats, Floats, Ints]:
    """Who is ahead: gap from the front bumper to the nearest object on a path (B,), inf for none; its speed along the
    path; and its index among the objects, -1 for none.

    `route` (B, G, 2) and `objects` (each (B, N)) are in the ego frame, as an observation has them. An object of unknown
    size counts as a point.
    """
    none = np.full(len(route), np.inf), np.zeros(len(route)), np.full(len(route), -1)
    if objects["x"].shape[1] == 0:
        return none
    step = np.diff(route, axis=1)
    length = np.maximum(np.hypot(step[..., 0], step[..., 1]), 1e-6)  # (B, G-1)
    unit = step / length[..., None]
    ox = objects["x"][:, :, None] - route[:, None, :-1, 0]  # (B, N, G-1)
    oy = objects["y"][:, :, None] - route[:, None, :-1, 1]
    t = ox * unit[:, None, :, 0] + oy * unit[:, None, :, 1]
    inside = np.clip(t, 0, length[:, None])
    distance = np.hypot(ox - inside * unit[:, None, :, 0], oy - inside * unit[:, None, :, 1])
    nearest = np.argmin(np.where(np.isfinite(distance), distance, np.inf), axis=2)  # (B, N)
    across = np.take_along_axis(distance, nearest[..., None], 2)[..., 0]
    start = np.concatenate([np.zeros((len(route), 1)), np.cumsum(length, axis=1)[:, :-1]], axis=1)
    along = np.take_along_axis(start, nearest, 1) + np.take_along_axis(inside, nearest[..., None], 2)[..., 0]
    ux, uy = np.take_along_axis(unit[..., 0], nearest, 1), np.take_along_axis(unit[..., 1], nearest, 1)
    turn = objects["yaw"] - np.arctan2(uy, ux)
    cos, sin = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    half_along = np.nan_to_num(cos * objects["length"] + sin * objects["width"]) / 2
    half_across = np.nan_to_num(sin * objects["length"] + cos * objects["width"]) / 2
    ahead = objects["valid"] & (t[..., 0] > 0) & (along + half_along > front)
    gap = np.where(ahead & (across < half_across + width / 2 + 0.2), along - half_along - front, np.inf)
    first = np.argmin(gap, axis=1)
    rows = np.arange(len(route))
    best = gap[rows, first]
    speed = objects["vx"][rows, first] * ux[rows, first] + objects["vy"][rows, first] * uy[rows, first]
    there = np.isfinite(best)
    return best, np.where(there, np.nan_to_num(speed), 0.0), np.where(there, first, -1)


def rig_of(cameras: tuple[Camera, ...]) -> Rig:
    """The calibration of a drive's cameras; nan where a camera has none."""
    unknown = (np.full((3, 3), np.nan), np.full((4, 4), np.nan))
    return Rig(
        names=tuple(camera.name for camera in cameras),
        size=np.array([camera.size for camera in cameras], dtype=np.int64).reshape(len(cameras), 2),
        K=np.stack([unknown[0] if camera.K is None else camera.K for camera in cameras])
        if cameras
        else np.zeros((0, 3, 3)),
        ego_T_cam=np.stack([unknown[1] if camera.ego_T_cam is None else camera.ego_T_cam for camera in cameras])
        if cameras
        else np.zeros((0, 4, 4)),
        distortion=tuple(camera.distortion for camera in cameras),
        coefficients=tuple(camera.coefficients for camera in cameras),
    )
