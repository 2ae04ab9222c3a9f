"""A few drives made in place, so that the first look needs no logs: one signalised junction, five small stories.

The human in them drives well; each story holds a moment in which a simple policy would have done otherwise.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from understudy.geometry import arc_length, move, resample
from understudy.recorder import STRIDE, Recorder, unseen
from understudy.records import (
    NS,
    Array,
    Drive,
    Driver,
    Floats,
    Kind,
    Lane,
    Light,
    Lights,
    Map,
    Marking,
    Objects,
    Rig,
    Vehicle,
)
from understudy.worlds.furnish import furnish
from understudy.worlds.render import Renderer
from understudy.worlds.rig import default_rig
from understudy.worlds.scene import BRAKE, SHAPE_OF, Scene, Shape, rasterise, solids, weather

_WIDTH = 3.5  # of a lane
_REACH = 160.0  # of each arm from the junction's centre
_STOP = 14.0  # of a stop line from the junction's centre
_LIMIT = 13.9
_DT = 0.1
_PAINT = np.array([(0.72, 0.16, 0.14), (0.16, 0.30, 0.55), (0.85, 0.85, 0.82), (0.20, 0.22, 0.24)])


def town() -> Map:
    """Two roads of two lanes a direction that cross at the origin."""
    lanes: list[Lane] = []
    markings: list[Marking] = []
    crosswalks, stop_lines = [], []
    edge, stop = 2 * _WIDTH, _STOP
    for arm in range(4):
        turn = np.array([0.0, 0.0, arm * np.pi / 2])

        def at(points: list[tuple[float, float]], turn: Floats = turn) -> Floats:
            return np.asarray(move(turn, np.array(points, float)))

        for side in (0, 1):  # 0 is the left lane of its direction
            y = -_WIDTH * (side + 0.5)  # traffic keeps right: inbound lanes lie right of the arm's axis, seen inwards
            lanes.append(_straight(f"in{arm}{side}", at([(-_REACH, y), (-_STOP, y)]), _neighbours("in", arm, side)))
            lanes.append(_straight(f"out{arm}{side}", at([(-_STOP, -y), (-_REACH, -y)]), _neighbours("out", arm, side)))
        for y in (-edge, edge):
            markings.append(Marking(at([(-_REACH, y), (-_STOP, y)]), "solid"))
        for y in (-_WIDTH, _WIDTH):
            markings.append(Marking(at([(-_REACH, y), (-_STOP, y)]), "dashed"))
        markings.append(Marking(at([(-_REACH, 0.0), (-_STOP, 0.0)]), "solid", "yellow"))
        crosswalks.append(at([(-_STOP + 1, -edge), (-_STOP + 4, -edge), (-_STOP + 4, edge), (-_STOP + 1, edge)]))
        stop_lines.append(at([(-_STOP, -edge), (-_STOP, 0.0)]))
    links: list[tuple[str, str]] = []
    for arm in range(4):
        links += [(f"in{arm}{side}", f"out{(arm + 2) % 4}{side}") for side in (0, 1)]
        links += [(f"in{arm}0", f"out{(arm + 3) % 4}0"), (f"in{arm}1", f"out{(arm + 1) % 4}1")]
    drivable = (
        np.array([(-_REACH, -edge), (_REACH, -edge), (_REACH, edge), (-_REACH, edge)]),
        np.array([(-edge, -_REACH), (edge, -_REACH), (edge, _REACH), (-edge, _REACH)]),
        # The corners are cut so that right turns stay on asphalt.
        np.array(
            [
                (-stop, -edge),
                (-edge, -stop),
                (edge, -stop),
                (stop, -edge),
                (stop, edge),
                (edge, stop),
                (-edge, stop),
                (-stop, edge),
            ]
        ),
    )
    extent = 1.2 * _REACH
    return Map(
        lanes=tuple(_linked(lanes, links)),
        drivable=drivable,
        crosswalks=tuple(crosswalks),
        stop_lines=tuple(stop_lines),
        markings=tuple(markings),
        extent=np.array([(-extent, -extent), (extent, -extent), (extent, extent), (-extent, extent)]),
    )


def _linked(lanes: list[Lane], links: list[tuple[str, str]]) -> Iterator[Lane]:
    """The lanes with those through the junction, each knowing where it comes from and goes."""
    by_id = {lane.id: lane for lane in lanes}
    after: dict[str, list[str]] = defaultdict(list)
    before: dict[str, list[str]] = defaultdict(list)
    through = [_link(by_id[start], by_id[end]) for start, end in links]
    for lane, (start, end) in zip(through, links, strict=True):
        after[start].append(lane.id)
        before[lane.id].append(start)
        after[lane.id].append(end)
        before[end].append(lane.id)
    for lane in (*lanes, *through):
        yield replace(lane, successors=tuple(after[lane.id]), predecessors=tuple(before[lane.id]))


def _neighbours(way: str, arm: int, side: int) -> tuple[str | None, str | None]:
    return (f"{way}{arm}0" if side == 1 else None, f"{way}{arm}1" if side == 0 else None)


def _straight(name: str, centre: Floats, neighbours: tuple[str | None, str | None], junction: bool = False) -> Lane:
    left, right = _offset(centre, _WIDTH / 2), _offset(centre, -_WIDTH / 2)
    return Lane(name, centre, np.concatenate([left, right[::-1]]), left, right, (), (), *neighbours, _LIMIT, junction)


def _link(start: Lane, end: Lane) -> Lane:
    """A lane through the junction: a Bézier curve from the end of one lane to the start of another."""
    a, b = start.centre[-1], end.centre[0]
    along = (start.centre[-1] - start.centre[-2]) / np.hypot(*(start.centre[-1] - start.centre[-2]))
    onward = (end.centre[1] - end.centre[0]) / np.hypot(*(end.centre[1] - end.centre[0]))
    reach = 0.55 * np.hypot(*(b - a)) if abs(along @ onward) < 0.5 else np.hypot(*(b - a)) / 3
    t = np.linspace(0, 1, 17)[:, None]
    c, d = a + reach * along, b - reach * onward
    curve = (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * c + 3 * (1 - t) * t**2 * d + t**3 * b
    return _straight(f"{start.id}-{end.id}", curve, (None, None), junction=True)


def _offset(line: Floats, left: float) -> Floats:
    """A line moved to its left."""
    heading = np.gradient(line, axis=0)
    heading /= np.hypot(*heading.T)[:, None]
    return np.asarray(line + left * np.stack([-heading[:, 1], heading[:, 0]], axis=-1))


@dataclass(frozen=True)
class _Actor:
    """Something that follows a line: where it starts on it, and its speed over time."""

    line: Floats
    start: float
    speed: Callable[[Floats], Floats]
    kind: Kind = Kind.CAR
    size: tuple[float, float, float] = (4.6, 1.9, 1.6)

    def poses(self, t: Floats) -> tuple[Floats, Floats]:
        """Poses (T, 3) of the centre and speeds (T,)."""
        speed = np.maximum(self.speed(t), 0.0)
        s = self.start + np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2 * np.diff(t))])
        line = self.line
        here, ahead, behind = resample(line, s), resample(line, s + 0.6), resample(line, s - 0.6)
        heading = np.arctan2(*(ahead - behind).T[::-1])
        return np.concatenate([here, heading[:, None]], axis=1), speed


@dataclass(frozen=True)
class _Story:
    name: str
    ego: _Actor
    others: tuple[_Actor, ...]
    red: tuple[float, float] = (1e9, 1e9)  # when the ego's light is red
    seconds: float = 20.0


def _profile(*knots: tuple[float, float]) -> Callable[[Floats], Floats]:
    """A speed over time through knots (t, v), eased so that it has no corners."""
    times, speeds = np.array(knots, float).T

    def speed(t: Floats) -> Floats:
        index = np.clip(np.searchsorted(times, t, side="right") - 1, 0, len(times) - 2)
        share = np.clip((t - times[index]) / (times[index + 1] - times[index]), 0, 1)
        ease = share * share * (3 - 2 * share)
        return np.asarray(speeds[index] + (speeds[index + 1] - speeds[index]) * ease)

    return speed


def _shifted(line: Floats, start: float, end: float, left: float) -> Floats:
    """A line that moves to its left between two distances along it."""
    s = np.arange(0, arc_length(line)[-1], 1.0)
    share = np.clip((s - start) / (end - start), 0, 1)
    points = resample(line, s)
    heading = np.gradient(points, axis=0)
    heading /= np.hypot(*heading.T)[:, None]
    return np.asarray(
        points + (left * share * share * (3 - 2 * share))[:, None] * np.stack([-heading[:, 1], heading[:, 0]], -1)
    )


def _stories(roads: Map) -> Iterator[_Story]:
    lane = {one.id: one.centre for one in roads.lanes}

    def path(*names: str) -> Floats:
        points = np.concatenate([lane[name] for name in names])
        keep = np.concatenate([[True], np.hypot(*np.diff(points, axis=0).T) > 1e-6])
        line = points[keep]
        return np.asarray(resample(line, np.arange(0, arc_length(line)[-1], 0.5)))

    def car(line: Floats, start: float, *knots: tuple[float, float], kind: Kind = Kind.CAR) -> _Actor:
        size = (8.5, 2.5, 3.2) if kind == Kind.TRUCK else (4.5, 1.85, 1.5)
        return _Actor(line, start, _profile(*knots), kind, size)

    straight, left_lane = path("in01", "in01-out21", "out21"), path("in00", "in00-out20", "out20")
    cross = path("in10", "in10-out30", "out30")
    oncoming = path("in20", "in20-out00", "out00")

    yield _Story(
        "braking-leader",
        _Actor(straight, 10, _profile((0, 12), (5.2, 12), (9, 2.5), (12, 2.5), (19, 12))),
        (
            car(straight, 40, (0, 12), (4.5, 12), (7.3, 1.5), (11.5, 1.5), (18, 13)),
            car(left_lane, 30, (0, 13), (20, 13)),
            car(oncoming, 20, (0, 12), (20, 12)),
        ),
    )
    cutting = _shifted(left_lane, 62, 92, -_WIDTH)
    yield _Story(
        "cut-in",
        _Actor(straight, 5, _profile((0, 13), (3.5, 13), (6.0, 9), (9, 9), (14, 12), (20, 12))),
        (
            car(cutting, 24, (0, 13), (3, 12), (6, 9.5), (12, 11), (20, 12)),
            car(oncoming, 60, (0, 11), (20, 11), kind=Kind.TRUCK),
        ),
    )
    kerb = np.array([(-70.0, -2 * _WIDTH - 1.5), (-70.0, 2 * _WIDTH + 1.5)])
    yield _Story(
        "jaywalker",
        _Actor(straight, 20, _profile((0, 12), (2.6, 12), (7.4, 0.0), (9.5, 0.0), (15, 11), (20, 11))),
        (
            _Actor(kerb, 0, _profile((0, 0), (2.4, 0), (3.0, 1.6), (20, 1.6)), Kind.PEDESTRIAN, (0.6, 0.6, 1.75)),
            car(oncoming, 110, (0, 8), (4, 0), (11, 0), (16, 10)),
        ),
    )
    yield _Story(
        "red-light",
        _Actor(
            path("in00", "in00-out30", "out30"),
            15,
            _profile((0, 12), (6.5, 12), (13.2, 0), (20, 0), (24, 6), (30, 7)),
        ),
        (
            car(cross, 20, (0, 12), (16, 12), (20, 12)),
            car(cross, -15, (0, 12), (20, 12)),
            car(oncoming, 45, (0, 11), (4.5, 11), (12, 0), (15.5, 0), (19, 9)),
        ),
        red=(3.0, 15.0),
        seconds=30.0,
    )
    parked = np.array([(-62.0, -2 * _WIDTH + 1.2), (-40.0, -2 * _WIDTH + 1.2)])
    around = _shifted(_shifted(straight, 66, 92, _WIDTH), 112, 136, -_WIDTH)
    yield _Story(
        "stopped-truck",
        _Actor(around, 5, _profile((0, 11), (4, 9), (12, 9), (17, 12), (20, 12))),
        (
            car(parked, 4, (0, 0), (20, 0), kind=Kind.TRUCK),
            car(oncoming, 5, (0, 12), (20, 12)),
        ),
    )


def drives() -> list[Drive]:
    """The stories as drives of 10 Hz, without pictures."""
    roads = town()
    return [_told(story, roads) for story in _stories(roads)]


def write(
    folder: Path, size: tuple[int, int] = (384, 192), on_drive: Callable[[str], None] | None = None
) -> list[Path]:
    """The stories as MCAP files with pictures of three cameras of `size` (W, H); those already there are left alone."""
    rig = default_rig(*size).only(range(3))  # the city's cameras to the front and the sides
    look = Look(town(), rig)
    paths = []
    for number, drive in enumerate(drives()):
        path = folder / f"{drive.id}.mcap"
        if not path.exists():
            _film(drive, path, rig, look, seed=number)
        paths.append(path)
        if on_drive is not None:
            on_drive(drive.id)
    return paths


class Look:
    """Draws the town of the stories."""

    def __init__(self, roads: Map, rig: Rig) -> None:
        ground = rasterise(roads)
        self._renderer = Renderer(rig, Scene(ground, furnish(ground, seed=2), weather("clear")))

    def at(self, drive: Drive, instant: int, seed: int) -> tuple[Array, ...]:
        """One picture (H, W, 3) for each camera."""
        return self._renderer.render(drive.poses[instant], self._moving(drive, instant), seed).pictures

    def _moving(self, drive: Drive, instant: int) -> Array:
        assert drive.objects is not None and drive.lights is not None
        rows = slice(drive.objects.starts[instant], drive.objects.starts[instant + 1])
        others = {
            name: drive.objects[name][rows] for name in ("track", "kind", "x", "y", "yaw", "length", "width", "height")
        }
        cars = solids(
            len(others["x"]),
            [SHAPE_OF[Kind(kind)] for kind in others["kind"]],
            colour=_PAINT[others["track"] % len(_PAINT)],
            id=others["track"],
            **{name: others[name] for name in ("x", "y", "yaw", "length", "width", "height")},
        )
        before = max(instant - 3, 0)
        slower = _speeds(drive, instant) < _speeds(drive, before) - 0.25
        cars["state"] = np.where(slower & (cars["shape"] != Shape.PEDESTRIAN), BRAKE, 0)
        heads = drive.lights.heads
        lamps = solids(
            len(heads), Shape.SIGNAL, x=heads[:, 0], y=heads[:, 1], z=heads[:, 2] - 0.5,
            yaw=np.arctan2(heads[:, 1], heads[:, 0]), id=1000 + np.arange(len(heads)), colour=(0.1, 0.1, 0.1),
        )  # fmt: skip
        lamps["state"] = drive.lights.state[instant]
        return np.concatenate([cars, lamps])


def _speeds(drive: Drive, instant: int) -> Floats:
    assert drive.objects is not None
    rows = slice(drive.objects.starts[instant], drive.objects.starts[instant + 1])
    return np.hypot(drive.objects["vx"][rows], drive.objects["vy"][rows])


def _film(drive: Drive, path: Path, rig: Rig, look: Look, seed: int) -> None:
    """Record a drive with its pictures."""
    filmed = replace(drive, cameras=unseen(rig))
    with Recorder(path) as recorder:
        for start in range(0, len(drive), STRIDE):
            stop = min(start + STRIDE, len(drive))
            recorder.append(filmed.slice(start, stop))
            for instant in range(start, stop):
                for name, picture in zip(rig.names, look.at(drive, instant, seed * 10_000 + instant), strict=True):
                    file = io.BytesIO()
                    Image.fromarray(picture).save(file, "jpeg", quality=88)
                    recorder.picture(name, int(drive.t_ns[instant]), "jpeg", file.getvalue())


def _told(story: _Story, roads: Map) -> Drive:
    t = _DT * np.arange(round(story.seconds / _DT) + 1, dtype=np.float64)
    vehicle = Vehicle()
    poses, speed = story.ego.poses(t)
    told = [other.poses(t) for other in story.others]
    n, rows = len(story.others), len(story.others) * len(t)

    def column(values: list[Floats]) -> Floats:
        return np.stack(values, axis=1).reshape(rows)  # one row an instant and object, instants first

    yaw = np.unwrap(poses[:, 2])
    heading = [other[0][:, 2] for other in told]
    objects = Objects(
        np.arange(len(t) + 1) * n,
        {
            "track": np.tile(np.arange(n), len(t)),
            "kind": np.tile([int(actor.kind) for actor in story.others], len(t)),
            "x": column([other[0][:, 0] for other in told]),
            "y": column([other[0][:, 1] for other in told]),
            "yaw": column(heading),
            "vx": column([other[1] * np.cos(angle) for other, angle in zip(told, heading, strict=True)]),
            "vy": column([other[1] * np.sin(angle) for other, angle in zip(told, heading, strict=True)]),
            **{
                name: np.tile([actor.size[axis] for actor in story.others], len(t))
                for axis, name in enumerate(("length", "width", "height"))
            },
            "z": np.tile([actor.size[2] / 2 for actor in story.others], len(t)),
        },
    )
    red = (t >= story.red[0]) & (t < story.red[1])
    governed = tuple(lane.id for lane in roads.lanes if lane.id.startswith("in") and not lane.junction)
    ours = np.array([name[2] in "02" for name in governed])  # the light of the ego's road, and the one across
    state = np.where(red[:, None] == ours, Light.RED, Light.GREEN).astype(np.int8)
    ends = {lane.id: lane.centre[-1] for lane in roads.lanes}
    return Drive(
        id=f"sample-{story.name}",
        t_ns=(t * NS).round().astype(np.int64),
        columns={
            "x": poses[:, 0],
            "y": poses[:, 1],
            "yaw": poses[:, 2],
            "speed": speed,
            "accel": np.gradient(speed, t),
            "yaw_rate": np.gradient(yaw, t),
            "who_drives": np.full(len(t), Driver.HUMAN, np.int8),
        },
        vehicle=vehicle,
        objects=objects,
        lights=Lights(governed, np.array([(*ends[name], 5.0) for name in governed]), state),
        map=roads,
        facts={"town": f"sample:{story.name}", "maker": "understudy sample"},
    )
