"""Logs written by the tests: one steady turn at SPEED and YAW_RATE, in every format, with all that is known of it.

In the log's map frame the ego begins at START; a car stands CAR ahead of there, another drives beside the ego.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import feather
from scipy.spatial.transform import Rotation

from understudy.geometry import compose, constant_turn, move
from understudy.readers.geodesy import enu_R_ecef
from understudy.records import NS, Floats

SPEED, YAW_RATE, SECONDS = 10.0, 0.1, 5.0
START = np.array([400.0, 300.0, 0.5])
STANDING = np.array([30.0, 4.0])  # in the ego's first frame
BESIDE = np.array([0.0, 3.5, 0.0])  # in the ego's frame at all times
LANE_STARTS = (START[:2] - 20, START[:2] + 20)


def poses(rate_hz: float, start: Floats = START) -> tuple[Floats, Floats]:
    """Seconds (T,) and the ego's poses (T, 3)."""
    t = np.arange(round(SECONDS * rate_hz) + 1) / rate_hz
    return t, compose(start, constant_turn(np.float64(SPEED), np.float64(YAW_RATE), t))


# ScenarioNet ----------------------------------------------------------------------------------------------------------


def scenario(dataset: str = "nuscenes") -> dict[str, Any]:
    """A scenario as the nuScenes converter writes it: swapped sides of the ego, no lane graph, bad velocities."""
    t, ego = poses(10)
    beside = compose(ego, BESIDE)
    standing = np.broadcast_to([*move(START, STANDING), 1.0], ego.shape)
    seen = t > 1
    along = np.stack([np.linspace(0, 40, 41), np.zeros(41)], axis=-1)
    first, second = (move(np.array([*start, np.pi / 4]), along) for start in LANE_STARTS)
    joint = np.linspace(first[-1], second[0], 12)
    edge = move(np.array([*START[:2], np.pi / 4]), np.array([[-60.0, -9], [90, -9], [90, 9], [-60, 9], [-60, -9]]))
    island = move(np.array([*START[:2], np.pi / 4]), np.array([[50.0, 4], [60, 4], [60, 8], [50, 8], [50, 4]]))
    return {
        "id": "scene-0000",
        "version": "test",
        "length": len(t),
        "metadata": {"dataset": dataset, "map": "town", "date": "2018-07-24", "ts": t, "sdc_id": "ego"},
        "tracks": {
            "ego": _track(ego, (1.73, 4.08, 1.56), np.ones(len(t)), "VEHICLE", "vehicle.car"),
            "beside": _track(beside, (4.5, 1.9, 1.5), seen, "VEHICLE", "vehicle.truck"),
            "cone": _track(standing, (0.4, 0.4, 1.8), np.ones(len(t)), "TRAFFIC_CONE", "movable_object.trafficcone"),
        },
        "dynamic_map_states": {},
        "map_features": {
            "lane_a": _lane(first, 3.0),
            "lane_b": _lane(second, 3.0),
            "connector": {"type": "LANE_SURFACE_STREET", "polyline": joint, "speed_limit_kmh": 100},
            "boundary_0": {"type": "ROAD_LINE_SOLID_SINGLE_WHITE", "polyline": edge},
            "boundary_1": {"type": "ROAD_LINE_SOLID_SINGLE_WHITE", "polyline": island},
            "divider": {"type": "ROAD_LINE_BROKEN_SINGLE_YELLOW", "polyline": first + 1.5},
        },
    }


def _track(path: Floats, sides: tuple[float, float, float], valid: Any, kind: str, category: str) -> dict[str, Any]:
    length, width, height = (np.full((len(path), 1), side) for side in sides)
    state = {
        "position": np.concatenate([path[:, :2], np.full((len(path), 1), height[0, 0] / 2)], axis=1),
        "heading": path[:, 2].copy(),
        "velocity": np.zeros((len(path), 2)),
        "valid": np.asarray(valid, dtype=np.float64),
        "length": length,
        "width": width,
        "height": height,
    }
    state["position"][state["valid"] == 0] = 0
    return {"type": kind, "state": state, "metadata": {"type": category}}


def _lane(line: Floats, width: float) -> dict[str, Any]:
    along = (line[-1] - line[0]) / np.hypot(*(line[-1] - line[0]))
    left = np.array([-along[1], along[0]]) * width / 2
    ring = np.array([line[0] + left, line[-1] + left, line[-1] - left, line[0] - left, line[0] + left])
    return {"type": "LANE_SURFACE_STREET", "polyline": line, "polygon": ring}


def write_scenarionet(root: Path, said: dict[str, Any] | None = None) -> Path:
    path = root / "scenes" / "sd_turn.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(said or scenario()))
    return path


# Argoverse 2 ----------------------------------------------------------------------------------------------------------

BEGIN_NS = 315_966_265_000_000_000
TILT = Rotation.from_euler("xyz", [0.02, 0.03, 0.0])  # the road climbs a little


def write_argoverse2(root: Path, cameras: bool = False) -> Path:
    log = root / "0a1b-log"
    (log / "map").mkdir(parents=True, exist_ok=True)
    t, ego = poses(100)
    attitude = Rotation.from_euler("z", ego[:, 2:]) * TILT
    write_table(
        log / "city_SE3_egovehicle.feather",
        {"timestamp_ns": BEGIN_NS + np.round(t * NS).astype(np.int64), **_se3(attitude, np.c_[ego[:, :2], 50 + t])},
    )
    rows: dict[str, list[Any]] = {name: [] for name in ("stamp", "track", "category", "box", "at", "attitude")}
    for second, pose, turned in zip(t[::10], ego[::10], attitude[::10], strict=True):
        place = np.array([*pose[:2], 50 + second])
        upright = Rotation.from_euler("z", [[1.0], [pose[2]]])
        others = {
            "CONSTRUCTION_CONE": (np.array([*move(START, STANDING), 50.0]), upright[0], (0.4, 0.4, 1.8)),
            "BOX_TRUCK": (np.array([*compose(pose, BESIDE)[:2], 50.0]), upright[1], (4.5, 1.9, 1.5)),
            "EGO_VEHICLE": (place, turned, (4.9, 2.0, 1.5)),
        }
        for category, (city, heading, box) in others.items():
            rows["stamp"].append(BEGIN_NS + round(second * NS))
            rows["track"].append(f"the {category}")
            rows["category"].append(category)
            rows["box"].append(box)
            rows["at"].append(turned.inv().apply(city - place))
            rows["attitude"].append((turned.inv() * heading).as_quat())
    sides = dict(zip(("length_m", "width_m", "height_m"), np.array(rows["box"]).T, strict=True))
    columns = {"timestamp_ns": np.array(rows["stamp"]), "track_uuid": rows["track"], "category": rows["category"]}
    columns |= sides | _se3(Rotation.from_quat(np.array(rows["attitude"])), np.array(rows["at"]))
    write_table(log / "annotations_with_ego.feather", columns)
    archive = log / "map" / "log_map_archive_0a1b-log____PIT_city_1.json"
    archive.write_text(json.dumps(_archive()))
    if cameras:
        _write_cameras(log, t[::5])
    return log


def _se3(attitude: Rotation, place: Floats) -> dict[str, Floats]:
    x, y, z, w = attitude.as_quat().T
    return {"qw": w, "qx": x, "qy": y, "qz": z, **dict(zip(("tx_m", "ty_m", "tz_m"), place.T, strict=True))}


def write_table(path: Path, columns: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    feather.write_feather(pa.table(columns), path)


def _archive() -> dict[str, Any]:
    def points(*line: tuple[float, float]) -> list[dict[str, float]]:
        return [{"x": START[0] + x, "y": START[1] + y, "z": 50.0} for x, y in line]

    def lane(number: int, low: float, begin: float, end: float, **more: Any) -> dict[str, Any]:
        return {
            "id": number,
            "is_intersection": False,
            "lane_type": "VEHICLE",
            "left_lane_boundary": points((begin, low + 4), (end, low + 4)),
            "right_lane_boundary": points((begin, low), (end, low)),
            "left_lane_mark_type": "DASHED_WHITE",
            "right_lane_mark_type": "SOLID_YELLOW",
            "successors": [],
            "predecessors": [],
            "left_neighbor_id": None,
            "right_neighbor_id": None,
            **more,
        }

    return {
        "lane_segments": {
            "1": lane(1, 0.0, -40.0, 20.0, successors=[2, 99], left_neighbor_id=3),
            "2": lane(2, 0.0, 20.0, 80.0, predecessors=[1], is_intersection=True, lane_type="BIKE"),
            "3": lane(3, 4.0, 20.0, -40.0, right_neighbor_id=1),  # comes the other way
        },
        "drivable_areas": {"7": {"area_boundary": points((-40, -2), (80, -2), (80, 12), (-40, 12)), "id": 7}},
        "pedestrian_crossings": {"8": {"edge1": points((10, 0), (10, 8)), "edge2": points((13, 8), (13, 0)), "id": 8}},
    }


def _write_cameras(log: Path, seconds: Floats) -> None:
    sensor = {"sensor_name": ["ring_front_center"]}
    mount = Rotation.from_matrix(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]))
    se3 = _se3(Rotation.concatenate([mount]), np.array([[1.6, 0.0, 1.4]]))
    write_table(log / "calibration/egovehicle_SE3_sensor.feather", sensor | se3)
    numbers = {
        "fx_px": [40.0],
        "fy_px": [40.0],
        "cx_px": [16.0],
        "cy_px": [12.0],
        "k1": [-0.2],
        "k2": [0.1],
        "k3": [0.05],
    }
    size = {"height_px": np.array([24], np.uint16), "width_px": np.array([32], np.uint16)}
    write_table(log / "calibration/intrinsics.feather", sensor | numbers | size)
    for index, second in enumerate(seconds):
        path = log / "sensors/cameras/ring_front_center" / f"{BEGIN_NS + round(second * NS)}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(index).save(path)


def picture(index: int, size: tuple[int, int] = (32, 24)) -> Image.Image:
    """A grey picture whose brightness tells its index."""
    return Image.new("RGB", size, (3 * index % 256,) * 3)


# comma2k19 ------------------------------------------------------------------------------------------------------------

LATITUDE, LONGITUDE = np.radians(37.7), np.radians(-122.4)
LOOKS_ASIDE = np.radians([2.0, -3.0])  # the phone is turned to the right and looks down


def write_comma2k19(root: Path) -> Path:
    segment = root / "b0c9d2329ad1606b|2018-08-02--08-34-47" / "7"
    t, ego = poses(20, start=np.array([0.0, 0.0, 0.5]))
    phone = move(ego, np.array([1.4, 0.0]))
    ecef_R_enu = enu_R_ecef(LATITUDE, LONGITUDE).T
    a, e2 = 6378137.0, 0.0066943799901413165
    normal = a / np.sqrt(1 - e2 * np.sin(LATITUDE) ** 2)
    origin = ecef_R_enu @ [0, 0, normal * (1 - e2 * np.sin(LATITUDE) ** 2)]  # on the ellipsoid, along its normal ...
    origin -= ecef_R_enu @ [0, normal * e2 * np.sin(LATITUDE) * np.cos(LATITUDE), 0]  # ... which misses the centre
    drift = 1.4 * YAW_RATE  # the phone slips sideways, for it is ahead of the rear axle
    velocity = move(np.c_[np.zeros((len(t), 2)), ego[:, 2]], np.array([SPEED, drift]))
    enu_R_car = Rotation.from_euler("z", ego[:, 2:]) * Rotation.from_euler("x", np.pi)  # forward, right, down
    car_R_phone = Rotation.from_euler("zy", LOOKS_ASIDE)
    x, y, z, w = (Rotation.from_matrix(ecef_R_enu) * enu_R_car * car_R_phone).as_quat().T
    arrays = {
        "global_pose/frame_times": 1000 + t,
        "global_pose/frame_positions": origin + np.c_[phone, np.zeros(len(t))] @ ecef_R_enu.T,
        "global_pose/frame_velocities": np.c_[velocity, np.zeros(len(t))] @ ecef_R_enu.T,
        "global_pose/frame_orientations": np.stack([w, x, y, z], axis=-1),
    }
    fine = 1000 + np.arange(-2, SECONDS + 2, 0.012)
    can = "processed_log/CAN"
    arrays |= {f"{can}/speed/t": fine, f"{can}/speed/value": np.full((len(fine), 1), SPEED)}
    arrays |= {f"{can}/steering_angle/t": fine, f"{can}/steering_angle/value": np.full(len(fine), 12.0)}
    beat = 1000 + np.arange(-1, SECONDS + 1, 0.05)
    radar = np.tile([20.0, 1.5, -2.0, np.nan, np.nan, 528, 0], (len(beat), 1))
    radar[40:, 6] = beat[40:] == beat[40]  # halfway the slot begins to hold something else
    arrays |= {f"{can}/radar/t": beat, f"{can}/radar/value": radar}
    for name, values in arrays.items():
        path = segment / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            np.save(stream, values)
    return segment


# donkeycar ------------------------------------------------------------------------------------------------------------


def tub_records(count: int = 30, step_ms: int = 50) -> list[dict[str, Any]]:
    return [
        {
            "_index": index,
            "_session_id": "21-01-01_0",
            "_timestamp_ms": 1_600_000_000_000 + step_ms * index,
            "cam/image_array": f"{index}_cam_image_array_.jpg",
            "user/angle": index / count,
            "user/mode": "user",
            "user/throttle": 0.5,
        }
        for index in range(count)
    ]


def write_tub(root: Path, records: list[dict[str, Any]] | None = None, deleted: tuple[int, ...] = ()) -> Path:
    """A tub in two catalogs."""
    records = tub_records() if records is None else records
    tub = root / "data"
    (tub / "images").mkdir(parents=True, exist_ok=True)
    half = len(records) // 2
    for name, part in (("catalog_0.catalog", records[:half]), ("catalog_1.catalog", records[half:])):
        (tub / name).write_text("".join(json.dumps(record) + "\n" for record in part))
    about = {"paths": ["catalog_0.catalog", "catalog_1.catalog"], "deleted_indexes": list(deleted)}
    lines = [["cam/image_array"], ["image_array"], {}, {"created_at": 1.6e9}, about]
    (tub / "manifest.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for index, _ in enumerate(records):
        picture(index).save(tub / "images" / f"{index}_cam_image_array_.jpg")
    return tub
