"""What the human drove next: the answer to what should have been planned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from understudy.geometry import corners
from understudy.labelers import Label
from understudy.labelers.smooth import smoothed
from understudy.metrics import Scene
from understudy.metrics.contacts import Contacts
from understudy.metrics.motion import Motion, ahead
from understudy.metrics.road import OFF_ROAD, drivable, lights
from understudy.observe import driven
from understudy.records import NS, PLAN_STEP_S, PLAN_STEPS, Array, Drive, Driver, Floats, Ints


@dataclass(frozen=True)
class Path:
    """The next 4 s as a plan, (B, K, 4): x, y, yaw, speed in the ego frame of the instant.

    Known only where a human drives all the way, nobody pushes the car off its path, and the recording goes on; and not
    where the human himself errs: hits somebody by his own fault, leaves the road, or runs a red light.
    Where a log does not say who drives, a human does.
    """

    errors: bool = False  # also what the human did wrong

    needs: ClassVar[tuple[str, ...]] = ("pose", "speed")

    def label(self, drive: Drive, instants: Ints) -> Label:
        path = driven(_steadied(drive), instants)
        known = by_human(drive, instants, PLAN_STEPS * PLAN_STEP_S) & np.isfinite(path).all(axis=(1, 2))
        if not self.errors and known.any():
            known[known] = ~np.any([*wrong(drive, instants[known], path[known]).values()], axis=0)
        return Label(np.where(known[:, None, None], path, np.nan).astype(np.float32))


def by_human(drive: Drive, instants: Ints, ahead_s: float) -> Array:
    """Whether a human drives, unpushed, from each instant until `ahead_s` later, (B,). A log that does not say who
    drives is taken to be a human's."""
    own = drive.columns.get("who_drives", np.full(len(drive), Driver.HUMAN)) == Driver.HUMAN
    if "pushed" in drive:
        own = own & ~drive["pushed"]
    strange = np.concatenate([[0], np.cumsum(~own)])  # instants before each that are not the human's own
    until = np.searchsorted(drive.t_ns, drive.t_ns[instants] + int(ahead_s * NS), side="right")
    return np.asarray(strange[until] == strange[instants])


def wrong(drive: Drive, instants: Ints, paths: Floats) -> dict[str, Array]:
    """Which of the paths (B, K, 4) are wrong beyond doubt, (B,) by the name of the sub-score that is violated.

    Not asked are `direction`, for passing what blocks the lane on the other side of the road is right, and what is a
    matter of degree. Who is off the road already (after a push) is on the way back. What is unknown is not wrong.
    """
    scene = Scene.of(drive)
    motion = Motion.of_plans(scene.poses[instants], scene.speed[instants], paths)
    return {
        "no_collision": Contacts.of(scene, instants, motion).no_collision < 1.0,
        "drivable": (drivable(scene, motion) < 1.0) & _on_the_road(scene, instants),
        "lights": lights(scene, instants, motion) < 1.0,
    }


def _on_the_road(scene: Scene, instants: Ints) -> Array:
    if scene.roads is None:
        return np.zeros(len(instants), bool)
    box = corners(ahead(scene.poses[instants], scene.vehicle.centre_x), scene.vehicle.length, scene.vehicle.width)
    return np.asarray(scene.roads.inside(box, OFF_ROAD).all(axis=1))


def _steadied(drive: Drive) -> Drive:
    """The drive with smoothed poses; a simulated world knows its own exactly."""
    if drive.truth is not None:
        return drive
    x, y, yaw = smoothed(drive.t_ns, drive.poses).T
    return replace(drive, columns={**drive.columns, "x": x, "y": y, "yaw": yaw})
