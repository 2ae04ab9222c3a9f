"""MCAP files made as others make them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.PoseInFrame_pb2 import PoseInFrame
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from mcap.reader import make_reader
from mcap.writer import Writer as McapWriter
from mcap_protobuf.writer import Writer as ProtobufWriter
from mcap_ros2.writer import Writer as RosWriter
from PIL import Image

from understudy.records import Drive

START_NS = 1_700_000_000_000_000_000
LATE_NS = 30_000_000  # from a measurement to its log time
# The front camera looks ahead (its z is the car's x) from 1.5 m before the rear axle and 1.4 m above it.
MOUNT = {"x": 1.5, "y": 0.0, "z": 1.4}
AHEAD = {"x": -0.5, "y": 0.5, "z": -0.5, "w": 0.5}
LENS = [300.0, 0, 32, 0, 300, 16, 0, 0, 1]


def jpeg(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 32), (shade % 256, 80, 20)).save(out, "jpeg", quality=95)
    return out.getvalue()


def seconds(t_ns: int) -> dict[str, int]:
    return {"seconds": t_ns // 10**9, "nanos": t_ns % 10**9}


def about_z(yaw: float) -> dict[str, float]:
    return {"x": 0.0, "y": 0.0, "z": float(np.sin(yaw / 2)), "w": float(np.cos(yaw / 2))}


def instants(drive: Drive) -> Iterator[tuple[int, float, float, float]]:
    for t_ns, (x, y, yaw) in zip(drive.t_ns.tolist(), drive.poses.tolist(), strict=True):
        yield START_NS + t_ns, x, y, yaw


def rewritten(source: Path, target: Path, **options: Any) -> None:
    """The same messages in another container: without chunks, without an index, without checksums."""
    with source.open("rb") as old, target.open("wb") as new:
        writer: Any = McapWriter(new, **options)
        writer.start()
        channels: dict[int, int] = {}
        for schema, channel, message in make_reader(old).iter_messages():
            assert schema is not None
            if channel.id not in channels:
                known = writer.register_schema(schema.name, schema.encoding, schema.data)
                channels[channel.id] = writer.register_channel(
                    channel.topic, channel.message_encoding, known, channel.metadata
                )
            writer.add_message(channels[channel.id], message.log_time, message.data, message.publish_time)
        writer.finish()


# Foxglove's schemas ---------------------------------------------------------------------------------------------------


def as_foxglove_converts_nuscenes(drive: Drive, path: Path) -> None:
    """The channels of Foxglove's own nuScenes example: transforms, an idle pose, pictures, annotations."""
    with path.open("wb") as file, ProtobufWriter(file) as writer:

        def say(topic: str, message: Any, t_ns: int) -> None:
            writer.write_message(topic, message, log_time=t_ns + LATE_NS, publish_time=t_ns)

        for index, (t_ns, x, y, yaw) in enumerate(instants(drive)):
            stamp = seconds(t_ns)
            place = {"x": x, "y": y, "z": 0.5}
            names = {"timestamp": stamp, "parent_frame_id": "map", "child_frame_id": "base_link"}
            say("/tf", FrameTransform(**names, translation=place, rotation=about_z(yaw)), t_ns)
            names = {"timestamp": stamp, "parent_frame_id": "base_link", "child_frame_id": "cam_front"}
            say("/tf", FrameTransform(**names, translation=MOUNT, rotation=AHEAD), t_ns)
            say("/pose", PoseInFrame(timestamp=stamp, frame_id="base_link", pose={"orientation": {"w": 1.0}}), t_ns)
            image = CompressedImage(timestamp=stamp, frame_id="cam_front", data=jpeg(index), format="jpeg")
            say("/cam_front/image_rect_compressed", image, t_ns)
            about = {"frame_id": "cam_front", "width": 64, "height": 32, "K": LENS}
            P = [300.0, 0, 32, 0, 0, 300, 16, 0, 0, 0, 1, 0]
            say("/cam_front/camera_info", CameraCalibration(timestamp=stamp, **about, P=P), t_ns)
            if index % 5 == 0:
                say("/markers/annotations", annotations(t_ns, index / 10), t_ns)
                say("/markers/car", SceneUpdate(entities=[{"id": "car", "frame_id": "base_link"}]), t_ns)


def annotations(t_ns: int, t_s: float) -> SceneUpdate:
    """A car that drives along x at 4 m/s, a pedestrian who is gone after 10 s, and the ego's own box."""

    def box(name: str, category: str, place: tuple[float, float, float], frame: str = "map") -> dict[str, Any]:
        position = dict(zip("xyz", place, strict=True))
        cube = {"pose": {"position": position, "orientation": about_z(0.1)}, "size": {"x": 4.0, "y": 2.0, "z": 1.6}}
        about = {"id": name, "frame_id": frame, "metadata": [{"key": "category", "value": category}], "cubes": [cube]}
        return {"timestamp": seconds(t_ns), **about}

    shown = [
        box("a1", "vehicle.car", (4 * t_s, 7.0, 1.3)),
        box("self", "vehicle.car", (1.4, 0.0, 0.8), "base_link"),
    ]
    if t_s < 10:
        shown.append(box("b2", "human.pedestrian.adult", (30.0, -3.0, 1.3)))
    return SceneUpdate(deletions=[{"type": 1, "timestamp": seconds(t_ns)}], entities=shown)


# ROS 2 ----------------------------------------------------------------------------------------------------------------

LINE = "=" * 80
HEADER = "MSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id"
POINT = "MSG: geometry_msgs/Point\nfloat64 x\nfloat64 y\nfloat64 z"
VECTOR = "MSG: geometry_msgs/Vector3\nfloat64 x\nfloat64 y\nfloat64 z"
QUATERNION = "MSG: geometry_msgs/Quaternion\nfloat64 x\nfloat64 y\nfloat64 z\nfloat64 w"
POSE = "MSG: geometry_msgs/Pose\ngeometry_msgs/Point position\ngeometry_msgs/Quaternion orientation"


def definition(*parts: str) -> str:
    return f"\n{LINE}\n".join(parts)


DEFINITIONS = {
    "nav_msgs/msg/Odometry": definition(
        "std_msgs/Header header\nstring child_frame_id\n"
        "geometry_msgs/PoseWithCovariance pose\ngeometry_msgs/TwistWithCovariance twist",
        HEADER,
        "MSG: geometry_msgs/PoseWithCovariance\ngeometry_msgs/Pose pose\nfloat64[36] covariance",
        "MSG: geometry_msgs/TwistWithCovariance\ngeometry_msgs/Twist twist\nfloat64[36] covariance",
        "MSG: geometry_msgs/Twist\ngeometry_msgs/Vector3 linear\ngeometry_msgs/Vector3 angular",
        POSE,
        POINT,
        QUATERNION,
        VECTOR,
    ),
    "geometry_msgs/msg/PoseStamped": definition(
        "std_msgs/Header header\ngeometry_msgs/Pose pose", HEADER, POSE, POINT, QUATERNION
    ),
    "tf2_msgs/msg/TFMessage": definition(
        "geometry_msgs/TransformStamped[] transforms",
        "MSG: geometry_msgs/TransformStamped\nstd_msgs/Header header\nstring child_frame_id\n"
        "geometry_msgs/Transform transform",
        HEADER,
        "MSG: geometry_msgs/Transform\ngeometry_msgs/Vector3 translation\ngeometry_msgs/Quaternion rotation",
        VECTOR,
        QUATERNION,
    ),
    "sensor_msgs/msg/CompressedImage": definition("std_msgs/Header header\nstring format\nuint8[] data", HEADER),
    "sensor_msgs/msg/Image": definition(
        "std_msgs/Header header\nuint32 height\nuint32 width\nstring encoding\nuint8 is_bigendian\nuint32 step\n"
        "uint8[] data",
        HEADER,
    ),
    "sensor_msgs/msg/CameraInfo": definition(
        "std_msgs/Header header\nuint32 height\nuint32 width\nstring distortion_model\nfloat64[] d\nfloat64[9] k\n"
        "float64[9] r\nfloat64[12] p",
        HEADER,
    ),
    "sensor_msgs/msg/NavSatFix": definition(
        "std_msgs/Header header\nsensor_msgs/NavSatStatus status\nfloat64 latitude\nfloat64 longitude\n"
        "float64 altitude\nfloat64[9] position_covariance\nuint8 position_covariance_type",
        HEADER,
        "MSG: sensor_msgs/NavSatStatus\nint8 status\nuint16 service",
    ),
}


class RosBag:
    """A bag that is being written."""

    def __init__(self, writer: Any) -> None:
        self.writer = writer
        self.schemas: dict[str, Any] = {}

    def say(
        self, topic: str, kind: str, t_ns: int, frame: str = "", stamp_ns: int | None = None, **fields: Any
    ) -> None:
        """A message that is measured at `t_ns` (or says so) and logged a little later."""
        name = next(name for name in DEFINITIONS if name.endswith(f"/{kind}"))
        if name not in self.schemas:
            self.schemas[name] = self.writer.register_msgdef(name, DEFINITIONS[name])
        if kind != "TFMessage":
            fields["header"] = header(t_ns if stamp_ns is None else stamp_ns, frame)
        self.writer.write_message(topic, self.schemas[name], fields, log_time=t_ns + LATE_NS)


def header(t_ns: int, frame: str) -> dict[str, Any]:
    return {"stamp": {"sec": t_ns // 10**9, "nanosec": t_ns % 10**9}, "frame_id": frame}


def link(t_ns: int, parent: str, child: str, place: dict[str, float], turn: dict[str, float]) -> dict[str, Any]:
    where = {"translation": {"x": 0.0, "y": 0.0, "z": 0.0, **place}, "rotation": turn}
    return {"header": header(t_ns, parent), "child_frame_id": child, "transform": where}


@contextmanager
def bag(path: Path) -> Iterator[RosBag]:
    with path.open("wb") as file:
        writer = RosWriter(file)
        yield RosBag(writer)
        writer.finish()


def odometry(x: float, y: float, yaw: float, speed: float = 0.0, yaw_rate: float = 0.0) -> dict[str, Any]:
    pose = {"position": {"x": x, "y": y, "z": 0.0}, "orientation": about_z(yaw)}
    twist = {"linear": {"x": speed, "y": 0.0, "z": 0.0}, "angular": {"x": 0.0, "y": 0.0, "z": yaw_rate}}
    return {
        "child_frame_id": "base_link",
        "pose": {"pose": pose, "covariance": [0.0] * 36},
        "twist": {"twist": twist, "covariance": [0.0] * 36},
    }
