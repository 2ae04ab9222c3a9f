"""The study of selection, in order: drive, label, freeze, train a champion; then, unit by unit, choose, train, judge.

A unit's line is in the journal when it is done, and is not done again. Everything before is named by what made it, so a
study that was killed goes on where it was.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from understudy import dataset, label, workers
from understudy.dataset import Dataset, assert_apart
from understudy.errors import DataError, UnknownName
from understudy.evidence import random_of
from understudy.fleet import Tour, fleet_drive
from understudy.network.model import Network
from understudy.network.predict import find, load
from understudy.network.samples import Samples
from understudy.records import Array
from understudy.store import Lake, code_version
from understudy.store.files import digest
from understudy.study import design as plan
from understudy.study import journal
from understudy.study.ceiling import CEILINGS, happened
from understudy.study.companion import EVERY_S, Companion
from understudy.study.design import Selection, Unit
from understudy.study.learning import first, further
from understudy.study.pool import Looked, Pool, embeddings, joined, look
from understudy.study.roads import driven
from understudy.study.rows import of_drives
from understudy.study.strategies import STRATEGIES, choose
from understudy.train import Train

JOURNAL = Path("studies/selection.jsonl")
Tell = Callable[[workers.Outcome, int], None]


@dataclass(frozen=True)
class Ground:
    """What all units of a study share: the lake's dataset and the champion that they start from."""

    root: Path
    dataset: str
    start: str
    design: Selection

    def identity(self, unit: Unit) -> str:
        """What a unit is called: by what it starts from, what it does, and what may change what comes out."""
        shared = {name: value for name, value in asdict(self.design).items() if name not in plan.LOOSE}
        return digest([self.dataset, self.start, shared, asdict(unit)])


def prepare(lake: Lake, design: Selection, start: str = "", processes: int = 0, tell: Tell | None = None) -> Ground:
    """Drive, label and freeze what is not there yet, and train the champion where no model of the lake is given."""
    for strategy in design.strategies:
        if strategy not in (known := {*STRATEGIES, *CEILINGS}):
            raise UnknownName("strategy", strategy, known)
    _assert_apart(design)
    asked = plan.tours(design)
    recorded = fleet_drive(lake, asked, processes, tell and (lambda outcome: tell(outcome, len(asked))))
    label.run(lake, label.Labels(every_s=EVERY_S), processes)
    frozen = dataset.run(lake, Dataset(held_out=0.0), processes=processes)
    samples = Samples(lake, frozen.name)
    there = {drive.id for drive in samples.drives}
    if not there & {tour.drive for tour in plan.base(design)}:
        lost = next(iter(recorded.failures.values()), "they are not in the dataset")
        raise DataError(f"the study has no drives to begin with: {lost}")
    if not start:
        base = of_drives(samples, _present(plan.base(design), there))
        start = first(lake, samples, base, Train(steps=design.start_steps))
    return Ground(lake.root, frozen.name, find(lake, start).part, design)


def look_at_pools(ground: Ground, processes: int = 0, tell: Tell | None = None) -> None:
    """Let the champion see the pools in its shadow, drive by drive; what was seen is kept."""

    def each(function: Callable[[Ground, str], Any], drives: list[str]) -> list[Any]:
        outcomes = workers.map_drives(
            partial(function, ground), drives, processes, tell and (lambda outcome: tell(outcome, len(drives)))
        )
        if errors := [outcome.error for outcome in outcomes if outcome.error]:
            raise DataError(
                f"looking at the pool: {len(errors)} of {len(drives)} drives failed, the first: {errors[0]}"
            )
        return [outcome.value for outcome in outcomes]

    for rate in ground.design.rates:
        if not (path := _pool_file(ground, rate)).is_file():
            drives, base = _pool_drives(ground, rate)
            known = np.concatenate(each(_known, base))
            joined(each(_looked, drives), known, ground.design.window_s).save(path)


def run(
    ground: Ground,
    path: Path = JOURNAL,
    command: str = "",
    processes: int = 0,
    tell: Tell | None = None,
    most: int | None = None,
) -> list[dict[str, Any]]:
    """Do the units that the journal lacks (`most` of them), and give all of its lines. The pools were looked at."""
    units = {ground.identity(unit): unit for unit in plan.units(ground.design)}
    told = {"command": command, "settings": asdict(ground.design), "dataset": ground.dataset, "start": ground.start}
    return journal.carry_out(path, units, partial(do, ground), told, processes, tell, most)


# One unit -------------------------------------------------------------------------------------------------------------


def do(ground: Ground, unit: Unit) -> dict[str, Any]:
    """One unit: choose, train, judge. Everything that chance decides follows from the unit and its seed."""
    design, began = ground.design, time.process_time()
    champion, samples = _champion(ground), _samples(ground)
    base = of_drives(samples, _present(plan.base(design), {drive.id for drive in samples.drives}))
    pool = _pool(ground, unit.rate).half(random_of(f"pool {unit.seed}"))
    random = random_of(f"{unit.strategy} {unit.seed}")
    budget_s = unit.multiple * design.budget_s
    if unit.strategy in CEILINGS:
        there = happened(Lake(ground.root), samples, pool)
        windows = CEILINGS[unit.strategy](there, plan.rare(design, unit.rate), pool.affords(budget_s), random)
    else:
        windows = choose(unit.strategy, pool, budget_s, random)
    identity = ground.identity(unit)
    warmup = min(design.steps // 10, 100)
    settings = Train(steps=design.steps, batch=design.batch, lr=design.lr, warmup=warmup, seed=unit.seed)
    folder = ground.root / "training" / f"unit-{identity}"
    network = further(samples, pool.samples(windows), base, champion, settings, folder)
    judged = {group: asdict(one) for group, one in _companion(ground, unit.rate).judge(network).items()}
    lake, roads = Lake(ground.root), plan.routes(design, unit.rate)
    about = find(lake, ground.start).about
    closed = driven(lake, network, about, roads, design.route_s, folder) if roads else {}
    shutil.rmtree(folder, ignore_errors=True)
    return {
        "unit": identity,
        **asdict(unit),
        "seconds": len(windows) * pool.window_s,
        "companion": judged,
        "closed_loop": closed,
        "cpu_s": round(time.process_time() - began, 1),
    }


@lru_cache(maxsize=1)
def _champion(ground: Ground) -> Network:
    return load(Lake(ground.root), ground.start)[0]


@lru_cache(maxsize=1)
def _samples(ground: Ground) -> Samples:
    return Samples(Lake(ground.root), ground.dataset)


@lru_cache(maxsize=2)
def _pool(ground: Ground, rate: str) -> Pool:
    return Pool.read(_pool_file(ground, rate))


def _pool_file(ground: Ground, rate: str) -> Path:
    drives, base = _pool_drives(ground, rate)
    code = code_version(["understudy.study.pool"])
    name = digest([ground.dataset, ground.start, ground.design.window_s, drives, base, code])
    return ground.root / "study" / f"pool-{name}.npz"


def _pool_drives(ground: Ground, rate: str) -> tuple[list[str], list[str]]:
    """The drives of a pool, and those of the base."""
    there = {drive.id for drive in _samples(ground).drives}
    return _present(plan.pool(ground.design, rate), there), _present(plan.base(ground.design), there)


def _looked(ground: Ground, drive: str) -> Looked:
    return look(Lake(ground.root), _samples(ground), drive, _champion(ground), ground.design.window_s)


def _known(ground: Ground, drive: str) -> Array:
    return embeddings(_champion(ground), _samples(ground), of_drives(_samples(ground), [drive]))


@lru_cache(maxsize=2)
def _companion(ground: Ground, rate: str) -> Companion:
    samples = _samples(ground)
    there = {drive.id for drive in samples.drives}
    drives = {group: _present(asked, there) for group, asked in plan.judges(ground.design, rate).items()}
    return Companion(Lake(ground.root), samples, drives, ground.design.instants)


def _present(tours: Sequence[Tour], there: set[str]) -> list[str]:
    """The drives of tours that were driven: a car may be lost."""
    return [tour.drive for tour in tours if tour.drive in there]


def _assert_apart(design: Selection) -> None:
    """No town is learned from and judged by; DataError where one is."""
    learned = [tour.scenario.town for rate in design.rates for tour in (*plan.base(design), *plan.pool(design, rate))]
    for rate in design.rates:
        for group, asked in plan.judges(design, rate).items():
            assert_apart(learned, [tour.scenario.town for tour in asked], f"what judges {group}")
