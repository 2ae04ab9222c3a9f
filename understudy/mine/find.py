"""Everything that the triggers find in one drive, and what choosing needs to know of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from understudy import plugins
from understudy.errors import DataError, SettingsError
from understudy.mine.choose import Sighting, in_order
from understudy.records import Drive, Event, Floats, Trigger

# What makes two sightings of one trigger, at one place, different: by how much a mean over the event differs.
# The last two are of the shadow runs, of whichever is furthest from what was driven.
SIGNATURE: dict[str, float] = {
    "speed": 3.0,  # m/s
    "accel": 1.5,  # m/s²
    "yaw_rate": 0.15,  # rad/s
    "leader_gap": 10.0,  # m
    "lateral_difference": 1.5,  # m
    "speed_difference": 3.0,  # m/s
}
COLUMNS = ("speed", "accel", "yaw_rate", "leader_gap", "place")  # of the drive, that `sightings` looks at
_AROUND_S = 0.5


def resolve(wanted: Sequence[str | Mapping[str, Any]] = ()) -> dict[str, Trigger]:
    """Triggers by the names they are known by, from names and tables; by default all that need no settings.

    A table has `use` (a name or `module:Class`), the trigger's own settings, and a `name` where one is used twice.
    """
    found: dict[str, Trigger] = {}
    for entry in wanted or _installed():
        table = {"use": entry} if isinstance(entry, str) else dict(entry)
        if "use" not in table:
            raise SettingsError(f"a trigger's table wants `use`, a name or module:Class; got {table}")
        use = str(table.pop("use"))
        name = str(table.pop("name", use.rpartition(":")[2]))
        if name in found:
            raise SettingsError(f"two triggers are called {name!r}; give one of them a `name`")
        found[name] = plugins.make("trigger", use, table)
    return found


def _installed() -> Iterator[str]:
    for name in plugins.names("trigger"):
        fields = dataclasses.fields(plugins.load("trigger", name))
        if all(f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING for f in fields):
            yield name


def find(drive: Drive, triggers: Mapping[str, Trigger]) -> list[Event]:
    """Every event that any of `triggers` finds, in order of time; those that lack what they need find nothing.

    DataError if a trigger gives an event outside the drive, or without a finite score.
    """
    found: list[Event] = []
    for name, trigger in triggers.items():
        if drive.lacks(trigger.needs):
            continue
        for event in trigger.find(drive):
            start, end, score = event.start_ns, event.end_ns, event.score
            if not (drive.t_ns[0] <= start <= end <= drive.t_ns[-1] and math.isfinite(score)):
                raise DataError(f"drive {drive.id}: trigger {name} gave {start} to {end} with score {score}")
            found.append(Event(drive.id, start, end, score, name))
    return in_order(found)


def sightings(drive: Drive, events: Iterable[Event]) -> list[Sighting]:
    """The events with their places and signatures."""
    columns = [_column(drive, name) / unit for name, unit in SIGNATURE.items()]
    around_ns = round(_AROUND_S * 1e9)
    found = []
    for event in events:
        start = int(np.searchsorted(drive.t_ns, event.start_ns - around_ns))
        stop = int(np.searchsorted(drive.t_ns, event.end_ns + around_ns, side="right"))
        middle = int(np.searchsorted(drive.t_ns, (event.start_ns + event.end_ns) // 2))
        signature = tuple(_mean(column[start:stop]) for column in columns)
        found.append(Sighting(event, drive.place_at(middle), signature))
    return found


def _column(drive: Drive, name: str) -> Floats:
    """A column of the drive, or what the shadow run furthest from the driven says; nan where nobody says anything."""
    if name in drive:
        return drive[name]
    column = np.full(len(drive), np.nan)
    for run in drive.shadows.values():
        other = run.columns.get(name, column)
        column = np.where(np.abs(other) > np.nan_to_num(np.abs(column), nan=-1.0), other, column)
    return column


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
