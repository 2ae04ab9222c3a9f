"""A person takes over from the model: the plainest way to be told that something was wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Driver, Event
from understudy.triggers.spans import moments


@dataclass(frozen=True)
class Intervention:
    """The wheel passes from a model to a human or a safety driver. Score: 1, or 2 for a safety driver."""

    needs: ClassVar[tuple[str, ...]] = ("who_drives",)

    def find(self, drive: Drive) -> Iterator[Event]:
        before, after = drive["who_drives"][:-1], drive["who_drives"][1:]
        taken = np.flatnonzero((before == Driver.MODEL) & ((after == Driver.HUMAN) | (after == Driver.SAFETY)))
        yield from moments(drive, taken + 1, np.where(after[taken] == Driver.SAFETY, 2.0, 1.0))
