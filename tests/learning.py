"""A lake of the sample drives with labels, small enough to learn from in seconds, and a short training.

`python -m tests.learning LAKE DATASET STEPS DIE_AT` trains in a process of its own, which may be killed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from understudy import label, sample
from understudy.dataset import Dataset, Frozen
from understudy.dataset import run as freeze
from understudy.ingest import ingest
from understudy.store import Lake
from understudy.train import Train, Trained
from understudy.train import run as train


def sample_lake(folder: Path, size: tuple[int, int] = (64, 32)) -> Lake:
    """The sample drives with pictures of three cameras, ingested and labelled twice a second."""
    sample.write(folder / "logs", size)
    lake = Lake(folder / "lake")
    ingest(lake, "mcap", folder / "logs")
    label.run(lake, label.Labels(every_s=0.5))
    return lake


def sample_dataset(lake: Lake, size: tuple[int, int] = (64, 32), held_out: float = 0.0) -> Frozen:
    return freeze(lake, Dataset(size=size, held_out=held_out))


def learn(lake: Lake, dataset: str, steps: int, die_at: int = 0, **settings: object) -> Trained:
    """A short training in float32; it kills itself when it has told of step `die_at`."""

    def told(line: Mapping[str, float]) -> None:
        if line["step"] == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    fast = Train(steps=steps, batch=4, views=4, warmup=10, precision="float32", save_every_s=0.0)
    return train(lake, dataset, replace(fast, **settings), told)  # type: ignore[arg-type]


if __name__ == "__main__":
    learn(Lake(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
