"""What a command says: data to stdout (a table for eyes, JSON lines for programs), progress and errors to stderr."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from understudy.errors import UnderstudyError

if TYPE_CHECKING:
    import pyarrow as pa

    from understudy.store import Lake

_ANY_WIDTH = 100_000  # of a terminal, in which nothing is broken
_SHOWN = 4  # of a list, in a cell

NO_DRIVES = "no drives yet; `understudy ingest READER FOLDER` reads some"


def emit(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Callable[[Any], str]],
    as_json: bool,
    empty: str,
    *,
    lists: bool = False,
) -> None:
    """Rows as a table for eyes, or as JSON lines for programs; `columns` say how a cell is written for eyes.

    Where a terminal is too narrow for all columns side by side rows run on; with `lists` each becomes a list of them.
    """
    if not rows:
        click.echo(empty, err=True)
        return
    if as_json or not sys.stdout.isatty():
        for row in rows:
            click.echo(
                json.dumps({name: _finite(value) for name, value in row.items()}, default=_plain, allow_nan=False)
            )
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        numeric = any(isinstance(row.get(name), int | float | Decimal) for row in rows)
        # Names are for copying: they are never broken.
        table.add_column(Text(name.replace("_", " ")), justify="right" if numeric else "left", no_wrap=name == "id")
    for row in rows:  # as Text, which takes no bracket for an instruction
        table.add_row(*(Text(cell) for cell in _cells(row, columns)))
    console = Console()
    wide = console.measure(table, options=console.options.update(width=_ANY_WIDTH))
    if wide.minimum > console.width:
        if lists:
            for row in rows:
                cells = zip(columns, _cells(row, columns), strict=True)
                click.echo("\n".join(f"{name}: {cell}" for name, cell in cells) + "\n")
            return
        console.width = wide.maximum  # a terminal breaks header and rows at the same place, and no column is lost
    console.print(table)


def _cells(row: Mapping[str, Any], columns: Mapping[str, Callable[[Any], str]]) -> list[str]:
    return [write(row[name]) if row.get(name) is not None else "–" for name, write in columns.items()]


def _finite(value: Any) -> Any:
    """A value without the numbers that JSON has no word for, however deep."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value


def legible(table: pa.Table) -> list[dict[str, Any]]:
    """The rows of a table; dates and times as text, for Python knows neither nanoseconds nor the year 99999."""
    for number, name in enumerate(table.column_names):
        column = table.column(number)
        if (told := _told(column.type)) != column.type:
            table = table.set_column(number, name, column.cast(told))
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def _told(kind: pa.DataType) -> pa.DataType:
    """A type with text for dates and times, however deep. An INTERVAL stays months, days and nanoseconds."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_told(kind.value_type)))
    if types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(_told(kind.value_type)), kind.list_size)
    if types.is_struct(kind):
        return pa.struct([field.with_type(_told(field.type)) for field in kind])
    if types.is_map(kind):
        return pa.map_(_told(kind.key_type), _told(kind.item_type))
    if types.is_temporal(kind) and not (types.is_duration(kind) or types.is_interval(kind)):
        return pa.string()
    return kind


def _plain(value: Any) -> int | float | str:
    """What JSON has no word for: a decimal, as DuckDB sums whole numbers, is a number; all else is text."""
    if isinstance(value, Decimal) and value.is_finite():
        return int(value) if value.as_tuple().exponent == 0 else float(value)
    return str(value)


def short(value: Any) -> str:
    """A value of any kind for eyes: numbers to six digits, and of a long list the beginning."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        shown = ", ".join(map(short, value[:_SHOWN]))
        return f"[{shown}, … {len(value)} in all]" if len(value) > _SHOWN else f"[{shown}]"
    return str(value)


def number(digits: int) -> Callable[[Any], str]:
    return lambda value: "–" if value != value else f"{value:.{digits}f}"


def yes(value: Any) -> str:
    return "yes" if value else "–"


def _trace(outcome: Any, total: int = 0) -> None:
    """A bug of ours, or of a plug-in, shows where it happened; the drives after it go on."""
    if outcome.trace:
        click.echo(outcome.trace, err=True)


@contextmanager
def progress(verb: str) -> Iterator[Callable[[Any, int], None]]:
    """A bar on stderr while drives are worked on; nothing where nobody looks."""
    if not sys.stderr.isatty():
        yield _trace
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(verb),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[last]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(verb, total=None, last="")

        def tell(outcome: Any, total: int) -> None:
            _trace(outcome)
            bar.update(task, total=total, advance=1, last=outcome.name[-40:])

        yield tell


def reasons(messages: Mapping[str, str]) -> list[tuple[int, str]]:
    """How many subjects gave each reason, most frequent first."""
    counts: dict[str, int] = {}
    for message in messages.values():
        counts[message] = counts.get(message, 0) + 1
    return sorted(((count, message) for message, count in counts.items()), reverse=True)


def tell_failures(what: str, failures: Mapping[str, str]) -> None:
    for subject, message in sorted(failures.items()):
        click.echo(f"understudy: {subject} not {what}: {message}", err=True)


def make_room(path: Path) -> None:
    """Make the folder of a file that is written in the end, before anything long is done for it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "a file is in the way" if isinstance(error, FileExistsError) else error.strerror
        raise UnderstudyError(f"no place for {path.name}: {reason}; in {path.parent}") from error
    if not os.access(path.parent, os.W_OK):
        raise UnderstudyError(f"no place for {path.name}: nothing may be written there; in {path.parent}")


def open_lake(lake: Path | None, *, make: bool = False) -> Lake:
    from understudy.store import Lake, find_lake

    root = find_lake(lake)
    if root.exists() and not root.is_dir():
        raise UnderstudyError(f"a lake is a folder, and this is a file; {root}")
    if not make and not root.is_dir():
        raise UnderstudyError(f"there is no lake yet in {root}; `understudy ingest` makes one, or name another folder")
    return Lake(root)
