"""Cameras out of the channels that hold pictures, and what calibrates them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from os.path import commonpath

import numpy as np

from understudy.errors import DataError
from understudy.readers.mcap import messages
from understudy.readers.mcap.container import Container
from understudy.readers.mcap.frames import Frames
from understudy.readers.mcap.hearing import PICTURES, Heard, in_order
from understudy.readers.mcap.messages import Calibration, Role
from understudy.readers.mcap.pictures import CODECS, MIXED, RAW, Raw, Stills, Stored, Video
from understudy.records import Camera

# Parts of a topic that say how a picture is stored, not which camera took it: of such words and no other, for
# `image_left` and `video0` tell cameras apart.
STORED = re.compile(r"((image|compressed|raw|rect|rectified|color|mono|video|h26[45]|data)(_|\Z))+", re.IGNORECASE)
TRIED = 30  # pictures, to learn how large they are: the first may be damaged
MODELS = {  # Foxglove's and ROS 2's names of lens models: ours, and how many coefficients it has
    "": ("none", 0),
    "plumb_bob": ("brown", 5),
    "kannala_brandt": ("fisheye", 4),
    "equidistant": ("fisheye", 4),
    "fisheye": ("fisheye", 4),
}


def place_of(topic: str) -> tuple[str, ...]:
    """The parts of a topic that tell which camera took its pictures."""
    parts = [part for part in topic.split("/") if part]
    while len(parts) > 1 and STORED.fullmatch(parts[-1]):
        parts.pop()
    return tuple(parts)


def names_of(topics: Iterable[str]) -> dict[str, str]:
    """`/CAM_FRONT/image_rect_compressed` is the camera CAM_FRONT; where several would be, each has its whole topic."""
    short = {topic: "_".join(place_of(topic)) or "camera" for topic in topics}
    shared = Counter(short.values())
    return {topic: name if shared[name] == 1 else topic.strip("/").replace("/", ".") for topic, name in short.items()}


def left_out(container: Container, wanted: Sequence[str]) -> set[int]:
    """The channels of pictures that are not read: those not wanted, or another way to see the same camera.

    Of one camera's channels stills are preferred to video, and video to raw pictures.
    """
    found = []
    for channel in container.channels.values():
        role = messages.role(channel, container.schemas.get(channel.schema_id))
        if role in PICTURES:
            found.append((PICTURES.index(role), channel.topic, channel.id))
    missing = set(wanted) - {topic for _, topic, _ in found}
    if missing:
        raise DataError(f"no pictures on {', '.join(sorted(missing))}; there are some on {_listed(found)}")
    kept: dict[tuple[str, ...], int] = {}
    for _, topic, channel_id in sorted(found):
        if not wanted or topic in wanted:
            kept.setdefault((topic,) if wanted else place_of(topic), channel_id)
    return {channel_id for _, _, channel_id in found} - set(kept.values())


def _listed(found: Collection[tuple[int, str, int]]) -> str:
    return ", ".join(sorted(topic for _, topic, _ in found)) or "no topic"


def camera(container: Container, heard: Heard, name: str, measured: bool) -> Camera | None:
    """The camera of a channel, not yet calibrated; None if its pictures are of a kind that is none (depth)."""
    first = heard.said[0].message
    t_ns = heard.times(measured)
    order = in_order(t_ns, heard.topic)
    shots = [heard.said[i] for i in order]
    channel = container.channels[heard.channel]
    decode = messages.decoder(channel, container.schemas[channel.schema_id])
    places = [shot.place for shot in shots]
    if heard.role is Role.RAW:
        if first.encoding not in {*RAW, *MIXED}:
            return None
        size = (first.width, first.height)
        return Camera(name, size, t_ns[order], Raw(container, heard.channel, places, size, decode))
    stored: Stored
    keys: Sequence[int] = range(len(shots))
    if heard.role is Role.VIDEO:
        keys = [index for index, shot in enumerate(shots) if shot.key]
        if first.format not in CODECS or not keys:
            return None
        stored = Video(container, heard.channel, places, (0, 0), decode, keys)
    else:
        stored = Stills(container, heard.channel, places, (0, 0), decode)
    for index in keys[:TRIED]:
        try:
            height, width, _ = stored.some([index])[index].shape
        except DataError:
            continue
        stored.size = (width, height)
        return Camera(name, stored.size, t_ns[order], stored)
    return None


def calibrated(seen: Camera, heard: Heard, known: Sequence[Heard], frames: Frames, ego: str) -> Camera:
    """The camera with what the file says of its lens and its mount; what it does not say stays unknown."""
    frame = messages.bare(heard.said[0].frame)
    mount = frames.transform(ego, frame, seen.t_ns[:1]) if frame else None
    if mount is not None and np.isfinite(mount).all():
        seen = replace(seen, ego_T_cam=mount[0])
    about = _calibration_of(heard.topic, frame, known)
    if about is None or about.size != seen.size:
        return seen
    parts = heard.topic.strip("/").split("/")
    stored = parts[len(place_of(heard.topic)) :] or parts[-1:]  # as in image_rect_color/compressed
    if any("rect" in part for part in stored) and any(about.P):  # already freed from distortion
        return replace(seen, K=np.array(about.P).reshape(3, 4)[:, :3])
    model, count = MODELS.get(about.model, ("", 0))
    if about.model == "rational_polynomial" and not any(about.D[5:]):
        model, count = MODELS["plumb_bob"]
    if not any(about.D):
        model, count = "none", 0
    if not model or not any(about.K):  # a lens that our models do not describe, or ROS's way to say uncalibrated
        return seen
    return replace(seen, K=np.array(about.K).reshape(3, 3), distortion=model, coefficients=about.D[:count])


def _calibration_of(topic: str, frame: str, known: Sequence[Heard]) -> Calibration | None:
    """The calibration of the same frame, else of the same folder of topics; of several the nearest by name."""
    folders = {one.topic: one.topic.rpartition("/")[0] + "/" for one in known}
    same = [one for one in known if frame and one.said[0].frame == frame]
    same = same or [one for one in known if len(folders[one.topic]) > 1 and topic.startswith(folders[one.topic])]
    if not same:
        return None
    nearest = max(same, key=lambda one: (len(commonpath([f"/{one.topic}", f"/{topic}"])), one.topic))
    found: Calibration = nearest.said[0]
    return found
