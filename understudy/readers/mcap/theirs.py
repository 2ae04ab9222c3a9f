"""A drive out of what others record: where the car was, what its cameras saw, which boxes were shown.

Channels are chosen by their schemas. Where several could tell the same, the choice is written into the drive's facts,
and the reader's settings can make another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from understudy.errors import DataError
from understudy.geometry import yaw_of
from understudy.readers.kinematics import FITTED, motion
from understudy.readers.mcap import cameras, scenes
from understudy.readers.mcap.container import Container
from understudy.readers.mcap.ego import Ego, ego, ego_frame
from understudy.readers.mcap.frames import Frames
from understudy.readers.mcap.hearing import PICTURES, Heard, listen, one_clock
from understudy.readers.mcap.messages import Role, role
from understudy.records import NS, Array, Camera, Drive, Ints

if TYPE_CHECKING:
    from understudy.readers.mcap import Mcap


@np.errstate(all="ignore")  # a stranger's numbers may overflow; what is not finite then is unknown
def read(container: Container, settings: Mcap, name: str) -> Drive:
    """The drive of a stranger's file. Raises DataError where nothing in it tells where the car was."""
    if not any(role(channel, container.schemas.get(channel.schema_id)) for channel in container.channels.values()):
        raise DataError(f"no channel has a schema that this reader knows; there are {_channels(container)}")
    left_out = cameras.left_out(container, settings.camera_topics)
    heard = listen(container, left_out)
    measured = one_clock(heard)
    frames = _frames(heard, measured)
    body = ego_frame(heard, frames, settings.ego_frame)
    where = ego(heard, measured, frames, body, settings.pose_topic)
    known = np.flatnonzero(np.isfinite(where.root_T_ego[:, :2, 3]).all(axis=1))
    if len(known) < 2:
        found = ("none", "one")[len(known)]
        raise DataError(f"{where.source} has {len(where.t_ns)} poses, {found} of them finite, and a drive needs 2")
    told = {name: values for name in ("speed", "yaw_rate") if (values := getattr(where, name)) is not None}
    columns = _columns(where) | told
    usual_ns = float(np.median(np.diff(where.t_ns)))
    rate_hz = NS / usual_ns
    every = max(1, int(np.ceil(rate_hz / settings.rate_hz - 0.1)))
    rows = known[0] + _apart(where.t_ns[known[0] : known[-1] + 1], (every - 0.5) * usual_ns)
    holes = len(rows) - len(np.intersect1d(rows, known))
    t_ns = where.t_ns[rows]
    seen, topics = _cameras(container, heard, measured, frames, body)
    shown = _sightings(heard, measured, frames, where)
    return Drive(
        id=name,
        t_ns=t_ns,
        columns={key: values[rows] for key, values in columns.items()},
        cameras=seen,
        objects=scenes.objects(list(shown.values()), t_ns),
        derived=FITTED - told.keys(),
        facts={
            "library": container.library,
            "stamps": "measured" if measured else "logged",
            "pose_from": where.source,
            "map_frame": where.root,
            "ego_frame": body,
            "cameras_from": dict.fromkeys(sorted(container.channels[one].topic for one in left_out)) | topics,
            "objects_from": list(shown),
            "unused": sorted({one.topic for one in heard if one.role in POSES} - {where.source}),
            "rates_hz": {"pose": round(rate_hz, 2)},
            **({"nan_poses": holes} if holes else {}),
            **({"origin": where.origin} if where.origin else {}),
            **({"lost": container.lost} if container.lost else {}),
        },
    )


POSES = (Role.ODOMETRY, Role.POSES, Role.FIXES)


def _channels(container: Container) -> str:
    """The channels of a file, for a message."""
    found = sorted(
        f"{channel.topic} ({getattr(container.schemas.get(channel.schema_id), 'name', 'no schema')})"
        for channel in container.channels.values()
    )
    return (", ".join(found[:8]) + (f" and {len(found) - 8} more" if len(found) > 8 else "")) or "none"


def _frames(heard: list[Heard], measured: bool) -> Frames:
    frames = Frames()
    for one in heard:
        if one.role is Role.TRANSFORMS:
            for t_ns, transform in zip(one.times(measured).tolist(), one.said, strict=True):
                frames.add(t_ns, transform.parent, transform.child, transform.place)
    return frames


def _apart(t_ns: Ints, least_ns: float) -> Ints:
    """The rows of stamps of which each comes at least so long after the one before."""
    rows = [0]
    while (after := int(np.searchsorted(t_ns, t_ns[rows[-1]] + least_ns))) < len(t_ns):
        rows.append(after)
    return np.array(rows)


def _columns(where: Ego) -> dict[str, Array]:
    """Poses, and how the car moved as they tell."""
    x, y, yaw = where.root_T_ego[:, 0, 3], where.root_T_ego[:, 1, 3], yaw_of(where.root_T_ego)
    return {"x": x, "y": y, "yaw": yaw, **motion(where.t_ns, np.stack([x, y, yaw], axis=-1))}


def _cameras(
    container: Container, heard: list[Heard], measured: bool, frames: Frames, body: str
) -> tuple[tuple[Camera, ...], dict[str, Any]]:
    """The cameras, and the topic of each; None for a topic whose pictures are of no kind that is read."""
    known = [one for one in heard if one.role is Role.CALIBRATION]
    pictures = sorted((one for one in heard if one.role in PICTURES), key=lambda one: one.topic)
    names = cameras.names_of(one.topic for one in pictures)
    seen, topics = [], {}
    for one in pictures:
        camera = cameras.camera(container, one, names[one.topic], measured)
        topics[one.topic] = camera and camera.name
        if camera is not None:
            seen.append(cameras.calibrated(camera, one, known, frames, body))
    return tuple(seen), topics


def _sightings(heard: list[Heard], measured: bool, frames: Frames, where: Ego) -> dict[str, scenes.Sightings]:
    """The boxes of each topic that shows some."""
    shown: dict[str, scenes.Sightings] = {}
    tracks = 0
    for one in sorted((one for one in heard if one.role is Role.SCENE), key=lambda one: one.topic):
        seen = scenes.sightings(one, measured, frames, where, first_track=tracks)
        if seen is not None:
            shown[one.topic] = seen
            tracks = int(seen.columns["track"].max()) + 1
    return shown
