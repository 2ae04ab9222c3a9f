"""MCAP files as others write them: Foxglove's schemas in protobuf and JSON, and ROS 2's messages."""

from __future__ import annotations

import base64
import io
import json
import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from foxglove_schemas_protobuf.CompressedVideo_pb2 import CompressedVideo
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.LocationFix_pb2 import LocationFix
from foxglove_schemas_protobuf.Log_pb2 import Log
from foxglove_schemas_protobuf.Odometry_pb2 import Odometry
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from mcap.writer import CompressionType, IndexType
from mcap.writer import Writer as McapWriter
from mcap_protobuf.writer import Writer as ProtobufWriter
from PIL import Image

from tests.conftest import steady_turn
from tests.mcap_files import (
    AHEAD,
    DEFINITIONS,
    LATE_NS,
    LENS,
    MOUNT,
    START_NS,
    RosBag,
    about_z,
    as_foxglove_converts_nuscenes,
    bag,
    instants,
    jpeg,
    link,
    odometry,
    rewritten,
    seconds,
)
from understudy.errors import DataError, SettingsError, UnderstudyError
from understudy.geometry import move, wrap
from understudy.readers.mcap import Mcap
from understudy.readers.mcap.cameras import names_of
from understudy.readers.mcap.scenes import kind_of
from understudy.recorder import write
from understudy.records import Drive, Kind


def follows(read: Drive, drive: Drive) -> None:
    """The poses read are those driven, and the motion derived from them is the one driven."""
    assert np.array_equal(read.t_ns, START_NS + drive.t_ns)
    np.testing.assert_allclose(read.poses[:, :2], drive.poses[:, :2], atol=1e-6)
    np.testing.assert_allclose(wrap(read["yaw"] - drive["yaw"]), 0, atol=1e-9)
    np.testing.assert_allclose(read["speed"], drive["speed"], atol=0.02)
    np.testing.assert_allclose(read["yaw_rate"], drive["yaw_rate"], atol=1e-3)


# Foxglove's schemas in protobuf ---------------------------------------------------------------------------------------


def test_transforms_pictures_calibration_and_boxes_in_protobuf(tmp_path: Path, arc: Drive) -> None:
    as_foxglove_converts_nuscenes(arc, tmp_path / "scene.mcap")
    drive = Mcap().read(tmp_path, "scene.mcap")
    follows(drive, arc)
    assert drive.id.startswith("mcap-scene-")
    assert drive.facts["pose_from"] == "transforms" and drive.facts["unused"] == ["/pose"]
    assert drive.facts["map_frame"] == "map" and drive.facts["stamps"] == "measured"

    (camera,) = drive.cameras
    assert (camera.name, camera.size, camera.distortion) == ("cam_front", (64, 32), "none")
    assert camera.K is not None and camera.ego_T_cam is not None
    assert camera.K.ravel().tolist() == LENS
    np.testing.assert_allclose(camera.ego_T_cam @ [0, 0, 10, 1], [11.5, 0, 1.4, 1], atol=1e-12)
    assert camera.pictures.encoded(7) == ("jpeg", jpeg(7))
    assert np.ptp(camera.pictures.read(np.array([3, 0, 3])), axis=(1, 2)).max() <= 3

    assert drive.objects is not None
    by_instant = [set(drive.objects.slice(i, i + 1)["kind"].tolist()) for i in range(len(drive))]
    assert by_instant[:100] == [{Kind.CAR, Kind.PEDESTRIAN}] * 100 and by_instant[100:] == [{Kind.CAR}] * 101
    cars = drive.objects["kind"] == Kind.CAR
    assert len(set(drive.objects["track"][cars].tolist())) == 1
    np.testing.assert_allclose(drive.objects["x"][cars], 4 * arc.t_s, atol=1e-6)  # between the 2 Hz annotations too
    np.testing.assert_allclose(drive.objects["vx"][cars], 4.0, atol=1e-6)
    np.testing.assert_allclose(drive.objects["z"], 0.8, atol=1e-9)
    np.testing.assert_allclose(drive.objects["yaw"], 0.1, atol=1e-9)


def test_boxes_are_placed_from_the_frame_they_are_in_and_gone_when_their_time_is_up(tmp_path: Path, arc: Drive) -> None:
    """A cone seen twice a second 20 m ahead and 2 m to the left of the car, each time shown for 0.3 s."""
    with (tmp_path / "seen.mcap").open("wb") as file, ProtobufWriter(file) as writer:
        for index, (t_ns, x, y, yaw) in enumerate(instants(arc)):
            names = {"timestamp": seconds(t_ns), "parent_frame_id": "map", "child_frame_id": "base_link"}
            transform = FrameTransform(**names, translation={"x": x, "y": y}, rotation=about_z(yaw))
            writer.write_message("/tf", transform, log_time=t_ns, publish_time=t_ns)
            cube = {"pose": {"position": {"x": 20.0, "y": 2.0}, "orientation": {"w": 1.0}}, "size": {"x": 0.4}}
            cone = {"id": "traffic_cone_3", "frame_id": "base_link", "timestamp": seconds(t_ns), "cubes": [cube]}
            if index % 5 == 0:
                seen = SceneUpdate(entities=[cone | {"lifetime": {"nanos": 300_000_000}}])
                writer.write_message("/detections", seen, log_time=t_ns, publish_time=t_ns)
    objects = Mcap().read(tmp_path, "seen.mcap").objects
    assert objects is not None and set(objects["kind"].tolist()) == {Kind.CONE}
    assert np.diff(objects.starts).tolist() == ([1, 1, 1, 0, 0] * 41)[: len(arc)]
    sighted = np.isin(objects.instant, np.arange(0, len(arc), 5))
    there = move(arc.poses[::5], np.array([20.0, 2.0]))
    np.testing.assert_allclose(np.stack([objects["x"], objects["y"]], -1)[sighted], there, atol=1e-9)


def shown(path: Path, drive: Drive, updates: Callable[[int, int], Iterator[dict[str, Any]]], late_ns: int = 0) -> Drive:
    """A drive beside which a scene is updated, by index and stamp of an instant."""
    with path.open("wb") as file, ProtobufWriter(file) as writer:
        for index, (t_ns, x, y, yaw) in enumerate(instants(drive)):
            names = {"timestamp": seconds(t_ns), "parent_frame_id": "map", "child_frame_id": "base_link"}
            transform = FrameTransform(**names, translation={"x": x, "y": y}, rotation=about_z(yaw))
            writer.write_message("/tf", transform, log_time=t_ns + late_ns, publish_time=t_ns)
            for update in updates(index, t_ns):
                writer.write_message("/boxes", SceneUpdate(**update), log_time=t_ns + late_ns, publish_time=t_ns)
    return Mcap().read(path.parent, path.name)


def car(name: str, t_ns: int, x: float, y: float = 50.0) -> dict[str, Any]:
    cube = {"pose": {"position": {"x": x, "y": y}, "orientation": {"w": 1.0}}, "size": {"x": 4.0, "y": 2.0, "z": 1.5}}
    return {"id": f"car {name}", "frame_id": "map", "timestamp": seconds(t_ns), "cubes": [cube]}


def test_a_box_is_sighted_when_a_message_holds_it_and_not_whenever_others_are(tmp_path: Path, arc: Drive) -> None:
    """One at 10 m/s is seen twice a second, another at every instant, in messages of their own."""

    def updates(index: int, t_ns: int) -> Iterator[dict[str, Any]]:
        if index % 5 == 0:
            yield {"entities": [car("rare", t_ns, index)]}
        yield {"entities": [car("often", t_ns, index, y=60.0)]}

    objects = shown(tmp_path / "boxes.mcap", arc, updates).objects
    assert objects is not None and np.diff(objects.starts).tolist() == [2] * len(arc)
    rare = objects["y"] == 50.0
    np.testing.assert_allclose(objects["x"][rare], np.arange(len(arc)), atol=1e-9)
    np.testing.assert_allclose(objects["vx"][rare], 10.0, atol=1e-9)


def test_an_update_that_only_takes_boxes_away_leaves_the_clock_alone(tmp_path: Path, arc: Drive) -> None:
    """Logged 4 s late; at one instant nothing is left of the scene, and another update says nothing at all."""

    def updates(index: int, t_ns: int) -> Iterator[dict[str, Any]]:
        gone = {"deletions": [{"type": 1, "timestamp": seconds(t_ns)}]}
        yield gone if index == 50 else {**gone, "entities": [car("a", t_ns, index)]}
        yield {}

    drive = shown(tmp_path / "boxes.mcap", arc, updates, late_ns=4 * 10**9)
    assert drive.objects is not None and drive.facts["stamps"] == "measured"
    there = [index for index in range(len(arc)) if index != 50]
    assert drive.objects.instant.tolist() == there
    np.testing.assert_allclose(drive.objects["x"], there, atol=1e-9)


def test_a_box_is_gone_when_its_entity_is_shown_without_it_or_deleted_by_name(tmp_path: Path, arc: Drive) -> None:
    def updates(index: int, t_ns: int) -> Iterator[dict[str, Any]]:
        if index == 0:
            yield {"entities": [car("a", t_ns, 5.0), car("b", t_ns, 6.0), car("c", t_ns, 7.0)]}
        if index == 10:
            yield {"entities": [{**car("a", t_ns, 5.0), "cubes": []}]}
        if index == 20:
            yield {"deletions": [{"id": "car b", "timestamp": seconds(t_ns)}, {"id": "car d"}]}

    objects = shown(tmp_path / "boxes.mcap", arc, updates).objects
    assert objects is not None
    assert np.diff(objects.starts).tolist() == [3] * 10 + [2] * 10 + [1] * (len(arc) - 20)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("human.pedestrian.police_officer", Kind.PEDESTRIAN),
        ("vehicle.emergency.police", Kind.EMERGENCY),
        ("vehicle.construction", Kind.TRUCK),
        ("vehicle.bus.bendy", Kind.BUS),
        ("MOTORCYCLIST", Kind.MOTORCYCLE),
        ("vehicle.bicycle", Kind.BICYCLE),
        ("CAR_17", Kind.CAR),
        ("obstacle 4", Kind.UNKNOWN),
    ],
)
def test_what_a_box_is_stands_in_its_words(words: str, kind: Kind) -> None:
    assert kind_of(words) == kind


def test_the_idle_pose_in_the_cars_own_frame_is_the_cars_pose(tmp_path: Path, arc: Drive) -> None:
    as_foxglove_converts_nuscenes(arc, tmp_path / "scene.mcap")
    follows(Mcap(pose_topic="/pose").read(tmp_path, "scene.mcap"), arc)


def test_topics_that_are_not_there_are_answered_with_those_that_are(tmp_path: Path, arc: Drive) -> None:
    as_foxglove_converts_nuscenes(arc, tmp_path / "scene.mcap")
    with pytest.raises(DataError, match=r"no poses on '/poes'; did you mean '/pose'"):
        Mcap(pose_topic="/poes").read(tmp_path, "scene.mcap")
    with pytest.raises(DataError, match=r"no pictures on /front; there are some on /cam_front/image_rect_compressed"):
        Mcap(camera_topics=("/front",)).read(tmp_path, "scene.mcap")
    with pytest.raises(DataError, match=r"no transform names the frame 'baselink'; did you mean 'base_link'"):
        Mcap(ego_frame="baselink").read(tmp_path, "scene.mcap")
    with pytest.raises(SettingsError, match="rate_hz: wants more than 0"):
        Mcap(rate_hz=0)


def test_a_file_of_foxgloves_own_sdk_is_read(tmp_path: Path, arc: Drive) -> None:
    foxglove = pytest.importorskip("foxglove", reason="needs foxglove-sdk, one of the dev extras")
    from foxglove.channels import FrameTransformChannel
    from foxglove.messages import FrameTransform as Transform
    from foxglove.messages import Quaternion, Timestamp, Vector3

    context = foxglove.Context()
    with foxglove.open_mcap(tmp_path / "sdk.mcap", context=context):
        channel = FrameTransformChannel("/where", context=context)
        for t_ns, x, y, yaw in instants(arc):
            message = Transform(
                timestamp=Timestamp(t_ns // 10**9, t_ns % 10**9),
                parent_frame_id="world",
                child_frame_id="ego",
                translation=Vector3(x=x, y=y, z=0.0),
                rotation=Quaternion(**about_z(yaw)),
            )
            channel.log(message, log_time=t_ns)
    follows(Mcap().read(tmp_path, "sdk.mcap"), arc)


@pytest.mark.parametrize("body", ["base_link", "lidar"])
def test_foxgloves_odometry_is_of_the_body_that_it_names(tmp_path: Path, arc: Drive, body: str) -> None:
    """The lidar is mounted 1 m ahead of the rear axle and looks to the left: its motion is not the car's."""
    mount = {"translation": {"x": 1.0}, "rotation": about_z(np.pi / 2)}
    with (tmp_path / "odometry.mcap").open("wb") as file, ProtobufWriter(file) as writer:
        for t_ns, x, y, yaw in instants(arc):
            names = {"timestamp": seconds(t_ns), "parent_frame_id": "base_link", "child_frame_id": "lidar"}
            writer.write_message("/mounts", FrameTransform(**names, **mount), log_time=t_ns, publish_time=t_ns)
            pose, velocity = {"position": {"x": x, "y": y}, "orientation": about_z(yaw)}, {"x": 10.5}
            if body == "lidar":
                pose = {
                    "position": {"x": x + np.cos(yaw), "y": y + np.sin(yaw)},
                    "orientation": about_z(yaw + np.pi / 2),
                }
                velocity = {"y": -10.5}
            message = Odometry(
                timestamp=seconds(t_ns),
                frame_id="world",
                body_frame_id=body,
                pose=pose,
                linear_velocity=velocity,
                angular_velocity={"z": 0.11},
            )
            writer.write_message("/odometry", message, log_time=t_ns, publish_time=t_ns)
    drive = Mcap().read(tmp_path, "odometry.mcap")
    assert drive.facts["pose_from"] == "/odometry"
    if body == "lidar":
        follows(drive, arc)
    else:
        assert set(drive["speed"].tolist()) == {10.5} and set(drive["yaw_rate"].tolist()) == {0.11}


def test_fixes_become_metres_east_and_north_headed_where_the_car_goes(tmp_path: Path, arc: Drive) -> None:
    """An arc about 47 degrees north, laid out by the radii of curvature of the ellipsoid there."""
    latitude = np.radians(47.0)
    e2 = 0.00669437999014
    bend = 1 - e2 * np.sin(latitude) ** 2
    east_m = 6378137.0 / np.sqrt(bend) * np.cos(latitude)
    north_m = 6378137.0 * (1 - e2) / bend**1.5
    with (tmp_path / "gps.mcap").open("wb") as file, ProtobufWriter(file) as writer:
        for t_ns, x, y, _ in instants(arc):
            place = {"latitude": 47 + np.degrees(y / north_m), "longitude": 8 + np.degrees(x / east_m), "altitude": 400}
            writer.write_message("/gps", LocationFix(timestamp=seconds(t_ns), **place), log_time=t_ns, publish_time=0)
    drive = Mcap().read(tmp_path, "gps.mcap")
    np.testing.assert_allclose(drive.poses[:, :2], arc.poses[:, :2], atol=0.01)
    inner = slice(5, -5)
    np.testing.assert_allclose(wrap(drive["yaw"] - arc["yaw"])[inner], 0, atol=0.01)
    assert drive.facts["origin"][:2] == (47.0, 8.0)


def frames_of(count: int, codec: str) -> Iterator[tuple[bytes, int]]:
    """Frames in Annex B, a key frame every ten, and the shade of each."""
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 32, "yuv420p", Fraction(1, 10)
    quiet = {"x265-params": "log-level=none:bframes=0:keyint=10:repeat-headers=1"}
    encoder.options = (
        quiet
        if codec == "libx265"
        else {"tune": "zerolatency", "bf": "0", "g": "10", "x264-params": "repeat-headers=1"}
    )
    encoder.gop_size = 10
    shades, packets = [], []
    for index in range(count):
        shades.append(20 + 4 * index)
        frame = av.VideoFrame.from_ndarray(np.full((32, 64, 3), shades[-1], np.uint8), format="rgb24")
        frame.pts = index
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    yield from zip((bytes(packet) for packet in packets), shades, strict=True)


@pytest.mark.parametrize(("form", "codec"), [("h264", "libx264"), ("h265", "libx265")])
def test_video_is_decoded_from_the_key_frame_before(tmp_path: Path, arc: Drive, form: str, codec: str) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"needs an FFmpeg with {codec}")
    drive = arc.slice(0, 40)
    shades = []
    with (tmp_path / "video.mcap").open("wb") as file, ProtobufWriter(file) as writer:
        for (t_ns, x, y, yaw), (data, shade) in zip(instants(drive), frames_of(40, codec), strict=True):
            names = {"timestamp": seconds(t_ns), "parent_frame_id": "map", "child_frame_id": "ego"}
            transform = FrameTransform(**names, translation={"x": x, "y": y}, rotation=about_z(yaw))
            writer.write_message("/tf", transform, log_time=t_ns, publish_time=t_ns)
            video = CompressedVideo(timestamp=seconds(t_ns), frame_id="cam", data=data, format=form)
            writer.write_message("/cam/video", video, log_time=t_ns, publish_time=t_ns)
            shades.append(shade)
    (camera,) = Mcap().read(tmp_path, "video.mcap").cameras
    assert (camera.name, camera.size, len(camera.pictures)) == ("cam", (64, 32), 40)
    wanted = np.array([39, 0, 17, 12])
    means = camera.pictures.read(wanted).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(means, np.array(shades)[wanted], atol=4)
    kind, data = camera.pictures.encoded(17)
    with Image.open(io.BytesIO(data)) as opened:
        assert kind == "png" and abs(np.asarray(opened).mean() - shades[17]) < 4


# Foxglove's schemas in JSON -------------------------------------------------------------------------------------------


def test_poses_and_pictures_in_json(tmp_path: Path, arc: Drive) -> None:
    with (tmp_path / "json.mcap").open("wb") as file:
        writer: Any = McapWriter(file, compression=CompressionType.LZ4)
        writer.start()

        def channel(topic: str, name: str) -> int:
            schema = writer.register_schema(name, "jsonschema", json.dumps({"type": "object"}).encode())
            return int(writer.register_channel(topic, "json", schema))

        where = channel("/where", "foxglove.PosesInFrame")
        path = channel("/planned", "foxglove.PosesInFrame")
        front = channel("/front/image", "foxglove.CompressedImage")
        lens = channel("/front/calibration", "foxglove.CameraCalibration")
        for index, (t_ns, x, y, yaw) in enumerate(instants(arc)):
            stamp = {"sec": t_ns // 10**9, "nsec": t_ns % 10**9}
            pose = {"position": {"x": x, "y": y, "z": 0}, "orientation": about_z(yaw)}
            image = {
                "timestamp": stamp,
                "frame_id": "front",
                "format": "jpeg",
                "data": base64.b64encode(jpeg(index)).decode(),
            }
            about = {
                "timestamp": stamp,
                "frame_id": "front",
                "width": 64,
                "height": 32,
                "K": LENS,
                "D": [0.1, 0, 0, 0, 0],
            }
            for to, message in (
                (where, {"timestamp": stamp, "frame_id": "odom", "poses": [pose]}),
                (path, {"timestamp": stamp, "frame_id": "odom", "poses": [pose, pose]}),
                (front, image),
                (lens, about | {"distortion_model": "plumb_bob", "something_new": [{"timestamp": stamp}]}),
            ):
                writer.add_message(to, log_time=t_ns, data=json.dumps(message).encode(), publish_time=t_ns)
        writer.finish()
    drive = Mcap().read(tmp_path, "json.mcap")
    follows(drive, arc)
    assert drive.facts["pose_from"] == "/where"
    (camera,) = drive.cameras
    assert camera.pictures.encoded(9) == ("jpeg", jpeg(9))
    assert (camera.distortion, camera.coefficients) == ("brown", (0.1, 0, 0, 0, 0))
    assert camera.K is not None and not camera.calibrated  # no transform says where it is


# ROS 2 ----------------------------------------------------------------------------------------------------------------


def test_odometry_pictures_and_camera_info_of_ros(tmp_path: Path, arc: Drive) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    with bag(tmp_path / "bag.mcap") as ros:
        still = link(0, "base_link", "camera_optical", MOUNT, AHEAD)
        ros.say("/tf_static", "TFMessage", START_NS, transforms=[still])
        for index, (t_ns, x, y, yaw) in enumerate(instants(arc)):
            ros.say("/odom", "Odometry", t_ns, "odom", **odometry(x, y, yaw, 10.5, 0.11))
            ros.say("/tf", "TFMessage", t_ns, transforms=[link(t_ns, "map", "odom", {"x": 100.0}, about_z(0.0))])
            if index % 2 == 0:
                image = {"format": "bgr8; jpeg compressed bgr8", "data": jpeg(index)}
                ros.say("/front/image_raw/compressed", "CompressedImage", t_ns, "camera_optical", **image)
                raw = {"height": 32, "width": 64, "is_bigendian": 0, "step": 192}
                bgr = {**raw, "encoding": "bgr8", "data": pixels[..., ::-1].tobytes()}
                ros.say("/rear/image_raw", "Image", t_ns, "rear", **bgr)
                ros.say("/front/image_raw", "Image", t_ns, "camera_optical", **bgr)
                depth = {**raw, "encoding": "16UC1", "step": 128, "data": bytes(128 * 32)}
                ros.say("/depth/image_raw", "Image", t_ns, "camera_optical", **depth)
                lens = {"height": 32, "width": 64, "d": [0.1, 0.2, 0.0, 0.0], "k": LENS, "r": LENS, "p": [0.0] * 12}
                ros.say(
                    "/front/camera_info", "CameraInfo", t_ns, "camera_optical", distortion_model="equidistant", **lens
                )
    drive = Mcap().read(tmp_path, "bag.mcap")
    assert np.array_equal(drive.t_ns, START_NS + arc.t_ns)
    np.testing.assert_allclose(drive["x"], arc["x"] + 100, atol=1e-9)  # in the root frame, map
    assert set(drive["speed"].tolist()) == {10.5} and set(drive["yaw_rate"].tolist()) == {0.11}  # as measured
    assert drive.facts["cameras_from"] == {
        "/depth/image_raw": None,
        "/front/image_raw": None,
        "/front/image_raw/compressed": "front",
        "/rear/image_raw": "rear",
    }
    front, rear = drive.cameras
    assert front.calibrated and (front.distortion, front.coefficients) == ("fisheye", (0.1, 0.2, 0.0, 0.0))
    assert np.array_equal(front.t_ns, START_NS + arc.t_ns[::2])  # when they were taken, not when they were logged
    assert front.pictures.encoded(1) == ("jpeg", jpeg(2)) and not rear.calibrated
    assert np.array_equal(rear.pictures.read(np.array([3]))[0], pixels)
    chosen = Mcap(camera_topics=("/front/image_raw",)).read(tmp_path, "bag.mcap").cameras
    assert [np.array_equal(one.pictures.read(np.array([0]))[0], pixels) for one in chosen] == [True]


@pytest.mark.parametrize(
    ("encoding", "row"),
    [
        ("rgb8", (40, 80, 120) * 64),
        ("yuyv", (78, 152, 78, 108) * 32),
        ("yuv422_yuy2", (78, 152, 78, 108) * 32),
        ("uyvy", (152, 78, 108, 78) * 32),
        ("yuv422", (152, 78, 108, 78) * 32),
        ("bayer_rggb8", ((40, 80) * 32, (80, 120) * 32)),
        ("bayer_bggr8", ((120, 80) * 32, (80, 40) * 32)),
        ("bayer_gbrg8", ((80, 120) * 32, (40, 80) * 32)),
        ("bayer_grbg8", ((80, 40) * 32, (120, 80) * 32)),
    ],
)
def test_raw_pictures_of_one_colour_have_it_whatever_their_encoding(
    tmp_path: Path, arc: Drive, encoding: str, row: tuple[Any, ...]
) -> None:
    """By BT.601 in video range: Y 78, Cb 152, Cr 108 is about (40, 80, 120)."""
    rows = np.resize(np.array(row, np.uint8), (32, np.size(row) // (2 if encoding.startswith("bayer") else 1)))
    padded = np.pad(rows, [(0, 0), (0, 12)])  # a step may be longer than its pixels
    raw = {"height": 32, "width": 64, "is_bigendian": 0, "step": padded.shape[1], "encoding": encoding}
    with bag(tmp_path / "bag.mcap") as ros:
        for t_ns, x, y, yaw in instants(arc):
            ros.say("/odom", "Odometry", t_ns, "odom", **odometry(x, y, yaw))
            ros.say("/front/image_raw", "Image", t_ns, "front", **raw, data=padded.tobytes())
    (camera,) = Mcap().read(tmp_path, "bag.mcap").cameras
    picture = camera.pictures.read(np.array([5]))[0]
    assert picture.shape == (32, 64, 3)
    assert np.abs(picture.astype(int) - (40, 80, 120)).max() <= 3


def test_mixed_pixels_of_an_odd_size_are_refused_rather_than_handed_to_ffmpeg(tmp_path: Path, arc: Drive) -> None:
    raw = {"height": 31, "width": 63, "is_bigendian": 0, "step": 63, "encoding": "bayer_rggb8", "data": bytes(31 * 63)}
    with bag(tmp_path / "bag.mcap") as ros:
        for t_ns, x, y, yaw in instants(arc):
            ros.say("/odom", "Odometry", t_ns, "odom", **odometry(x, y, yaw))
            ros.say("/front/image_raw", "Image", t_ns, "front", **raw)
    (camera,) = Mcap().read(tmp_path, "bag.mcap").cameras
    with pytest.raises(DataError, match="even width and height, found 63x31"):
        camera.pictures.read(np.array([0]))


def test_cameras_that_are_not_the_same_do_not_vanish_behind_one_name(tmp_path: Path, arc: Drive) -> None:
    stereo = ["/stereo/image_left/compressed", "/stereo/image_right/compressed"]
    alike = ["/rig/front/image", "/rig_front/image"]
    with bag(tmp_path / "bag.mcap") as ros:
        for t_ns, x, y, yaw in instants(arc):
            ros.say("/odom", "Odometry", t_ns, "odom", **odometry(x, y, yaw))
            for shade, topic in enumerate([*stereo, *alike]):
                ros.say(topic, "CompressedImage", t_ns, topic, format="jpeg", data=jpeg(50 * shade))
    drive = Mcap().read(tmp_path, "bag.mcap")
    names = ["rig.front.image", "rig_front.image", "stereo_image_left", "stereo_image_right"]
    assert drive.facts["cameras_from"] == dict(zip(sorted([*stereo, *alike]), names, strict=True))
    assert [camera.pictures.encoded(0)[1] for camera in drive.cameras] == [jpeg(s) for s in (100, 150, 0, 50)]


def test_two_topics_of_one_camera_that_are_both_wanted_are_two_cameras(tmp_path: Path, arc: Drive) -> None:
    topics = ("/front/image/compressed", "/front/image_rect/compressed")
    with bag(tmp_path / "bag.mcap") as ros:
        for t_ns, x, y, yaw in instants(arc):
            ros.say("/odom", "Odometry", t_ns, "odom", **odometry(x, y, yaw))
            for topic in topics:
                ros.say(topic, "CompressedImage", t_ns, "front", format="jpeg", data=jpeg(0))
    drive = Mcap().read(tmp_path, "bag.mcap")
    assert drive.facts["cameras_from"] == dict(zip(topics, ("front", None), strict=True))
    both = Mcap(camera_topics=topics).read(tmp_path, "bag.mcap").cameras
    assert [camera.name for camera in both] == ["front.image.compressed", "front.image_rect.compressed"]


def test_a_camera_whose_first_picture_is_damaged_is_as_large_as_the_next(tmp_path: Path, arc: Drive) -> None:
    with bag(tmp_path / "bag.mcap") as ros:
        for index, (t_ns, x, y, yaw) in enumerate(instants(arc)):
            ros.say("/odom", "Odometry", t_ns, "odom", **odometry(x, y, yaw))
            ros.say("/front/image", "CompressedImage", t_ns, "f", format="jpeg", data=jpeg(index) if index else b"")
    (camera,) = Mcap().read(tmp_path, "bag.mcap").cameras
    assert camera.size == (64, 32) and camera.pictures.encoded(1) == ("jpeg", jpeg(1))
    with pytest.raises(DataError, match="picture 0 cannot be decoded"):
        camera.pictures.read(np.array([0]))


def test_a_program_that_calls_itself_a_picture_is_none(tmp_path: Path, arc: Drive) -> None:
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 32\n%%EndComments\nshowpage\n%%EOF\n"
    with bag(tmp_path / "bag.mcap") as ros:
        for index, (t_ns, x, y, yaw) in enumerate(instants(arc)):
            ros.say("/odom", "Odometry", t_ns, "odom", **odometry(x, y, yaw))
            data = jpeg(index) if index else program
            ros.say("/front/image", "CompressedImage", t_ns, "f", format="jpeg", data=data)
    (camera,) = Mcap().read(tmp_path, "bag.mcap").cameras
    for look in (lambda: camera.pictures.encoded(0), lambda: camera.pictures.read(np.array([0]))):
        with pytest.raises(DataError, match="picture 0 cannot be decoded"):
            look()


def test_a_twist_that_nobody_filled_in_is_not_believed(tmp_path: Path, arc: Drive) -> None:
    with bag(tmp_path / "bag.mcap") as ros:
        for t_ns, x, y, yaw in instants(arc):
            ros.say("/odom", "Odometry", t_ns, "odom", **odometry(x, y, yaw))
    follows(Mcap().read(tmp_path, "bag.mcap"), arc)


def test_of_several_odometries_the_fullest_is_believed_and_the_others_are_named(tmp_path: Path, arc: Drive) -> None:
    with bag(tmp_path / "bag.mcap") as ros:
        for index, (t_ns, x, y, yaw) in enumerate(instants(arc)):
            ros.say("/a/odom", "Odometry", t_ns, "odom", **odometry(x + 1, y, yaw)) if index % 2 else None
            ros.say("/b/odom", "Odometry", t_ns, "odom", **odometry(x, y, yaw))
            ros.say("/c/odom", "Odometry", t_ns, "odom", **odometry(x + 2, y, yaw))
            ros.say("/amcl", "PoseStamped", t_ns, "map", pose=odometry(x, y, yaw)["pose"]["pose"])
    drive = Mcap().read(tmp_path, "bag.mcap")
    follows(drive, arc)
    assert drive.facts["pose_from"] == "/b/odom" and drive.facts["unused"] == ["/a/odom", "/amcl", "/c/odom"]


def test_transforms_alone_tell_the_pose_through_every_link(tmp_path: Path, arc: Drive) -> None:
    """The car in odom turns by 90 degrees in map: the chain must be followed, at the rate of its faster link."""
    with bag(tmp_path / "bag.mcap") as ros:
        for index, (t_ns, x, y, yaw) in enumerate(instants(arc)):
            links = [link(t_ns, "odom", "base_link", {"x": y, "y": -x}, about_z(yaw - np.pi / 2))]
            if index % 10 == 0:
                links.append(link(t_ns, "map", "/odom", {"z": index * 1e-3}, about_z(np.pi / 2)))
            ros.say("/tf", "TFMessage", t_ns, transforms=links)
    follows(Mcap().read(tmp_path, "bag.mcap"), arc)


def test_receivers_without_a_fix_begin_no_drive_and_leave_holes_in_it(tmp_path: Path, arc: Drive) -> None:
    lost = {*range(20), 50, 51, len(arc) - 1}
    with bag(tmp_path / "bag.mcap") as ros:
        for index, (t_ns, x, _, _) in enumerate(instants(arc)):
            place = {"latitude": 0.0, "longitude": float(np.degrees(x / 6378137)), "altitude": float("nan")}
            status = {"status": -1 if index in lost else 0, "service": 1}
            more = {"position_covariance": [0.0] * 9, "position_covariance_type": 0}
            ros.say("/fix", "NavSatFix", t_ns, "gps", status=status, **place, **more)
    drive = Mcap().read(tmp_path, "bag.mcap")
    assert np.array_equal(drive.t_ns, START_NS + arc.t_ns[20:-1])
    assert np.flatnonzero(np.isnan(drive["x"])).tolist() == [30, 31] and drive.facts["nan_poses"] == 2
    known = np.isfinite(drive["x"])
    np.testing.assert_allclose(drive["x"][known], (arc["x"][20:-1] - arc["x"][20])[known], atol=1e-4)


@pytest.mark.parametrize(("rate", "kept"), [(20.0, 5), (50.0, 2), (200.0, 1), (30.0, 4)])
def test_fast_poses_are_thinned_by_a_whole_factor(tmp_path: Path, arc: Drive, rate: float, kept: int) -> None:
    with bag(tmp_path / "bag.mcap") as ros:
        for index in range(400):
            t_ns = START_NS + index * 10_000_000  # 100 Hz
            ros.say("/odom", "Odometry", t_ns, "odom", **odometry(index * 0.1, 0.0, 0.0))
    drive = Mcap(rate_hz=rate).read(tmp_path, "bag.mcap")
    assert set(np.diff(drive.t_ns).tolist()) == {kept * 10_000_000}
    np.testing.assert_allclose(drive["speed"], 10.0, atol=1e-6)


def test_stamps_of_two_clocks_are_not_compared(tmp_path: Path, arc: Drive) -> None:
    """A camera that counts from its own start: log times are all that both have in common."""
    with bag(tmp_path / "bag.mcap") as ros:
        for index, (t_ns, x, y, yaw) in enumerate(instants(arc)):
            ros.say("/odom", "Odometry", t_ns, "odom", **odometry(x, y, yaw))
            image = {"format": "jpeg", "data": jpeg(0)}
            ros.say("/front/compressed", "CompressedImage", t_ns, "c", stamp_ns=index * 10**8 + 1, **image)
    drive = Mcap().read(tmp_path, "bag.mcap")
    assert drive.facts["stamps"] == "logged"
    assert np.array_equal(drive.t_ns, START_NS + LATE_NS + arc.t_ns)
    assert np.array_equal(drive.cameras[0].t_ns, drive.t_ns)


@pytest.mark.parametrize(
    "options",
    [
        {"use_chunking": False},
        {"index_types": IndexType.NONE, "repeat_channels": False, "repeat_schemas": False},
        {"index_types": IndexType.CHUNK, "compression": CompressionType.NONE, "chunk_size": 1000},
        {"index_types": IndexType.CHUNK, "repeat_channels": False},
        {"repeat_schemas": False},
        {"compression": CompressionType.LZ4, "chunk_size": 5000, "enable_crcs": False},
    ],
)
def test_a_file_is_read_alike_however_it_is_chunked_and_indexed(
    tmp_path: Path, arc: Drive, options: dict[str, Any]
) -> None:
    as_foxglove_converts_nuscenes(arc.slice(0, 30), tmp_path / "scene.mcap")
    rewritten(tmp_path / "scene.mcap", tmp_path / "again.mcap", **options)
    whole, drive = (Mcap().read(tmp_path, name) for name in ("scene.mcap", "again.mcap"))
    assert np.array_equal(drive.poses, whole.poses) and drive.objects is not None and whole.objects is not None
    assert np.array_equal(drive.objects["x"], whole.objects["x"])
    assert drive.cameras[0].pictures.encoded(11) == ("jpeg", jpeg(11))


# Bad files ------------------------------------------------------------------------------------------------------------


def backwards(ros: RosBag, drive: Drive) -> None:
    for index, (t_ns, x, y, yaw) in enumerate(instants(drive)):
        ros.say("/odom", "Odometry", t_ns - (5 * 10**9 if index > 50 else 0), "odom", **odometry(x, y, yaw))


def without_poses(ros: RosBag, drive: Drive) -> None:
    for t_ns, *_ in instants(drive):
        ros.say("/front/compressed", "CompressedImage", t_ns, "c", format="jpeg", data=jpeg(0))


def nan_poses(ros: RosBag, drive: Drive) -> None:
    for t_ns, *_ in instants(drive):
        ros.say("/odom", "Odometry", t_ns, "odom", **odometry(np.nan, np.nan, np.nan))


def one_pose(ros: RosBag, drive: Drive) -> None:
    ros.say("/odom", "Odometry", START_NS, "odom", **odometry(0, 0, 0))


@pytest.mark.parametrize(
    ("fill", "said"),
    [
        (backwards, r"time goes backwards by 4\.9 s at message 52 of /odom"),
        (without_poses, "nothing tells where the car was"),
        (nan_poses, "/odom has 201 poses, none of them finite"),
        (one_pose, "only /odom tells where the car was, and it says so once"),
    ],
)
def test_a_bag_that_makes_no_drive_says_why(
    tmp_path: Path, arc: Drive, fill: Callable[[RosBag, Drive], None], said: str
) -> None:
    with bag(tmp_path / "bag.mcap") as ros:
        fill(ros, arc)
    with pytest.raises(DataError, match=said) as refused:
        Mcap().read(tmp_path, "bag.mcap")
    assert "\n" not in str(refused.value)


def test_frames_in_a_ring_have_an_end(tmp_path: Path, arc: Drive) -> None:
    with bag(tmp_path / "bag.mcap") as ros:
        for t_ns, x, y, yaw in instants(arc):
            there = link(t_ns, "odom", "base_link", {"x": x, "y": y}, about_z(yaw))
            back = link(t_ns, "base_link", "odom", {"x": 3.0}, about_z(0.0))
            ros.say("/tf", "TFMessage", t_ns, transforms=[there, back])
    follows(Mcap().read(tmp_path, "bag.mcap"), arc)


def test_unknown_schemas_are_named(tmp_path: Path) -> None:
    with (tmp_path / "log.mcap").open("wb") as file, ProtobufWriter(file) as writer:
        writer.write_message("/said", Log(message="hello"), log_time=1, publish_time=1)
    with pytest.raises(
        DataError, match=r"no channel has a schema that this reader knows; there are /said \(foxglove\.Log\)"
    ):
        Mcap().read(tmp_path, "log.mcap")


def test_a_message_that_is_not_what_its_schema_says_is_one_line(tmp_path: Path) -> None:
    with (tmp_path / "bad.mcap").open("wb") as file:
        writer: Any = McapWriter(file)
        writer.start()
        schema = writer.register_schema(
            "nav_msgs/msg/Odometry", "ros2msg", DEFINITIONS["nav_msgs/msg/Odometry"].encode()
        )
        channel = writer.register_channel("/odom", "cdr", schema)
        writer.add_message(channel, 1, b"\0\1\0\0 too short", 1)
        writer.finish()
    with pytest.raises(DataError, match="decoding /odom as nav_msgs/msg/Odometry") as refused:
        Mcap().read(tmp_path, "bad.mcap")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("/CAM_FRONT/image_rect_compressed", "CAM_FRONT"),
        ("/camera/front/image_raw/compressed", "camera_front"),
        ("/camera/color/image_raw", "camera"),
        ("/stereo/image_left/compressed", "stereo_image_left"),
        ("/sensors/video0/image", "sensors_video0"),
        ("image", "image"),
        ("/video", "video"),
        ("/", "camera"),
    ],
)
def test_cameras_are_named_by_the_part_of_the_topic_that_tells_them_apart(topic: str, name: str) -> None:
    assert names_of([topic]) == {topic: name}


@pytest.fixture(scope="session")
def unchecked(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Small files without checksums, whose damage reaches every parser: Foxglove's, ROS 2's, and ours."""
    folder = tmp_path_factory.mktemp("unchecked")
    drive = steady_turn(seconds=1)
    as_foxglove_converts_nuscenes(drive, folder / "foxglove.mcap")
    with bag(folder / "ros.mcap") as ros:
        for t_ns, x, y, yaw in instants(drive):
            ros.say("/odom", "Odometry", t_ns, "odom", **odometry(x, y, yaw))
            ros.say("/tf", "TFMessage", t_ns, transforms=[link(t_ns, "map", "odom", {"x": x}, about_z(yaw))])
            ros.say("/c/compressed", "CompressedImage", t_ns, "c", format="jpeg", data=jpeg(0))
    write(drive, folder / "ours.mcap")
    found = []
    for path in sorted(folder.iterdir()):
        rewritten(path, folder / "again", compression=CompressionType.NONE, enable_crcs=False)
        found.append((folder / "again").read_bytes())
    return found


@pytest.mark.parametrize("seed", range(120))
def test_damage_without_checksums_is_an_error_of_one_line_or_a_drive(
    tmp_path_factory: pytest.TempPathFactory, seed: int, unchecked: list[bytes]
) -> None:
    dice = random.Random(seed)
    data = bytearray(unchecked[seed % len(unchecked)])
    for _ in range(dice.choice([1, 3, 10, 100])):
        data[dice.randrange(len(data))] = dice.randrange(256)
    folder = tmp_path_factory.mktemp("damage")
    (folder / "drive.mcap").write_bytes(data)
    try:
        drive = Mcap(recover=dice.random() < 0.5).read(folder, "drive.mcap")
        for camera in drive.cameras:
            camera.pictures.read(np.arange(len(camera.pictures)))
    except UnderstudyError as error:
        assert "\n" not in str(error)
