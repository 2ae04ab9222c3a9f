"""A drive as viewers show it: Foxglove's messages for frames, cameras, boxes, the map, lights and plans.

None of this is read back: what it shows lies exactly under `/understudy/`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.FrameTransforms_pb2 import FrameTransforms
from foxglove_schemas_protobuf.LinePrimitive_pb2 import LinePrimitive
from foxglove_schemas_protobuf.SceneEntityDeletion_pb2 import SceneEntityDeletion
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from google.protobuf.message import Message
from scipy.spatial.transform import Rotation

from understudy.recorder import boxes
from understudy.recorder.boxes import GREY, Colour
from understudy.records import NS, Array, Camera, Drive, Floats, Light, Lights, Shadow, Vehicle

MAP, EGO = "map", "ego"
EGO_COLOUR: Colour = (0.2, 0.6, 1.0, 0.8)
PLAN_COLOUR: Colour = (0.2, 0.8, 0.4, 1.0)
LAMPS: dict[int, Colour] = {
    Light.RED: (1.0, 0.1, 0.1, 1.0),
    Light.YELLOW: (1.0, 0.8, 0.1, 1.0),
    Light.GREEN: (0.1, 0.9, 0.2, 1.0),
}
DISTORTIONS = {"none": "", "brown": "plumb_bob", "fisheye": "kannala_brandt"}
MODELS = {"brown": 5, "fisheye": 4}  # how many coefficients Foxglove's models have

Shown = tuple[str, int, type[Message], bytes]  # topic, stamp, the message's schema, and itself
Part = Any  # the fields of a message as a dict, which protobuf takes wherever its stubs ask for the message


def camera_frame(name: str) -> str:
    return f"camera/{name}"


def picture(topic: str, camera: str, t_ns: int, form: str, data: bytes) -> Shown:
    message = CompressedImage(timestamp=_stamp(t_ns), frame_id=camera_frame(camera), data=data, format=form)
    return _shown(topic, t_ns, message)


def _shown(topic: str, t_ns: int, message: Message) -> Shown:
    return topic, t_ns, type(message), message.SerializeToString()


def standing(drive: Drive) -> Iterator[Shown]:
    """What is said once, at the drive's first instant. Viewers that jump in time find the last message of a topic."""
    t_ns = int(drive.t_ns[0])
    calibrated = [camera for camera in drive.cameras if camera.calibrated]
    if calibrated:
        yield _shown("/tf_static", t_ns, FrameTransforms(transforms=[_mount(t_ns, camera) for camera in calibrated]))
    for camera in drive.cameras:
        if camera.K is not None:
            yield _shown(f"/camera/{camera.name}/calibration", t_ns, _calibration(t_ns, camera, camera.K))
    if drive.map is not None:
        yield _shown("/scene/map", t_ns, _scene(t_ns, [_entity(t_ns, MAP, "map", lines=_map_lines(drive))]))
    yield _shown("/scene/ego", t_ns, _scene(t_ns, [_entity(t_ns, EGO, "ego", cubes=[_body(drive.vehicle)])]))


def moving(drive: Drive) -> Iterator[Shown]:
    """What changes from instant to instant."""
    times: list[int] = drive.t_ns.tolist()
    if drive.has("pose"):
        for t_ns, (x, y, yaw) in zip(times, drive.poses.tolist(), strict=True):
            if math.isfinite(x + y + yaw):
                yield _shown(
                    "/tf", t_ns, FrameTransforms(transforms=[_transform(t_ns, MAP, EGO, (x, y, 0.0), _about_z(yaw))])
                )
    if drive.objects is not None:
        for t_ns, scene in zip(times, boxes.scenes(MAP, times, drive.objects), strict=True):
            yield "/scene/objects", t_ns, SceneUpdate, scene
    if drive.lights is not None:
        yield from _lights(times, drive.lights)
    for name, shadow in drive.shadows.items():
        for t_ns, lines in zip(times, _plan_lines(shadow), strict=True):
            yield _shown(f"/scene/plans/{name}", t_ns, _scene(t_ns, [_entity(t_ns, EGO, name, lines=lines)]))


# Frames and cameras ---------------------------------------------------------------------------------------------------


def _mount(t_ns: int, camera: Camera) -> Part:
    assert camera.ego_T_cam is not None
    x, y, z, w = Rotation.from_matrix(camera.ego_T_cam[:3, :3]).as_quat().tolist()
    turn = {"x": x, "y": y, "z": z, "w": w}
    return _transform(t_ns, EGO, camera_frame(camera.name), camera.ego_T_cam[:3, 3].tolist(), turn)


def _calibration(t_ns: int, camera: Camera, K: Floats) -> Message:
    coefficients = (*camera.coefficients, 0.0, 0.0, 0.0, 0.0, 0.0)[: MODELS.get(camera.distortion, 0)]
    return CameraCalibration(
        timestamp=_stamp(t_ns),
        frame_id=camera_frame(camera.name),
        width=camera.size[0],
        height=camera.size[1],
        distortion_model=DISTORTIONS[camera.distortion],
        D=coefficients,
        K=K.ravel().tolist(),
        R=np.eye(3).ravel().tolist(),
        P=np.pad(K, ((0, 0), (0, 1))).ravel().tolist(),
    )


# Scenes ---------------------------------------------------------------------------------------------------------------


def _body(vehicle: Vehicle) -> Part:
    size = (vehicle.length, vehicle.width, vehicle.height)
    return _cube((vehicle.centre_x, 0.0, vehicle.height / 2), _about_z(0.0), size, EGO_COLOUR)


def _map_lines(drive: Drive) -> list[Part]:
    assert drive.map is not None
    known = drive.map
    lines = [_line(ring, GREY, 0.15, closed=True) for ring in known.drivable]
    lines += [_line(lane.centre, (0.4, 0.5, 0.9, 0.6), 0.1) for lane in known.lanes]
    lines += [_line(marking.points, (1.0, 1.0, 1.0, 0.9), 0.12) for marking in known.markings]
    lines += [_line(ring, (0.9, 0.9, 0.5, 0.9), 0.15, closed=True) for ring in known.crosswalks]
    lines += [_line(line, (0.9, 0.3, 0.3, 0.9), 0.3) for line in known.stop_lines]
    return lines


def _lights(times: Sequence[int], lights: Lights) -> Iterator[Shown]:
    """The lamps whose place is known, at the first instant and whenever one changes."""
    placed = np.flatnonzero(np.isfinite(lights.heads).all(axis=1))
    changed = np.any(lights.state[1:] != lights.state[:-1], axis=1)
    for instant in np.flatnonzero(np.concatenate([[True], changed])).tolist():
        spheres = [
            {
                "pose": {"position": _point(lights.heads[lamp].tolist()), "orientation": _about_z(0.0)},
                "size": {"x": 0.4, "y": 0.4, "z": 0.4},
                "color": _colour(LAMPS.get(int(lights.state[instant, lamp]), GREY)),
            }
            for lamp in placed
        ]
        t_ns = times[instant]
        yield _shown("/scene/lights", t_ns, _scene(t_ns, [_entity(t_ns, MAP, "lights", spheres=spheres)]))


def _plan_lines(shadow: Shadow) -> Iterator[list[Part]]:
    """A line per mode, fainter where it is less likely."""
    for modes, chances in zip(shadow.plan.poses, shadow.plan.probability, strict=True):
        strength = np.clip(np.nan_to_num(chances), 0.15, 1.0)
        lines = []
        for poses, alpha in zip(modes, strength.tolist(), strict=True):
            path = np.concatenate([np.zeros((1, 2)), poses[:, :2]])
            if np.isfinite(path).all():
                lines.append(_line(path, (*PLAN_COLOUR[:3], alpha), 0.3))
        yield lines


# Foxglove's primitives, as the keywords of its messages ---------------------------------------------------------------


def _scene(t_ns: int, entities: Iterable[Part]) -> Message:
    """A scene that replaces the one before it."""
    gone: Part = {"timestamp": _stamp(t_ns), "type": SceneEntityDeletion.Type.ALL}
    return SceneUpdate(deletions=[gone], entities=entities)


def _entity(t_ns: int, frame: str, name: str, **parts: Any) -> Part:
    return {"timestamp": _stamp(t_ns), "frame_id": frame, "id": name, "frame_locked": frame == EGO, **parts}


def _cube(place: Sequence[float], turn: dict[str, float], size: Sequence[float], colour: Colour) -> Part:
    return {"pose": {"position": _point(place), "orientation": turn}, "size": _point(size), "color": _colour(colour)}


def _line(points: Array, colour: Colour, thickness: float, closed: bool = False) -> Part:
    return {
        "type": LinePrimitive.Type.LINE_LOOP if closed else LinePrimitive.Type.LINE_STRIP,
        "pose": {"orientation": _about_z(0.0)},
        "thickness": thickness,
        "points": [{"x": x, "y": y, "z": 0.02} for x, y in points.tolist()],
        "color": _colour(colour),
    }


def _transform(t_ns: int, parent: str, child: str, place: Sequence[float], turn: dict[str, float]) -> Part:
    return {
        "timestamp": _stamp(t_ns),
        "parent_frame_id": parent,
        "child_frame_id": child,
        "translation": _point(place),
        "rotation": turn,
    }


def _stamp(t_ns: int) -> dict[str, int]:
    return {"seconds": t_ns // NS, "nanos": t_ns % NS}


def _point(values: Sequence[float]) -> dict[str, float]:
    return {"x": values[0], "y": values[1], "z": values[2]}


def _about_z(yaw: float) -> dict[str, float]:
    return {"z": math.sin(yaw / 2), "w": math.cos(yaw / 2)}


def _colour(colour: Colour) -> dict[str, float]:
    return {"r": colour[0], "g": colour[1], "b": colour[2], "a": colour[3]}
