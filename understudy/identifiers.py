"""Identifiers: the one grammar by which commands, pages and errors speak of things.

    DRIVE                    a drive
    DRIVE/12.0:18.0          a stretch of it, in seconds since its start; either end may be left open
    KIND:NAME                a clip, event, scenario, model or turn: clip:9f3c, model:lane-follow@2

A NAME, and so a DRIVE, is one or more words parted by `/`; a word has letters, digits and `._-+=@,|~%`, may end in a
number of its own (`organic:3`), and is neither `.` nor `..`, so that a name can be a path below a folder and never
leaves it. The last word is not two decimals with a dash: whoever writes DRIVE/12.0-18.0 means a stretch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from understudy.errors import UnderstudyError

KINDS = ("clip", "event", "scenario", "model", "turn")
GRAMMAR = f"DRIVE, DRIVE/12.0:18.0 or KIND:NAME with KIND one of {', '.join(KINDS)}"

_WORD = r"[\w.\-+=@,|~%]+(?::[0-9a-f]+)?"
_NAME = re.compile(rf"{_WORD}(/{_WORD})*", re.ASCII)
_DASHED = re.compile(r"\d+\.\d+-\d+\.\d+", re.ASCII)  # a stretch written wrong; `11-30` may be a day's folder
_SPAN = re.compile(r"(\d+(?:\.\d+)?)?:(\d+(?:\.\d+)?)?", re.ASCII)


@dataclass(frozen=True)
class Identifier:
    """What an identifier says. `start_s` and `stop_s` are seconds since the drive's start, None for an open end."""

    kind: str  # drive, or one of KINDS
    name: str
    start_s: float | None = None
    stop_s: float | None = None

    def __str__(self) -> str:
        if self.kind != "drive":
            return f"{self.kind}:{self.name}"
        if self.start_s is None and self.stop_s is None:
            return self.name
        return f"{self.name}/{_seconds(self.start_s)}:{_seconds(self.stop_s)}"


def parse(text: str) -> Identifier:
    """What `text` names; UnderstudyError with the grammar if it names nothing."""
    kind, colon, name = text.partition(":")
    if colon and kind in KINDS:
        return Identifier(kind, _checked(text, name))
    drive, slash, span = text.rpartition("/")
    if slash and _DASHED.fullmatch(span):
        raise _wrong(text, f"a stretch is written {drive}/{':'.join(span.split('-'))}")
    if slash and ":" in span and not span[0].isalpha():  # `city/grid:3` is half a name, which no lake knows
        return _stretch(text, drive, span)
    return Identifier("drive", _checked(text, text))


def counted(number: int, thing: str) -> str:
    """So many of a thing, in words: 1 drive, 2 drives."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _stretch(text: str, drive: str, span: str) -> Identifier:
    found = _SPAN.fullmatch(span)
    if found is None or span == ":":
        raise _wrong(text, f"{span!r} is no stretch of seconds, like 12.0:18.0, 12: or :18")
    start, stop = (None if end is None else round(float(end), 9) for end in found.groups())
    if stop is not None and stop <= (start or 0.0):
        raise _wrong(text, f"it ends at {stop:g} s, before it begins")
    return Identifier("drive", _checked(text, drive), start, stop)


def _checked(text: str, name: str) -> str:
    if not _NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise _wrong(text, f"{name!r} is no name" if name else "a name is missing")
    return name


def _wrong(text: str, why: str) -> UnderstudyError:
    return UnderstudyError(f"{text!r} is no identifier: {why}; expected {GRAMMAR}")


def _seconds(end: float | None) -> str:
    """Plain decimals down to nanoseconds (`1e-07` would not parse)."""
    if end is None:
        return ""
    text = f"{end:.9f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text
