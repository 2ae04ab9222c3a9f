"""The start page, the table of drives with the map of their tracks, and the table of events."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from understudy.errors import UnknownName
from understudy.store.catalog import manifests
from understudy.store.files import to_json
from understudy.web.serve.console import Console, console_of
from understudy.web.serve.pages import page

PAGE = 50  # rows of a table
MOST_PAGES = 100_000
LATELY = 8  # runs on the start page
TRACKS = 10_000  # drawn on one map
ORDERS: dict[str, tuple[str, ...]] = {
    name: (name, "id") for name in ("place", "weather", "seconds", "km", "cameras", "objects")
}
ORDERS |= {"id": ("id",), "day": ("start_ns", "id")}
EVENT_ORDERS = {"strength": ("strength", "id"), "score": ("score", "id"), "drive": ("drive", "start_ns")}

router = APIRouter()
Word = Annotated[str, Query(max_length=200)]
PageNumber = Annotated[int, Query(ge=1, le=MOST_PAGES)]


@dataclass(frozen=True, slots=True)
class Where:
    """A condition in SQL, and the values that fill its question marks: nothing a user gave is ever part of the SQL."""

    sql: str
    values: tuple[Any, ...]

    @classmethod
    def all_of(cls, asked: Mapping[str, Any]) -> Where:
        """Conditions, each with its value; those with an empty value ask nothing."""
        told = {condition: value for condition, value in asked.items() if value != ""}
        return cls(" AND ".join(told) or "true", tuple(told.values()))


def like(text: str) -> str:
    """A pattern that finds the text itself anywhere, whatever it has in it."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%" if text else ""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which drives are asked for: how the address says it, and as a condition."""

    words: Mapping[str, str]
    where: Where


def asked_of(
    q: Word = "", source: Word = "", place: Word = "", weather: Word = "", since: Word = "", until: Word = ""
) -> Asked:
    """The filters of drives, of any address that has them."""
    words = {"q": q, "source": source, "place": place, "weather": weather, "since": since, "until": until}
    conditions = {
        "id LIKE ? ESCAPE '\\'": like(q),
        "reader = ?": source,
        "place LIKE ? ESCAPE '\\'": like(place),
        "weather = ?": weather,
        "day >= ?": since,
        "day != '' AND day <= ?": until,
    }
    return Asked(words, Where.all_of(conditions))


@router.get("/", response_class=HTMLResponse)
def start(request: Request, console: Annotated[Console, Depends(console_of)]) -> HTMLResponse:
    """What there is, and what to do next."""
    from understudy.web.serve.review import queue_of
    from understudy.web.serve.turns import champion_of, turns_of

    index = console.index
    totals = index.one("SELECT count(*) AS drives, sum(seconds) AS seconds, sum(km) AS km FROM drives")
    yields = index.rows("SELECT trigger, found, drives FROM yields ORDER BY found DESC, trigger")
    clips = index.rows("SELECT trigger, count(*) AS kept FROM clips GROUP BY trigger")
    worst = index.rows(
        "SELECT events.*, (events.start_ns - drives.start_ns) / 1e9 AS from_s, "
        "(end_ns - drives.start_ns) / 1e9 AS to_s FROM events JOIN drives ON drives.id = drive "
        "ORDER BY strength DESC, events.id DESC LIMIT 8"
    )
    return page(
        request,
        "start.html",
        totals=totals,
        yields=yields,
        kept={row["trigger"]: row["kept"] for row in clips},
        worst=worst,
        queue=queue_of(console),
        precision=console.said.precision(),
        turns=turns_of(console)[:1],
        lately=_lately(console),
        champion=champion_of(console),
    )


@router.get("/drives", response_class=HTMLResponse)
def drives(
    request: Request,
    console: Annotated[Console, Depends(console_of)],
    asked: Annotated[Asked, Depends(asked_of)],
    order: Word = "id",
    down: bool = False,
    at: PageNumber = 1,
) -> HTMLResponse:
    """All drives, narrowed by what is asked, fifty at a time."""
    if order not in ORDERS:
        raise UnknownName("order", order, ORDERS)
    by = ", ".join(f"{column} {'DESC' if down else 'ASC'}" for column in ORDERS[order])
    index = console.index
    found = index.one(
        f"SELECT count(*) AS drives, sum(seconds) AS seconds, sum(km) AS km FROM drives WHERE {asked.where.sql}",
        asked.where.values,
    )
    assert found is not None
    rows = index.rows(
        "SELECT id, reader, place, weather, day, seconds, km, rate_hz, cameras, objects, lanes, gaps, "
        "(SELECT count(*) FROM events WHERE events.drive = drives.id) AS events "
        f"FROM drives WHERE {asked.where.sql} ORDER BY {by} LIMIT {PAGE} OFFSET ?",
        (*asked.where.values, (at - 1) * PAGE),
    )
    frames = index.rows(
        f"SELECT frame, count(*) AS drives FROM drives WHERE tracked AND frame != '' AND {asked.where.sql} "
        "GROUP BY frame ORDER BY drives DESC, frame LIMIT 200",
        asked.where.values,
    )
    return page(
        request,
        "drives.html",
        rows=rows,
        found=found,
        asked=asked.words,
        order=order,
        down=down,
        at=at,
        last=max(1, -(-found["drives"] // PAGE)),
        frames=frames,
        sources=_distinct(console, "reader"),
        weathers=_distinct(console, "weather"),
        anything=bool(found["drives"]) or index.count("SELECT count(*) FROM drives") > 0,
    )


@router.get("/tracks", response_class=Response, responses={200: {"content": {"application/octet-stream": {}}}})
def tracks(
    console: Annotated[Console, Depends(console_of)],
    frame: Word,
    asked: Annotated[Asked, Depends(asked_of)],
) -> Response:
    """Where the drives of one map frame went: the length of the head, the head as JSON (ids, and points of each), then
    x, y of all points as float32."""
    rows = console.index.rows(
        "SELECT id, track FROM drives JOIN tracks USING (id) WHERE frame = ? "
        f"AND {asked.where.sql} ORDER BY id LIMIT {TRACKS}",
        (frame, *asked.where.values),
    )
    head = to_json({"drives": [row["id"] for row in rows], "points": [len(row["track"]) // 8 for row in rows]})
    head += b" " * (-len(head) % 4)  # floats behind it lie on their boundaries
    body = b"".join([struct.pack("<I", len(head)), head, *(row["track"] for row in rows)])
    return Response(body, media_type="application/octet-stream")


@router.get("/events", response_class=HTMLResponse)
def events(
    request: Request,
    console: Annotated[Console, Depends(console_of)],
    q: Word = "",
    trigger: Word = "",
    place: Word = "",
    order: Word = "strength",
    down: bool = True,
    at: PageNumber = 1,
) -> HTMLResponse:
    """All events, the strongest of each trigger first."""
    if order not in EVENT_ORDERS:
        raise UnknownName("order", order, EVENT_ORDERS)
    where = Where.all_of(
        {
            "events.drive IN (SELECT id FROM drives WHERE id LIKE ? ESCAPE '\\')": like(q),
            "events.trigger = ?": trigger,
            "events.place IN (SELECT place FROM places WHERE place LIKE ? ESCAPE '\\')": like(place),
        }
    )
    by = ", ".join(f"{column} {'DESC' if down else 'ASC'}" for column in EVENT_ORDERS[order])
    count = console.index.count(f"SELECT count(*) FROM events WHERE {where.sql}", where.values)
    rows = console.index.rows(
        f"SELECT * FROM events WHERE {where.sql} ORDER BY {by} LIMIT {PAGE} OFFSET ?",
        (*where.values, (at - 1) * PAGE),
    )
    begun = {
        row["id"]: row["start_ns"]
        for row in console.index.rows(
            "SELECT id, start_ns FROM drives WHERE id IN (SELECT value FROM json_each(?))",
            (to_json(sorted({row["drive"] for row in rows})).decode(),),
        )
    }
    for row in rows:
        zero = begun.get(row["drive"], row["start_ns"])
        row["from_s"], row["to_s"] = (row["start_ns"] - zero) / 1e9, (row["end_ns"] - zero) / 1e9
    return page(
        request,
        "events.html",
        rows=rows,
        count=count,
        asked={"q": q, "trigger": trigger, "place": place},
        order=order,
        down=down,
        at=at,
        last=max(1, -(-count // PAGE)),
        triggers=console.index.rows("SELECT trigger, found FROM yields ORDER BY found DESC, trigger"),
    )


def _lately(console: Console) -> list[dict[str, Any]]:
    """The newest runs of stages that said anything new, and when they were committed."""
    newest = list(manifests(console.lake.root).items())[: -LATELY - 1 : -1]
    return [
        {"seq": seq, "stage": path.parent.name, "at": datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat()}
        for seq, path in newest
    ]


def facts_of(console: Console, id: str) -> dict[str, Any]:
    """What the index knows of a drive."""
    facts = console.index.one("SELECT * FROM drives WHERE id = ?", (id,))
    if facts is None:
        near = console.index.rows("SELECT id FROM drives WHERE id LIKE ? ESCAPE '\\' LIMIT 12", (like(id[:24]),))
        raise UnknownName("drive", id, (row["id"] for row in near))
    return facts


def _distinct(console: Console, column: str) -> list[str]:
    rows = console.index.rows(
        f"SELECT DISTINCT {column} AS value FROM drives WHERE {column} != '' ORDER BY 1 LIMIT 100"
    )
    return [row["value"] for row in rows]
