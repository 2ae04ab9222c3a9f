"""From the bird's-eye view to a plan: fixed modes with learned offsets, as in anchor-based planners (MultiPath, Chai et
al. 2019). The modes are the centres of the paths that people drove in the dataset.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from understudy.network.backbone import GLANCE, GLANCES, conv
from understudy.network.sizes import Size
from understudy.records import PLAN_STEP_S, PLAN_STEPS, Array, Command, Floats

CONTROLS = 2  # steer, throttle
_SPEEDS = (10.0, 3.0, 1.0)  # m/s: who has just set off is told from who stands as well as who is fast from who is slow
_STATE = len(_SPEEDS) + 1 + len(Command)


class Planner(nn.Module):
    """A summary of the view, a glance ahead and the state of the car to modes and the rest.

    Our light is told from the glance alone: told from all that is known, it is learned by heart, by the place.
    """

    def __init__(self, size: Size, lights: int) -> None:
        super().__init__()
        self.modes = size.modes
        self.squeeze = conv(size.trunk[1], 32, stride=2)
        x, y = (math.ceil(side / 8) for side in size.grid.shape)
        self.read = nn.Sequential(nn.Flatten(), nn.Linear(32 * x * y, size.hidden), nn.ReLU())
        self.think = nn.Sequential(
            nn.Linear(size.hidden + GLANCES * GLANCE + _STATE, size.hidden),
            nn.ReLU(),
            nn.Linear(size.hidden, size.hidden),
            nn.ReLU(),
        )
        self.offset = nn.Linear(size.hidden, size.modes * PLAN_STEPS * 4)
        self.choice = nn.Linear(size.hidden, size.modes)
        self.spread = nn.Linear(size.hidden, 1)
        self.light = nn.Linear(GLANCES * GLANCE, lights)
        self.control = nn.Linear(size.hidden, CONTROLS)
        self.anchors = nn.Buffer(torch.zeros(size.modes, PLAN_STEPS, 4))
        self.unit = nn.Buffer(torch.ones(PLAN_STEPS, 4))  # how far people's paths lie from their mode

    def forward(self, deep: Tensor, glance: Tensor, state: Tensor) -> dict[str, Tensor]:
        hidden = self.think(torch.cat([self.read(self.squeeze(deep)), glance, state], dim=1))
        offset = self.offset(hidden).reshape(-1, self.modes, PLAN_STEPS, 4).float()
        return {
            "poses": self.anchors + self.unit * offset,
            "choice": self.choice(hidden).float(),  # logits
            "spread": nn.functional.softplus(self.spread(hidden).float())[:, 0],
            "light": self.light(glance).float(),  # logits
            "control": self.control(hidden).float(),
            "hidden": hidden.float(),
        }


def state_of(speed: Tensor, yaw_rate: Tensor, command: Tensor) -> Tensor:
    """What the car knows of itself, (B, 9), from newest speed and yaw rate (B,) and the command (B,)."""
    commands = nn.functional.one_hot(command.long().clamp(0, len(Command) - 1), len(Command))
    speeds = speed[:, None] / speed.new_tensor(_SPEEDS)
    speeds = torch.cat([speeds[:, :1], speeds[:, 1:].tanh()], dim=1)
    return torch.cat([speeds, yaw_rate[:, None] * 5, commands.to(speed.dtype)], dim=1)


def modes_of(paths: Floats, count: int, seed: int) -> tuple[Array, Array]:
    """The centres (M, K, 4) of paths (n, K, 4) by k-means (Lloyd 1982, seeded as k-means++), and how far the paths lie
    from theirs (K, 4), never less than a few centimetres. Sideways counts four times: it tells a lane from the next.
    """
    if not len(paths):
        straight = np.zeros((count, PLAN_STEPS, 4), np.float32)
        return straight, np.ones((PLAN_STEPS, 4), np.float32)
    random = np.random.default_rng(seed)
    weight = np.array([1.0, 4.0, 5.0, 0.5])
    points = (paths * weight).reshape(len(paths), -1)
    centres = points[random.integers(len(points))][None]
    while len(centres) < count:
        distance = _squared(points, centres).min(axis=1)
        share = distance / distance.sum() if distance.sum() > 0 else np.full(len(points), 1 / len(points))
        centres = np.concatenate([centres, points[random.choice(len(points), p=share)][None]])
    for _ in range(20):
        nearest = _squared(points, centres).argmin(axis=1)
        for mode in np.unique(nearest):
            centres[mode] = points[nearest == mode].mean(axis=0)
    nearest = _squared(points, centres).argmin(axis=1)
    anchors = centres.reshape(count, PLAN_STEPS, 4) / weight
    step = PLAN_STEP_S * np.arange(1, PLAN_STEPS + 1)[:, None]
    least = np.array([0.1, 0.05, 0.01, 0.1]) * step
    unit = np.maximum(np.sqrt(((paths - anchors[nearest]) ** 2).mean(axis=0)), least)
    return anchors.astype(np.float32), unit.astype(np.float32)


def _squared(points: Floats, centres: Floats) -> Floats:
    """Squared distances (n, M)."""
    return np.asarray(((points**2).sum(1)[:, None] - 2 * points @ centres.T + (centres**2).sum(1)).clip(0))
