"""A SUMO net read back: lanes, areas, lights, and what stands beside the road.

SUMO speaks of edges, lanes, junctions and connections; here they become lanes, areas and successors of `records.Map`.
A lane inside a junction is a lane like any other (`junction=True`), so a route is a chain of successors.
"""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from understudy.errors import DataError
from understudy.geometry import arc_length, frenet, resample
from understudy.maps import Roads
from understudy.records import Array, Floats, Ints, Lane, Light, Map, Marking
from understudy.worlds.furnish import furnish
from understudy.worlds.ground import rasterise

_COLOUR = {"r": Light.RED, "s": Light.RED, "u": Light.RED, "y": Light.YELLOW, "Y": Light.YELLOW, "g": Light.GREEN,
           "G": Light.GREEN, "o": Light.OFF, "O": Light.OFF}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Program:
    """The fixed programme of one junction's lights: phases in turn, for ever."""

    id: str
    offset_s: float
    ends_s: Floats  # (phases,) when each phase ends within the cycle
    state: Array  # (phases, links) Light

    def at(self, t_s: Floats) -> Array:
        """State (..., links) of every link at times since the start of the simulation."""
        within = np.mod(np.asarray(t_s) - self.offset_s, self.ends_s[-1])
        return np.asarray(self.state[np.searchsorted(self.ends_s, within, side="right")])


@dataclass(frozen=True, slots=True)
class Signal:
    """A light above one lane: which link of which programme it shows."""

    lane: str
    program: str
    link: int
    head: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Town:
    """All that a town is, and stays, whoever drives in it."""

    id: str
    side: str
    net: Path
    map: Map
    programs: Mapping[str, Program]
    signals: tuple[Signal, ...]
    parking: Floats  # (n, 3) poses of parking places beside the lanes
    walks: tuple[str, ...]  # edges with a pavement

    @cached_property
    def lane(self) -> Mapping[str, Lane]:
        return {lane.id: lane for lane in self.map.lanes}

    @cached_property
    def onward(self) -> Mapping[str, tuple[str, ...]]:
        """The lanes that a car can go on to from each lane, leaving out all that lead into a dead end."""
        alive = {lane.id for lane in self.map.lanes if lane.kind == "vehicle"}
        while True:
            after = {name: tuple(n for n in self.lane[name].successors if n in alive) for name in alive}
            kept = {name for name in alive if after[name]}
            if kept == alive:
                return {lane.id: after[lane.id] for lane in self.map.lanes if lane.id in alive}
            alive = kept

    @cached_property
    def streets(self) -> tuple[str, ...]:
        """The lanes for cars, outside junctions, from which one can drive on for ever."""
        return tuple(lane for lane in self.onward if not self.lane[lane].junction)

    @cached_property
    def fixed(self) -> Array:
        """Buildings, trees and street lamps (n,) SOLID: the same for cameras and for what hides what."""
        seed = int.from_bytes(hashlib.sha256(f"houses of {self.id}".encode()).digest()[:8])
        return furnish(rasterise(self.map, cell=1.0), seed)

    @cached_property
    def roads(self) -> Roads:
        """The map prepared for questions."""
        return Roads(self.map)

    def lights_at(self, t_s: Floats) -> Array:
        """State (T, L) of `signals` at times since the start of the simulation."""
        if not self.signals:
            return np.zeros((*np.shape(t_s), 0), np.int8)
        return np.concatenate([program.at(t_s) for program in self.programs.values()], axis=-1)[..., self._shown]

    @cached_property
    def _shown(self) -> Ints:
        """Which of all programmes' links, one after the other, each of `signals` shows."""
        links = np.cumsum([0, *(program.state.shape[1] for program in self.programs.values())]).tolist()
        first = dict(zip(self.programs, links[:-1], strict=True))
        return np.array([first[signal.program] + signal.link for signal in self.signals])


def edge_of(lane: str) -> str:
    """The edge that a lane belongs to: its identifier without the index."""
    return lane.rpartition("_")[0]


def read_net(path: Path, name: str, side: str) -> Town:
    """The town whose net lies at `path`."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(
            f"reading the net of town {name}: {error}; remove it from the cache and try again; {path}"
        ) from error
    rows = {row.get("id", ""): (edge, row) for edge in root.iter("edge") for row in edge.iter("lane")}
    shape = {lane: _points(row.get("shape", "")) for lane, (_, row) in rows.items()}
    width = {lane: float(row.get("width", 3.2)) for lane, (_, row) in rows.items()}
    function = {lane: edge.get("function", "") for lane, (edge, _) in rows.items()}
    role = {lane: _role(function[lane], row) for lane, (_, row) in rows.items()}
    links = list(root.iter("connection"))
    lanes = _lanes(rows, shape, width, role, links)
    junctions = [
        _points(j.get("shape", "")) for j in root.iter("junction") if j.get("type") not in ("internal", "dead_end")
    ]
    walking = [shape[lane] for lane in rows if function[lane] == "walkingarea" and len(shape[lane]) > 2]
    crossings = [
        _crossing(row, shape[lane], width[lane]) for lane, (_, row) in rows.items() if function[lane] == "crossing"
    ]
    strips = {lane: _band(shape[lane], width[lane]) for lane in rows if role[lane] == "parking"}
    drivable = [lane.polygon for lane in lanes] + list(strips.values()) + _asphalt(junctions, walking)
    pavements = [_band(shape[lane], width[lane]) for lane in rows if role[lane] == "pavement"] + walking
    programs = {program.id: program for program in map(_program, root.iter("tlLogic"))}
    by_id = {lane.id: lane for lane in lanes}
    everywhere = np.concatenate([*drivable, *pavements])
    low, high = everywhere.min(0) - 60, everywhere.max(0) + 60
    town_map = Map(
        lanes=lanes,
        drivable=tuple(drivable),
        crosswalks=tuple(crossings),
        stop_lines=tuple(_stop_line(lane) for lane in lanes if _stops(lane)),
        markings=tuple(_markings(lanes, rows, strips)),
        extent=np.array([low, (high[0], low[1]), high, (low[0], high[1])]),
    )
    return Town(
        id=name, side=side, net=path, map=town_map, programs=programs, signals=_signals(links, by_id, junctions),
        parking=_parking([shape[lane] for lane in strips]),
        walks=tuple(dict.fromkeys(edge_of(lane) for lane in rows if role[lane] == "pavement")),
    )  # fmt: skip


def _points(text: str) -> Floats:
    return np.array([[float(v) for v in pair.split(",")[:2]] for pair in text.split()])


def _role(function: str, row: ElementTree.Element) -> str:
    """vehicle, bicycle, pavement, parking, or nothing that a map shows."""
    allow, disallow = row.get("allow"), (row.get("disallow") or "").split()
    if function in ("crossing", "walkingarea"):
        return ""
    if "all" in disallow:
        return "" if function else "parking"
    if allow is None:
        return "vehicle" if "passenger" not in disallow else ""
    classes = allow.split()
    for role, needed in (("vehicle", "passenger"), ("bicycle", "bicycle"), ("pavement", "pedestrian")):
        if needed in classes:
            return "bus" if role != "vehicle" and "bus" in classes else role
    return ""


def _shifted(line: Floats, left: float) -> Floats:
    """A line moved to its left, vertex by vertex along the bisectors."""
    step = np.diff(line, axis=0)
    step = step / np.maximum(np.hypot(*step.T), 1e-9)[:, None]
    tangent = np.concatenate([step[:1], step[1:] + step[:-1], step[-1:]])
    tangent /= np.maximum(np.hypot(*tangent.T), 1e-9)[:, None]
    stretch = 1 / np.maximum(np.sum(tangent * np.concatenate([step[:1], step]), axis=1), 0.5)
    return np.asarray(line + left * stretch[:, None] * np.stack([-tangent[:, 1], tangent[:, 0]], -1))


def _band(line: Floats, width: float) -> Floats:
    """The ring of a line widened to `width`."""
    return np.concatenate([_shifted(line, -width / 2), _shifted(line, width / 2)[::-1]])


def _distinct(line: Floats) -> Floats:
    """The line without points that coincide: two per line at least."""
    keep = np.concatenate([[True], np.hypot(*np.diff(line, axis=0).T) > 0.02])
    if keep.sum() < 2:
        return np.stack([line[0], line[-1] + np.array([0.05, 0.0])])
    return np.asarray(line[keep])


def _lanes(rows, shape, width, role, links) -> tuple[Lane, ...]:  # type: ignore[no-untyped-def]
    after: dict[str, list[str]] = {}
    before: dict[str, list[str]] = {}
    for link in links:
        source = f"{link.get('from')}_{link.get('fromLane')}"
        target = link.get("via") or f"{link.get('to')}_{link.get('toLane')}"
        after.setdefault(source, []).append(target)
        before.setdefault(target, []).append(source)
    shown = {lane: kind for lane, kind in role.items() if kind in ("vehicle", "bicycle", "bus")}
    made = []
    for lane, kind in shown.items():
        edge, row = rows[lane]
        index = int(row.get("index", 0))
        beside = {step: f"{edge_of(lane)}_{index + step}" for step in (1, -1)}
        centre = _distinct(shape[lane])
        internal = edge.get("function") == "internal"
        made.append(
            Lane(
                id=lane, centre=centre, polygon=_band(centre, width[lane]),
                left=_shifted(centre, width[lane] / 2), right=_shifted(centre, -width[lane] / 2),
                successors=tuple(dict.fromkeys(n for n in after.get(lane, ()) if n in shown)),
                predecessors=tuple(dict.fromkeys(n for n in before.get(lane, ()) if n in shown)),
                left_lane=None if internal or shown.get(beside[1]) != kind else beside[1],
                right_lane=None if internal or shown.get(beside[-1]) != kind else beside[-1],
                speed_limit=float(row.get("speed", "nan")), junction=internal, kind=kind,
            )
        )  # fmt: skip
    return tuple(made)


def _asphalt(junctions: list[Floats], walking: list[Floats]) -> list[Floats]:
    """The junctions without the corners where people walk, as rings."""
    pavement = shapely.union_all([shapely.Polygon(ring).buffer(0) for ring in walking])
    rings = []
    for ring in junctions:
        if len(ring) < 3:
            continue
        left = shapely.Polygon(ring).buffer(0).difference(pavement)
        parts = [p for p in shapely.get_parts(left) if p.geom_type == "Polygon" and p.area > 1.0]
        rings += [np.array(part.exterior.coords)[:-1] for part in parts]
    return rings


def _crossing(row: ElementTree.Element, line: Floats, width: float) -> Floats:
    return _band(_distinct(line), width)


def _program(logic: ElementTree.Element) -> Program:
    phases = list(logic.iter("phase"))
    state = np.array([[_COLOUR.get(letter, Light.UNKNOWN) for letter in p.get("state", "")] for p in phases], np.int8)
    ends = np.cumsum([float(phase.get("duration", 0)) for phase in phases])
    return Program(logic.get("id", ""), float(logic.get("offset", 0)), ends, state)


def _signals(
    links: list[ElementTree.Element], lanes: Mapping[str, Lane], junctions: list[Floats]
) -> tuple[Signal, ...]:
    """One light per controlled lane: that of its most nearly straight link, hung across the junction."""
    found: dict[str, tuple[int, str, int]] = {}
    for link in links:
        lane = f"{link.get('from')}_{link.get('fromLane')}"
        if link.get("tl") and lane in lanes:
            rank = "srlRLt".find(link.get("dir", "t")) % 7
            candidate = (rank, link.get("tl", ""), int(link.get("linkIndex", 0)))
            found[lane] = min(found.get(lane, candidate), candidate)
    areas = shapely.union_all([shapely.Polygon(ring).buffer(0.5) for ring in junctions if len(ring) > 2])
    shapely.prepare(areas)
    signals = []
    for lane, (_, program, index) in found.items():
        if lanes[lane].kind != "vehicle":
            continue
        end = lanes[lane].centre[-1]
        ahead = end - resample(lanes[lane].centre, arc_length(lanes[lane].centre)[-1:] - 2.0)[0]
        ahead /= np.hypot(*ahead)
        steps = np.arange(6.0, 24.0)
        inside = shapely.contains_xy(areas, *(end + steps[:, None] * ahead).T)
        depth = steps[np.argmin(inside)] if not inside.all() else steps[-1]
        head = end + depth * ahead
        signals.append(Signal(lane, program, index, (float(head[0]), float(head[1]), 4.6)))
    return tuple(signals)


def _stops(lane: Lane) -> bool:
    """Whether a lane for cars ends at a junction (its line is where one stops, if one has to)."""
    return lane.kind == "vehicle" and not lane.junction and lane.speed_limit < 20 and lane.successors != ()


def _stop_line(lane: Lane) -> Floats:
    assert lane.left is not None and lane.right is not None
    return np.stack([lane.left[-1], lane.right[-1]])


def _markings(lanes: tuple[Lane, ...], rows: Mapping[str, Any], strips: Mapping[str, Floats]) -> Iterator[Marking]:
    """Dashes between lanes of one direction, a line between the directions, kerbs at the right edge."""
    for lane in lanes:
        if lane.junction or lane.left is None or lane.right is None:
            continue
        if lane.kind == "bicycle":
            yield Marking(lane.left, "solid")
            yield Marking(lane.right, "kerb", "grey")
            continue
        index = int(rows[lane.id][1].get("index", 0))
        outermost = f"{edge_of(lane.id)}_{index + 1}" not in rows
        yield Marking(lane.left, "solid" if outermost else "dashed")
        if lane.right_lane is None:
            beside = f"{edge_of(lane.id)}_{index - 1}"
            parking = beside in strips
            yield Marking(lane.right, "dashed" if parking else "solid")
            if parking:
                ring = strips[beside]
                yield Marking(ring[: len(ring) // 2], "kerb", "grey")


def _parking(lines: list[Floats]) -> Floats:
    """Poses of places along parking strips, clear of the junctions."""
    poses = []
    for line in lines:
        line = _distinct(line)
        s = np.arange(14.0, arc_length(line)[-1] - 12.0, 6.4)
        if len(s):
            poses.append(np.column_stack([resample(line, s), frenet(line, resample(line, s))[2]]))
    return np.concatenate(poses) if poses else np.zeros((0, 3))
