"""A scenario: one situation in a world, replayable from its identifier, which says all of it.

scenario:city/organic-3/12/everyday/rain/cut_in/7
         |    |         |  |        |    |      seed of everything random in it
         |    |         |  |        |    a rare event, or none
         |    |         |  |        weather
         |    |         |  traffic
         |    |         number of the route in the town; of a replay, where it starts (s)
         |    town; of a replay, the drive
         world
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from understudy.errors import UnderstudyError

WORLDS = ("city", "replay")


@dataclass(frozen=True, slots=True, order=True)
class Scenario:
    """What a world needs to be told to play one situation."""

    world: str  # city or replay
    town: str  # `organic:3`; of a replay, the drive
    route: str = "0"  # the number of a route in the town; of a replay, the second at which it starts
    traffic: str = "everyday"  # of a replay: `replayed`, or `idm` where the others react
    weather: str = "clear"
    event: str = "none"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.world not in WORLDS:
            raise UnderstudyError(f"no world {self.world!r} for a scenario; known: {', '.join(WORLDS)}")
        for field in fields(self):
            if "/" in (word := str(getattr(self, field.name))) or not word:
                raise UnderstudyError(f"a scenario's {field.name} is {word!r}; expected one word")

    @property
    def id(self) -> str:
        """`scenario:...`, from which `parse` makes the same scenario."""
        town = self.town.replace(":", "-", 1) if self.world == "city" else self.town
        return f"scenario:{self.world}/{town}/{self.route}/{self.traffic}/{self.weather}/{self.event}/{self.seed}"

    def __str__(self) -> str:
        return self.id


def parse(text: str) -> Scenario:
    """The scenario of an identifier, with or without its `scenario:`."""
    words = text.removeprefix("scenario:").split("/")
    if len(words) != len(fields(Scenario)) or not words[-1].isdecimal():
        raise UnderstudyError(
            f"no scenario {text!r}: expected scenario:WORLD/TOWN/ROUTE/TRAFFIC/WEATHER/EVENT/SEED, as in "
            "scenario:city/organic-3/12/everyday/clear/none/7"
        )
    world, town, route, traffic, weather, event, seed = words
    town = town.replace("-", ":", 1) if world == "city" else town
    return Scenario(world, town, route, traffic, weather, event, int(seed))
