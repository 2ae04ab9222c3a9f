"""Detections are the truth with what detectors get wrong, the same whenever they are made."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.errors import UnderstudyError
from understudy.records import Kind, Light, Lights, Objects
from understudy.worlds.detections import RANGE, _hidden, detect, detect_lights
from understudy.worlds.scenario import Scenario, parse

T = 2000


def standing(*places: tuple[float, float], instants: int = T, kind: Kind = Kind.CAR) -> Objects:
    """Cars that stand at places seen from an ego at the origin."""
    n = len(places)
    columns = {
        "track": np.arange(n), "kind": np.full(n, kind), "x": np.array([x for x, _ in places], float),
        "y": np.array([y for _, y in places], float), "yaw": np.zeros(n),
        "length": np.full(n, 4.5), "width": np.full(n, 1.8), "vx": np.zeros(n), "vy": np.zeros(n),
    }  # fmt: skip
    return Objects(np.arange(instants + 1) * n, {name: np.tile(values, instants) for name, values in columns.items()})


def seen(truth: Objects, seed: int = 1) -> Objects:
    return detect(truth, np.zeros((len(truth), 3)), np.arange(len(truth)) / 10, seed)


def test_a_near_car_in_the_open_is_nearly_always_there() -> None:
    share = len(seen(standing((15, 0)))["x"]) / T
    assert 0.95 < share < 1.0


def test_a_far_car_drops_out_more_often_and_one_out_of_range_is_never_there() -> None:
    near, far = (len(seen(standing((x, 0)))["x"]) / T for x in (15, 75))
    assert far < near - 0.03
    assert not len(seen(standing((RANGE + 1, 0)))["x"])


def test_a_car_behind_another_is_hidden() -> None:
    truth = standing((10, 0), (20, 0), (20, 12))
    hidden = _hidden(truth.starts, *(truth[name] for name in ("x", "y", "yaw", "length", "width")), np.zeros((T, 3)))
    assert hidden[:3].tolist() == [0, 1, 0]
    assert set(seen(truth)["track"]) == {0, 2}


def test_errors_grow_with_distance_have_no_bias_and_last() -> None:
    near, far = seen(standing((10, 0))), seen(standing((70, 0)))
    assert np.std(far["x"]) > 2 * np.std(near["x"]) > 0
    assert abs(np.mean(near["x"]) - 10) < 0.02
    error = near["x"] - 10
    assert np.corrcoef(error[:-1], error[1:])[0, 1] > 0.8


def test_a_detector_mistakes_a_kind_for_a_moment() -> None:
    kinds = seen(standing((50, 0)))["kind"]
    assert {Kind.CAR, Kind.TRUCK} == set(kinds)
    assert np.mean(kinds == Kind.CAR) > 0.97


def test_an_instant_alone_is_what_it_is_among_others_and_a_seed_is_a_different_day() -> None:
    truth = standing((10, 3), (40, -5), (60, 8))
    whole = seen(truth)
    alone = detect(truth.slice(1234, 1235), np.zeros((1, 3)), np.array([123.4]), 1)
    rows = slice(whole.starts[1234], whole.starts[1235])
    assert np.array_equal(whole["x"][rows], alone["x"])
    assert not np.array_equal(seen(truth, seed=2)["x"][:50], whole["x"][:50])


def test_detections_do_not_depend_on_where_the_map_lies() -> None:
    truth = standing((10, 3), (40, -5))
    moved = Objects(truth.starts, {**truth.columns, "x": truth["x"] + 500, "y": truth["y"] - 300})
    there = detect(moved, np.tile([500.0, -300, 0], (T, 1)), np.arange(T) / 10, 1)
    assert np.allclose(there["x"] - 500, seen(truth)["x"])


def test_lamps_are_read_when_near() -> None:
    truth = Lights(("a", "b"), np.array([[20.0, 0, 5], [200, 0, 5]]), np.full((T, 2), Light.RED))
    state = detect_lights(truth, np.zeros((T, 3)), np.arange(T) / 10, 1).state
    assert np.mean(state[:, 0] == Light.RED) > 0.97
    assert (state[:, 1] == Light.UNKNOWN).all()


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
