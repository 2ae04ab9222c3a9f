"""The moment that a page shows: one instant of a drive, what was driven next and what each policy planned then.

All pictures of a clip (from above, from the camera, over time) are drawn from this one record, so they agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from understudy.geometry import arc_length, compose, frenet, interpolate, overlap, resample, seen_from
from understudy.records import NS, PLAN_STEP_S, PLAN_STEPS, Array, Drive, Floats, Kind, Shadow

HORIZON_S = PLAN_STEPS * PLAN_STEP_S
PARTED = 0.5  # m across the human's path: less is within what two careful drivers do alike
FURTHER = 2.0  # m along it at the horizon: about half a car
LOOKS = 4  # as many policies as the style tells apart


@dataclass(frozen=True, slots=True)
class Contact:
    """Where a plan would first have touched another that moved as it did. Poses are in the ego frame of the moment."""

    after_s: float
    ego: Floats  # (3,) the rear axle then
    box: Floats  # (3,) the other's centre then
    length: float
    width: float
    kind: Kind

    @property
    def other(self) -> str:
        name = "object" if self.kind == Kind.UNKNOWN else self.kind.name.lower()
        return f"an {name}" if name[0] in "aeio" else f"a {name}"


@dataclass(frozen=True, slots=True)
class Intent:
    """What one policy planned at the moment, against what was driven. Everything is in the ego frame of the moment."""

    policy: str
    look: str  # class of the style: p1, p2, ... the same for a policy all over a page
    modes: Floats  # (M, K, 4) x, y, yaw, speed
    probability: Floats  # (M,)
    parts: int | None = None  # the first step that lies more than PARTED to a side of the driven path
    aside: float = float("nan")  # m at that step, positive to the left
    apart: float = float("nan")  # m from the driven position at the horizon
    further: float = float("nan")  # m ahead of it
    contact: Contact | None = None

    @property
    def likeliest(self) -> Floats:
        """(K, 4)"""
        return np.asarray(self.modes[np.argmax(self.probability)])

    @property
    def parts_s(self) -> float:
        """When it leaves the driven path, in seconds from the moment; nan where it does not."""
        return float("nan") if self.parts is None else (self.parts + 1) * PLAN_STEP_S

    def __str__(self) -> str:
        """What it does, in words that need no picture; to follow its name."""
        touches = f", and touches {self.contact.other} after {self.contact.after_s:.1f} s" if self.contact else ""
        return self._parting() + touches

    def _parting(self) -> str:
        if self.parts is not None:
            end = f", {self.apart:.1f} m apart at {HORIZON_S:.0f} s" if np.isfinite(self.apart) else ""
            side = "left" if self.aside > 0 else "right"
            return f"leaves the driven path after {self.parts_s:.1f} s, to the {side}{end}"
        if abs(self.further) > FURTHER:
            return f"stays on the driven path, {abs(self.further):.1f} m {self.along} at {HORIZON_S:.0f} s"
        return "does as was driven" if np.isfinite(self.further) else "has nothing to be compared with"

    @property
    def along(self) -> str:
        return "further" if self.further > 0 else "short"


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant of a drive."""

    drive: Drive
    instant: int
    driven: Floats | None  # (P, 3) x, y, yaw every 0.1 s from the moment on, as far as the drive goes, in its ego frame
    intents: tuple[Intent, ...]
    looks: Mapping[str, str]  # of every policy that was in the drive's shadow, planning at the moment or not

    @property
    def at_s(self) -> float:
        """Seconds since the drive's first instant."""
        return float(self.drive.t_s[self.instant])


def moment(drive: Drive, instant: int, order: Sequence[str] = ()) -> Moment:
    """What was driven and planned at an instant of a drive, and where the two part.

    `order` lists all policies of a page, so that each looks the same in every drive.
    """
    path = driven(drive, instant) if drive.has("pose") else None
    looks = looks_of([*order, *drive.shadows])
    found = intents(drive.shadows.values(), instant, looks)
    if path is not None:
        found = [replace(compare(intent, path), contact=contact(drive, instant, intent.likeliest)) for intent in found]
    return Moment(drive, instant, path, tuple(found), looks)


def looks_of(policies: Iterable[str]) -> dict[str, str]:
    """The class of the style for each policy, in order of first mention."""
    return {policy: f"p{place % LOOKS + 1}" for place, policy in enumerate(dict.fromkeys(policies))}


def driven(drive: Drive, instant: int, seconds: float = HORIZON_S) -> Floats | None:
    """The path driven from an instant on, (P, 3) in its ego frame every 0.1 s; None where the pose is unknown."""
    at_ns = drive.t_ns[instant] + (np.arange(round(seconds * 10) + 1) * (NS // 10))
    path = seen_from(drive.poses[instant], interpolate(drive.t_ns, drive.poses, at_ns))
    known = np.append(np.isfinite(path).all(axis=-1), False)
    return path[: int(np.argmin(known))] if known[0] else None


def intents(runs: Iterable[Shadow], instant: int, looks: Mapping[str, str]) -> list[Intent]:
    """What each policy planned at an instant; a policy that had no plan then is left out."""
    found = []
    for run in runs:
        modes, probability = run.plan.poses[instant], run.plan.probability[instant]
        known = np.isfinite(modes[..., :2]).all(axis=(-2, -1)) & np.isfinite(probability)
        if known.any():
            found.append(Intent(run.policy, looks[run.policy], modes[known], probability[known]))
    return found


def compare(intent: Intent, path: Floats) -> Intent:
    """Where an intent parts from the driven path (P, 3): beside the path, and from the pose at the horizon."""
    plan = intent.likeliest
    line = resampled(path[:, :2])
    reached = np.arange(1, PLAN_STEPS + 1) * PLAN_STEP_S <= (len(path) - 1) / 10 + 1e-6
    aside = np.where(reached, frenet(line, plan[:, :2])[1], 0.0)
    parts = int(np.argmax(np.abs(aside) > PARTED)) if (np.abs(aside) > PARTED).any() else None
    further, beside = seen_from(path[-1], plan[-1, :3])[:2] if reached.all() else (np.nan, np.nan)
    return replace(
        intent,
        parts=parts,
        aside=float("nan") if parts is None else float(aside[parts]),
        apart=float(np.hypot(further, beside)),
        further=float(further),
    )


def contact(drive: Drive, instant: int, plan: Floats) -> Contact | None:
    """Where a plan (K, 4) would first touch an object that it did not touch to begin with."""
    if drive.objects is None:
        return None
    t_s = np.arange(1, round(HORIZON_S * 10) + 1) / 10
    stamps = (np.arange(PLAN_STEPS + 1) * PLAN_STEP_S * NS).astype(np.int64)
    ego = interpolate(stamps, np.concatenate([np.zeros((1, 3)), plan[:, :3]]), (t_s * NS).astype(np.int64))
    begun = _touched(drive, instant, instant, np.zeros(3))["track"]
    for after_s, pose in zip(t_s, ego, strict=True):
        then = int(np.searchsorted(drive.t_ns, drive.t_ns[instant] + int(after_s * NS)))
        if then >= len(drive):
            return None
        touched = _touched(drive, instant, then, pose)
        fresh = np.flatnonzero(~np.isin(touched["track"], begun))
        if len(fresh):
            box = np.array([touched[name][fresh[0]] for name in ("x", "y", "yaw")])
            length, width = (float(touched[name][fresh[0]]) for name in ("length", "width"))
            return Contact(float(after_s), pose, box, length, width, Kind(touched["kind"][fresh[0]]))
    return None


def _touched(drive: Drive, instant: int, then: int, pose: Floats) -> dict[str, Array]:
    """The objects that the ego would touch at `then`, with its rear axle at a pose in the ego frame of `instant`."""
    assert drive.objects is not None
    rows = slice(*drive.objects.starts[then : then + 2])
    found = {name: drive.objects[name][rows] for name in ("track", "kind", "x", "y", "yaw", "length", "width")}
    boxes = seen_from(drive.poses[instant], np.stack([found["x"], found["y"], found["yaw"]], -1))
    car = drive.vehicle
    centre = compose(pose, np.array([car.centre_x, 0.0, 0.0]))
    touches = overlap(centre, np.float64(car.length), np.float64(car.width), boxes, found["length"], found["width"])
    return {
        name: values[touches]
        for name, values in {**found, "x": boxes[:, 0], "y": boxes[:, 1], "yaw": boxes[:, 2]}.items()
    }


def resampled(line: Floats) -> Floats:
    """A driven line every half metre, without the jitter of standing; straight ahead where it hardly moved."""
    length = arc_length(line)[-1]
    return (
        resample(line, np.linspace(0, length, int(length / 0.5) + 1))
        if length > 1
        else np.array([[0.0, 0.0], [1.0, 0.0]])
    )


def at_worst(drive: Drive, start_ns: int, end_ns: int) -> int:
    """The instant of a span that is worth a picture: where a plan is furthest from what was driven, else the middle."""
    far = np.full(len(drive), -np.inf)
    for run in drive.shadows.values():
        far = np.fmax(far, run.columns.get("mean_displacement", far))
    far[(drive.t_ns < start_ns) | (drive.t_ns > end_ns)] = -np.inf
    if np.isfinite(far).any():
        return int(np.argmax(far))
    return int(np.argmin(np.abs(drive.t_ns - (start_ns + end_ns) // 2)))
