"""Routes on which an event comes about soon: a script waits for its moment, and on every other route none comes.

Which routes these are was found by letting the city's own driver drive them (`scripts/find_events`), and is written
down in met.json, so that a suite is made from nothing but its name.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from understudy.errors import UnknownName
from understudy.worlds.scenario import Scenario

TABLE = Path(__file__).with_name("met.json")
METRES = 250
SOON_S = 16.0  # from the start, within which the event has begun
_LAP = 100_000  # between the seeds of one route that is driven again


def met(group: str, kind: str) -> Iterator[Scenario]:
    """Scenarios on which the city's own driver meets an event of that kind, without end.

    `group` is who drives there: `gate`, `audit` (of the gate's side, in other towns), or `regression`, which knows the
    kept kinds alone. When all known routes are used up they come again with other traffic, in which the event may stay
    away. Raises UnknownName for a kind that is not known there.
    """
    known = _table()[group]
    if kind not in known:
        raise UnknownName("kind of event", kind, known)
    for lap in itertools.count():
        for route in known[kind]:
            town, number = route.split("/r")
            yield scenario(town, int(number), kind, lap)


def scenario(town: str, number: int, kind: str, lap: int = 0) -> Scenario:
    """What is tried to find out whether the event comes about."""
    return Scenario(town=town, route=f"r{number}:{METRES}", event=kind, seed=number + lap * _LAP)


@cache
def _table() -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return found
