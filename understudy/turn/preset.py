"""How large a turn is: every number that a turn takes, in one frozen record."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from understudy.errors import SettingsError, UnknownName
from understudy.gate.verdict import Gate


@dataclass(frozen=True)
class Preset:
    """The numbers of a turn. Training is told in steps, not in seconds: the same turn must give the same network."""

    name: str
    # The fleet
    cars: int  # with a human at the wheel, in towns to train in
    minutes: float  # that each of them drives
    regression_cars: int  # with a human at the wheel, in towns kept for the regression suite
    regression_minutes: float
    wheel_cars: int  # with the champion at the wheel and a safety driver beside it
    wheel_minutes: float
    towns: int = 12  # to train in, among which turns go round
    weathers: tuple[str, ...] = ("clear",)  # one car after another, over all turns
    # What is kept of it
    budget_s: float = 120.0  # seconds of clips a turn
    variety: float = 0.5  # the share of them that goes to what is unlike all else; the rest goes to triggers
    regression_clips: int = 2  # a turn
    chosen: Literal["triggers", "chance"] = "triggers"  # chance is for a control arm
    every_s: float = 0.2  # between labelled instants
    # Learning
    size: str = "nano"
    bootstrap_s: float = 240.0  # seconds of clips, chosen at random, that the first champion learns from
    bootstrap_steps: int = 200
    steps: int = 200
    batch: int = 32
    lr: float = 2e-3
    # Judging
    gate: Gate = field(default_factory=Gate)


# A turn in at most 4 minutes on two cores, 90 s of them training. 16 short routes can prove that a driver is better, at
# the level of every gate; that it loses nothing they cannot. So the margins bar a gross loss, and claim no more.
EVENING = Preset(
    "evening",
    cars=8,
    minutes=1.0,
    regression_cars=1,
    regression_minutes=0.5,
    wheel_cars=1,
    wheel_minutes=1.0,
    budget_s=240.0,
    regression_clips=1,
    bootstrap_steps=200,
    steps=300,
    batch=16,  # of 8, 16 and 32, what leads furthest in 6,400 instants
    gate=Gate(
        suites=("everyday", "events"),
        routes=8,
        blocks=1,
        seconds=20.0,
        margin=0.3,
        lane_margin=1.0,
        speed_margin=0.3,
        within=0.4,  # 8 routes can tell 0.37
        lane_within=1.0,
    ),
)

# A turn in some 12 minutes on two slow cores, so that several seeds of several turns can be measured there: twice the
# driving of an evening for the same seconds of clips, one car of seven in weather that the others do not meet.
_RARE = ("rain", "fog", "night", "dusk", "overcast", "low_sun", "rain_night", "dirty_lens")
STANDARD = Preset(
    "standard",
    cars=18,
    minutes=1.0,
    regression_cars=2,
    regression_minutes=0.5,
    wheel_cars=2,
    wheel_minutes=1.0,
    weathers=tuple(name for rare in _RARE for name in (*["clear"] * 6, rare)),
    budget_s=240.0,
    regression_clips=2,
    bootstrap_steps=350,
    steps=500,
    batch=16,
    gate=Gate(
        suites=("everyday", "events", "weather"),
        routes=12,
        blocks=1,
        seconds=20.0,
        within=0.3,  # 12 routes can tell 0.27
        lane_within=0.4,
    ),
)

PRESETS = {one.name: one for one in (EVENING, STANDARD)}


def preset(name: str) -> Preset:
    """The preset of that name."""
    if name not in PRESETS:
        raise UnknownName("preset", name, PRESETS)
    return PRESETS[name]


def with_budget(size: Preset, budget: str) -> Preset:
    """The same with another budget of clips a turn, as in `120s`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)s", budget)
    if found is None:
        raise SettingsError(f"a turn's budget wants seconds of clips (120s), got {budget!r}")
    return replace(size, budget_s=float(found[1]))
