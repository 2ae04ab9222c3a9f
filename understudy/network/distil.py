"""The worth of modes, from the metrics into the network: its own modes on what it learned from, scored by the truth.

Each drive is looked at from the car itself and from one view beside it, so that the head knows cars off their path too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from understudy import metrics
from understudy.network import views
from understudy.network.model import Network
from understudy.network.predict import predict_from
from understudy.network.samples import Samples
from understudy.network.scorer import Scorer, features, loss
from understudy.records import Floats, Ints
from understudy.store import Lake

_BATCH = 64  # samples, with all their modes
_RATE, _DECAY = 2e-3, 1e-2
_NEEDS = ("pose", "speed")


def scorer_of(
    lake: Lake,
    samples: Samples,
    network: Network,
    seen_from: Floats,
    steps: int,
    seed: int,
    on_drive: Callable[[int, int], None] | None = None,
) -> Scorer | None:
    """A head that foretells the sub-scores of the network's modes; None where nothing of what the network learned from
    can be scored. `seen_from` (V, 3) are the views, the car's own first. The network is left as it is.
    """
    parts = []
    for number in range(len(samples.drives)):
        parts += list(scored(lake, samples, network, seen_from, number))
        if on_drive is not None:
            on_drive(number + 1, len(samples.drives))
    if not parts:
        return None
    told, hidden, subscores = (torch.cat(one) for one in zip(*parts, strict=True))
    torch.manual_seed(seed)
    scorer = Scorer(network.size.hidden).train()
    scorer.taught.copy_(torch.isfinite(subscores).flatten(0, 1).any(dim=0))
    optimizer = torch.optim.AdamW(scorer.parameters(), _RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    random = np.random.default_rng([seed, 2])
    for _ in range(steps):
        rows = torch.from_numpy(random.integers(len(told), size=_BATCH))
        found = loss(scorer(told[rows], hidden[rows]), subscores[rows])
        optimizer.zero_grad()
        found.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return scorer.eval()


def scored(
    lake: Lake, samples: Samples, network: Network, seen_from: Floats, number: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Of one drive's samples: features (B, M, F), thoughts (B, H) and true sub-scores (B, M, Q) of the modes."""
    rows = np.flatnonzero((samples.drive_number == number) & ~samples.test)
    drive = lake.drive(samples.drives[number].id, cameras=False)
    if not len(rows) or drive.lacks(_NEEDS):
        return
    stamps, others = samples.column("t_ns"), len(seen_from) - 1
    chosen = seen_from[[0, 1 + number % others]] if others else seen_from
    scenes = [metrics.Scene.of(views.drive_from(drive, view)) for view in chosen]
    for own, _, answers in predict_from(network, samples, rows, chosen):
        instants = np.searchsorted(drive.t_ns, stamps[own])
        for scene, said in zip(scenes, answers, strict=True):
            subscores = _subscores(scene, instants, said["poses"])
            if torch.isfinite(subscores).any():
                poses, bev = torch.from_numpy(said["poses"]), torch.from_numpy(said["bev"])
                yield features(poses, bev, network.size.grid), torch.from_numpy(said["hidden"]), subscores


def _subscores(scene: metrics.Scene, instants: Ints, poses: Floats) -> Tensor:
    """SUBSCORES (B, M, Q) of modes (B, M, K, 4); nan where unknown."""
    batch, modes = poses.shape[:2]
    found = metrics.score(scene, np.repeat(instants, modes), poses.reshape(-1, *poses.shape[2:]).astype(float))
    stacked = np.stack([found[name] for name in metrics.SUBSCORES], axis=-1)
    return torch.from_numpy(stacked.reshape(batch, modes, -1).astype(np.float32))
