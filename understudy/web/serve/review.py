"""The queue: clip after clip, one key each. The next clip is loaded while one looks at this one.

Two people never get the same clip at the same time: who is shown a clip holds it for some minutes. Who opens a clip by
its name may review it all the same; if somebody else was quicker, the review is refused and shows what was said.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from understudy.errors import UnderstudyError, UnknownName
from understudy.evidence import Share
from understudy.identifiers import parse
from understudy.store.reviews import LONGEST_NOTE, VERDICTS, Conflict, Review, Subject
from understudy.web.serve.access import Visitor
from understudy.web.serve.console import Console, console_of, visitor_of
from understudy.web.serve.drives import Word
from understudy.web.serve.moment import scene, stretch_of
from understudy.web.serve.pages import environment, page

KEYS = {"keep": "k", "drop": "d", "wrong_trigger": "w", "bad_label": "b", "regression": "r"}
_NAME = re.compile(r"[\w][\w .@+-]{0,39}")

router = APIRouter()
Clip = Annotated[str, Form(max_length=200)]


def queue_of(console: Console, trigger: str = "") -> dict[str, int]:
    """How many clips there are, and how many of them nobody has reviewed."""
    ids = _ids(console, trigger)
    reviewed = console.said.reviewed()
    return {"clips": len(ids), "left": sum(id not in reviewed for id in ids)}


def _ids(console: Console, trigger: str = "") -> list[str]:
    """The clips in the order in which they were chosen; those of all choices count once."""
    rows = console.index.rows(
        "SELECT clips.id FROM clips JOIN drives ON drives.id = drive WHERE ? IN ('', clips.trigger) "
        "GROUP BY clips.id ORDER BY min(turn), clips.id",
        (trigger,),
    )
    return [row["id"] for row in rows]


@router.get("/review", response_class=HTMLResponse)
def review(
    request: Request,
    console: Annotated[Console, Depends(console_of)],
    visitor: Annotated[Visitor, Depends(visitor_of)],
    trigger: Word = "",
    clip: Word = "",
) -> HTMLResponse:
    """The queue, beginning with the first clip that nobody has, or with one that is named."""
    reviewer = visitor.reviewer
    if clip:
        ids = [clip]
    else:
        ids = console.lease(_ids(console, trigger), reviewer, 1) if reviewer else []
    triggers = console.index.rows("SELECT trigger, count(*) AS kept FROM clips GROUP BY trigger ORDER BY 2 DESC, 1")
    return page(
        request,
        "review.html",
        card=_card(console, ids[0], trigger) if ids else None,
        keys=KEYS,
        trigger=trigger,
        triggers=triggers,
        **_standing(console, trigger),
    )


@router.get("/review/next", response_class=HTMLResponse)
def following(
    console: Annotated[Console, Depends(console_of)],
    visitor: Annotated[Visitor, Depends(visitor_of)],
    trigger: Word = "",
    after: Word = "",
) -> Response:
    """The clip to load while one looks at `after`; 204 where there is no other.

    The queue is gone through as a ring: what was put off comes again when all others were shown.
    """
    _named(visitor)
    ids = _ids(console, trigger)
    here = ids.index(after) if after in ids else 0
    ids = console.lease(ids[here:] + ids[:here], visitor.reviewer, 2)
    ids = [id for id in ids if id != after]
    return HTMLResponse(_card(console, ids[0], trigger)) if ids else Response(status_code=204)


@router.get("/review/clip", response_class=HTMLResponse)
def named_clip(console: Annotated[Console, Depends(console_of)], id: Word, trigger: Word = "") -> HTMLResponse:
    """One clip, to be put in place of another."""
    return HTMLResponse(_card(console, id, trigger))


@router.post("/review")
def say(
    console: Annotated[Console, Depends(console_of)],
    visitor: Annotated[Visitor, Depends(visitor_of)],
    clip: Clip,
    verdict: Annotated[str, Form(max_length=40)],
    saw: Annotated[int, Form(ge=0, le=2**62)],
    note: Annotated[str, Form(max_length=LONGEST_NOTE)] = "",
    key: Annotated[str | None, Form(min_length=8, max_length=80)] = None,
    trigger: Annotated[str, Form(max_length=200)] = "",
) -> JSONResponse:
    """Say of a clip what is to become of it. The answer comes when it is on the disk."""
    _named(visitor)
    try:
        said = console.reviews.say(_subject(console, clip), verdict, visitor.reviewer, note, saw, key)
    except Conflict as conflict:
        return JSONResponse({"error": str(conflict), "standing": _told(conflict.standing)}, 409)
    return JSONResponse({"said": _told(said), **_counts(console, trigger)})


@router.post("/review/undo")
def undo(
    console: Annotated[Console, Depends(console_of)],
    visitor: Annotated[Visitor, Depends(visitor_of)],
    trigger: Annotated[str, Form(max_length=200)] = "",
) -> JSONResponse:
    """Take back one's own last review."""
    _named(visitor)
    taken = console.reviews.undo(visitor.reviewer)
    return JSONResponse({"undone": _told(taken), **_counts(console, trigger)})


@router.post("/reviewer")
def reviewer(visitor: Annotated[Visitor, Depends(visitor_of)], name: Annotated[str, Form(max_length=40)]) -> Response:
    """Say who is looking through this browser."""
    if not _NAME.fullmatch(name.strip()):
        raise UnderstudyError("a name has letters, digits, spaces and .@+-, at most 40 of them")
    visitor.reviewer = name.strip()
    return RedirectResponse("/review", 303)


def _named(visitor: Visitor) -> None:
    if not visitor.reviewer:
        raise UnderstudyError("say who you are first, on the page of reviews")


def _subject(console: Console, clip: str) -> Subject:
    row = _row(console, clip)
    return Subject(clip, row["drive"], row["start_ns"], row["end_ns"], row["place"], row["trigger"])


def _row(console: Console, clip: str) -> dict[str, Any]:
    row = console.index.one("SELECT * FROM clips WHERE id = ?", (clip,))
    if row is None:
        raise UnknownName("clip", clip, ())
    return row


def _card(console: Console, clip: str, trigger: str) -> str:
    """The markup of one clip: its moment, what was said of it, and the keys."""
    row = _row(console, clip)
    drive, start_s, stop_s = stretch_of(console, parse(clip))
    shown = scene(console, drive, start_s, stop_s, first=row["trigger"])
    history = console.said.history(clip)
    standing = console.said.of(clip)
    template = environment().get_template("clip.html")
    return template.render(
        scene=shown, clip=row, history=history, standing=standing, keys=KEYS, knows=False, trigger=trigger
    )


def _told(review: Review | None) -> dict[str, Any] | None:
    if review is None:
        return None
    return {"seq": review.seq, "clip": review.clip, "verdict": review.verdict, "reviewer": review.reviewer}


def _counts(console: Console, trigger: str) -> dict[str, Any]:
    standing = _standing(console, trigger)
    return {
        "left": standing["queue"]["left"],
        "done": standing["queue"]["clips"] - standing["queue"]["left"],
        "verdicts": standing["verdicts"],
        "precision": [{"trigger": name, "right": one.hits, "of": one.n, "value": one.value, "low": one.interval[0],
                       "high": one.interval[1]} for name, one in standing["precision"].items()],
    }  # fmt: skip


def _standing(console: Console, trigger: str) -> dict[str, Any]:
    precision: dict[str, Share] = console.said.precision()
    counts = console.said.counts()
    return {
        "queue": queue_of(console, trigger),
        "precision": precision,
        "verdicts": {verdict: counts.get(verdict, 0) for verdict in VERDICTS},
    }
