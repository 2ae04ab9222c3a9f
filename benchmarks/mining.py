"""How fast mining is: columns against a loop over instants, and against merely reading the columns.

    python benchmarks/mining.py                                     1,000 hours of signals, 20 hours with objects
    python benchmarks/mining.py --signal-hours 20 --object-hours 2  the same, smaller

Hours are made by repeating real drives (those of ../shared/data, or the sample drives without them) with noise, in
Parquet as the lake writes it. No more than FILES distinct hours are written; they are read again and again. The loops
below say what the triggers say, one Python object per instant after the other; that they find the same is checked on
what is timed. Ratios are of processor time, which other work on the machine changes less than the clock's.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from understudy import ingest, plugins, sample
from understudy.errors import UnderstudyError
from understudy.maps import Roads
from understudy.mine import find, resolve
from understudy.records import (
    MOTOR_VEHICLES,
    NS,
    OBJECT_COLUMNS,
    STATIC,
    VULNERABLE,
    Drive,
    Kind,
    Map,
    Objects,
    Trigger,
)
from understudy.store.tables import options

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
FILES = 40
HOUR = 36_000  # instants at 10 Hz
PER_INSTANT = 30  # objects
SIGNALS = ("speed", "accel", "yaw_rate", "steer", "who_drives", "leader_track", "leader_gap", "leader_speed")
POSE = ("x", "y", "yaw")
NOISE = {
    "speed": 0.05, "accel": 0.1, "yaw_rate": 0.005, "steer": 0.02, "leader_gap": 0.2, "leader_speed": 0.1,
    "x": 0.05, "y": 0.05, "vx": 0.1, "vy": 0.1,
}  # fmt: skip


# Hours ----------------------------------------------------------------------------------------------------------------


def real_drives() -> list[Drive]:
    """Real drives with poses, objects and leaders; the sample drives where there are none."""
    found = []
    for name in ("scenarionet", "argoverse2"):
        reader = plugins.make("reader", name)
        try:
            found += [ingest.complete(reader.read(SHARED / name, key)) for key in reader.scan(SHARED / name)]
        except UnderstudyError as error:
            print(f"{name}: {error}")
    return found or [ingest.complete(drive) for drive in sample.drives()]


def noisy(rng: np.random.Generator, name: str, values: Any, turn: int) -> Any:
    if name in ("track", "leader_track"):
        return np.where(values < 0, values, values + 1000 * turn)  # others than in the turn before
    return values + rng.normal(0, NOISE[name], len(values)) if name in NOISE else values


def signals(rng: np.random.Generator, drive: Drive, turn: int) -> dict[str, Any]:
    columns = {name: drive[name] for name in (*POSE, *SIGNALS) if name in drive}
    columns.setdefault("steer", np.clip(drive["yaw_rate"] / 0.5, -1, 1))
    columns.setdefault("who_drives", np.ones(len(drive), np.int8))
    return {name: values if name in POSE else noisy(rng, name, values, turn) for name, values in columns.items()}


def signal_hour(drives: list[Drive], seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    turns = [signals(rng, drives[(seed + turn) % len(drives)], turn) for turn in range(HOUR // 150)]
    columns = {name: np.concatenate([turn[name] for turn in turns])[:HOUR] for name in SIGNALS}
    return {"t_ns": np.arange(HOUR) * (NS // 10), **columns}


def object_hour(drive: Drive, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """An hour of one scene, on whose map it plays; of its tracks so many as make PER_INSTANT, others in each turn."""
    rng = np.random.default_rng(seed)
    assert drive.objects is not None
    tracks, of = np.unique(drive.objects["track"], return_inverse=True)
    share = PER_INSTANT * len(drive) / len(of)
    ego, others, instants = [], [], []
    for turn in range(-(-HOUR // len(drive))):
        ego.append(signals(rng, drive, turn))
        rows = np.flatnonzero(np.floor(share + rng.random(len(tracks)))[of] > 0)
        others.append({name: noisy(rng, name, drive.objects[name][rows], turn) for name in OBJECT_COLUMNS})
        instants.append(drive.objects.instant[rows] + turn * len(drive))
    instant = np.concatenate(instants)
    kept = instant < HOUR
    columns = {name: np.concatenate([turn[name] for turn in ego])[:HOUR] for name in ego[0]}
    rows = {name: np.concatenate([turn[name] for turn in others])[kept] for name in OBJECT_COLUMNS}
    t_ns = np.arange(HOUR) * (NS // 10)
    return {"t_ns": t_ns, **columns}, {"t_ns": t_ns[instant[kept]], **rows}


def write(columns: dict[str, Any], path: Path) -> Path:
    table = pa.table(columns)
    pq.write_table(table, path, **options(table.schema))
    return path


def read(path: Path, columns: Iterable[str]) -> dict[str, Any]:
    table = pq.read_table(path, columns=["t_ns", *columns], use_threads=False)
    return {name: table[name].to_numpy() for name in table.column_names}


def read_drive(path: Path, columns: Iterable[str], objects: Path | None, on: Drive | None) -> Drive:
    held = read(path, columns)
    drive = Drive(path.stem, held.pop("t_ns"), held)
    if objects is None or on is None:
        return drive
    rows = read(objects, OBJECT_COLUMNS)
    starts = np.searchsorted(rows.pop("t_ns"), drive.t_ns)
    return replace(drive, objects=Objects(np.append(starts, len(rows["x"])), rows), map=on.map, vehicle=on.vehicle)


# The same in loops ----------------------------------------------------------------------------------------------------

Found = Iterator[tuple[int, int, float]]  # first and last instant, score


class Frames:
    """A drive as one Python object per instant and per object, and every trigger as a loop over them.

    With the triggers' default settings, in plain numbers.
    """

    def __init__(self, drive: Drive, roads: Roads) -> None:
        self.roads, vehicle = roads, drive.vehicle
        self.front, self.rear = vehicle.front, vehicle.rear_overhang
        self.centre, self.length, self.width = vehicle.centre_x, vehicle.length, vehicle.width
        t = [(stamp - int(drive.t_ns[0])) / NS for stamp in drive.t_ns.tolist()]
        rows = zip(range(len(t)), t, *(drive[name].tolist() for name in drive.columns), strict=True)
        names = ("i", "t", *drive.columns)
        self.all = [SimpleNamespace(**dict(zip(names, row, strict=True))) for row in rows]
        if drive.objects is None:
            return
        names = tuple(drive.objects.columns)
        rows = zip(*(drive.objects[name].tolist() for name in names), strict=True)
        things = [SimpleNamespace(**dict(zip(names, row, strict=True))) for row in rows]
        for f, (start, stop) in zip(self.all, pairwise(drive.objects.starts.tolist()), strict=True):
            f.others = things[start:stop]

    # What ends every trigger

    def spans(self, at: Callable[[Any], float | None], hold_s: float = 0.0, bridge_s: float = 0.0) -> Found:
        span: tuple[Any, Any, float] | None = None
        for f in self.all:
            score = at(f)
            if score is None:
                continue
            if span is not None and (f.i == span[1].i + 1 or f.t - span[1].t <= bridge_s + 1e-3):
                span = (span[0], f, max(span[2], score))
                continue
            if span is not None and span[1].t - span[0].t >= hold_s - 1e-3:
                yield span[0].i, span[1].i, span[2]
            span = (f, f, score)
        if span is not None and span[1].t - span[0].t >= hold_s - 1e-3:
            yield span[0].i, span[1].i, span[2]

    def rate(self, f: Any, value: Callable[[Any], float]) -> float:
        """Over 0.4 s, which is what 0.5 s comes to at 10 Hz."""
        if f.i < 2 or f.i + 2 >= len(self.all):
            return math.nan
        before, after = self.all[f.i - 2], self.all[f.i + 2]
        return (value(after) - value(before)) / (after.t - before.t)

    def merged(self, stretches: list[tuple[int, int, float]]) -> Found:
        span = None
        for first, last, score in sorted(stretches):
            if span is not None and first <= span[1]:
                span = (span[0], max(span[1], last), max(span[2], score))
                continue
            if span is not None:
                yield span
            span = (first, last, score)
        if span is not None:
            yield span

    # Signals

    def hard_brake(self) -> Found:
        return self.spans(lambda f: -f.accel if f.accel < -3.0 and f.speed > 0.5 else None, 0.3, 0.5)

    def hard_acceleration(self) -> Found:
        return self.spans(lambda f: f.accel if f.accel > 2.5 else None, 0.5, 0.5)

    def swerve(self) -> Found:
        def at(f: Any) -> float | None:
            jerk = abs(self.rate(f, lambda g: g.speed * g.yaw_rate))
            return jerk if jerk > 4.0 else None

        return self.spans(at, 0.0, 1.0)

    def abrupt_steering(self) -> Found:
        def at(f: Any) -> float | None:
            turning = abs(self.rate(f, lambda g: g.steer))
            return turning if turning > 2.0 else None

        return self.spans(at, 0.0, 0.5)

    def rare_value(self) -> Found:
        usual = {}
        for name in ("speed", "accel"):
            sample = [getattr(f, name) for f in self.all[:: 1 + len(self.all) // 2048]]
            values = sorted(value for value in sample if math.isfinite(value))
            usual[name] = [self.quantile(values, q) for q in (0.25, 0.75)]

        def at(f: Any) -> float | None:
            worst = -math.inf
            for name, (low, high) in usual.items():
                value = getattr(f, name)
                worst = max(worst, max(value - high, low - value) / max(high - low, 0.5) - 3.0)
            return worst if worst > 0 else None

        return self.spans(at, 0.0, 1.0)

    def quantile(self, values: list[float], q: float) -> float:
        at = q * (len(values) - 1)
        low = int(at)
        return values[low] + (at - low) * (values[min(low + 1, len(values) - 1)] - values[low])

    def stop_and_go(self) -> Found:
        slow = self.spans(lambda f: -f.speed if f.speed < 2.0 else None)
        halts = [(first, last) for first, last, fastest in slow if fastest > -0.3]
        jam = [False] * len(self.all)
        for (first, _), _, (start, last) in zip(halts, halts[1:], halts[2:], strict=False):
            if self.all[start].t - self.all[first].t <= 60.0:
                jam[first : last + 1] = [True] * (last + 1 - first)
        for first, last, _ in self.spans(lambda f: 1.0 if jam[f.i] else None):
            yield first, last, float(sum(first <= start <= last for start, _ in halts))

    def intervention(self) -> Found:
        for before, f in pairwise(self.all):
            if before.who_drives == 2 and f.who_drives in (1, 3):
                yield f.i, f.i, 2.0 if f.who_drives == 3 else 1.0

    def changes(self) -> Iterator[tuple[Any, Any]]:
        runs: list[list[Any]] = []
        for f in self.all:
            if runs and f.leader_track == runs[-1][1].leader_track:
                runs[-1][1] = f
            else:
                runs.append([f, f])
        for (_, before), (after, _) in pairwise(run for run in runs if run[1].t - run[0].t >= 0.5):
            if before.leader_track != after.leader_track and after.t - before.t <= 0.5:
                yield before, after

    def cut_in(self) -> Found:
        for before, f in self.changes():
            gap = math.inf if before.leader_track < 0 else before.leader_gap
            if f.speed > 3.0 and 0 < f.leader_gap < 1.5 * f.speed and gap - f.leader_gap > 3.0:
                yield f.i, f.i, 1.5 - f.leader_gap / f.speed

    def cut_out(self) -> Found:
        for f, after in self.changes():
            gap = math.inf if after.leader_track < 0 else after.leader_gap
            if f.speed > 3.0 and 0 < f.leader_gap < 2.0 * f.speed and gap - f.leader_gap > 5.0:
                yield after.i, after.i, 2.0 - f.leader_gap / f.speed

    def leader_brakes(self) -> Found:
        def at(f: Any) -> float | None:
            decel = -self.rate(f, lambda g: g.leader_speed)
            if not decel > 3.0 or self.all[f.i - 2].leader_track != self.all[f.i + 2].leader_track:
                return None
            return decel if f.accel > -1.0 and f.leader_gap < 60.0 and f.speed > 3.0 else None

        return self.spans(at, 0.2, 0.5)

    def short_time_to_collision(self) -> Found:
        def at(f: Any) -> float | None:
            closing = f.speed - f.leader_speed
            if closing > 1.0 and 0 < f.leader_gap < 2.0 * closing and f.leader_speed > -1:
                return 2.0 - f.leader_gap / closing
            return None

        return self.spans(at, 0.2, 0.5)

    # Objects

    def place(self, f: Any, o: Any) -> tuple[float, float]:
        """How far ahead and to the left."""
        east, north, cos, sin = o.x - f.x, o.y - f.y, math.cos(f.yaw), math.sin(f.yaw)
        return cos * east + sin * north, cos * north - sin * east

    def distance(self, f: Any, o: Any) -> float:
        ahead, left = self.place(f, o)
        beyond = max(abs(ahead - self.centre) - self.length / 2, 0)
        beside = max(abs(left) - self.width / 2, 0)
        return max(math.hypot(beyond, beside) - o.width / 2, 0)

    def turn(self, f: Any, ahead: float) -> float:
        return f.yaw_rate / max(f.speed, 2.0) * ahead

    def aside(self, f: Any, ahead: float, left: float) -> float:
        turn = self.turn(f, ahead)
        return math.nan if abs(turn) > 0.6 else left - turn * ahead / 2

    def gap(self, f: Any, o: Any, margin: float) -> float:
        """To what is near and in the path, else nan."""
        ahead, left = self.place(f, o)
        aside = abs(self.aside(f, ahead, left))
        if aside < 3.0 and abs(ahead) < 80.0 and aside < o.width / 2 + self.width / 2 + margin:
            return ahead - self.front - o.length / 2
        return math.nan

    def along(self, f: Any, o: Any) -> tuple[float, float]:
        yaw = f.yaw + self.turn(f, self.place(f, o)[0])
        return math.cos(yaw) * o.vx + math.sin(yaw) * o.vy, math.cos(yaw) * o.vy - math.sin(yaw) * o.vx

    def others(self, at: Callable[[Any, Any], float | None], hold_s: float = 0.0, bridge_s: float = 0.5) -> Found:
        def largest(f: Any) -> float | None:
            return max((score for o in f.others if (score := at(f, o)) is not None), default=None)

        return self.spans(largest, hold_s, bridge_s)

    def close_vulnerable(self) -> Found:
        def at(f: Any, o: Any) -> float | None:
            if o.kind in VULNERABLE and f.speed > 2.0 and (away := self.distance(f, o)) < 1.5:
                return 1.5 - away
            return None

        return self.others(at)

    def harsh_brake_near_vulnerable(self) -> Found:
        def at(f: Any, o: Any) -> float | None:
            hard = o.kind in VULNERABLE and f.accel < -2.5 and f.speed > 1.0
            return -f.accel if hard and self.distance(f, o) < 10.0 else None

        return self.others(at)

    def pedestrian_ahead(self) -> Found:
        def at(f: Any, o: Any) -> float | None:
            if o.kind not in VULNERABLE or not f.speed > 1.0:
                return None
            gap = self.gap(f, o, 0.5)
            return 2.5 - gap / f.speed if 0 < gap < 2.5 * f.speed else None

        return self.others(at, 0.2)

    def crossing_path(self) -> Found:
        def at(f: Any, o: Any) -> float | None:
            if not o.vx**2 + o.vy**2 > 1.0 or o.kind in STATIC or not f.speed > 2.0:
                return None
            ahead, left = self.place(f, o)
            aside = self.aside(f, ahead, left)
            forward, leftward = self.along(f, o)
            if ahead <= 0 or not (abs(leftward) > max(1.0, abs(forward)) and aside * leftward < 0):
                return None
            there = -aside / leftward
            spot = ahead - self.front - o.length / 2 + forward * there
            apart = abs(spot / f.speed - there)
            return 1.0 - apart if there < 2.5 and spot > 0 and apart < 1.0 else None

        return self.others(at, 0.2)

    def oncoming_in_lane(self) -> Found:
        def at(f: Any, o: Any) -> float | None:
            if not f.speed > 2.0 or not (gap := self.gap(f, o, -0.8)) > 0:
                return None
            forward, leftward = self.along(f, o)
            if forward < -2.0 and forward < -2 * abs(leftward) and gap < 3.0 * (f.speed - forward):
                return 3.0 - gap / (f.speed - forward)
            return None

        return self.others(at, 0.4)

    def standing_object_ahead(self) -> Found:
        def at(f: Any, o: Any) -> float | None:
            if not f.speed > 4.0 or not math.hypot(o.vx, o.vy) < 0.5:
                return None
            gap = self.gap(f, o, -0.2)
            return f.speed**2 / (2 * gap) if gap > 0.5 and f.speed**2 > 2 * 2.5 * gap else None

        return self.others(at, 0.3)

    def obstacle_in_path(self) -> Found:
        def at(f: Any, o: Any) -> float | None:
            if o.kind not in STATIC or not f.speed > 2.0:
                return None
            gap = self.gap(f, o, 0.0)
            return 3.0 - gap / f.speed if 0 < gap < 3.0 * f.speed else None

        return self.others(at, 0.3)

    def emergency_vehicle(self) -> Found:
        def at(f: Any, o: Any) -> float | None:
            return 50.0 - away if o.kind == Kind.EMERGENCY and (away := self.distance(f, o)) < 50.0 else None

        return self.others(at, 0.5, 2.0)

    def tailgater(self) -> Found:
        def at(f: Any, o: Any) -> float | None:
            if not f.speed > 5.0 or math.isnan(self.gap(f, o, -0.5)):
                return None
            gap = -self.place(f, o)[0] - self.rear - o.length / 2
            return 0.6 - gap / f.speed if 0 < gap < 0.6 * f.speed and self.along(f, o)[0] > 5.0 else None

        return self.others(at, 1.0)

    def lateral_mover(self) -> Found:
        def at(f: Any, o: Any) -> float | None:
            if o.track != f.leader_track or self.place(f, o)[0] - self.front - o.length / 2 >= 30.0:
                return None
            forward, leftward = self.along(f, o)
            return abs(leftward) if abs(leftward) > 1.2 and forward > 2 * abs(leftward) else None

        return self.others(at, 0.3)

    def surprise(self) -> Found:
        known = set()

        def at(f: Any, o: Any) -> float | None:
            new = o.track not in known
            known.add(o.track)
            if not new or f.t <= 1.5 or not f.speed > 3.0:
                return None
            gap = self.gap(f, o, 0.0)
            return 1.5 - gap / f.speed if 0 < gap < 1.5 * f.speed else None

        return self.others(at)

    def flicker(self) -> Found:
        newest: dict[int, Any] = {}
        lost = []
        for f in self.all:
            for o in f.others:
                before = newest.get(o.track, f)
                newest[o.track] = f
                if f.i - before.i > 1 and f.t - before.t <= 1.0 and (away := self.distance(f, o)) < 30.0:
                    lost.append((before.i, f.i, 30.0 - away))
        return self.merged(lost)

    def kind_flicker(self) -> Found:
        kinds: dict[int, int] = {}
        changed: dict[int, Any] = {}
        twice = []
        for f in self.all:
            for o in f.others:
                before = kinds.get(o.track, o.kind)
                kinds[o.track] = o.kind
                if o.kind == before or o.kind == 0 or before == 0 or (away := self.distance(f, o)) >= 40.0:
                    continue
                first = changed.get(o.track)
                changed[o.track] = f
                if first is not None and f.t - first.t <= 2.0:
                    twice.append((first.i, f.i, 40.0 - away))
        return self.merged(twice)

    def box_jitter(self) -> Found:
        newest: dict[int, tuple[Any, Any]] = {}
        older: dict[int, tuple[Any, Any]] = {}

        def at(f: Any, o: Any) -> float | None:
            one_f, one = newest.get(o.track, (None, None))
            two_f, two = older.get(o.track, (None, None))
            newest[o.track], older[o.track] = (f, o), (one_f, one)
            if one is None or f.i - one_f.i != 1:
                return None
            jump = max(abs(o.length - one.length), abs(o.width - one.width))
            if two is not None and one_f.i - two_f.i == 1:
                step, last = f.t - one_f.t, one_f.t - two_f.t
                east = o.x - one.x - (one.x - two.x) * step / last
                north = o.y - one.y - (one.y - two.y) * step / last
                jump = max(jump, math.hypot(east, north) - 15.0 / 2 * step * (step + last))
            return jump if jump > 0.7 and self.distance(f, o) < 30.0 else None

        return self.others(at)

    def map_against_vision(self) -> Found:
        looked = {b.i for a, b in pairwise(self.all) if int(b.t / 0.5) > int(a.t / 0.5)} | {0}

        def at(f: Any, o: Any) -> float | None:
            if f.i not in looked or o.kind not in MOTOR_VEHICLES or not o.vx**2 + o.vy**2 > 4.0:
                return None
            spot = np.array([[o.x, o.y]])
            if self.distance(f, o) >= 40.0 or not self.roads.known(spot)[0]:
                return None
            off = float(self.roads.off_road(spot)[0])
            return off if off > 1.0 else None

        return self.others(at, 0.0, 1.0)


# Timing ---------------------------------------------------------------------------------------------------------------


Files = list[tuple[Path, Path | None]]  # signals, objects


def check(drive: Drive, triggers: dict[str, Trigger]) -> tuple[float, int]:
    """How long loops take from the same columns, and how many events they find, which are those of the triggers."""
    roads = Roads(drive.map or Map(()))
    roads.off_road(np.zeros((1, 2)))  # once for all drives
    start = time.process_time()
    frames = Frames(drive, roads)
    took, count = time.process_time() - start, 0
    for name, trigger in triggers.items():
        start = time.process_time()
        found = list(getattr(frames, name)())
        took += time.process_time() - start
        count += len(found)
        ours = list(trigger.find(drive))
        stamps = [(int(drive.t_ns[first]), int(drive.t_ns[last])) for first, last, _ in found]
        assert [(event.start_ns, event.end_ns) for event in ours] == stamps, name
        assert np.allclose([event.score for event in ours], [score for *_, score in found]), name
    return took, count


def search(files: Files, names: list[str], columns: list[str], on: list[Drive]) -> dict[str, float]:
    """Read and search some hours, one after the other: seconds of each, wall time, events, and peak memory in MiB."""
    triggers = {name: plugins.make("trigger", name) for name in names}
    find(read_drive(files[0][0], columns, files[0][1], on[0] if on else None), triggers)  # once, to be warm
    reading = finding = events = 0.0
    began = time.perf_counter()
    for index, (path, objects) in enumerate(files):
        start = time.process_time()
        drive = read_drive(path, columns, objects, on[index % len(on)] if on else None)
        between = time.process_time()
        events += len(find(drive, triggers))
        reading, finding = reading + between - start, finding + time.process_time() - between
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    wall = time.perf_counter() - began
    return {"reading": reading, "finding": finding, "wall": wall, "events": events, "peak": peak}


def alone(*arguments: Any) -> dict[str, float]:
    """`search` in a process of its own, so that its peak memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(search, *arguments).result()


def report(
    title: str,
    hours: int,
    files: Files,
    triggers: dict[str, Trigger],
    columns: list[str],
    on: list[Drive],
    looped: int,
) -> None:
    """Search `hours` hours, and the first `looped` instants of one in loops."""
    names, some = list(triggers), max(1, hours // 10)
    wanted = [files[index % len(files)] for index in range(hours)]
    few, whole = alone(wanted[:some], names, columns, on), alone(wanted, names, columns, on)
    drive = read_drive(files[0][0], columns, files[0][1], on[0] if on else None).slice(0, looped)
    loop_s, found = check(drive, triggers)
    loop_s *= HOUR / len(drive)
    reading, finding = whole["reading"], whole["finding"]
    print(f"{title}: {hours} h, {hours * HOUR / 1e6:.1f} million instants, {len(files)} distinct files")
    print(f"  {len(names)} triggers   {', '.join(names)}")
    print(f"  time          {whole['wall']:.1f} s; of the processor: reading {reading:.1f} s, finding {finding:.1f} s")
    print(f"  events        {whole['events']:.0f}; in {len(drive)} instants {found}, the same by loops")
    print(f"  loops         {loop_s * hours / finding:.0f} x the time of finding (wanted: 50 or more)")
    print(f"  reading       all of it takes {(reading + finding) / reading:.2f} x reading (wanted: 4 or less)")
    print(f"  peak memory   {few['peak']:.0f} MiB for {some} h, {whole['peak']:.0f} MiB for {hours} h")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signal-hours", type=int, default=1000)
    parser.add_argument("--object-hours", type=int, default=20)
    given = parser.parse_args()
    drives = real_drives()
    triggers = resolve()
    on_signals = {name: trigger for name, trigger in triggers.items() if set(trigger.needs) <= set(SIGNALS)}
    offered = {*SIGNALS, "pose", "objects", "map"}
    on_objects = {n: t for n, t in triggers.items() if "objects" in t.needs and set(t.needs) <= offered}
    on_objects.pop("brake_light_mismatch", None)  # no log at hand has brake lights
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        count = min(FILES, given.signal_hours)
        files = [(write(signal_hour(drives, seed), root / f"signals{seed}.parquet"), None) for seed in range(count)]
        report("signals", given.signal_hours, files, on_signals, list(SIGNALS), [], HOUR)
        scenes = [drive for drive in drives if drive.map is not None and drive.objects is not None]
        pairs = []
        for seed in range(min(len(scenes), given.object_hours)):
            ego, others = object_hour(scenes[seed], seed)
            pairs.append((write(ego, root / f"ego{seed}.parquet"), write(others, root / f"objects{seed}.parquet")))
        report(
            "objects", given.object_hours, pairs, on_objects, [*POSE, *SIGNALS],
            [replace(scene, objects=None, cameras=(), columns={}) for scene in scenes[: len(pairs)]], HOUR // 12,
        )  # fmt: skip


if __name__ == "__main__":
    main()
