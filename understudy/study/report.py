"""What a journal came to: a table of strategies, and the curve that they are held against, as rows and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.evidence import bootstrap
from understudy.records import Floats
from understudy.study.design import EVERYDAY, LOOSE
from understudy.study.worth import Worth, k_of

KEPT = "kept kinds"
GROUPS = (EVERYDAY, KEPT)
CLOSED = "driving_score"
_SAME = ("dataset", "start", "settings")  # of lines that may be compared

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One strategy at one rate of events, in one group; `seconds` of clips, and the mean score over seeds."""

    rate: str
    group: str
    strategy: str
    seconds: float
    seeds: int
    score: float
    low: float
    high: float
    worth: Worth | None  # none for random itself


def comparable(lines: Sequence[Line]) -> list[Line]:
    """Those lines that share with the last one what they start from, and all settings that change what comes out."""
    return grounds(lines)[-1] if lines else []


def grounds(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines sorted into those that may be compared with each other, by when the last of each was written."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        ground = repr(_ground(line))
        found[ground] = [*found.pop(ground, []), line]
    return list(found.values())


def _ground(line: Line) -> list[Any]:
    settings = {name: value for name, value in line["settings"].items() if name not in LOOSE}
    return [line["dataset"], line["start"], settings]


def score(line: Line, group: str, measure: str = "score") -> float:
    """What a unit's network is worth in a group; of the kept kinds the mean, each counting by its instants (or routes),
    of which all kinds get as many where they happen often enough.

    `driving_score` is of closed loop, all else of the companion.
    """
    judged = line["closed_loop" if measure == CLOSED else "companion"]
    if group == EVERYDAY:
        return float(judged[EVERYDAY][measure])
    kept = [one for kind, one in judged.items() if kind != EVERYDAY]
    return float(np.average([one[measure] for one in kept], weights=[one["n"] for one in kept]))


def rows(lines: Sequence[Line], measure: str = "score") -> Iterator[Row]:
    """A row for every strategy, random at every multiple first."""
    for rate in dict.fromkeys(line["rate"] for line in lines):
        for group in GROUPS:
            found: dict[tuple[str, int], dict[int, Line]] = {}
            for line in (one for one in lines if one["rate"] == rate):
                found.setdefault((line["strategy"], line["multiple"]), {})[line["seed"]] = line
            curve = {multiple: by_seed for (name, multiple), by_seed in found.items() if name == "random"}
            for (name, multiple), by_seed in sorted(found.items(), key=_order):
                values = np.array([score(line, group, measure) for line in by_seed.values()])
                worth = None if name == "random" else _worth(curve, by_seed, group, measure, f"{rate} {group} {name}")
                low, high = bootstrap(values, f"{rate} {group} {name} {multiple}")
                seconds = float(np.mean([line["seconds"] for line in by_seed.values()]))
                yield Row(rate, group, name, seconds, len(values), float(values.mean()), low, high, worth)


def _order(item: tuple[tuple[str, int], Any]) -> tuple[bool, int, str]:
    (name, multiple), _ = item
    return name != "random", multiple, name


def _worth(
    curve: Mapping[int, Mapping[int, Line]], own: Mapping[int, Line], group: str, measure: str, identity: str
) -> Worth | None:
    """By the seeds that random has at the budget, and at those multiples that it has for all of them; none without."""
    seeds = sorted(set(own).intersection(curve.get(1, {})))
    if not seeds:
        return None
    sign = 1.0 if measure in ("score", "first", CLOSED) else -1.0  # of metres less is more
    multiples = sorted(multiple for multiple, by_seed in curve.items() if set(seeds) <= set(by_seed))
    random = np.array([[sign * score(curve[m][seed], group, measure) for m in multiples] for seed in seeds])
    return k_of(
        np.array(multiples, float), random, np.array([sign * score(own[s], group, measure) for s in seeds]), identity
    )


# As a table and a picture ---------------------------------------------------------------------------------------------


def table(found: Sequence[Row], measure: str = "score") -> str:
    """Rows as Markdown; a gain is positive where the strategy is better."""
    lines = [
        f"| events | judged by | strategy | clip-seconds | seeds | {measure} | k | gain over random |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in found:
        interval = f" ({row.low:.3f} to {row.high:.3f})" if row.seeds > 1 else ""
        k, gain = "", ""
        if row.worth is not None:
            k = str(row.worth)
            gain = f"{row.worth.gain:+.3f}" + (
                f" ({row.worth.gain_low:+.3f} to {row.worth.gain_high:+.3f})" if row.worth.seeds > 1 else ""
            )
        lines.append(
            f"| {row.rate} | {row.group} | `{row.strategy}` | {row.seconds:.0f} | {row.seeds} "
            f"| {row.score:.3f}{interval} | {k} | {gain} |"
        )
    return "\n".join(lines) + "\n"


_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 360, 260, 54, 34, 60  # of a panel, in pixels
_PAINT = (
    "#d1495b",
    "#00798c",
    "#edae49",
    "#66a182",
    "#2e4057",
    "#8d6a9f",
    "#c97b3d",
    "#4f6d7a",
    "#a23b72",
    "#3b8ea5",
    "#777777",
)


def picture(found: Sequence[Row]) -> str:
    """Score against clip-seconds as SVG: a panel for each rate and group, random's curve, a point for every strategy,
    95 % intervals over seeds as bars."""
    panels = list(dict.fromkeys((row.rate, row.group) for row in found))
    names = list(dict.fromkeys(row.strategy for row in found if row.strategy != "random"))
    paint = {"random": "#888888"} | {name: _PAINT[i % len(_PAINT)] for i, name in enumerate(names)}
    width = len(panels) * (_WIDTH + _GAP) + _LEFT
    height = _TOP + _HEIGHT + 62 + 18 * (1 + len(paint) // 6)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
    ]
    for number, panel in enumerate(panels):
        own = [row for row in found if (row.rate, row.group) == panel]
        parts.append(_panel(own, _LEFT + number * (_WIDTH + _GAP), f"{panel[1]}, events at the {panel[0]} rate", paint))
    for i, (name, colour) in enumerate(paint.items()):
        x, y = _LEFT + i % 6 * 130, _TOP + _HEIGHT + 60 + 18 * (i // 6)
        parts.append(f'<circle cx="{x}" cy="{y - 4}" r="4" fill="{colour}"/><text x="{x + 9}" y="{y}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(own: Sequence[Row], left: float, title: str, paint: Mapping[str, str]) -> str:
    ends = np.array([value for row in own for value in (row.low, row.score, row.high) if np.isfinite(value)])
    low, high = float(ends.min()), float(ends.max())
    margin = 0.08 * (high - low) or 0.01
    low, high = low - margin, high + margin
    most = max(row.seconds for row in own)
    least = min((row.seconds for row in own if row.seconds > 0), default=1.0) / 2  # where 0 s is drawn

    def x(seconds: float) -> float:
        return left + _WIDTH * float(
            np.log(max(seconds, least) / least) / np.log(max(most / least, 1.01)) * 0.94 + 0.03
        )

    def y(value: float) -> float:
        return _TOP + _HEIGHT * (high - value) / (high - low)

    parts = [
        f'<text x="{left}" y="{_TOP - 12}" font-weight="bold">{title}</text>',
        f'<rect x="{left}" y="{_TOP}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#bbbbbb"/>',
        f'<text x="{left + _WIDTH / 2}" y="{_TOP + _HEIGHT + 36}" text-anchor="middle">clip-seconds</text>',
    ]
    for value in np.linspace(low + margin, high - margin, 4):
        parts.append(f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3f}</text>')
        parts.append(
            f'<line x1="{left}" x2="{left + _WIDTH}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#eeeeee"/>'
        )
    for seconds in sorted({row.seconds for row in own}):
        parts.append(f'<text x="{x(seconds):.1f}" y="{_TOP + _HEIGHT + 18}" text-anchor="middle">{seconds:.0f}</text>')
    curve = [row for row in own if row.strategy == "random"]
    points = " ".join(f"{x(row.seconds):.1f},{y(row.score):.1f}" for row in curve)
    parts.append(f'<polyline points="{points}" fill="none" stroke="{paint["random"]}" stroke-width="1.5"/>')
    for row, aside in zip(own, _aside(own), strict=True):
        at, colour = x(row.seconds) + aside, paint[row.strategy]
        if np.isfinite(row.low):
            parts.append(
                f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y(row.low):.1f}" y2="{y(row.high):.1f}" stroke="{colour}"/>'
            )
        parts.append(f'<circle cx="{at:.1f}" cy="{y(row.score):.1f}" r="4" fill="{colour}"/>')
    return "\n".join(parts)


def _aside(own: Sequence[Row]) -> Floats:
    """How far beside its place each point is drawn, so that intervals at the same seconds do not hide each other."""
    others = [i for i, row in enumerate(own) if row.strategy != "random"]
    aside = np.zeros(len(own))
    aside[others] = 7.0 * (np.arange(len(others)) + 1)
    return aside
