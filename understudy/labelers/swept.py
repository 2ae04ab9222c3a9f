"""Ground that traffic drove over: drivable without a map.

Where somebody drives it can be driven; where nobody did, nothing is known. So this tells of road, never of its end.
"""

from __future__ import annotations

import numpy as np

from understudy.geometry import corners
from understudy.metrics.motion import ahead
from understudy.records import MOTOR_VEHICLES, Drive, Floats, Objects

LONGEST_GAP_S = 0.6  # between two sights of somebody, of whom no more is known in between
MOVES = 1.0  # m/s: who stands may have been lifted there
MIDDLE = (
    0.6  # share of the width of others, whose boxes tremble: with all of it 3 % of the cells are not road, so 1.4 %
)


def swept(drive: Drive, objects: Objects | None) -> Floats:
    """What the ego and other motor vehicles drove over during all of the drive: quads (n, 4, 2) in the map frame.

    One from the rear of a vehicle at an instant to its front at the next one. Vehicles of unknown size or heading, and
    all but motor vehicles, tell nothing.
    """
    count, vehicle = len(drive), drive.vehicle
    own = ahead(drive.poses, vehicle.centre_x)
    size = np.broadcast_to([vehicle.length, vehicle.width], (count, 2))
    quads = [_between(drive.t_s, own, size, np.zeros(count))]
    if objects is not None:
        order = np.lexsort((objects.instant, objects["track"]))
        order = order[np.isin(objects["kind"][order], MOTOR_VEHICLES)]
        pose, size = (
            np.stack([objects[name][order] for name in names], axis=-1)
            for names in (("x", "y", "yaw"), ("length", "width"))
        )
        size = size * np.array([1.0, MIDDLE])
        quads.append(_between(drive.t_s[objects.instant[order]], pose, size, objects["track"][order]))
    return np.concatenate(quads)


def _between(t: Floats, pose: Floats, size: Floats, track: Floats) -> Floats:
    """The quads between rows that follow each other: times (n,), poses (n, 3), sizes (n, 2) and tracks (n,)."""
    dt = np.diff(t)
    metres = np.hypot(*np.diff(pose[:, :2], axis=0).T)
    known = np.isfinite(np.concatenate([pose, size], axis=1).sum(axis=1))
    follow = (np.diff(track) == 0) & (dt > 0) & (dt <= LONGEST_GAP_S) & known[1:] & known[:-1]
    rows = np.flatnonzero(follow & (metres > MOVES * dt))
    box = [corners(pose[at], size[at, 0], size[at, 1]) for at in (rows, rows + 1)]
    return np.stack([box[0][:, 3], box[0][:, 2], box[1][:, 1], box[1][:, 0]], axis=1)
