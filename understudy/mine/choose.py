"""Which events become clips: every trigger takes its turn, and scores of different triggers never meet.

A trigger's turn takes its strongest event that no clip shows yet. The event is widened by its context; if that
overlaps a clip, the clip grows, unless it were too long: then what it does not show is a new one beside it. An event
gives way if it is nearly what the same trigger kept before: at the same place, with a signature that differs by less
than 1 in every number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from understudy.mine.settings import Mine
from understudy.records import NS, Clip, Event
from understudy.store import digest
from understudy.worlds.sides import side_of_place

Stamps = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sighting:
    """An event, where it was, and what was going on."""

    event: Event
    place: str
    signature: tuple[float, ...] = ()  # in units that make 1 a difference; nan where unknown (see `find.SIGNATURE`)


@dataclass(frozen=True, slots=True)
class _Window:
    """A stretch of a drive that shows an event with its context."""

    drive: str
    start_ns: int
    end_ns: int
    place: str

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.start_ns) / NS

    def holds(self, other: _Window | Event) -> bool:
        return self.start_ns <= other.start_ns and other.end_ns <= self.end_ns

    def surrounds(self, other: _Window) -> bool:
        """Whether this begins before the other and ends after it."""
        return self.start_ns < other.start_ns and other.end_ns < self.end_ns

    def beside(self, other: _Window) -> _Window:
        """Cut where the other begins or ends."""
        if other.start_ns <= self.start_ns:
            return replace(self, start_ns=other.end_ns)
        return replace(self, end_ns=other.start_ns)

    def joined(self, other: _Window) -> _Window:
        """Both in one, at the place of the other, which was there first."""
        return replace(other, start_ns=min(self.start_ns, other.start_ns), end_ns=max(self.end_ns, other.end_ns))


def choose(
    sightings: Iterable[Sighting], drives: Mapping[str, Stamps], settings: Mine, before: Iterable[Clip] = ()
) -> list[Clip]:
    """The clips worth keeping, in the order in which they were chosen; the same sightings and seed give the same clips.

    `drives` gives the first and last stamp of each drive. What clips of `before` show is not shown again. A clip lists
    the events of all the sightings that it shows.
    """
    sightings = list(sightings)
    queues = _queues(sightings, settings)
    weights = {name: settings.weight(name) for name in queues}
    lots = {name: _lot(settings, name) for name in queues}
    turns = dict.fromkeys(queues, 0)
    kept: dict[tuple[str, str], list[Sighting]] = defaultdict(list)  # what a trigger showed at a place
    windows: list[_Window] = []
    earlier = [_Window(clip.drive, clip.start_ns, clip.end_ns, clip.place) for clip in before]
    budget_s = settings.seconds
    while queues and len(windows) < settings.clips:
        trigger = min(queues, key=lambda name: ((turns[name] + 0.5) / weights[name], lots[name]))
        sighting = queues[trigger].pop()
        if not queues[trigger]:
            del queues[trigger]
        window = _window(sighting, drives[sighting.event.drive], settings)
        near = [other for other in windows if shows(other, window)]
        core = _core(sighting.event, settings)
        shown = any(other.holds(core) for other in (*near, *earlier) if shows(other, window))
        if shown or any(_alike(sighting, other) for other in kept[trigger, sighting.place]):
            continue
        for other in near:
            if (joined := window.joined(other)).seconds <= settings.longest_s:
                window = joined
        for other in windows:  # what another clip shows is not shown again
            if shows(other, window) and not window.holds(other) and not other.holds(window):
                window = window.beside(other)
        for other in earlier:
            if shows(other, window) and not window.surrounds(other) and not other.holds(window):
                window = window.beside(other)
        if any(other.holds(window) for other in (*near, *earlier) if shows(other, window)):  # several show it together
            continue
        swallowed = [other for other in near if window.holds(other)]
        paid = [*swallowed, *(other for other in earlier if shows(other, window) and window.holds(other))]
        cost_s = window.seconds - sum(other.seconds for other in paid)
        if cost_s > budget_s:
            continue
        budget_s -= cost_s
        turns[trigger] += 1
        kept[trigger, sighting.place].append(sighting)
        first = min((windows.index(other) for other in swallowed), default=len(windows))
        windows = [*windows[:first], window, *(other for other in windows[first:] if other not in swallowed)]
    events: dict[str, list[Event]] = defaultdict(list)
    for sighting in sightings:
        events[sighting.event.drive].append(sighting.event)
    return [
        clip_of(
            window.drive,
            (window.start_ns, window.end_ns),
            window.place,
            settings.regression,
            in_order(event for event in events[window.drive] if shows(window, event)),
        )
        for window in windows
    ]


def side_of(place: str, regression: int) -> str:
    """The side that a place is on, by its name: one in `regression` is for the regression suite, the others train.

    A town of the city has a side of its own; what was in a town of the gate is neither learned from nor asked.
    """
    if town := side_of_place(place):
        return town
    return "regression" if int(digest(["side", place]), 16) % regression == 0 else "train"


def clip_of(
    drive: str, stamps: Stamps, place: str, regression: int = Mine.regression, events: Iterable[Event] = ()
) -> Clip:
    """A stretch of a drive as a clip: its name follows from its drive and stamps, its side from its place."""
    id = f"clip:{digest([drive, *stamps])[:12]}"
    return Clip(id, drive, *stamps, tuple(events), place, side_of(place, regression))


def event_id(event: Event) -> str:
    """What an event is called, by where it is, who found it, and whose plan it is about."""
    whose = [event.policy] if event.policy else []
    return f"event:{digest([event.drive, event.start_ns, event.end_ns, event.trigger, *whose])[:12]}"


class Stretch(Protocol):
    """Some time of a drive."""

    @property
    def drive(self) -> str: ...
    @property
    def start_ns(self) -> int: ...
    @property
    def end_ns(self) -> int: ...


def shows(one: Stretch, other: Stretch) -> bool:
    """Whether two stretches have instants in common."""
    return one.drive == other.drive and one.start_ns <= other.end_ns and other.start_ns <= one.end_ns


def in_order(events: Iterable[Event]) -> list[Event]:
    """Events by time, those of the same time by who found them."""
    return sorted(events, key=lambda event: (event.start_ns, event.end_ns, event.trigger, event.policy))


def _queues(sightings: Iterable[Sighting], settings: Mine) -> dict[str, list[Sighting]]:
    """The sightings of each trigger that has turns, the strongest last; equals in an order that the seed decides."""
    queues: dict[str, list[Sighting]] = defaultdict(list)
    for sighting in sightings:
        if settings.weight(sighting.event.trigger) > 0:
            queues[sighting.event.trigger].append(sighting)
    for queue in queues.values():
        queue.sort(key=lambda sighting: (sighting.event.score, _lot(settings, event_id(sighting.event))))
    return queues


def _lot(settings: Mine, name: str) -> str:
    return digest([settings.seed, name])


def _core(event: Event, settings: Mine) -> Event:
    """As much of an event as a clip can hold with its context: of a long one the beginning."""
    room_ns = round((settings.longest_s - 2 * settings.context_s) * NS)
    return replace(event, end_ns=min(event.end_ns, event.start_ns + room_ns))


def _window(sighting: Sighting, drive: Stamps, settings: Mine) -> _Window:
    """The event with its context, as far as the drive goes."""
    event, context_ns = _core(sighting.event, settings), round(settings.context_s * NS)
    start, end = max(event.start_ns - context_ns, drive[0]), min(event.end_ns + context_ns, drive[1])
    return _Window(event.drive, start, end, sighting.place)


def _alike(one: Sighting, other: Sighting) -> bool:
    """Whether two sightings of one trigger and place are nearly the same."""
    a, b = np.array(one.signature), np.array(other.signature)
    return len(a) == len(b) and bool(np.all((np.isnan(a) & np.isnan(b)) | (np.abs(a - b) < 1)))
