"""What to collect next: from what the gate lost, by kind of event only, and from what each trigger brought.

Pure: numbers in, a campaign out. It never sees a scenario of the gate, a route or a place, and the kinds of event that
no trigger may be tuned on are left out of it, for they are kept for judging.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from understudy.mine.settings import WEIGHTS

LOST = 0.2  # by infractions: from here on a kind is worth being sent after
SENT_AFTER = 2  # kinds, at most
NOISY = 120.0  # events an hour: a trigger that fires more often tells of itself rather than of the road


@dataclass(frozen=True)
class Brought:
    """What one trigger brought in a turn."""

    trigger: str
    events: int
    per_hour: float
    clips: int


@dataclass(frozen=True)
class Campaign:
    """What the next turn is told: turns of each trigger in mining, and kinds that cars are sent after."""

    weights: Mapping[str, float]
    events: tuple[str, ...]
    words: tuple[str, ...]


# The first campaign knows nothing yet, but that these fire at the detector's noise, which no plan causes.
FIRST = Campaign(
    {"flicker": 0.0, "kind_flicker": 0.0, "light_flicker": 0.0, "box_jitter": 0.0},
    (),
    ("The first turn knows no losses yet: every trigger has its usual share, the detector's own noise has none.",),
)


def campaign(
    lost: Mapping[str, float],
    brought: Sequence[Brought],
    catches: Mapping[str, Sequence[str]],
    kept: Sequence[str],
) -> Campaign:
    """The next campaign.

    `lost` is the share that the champion lost by infractions in each kind of event (0 lost nothing, 1 all);
    `catches` names the triggers that should catch a kind; `kept` are the kinds that are not looked at.

    A trigger's weight is that of mining, times (1 + loss) for the worst kind that it should catch, so at most twice its
    own; times NOISY / rate where it fires more often than that.
    """
    seen = {kind: loss for kind, loss in lost.items() if kind not in kept}
    worst = sorted((kind for kind in seen if seen[kind] >= LOST), key=lambda kind: (-seen[kind], kind))
    weights = dict(FIRST.weights)
    words = []
    for one in brought:
        if one.trigger in FIRST.weights:
            continue
        own = WEIGHTS.get(one.trigger, 1.0)
        needed = max((seen[kind] for kind in worst if one.trigger in catches.get(kind, ())), default=0.0)
        weight = round(own * (1 + needed) * min(1.0, NOISY / max(one.per_hour, 1e-9)), 3)
        if weight != own:
            weights[one.trigger] = weight
    for kind in worst[:SENT_AFTER]:
        hears = [one.trigger for one in brought if one.trigger in catches.get(kind, ())]
        words.append(
            f"{_named(kind)} cost {100 * seen[kind]:.0f} % by infractions: a car is sent after it, and "
            f"{_listed(hears)} get up to {1 + seen[kind]:.1f} times their share."
            if hears
            else f"{_named(kind)} cost {100 * seen[kind]:.0f} % by infractions: a car is sent after it."
        )
    if not worst:
        words.append(
            "No kind of event cost a fifth by infractions: cars meet what comes."
            if seen
            else "The gate drove no kind of event that a campaign may look at: cars meet what comes."
        )
    loud = [one for one in brought if one.per_hour > NOISY and one.trigger not in FIRST.weights]
    if loud:
        told = _listed([f"{one.trigger} ({one.per_hour:.0f})" for one in sorted(loud, key=lambda one: -one.per_hour)])
        words.append(f"{told} fired more than {NOISY:.0f} times an hour and get less of the budget.")
    return Campaign(weights, tuple(worst[:SENT_AFTER]), tuple(words))


def _named(kind: str) -> str:
    return kind.replace("_", " ").capitalize()


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
