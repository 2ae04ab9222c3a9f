"""PandaSet's reader, on a small log made in place and on the real one."""

from __future__ import annotations

import csv
import gzip
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from understudy.errors import DataError
from understudy.geometry import lift_table, project, seen_from, transform
from understudy.network.sizes import size_of
from understudy.observe import rig_of
from understudy.readers.pandaset import GROUND_M, LARGEST, Pandaset
from understudy.records import Kind

COUNT, SPEED = 20, 5.0
COLUMNS = (
    "frame", "uuid", "label", "yaw", "position.x", "position.y", "position.z", "dimensions.x", "dimensions.y",
    "dimensions.z", "cuboids.sibling_id", "cuboids.sensor_id",
)  # fmt: skip
body_T_cam = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # looks along the body's y, which is forward


def pose(place: np.ndarray, turn: Rotation) -> dict[str, dict[str, float]]:
    x, y, z, w = turn.as_quat()
    return {"position": dict(zip("xyz", place.tolist(), strict=True)), "heading": {"w": w, "x": x, "y": y, "z": z}}


def small_log(root: Path, rows: list[tuple[object, ...]] | None = None) -> Path:
    """A car that drives along the world's x at 5 m/s with one camera 1 m ahead, whose pictures come 50 ms early."""
    log = root / "007"
    turn = Rotation.from_euler("z", -90, degrees=True)  # the body's y along the world's x
    stamps = 100.0 + 0.1 * np.arange(COUNT)
    for sensor, early, place, attitude in (
        ("lidar", 0.0, np.zeros(3), turn),
        ("camera/front_camera", 0.05, np.array([1.0, 0, 1.2]), turn * Rotation.from_matrix(body_T_cam)),
    ):
        (log / sensor).mkdir(parents=True)
        poses = [pose(np.array([SPEED * 0.1 * k - SPEED * early, 0, 0]) + place, attitude) for k in range(COUNT)]
        (log / sensor / "poses.json").write_text(json.dumps(poses))
        (log / sensor / "timestamps.json").write_text(json.dumps((stamps - early).tolist()))
    camera = log / "camera/front_camera"
    (camera / "intrinsics.json").write_text(json.dumps({"fx": 50.0, "fy": 50.0, "cx": 31.5, "cy": 15.5}))
    for k in range(COUNT):
        Image.new("RGB", (64, 32), (k, 0, 0)).save(camera / f"{k:02d}.jpg")
    if rows is not None:
        (root / "converted").mkdir()
        with gzip.open(root / "converted/cuboids.csv.gz", "wt", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
    return log


def car(frame: int, sensor: int = -1, sibling: str = "-", uuid: str = "a") -> tuple[object, ...]:
    """A car parked 20 m along the world's x and 3 m to its left, along the road; `yaw` is that of its short side."""
    return (frame, uuid, "Car", -np.pi / 2, 20.0, 3.0, 0.4, 2.0, 4.5, 1.6, sibling, sensor)


def test_the_car_drives_forward_and_the_boxes_lie_where_they_are(tmp_path: Path) -> None:
    small_log(tmp_path, [car(k) for k in range(COUNT)])
    drive = Pandaset().read(tmp_path, "007")
    np.testing.assert_allclose(drive["yaw"], 0.0, atol=1e-9)
    np.testing.assert_allclose(drive["speed"], SPEED, atol=1e-6)
    objects = drive.objects
    assert objects is not None and set(objects["kind"]) == {Kind.CAR}
    np.testing.assert_allclose(objects["yaw"], 0.0, atol=1e-9)
    assert (objects["length"] == 4.5).all() and (objects["width"] == 2.0).all()
    np.testing.assert_allclose(objects["z"], 0.4 - GROUND_M)
    box = np.stack([objects["x"], objects["y"], objects["yaw"]], -1)
    np.testing.assert_allclose(seen_from(drive.poses, box)[10], [20 - 5.0, 3.0, 0.0], atol=1e-9)


def test_a_camera_is_mounted_where_it_is_though_its_pictures_come_early(tmp_path: Path) -> None:
    small_log(tmp_path)
    (camera,) = Pandaset().read(tmp_path, "007").cameras
    assert camera.ego_T_cam is not None and camera.K is not None and camera.name == "front"
    np.testing.assert_allclose(camera.ego_T_cam[:3, 3], [1.0, 0.0, 1.2 - GROUND_M], atol=1e-6)
    ahead = transform(np.linalg.inv(camera.ego_T_cam), np.array([[11.0, 0.0, 1.2 - GROUND_M]]))
    np.testing.assert_allclose(project(ahead, camera.K)[0], [31.5, 15.5], atol=1e-5)


def test_what_both_lidars_saw_counts_once(tmp_path: Path) -> None:
    small_log(tmp_path, [car(0, 0, "b"), car(0, 1, "a", "b"), car(0, 1, "-", "c")])
    objects = Pandaset().read(tmp_path, "007").objects
    assert objects is not None and len(objects["x"]) == 2


def test_a_table_that_could_be_of_several_logs_is_of_none(tmp_path: Path) -> None:
    log = small_log(tmp_path, [car(0)])
    assert "unused" not in Pandaset().read(tmp_path, "007").facts
    shutil.copytree(log, tmp_path / "008")
    for key in Pandaset().scan(tmp_path):
        drive = Pandaset().read(tmp_path, key)
        assert drive.objects is None and drive.facts["unused"] == ["converted/cuboids.csv.gz"]
    (tmp_path / "converted/008").mkdir()
    (tmp_path / "converted/cuboids.csv.gz").rename(tmp_path / "converted/008/cuboids.csv.gz")
    found = [Pandaset().read(tmp_path, key).objects is not None for key in ("007", "008")]
    assert found == [False, True]


@pytest.mark.parametrize("place", ["lidar", "camera", "camera/front_camera"])
def test_a_folder_that_is_a_link_out_is_refused(tmp_path: Path, place: str) -> None:
    log = small_log(tmp_path / "logs")
    (tmp_path / "elsewhere").mkdir()
    (log / place).symlink_to((log / place).rename(tmp_path / "elsewhere/place"))
    with pytest.raises(DataError, match="leads out of the log's folder"):
        Pandaset().read(tmp_path / "logs", "007")


@pytest.mark.parametrize("spoil", ["packed", "quoted"])
def test_a_table_that_cannot_be_unpacked_or_parted_is_told_in_one_line(tmp_path: Path, spoil: str) -> None:
    small_log(tmp_path, [car(0)])
    path = tmp_path / "converted/cuboids.csv.gz"
    if spoil == "packed":
        path.write_bytes(path.read_bytes()[:30] + b"\xff" * 60)
    else:
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b'"' + b"x" * 200_000))
    with pytest.raises(DataError, match=r"reading PandaSet's cuboids: .*; in .*cuboids\.csv\.gz$"):
        Pandaset().read(tmp_path, "007")


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    log = small_log(tmp_path)

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "harm",)  # type: ignore[return-value]

    place = log / "annotations/cuboids"
    place.mkdir(parents=True)
    (place / "00.pkl.gz").write_bytes(gzip.compress(pickle.dumps(Evil())))
    assert Pandaset().read(tmp_path, "007").objects is None
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("rows", "said"),
    [([car(99)], "frames up to 99 for 20 instants"), ([("x", *car(0)[1:])], "could not convert"), ([("0",)], "float")],
)
def test_a_damaged_table_is_told_in_one_line(tmp_path: Path, rows: list[tuple[object, ...]], said: str) -> None:
    small_log(tmp_path, rows)
    with pytest.raises(DataError, match=said) as caught:
        Pandaset().read(tmp_path, "007")
    assert "\n" not in str(caught.value) and str(caught.value).endswith("cuboids.csv.gz")


def test_a_small_table_that_unpacks_to_a_huge_one_is_not_swallowed(tmp_path: Path) -> None:
    small_log(tmp_path, [car(0)])
    with gzip.open(tmp_path / "converted/cuboids.csv.gz", "ab") as file:
        file.write(bytes(LARGEST))
    with pytest.raises(DataError, match=r"more than 128 MiB of text"):
        Pandaset().read(tmp_path, "007")


def test_a_log_cut_short_is_told_in_one_line(tmp_path: Path) -> None:
    log = small_log(tmp_path)
    (log / "camera/front_camera/19.jpg").unlink()
    with pytest.raises(DataError, match="19 pictures for 20 stamps"):
        Pandaset().read(tmp_path, "007")


def test_a_damaged_first_picture_is_only_missed_when_asked_for(tmp_path: Path) -> None:
    log = small_log(tmp_path)
    (log / "camera/front_camera/00.jpg").write_bytes(b"")
    (camera,) = Pandaset().read(tmp_path, "007").cameras
    assert camera.size == (64, 32) and camera.pictures.read(np.array([5])).shape == (1, 32, 64, 3)
    with pytest.raises(DataError, match=r"it is no picture that can be read; in .*00\.jpg"):
        camera.pictures.read(np.array([0]))


def test_the_real_rig_sees_all_around_and_its_boxes_land_in_its_pictures(shared_data: Path) -> None:
    root = shared_data / "pandaset"
    drive = Pandaset().read(root, next(iter(Pandaset().scan(root))))
    assert len(drive) == 80 and len(drive.cameras) == 6 and drive.objects is not None
    assert drive["speed"][0] < 0.3 < 5.0 < drive["speed"][-1]
    size = size_of("nano")
    _, weight = lift_table(rig_of(drive.cameras), size.grid, np.zeros(1), size.features)
    assert (weight.sum(axis=1) > 0).mean() > 0.8
    # The car ahead at the last instants keeps its place in the front camera: within its picture, below the horizon.
    front = next(camera for camera in drive.cameras if camera.name == "front")
    assert front.K is not None and front.ego_T_cam is not None
    others = drive.objects.slice(60, 61)
    place = seen_from(drive.poses[60], np.stack([others["x"], others["y"], others["yaw"]], -1))
    ahead = (place[:, 0] > 5) & (place[:, 0] < 25) & (np.abs(place[:, 1]) < 1.5) & (others["kind"] == Kind.CAR)
    assert ahead.any()
    centre = np.column_stack([place[ahead, :2], others["z"][ahead]])
    pixels = project(transform(np.linalg.inv(front.ego_T_cam), centre), front.K)
    assert ((pixels > 0) & (pixels < front.size)).all()
