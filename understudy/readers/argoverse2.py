"""Argoverse 2 sensor logs: poses at about 170 Hz, cuboids at 10 Hz, a vector map, pictures where they are there.

The instants are the stamps of the cuboids. The ego frame of the dataset has its origin at the rear axle, at the axle's
height; poses and map are in a city frame. Cuboids are given in the ego frame of their own stamp.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import feather
from scipy.spatial.transform import Rotation, Slerp

from understudy.errors import DataError
from understudy.geometry import rigid, rotation, yaw_of
from understudy.readers import folder
from understudy.readers.argoverse2_map import city, read_map
from understudy.readers.images import ImageFiles
from understudy.readers.kinematics import FITTED, check_time, motion, rate_hz
from understudy.readers.tracks import objects, velocities
from understudy.records import (
    NS,
    Array,
    Camera,
    Drive,
    Driver,
    Floats,
    Ints,
    Kind,
    Objects,
    Vehicle,
)

EXPECTED = "folders of Argoverse 2 sensor logs, each with city_SE3_egovehicle.feather, an annotations file and map/"
POSES = "city_SE3_egovehicle.feather"
CUBOIDS = ("annotations_with_ego.feather", "annotations.feather")
HOLE_S = 0.25  # nothing is interpolated between poses farther apart
GROUND_M = -0.31  # of the ego frame: 0.30 and 0.32 m above the ground raster in the two logs at hand
FORD_FUSION = Vehicle(length=4.87, width=2.0, height=1.47, wheelbase=2.85, rear_overhang=1.1)

KINDS = {
    "REGULAR_VEHICLE": Kind.CAR,
    "LARGE_VEHICLE": Kind.TRUCK,
    "BOX_TRUCK": Kind.TRUCK,
    "TRUCK": Kind.TRUCK,
    "TRUCK_CAB": Kind.TRUCK,
    "VEHICULAR_TRAILER": Kind.TRUCK,
    "MESSAGE_BOARD_TRAILER": Kind.BARRIER,
    "TRAFFIC_LIGHT_TRAILER": Kind.BARRIER,
    "BUS": Kind.BUS,
    "SCHOOL_BUS": Kind.BUS,
    "ARTICULATED_BUS": Kind.BUS,
    "RAILED_VEHICLE": Kind.BUS,
    "MOTORCYCLE": Kind.MOTORCYCLE,
    "MOTORCYCLIST": Kind.MOTORCYCLE,
    "BICYCLE": Kind.BICYCLE,
    "BICYCLIST": Kind.BICYCLE,
    "WHEELED_RIDER": Kind.BICYCLE,
    "WHEELED_DEVICE": Kind.BICYCLE,
    "PEDESTRIAN": Kind.PEDESTRIAN,
    "OFFICIAL_SIGNALER": Kind.PEDESTRIAN,
    "STROLLER": Kind.PEDESTRIAN,
    "WHEELCHAIR": Kind.PEDESTRIAN,
    "ANIMAL": Kind.ANIMAL,
    "DOG": Kind.ANIMAL,
    "CONSTRUCTION_CONE": Kind.CONE,
    "CONSTRUCTION_BARREL": Kind.CONE,
    "BOLLARD": Kind.BARRIER,
    "SIGN": Kind.BARRIER,
    "STOP_SIGN": Kind.BARRIER,
    "MOBILE_PEDESTRIAN_CROSSING_SIGN": Kind.BARRIER,
}


@dataclass(frozen=True)
class Argoverse2:
    """One drive per log, with the map around it."""

    margin: float = 150.0  # metres of map kept around the path

    def scan(self, root: Path) -> Iterator[str]:
        root = Path(root)
        return folder.found((folder.key_of(path.parent, root) for path in root.rglob(POSES)), root, EXPECTED)

    def fingerprint(self, root: Path, key: str) -> str:
        log = folder.drive_folder(Path(root), key)
        files = [log / POSES, *(log / name for name in CUBOIDS), *log.glob("map/*"), *log.glob("calibration/*")]
        return folder.fingerprint(log, [*files, *log.glob("sensors/cameras/*/*.jpg")])

    def read(self, root: Path, key: str) -> Drive:
        log = folder.drive_folder(Path(root), key)
        poses = _table(log / POSES)
        cuboids = _table(next((log / name for name in CUBOIDS if (log / name).is_file()), log / CUBOIDS[1]))
        with folder.reading(f"log {key} as Argoverse 2's", log):
            name = folder.drive_id("argoverse2", log.resolve().name, self.fingerprint(root, key))
            return self._drive(name, log, poses, cuboids)

    def _drive(self, name: str, log: Path, poses: Mapping[str, Array], cuboids: Mapping[str, Array]) -> Drive:
        poses, missing = _known(poses)
        stamps = poses["timestamp_ns"]
        check_time(stamps, name, "pose")
        t_ns = np.unique(cuboids["timestamp_ns"])
        t_ns = t_ns[(t_ns >= stamps[0]) & (t_ns <= stamps[-1])]
        if len(t_ns) < 2:
            raise DataError(f"{name}: {len(t_ns)} cuboid stamps lie within the poses' time, and a drive needs 2")
        planar = np.stack([poses["tx_m"], poses["ty_m"], yaw_of(_rotation(poses))], axis=-1)
        quick = motion(stamps, planar)
        city_T_ego = _at(stamps, poses, t_ns)
        columns = {
            "x": city_T_ego[:, 0, 3],
            "y": city_T_ego[:, 1, 3],
            "yaw": yaw_of(city_T_ego[:, :3, :3]),
            **{column: np.interp(t_ns - t_ns[0], stamps - t_ns[0], values) for column, values in quick.items()},
            "who_drives": np.full(len(t_ns), Driver.HUMAN),
        }
        near = _near(stamps, t_ns)
        for column in ("x", "y", "yaw", *quick):
            columns[column] = np.where(near, columns[column], np.nan)
        archive = next(iter(sorted(log.glob("map/log_map_archive_*.json"))), None)
        return Drive(
            id=name,
            t_ns=t_ns,
            columns=columns,
            vehicle=_vehicle(cuboids),
            cameras=tuple(_cameras(log)),
            objects=_objects(t_ns, t_ns[near], city_T_ego, cuboids),
            map=read_map(archive, city_T_ego[:, :2, 3], self.margin) if archive else None,
            frame=city(archive) if archive else "",
            derived=FITTED,
            facts={
                "dataset": "argoverse2",
                "rates_hz": {"pose": rate_hz(stamps), "objects": rate_hz(t_ns)},
                **({"nan_poses": missing} if missing else {}),
            },
        )


def _table(path: Path) -> dict[str, Array]:
    """The columns of a feather file."""
    with folder.reading("a feather table", path):
        try:
            table = feather.read_table(path, memory_map=False)
            table.validate(full=True)  # Arrow itself follows any offset that a file tells
            return {name: table.column(name).to_numpy() for name in table.column_names}
        except pa.ArrowException as error:
            raise ValueError(error) from error


def _known(poses: Mapping[str, Array]) -> tuple[dict[str, Array], int]:
    """The rows whose pose is finite, and how many are not."""
    fine = np.isfinite(np.stack([values for name, values in poses.items() if name != "timestamp_ns"])).all(axis=0)
    return {name: values[fine] for name, values in poses.items()}, int((~fine).sum())


def _near(stamps: Ints, t_ns: Ints) -> Array:
    """Which instants are those of a pose, or lie between two poses that are at most HOLE_S apart."""
    after = np.clip(np.searchsorted(stamps, t_ns), 1, len(stamps) - 1)
    return np.isin(t_ns, stamps) | ((stamps[after] - stamps[after - 1]) / NS <= HOLE_S)


def _rotation(rows: Mapping[str, Array]) -> Floats:
    return rotation(rows["qw"], rows["qx"], rows["qy"], rows["qz"])


def _translation(rows: Mapping[str, Array]) -> Floats:
    return np.stack([rows["tx_m"], rows["ty_m"], rows["tz_m"]], axis=-1)


def _at(stamps: Ints, poses: Mapping[str, Array], t_ns: Ints) -> Floats:
    """city_T_ego (T, 4, 4) at other stamps: linear in position, along the shortest rotation in attitude."""
    t, at = (stamps - stamps[0]) / NS, (t_ns - stamps[0]) / NS
    attitude = Slerp(t, Rotation.from_quat(np.stack([poses["qx"], poses["qy"], poses["qz"], poses["qw"]], -1)))(at)
    place = np.stack([np.interp(at, t, column) for column in _translation(poses).T], axis=-1)
    return rigid(attitude.as_matrix(), place)


def _vehicle(cuboids: Mapping[str, Array]) -> Vehicle:
    """The ego's box where the log has it; its axles are those of the Ford Fusion that the dataset was driven with."""
    ego = np.flatnonzero(cuboids["category"] == "EGO_VEHICLE")[:1]
    if len(ego) == 0:
        return FORD_FUSION
    length, width, height = (float(cuboids[f"{side}_m"][ego[0]]) for side in ("length", "width", "height"))
    return Vehicle(length, width, height, FORD_FUSION.wheelbase, FORD_FUSION.rear_overhang)


def _objects(t_ns: Ints, placed: Ints, city_T_ego: Floats, cuboids: Mapping[str, Array]) -> Objects:
    """All cuboids but the ego's, in the city frame, at the instants where the ego's place in it is known."""
    kept = (cuboids["category"] != "EGO_VEHICLE") & np.isin(cuboids["timestamp_ns"], placed)
    rows = {name: values[kept] for name, values in cuboids.items()}
    instant = np.searchsorted(t_ns, rows["timestamp_ns"])
    city_T_box = city_T_ego[instant] @ rigid(_rotation(rows), _translation(rows))  # (R, 4, 4)
    x, y = city_T_box[:, 0, 3], city_T_box[:, 1, 3]
    _, track = np.unique(rows["track_uuid"].astype(str), return_inverse=True)
    vx, vy = velocities(rows["timestamp_ns"], track, x, y)
    columns = {
        "track": track,
        "kind": np.array([KINDS.get(category, Kind.UNKNOWN) for category in rows["category"]], np.int8),
        "x": x,
        "y": y,
        "z": rows["tz_m"] - GROUND_M,
        "yaw": yaw_of(city_T_box[:, :3, :3]),
        "vx": vx,
        "vy": vy,
        **{side: rows[f"{side}_m"] for side in ("length", "width", "height")},
    }
    return objects(len(t_ns), instant, columns)


def _cameras(log: Path) -> Iterator[Camera]:
    """The calibrated cameras whose pictures (named by their stamps) are there."""
    folders = {path.name: path for path in sorted(log.glob("sensors/cameras/*")) if any(path.glob("*.jpg"))}
    if not folders:
        return
    lens = _rows_by_sensor(log / "calibration/intrinsics.feather")
    mount = _rows_by_sensor(log / "calibration/egovehicle_SE3_sensor.feather")
    for name, pictures in folders.items():
        paths = sorted(pictures.glob("*.jpg"), key=lambda path: int(path.stem))
        of, at = lens[name], mount[name]
        size = int(of["width_px"]), int(of["height_px"])
        ego_T_cam = rigid(_rotation(at), _translation(at) - np.array([0, 0, GROUND_M]))
        yield Camera(
            name=name,
            size=size,
            t_ns=np.array([int(path.stem) for path in paths], dtype=np.int64),
            pictures=ImageFiles(tuple(paths), size),
            K=np.array([[of["fx_px"], 0, of["cx_px"]], [0, of["fy_px"], of["cy_px"]], [0, 0, 1]], dtype=np.float64),
            ego_T_cam=ego_T_cam,
            distortion="brown",
            coefficients=(float(of["k1"]), float(of["k2"]), 0.0, 0.0, float(of["k3"])),
        )


def _rows_by_sensor(path: Path) -> dict[str, dict[str, Any]]:
    table = _table(path)
    rows = (dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True))
    return {row["sensor_name"]: row for row in rows}
