"""Tables of the lake as Parquet, and the few steps between their columns and numpy's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from understudy.errors import DataError
from understudy.records import Array, Ints
from understudy.store.files import write_whole
from understudy.store.packs import Span, locate
from understudy.store.runs import Entry


def write_table(table: pa.Table, path: Path) -> None:
    """A table as one Parquet file, whole. What is unknown is null in it, so that SQL's averages leave it out."""
    known = _nan_as_null(table)
    write_whole(path, lambda aside: pq.write_table(known, aside, **options(known.schema)))


def _nan_as_null(table: pa.Table) -> pa.Table:
    for i, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            unknown = pc.is_nan(table.column(i))
            if pc.any(unknown).as_py():
                table = table.set_column(i, field, pc.if_else(unknown, pa.scalar(None, field.type), table.column(i)))
    return table


def options(schema: pa.Schema) -> dict[str, object]:
    """How we write Parquet: names are few and worth a dictionary, measured numbers are not."""
    words = [field.name for field in schema if pa.types.is_dictionary(field.type) or pa.types.is_string(field.type)]
    return {"compression": "zstd", "use_dictionary": words}


def read_part(root: Path, entry: Entry, table: str, columns: Sequence[str] | None = None) -> pa.Table:
    """A part's rows of a table, with the columns that it was written with."""
    return read_span(locate(root, table, entry.part, entry.tables[table]), columns)


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
    return first, groups


# Columns --------------------------------------------------------------------------------------------------------------


def word(text: str, rows: int) -> pa.DictionaryArray:
    """The same name in every row."""
    return words(np.zeros(rows, np.int32), [text])


def words(indices: Array, names: Sequence[str]) -> pa.DictionaryArray:
    """Names by their index, null where it is negative."""
    indices = np.asarray(indices, np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(indices, mask=indices < 0), pa.array(list(names), pa.string()))


def index_of(column: pa.ChunkedArray, names: Sequence[str]) -> Ints:
    """The index of each name, -1 for null."""
    found = pc.index_in(column.cast(pa.string()), value_set=pa.array(list(names), pa.string()))
    return numpy_of(pc.fill_null(found, -1))


def numpy_of(column: pa.ChunkedArray) -> Array:
    values: Array = column.to_numpy()
    return values


def lists(values: Array) -> pa.ListArray:
    """One flat list per row of an array (n, ...)."""
    flat = values.reshape(len(values), -1)
    offsets = np.arange(len(flat) + 1, dtype=np.int32) * flat.shape[1]
    return pa.ListArray.from_arrays(offsets, np.ascontiguousarray(flat).ravel())


def flat_of(column: pa.ChunkedArray) -> Array:
    """The values of all lists, one after the other."""
    return np.concatenate([chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks])
