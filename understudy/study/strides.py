"""How far each arm of the loop came, as SVG: a row for every seed, a panel for every measure.

An arrow leads from the first champion to an arm's last one, whose 95 % interval over routes is drawn through its point;
a ring is the arm's last candidate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

Interval = tuple[float, float, float]  # value, low, high

_LEFT, _TOP, _WIDTH, _GAP, _ROW, _APART = 150, 44, 250, 34, 64, 11  # pixels
_PAINT = ("#d1495b", "#00798c", "#edae49")  # of arms, the loop's own first
_GREY = "#666666"


@dataclass(frozen=True)
class Stride:
    """One arm in one measure."""

    first: float
    last: Interval
    learned: float  # of the last candidate


@dataclass(frozen=True)
class Panel:
    """A measure: for every row what each arm came to, by its name."""

    title: str
    rows: Sequence[Mapping[str, Stride]]


def picture(names: Sequence[str], panels: Sequence[Panel]) -> str:
    """The panels side by side; `names` are those of the rows."""
    arms = list(dict.fromkeys(arm for panel in panels for row in panel.rows for arm in row))
    width, below = _LEFT + len(panels) * (_WIDTH + _GAP), _TOP + len(names) * _ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {below + 62}" width="{width}" '
        f'height="{below + 62}" font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="white"/>'
    ]
    for i, name in enumerate(names):
        parts.append(f'<text x="{_LEFT - 16}" y="{_middle(i) + 4}" text-anchor="end">{escape(name)}</text>')
    for i, panel in enumerate(panels):
        parts += _drawn(panel, _LEFT + i * (_WIDTH + _GAP), below, arms)
    legend = [(_GREY, "first champion", 4.0)]
    legend += [(_PAINT[i], f"{arm}: last champion", 5.0) for i, arm in enumerate(arms)]
    for i, (colour, told, size) in enumerate(legend):
        parts.append(f'<circle cx="{_LEFT + i * 190}" cy="{below + 44}" r="{size}" fill="{colour}"/>')
        parts.append(f'<text x="{_LEFT + i * 190 + 11}" y="{below + 48}">{escape(told)}</text>')
    at = _LEFT + len(legend) * 190
    parts.append(f'<circle cx="{at}" cy="{below + 44}" r="4.5" fill="none" stroke="{_GREY}" stroke-width="1.5"/>')
    parts.append(f'<text x="{at + 11}" y="{below + 48}">last candidate</text>')
    return "\n".join([*parts, "</svg>", ""])


def _drawn(panel: Panel, left: int, below: int, arms: Sequence[str]) -> Iterable[str]:
    strides = [one for row in panel.rows for one in row.values()]
    ends = np.array([value for one in strides for value in (one.first, *one.last, one.learned)], float)
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    margin = 0.06 * (high - low) or 1.0
    low, high = low - margin, high + margin

    def x(value: float) -> float:
        return left + _WIDTH * (value - low) / (high - low)

    yield f'<text x="{left}" y="{_TOP - 18}" font-weight="bold">{escape(panel.title)}</text>'
    for value in _round_between(low, high):
        at = f"{x(value):.1f}"
        yield f'<line x1="{at}" x2="{at}" y1="{_TOP - 8}" y2="{below}" stroke="#e4e4e4"/>'
        yield f'<text x="{at}" y="{below + 16}" text-anchor="middle" fill="{_GREY}" font-size="11">{value:.3g}</text>'
    for i, row in enumerate(panel.rows):
        for arm, one in row.items():
            number = arms.index(arm)
            y, colour = _middle(i) + (2 * number - len(arms) + 1) * _APART, _PAINT[number]
            value, least, most = one.last
            yield from _arrow(x(one.first), x(value), y, colour)
            if np.isfinite(least):
                yield (
                    f'<line x1="{x(least):.1f}" x2="{x(most):.1f}" y1="{y}" y2="{y}" stroke="{colour}" '
                    'stroke-width="5" stroke-opacity="0.3"/>'
                )
            yield f'<circle cx="{x(one.first):.1f}" cy="{y}" r="4" fill="{_GREY}"/>'
            yield f'<circle cx="{x(value):.1f}" cy="{y}" r="5" fill="{colour}"/>'
            yield (
                f'<circle cx="{x(one.learned):.1f}" cy="{y}" r="4.5" fill="white" fill-opacity="0.6" '
                f'stroke="{colour}" stroke-width="1.5"/>'
            )


def _middle(row: int) -> float:
    return _TOP + (row + 0.5) * _ROW


def _arrow(begin: float, end: float, y: float, colour: str) -> Iterable[str]:
    """A line, and a head halfway, where no point hides it."""
    yield f'<line x1="{begin:.1f}" x2="{end:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="1.5"/>'
    if abs(end - begin) > 24:
        tip, back = (begin + end) / 2, 6 if end > begin else -6
        points = f"{tip:.1f},{y} {tip - back:.1f},{y - 4} {tip - back:.1f},{y + 4}"
        yield f'<polygon points="{points}" fill="{colour}"/>'


def _round_between(low: float, high: float) -> list[float]:
    """Some four round numbers from low to high."""
    step = 10 ** np.floor(np.log10((high - low) / 2))
    step *= next(times for times in (5, 2, 1, 0.5) if (high - low) / (step * times) >= 3)
    return [float(value) for value in np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step]
