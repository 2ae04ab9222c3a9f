"""A map as JSON, and back. It lies in the lake once, however many drives are on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from understudy.records import Floats, Lane, Map, Marking


def map_to_json(map: Map) -> dict[str, Any]:
    """A map as JSON: lines are lists of points, an unknown speed limit is null."""
    return {
        name: getattr(map, name) for name in ("lanes", "drivable", "crosswalks", "stop_lines", "markings", "extent")
    }


def map_from_json(found: Mapping[str, Any]) -> Map:
    """The map that `map_to_json` gave."""
    return Map(
        lanes=tuple(_lane(lane) for lane in found["lanes"]),
        drivable=tuple(map(_line, found["drivable"])),
        crosswalks=tuple(map(_line, found["crosswalks"])),
        stop_lines=tuple(map(_line, found["stop_lines"])),
        markings=tuple(Marking(_line(m["points"]), m["style"], m["colour"]) for m in found["markings"]),
        extent=None if found["extent"] is None else _line(found["extent"]),
    )


def _line(points: Sequence[Any]) -> Floats:
    return np.array(points, float).reshape(-1, 2)


def _lane(found: dict[str, Any]) -> Lane:
    for name in ("centre", "polygon", "left", "right"):
        found[name] = None if found[name] is None else _line(found[name])
    for name in ("successors", "predecessors"):
        found[name] = tuple(found[name])
    if found["speed_limit"] is None:
        found["speed_limit"] = float("nan")
    return Lane(**found)


@lru_cache(maxsize=16)
def read_map(path: Path) -> Map:
    return map_from_json(msgspec.json.decode(path.read_bytes()))
