"""A drive in which nothing happens, with everything that a trigger can look at; and the same with something planted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from understudy.geometry import compose, constant_turn, move, wrap
from understudy.metrics import SUBSCORES
from understudy.records import (
    NS,
    PLAN_STEPS,
    Array,
    Drive,
    Driver,
    Floats,
    Kind,
    Lane,
    Light,
    Lights,
    Map,
    Objects,
    Plan,
    Shadow,
)

SECONDS = 30.0
LEADER, ONCOMING, PARKED, WALKER = range(4)
WIDTH = 3.5


def calm(speed: float = 10.0, yaw_rate: float = 0.0, rate_hz: float = 10.0) -> Drive:
    """Half a minute at constant speed and turn, on its own lane, behind a leader, past others beside the road."""
    t = np.arange(round(SECONDS * rate_hz) + 1) / rate_hz
    one = np.ones(len(t))
    poses = _on_arc(speed * t, 0.0, yaw_rate / speed)
    ego = {"x": poses[:, 0], "y": poses[:, 1], "yaw": poses[:, 2]}
    return Drive(
        id="calm",
        t_ns=(t * NS).round().astype(np.int64),
        columns={
            **ego,
            "speed": speed * one,
            "lane_offset": 0 * one,
            "accel": 0 * one,
            "yaw_rate": yaw_rate * one,
            "steer": 0.1 * one,
            "throttle": 0.2 * one,
            "who_drives": Driver.MODEL * one,
            "leader_track": LEADER * one,
            "leader_gap": 20.0 * one,
            "leader_speed": speed * one,
            "place": 0 * one,
        },
        objects=_others(t, speed, yaw_rate / speed),
        lights=Lights(("ahead",), np.full((1, 3), np.nan), np.full((len(t), 1), Light.GREEN)),
        map=_road(speed * SECONDS, yaw_rate / speed),
        places=("here",),
        shadows={name: _shadow(name, len(t)) for name in ("one", "other")},
    )


def _on_arc(s: Floats, left: float | Floats, curvature: float) -> Floats:
    """Poses (..., 3) beside an arc from the origin, at distances `s` along it."""
    arc = constant_turn(np.ones_like(s), np.full_like(s, curvature), s)
    return compose(arc, np.stack(np.broadcast_arrays(0.0 * s, left, 0.0), axis=-1))


def _others(t: Floats, speed: float, curvature: float) -> Objects:
    """A leader, a car in the oncoming lane, one parked and a pedestrian on the pavement; each always there."""
    front = 4.6 - 0.9
    along = np.stack([speed * t + front + 20.0 + 2.3, 200.0 - 9.0 * t, 150 + 0 * t, 160 - 1.0 * t])  # (4, T)
    left = np.array([0.0, WIDTH, -WIDTH, -6.0])[:, None]
    pose = _on_arc(along, left + 0 * along, curvature)
    yaw = wrap(pose[..., 2] + np.array([0, np.pi, 0, np.pi])[:, None])
    pace = np.array([speed, 9.0, 0.0, 1.0])[:, None] * (1 + left * -curvature)  # of who goes round another radius
    columns = {
        "track": np.arange(4)[:, None],
        "kind": np.array([Kind.CAR, Kind.CAR, Kind.TRUCK, Kind.PEDESTRIAN])[:, None],
        "x": pose[..., 0],
        "y": pose[..., 1],
        "yaw": yaw,
        "length": np.array([4.6, 4.6, 8.0, 0.6])[:, None],
        "width": np.array([1.9, 1.9, 2.5, 0.6])[:, None],
        "vx": pace * np.cos(yaw),
        "vy": pace * np.sin(yaw),
        "brake_light": np.zeros((4, 1)),
    }
    return Objects(
        4 * np.arange(len(t) + 1), {name: np.broadcast_to(v, along.shape).T.ravel() for name, v in columns.items()}
    )


def _road(length: float, curvature: float) -> Map:
    """The ego's lane to its stop line at 150 m, the lane beyond it, and one the other way beside both."""

    def lane(id: str, start: float, end: float, left: float, back: bool = False) -> Lane:
        s = np.linspace(start, end, 60)
        lines = [_on_arc(s, left + side, curvature)[:, :2] for side in (0.0, WIDTH / 2, -WIDTH / 2)]
        centre, edge, other = (line[::-1] if back else line for line in lines)
        return Lane(id, centre, np.concatenate([edge, other[::-1]]))

    return Map(
        lanes=(
            lane("ahead", -50.0, 150.0, 0.0),
            lane("beyond", 150.0, length + 100, 0.0),
            lane("back", -50.0, length + 100, WIDTH, back=True),
        )
    )


def _shadow(name: str, count: int) -> Shadow:
    """A policy that plans what was driven."""
    one = np.ones(count)
    return Shadow(
        name,
        Plan(np.zeros((count, 1, PLAN_STEPS, 4)), one[:, None], spread=one),
        {
            **{key: 0 * one for key in ("mean_displacement", "final_displacement", "min_displacement")},
            "lateral_difference": 0 * one,
            "speed_difference": 0 * one,
            "spread": one,
            **{f"{who}_{key}": one for who in ("plan", "human") for key in (*SUBSCORES, "score")},
        },
    )


# Planting -------------------------------------------------------------------------------------------------------------


def during(drive: Drive, start: float, end: float) -> Array:
    """Which instants lie within a span of seconds."""
    return (drive.t_s >= start - 1e-6) & (drive.t_s <= end + 1e-6)


def with_columns(drive: Drive, **columns: Any) -> Drive:
    return replace(drive, columns={**drive.columns, **columns})


def with_value(drive: Drive, start: float, end: float, **values: float) -> Drive:
    """The drive with columns at other values for a while."""
    mask = during(drive, start, end)
    return with_columns(drive, **{name: np.where(mask, value, drive[name]) for name, value in values.items()})


def with_object(drive: Drive, track: int, change: Callable[[Floats, dict[str, Array]], None]) -> Drive:
    """The drive with the columns of one object changed in place by a function of them and their times."""
    assert drive.objects is not None
    columns = {name: values.copy() for name, values in drive.objects.columns.items()}
    rows = columns["track"] == track
    held = {name: values[rows] for name, values in columns.items()}
    change(drive.t_s[drive.objects.instant[rows]], held)
    for name, values in held.items():
        columns[name][rows] = values
    return replace(drive, objects=Objects(drive.objects.starts, columns))


def without_rows(drive: Drive, gone: Callable[[Floats, Mapping[str, Array]], Array]) -> Drive:
    """The drive without some rows of its objects, told from their times and columns."""
    assert drive.objects is not None
    instant, columns = drive.objects.instant, drive.objects.columns
    kept = ~gone(drive.t_s[instant], columns)
    counts = np.bincount(instant[kept], minlength=len(drive))
    starts = np.concatenate([[0], np.cumsum(counts)])
    return replace(drive, objects=Objects(starts, {name: values[kept] for name, values in columns.items()}))


def with_shadow(drive: Drive, start: float, end: float, name: str = "one", **values: float) -> Drive:
    """The drive with columns of one shadow run at other values for a while."""
    run, mask = drive.shadows[name], during(drive, start, end)
    columns = {**run.columns, **{key: np.where(mask, value, run.columns[key]) for key, value in values.items()}}
    return replace(drive, shadows={**drive.shadows, name: replace(run, columns=columns)})


# The same elsewhere ---------------------------------------------------------------------------------------------------


def elsewhere(drive: Drive, map_T_old: Floats, later_ns: int) -> Drive:
    """The same drive with another origin and heading of the map frame, and another start time."""
    turn = map_T_old[2]

    def line(points: Floats) -> Floats:
        return move(map_T_old, points)

    poses = compose(map_T_old, drive.poses)
    drive = with_columns(drive, x=poses[:, 0], y=poses[:, 1], yaw=poses[:, 2])
    assert drive.objects is not None and drive.map is not None
    o = drive.objects.columns
    place = compose(map_T_old, np.stack([o["x"], o["y"], o["yaw"]], axis=-1))
    velocity = move(np.array([0.0, 0.0, turn]), np.stack([o["vx"], o["vy"]], axis=-1))
    columns = {**o, "x": place[:, 0], "y": place[:, 1], "yaw": place[:, 2], "vx": velocity[:, 0], "vy": velocity[:, 1]}
    lanes = tuple(replace(one, centre=line(one.centre), polygon=line(one.polygon)) for one in drive.map.lanes)
    return replace(
        drive,
        t_ns=drive.t_ns + later_ns,
        objects=Objects(drive.objects.starts, columns),
        map=replace(drive.map, lanes=lanes),
    )
