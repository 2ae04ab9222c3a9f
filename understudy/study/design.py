"""What the study of selection drives, chooses, trains and judges; everything else follows from it.

Three groups of drives never share a town with each other: the base that the start learned from and the pool that is
chosen from lie in towns for training, what judges lies in towns for regression. The gate's towns are left alone.

What is rare is set by drives. In a pool at the default rate all have rare events now and then (`tail`), in one at a
tenth every tenth drive has, and the others have none; in a pool of weather every tenth drive is in weather that the
start has never seen, and all have events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from understudy.errors import SettingsError
from understudy.fleet import PICTURES, Tour
from understudy.worlds import sides
from understudy.worlds.events import KINDS
from understudy.worlds.events.met import METRES, met
from understudy.worlds.scenario import Scenario

KEPT = tuple(name for name, kind in KINDS.items() if kind.kept)  # no trigger was tuned on them
EVERYDAY = "everyday"
WEATHERS = ("night", "fog", "rain")  # rare in a pool of weather
RATES = ("default", "tenth", "weather")
LOOSE = ("seeds", "strategies", "multiples", "rates")  # settings that change which units there are, not what they are
_BASE_TOWNS = 6  # the first train towns, one of each kind
_FASTEST = 14.0  # m/s, for how long a route must be


@dataclass(frozen=True)
class Selection:
    """Settings of `understudy study selection`."""

    rates: tuple[str, ...] = ("default", "tenth")  # of rare events in the pool; or `weather`
    strategies: tuple[str, ...] = (  # beside random; docs/study.md says what each does
        "uniform", "entropy", "spread", "core_set", "active_ad", "disagreement", "consequence", "explained",
        "surprising", "triggers", "worth", "worth_first", "lessons", "mixture", "ours",
    )  # fmt: skip
    multiples: tuple[int, ...] = (0, 1, 2, 4, 8)  # of the budget, that random gets; 0 is replay alone
    seeds: int = 5  # each chooses from its own half of the pool, and trains for itself
    budget_s: float = 300.0  # of clips
    window_s: float = 5.0  # a clip
    drive_minutes: float = 5.0  # of base, pool and everyday drives
    base_drives: int = 12
    pool_drives: int = 40  # of which every seed has its own half to choose from
    everyday_drives: int = 8  # that judge
    kinds: tuple[str, ...] = KEPT  # of event, that judge
    kind_drives: int = 12  # that judge, of each of them, or of each rare weather
    kind_minutes: float = 1.5  # of those drives
    start_steps: int = 4000  # of the first champion, where no start is given
    steps: int = 300  # of each unit's further training
    batch: int = 32  # samples in a step
    lr: float = 5e-4  # of each unit; the champion learns at the usual one
    instants: int = 600  # judged of everyday driving, and of the kept kinds together
    routes: int = 0  # driven in closed loop by every unit, half everyday and half with kept kinds
    route_s: float = 40.0  # that a route may take at most

    def __post_init__(self) -> None:
        if not self.kinds:
            raise SettingsError("selection.kinds wants kinds of event to judge by, got none")
        if self.routes < 0 or self.routes == 1:
            raise SettingsError(f"selection.routes wants 0, or some for each of two groups, got {self.routes}")
        if learned := set(self.kinds) - set(KEPT):
            raise SettingsError(f"selection.kinds: {min(learned)} is not kept for judging; kept: {', '.join(KEPT)}")
        for rate in self.rates:
            if rate not in RATES:
                raise SettingsError(f"selection.rates: {rate!r} is not known; known: {', '.join(RATES)}")
        most = max((*self.multiples, 1)) * self.budget_s
        if most > (there := self.pool_drives // 2 * self.drive_minutes * 60):
            raise SettingsError(f"selection: a budget of {most:g} s out of {there:g} s a seed; make the pool larger")


@dataclass(frozen=True)
class Unit:
    """One selection, training and judging: what one line of the journal tells."""

    rate: str
    strategy: str
    multiple: int
    seed: int


def units(design: Selection) -> Iterator[Unit]:
    """All units, seed by seed, so that a study that is cut short has whole seeds."""
    for seed in range(design.seeds):
        for rate in design.rates:
            yield from (Unit(rate, "random", multiple, seed) for multiple in design.multiples)
            yield from (Unit(rate, strategy, 1, seed) for strategy in design.strategies)


# Drives ---------------------------------------------------------------------------------------------------------------


def base(design: Selection) -> list[Tour]:
    """What the start learns from: everyday driving, in the first train towns."""
    places = sides.towns_of("train", count=_BASE_TOWNS)
    return [_tour(places, 1000 + i, "none", design.drive_minutes) for i in range(design.base_drives)]


def pool(design: Selection, rate: str) -> list[Tour]:
    """What is chosen from, in other train towns."""
    places = sides.towns_of("train", count=2 * _BASE_TOWNS)[_BASE_TOWNS:]
    found = []
    for i in range(design.pool_drives):
        tenth = i % 10 == 0
        event = "none" if rate == "tenth" and not tenth else "tail"
        weather = WEATHERS[i // 10 % len(WEATHERS)] if rate == "weather" and tenth else "clear"
        found.append(_tour(places, 2000 + i, event, design.drive_minutes, weather))
    return found


def rare(design: Selection, rate: str) -> tuple[str, ...]:
    """What judges beside everyday driving: kinds of event, or weathers."""
    return WEATHERS if rate == "weather" else design.kinds


def judges(design: Selection, rate: str) -> dict[str, list[Tour]]:
    """What judges, by everyday or what is rare, in towns where nobody trains."""
    places = sides.towns_of("regression", count=_BASE_TOWNS)
    found = {EVERYDAY: [_tour(places, 3000 + i, "none", design.drive_minutes) for i in range(design.everyday_drives)]}
    for number, name in enumerate(rare(design, rate)):
        first = (6000 if name in WEATHERS else 4000) + 100 * number
        event, weather = ("none", name) if name in WEATHERS else (name, "clear")
        found[name] = [_tour(places, first + i, event, design.kind_minutes, weather) for i in range(design.kind_drives)]
    return found


def routes(design: Selection, rate: str) -> dict[str, list[str]]:
    """The scenarios of the closed loop, by everyday or what is rare, which comes about on each; none that `judges`
    has."""
    names = rare(design, rate)
    asked = {EVERYDAY: _everyday(5000), **{name: _everyday(7000, name) for name in names if name in WEATHERS}}
    asked |= {kind: met("regression", kind) for kind in names if kind not in WEATHERS}
    found: dict[str, list[str]] = {}
    for i in range(design.routes):
        group = EVERYDAY if i % 2 == 0 else names[i // 2 % len(names)]
        found.setdefault(group, []).append(str(next(asked[group])))
    return found


def _everyday(first: int, weather: str = "clear") -> Iterator[Scenario]:
    places = sides.towns_of("regression", count=_BASE_TOWNS)
    for i in count(first):
        yield Scenario(town=places[i % len(places)], route=f"r{i}:{METRES}", weather=weather, seed=i)


def tours(design: Selection) -> list[Tour]:
    """Everything that must be driven first, each drive once."""
    asked = [*base(design), *(tour for rate in design.rates for tour in pool(design, rate))]
    asked += [tour for rate in design.rates for group in judges(design, rate).values() for tour in group]
    return list({tour.name: tour for tour in asked}.values())


def _tour(places: list[str], number: int, event: str, minutes: float, weather: str = "clear") -> Tour:
    route = f"r{number}:{round(minutes * 60 * _FASTEST)}"
    scenario = Scenario(town=places[number % len(places)], route=route, weather=weather, event=event, seed=number)
    return Tour(scenario, minutes, "human", {}, PICTURES)
