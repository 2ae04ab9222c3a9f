"""Variety: what a model in the shadow finds unlike all that is kept already, told by its embeddings.

A drive is cut into windows of 5 s, each with the mean of a model's embeddings. Triggers choose first; then, again and
again, the window is kept that lies furthest from all kept ones, where all of them together spread alike in every
direction. What fired in it has no say: where disagreement and triggers decided between windows nearly as far, less of
the gain over chance was left (docs/study.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from understudy.mine.choose import clip_of, shows
from understudy.mine.settings import Mine
from understudy.records import NS, Array, Clip, Drive, Floats, Ints

WINDOW_S = 5.0
_RIDGE = 0.01  # of a number's own variance: less in some direction is noise


@dataclass(frozen=True, slots=True)
class Window:
    """Some seconds of a drive, and what a model makes of them."""

    policy: str
    drive: str
    start_ns: int
    end_ns: int
    place: str
    embedding: Array  # (D,)


def windows(drive: Drive) -> Iterator[Window]:
    """The whole windows of a drive, by every policy in its shadow that has embeddings; none where one is unknown."""
    length = round(WINDOW_S * NS)
    count = int((drive.t_ns[-1] - drive.t_ns[0]) // length)
    edges = int(drive.t_ns[0]) + length * np.arange(count + 1)
    rows = np.searchsorted(drive.t_ns, edges)
    for policy, run in drive.shadows.items():
        if run.plan.embedding is None:
            continue
        for first, last, start in zip(rows, rows[1:], edges.tolist(), strict=False):
            mean = run.plan.embedding[first:last].mean(axis=0) if last > first else np.array([np.nan])
            if np.isfinite(mean).all():
                place = drive.place_at((first + last) // 2)
                yield Window(policy, drive.id, start, start + length, place, mean.astype(np.float32))


def vary(
    found: Sequence[Window],
    clips: list[Clip],
    settings: Mine,
    known: Sequence[Window] = (),
    before: Collection[Clip] = (),
) -> list[Clip]:
    """Clips of windows unlike those that `clips` show, unlike those `known` from before and unlike each other, as long
    as the budget lasts; none of what clips of `before` show.

    `found` and `known` are of one policy.
    """
    if not found:
        return []
    embedded = whitened(np.stack([window.embedding for window in [*found, *known]]).astype(np.float64))
    space, far_from = embedded[: len(found)], embedded[len(found) :]
    kept = defaultdict(list)
    for clip in (*clips, *before):
        kept[clip.drive].append(clip)
    shown = np.array([any(shows(window, clip) for clip in kept[window.drive]) for window in found])
    free = np.flatnonzero(~shown)
    left = min(settings.clips - len(clips), (settings.seconds - sum(clip.seconds for clip in clips)) / WINDOW_S)
    count = int(np.clip(left + 1e-9, 0, len(free)))
    random = np.random.default_rng(settings.seed)
    far = furthest(space[free], count, np.concatenate([space[shown], far_from]), random)
    chosen = [found[i] for i in free[far]]
    return [clip_of(one.drive, (one.start_ns, one.end_ns), one.place, settings.regression) for one in chosen]


def whitened(points: Floats) -> Floats:
    """Points (n, D) turned and scaled so that they spread alike in every direction in which they spread at all: what is
    common in many numbers counts once, and a rare look is far from all others."""
    points = (points - points.mean(axis=0)) / np.maximum(points.std(axis=0), 1e-6)
    spread, directions = np.linalg.eigh(points.T @ points / len(points))
    return np.asarray(points @ directions / np.sqrt(np.maximum(spread, 0) + _RIDGE))


def furthest(
    points: Array,
    count: int,
    known: Array,
    random: np.random.Generator,
    worth: Floats | None = None,
    nearly: float = 1.0,
) -> Ints:
    """k-centre greedy: again and again the point (n, D) furthest from the known (m, D) and from those taken so far.

    Its largest distance from a point to the nearest taken one is at most twice the smallest possible (Gonzalez 1985).
    With `worth` (n,), of the points at `nearly` (0 to 1) times the greatest distance and beyond the one of the most
    worth is taken, and the bound grows to 2 / `nearly` times. Chance decides between equals.
    """
    nearest = np.full(len(points), np.inf)
    for point in known:
        nearest = np.minimum(nearest, _squared(points, point))
    chosen: list[int] = []
    tie = random.random(len(points))
    worth = tie if worth is None else worth
    for _ in range(min(count, len(points))):
        far = np.flatnonzero(nearest >= nearly**2 * nearest.max())  # squares; what is taken is at -1
        chosen.append(int(far[np.lexsort((tie[far], worth[far]))[-1]]))
        nearest = np.minimum(nearest, _squared(points, points[chosen[-1]]))
        nearest[chosen] = -1.0
    return np.array(chosen, dtype=np.int64)


def _squared(points: Array, point: Array) -> Floats:
    return np.asarray(((points - point) ** 2).sum(axis=1))
