"""The map under a drive, prepared once, for the triggers that doubt it."""

from __future__ import annotations

import numpy as np

from understudy.errors import DataError
from understudy.maps import Roads
from understudy.records import Drive, Ints
from understudy.triggers.newest import newest_kept
from understudy.triggers.spans import clock

LOOK_S = 0.5  # a map does not change from one instant to the next, and asking it is dear


def roads(drive: Drive) -> Roads:
    """The drive's map; DataError where it has none."""
    if drive.map is None:
        raise DataError(f"drive {drive.id} has no map")
    return _prepared(drive.map)


_prepared = newest_kept(Roads)


def looks(drive: Drive) -> Ints:
    """The instants at which the map is asked: one every LOOK_S."""
    return np.flatnonzero(np.diff(np.floor(clock(drive).t_s / LOOK_S), prepend=-1.0) > 0)
