"""Questions in SQL over the lake's tables, with DuckDB.

One view per table over its Parquet files: nothing is loaded before it is needed, and an aggregate over 1e8 rows
streams. The connection can read those files and nothing else: no other file, no extension, no Python variable, no
statement but one SELECT.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from understudy.errors import UnderstudyError, hint
from understudy.store.packs import Span

if TYPE_CHECKING:
    from understudy.store.lake import Lake

MEMORY = "2GB"  # beyond this DuckDB gives up with an error rather than take the machine with it


def query(lake: Lake, sql: str) -> pa.Table:
    """The answer as a table. UnderstudyError, in one line, for anything but one SELECT that works."""
    tables = lake.tables()
    mentioned = [name for name in tables if name in re.findall(r"\w+", sql.lower())] or tables
    with lake.reading(), duckdb.connect(":memory:", config={"python_enable_replacements": "false"}) as connection:
        try:
            _check(connection.extract_statements(sql))
            _prepare(connection, {name: lake.spans(name) for name in mentioned})
            return connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            raise UnderstudyError(_one_line(str(error), tables)) from error


def _check(statements: list[Any]) -> None:
    kinds = [statement.type for statement in statements]
    if kinds != [duckdb.StatementType.SELECT]:  # an EXPLAIN ANALYZE of a COPY would copy
        found = ", ".join(kind.name for kind in kinds) or "nothing"
        raise UnderstudyError(f"a query is one SELECT, for the lake is read-only here; found {found}")


def _prepare(connection: duckdb.DuckDBPyConnection, spans: dict[str, list[Span]]) -> None:
    paths = sorted({str(span.path.resolve()) for found in spans.values() for span in found})
    for setting, value in (
        ("memory_limit", MEMORY),
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
    """All rows of some spans: whole files together, and of the others the stretches that are in view."""
    stretches: dict[Path, list[Span]] = {}
    for span in spans:
        stretches.setdefault(span.path, []).append(span)
    whole = [path for path in stretches if path.parent.parent.name == "tables"]
    selects = [_read(whole)] if whole else []
    for path, found in stretches.items():
        if path not in whole:
            selects.append(_read([path], _joined(found)))
    return " UNION ALL BY NAME ".join(selects)


def _read(paths: list[Path], stretches: list[tuple[int, int]] | None = None) -> str:
    files = _literal([str(path.resolve()) for path in paths])
    if stretches is None:
        return f"SELECT * FROM read_parquet({files}, union_by_name = true)"
    where = " OR ".join(f"file_row_number BETWEEN {start} AND {stop - 1}" for start, stop in stretches)
    return f"SELECT * EXCLUDE (file_row_number) FROM read_parquet({files}, file_row_number = true) WHERE {where}"


def _joined(spans: list[Span]) -> list[tuple[int, int]]:
    """Stretches of rows, those that touch made one."""
    joined: list[tuple[int, int]] = []
    for span in sorted(spans, key=lambda span: span.start):
        if joined and joined[-1][1] == span.start:
            joined[-1] = (joined[-1][0], span.stop)
        else:
            joined.append((span.start, span.stop))
    return joined


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
