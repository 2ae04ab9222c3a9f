"""All that a page shows of one clip: what fired, the moment that matters in it, its pictures, signals and scores."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from understudy import plugins
from understudy.mine import WEIGHTS
from understudy.records import NS, Clip, Drive, Event, Floats
from understudy.web import bev
from understudy.web.camera import Shot, film, shots
from understudy.web.moment import Intent, Moment, at_worst, moment
from understudy.web.signals import Signals, number, signals

FRAME_S = 0.2  # between the instants that a page can play, at the least
FRAMES = 60  # at the most: each is some kilobytes
LONGEST_PLAY_S = 60.0  # beyond it the map of all that is passed would grow large
LOOK_WORDS = {
    "heavy": "truck or bus",
    "rider": "two wheels",
    "walker": "on foot",
    "thing": "cone or barrier",
    "unknown": "unknown",
}


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that a trigger found, in all drives."""

    scores: Floats  # of each event
    about: str = ""  # the trigger's own words


@dataclass(frozen=True, slots=True)
class Fired:
    """A trigger in a clip, and how strong its strongest event here is among all that it found."""

    trigger: str
    score: float
    rank: int  # 1 is the strongest
    of: int
    about: str = ""  # the trigger's own words
    policy: str = ""  # whose plan that event is about, or nobody's

    @property
    def strength(self) -> float:
        """The share of this trigger's events that are weaker, counting itself half: an only event is in the middle."""
        return (self.of - self.rank + 0.5) / self.of


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    worse: bool  # than the human's


@dataclass(frozen=True, slots=True)
class Row:
    """One sub-score: of the human, then of each policy."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """Everything that the page shows of one clip."""

    number: int
    id: str
    drive: str
    start_s: float
    end_s: float
    at_s: float
    place: str
    side: str
    triggers: tuple[Fired, ...]
    intents: tuple[Intent, ...]
    apart: float  # m: the furthest that any plan lies from what was driven, at the horizon; nan where unknown
    bev: Markup
    plays: bool
    drove: bool  # whether the driven path is in the picture
    looks: tuple[tuple[str, str], ...]  # kinds of object in the picture: class of the style, word
    leads: bool  # whether somebody ahead of the ego is outlined in it
    shots: tuple[Shot, ...]
    film: tuple[Shot, ...]  # where the page cannot play from above
    signals: Signals
    scores: tuple[Row, ...]

    @property
    def span(self) -> str:
        """The identifier of these seconds, as every command takes it."""
        return f"{self.drive}/{self.start_s:.1f}:{self.end_s:.1f}"

    @property
    def strength(self) -> float:
        return max((one.strength for one in self.triggers), default=0.0)

    @property
    def words(self) -> str:
        """What the filter looks in."""
        fired = [word for one in self.triggers for word in (one.trigger, one.policy)]
        return " ".join([self.id, self.span, self.place, self.side, *fired]).lower()


def card(number: int, drive: Drive, clip: Clip, found: Mapping[str, Found], order: Sequence[str] = ()) -> Card:
    """What the page shows of a clip; `found` is by trigger, `order` lists all policies of the page."""
    start_ns, end_ns = max(clip.start_ns, int(drive.t_ns[0])), min(clip.end_ns, int(drive.t_ns[-1]))
    triggers = tuple(_fired(clip.events, found))
    main = [event for event in clip.events if event.trigger == triggers[0].trigger]
    worst = max(main, key=lambda event: event.score, default=Event(drive.id, start_ns, end_ns, 0.0))
    at = moment(drive, at_worst(drive, max(worst.start_ns, start_ns), min(worst.end_ns, end_ns)), order)
    placed = drive.has("pose") and bool(np.isfinite(drive.poses[at.instant]).all())
    frames = _frames(drive, start_ns, end_ns) if placed else []
    apart = [intent.apart for intent in at.intents]
    return Card(
        number=number,
        id=clip.id,
        drive=drive.id,
        start_s=(start_ns - int(drive.t_ns[0])) / NS,
        end_s=(end_ns - int(drive.t_ns[0])) / NS,
        at_s=at.at_s,
        place=clip.place if clip.place != drive.id else "",
        side=clip.side if clip.id else "",
        triggers=triggers,
        intents=at.intents,
        apart=float(np.nanmax(apart)) if np.isfinite(apart).any() else float("nan"),
        bev=bev.svg(at, frames) if placed else Markup(""),
        plays=len(frames) > 1,
        drove=placed and at.driven is not None and len(at.driven) > 1,
        looks=tuple((look, LOOK_WORDS.get(look, look)) for look in bev.looks(at)) if placed else (),
        leads=placed and "leader_track" in drive and bool(drive["leader_track"][at.instant] >= 0),
        shots=tuple(shots(at)),
        film=() if placed else tuple(film(at, start_ns, end_ns)),
        signals=signals(at, start_ns, end_ns, clip.events, main),
        scores=tuple(scores(at)),
    )


def says(trigger: str, settings: Mapping[str, Any]) -> str:
    """What a trigger says of itself: the first paragraph of its docstring, its settings told by their values.

    Nothing of one that is not installed: a name in a table may not make us import what it likes.
    """
    if trigger not in plugins.names("trigger"):
        return ""
    text = (plugins.load("trigger", trigger).__doc__ or "").strip().split("\n\n")[0]
    return re.sub(r"`(\w+)`", lambda word: _told(word[1], settings.get(word[1])), " ".join(text.split()))


def _told(name: str, value: object) -> str:
    """A setting in a sentence: its value where it is a number; `_s` means seconds."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return name
    return f"{value:g}{' s' if name.endswith('_s') else ''}"


def _fired(events: Iterable[Event], found: Mapping[str, Found]) -> list[Fired]:
    """Each trigger of a clip with its strongest event; those that mining cares about most come first."""
    best: dict[str, Event] = {}
    for event in events:
        if event.trigger not in best or event.score > best[event.trigger].score:
            best[event.trigger] = event
    fired = []
    for name, event in best.items():
        all_of_it = found.get(name, Found(np.array([event.score])))
        rank = int((all_of_it.scores > event.score).sum()) + 1
        fired.append(Fired(name, event.score, rank, len(all_of_it.scores), all_of_it.about, event.policy))
    return sorted(fired, key=lambda one: -one.strength * WEIGHTS.get(one.trigger, 1.0))


def _frames(drive: Drive, start_ns: int, end_ns: int) -> list[int]:
    """The instants of a span that the page can play; none of a span that is too long for it."""
    if (end_ns - start_ns) / NS > LONGEST_PLAY_S:
        return []
    at_ns = np.linspace(start_ns, end_ns, min(FRAMES, int((end_ns - start_ns) / NS / FRAME_S) + 1))
    instants = np.unique(np.clip(np.searchsorted(drive.t_ns, at_ns), 0, len(drive) - 1))
    return [int(i) for i in instants[np.isfinite(drive.poses[instants]).all(axis=1)]]


def scores(at: Moment) -> Iterator[Row]:
    """The sub-scores at the moment of the driver and of each policy, those that anybody has; the total last."""
    runs = [at.drive.shadows[intent.policy] for intent in at.intents]
    columns = dict.fromkeys(column for run in runs for column in run.columns)
    names = [column.removeprefix("plan_") for column in columns if column.startswith("plan_")]
    for name in sorted(set(names) - {"mask"}, key=lambda name: (name == "score", names.index(name))):
        human = next((run[f"human_{name}"][at.instant] for run in runs if f"human_{name}" in run.columns), np.nan)
        plans = [run[f"plan_{name}"][at.instant] if f"plan_{name}" in run.columns else np.nan for run in runs]
        if np.isfinite([human, *plans]).any():
            cells = [Cell(number(value, 2), bool(value < human - 0.005)) for value in (human, *plans)]
            yield Row(name.replace("_", " "), tuple(cells))
