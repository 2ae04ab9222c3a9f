"""Keeping the lake small: small files joined into packs, and files removed that nothing reaches.

Neither changes what is seen, and either may be killed at any moment: what is new appears whole before what it stands
for goes, and what goes, goes with the file that vouches for it first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from understudy.store import catalog
from understudy.store.files import PARTIAL, digest, locked, to_json, write_whole
from understudy.store.packs import Span, packed
from understudy.store.runs import Entry, guard, read_manifest
from understudy.store.tables import options, read_span

if TYPE_CHECKING:
    from understudy.store.lake import Lake

ROW_GROUP = 16 * 1024  # rows: so few that a drive is read without many neighbours; queries do not mind
TRAINING = "training"  # checkpoints of what is not trained to its end yet
RECORDINGS = "recordings"  # what simulated cars recorded
OWNED = ("tables", "packs", "blobs", "parts", "runs")  # folders in which gc removes files


Member = tuple[str, Span]  # a part, and where its rows lie now


def compact(lake: Lake, target: int, least: int) -> int:
    """Join small files of the tables in view into packs; gives the number of files joined."""
    joined = 0
    for table in lake.tables():
        with lake.reading():
            for members in _groups(lake, table, target):
                files = {span.path for _, span in members}
                if len(files) >= least:
                    _join(lake.root / "packs" / table, members)
                    joined += len(files)
    return joined


def _groups(lake: Lake, table: str, target: int) -> Iterator[list[Member]]:
    """Parts in small files, those of one schema together, up to `target` bytes: a join never changes a column."""
    alike: dict[str, list[Member]] = {}
    sizes: dict[str, float] = {}
    for part, span in lake.places(table):
        size = span.path.stat().st_size
        if size > target / 2:
            continue
        with pq.ParquetFile(span.path) as file:
            schema, rows = file.schema_arrow.to_string(), file.metadata.num_rows
        alike.setdefault(schema, []).append((part, span))
        sizes[schema] = sizes.get(schema, 0) + size * (span.stop - span.start) / max(rows, 1)
        if sizes[schema] >= target:
            yield alike.pop(schema)
            del sizes[schema]
    yield from alike.values()


def _join(folder: Path, members: list[Member]) -> None:
    """One pack of many parts: the rows first, then the index that makes them count."""
    name = digest([part for part, _ in members])

    def write(aside: Path) -> None:
        schema = read_span(members[0][1]).schema
        with pq.ParquetWriter(aside, schema, **options(schema)) as writer:
            for rows in _row_groups(span for _, span in members):
                writer.write_table(rows, row_group_size=rows.num_rows)

    write_whole(folder / f"{name}.parquet", write)
    write_whole(folder / f"{name}.json", to_json([(part, span.stop - span.start) for part, span in members]))


def _row_groups(spans: Iterable[Span]) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    for span in spans:
        waiting.append(read_span(span))
        if sum(rows.num_rows for rows in waiting) >= ROW_GROUP:
            yield pa.concat_tables(waiting).unify_dictionaries()
            waiting = []
    if sum(rows.num_rows for rows in waiting):
        yield pa.concat_tables(waiting).unify_dictionaries()


def gc(root: Path, forget: bool) -> dict[str, int]:
    """Remove what no manifest reaches, when nobody is reading or writing; gives how many files and bytes went."""
    freed = {"files": 0, "bytes": 0}
    if not root.is_dir():
        return freed
    busy = "gc: somebody is writing to the lake or reading from it; try again when that is done"
    with locked(guard(root), exclusive=True, wait_s=10, busy=busy):
        broken_off = sorted((root / TRAINING).glob("*/*")) if forget else []
        for path in [*broken_off, *_unreached(root, _replaced(root) if forget else [])]:
            freed["bytes"] += path.stat().st_size
            freed["files"] += 1
            path.unlink()
    return freed


def _replaced(root: Path) -> list[Path]:
    """Manifests of runs of which nothing is in view, if the view can do without them."""
    known = catalog.manifests(root)
    view, newest = catalog.view(known)
    needed = newest | {seq for seq, _ in view}
    kept = {seq: path for seq, path in known.items() if seq in needed}
    return [path for seq, path in known.items() if seq not in kept] if catalog.view(kept)[0] == view else []


def _unreached(root: Path, forgotten: list[Path]) -> Iterator[Path]:
    """Files that may go, in an order that can be broken off anywhere."""
    yield from forgotten
    for owned in (*OWNED, RECORDINGS):
        yield from (root / owned).rglob(f".*{PARTIAL}")
    reached = [
        entry
        for path in catalog.manifests(root).values()
        if path not in forgotten
        for entry in read_manifest(path).parts
    ]
    parts = {entry.part for entry in reached}
    blobs = {name for entry in reached for name in entry.blobs.values()}
    yield from _named_otherwise((root / "parts").glob("*/*.json"), parts)
    for folder in sorted((root / "packs").glob("*")):
        yield from _useless_packs(root, folder, reached)
    for folder in sorted((root / "tables").glob("*")):
        yield from _named_otherwise(folder.glob("*.parquet"), parts - packed(root, folder.name).keys())
    yield from (path for path in sorted((root / "blobs").glob("[!.]*")) if path.name not in blobs)


def _named_otherwise(paths: Iterable[Path], names: set[str]) -> Iterator[Path]:
    return (path for path in sorted(paths) if path.stem not in names)


def _useless_packs(root: Path, folder: Path, reached: list[Entry]) -> Iterator[Path]:
    """Packs of which no reached part is read, and rows that were never vouched for."""
    located = packed(root, folder.name)
    read = {located[entry.part].path for entry in reached if entry.part in located}
    for index in sorted(folder.glob("*.json")):
        if index.with_suffix(".parquet") not in read:
            yield index
    for rows in sorted(folder.glob("*.parquet")):
        if rows not in read:
            yield rows
