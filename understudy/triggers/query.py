"""A question in SQL over the instants of a drive, for ideas that need no file of their own.

    [[triggers]]
    use = "query"
    name = "fast_in_the_wet"
    where = "speed > 25 and wiper > 0"
    score = "speed"

The table is called `instants`; beside the drive's columns it has `t_s`, seconds since its start. Unknown values are
NULL, so they satisfy nothing. DuckDB sees that table and nothing else: no file, no extension, no Python variable.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from understudy.errors import SettingsError
from understudy.records import Drive, Event
from understudy.triggers.spans import clock, events

_LOCKS = {
    "memory_limit": "'2GB'",
    "threads": "1",  # drives are what is worked on side by side
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
    "lock_configuration": "true",
}


@dataclass(frozen=True)
class Query:
    """Where the expression `where` is true for `hold_s` or longer. Score: the largest value of the expression `score`.

    It needs the columns that the two expressions mention. Both may look at other instants by window functions:
    `speed - lag(speed, 10) OVER (ORDER BY t_ns)`.
    """

    where: str
    score: str = "1.0"
    hold_s: float = 0.0
    bridge_s: float = 0.5

    @property
    def needs(self) -> tuple[str, ...]:
        return _columns(self._sql)

    @property
    def _sql(self) -> str:
        return f"SELECT CAST(({self.where}) AS BOOLEAN), CAST(({self.score}) AS DOUBLE) FROM instants ORDER BY t_ns"

    def find(self, drive: Drive) -> Iterator[Event]:
        table = pa.table(
            {
                "t_ns": drive.t_ns,
                "t_s": clock(drive).t_s,
                **{name: pa.array(drive[name], from_pandas=True) for name in self.needs},  # nan becomes null
            }
        )
        with _locked() as connection:
            connection.register("instants", table)
            try:
                mask, score = connection.execute(self._sql).fetchnumpy().values()
            except duckdb.Error as error:
                raise SettingsError(f"query: {str(error).splitlines()[0]}; in {self._sql}") from error
        if len(mask) != len(drive):
            raise SettingsError(f"query: {len(mask)} answers for {len(drive)} instants; in {self._sql}")
        mask, score = np.ma.filled(mask, False), np.ma.filled(score, np.nan)
        mask = mask & np.isfinite(score)  # an unknown score, like an unknown condition, is none
        yield from events(drive, mask, score, self.hold_s, self.bridge_s)


def _locked() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={"python_enable_replacements": "false"})
    for setting, value in _LOCKS.items():
        connection.execute(f"SET {setting} = {value}")
    return connection


@cache
def _columns(sql: str) -> tuple[str, ...]:
    """The columns that a query mentions, as DuckDB's own parser finds them."""
    with _locked() as connection:
        [(text,)] = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()
    tree = json.loads(text)
    if tree["error"]:
        raise SettingsError(f"query: {tree['error_message'].splitlines()[0]}; in {sql}")
    if len(tree["statements"]) != 1:
        raise SettingsError(f"query: one condition is wanted, found {len(tree['statements'])} statements; in {sql}")
    return tuple(sorted(set(_mentioned(tree)) - {"t_ns", "t_s"}))


def _mentioned(tree: Any) -> Iterator[str]:
    if isinstance(tree, list):
        for branch in tree:
            yield from _mentioned(branch)
    elif isinstance(tree, dict):
        if tree.get("class") == "COLUMN_REF":
            yield str(tree["column_names"][-1])
        for branch in tree.values():
            yield from _mentioned(branch)
