"""The map under a drive, prepared once, for the triggers that doubt it."""

from __future__ import annotations

import numpy as np

from understudy.errors import DataError
from understudy.maps import Roads
from understudy.records import Drive, Ints
from understudy.triggers.once import once_a_drive
from understudy.triggers.spans import clock

LOOK_S = 0.5  # a map does not change from one instant to the next, and asking it is dear


@once_a_drive
def roads(drive: Drive) -> Roads:
    if drive.map is None:
        raise DataError(f"drive {drive.id} has no map")
    return Roads(drive.map)


def looks(drive: Drive) -> Ints:
    """The instants at which the map is asked: one every LOOK_S."""
    return np.flatnonzero(np.diff(np.floor(clock(drive).t_s / LOOK_S), prepend=-1.0) > 0)
