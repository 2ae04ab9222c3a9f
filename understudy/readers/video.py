"""Pictures kept as a film; decoded only when asked for."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from PIL import Image

from understudy.errors import DataError
from understudy.records import Array, Ints


@dataclass(frozen=True, slots=True)
class HevcFile:
    """A raw H.265 stream, which has neither an index nor stamps: one picture a packet, in order."""

    path: Path
    count: int
    size: tuple[int, int]  # W, H

    def __len__(self) -> int:
        return self.count

    def read(self, indices: Ints) -> Array:
        """(n, H, W, 3) uint8 RGB; pictures are decoded from the key frame before them on, each run once."""
        out = np.empty((len(indices), self.size[1], self.size[0], 3), np.uint8)
        try:
            found = _Film.of(self.path).pictures(sorted({int(index) for index in indices}))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise DataError(f"decoding a film: {' '.join(str(error).split())}; in {self.path}") from error
        for row, index in enumerate(indices):
            picture = found.get(int(index))
            if picture is None:
                raise DataError(f"the film ends before picture {index} of {self.count}; in {self.path}")
            if picture.shape != out.shape[1:]:
                said = f"{picture.shape[1]} x {picture.shape[0]}"
                raise DataError(f"the film is {said}, the camera {self.size[0]} x {self.size[1]}; in {self.path}")
            out[row] = picture
        return out

    def encoded(self, index: int) -> tuple[str, bytes]:
        """The picture as JPEG."""
        return self.several(np.array([index]))[0]

    def several(self, indices: Ints) -> list[tuple[str, bytes]]:
        """Pictures as JPEG, each run of the film decoded once."""
        return [jpeg(picture) for picture in self.read(indices)]


def jpeg(picture: Array) -> tuple[str, bytes]:
    """A picture (H, W, 3) encoded, with what it is encoded as."""
    Image.fromarray(picture).save(buffer := io.BytesIO(), "JPEG", quality=90)
    return "jpeg", buffer.getvalue()


@dataclass(frozen=True)
class _Film:
    """Where the packets of a film lie in its file, found without decoding."""

    path: Path
    places: tuple[tuple[int, int], ...]  # begin and size of each packet
    keys: tuple[int, ...]  # which of them are key frames
    header: bytes

    @classmethod
    @lru_cache(maxsize=4)
    def of(cls, path: Path) -> _Film:
        places: list[tuple[int, int]] = []
        keys: list[int] = []
        begin = 0
        with av.open(str(path), format="hevc") as container:
            stream = container.streams.video[0]
            for packet in container.demux(stream):
                if packet.size:
                    if packet.is_keyframe:
                        keys.append(len(places))
                    places.append((begin, packet.size))
                    begin += packet.size
            return cls(path, tuple(places), tuple(keys), stream.codec_context.extradata or b"")

    def pictures(self, wanted: list[int]) -> dict[int, Array]:
        """Those of `wanted`, in order, that the film holds."""
        found: dict[int, Array] = {}
        for key, following in zip(self.keys, [*self.keys[1:], len(self.places)], strict=True):
            run = [index for index in wanted if key <= index < following]
            if run:
                found.update(self._run(key, following, run))
        return found

    def _run(self, key: int, following: int, wanted: list[int]) -> dict[int, Array]:
        """Pictures between a key frame and the next."""
        codec = av.CodecContext.create("hevc", "r")
        codec.extradata = self.header
        found: dict[int, Array] = {}
        index = key
        with self.path.open("rb") as stream:
            for begin, size in [*self.places[key:following], (0, 0)]:
                stream.seek(begin)
                for frame in codec.decode(av.Packet(stream.read(size)) if size else None):
                    if index in wanted:
                        found[index] = frame.to_ndarray(format="rgb24")
                    index += 1
                if len(found) == len(wanted):
                    break
        return found
