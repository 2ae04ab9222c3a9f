"""A shadow run as the triggers ask it: what its plans would have done, and caused.

How far a plan was from what was driven often says no more than that the driver wanted to go elsewhere. What it would
have caused, where the driver did not, needs no excuse.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from understudy.records import PLAN_STEP_S, PLAN_STEPS, Drive, Event, Floats
from understudy.triggers.spans import clock, spans

HORIZON_S = PLAN_STEPS * PLAN_STEP_S


def said(drive: Drive, column: str) -> Floats:
    """A column of the drive's only shadow run, (T,); nan where it does not know it."""
    (run,) = drive.shadows.values()
    return np.asarray(run.columns.get(column, np.full(len(drive), np.nan)))


def caused(drive: Drive, subscore: str, least: float) -> Iterator[Event]:
    """Events where the plan's sub-score lies `least` below that of what was driven at the same instants.

    Score: by how much, summed over the seconds. Nothing is said where either is unknown.
    """
    lost = said(drive, f"human_{subscore}") - said(drive, f"plan_{subscore}")
    for start, end in zip(*spans(drive, lost >= least, bridge_s=0.5), strict=True):
        score = np.nansum(np.maximum(lost[start : end + 1], 0)) * clock(drive).period_s
        yield Event(drive.id, int(drive.t_ns[start]), int(drive.t_ns[end]), float(score))


def driven_later(drive: Drive) -> Floats:
    """The speed that was driven at the horizon of a plan, (T,); nan where the drive ends before or pauses meanwhile."""
    now = clock(drive)
    later = np.interp(now.t_s + HORIZON_S, now.t_s, drive["speed"], right=np.nan)
    for pause in now.pauses:
        later[(now.t_s <= now.t_s[pause]) & (now.t_s + HORIZON_S > now.t_s[pause])] = np.nan
    return np.asarray(later)
