"""Pictures kept as image files; decoded only when asked for."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from understudy.errors import DataError
from understudy.records import Array, Ints

FORMATS = {"JPEG": "jpeg", "PNG": "png"}
OPENED = (*FORMATS, "WEBP", "BMP", "TIFF", "PPM", "GIF")  # and nothing else: Pillow hands EPS to Ghostscript


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """One picture a file."""

    paths: tuple[Path, ...]
    size: tuple[int, int]  # W, H

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, indices: Ints) -> Array:
        """(n, H, W, 3) uint8 RGB; DataError that names a picture which is missing, damaged or of another size."""
        out = np.empty((len(indices), self.size[1], self.size[0], 3), np.uint8)
        for row, index in enumerate(indices):
            path = self.paths[index]
            try:
                with Image.open(path, formats=OPENED) as image:
                    picture = np.asarray(image.convert("RGB"))
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
                raise _unreadable(path, error) from error
            if picture.shape != out.shape[1:]:
                found = f"{picture.shape[1]} x {picture.shape[0]}"
                raise DataError(f"picture is {found}, the camera's are {self.size[0]} x {self.size[1]}; in {path}")
            out[row] = picture
        return out

    def encoded(self, index: int) -> tuple[str, bytes]:
        """The file as it is, where it is JPEG or PNG; else encoded as PNG."""
        path = self.paths[index]
        try:
            data = path.read_bytes()
            with Image.open(io.BytesIO(data), formats=OPENED) as image:
                if image.format in FORMATS:
                    return FORMATS[image.format], data
                image.convert("RGB").save(buffer := io.BytesIO(), "PNG")
                return "png", buffer.getvalue()
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise _unreadable(path, error) from error


def image_size(path: Path) -> tuple[int, int]:
    """W, H from a picture's header."""
    try:
        with Image.open(path, formats=OPENED) as image:
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def first_size(paths: Iterable[Path]) -> tuple[int, int] | None:
    """W, H of the first picture that can be read, of thirty; None where none can: the first may be damaged."""
    for path in islice(paths, 30):
        try:
            return image_size(path)
        except DataError:
            continue
    return None


def _unreadable(path: Path, error: BaseException) -> DataError:
    said = "there is no such file" if isinstance(error, FileNotFoundError) else "it is no picture that can be read"
    return DataError(f"reading a picture: {said}; in {path}")
