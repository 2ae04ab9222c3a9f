"""The signals around a moment, as small charts that share one axis of time: seconds since the drive began.

Each chart is an SVG of fixed height and any width: lines live in an inner picture that is stretched, words do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from understudy.records import COLUMNS, NS, PLAN_STEP_S, PLAN_STEPS, Array, Drive, Event, Floats
from understudy.web.moment import Moment

# The charts of a drive's own columns: title -> the main column, then (column, look) of lines beside it.
OWN: dict[str, tuple[Any, ...]] = {
    "speed": ("speed", ("speed_limit", "limit"), ("leader_speed", "other")),
    "acceleration": ("accel",),
    "rate of turn": ("yaw_rate",),
    "steering": ("steer",),
    "steering wheel": ("steering_wheel_angle",),
    "road wheels": ("road_wheel_angle",),
    "throttle": ("throttle", ("brake", "other")),
    "gap to the leader": ("leader_gap",),
    "offset in the lane": ("lane_offset",),
}
# The charts of shadow runs: title -> (each policy's column, the human's column if any, unit).
COMPARED: dict[str, tuple[str, str, str]] = {
    "plan, aside of the driven path": ("lateral_difference", "", "m"),
    "plan, mean displacement": ("mean_displacement", "", "m"),
    "score of the next 4 s": ("plan_score", "human_score", "share"),
}
_LEAST = {"m/s": 2.0, "m/s²": 2.0, "rad/s": 0.1, "rad": 0.1, "m": 1.0, "1": 0.2}  # a chart spans at least this much
_POINTS = 600  # more cannot be seen


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart."""

    look: str  # class of the style
    name: str
    t_s: Floats
    values: Array  # nan breaks the line
    role: str = "value"  # its value is told; or a `note`, whose name is told; or a `plan` made at the moment


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines on one axis of values."""

    title: str
    unit: str  # empty for a share
    low: float
    high: float
    now: tuple[tuple[str, str], ...]  # look and value at the moment
    notes: tuple[tuple[str, str], ...]  # look and name of lines beside the main one
    picture: Markup

    @property
    def places(self) -> int:
        return places(self.low, self.high)


@dataclass(frozen=True, slots=True)
class Signals:
    """All that a page shows of a span over time."""

    fired: Mapping[str, Markup]  # by trigger: when it did
    charts: tuple[Chart, ...]
    axis: Markup


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a drive as an axis: from and to in seconds since its first instant."""

    low: float
    high: float

    @classmethod
    def of(cls, drive: Drive, start_ns: int, end_ns: int) -> Span:
        return cls(float(start_ns - drive.t_ns[0]) / NS, float(end_ns - drive.t_ns[0]) / NS)

    def share(self, t_s: Floats | float) -> Floats:
        """Where a time lies, 0 to 1 within the span."""
        return np.asarray((np.asarray(t_s) - self.low) / max(self.high - self.low, 1e-9))

    def ticks(self) -> list[float]:
        """Round seconds within, at most eight or so."""
        steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600)
        step = next((step for step in steps if (self.high - self.low) / step <= 8), 7200)
        return [
            float(tick)
            for tick in np.arange(np.ceil(self.low / step - 1e-6), np.floor(self.high / step + 1e-6) + 1) * step
        ]


def signals(
    moment: Moment, start_ns: int, end_ns: int, events: Sequence[Event] = (), shaded: Sequence[Event] = ()
) -> Signals:
    """When the events of a span were, and the charts for which the drive has columns, with some events shaded."""
    drive, span = moment.drive, Span.of(moment.drive, start_ns, end_ns)
    inside = slice(*np.searchsorted(drive.t_ns, [start_ns, end_ns + 1]).tolist())
    marked = _when(moment.at_s, span)
    under = Markup("").join(_shade(event, drive, span) for event in shaded)
    drawn = (*_own(moment, inside), *_compared(moment, inside))
    return Signals(
        dict(_fired(events, drive, span, marked)),
        tuple(_chart(title, unit, lines, span, moment.at_s, under, marked) for title, unit, lines in drawn),
        _axis(span),
    )


def places(low: float, high: float) -> int:
    """How many decimals tell values within a range apart."""
    return int(np.clip(1 - np.floor(np.log10(max(high - low, 1e-9) / 3)), 0, 3))


def number(value: Any, decimals: int) -> str:
    """A value for people: a true minus, no minus before nothing, a dash for what is unknown or no number."""
    known = isinstance(value, int | float | np.number) and np.isfinite(value)
    return f"{value:z.{decimals}f}".replace("-", "−") if known else "–"


def duration(seconds: float | None) -> str:
    """Seconds for people: 42.0 s, 3 min 20 s, 12 h 5 min."""
    if seconds is None or seconds != seconds:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, left = divmod(minutes, 60)
    return f"{hours} h {left} min" if hours else f"{minutes} min {rest} s"


# The lines ------------------------------------------------------------------------------------------------------------


def _own(moment: Moment, inside: slice) -> Iterator[tuple[str, str, list[Line]]]:
    drive, t_s = moment.drive, moment.drive.t_s[inside]
    for title, (main, *notes) in OWN.items():
        if main in drive and np.isfinite(drive[main][inside]).any():
            lines = [Line("human", main, t_s, drive[main][inside])]
            lines += [Line(look, name, t_s, drive[name][inside], "note") for name, look in notes if name in drive]
            lines = [line for line in lines if np.isfinite(line.values).any()]
            yield title, COLUMNS[main][1], lines + (_planned_speed(moment) if main == "speed" else [])


def _planned_speed(moment: Moment) -> list[Line]:
    """The speeds that each policy planned at the moment, over the seconds that it planned for."""
    at_s = np.asarray(moment.at_s + PLAN_STEP_S * np.arange(PLAN_STEPS + 1), np.float64)
    start = moment.drive["speed"][moment.instant]
    return [
        Line(f"planned {intent.look}", intent.policy, at_s, np.append(start, intent.likeliest[:, 3]), "plan")
        for intent in moment.intents
    ]


def _compared(moment: Moment, inside: slice) -> Iterator[tuple[str, str, list[Line]]]:
    runs, t_s = list(moment.drive.shadows.values()), moment.drive.t_s[inside]
    for title, (theirs, human, unit) in COMPARED.items():
        own = [Line("human", "driven", t_s, run[human][inside]) for run in runs if human in run.columns]
        plans = [
            Line(moment.looks[run.policy], run.policy, t_s, run[theirs][inside])
            for run in runs
            if theirs in run.columns and np.isfinite(run[theirs][inside]).any()
        ]
        if plans:
            yield title, unit, own[:1] + plans


# The pictures ---------------------------------------------------------------------------------------------------------


def _chart(title: str, unit: str, lines: list[Line], span: Span, at_s: float, under: Markup, marked: Markup) -> Chart:
    low, high = _range(lines, unit, span)
    paths = Markup("").join(
        Markup('<path class="{}" d="{}"/>').format(line.look, _d(line, span, low, high)) for line in reversed(lines)
    )
    drawn = Markup('<svg viewBox="0 0 1000 100" preserveAspectRatio="none" width="100%" height="100%">{}</svg>').format(
        paths
    )
    said = f"{title}: {number(low, 1)} to {number(high, 1)} {unit}"
    return Chart(
        title,
        "" if unit in ("1", "share") else unit,
        low,
        high,
        tuple((line.look, number(_at(line, at_s), places(low, high))) for line in lines if line.role == "value"),
        tuple((line.look, line.name.replace("_", " ")) for line in lines if line.role == "note"),
        _svg("chart", under + _zero(low, high) + drawn + marked, said),
    )


def _at(line: Line, at_s: float) -> float:
    return float(line.values[np.argmin(np.abs(line.t_s - at_s))])


def _range(lines: list[Line], unit: str, span: Span) -> tuple[float, float]:
    """The values that a chart spans: all that is seen, and at least what makes a change worth seeing."""
    seen = np.concatenate([line.values[(line.t_s >= span.low) & (line.t_s <= span.high)] for line in lines])
    seen = seen[np.isfinite(seen)]
    low, high = (float(seen.min()), float(seen.max())) if len(seen) else (0.0, 0.0)
    if unit == "share":
        return 0.0, 1.0
    spare = max(_LEAST.get(unit, 0.0) - (high - low), 0.0)
    if low >= 0 and low - spare / 2 < 0:
        return 0.0, high + spare - low
    return low - spare / 2, high + spare / 2


def _height(values: Array, low: float, high: float) -> Floats:
    """How far down a value lies, in percent; a tenth is kept free above and below."""
    return np.asarray(90 - 80 * (np.asarray(values, float) - low) / max(high - low, 1e-9))


def _d(line: Line, span: Span, low: float, high: float) -> str:
    """The line as a path on 1000 by 100, broken where a value is unknown."""
    every = max(1, len(line.t_s) // _POINTS)
    x, y = 1000 * span.share(line.t_s[::every]), _height(line.values[::every], low, high)
    known = np.isfinite(y)
    starts = known & ~np.append(False, known[:-1])
    return "".join(f"{'M' if starts[i] else 'L'}{x[i]:.1f} {y[i]:.1f}" for i in np.flatnonzero(known))


def _zero(low: float, high: float) -> Markup:
    y = float(_height(np.array(0.0), low, high))
    return (
        Markup('<line class="zero" x1="0" x2="100%" y1="{0:.1f}%" y2="{0:.1f}%"/>').format(y)
        if low < 0 < high
        else Markup("")
    )


def _fired(events: Sequence[Event], drive: Drive, span: Span, marked: Markup) -> Iterator[tuple[str, Markup]]:
    for name in dict.fromkeys(event.trigger for event in events):
        bars = Markup("").join(_shade(event, drive, span) for event in events if event.trigger == name)
        yield name, _svg("strip", bars + marked, f"when {name} fired")


def _shade(event: Event, drive: Drive, span: Span) -> Markup:
    """The time of an event, at least a line wide."""
    there = Span.of(drive, event.start_ns, event.end_ns)
    left, right = np.clip(100 * span.share(np.array([there.low, there.high])), 0, 100)
    return Markup('<rect class="shade" x="{:.2f}%" width="{:.2f}%" height="100%"/>').format(
        left, max(right - left, 0.5)
    )


def _when(at_s: float, span: Span) -> Markup:
    return Markup('<line class="when" x1="{0:.2f}%" x2="{0:.2f}%" y1="0" y2="100%"/>').format(
        float(100 * span.share(at_s))
    )


def _axis(span: Span) -> Markup:
    ticks = span.ticks()
    marks = []
    for tick in ticks:
        share = float(100 * span.share(tick))
        anchor = "start" if share < 3 else "end" if share > 97 else "middle"
        text = f"{tick:z.1f}".removesuffix(".0") + (" s" if tick == ticks[-1] else "")
        marks.append(Markup('<text x="{:.2f}%" y="13" text-anchor="{}">{}</text>').format(share, anchor, text))
    return _svg("axis", Markup("").join(marks), "seconds since the drive began")


def _svg(look: str, inside: Markup, said: str) -> Markup:
    return Markup('<svg class="{}" role="img" aria-label="{}">{}</svg>').format(look, said, inside)
