"""Shadow mode: candidates plan silently at every instant of a drive that somebody else drove.

`shadow` is pure: a drive and policies in, for each policy its plans and how they compare with what was driven.
Several candidates share one pass: the observation is made and the pictures are decoded once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from understudy import metrics, policies, workers
from understudy.errors import PolicyError, UnderstudyError
from understudy.observe import Observer, driven, select_frames
from understudy.records import Array, Drive, Floats, Plan, Policy, Shadow
from understudy.store import Lake, Part, Run, code_version

# The comparison of a plan with what was driven, aligned with the drive. nan where either is unknown.
COLUMNS: dict[str, tuple[str, str]] = {
    "mean_displacement": ("m", "mean distance at equal times up to the horizon (as ST-P3 and VAD name L2)"),
    "final_displacement": ("m", "distance at the horizon (as UniAD names L2)"),
    "min_displacement": ("m", "the smallest mean displacement of any mode"),
    "lateral_difference": ("m", "the largest distance of the planned path from the driven path, whatever the times"),
    "speed_difference": ("m/s", "planned minus driven speed at the horizon"),
    "spread": ("m", "the model's own uncertainty, where it states one"),
    **{f"plan_{name}": ("1", f"the plan's {name}") for name in (*metrics.SUBSCORES, "score")},
    **{f"human_{name}": ("1", f"the driven path's own {name}") for name in (*metrics.SUBSCORES, "score")},
    "plan_mask": ("bits", "which sub-scores entered the plan's score"),
    "human_mask": ("bits", "which sub-scores entered the driven path's score"),
}
_BATCH = 256  # instants planned together
_BATCH_BYTES = 16e6  # of pictures handed over at once: more would only leave the processor's cache


def shadow(drive: Drive, candidates: Mapping[str, Policy]) -> dict[str, Shadow]:
    """Every candidate's plans at all T instants of a drive, and their comparison with what was driven."""
    plans = plan_all(drive, candidates)
    comparable = drive.has("future")
    instants = np.arange(len(drive))
    human = driven(drive, instants) if comparable else None  # (T, K, 4)
    scene = metrics.Scene.of(drive) if comparable else None
    human_scores = metrics.score(scene, instants, human) if scene is not None and human is not None else {}
    runs = {}
    for name, plan in plans.items():
        columns: dict[str, Array] = {}
        if plan.spread is not None:
            columns["spread"] = plan.spread
        if scene is not None and human is not None:
            columns |= _differences(plan, human)
            columns |= {f"plan_{key}": value for key, value in metrics.score(scene, instants, plan.likeliest).items()}
            columns |= {f"human_{key}": value for key, value in human_scores.items()}
        runs[name] = Shadow(name, plan, columns)
    return runs


def run(
    lake: Lake,
    specs: Sequence[str],
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    processes: int = 0,
    on_drive: Callable[[workers.Outcome, int], None] | None = None,
) -> dict[str, workers.Report]:
    """Let policies (names, `module:Class`, model files) plan over every drive of the lake; a report for each.

    `settings` are by spec. A drive that lacks what a policy needs is skipped and counted.
    """
    told = {spec: dict((settings or {}).get(spec, {})) for spec in specs}
    drives = lake.drives()
    with ExitStack() as stack:
        runs: dict[str, Run] = {}
        kept: dict[str, list[str]] = {}
        work: dict[str, list[_Wanted]] = {}  # by drive: the policies that have not seen it yet
        for spec in specs:
            named = policies.named(spec, told[spec])
            code = code_version(["understudy.shadow", "understudy.store", named.module])
            run = lake.run("shadow", named.id, {"policy": named.id, **told[spec]}, code, replaces="drive")
            runs[named.id] = stack.enter_context(run)
            kept[named.id] = []
            for part in _parts(runs[named.id], named, drives):
                if part.done:
                    kept[named.id].append(part.subject)
                else:
                    work.setdefault(part.subject, []).append(
                        _Wanted(spec, json.dumps(told[spec]), named.contents, named.id, part)
                    )
        outcomes = workers.map_drives(
            partial(_shadow_one, lake),
            list(work.values()),
            processes,
            on_result=on_drive and (lambda outcome: on_drive(outcome, len(work))),
            describe=lambda wanted: wanted[0].part.subject,
        )
        made: dict[str, list[str]] = {name: [] for name in runs}
        for outcome in outcomes:
            for wanted in work[outcome.name]:
                if why := outcome.error or outcome.value.get(wanted.name, ""):
                    runs[wanted.name].fail(outcome.name, why)
                else:
                    made[wanted.name].append(outcome.name)
        return {
            name: workers.Report(tuple(made[name]), tuple(kept[name]), run.skipped, run.failures)
            for name, run in runs.items()
        }


@dataclass(frozen=True)
class _Wanted:
    """A policy that is to see a drive: how to make it in another process, and where its plans go."""

    spec: str
    settings: str  # as JSON
    contents: str  # hash of the model file and its card, if it is one
    name: str
    part: Part


def _parts(run: Run, named: policies.Named, drives: Sequence[Mapping[str, Any]]) -> Iterator[Part]:
    """The part of each drive that offers what the policy needs; the others are skipped."""
    card = getattr(named.policy, "card", None) or {}  # of a model, which may name its cameras
    cameras = card.get("cameras", {}).get("names", []) if "pictures" in named.policy.needs else []
    for drive in drives:
        lacking = [need for need in named.policy.needs if need not in drive["offers"]]
        lacking += [f"camera {name}" for name in cameras if name not in drive["cameras"]]
        if lacking:
            run.skip(drive["id"], f"lacks {', '.join(lacking)}")
        else:
            yield run.part(drive["id"], [drive["part"], named.contents])


def _shadow_one(lake: Lake, wanted: Sequence[_Wanted]) -> dict[str, str]:
    """One drive, all the policies that have not seen it yet; why those failed that did, by name."""
    try:
        drive = lake.drive(wanted[0].part.subject)
        found = {one.name: _loaded(one.spec, one.settings, one.contents) for one in wanted}
        runs = shadow(drive, found)
    except Exception:
        if len(wanted) == 1:
            raise
        return {one.name: why for one in wanted if (why := _alone(lake, one))}
    for one in wanted:
        lake.put_shadow(one.part, drive, runs[one.name])
    return {}


def _alone(lake: Lake, wanted: _Wanted) -> str:
    """One of several by itself, where one of them failed; why it is that one, or nothing."""
    try:
        _shadow_one(lake, [wanted])
    except UnderstudyError as error:
        return str(error)
    except Exception as error:  # a policy may raise anything
        return f"{type(error).__name__}: {error}"
    return ""


@cache
def _loaded(spec: str, settings: str, contents: str) -> Policy:
    """A policy, made once in each process: a model's session does not travel between them. Under the same path other
    contents are another model."""
    named = policies.named(spec, json.loads(settings))
    if named.contents != contents:
        raise PolicyError(f"loading {spec}: its file was replaced since the run began; shadow it again")
    return named.policy


def plan_all(drive: Drive, candidates: Mapping[str, Policy]) -> dict[str, Plan]:
    """The plans of every candidate at all instants, from one pass over the drive."""
    needs = tuple(dict.fromkeys(need for policy in candidates.values() for need in policy.needs))
    history = tuple(sorted({age for policy in candidates.values() for age in policy.history_s}, reverse=True))
    observer = Observer(drive)
    parts: dict[str, list[Plan]] = {name: [] for name in candidates}
    for batch in np.array_split(np.arange(len(drive)), -(-len(drive) // _batch_size(drive, needs, history))):
        seen = observer.observe(batch, needs, history)
        for name, policy in candidates.items():
            plan = policy.plan(select_frames(seen, policy.history_s))
            if len(plan) != len(batch):
                raise PolicyError(f"{name} answered {len(plan)} plans for {len(batch)} instants")
            if np.isinf(plan.poses).any() or (plan.spread is not None and np.isinf(plan.spread).any()):
                raise PolicyError(f"{name} answered a plan with an infinite number")
            if not (plan.probability[np.isfinite(plan.poses).all(axis=(1, 2, 3))] >= 0).all():
                raise PolicyError(f"{name} answered a probability below 0, or none")
            parts[name].append(plan)
    return {name: _joined(name, found) for name, found in parts.items()}


def _batch_size(drive: Drive, needs: Sequence[str], history: Sequence[float]) -> int:
    if "pictures" not in needs:
        return _BATCH
    one = sum(3 * camera.size[0] * camera.size[1] for camera in drive.cameras) * len(history)
    return int(np.clip(_BATCH_BYTES / max(one, 1), 1, _BATCH))


def _joined(name: str, parts: Sequence[Plan]) -> Plan:
    if len({part.poses.shape[1:] for part in parts}) > 1:
        raise PolicyError(f"{name} changed its number of modes within one drive")

    def column(field: str) -> Any:
        values = [getattr(part, field) for part in parts]
        return None if any(value is None for value in values) else np.concatenate(values)

    return Plan(column("poses"), column("probability"), column("spread"), column("embedding"))


def _differences(plan: Plan, human: Floats) -> dict[str, Array]:
    likeliest = plan.likeliest
    mean, final = metrics.displacements(likeliest, human)
    modes = metrics.displacements(plan.poses, human[:, None])[0]  # (T, M)
    known = np.isfinite(modes).any(axis=1)
    best = np.where(known, np.min(np.where(np.isfinite(modes), modes, np.inf), axis=1), np.nan)
    return {
        "mean_displacement": mean,
        "final_displacement": final,
        "min_displacement": best,
        "lateral_difference": metrics.lateral_difference(likeliest, human),
        "speed_difference": metrics.speed_difference(likeliest, human),
    }
