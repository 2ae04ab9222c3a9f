"""How good the triggers are, where the truth is known: what they caught of what happened, and what else fired.

A world that injects rare events writes them into the truth, and names beforehand the triggers that should catch each
kind. `recall` of a kind is the share of its occurrences that one of those triggers marked; `precision` of a trigger is
the share of its marks that lie on an occurrence of a kind that names it. The latter is a lower bound: everyday traffic
has hard braking and cut-ins of its own, which nobody injected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from understudy.evidence import Share
from understudy.records import NS, Array, Event
from understudy.store import Lake

SLACK_S = 2.0  # an event may be marked so much before it begins (its cause) or after it ends (its effect)


@dataclass(frozen=True, slots=True)
class Caught:
    """A kind of event: how much of it was caught."""

    kind: str
    triggers: tuple[str, ...]  # those named beforehand
    recall: Share
    first: Mapping[str, int]  # occurrences that each of them caught


@dataclass(frozen=True, slots=True)
class Fired:
    """A trigger: what it marked."""

    trigger: str
    precision: Share  # nan for a trigger that no kind names
    per_hour: float


@dataclass(frozen=True, slots=True)
class Audit:
    hours: float
    kinds: tuple[Caught, ...]
    triggers: tuple[Fired, ...]


def audit(truth: Iterable[Event], marks: Iterable[Event], expected: Mapping[str, Sequence[str]], hours: float) -> Audit:
    """Hold what triggers marked against what happened. `truth` events bear their kind as `trigger`."""
    happened = _by(truth)
    marked = _by(marks)
    kinds = []
    for kind in sorted(expected):
        occurrences = happened.get(kind, [])
        caught = {name: _touched(occurrences, marked.get(name, [])) for name in expected[kind]}
        any_of_them = (
            np.any(list(caught.values()), axis=0) if caught and occurrences else np.zeros(len(occurrences), bool)
        )
        kinds.append(
            Caught(
                kind,
                tuple(expected[kind]),
                Share(int(np.sum(any_of_them)), len(occurrences)),
                {name: int(np.sum(hit)) for name, hit in caught.items()},
            )
        )
    triggers = []
    for name, found in sorted(marked.items()):
        wanted = [event for kind, named in expected.items() if name in named for event in happened.get(kind, [])]
        named_by_any = any(name in named for named in expected.values())
        precision = Share(int(np.sum(_touched(found, wanted))), len(found)) if named_by_any else Share(0, 0)
        triggers.append(Fired(name, precision, len(found) / hours if hours else float("nan")))
    return Audit(hours, tuple(kinds), tuple(triggers))


def audit_lake(lake: Lake, expected: Mapping[str, Sequence[str]]) -> Audit:
    """The audit of what was mined last, over all drives in the lake that know their truth."""
    drives = {str(entry.drive): float(entry.about["seconds"]) for entry in lake.entries(table="truth_events")}
    columns = ["drive", "start_ns", "end_ns", "score", "trigger"]

    def events(table: str) -> list[Event]:
        rows = lake.table(table, drives, columns).to_pylist() if table in lake.tables() else []
        return [Event(**row) for row in rows if row["drive"] in drives]

    return audit(events("truth_events"), events("events"), expected, sum(drives.values()) / 3600)


def _by(events: Iterable[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(event.trigger, []).append(event)
    return found


def _touched(events: Sequence[Event], others: Sequence[Event]) -> Array:
    """Which of `events` overlap, give or take SLACK_S, any of `others` of the same drive."""
    slack = int(SLACK_S * NS)
    spans: dict[str, list[tuple[int, int]]] = {}
    for other in others:
        spans.setdefault(other.drive, []).append((other.start_ns - slack, other.end_ns + slack))
    return np.array(
        [
            any(low <= event.end_ns and high >= event.start_ns for low, high in spans.get(event.drive, ()))
            for event in events
        ],
        dtype=bool,
    )
