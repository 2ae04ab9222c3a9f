"""A track cannot make up its mind what it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from understudy.records import Drive, Event, Kind
from understudy.triggers.scene import OBJECTS, scene
from understudy.triggers.spans import clock, joined


@dataclass(frozen=True)
class KindFlicker:
    """A track within `distance` changes its kind twice within `within_s`. Score: how much nearer it is, m."""

    needs: ClassVar[tuple[str, ...]] = OBJECTS

    distance: float = 40.0  # m
    within_s: float = 2.0

    def find(self, drive: Drive) -> Iterator[Event]:
        seen, now = scene(drive), clock(drive)
        kind, track = seen.objects["kind"], seen.objects["track"]
        before = kind[seen.before]
        changed = (kind != before) & (seen.before >= 0) & (kind != Kind.UNKNOWN) & (before != Kind.UNKNOWN)
        rows = np.flatnonzero(changed)
        rows = rows[np.argsort(track[rows], kind="stable")]
        rows, away = seen.near(rows, self.distance)
        first, last = seen.instant[rows[:-1]], seen.instant[rows[1:]]
        twice = (track[rows[1:]] == track[rows[:-1]]) & (now.t_s[last] - now.t_s[first] <= self.within_s)
        twice &= np.searchsorted(now.pauses, last) == np.searchsorted(now.pauses, first)
        yield from joined(drive, first[twice], last[twice], self.distance - away[1:][twice])
