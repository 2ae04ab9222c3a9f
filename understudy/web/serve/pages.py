"""Pages out of templates: everything is escaped that is not our own markup."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup, escape

from understudy import __version__
from understudy.identifiers import Identifier
from understudy.store.reviews import VERDICTS
from understudy.web.serve.console import HERE, console_of, visitor_of
from understudy.web.signals import duration, number
from understudy.web.standalone import allowed

STATIC = {
    "page.css": HERE.parent / "page.css",
    "console.css": HERE / "static" / "console.css",
    "console.js": HERE / "static" / "console.js",
    "player.js": HERE / "static" / "player.js",
    "review.js": HERE / "static" / "review.js",
    "icon.svg": HERE / "static" / "icon.svg",
}


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page of the console."""
    console = console_of(request)
    told = {
        "here": request.url.path,
        "status": status,
        "todo": console.index.todo,
        "trouble": console.trouble,
        "reviewer": visitor_of(request).reviewer,
        "version": __version__,
    }
    text = environment().get_template(template).render(**told, **values)
    return HTMLResponse(text, status)


def alone(text: str) -> HTMLResponse:
    """A page that has its style and films in it: it is allowed these, and nothing else."""
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    source = allowed(style[1] if style else "")
    policy = (
        f"default-src 'none'; img-src data:; media-src data:; style-src '{source}'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    return HTMLResponse(text, headers={"content-security-policy": policy})


@cache
def environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([HERE / "templates"]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters |= {
        "number": number,
        "duration": duration,
        "ago": ago,
        "span": span,
        "words": words,
        "address": quoted,
        "breakable": breakable,
    }
    made.globals |= {"static": address, "VERDICTS": VERDICTS}
    return made


@cache
def address(name: str) -> str:
    """Where a style or script lies, by its contents: a browser may keep it."""
    return f"/static/{name}?v={hashlib.sha256(STATIC[name].read_bytes()).hexdigest()[:8]}"


def breakable(identifier: str) -> Markup:
    """An identifier that breaks after its slashes where a line is too short for it."""
    return escape(identifier).replace("/", Markup("/<wbr>"))


def ago(at: str | None) -> str:
    """How long ago an ISO stamp was."""
    if not at:
        return "–"
    seconds = (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return "just now"


def span(drive: str, start_s: float, end_s: float) -> str:
    """The identifier of a stretch of a drive."""
    start = round(max(start_s, 0.0), 1)
    return str(Identifier("drive", drive, start, max(round(end_s, 1), round(start + 0.1, 1))))


def quoted(name: str) -> str:
    """A name as part of an address."""
    return quote(name, safe="/:")


def words(name: str) -> str:
    return name.replace("_", " ")
