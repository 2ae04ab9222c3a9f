"""MCAP: each piece a file for Foxglove, Rerun and the reader `mcap`, with its plans and, of the city, its truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from understudy import recorder
from understudy.exporters.moments import Chosen, file_of


@dataclass(frozen=True)
class Mcap:
    """A file NAME.mcap for each piece; docs/mcap.md tells its channels."""

    viewers: bool = True  # also what Foxglove and Rerun show; the reader does without

    needs: ClassVar[tuple[str, ...]] = ()

    def write(self, chosen: Sequence[Chosen], folder: Path) -> Iterator[tuple[str, str]]:
        for one in chosen:
            for piece in one.pieces(one.read()):
                recorder.write(piece, file_of(folder, piece.id, ".mcap"), self.viewers)
                yield piece.id, ""
