"""Pictures as a film: H.264 in MP4, with a key frame at every other picture so that any of them is found at once."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from understudy.exporters.stats import Histogram
from understudy.records import Array, Ints, Pictures

CODEC, PIXELS = "h264", "yuv420p"
_BATCH = 64  # pictures in memory at once


class Film:
    """A film in the making; picture number i is shown at i / fps seconds."""

    def __init__(self, path: Path, fps: int, size: tuple[int, int]) -> None:
        """`size` (W, H) is even, as the pixel format wants; pictures of another size are scaled to it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.count = 0
        self._size = size
        self._fps = fps
        self._container = av.open(str(path), "w")
        self._stream = self._container.add_stream("libx264", rate=fps)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = PIXELS
        # One thread: the same pictures make the same film on every machine.
        self._stream.options = {"crf": "20", "g": "2", "bf": "0", "preset": "veryfast", "threads": "1"}

    def add(self, pictures: Pictures, indices: Ints) -> Histogram:
        """Append pictures by their indices, and say what shades they have."""
        shades = []
        for start in range(0, len(indices), _BATCH):
            batch = self._sized(pictures.read(indices[start : start + _BATCH]))
            shades.append(Histogram.of(batch))
            for picture in batch:
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = self.count, Fraction(1, self._fps)
                self._container.mux(self._stream.encode(frame))
                self.count += 1
        return Histogram.sum(shades)

    def _sized(self, pictures: Array) -> Array:
        if pictures.shape[1:3] == self._size[::-1]:
            return np.ascontiguousarray(pictures)
        width, height = self._size
        frames = (av.VideoFrame.from_ndarray(np.ascontiguousarray(one), format="rgb24") for one in pictures)
        return np.stack([frame.reformat(width=width, height=height).to_ndarray() for frame in frames])

    def close(self) -> None:
        """Write what the encoder still holds, and the end."""
        self._container.mux(self._stream.encode())
        self._container.close()

    def abandon(self) -> None:
        """Close the file as it is, for nobody will see it."""
        self._container.close()
