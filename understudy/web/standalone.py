"""Pages that stand alone: one HTML file with its style in it, that may load and run nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from understudy.store import digest

Filter = Callable[..., Any]


def fill(
    template: str, styles: Sequence[str], filters: Mapping[str, Filter], *, script: str = "", **values: Any
) -> str:
    """The page that a template of this folder makes of values, with its styles and script out of files beside it.

    It escapes everything that is not our own markup. The template is told `style` and `script`, and as `style_hash` and
    `script_hash` what allows exactly these in a Content-Security-Policy.
    """
    style, code = "".join(map(_own, styles)), _own(script) if script else ""
    told = {"style": Markup(style), "script": Markup(code), "style_hash": allowed(style), "script_hash": allowed(code)}
    return _template(template, tuple(filters.items())).render(**told, **values)


def verdict_page(champion: str, candidate: str, settings: object) -> str:
    """What the page of a verdict is called: by the hashes of both drivers, and the gate's settings."""
    return f"verdict-{digest([champion, candidate, settings])[:12]}.html"


def allowed(text: str) -> Markup:
    """The source of a style or script that a page allows itself, as Content-Security-Policy writes it."""
    return Markup("sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii"))


@cache
def _own(name: str) -> str:
    return files("understudy.web").joinpath(name).read_text(encoding="utf-8")


@cache
def _template(name: str, filters: tuple[tuple[str, Filter], ...]) -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(filters)
    return environment.from_string(_own(name))
