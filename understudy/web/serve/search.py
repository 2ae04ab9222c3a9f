"""Anywhere by identifier: the box that Cmd-K or Ctrl-K opens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, RedirectResponse, Response

from understudy.errors import UnderstudyError, UnknownName
from understudy.identifiers import Identifier, parse
from understudy.registry import Registry
from understudy.web.serve.console import Console, console_of
from understudy.web.serve.drives import Word, like
from understudy.web.serve.moment import stretch_of
from understudy.web.serve.pages import span

OFFERED = 8  # of each kind
PAGES = {"start": "/", "drives": "/drives", "events": "/events", "review": "/review", "turns": "/turns",
         "models": "/models", "exports": "/exports"}  # fmt: skip

router = APIRouter()


@router.get("/search")
def search(console: Annotated[Console, Depends(console_of)], q: Word = "") -> JSONResponse:
    """What a text may mean, the likeliest first: [{kind, name, address}]."""
    return JSONResponse(list(_found(console, q.strip())))


@router.get("/go/{identifier:path}", response_class=Response)
def go(console: Annotated[Console, Depends(console_of)], identifier: str) -> Response:
    """The page of an identifier."""
    return RedirectResponse(address(console, parse(identifier)), 303)


def address(console: Console, named: Identifier) -> str:
    """Where the page of an identifier lies."""
    if named.kind in ("model", "turn"):
        return f"/{named.kind}s/{quote(named.name)}"
    if named.kind == "scenario":
        row = console.index.one("SELECT id FROM drives WHERE id = ? OR place = ?", (named.name, named.name))
        if row is None:
            raise UnknownName("scenario that was driven in this lake", named.name, ())
        return f"/drives/{quote(row['id'])}"
    if named.kind == "drive" and named.start_s is None and named.stop_s is None:
        return f"/drives/{quote(named.name)}"
    drive, start_s, stop_s = stretch_of(console, named)
    if named.kind == "clip":
        return f"/review?clip={quote(str(named))}"
    stretch = str(Identifier("drive", drive, round(start_s, 1))) if stop_s is None else span(drive, start_s, stop_s)
    return f"/drives/{quote(stretch, safe='/:')}"


def _found(console: Console, text: str) -> Iterator[dict[str, Any]]:
    lowered = text.lower()
    for name, there in PAGES.items():
        if name.startswith(lowered):
            yield {"kind": "page", "name": name, "address": there}
    if not text:
        return
    try:
        named = parse(text)
        if (named.start_s, named.stop_s) != (None, None) and _is_drive(console, named.name):
            yield {"kind": "moment", "name": text, "address": address(console, named)}
    except UnderstudyError:
        pass  # an identifier that is still being typed
    for kind in ("clip", "event"):
        begun = text if text.startswith(f"{kind}:") else f"{kind}:{text}"
        for row in console.index.rows(
            f"SELECT DISTINCT id FROM {kind}s WHERE id >= ? AND id < ? ORDER BY id LIMIT {OFFERED}",
            (begun, begun + "\x7f"),
        ):
            yield {"kind": kind, "name": row["id"], "address": f"/go/{quote(row['id'])}"}
    for row in console.index.rows(
        f"SELECT id FROM drives WHERE id LIKE ? ESCAPE '\\' ORDER BY length(id), id LIMIT {OFFERED}", (like(text),)
    ):
        yield {"kind": "drive", "name": row["id"], "address": f"/drives/{quote(row['id'])}"}
    if (console.lake.root / "registry.db").is_file():
        for model in Registry(console.lake.root).models():
            if lowered in model.name.lower() or model.hash.startswith(lowered.removeprefix("model:")):
                yield {"kind": "model", "name": model.name, "address": f"/models/{quote(model.hash)}"}
    if lowered.removeprefix("turn:").isdecimal():
        number = int(lowered.removeprefix("turn:"))
        yield {"kind": "turn", "name": f"turn:{number}", "address": f"/turns/{number}"}


def _is_drive(console: Console, id: str) -> bool:
    return console.index.one("SELECT 1 FROM drives WHERE id = ?", (id,)) is not None
