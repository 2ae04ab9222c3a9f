"""From the lake to a page: which moments were asked for, what there is to say about them, and where the page lies."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import understudy
from understudy.errors import UnderstudyError, the_one
from understudy.identifiers import Identifier, counted, parse
from understudy.metrics import SUBSCORES
from understudy.mine import event_of, read_clips
from understudy.records import NS, Clip, Event
from understudy.store import Lake, digest
from understudy.store.files import write_whole
from understudy.web.card import Card, Found, card, says
from understudy.web.moment import looks_of
from understudy.web.page import About, Candidate, Yield, render, yields
from understudy.web.signals import duration

AROUND_S = 4.0  # shown on both sides of a single event


def show(lake: Lake, identifier: str | None = None) -> Path:
    """Write the page of all kept clips, or of the drive, stretch, clip or event that is named, and say where it is."""
    with lake.reading():
        clips = clips_of(lake, parse(identifier)) if identifier else read_clips(lake)
        found = events_of(lake)
        policies = candidates(lake)
        cards = list(cards_of(lake, clips, found, [one.name for one in policies]))
        text = render(cards, about(lake, identifier, cards, yields(found, clips), policies))
    path = lake.root / "pages" / f"{_slug(identifier) if identifier else 'moments'}.html"
    write_whole(path, text.encode())
    return path


def _slug(identifier: str) -> str:
    """A file name that tells two identifiers apart however alike they look."""
    return f"{re.sub(r'[^A-Za-z0-9.-]+', '-', identifier)[:80].strip('-.')}-{digest(identifier)[:6]}"


# What to show ---------------------------------------------------------------------------------------------------------


def clips_of(lake: Lake, named: Identifier) -> list[Clip]:
    """The clips that an identifier asks for: a stretch of a drive is one, and a drive is one with those kept of it."""
    if named.kind == "drive":
        drive = lake.resolve(named.name)
        whole = _stretch(lake, drive, named.start_s, named.stop_s)
        bare = named.start_s is None and named.stop_s is None
        return [whole, *(clip for clip in read_clips(lake) if bare and clip.drive == drive)]
    if named.kind == "clip":
        clips = {clip.id: clip for clip in read_clips(lake)}
        return [clips[the_one("clip", str(named), clips)]]
    if named.kind == "event":
        rows = {row["id"]: row for row in _rows(lake, "SELECT id, drive, start_ns, end_ns FROM events", "events")}
        row = rows[the_one("event", str(named), rows)]
        start = lake.drive(row["drive"], [], **_BARE).t_ns[0]
        first, last = (float(row[end] - start) / NS for end in ("start_ns", "end_ns"))
        return [_stretch(lake, row["drive"], max(first - AROUND_S, 0.0), last + AROUND_S)]
    raise UnderstudyError(f"nothing to show of {named}: a page shows drives, stretches of drives, clips and events")


_BARE = dict.fromkeys(("objects", "lights", "map", "cameras", "truth"), False)  # of a drive, no more than its stamps


def _stretch(lake: Lake, drive: str, start_s: float | None, stop_s: float | None) -> Clip:
    """A stretch of a drive as a clip without a name, with all that fired in it."""
    t_ns = lake.drive(drive, [], **_BARE).t_ns
    start = t_ns[0] + round((start_s or 0.0) * NS)
    stop = t_ns[-1] if stop_s is None else min(t_ns[0] + round(stop_s * NS), t_ns[-1])
    if start > t_ns[-1]:
        raise UnderstudyError(f"{drive} is {(t_ns[-1] - t_ns[0]) / NS:.1f} s long; {start_s:g} s lies beyond its end")
    events = [event for event in _events(lake, drive) if event.end_ns >= start and event.start_ns <= stop]
    return Clip("", drive, int(start), int(stop), tuple(events), "", "")


def _events(lake: Lake, drive: str) -> list[Event]:
    if "events" not in lake.tables():
        return []
    columns = ("drive", "start_ns", "end_ns", "score", "trigger", "policy")
    return [event_of(row) for row in lake.table("events", [drive], columns).to_pylist()]


def cards_of(lake: Lake, clips: Sequence[Clip], found: Mapping[str, Found], order: Sequence[str]) -> list[Card]:
    """A card for each clip, in their order; each drive is read once, and one at a time."""
    cards: dict[int, Card] = {}
    for id in dict.fromkeys(clip.drive for clip in clips):
        drive = lake.drive(id, shadows=True, truth=False)
        for number, clip in enumerate(clips, 1):
            if clip.drive == id:
                cards[number] = card(number, drive, clip, found, order)
    return [cards[number] for number in sorted(cards)]


# What to say about it -------------------------------------------------------------------------------------------------


def _rows(lake: Lake, sql: str, table: str) -> list[dict[str, Any]]:
    """The answer to a question about a table; nothing where the lake has none."""
    return lake.query(sql).to_pylist() if table in lake.tables() else []


def events_of(lake: Lake) -> dict[str, Found]:
    """What each trigger found in all drives, and what it says of itself."""
    rows = _rows(lake, "SELECT trigger, list(score) AS scores FROM events GROUP BY trigger ORDER BY trigger", "events")
    mined = lake.entries(stage="mine", key="events")
    settings = lake.record(mined[0].part)["settings"] if mined else {}
    return {
        row["trigger"]: Found(np.array(row["scores"]), says(row["trigger"], settings.get(row["trigger"], {})))
        for row in rows
    }


def candidates(lake: Lake) -> list[Candidate]:
    """How every policy's plans compare with what was driven, over all drives.

    Scores that were made of different sub-scores are not averaged together: what is told is of the instants where plan
    and driver have the set of sub-scores that is commonest.
    """
    counts = _rows(
        lake,
        "SELECT policy, count(DISTINCT drive) AS drives FROM plans GROUP BY policy ORDER BY policy",
        "plans",
    )
    looks = looks_of(row["policy"] for row in counts)
    columns = set(lake.query("SELECT * FROM plans LIMIT 0").column_names) if counts else set()
    means = _by_policy(lake, _MEAN) if "mean_displacement" in columns else {}
    judged = _by_policy(lake, _SCORES) if {"plan_mask", "human_mask"} <= columns else {}
    return [_candidate(row, looks[row["policy"]], means, judged) for row in counts]


_MEAN = """SELECT policy, avg(mean_displacement) FILTER (isfinite(mean_displacement)) AS displacement
FROM plans GROUP BY policy"""
_SCORES = """SELECT policy, plan_mask AS mask, count(*) AS instants, avg(plan_score) AS plan, avg(human_score) AS human
FROM plans WHERE plan_mask = human_mask AND plan_mask > 0 GROUP BY policy, plan_mask
QUALIFY row_number() OVER (PARTITION BY policy ORDER BY count(*) DESC, plan_mask) = 1"""


def _by_policy(lake: Lake, sql: str) -> dict[str, dict[str, Any]]:
    return {row["policy"]: row for row in lake.query(sql).to_pylist()}


def _candidate(row: Mapping[str, Any], look: str, means: Mapping[str, Any], judged: Mapping[str, Any]) -> Candidate:
    name, nothing = row["policy"], {"plan": None, "human": None, "mask": 0, "instants": 0}
    mean, score = means.get(name, {"displacement": None})["displacement"], judged.get(name, nothing)
    entered = [sub.replace("_", " ") for bit, sub in enumerate(SUBSCORES) if int(score["mask"]) >> bit & 1]
    return Candidate(
        name,
        look,
        row["drives"],
        "–" if mean is None else f"{mean:.2f} m",
        "–" if score["plan"] is None else f"{score['plan']:.2f}",
        "–" if score["human"] is None else f"{score['human']:.2f}",
        f"over {score['instants']} instants scored by {', '.join(entered)}" if entered else "",
    )


def about(
    lake: Lake,
    identifier: str | None,
    cards: Sequence[Card],
    found: Sequence[Yield],
    policies: Sequence[Candidate],
) -> About:
    """The head of the page."""
    drives = lake.drives()
    readers = Counter(str(drive["reader"]) for drive in drives)
    mined = lake.entries(stage="mine", key="clips")
    record = lake.record(mined[0].part) if mined else {}
    made = {
        "command": f"understudy show{' ' + identifier if identifier else ''}",
        "version": understudy.__version__,
        "read by": ", ".join(f"{reader} ({count})" for reader, count in readers.items()),
        "planned by": ", ".join(one.name for one in policies),
        "mined by": f"code {record['code'][:8]}, part {mined[0].part[:8]}" if record else "",
    }
    return About(
        title=_title(identifier, cards, len(drives)),
        lead=_lead(identifier, drives),
        yields=tuple(one for one in found if one.kept or not identifier),
        policies=tuple(policies),
        made=tuple((name, value) for name, value in made.items() if value),
        settings=json.dumps(record["settings"], indent=2) if record else "",
    )


def _title(identifier: str | None, cards: Sequence[Card], drives: int) -> str:
    if identifier:
        return cards[0].span if len(cards) == 1 else cards[0].drive
    return f"{counted(len(cards), 'moment')} from {counted(drives, 'drive')}"


def _lead(identifier: str | None, drives: Iterable[Mapping[str, Any]]) -> str:
    if identifier:
        return "What was driven, and what candidates planned in the shadow."
    drives = list(drives)
    km = sum(drive["km"] for drive in drives if drive["km"] and np.isfinite(drive["km"]))
    time = duration(sum(drive["seconds"] for drive in drives))
    return (
        f"Out of {time} and {km:.1f} km of driving, the seconds in which something happened, or in which a candidate "
        "that planned in the shadow would have driven otherwise than the driver did."
    )
