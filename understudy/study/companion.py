"""The low-variance companion of closed loop: plans scored from instants that the car has been shifted at.

It follows the pseudo-simulation of NAVSIM v2 (Cao et al. 2025, arXiv 2506.04218) in two stages, over 4 s each:

    score = s1 * sum_i w_i s2_i,    w_i = exp(-d_i² / (2 * 0.1 m²)) / sum_j exp(-d_j² / (2 * 0.1 m²))

s1 is the plan's score at a recorded instant. The second stage begins 4 s later, where the car stands as it was recorded
or was moved to a side or turned; s2_i is the score of what is planned there, and d_i how far that start lies from where
the first plan ended. So who drifts to the left is judged by how it comes back from the left.

NAVSIM renders the shifted views by Gaussian splatting. Here the car is moved under its cameras (`network.views`): the
recorded picture is exactly what a camera mounted that much to the other side sees, the lift table of such a rig says
where everything lies, and the network was trained on such tables. Nothing is rendered, so thousands of instants are
cheap, real logs can judge too, and no seam of a renderer can be mistaken for skill. It ends where cameras could not
reasonably be mounted: half a metre and four degrees.

Plans are judged by the truth of the drive, and every network by the same instants: differences between networks have
far less noise than differences of routes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from understudy import metrics
from understudy.geometry import compose
from understudy.network import views
from understudy.network.model import Network
from understudy.network.predict import predict_from
from understudy.network.samples import Samples
from understudy.observe import driven
from understudy.records import NS, Array, Drive, Floats, Ints
from understudy.store import Lake
from understudy.study.design import EVERYDAY, KEPT
from understudy.study.rows import Rows, of_drives

SHIFTS: Floats = np.array(
    [[0, 0, 0], [0, 0.5, 0], [0, -0.5, 0], [0, 0, np.radians(4)], [0, 0, -np.radians(4)]]
)  # ego_T_view (V, 3)
VARIANCE = 0.1  # m², of NAVSIM's kernel
_STAGE_NS = 4 * NS
EVERY_S = 0.5  # between samples: 4 s after one there must be another
_AROUND_NS = NS // 2  # an event is judged from so long before it to so long after


@dataclass(frozen=True)
class Judged:
    """The means over n instants of one group. `score` is the pseudo-simulation's, `first` that of its first stage."""

    n: int
    score: float
    first: float
    displacement: float  # m, mean over 4 s
    lateral: float  # m, the most over 4 s


@dataclass(frozen=True)
class _Judge:
    """The instants of one drive that judge, and what it takes to judge plans there."""

    rows: Ints  # (n,) samples of the first stage
    later: Ints  # (n,) samples of the second, 4 s on
    groups: Array  # (n,) names
    human: Floats  # (n, K, 4)
    instants: Ints
    instants_later: Ints
    scene: metrics.Scene
    scenes_later: tuple[metrics.Scene, ...]  # one for each of SHIFTS
    starts: Floats  # (n, V, 2) where the second stage begins, in the ego frame of the first


class Companion:
    """Scores networks at the same instants: `drives` by group, of which the group's instants are taken."""

    def __init__(self, lake: Lake, samples: Samples, drives: Mapping[str, Sequence[str]], instants: int) -> None:
        """`instants` of every group; of a kind of event only around events of the group's name."""
        self.samples = samples
        self._judges: list[_Judge] = []
        for group, names in drives.items():
            there = [(name, *_eligible(lake, samples, name, group)) for name in names]
            most = instants if group == EVERYDAY else instants // max(len(drives) - 1, 1)
            wanted = _spread_out([len(rows) for _, rows, _, _ in there], most)
            self._judges += [
                _judge(lake.drive(name, cameras=False), group, rows[keep], later[keep], t_ns[keep])
                for (name, rows, later, t_ns), keep in zip(there, wanted, strict=True)
                if len(keep)
            ]

    def judge(self, network: Network) -> dict[str, Judged]:
        """What a network's plans are worth, by group."""
        found = [self._one(network, judge) for judge in self._judges]
        groups = np.concatenate([judge.groups for judge in self._judges])
        columns = {name: np.concatenate([one[name] for one in found]) for name in found[0]}
        return {
            str(group): Judged(
                int((groups == group).sum()),
                **{name: float(np.nanmean(values[groups == group])) for name, values in columns.items()},
            )
            for group in dict.fromkeys(groups.tolist())
        }

    def _one(self, network: Network, judge: _Judge) -> dict[str, Floats]:
        plan = planned(network, self.samples, judge.rows, SHIFTS[:1])[0]
        first = metrics.score(judge.scene, judge.instants, plan)["score"]
        later = planned(network, self.samples, judge.later, SHIFTS)
        second = np.stack(
            [
                metrics.score(scene, judge.instants_later, plans)["score"]
                for plans, scene in zip(later, judge.scenes_later, strict=True)
            ],
            axis=1,
        )  # (n, V)
        return {
            "score": first * together(second, judge.starts, plan[:, -1, :2]),
            "first": first,
            "displacement": metrics.displacements(plan, judge.human)[0],
            "lateral": metrics.lateral_difference(plan, judge.human),
        }


def together(second: Floats, starts: Floats, ends: Floats) -> Floats:
    """The second stage's score (n,) from those of its starts (n, V): those near to where the first plan ended (n, 2)
    count most. Unknown scores count for nothing."""
    squared = ((starts - ends[:, None]) ** 2).sum(axis=-1)  # (n, V)
    # A common distance cancels: taken off beforehand, for exp(-d²) of metres is 0.
    weight = np.exp(-(squared - squared.min(axis=1, keepdims=True)) / (2 * VARIANCE))
    weight = np.where(np.isfinite(second), weight, 0.0)
    total = weight.sum(axis=1)
    return np.where(total > 0, (weight * np.nan_to_num(second)).sum(axis=1) / np.maximum(total, 1e-300), np.nan)


def planned(network: Network, samples: Samples, rows: Ints, shifts: Floats) -> Floats:
    """The likeliest plans (V, n, K, 4) at samples of one drive, for each shift (V, 3) in the frame of that car."""
    plans = np.zeros((len(shifts), len(rows), 8, 4))
    for indices, _, answers in predict_from(network, Rows(samples, rows), np.arange(len(rows)), shifts):
        for own, said in zip(plans, answers, strict=True):
            own[indices] = said["poses"][np.arange(len(indices)), said["choice"].argmax(axis=1)]
    return plans


# Which instants -------------------------------------------------------------------------------------------------------


def _eligible(lake: Lake, samples: Samples, name: str, group: str) -> tuple[Ints, Ints, Ints]:
    """The rows of a drive that may judge, those 4 s later, and the stamps of the former: a human's own path, 8 s of
    recording ahead; in a drive that was made for events, around one of the group's name."""
    rows = of_drives(samples, [name])
    t_ns = samples.column("t_ns")[rows]
    drive = lake.drive(name, cameras=False, objects=False, lights=False, map=False)
    path = next(one for one in samples.drives if one.id == name).labels["path"]
    own = np.isfinite(path).all(axis=(1, 2))
    own &= np.isin(t_ns + _STAGE_NS, t_ns) & (t_ns + 2 * _STAGE_NS <= drive.t_ns[-1])
    events = [event for event in drive.truth.events if event.trigger == group] if drive.truth else []
    if group in KEPT:
        around = [(t_ns >= one.start_ns - _AROUND_NS) & (t_ns <= one.end_ns + _AROUND_NS) for one in events]
        own &= np.any([np.zeros(len(t_ns), bool), *around], axis=0)
    return rows[own], rows[np.searchsorted(t_ns, t_ns[own] + _STAGE_NS)], t_ns[own]


def _spread_out(counts: Sequence[int], wanted: int) -> list[Ints]:
    """Which of each drive's instants to take, so that there are `wanted` in all, evenly spread over all of them."""
    total = sum(counts)
    kept = (
        np.unique(np.linspace(0, total - 1, min(wanted, total)).round().astype(np.int64))
        if total
        else np.zeros(0, np.int64)
    )
    ends = np.cumsum([0, *counts])
    return [kept[(kept >= low) & (kept < high)] - low for low, high in pairwise(ends)]


def _judge(drive: Drive, group: str, rows: Ints, later: Ints, t_ns: Ints) -> _Judge:
    instants = np.searchsorted(drive.t_ns, t_ns)
    human = driven(drive, instants)
    starts = compose(human[:, -1, None, :3], SHIFTS[None])[..., :2]
    return _Judge(
        rows=rows,
        later=later,
        groups=np.full(len(rows), group),
        human=human,
        instants=instants,
        instants_later=np.searchsorted(drive.t_ns, t_ns + _STAGE_NS),
        scene=metrics.Scene.of(drive),
        scenes_later=tuple(metrics.Scene.of(views.drive_from(drive, shift)) for shift in SHIFTS),
        starts=starts,
    )
