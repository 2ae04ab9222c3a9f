"""The journal of a study: one JSON line for every unit of work, appended when it is done, and committed.

Whoever is killed while writing leaves a line without its end; it is dropped when the journal is read, and cut off
before the next line is written. So a study that runs again does what is not there, and nothing twice.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from understudy import workers
from understudy.errors import DataError
from understudy.store.files import append_line, to_json, whole_lines

Unit = TypeVar("Unit")
Line = Mapping[str, Any]


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal; none where there is no file. DataError for a whole line that is no JSON object."""
    found = []
    for number, line in enumerate(whole_lines(path).splitlines(), start=1):
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise DataError(f"reading a journal: line {number} is no JSON object; remove it; {path}")
        found.append(value)
    return found


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line, on the disk when this returns; nan is written as null."""
    append_line(path, to_json(line))


def by_ground(lines: Sequence[Line], ground: Callable[[Line], object]) -> list[list[Line]]:
    """Lines that may be compared with each other, together: those of which `ground` says the same; what was worked on
    last comes last."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        name = repr(ground(line))
        found[name] = [*found.pop(name, []), line]
    return list(found.values())


def carry_out(
    path: Path,
    units: Mapping[str, Unit],
    do: Callable[[Unit], Mapping[str, Any]],
    about: Mapping[str, Any],
    processes: int = 0,
    tell: Callable[[workers.Outcome, int], None] | None = None,
    most: int | None = None,
) -> list[dict[str, Any]]:
    """Do those units of work, by name, that the journal has no line of (`most` of them); all of its lines.

    A line is what `do` gives of a unit, and `about`. DataError when all were tried and some have failed.
    """
    done = {line["unit"] for line in read(path)}
    todo = [unit for name, unit in units.items() if name not in done][:most]
    where = {"commit": commit(), "machine": machine()}

    def finished(outcome: workers.Outcome) -> None:
        if not outcome.error:
            append(path, {**outcome.value, **about, **where})
        if tell is not None:
            tell(outcome, len(todo))

    outcomes = workers.map_drives(do, todo, processes, finished, describe=str)
    if errors := [outcome.error for outcome in outcomes if outcome.error]:
        raise DataError(f"{len(errors)} of {len(todo)} units failed, the first: {errors[0]}")
    return read(path)


# What a line says of where it was made --------------------------------------------------------------------------------


def commit() -> str:
    """The commit that the code is of, with a + where files differ from it; empty outside a repository."""
    here = Path(__file__).parent
    told = [["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "--untracked-files=no", ".."]]
    try:
        name, changes = (
            subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()
            for words in told
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return name + "+" * bool(changes)


def machine() -> dict[str, Any]:
    """The processor, its cores and the memory; no names of hosts or people."""
    cpuinfo = Path("/proc/cpuinfo")
    models = [line for line in cpuinfo.read_text().splitlines() if "model name" in line] if cpuinfo.is_file() else []
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    return {
        "processor": models[0].partition(":")[2].strip() if models else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30),
        "python": platform.python_version(),
    }
