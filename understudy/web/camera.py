"""What a camera saw at a moment: its picture as data, with the paths laid on the road where it is calibrated."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from PIL import Image

from understudy.errors import DataError
from understudy.geometry import arc_length, compose, interpolate, move, project, resample, seen_from, transform
from understudy.readers.images import OPENED
from understudy.records import NS, Camera, Drive, Floats
from understudy.web.moment import Moment

QUALITY = 78
_STEP = 0.5  # m between the points of a ribbon
_NEAREST = 1.0  # m in front of the lens: nearer ground fills the picture's lower edge


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture of a camera as a page shows it."""

    name: str
    width: int  # of the camera's own picture; the overlay is in its pixels
    height: int
    uri: str  # data:image/jpeg;base64,...; empty where the picture cannot be read
    overlay: Markup  # paths of an SVG; empty without calibration
    before_s: float  # seconds from the picture to the moment
    trouble: str = ""  # why there is no picture


def shots(moment: Moment, width: int = 800, others: int = 320) -> list[Shot]:
    """What each camera that has a picture by then saw, the one that looks ahead first and larger than the others."""
    found: list[Shot] = []
    for camera in sorted(moment.drive.cameras, key=looks_ahead, reverse=True):
        index = int(camera.latest(moment.drive.t_ns[moment.instant : moment.instant + 1])[0])
        if index >= 0:
            found.append(shot(moment, camera, index, others if found else width))
    return found


def film(moment: Moment, start_ns: int, end_ns: int, count: int = 6, width: int = 200) -> list[Shot]:
    """What the camera that looks ahead saw over a span, in few small pictures at even steps."""
    front = next(iter(sorted(moment.drive.cameras, key=looks_ahead, reverse=True)), None)
    if front is None:
        return []
    steps = np.unique(front.latest(np.linspace(start_ns, end_ns, count).astype(np.int64)))
    return [shot(moment, front, int(index), width) for index in steps if index >= 0]


def shot(moment: Moment, camera: Camera, index: int, width: int) -> Shot:
    """One picture of a camera, no wider than `width`, with the paths of a moment; why not, if it cannot be read."""
    before_s = float(moment.drive.t_ns[moment.instant] - camera.t_ns[index]) / NS
    try:
        seen = smaller(camera.pictures.encoded(index)[1], width)
    except (OSError, DataError) as error:
        return Shot(camera.name, *camera.size, "", Markup(""), before_s, f"picture {index + 1} cannot be read: {error}")
    overlay = Markup("".join(ribbons(moment, camera, int(camera.t_ns[index]))))
    uri = "data:image/jpeg;base64," + base64.b64encode(seen).decode("ascii")
    return Shot(camera.name, *camera.size, uri, overlay, before_s)


def smaller(encoded: bytes, width: int) -> bytes:
    """A picture as JPEG, no wider than `width`. Raises OSError where it is none."""
    with Image.open(io.BytesIO(encoded), formats=OPENED) as image:
        image.draft("RGB", (width, width))
        small = image.convert("RGB")
    if small.width > width:
        small = small.resize((width, max(round(small.height * width / small.width), 1)), Image.Resampling.LANCZOS)
    packed = io.BytesIO()
    small.save(packed, "JPEG", quality=QUALITY, optimize=True)
    return packed.getvalue()


def looks_ahead(camera: Camera) -> float:
    """How far a camera looks ahead, from -1 to 1; by its name where it is not calibrated."""
    if camera.ego_T_cam is not None:
        return float(camera.ego_T_cam[0, 2])
    return 0.5 if "front" in camera.name.lower() else 0.0


def ribbons(moment: Moment, camera: Camera, at_ns: int) -> Iterator[str]:
    """What was driven, and what each policy planned, as strips of the ego's width on the ground."""
    if not camera.calibrated:
        return
    then_T_now = _shift(moment, at_ns)
    paths = {intent.look: np.concatenate([np.zeros((1, 3)), intent.likeliest[:, :3]]) for intent in moment.intents}
    if moment.driven is not None:
        paths["human"] = moment.driven
    for look, path in sorted(paths.items(), key=lambda named: -arc_length(named[1][:, :2])[-1]):  # the shorter on top
        yield _ribbon(look, compose(then_T_now, path), camera, moment.drive)


def _shift(moment: Moment, at_ns: int) -> Floats:
    """The pose of the moment's ego in the ego frame of the picture's own stamp; none where poses do not tell."""
    drive = moment.drive
    if drive.has("pose"):
        then = interpolate(drive.t_ns, drive.poses, np.array([at_ns]))[0]
        if np.isfinite(then).all():
            return seen_from(then, drive.poses[moment.instant])
    return np.zeros(3)


def ribbon(path: Floats, camera: Camera, width: float) -> Floats:
    """The outline (P, 2), in pixels, of a strip along a path (P, 3) on the ground; empty where the camera sees none.

    Only its first unbroken stretch in front of the lens is kept.
    """
    assert camera.K is not None and camera.ego_T_cam is not None
    s = np.arange(0, arc_length(path[:, :2])[-1] + 1e-6, _STEP)
    if len(s) < 4:
        return np.zeros((0, 2))
    line = resample(path[:, :2], s)
    ahead = np.gradient(line, axis=0)
    pose = np.concatenate([line, np.arctan2(ahead[:, 1], ahead[:, 0])[:, None]], axis=1)
    edges = [move(pose, np.tile([0.0, side * width / 2], (len(pose), 1))) for side in (1, -1)]
    cam_T_ego = np.asarray(np.linalg.inv(camera.ego_T_cam), float)
    pixels, seen = [], np.ones(len(pose), bool)
    for edge in edges:
        points = transform(cam_T_ego, np.concatenate([edge, np.zeros((len(edge), 1))], axis=1))
        pixel = project(points, camera.K, camera.distortion, camera.coefficients)
        seen &= (points[:, 2] > _NEAREST) & np.isfinite(pixel).all(axis=1)
        pixels.append(pixel)
    first = int(np.argmax(seen))
    stop = first + int(np.argmin(np.append(seen[first:], False)))
    return np.concatenate([pixels[0][first:stop], pixels[1][first:stop][::-1]])


def _ribbon(look: str, path: Floats, camera: Camera, drive: Drive) -> str:
    outline = ribbon(path, camera, drive.vehicle.width)
    width, height = camera.size
    inside = (outline > 0).all(axis=1) & (outline < [width, height]).all(axis=1) if len(outline) else np.zeros(0, bool)
    if len(outline) < 4 or not inside.any():
        return ""
    points = " ".join(f"{x:.0f},{y:.0f}" for x, y in outline.tolist())
    return f'<polygon class="{look}" points="{points}"/>'
