"""MCAP: our own drives exactly as they were recorded, and those of others by the schemas of their channels.

Foxglove's schemas are read in protobuf and in JSON, ROS 2's messages in CDR. docs/mcap.md says what becomes of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from understudy.readers import folder
from understudy.readers.mcap import ours
from understudy.readers.mcap.container import open_container
from understudy.records import Drive

EXPECTED = "MCAP files (*.mcap)"


@dataclass(frozen=True)
class Mcap:
    """One drive per file."""

    recover: bool = False

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
            return ours.read(container)


def _path(root: Path, key: str) -> Path:
    root = Path(root)
    return folder.inside(root.parent if root.is_file() else root, key)
