"""What mining can be told."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import Any

from understudy.errors import SettingsError

# How many turns a trigger gets for every turn of another. What a plan would have caused is worth more than how far it
# was from what was driven; and a person who takes over has already judged.
WEIGHTS = {
    "intervention": 3.0,
    "would_hit": 3.0,
    "would_leave_road": 3.0,
    "would_run_light": 3.0,
    "would_go_wrong_way": 2.0,
    "needless_stop": 2.0,
    "displaced": 0.5,
    "models_disagree": 0.5,
    "rare_value": 0.5,
}


@dataclass(frozen=True)
class Mine:
    """Settings of `understudy mine`."""

    budget: str | int = 20  # so many clips, or seconds of clips: "120s"
    context_s: float = 4.0  # kept before and after each event, as far as the drive goes
    longest_s: float = 20.0  # no clip is longer; a longer event is shown from its beginning
    variety: float = 0.0  # share of the budget for what a model in the shadow finds unlike all that is kept
    seed: int = 0  # decides between equals
    triggers: tuple[str | dict[str, Any], ...] = ()  # names, or tables with `use`; none: all that need no settings
    policies: tuple[str, ...] = ()  # whose plans in the shadow are looked at, as `shadow` names them; none: all
    weights: dict[str, float] = field(default_factory=dict)  # by trigger, else the usual; 0 finds but keeps none
    regression: int = 5  # one place in so many is kept for the regression suite; a town has a side of its own

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\d+|\d+(\.\d+)?s", str(self.budget)):
            raise SettingsError(f"mine.budget wants clips (20) or seconds of clips (120s), got {self.budget!r}")
        if not 0 <= self.context_s < math.inf:
            raise SettingsError(f"mine.context_s wants seconds, 0 or more, got {self.context_s:g}")
        if self.longest_s <= 2 * self.context_s:
            raise SettingsError(f"mine.longest_s is {self.longest_s:g}; the context alone takes {2 * self.context_s:g}")
        if not 0 <= self.variety <= 1:
            raise SettingsError(f"mine.variety wants a share of the budget, 0 to 1, got {self.variety}")
        if self.regression < 1:
            raise SettingsError(f"mine.regression wants 1 or more, got {self.regression}")

    def weight(self, trigger: str) -> float:
        """How many turns a trigger gets for every turn of one that is not listed."""
        return self.weights.get(trigger, WEIGHTS.get(trigger, 1.0))

    def share(self, share: float) -> Mine:
        """The same with a share of the budget."""
        own = f"{share * self.seconds:f}s" if str(self.budget).endswith("s") else round(share * self.clips)
        return replace(self, budget=own)

    @property
    def clips(self) -> float:
        """How many clips may be kept."""
        return float("inf") if str(self.budget).endswith("s") else float(self.budget)

    @property
    def seconds(self) -> float:
        """How many seconds of clips may be kept."""
        return float(str(self.budget)[:-1]) if str(self.budget).endswith("s") else float("inf")
