"""The journal of a study: one JSON line for every unit of work, appended when it is done, and committed.

Whoever is killed while writing leaves a line without its end; it is dropped when the journal is read, and cut off
before the next line is written. So a study that runs again does what is not there, and nothing twice.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from understudy.errors import DataError
from understudy.store.files import to_json


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal; none where there is no file. DataError for a whole line that is no JSON object."""
    found = []
    for number, line in enumerate(_whole(path).splitlines(), start=1):
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
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = len(_whole(path))
    data = to_json(line) + b"\n"
    with path.open("ab") as file:
        file.truncate(whole)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _whole(path: Path) -> bytes:
    """The file up to the end of its last whole line."""
    data = path.read_bytes() if path.is_file() else b""
    return data[: data.rfind(b"\n") + 1]


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
