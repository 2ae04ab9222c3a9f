"""A plug-in by name, one at a time: asking for `hard_brake` imports `hard_brake` and nothing else.

A plug-in is a frozen dataclass with one method; its fields are its settings. It is found by entry point
(`understudy.reader`, `understudy.policy`, `understudy.trigger`, ...) or given as `module:Class`.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from understudy.errors import UnderstudyError, UnknownName
from understudy.settings import fill


def names(kind: str) -> list[str]:
    """The names of all plug-ins of a kind (`reader`, `policy`, `trigger`, ...), sorted; none is imported."""
    return sorted({entry.name for entry in entry_points(group=f"understudy.{kind}")})


def load(kind: str, name: str) -> Any:
    """The class behind a name, or behind `module:Class` (modules of the working folder included)."""
    if ":" in name:
        module, _, attribute = name.partition(":")
        if not module or module.startswith("."):
            raise UnderstudyError(f"loading {kind} {name!r}: {module!r} is no name of a module; expected module:Class")
        here = str(Path.cwd())
        if here not in sys.path:
            sys.path.append(here)  # to stay: a plug-in may import what lies beside it while it works
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise UnderstudyError(f"loading {kind} {name!r}: {error}; expected module:Class") from error
    for entry in entry_points(group=f"understudy.{kind}", name=name):
        try:
            return entry.load()
        except ImportError as error:
            raise UnderstudyError(f"loading {kind} {name!r}: {error}; is the extra that it needs installed?") from error
    raise UnknownName(kind, name, names(kind))


def make(kind: str, name: str, settings: Mapping[str, Any] | None = None) -> Any:
    """The plug-in itself, with settings checked against its fields."""
    plugin = load(kind, name)
    if not (isinstance(plugin, type) and dataclasses.is_dataclass(plugin)):
        raise UnderstudyError(f"loading {kind} {name!r}: expected a dataclass, whose fields are its settings")
    return fill(plugin, settings or {}, prefix=name)
