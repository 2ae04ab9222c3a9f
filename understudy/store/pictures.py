"""Pictures of a drive where its log lies: nothing is copied, and nothing opened before somebody looks."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np

from understudy import plugins
from understudy.errors import DataError, UnderstudyError
from understudy.records import Array, Camera, Ints
from understudy.store.files import to_json
from understudy.store.runs import Source


@dataclass(frozen=True)
class LoggedPictures:
    """The pictures of a camera where the log lies. The log is opened when the first of them is looked at."""

    drive: str
    camera: str
    t_ns: Ints = field(compare=False, repr=False)  # their stamps, as the lake keeps them
    source: Source | None

    def __len__(self) -> int:
        return len(self.t_ns)

    def read(self, indices: Ints) -> Array:
        """Pictures as (n, H, W, 3) uint8 RGB."""
        return self._opened().pictures.read(indices)

    def encoded(self, index: int) -> tuple[str, bytes]:
        """One picture: ('jpeg' or 'png', bytes)."""
        return self._opened().pictures.encoded(index)

    def several(self, indices: Ints) -> list[tuple[str, bytes]]:
        """Pictures as `encoded` gives them, or as JPEG from a film, which is decoded in one run."""
        pictures = self._opened().pictures
        if hasattr(pictures, "several"):
            found: list[tuple[str, bytes]] = pictures.several(indices)
            return found
        return [pictures.encoded(int(index)) for index in indices]

    def _opened(self) -> Camera:
        owner = f"drive {self.drive}: pictures of camera {self.camera}"
        if self.source is None:
            raise DataError(f"{owner} were not kept: it was made without a log")
        again = f"if the log has moved, ingest it again from its new folder; it was in {self.source.root}"
        if not Path(self.source.root).exists():
            raise DataError(f"{owner}: the log is gone; {again}")
        settings = to_json(self.source.settings).decode()
        try:
            state = _state(Path(self.source.root), self.source.key)
            cameras = _logged_cameras(self.source.reader, settings, self.source.root, self.source.key, state)
        except (UnderstudyError, OSError) as error:
            raise DataError(f"{owner}: {error}; {again}") from error
        found = cameras.get(self.camera)
        # A log that was written anew may have as many pictures, of another day.
        if found is None or not np.array_equal(found.t_ns, self.t_ns):
            raise DataError(f"{owner}: the log no longer has these {len(self)} pictures; {again}")
        return found


def _state(root: Path, key: str) -> tuple[tuple[str, int, int], ...]:
    """Names, times and sizes of a log's file, or of those right in its folder: what changes when it is written anew."""
    log = root / key if (root / key).exists() else root
    files = sorted(log.iterdir()) if log.is_dir() else [log]
    known = [(path.name, path.stat()) for path in files if path.exists()]
    return tuple((name, about.st_mtime_ns, about.st_size) for name, about in known)


@lru_cache(maxsize=4)
def _logged_cameras(
    reader: str, settings: str, root: str, key: str, state: tuple[tuple[str, int, int], ...]
) -> dict[str, Camera]:
    """The cameras of a log; `state` is only there so that a log that has changed is opened again."""
    opened = plugins.make("reader", reader, msgspec.json.decode(settings))
    return {camera.name: camera for camera in opened.read(Path(root), key).cameras}
