"""Where the rows of a part lie: in a file of its own, or in a pack.

A pack is many small parts of a table joined into a file of about 128 MB, so that queries open few files. Joining
changes no manifest: a part keeps its name, and the pack's JSON says which rows are whose. The pack is written whole
first, then its JSON; the small files go later, by `gc`. At any moment the rows of a part are in at least one place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec


@dataclass(frozen=True)
class Span:
    """Rows `start` to `stop` of a file."""

    path: Path
    start: int
    stop: int


def table_file(root: Path, table: str, part: str) -> Path:
    return root / "tables" / table / f"{part}.parquet"


def locate(root: Path, table: str, part: str, rows: int) -> Span:
    """Where a part's rows of a table lie."""
    return packed(root, table).get(part) or Span(table_file(root, table, part), 0, rows)


def stretches(spans: Iterable[Span]) -> list[Span]:
    """The same rows in fewer spans: those that follow each other in a file made one, files in order of appearance."""
    by_path: dict[Path, list[Span]] = {}
    for span in spans:
        by_path.setdefault(span.path, []).append(span)
    joined: list[Span] = []
    for path, found in by_path.items():
        for span in sorted(found, key=lambda span: span.start):
            if joined and joined[-1].path == path and joined[-1].stop == span.start:
                span = Span(path, joined.pop().start, span.stop)
            joined.append(span)
    return joined


def packed(root: Path, table: str) -> dict[str, Span]:
    """Where the rows lie of every part of a table that is in a pack."""
    indices = sorted((root / "packs" / table).glob("*.json"))
    return _located(tuple(index for index in indices if index.with_suffix(".parquet").is_file()))


@lru_cache(maxsize=64)
def _located(indices: tuple[Path, ...]) -> dict[str, Span]:
    """A part that is in several packs is taken from that with the most parts."""
    found: dict[str, Span] = {}
    for index in sorted(indices, key=lambda path: (len(_parts(path)), path.name)):
        row = 0
        for part, rows in _parts(index):
            found[part] = Span(index.with_suffix(".parquet"), row, row + rows)
            row += rows
    return found


@lru_cache(maxsize=4096)
def _parts(index: Path) -> list[tuple[str, int]]:
    """The parts of a pack in the order of their rows, and how many rows each has."""
    return msgspec.json.decode(index.read_bytes(), type=list[tuple[str, int]])
