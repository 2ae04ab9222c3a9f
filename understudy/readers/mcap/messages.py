"""Messages of others in one form, whichever way they were written.

A channel is known by its schema, not by its topic. Foxglove's schemas are read in protobuf and in JSON (the same
fields; only times are spelled differently), ROS 2's by the definitions that come with the file. What is decoded is a
tree of attributes; the functions below take from it what a drive needs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.CompressedVideo_pb2 import CompressedVideo
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.FrameTransforms_pb2 import FrameTransforms
from foxglove_schemas_protobuf.LocationFix_pb2 import LocationFix
from foxglove_schemas_protobuf.Odometry_pb2 import Odometry
from foxglove_schemas_protobuf.PoseInFrame_pb2 import PoseInFrame
from foxglove_schemas_protobuf.PosesInFrame_pb2 import PosesInFrame
from foxglove_schemas_protobuf.RawImage_pb2 import RawImage
from foxglove_schemas_protobuf.SceneEntityDeletion_pb2 import SceneEntityDeletion
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from mcap.records import Channel, Schema
from mcap_ros2.decoder import DecoderFactory

from understudy.errors import DataError
from understudy.records import NS

Decode = Callable[[bytes], Any]
Seven = tuple[float, float, float, float, float, float, float]  # x, y, z, and the quaternion w, x, y, z
NAN = float("nan")


class Role(Enum):
    """What a channel can tell."""

    TRANSFORMS = "transforms"
    ODOMETRY = "odometry"
    POSES = "poses"
    FIXES = "fixes"
    STILLS = "stills"
    RAW = "raw pictures"
    VIDEO = "video"
    CALIBRATION = "calibration"
    SCENE = "scene"


FOXGLOVE: dict[str, tuple[Role, Any]] = {
    "FrameTransform": (Role.TRANSFORMS, FrameTransform),
    "FrameTransforms": (Role.TRANSFORMS, FrameTransforms),
    "Odometry": (Role.ODOMETRY, Odometry),
    "PoseInFrame": (Role.POSES, PoseInFrame),
    "PosesInFrame": (Role.POSES, PosesInFrame),
    "LocationFix": (Role.FIXES, LocationFix),
    "CompressedImage": (Role.STILLS, CompressedImage),
    "RawImage": (Role.RAW, RawImage),
    "CompressedVideo": (Role.VIDEO, CompressedVideo),
    "CameraCalibration": (Role.CALIBRATION, CameraCalibration),
    "SceneUpdate": (Role.SCENE, SceneUpdate),
}
ROS: dict[str, Role] = {
    "tf2_msgs/TFMessage": Role.TRANSFORMS,
    "nav_msgs/Odometry": Role.ODOMETRY,
    "geometry_msgs/PoseStamped": Role.POSES,
    "geometry_msgs/PoseWithCovarianceStamped": Role.POSES,
    "sensor_msgs/NavSatFix": Role.FIXES,
    "sensor_msgs/CompressedImage": Role.STILLS,
    "sensor_msgs/Image": Role.RAW,
    "sensor_msgs/CameraInfo": Role.CALIBRATION,
}


def role(channel: Channel, schema: Schema | None) -> Role | None:
    """What a channel can tell, None where its schema or encoding is not known here."""
    if schema is None:
        return None
    name = schema.name.replace("/msg/", "/")
    if channel.message_encoding == "cdr" and schema.encoding == "ros2msg":
        return ROS.get(name)
    if channel.message_encoding in ("protobuf", "json") and name.startswith("foxglove."):
        return FOXGLOVE.get(name.removeprefix("foxglove."), (None, None))[0]
    return None


def decoder(channel: Channel, schema: Schema) -> Decode:
    """What turns a channel's messages into trees of attributes; for channels that have a role."""
    with _decoding(channel, schema):
        plain = _plain_decoder(channel, schema)

    def decode(data: bytes) -> Any:
        with _decoding(channel, schema):
            return plain(data)

    return decode


def _plain_decoder(channel: Channel, schema: Schema) -> Decode:
    if channel.message_encoding == "cdr":
        decode: Decode | None = DecoderFactory().decoder_for(channel.message_encoding, schema)
        if decode is None:
            raise ValueError("its definition cannot be read")
        return decode
    kind = FOXGLOVE[schema.name.removeprefix("foxglove.")][1]
    parse: Decode = kind.FromString
    return parse if channel.message_encoding == "protobuf" else _JsonOf(kind)


@contextmanager
def _decoding(channel: Channel, schema: Schema) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # three libraries' parsers, each with its own ways to fail on damaged bytes
        said = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(f"decoding {channel.topic} as {schema.name}: {said}") from error


@dataclass(frozen=True, slots=True)
class _JsonOf:
    """Foxglove's JSON through the protobuf class of the same fields, which knows their types and defaults."""

    kind: Any

    def __call__(self, data: bytes) -> Any:
        return json_format.ParseDict(_times(json.loads(data)), self.kind(), ignore_unknown_fields=True)


def _times(value: Any) -> Any:
    """Foxglove spells times {sec, nsec}, protobuf's JSON as text."""
    if isinstance(value, list):
        return [_times(one) for one in value]
    if not isinstance(value, dict):
        return value
    spelled = {name: _times(one) for name, one in value.items()}
    for name, kind in (("timestamp", Timestamp), ("lifetime", Duration)):
        if isinstance(time := value.get(name), dict):
            spelled[name] = kind(seconds=int(time.get("sec", 0)), nanos=int(time.get("nsec", 0))).ToJsonString()
    return spelled


# What a drive needs of a message --------------------------------------------------------------------------------------


def nanoseconds(time: Any) -> int:
    if hasattr(time, "seconds"):  # protobuf
        return int(time.seconds) * NS + int(time.nanos)
    return int(time.sec) * NS + int(time.nanosec)  # ROS 2


def stamp(message: Any) -> int:
    """When it was measured, in nanoseconds; 0 where the message does not say."""
    header = getattr(message, "header", None)
    return nanoseconds(header.stamp if header is not None else message.timestamp)


def frame(message: Any) -> str:
    """The frame that it is measured in."""
    return str(getattr(message, "header", message).frame_id)


def _seven(position: Any, orientation: Any) -> Seven:
    return (position.x, position.y, position.z, orientation.w, orientation.x, orientation.y, orientation.z)


class Transform(NamedTuple):
    """Where a frame is in its parent."""

    stamp_ns: int
    parent: str
    child: str
    place: Seven


def transforms(message: Any) -> Iterator[Transform]:
    for one in getattr(message, "transforms", [message]):
        if hasattr(one, "transform"):  # ROS 2
            place = _seven(one.transform.translation, one.transform.rotation)
            yield Transform(stamp(one), bare(one.header.frame_id), bare(one.child_frame_id), place)
        else:
            place = _seven(one.translation, one.rotation)
            yield Transform(stamp(one), one.parent_frame_id, one.child_frame_id, place)


def bare(name: str) -> str:
    return name.removeprefix("/")  # tf2 takes no leading slash; older nodes still write one


class Pose(NamedTuple):
    """Where a body is in a frame, and how it moves in its own; nan where the message does not say."""

    frame: str
    body: str
    place: Seven
    speed: float = NAN
    yaw_rate: float = NAN


def pose(message: Any) -> Pose | None:
    """None for a list of poses that is not one pose: a path, not a place."""
    where = bare(frame(message))
    if hasattr(message, "poses"):
        if len(message.poses) != 1:
            return None
        return Pose(where, "", _seven(message.poses[0].position, message.poses[0].orientation))
    inner = message.pose
    inner = getattr(inner, "pose", inner)  # ROS 2 keeps the covariance beside it
    place = _seven(inner.position, inner.orientation)
    if hasattr(message, "twist"):
        twist = message.twist.twist
        return Pose(where, bare(message.child_frame_id), place, twist.linear.x, twist.angular.z)
    if hasattr(message, "body_frame_id"):
        motion = (message.linear_velocity.x, message.angular_velocity.z)
        return Pose(where, message.body_frame_id, place, *motion)
    return Pose(where, "", place)


def fix(message: Any) -> tuple[float, float, float]:
    """Latitude and longitude in degrees, altitude in metres; nan where the receiver had no fix."""
    status = getattr(message, "status", None)
    if status is not None and status.status < 0:
        return NAN, NAN, NAN
    altitude = 0.0 if math.isnan(message.altitude) else message.altitude  # a receiver may know only the plane
    return message.latitude, message.longitude, altitude


class Calibration(NamedTuple):
    """A camera's own account of itself."""

    frame: str
    size: tuple[int, int]
    model: str
    D: tuple[float, ...]
    K: tuple[float, ...]
    P: tuple[float, ...]


def calibration(message: Any) -> Calibration:
    names = "DKP" if hasattr(message, "K") else "dkp"  # ROS 2 has small letters
    D, K, P = (tuple(float(value) for value in getattr(message, name)) for name in names)
    return Calibration(bare(frame(message)), (message.width, message.height), message.distortion_model, D, K, P)


class Cube(NamedTuple):
    """A box of a scene."""

    entity: str  # the same for the same thing
    words: str  # what it may be
    frame: str
    place: Seven
    size: tuple[float, float, float]
    lifetime_ns: int  # how long it is shown, unless it is shown anew or taken away before


FOREVER = 2**62


@dataclass
class Scene:
    """The entities shown now, as updates come in."""

    shown: dict[str, int]  # and their stamps

    def update(self, message: Any, at_ns: int) -> tuple[list[str], dict[str, list[Cube]]]:
        """The entities that an update at a time takes away, and the boxes of those that it shows, anew or not."""
        gone = []
        for one in message.deletions:
            before = nanoseconds(one.timestamp) or at_ns
            every = one.type == SceneEntityDeletion.Type.ALL
            gone += [
                name for name in (list(self.shown) if every else [one.id]) if self.shown.get(name, FOREVER) <= before
            ]
        for name in gone:
            self.shown.pop(name, None)
        sighted = {}
        for entity in message.entities:
            words = " ".join([entity.id, *(pair.value for pair in entity.metadata)])
            sighted[entity.id] = [
                Cube(
                    f"{entity.id}/{number}" if number else entity.id,
                    words,
                    bare(entity.frame_id),
                    _seven(cube.pose.position, cube.pose.orientation),
                    (cube.size.x, cube.size.y, cube.size.z),
                    nanoseconds(entity.lifetime) or FOREVER,
                )
                for number, cube in enumerate(entity.cubes)
            ]
            self.shown[entity.id] = nanoseconds(entity.timestamp) or at_ns
        return gone, sighted
