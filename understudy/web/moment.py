"""The moment that a page shows: one instant of a drive, what was driven next and what each policy planned then.

All pictures of a clip (from above, from the camera, over time) are drawn from this one record, so they agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from understudy.geometry import arc_length, frenet, interpolate, resample, seen_from
from understudy.records import NS, PLAN_STEP_S, PLAN_STEPS, Drive, Event, Floats, Shadow

HORIZON_S = PLAN_STEPS * PLAN_STEP_S
PARTED = 0.5  # m across the human's path: less is within what two careful drivers do alike
FURTHER = 2.0  # m along it at the horizon: about half a car


@dataclass(frozen=True, slots=True)
class Intent:
    """What one policy planned at the moment, against what was driven. Everything is in the ego frame of the moment."""

    policy: str
    modes: Floats  # (M, K, 4) x, y, yaw, speed
    probability: Floats  # (M,)
    parts: int | None = None  # the first step that lies more than PARTED to a side of the driven path
    aside: float = float("nan")  # m at that step, positive to the left
    off: float = float("nan")  # m to the left of the driven pose at the horizon
    further: float = float("nan")  # m ahead of the driven pose at the horizon

    @property
    def likeliest(self) -> Floats:
        """(K, 4)"""
        return np.asarray(self.modes[np.argmax(self.probability)])

    @property
    def parts_s(self) -> float:
        """When it leaves the driven path, in seconds from the moment; nan where it does not."""
        return float("nan") if self.parts is None else (self.parts + 1) * PLAN_STEP_S

    def __str__(self) -> str:
        """One sentence for people, complete without the picture."""
        if self.parts is not None:
            side = "left" if self.aside > 0 else "right"
            leaves = f"leaves the driven path after {self.parts_s:.1f} s, to the {side}"
            return f"{leaves}; {abs(self.off):.1f} m off at {HORIZON_S:.0f} s" if np.isfinite(self.off) else leaves
        if abs(self.further) > FURTHER:
            return f"stays on the driven path, but is {abs(self.further):.1f} m {self.along} at {HORIZON_S:.0f} s"
        return "agrees with what was driven" if np.isfinite(self.further) else "has nothing to be compared with"

    @property
    def along(self) -> str:
        return "further" if self.further > 0 else "short"


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant of a drive."""

    drive: Drive
    instant: int
    driven: Floats | None  # (P, 3) x, y, yaw every 0.1 s from the moment on, as far as the drive goes, in its ego frame
    intents: tuple[Intent, ...]  # in the drive's order of policies

    @property
    def at_s(self) -> float:
        """Seconds since the drive's first instant."""
        return float(self.drive.t_s[self.instant])


def moment(drive: Drive, instant: int) -> Moment:
    """What was driven and planned at an instant of a drive."""
    path = driven(drive, instant) if drive.has("pose") else None
    return Moment(drive, instant, path, tuple(intents(drive.shadows.values(), instant, path)))


def driven(drive: Drive, instant: int, seconds: float = HORIZON_S) -> Floats | None:
    """The path driven from an instant on, (P, 3) in its ego frame every 0.1 s; None where the pose is unknown."""
    at_ns = drive.t_ns[instant] + (np.arange(round(seconds * 10) + 1) * (NS // 10))
    path = seen_from(drive.poses[instant], interpolate(drive.t_ns, drive.poses, at_ns))
    known = np.isfinite(path).all(axis=-1)
    return path[: len(path) if known.all() else int(np.argmin(known))] if known[0] else None


def intents(runs: Iterable[Shadow], instant: int, path: Floats | None) -> Iterable[Intent]:
    """What each policy planned at an instant; a policy that had no plan then is left out."""
    for run in runs:
        modes, probability = run.plan.poses[instant], run.plan.probability[instant]
        known = np.isfinite(modes[..., :2]).all(axis=(-2, -1)) & np.isfinite(probability)
        if known.any():
            intent = Intent(run.policy, modes[known], probability[known])
            yield intent if path is None else compare(intent, path)


def compare(intent: Intent, path: Floats) -> Intent:
    """Where an intent parts from the driven path (P, 3): beside the path, and from the pose at the horizon."""
    plan = intent.likeliest
    line = resampled(path[:, :2])
    reached = np.arange(1, PLAN_STEPS + 1) * PLAN_STEP_S <= (len(path) - 1) / 10 + 1e-6
    aside = np.where(reached, frenet(line, plan[:, :2])[1], 0.0)
    parts = int(np.argmax(np.abs(aside) > PARTED)) if (np.abs(aside) > PARTED).any() else None
    further, off = seen_from(path[-1], plan[-1, :3])[:2] if reached.all() else (np.nan, np.nan)
    return Intent(
        intent.policy,
        intent.modes,
        intent.probability,
        parts,
        float("nan") if parts is None else float(aside[parts]),
        float(off),
        float(further),
    )


def resampled(line: Floats) -> Floats:
    """A driven line every half metre, without the jitter of standing; straight ahead where it hardly moved."""
    length = arc_length(line)[-1]
    return resample(line, np.linspace(0, length, int(length / 0.5) + 1)) if length > 1 else np.array([[0.0, 0.0], [1.0, 0.0]])


def at_worst(drive: Drive, start_ns: int, end_ns: int, events: Iterable[Event] = ()) -> int:
    """The instant of a span that is worth a picture: in its events, where the plans are furthest from what was driven.

    Without events it is looked for in the whole span; without plans it is the middle of the strongest event.
    """
    events = sorted(events, key=lambda event: -event.score)
    inside = np.zeros(len(drive), bool)
    for event in events or [Event(drive.id, start_ns, end_ns, 0.0)]:
        inside |= (drive.t_ns >= max(event.start_ns, start_ns)) & (drive.t_ns <= min(event.end_ns, end_ns))
    far = np.full(len(drive), -np.inf)
    for run in drive.shadows.values():
        if "mean_displacement" in run.columns:
            far = np.fmax(far, run["mean_displacement"])
    if inside.any() and np.isfinite(far[inside]).any():
        return int(np.argmax(np.where(inside, far, -np.inf)))
    middle = (events[0].start_ns + events[0].end_ns) // 2 if events else (start_ns + end_ns) // 2
    return int(np.argmin(np.abs(drive.t_ns - middle)))
