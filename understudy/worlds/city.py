"""The city as a world: reset it to a scenario, hand it plans, and it answers with what the car sees next.

One instant is a tick of 0.1 s; a plan is followed for two of them. The others are SUMO's, the rare events are
`events/`'s, the ego is a bicycle with slow actuators, and what is told to a policy are detections, not the truth.
The same instants make the drive that is recorded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from types import TracebackType
from typing import Any, ClassVar, Self

import numpy as np

from understudy.errors import UnderstudyError
from understudy.geometry import overlap
from understudy.metrics.contacts import EGO_STANDS
from understudy.observe import Observer
from understudy.records import (
    NS,
    Array,
    Camera,
    Drive,
    Driver,
    Event,
    Floats,
    Lights,
    Objects,
    Observation,
    Plan,
    Rig,
    Truth,
)
from understudy.worlds import towns
from understudy.worlds.cameras import Cameras
from understudy.worlds.detect import Walls, detect_lights, detect_objects
from understudy.worlds.ego import MAX_WHEEL, PLAN_EVERY, TICK_S, Ego, Follower
from understudy.worlds.events import Events
from understudy.worlds.expert import Expert
from understudy.worlds.net import Town
from understudy.worlds.scenario import Scenario
from understudy.worlds.scene import Shape, weather
from understudy.worlds.traffic import Crowd, Traffic, demand
from understudy.worlds.way import Way, way

HERTZ = 1 / TICK_S  # instants in a second
DEPART_S = 20.0  # the town comes to life before the ego enters it
_STUCK_S = 150.0
_LOST_M = 25.0
_BUMP = 4.0  # m/s: whoever drives into the ego's rear faster ends the scenario
_CREEPS = 0.5  # m/s: whoever is slower may have been driven into
_ASTRAY_M = 1.5  # to the side of its lane's centre: most of the car is in another


def looks_hz(history_s: Sequence[float]) -> float:
    """How often pictures must be taken so that there is one at every instant that a plan looks back at."""
    ticks = np.array(history_s) / TICK_S
    whole = np.allclose(ticks, ticks.round())
    return HERTZ / (math.gcd(PLAN_EVERY, *ticks.round().astype(int).tolist()) if whole else 1)


class City:
    """One world. It holds a SUMO while a scenario runs: close it, or use it as a context."""

    PLAN_S: ClassVar[float] = PLAN_EVERY * TICK_S

    def __init__(
        self,
        needs: Sequence[str] = ("route", "objects", "lights"),
        history_s: Sequence[float] = (0.0,),
        rig: Rig | None = None,
        pictures_hz: float = HERTZ,
    ) -> None:
        """`needs` and `history_s` are those of the policy that will drive; with a `rig` there are pictures."""
        self._needs, self._history = tuple(needs), tuple(history_s)
        self._every = max(round(HERTZ / pictures_hz), 1)  # instants from picture to picture
        self._rig = rig
        self._traffic: Traffic | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the scenario that runs, and its SUMO."""
        if self._traffic is not None:
            self._traffic.close()
            self._traffic = None

    # The world protocol -----------------------------------------------------------------------------------------------

    def reset(self, scenario: Scenario) -> Observation:
        """Begin a scenario, and say what is seen at its first instant."""
        self.begin(scenario)
        return self.observe()

    def step(self, plan: Plan) -> Observation:
        """Follow a plan of one (B = 1) for 0.2 s, and say what is seen then."""
        self.advance(plan)
        return self.observe()

    @property
    def expert(self) -> Expert:
        """The driver that the world has of its own."""
        return self._expert

    # What it does -----------------------------------------------------------------------------------------------------

    def begin(self, scenario: Scenario) -> None:
        """`reset` without the observation."""
        self.close()
        self.scenario, self.seed = scenario, scenario.number_for("world")
        self.town: Town = towns.town(scenario.town)
        self.way: Way = way(self.town, scenario)
        self.ended = ""
        self.bumped = 0  # times that somebody drove into the ego while it stood, or slowly into its rear
        self._touched_at: float | None = None  # along the way, where a bump began that is not over yet
        self.who = Driver.HUMAN
        self.pushed = False
        self._push, self._push_until_s = 0.0, 0.0
        self._visibility = weather(scenario.weather).visibility
        self._patience_s = 60.0 + scenario.metres / 2.0
        limit = self.way.limit_at(0.0)
        speed = 0.75 * limit if limit > 15 else 0.0  # nobody stands still on a motorway
        population = demand(
            self.town,
            scenario.traffic,
            scenario.rng("traffic"),
            self.way.lanes,
            self._patience_s + DEPART_S,
            DEPART_S,
            speed,
        )
        self._traffic = Traffic(self.town, population, self.seed, speed)
        try:
            self._traffic.enter(DEPART_S)
        except TimeoutError as error:
            raise UnderstudyError(f"{scenario}: no room to enter the road within two minutes") from error
        self._entered_s = self._traffic.sumo.time_s
        self.ego = Ego(self.way.at(self.way.s), speed)
        self.beside = 0.0
        self.events = Events(self)
        self._expert = Expert(self)
        self._rows: list[tuple[float, ...]] = []
        self._crowds: list[Crowd] = []
        self._pixels: list[Floats] = []  # of the cameras that show each of the crowd
        self._moved_at, self._furthest = 0.0, self.way.s
        looked_at = self._looks_back if "pictures" in self._needs else 0
        self._cameras = Cameras(self._rig, self, looked_at) if self._rig is not None else None
        self.t_s = 0.0
        self._tick()

    def advance(self, plan: Plan) -> None:
        """`step` without the observation."""
        if self.ended:
            raise UnderstudyError(f"{self.scenario} has ended ({self.ended}): reset the world")
        follower = Follower(self.ego.pose, self.ego.speed, plan.likeliest[0])
        for tick in range(PLAN_EVERY):
            if not self.ended:
                accel, wheel = follower.control(self.ego, tick * TICK_S)
                self.pushed = self.t_s < self._push_until_s
                self.ego.drive(accel, wheel + self._push * self.pushed)
                self.t_s = round(self.t_s + TICK_S, 6)
                self._tick()

    def push(self, wheel: float, seconds: float) -> None:
        """Turn the wheels aside (rad, left positive) for a while: to see, and to learn, how a driver recovers."""
        self._push, self._push_until_s = wheel, self.t_s + seconds

    def relive(self, drive: Drive, seconds: float) -> None:
        """Go on from the beginning as a recorded drive of this scenario did: the ego is put where it was at each tick,
        the others answer as they did then, and the expert thinks along as it does beside every driver."""
        columns = {name: drive[name].tolist() for name in ("speed", "accel", "yaw_rate", "road_wheel_angle", "pushed")}
        poses = drive.poses
        for row in range(1, round(seconds / TICK_S) + 1):
            if row % PLAN_EVERY == 1:
                self._expert.plan()
            ego = self.ego
            ego.pose, ego.speed, ego.accel = poses[row], columns["speed"][row], columns["accel"][row]
            ego.yaw_rate, ego.wheel = columns["yaw_rate"][row], columns["road_wheel_angle"][row]
            self.who, self.pushed = Driver(drive["who_drives"][row]), columns["pushed"][row]
            self.t_s = round(row * TICK_S, 6)
            self._tick()

    def _tick(self) -> None:
        """Everybody else takes the same tick, and the instant is kept."""
        traffic, ego = self.traffic, self.ego
        self.beside = self.way.follow(ego.pose[0], ego.pose[1])
        front = self.way.s + ego.vehicle.front
        traffic.place(ego.pose, self.way.lane_at(front), astray=abs(self.beside) > _ASTRAY_M)
        self.events.before()
        moving = traffic.step()
        parked = traffic.parked(ego.pose[0], ego.pose[1])
        # Scripts look at the crowd without their own actors, and see it as it is now.
        self.crowd = Crowd.joined([moving, parked])
        self.crowd = Crowd.joined([self.crowd, self.events.after()])
        self._keep()
        self._judge()

    def _keep(self) -> None:
        ego, way_ = self.ego, self.way
        wheel = ego.wheel / MAX_WHEEL
        self._rows.append((
            self.t_s, *ego.pose, ego.speed, ego.accel, ego.yaw_rate, wheel, ego.wheel, max(ego.accel, 0.0) / 3.0,
            max(-ego.accel, 0.0) / 8.0, float(self.who), float(self.pushed), way_.command_at(way_.s),
            way_.limit_at(way_.s), self.beside,
        ))  # fmt: skip
        self._crowds.append(self.crowd)
        if self._cameras is not None:
            due = (len(self._rows) - 1) % self._every == 0
            self._pixels.append(self._cameras.shoot(self) if due else np.full(len(self.crowd.x), np.nan))

    def _judge(self) -> None:
        """Whether the scenario ends here, and how."""
        ego, crowd = self.ego, self.crowd
        if self.way.s > self._furthest + 0.5:
            self._furthest, self._moved_at = self.way.s, self.t_s
        x, y = (
            ego.pose[0] + ego.vehicle.centre_x * np.cos(ego.pose[2]),
            ego.pose[1] + ego.vehicle.centre_x * np.sin(ego.pose[2]),
        )
        near = np.flatnonzero(np.abs(crowd.x - x) + np.abs(crowd.y - y) < 14.0)
        if len(near):
            other = np.stack([crowd.x[near], crowd.y[near], crowd.yaw[near]], -1)
            pose = np.broadcast_to(np.array([x, y, ego.pose[2]]), other.shape)
            sizes = (np.full(len(near), ego.vehicle.length), np.full(len(near), ego.vehicle.width))
            touching = near[overlap(pose, *sizes, other, crowd.length[near], crowd.width[near])]
            if len(touching):
                # Who drives into a car that stands, or slowly into its rear, ends nothing: it was not the ego's doing,
                # and it happens to SUMO's vehicles in junctions, whose bodies are wider than the paths that SUMO keeps
                # apart. It is one bump for as long as the bodies touch; but nobody drives on through a body.
                if self._touched_at is None and self._bumped_by(touching):
                    self.bumped, self._touched_at = self.bumped + 1, self.way.s
                elif self._touched_at is None or self._goes_through(touching):
                    self.ended = "collision"
                    return
            else:
                self._touched_at = None
        if self.way.s >= self.way.goal:
            self.ended = "arrived"
        elif abs(self.beside) > _LOST_M:
            self.ended = "lost"
        elif self.t_s - self._moved_at > _STUCK_S:
            self.ended = "stuck"
        elif self.t_s > self._patience_s:
            self.ended = "timeout"

    def _bumped_by(self, others: Array) -> bool:
        """Whether all these rows of the crowd drove into the ego, which stood, or into its rear with little force."""
        speed, own = self.crowd.speed[others], self.ego.speed
        crept = own < _CREEPS and bool(np.all(speed > own))  # the others were faster
        return own < EGO_STANDS or crept or bool(np.all(self._behind(others) & (np.abs(speed - own) < _BUMP)))

    def _goes_through(self, others: Array) -> bool:
        """Whether the ego has driven on by its own length while it touches something that is not behind it."""
        assert self._touched_at is not None
        return self.way.s - self._touched_at > self.ego.vehicle.length and not bool(self._behind(others).all())

    def _behind(self, others: Array) -> Array:
        ego, crowd = self.ego, self.crowd
        ahead = np.cos(ego.pose[2]) * (crowd.x[others] - ego.pose[0])
        ahead += np.sin(ego.pose[2]) * (crowd.y[others] - ego.pose[1])
        behind: Array = ahead < -ego.vehicle.rear_overhang
        return behind

    @property
    def traffic(self) -> Traffic:
        if self._traffic is None:
            raise UnderstudyError("the world has no scenario: reset it first")
        return self._traffic

    @property
    def sumo_s(self) -> float:
        """SUMO's time, which the lights follow."""
        return self._entered_s + self.t_s

    @property
    def lights(self) -> Array:
        """The true state (L,) of every light now."""
        now: Array = self.events.darkened(self.town.lights_at(np.array([self.sumo_s])), np.array([self.t_s]))[0]
        return now

    @property
    def completion(self) -> float:
        """The share of the route that has been driven."""
        start = self.way.goal - self.scenario.metres
        return float(np.clip((self._furthest - start) / self.scenario.metres, 0, 1))

    # What is seen and recorded ----------------------------------------------------------------------------------------

    def observe(self) -> Observation:
        """What the policy is told now: made from the last instants by the code that makes it from logs."""
        recent = self._drive(max(len(self._rows) - self._looks_back, 0), only_last=True)
        needs = tuple(need for need in self._needs if need not in ("lights", "map"))
        return Observer(recent, self.way.window()).observe(np.array([len(recent) - 1]), needs, self._history)

    @property
    def _looks_back(self) -> int:
        """Ticks that the policy is told of, the present one among them."""
        return round(max([*self._history, 0.0]) / TICK_S) + 1

    def drive(self) -> Drive:
        """All that has been driven so far, with detections as objects and lights, and the truth beside them."""
        return self._drive(0, only_last=False)

    def _drive(self, first: int, only_last: bool) -> Drive:
        rows = np.array(self._rows[first:]).T
        names = ("x", "y", "yaw", "speed", "accel", "yaw_rate", "steer", "road_wheel_angle", "throttle", "brake",
                 "who_drives", "pushed", "command", "speed_limit", "lane_offset")  # fmt: skip
        t_s, columns = rows[0], dict(zip(names, rows[1:], strict=True))
        # `Drive` gives the columns their types; flags and enumerations are whole numbers here.
        t_ns = np.round(t_s * NS).astype(np.int64)
        poses = rows[1:4].T
        crowds = self._crowds[first:]
        starts, truth = _rows_of(crowds if not only_last else [*([_NOBODY] * (len(crowds) - 1)), crowds[-1]])
        seen_starts, seen = detect_objects(self.seed, t_s, poses, starts, truth, self._walls, self._visibility)
        state = self.town.lights_at(self._entered_s + t_s)
        state = self.events.darkened(state, t_s)
        signals = self.town.signals
        heads = np.array([signal.head for signal in signals]).reshape(-1, 3)
        lanes = tuple(signal.lane for signal in signals)
        seen_state = detect_lights(self.seed, t_s, poses, heads, self.facing, state, self._visibility)
        identifier = str(self.scenario).removeprefix("scenario:")
        recorded: dict[str, Any] = {}
        if not only_last:
            shown = {"visible_pixels": np.concatenate(self._pixels[first:])} if self._pixels else {}
            recorded = {
                "places": (self.town.id,),
                "facts": self._facts(),
                "truth": Truth(
                    Objects(starts, truth | shown),
                    Lights(lanes, heads, state),
                    self._happened(identifier),
                ),
            }
            columns["place"] = np.zeros(len(t_s))
        return Drive(
            id=identifier, t_ns=t_ns, columns=columns, vehicle=self.ego.vehicle, cameras=self._taken(),
            objects=Objects(seen_starts, seen), lights=Lights(lanes, heads, seen_state), map=self.town.map,
            frame="", route=self.way.lanes, **recorded,
        )  # fmt: skip

    def _taken(self) -> tuple[Camera, ...]:
        return self._cameras.taken() if self._cameras is not None else ()

    def _happened(self, identifier: str) -> tuple[Event, ...]:
        return tuple(replace(event, drive=identifier) for event in self.events.happened())

    def _facts(self) -> dict[str, Any]:
        return {
            "scenario": str(self.scenario),
            "town": self.town.id,
            "side": self.town.side,
            "weather": self.scenario.weather,
            "ended": self.ended,
            "completion": round(self.completion, 4),
            "bumped": self.bumped,
        }

    @property
    def _walls(self) -> Walls:
        return _walls(self.town)

    @property
    def facing(self) -> Floats:
        """The heading (L,) of the traffic that each light is for."""
        return _facing(self.town)


_NOBODY = Crowd(*(np.zeros(0, float if 2 <= i < 6 else np.int64) for i in range(7)))


def _rows_of(crowds: Sequence[Crowd]) -> tuple[Any, dict[str, Any]]:
    """Crowds as rows of objects: starts (T + 1,) and columns."""
    everyone = Crowd.joined(crowds)
    starts = np.concatenate([[0], np.cumsum([len(crowd.x) for crowd in crowds])]).astype(np.int64)
    return starts, {
        "track": everyone.track, "kind": everyone.kind, "x": everyone.x, "y": everyone.y, "yaw": everyone.yaw,
        "length": everyone.length, "width": everyone.width, "height": everyone.height,
        "vx": everyone.speed * np.cos(everyone.yaw), "vy": everyone.speed * np.sin(everyone.yaw),
        "brake_light": ((everyone.signals & 8) > 0).astype(float),
    }  # fmt: skip


@lru_cache(maxsize=32)
def _walls(town: Town) -> Walls:
    """The buildings, as what hides."""
    tall = town.fixed[np.isin(town.fixed["shape"], (Shape.BUILDING, Shape.HOUSE))]
    return Walls(*(np.ascontiguousarray(tall[c]) for c in ("x", "y", "yaw", "length", "width")))


@lru_cache(maxsize=32)
def _facing(town: Town) -> Floats:
    """The heading (L,) of the traffic that each signal is for."""
    ends = [town.lane[signal.lane].centre[-2:] for signal in town.signals]
    return np.array([np.arctan2(line[1, 1] - line[0, 1], line[1, 0] - line[0, 0]) for line in ends])
