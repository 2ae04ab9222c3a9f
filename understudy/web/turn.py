"""The page of a turn: what it came to, step by step, and the curve over all turns so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import UnknownName
from understudy.store import Lake
from understudy.store.files import write_whole
from understudy.turn.diary import STEPS, About, name_of, times, turns
from understudy.web import signals
from understudy.web.standalone import fill

HEADLINES = {
    "promote": "a new champion",
    "refuse": "refused, the champion stays",
    "undecided": "undecided, the champion stays",
    "skipped": "nobody was judged",
}
WORDS = {
    "begin": "who is champion, what the fleet will do",
    "fleet": "people drive",
    "bootstrap": "the first champion, from random clips",
    "wheel": "the champion drives, a safety driver beside it",
    "shadow": "the champion plans where people drove",
    "mine": "events into clips",
    "label": "the answers known afterwards",
    "dataset": "clips and labels, frozen",
    "train": "the candidate learns",
    "export": "the candidate as a model",
    "gate": "champion against candidate",
    "promote": "the gate's word",
    "campaign": "what to collect next",
    "report": "this",
}
_WIDTH, _HEIGHT = 640.0, 190.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 20.0, 12.0, 28.0


@dataclass(frozen=True, slots=True)
class Dot:
    """A model's driving score in the gate of a turn, on the picture of the curve."""

    look: str  # champion, candidate
    x: float
    y: float
    value: float
    turn: int
    said: int  # how far below it its number stands


@dataclass(frozen=True, slots=True)
class Step:
    """A step: what it came to in words, and how long it took."""

    name: str
    about: str
    skipped: str
    seconds: float | None
    share: float  # percent of the longest


def path(lake: Lake, number: int) -> Path:
    """Where the page of a turn lies."""
    return lake.root / "pages" / f"{name_of(number)}.html"


def write(lake: Lake, number: int) -> Path:
    """Write the page of a turn that is over into the lake, and say where it is."""
    write_whole(path(lake, number), render(lake, number).encode())
    return path(lake, number)


def render(lake: Lake, number: int) -> str:
    """The whole page as one HTML text, without a script and without an address."""
    done = {turn: steps for turn, steps in turns(lake).items() if "report" in steps and turn <= number}
    if number not in done:
        raise UnknownName("turn that is over", str(number), map(str, done))
    here, rows = done[number], {turn: steps["report"] for turn, steps in done.items()}
    return fill(
        "turn.html",
        ["page.css", "verdict.css", "turn.css"],
        {"number": signals.number, "joined": _joined},
        number=number,
        row=rows[number],
        rows=rows,
        done=here,
        headline=HEADLINES[rows[number]["outcome"]],
        steps=_steps(here, times(lake.root, number)),
        dots=curve(rows),
        triggers=[one for one in here["mine"]["triggers"] if one["events"]],
        findings=here["gate"].get("findings", ()) if rows[number]["routes"] else (),
        clips=here["gate"].get("clips", {"all": 0}),
    )


def curve(rows: Mapping[int, About]) -> list[Dot]:
    """Both models of every turn that was judged, on a picture of 640 x 190 whose height is a score from 0 to 1."""
    found = []
    for turn, row in rows.items():
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * (turn - 0.5) / max(rows)
        values = {look: row[look]["driving_score"] for look in ("champion", "candidate")}
        lower = None not in values.values() and values["candidate"] < values["champion"]
        said = {"champion": -12 if lower else 20, "candidate": 4}  # where the other is not
        for look, value in values.items():
            if value is not None:
                y = _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - value)
                found.append(Dot(look, round(x, 1), round(y, 1), value, turn, said[look]))
    return found


def _steps(done: Mapping[str, About], took: Mapping[str, float]) -> list[Step]:
    longest = max(took.values(), default=1.0) or 1.0
    why = {name: about.get("skipped", "") for name, about in done.items() if name != "report"}  # which tells it of all
    return [
        Step(name, WORDS[name], why.get(name, ""), took.get(name), 100 * took.get(name, 0.0) / longest)
        for name in STEPS
        if name in done
    ]


def _joined(dots: Sequence[Dot]) -> str:
    """The line through the champions' scores."""
    points = [f"{dot.x} {dot.y}" for dot in dots if dot.look == "champion"]
    return "M" + "L".join(points) if points else ""
