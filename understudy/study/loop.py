"""Does the loop improve the driver, and by more than as many seconds chosen at random?

Every seed has two arms, each a lake of its own: `triggers`, the loop as it is, and `chance`, the same with clips chosen
at random and nothing asked of the next turn. Both begin with the same first champion. The first champion, each arm's
last champion and its last candidate drive audit routes, in towns that no fleet, no suite of the gate and no campaign
ever comes to; nothing of the audit finds its way back into an arm. Candidates tell what an arm has learned where a
small gate could not prove it.

An arm that was killed goes on where it was, as turns do. A driver that was audited is a line of the journal.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from understudy import workers
from understudy.errors import DataError, SettingsError
from understudy.evidence import bootstrap, rate_ratio
from understudy.gate.driving import drive_route
from understudy.gate.entrants import Entrant, entrant
from understudy.gate.suites import SIDE, TOWNS, assert_side, special
from understudy.records import Floats
from understudy.registry import Registry
from understudy.store import Lake, digest
from understudy.study.journal import Line, append, by_ground, commit, machine, read
from understudy.study.strides import Panel, Stride
from understudy.study.strides import picture as drawn
from understudy.turn.diary import Told, turns
from understudy.turn.preset import Preset
from understudy.turn.run import run as go_round
from understudy.worlds import sides
from understudy.worlds.events import KINDS
from understudy.worlds.events.met import METRES, met
from understudy.worlds.outcome import Route
from understudy.worlds.scenario import Scenario
from understudy.worlds.scene import WEATHERS

JOURNAL = Path("studies/loop.jsonl")
FIRST, TRIGGERS, CHANCE = "first", "triggers", "chance"  # the first champion and each arm's last: whom a line is about
LEARNED = {arm: f"{arm}, last candidate" for arm in (CHANCE, TRIGGERS)}
DRIVERS = (FIRST, CHANCE, TRIGGERS, *LEARNED.values())
PARTS = ("everyday", "weather", "events")  # of an audit
_AUDIT_TOWNS = slice(12, 24)  # of the gate's side, two of each kind
assert _AUDIT_TOWNS.start >= TOWNS
_FIRST_SEED = 9000
_KEPT_OF_ROUTES = ("score", "driving_score", "interventions", "metres")


@dataclass(frozen=True)
class Loop:
    """Settings of `understudy study loop`."""

    preset: str = "standard"  # of the turns
    seeds: int = 3  # each with two arms
    turns: int = 4  # of each arm
    routes: int = 200  # of the audit: a quarter clear, a quarter in other weather, half with rare events of every kind
    route_s: float = 20.0  # that a route may take at most; every event has begun by then


def audit(count: int) -> list[str]:
    """The scenarios of the audit, in towns of the gate's side beyond those that its suites drive in.

    Every second has an event, of every kind in turn; the rest are everyday driving, by turns in clear and in other
    weather.
    """
    places = sides.towns_of(SIDE, count=_AUDIT_TOWNS.stop)[_AUDIT_TOWNS]
    with_events = itertools.chain.from_iterable(zip(*(met("audit", kind) for kind in KINDS), strict=False))
    weathers = itertools.cycle(itertools.chain.from_iterable(("clear", name) for name in WEATHERS if name != "clear"))
    scenarios = [str(next(with_events) if i % 2 else _ordinary(i, places, next(weathers))) for i in range(count)]
    assert_side(scenarios, SIDE)
    return scenarios


def _ordinary(i: int, places: Sequence[str], weather: str) -> Scenario:
    """Two routes in a row, one clear and one not, lie in one town."""
    seed, town = _FIRST_SEED + i, places[i // 4 % len(places)]
    return Scenario(town=town, route=f"r{seed}:{METRES}", weather=weather, seed=seed)


def run(
    root: Path,
    design: Loop,
    preset: Preset,
    path: Path = JOURNAL,
    command: str = "",
    processes: int = 0,
    on_line: Told | None = None,
    tell: Callable[[workers.Outcome, int], None] | None = None,
) -> list[Line]:
    """Go round in every arm of every seed, then audit; each driver is a line of the journal at `path`.

    The lakes of the arms lie under `root`, those of other presets and numbers of turns beside them. `on_line` hears the
    diaries of turns, `tell` each route of an audit and how many there are.
    """
    for name, told in asdict(design).items():
        if name != "preset" and told <= 0:
            raise SettingsError(f"loop.{name} wants more than 0, got {told:g}")
    for seed in range(design.seeds):
        units = {who: _named(design, preset, seed, who) for who in DRIVERS}
        first = {line["driver"]: line["model"] for line in read(path) if line["unit"] == units[FIRST]}  # by who tells
        for arm, one in ((TRIGGERS, preset), (CHANCE, replace(preset, chosen="chance"))):
            if _done(path).issuperset(units[who] for who in (FIRST, arm, LEARNED[arm])):
                continue
            lake = Lake(arms(root, design, preset) / f"seed-{seed}" / arm)
            reports = go_round(lake, design.turns, one, seed=seed, world="city", processes=processes, on_line=on_line)
            registry = Registry(lake.root)
            reigns = [reign.model for reign in registry.reigns()]
            if not reigns:
                raise DataError(f"study of the loop: seed {seed}, {arm}: no champion came of the first turn")
            first[arm] = reigns[0]
            if len(set(first.values())) > 1:
                raise DataError(f"study of the loop: the arms of seed {seed} did not begin with the same champion")
            learned = [done["export"].get("candidate", reigns[-1]) for done in turns(lake).values()]
            for who, model in ((FIRST, reigns[0]), (arm, reigns[-1]), (LEARNED[arm], learned[-1])):
                if units[who] in _done(path):
                    continue
                heard = {line["model"]: line["routes"] for line in read(path) if line["unit"] in units.values()}
                routes = heard.get(model)  # who is champion still has driven it
                if routes is None:
                    drove = _audited(lake, entrant(registry.model(model).spec), design, processes, tell)
                    routes = {key: [_told(getattr(one, key)) for one in drove] for key in _KEPT_OF_ROUTES}
                append(
                    path,
                    {
                        "unit": units[who],
                        "seed": seed,
                        "driver": who,
                        "model": model,
                        "outcomes": [report["outcome"] for report in reports] if who == arm else [],
                        "settings": asdict(design),
                        "preset": asdict(preset),
                        "learner": _learner(),
                        "kinds": [special("everyday", scenario) for scenario in audit(design.routes)],
                        "routes": routes,
                        "command": command,
                        "commit": commit(),
                        "machine": machine(),
                    },
                )
    return comparable(read(path))


def arms(root: Path, design: Loop, preset: Preset) -> Path:
    """The folder of the arms of a design, named by all that makes their turns what they are."""
    made_by = digest([asdict(replace(design, seeds=0, routes=0, route_s=0.0)), asdict(preset), _learner()])
    return root / f"{design.preset}-{made_by[:8]}"


def _named(design: Loop, preset: Preset, seed: int, who: str) -> str:
    """A line's name: all that may change what comes out, but not how many seeds there are."""
    made_by = [asdict(replace(design, seeds=0)), asdict(preset), audit(design.routes), _learner()]
    return digest([*made_by, seed, who])[:20]


def _learner() -> str:
    """The code by which networks learn, of training and of the network: seeds that learned otherwise are no seeds of
    one study. What both import carries what is learned; the commit of a line tells it."""
    root = Path(__file__).resolve().parents[1]
    return digest(b"".join(path.read_bytes() for path in (root / "train.py", *sorted(root.glob("network/*.py")))))[:12]


def _done(path: Path) -> set[str]:
    return {line["unit"] for line in read(path)}


def _told(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def _audited(
    lake: Lake,
    who: Entrant,
    design: Loop,
    processes: int,
    tell: Callable[[workers.Outcome, int], None] | None,
) -> list[Route]:
    """The routes as one driver drives them. DataError where one could not be begun: then nothing could be compared."""
    scenarios = audit(design.routes)
    outcomes = workers.map_drives(
        partial(_drive, lake, who, design.route_s),
        sorted(scenarios, key=lambda scenario: Scenario.parse(scenario).town),  # whose ground is drawn once
        processes,
        tell and (lambda outcome: tell(outcome, len(scenarios))),
    )
    if errors := [outcome for outcome in outcomes if outcome.error]:
        raise DataError(f"audit: {len(errors)} of {len(outcomes)} routes failed, {errors[0].name}: {errors[0].error}")
    drove = {outcome.name: outcome.value for outcome in outcomes}
    return [drove[scenario] for scenario in scenarios]


def _drive(lake: Lake, who: Entrant, seconds: float, scenario: str) -> Route:
    return drive_route(lake, scenario, who, seconds)[0]


# What came out --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One driver over all seeds. Intervals are of the mean over routes, each the mean of the seeds that were run."""

    driver: str
    seeds: int
    score: float
    driving_score: float
    interventions: float  # per 100 km
    of_first: tuple[float, float, float]  # how many times the first champion's interventions per km: ratio, low, high
    over_first: tuple[float, float, float]  # gain, low, high
    over_chance: tuple[float, float, float] | None  # champion over champion, candidate over candidate; None without
    promoted: int  # turns, of all seeds


def comparable(lines: Sequence[Line]) -> list[Line]:
    """Those lines whose settings, but for the number of seeds, whose preset's numbers, whose networks' code and whose
    audit are the last one's."""
    return grounds(lines)[-1] if lines else []


def grounds(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines that may be compared with each other, together; what was worked on last comes last."""
    made_by = ("preset", "learner", "kinds")
    return by_ground(lines, lambda line: [{**line["settings"], "seeds": 0}, *(line.get(name) for name in made_by)])


def by_arms(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines of the seeds in which everybody was audited who was in any, and those of the others, by who was in them."""
    drivers: dict[int, set[str]] = {}
    for line in lines:
        drivers.setdefault(line["seed"], set()).add(line["driver"])
    sets = sorted({frozenset(found) for found in drivers.values()}, key=len, reverse=True)
    return [[line for line in lines if drivers[line["seed"]] == found] for found in sets]


def rows(lines: Sequence[Line], part: str = "", measure: str = "driving_score") -> Iterator[Row]:
    """A row for every driver that was audited, of those seeds that have all of them; over all routes, or one of PARTS
    of them. Gains are in `measure`."""
    by = {(line["driver"], line["seed"]): line for line in lines}
    drivers = [who for who in DRIVERS if any(line["driver"] == who for line in lines)]
    seeds = [seed for seed in sorted({line["seed"] for line in lines}) if all((who, seed) in by for who in drivers)]
    if not seeds or FIRST not in drivers or len(drivers) < 2:  # one alone is held against nobody
        return
    drove = {who: [by[who, seed] for seed in seeds] for who in drivers}
    which = [not part or part_of(kind) == part for kind in lines[-1].get("kinds", ())] or slice(None)
    column = {name: {who: _values(own, name)[:, which] for who, own in drove.items()} for name in _KEPT_OF_ROUTES}
    values = column[measure]
    for who, own in drove.items():
        beside = LEARNED[CHANCE] if who in LEARNED.values() else CHANCE
        told = f"{part} {measure}".removesuffix("driving_score").strip()
        yield Row(
            driver=who,
            seeds=len(seeds),
            score=float(np.nanmean(column["score"][who])),
            driving_score=float(np.nanmean(column["driving_score"][who])),
            interventions=float(column["interventions"][who].sum() / max(column["metres"][who].sum(), 1.0) * 1e5),
            of_first=rate_ratio(
                column["interventions"][who].sum(axis=0),
                column["metres"][who].sum(axis=0),
                column["interventions"][FIRST].sum(axis=0),
                column["metres"][FIRST].sum(axis=0),
                f"{who} interventions of first {part}".rstrip(),
            ),
            over_first=_gain(values[who] - values[FIRST], f"{who} over first {told}".rstrip()),
            over_chance=_gain(values[who] - values[beside], f"{who} over chance {told}".rstrip())
            if beside in values
            else None,
            promoted=sum(line["outcomes"].count("promote") for line in own),
        )


def part_of(kind: str) -> str:
    """The part of an audit, one of PARTS, to which a route belongs, by what is special about it."""
    return "events" if kind in KINDS else "weather" if kind in WEATHERS else "everyday"


def table(found: Iterable[Row], measure: str = "driving score") -> str:
    """Rows as Markdown, whose gains are in `measure`."""
    heads = ["driver", "seeds", "promotions", "score", "driving score", "interventions per 100 km", "of the first's"]
    heads += [f"{measure} over the first", "over chance"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in found:
        cells = [f"`{row.driver}`", str(row.seeds), str(row.promoted) if row.driver in LEARNED else ""]
        cells += [f"{row.score:.3f}", f"{row.driving_score:.3f}", f"{row.interventions:.0f}"]
        cells += [told_ratio(row.of_first) if row.driver != FIRST else ""]
        cells += [told_gain(row.over_first) if row.driver != FIRST else ""]
        cells += [told_gain(row.over_chance) if row.over_chance and row.driver in (TRIGGERS, LEARNED[TRIGGERS]) else ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def told_gain(gain: tuple[float, float, float] | None) -> str:
    """A gain with its interval, in words."""
    return "–" if gain is None else "{:+.3f} ({:+.3f} to {:+.3f})".format(*gain)


def told_ratio(ratio: tuple[float, float, float]) -> str:
    """How many times as much, with its interval, in words."""
    value, low, _ = ratio
    return "–" if np.isnan(value) else f"{value:.2f}" if np.isnan(low) else "{:.2f} ({:.2f} to {:.2f})".format(*ratio)


def picture(studies: Iterable[Sequence[Line]]) -> str:
    """What every seed came to, as SVG: how far each arm's last champion is from the first, by its own measures."""
    names: list[str] = []
    found: dict[str, list[dict[str, Stride]]] = {"score": [], "driving score": [], "interventions per 100 km": []}
    for lines in studies:
        for seed in sorted({line["seed"] for line in lines}):
            by = {line["driver"]: line for line in lines if line["seed"] == seed}
            arms_of = [arm for arm in (TRIGGERS, CHANCE) if {FIRST, arm, LEARNED[arm]} <= set(by)]
            if not arms_of:
                continue
            names.append(f"seed {seed}, {by[FIRST]['commit'][:7]}")
            for title, own in found.items():
                measured = {who: _measured(line, title) for who, line in by.items()}
                own.append(
                    {arm: Stride(measured[FIRST][0], measured[arm], measured[LEARNED[arm]][0]) for arm in arms_of}
                )
    return drawn(names, [Panel(title, own) for title, own in found.items()])


def _measured(line: Line, title: str) -> tuple[float, float, float]:
    """A driver's own value, low and high over its routes."""
    identity = f"{line['unit']} {title}"
    if title == "interventions per 100 km":
        events, metres = (_values([line], name)[0] for name in ("interventions", "metres"))
        return rate_ratio(events, metres / 1e5, np.ones(len(events)), np.ones(len(events)), identity)
    values = _values([line], title.replace(" ", "_"))[0]
    return (float(np.nanmean(values)), *bootstrap(values, identity))


def _values(lines: Sequence[Line], name: str) -> Floats:
    """A number of every route, (seeds, routes); nan where unknown."""
    return np.array([line["routes"][name] for line in lines], float)


def _gain(differences: Floats, identity: str) -> tuple[float, float, float]:
    """The mean of differences (seeds, routes), and its 95 % interval over routes."""
    each = differences.mean(axis=0)
    return (float(np.nanmean(each)), *bootstrap(each, identity))
