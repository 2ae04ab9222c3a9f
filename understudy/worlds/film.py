"""A scenario to look at: the cameras and a view from above, instant by instant, as MP4."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from PIL import Image, ImageDraw

from understudy.geometry import corners, inverse, move
from understudy.records import Array, Drive, Floats, Kind, Light, Map

if TYPE_CHECKING:
    from understudy.worlds.city import City
    from understudy.worlds.replay import Replay

_SIZE, _SCALE = 384, 4.8  # pixels of the view from above, and of a metre
_COLOUR = {
    Kind.PEDESTRIAN: (240, 150, 40),
    Kind.BICYCLE: (240, 210, 60),
    Kind.CONE: (255, 90, 0),
    Kind.DEBRIS: (160, 90, 40),
    Kind.BARRIER: (255, 60, 60),
    Kind.EMERGENCY: (60, 110, 255),
}
_LAMP = {Light.RED: (255, 40, 30), Light.YELLOW: (255, 200, 0), Light.GREEN: (40, 220, 90), Light.OFF: (90, 90, 90)}


def film(drive: Drive, path: Path, every: int = 1) -> None:
    """Write a drive of a world as MP4 at 10 frames a second: its cameras in two rows, and the view from above."""
    pictures = [camera.pictures for camera in drive.cameras]
    with av.open(str(path), "w") as out:
        stream: Any = None
        for instant in range(0, len(drive), every):
            above = _above(drive, instant)
            frame = np.concatenate([_cameras(pictures, instant), above], axis=1) if pictures else above
            if stream is None:
                stream = out.add_stream("libx264", rate=Fraction(10, every))
                stream.height, stream.width, stream.pix_fmt = frame.shape[0], frame.shape[1], "yuv420p"
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        out.mux(stream.encode())


def from_above(world: City | Replay) -> Array:
    """The present instant of a world from above, (H, W, 3)."""
    drive = world.drive()
    return _above(drive, len(drive) - 1)


def _cameras(pictures: list[Any], instant: int) -> Array:
    """Three cameras a row, left to right as they look, and the narrow one with those to the rear."""
    order = (1, 0, 2, 3, 5, 4) if len(pictures) == 6 else tuple(range(len(pictures)))
    tiles = [pictures[k].read(np.array([min(instant, len(pictures[k]) - 1)]))[0] for k in order]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 3)
    rows = [np.concatenate(tiles[i : i + 3], axis=1) for i in range(0, len(tiles), 3)]
    stacked = np.concatenate(rows)
    width = round(stacked.shape[1] * _SIZE / stacked.shape[0] / 2) * 2
    return np.asarray(Image.fromarray(stacked).resize((width, _SIZE), Image.Resampling.BILINEAR))


def _above(drive: Drive, instant: int) -> Array:
    pose = drive.poses[instant]
    image = Image.new("RGB", (_SIZE, _SIZE), (54, 70, 54))
    draw = ImageDraw.Draw(image)
    if drive.map is not None:
        _road(draw, drive.map, pose)
    lights = drive.truth.lights if drive.truth and drive.truth.lights else drive.lights
    if lights is not None and drive.map is not None:
        lanes = {lane.id: lane for lane in drive.map.lanes}
        for name, state in zip(lights.lanes, lights.state[instant], strict=True):
            if Light(state) in _LAMP and name in lanes:
                lane = lanes[name]
                ends = [lane.left[-1], lane.right[-1]] if lane.left is not None and lane.right is not None else []
                if ends and np.hypot(*(ends[0] - pose[:2])) < 60:
                    draw.line(_pixels(np.array(ends), pose), fill=_LAMP[Light(state)], width=4)
    objects = drive.truth.objects if drive.truth and drive.truth.objects else drive.objects
    if objects is not None:
        here = objects.slice(instant, instant + 1)
        boxes = corners(np.stack([here["x"], here["y"], here["yaw"]], -1), here["length"], here["width"])
        for box, kind in zip(boxes, here["kind"], strict=True):
            if np.isfinite(box).all():
                draw.polygon(_pixels(box, pose), fill=_COLOUR.get(Kind(kind), (150, 165, 190)))
    body = drive.vehicle
    ego = corners(np.array([body.centre_x, 0.0, 0.0]), np.float64(body.length), np.float64(body.width))
    draw.polygon(_pixels(ego, np.zeros(3)), fill=(80, 200, 255))
    return np.asarray(image)


def _road(draw: ImageDraw.ImageDraw, known: Map, pose: Floats) -> None:
    """The map around a pose."""

    def near(points: Floats) -> bool:
        return bool((np.abs(points - pose[:2]).max(axis=1).min() < 65) or np.hypot(*np.ptp(points, axis=0)) > 130)

    for ring in (*known.drivable, *(lane.polygon for lane in known.lanes)):
        if near(ring):
            draw.polygon(_pixels(ring, pose), fill=(64, 66, 70))
    for ring in known.crosswalks:
        if near(ring):
            draw.polygon(_pixels(ring, pose), fill=(110, 110, 112))
    for marking in known.markings:
        if near(marking.points):
            draw.line(
                _pixels(marking.points, pose), fill=(150, 150, 150) if marking.style == "dashed" else (205, 205, 205)
            )


def _pixels(points: Floats, pose: Floats) -> list[tuple[float, float]]:
    """Map points in the picture: the ego below its middle, looking up."""
    local = move(inverse(pose), points)
    return [(_SIZE / 2 - _SCALE * y, 0.68 * _SIZE - _SCALE * x) for x, y in local.tolist()]
