"""A moment: some seconds of a drive with everything that is known of them, on one page.

The page comes with the scene at its most telling instant; what plays is fetched second by second (`media.py`). A page
plays at most a minute, so that what it holds is bounded; a longer drive is a row of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from understudy.errors import UnderstudyError, UnknownName
from understudy.identifiers import Identifier, parse
from understudy.mine import event_of
from understudy.records import NS, Drive, Event, Ints
from understudy.store import digest
from understudy.web import bev
from understudy.web.camera import looks_ahead
from understudy.web.card import LOOK_WORDS, Fired, Row, says, scores
from understudy.web.moment import Moment, at_worst
from understudy.web.serve.console import Console, console_of
from understudy.web.serve.drives import facts_of
from understudy.web.serve.pages import page, span
from understudy.web.signals import Signals, signals

LONGEST_S = 60.0  # that one page plays
FRAME_S = 0.095  # between the instants that play from above: ten a second
AROUND_S = 4.0  # shown on both sides of an event

router = APIRouter()


@dataclass(frozen=True, slots=True)
class View:
    """A camera as the page shows it."""

    index: int  # among the drive's
    name: str
    width: int
    height: int
    rate_hz: float


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that a page shows of some seconds of a drive."""

    drive: Drive
    part: str  # names what the drive and its plans were read from: pictures and paths by this name never change
    start_s: float
    end_s: float
    moment: Moment
    truth: bool
    bev: Markup
    looks: tuple[tuple[str, str], ...]
    leads: bool
    cameras: tuple[View, ...]
    triggers: tuple[Fired, ...]
    happened: tuple[Event, ...]  # what the world knows to have happened, where the truth is asked for
    signals: Signals
    scores: tuple[Row, ...]

    @property
    def span(self) -> str:
        """The identifier of these seconds."""
        return span(self.drive.id, self.start_s, self.end_s)

    @property
    def at_s(self) -> float:
        return self.moment.at_s

    @property
    def drove(self) -> bool:
        return self.moment.driven is not None and len(self.moment.driven) > 1

    def next(self, by: int) -> str | None:
        """The identifier of as many seconds before or after these; None beyond the drive."""
        length = self.end_s - self.start_s
        start = max(self.start_s + by * length, 0.0)
        stop = min(start + length, self.drive.seconds)
        if start >= self.drive.seconds - 0.05 or (by < 0 and self.start_s < 0.05):
            return None
        return span(self.drive.id, start, stop)


@router.get("/drives/{identifier:path}", response_class=HTMLResponse)
def drive_or_moment(
    request: Request,
    identifier: str,
    console: Annotated[Console, Depends(console_of)],
    truth: bool = False,
    at: Annotated[float | None, Query(ge=0, le=1e7)] = None,
) -> HTMLResponse:
    """A drive, or a stretch of one (`DRIVE/12.0:18.0`)."""
    named = parse(identifier)
    if named.kind != "drive":
        raise UnderstudyError(f"{identifier} is no drive")
    if named.start_s is None and named.stop_s is None:
        return _drive(request, console, named.name)
    shown = scene(console, named.name, named.start_s or 0.0, named.stop_s, truth, at)
    return page(request, "moment.html", scene=shown, knows=console.drive(named.name).truth is not None)


def _drive(request: Request, console: Console, id: str) -> HTMLResponse:
    """The whole drive at a glance: what is known of it, where it went, what fired."""
    facts = facts_of(console, id)
    events = console.index.rows(
        "SELECT *, (start_ns - :start) / 1e9 AS from_s, (end_ns - :start) / 1e9 AS to_s FROM events WHERE drive = :id "
        "ORDER BY start_ns LIMIT 500",
        {"id": id, "start": facts["start_ns"]},
    )
    clips = console.index.rows("SELECT * FROM clips WHERE drive = ? ORDER BY start_ns", (id,))
    drive = console.drive(id)
    at = console.moment(id, at_worst(drive, int(drive.t_ns[0]), int(drive.t_ns[-1])))
    found = [event_of({**one, "drive": id}) for one in events]
    charts = signals(at, int(drive.t_ns[0]), int(drive.t_ns[-1]), found, found)
    return page(request, "drive.html", drive=drive, facts=facts, events=events, clips=clips, signals=charts)


def scene(
    console: Console,
    id: str,
    start_s: float,
    stop_s: float | None,
    truth: bool = False,
    at_s: float | None = None,
    first: str = "",
) -> Scene:
    """What a page shows of a stretch of a drive, the trigger `first` before others."""
    drive = console.drive(id, truth)
    if start_s > drive.seconds:
        raise UnderstudyError(f"{id} is {drive.seconds:.1f} s long; {start_s:g} s lies beyond its end")
    end_s = min(drive.seconds if stop_s is None else stop_s, start_s + LONGEST_S, drive.seconds)
    zero = int(drive.t_ns[0])
    start_ns, end_ns = zero + round(start_s * NS), zero + round(end_s * NS)
    rows = console.index.rows(
        "SELECT * FROM events WHERE drive = ? AND end_ns >= ? AND start_ns <= ? ORDER BY start_ns LIMIT 500",
        (id, start_ns, end_ns),
    )
    events = [event_of(row) for row in rows]
    triggers = tuple(sorted(_fired(console, rows), key=lambda one: one.trigger != first))
    main = [event for event in events if triggers and event.trigger == triggers[0].trigger]
    worst = max(main, key=lambda event: event.score, default=Event(id, start_ns, end_ns, 0.0))
    if at_s is None:
        instant = at_worst(drive, max(worst.start_ns, start_ns), min(worst.end_ns, end_ns))
    else:
        instant = int(np.argmin(np.abs(drive.t_s - at_s)))
    shown = console.moment(id, instant, truth)
    placed = drive.has("pose") and bool(np.isfinite(drive.poses[instant]).all())
    frames = instants(drive, start_ns, end_ns + 1).tolist() if placed else []
    happened = drive.truth.events if truth and drive.truth is not None else ()
    return Scene(
        drive=drive,
        part=digest(console.parts(id)),
        start_s=start_s,
        end_s=end_s,
        moment=shown,
        truth=truth,
        bev=bev.svg(shown, frames, later=True) if placed else Markup(""),
        looks=tuple((look, LOOK_WORDS.get(look, look)) for look in bev.looks(shown)) if placed else (),
        leads=placed and "leader_track" in drive and bool(drive["leader_track"][instant] >= 0),
        cameras=tuple(views(drive)),
        triggers=triggers,
        happened=tuple(one for one in happened if one.end_ns >= start_ns and one.start_ns <= end_ns),
        signals=signals(shown, start_ns, end_ns, events, main),
        scores=tuple(scores(shown)),
    )


def instants(drive: Drive, start_ns: int, stop_ns: int) -> Ints:
    """The instants of a span that play from above, the same whatever span they are asked in."""
    steps = np.diff(drive.t_ns[:100])
    every = max(1, round(FRAME_S * NS / float(np.median(steps)))) if len(steps) else 1
    first, stop = np.searchsorted(drive.t_ns, [start_ns, stop_ns]).tolist()
    chosen = np.arange(first + -first % every, stop, every, dtype=np.int64)
    return chosen[np.isfinite(drive.poses[chosen]).all(axis=1)] if drive.has("pose") else chosen[:0]


def views(drive: Drive) -> Iterator[View]:
    """The cameras of a drive, the one that looks ahead first."""
    order = sorted(range(len(drive.cameras)), key=lambda i: -looks_ahead(drive.cameras[i]))
    for index in order:
        camera = drive.cameras[index]
        steps = np.diff(camera.t_ns)
        rate = NS / float(np.median(steps)) if len(steps) else 0.0
        yield View(index, camera.name, *camera.size, rate)


def _fired(console: Console, rows: Sequence[Mapping[str, Any]]) -> Iterator[Fired]:
    """Each trigger of a stretch with its strongest event there, the strongest first."""
    best: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        if row["trigger"] not in best or row["score"] > best[row["trigger"]]["score"]:
            best[row["trigger"]] = row
    for row in sorted(best.values(), key=lambda row: (-(row["strength"] or 0), row["trigger"])):
        counted = console.index.one(
            "SELECT (SELECT found FROM yields WHERE trigger = :trigger) AS of, "
            "(SELECT count(*) FROM events WHERE trigger = :trigger AND score > :score) + 1 AS rank",
            {"trigger": row["trigger"], "score": row["score"]},
        )
        assert counted is not None
        about, policy = told(row["trigger"]), row["policy"] or ""
        yield Fired(row["trigger"], row["score"], counted["rank"], counted["of"], about, policy)


@cache
def told(trigger: str) -> str:
    """What a trigger says of itself."""
    return says(trigger, {})


def stretch_of(console: Console, named: Identifier) -> tuple[str, float, float | None]:
    """The drive and the seconds that an identifier names, whatever its kind."""
    if named.kind == "drive":
        return named.name, named.start_s or 0.0, named.stop_s
    table = {"clip": "clips", "event": "events"}.get(named.kind)
    if table is None:
        raise UnderstudyError(f"{named} is no moment: a moment is a stretch of a drive, a clip or an event")
    row = console.index.one(
        f"SELECT {table}.*, drives.start_ns AS zero FROM {table} JOIN drives ON drives.id = drive WHERE {table}.id = ?",
        (str(named),),
    )
    if row is None:
        raise UnknownName(named.kind, str(named), ())
    first, last = ((row[end] - row["zero"]) / NS for end in ("start_ns", "end_ns"))
    around = AROUND_S if named.kind == "event" else 0.0
    return row["drive"], max(first - around, 0.0), last + around
