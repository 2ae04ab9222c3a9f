"""The page of a verdict: both drivers side by side, every suite with its interval drawn, the routes that cost most."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from markupsafe import Markup

from understudy.gate.run import read_boxes
from understudy.gate.verdict import TRUSTED, Finding, Pairs, Verdict
from understudy.geometry import move
from understudy.records import Floats
from understudy.store import Lake
from understudy.store.files import write_whole
from understudy.web.draw import line, screen
from understudy.web.signals import number
from understudy.web.standalone import fill, verdict_page
from understudy.worlds.film import FAST, side_by_side
from understudy.worlds.outcome import Route
from understudy.worlds.scenario import Scenario
from understudy.worlds.towns import town

WORST = 6
_SIDE = 30.0  # m around the paths in a drawing

MEASURES = {
    "score": "sub-scores' product and mean, PDM-style",
    "driving_score": "CARLA's: completion times infractions",
    "lane_distance": "mean distance to the lane's centre, m",
    "speed_limit": "keeping to the speed limit, 1 is always",
}
HEADLINES = {
    "promote": "Proven better: promote",
    "refuse": "Refused",
    "undecided": "Undecided: not proven either way",
}


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference on an axis that is symmetric about 0; all places are in percent of its width."""

    low: float
    high: float
    mean: float
    margin: float
    reach: float  # what the end of the axis stands for


@dataclass(frozen=True, slots=True)
class Worst:
    """A route that the candidate did worse than the champion, or better."""

    scenario: str
    suite: str
    difference: float
    champion: Route
    candidate: Route
    drawing: Markup
    box: str
    film: str = ""  # base64, WebM: the champion on the left


def write(lake: Lake, verdict: Verdict) -> Path:
    """Write the page into the lake, and say where it is."""
    path = lake.root / "pages" / verdict_page(verdict.champion_hash, verdict.candidate_hash, verdict.settings)
    write_whole(path, render(verdict, lambda one: _film(lake, verdict, one.scenario)).encode())
    return path


def render(verdict: Verdict, film: Callable[[Worst], bytes] = lambda _: b"") -> str:
    """The whole page as one HTML text, without a script and without an address; `film` shows both on a route."""
    rows = [(one, interval(one)) for one in (*verdict.evidence.findings, *verdict.evidence.guards)]
    changed = _changed(verdict.pairs)
    lost = [one for one in changed if one.difference < 0][:WORST]
    won = [one for one in reversed(changed) if one.difference > 0][:WORST]
    return fill(
        "verdict.html",
        ["page.css", "verdict.css"],
        {"number": number},
        verdict=verdict,
        headline=HEADLINES[verdict.outcome],
        rows=rows,
        measures=MEASURES,
        lost=[replace(one, film=base64.b64encode(film(one)).decode("ascii")) for one in lost],
        won=[replace(one, film=base64.b64encode(film(one)).decode("ascii")) for one in won],
        fast=FAST,
        trusted=TRUSTED,
        kinds=by_event(verdict.pairs),
        km={side: _per_100_km(verdict.pairs, side) for side in ("champion", "candidate")},
        reds=sum(route.reds for one in verdict.pairs.values() for route in one.candidate),
    )


def _film(lake: Lake, verdict: Verdict, scenario: str) -> bytes:
    """Both in a scenario, side by side; empty where one of the two has left nothing to show."""
    left, right = (read_boxes(lake, who, scenario) for who in (verdict.champion, verdict.candidate))
    if left is None or right is None:
        return b""
    where = Scenario.parse(scenario)
    known = lake.drive(where.town, cameras=False, truth=False).map if where.world == "replay" else town(where.town).map
    return side_by_side(known, left, right)


def interval(one: Finding) -> Interval | None:
    """Where a finding's interval lies on its axis; None where it has none."""
    paired = one.paired
    if not np.isfinite([paired.low, paired.high]).all():
        return None
    reach = max(abs(paired.low), abs(paired.high), 1.5 * one.margin)
    low, high, mean, margin = (
        round(50 + 50 * value / reach, 2) for value in (paired.low, paired.high, paired.mean, -one.margin)
    )
    return Interval(low, high, mean, margin, reach)


def by_event(pairs: Mapping[str, Pairs]) -> list[tuple[str, int, float, float]]:
    """How both fared in each kind of event: name, routes, the champion's and the candidate's mean driving score."""
    found: dict[str, list[tuple[float, float]]] = {}
    for one in pairs.values():
        for a, b in zip(one.champion, one.candidate, strict=True):
            words = a.scenario.split("/")
            if len(words) == 7 and words[5] != "none":
                found.setdefault(words[5].replace("_", " "), []).append((a.driving_score, b.driving_score))
    return [(name, len(two), *np.mean(two, axis=0).tolist()) for name, two in sorted(found.items())]


def _changed(pairs: Mapping[str, Pairs]) -> list[Worst]:
    """Routes by how much the candidate lost or won in driving score, the greatest loss first; ties left out."""
    found = []
    for suite, one in pairs.items():
        for a, b in zip(one.champion, one.candidate, strict=True):
            apart = b.driving_score - a.driving_score
            if abs(apart) > 0.01:
                drawing, box = _drawn(a, b)
                found.append(Worst(a.scenario, suite, apart, a, b, drawing, box))
    return sorted(found, key=lambda worst: (worst.difference, worst.scenario))


def _drawn(champion: Route, candidate: Route) -> tuple[Markup, str]:
    """Both paths from above, a dot each second, with a view box around them."""
    paths = [np.array(route.path).reshape(-1, 2) for route in (champion, candidate)]
    there = np.concatenate(paths)
    if not len(there):
        return Markup(""), "0 0 1 1"
    centre = np.round((there.min(axis=0) + there.max(axis=0)) / 2)
    parts = []
    for look, path in zip(("human", "plan p1"), paths, strict=True):
        local: Floats = move(np.array([0.0, 0.0, 0.0]), path - centre)
        parts.append(f'<path class="{look}" d="{line(local)}"/>')
        if len(local):
            x, y = screen(local[-1])
            parts.append(f'<circle class="{look.split()[-1]}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>')
    low, high = screen(there - centre).min(axis=0) - _SIDE / 2, screen(there - centre).max(axis=0) + _SIDE / 2
    width, height = np.maximum(high - low, _SIDE)
    return Markup("".join(parts)), f"{low[0]:.0f} {low[1]:.0f} {width:.0f} {height:.0f}"


def _per_100_km(pairs: Mapping[str, Pairs], side: str) -> tuple[int, float, float]:
    """Interventions, kilometres, and interventions per 100 km."""
    routes: Sequence[Route] = [route for one in pairs.values() for route in getattr(one, side)]
    km = sum(route.metres for route in routes if np.isfinite(route.metres)) / 1000
    count = sum(route.interventions for route in routes)
    return count, km, 100 * count / km if km > 0 else float("nan")
