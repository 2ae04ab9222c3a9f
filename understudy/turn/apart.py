"""Nothing leaks: training, regression and gate share no drive, no place and no seed of a town. Asserted, not trusted.

Equal seeds in different towns share nothing: all that chance decides follows from the whole scenario.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from understudy.errors import DataError, UnderstudyError
from understudy.records import Clip
from understudy.worlds.scenario import Scenario


@dataclass(frozen=True)
class Side:
    """All that one side of the split is made of."""

    places: frozenset[str] = frozenset()
    drives: frozenset[str] = frozenset()
    seeds: frozenset[tuple[str, int]] = frozenset()  # with their towns

    def with_scenarios(self, scenarios: Iterable[str]) -> Side:
        """With scenarios that are to be driven."""
        found = [Scenario.parse(one) for one in scenarios]
        return Side(
            self.places | {one.town for one in found},
            self.drives | {str(one).removeprefix("scenario:") for one in found},
            self.seeds | {(one.town, one.seed) for one in found if one.world == "city"},
        )

    def with_clips(self, clips: Iterable[Clip]) -> Side:
        """With clips that are kept."""
        clips = list(clips)
        drives = {clip.drive for clip in clips}
        return Side(
            self.places | {clip.place for clip in clips},
            self.drives | drives,
            self.seeds | {seed for drive in drives if (seed := _seed(drive)) is not None},
        )

    def with_places(self, places: Iterable[str]) -> Side:
        return Side(self.places | set(places), self.drives, self.seeds)


def assert_apart(sides: Mapping[str, Side]) -> None:
    """DataError where two sides share anything."""
    for (one, a), (other, b) in combinations(sides.items(), 2):
        for what in ("places", "drives", "seeds"):
            if shared := getattr(a, what) & getattr(b, what):
                raise DataError(
                    f"the split leaks: {one} and {other} share {len(shared)} {what}, {min(shared)!r} among them"
                )


def _seed(drive: str) -> tuple[str, int] | None:
    """Town and seed of a drive of the city; None of a log."""
    try:
        scenario = Scenario.parse(drive.partition("~")[0])
    except UnderstudyError:
        return None
    return scenario.town, scenario.seed
