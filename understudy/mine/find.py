"""Everything that the triggers find in one drive, and what choosing needs to know of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from understudy import plugins
from understudy.errors import DataError, SettingsError
from understudy.mine.choose import Sighting, in_order
from understudy.records import Drive, Event, Floats, Trigger

# What makes two sightings of one trigger, at one place, different: by how much a mean over the event differs.
# The last two are of the plan that the event is about, or else of whichever is furthest from what was driven.
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
    views = plan_by_plan(drive)
    return in_order(event for name, trigger in triggers.items() for event in asked(trigger, name, drive, views))


def plan_by_plan(drive: Drive) -> dict[str, Drive]:
    """For each policy that planned in its shadow, the drive with that shadow run alone."""
    return {policy: replace(drive, shadows={policy: run}) for policy, run in drive.shadows.items()}


def asked(trigger: Trigger, name: str, drive: Drive, views: Mapping[str, Drive]) -> Iterator[Event]:
    """What one trigger finds in a drive, of which `views` are `plan_by_plan`; as `find` does."""
    if drive.lacks(trigger.needs):
        return
    for policy, view in views.items() if "plan" in trigger.needs else [("", drive)]:
        for event in trigger.find(view):
            start, end, score = event.start_ns, event.end_ns, event.score
            if not (drive.t_ns[0] <= start <= end <= drive.t_ns[-1] and math.isfinite(score)):
                raise DataError(f"drive {drive.id}: trigger {name} gave {start} to {end} with score {score}")
            yield Event(drive.id, start, end, score, name, policy)


def sightings(drive: Drive, events: Iterable[Event]) -> list[Sighting]:
    """The events with their places and signatures."""
    around_ns = round(_AROUND_S * 1e9)
    told = {policy: [_column(drive, name, policy) / unit for name, unit in SIGNATURE.items()]
            for policy in ("", *drive.shadows)}  # fmt: skip
    found = []
    for event in events:
        columns = told[event.policy]
        start = int(np.searchsorted(drive.t_ns, event.start_ns - around_ns))
        stop = int(np.searchsorted(drive.t_ns, event.end_ns + around_ns, side="right"))
        middle = int(np.searchsorted(drive.t_ns, (event.start_ns + event.end_ns) // 2))
        signature = tuple(_mean(column[start:stop]) for column in columns)
        found.append(Sighting(event, drive.place_at(middle), signature))
    return found


def _column(drive: Drive, name: str, policy: str) -> Floats:
    """A column of the drive, or of a policy's shadow run; without a policy of that which is furthest from the driven.
    nan where nobody says anything."""
    if name in drive:
        return drive[name]
    column = np.full(len(drive), np.nan)
    for run in [drive.shadows[policy]] if policy else drive.shadows.values():
        other = run.columns.get(name, column)
        column = np.where(np.abs(other) > np.nan_to_num(np.abs(column), nan=-1.0), other, column)
    return column


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
