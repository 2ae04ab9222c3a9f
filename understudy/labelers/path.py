"""What the human drove next: the answer to what should have been planned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.labelers import Label
from understudy.observe import driven
from understudy.records import NS, PLAN_STEP_S, PLAN_STEPS, Array, Drive, Driver, Ints


@dataclass(frozen=True)
class Path:
    """The next 4 s as a plan, (B, K, 4): x, y, yaw, speed in the ego frame of the instant.

    Known only where a human drives all the way, nobody pushes the car off its path, and the recording goes on.
    """

    needs: ClassVar[tuple[str, ...]] = ("pose", "speed", "who_drives")

    def label(self, drive: Drive, instants: Ints) -> Label:
        path = driven(drive, instants)
        known = by_human(drive, instants, PLAN_STEPS * PLAN_STEP_S) & np.isfinite(path).all(axis=(1, 2))
        return Label(np.where(known[:, None, None], path, np.nan).astype(np.float32))


def by_human(drive: Drive, instants: Ints, ahead_s: float) -> Array:
    """Whether a human drives, unpushed, from each instant until `ahead_s` later, (B,)."""
    own = drive["who_drives"] == Driver.HUMAN
    if "pushed" in drive:
        own = own & ~drive["pushed"]
    strange = np.concatenate([[0], np.cumsum(~own)])  # instants before each that are not the human's own
    until = np.searchsorted(drive.t_ns, drive.t_ns[instants] + int(ahead_s * NS), side="right")
    return np.asarray(strange[until] == strange[instants])
