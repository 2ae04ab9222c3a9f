#!/usr/bin/env python3
"""What strategies of the study of selection choose, by the truth that they do not know: windows with what is rare.

    python -m benchmarks.chosen LAKE --pool weather

LAKE is one in which `understudy study selection` has looked at such a pool. For each seed's half of it, and each
strategy, so many of the chosen windows show a rare weather, or an event of a kind that no trigger is tuned on. Nothing
is trained or driven: a minute.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from understudy.evidence import random_of
from understudy.network.samples import Samples
from understudy.store import Lake
from understudy.study import selection
from understudy.study.ceiling import happened
from understudy.study.design import KEPT, WEATHERS, Selection
from understudy.study.strategies import choose

STRATEGIES = ("random", "uniform", "entropy", "spread", "core_set", "active_ad", "disagreement", "consequence",
              "explained", "triggers", "worth_first", "lessons", "mixture", "ours")  # fmt: skip


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("lake", type=Path)
    ask.add_argument("--pool", default="weather", help="default, tenth or weather")
    ask.add_argument("--journal", type=Path, default=selection.JOURNAL, help="whose last line says what was looked at")
    asked = ask.parse_args()
    line = json.loads(asked.journal.read_text(encoding="utf-8").splitlines()[-1])
    told = {name: tuple(value) if isinstance(value, list) else value for name, value in line["settings"].items()}
    ground = selection.Ground(asked.lake, line["dataset"], line["start"], Selection(**told))
    lake, pool = Lake(asked.lake), selection._pool(ground, asked.pool)
    samples = Samples(lake, ground.dataset)
    for seed in range(ground.design.seeds):
        half = pool.half(random_of(f"pool {seed}"))
        found = happened(lake, samples, half)
        groups = {"rare weather": WEATHERS, "kept kinds": KEPT}
        shows = {
            group: np.any([found[one] for one in names if one in found], axis=0) for group, names in groups.items()
        }
        print(f"seed {seed}: {len(half)} windows", {group: int(np.sum(there)) for group, there in shows.items()})
        for strategy in STRATEGIES:
            windows = choose(strategy, half, ground.design.budget_s, random_of(f"{strategy} {seed}"))
            counts = {group: int(np.sum(there[windows])) if np.ndim(there) else 0 for group, there in shows.items()}
            print(f"  {strategy:<14}{len(windows):>4}", *(f"{group} {count:>3}" for group, count in counts.items()))


if __name__ == "__main__":
    main()
