"""Scenarios to look at: cameras and a view from above as MP4, and two drives of one scenario side by side as WebM."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from PIL import Image, ImageDraw

from understudy.geometry import corners, inverse, move
from understudy.records import Array, Drive, Floats, Kind, Light, Map
from understudy.worlds.boxes import EGO, LIT, REACH_M, STEP_S, Boxes, boxes_at, ego_of

if TYPE_CHECKING:
    from understudy.worlds.city import City
    from understudy.worlds.replay import Replay

FAST = 3  # times real time that a comparison is shown at

_SIZE, _SCALE = 384, 4.8  # pixels of the view from above, and of a metre
_SMALL = 256  # of each half of a comparison
_LOW, _MIDDLE = 0.68, 0.5  # where the ego is, in heights from the top: of a picture, and of a film with buttons below
_GRASS = (54, 70, 54)
_COLOUR = {
    Kind.PEDESTRIAN: (240, 150, 40),
    Kind.BICYCLE: (240, 210, 60),
    Kind.CONE: (255, 90, 0),
    Kind.DEBRIS: (160, 90, 40),
    Kind.BARRIER: (255, 60, 60),
    Kind.EMERGENCY: (60, 110, 255),
    EGO: (80, 200, 255),
    LIT + Light.RED: (255, 40, 30),
    LIT + Light.YELLOW: (255, 200, 0),
    LIT + Light.GREEN: (40, 220, 90),
    LIT + Light.OFF: (90, 90, 90),
}
_OTHERS = (150, 165, 190)

# From above -----------------------------------------------------------------------------------------------------------


class Above:
    """The scene from above, the ego below the middle and looking up. The ground is drawn once."""

    def __init__(self, known: Map | None, there: Floats, size: int = _SIZE, low: float = _LOW) -> None:
        """`there` (n, 2) is where the ego will be; `low` is how far down it is shown."""
        self._size, self._scale, self._down = size, _SCALE, low
        self._low = there.min(axis=0) - REACH_M * 2
        extent = there.max(axis=0) + REACH_M * 2 - self._low
        self._ground = Image.new("RGB", tuple(int(metres * self._scale) for metres in extent), _GRASS)  # type: ignore[arg-type]
        if known is not None:
            self._draw(known, self._low, self._low + extent)

    def _draw(self, known: Map, low: Floats, high: Floats) -> None:
        draw = ImageDraw.Draw(self._ground)

        def drawn(lines: Any, act: Any, **look: Any) -> None:
            for points in lines:
                if np.all(points.max(axis=0) > low) and np.all(points.min(axis=0) < high):
                    act([tuple(point) for point in ((points - low) * self._scale).tolist()], **look)

        drawn((*known.drivable, *(lane.polygon for lane in known.lanes)), draw.polygon, fill=(64, 66, 70))
        drawn(known.crosswalks, draw.polygon, fill=(110, 110, 112))
        for dashed, colour in ((True, (150, 150, 150)), (False, (205, 205, 205))):
            lines = [marking.points for marking in known.markings if (marking.style == "dashed") == dashed]
            drawn(lines, draw.line, fill=colour)

    def frame(self, ego: Floats, boxes: Boxes) -> Image.Image:
        """The instant at which the ego's centre is at `ego` (3,), with these boxes around it."""
        cos, sin = np.cos(ego[2]), np.sin(ego[2])
        # From a pixel of the frame to one of the ground: up is ahead, left is left.
        ahead_of, aside = self._down * self._size, self._size / 2
        here = (ego[:2] - self._low) * self._scale
        turned = (
            sin, -cos, here[0] - sin * aside + cos * ahead_of,
            -cos, -sin, here[1] + cos * aside + sin * ahead_of,
        )  # fmt: skip
        size = (self._size, self._size)
        image = self._ground.transform(
            size, Image.Transform.AFFINE, turned, Image.Resampling.BILINEAR, fillcolor=_GRASS
        )
        draw = ImageDraw.Draw(image)
        pose = np.stack([boxes["x"], boxes["y"], boxes["yaw"]], -1)
        rings = move(inverse(ego), corners(pose, boxes["length"], boxes["width"]))
        for ring, sort in zip(rings, boxes["sort"].tolist(), strict=True):
            pixels = [(aside - self._scale * y, ahead_of - self._scale * x) for x, y in ring.tolist()]
            draw.polygon(pixels, fill=_COLOUR.get(sort, _OTHERS))
        return image

    def frames(self, boxes: Boxes) -> list[Image.Image]:
        """All instants of a drive."""
        bounds = np.flatnonzero(np.diff(boxes["t_s"], prepend=-1.0, append=np.inf))
        found = []
        for first, last in pairwise(bounds):
            now = {name: column[first:last] for name, column in boxes.items()}
            found.append(self.frame(ego_of(now)[0], now))
        return found


def from_above(world: City | Replay) -> Array:
    """The present instant of a world from above, (H, W, 3)."""
    drive = world.drive()
    boxes = boxes_at(drive, np.array([len(drive) - 1]))
    return np.asarray(Above(drive.map, ego_of(boxes)[:, :2]).frames(boxes)[0])


# Films ----------------------------------------------------------------------------------------------------------------


def film(drive: Drive, path: Path, every: int = 1) -> None:
    """Write a drive of a world as MP4 at 10 frames a second: its cameras in two rows, and the view from above."""
    pictures = [camera.pictures for camera in drive.cameras]
    instants = np.arange(0, len(drive), every)
    boxes = boxes_at(drive, instants)
    above = Above(drive.map, ego_of(boxes)[:, :2]).frames(boxes)
    frames = (
        np.concatenate([_cameras(pictures, instant), np.asarray(seen)], axis=1) if pictures else np.asarray(seen)
        for instant, seen in zip(instants.tolist(), above, strict=True)
    )
    path.write_bytes(_encoded(frames, Fraction(10, every), "mp4", "libx264", {"preset": "veryfast"}))


def side_by_side(known: Map | None, left: Boxes, right: Boxes) -> bytes:
    """Two drives of one scenario as WebM, FAST times as fast; who is done first waits."""
    there = np.concatenate([ego_of(left), ego_of(right)])[:, :2]
    above = Above(known, there, _SMALL, _MIDDLE)
    one, other = above.frames(left), above.frames(right)
    count = max(len(one), len(other))
    pairs = (
        np.concatenate([np.asarray(side[min(i, len(side) - 1)]) for side in (one, other)], axis=1) for i in range(count)
    )
    options = {"crf": "38", "b": "0", "deadline": "realtime", "cpu-used": "8"}
    return _encoded(pairs, Fraction(round(FAST / STEP_S)), "webm", "libvpx-vp9", options)


def _encoded(frames: Iterator[Array], rate: Fraction, container: str, codec: str, options: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=container) as film:
        stream: Any = None
        for frame in frames:
            if stream is None:
                stream = film.add_stream(codec, rate=rate, options=options)
                stream.height, stream.width, stream.pix_fmt = frame.shape[0], frame.shape[1], "yuv420p"
            film.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        film.mux(stream.encode())
    return out.getvalue()


def _cameras(pictures: list[Any], instant: int) -> Array:
    """Three cameras a row, left to right as they look, and the narrow one with those to the rear."""
    order = (1, 0, 2, 3, 5, 4) if len(pictures) == 6 else tuple(range(len(pictures)))
    tiles = [pictures[k].read(np.array([min(instant, len(pictures[k]) - 1)]))[0] for k in order]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 3)
    rows = [np.concatenate(tiles[i : i + 3], axis=1) for i in range(0, len(tiles), 3)]
    stacked = np.concatenate(rows)
    width = round(stacked.shape[1] * _SIZE / stacked.shape[0] / 2) * 2
    return np.asarray(Image.fromarray(stacked).resize((width, _SIZE), Image.Resampling.BILINEAR))
