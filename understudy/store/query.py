"""Questions in SQL over the lake's tables, with DuckDB.

One view per table over its Parquet files: nothing is loaded before it is needed, and an aggregate over 1e8 rows
streams. The connection can read those files and nothing else: no other file, no extension, no Python variable, no
statement but one SELECT.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from understudy.errors import UnderstudyError, hint
from understudy.store.packs import Span, stretches

if TYPE_CHECKING:
    from understudy.store.lake import Lake

MEMORY = "2GB"  # beyond this DuckDB takes to the disk


def query(lake: Lake, sql: str) -> pa.Table:
    """The answer as a table, names of columns that repeat numbered.

    UnderstudyError, in one line, for anything but one SELECT that works.
    """
    tables = lake.tables()
    mentioned = [name for name in tables if name in re.findall(r"\w+", sql.lower())] or tables
    with (
        lake.reading(),
        TemporaryDirectory(prefix="understudy-") as spill,
        duckdb.connect(":memory:", config={"python_enable_replacements": "false"}) as connection,
    ):
        try:
            _check(connection.extract_statements(sql))
            _prepare(connection, spill, {name: [span for _, span in lake.places(name)] for name in mentioned})
            found = connection.sql(sql).to_arrow_table()
            return found.rename_columns(_apart(found.column_names))
        except duckdb.Error as error:
            raise UnderstudyError(_one_line(str(error), tables)) from error


def _apart(names: list[str]) -> list[str]:
    """Names of columns with those numbered that repeat, so that none hides another: id, id_1."""
    found: list[str] = []
    for name in names:
        own = name
        number = 0
        while own in found or (number and own in names):
            number += 1
            own = f"{name}_{number}"
        found.append(own)
    return found


def _check(statements: list[Any]) -> None:
    kinds = [statement.type for statement in statements]
    if kinds != [duckdb.StatementType.SELECT]:  # an EXPLAIN ANALYZE of a COPY would copy
        found = ", ".join(kind.name for kind in kinds) or "nothing"
        raise UnderstudyError(f"a query is one SELECT, for the lake is read-only here; found {found}")


def _prepare(connection: duckdb.DuckDBPyConnection, spill: str, spans: dict[str, list[Span]]) -> None:
    paths = sorted({str(span.path.resolve()) for found in spans.values() for span in found})
    for setting, value in (
        ("memory_limit", MEMORY),
        ("temp_directory", spill),
        ("allowed_paths", paths),
        ("autoinstall_known_extensions", False),
        ("autoload_known_extensions", False),
        ("enable_external_access", False),
        ("lock_configuration", True),
    ):
        connection.execute(f"SET {setting} = {_literal(value)}")
    for name, found in spans.items():
        connection.execute(f'CREATE VIEW "{name}" AS {_select(found)}')


def _select(spans: list[Span]) -> str:
    """All rows of some spans: files that hold one part together, and of each pack the rows that are in view."""
    alone = [span.path for span in spans if span.path.parent.parent.name == "tables"]
    packs: dict[Path, list[str]] = {}
    for span in stretches(span for span in spans if span.path.parent.parent.name == "packs"):
        packs.setdefault(span.path, []).append(f"file_row_number BETWEEN {span.start} AND {span.stop - 1}")
    selects = [f"SELECT * FROM read_parquet({_paths(alone)}, union_by_name = true)"] if alone else []
    for path, rows in packs.items():
        read = f"read_parquet({_paths([path])}, file_row_number = true)"
        selects.append(f"SELECT * EXCLUDE (file_row_number) FROM {read} WHERE {' OR '.join(rows)}")
    return " UNION ALL BY NAME ".join(selects)


def _paths(paths: list[Path]) -> str:
    return _literal([str(path.resolve()) for path in paths])


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return "'" + str(value).replace("'", "''") + "'"


def _one_line(message: str, tables: Iterable[str]) -> str:
    """DuckDB's message without its drawing of the query; an unknown table gets the names of ours."""
    unknown = re.search(r"Table with name (\S+) does not exist", message)
    if unknown:
        return f"no table named {unknown[1]!r}{hint(unknown[1], tables)}"
    lines = message.split("\nLINE ")[0].splitlines()
    return "query: " + " ".join(line.strip() for line in lines if line.strip())
