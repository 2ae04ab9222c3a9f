"""ScenarioNet: one scenario a pickle, with the tracks of the ego and of others at 10 Hz and a map of lanes.

Written after its nuScenes converter, whose habits are mended here and counted in `facts`:

- The ego's positions are every fifth message of the CAN bus, whose dropped messages make it jump ahead or wait. Its
  path is kept; where it was on the path at what time is taken from the median of its speed.
- Velocities are differences to the next row, zero at the end of a track: they are computed again, for the ego and for
  others, from positions.
- The ego's length and width are swapped, and its position is its rear axle; others' positions are the centres.
- The map: see `scenarionet_map`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import median_filter

from understudy.errors import DataError
from understudy.geometry import compose, wrap
from understudy.readers import folder, restricted_pickle
from understudy.readers.kinematics import FITTED, check_time, motion, rate_hz
from understudy.readers.scenarionet_map import parted_at_stops, read_map
from understudy.readers.tracks import objects, velocities
from understudy.records import (
    NS,
    OBJECT_COLUMNS,
    Array,
    Drive,
    Driver,
    Floats,
    Ints,
    Kind,
    Light,
    Lights,
    Objects,
    Vehicle,
)

EXPECTED = "a folder of ScenarioNet scenarios (sd_*.pkl or 0.pkl, 1.pkl, ...)"
SUMMARIES = ("dataset_summary.pkl", "dataset_mapping.pkl")
ZOE = Vehicle(length=4.08, width=1.73, height=1.56, wheelbase=2.588, rear_overhang=0.657)  # nuScenes drove Renault Zoes

KINDS = (  # the first that a type begins with: nuScenes' categories, then MetaDrive's types
    ("vehicle.car", Kind.CAR),
    ("vehicle.bus", Kind.BUS),
    ("vehicle.motorcycle", Kind.MOTORCYCLE),
    ("vehicle.bicycle", Kind.BICYCLE),
    ("vehicle.emergency", Kind.EMERGENCY),
    ("vehicle.", Kind.TRUCK),
    ("human.", Kind.PEDESTRIAN),
    ("animal", Kind.ANIMAL),
    ("movable_object.trafficcone", Kind.CONE),
    ("movable_object.barrier", Kind.BARRIER),
    ("movable_object.", Kind.DEBRIS),
    ("VEHICLE", Kind.CAR),
    ("CYCLIST", Kind.BICYCLE),
    ("PEDESTRIAN", Kind.PEDESTRIAN),
    ("TRAFFIC_CONE", Kind.CONE),
    ("TRAFFIC_BARRIER", Kind.BARRIER),
)
LIGHTS = (
    ("RED", Light.RED),
    ("STOP", Light.RED),
    ("YELLOW", Light.YELLOW),
    ("CAUTION", Light.YELLOW),
    ("GREEN", Light.GREEN),
    ("GO", Light.GREEN),
)


@dataclass(frozen=True)
class ScenarioNet:
    """One drive per scenario, with the map around it."""

    margin: float = 150.0  # metres of map kept around the path

    def scan(self, root: Path) -> Iterator[str]:
        root = Path(root)
        files = (path for path in root.rglob("*.pkl") if path.name not in SUMMARIES)
        return folder.found((path.relative_to(root).with_suffix("").as_posix() for path in files), root, EXPECTED)

    def fingerprint(self, root: Path, key: str) -> str:
        path = folder.inside(Path(root), f"{key}.pkl")
        return folder.fingerprint(path.parent, [path])

    def read(self, root: Path, key: str) -> Drive:
        path = folder.inside(Path(root), f"{key}.pkl")
        scenario = restricted_pickle.load(path)
        with folder.reading(f"scenario {key} as ScenarioNet's", path):
            name = folder.drive_id("scenarionet", str(scenario["id"]), self.fingerprint(root, key))
            return self._drive(name, scenario)

    def _drive(self, name: str, scenario: Mapping[str, Any]) -> Drive:
        about, tracks = scenario["metadata"], dict(scenario["tracks"])
        dataset = str(about.get("dataset", ""))
        ego = _states(tracks.pop(about["sdc_id"]))
        known = np.flatnonzero(ego["known"])
        if len(known) < 2:
            raise DataError(f"{name}: the ego's pose is known in {len(known)} rows, and a drive needs 2")
        rows = slice(known[0], known[-1] + 1)
        holes = int(rows.stop - rows.start - len(known))
        t_ns = np.round(np.asarray(about["ts"], dtype=np.float64)[rows] * NS).astype(np.int64)
        check_time(t_ns, name)
        vehicle = ZOE if dataset == "nuscenes" else _vehicle(ego)
        poses = np.stack([ego["x"], ego["y"], ego["yaw"]], axis=-1)[rows]
        poses[~ego["known"][rows]] = np.nan
        moved = 0.0
        if dataset == "nuscenes":
            poses, moved = _retimed(t_ns, poses)
        else:  # MetaDrive's positions are the centres of boxes
            poses = compose(poses, np.array([-vehicle.centre_x, 0.0, 0.0]))
        said = scenario.get("dynamic_map_states") or {}
        lights, map = _lights(said, rows), read_map(scenario["map_features"], poses[:, :2], self.margin, dataset)
        if lights is not None and map is not None:
            map, lights = parted_at_stops(map, lights, _stop_points(said))
        first = int(np.argmax(ego["known"]))
        # Newer converters make the ego's first place the origin.
        local = np.hypot(ego["x"][first], ego["y"][first]) < 1e-3
        return Drive(
            id=name,
            t_ns=t_ns,
            columns={
                **dict(zip(("x", "y", "yaw"), poses.T, strict=True)),
                **motion(t_ns, poses),
                "who_drives": np.full(len(t_ns), Driver.HUMAN),
            },
            vehicle=vehicle,
            objects=_objects(t_ns, tracks, rows, float(ego["z"][known[0]])),
            lights=lights,
            map=map,
            frame="" if local else str(about.get("map", "")),
            derived=FITTED,
            facts={
                "dataset": dataset,
                "scene": str(scenario.get("id", "")),
                "date": str(about.get("date", "")),
                "rates_hz": {"pose": rate_hz(t_ns), "objects": rate_hz(t_ns)},
                "retimed_m": round(moved, 3),
                **({"nan_poses": holes} if holes else {}),
            },
        )


def _states(track: Mapping[str, Any]) -> dict[str, Array]:
    """x, y, z, yaw, length, width and height of a track, and in which rows they are known, each (T,)."""
    state = track["state"]
    known = np.asarray(state["valid"]).reshape(-1) > 0
    x, y, z = np.asarray(state["position"], dtype=np.float64).T
    columns = {"x": x, "y": y, "z": z, "yaw": wrap(np.asarray(state["heading"], dtype=np.float64).reshape(-1))}
    for side in ("length", "width", "height"):
        columns[side] = np.broadcast_to(np.asarray(state[side], dtype=np.float64).reshape(-1), known.shape)
    return {**columns, "known": known & np.isfinite(x + y + columns["yaw"])}


def _vehicle(ego: Mapping[str, Array]) -> Vehicle:
    """The ego's body, longer than it is wide, with the proportions of a car."""
    width, length = sorted(float(np.median(ego[side][ego["known"]])) for side in ("length", "width"))
    height = float(np.median(ego["height"][ego["known"]]))
    return Vehicle(length, width, height, wheelbase=0.61 * length, rear_overhang=0.2 * length)


def _retimed(t_ns: Ints, poses: Floats) -> tuple[Floats, float]:
    """The same path driven at the running median of the speed, and how far a pose was moved along it at most.

    A dropped message shows as one step longer than its neighbours, and where the messages run out before the scene
    does, the car steps back to where it really was (2.8 m in scene-0655): the median of nine steps sees neither. The
    speed is scaled so that both ends stay where they were. A car that stands or reverses is left alone.
    """
    t = (t_ns - t_ns[0]) / NS
    step, heading = np.diff(poses[:, :2], axis=0), poses[:-1, 2]
    s = np.concatenate([[0.0], np.cumsum(step[:, 0] * np.cos(heading) + step[:, 1] * np.sin(heading))])
    speed = median_filter(np.diff(s) / np.diff(t), size=9, mode="nearest")
    if not np.isfinite(s).all() or s[-1] < 1 or speed.min() < -0.5:
        return poses, 0.0
    steady = np.concatenate([[0.0], np.cumsum(np.maximum(speed, 0) * np.diff(t))])
    if steady[-1] <= 0:  # one step of a car that stands otherwise
        return poses, 0.0
    steady *= s[-1] / steady[-1]
    ahead = np.concatenate([[True], s[1:] > np.maximum.accumulate(s)[:-1]])
    columns = [np.interp(steady, s[ahead], column[ahead]) for column in (*poses[:, :2].T, np.unwrap(poses[:, 2]))]
    return np.stack([*columns[:2], wrap(columns[2])], axis=-1), float(np.abs(steady - s).max())


def _objects(t_ns: Ints, tracks: Mapping[str, Any], rows: slice, ground: float) -> Objects:
    """All known rows of all tracks but the ego's."""
    parts: list[dict[str, Array]] = []
    for number, key in enumerate(sorted(tracks)):
        states = {name: values[rows] for name, values in _states(tracks[key]).items()}
        instant = np.flatnonzero(states.pop("known"))
        kind = _kind(str((tracks[key].get("metadata") or {}).get("type", "")), str(tracks[key]["type"]))
        part = {name: values[instant] for name, values in states.items()}
        same = {name: np.full(len(instant), value) for name, value in (("track", number), ("kind", kind))}
        parts.append({**part, **same, "instant": instant})
    if not parts:
        return objects(len(t_ns), np.zeros(0, np.int64), dict.fromkeys(OBJECT_COLUMNS, np.zeros(0)))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    instant = columns.pop("instant")
    columns["z"] -= ground
    columns["vx"], columns["vy"] = velocities(t_ns[instant], columns["track"], columns["x"], columns["y"])
    return objects(len(t_ns), instant, columns)


def _kind(*labels: str) -> Kind:
    return next((kind for label in labels for prefix, kind in KINDS if label.startswith(prefix)), Kind.UNKNOWN)


def _lights(states: Mapping[str, Any], rows: slice) -> Lights | None:
    """One light per lane; where the lamp hangs is not known."""
    if not states:
        return None
    columns = []
    for light in states.values():
        said = [str(word) for word in list(light["state"]["object_state"])[rows]]
        columns.append([next((state for word, state in LIGHTS if word in text), Light.UNKNOWN) for text in said])
    lanes = tuple(str(light.get("lane", key)) for key, light in states.items())
    return Lights(lanes, np.full((len(lanes), 3), np.nan), np.array(columns, dtype=np.int8).T)


def _stop_points(states: Mapping[str, Any]) -> Floats:
    """Where on the road each light stops traffic, (L, 2); nan where it is not told."""
    points = np.full((len(states), 2), np.nan)
    for row, light in enumerate(states.values()):
        if (told := light.get("stop_point")) is not None:
            points[row] = np.asarray(told, np.float64)[[0, 1]]
    return points
