"""Shadow runs as the triggers ask them: over all runs of a drive, what the worst of them would have done, and caused.

How far a plan was from what was driven often says no more than that the driver wanted to go elsewhere. What it would
have caused, where the driver did not, needs no excuse.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from understudy.records import PLAN_STEP_S, PLAN_STEPS, Drive, Event, Floats
from understudy.triggers.spans import clock, spans

HORIZON_S = PLAN_STEPS * PLAN_STEP_S


def largest(drive: Drive, column: str) -> Floats:
    """The largest value of a column among the shadow runs, (T,); nan where none knows it."""
    best = np.full(len(drive), np.nan)
    for run in drive.shadows.values():
        best = np.fmax(best, run.columns.get(column, np.nan))
    return best


def smallest(drive: Drive, column: str) -> Floats:
    """The smallest value of a column among the shadow runs, (T,); nan where none knows it."""
    best = np.full(len(drive), np.nan)
    for run in drive.shadows.values():
        best = np.fmin(best, run.columns.get(column, np.nan))
    return best


def caused(drive: Drive, subscore: str, least: float) -> Iterator[Event]:
    """Events where the worst plan's sub-score lies `least` below that of what was driven at the same instants.

    Score: by how much, summed over the seconds. Nothing is said where either is unknown.
    """
    lost = np.full(len(drive), np.nan)
    for run in drive.shadows.values():
        lost = np.fmax(lost, run.columns.get(f"human_{subscore}", np.nan) - run.columns.get(f"plan_{subscore}", np.nan))
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
