"""What a command says: data to stdout (a table for eyes, JSON lines for programs), progress and errors to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from understudy.errors import UnderstudyError

if TYPE_CHECKING:
    from understudy.store import Lake


def emit(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Callable[[Any], str]], as_json: bool, empty: str
) -> None:
    """Rows as a table for eyes, or as JSON lines for programs; `columns` say how a cell is written for eyes."""
    if as_json or not sys.stdout.isatty():
        for row in rows:
            click.echo(
                json.dumps({name: None if value != value else value for name, value in row.items()}, default=str)
            )
        return
    if not rows:
        click.echo(empty, err=True)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        numeric = any(isinstance(row.get(name), int | float) for row in rows)
        # Names are for copying: they are never broken.
        table.add_column(name.replace("_", " "), justify="right" if numeric else "left", no_wrap=name == "id")
    for row in rows:
        table.add_row(*(write(row[name]) if row.get(name) is not None else "–" for name, write in columns.items()))
    Console().print(table)


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


def open_lake(lake: Path | None, *, make: bool = False) -> Lake:
    from understudy.store import Lake, find_lake

    root = find_lake(lake)
    if not make and not root.is_dir():
        raise UnderstudyError(f"there is no lake yet in {root}; `understudy ingest` makes one, or say --lake FOLDER")
    return Lake(root)
