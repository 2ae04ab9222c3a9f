"""Modes held against what the network itself sees: one that runs into somebody, off the road, or through a red light
becomes less likely.

A planner that has learned from people chooses what they did in such a view, and people are never about to hit anybody.
What the view shows is known at that moment; so is, by its velocity, where it will be. This is no part of training: the
choice is learned as before, and judged when it is asked for.
"""

from __future__ import annotations

import torch
from torch import Tensor

from understudy.geometry import Grid
from understudy.labelers.bev import CLOSED, DRIVABLE, OTHERS, VELOCITY
from understudy.records import PLAN_STEP_S, PLAN_STEPS, Vehicle

# By how much a sure collision, a corner surely off the road, or surely running a light lowers a mode's logit.
_HIT, _OFF, _RUN = 8.0, 3.0, 8.0
_CELLS = 256  # of the view that count as somebody, at most
_SURE = 0.35  # probability from which a cell is somebody
_SHUT = 0.5  # and from which one is closed
_STANDS = 0.7  # m/s: slower cells stand; velocities tremble
_FADES_S = 6.0  # what will be in a while is known less well
_OFF_S = 2.6  # and beyond this a plan may still be bent back onto the road
_AHEAD, _ASIDE = 0.5, 0.1  # m kept from the others
_ITSELF = 0.2  # m around the car: what the view shows there is the car itself
_BEHIND = -2.0  # m: who is farther behind keeps off the car, not the other way round
_BODY = Vehicle()


def cost(poses: Tensor, bev: Tensor, grid: Grid) -> Tensor:
    """How much less likely each mode is for what the view shows, (B, M) >= 0, to be taken from its logit.

    From `poses` (B, M, K, 4) and `bev` (B, 9, X, Y) as `Network.decide` gives them. The car has the usual size.
    """
    path = torch.cat([torch.zeros_like(poses[:, :, :1, :3]), poses[..., :3]], dim=2)
    path = torch.stack([(path[:, :, :-1] + path[:, :, 1:]) / 2, path[:, :, 1:]], dim=3).flatten(2, 3)  # every 0.25 s
    t = torch.arange(1, 2 * PLAN_STEPS + 1, device=poses.device) * (PLAN_STEP_S / 2)
    return _HIT * _hit(path, t, bev, grid) + _OFF * _off(path, t, bev, grid) + _RUN * _run(path, bev, grid)


def _hit(path: Tensor, t: Tensor, bev: Tensor, grid: Grid) -> Tensor:
    """The probability (B, M) of the surest cell that will be inside the car's box, from paths (B, M, T, 3)."""
    centre = torch.from_numpy(grid.centres()).float().reshape(-1, 2).to(bev.device)
    x, y = centre[:, 0] - _BODY.centre_x, centre[:, 1]
    others = (x.abs() > _BODY.length / 2 + _ITSELF) | (y.abs() > _BODY.width / 2 + _ITSELF)
    there = torch.sigmoid(bev[:, OTHERS]).amax(dim=1).flatten(1) * (others & (centre[:, 0] > _BEHIND))
    sure, cell = there.topk(_CELLS, dim=1)
    sure = sure * (sure > _SURE)
    velocity = torch.gather(bev[:, VELOCITY].flatten(2), 2, torch.stack([cell, cell], dim=1)).transpose(
        1, 2
    )  # (B, C, 2)
    velocity = velocity * (velocity.norm(dim=2, keepdim=True) > _STANDS)
    place = centre[cell][:, None] + t[:, None, None] * velocity[:, None]  # (B, T, C, 2)
    dx, dy = (place[:, None, :, :, axis] - path[..., axis, None] for axis in (0, 1))  # (B, M, T, C)
    cos, sin = torch.cos(path[..., 2, None]), torch.sin(path[..., 2, None])
    ahead, aside = (cos * dx + sin * dy - _BODY.centre_x).abs(), (cos * dy - sin * dx).abs()
    inside = (ahead < _BODY.length / 2 + _AHEAD) & (aside < _BODY.width / 2 + _ASIDE)
    met: Tensor = inside * sure[:, None, None] * torch.exp(-t / _FADES_S)[:, None]
    return met.amax(dim=(2, 3))


def _off(path: Tensor, t: Tensor, bev: Tensor, grid: Grid) -> Tensor:
    """The probability (B, M) that the corner which is most surely off the road is; beyond the view all is road."""
    front, rear, left = _BODY.length - _BODY.rear_overhang, -_BODY.rear_overhang, _BODY.width / 2
    corners = path.new_tensor([[front, left], [front, -left], [rear, left], [rear, -left]])
    road, inside = _under(path, corners, bev[:, DRIVABLE], grid)
    off: Tensor = (1 - road) * (inside & (t < _OFF_S)[:, None])
    return off.amax(dim=(2, 3))


def _run(path: Tensor, bev: Tensor, grid: Grid) -> Tensor:
    """The probability (B, M) of the most surely closed cell that the front of the car will be over."""
    bumper = path.new_tensor([[_BODY.length - _BODY.rear_overhang, 0.0]])
    closed, inside = _under(path, bumper, bev[:, CLOSED], grid)
    run: Tensor = closed * (inside & (closed > _SHUT))
    return run.amax(dim=(2, 3))


def _under(path: Tensor, points: Tensor, layer: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """The probability of the cell under each of the car's points (n, 2) on paths (B, M, T, 3), by the logits of a layer
    (B, X, Y), and whether the view reaches there, both (B, M, T, n)."""
    cos, sin = torch.cos(path[..., 2, None]), torch.sin(path[..., 2, None])
    x = path[..., 0, None] + cos * points[:, 0] - sin * points[:, 1]
    y = path[..., 1, None] + sin * points[:, 0] + cos * points[:, 1]
    row, column = ((x - grid.x0) / grid.cell).floor().long(), ((y - grid.y0) / grid.cell).floor().long()
    inside = (row >= 0) & (row < grid.shape[0]) & (column >= 0) & (column < grid.shape[1])
    cell = row.clamp(0, grid.shape[0] - 1) * grid.shape[1] + column.clamp(0, grid.shape[1] - 1)
    return torch.sigmoid(layer).flatten(1).gather(1, cell.flatten(1)).reshape(cell.shape), inside
