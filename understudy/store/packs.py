"""Packs: many small parts of a table joined into files of about 128 MB, so that queries open few files.

Joining changes no manifest: a part keeps its name, and the pack's JSON says which rows are whose. The pack is written
whole first, then its JSON; the small files go later, by `gc`. At any moment a part's rows are in at least one place.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import msgspec


def packed(root: Path, table: str) -> dict[str, tuple[Path, int, int]]:
    """File, first row and row after the last of every part of a table that lies in a pack."""
    indices = sorted((root / "packs" / table).glob("*.json"))
    return _located(tuple(index for index in indices if index.with_suffix(".parquet").is_file()))


@lru_cache(maxsize=64)
def _located(indices: tuple[Path, ...]) -> dict[str, tuple[Path, int, int]]:
    """Where parts lie; one that is in several packs is taken from that with the most parts."""
    found: dict[str, tuple[Path, int, int]] = {}
    for index in sorted(indices, key=lambda path: (len(read_index(path)), path.name)):
        row = 0
        for part, rows in read_index(index):
            found[part] = (index.with_suffix(".parquet"), row, row + rows)
            row += rows
    return found


@lru_cache(maxsize=4096)
def read_index(path: Path) -> list[tuple[str, int]]:
    """The parts of a pack in the order of their rows, and how many rows each has."""
    return msgspec.json.decode(path.read_bytes(), type=list[tuple[str, int]])
