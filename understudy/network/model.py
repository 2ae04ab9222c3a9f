"""The whole network: any camera rig to a bird's-eye view to a plan.

    pictures ─ backbone ─ maps ─ lift ─ view ─┐
                                past views ─ align ─ trunk ─┬─ road, lines, direction, vehicles, people, velocity
                                                            └─ planner ─ modes, probabilities, spread, embedding, light

`encode` sees one frame; `decide` sees the views of the history and where the car was. Callers may keep encoded frames
by instant: nothing else passes from one instant to the next.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from understudy.labelers.bev import CHANNELS, CLASSES
from understudy.labelers.light import STATES
from understudy.network.backbone import Backbone
from understudy.network.bev import Trunk, align, lift
from understudy.network.judge import cost
from understudy.network.plan import GLANCE, Planner, state_of
from understudy.network.scorer import SHARE, Scorer, features
from understudy.network.sizes import Size

_RARE = -3.0  # logit: one cell in twenty


class Network(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.backbone = Backbone(size)
        # Without bias, so that a camera without a picture says nothing.
        self.glance = nn.Conv2d(size.bev, GLANCE, 1, bias=False)
        self.heights = nn.Conv2d(size.bev, size.bev * len(size.heights), 1, bias=False)
        self.settle = nn.Sequential(nn.BatchNorm2d(size.bev), nn.ReLU())
        self.trunk = Trunk(size.bev * len(size.history_s), size.trunk, len(CHANNELS))
        with torch.no_grad():  # what is not road is rare (the prior of Lin et al. 2017); a class never taught stays so
            self.trunk.out.bias.view(len(CHANNELS), -1)[1 : len(CLASSES)] = _RARE  # type: ignore[union-attr]
        self.planner = Planner(size, STATES)
        self.sees = False  # whether its view was taught, so that modes can be held against it
        self.scorer: Scorer | None = None  # where the worth of modes was taught, too

    def judged(self, said: dict[str, Tensor]) -> dict[str, Tensor]:
        """Answers whose `choice` heeds what the view shows, see `judge`, and what each mode would be worth, see
        `scorer`; as they are where no view was learned."""
        if not self.sees:
            return said
        poses, bev, grid = said["poses"], said["bev"], self.size.grid
        choice = said["choice"] - cost(poses, bev, said["light"], grid)
        if self.scorer is not None:
            choice = choice + SHARE * self.scorer.log_score(features(poses, bev, grid), said["hidden"])
        return said | {"choice": choice}

    def encode(self, pictures: Tensor, valid: Tensor, index: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """A view (B, D, X, Y) and a glance (B, G) from pictures (B, C, H, W, 3) uint8, which of them are there (B, C),
        and the lift table of the rig, (Z * X * Y, 8) twice.

        The glance is the strongest answer anywhere in any picture: it tells of lamps that lie beyond the view.
        """
        maps = self.maps(pictures, valid)
        return self.view(maps, index, weight), self.glanced(maps)

    def maps(self, pictures: Tensor, valid: Tensor) -> Tensor:
        """Feature maps (B, C, D, h, w), 0 where there is no picture."""
        flat = pictures.flatten(0, 1).permute(0, 3, 1, 2).to(_precision(pictures.device)) * (1 / 128) - 1
        maps: Tensor = self.backbone(flat)
        maps = maps * valid.reshape(-1, 1, 1, 1).to(maps.dtype)
        return maps.reshape(*pictures.shape[:2], *maps.shape[1:])

    def glanced(self, maps: Tensor) -> Tensor:
        """The glance (B, G) at feature maps."""
        glance: Tensor = self.glance(maps.flatten(0, 1)).amax(dim=(2, 3)).reshape(*maps.shape[:2], GLANCE).amax(dim=1)
        return torch.relu(glance)

    def view(self, maps: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        """The view (B, D, X, Y) that feature maps give by a lift table."""
        raised = self.heights(maps.flatten(0, 1))  # (B * C, Z * D, h, w)
        raised = raised.reshape(*maps.shape[:2], *raised.shape[1:])
        settled: Tensor = self.settle(lift(raised, index, weight, self.size))
        return settled

    def decide(
        self,
        views: Sequence[Tensor],
        glance: Tensor,
        past_poses: Tensor,
        speed: Tensor,
        yaw_rate: Tensor,
        command: Tensor,
    ) -> dict[str, Tensor]:
        """Answers from the views of the history, F of (B, D, X, Y), oldest first, the newest glance (B, G), where the
        car was at each frame (B, F, 3) in the ego frame of now, and its newest speed, yaw rate and command (B,).

        `bev` (B, 9, X, Y) in the order of labelers.bev.CHANNELS, CLASSES as logits; `poses` (B, M, K, 4) with
        `choice` (B, M) logits; `spread` (B,); `embedding` (B, 64); `light` (B, 5) logits; `control` (B, 2);
        `hidden` (B, H), what all of these were made of.
        """
        moved = [align(view, past_poses[:, frame], self.size.grid) for frame, view in enumerate(views[:-1])]
        together = torch.cat([*moved, views[-1]], dim=1)
        bev, deep = self.trunk(together)
        return {"bev": bev.float(), **self.planner(deep, glance, state_of(speed, yaw_rate, command))}

    def forward(
        self,
        pictures: Tensor,
        valid: Tensor,
        past_poses: Tensor,
        speed: Tensor,
        yaw_rate: Tensor,
        command: Tensor,
        index: Tensor,
        weight: Tensor,
    ) -> dict[str, Tensor]:
        """Both at once, from pictures (B, F, C, H, W, 3). The past is encoded without gradients: its weights are those
        of the newest frame, which learns them, and a third of the time is saved."""
        newest = pictures.shape[1] - 1
        with torch.no_grad():
            seen = [self.maps(pictures[:, frame], valid[:, frame]) for frame in range(newest)]
            past = [self.view(maps, index, weight) for maps in seen]
        view, glance = self.encode(pictures[:, newest], valid[:, newest], index, weight)
        return self.decide([*past, view], glance, past_poses, speed[:, newest], yaw_rate[:, newest], command)


def _precision(device: torch.device) -> torch.dtype:
    """What convolutions will compute in."""
    half = torch.is_autocast_enabled(device.type)
    return torch.get_autocast_dtype(device.type) if half else torch.float32
