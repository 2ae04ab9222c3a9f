"""A scenario: one situation in a world, small, and replayable from its identifier alone.

scenario:city/organic:3/r12/everyday/clear/none/7
         world town     route traffic weather event seed
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import quote, unquote

import numpy as np

from understudy.errors import UnderstudyError
from understudy.evidence import random_of

_GRAMMAR = (
    "scenario:WORLD/TOWN/ROUTE/TRAFFIC/WEATHER/EVENT/SEED, as in scenario:city/organic:3/r12/everyday/clear/none/7"
)
_ROUTE = re.compile(r"r(\d+)(?::(0*[1-9]\d*))?\Z")


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is driven: where, among whom, in which weather, and what happens on the way.

    `route` is `r12`, the town's twelfth route of ROUTE_METRES, or `r12:5000`, the same one gone on to 5 km.
    """

    world: str = "city"
    town: str = "organic:1"
    route: str = "r0"
    traffic: str = "everyday"
    weather: str = "clear"
    event: str = "none"
    seed: int = 0

    ROUTE_METRES: ClassVar[int] = 800

    def __post_init__(self) -> None:
        if not _ROUTE.match(self.route):
            raise UnderstudyError(
                f"no route {self.route!r}: expected rNUMBER or rNUMBER:METRES of at least 1 m, as in r12 or r12:5000"
            )
        if self.seed < 0:
            raise UnderstudyError(f"a scenario's seed is {self.seed}: expected 0 or more")

    def __str__(self) -> str:
        words = (self.world, self.town, self.route, self.traffic, self.weather, self.event)
        return "scenario:" + "/".join(quote(word, safe=":") for word in words) + f"/{self.seed}"

    @classmethod
    def parse(cls, identifier: str) -> Scenario:
        """The scenario that an identifier names."""
        words = [unquote(word) for word in identifier.removeprefix("scenario:").split("/")]
        if len(words) != 7 or not all(words) or not words[6].isdecimal():
            raise UnderstudyError(f"no scenario {identifier!r}: expected {_GRAMMAR}")
        world, town, route, traffic, weather, event, seed = words
        return cls(world, town, route, traffic, weather, event, int(seed))

    @property
    def number(self) -> int:
        """The number of the route."""
        found = _ROUTE.match(self.route)
        assert found is not None
        return int(found[1])

    @property
    def metres(self) -> float:
        """How long the route is."""
        found = _ROUTE.match(self.route)
        assert found is not None
        return float(found[2] or self.ROUTE_METRES)

    def rng(self, purpose: str) -> np.random.Generator:
        """Randomness that follows from what the scenario is and what it is for."""
        return random_of(f"{self} {purpose}")

    def number_for(self, purpose: str) -> int:
        """A number below 2³¹ that follows from what the scenario is and what it is for."""
        return int.from_bytes(hashlib.sha256(f"{self} {purpose}".encode()).digest()[:4]) >> 1
