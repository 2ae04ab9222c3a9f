"""A real log as a world: its map and its traffic, and somebody else at the wheel of the ego.

The others drive as they were recorded, or follow the paths that they were recorded on by the Intelligent Driver Model
(Treiber, Hennecke, Helbing 2000) and so react to the ego. There are no cameras: a picture cannot be taken from where
the log's car was not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from understudy.errors import DataError, UnderstudyError, UnknownName
from understudy.geometry import compose, interpolate, overlap, seen_from
from understudy.maps import Roads
from understudy.metrics.tracks import LONGEST_GAP_S
from understudy.observe import Observer
from understudy.records import (
    MOTOR_VEHICLES,
    NS,
    OBJECT_COLUMNS,
    PAUSE_S,
    PLAN_STEP_S,
    PLAN_STEPS,
    Array,
    Drive,
    Driver,
    Floats,
    Lights,
    Objects,
    Observation,
    Plan,
)
from understudy.worlds.ego import MAX_WHEEL, PLAN_EVERY, TICK_S, Ego, Follower
from understudy.worlds.scenario import Scenario
from understudy.worlds.way import Way

TRAFFIC = ("logged", "reactive")
_LOST_M = 25.0
_STOOD_M = 5.0  # a log whose driver came less far has no way to complete
_HEADWAY_S, _GAP, _ACCEL, _BRAKE = 1.2, 2.0, 1.5, 2.5  # of those who react


class Replay:
    """One log as a world, from its first known pose to where it or its poses first pause. A scenario's seed shifts the
    start (0 does not), its route says at which second it begins."""

    PLAN_S: ClassVar[float] = PLAN_EVERY * TICK_S

    def __init__(
        self, log: Drive, needs: Sequence[str] = ("route", "objects"), history_s: Sequence[float] = (0.0,)
    ) -> None:
        if missing := log.lacks(("pose", "objects", "map", "speed")):
            raise DataError(f"drive {log.id} cannot be a world: it lacks {', '.join(missing)}")
        placed = np.flatnonzero(np.isfinite(log.poses).all(axis=1))
        pauses = np.flatnonzero(np.diff(log.t_s[placed]) > PAUSE_S)
        placed = placed[: pauses[0] + 1] if pauses.size else placed
        timed = placed[np.isfinite(log["speed"][placed])]
        if not timed.size:
            raise DataError(f"drive {log.id} cannot be a world: its {'speed' if placed.size else 'pose'} is unknown")
        known_ns, known_poses = log.t_ns[placed], log.poses[placed]
        timed_ns, timed_speed = log.t_ns[timed], log["speed"][timed]
        log = log.slice(int(placed[0]), int(placed[-1]) + 1)
        assert log.map is not None
        self._log = log
        self._needs, self._history = tuple(needs), tuple(history_s)
        self._roads = Roads(log.map)
        route = log.route or self._roads.match(log.poses)
        if not route:
            raise DataError(f"drive {log.id} cannot be a world: its car was on no lane of the map")
        self._lanes = self._roads.extend(route, 300.0)
        self._count = int((log.t_ns[-1] - log.t_ns[0]) / NS / TICK_S + 1e-6) + 1
        self._t_ns = log.t_ns[0] + np.round(np.arange(self._count) * TICK_S * NS).astype(np.int64)
        # What is unknown for a moment is bridged: a plan of nan would cost whoever drives like the log the route.
        self._poses = interpolate(known_ns, known_poses, self._t_ns)
        self._speed = np.interp(self._t_ns - log.t_ns[0], timed_ns - log.t_ns[0], timed_speed)
        self._others = _Others(log, self._t_ns)
        self.ended = "not begun"

    def close(self) -> None:
        """Nothing is held: there to be closed like any world."""

    def scenario_of(self, traffic: str = "logged", seed: int = 0, start_s: int = 0) -> Scenario:
        """This log as a scenario, with `logged` or `reactive` traffic."""
        return Scenario("replay", self._log.id, f"r{start_s}", traffic, seed=seed)

    def reset(self, scenario: Scenario) -> Observation:
        """Begin; seed 0 exactly where the log's car was, others slightly beside it, turned, and faster or slower."""
        if scenario.traffic not in TRAFFIC:
            raise UnknownName("traffic of a replay", scenario.traffic, TRAFFIC)
        self.scenario, seed, start_s = scenario, scenario.seed, scenario.number
        self._reactive = scenario.traffic == "reactive"
        self._first = self._now = round(start_s / TICK_S)
        if not 0 <= self._first < self._count - 1:
            raise UnderstudyError(
                f"drive {self._log.id} lasts {self._log.seconds:.1f} s: it cannot begin at {start_s} s"
            )
        rng = np.random.default_rng(seed)
        shift = rng.normal(0, [0.2, 0.2, 0.01]) if seed else np.zeros(3)
        speed = float(self._speed[self._now] * (1 + (rng.normal(0, 0.04) if seed else 0.0)))
        self.ego = Ego(compose(self._poses[self._now], shift), speed, vehicle=self._log.vehicle)
        self.way = Way(self._roads, self._lanes, 0.0, 0.0)
        # The human's own progress is the route to be completed, and it may come by the same road again.
        along = self.way.line.follow(self._poses[:, :2])
        begin = np.maximum(along[[self._now]] - 5.0, 0.0)
        self.way.s = float(self.way.line.project(self.ego.pose[None, :2], begin, 10.0)[0][0])
        self.way.goal, self._start = max(float(np.nanmax(along)), self.way.s + 1.0), self.way.s
        self._others.begin(self._now)
        self.ended = ""
        self._rows: list[tuple[float, ...]] = []
        self._crowds: list[dict[str, Array]] = []
        self._furthest = self.way.s
        self._keep()
        return self.observe()

    def step(self, plan: Plan) -> Observation:
        """Follow a plan of one (B = 1) for 0.2 s, and say what is seen then."""
        if self.ended:
            raise UnderstudyError(f"the replay of {self._log.id} has ended ({self.ended}): reset it")
        follower = Follower(self.ego.pose, self.ego.speed, plan.likeliest[0])
        for tick in range(PLAN_EVERY):
            if not self.ended:
                self.ego.drive(*follower.control(self.ego, tick * TICK_S))
                self._now += 1
                self._others.move(self._now, self.ego if self._reactive else None)
                self._keep()
        return self.observe()

    @property
    def expert(self) -> Logged:
        """The log's own driver."""
        return Logged(self)

    def recorded(self) -> Plan:
        """What the log's driver did next, from where the ego is now."""
        ahead = self._t_ns[self._now] + (np.arange(1, PLAN_STEPS + 1) * PLAN_STEP_S * NS).astype(np.int64)
        ahead = np.minimum(ahead, self._t_ns[-1])
        poses = seen_from(self.ego.pose, interpolate(self._t_ns, self._poses, ahead))
        speed = np.interp(ahead - self._t_ns[0], self._t_ns - self._t_ns[0], self._speed)
        return Plan.single(np.concatenate([poses, speed[:, None]], axis=1)[None])

    def _keep(self) -> None:
        ego, way = self.ego, self.way
        d = way.follow(ego.pose[0], ego.pose[1])
        self._furthest = max(self._furthest, way.s)
        self._rows.append(
            (
                *ego.pose,
                ego.speed,
                ego.accel,
                ego.yaw_rate,
                ego.wheel / MAX_WHEEL,
                way.limit_at(way.s),
                d,
                way.command_at(way.s),
            )
        )
        self._crowds.append(self._others.there())
        if self._touches():
            self.ended = "collision"
        elif abs(d) > _LOST_M:
            self.ended = "lost"
        elif way.s >= way.goal:
            self.ended = "arrived"
        elif self._now >= self._count - 1:
            self.ended = "log over"

    def _touches(self) -> bool:
        ego, crowd = self.ego, self._crowds[-1]
        x = ego.pose[0] + ego.vehicle.centre_x * np.cos(ego.pose[2])
        y = ego.pose[1] + ego.vehicle.centre_x * np.sin(ego.pose[2])
        near = np.flatnonzero((np.abs(crowd["x"] - x) + np.abs(crowd["y"] - y) < 14.0) & np.isfinite(crowd["length"]))
        if not len(near):
            return False
        other = np.stack([crowd["x"][near], crowd["y"][near], crowd["yaw"][near]], -1)
        pose = np.broadcast_to(np.array([x, y, ego.pose[2]]), other.shape)
        size = np.full(len(near), ego.vehicle.length), np.full(len(near), ego.vehicle.width)
        return bool(np.any(overlap(pose, *size, other, crowd["length"][near], crowd["width"][near])))

    @property
    def completion(self) -> float:
        """The share of the way that the log's driver came; all of it where that one stood."""
        metres = self.way.goal - self._start
        return 1.0 if metres < _STOOD_M else float(np.clip((self._furthest - self._start) / metres, 0, 1))

    def observe(self) -> Observation:
        """What the policy is told now."""
        ticks = round(max(self._history) / TICK_S) + 1
        recent = self._drive(max(len(self._rows) - ticks, 0))
        return Observer(recent, self.way.window()).observe(np.array([len(recent) - 1]), self._needs, self._history)

    def drive(self) -> Drive:
        """All that has been driven so far; a log has no truth beside what it recorded."""
        facts = {"scenario": str(self.scenario), "ended": self.ended, "completion": round(self.completion, 4)}
        return replace(self._drive(0), facts=facts)

    def _drive(self, first: int) -> Drive:
        names = ("x", "y", "yaw", "speed", "accel", "yaw_rate", "steer", "speed_limit", "lane_offset", "command")
        columns = dict(zip(names, np.array(self._rows[first:]).T, strict=True))
        columns["who_drives"] = np.full(len(self._rows) - first, Driver.MODEL)
        crowds = self._crowds[first:]
        starts = np.concatenate([[0], np.cumsum([len(crowd["x"]) for crowd in crowds])]).astype(np.int64)
        everyone = {name: np.concatenate([crowd[name] for crowd in crowds]) for name in OBJECT_COLUMNS}
        t_ns = self._t_ns[self._first + first : self._first + len(self._rows)]
        lights = self._log.lights
        if lights is not None:
            at = np.searchsorted(self._log.t_ns, t_ns, side="right") - 1
            lights = Lights(lights.lanes, lights.heads, lights.state[at])
        return Drive(
            id=f"replay-{self._log.id}",
            t_ns=t_ns,
            columns=columns,
            vehicle=self._log.vehicle,
            objects=Objects(starts, everyone),
            lights=lights,
            map=self._log.map,
            frame=self._log.frame,
            route=self._lanes,
        )


@dataclass(frozen=True, slots=True)
class Logged:
    """The driver of a log, who wants to be where it was."""

    world: Replay

    def plan(self) -> Plan:
        return self.world.recorded()


class _Others:
    """The log's road users on the world's ticks: as recorded, or along their recorded paths at speeds of their own."""

    def __init__(self, log: Drive, t_ns: Array) -> None:
        assert log.objects is not None
        rows, instant = log.objects, log.objects.instant
        tracks, index = np.unique(rows["track"], return_inverse=True)
        shape = (len(tracks), len(t_ns))
        self._columns = {name: np.full(shape, np.nan) for name in ("x", "y", "yaw", "vx", "vy")}
        self._fixed = {name: np.zeros(len(tracks)) for name in ("track", "kind", "length", "width")}
        for k in range(len(tracks)):
            mine = np.flatnonzero(index == k)
            stamps = log.t_ns[instant[mine]]
            after = np.searchsorted(stamps, t_ns).clip(0, len(stamps) - 1)  # unseen for long, it is not there
            seen = stamps[after] - stamps[np.where(stamps[after] == t_ns, after, after - 1)] <= LONGEST_GAP_S * NS
            inside = (t_ns >= stamps[0]) & (t_ns <= stamps[-1]) & seen
            for name, column in self._columns.items():
                values = rows[name][mine]
                values = _turning(values) if name == "yaw" else values
                column[k, inside] = np.interp(t_ns[inside] - t_ns[0], stamps - t_ns[0], values)
            for name in ("length", "width"):
                self._fixed[name][k] = (
                    float(np.nanmedian(rows[name][mine])) if np.isfinite(rows[name][mine]).any() else np.nan
                )
            self._fixed["track"][k], self._fixed["kind"][k] = tracks[k], np.bincount(rows["kind"][mine]).argmax()
        self._motor = np.isin(self._fixed["kind"], MOTOR_VEHICLES)

    def begin(self, now: int) -> None:
        self._now = now
        self._delayed = np.zeros(len(self._motor))  # ticks by which those who react have fallen behind
        self._pace = np.hypot(self._columns["vx"][:, now], self._columns["vy"][:, now])
        self._share = np.ones(len(self._motor))  # of the recorded speed

    def move(self, now: int, ego: Ego | None) -> None:
        """On to the next tick; with an ego, vehicles hold back for whoever is in front of them."""
        self._now = now
        if ego is None:
            return
        here = self._state()
        there = np.isfinite(here["x"])
        logged = np.hypot(here["vx"], here["vy"])
        speed = np.where(np.isfinite(self._pace), self._pace, logged)
        gap, closing = _leaders(here, self._fixed, speed, there, ego)
        wanted = _GAP + np.maximum(speed * _HEADWAY_S + speed * closing / (2 * np.sqrt(_ACCEL * _BRAKE)), 0)
        held = np.where(np.isfinite(gap), (wanted / np.maximum(gap, 0.1)) ** 2, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            # They would do what they did; only somebody in front makes them slower, and then they may catch up.
            pace = np.where(
                held > 0.9,
                speed + np.clip(_ACCEL * (1 - held), -6, _ACCEL) * TICK_S,
                np.minimum(speed + _ACCEL * TICK_S, logged),
            )
            share = np.where(logged > 0.3, np.clip(pace / logged, 0, 1), 1.0)
        react = self._motor & there
        self._delayed = np.where(react, self._delayed + (1 - share), self._delayed)
        self._pace = np.where(react, np.maximum(pace, 0), np.nan)
        self._share = np.where(react, share, 1.0)

    def _state(self) -> dict[str, Floats]:
        """Where everybody is: on the own path, as long ago as one has fallen behind."""
        at = self._now - self._delayed
        last = self._columns["x"].shape[1] - 1
        low = np.clip(np.floor(at).astype(int), 0, last)
        high = np.minimum(low + 1, last)
        share = np.clip(at - low, 0, 1)
        rows = np.arange(len(low))
        return {
            name: c[rows, low] * (1 - share) + np.where(share > 0, c[rows, high], 0.0) * share
            for name, c in self._columns.items()
        }

    def there(self) -> dict[str, Array]:
        """OBJECT_COLUMNS of those who are there now, at the speed at which they move."""
        here = self._state()
        here["vx"], here["vy"] = here["vx"] * self._share, here["vy"] * self._share
        rows = np.flatnonzero(np.isfinite(here["x"]))
        return {name: (here[name] if name in here else self._fixed[name])[rows] for name in OBJECT_COLUMNS}


def _leaders(
    here: dict[str, Floats], fixed: dict[str, Floats], speed: Floats, there: Array, ego: Ego
) -> tuple[Floats, Floats]:
    """For everybody: the gap to whoever is in front (inf for nobody), and how fast it closes. The ego counts."""
    centre = ego.vehicle.centre_x
    x = np.append(here["x"], ego.pose[0] + centre * np.cos(ego.pose[2]))
    y = np.append(here["y"], ego.pose[1] + centre * np.sin(ego.pose[2]))
    half = np.append(np.nan_to_num(fixed["length"], nan=4.0), ego.vehicle.length) / 2
    wide = np.append(np.nan_to_num(fixed["width"], nan=1.8), ego.vehicle.width) / 2
    pace, yaw = np.append(speed, ego.speed), np.append(here["yaw"], ego.pose[2])
    cos, sin = np.cos(here["yaw"])[:, None], np.sin(here["yaw"])[:, None]
    dx, dy = x[None] - here["x"][:, None], y[None] - here["y"][:, None]  # (N, N + 1)
    ahead, left = cos * dx + sin * dy, cos * dy - sin * dx
    gap = ahead - half[None] - half[:-1, None]
    with np.errstate(invalid="ignore"):
        same = np.cos(yaw[None] - here["yaw"][:, None]) > 0.3
        meets = (
            (ahead > 0.5) & (np.abs(left) < (wide[None] + wide[:-1, None]) * 0.9) & same & (gap < 60) & there[:, None]
        )
    gap = np.where(meets, gap, np.inf)
    nearest = np.argmin(gap, axis=1)
    rows = np.arange(len(nearest))
    return gap[rows, nearest], speed - np.nan_to_num(pace[nearest])


def _turning(yaw: Floats) -> Floats:
    """Headings (n,) without jumps of a turn; an unknown one lies between its neighbours, and is 0 where none is known,
    as where plans are judged: whoever is there can be hit."""
    known = np.flatnonzero(np.isfinite(yaw))
    if not len(known):
        return np.zeros(len(yaw))
    return np.interp(np.arange(len(yaw)), known, np.unwrap(yaw[known]))
