"""Logs of others into the lake: read where they lie, completed with what every drive should say, kept as columns.

Pictures stay in the log; the lake remembers where it lies and asks for them when somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from understudy import plugins, workers
from understudy.errors import DataError, UnderstudyError
from understudy.geometry import constant_turn
from understudy.identifiers import Identifier, parse
from understudy.maps import Roads
from understudy.observe import ROUTE_POINTS, Observer, held, leader_on
from understudy.records import MOTOR_VEHICLES, Array, Command, Drive, Floats, Kind, Observation, Reader
from understudy.store import Lake, Part, Source, code_version

CELL = 500.0  # metres: the side of a place where positions are global
_FURTHEST = 1e8  # m: nobody is further from an origin on this planet
_LOOK_AHEAD = 40.0  # metres of path that tell the command
_TURN = np.radians(30)
_BATCH = 512


def ingest(
    lake: Lake,
    reader_name: str,
    root: Path,
    settings: Mapping[str, Any] | None = None,
    processes: int = 0,
    on_drive: Callable[[workers.Outcome, int], None] | None = None,
) -> workers.Report:
    """Read every drive under `root` into the lake; those that are there already are left alone.

    A drive that cannot be read is reported and the others go on. `on_drive` is told of each, and of how many.
    """
    if (shown := _shown(str(root.resolve()))) != str(root.resolve()):
        raise DataError(f"reading logs: a folder's name is no UTF-8; in {shown}")
    settings = dict(settings or {})
    reader = plugins.make("reader", reader_name, settings)
    code = code_version(["understudy.ingest", "understudy.store", type(reader).__module__])
    keys = list(reader.scan(root))
    lake.root.mkdir(parents=True, exist_ok=True)  # where it cannot be made, no drive need be read
    with lake.run("ingest", reader_name, settings, code, replaces="drive") as run:
        todo, kept = [], []
        for key in keys:
            if (shown := _shown(key)) != key:
                run.fail(shown, "its name is no UTF-8: give it another")
                continue
            try:
                contents = reader.fingerprint(root, key)
            except UnderstudyError as error:
                run.fail(key, str(error))
                continue
            # The location is told in full, because the lake may be asked from another folder.
            source = Source(reader_name, str(root.resolve()), key, settings)
            part = run.part(f"{key}@{contents[:12]}", [contents], source)
            if part.done:
                kept.append(key)
            else:
                todo.append((key, part))
        return workers.fill(run, partial(_ingest_one, lake, reader, root), todo, kept, processes, on_drive, _key_of)


def _ingest_one(lake: Lake, reader: Reader, root: Path, item: tuple[str, Part]) -> None:
    key, part = item
    drive = complete(reader.read(root, key))
    try:
        named = parse(drive.id) == Identifier("drive", drive.id)
    except UnderstudyError:
        named = False
    if not named:
        raise DataError(
            f"the reader calls a drive {drive.id!r}, which is no name; expected words as in trips/11-30, {key}"
        )
    lake.put_drive(part, drive)


def _shown(name: str) -> str:
    """A file's name with those of its bytes spelled out that are no UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _key_of(item: tuple[str, Part]) -> str:
    return item[0]


def complete(drive: Drive) -> Drive:
    """The drive with the columns that can be told from the others: place, route, command, lane, leader.

    What needs the drive's own future (the command; the route, which holds the lanes driven) is named in `derived`.
    Raises DataError where somebody is beyond this planet: what follows would look for neighbours for ever.
    """
    _on_this_planet(drive)
    drive = _with_place(drive)
    if not drive.has("pose"):
        return drive
    if drive.map is not None:
        drive = _with_lane(drive, Roads(drive.map))
    if "command" not in drive:
        drive = _with(drive, command=_command(drive))
        drive = replace(drive, derived=drive.derived | {"command"})
    if drive.objects is not None and drive.has("speed"):
        drive = _with(drive, **_leader(drive))
    return drive


def _on_this_planet(drive: Drive) -> None:
    told = [("", drive.columns), ("objects.", drive.objects.columns if drive.objects is not None else {})]
    for owner, columns in told:
        for name in ("x", "y"):
            far = np.abs(columns.get(name, np.zeros(0))) > _FURTHEST  # nan is not
            if far.any():
                found = columns[name][np.argmax(far)]
                raise DataError(
                    f"drive {drive.id}: {owner}{name} is {found:g} at row {np.argmax(far)}; expected metres"
                )
    for lane in drive.map.lanes if drive.map is not None else ():
        if len(lane.centre) == 1 or any((np.abs(line) > _FURTHEST).any() for line in (lane.centre, lane.polygon)):
            raise DataError(f"drive {drive.id}: lane {lane.id} is a single point or has no end; expected metres")


def _with(drive: Drive, **columns: Array) -> Drive:
    return replace(drive, columns={**drive.columns, **columns})


def _with_place(drive: Drive) -> Drive:
    """Where each instant was: the town, or the 500 m cell of a global position, or else the drive itself."""
    if "place" in drive:
        return drive
    if "town" in drive.facts or not drive.frame or not drive.has("pose"):
        town = str(drive.facts.get("town", drive.id))
        return replace(_with(drive, place=np.zeros(len(drive), np.int16)), places=(town,))
    known = np.isfinite(drive["x"]) & np.isfinite(drive["y"])
    cells = np.zeros((len(drive), 2), np.int64)
    cells[known] = np.floor(np.stack([drive["x"], drive["y"]], -1)[known] / CELL)
    # An instant without a position is where the one before it was.
    last = np.maximum.accumulate(np.where(known, np.arange(len(drive)), 0))
    found, index = np.unique(cells[last], axis=0, return_inverse=True)
    names = tuple(f"{drive.frame}:{x}:{y}" for x, y in found.tolist())
    return replace(_with(drive, place=index.reshape(-1).astype(np.int16)), places=names)


def _with_lane(drive: Drive, roads: Roads) -> Drive:
    """The route, and the offset and limit of the lane that the ego is in."""
    poses = drive.poses
    if not drive.route:
        drive = replace(drive, route=roads.match(poses), derived=drive.derived | {"route"})
    lane, _, offset, _ = roads.nearest(poses[:, :2], poses[:, 2])
    columns: dict[str, Array] = {"lane_offset": np.where(lane >= 0, offset, np.nan)}
    limits = np.array([one.speed_limit for one in roads.map.lanes])
    if "speed_limit" not in drive and np.isfinite(limits).any():
        columns["speed_limit"] = np.where(lane >= 0, limits[lane], np.nan)
    return _with(drive, **columns)


def _command(drive: Drive) -> Array:
    """Follow, left, straight or right from the turn of the next 40 m driven; unknown where the drive ends before.

    Straight is going on through a junction, which only a map can tell from following the road.
    """
    x, y, yaw = drive["x"], drive["y"], drive["yaw"]
    known = np.isfinite(x) & np.isfinite(yaw)
    out = np.full(len(drive), Command.UNKNOWN, np.int8)
    if known.sum() < 2:
        return out
    row = np.flatnonzero(known)
    travelled = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x[row]), np.diff(y[row])))])
    heading = np.unwrap(yaw[row])
    ahead = np.searchsorted(travelled, travelled + _LOOK_AHEAD)
    there = ahead < len(row)
    turn = heading[np.minimum(ahead, len(row) - 1)] - heading
    command = np.where(turn > _TURN, Command.LEFT, np.where(turn < -_TURN, Command.RIGHT, Command.FOLLOW))
    if drive.map is not None and drive.map.lanes:
        roads = Roads(drive.map)
        lane = roads.nearest(np.stack([x[row], y[row]], -1), yaw[row])[0]
        junction = (lane >= 0) & np.array([one.junction for one in drive.map.lanes])[lane]
        through = np.concatenate([[0], np.cumsum(junction)])
        crosses = through[np.minimum(ahead, len(row) - 1)] - through[:-1] > 0
        command = np.where((command == Command.FOLLOW) & crosses, Command.STRAIGHT, command)
    out[row[there]] = command[there]
    return out


def _leader(drive: Drive) -> dict[str, Array]:
    """The vehicle ahead on the route, or on the arc of the present turn where there is no map."""
    observer = Observer(drive)
    needs = ("objects", "route") if drive.has("route") else ("objects",)
    gap, speed = np.full(len(drive), np.nan), np.full(len(drive), np.nan)
    track = np.full(len(drive), -1, np.int64)
    front = drive.vehicle.front
    for start in range(0, len(drive), _BATCH):
        instants = np.arange(start, min(start + _BATCH, len(drive)))
        seen = observer.observe(instants, needs, (0.0,))
        if seen.objects is None:
            continue
        path = seen.route if seen.route is not None else _arc(seen)
        vehicle = np.isin(seen.objects["kind"], [*MOTOR_VEHICLES, Kind.BICYCLE, Kind.UNKNOWN])
        objects = {**seen.objects, "valid": seen.objects["valid"] & vehicle}
        ahead, ahead_speed, index = leader_on(held(path), objects, drive.vehicle.width, front)
        there = index >= 0
        gap[instants[there]] = ahead[there]
        speed[instants[there]] = ahead_speed[there]
        track[instants[there]] = objects["track"][there, index[there]]
    return {"leader_gap": gap, "leader_speed": speed, "leader_track": track}


def _arc(seen: Observation) -> Floats:
    """The path ahead (B, G, 2) if the car goes on turning as now."""
    speed = np.maximum(np.nan_to_num(seen.speed[:, -1:]), 1.0)
    t = Observation.ROUTE_STEP * np.arange(ROUTE_POINTS) / speed  # (B, G)
    return constant_turn(speed, np.nan_to_num(seen.yaw_rate[:, -1:]), t)[..., :2]
