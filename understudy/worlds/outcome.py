"""What a driven route is worth: sub-scores and their product, CARLA's driving score, interventions, distance to centre.

The path that was executed is judged as a plan is: every 0.5 s the next 4 s of it, in the scene in which it was driven.
Windows end with the drive, so that what ended it is in the last one. A multiplier is the least of all windows, for one
collision is a collision; a weighted sub-score is the mean of those windows where it is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from understudy import metrics
from understudy.geometry import corners, overlap
from understudy.metrics.blocks import GOES_ROUND
from understudy.metrics.motion import ahead
from understudy.metrics.road import OFF_ROAD
from understudy.observe import driven
from understudy.records import PLAN_STEP_S, PLAN_STEPS, STATIC, VULNERABLE, Array, Drive, Floats, Light

WINDOW_S = PLAN_STEPS * PLAN_STEP_S
MOVES = 0.5  # m/s: who stands keeps to no lane
STUCK_S, MAKES_PROGRESS = 20.0, 0.2  # nuPlan's "making progress"
FACED_M = 40.0  # a red light nearer than this, ahead on the route, was met


@dataclass(frozen=True, slots=True)
class Route:
    """One route driven by one entrant, as a row of the table `routes`. nan is unknown."""

    entrant: str
    scenario: str
    ended: str  # how the world ended it: arrived, collision, ...; empty at the time limit
    trouble: str  # why the entrant lost it without driving on: crashed, nan, too slow, wrong shape
    seconds: float
    metres: float
    completion: float  # share of the route
    no_collision: float
    drivable: float
    direction: float
    lights: float
    progress: float
    ttc: float
    speed_limit: float
    comfort: float
    lane_keeping: float
    score: float  # of the sub-scores above; 0 for a lost route
    driving_score: float  # CARLA's
    collision_pedestrian: int  # at fault, as are the next two
    collision_vehicle: int
    collision_static: int
    red_light: int
    outside: float  # share of the metres driven with a corner off the road
    interventions: int  # times that a safety driver would have taken over
    stuck: int  # times that it made no progress for STUCK_S where the reference would have, CARLA's "agent blocked"
    lane_distance: float  # m, mean distance to the lane's centre while moving
    reds: int  # red lights met
    path: tuple[float, ...]  # x, y at every second, flat: for looking at

    @property
    def at_fault(self) -> bool:
        """Whether it hit somebody or something, and that was its own fault."""
        return self.collision_pedestrian + self.collision_vehicle + self.collision_static > 0

    @property
    def spared(self) -> float:
        """What CARLA's factors for infractions leave, whatever share of the route was driven in its time; 0 for who
        stood stuck, got lost, or lost it."""
        if self.trouble or self.stuck or self.ended == "lost" or not self.completion > 0:
            return 0.0
        return self.driving_score / self.completion

    @property
    def subscores(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in metrics.SUBSCORES}


COLUMNS = tuple(field.name for field in fields(Route))


def judged(drive: Drive, entrant: str = "", trouble: str = "") -> Route:
    """What a drive in a world is worth. With `trouble` it is lost: score 0, and no sub-score is known."""
    told, scene = drive.facts, metrics.Scene.of(drive)
    ended, completion = str(told.get("ended", "")), float(told.get("completion", 0.0))
    windows = {} if trouble else window_scores(scene)
    subscores = {name: np.nan for name in metrics.SUBSCORES} if trouble else route_subscores(windows)
    if ended == "collision" and not trouble and not np.isfinite(subscores["no_collision"]):
        subscores["no_collision"] = 0.0  # too soon for a window that says whose fault it was
    struck = _struck(drive) if subscores["no_collision"] < 1 else ""
    infractions = {f"collision_{kind}": int(struck == kind) for kind in ("pedestrian", "vehicle", "static")}
    infractions["red_light"] = 0 if trouble else runs(windows["lights"] == 0)
    outside = _outside(scene)
    return Route(
        entrant=entrant,
        scenario=str(told.get("scenario", drive.id)),
        ended=ended,
        trouble=trouble,
        seconds=drive.seconds,
        metres=drive.metres,
        completion=completion,
        **subscores,  # type: ignore[arg-type]
        score=0.0 if trouble else combined(subscores),
        driving_score=0.0 if trouble else metrics.driving_score(completion, infractions, outside),
        **infractions,
        outside=outside,
        interventions=0 if trouble else runs((windows["ttc"] == 0) | (windows["drivable"] == 0)),
        stuck=0 if trouble else runs(_lasting(windows["progress"] < MAKES_PROGRESS)),
        lane_distance=_lane_distance(scene),
        reds=_reds(scene),
        path=_path(drive),
    )


def window_scores(scene: metrics.Scene, since_s: float = 0.0) -> dict[str, Array]:
    """The sub-scores (n,) of the path executed from `since_s` on, every 0.5 s the next 4 s; the last window ends with
    the drive."""
    drive = scene.drive
    count = math.floor((drive.seconds - since_s - WINDOW_S + 1e-6) / PLAN_STEP_S) + 1
    starts = drive.seconds - WINDOW_S - PLAN_STEP_S * np.arange(max(count, 0))[::-1]
    instants = np.minimum(np.searchsorted(drive.t_s, starts - 1e-6), len(drive) - 1)
    return metrics.score(scene, instants, driven(drive, instants))


def route_subscores(windows: Mapping[str, Floats]) -> dict[str, float]:
    """Of the known windows, the least for a multiplier and the mean for the others; nan where none is known."""
    found = {}
    for name in metrics.SUBSCORES:
        known = windows[name][np.isfinite(windows[name])]
        merge = np.min if name in metrics.MULTIPLIERS else np.mean
        found[name] = float(merge(known)) if len(known) else np.nan
    return found


def combined(subscores: Mapping[str, float]) -> float:
    """The score of one route's sub-scores: product of the known multipliers times weighted mean of the rest."""
    columns = metrics.combine({name: np.array([subscores[name]]) for name in metrics.SUBSCORES})
    return float(columns["score"][0])


def runs(mask: Array) -> int:
    """How many stretches of True: windows overlap, and one event is in up to eight of them."""
    return int(np.count_nonzero(np.diff(mask.astype(np.int8), prepend=0) == 1))


def _lasting(mask: Array) -> Array:
    """Where every window that begins within STUCK_S, of these and those after it, is True."""
    width = round((STUCK_S - WINDOW_S) / PLAN_STEP_S) + 1
    if len(mask) < width:
        return np.zeros(0, bool)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(mask, width).all(axis=1))


def _struck(drive: Drive) -> str:
    """What kind of thing the ego touches at the last instant where it touches anything: CARLA's three classes."""
    objects = drive.truth.objects if drive.truth and drive.truth.objects else drive.objects
    if objects is None or not len(objects["x"]):
        return "vehicle"
    row = objects.instant
    centre = ahead(drive.poses, drive.vehicle.centre_x)[row]
    other = np.stack([objects["x"], objects["y"], objects["yaw"]], axis=-1)
    touching = overlap(centre, drive.vehicle.length, drive.vehicle.width, other, objects["length"], objects["width"])
    if not touching.any():
        return "vehicle"
    kind = objects["kind"][np.flatnonzero(touching)[-1]]
    return "pedestrian" if kind in VULNERABLE else "static" if kind in STATIC else "vehicle"


def _outside(scene: metrics.Scene) -> float:
    """The share of the metres driven with a corner more than OFF_ROAD beside the road; 0 where no map knows."""
    drive = scene.drive
    if scene.roads is None or len(drive) < 2:
        return 0.0
    box = corners(ahead(drive.poses, drive.vehicle.centre_x), drive.vehicle.length, drive.vehicle.width)  # (T, 4, 2)
    off: Array = np.any(~scene.roads.inside(box, OFF_ROAD) & scene.roads.known(box), axis=1)
    step = np.hypot(np.diff(drive["x"]), np.diff(drive["y"]))
    return float(step[off[1:]].sum() / max(step.sum(), 1e-9))


def _lane_distance(scene: metrics.Scene) -> float:
    """The mean distance to the lane's centre while moving, but where something blocks the lane for good."""
    drive = scene.drive
    if "lane_offset" not in drive or "speed" not in drive:
        return np.nan
    beside = scene.blocks.within(scene.along, GOES_ROUND).any(axis=1)
    offset = np.abs(drive["lane_offset"][(drive["speed"] > MOVES) & ~beside])
    offset = offset[np.isfinite(offset)]
    return float(offset.mean()) if len(offset) else np.nan


def _reds(scene: metrics.Scene) -> int:
    """How many stop lines of the route were red while the ego was within FACED_M of them."""
    if scene.lights is None or scene.line is None:
        return 0
    front = scene.along + scene.vehicle.front
    red = np.asarray(scene.lights.state) == Light.RED
    faced = set()
    for lane, end in scene.line.ends:
        gap = end - front
        near = (gap > 0) & (gap < FACED_M)
        if np.any(red[near][:, [own == lane for own in scene.lights.lanes]]):
            faced.add(round(end))
    return len(faced)


def _path(drive: Drive) -> tuple[float, ...]:
    every = np.unique(np.searchsorted(drive.t_s, np.arange(0.0, drive.seconds + 1.0)).clip(max=len(drive) - 1))
    points = np.round(drive.poses[every, :2], 1)
    return tuple(points.ravel().tolist())
