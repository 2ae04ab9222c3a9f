"""A lake of the sample drives with labels, small enough to learn from in seconds; made once for all tests."""

from __future__ import annotations

from pathlib import Path

from understudy import label, sample
from understudy.dataset import Dataset, Frozen
from understudy.dataset import run as freeze
from understudy.ingest import ingest
from understudy.store import Lake


def sample_lake(folder: Path, size: tuple[int, int] = (64, 32)) -> Lake:
    """The sample drives with pictures of three cameras, ingested and labelled twice a second."""
    sample.write(folder / "logs", size)
    lake = Lake(folder / "lake")
    ingest(lake, "mcap", folder / "logs")
    label.run(lake)
    return lake


def sample_dataset(lake: Lake, size: tuple[int, int] = (64, 32), held_out: float = 0.0) -> Frozen:
    return freeze(lake, Dataset(size=size, held_out=held_out))
