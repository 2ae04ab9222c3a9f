"""What each mode would be worth, as the network foresees it: the sub-scores of good driving, learned from the metrics.

People's paths teach what people do; they do not teach what else would have done, or would have ended badly. The metrics
can say that of any plan, afterwards and with the truth. So once a network has learned to see and to plan, its modes on
what it learned from are scored, and a small head learns to foretell the scores (as Hydra-MDP does for a fixed
vocabulary: Li et al. 2024, arXiv 2406.06978). The network itself is not changed by it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from understudy.geometry import Grid
from understudy.labelers.bev import CHANNELS, CLASSES
from understudy.metrics import MULTIPLIERS, SUBSCORES, WEIGHTS
from understudy.network.judge import TIMES, foreseen, under
from understudy.records import PLAN_STEPS

FEATURES = 4 * TIMES + PLAN_STEPS * (len(CHANNELS) + 4)  # of a mode
SHARE = 4.0  # of the logarithm of the foretold score in a mode's logit: docs/network.md says what others come to
_WIDTH = 128
_LEAST = 1e-3  # of a score, before its logarithm


class Scorer(nn.Module):
    """What is foreseen of each mode, and the thoughts of the planner, to a logit for each of SUBSCORES."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.of_mode = nn.Linear(FEATURES, _WIDTH)
        self.of_scene = nn.Linear(hidden, _WIDTH, bias=False)
        self.think = nn.Sequential(nn.ReLU(), nn.Linear(_WIDTH, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, len(SUBSCORES)))
        self.taught = nn.Buffer(torch.ones(len(SUBSCORES)))  # 0 for sub-scores that no drive knew

    def forward(self, features: Tensor, hidden: Tensor) -> Tensor:
        """Logits (B, M, Q) from features (B, M, FEATURES) and thoughts (B, H)."""
        found: Tensor = self.think(self.of_mode(features) + self.of_scene(hidden)[:, None])
        return found

    def log_score(self, features: Tensor, hidden: Tensor) -> Tensor:
        """The logarithm (B, M) of the score that follows from what is foretold, as `metrics.combine` makes it."""
        return log_score(self(features, hidden), self.taught)


def features(poses: Tensor, bev: Tensor, grid: Grid) -> Tensor:
    """What the view (B, 9, X, Y) shows along modes (B, M, K, 4), and the modes themselves: (B, M, FEATURES)."""
    middle = poses.new_zeros(1, 2)
    layers = torch.cat([torch.sigmoid(bev[:, : len(CLASSES)]), bev[:, len(CLASSES) :]], dim=1)
    below = [(value * inside)[..., 0] for value, inside in
             (under(poses[..., :3], middle, layer, grid) for layer in layers.unbind(dim=1))]  # fmt: skip
    scale = poses.new_tensor([0.05, 0.2, 1.0, 0.1])
    return torch.cat([*foreseen(poses, bev, grid), *below, (poses * scale).flatten(2)], dim=2)


def log_score(logits: Tensor, taught: Tensor) -> Tensor:
    """The logarithm (B, M) of the score from the logits (B, M, Q) of sub-scores, of those that were taught (Q,)."""
    told = dict(zip(SUBSCORES, (1 + taught * (torch.sigmoid(logits) - 1)).unbind(dim=2), strict=True))
    known = dict(zip(SUBSCORES, taught.unbind(), strict=True))
    product = torch.stack([told[name] for name in MULTIPLIERS]).prod(dim=0)
    weight = {name: value * known[name] for name, value in WEIGHTS.items()}
    mean = torch.stack([weight[name] * told[name] for name in WEIGHTS]).sum(dim=0)
    return torch.log((product * mean / torch.stack(list(weight.values())).sum().clamp(min=1e-6)).clamp(min=_LEAST))


def loss(logits: Tensor, subscores: Tensor) -> Tensor:
    """How badly sub-scores (B, M, Q) were foretold; those that are nan are not known."""
    known = torch.isfinite(subscores)
    return F.binary_cross_entropy_with_logits(logits[known], subscores[known].float())
