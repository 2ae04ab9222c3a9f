"""Pictures that stay in an MCAP file until somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import av
import numpy as np
from PIL import Image, UnidentifiedImageError

from understudy.errors import DataError
from understudy.readers.images import OPENED
from understudy.readers.mcap.container import Container, Place
from understudy.readers.video import jpeg
from understudy.records import Array, Ints

FORMATS = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG"}  # and what their files begin with
RAW = {  # Foxglove's and ROS 2's names of encodings: bytes per pixel, and which of them are red, green and blue
    "rgb8": (3, (0, 1, 2)),
    "8UC3": (3, (2, 1, 0)),
    "bgr8": (3, (2, 1, 0)),
    "rgba8": (4, (0, 1, 2)),
    "bgra8": (4, (2, 1, 0)),
    "8UC4": (4, (2, 1, 0)),
    "mono8": (1, (0, 0, 0)),
    "8UC1": (1, (0, 0, 0)),
}
MIXED = {  # whose colours are of several pixels: bytes per pixel, and FFmpeg's name
    "uyvy": (2, "uyvy422"),
    "yuv422": (2, "uyvy422"),
    "yuyv": (2, "yuyv422"),
    "yuv422_yuy2": (2, "yuyv422"),
    **{name: (1, name) for name in ("bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8")},
}
CODECS = {"h264": "h264", "h265": "hevc"}


@dataclass
class Stored:
    """A camera's messages in a file, by index."""

    container: Container
    channel: int
    places: Sequence[Place]
    size: tuple[int, int]  # W, H
    decode: Callable[[bytes], Any]

    def __len__(self) -> int:
        return len(self.places)

    def message(self, index: int) -> Any:
        return self.decode(self.container.fetch(self.places[index], self.channel))

    def read(self, indices: Ints) -> Array:
        """Pictures (n, H, W, 3) uint8."""
        wanted = [int(index) for index in indices]
        pictures = self.some(sorted(set(wanted)))
        width, height = self.size
        out = np.empty((len(wanted), height, width, 3), np.uint8)
        for row, index in enumerate(wanted):
            if pictures[index].shape != out.shape[1:]:
                found = "x".join(map(str, pictures[index].shape[1::-1]))
                raise DataError(f"picture {index} is {found}, the camera {width}x{height}; in {self.container.path}")
            out[row] = pictures[index]
        return out

    def some(self, indices: Sequence[int]) -> dict[int, Array]:
        """Pictures by index, for indices in order."""
        raise NotImplementedError

    def encoded(self, index: int) -> tuple[str, bytes]:
        """The picture as PNG, which loses nothing."""
        out = BytesIO()
        Image.fromarray(self.read(np.array([index]))[0]).save(out, "png")
        return "png", out.getvalue()

    def broken(self, index: int, error: BaseException) -> DataError:
        return DataError(f"picture {index} cannot be decoded ({error}); in {self.container.path}")


class Stills(Stored):
    """JPEG, PNG and what else `images.OPENED` names."""

    def encoded(self, index: int) -> tuple[str, bytes]:
        data = bytes(self.message(index).data)  # whatever the message calls them: who asked will open them
        form = next((form for form, begin in FORMATS.items() if data.startswith(begin)), None)
        return (form, data) if form else super().encoded(index)

    def some(self, indices: Sequence[int]) -> dict[int, Array]:
        pictures = {}
        for index in indices:
            try:
                with Image.open(BytesIO(self.message(index).data), formats=OPENED) as picture:
                    pictures[index] = np.asarray(picture.convert("RGB"))
            except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
                raise self.broken(index, error) from error
        return pictures


class Raw(Stored):
    """Rows of pixels."""

    def some(self, indices: Sequence[int]) -> dict[int, Array]:
        pictures = {}
        for index in indices:
            message = self.message(index)
            try:
                rows = np.frombuffer(message.data, np.uint8)[: message.step * message.height]
                rows = rows.reshape(message.height, message.step)
                if message.encoding in MIXED:
                    pictures[index] = _unmixed(rows, message.width, *MIXED[message.encoding])
                else:
                    depth, order = RAW[message.encoding]
                    pixels = rows[:, : message.width * depth]
                    pictures[index] = pixels.reshape(message.height, message.width, depth)[..., order]
            except (av.FFmpegError, KeyError, ValueError) as error:
                raise self.broken(index, error) from error
        return pictures


def _unmixed(rows: Array, width: int, depth: int, pixels: str) -> Array:
    """Rows (H, at least W * depth) of FFmpeg's format `pixels` as a picture (H, W, 3)."""
    if not rows.size or width % 2 or len(rows) % 2:  # FFmpeg would end the process
        raise ValueError(f"{pixels} wants an even width and height, found {width}x{len(rows)}")
    frame = av.VideoFrame(width, len(rows), pixels)
    (plane,) = frame.planes
    padded = np.zeros((len(rows), plane.line_size), np.uint8)
    padded[:, : width * depth] = rows[:, : width * depth]
    plane.update(padded.tobytes())
    return np.asarray(frame.to_ndarray(format="rgb24"))


@dataclass
class Video(Stored):
    """H.264 or H.265, a frame per message. A frame is decoded from the key frame before it on."""

    keys: Sequence[int] = ()  # which messages hold key frames

    def several(self, indices: Ints) -> list[tuple[str, bytes]]:
        """Pictures as JPEG, each run of the film decoded once."""
        return [jpeg(picture) for picture in self.read(indices)]

    def some(self, indices: Sequence[int]) -> dict[int, Array]:
        begins = np.searchsorted(self.keys, indices, side="right") - 1
        pictures: dict[int, Array] = {}
        for begin in np.unique(begins).tolist():
            wanted = [index for index, at in zip(indices, begins, strict=True) if at == begin]
            if begin < 0:
                raise DataError(f"picture {wanted[0]} lies before the first key frame; in {self.container.path}")
            pictures |= self._run(self.keys[begin], wanted)
        return pictures

    def _run(self, first: int, wanted: Sequence[int]) -> dict[int, Array]:
        """Pictures of one run of frames that begins with a key frame."""
        found: dict[int, Array] = {}
        messages = [self.message(index) for index in range(first, wanted[-1] + 1)]
        try:
            context: Any = av.CodecContext.create(CODECS[messages[0].format], "r")
            context.thread_count = 1
            packets: list[Any] = []
            for index, message in enumerate(messages, first):
                packet = av.Packet(message.data)
                packet.pts = packet.dts = index
                packets.append(packet)
            for packet in [*packets, None]:
                for frame in context.decode(packet):
                    if frame.pts in wanted:
                        found[frame.pts] = frame.to_ndarray(format="rgb24")
        except (av.FFmpegError, KeyError, ValueError) as error:
            raise self.broken(wanted[0], error) from error
        for index in wanted:
            if index not in found:
                raise self.broken(index, ValueError("no frame came out"))
        return found


def is_key(form: str, data: bytes) -> bool:
    """Whether a frame in Annex B can be decoded by itself: an IDR slice in H.264, a random access point in H.265."""
    at = data.find(b"\0\0\1")
    while at >= 0 and at + 3 < len(data):
        head = data[at + 3]
        if (form == "h264" and head & 0x1F == 5) or (form == "h265" and 16 <= head >> 1 & 0x3F <= 23):
            return True
        at = data.find(b"\0\0\1", at + 3)
    return False
