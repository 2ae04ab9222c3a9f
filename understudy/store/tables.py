"""Tables of the lake as Parquet, and the rows of one part within a file that may hold many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from understudy.errors import DataError
from understudy.store.files import write_whole


@dataclass(frozen=True)
class Span:
    """Rows `start` to `stop` of a file."""

    path: Path
    start: int
    stop: int


def write_table(table: pa.Table, path: Path) -> None:
    """A table as one Parquet file, whole."""
    write_whole(path, lambda aside: pq.write_table(table, aside, **options(table.schema)))


def options(schema: pa.Schema) -> dict[str, object]:
    """How we write Parquet: names are few and worth a dictionary, measured numbers are not."""
    words = [field.name for field in schema if pa.types.is_dictionary(field.type) or pa.types.is_string(field.type)]
    return {"compression": "zstd", "use_dictionary": words}


def read_span(span: Span, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a span, read from no more row groups than they lie in; columns that the file lacks are left out."""
    try:
        with pq.ParquetFile(span.path) as file:
            if columns is not None:
                columns = [name for name in columns if name in file.schema_arrow.names]
            first, groups = _row_groups(file.metadata, span)
            table = file.read_row_groups(groups, columns=columns, use_threads=False)
            return table.slice(span.start - first, span.stop - span.start)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"reading a table of the lake: {str(error).splitlines()[0]}; in {span.path}") from error


def _row_groups(metadata: pq.FileMetaData, span: Span) -> tuple[int, list[int]]:
    """The row groups that a span touches, and the row at which the first of them begins."""
    row, first = 0, span.start
    groups: list[int] = []
    for group in range(metadata.num_row_groups):
        end = row + metadata.row_group(group).num_rows
        if row < span.stop and end > span.start:
            first = first if groups else row
            groups.append(group)
        row = end
    return (first, groups) if groups else (span.start, [])
