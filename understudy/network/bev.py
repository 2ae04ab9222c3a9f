"""From feature maps to a bird's-eye view, and from past views to where the car is now.

The lift has no parameters: every cell, at several heights, takes the weighted mean of at most eight places in the maps,
as the table of the rig says (`geometry.lift_table`; Simple-BEV, Harley et al. 2023). The table is an input. So any
number of cameras, any lens and any mounting work.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from understudy.geometry import Grid
from understudy.network.backbone import conv
from understudy.network.sizes import Size


def lift(maps: Tensor, index: Tensor, weight: Tensor, size: Size) -> Tensor:
    """Maps (B, C, Z * D, h, w) of C cameras, told for each of Z heights, to a view (B, D, X, Y): the sum over heights.

    `index` and `weight` (Z * X * Y, 8) are the rig's table.
    """
    batch, cameras, _, h, w = maps.shape
    heights, cells = len(size.heights), size.grid.shape[0] * size.grid.shape[1]
    flat = maps.permute(0, 1, 3, 4, 2).reshape(batch, cameras * h * w * heights, -1)  # as it lies in memory
    level = torch.arange(heights, device=index.device)[:, None, None]
    places = (index.reshape(heights, cells, -1) * heights + level).permute(1, 0, 2).reshape(cells, -1)  # (X * Y, Z * 8)
    shares = weight.reshape(heights, cells, -1).permute(1, 0, 2).reshape(cells, -1).to(flat.dtype)
    if torch.onnx.is_in_onnx_export():  # Gather and MatMul, which every runtime knows
        found = flat.index_select(1, places.reshape(-1)).reshape(batch, *places.shape, -1)
        view = (shares[:, None] @ found)[:, :, 0]
    else:
        view = _WeightedSum.apply(flat, places, shares)  # type: ignore[no-untyped-call]
    return view.reshape(batch, *size.grid.shape, -1).permute(0, 3, 1, 2)


class _WeightedSum(torch.autograd.Function):
    """Rows (B, n, D) from the rows of `flat` (B, p, D) at `places` (n, k), weighted by `shares` (n, k).

    All samples share the table, so that what flows back is the sum by the transposed table, which is sorted once. Left
    to embedding_bag itself, each sample's would be sorted, and five times as slow.
    """

    @staticmethod
    def forward(ctx: Any, flat: Tensor, places: Tensor, shares: Tensor) -> Tensor:
        ctx.save_for_backward(places, shares)
        ctx.rows = flat.shape[1]
        return torch.stack([F.embedding_bag(places, rows, per_sample_weights=shares, mode="sum") for rows in flat])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        places, shares = ctx.saved_tensors
        entries = shares.flatten().nonzero()[:, 0]
        entries = entries[places.flatten()[entries].argsort(stable=True)]
        counts = torch.bincount(places.flatten()[entries], minlength=ctx.rows)
        back = {
            "input": entries // places.shape[1],
            "offsets": counts.cumsum(0) - counts,
            "per_sample_weights": shares.flatten()[entries],
        }
        found = [F.embedding_bag(weight=rows, mode="sum", **back) for rows in grad.contiguous()]
        return torch.stack(found), None, None


def align(past: Tensor, now_T_past: Tensor, grid: Grid) -> Tensor:
    """Views (B, D, X, Y) of an earlier instant as seen from now; 0 where the earlier view did not reach.

    `now_T_past` (B, 3) is the car's pose then in the ego frame of now.
    """
    cells = torch.as_tensor(grid.centres(), dtype=torch.float32, device=past.device)  # (X, Y, 2)
    x, y, yaw = (now_T_past[:, axis, None, None].float() for axis in range(3))
    dx, dy = cells[..., 0] - x, cells[..., 1] - y  # (B, X, Y)
    then_x = dx * torch.cos(yaw) + dy * torch.sin(yaw)
    then_y = dy * torch.cos(yaw) - dx * torch.sin(yaw)
    u = (then_y - grid.y0) * (2 / (grid.cell * grid.shape[1])) - 1  # along Y, the last axis
    v = (then_x - grid.x0) * (2 / (grid.cell * grid.shape[0])) - 1
    moved: Tensor = F.grid_sample(past.float(), torch.stack([u, v], dim=-1), align_corners=False)
    return moved.to(past.dtype, memory_format=torch.channels_last)  # as the newest view lies in memory


class Trunk(nn.Module):
    """A small U-net over the views: (B, n, X, Y) to answers (B, out, X, Y) and a summary (B, t, X / 4, Y / 4)."""

    def __init__(self, width_in: int, widths: tuple[int, int], out: int) -> None:
        super().__init__()
        half, quarter = widths
        self.down = nn.Sequential(conv(width_in, half, stride=2), conv(half, half))
        self.deep = nn.Sequential(conv(half, quarter, stride=2), conv(quarter, quarter), conv(quarter, quarter))
        self.up = conv(quarter, half)
        self.join = conv(half, half)
        self.out = nn.Conv2d(half, out * 4, 3, padding=1)

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        half = self.down(views)
        deep = self.deep(half)
        joined = self.join(half + F.interpolate(self.up(deep), scale_factor=2.0, mode="nearest"))
        return F.pixel_shuffle(self.out(joined), 2), deep
