"""Some samples of a dataset as a dataset of their own: in any order, as often as wanted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from understudy.errors import DataError
from understudy.network.samples import Batch, Samples
from understudy.records import Ints

_SMALL = ("speed", "path", "light")  # that training asks of all samples before it begins


class Rows(Samples):
    """Rows (S,) of other samples; none is held out."""

    def __init__(self, of: Samples, rows: Ints) -> None:
        self.of, self.rows, self.rigs = of, rows, of.rigs
        self.name, self.contents, self.about = of.name, of.contents, of.about
        self.test = np.zeros(len(rows), bool)
        small = {name: of.column(name)[rows] for name in _SMALL}
        arrays = {"frame": rows, "test": self.test, "speed": small.pop("speed")}
        self.drives = [replace(of.drives[0], id=of.name, arrays=arrays, labels=small)]  # as if one drive had them all
        self.rig_number = of.rig_number[rows]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: Ints) -> Batch:
        return self.of.take(self.rows[indices])


def of_drives(samples: Samples, drives: Collection[str]) -> Ints:
    """The rows of some drives, in the order of the dataset. DataError where a drive is not in it."""
    if missing := sorted(set(drives) - {drive.id for drive in samples.drives}):
        raise DataError(f"dataset {samples.name} lacks {len(missing)} drives of the study, {missing[0]} among them")
    counts = [len(drive.arrays["frame"]) for drive in samples.drives]
    names = np.repeat([drive.id for drive in samples.drives], counts)
    return np.flatnonzero(np.isin(names, list(drives)))
