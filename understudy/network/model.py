"""The whole network: any camera rig to a bird's-eye view to a plan.

    pictures ─┬─ backbone ─ maps ─┬─ lift ─ view ─┐
              │                   └─ embedding    │
              │                      past views ─ align ─ trunk ─┬─ road, lines, direction, vehicles, people, velocity
              └─ glance ─ light ─────────────────────────────────┴─ planner ─ modes, probabilities, spread

`encode` sees one frame; `decide` sees the views of the history and where the car was. Callers may keep encoded frames
by instant: nothing else passes from one instant to the next.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from understudy.labelers.bev import CHANNELS, CLASSES
from understudy.labelers.light import STATES
from understudy.network.backbone import GLANCES, Backbone, Glance
from understudy.network.bev import Trunk, align, lift
from understudy.network.judge import cost, with_stop
from understudy.network.plan import Planner, state_of
from understudy.network.scorer import SHARE, Scorer, features
from understudy.network.sizes import Size

EMBEDDING = 64
_RARE = -3.0  # logit: one cell in twenty


class Network(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.backbone = Backbone(size)
        self.glances = nn.ModuleList([Glance(size.picture) for _ in range(GLANCES)])
        # Nothing learns it, so it is no part of the weights: a random projection keeps distances, nearly.
        if (looks := 2 * size.bev) == EMBEDDING:
            projection = torch.eye(EMBEDDING)
        else:
            projection = torch.randn(looks, EMBEDDING, generator=torch.Generator().manual_seed(0)) / looks**0.5
        self.projection = nn.Buffer(projection, persistent=False)
        # Without bias, so that a camera without a picture says nothing.
        self.heights = nn.Conv2d(size.bev, size.bev * len(size.heights), 1, bias=False)
        self.settle = nn.Sequential(nn.BatchNorm2d(size.bev), nn.ReLU())
        self.trunk = Trunk(size.bev * len(size.history_s), size.trunk, len(CHANNELS))
        with torch.no_grad():  # what is not road is rare (the prior of Lin et al. 2017); a class never taught stays so
            self.trunk.out.bias.view(len(CHANNELS), -1)[1 : len(CLASSES)] = _RARE  # type: ignore[union-attr]
        self.planner = Planner(size, STATES)
        self.sees = False  # whether its view was taught, so that modes can be held against it
        self.scorer: Scorer | None = None  # where the worth of modes was taught, too

    @property
    def modes(self) -> int:
        """How many modes its judged answers have: a stop is one more than were learned."""
        return self.size.modes + self.sees

    def kernels(self) -> list[Tensor]:
        """The weights that mix features with features over a stretch of a picture or of the view."""
        return [one.weight for one in self.modules() if isinstance(one, nn.Conv2d) and one.groups == 1]

    def judged(self, said: dict[str, Tensor], speed: Tensor) -> dict[str, Tensor]:
        """Answers with a stop among the modes, from the car's speed (B,), whose `choice` heeds what the view shows, see
        `judge`, and what each mode would be worth, see `scorer`; as they are where no view was learned."""
        if not self.sees:
            return said
        poses, choice = with_stop(said["poses"], said["choice"], speed)
        bev, grid = said["bev"], self.size.grid
        choice = choice - cost(poses, bev, said["light"], grid)
        if self.scorer is not None:
            choice = choice + SHARE * self.scorer.log_score(features(poses, bev, grid), said["hidden"])
        return said | {"poses": poses, "choice": choice}

    def encode(
        self, pictures: Tensor, valid: Tensor, index: Tensor, weight: Tensor, ahead: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A view (B, D, X, Y), a glance (B, G) and an embedding (B, 64) from pictures (B, C, H, W, 3) uint8, which of
        them are there (B, C), the lift table of the rig, (Z * X * Y, 8) twice, and how sharply each camera sees ahead
        (C,).
        """
        maps = self.maps(pictures, valid)
        return self.view(maps, index, weight), self.glanced(pictures, valid, ahead), self.embedding(maps, valid)

    def maps(self, pictures: Tensor, valid: Tensor) -> Tensor:
        """Feature maps (B, C, D, h, w), 0 where there is no picture."""
        maps: Tensor = self.backbone(_seen(pictures.flatten(0, 1)))
        maps = maps * valid.reshape(-1, 1, 1, 1).to(maps.dtype)
        return maps.reshape(*pictures.shape[:2], *maps.shape[1:])

    def embedding(self, maps: Tensor, valid: Tensor) -> Tensor:
        """How a frame looks, (B, 64): mean and spread of each feature over all pixels of the cameras that have a
        picture, (B, C) `valid`. Nights, fog and what was never seen lie apart, whatever is planned there."""
        maps, there = maps.detach().float(), valid.float()[..., None]
        share = there / there.sum(dim=1, keepdim=True).clamp(min=1)
        mean = (maps.mean(dim=(3, 4)) * share).sum(dim=1)
        spread = (maps.square().mean(dim=(3, 4)) * share).sum(dim=1) - mean.square()
        looks: Tensor = torch.cat([mean, spread.clamp(min=1e-12).sqrt()], dim=1) @ self.projection
        return looks

    def glanced(self, pictures: Tensor, valid: Tensor, ahead: Tensor) -> Tensor:
        """The glances (B, G) at the pictures that show what is ahead sharpest, of those that are there, one after the
        other; 0 where there is none.

        They tell of lamps, which are small, often lie beyond the view, and near the line above the sharpest picture.
        """
        sharp, found = ahead * valid, []
        for glance in self.glances:
            best = sharp.argmax(dim=1, keepdim=True)
            picture = pictures.gather(1, best[..., None, None, None].expand(-1, 1, *pictures.shape[2:]))[:, 0]
            found.append(glance(_seen(picture)) * (sharp.amax(dim=1, keepdim=True) > 0))
            sharp = sharp.scatter(1, best, 0.0)
        return torch.cat(found, dim=1)

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
        `choice` (B, M) logits; `spread` (B,); `light` (B, 5) logits; `control` (B, 2); `hidden` (B, H), what all of
        these were made of.
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
        ahead: Tensor,
    ) -> dict[str, Tensor]:
        """Both at once, from pictures (B, F, C, H, W, 3), with the newest frame's `embedding` but in training, for
        nothing learns it. The past is encoded without gradients: its weights are those of the newest frame, which
        learns them, and a third of the time is saved."""
        newest = pictures.shape[1] - 1
        with torch.no_grad():
            seen = [self.maps(pictures[:, frame], valid[:, frame]) for frame in range(newest)]
            past = [self.view(maps, index, weight) for maps in seen]
        maps = self.maps(pictures[:, newest], valid[:, newest])
        glance = self.glanced(pictures[:, newest], valid[:, newest], ahead)
        views = [*past, self.view(maps, index, weight)]
        said = self.decide(views, glance, past_poses, speed[:, newest], yaw_rate[:, newest], command)
        return said if self.training else said | {"embedding": self.embedding(maps, valid[:, newest])}


def _seen(pictures: Tensor) -> Tensor:
    """Pictures (N, H, W, 3) uint8 as convolutions take them, (N, 3, H, W) from -1 to 1."""
    half = torch.is_autocast_enabled(pictures.device.type)
    kind = torch.get_autocast_dtype(pictures.device.type) if half else torch.float32
    return pictures.permute(0, 3, 1, 2).to(kind) * (1 / 128) - 1
