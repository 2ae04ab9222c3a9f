"""A turn under way, as its steps know it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from understudy.errors import UnderstudyError
from understudy.gate.verdict import Gate, Verdict
from understudy.registry import Registry
from understudy.store import Lake
from understudy.turn.diary import About, Diary, turns
from understudy.turn.preset import Preset

Tell = Callable[..., None]


class Impossible(UnderstudyError):
    """A step cannot be done with what there is; the turn goes on without it."""


@dataclass
class Turn:
    """One turn under way."""

    lake: Lake
    diary: Diary
    preset: Preset
    seed: int
    processes: int
    on_verdict: Callable[[Verdict], object] | None = None

    @property
    def number(self) -> int:
        return self.diary.number

    @property
    def registry(self) -> Registry:
        return Registry(self.lake.root)

    def came_to(self, step: str) -> About:
        return self.diary.done[step]

    @property
    def champion(self) -> str:
        """The hash of who is challenged in this turn."""
        first = self.came_to("bootstrap").get("champion")
        return str(first or self.came_to("begin")["champion"])

    @property
    def learner(self) -> str:
        """The hash of whom the candidate goes on from: the one that the turn before left undecided, or the champion."""
        return str(self.came_to("begin").get("open") or self.champion)

    @property
    def learned(self) -> Collection[str]:
        """The places in which the champion that the turn begins with has learned."""
        return self.places(self.came_to("begin")["champion"])

    @property
    def gate(self) -> Gate:
        """The preset's, on routes of the turn's own: where a champion was unlucky it is not judged again and again."""
        gate, before = self.preset.gate, turns(self.lake)
        had = (  # a turn before may have been of another preset
            before[n]["begin"]["preset"]["gate"]["routes"] if n in before else gate.routes
            for n in range(1, self.number)
        )
        return replace(gate, first=gate.first + sum(had))

    def places(self, model: str | None) -> frozenset[str]:
        """The places in which a model and those that it learned on from have learned; of nobody none."""
        card = self.registry.model(model).card if model else {}
        return frozenset(card.get("data", {}).get("places", ()))

    def spec(self, model: str) -> str:
        """What stages are told to have a model drive."""
        return self.registry.model(model).spec

    def drives(self, *steps: str) -> list[str]:
        """The drives that steps of this turn brought."""
        return [drive for step in steps for drive in self.came_to(step).get("drives", ())]


def crown_first(turn: Turn, model: str, why: str) -> str:
    """Make a model champion where there is none; who is champion."""
    reigns = turn.registry.reigns()
    return reigns[-1].model if reigns else crown(turn, model, why)


def crown(turn: Turn, model: str, why: str = "") -> str:
    """Make a model champion, if it is not."""
    reigns = turn.registry.reigns()
    if not reigns or reigns[-1].model != model:
        turn.registry.promote(model, why)
    return model
