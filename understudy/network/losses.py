"""What each head should have said. Where the answer is unknown there is no loss, so a drive without a map, without
objects or without poses teaches what it can.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from understudy.labelers import UNKNOWN
from understudy.labelers.bev import CLASSES, DIRECTION, DIRECTION_UNIT, VELOCITY, VELOCITY_UNIT

# How much each loss counts: set by hand.
WEIGHTS = {
    "drivable": 3.0, "line": 0.5, "vehicle": 2.0, "vulnerable": 1.0, "closed": 2.0, "direction": 0.3, "velocity": 0.05,
    "choice": 0.5, "offset": 1.0, "spread": 0.1, "light": 1.0, "control": 2.0,
}  # fmt: skip
_BETA = 0.5  # units up to which an offset's loss grows with its square
_UNSURE = 0.1  # of the choice, which is given to all modes: without it the network is too sure of its own
# Weight of a cell that holds one.
_RARE = {"drivable": 1.0, "line": 2.0, "vehicle": 3.0, "vulnerable": 8.0, "closed": 4.0}
_UNITS = (DIRECTION_UNIT, DIRECTION_UNIT, VELOCITY_UNIT, VELOCITY_UNIT)  # of the channels of _VECTORS
_CLASSES, _VECTORS = slice(0, len(CLASSES)), slice(len(CLASSES), None)
_CHANNELS = {name: slice(k, k + 1) for k, name in enumerate(CLASSES)} | {"direction": DIRECTION, "velocity": VELOCITY}


def losses(said: dict[str, Tensor], labels: dict[str, Tensor], anchors: Tensor, unit: Tensor) -> dict[str, Tensor]:
    """The losses, unweighted, by name; only those that any sample has an answer for.

    `anchors` (M, K, 4) and `unit` (K, 4) are the planner's.
    """
    found: dict[str, Tensor] = {}
    if "bev" in labels:
        found |= _bev(said["bev"], labels["bev"])
    if "path" in labels:
        found |= _path(said, labels["path"], anchors, unit)
    if "light" in labels and (known := labels["light"] != UNKNOWN).any():
        found["light"] = F.cross_entropy(said["light"][known], labels["light"][known].long())
    if "control" in labels and (known := torch.isfinite(labels["control"])).any():
        found["control"] = (said["control"] - labels["control"])[known].abs().mean()
    return found


def total(found: dict[str, Tensor]) -> Tensor:
    """Their weighted sum; 0 of none, for a batch may hold no answer."""
    return sum((WEIGHTS[name] * value for name, value in found.items()), torch.zeros(()))


def _bev(said: Tensor, label: Tensor) -> dict[str, Tensor]:
    """Of each class and each vector, the mean over what is known."""
    said, answer, known = said.contiguous(), label.float(), label != UNKNOWN  # contiguous: channel by channel
    rare = said.new_tensor([_RARE[name] for name in CLASSES])[:, None, None]
    units = said.new_tensor(_UNITS)[:, None, None]
    there = answer[:, _CLASSES].clamp(min=0)
    cell = F.binary_cross_entropy_with_logits(said[:, _CLASSES], there, reduction="none") * (1 + (rare - 1) * there)
    error = (said[:, _VECTORS] - answer[:, _VECTORS] * units).abs()
    sums, counts = (torch.cat([cell, error], dim=1) * known).sum(dim=(0, 2, 3)), known.sum(dim=(0, 2, 3))
    return {name: sums[own].sum() / counts[own].sum() for name, own in _CHANNELS.items() if counts[own].any()}


def _path(said: dict[str, Tensor], path: Tensor, anchors: Tensor, unit: Tensor) -> dict[str, Tensor]:
    """The mode whose anchor lies nearest should be chosen, and moved onto the path; the spread should be the error."""
    rows = torch.isfinite(path).all(dim=(1, 2)).nonzero()[:, 0]
    if not len(rows):
        return {}
    poses, path = said["poses"][rows], path[rows]
    nearest = _nearest(path, anchors, unit)
    chosen = poses[torch.arange(len(rows)), nearest]
    likeliest = poses[torch.arange(len(rows)), said["choice"][rows].argmax(dim=1)].detach()
    error = (likeliest - path)[..., :2].norm(dim=-1).mean(dim=1)
    spread = said["spread"][rows] + 1e-2
    return {
        "choice": F.cross_entropy(said["choice"][rows], nearest, label_smoothing=_UNSURE),
        "offset": F.smooth_l1_loss((chosen - path) / unit, torch.zeros_like(path), beta=_BETA),
        "spread": (spread.log() + error / spread).mean(),  # Laplace's likelihood: the spread is the expected error
    }


def _nearest(path: Tensor, anchors: Tensor, unit: Tensor) -> Tensor:
    """Which mode is nearest to each path (b, K, 4), (b,)."""
    return ((anchors - path[:, None]) / unit).abs().mean(dim=(2, 3)).argmin(dim=1)


def path_gradient(choice: Tensor, poses: Tensor, path: Tensor, anchors: Tensor, unit: Tensor) -> Tensor:
    """How a sample's path pulls at what the planner said: the gradient of its weighted losses by the logits of the
    modes (B, M) and by the offset of the nearest one, (B, M + K * 4); 0 where the path (B, K, 4) is unknown."""
    known = torch.isfinite(path).all(dim=(1, 2))
    path = torch.where(known[:, None, None], path, 0.0)
    nearest, modes = _nearest(path, anchors, unit), choice.shape[1]
    wanted = F.one_hot(nearest, modes) * (1 - _UNSURE) + _UNSURE / modes
    off = (poses[torch.arange(len(path)), nearest] - path) / unit
    pulls = [
        WEIGHTS["choice"] * (choice.softmax(dim=1) - wanted),
        WEIGHTS["offset"] * (off / _BETA).clamp(-1, 1).flatten(1) / off[0].numel(),
    ]
    return torch.cat(pulls, dim=1) * known[:, None]
