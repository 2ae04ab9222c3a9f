"""PandaSet: 8 s at 10 Hz from San Francisco, six cameras, poses, cuboids. No map.

The instants are the stamps of the lidar's sweeps. The dataset gives every pose in a world frame; its body frame is x
right, y forward, z up, and its origin lies 0.39 m above the ground. Where on the car that is, is not told: it is taken
for the rear axle. Camera poses are given at the pictures' own stamps, so a camera's mounting is the mean of all of
them, each seen from where the car was then.

The cuboids come as gzipped pickles of pandas, which are programs, and are not opened. They are read from
`cuboids.csv.gz` (`annotations/` in the log, `converted/LOG/` beside it, or `converted/` where no other log lies), whose
rows are those of the pickles with the number of their frame before them; without it a drive has no objects.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from understudy.errors import DataError
from understudy.geometry import rigid, wrap, yaw_of
from understudy.readers import folder
from understudy.readers.images import ImageFiles, first_size
from understudy.readers.kinematics import FITTED, check_time, motion, rate_hz
from understudy.readers.tracks import objects, velocities
from understudy.records import NS, Camera, Drive, Floats, Ints, Kind, Objects, Vehicle

EXPECTED = "folders of PandaSet, each with lidar/poses.json and camera/"
POSES, STAMPS, TABLE = "poses.json", "timestamps.json", "cuboids.csv.gz"
LARGEST = 1 << 27  # bytes of a table of cuboids as text: a hundred logs' worth; a small file may unpack to anything
GROUND_M = -0.39  # of the body frame: the median underside of the cars within 20 m of the first frame
PACIFICA = Vehicle(length=5.18, width=2.02, height=1.78, wheelbase=3.09, rear_overhang=1.04)
ego_T_body = rigid(np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), np.array([0.0, 0.0, -GROUND_M]))

KINDS = {
    "Car": Kind.CAR,
    "Pickup Truck": Kind.CAR,
    "Medium-sized Truck": Kind.TRUCK,
    "Semi-truck": Kind.TRUCK,
    "Towed Object": Kind.TRUCK,
    "Other Vehicle - Construction Vehicle": Kind.TRUCK,
    "Other Vehicle - Uncommon": Kind.CAR,
    "Other Vehicle - Pedicab": Kind.BICYCLE,
    "Bus": Kind.BUS,
    "Tram / Subway": Kind.BUS,
    "Train": Kind.BUS,
    "Emergency Vehicle": Kind.EMERGENCY,
    "Motorcycle": Kind.MOTORCYCLE,
    "Motorized Scooter": Kind.BICYCLE,
    "Personal Mobility Device": Kind.BICYCLE,
    "Bicycle": Kind.BICYCLE,
    "Pedestrian": Kind.PEDESTRIAN,
    "Pedestrian with Object": Kind.PEDESTRIAN,
    "Animals - Bird": Kind.ANIMAL,
    "Animals - Other": Kind.ANIMAL,
    "Cones": Kind.CONE,
    "Pylons": Kind.CONE,
    "Road Barriers": Kind.BARRIER,
    "Temporary Construction Barriers": Kind.BARRIER,
    "Construction Signs": Kind.BARRIER,
    "Signs": Kind.BARRIER,
    "Rolling Containers": Kind.BARRIER,
}


@dataclass(frozen=True)
class Pandaset:
    """One drive for each sequence."""

    def scan(self, root: Path) -> Iterator[str]:
        root = Path(root)
        keys = (folder.key_of(path.parent.parent, root) for path in root.rglob(f"lidar/{POSES}"))
        return folder.found(keys, root, EXPECTED)

    def fingerprint(self, root: Path, key: str) -> str:
        log = folder.drive_folder(Path(root), key)
        files = {path for kind in ("json", "jpg") for path in log.rglob(f"*.{kind}")}
        files |= {path for place in ("lidar/*.json", "camera/*/*.*") for path in log.glob(place)}  # through links too
        return folder.fingerprint(log.parent, [*files, *_tables(log)])

    def read(self, root: Path, key: str) -> Drive:
        log = folder.drive_folder(Path(root), key)
        with folder.reading(f"PandaSet {key}", log):
            t_ns, world_T_body = _track(log / "lidar")
            check_time(t_ns, f"PandaSet {key}")
            tables = _tables(log)
            unused = _shared(log).is_file() and _shared(log) not in tables
            heading = wrap(yaw_of(world_T_body) + np.pi / 2)
            poses = np.column_stack([world_T_body[:, :2, 3], heading])
            return Drive(
                id=folder.drive_id("pandaset", log.resolve().name, self.fingerprint(root, key)),
                t_ns=t_ns,
                columns={"x": poses[:, 0], "y": poses[:, 1], "yaw": poses[:, 2], **motion(t_ns, poses)},
                vehicle=PACIFICA,
                cameras=tuple(_cameras(log, t_ns, world_T_body)),
                objects=_objects(tables, t_ns, world_T_body),
                derived=FITTED,
                facts={
                    "dataset": "pandaset",
                    "rates_hz": {"lidar": rate_hz(t_ns)},
                    **({"unused": [f"converted/{TABLE}"]} if unused else {}),
                },
            )


def _track(sensor: Path) -> tuple[Ints, Floats]:
    """Stamps (n,) and poses (n, 4, 4) in the world frame of a sensor."""
    stamps = json.loads((sensor / STAMPS).read_text(encoding="utf-8"))
    poses = json.loads((sensor / POSES).read_text(encoding="utf-8"))
    if len(stamps) != len(poses) or not poses:
        raise DataError(f"{len(stamps)} stamps for {len(poses)} poses; in {sensor}")
    attitude = Rotation.from_quat([[pose["heading"][axis] for axis in "xyzw"] for pose in poses])
    place = np.array([[pose["position"][axis] for axis in "xyz"] for pose in poses])
    return (np.array(stamps) * 1e6).round().astype(np.int64) * 1000, rigid(attitude.as_matrix(), place)


def _cameras(log: Path, t_ns: Ints, world_T_body: Floats) -> Iterator[Camera]:
    """The cameras whose pictures are there, and can be read."""
    for place in sorted(log.glob("camera/*")):
        paths = tuple(sorted(place.glob("*.jpg")))
        if not paths:
            continue
        stamps, world_T_cam = _track(place)
        if len(stamps) != len(paths):
            raise DataError(f"{len(paths)} pictures for {len(stamps)} stamps; in {place}")
        of: dict[str, float] = json.loads((place / "intrinsics.json").read_text(encoding="utf-8"))
        size = first_size(paths)
        if size is None:
            continue
        yield Camera(
            name=place.name.removesuffix("_camera"),
            size=size,
            t_ns=stamps,
            pictures=ImageFiles(paths, size),
            K=np.array([[of["fx"], 0, of["cx"]], [0, of["fy"], of["cy"]], [0, 0, 1]]),
            ego_T_cam=_mounting(t_ns, world_T_body, stamps, world_T_cam),
        )


def _mounting(t_ns: Ints, world_T_body: Floats, stamps: Ints, world_T_cam: Floats) -> Floats:
    """ego_T_cam (4, 4): the mean over the pictures taken while the car's pose is known."""
    t, at = (t_ns - t_ns[0]) / NS, (stamps - t_ns[0]) / NS
    known = (at >= t[0]) & (at <= t[-1])
    if not known.any():
        raise DataError("no picture was taken while the car's pose is known")
    attitude = Slerp(t, Rotation.from_matrix(world_T_body[:, :3, :3]))(at[known])
    place = np.stack([np.interp(at[known], t, world_T_body[:, axis, 3]) for axis in range(3)], axis=-1)
    body_T_cam = np.linalg.inv(rigid(attitude.as_matrix(), place)) @ world_T_cam[known]
    mean = Rotation.from_matrix(body_T_cam[:, :3, :3]).mean().as_matrix()
    return np.asarray(ego_T_body @ rigid(mean, body_T_cam[:, :3, 3].mean(axis=0)))


def _tables(log: Path) -> list[Path]:
    """Where the cuboids may be, as rows."""
    names = [log / "annotations" / TABLE, log.parent / "converted" / log.name / TABLE]
    if len(list(log.parent.glob(f"*/lidar/{POSES}"))) == 1:  # of several logs it could be anyone's
        names.append(_shared(log))
    return [path for path in names if path.is_file()][:1]


def _shared(log: Path) -> Path:
    return log.parent / "converted" / TABLE


def _objects(tables: list[Path], t_ns: Ints, world_T_body: Floats) -> Objects | None:
    """All cuboids. What both lidars saw is there twice, and is taken from the one that looks all around."""
    if not tables:
        return None
    with folder.reading("PandaSet's cuboids", tables[0]), gzip.open(tables[0]) as file:
        text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise ValueError(f"more than {LARGEST >> 20} MiB of text")
        table = csv.DictReader(StringIO(text.decode()))
        rows = [row for row in table if row["cuboids.sensor_id"] != "1" or _alone(row)]
        number = {name: np.array([float(row[name]) for row in rows]) for name in _NUMBERS}
        frame = number["frame"].astype(np.int64)
        if len(rows) and not (frame.min() >= 0 and frame.max() < len(t_ns)):
            raise ValueError(f"frames up to {frame.max()} for {len(t_ns)} instants")
        _, track = np.unique([row["uuid"] for row in rows], return_inverse=True)
    centre = np.stack([number[f"position.{axis}"] for axis in "xyz"], axis=-1)
    ego_T_world = ego_T_body @ np.linalg.inv(world_T_body)
    above = np.einsum("nj,nj->n", ego_T_world[frame, 2, :3], centre) + ego_T_world[frame, 2, 3]
    vx, vy = velocities(t_ns[frame], track, centre[:, 0], centre[:, 1])
    columns = {
        "track": track,
        "kind": np.array([KINDS.get(row["label"], Kind.UNKNOWN) for row in rows], np.int8),
        "x": centre[:, 0],
        "y": centre[:, 1],
        "z": above,
        "yaw": wrap(number["yaw"] + np.pi / 2),  # the dataset's is that of the short side
        "vx": vx,
        "vy": vy,
        "length": number["dimensions.y"],
        "width": number["dimensions.x"],
        "height": number["dimensions.z"],
    }
    return objects(len(t_ns), frame, columns)


_NUMBERS = ("frame", "yaw", *(f"{of}.{axis}" for of in ("position", "dimensions") for axis in "xyz"))


def _alone(row: dict[str, Any]) -> bool:
    """Whether a cuboid has no twin that the other lidar saw."""
    return row["cuboids.sibling_id"] in ("", "-")
