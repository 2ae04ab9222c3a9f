"""Curves over a logarithmic axis, with their intervals, as SVG: panels side by side, a colour for every name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 360, 260, 54, 34, 60  # of a panel, in pixels
_NAMES = 6  # in a line below
_ASIDE = 7.0  # between points at one place, so that intervals do not hide each other
_GREY = "#888888"
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


@dataclass(frozen=True)
class Point:
    x: float  # 0 is drawn at half of the least that is above it
    y: float
    low: float = float("nan")  # of an interval; nan without one
    high: float = float("nan")


@dataclass(frozen=True)
class Series:
    """Points under one name: a curve, or marks that are held against one, which are drawn beside their place."""

    name: str
    points: tuple[Point, ...]
    curve: bool = True


@dataclass(frozen=True)
class Panel:
    title: str
    along: str  # what x is
    series: tuple[Series, ...]


def picture(panels: Sequence[Panel], baseline: str = "") -> str:
    """Panels as one SVG; the `baseline` is grey."""
    names = list(dict.fromkeys(one.name for panel in panels for one in panel.series))
    paint = dict.fromkeys([baseline] if baseline in names else [], _GREY)
    paint |= {name: _PAINT[i % len(_PAINT)] for i, name in enumerate(name for name in names if name != baseline)}
    width = max(len(panels) * (_WIDTH + _GAP) + _LEFT, _LEFT + 130 * min(len(paint), _NAMES))
    height = _TOP + _HEIGHT + 62 + 18 * (1 + len(paint) // _NAMES)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>',
        *(_drawn(panel, _LEFT + number * (_WIDTH + _GAP), paint) for number, panel in enumerate(panels)),
    ]
    for i, (name, colour) in enumerate(paint.items()):
        x, y = _LEFT + i % _NAMES * 130, _TOP + _HEIGHT + 60 + 18 * (i // _NAMES)
        parts.append(f'<circle cx="{x}" cy="{y - 4}" r="4" fill="{colour}"/><text x="{x + 9}" y="{y}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _drawn(panel: Panel, left: float, paint: Mapping[str, str]) -> str:
    points = [point for one in panel.series for point in one.points]
    ends = np.array([value for one in points for value in (one.low, one.y, one.high) if np.isfinite(value)])
    low, high = float(ends.min()), float(ends.max())
    margin = 0.08 * (high - low) or 0.01
    low, high = low - margin, high + margin
    most = max(point.x for point in points)
    least = min((point.x for point in points if point.x > 0), default=1.0) / 2

    def x(value: float) -> float:
        return left + _WIDTH * float(np.log(max(value, least) / least) / np.log(max(most / least, 1.01)) * 0.94 + 0.03)

    def y(value: float) -> float:
        return _TOP + _HEIGHT * (high - value) / (high - low)

    parts = [
        f'<text x="{left}" y="{_TOP - 12}" font-weight="bold">{panel.title}</text>',
        f'<rect x="{left}" y="{_TOP}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#bbbbbb"/>',
        f'<text x="{left + _WIDTH / 2}" y="{_TOP + _HEIGHT + 36}" text-anchor="middle">{panel.along}</text>',
    ]
    for value in np.linspace(low + margin, high - margin, 4):
        parts.append(f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3f}</text>')
        parts.append(
            f'<line x1="{left}" x2="{left + _WIDTH}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#eeeeee"/>'
        )
    for value in sorted({point.x for point in points}):
        parts.append(f'<text x="{x(value):.1f}" y="{_TOP + _HEIGHT + 18}" text-anchor="middle">{value:.0f}</text>')
    aside = 0.0
    for one in panel.series:
        aside = aside if one.curve else aside + _ASIDE
        colour = paint[one.name]
        if one.curve:
            line = " ".join(f"{x(point.x):.1f},{y(point.y):.1f}" for point in one.points)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        for point in one.points:
            at = x(point.x) + (0.0 if one.curve else aside)
            if np.isfinite(point.low):
                parts.append(
                    f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y(point.low):.1f}" y2="{y(point.high):.1f}" '
                    f'stroke="{colour}"/>'
                )
            parts.append(f'<circle cx="{at:.1f}" cy="{y(point.y):.1f}" r="4" fill="{colour}"/>')
    return "\n".join(parts)
