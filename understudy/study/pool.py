"""A pool of driving as windows of equal length, and all that a strategy may know of each.

What may be known: the champion's plans in the shadow of what was driven, how they compare, what they would have caused,
how sure it was, its embedding, and what triggers found in what the car recorded. Not what the world knows and a car
does not: kinds of events are for judging alone. Triggers that look at plans do not speak here, for their questions are
asked of the plans directly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import softmax

from understudy import metrics
from understudy.mine import find, resolve
from understudy.mine.variety import whitened
from understudy.network.lessons import lessons, thoughts
from understudy.network.model import Network
from understudy.network.predict import predict
from understudy.network.samples import Samples
from understudy.observe import driven
from understudy.records import NS, Array, Drive, Floats, Ints
from understudy.store import Lake
from understudy.store.files import write_whole
from understudy.study.rows import Rows, of_drives

_NEIGHBOURS = 10  # that a situation is compared with
_NEAR_M = 10.0  # beyond which others count as far
_AGENT_CELLS = 0.05  # share of a view's cells that the uncertainty of agents looks at: the most uncertain ones


@dataclass(frozen=True)
class Pool:
    """W windows of a pool. Signals are larger where there is more of it."""

    rows: Ints  # (S,) samples of the dataset
    window: Ints  # (S,) the window that each is in, ascending
    window_s: float
    drive: Ints  # (W,) which drive each window is of, by number
    signals: Mapping[str, Floats]  # each (W,)
    embedding: Array  # (W, D), whitened with what is known
    lesson: Array  # (W, L) what each would teach the planner, see network.lessons
    triggers: Floats  # (W, n) the strongest event of each trigger that has any; nan where it found nothing
    known: Array  # (m, D) embeddings of what the champion learned from

    def __len__(self) -> int:
        return len(self.embedding)

    def __getitem__(self, signal: str) -> Floats:
        return self.signals[signal]

    def affords(self, budget_s: float) -> int:
        """How many whole windows a budget pays for, of those that there are."""
        return min(int(budget_s / self.window_s + 1e-9), len(self))

    def samples(self, windows: Ints) -> Ints:
        """The samples (n,) of some windows."""
        return self.rows[np.isin(self.window, windows)]

    def half(self, random: np.random.Generator) -> Pool:
        """The windows of half of the drives: of each and the one half a pool on, one at random. Where a pool has a
        multiple of 60 drives these are alike in town and in what is rare, so that every half has as much of it."""
        drives = np.unique(self.drive)
        half = max(len(drives) // 2, 1)
        pairs = np.arange(half) + half * random.integers(2, size=half)
        keep = np.isin(self.drive, drives[np.minimum(pairs, len(drives) - 1)])
        samples = keep[self.window]
        return replace(
            self,
            rows=self.rows[samples],
            window=(np.cumsum(keep) - 1)[self.window[samples]],
            drive=self.drive[keep],
            signals={name: values[keep] for name, values in self.signals.items()},
            embedding=self.embedding[keep],
            lesson=self.lesson[keep],
            triggers=self.triggers[keep],
        )

    def save(self, path: Path) -> None:
        """Write it as one file of arrays, whole."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "signals"}
        arrays = own | {f"signal {name}": values for name, values in self.signals.items()}

        def write(aside: Path) -> None:
            with aside.open("wb") as file:
                np.savez(file, **arrays)

        write_whole(path, write)

    @classmethod
    def read(cls, path: Path) -> Pool:
        """The pool that was written there."""
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        signals = {
            name.removeprefix("signal "): arrays.pop(name) for name in list(arrays) if name.startswith("signal ")
        }
        return cls(**{**arrays, "window_s": float(arrays["window_s"])}, signals=signals)


def joined(parts: Sequence[Looked], known: Array, window_s: float) -> Pool:
    """The pool of drives that were looked at; `known` (m, D) are embeddings of what the champion learned from."""
    first = np.cumsum([0, *(part.windows for part in parts)])
    window = np.concatenate([part.window + start for part, start in zip(parts, first, strict=False)])
    instant = {name: np.concatenate([part.signals[name] for part in parts]) for name in parts[0].signals}
    own = np.concatenate([part.embedding for part in parts])
    thoughts = np.concatenate([part.thoughts for part in parts])
    thoughts = thoughts / np.maximum(thoughts.std(axis=0), 1e-6)
    whose = np.repeat(np.arange(len(parts)), [len(part.window) for part in parts])
    instant["unexplained"] = unexplained(thoughts, np.concatenate([part.driven for part in parts]), whose)
    # Windows in which the recording has no sample are left out.
    there, window = np.unique(window, return_inverse=True)
    starts = np.flatnonzero(np.diff(window, prepend=-1))
    counts = np.diff([*starts, len(window)])
    fired = np.concatenate([part.fired for part in parts])[there]
    drive = np.repeat(np.arange(len(parts)), [part.windows for part in parts])[there]
    seen = np.add.reduceat(own, starts) / counts[:, None]
    white = whitened(np.concatenate([seen, known]).astype(np.float64))
    return Pool(
        rows=np.concatenate([part.rows for part in parts]),
        window=window,
        window_s=window_s,
        drive=drive,
        signals={name: _in_window(name, values, starts, counts) for name, values in instant.items()},
        embedding=white[: len(seen)],
        lesson=np.add.reduceat(np.concatenate([part.lesson for part in parts]), starts) / counts[:, None],
        triggers=fired[:, np.isfinite(fired).any(axis=0)],
        known=white[len(seen) :],
    )


_MEANS = ("entropy", "spread", "agents")  # over a window; of the others the largest counts


def _in_window(name: str, values: Floats, starts: Ints, counts: Ints) -> Floats:
    values = np.nan_to_num(values)
    if name in _MEANS:
        return np.asarray(np.add.reduceat(values, starts) / counts)
    return np.asarray(np.maximum.reduceat(values, starts))


# One drive ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Looked:
    """A drive of the pool: signals of its S samples, and what triggers found in its windows."""

    rows: Ints
    window: Ints  # (S,) from 0 on
    windows: int
    signals: dict[str, Floats]  # each (S,)
    embedding: Array  # (S, D)
    thoughts: Array  # (S, D) what the planner thinks with
    lesson: Array  # (S, L)
    driven: Floats  # (S, K, 4)
    fired: Floats  # (windows, n)


def look(lake: Lake, samples: Samples, name: str, champion: Network, window_s: float) -> Looked:
    """One drive of a pool as the champion sees it."""
    rows = of_drives(samples, [name])
    t_ns = samples.column("t_ns")[rows]
    drive = lake.drive(name, cameras=False, truth=False)
    instants = np.searchsorted(drive.t_ns, t_ns)
    human = driven(drive, instants)
    said = _plans(champion, samples, rows, human)
    signals = compared(drive, instants, said["likeliest"], human)
    signals |= {key: said[key] for key in ("entropy", "spread", "agents")}
    whole = int(drive.seconds // window_s)  # what is left over at the end is in no window
    window = ((t_ns - drive.t_ns[0]) // round(window_s * NS)).astype(np.int64)
    within = window < whole
    return Looked(
        rows[within],
        window[within],
        whole,
        {key: values[within] for key, values in signals.items()},
        said["embedding"][within],
        said["thoughts"][within],
        said["lesson"][within],
        human[within],
        strengths(drive, window_s, whole),
    )


def embeddings(champion: Network, samples: Samples, rows: Ints) -> Array:
    """What the champion makes of samples that it learned from, (m, D)."""
    return np.concatenate([said["embedding"] for _, _, said in predict(champion, samples, rows)])


def _plans(champion: Network, samples: Samples, rows: Ints, human: Floats) -> dict[str, Array]:
    """What the champion says of samples that were all seen by one rig, and what the human's paths would teach it."""
    parts: dict[str, list[Array]] = {}
    for indices, _, said in predict(champion, Rows(samples, rows), np.arange(len(rows))):
        share = softmax(said["choice"], axis=1)
        agents = _entropy(1 / (1 + np.exp(-said["bev"][:, 2:4]))).reshape(len(indices), -1)
        most = max(round(_AGENT_CELLS * agents.shape[1]), 1)
        found = {
            "likeliest": said["poses"][np.arange(len(indices)), share.argmax(axis=1)],
            "entropy": -(share * np.log(np.maximum(share, 1e-12))).sum(axis=1),
            "agents": np.partition(agents, -most, axis=1)[:, -most:].mean(axis=1),
            "spread": said["spread"],
            "embedding": said["embedding"],
            "thoughts": thoughts(said),
            "lesson": lessons(champion, said, human[indices]),
        }
        for name, values in found.items():
            parts.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}


def _entropy(p: Array) -> Array:
    """Entropy of yes or no, in nats."""
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(-(p * np.log(p) + (1 - p) * np.log(1 - p)))


def compared(drive: Drive, instants: Ints, plan: Floats, human: Floats) -> dict[str, Floats]:
    """Plans (S, K, 4) against what was driven: displacement (m), what they would have caused (score lost, 0 to 1), and
    how near they come to others (soft collision, 0 to 1). Judged by what the car recorded, not by the truth."""
    scene = metrics.Scene.of(drive)
    lost = metrics.score(scene, instants, human)["score"] - metrics.score(scene, instants, plan)["score"]
    return {
        "displacement": metrics.displacements(plan, human)[0],
        "consequence": np.maximum(np.nan_to_num(lost), 0.0),
        "soft_collision": soft_collision(drive, instants, plan),
    }


def soft_collision(drive: Drive, instants: Ints, plan: Floats) -> Floats:
    """How near plans (S, K, 4) come to others as they were recorded: 1 at their centres, 0 from 10 m on, (S,)."""
    if drive.objects is None:
        return np.zeros(len(instants))
    objects, poses = drive.objects, drive.poses[instants]
    cos, sin = np.cos(poses[:, 2]), np.sin(poses[:, 2])
    nearest = np.full(len(instants), np.inf)
    for step in range(plan.shape[1]):
        x = poses[:, 0] + cos * plan[:, step, 0] - sin * plan[:, step, 1]
        y = poses[:, 1] + sin * plan[:, step, 0] + cos * plan[:, step, 1]
        then = np.searchsorted(drive.t_ns, drive.t_ns[instants] + (step + 1) * NS // 2)
        for i, at in enumerate(np.minimum(then, len(drive) - 1)):
            rows = slice(objects.starts[at], objects.starts[at + 1])
            if rows.stop > rows.start:
                apart = np.hypot(objects["x"][rows] - x[i], objects["y"][rows] - y[i])
                nearest[i] = min(nearest[i], float(np.nanmin(apart, initial=np.inf)))
    return np.maximum(1 - nearest / _NEAR_M, 0.0)


def strengths(drive: Drive, window_s: float, windows: int) -> Floats:
    """The strongest event of every trigger in each window, (windows, n) as `resolve()` orders them; nan without one."""
    known = resolve()
    found = np.full((windows, len(known)), np.nan)
    for event in find(replace(drive, shadows={}), known):
        first, last = ((stamp - drive.t_ns[0]) / NS / window_s for stamp in (event.start_ns, event.end_ns))
        cells = found[int(first) : int(last) + 1, list(known).index(event.trigger)]
        cells[:] = np.fmax(cells, event.score)
    return found


def unexplained(embedding: Array, paths: Floats, whose: Ints) -> Floats:
    """How far what was driven differs where everything looked alike to the planner, (S,) in metres.

    For each sample: the mean displacement of the paths (S, K, 4) of its nearest neighbours by `embedding` (S, D), of
    other drives (`whose` (S,) says of which each is), from their mean path. What people do differently in situations
    that the model cannot tell apart, no more of the same can teach.
    """
    spread = np.zeros(len(embedding))
    known = np.isfinite(paths).all(axis=(1, 2))
    for drive in np.unique(whose):
        own, others = np.flatnonzero(whose == drive), np.flatnonzero((whose != drive) & known)
        if len(others) < 2:
            continue
        count = min(_NEIGHBOURS, len(others))
        near = others[cKDTree(embedding[others]).query(embedding[own], count)[1].reshape(len(own), count)]
        there = paths[near][..., :2]  # (s, n, K, 2)
        spread[own] = np.hypot(*np.moveaxis(there - there.mean(axis=1, keepdims=True), -1, 0)).mean(axis=(1, 2))
    return spread
