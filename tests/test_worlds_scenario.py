"""A scenario is what its identifier says."""

from __future__ import annotations

import pytest

from understudy.errors import UnderstudyError
from understudy.worlds.scenario import Scenario, parse


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("city", "organic:3", "12", "dense", "rain", "cut_in", 7),
        Scenario("replay", "argoverse2-7fab2350-a1b2c3", "4.0", "idm"),
    ],
)
def test_a_scenario_is_made_again_from_its_identifier(scenario: Scenario) -> None:
    assert parse(scenario.id) == scenario
    assert parse(scenario.id.removeprefix("scenario:")) == scenario


@pytest.mark.parametrize(
    "text",
    ["", "scenario:", "city/organic-3", "moon/organic-3/1/a/b/c/7", "city/organic-3/1/a/b/c/x", "city//1/a/b/c/7"],
)
def test_what_is_no_scenario_is_one_clear_line(text: str) -> None:
    with pytest.raises(UnderstudyError, match=r"scenario|world"):
        parse(text)
