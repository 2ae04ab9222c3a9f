"""The page that shows moments to people: one HTML file with everything in it, for any browser, from any place.

`render` lays cards out, `show` reads the lake and writes the file.
Names of drives, triggers and places come from strangers: the template escapes everything that is not our own markup,
and the page forbids itself to load or run anything that is not in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from understudy.records import Clip
from understudy.web.card import Card, Found
from understudy.web.signals import number
from understudy.web.standalone import fill


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
    look: str
    drives: int
    displacement: str
    score: str
    human: str
    about: str = ""  # what the scores are of


@dataclass(frozen=True, slots=True)
class About:
    """The head of the page: what this is, and how it came to be."""

    title: str
    lead: str
    yields: tuple[Yield, ...] = ()
    policies: tuple[Candidate, ...] = ()
    made: tuple[tuple[str, str], ...] = ()  # name, value
    settings: str = ""


def render(cards: Sequence[Card], about: About) -> str:
    """The whole page as one HTML text. It holds no address but data: ones."""
    return fill("page.html", ["page.css"], {"number": number}, script="page.js", cards=cards, about=about)


def yields(found: Mapping[str, Found], clips: Iterable[Clip]) -> tuple[Yield, ...]:
    """How many events each trigger found, and how many of them the clips show; the most fruitful first."""
    shown = {event for clip in clips for event in clip.events}
    kept = Counter(event.trigger for event in shown)
    most = max((len(one.scores) for one in found.values()), default=1)
    share = 100 / max(most, 1)
    rows = [
        Yield(
            name,
            len(one.scores),
            kept[name],
            round(share * len(one.scores), 2),
            round(share * kept[name], 2),
            one.about,
        )
        for name, one in found.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.found, row.trigger)))
