"""comma2k19: one minute of commuting a segment, with poses of the camera at 20 Hz, CAN signals and radar.

The log's poses are of the phone behind the windscreen, in an earth-centred frame. What a drive needs is the rear axle's
in a plane: the direction in which the phone looks is taken from where it goes on straight stretches (as openpilot
calibrates itself), its distance from the rear axle from `camera_ahead`, and the plane is the UTM zone of the first fix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy.errors import DataError
from understudy.geometry import compose, rotation, wrap, yaw_of
from understudy.readers import folder, geodesy
from understudy.readers.kinematics import FITTED, check_time, motion, rate_hz
from understudy.readers.tracks import objects
from understudy.readers.video import HevcFile
from understudy.records import NS, Array, Camera, Drive, Driver, Floats, Ints, Kind, Objects, Vehicle

EXPECTED = "folders DONGLE|TIME/SEGMENT, each with global_pose/ and processed_log/"
MARK = "global_pose/frame_times"
VEHICLES = {  # by dongle: a Toyota RAV4 and a Honda Civic; rear overhangs assumed
    "b0c9d2329ad1606b": Vehicle(length=4.605, width=1.845, height=1.705, wheelbase=2.66, rear_overhang=1.0),
    "99c94dc769b5d96e": Vehicle(length=4.63, width=1.8, height=1.415, wheelbase=2.7, rear_overhang=1.0),
}
SIZE, FOCAL, CENTRE = (1164, 874), 910.0, (582.0, 437.0)  # the EON's camera
CAMERA_HEIGHT = 1.22  # m above the road, as openpilot assumes
FRD_R_CAM = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])  # camera axes in forward, right, down
EGO_R_FRD = np.diag([1.0, -1, -1])

RADAR_AGE_S = 0.075  # a radar slot is sent every 50 ms
HOLD_S = 0.1  # CAN values are held this long before its first and after its last message


@dataclass(frozen=True)
class Comma2k19:
    """One drive per segment of a minute."""

    camera_ahead: float = 1.4  # metres from the rear axle to the phone, as near as slight turns tell (1.07 to 1.74)

    def scan(self, root: Path) -> Iterator[str]:
        root = Path(root)
        return folder.found((folder.key_of(path.parents[1], root) for path in root.rglob(MARK)), root, EXPECTED)

    def fingerprint(self, root: Path, key: str) -> str:
        segment = folder.drive_folder(Path(root), key)
        return folder.fingerprint(segment, segment.rglob("*"))

    def read(self, root: Path, key: str) -> Drive:
        segment = folder.drive_folder(Path(root), key)
        with folder.reading(f"segment {key} as comma2k19's", segment):
            route = segment.resolve().parent.name
            started = route.split("|")[-1]  # the dongle before it is a random number
            name = folder.drive_id("comma2k19", f"{started}-{segment.resolve().name}", self.fingerprint(root, key))
            return self._drive(name, segment, VEHICLES.get(route.split("|")[0].split("_")[0], Vehicle()))

    def _drive(self, name: str, segment: Path, vehicle: Vehicle) -> Drive:
        times = _array(segment / MARK)
        check_time(times, name, "frame")
        parts = ("positions", "velocities", "orientations")
        pose = {part: _array(segment / f"global_pose/frame_{part}") for part in parts}
        known = np.flatnonzero(np.isfinite(np.concatenate([*pose.values()], axis=1)).all(axis=1))
        if len(known) < 2:
            raise DataError(f"{name}: {len(known)} of its poses are numbers, and a drive needs 2")
        cut = slice(known[0], known[-1] + 1)
        t_ns = np.round(times * NS).astype(np.int64)
        place = _place(t_ns[cut], ahead=self.camera_ahead, **{part: values[cut] for part, values in pose.items()})
        can, poses, at = segment / "processed_log/CAN", place["poses"], times[cut]
        columns = {
            **dict(zip(("x", "y", "yaw"), poses.T, strict=True)),
            **motion(t_ns[cut], poses),
            "who_drives": np.full(len(at), Driver.HUMAN),
        }
        measured = _can(can / "speed", at)
        if measured is not None:
            columns["speed"] = measured
        steering = _can(can / "steering_angle", at)
        if steering is not None:
            columns["steering_wheel_angle"] = np.radians(steering)  # degrees, + is left
        holes = len(at) - len(known)
        return Drive(
            id=name,
            t_ns=t_ns[cut],
            columns=columns,
            vehicle=vehicle,
            cameras=tuple(_cameras(segment, t_ns, place["frd_mount"], self.camera_ahead)),
            objects=_radar(can / "radar", at, poses, columns["speed"], vehicle),
            frame=place["frame"],
            derived=FITTED if measured is None else FITTED - {"speed"},
            facts={
                "dataset": "comma2k19",
                "rates_hz": {"pose": rate_hz(t_ns)},
                "origin": place["origin"],
                "objects": "radar reflections: no boxes, no headings, velocity along the ego's heading",
                **({"nan_poses": holes} if holes else {}),
            },
        )


def _array(path: Path) -> Floats:
    with folder.reading("a numpy array", path), path.open("rb") as stream:  # numpy leaves its own open where it fails
        values = np.load(stream, allow_pickle=False)
        if values.dtype.kind not in "iuf":
            raise ValueError(f"found {values.dtype}, expected numbers")
        return np.asarray(values, dtype=np.float64)


def _place(t_ns: Ints, positions: Floats, velocities: Floats, orientations: Floats, ahead: float) -> dict[str, Any]:
    """The rear axle's poses (T, 3) in a UTM zone, and how the phone is mounted, `ahead` of the rear axle."""
    latitude, longitude, _ = geodesy.geodetic(positions)
    zone = geodesy.utm_zone(float(longitude[0]))
    east, north, convergence = geodesy.utm(latitude, longitude, zone)
    enu_R_ecef = geodesy.enu_R_ecef(float(latitude[0]), float(longitude[0]))
    enu_R_frd = enu_R_ecef @ rotation(*orientations.T)  # the log's quaternion, used as ecef_R_frd: x then looks ahead
    velocity = np.einsum("tij,ti->tj", enu_R_frd, velocities @ enu_R_ecef.T)  # (T, 3) of the phone, in its own frame
    yaw_rate = motion(t_ns, np.stack([east, north, yaw_of(enu_R_frd)], axis=-1))["yaw_rate"]
    velocity[:, 1] += ahead * yaw_rate  # of the rear axle: ahead of it the phone swings to the left in a left turn
    mount = _mount(velocity)
    yaw = wrap(yaw_of(enu_R_frd @ mount) + convergence)
    poses = compose(np.stack([east, north, yaw], axis=-1), np.array([-ahead, 0.0, 0.0]))
    origin = {"latitude": float(np.degrees(latitude[0])), "longitude": float(np.degrees(longitude[0]))}
    return {
        "poses": poses,
        "frd_mount": mount,
        "origin": origin,
        "frame": f"utm-{zone}{'n' if latitude[0] >= 0 else 's'}",
    }


def _mount(velocity: Floats) -> Floats:
    """frd_R_car (3, 3) of a phone that looks a little aside and up: the median direction of the rear axle, no roll."""
    fast = velocity[np.linalg.norm(velocity, axis=1) > 5]
    if len(fast) == 0:
        return np.eye(3)
    ahead = np.median(fast / np.linalg.norm(fast, axis=1)[:, None], axis=0)
    ahead /= np.linalg.norm(ahead)
    right = np.cross([0.0, 0, 1], ahead)
    right /= np.linalg.norm(right)
    return np.stack([ahead, right, np.cross(ahead, right)], axis=-1)


def _can(path: Path, at: Floats) -> Floats | None:
    """A CAN signal at other times: linear between messages, nan beyond them. None where there is no message."""
    if not path.is_dir():
        return None
    t, values = _array(path / "t"), _array(path / "value").reshape(-1)
    if not len(t):
        return None
    check_time(t, f"CAN {path.name}", "message")
    return np.where((at >= t[0] - HOLD_S) & (at <= t[-1] + HOLD_S), np.interp(at, t, values), np.nan)


def _radar(path: Path, at: Floats, poses: Floats, speed: Floats, vehicle: Vehicle) -> Objects | None:
    """The newest reflection in each slot of the radar at each instant; the radar sits in the front bumper."""
    if not path.is_dir():
        return None
    t, rows = _array(path / "t"), _array(path / "value")
    if not len(t):
        return None
    parts: list[tuple[Ints, Ints, Ints]] = []
    seen = 0
    for slot in np.unique(rows[:, 5]):
        sent = np.flatnonzero(rows[:, 5] == slot)
        track = seen + np.cumsum(rows[sent, 6] > 0)  # a flag says when a slot holds something new
        seen = int(track[-1]) + 1
        newest = np.searchsorted(t[sent], at, side="right") - 1
        instant = np.flatnonzero((newest >= 0) & (at - t[sent][newest] < RADAR_AGE_S) & np.isfinite(poses[:, 0]))
        parts.append((instant, sent[newest[instant]], track[newest[instant]]))
    instant, row, track = (np.concatenate(part).astype(np.int64) for part in zip(*parts, strict=True))
    ahead = rows[row, 0] + vehicle.front
    place = compose(poses[instant], np.stack([ahead, rows[row, 1], np.zeros(len(row))], axis=-1))
    along, heading = speed[instant] + rows[row, 2], poses[instant, 2]
    unknown = np.full(len(row), np.nan)
    columns: dict[str, Array] = {
        "track": track,
        "kind": np.full(len(row), Kind.UNKNOWN),
        "x": place[:, 0],
        "y": place[:, 1],
        "yaw": unknown,
        "length": unknown,
        "width": unknown,
        "vx": along * np.cos(heading),
        "vy": along * np.sin(heading),
    }
    return objects(len(at), instant, columns)


def _cameras(segment: Path, t_ns: Ints, frd_mount: Floats, camera_ahead: float) -> Iterator[Camera]:
    """The phone's camera, where its film is there (a picture a pose)."""
    film = segment / "video.hevc"
    if not film.is_file():
        return
    ego_T_cam = np.eye(4)
    ego_T_cam[:3, :3] = EGO_R_FRD @ frd_mount.T @ FRD_R_CAM
    ego_T_cam[:3, 3] = camera_ahead, 0, CAMERA_HEIGHT
    pictures = HevcFile(film, len(t_ns), SIZE)
    K = np.array([[FOCAL, 0, CENTRE[0]], [0, FOCAL, CENTRE[1]], [0, 0, 1]])
    yield Camera("road", SIZE, t_ns, pictures, K, ego_T_cam)
