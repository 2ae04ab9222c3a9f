"""Where the car was: from odometry, from the tree of frames, from poses, or from satellite fixes.

The first of these that a file has is believed, and of several channels of a kind the one that says the most; the
setting `pose_topic` names another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from understudy.errors import DataError, hint
from understudy.geometry import rigid
from understudy.readers.geodesy import ecef, enu_R_ecef
from understudy.readers.mcap.frames import Frames, matrices
from understudy.readers.mcap.hearing import Heard, in_order
from understudy.readers.mcap.messages import Pose, Role
from understudy.records import Array, Floats, Ints

TRANSFORMS = "transforms"  # what the setting pose_topic calls the tree of frames
EGO_FRAMES = ("base_link", "ego", "ego_vehicle", "vehicle", "base_footprint", "chassis", "body")
BELIEVED = (Role.ODOMETRY, Role.TRANSFORMS, Role.POSES, Role.FIXES)
COURSE_S = 1.0  # where it goes over this time is where a car that knows only its position is headed
COURSE_M = 0.5  # if it went this far


@dataclass(frozen=True)
class Ego:
    """The car's poses, in the frame that stands for the map."""

    source: str  # the topic that told, or TRANSFORMS
    t_ns: Ints  # (T,)
    root: str
    root_T_ego: Floats  # (T, 4, 4)
    speed: Floats | None = None  # (T,) where it is measured
    yaw_rate: Floats | None = None
    origin: tuple[float, ...] | None = None  # latitude, longitude and altitude of the map frame's origin


def ego_frame(heard: Sequence[Heard], frames: Frames, wanted: str) -> str:
    """The frame of the car: as set, else the first usual name in the tree, else what odometry calls its body."""
    names = frames.names()
    if wanted:
        if wanted not in names:
            raise DataError(f"no transform names the frame {wanted!r}{hint(wanted, names)}")
        return wanted
    bodies = [one.said[0].body for one in heard if one.role is Role.ODOMETRY and one.said[0].body]
    return next((name for name in EGO_FRAMES if name in names), bodies[0] if bodies else "")


def ego(heard: Sequence[Heard], measured: bool, frames: Frames, body: str, wanted: str) -> Ego:
    """The car's poses. Raises DataError where nothing tells them, or not what was wanted."""
    told = {one.topic: one for one in heard if one.role in BELIEVED and len(one.said) > 1}
    told = {topic: one for topic, one in told.items() if one.role is not Role.TRANSFORMS}
    ranks = {topic: (BELIEVED.index(one.role), -len(one.said), topic) for topic, one in told.items()}
    if body and frames.clock(body) is not None:
        ranks[TRANSFORMS] = (BELIEVED.index(Role.TRANSFORMS), 0, "")
    if wanted and wanted not in ranks:
        raise DataError(f"no poses on {wanted!r}{hint(wanted, ranks)}")
    if not ranks:
        if single := sorted(one.topic for one in heard if one.role in BELIEVED):
            raise DataError(f"only {single[0]} tells where the car was, and it says so once; a drive wants two poses")
        raise DataError(
            "nothing tells where the car was: no odometry, poses, fixes, or transforms of a frame that moves"
        )
    source = wanted or min(ranks, key=ranks.__getitem__)
    if source == TRANSFORMS:
        return _from_transforms(frames, body)
    if told[source].role is Role.FIXES:
        return _from_fixes(told[source], measured)
    return _from_poses(told[source], measured, frames, body)


def _from_transforms(frames: Frames, body: str) -> Ego:
    t_ns, root = frames.clock(body), frames.root(body)
    assert t_ns is not None
    root_T_ego = frames.transform(root, body, t_ns)
    assert root_T_ego is not None
    return Ego(TRANSFORMS, t_ns, root, root_T_ego)


def _from_poses(heard: Heard, measured: bool, frames: Frames, body: str) -> Ego:
    """Poses of a body in a frame, as poses of the ego in that frame's root."""
    t_ns = heard.times(measured)
    order = in_order(t_ns, heard.topic)
    t_ns, said = t_ns[order], [heard.said[i] for i in order]
    first: Pose = said[0]
    if any((pose.frame, pose.body) != (first.frame, first.body) for pose in said):
        raise DataError(f"{heard.topic} changes its frames midway; the setting pose_topic names another channel")
    root = frames.root(first.frame)
    root_T_frame = frames.transform(root, first.frame, t_ns)
    assert root_T_frame is not None
    root_T_ego = root_T_frame @ matrices(np.array([pose.place for pose in said]))
    if body not in ("", first.body) and (body_T_ego := frames.transform(first.body, body, t_ns)) is not None:
        return Ego(heard.topic, t_ns, root, root_T_ego @ body_T_ego)  # the motion told is the other body's
    speed, yaw_rate = np.array([(pose.speed, pose.yaw_rate) for pose in said]).T
    if not np.any(np.nan_to_num(speed)):  # many leave the twist at zero
        return Ego(heard.topic, t_ns, root, root_T_ego)
    return Ego(heard.topic, t_ns, root, root_T_ego, speed, yaw_rate)


def _from_fixes(heard: Heard, measured: bool) -> Ego:
    """Positions in the plane that touches the earth at the first fix, east and north; headed where the car goes."""
    t_ns = heard.times(measured)
    order = in_order(t_ns, heard.topic)
    t_ns, fixes = t_ns[order], np.array([heard.said[i] for i in order], np.float64)
    known = np.asarray(np.isfinite(fixes).all(axis=1))
    if not known.any():
        raise DataError(f"{heard.topic} has {len(fixes)} messages and no fix")
    first = int(np.argmax(known))
    latitude, longitude = np.radians(fixes[:, :2]).T
    centred = ecef(latitude, longitude, fixes[:, 2])
    position = np.asarray((centred - centred[first]) @ enu_R_ecef(latitude[first], longitude[first]).T)
    matrix = rigid(_headed(_course(t_ns, position, known)), position)
    return Ego(heard.topic, t_ns, "", matrix, origin=tuple(fixes[first].tolist()))


def _course(t_ns: Ints, position: Floats, known: Array) -> Floats:
    """Headings (T,): where it goes about each instant; a car at a stand is headed as when it last went."""
    if known.sum() < 2:
        return np.full(len(t_ns), np.nan)
    t = (t_ns - t_ns[0]) / 1e9
    east, north = (
        np.interp(t + COURSE_S / 2, t[known], axis[known]) - np.interp(t - COURSE_S / 2, t[known], axis[known])
        for axis in position.T[:2]
    )
    goes = np.hypot(east, north) > COURSE_M
    if not goes.any():
        return np.full(len(t_ns), np.nan)
    last = np.maximum.accumulate(np.where(goes, np.arange(len(t)), -1))
    last = np.where(last < 0, int(np.argmax(goes)), last)
    return np.asarray(np.arctan2(north, east)[last])


def _headed(yaw: Floats) -> Floats:
    """Rotations (T, 3, 3) about the vertical."""
    matrix = np.zeros((len(yaw), 3, 3))
    matrix[:, 0, 0] = matrix[:, 1, 1] = np.cos(yaw)
    matrix[:, 1, 0] = np.sin(yaw)
    matrix[:, 0, 1] = -matrix[:, 1, 0]
    matrix[:, 2, 2] = 1
    return matrix
