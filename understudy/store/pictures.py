"""Pictures of a drive where its log lies: nothing is copied, and nothing opened before somebody looks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

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
    count: int
    source: Source | None

    def __len__(self) -> int:
        return self.count

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
            cameras = _logged_cameras(self.source.reader, settings, self.source.root, self.source.key)
        except (UnderstudyError, OSError) as error:
            raise DataError(f"{owner}: {error}; {again}") from error
        found = cameras.get(self.camera)
        if found is None or len(found.t_ns) != self.count:
            raise DataError(f"{owner}: the log no longer has these {self.count} pictures; {again}")
        return found


@lru_cache(maxsize=4)
def _logged_cameras(reader: str, settings: str, root: str, key: str) -> dict[str, Camera]:
    opened = plugins.make("reader", reader, msgspec.json.decode(settings))
    return {camera.name: camera for camera in opened.read(Path(root), key).cameras}
