"""From pictures to feature maps, by the same weights for every camera.

`nano` and `small` have a few plain convolutions of their own, which two cores can train. From `base` on the stages are
those of ConvNeXt (Liu et al. 2022): a depthwise 7 x 7 convolution, a norm, and two 1 x 1 convolutions around a GELU,
with a learned scale on the residual. The deeper stages are brought back to the stride that is lifted and added, as in
feature pyramids (Lin et al. 2017). What halves a map has an even kernel: so a feature lies in the middle of the pixels
that it stands for, where the lift looks for it. A glance at the picture that shows best what is ahead has weights of
its own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from understudy.network.sizes import Size

GLANCE = 64  # numbers that a glance comes to
GLANCES = 2  # pictures that are glanced at: a lamp is small from afar, and leaves a narrow picture before the line
_LEFT = 16  # places across the picture, in which a glance tells one from another


def conv(wide_in: int, wide_out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU: what everything small here is made of."""
    return nn.Sequential(
        nn.Conv2d(wide_in, wide_out, kernel, stride, (kernel - 1) // 2, bias=False),
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
                first = conv(width_in, width, kernel=4, stride=2)
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


class Glance(nn.Module):
    """A picture (B, 3, H, W) to GLANCE numbers: a few convolutions of their own, then what was found where."""

    def __init__(self, picture: tuple[int, int]) -> None:
        super().__init__()
        halvings = (picture[0] // _LEFT).bit_length() - 1
        layers = [conv(3, 16, 5, stride=2), conv(16, 32, stride=2), conv(32, 32)]
        layers += [conv(32, 32, stride=2) for _ in range(halvings - 2)]
        places = picture[0] * picture[1] // 4**halvings
        self.look = nn.Sequential(*layers, nn.Conv2d(32, 16, 1), nn.ReLU(), nn.Flatten())
        self.tell = nn.Sequential(nn.Linear(16 * places, GLANCE), nn.ReLU())

    def forward(self, picture: Tensor) -> Tensor:
        said: Tensor = self.tell(self.look(picture))
        return said
