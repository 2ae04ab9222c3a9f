"""MCAP: our own drives exactly as they were recorded, and those of others by the schemas of their channels.

Foxglove's schemas are read in protobuf and in JSON, ROS 2's messages in CDR. docs/mcap.md says what becomes of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import SettingsError
from understudy.readers import folder
from understudy.readers.mcap import ours, theirs
from understudy.readers.mcap.container import open_container
from understudy.records import Drive

EXPECTED = "MCAP files (*.mcap)"


@dataclass(frozen=True)
class Mcap:
    """One drive per file. All settings but `recover` are for the files of others."""

    pose_topic: str = ""  # which channel tells the pose, where several could; `transforms` for the tree of frames
    ego_frame: str = ""  # the car's frame, where it has no usual name (base_link, ego, ...)
    camera_topics: tuple[str, ...] = ()  # all where empty
    rate_hz: float = 20.0  # instants a second at most: poses are thinned by a whole factor, never interpolated
    recover: bool = False  # read what is whole of a file that was cut short

    def __post_init__(self) -> None:
        if not self.rate_hz > 0:
            raise SettingsError(f"mcap.rate_hz: wants more than 0, got {self.rate_hz}")

    def scan(self, root: Path) -> Iterator[str]:
        root = Path(root)
        if root.is_file():
            return iter([root.name])
        return folder.found((path.relative_to(root).as_posix() for path in root.rglob("*.mcap")), root, EXPECTED)

    def fingerprint(self, root: Path, key: str) -> str:
        path = _path(root, key)
        return folder.fingerprint(path.parent, [path])

    def read(self, root: Path, key: str) -> Drive:
        path = _path(root, key)
        with folder.reading("MCAP", path):
            container = open_container(path, self.recover)
            if ours.is_ours(container):
                return ours.read(container)
            name = folder.drive_id("mcap", path.stem, self.fingerprint(root, key))
            return theirs.read(container, self, name)


def _path(root: Path, key: str) -> Path:
    root = Path(root)
    return folder.inside(root.parent if root.is_file() else root, key)
