"""Whether labels of what a car knew agree with those of the truth: how far labels of real logs can be trusted.

A drive that knows its truth is labelled twice: from the truth, and as a log would be that has none (and, where that is
what a labeler is for, no map and no lights). What is counted are things that can be right or wrong as a whole, at
instants so far apart that they are hardly the same situation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from understudy.labelers.agents import Agents
from understudy.labelers.bev import CHANNELS, Bev
from understudy.labelers.inferred_light import InferredLight
from understudy.labelers.light import NONE
from understudy.labelers.light import Light as ShownLight
from understudy.labelers.path import Path
from understudy.records import Array, Drive, Ints, Light

EVERY_S = 4.0
POSITION_M = 1.0  # of somebody else in 4 s
SAME_M = 2.0  # between two sights of the same object now
PATH_M = 0.1
OVERLAP = 0.5  # intersection over union
PURE = 0.95  # of the cells that are said to be road

# What is asked of each labeler, in words.
ASKED = {
    "path": f"all 8 positions within {PATH_M:g} m of the exact ones",
    "bev": f"vehicles overlap the true ones by {OVERLAP:g} (IoU)",
    "bev without a map": f"{PURE:.0%} of the cells said to be driven over are road",
    "agents": f"the position in 4 s within {POSITION_M:g} m of the true one",
    "light": "the state shown",
    "inferred_light": "red or green as shown; yellow may be either",
}


def agreement(drive: Drive, instants: Ints) -> dict[str, Array]:
    """Right or wrong (n,) by the names of ASKED, for those that this drive can tell of; `drive` knows its truth."""
    found: dict[str, Callable[[Drive, Ints], Array]] = {
        "path": _path,
        "bev": _vehicles,
        "bev without a map": _road,
        "agents": _agents,
        "light": _light,
        "inferred_light": _inferred,
    }
    needs: Mapping[str, tuple[str, ...]] = {
        "path": Path.needs,
        "bev": (*Bev.needs, "objects"),
        "bev without a map": (*Bev.needs, "map"),
        "agents": Agents.needs,
        "light": ShownLight.needs,
        "inferred_light": (*InferredLight.needs, "lights"),
    }
    return {name: ask(drive, instants) for name, ask in found.items() if not drive.lacks(needs[name])}


def _path(drive: Drive, instants: Ints) -> Array:
    seen, true = (Path().label(one, instants).value[..., :2] for one in (replace(drive, truth=None), drive))
    apart = np.hypot(*np.moveaxis(seen - true, -1, 0)).max(axis=-1)
    return np.asarray(apart[np.isfinite(apart)] < PATH_M)


def _vehicles(drive: Drive, instants: Ints) -> Array:
    vehicle = CHANNELS.index("vehicle")
    pair = [Bev().label(replace(one, map=None), instants).value[:, vehicle] == 1 for one in (_untold(drive), drive)]
    both, any_of = (np.sum(how(*pair), axis=(1, 2)) for how in (np.logical_and, np.logical_or))
    there = np.any(pair[1], axis=(1, 2))
    return np.asarray(both[there] >= OVERLAP * any_of[there])


def _road(drive: Drive, instants: Ints) -> Array:
    road = CHANNELS.index("drivable")
    log = replace(_untold(drive), map=None)
    said = Bev().label(log, instants).value[:, road] == 1
    true = Bev().label(replace(drive, objects=None, truth=None), instants).value[:, road] == 1
    cells = said.sum(axis=(1, 2))
    return np.asarray((said & true).sum(axis=(1, 2))[cells > 0] >= PURE * cells[cells > 0])


def _agents(drive: Drive, instants: Ints) -> Array:
    seen, true = (Agents().label(one, instants).value[..., :2] for one in (_untold(drive), drive))
    right = []
    for ours, theirs in zip(seen, true, strict=True):  # (N, K + 1, 2) each
        ours, theirs = (one[np.isfinite(one[:, [0, -1]]).all(axis=(1, 2))] for one in (ours, theirs))
        if len(ours) and len(theirs):
            apart = np.hypot(*np.moveaxis(ours[:, None, 0] - theirs[None, :, 0], -1, 0))
            nearest = apart.argmin(axis=1)
            same = apart[np.arange(len(ours)), nearest] < SAME_M
            end = np.hypot(*(ours[same, -1] - theirs[nearest[same], -1]).T)
            right.append(end < POSITION_M)
    return np.concatenate(right) if right else np.zeros(0, bool)


def _light(drive: Drive, instants: Ints) -> Array:
    seen, true = (ShownLight().label(one, instants) for one in (_untold(drive), drive))
    asked = seen.known & true.known & (true.value != NONE)
    return np.asarray(seen.value[asked] == true.value[asked])


def _inferred(drive: Drive, instants: Ints) -> Array:
    said, true = InferredLight().label(drive, instants).value, ShownLight().label(drive, instants).value
    asked = np.isin(said, (Light.RED, Light.GREEN)) & np.isin(true, (Light.RED, Light.YELLOW, Light.GREEN))
    return np.asarray((said == true)[asked] | (true[asked] == Light.YELLOW))


def _untold(drive: Drive) -> Drive:
    """As a log: what the car knew, and no truth."""
    return replace(drive, truth=None)
