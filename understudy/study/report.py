"""What a journal came to: a table of strategies, and the curve that they are held against, as rows and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.evidence import bootstrap
from understudy.study.design import EVERYDAY, LOOSE
from understudy.study.journal import Line, by_ground
from understudy.study.picture import Panel, Point, Series
from understudy.study.picture import picture as drawn
from understudy.study.worth import Worth, k_of

KEPT = "kept kinds"
WEATHER = "rare weather"
CLOSED = "driving_score"


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
    """Lines that may be compared with each other, together; what was worked on last comes last."""
    return by_ground(lines, _ground)


def _ground(line: Line) -> list[Any]:
    settings = {name: value for name, value in line["settings"].items() if name not in LOOSE}
    return [line["dataset"], line["start"], settings]


def score(line: Line, group: str, measure: str = "score") -> float:
    """What a unit's network is worth in a group; of what is rare the mean, each kind (or weather) counting by its
    instants (or routes), of which all get as many where they happen often enough.

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
        for group in (EVERYDAY, WEATHER if rate == "weather" else KEPT):
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
        f"| pool | judged by | strategy | clip-seconds | seeds | {measure} | k | gain over random |",
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


def picture(found: Sequence[Row]) -> str:
    """Score against clip-seconds as SVG: a panel for each rate and group, random's curve, a point for every strategy,
    95 % intervals over seeds as bars."""
    series: dict[tuple[str, str], dict[str, list[Point]]] = {}
    for row in found:
        own = series.setdefault((row.rate, row.group), {}).setdefault(row.strategy, [])
        own.append(Point(row.seconds, row.score, row.low, row.high))
    panels = [
        Panel(
            f"{group}, pool {rate}",
            "clip-seconds",
            tuple(Series(name, tuple(points), curve=name == "random") for name, points in own.items()),
        )
        for (rate, group), own in series.items()
    ]
    return drawn(panels, baseline="random")
