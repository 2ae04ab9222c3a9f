"""When somebody else becomes the leader: what cut-ins and cut-outs have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.records import Drive, Ints
from understudy.triggers.newest import newest_kept
from understudy.triggers.spans import clock, runs

NEEDS = ("leader_track", "leader_gap", "speed")
_SETTLE_S = 0.5  # who leads for less is a flicker of the detector, not a leader


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of leader; -1 is nobody. A leader lost and found again is none."""

    before: Ints  # the last instant of the old one
    after: Ints  # the first instant of the new one


@newest_kept
def changes(drive: Drive) -> Changes:
    track, t = drive["leader_track"], clock(drive).t_s
    apart_s = max(_SETTLE_S, 1.5 * clock(drive).period_s)
    first, last = runs(track)
    settled = t[last] - t[first] >= _SETTLE_S
    first, last = first[settled], last[settled]
    other = np.flatnonzero((track[last[:-1]] != track[first[1:]]) & (t[first[1:]] - t[last[:-1]] <= apart_s))
    return Changes(last[other], first[other + 1])
