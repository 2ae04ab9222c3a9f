"""The one dial: from `nano`, which learns on two cores in minutes, and `small`, which does in an evening, to `large`,
which fills a big card.

Everything else follows from it: how large the pictures are, how wide and deep the network is, how far it sees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from understudy.errors import UnknownName
from understudy.geometry import Grid


@dataclass(frozen=True)
class Size:
    """The shape of a network."""

    name: str
    picture: tuple[int, int]  # W, H that every camera's pictures are brought to
    stages: tuple[tuple[int, int], ...]  # (width, blocks) of the image backbone; each stage halves the picture
    stride: int  # of the feature maps that are lifted
    grid: Grid
    bev: int  # channels of a lifted view
    trunk: tuple[int, int]  # channels at half and quarter resolution of the grid
    history_s: tuple[float, ...] = (0.6, 0.0)  # multiples of 0.2, at which a world asks for a plan
    heights: tuple[float, ...] = (0.0, 1.2, 5.0)  # metres above the ground: the road, bodies, lamps
    hidden: int = 256
    modes: int = 16
    convnext: bool = True

    @property
    def features(self) -> tuple[int, int]:
        """W, H of the feature maps."""
        return self.picture[0] // self.stride, self.picture[1] // self.stride

    def on(self, grid: Grid) -> Size:
        """The same network on another grid; in a model car's world, fifteen times smaller, so are the heights."""
        scale = grid.cell * grid.shape[0] / (self.grid.cell * self.grid.shape[0])
        return replace(self, grid=grid, heights=tuple(height * scale for height in self.heights))


SIZES: dict[str, Size] = {
    "nano": Size(
        "nano",
        picture=(128, 64),
        stages=((16, 0), (32, 2)),
        stride=4,
        grid=Grid(),
        bev=32,
        trunk=(48, 64),
        convnext=False,
    ),
    "small": Size(
        "small",
        picture=(256, 128),
        stages=((16, 0), (32, 1), (64, 2), (96, 2)),
        stride=4,
        grid=Grid(),
        bev=32,
        trunk=(64, 96),
        convnext=False,
    ),
    "base": Size(
        "base",
        picture=(512, 256),
        stages=((64, 2), (128, 3), (256, 9), (512, 3)),
        stride=8,
        grid=Grid(-30.0, -40.0, 0.5, (160, 160)),
        bev=128,
        trunk=(192, 256),
        history_s=(1.8, 1.2, 0.6, 0.0),
        heights=(0.0, 0.8, 2.0, 5.0),
        hidden=768,
        modes=32,
    ),
    "large": Size(
        "large",
        picture=(768, 384),
        stages=((128, 3), (256, 3), (512, 27), (1024, 3)),
        stride=8,
        grid=Grid(-40.0, -50.0, 0.5, (200, 200)),
        bev=256,
        trunk=(384, 512),
        history_s=(1.8, 1.2, 0.6, 0.0),
        heights=(0.0, 0.8, 2.0, 3.5, 5.0),
        hidden=1024,
        modes=64,
    ),
}


def size_of(name: str) -> Size:
    """The size of that name."""
    if name not in SIZES:
        raise UnknownName("size", name, SIZES)
    return SIZES[name]
