"""From pictures to feature maps, by the same weights for every camera.

`nano` has a few plain convolutions of its own. From `small` on the stages are those of ConvNeXt (Liu et al. 2022): a
depthwise 7 x 7 convolution, a norm, and two 1 x 1 convolutions around a GELU, with a learned scale on the residual; the
deeper stages are brought back to the stride that is lifted and added, as in feature pyramids (Lin et al. 2017).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from understudy.network.sizes import Size


def conv(wide_in: int, wide_out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU: what everything small here is made of."""
    return nn.Sequential(
        nn.Conv2d(wide_in, wide_out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(wide_out),
        nn.ReLU(inplace=True),
    )


class ConvNeXtBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            nn.Conv2d(width, width, 7, padding=3, groups=width),
            nn.GroupNorm(1, width),
            nn.Conv2d(width, 4 * width, 1),
            nn.GELU(),
            nn.Conv2d(4 * width, width, 1),
        )
        self.scale = nn.Parameter(torch.full((width, 1, 1), 1e-2))

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.mix(x)
        return x + self.scale * mixed


class Backbone(nn.Module):
    """Pictures (N, 3, H, W) to maps (N, D, H / stride, W / stride)."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.stages, self.sides = nn.ModuleList(), nn.ModuleList()
        width_in = 3
        for depth, (width, blocks) in enumerate(size.stages):
            if size.convnext:
                body = [ConvNeXtBlock(width) for _ in range(blocks)]
                self.stages.append(nn.Sequential(nn.Conv2d(width_in, width, 2, 2), nn.GroupNorm(1, width), *body))
            else:
                first = conv(width_in, width, 5 if depth == 0 else 3, stride=2)
                self.stages.append(nn.Sequential(first, *(conv(width, width) for _ in range(blocks))))
            if 2 ** (depth + 1) >= size.stride:
                self.sides.append(nn.Conv2d(width, size.bev, 1))
            width_in = width

    def forward(self, pictures: Tensor) -> Tensor:
        x, kept = pictures, []
        for stage in self.stages:
            x = stage(x)
            kept.append(x)
        levels = [side(level) for side, level in zip(self.sides, kept[-len(self.sides) :], strict=True)]
        top: Tensor = levels.pop()
        while levels:
            below = levels.pop()
            top = below + F.interpolate(top, scale_factor=2.0, mode="nearest")
        return top
