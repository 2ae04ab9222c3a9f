"""What the human commanded: the answer for logs that know no positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.labelers import Label
from understudy.labelers.path import by_human
from understudy.records import Drive, Ints


@dataclass(frozen=True)
class Control:
    """Steering and throttle, (B, 2), as fractions (see the columns `steer` and `throttle`)."""

    needs: ClassVar[tuple[str, ...]] = ("steer",)

    def label(self, drive: Drive, instants: Ints) -> Label:
        throttle = drive.columns.get("throttle", np.full(len(drive), np.nan))
        commands = np.stack([drive["steer"], throttle], axis=-1)
        known = by_human(drive, instants, 0.0)
        return Label(np.where(known[:, None], commands[instants], np.nan).astype(np.float32))
