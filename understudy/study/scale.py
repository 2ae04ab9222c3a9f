"""Would more data help, or a larger network? Score against instants and against parameters, on a lake's own drives.

Every unit trains one size on a share of the drives, from nothing and for as many steps, and is judged in the places
that the dataset holds out. Shares are nested: a larger one has all drives of a smaller one. What a unit trained stays
in the lake as a model, and its line in the journal is not written twice.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from understudy import dataset, evaluate, workers
from understudy.dataset import Dataset, Frozen
from understudy.errors import DataError, SettingsError
from understudy.evidence import bootstrap
from understudy.network.samples import Samples
from understudy.network.sizes import size_of
from understudy.store import Lake
from understudy.store.files import digest
from understudy.study import journal
from understudy.study.journal import Line
from understudy.study.learning import first
from understudy.study.picture import Panel, Point, Series, picture
from understudy.study.rows import of_drives
from understudy.train import Train

JOURNAL = Path("studies/scale.jsonl")
SHOWN: Mapping[str, str] = {  # of what `evaluate` tells: how it is called in tables
    "IoU drivable": "drivable IoU",
    "IoU vehicle": "vehicle IoU",
    "plan lateral_1s": "lateral at 1 s, m",
    "plan mean_displacement": "displacement, m",
}
SCORE = "plan score"
_UNITS = ("sizes", "shares", "seeds")  # settings that change which units there are, not what they are

Tell = Callable[[workers.Outcome, int], None]


@dataclass(frozen=True)
class Scale:
    """Settings of `understudy study scale`."""

    sizes: tuple[str, ...] = ("nano", "small")  # of networks
    shares: tuple[float, ...] = (0.1, 0.3, 1.0)  # of the drives to learn from
    seeds: int = 1  # trainings of each size and share
    steps: int = 2000  # of each training
    batch: int = 32  # samples in a step
    lr: float = 2e-3  # the largest of the schedule
    dull: float = 1.0  # as in datasets
    held_out: float = 0.2  # share of the places that judges

    def __post_init__(self) -> None:
        for name in self.sizes:
            size_of(name)
        for share in self.shares:
            if not 0 < share <= 1:
                raise SettingsError(f"scale.shares wants shares of the drives, above 0 and at most 1, got {share:g}")


@dataclass(frozen=True)
class Unit:
    """One training and judging: what one line of the journal tells."""

    size: str
    share: float
    seed: int


def units(design: Scale) -> Iterator[Unit]:
    """All units, seed by seed, the cheap ones first."""
    for seed in range(design.seeds):
        for size in design.sizes:
            yield from (Unit(size, share, seed) for share in sorted(design.shares))


def run(
    lake: Lake,
    design: Scale,
    path: Path = JOURNAL,
    command: str = "",
    processes: int = 0,
    tell: Tell | None = None,
) -> list[Line]:
    """Freeze a dataset for each size, do the units that the journal lacks, and give the lines of this study.

    The lake has labelled drives with pictures. DataError where nothing is held out.
    """
    made = {name: _freeze(lake, design, name, processes) for name in design.sizes}
    frozen = {name: one.name for name, one in made.items()}
    ground = digest(sorted({(one.places, one.test_places) for one in made.values()}))
    todo = {_named(design, frozen[unit.size], unit): unit for unit in units(design)}
    told = {"command": command, "settings": asdict(design), "ground": ground}
    return comparable(journal.carry_out(path, todo, partial(do, lake.root, design, frozen), told, processes, tell))


def do(root: Path, design: Scale, frozen: Mapping[str, str], unit: Unit) -> dict[str, Any]:
    """One unit: train, judge."""
    began, name, lake = time.process_time(), frozen[unit.size], Lake(root)
    samples = _samples(root, name)
    drives = chosen([drive.id for drive in samples.drives if not drive.arrays["test"].all()], unit.share)
    rows = of_drives(samples, drives)
    rows = rows[~samples.test[rows]]
    settings = Train(unit.size, design.steps, design.batch, design.lr, seed=unit.seed)
    model = first(lake, samples, rows, settings)
    found = evaluate.run(lake, model, name)
    return {
        "unit": _named(design, name, unit),
        **asdict(unit),
        "dataset": name,
        "model": model,
        "parameters": next(e for e in lake.entries(stage="train") if e.part == model).about["parameters"],
        "drives": len(drives),
        "instants": len(rows),
        "judged": found.samples,
        "measured": evaluate.told(found),
        "scores": {
            place: one.plan["score"]
            for place, one in found.by["place"].items()
            if np.isfinite(one.plan.get("score", np.nan))
        },
        "cpu_s": round(time.process_time() - began, 1),
    }


def chosen(drives: Sequence[str], share: float) -> list[str]:
    """So large a share of the drives, one at least: the first in an order that their names alone decide."""
    order = sorted(drives, key=lambda drive: hashlib.sha256(f"scale:{drive}".encode()).digest())
    return order[: max(round(share * len(order)), 1)]


def _freeze(lake: Lake, design: Scale, name: str, processes: int) -> Frozen:
    size = size_of(name)
    told = Dataset(size.picture, size.history_s, dull=design.dull, held_out=design.held_out)
    frozen = dataset.run(lake, told, processes=processes)
    if not (frozen.places and frozen.test_places):
        raise DataError(
            f"scale: {len(frozen.places)} places to learn in and {len(frozen.test_places)} held out to judge in, where "
            "both want some; more places or another scale.held_out help"
        )
    return frozen


def _named(design: Scale, frozen: str, unit: Unit) -> str:
    shared = {name: value for name, value in asdict(design).items() if name not in _UNITS}
    return digest([frozen, shared, asdict(unit)])


@lru_cache(maxsize=2)
def _samples(root: Path, name: str) -> Samples:
    return Samples(Lake(root), name)


# What came out --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One size on one share of the drives, the mean over seeds. The score is the mean over the places that judge, each
    counting as much, with its interval over these."""

    size: str
    parameters: int
    drives: int
    instants: int
    seeds: int
    measured: Mapping[str, float]
    score: float
    low: float
    high: float


def comparable(lines: Sequence[Line]) -> list[Line]:
    """Those lines that learned and were judged in the last one's places, by its settings but for which units there
    are."""

    def ground(line: Line) -> object:
        return line["ground"], {name: value for name, value in line["settings"].items() if name not in _UNITS}

    return journal.by_ground(lines, ground)[-1] if lines else []


def rows(lines: Sequence[Line]) -> Iterator[Row]:
    """A row for every size and share, by parameters and instants."""
    found: dict[tuple[int, int, str], list[Line]] = {}
    for line in lines:
        found.setdefault((line["parameters"], line["instants"], line["size"]), []).append(line)
    for (parameters, instants, size), own in sorted(found.items()):
        places = sorted(set.intersection(*(set(line["scores"]) for line in own)))
        by_place = np.array([np.mean([line["scores"][place] for line in own]) for place in places])
        low, high = bootstrap(by_place, f"scale {size} {instants}")
        told = {name: float(np.mean([line["measured"].get(name, np.nan) for line in own])) for name in SHOWN}
        score = float(by_place.mean()) if len(by_place) else np.nan
        seeds = len({line["seed"] for line in own})  # of few drives two shares may be the same
        yield Row(size, parameters, own[0]["drives"], instants, seeds, told, score, low, high)


def table(found: Sequence[Row]) -> str:
    """Rows as Markdown."""
    heads = ["size", "parameters", "drives", "instants", "seeds", *SHOWN.values(), SCORE]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in found:
        cells = [f"`{row.size}`", f"{row.parameters:,}", str(row.drives), f"{row.instants:,}", str(row.seeds)]
        cells += [f"{value:.3f}" for value in row.measured.values()]
        lines.append(f"| {' | '.join([*cells, f'{row.score:.3f} ({row.low:.3f} to {row.high:.3f})'])} |")
    return "\n".join(lines) + "\n"


def curves(found: Sequence[Row]) -> str:
    """The score and what is seen of vehicles, against instants, as SVG; a curve for every size."""
    sizes = list(dict.fromkeys(row.size for row in found))
    panels = []
    for title in (SCORE, SHOWN["IoU vehicle"]):
        series = []
        for size in sizes:
            own = [row for row in found if row.size == size]
            points = [
                Point(row.instants, row.score, row.low, row.high)
                if title == SCORE
                else Point(row.instants, row.measured["IoU vehicle"])
                for row in own
            ]
            series.append(Series(size, tuple(points)))
        panels.append(Panel(f"{title}, in places never seen", "instants to learn from", tuple(series)))
    return picture(panels)
