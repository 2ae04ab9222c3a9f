"""What good driving is: plans judged in the scene they were made for, and compared with what was driven.

The sub-scores and their combination are the field's own (nuPlan's closed-loop metrics; NAVSIM's PDMS and EPDMS), over
4 s at 10 Hz, with all others driving as they were recorded. `docs/metrics.md` has formulas, sources and what differs.

    multipliers     no_collision, drivable, direction, lights
    weighted mean   progress, ttc, speed_limit, comfort, lane_keeping
    score           product of the multipliers x weighted mean of the others

A sub-score that cannot be known is nan and enters nothing; `mask` says what entered. No human filter: a term is never
set to 1 because the human failed it too, for that hides faults of the metric. So a replay of the human must score near
1 by itself, and a test holds us to it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from understudy.metrics.comfort import comfortable
from understudy.metrics.compare import displacements, driving_score, lateral_difference, speed_difference
from understudy.metrics.contacts import Contacts
from understudy.metrics.motion import Motion
from understudy.metrics.progress import progress
from understudy.metrics.road import drivable, lane_scores, lights
from understudy.metrics.scene import Scene
from understudy.records import Array, Floats, Ints

MULTIPLIERS = ("no_collision", "drivable", "direction", "lights")
WEIGHTS: dict[str, float] = {"progress": 5.0, "ttc": 5.0, "speed_limit": 4.0, "comfort": 2.0, "lane_keeping": 2.0}
SUBSCORES = (*MULTIPLIERS, *WEIGHTS)  # bit i of a mask is sub-score i

__all__ = [
    "MULTIPLIERS",
    "SUBSCORES",
    "WEIGHTS",
    "Scene",
    "combine",
    "displacements",
    "driving_score",
    "lateral_difference",
    "score",
    "speed_difference",
]

_BATCH = 512  # plans judged together, so that memory does not grow with their number


def score(scene: Scene, instants: Ints, paths: Floats) -> dict[str, Array]:
    """The sub-scores of paths (P, K, 4), planned at `instants` (P,) in the ego frame there, and what follows from them.

    Returns every name of SUBSCORES, `score` (P,) in [0, 1] and `mask` (P,) int64. nan is unknown: the whole plan where
    it has a nan; what needs a map without a map or beyond its extent; what needs others without objects or beyond the
    recording's end; `lights` without lights; `speed_limit` without a known limit.
    """
    instants = np.asarray(instants)
    if not len(instants):
        return combine({name: np.empty(0) for name in SUBSCORES})
    cuts = range(0, len(instants), _BATCH)
    parts = [_subscores(scene, instants[cut : cut + _BATCH], np.asarray(paths)[cut : cut + _BATCH]) for cut in cuts]
    return combine({name: np.concatenate([part[name] for part in parts]) for name in SUBSCORES})


def _subscores(scene: Scene, instants: Ints, paths: Floats) -> dict[str, Floats]:
    found = {name: np.full(len(instants), np.nan) for name in SUBSCORES}
    motion = Motion.of_plans(scene.poses[instants], scene.speed[instants], paths)
    real = np.flatnonzero(np.isfinite(motion.pose).all(axis=(1, 2)))
    instants, motion = instants[real], motion.take(real)
    found["comfort"][real] = comfortable(motion)
    found["drivable"][real] = drivable(scene, motion)
    for name, values in lane_scores(scene, instants, motion).items():
        found[name][real] = values
    found["lights"][real] = lights(scene, instants, motion)
    contacts = Contacts.of(scene, instants, motion)
    found["no_collision"][real] = contacts.no_collision
    found["ttc"][real] = contacts.ttc
    found["progress"][real] = progress(scene, instants, motion)
    return found


def combine(subscores: Mapping[str, Floats]) -> dict[str, Array]:
    """The sub-scores with `score` and `mask`: the product of the known multipliers times the weighted mean of the rest.

    Where none of the weighted ones is known the score is the product alone, and nan where nothing is known.
    """
    known = {name: np.isfinite(subscores[name]) for name in SUBSCORES}
    product = np.prod([np.where(known[name], subscores[name], 1.0) for name in MULTIPLIERS], axis=0)
    weight = np.sum([known[name] * WEIGHTS[name] for name in WEIGHTS], axis=0)
    total = np.sum([np.where(known[name], subscores[name], 0.0) * WEIGHTS[name] for name in WEIGHTS], axis=0)
    mask = np.sum([known[name].astype(np.int64) << bit for bit, name in enumerate(SUBSCORES)], axis=0)
    mean = np.where(weight > 0, total / np.maximum(weight, 1e-9), 1.0)
    return {**subscores, "score": np.where(mask > 0, product * mean, np.nan), "mask": mask}
