"""The page that shows moments to people: one HTML file with everything in it, for any browser, from any place.

`card` says all that is shown of one clip, `render` lays cards out, `show` reads the lake and writes the file.
Names of drives, triggers and places come from strangers: the template escapes everything that is not our own markup,
and the page forbids itself to load or run anything that is not in it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from understudy import plugins
from understudy.errors import UnderstudyError
from understudy.records import NS, Clip, Drive, Event, Floats
from understudy.web import bev
from understudy.web.camera import Shot, shots
from understudy.web.moment import Intent, Moment, at_worst, moment
from understudy.web.signals import Signals, number, signals

FRAME_S = 0.2  # between the instants that a page can play
LONGEST_PLAY_S = 40.0  # of a drive: beyond it the page would grow large
_WORDS = {"heavy": "truck or bus", "rider": "two wheels", "walker": "on foot", "thing": "thing", "unknown": "unknown"}


@dataclass(frozen=True, slots=True)
class Fired:
    """A trigger in a clip, and how strong its strongest event here is among all that it found."""

    trigger: str
    score: float
    rank: int  # 1 is the strongest
    of: int
    about: str = ""  # the trigger's own words

    @property
    def strength(self) -> float:
        """The share of this trigger's events that are no stronger, in (0, 1]."""
        return (self.of - self.rank + 1) / self.of


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
    looks: tuple[tuple[str, str], ...]
    shots: tuple[Shot, ...]
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
        return " ".join([self.id, self.span, self.place, self.side, *(one.trigger for one in self.triggers)]).lower()


@dataclass(frozen=True, slots=True)
class Yield:
    """What a trigger found in all drives, and what of it is on the page."""

    trigger: str
    found: int
    kept: int
    found_share: float  # percent of the most found
    kept_share: float
    about: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy over all drives, in words."""

    name: str
    drives: int
    displacement: str
    score: str
    human: str


@dataclass(frozen=True, slots=True)
class About:
    """The head of the page: what this is, and how it came to be."""

    title: str
    lead: str
    yields: tuple[Yield, ...] = ()
    policies: tuple[Candidate, ...] = ()
    made: tuple[tuple[str, str], ...] = ()  # name, value
    settings: str = ""


def card(number: int, drive: Drive, clip: Clip, found: Mapping[str, Floats]) -> Card:
    """What the page shows of a clip; `found` holds the scores of all events of each trigger, for ranks."""
    start_ns, end_ns = max(clip.start_ns, int(drive.t_ns[0])), min(clip.end_ns, int(drive.t_ns[-1]))
    at = moment(drive, at_worst(drive, start_ns, end_ns, clip.events))
    placed = drive.has("pose") and bool(np.isfinite(drive.poses[at.instant]).all())
    frames = _frames(drive, start_ns, end_ns) if placed else []
    offs = [np.hypot(intent.off, intent.further) for intent in at.intents]
    return Card(
        number=number,
        id=f"clip:{clip.id}" if clip.id else "",
        drive=drive.id,
        start_s=(start_ns - int(drive.t_ns[0])) / NS,
        end_s=(end_ns - int(drive.t_ns[0])) / NS,
        at_s=at.at_s,
        place=clip.place if clip.place != drive.id else "",
        side=clip.side if clip.id else "",
        triggers=tuple(_fired(clip.events, found)),
        intents=at.intents,
        apart=float(np.nanmax(offs)) if np.isfinite(offs).any() else float("nan"),
        bev=bev.svg(at, frames) if placed else Markup(""),
        plays=len(frames) > 1,
        drove=placed and at.driven is not None and len(at.driven) > 1,
        looks=tuple((look, _WORDS.get(look, look)) for look in bev.looks(drive, at.instant, bev.View.of(at).side)) if placed else (),
        shots=tuple(shots(at)),
        signals=signals(at, start_ns, end_ns, clip.events),
        scores=tuple(_scores(at)),
    )


def render(cards: Sequence[Card], about: About) -> str:
    """The whole page as one HTML text. It holds no address but data: ones."""
    style, script = (_own(name) for name in ("page.css", "page.js"))
    page = _template().render(
        cards=cards,
        about=about,
        style=Markup(style),
        script=Markup(script),
        style_hash=Markup(_hash(style)),
        script_hash=Markup(_hash(script)),
    )
    return str(page)


def yields(found: Mapping[str, Floats], cards: Sequence[Card]) -> tuple[Yield, ...]:
    """The yield of each trigger, the most fruitful first."""
    kept = {name: sum(name in (one.trigger for one in card.triggers) for card in cards) for name in found}
    most = max((len(scores) for scores in found.values()), default=1)
    share = 100 / max(most, 1)
    rows = [
        Yield(name, len(scores), kept[name], round(share * len(scores), 2), round(share * kept[name], 2), says(name))
        for name, scores in found.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.found, row.trigger)))


@cache
def says(trigger: str) -> str:
    """What a trigger says of itself: the first paragraph of its docstring; nothing if it is not installed here."""
    try:
        text = (plugins.load("trigger", trigger).__doc__ or "").strip()
    except UnderstudyError:
        return ""
    return " ".join(text.split("\n\n")[0].split())


def _fired(events: Iterable[Event], found: Mapping[str, Floats]) -> list[Fired]:
    """Each trigger of a clip with its strongest event, the strongest trigger first."""
    best: dict[str, float] = {}
    for event in events:
        best[event.trigger] = max(event.score, best.get(event.trigger, -np.inf))
    fired = []
    for name, score in best.items():
        scores = found.get(name, np.array([score]))
        fired.append(Fired(name, score, int((scores > score).sum()) + 1, max(len(scores), 1), says(name)))
    return sorted(fired, key=lambda one: -one.strength)


def _frames(drive: Drive, start_ns: int, end_ns: int) -> list[int]:
    """The instants of a span that the page can play; none of a span that is too long for it."""
    if (end_ns - start_ns) / NS > LONGEST_PLAY_S:
        return []
    at_ns = np.arange(start_ns, end_ns + 1, int(FRAME_S * NS))
    instants = np.unique(np.clip(np.searchsorted(drive.t_ns, at_ns), 0, len(drive) - 1))
    return [int(i) for i in instants[np.isfinite(drive.poses[instants]).all(axis=1)]]


def _scores(at: Moment) -> Iterator[Row]:
    """The sub-scores at the moment of the human and of each policy, those that anybody has; the total last."""
    runs = [at.drive.shadows[intent.policy] for intent in at.intents]
    names = dict.fromkeys(column.removeprefix("plan_") for run in runs for column in run.columns if column.startswith("plan_"))
    for name in sorted(names.keys() - {"mask", "score"}, key=list(names).index) + ["score"] * ("score" in names):
        human = next((float(run[f"human_{name}"][at.instant]) for run in runs if f"human_{name}" in run.columns), np.nan)
        values = [float(run[f"plan_{name}"][at.instant]) if f"plan_{name}" in run.columns else np.nan for run in runs]
        if np.isfinite([human, *values]).any():
            yield Row(name.replace("_", " "), tuple(Cell(_score(value), value < human - 0.005) for value in (human, *values)))


def _score(value: float) -> str:
    return number(value, 2)


def _hash(text: str) -> str:
    """The source of a style or script that the page allows itself, as Content-Security-Policy writes it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


@cache
def _own(name: str) -> str:
    return files("understudy.web").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["number"] = number
    return environment.from_string(_own("page.html"))
