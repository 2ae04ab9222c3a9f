"""Everybody else: who drives, rides, walks and parks in a town, from a seed; and SUMO, which moves them.

The population is closed: everybody has a way long enough for the whole drive, so nobody appears or vanishes in sight.
SUMO's positions (of the front bumper, angles clockwise from north) become centres and headings here and nowhere else.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from understudy.errors import UnknownName
from understudy.geometry import arc_length, wrap
from understudy.records import Array, Floats, Ints, Kind, Vehicle
from understudy.worlds.net import Town, edge_of
from understudy.worlds.scene import Shape
from understudy.worlds.sumo import Sumo, name, tracks

EGO = 0  # the ego's track in SUMO; others count from 1
PEOPLE, PARKED, ACTORS = 1_000_000, 2_000_000, 3_000_000  # where the tracks of each sort begin
REACH = 110.0  # m around the ego that is reported
PARKED_REACH = 70.0
_ALONE_S = 2.0  # in junctions it loses the ego for shorter

# Vehicles for a kilometre of lane, people for a kilometre of pavement, share of parking places taken.
LEVELS: dict[str, tuple[float, float, float]] = {
    "empty": (0.0, 0.0, 0.3),
    "light": (4.0, 3.0, 0.4),
    "everyday": (8.0, 7.0, 0.5),
    "dense": (14.0, 12.0, 0.7),
}
_MOST = 130  # vehicles: beyond, SUMO's step costs more than the drive is worth


class Body(NamedTuple):
    """A sort of road user: its kind, looks, size, share of the traffic, and how SUMO lets it drive."""

    kind: Kind
    shape: Shape
    length: float
    width: float
    height: float
    share: float
    sumo: str


BODIES: dict[str, Body] = {
    "small": Body(Kind.CAR, Shape.CAR, 4.1, 1.75, 1.5, 0.24, 'vClass="passenger" accel="2.4" decel="3.8"'),
    "saloon": Body(Kind.CAR, Shape.CAR, 4.7, 1.85, 1.45, 0.30, 'vClass="passenger" accel="2.6" decel="4.0"'),
    "estate": Body(Kind.CAR, Shape.VAN, 5.0, 1.95, 1.8, 0.14, 'vClass="passenger" accel="2.2" decel="3.8"'),
    "van": Body(Kind.CAR, Shape.VAN, 5.6, 2.0, 2.4, 0.08, 'vClass="passenger" accel="1.9" decel="3.6"'),
    "lorry": Body(Kind.TRUCK, Shape.TRUCK, 8.5, 2.45, 3.4, 0.07,
                  'vClass="truck" accel="1.1" decel="3.0" maxSpeed="24"'),
    "bus": Body(Kind.BUS, Shape.BUS, 12.0, 2.55, 3.1, 0.04, 'vClass="bus" accel="1.1" decel="3.0" maxSpeed="22"'),
    "motorcycle": Body(Kind.MOTORCYCLE, Shape.MOTORCYCLE, 2.2, 0.85, 1.6, 0.03,
                       'vClass="motorcycle" accel="3.2" decel="4.5"'),
    "bicycle": Body(Kind.BICYCLE, Shape.BICYCLE, 1.8, 0.65, 1.75, 0.10,
                    'vClass="bicycle" accel="1.0" decel="2.5" maxSpeed="6.2"'),
    "pedestrian": Body(Kind.PEDESTRIAN, Shape.PEDESTRIAN, 0.4, 0.55, 1.75, 0.0, 'vClass="pedestrian"'),
    "child": Body(Kind.PEDESTRIAN, Shape.PEDESTRIAN, 0.35, 0.45, 1.2, 0.0, 'vClass="pedestrian"'),
    "emergency": Body(Kind.EMERGENCY, Shape.EMERGENCY, 5.6, 2.1, 2.5, 0.0,
                      'vClass="emergency" accel="3.0" decel="4.5"'),
    "cone": Body(Kind.CONE, Shape.CONE, 0.4, 0.4, 0.75, 0.0, ""),
    "barrier": Body(Kind.BARRIER, Shape.BARRIER, 0.3, 1.6, 1.0, 0.0, ""),
    "debris": Body(Kind.DEBRIS, Shape.DEBRIS, 0.9, 0.7, 0.45, 0.0, ""),
}  # fmt: skip
_NAMES = list(BODIES)
_PAINTS = np.array([(0.78, 0.78, 0.80), (0.12, 0.12, 0.14), (0.45, 0.46, 0.48), (0.62, 0.10, 0.10), (0.12, 0.20, 0.48),
                    (0.20, 0.34, 0.22), (0.90, 0.89, 0.86), (0.55, 0.42, 0.22), (0.80, 0.55, 0.10)])  # fmt: skip


class Crowd(NamedTuple):
    """Road users at one instant, each column (N,): `body` indexes BODIES, `signals` are SUMO's bits."""

    track: Ints
    body: Ints
    x: Floats
    y: Floats
    yaw: Floats
    speed: Floats
    signals: Ints

    @classmethod
    def of(cls, track: int, body: str, pose: Sequence[float], speed: float = 0.0, signals: int = 0) -> Crowd:
        """One road user."""
        places = (np.array([value], float) for value in (*pose[:3], speed))
        return cls(np.array([track]), np.array([_NAMES.index(body)]), *places, np.array([signals]))  # type: ignore[call-arg]

    @classmethod
    def joined(cls, parts: Sequence[Crowd]) -> Crowd:
        return cls._make(np.concatenate(columns) for columns in zip(*parts, strict=True))

    def take(self, rows: Array) -> Crowd:
        return Crowd._make(column[rows] for column in self)

    @property
    def length(self) -> Floats:
        return np.asarray(_SIZE[self.body, 0])

    @property
    def width(self) -> Floats:
        return np.asarray(_SIZE[self.body, 1])

    @property
    def height(self) -> Floats:
        return np.asarray(_SIZE[self.body, 2])

    @property
    def kind(self) -> Array:
        return _KIND[self.body]

    @property
    def shape(self) -> Array:
        return _SHAPE[self.body]

    @property
    def paint(self) -> Floats:
        """sRGB (N, 3): the same for the same track."""
        own = _PAINTS[(self.track * 2654435761 % 4294967296 >> 7) % len(_PAINTS)]
        fixed = _PAINT[self.body]
        return np.where(np.isnan(fixed), own, fixed)


_SIZE = np.array([body[2:5] for body in BODIES.values()])
_KIND = np.array([body.kind for body in BODIES.values()], np.int8)
_SHAPE = np.array([body.shape for body in BODIES.values()], np.uint8)
_PAINT = np.full((len(BODIES), 3), np.nan)
for _name, _rgb in {"bus": (0.85, 0.65, 0.12), "cone": (0.95, 0.40, 0.08), "barrier": (0.90, 0.30, 0.20),
                    "debris": (0.30, 0.25, 0.20), "emergency": (0.92, 0.90, 0.88)}.items():  # fmt: skip
    _PAINT[_NAMES.index(_name)] = _rgb


@dataclass(frozen=True, slots=True)
class Demand:
    """Who is there: SUMO's file of routes, the ego's edges, the body of each track, and the parked cars."""

    xml: str
    ego: tuple[str, ...]
    body: Mapping[int, int]  # track to index in BODIES
    parked: Crowd


def demand(
    town: Town, level: str, rng: np.random.Generator, ego: Sequence[str], seconds: float, depart_s: float, speed: float
) -> Demand:
    """The population of a town at a level of traffic, and the ego on its edges, entering at `depart_s`."""
    if level not in LEVELS:
        raise UnknownName("level of traffic", level, LEVELS)
    vehicles, people, parking = LEVELS[level]
    kilometres = sum(arc_length(town.lane[lane].centre)[-1] for lane in town.streets) / 1000
    count = min(int(vehicles * kilometres), _MOST)
    town_like = bool(town.walks)
    driving = [n for n, body in BODIES.items() if body.share and (town_like or n != "bicycle")]
    share = np.array([BODIES[n].share for n in driving])
    body: dict[int, int] = {EGO: _NAMES.index("saloon")}
    after = edges_after(town)
    starts = sorted(after)
    rows = [_types()]
    for track, sort in enumerate(rng.choice(driving, count, p=share / share.sum()), start=1):
        body[track] = _NAMES.index(sort)
        way = _wander(rng, after, starts[rng.integers(len(starts))], seconds * 16.0, town)
        stops = "".join(_bus_stops(rng, way, town)) if sort == "bus" else ""
        rows.append(
            f'<vehicle id="{name(track)}" type="{sort}" depart="0" departLane="random" departPos="random_free" '
            f'departSpeed="{"0" if sort == "bicycle" else "5"}"><route edges="{" ".join(way)}"/>{stops}</vehicle>'
        )
    kilometres = sum(arc_length(town.lane[lane].centre)[-1] for lane in town.streets if town_like) / 1000
    walkers = min(int(people * kilometres), 120)
    for track in range(PEOPLE, PEOPLE + walkers):
        sort = "child" if rng.random() < 0.12 else "pedestrian"
        body[track] = _NAMES.index(sort)
        walks = rng.choice(town.walks, 5)
        legs = "".join(f'<walk from="{a}" to="{b}"/>' for a, b in pairwise(walks) if a != b)
        rows.append(
            f'<person id="{name(track)}" type="{sort}" depart="0" departPos="{rng.uniform(3, 40):.1f}">{legs}</person>'
        )
    # SUMO reads in the order of departure, and the ego comes last.
    entry = f'departLane="{ego[0].rpartition("_")[2]}" departPos="9" departSpeed="{speed:.2f}" arrivalPos="max"'
    edges = _edges(ego)
    rows.append(
        f'<vehicle id="{name(EGO)}" type="ego" depart="{depart_s:.1f}" {entry}>'
        f'<route edges="{" ".join(_leg(edges, 0))}"/></vehicle>'
    )
    return Demand(f"<routes>{chr(10).join(rows)}</routes>", edges, body, _parked(town, rng, parking))


def edges_after(town: Town) -> dict[str, list[str]]:
    """The edges that a car can go on to from each edge, without running into a dead end."""
    after: dict[str, list[str]] = {}
    for lane in town.streets:
        for end in town.onward[lane]:
            while town.lane[end].junction:
                end = town.onward[end][0]
            if edge_of(end) not in after.setdefault(edge_of(lane), []):
                after[edge_of(lane)].append(edge_of(end))
    return after


def _wander(
    rng: np.random.Generator, after: Mapping[str, list[str]], start: str, metres: float, town: Town
) -> list[str]:
    """Edges from a start on, any way at each junction, for about `metres`."""
    way, left = [start], metres
    while left > 0 and len(way) < 150:
        onward = after.get(way[-1])
        if not onward:
            break
        way.append(onward[rng.integers(len(onward))])
        left -= 100.0
    return way


def _bus_stops(rng: np.random.Generator, way: Sequence[str], town: Town) -> list[str]:
    streets = {edge_of(lane): lane for lane in reversed(town.streets)}  # the rightmost lane of each edge
    stops = []
    for edge in way[2 :: int(rng.integers(3, 6))]:
        if edge in streets and (length := arc_length(town.lane[streets[edge]].centre)[-1]) > 80:
            stops.append(f'<stop lane="{streets[edge]}" endPos="{length * 0.6:.1f}" duration="{rng.integers(6, 14)}"/>')
    return stops[:12]


def _edges(lanes: Sequence[str]) -> tuple[str, ...]:
    """The edges outside junctions that lanes lie on, in their order."""
    edges = [edge_of(lane) for lane in lanes if not lane.startswith(":")]
    return tuple(edge for i, edge in enumerate(edges) if i == 0 or edges[i - 1] != edge)


def _leg(edges: Sequence[str], first: int) -> Sequence[str]:
    """The edges from the first on, up to where one of them comes again.

    On an edge that a route visits twice, SUMO takes a vehicle that was moved there to be on its later visit: it then
    looks out for the lights and the right of way of another turn, or of none if the route ends there.
    """
    end = first + 1
    while end < len(edges) and edges[end] not in edges[first:end]:
        end += 1
    return edges[first:end]


def _types() -> str:
    """SUMO's vehicle types: the bodies, and the ego's."""
    rows = []
    for sort, body in BODIES.items():
        size = f'length="{body.length}" width="{body.width}" height="{body.height}"'
        if body.kind is Kind.PEDESTRIAN:
            rows.append(f'<vType id="{sort}" {body.sumo} {size} speedFactor="normc(1,0.15,0.6,1.4)"/>')
        elif body.sumo:
            rows.append(
                f'<vType id="{sort}" {body.sumo} {size} speedFactor="normc(1,0.07,0.8,1.15)" '
                'sigma="0.3" minGap="2.5" tau="1.2"/>'
            )
    ego = Vehicle()
    rows.append(
        f'<vType id="ego" vClass="passenger" length="{ego.length}" width="{ego.width}" accel="1.7" '
        'decel="2.6" emergencyDecel="8" apparentDecel="7" '
        'speedFactor="1.6" speedDev="0" sigma="0" tau="1.5" minGap="3.0" carFollowModel="IDM" jmTimegapMinor="2.5"/>'
    )
    return "".join(rows)


def _parked(town: Town, rng: np.random.Generator, share: float) -> Crowd:
    chosen = np.flatnonzero(rng.random(len(town.parking)) < share)
    sorts = rng.choice(
        [_NAMES.index(sort) for sort in ("small", "saloon", "estate", "van")], len(chosen), p=[0.4, 0.4, 0.12, 0.08]
    )
    pose = town.parking[chosen]
    still, off = np.zeros(len(chosen)), np.zeros(len(chosen), np.int64)
    return Crowd(PARKED + chosen, sorts, pose[:, 0], pose[:, 1], pose[:, 2], still, off)


class Traffic:
    """A SUMO with a population in it, and the ego among them."""

    STEP_S = 0.1

    def __init__(self, town: Town, population: Demand, seed: int, speed: float = 0.0) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="understudy-")
        routes = Path(self._folder.name) / "town.rou.xml"
        routes.write_text(population.xml)
        self._body = dict(population.body)
        self._parked = population.parked
        self._edges, self._at = population.ego, 0  # the ego's, and which of them it is on
        self._told = len(_leg(self._edges, 0))  # how many of them SUMO knows
        self._astray = False
        self._ego = Vehicle()
        self._front = self._ego.front
        self.wish, self._believed = 0.0, speed  # the acceleration that SUMO wishes for the ego, m/s²
        self._lost_s = 0.0  # for how long by now
        self.lost = 0  # steps at which SUMO did not know which lane the ego is in
        try:
            self.sumo = Sumo(town.net, routes, seed)
        except BaseException:
            self._folder.cleanup()
            raise

    def close(self) -> None:
        self.sumo.close()
        self._folder.cleanup()

    def enter(self, depart_s: float, patience_s: float = 120.0) -> None:
        """Let the town come to life until the ego has found room to enter it."""
        self.sumo.step(depart_s)
        while not self.sumo.exists(name(EGO)):
            self.sumo.step()
            if self.sumo.time_s > depart_s + patience_s:
                raise TimeoutError
        self.sumo.set_lane_change_mode(name(EGO), 0)
        self.sumo.watch(name(EGO), REACH)

    def transform(self, track: int, sort: str) -> None:
        """Let a vehicle far away be of another sort from now on."""
        self._body[track] = _NAMES.index(sort)

    def place(self, pose: Floats, lane: str, astray: bool) -> None:
        """Tell SUMO where the ego's rear axle is, which lane its front bumper is in, and whether it has left it."""
        self._astray = astray
        x, y = pose[0] + self._front * np.cos(pose[2]), pose[1] + self._front * np.sin(pose[2])
        edge, _, index = lane.rpartition("_")
        self.sumo.move(name(EGO), edge, int(index), float(x), float(y), float(np.degrees(np.pi / 2 - pose[2])), astray)

    def step(self) -> Crowd:
        """Simulate one step; everybody near the ego, without it, sorted by track."""
        told = self.sumo.step()
        self._guide(told.lane)
        self.lost += not told.lane
        self._lost_s = 0.0 if told.lane else self._lost_s + self.STEP_S
        vehicles, persons = tracks(told.vehicles), tracks(told.persons)
        others = vehicles != EGO
        # SUMO measures the ego's speed by how far it came along its lane, which in a junction is not how far it drove;
        # so what counts is by how much the wish differs from the speed that SUMO believed in when it wished.
        unknown = np.inf if self.alone else 0.0
        self.wish = (told.wish - self._believed) / self.STEP_S if told.lane else unknown
        self._believed = float(told.vehicles["speed"][~others].sum())
        track = np.concatenate([vehicles[others], persons])
        body = np.array([self._body[t] for t in track.tolist()], np.int64)
        rows = (told.vehicles[others], told.persons)
        x, y, angle, speed = (
            np.concatenate([part[c].astype(float) for part in rows]) for c in ("x", "y", "angle", "speed")
        )
        yaw = wrap(np.pi / 2 - np.radians(angle))
        back = np.where(track < PEOPLE, _SIZE[body, 0] / 2, 0.0)  # from the front bumper to the centre
        signals = np.concatenate([told.vehicles["signals"][others].astype(np.int64), np.zeros(len(persons), np.int64)])
        moving = Crowd(track, body, x - back * np.cos(yaw), y - back * np.sin(yaw), yaw, speed, signals)
        return moving.take(np.argsort(track, kind="stable"))

    def _guide(self, lane: str) -> None:
        """Tell SUMO the next leg of the ego's way, when it has come onto an edge from which more is known.

        For a vehicle that has gone astray SUMO makes up a route of its own, at whose end it would vanish.
        """
        if self._astray:
            self._told = 0
            return
        edge = edge_of(lane)
        if (edge == self._edges[self._at] and self._told) or edge not in self._edges[self._at :]:
            return  # nothing new, or in a junction
        self._at = self._edges.index(edge, self._at)
        leg = _leg(self._edges, self._at)
        if self._at + len(leg) > self._told:
            self._told = self._at + len(leg)
            self.sumo.set_route(name(EGO), leg)

    @property
    def alone(self) -> bool:
        """Whether SUMO has lost the ego for good, as it does on a lane now and then, and wishes nothing any more."""
        return self._lost_s > _ALONE_S

    @property
    def all_parked(self) -> Crowd:
        """Every parked car of the town."""
        return self._parked

    def parked(self, x: float, y: float) -> Crowd:
        """The parked cars near a place."""
        near = np.hypot(self._parked.x - x, self._parked.y - y) < PARKED_REACH
        return self._parked.take(near)
