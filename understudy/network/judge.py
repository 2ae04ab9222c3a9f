"""Modes held against what the network itself sees: one that runs into somebody, off the road, or through a red light
becomes less likely.

A planner that has learned from people chooses what they did in such a view, and people are never about to hit anybody.
What the view shows is known at that moment; so is, by its velocity, where it will be. This is no part of training: the
choice is learned as before, and judged when it is asked for. `scorer` learns what follows from the same foresight.
To the modes that were learned comes one more, a stop: where all of them are bad, and only there, it is the best.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from understudy.geometry import Grid
from understudy.labelers.bev import CLOSED, DRIVABLE, OTHERS, VELOCITY
from understudy.records import PLAN_STEP_S, PLAN_STEPS, Light, Vehicle

TIMES = 2 * PLAN_STEPS  # at which a mode is looked at, every 0.25 s

# By how much a sure collision, a corner surely off the road, or surely running a light lowers a mode's logit.
_HIT, _OFF, _RUN = 8.0, 3.0, 8.0
_CELLS = 256  # of the view that count as somebody, at most
_SURE = 0.35  # probability from which a cell is somebody
_SHUT = 0.5  # and from which one is closed, and a light red rather than green
_STANDS = 0.7  # m/s: slower cells stand; velocities tremble
_FADES_S = 6.0  # what will be in a while is known less well
_OFF_S = 2.6  # and beyond this a plan may still be bent back onto the road
_AHEAD, _ASIDE = 0.5, 0.1  # m kept from the others
_NEAR_S = 1.0  # and the time that is kept to who is ahead
_ITSELF = 0.2  # m around the car: what the view shows there is the car itself
_UNLIKELY = 4.0  # by how much a stop's logit lies below the likeliest mode's: it is for where that costs as much
_BRAKE = 4.0  # m/s² of a stop
_BEHIND = -2.0  # m: who is farther behind keeps off the car, not the other way round
_BODY = Vehicle()


class Foreseen(NamedTuple):
    """What the view says of each mode at TIMES, probabilities (B, M, T)."""

    hit: Tensor  # that somebody is inside the car's box
    near: Tensor  # that somebody is within a second ahead of it
    off: Tensor  # that one of its corners is off the road; beyond the view all is road
    run: Tensor  # that its front is over ground that a red light closes


def cost(poses: Tensor, bev: Tensor, light: Tensor, grid: Grid) -> Tensor:
    """How much less likely each mode is for what the view shows, (B, M) >= 0, to be taken from its logit.

    From `poses` (B, M, K, 4), `bev` (B, 9, X, Y) and `light` (B, 5) as `Network.decide` gives them. The car has the
    usual size. Ground is closed where the view and the light say so: either alone takes too many greens for reds.
    """
    seen = foreseen(poses, bev, grid)
    t = _times(poses)
    hit = (seen.hit * torch.exp(-t / _FADES_S)).amax(dim=2)
    off = (seen.off * (t < _OFF_S)).amax(dim=2)
    red = torch.sigmoid(light[:, Light.RED] - light[:, Light.GREEN])[:, None]
    run = (seen.run * (seen.run > _SHUT)).amax(dim=2) * (red > _SHUT)
    return _HIT * hit + _OFF * off + _RUN * run


def foreseen(poses: Tensor, bev: Tensor, grid: Grid) -> Foreseen:
    """What the view (B, 9, X, Y) says of modes (B, M, K, 4)."""
    path = torch.cat([torch.zeros_like(poses[:, :, :1, :3]), poses[..., :3]], dim=2)
    path = torch.stack([(path[:, :, :-1] + path[:, :, 1:]) / 2, path[:, :, 1:]], dim=3).flatten(2, 3)  # (B, M, T, 3)
    front, rear, left = _BODY.front, -_BODY.rear_overhang, _BODY.width / 2
    corners = path.new_tensor([[front, left], [front, -left], [rear, left], [rear, -left]])
    road, inside = under(path, corners, torch.sigmoid(bev[:, DRIVABLE]), grid)
    closed, before = under(path, path.new_tensor([[front, 0.0]]), torch.sigmoid(bev[:, CLOSED]), grid)
    off, run = ((1 - road) * inside).amax(dim=3), (closed * before).amax(dim=3)
    return Foreseen(*_others(path, poses[..., 3], bev, grid), off, run)


def with_stop(poses: Tensor, choice: Tensor, speed: Tensor) -> tuple[Tensor, Tensor]:
    """Modes (B, M, K, 4) and their logits (B, M), and one more of each: the way of the likeliest one, on which the car
    brakes from its speed (B,) until it stands."""
    likeliest = choice.argmax(dim=1)[:, None, None, None].expand(-1, 1, PLAN_STEPS, 3)
    way = poses[..., :3].gather(1, likeliest)[:, 0]
    way = torch.cat([torch.zeros_like(way[:, :1]), way], dim=1)  # (B, 1 + K, 3)
    along = torch.cumsum((way[:, 1:, :2] - way[:, :-1, :2]).norm(dim=2), dim=1)  # (B, K)
    begins = torch.cat([torch.zeros_like(along[:, :1]), along[:, :-1]], dim=1)
    speed = speed.clamp(min=0)[:, None]
    t = torch.minimum(PLAN_STEP_S * torch.arange(1, PLAN_STEPS + 1, device=poses.device), speed / _BRAKE)
    gone = torch.minimum(speed * t - _BRAKE / 2 * t**2, along[:, -1:])  # a way does not go on beyond its end
    piece = (gone[:, :, None] > along[:, None]).sum(dim=2).clamp(max=PLAN_STEPS - 1)
    share = ((gone - begins.gather(1, piece)) / (along - begins).gather(1, piece).clamp(min=1e-3)).clamp(0, 1)
    first, last = (way[:, i : i + PLAN_STEPS].gather(1, piece[..., None].expand(-1, -1, 3)) for i in (0, 1))
    stop = torch.cat([first + share[..., None] * (last - first), (speed - _BRAKE * t)[..., None]], dim=2)
    unlikely = choice.amax(dim=1, keepdim=True) - _UNLIKELY
    return torch.cat([poses, stop[:, None]], dim=1), torch.cat([choice, unlikely], dim=1)


def _others(path: Tensor, speed: Tensor, bev: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """`hit` and `near` of paths (B, M, T, 3) with a speed (B, M, K): the surest cell that will be there."""
    centre = torch.from_numpy(grid.centres()).float().reshape(-1, 2).to(bev.device)
    x, y = centre[:, 0] - _BODY.centre_x, centre[:, 1]
    others = (x.abs() > _BODY.length / 2 + _ITSELF) | (y.abs() > _BODY.width / 2 + _ITSELF)
    there = torch.sigmoid(bev[:, OTHERS]).amax(dim=1).flatten(1) * (others & (centre[:, 0] > _BEHIND))
    sure, cell = there.topk(_CELLS, dim=1)
    sure = (sure * (sure > _SURE))[:, None, None]
    velocity = bev[:, VELOCITY].flatten(2).transpose(1, 2)  # (B, X * Y, 2)
    velocity = torch.gather(velocity, 1, torch.stack([cell, cell], dim=2))  # (B, C, 2)
    velocity = velocity * (velocity.norm(dim=2, keepdim=True) > _STANDS)
    place = centre[cell][:, None] + _times(path)[:, None, None] * velocity[:, None]  # (B, T, C, 2)
    dx, dy = (place[:, None, :, :, axis] - path[..., axis, None] for axis in (0, 1))  # (B, M, T, C)
    cos, sin = torch.cos(path[..., 2, None]), torch.sin(path[..., 2, None])
    ahead, aside = cos * dx + sin * dy - _BODY.centre_x, (cos * dy - sin * dx).abs()
    beside = aside < _BODY.width / 2 + _ASIDE
    inside = beside & (ahead.abs() < _BODY.length / 2 + _AHEAD)
    reach = _BODY.length / 2 + _AHEAD + _NEAR_S * torch.stack([speed, speed], dim=3).flatten(2)[..., None]
    close = beside & (ahead > 0) & (ahead < reach)
    return (inside * sure).amax(dim=3), (close * sure).amax(dim=3)


def _times(like: Tensor) -> Tensor:
    return torch.arange(1, TIMES + 1, device=like.device) * (PLAN_STEP_S / 2)


def under(path: Tensor, points: Tensor, layer: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """What a layer (B, X, Y) holds below each of the car's points (n, 2) on paths (B, M, T, 3), and whether the view
    reaches there, both (B, M, T, n)."""
    cos, sin = torch.cos(path[..., 2, None]), torch.sin(path[..., 2, None])
    x = path[..., 0, None] + cos * points[:, 0] - sin * points[:, 1]
    y = path[..., 1, None] + sin * points[:, 0] + cos * points[:, 1]
    row, column = ((x - grid.x0) / grid.cell).floor().long(), ((y - grid.y0) / grid.cell).floor().long()
    inside = (row >= 0) & (row < grid.shape[0]) & (column >= 0) & (column < grid.shape[1])
    cell = row.clamp(0, grid.shape[0] - 1) * grid.shape[1] + column.clamp(0, grid.shape[1] - 1)
    return layer.flatten(1).gather(1, cell.flatten(1)).reshape(cell.shape), inside
