"""What a map answers, on maps whose answers are known and on recorded ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.towns import WIDTH, bend, crossing, lane, two_way_road
from understudy.errors import UnknownName
from understudy.geometry import compose, move, wrap
from understudy.maps import Roads
from understudy.records import Floats, Map


def along(*points: tuple[float, float], step: float = 0.5) -> Floats:
    """Poses every `step` metres along straight lines between points."""
    corners = np.array(points, float)
    parts = [np.linspace(a, b, max(int(np.hypot(*(b - a)) / step), 2), endpoint=False) for a, b in pairwise(corners)]
    path = np.concatenate([*parts, corners[-1:]])
    step_ = np.gradient(path, axis=0)
    return np.concatenate([path, np.arctan2(step_[:, 1], step_[:, 0])[:, None]], axis=1)


def test_a_point_lies_in_its_lane_at_its_distance_and_to_its_left() -> None:
    roads = Roads(two_way_road())
    lane, s, d, heading = roads.nearest(np.array([[20.0, 0.5], [20.0, 7.5], [20.0, 40.0]]))
    assert [roads.lane_ids[i] for i in lane[:2]] == ["slow", "back"]
    assert lane[2] == -1 and np.isnan([s[2], d[2], heading[2]]).all()
    np.testing.assert_allclose(s[:2], [20, 180])
    np.testing.assert_allclose(d[:2], [0.5, -0.5])
    np.testing.assert_allclose(wrap(heading[:2]), [0, np.pi])


def test_heading_decides_between_lanes_that_both_contain_the_point() -> None:
    roads = Roads(crossing())
    for arm, other in (("w", "e"), ("s", "n"), ("w", "n")):
        road = roads.lanes[roads.index(f"{arm}_{other}")].centre
        middle, step = road[7], road[8] - road[6]
        lane, *_ = roads.nearest(middle[None], np.array([np.arctan2(step[1], step[0])]))
        assert roads.lane_ids[lane[0]] == f"{arm}_{other}"


def test_an_unknown_point_has_no_lane_and_no_distance() -> None:
    roads = Roads(two_way_road())
    nowhere = np.full((1, 2), np.nan)
    assert roads.nearest(nowhere)[0][0] == -1
    assert np.isnan(roads.off_road(nowhere)[0])
    assert not roads.inside(nowhere)[0] and not roads.known(nowhere)[0]


def test_off_road_is_the_distance_to_the_kerb() -> None:
    roads = Roads(two_way_road())
    points = np.array([[50.0, 0.0], [50.0, -WIDTH / 2 - 1.0], [-3.0, -WIDTH / 2 - 4.0], [50.0, 2.5 * WIDTH + 0.25]])
    np.testing.assert_allclose(roads.off_road(points), [0, 1, 5, 0.25], atol=1e-9)
    np.testing.assert_array_equal(roads.inside(points), [True, False, False, False])


def test_lanes_without_polygons_are_strips_and_their_seams_are_road() -> None:
    bare = Map(lanes=tuple(replace(lane, polygon=np.empty((0, 2))) for lane in two_way_road().lanes[:2]))
    apart = replace(
        bare, lanes=(bare.lanes[0], replace(bare.lanes[1], centre=bare.lanes[1].centre + np.array([0, 0.5])))
    )
    roads = Roads(apart)
    assert roads.inside(np.array([[50.0, WIDTH / 2 + 0.25]]))[0]
    assert not roads.inside(np.array([[50.0, -WIDTH / 2 - 0.1]]))[0]


def test_outside_its_extent_a_map_knows_nothing() -> None:
    square = np.array([[0, -20], [100, -20], [100, 20], [0, 20]], float)
    roads = Roads(replace(two_way_road(), extent=square))
    np.testing.assert_array_equal(roads.known(np.array([[50.0, 0.0], [150.0, 0.0]])), [True, False])
    assert Roads(two_way_road()).known(np.array([[1e4, 0.0]]))[0]


def test_links_told_by_one_side_are_known_from_both_and_dangling_ones_are_dropped() -> None:
    a = lane("a", np.array([[0, 0], [10, 0]], float), successors=("b", "elsewhere"))
    b = lane("b", np.array([[10, 0], [20, 0]], float))
    c = lane("c", np.array([[20, 0], [30, 0]], float), predecessors=("b",))
    roads = Roads(Map(lanes=(a, b, c)))
    assert roads.successors == ((1,), (2,), ())
    assert roads.predecessors == ((), (0,), (1,))


def test_a_wrong_lane_name_is_answered_with_the_right_one() -> None:
    with pytest.raises(UnknownName, match="did you mean 'slow'"):
        Roads(two_way_road()).index("slov")


def test_lanes_for_bicycles_are_road_but_no_route() -> None:
    map = two_way_road()
    beside = replace(lane("cycle", map.lanes[0].centre - np.array([0, WIDTH])), kind="bicycle")
    roads = Roads(replace(map, lanes=(*map.lanes, beside)))
    found, *_ = roads.nearest(np.array([[50.0, -WIDTH]]))
    assert roads.lane_ids[found[0]] == "slow"
    assert roads.inside(np.array([[50.0, -WIDTH]]))[0]


def test_the_route_through_a_crossing_is_found_from_poses() -> None:
    roads = Roads(crossing())
    turn = roads.lanes[roads.index("w_n")].centre
    poses = along((-90, -WIDTH / 2), *map(tuple, turn), (WIDTH / 2, 90))
    assert roads.match(poses) == ("in_w", "w_n", "out_n")
    assert roads.match(along((-90, -WIDTH / 2), (90, -WIDTH / 2))) == ("in_w", "w_e", "out_e")


def test_a_duplicate_of_a_lane_does_not_break_the_route() -> None:
    map = bend()
    doubled = Roads(replace(map, lanes=(*map.lanes, replace(map.lanes[1], id="copy", successors=(), predecessors=()))))
    arc = map.lanes[1].centre
    assert doubled.match(along((0, 0), *arc_points(arc), (100, 100))) == ("in", "arc", "out")


def arc_points(line: Floats) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in line]


def test_a_change_of_lane_is_part_of_the_route() -> None:
    roads = Roads(two_way_road())
    assert roads.match(along((0, 0), (80, 0), (110, WIDTH), (200, WIDTH))) == ("slow", "fast")


def test_a_car_that_stands_is_matched_once_and_one_beside_the_map_never() -> None:
    roads = Roads(two_way_road())
    assert roads.match(np.tile([50.0, 0.2, 0.0], (100, 1))) == ("slow",)
    assert roads.match(np.tile([50.0, 90.0, 0.0], (100, 1))) == ()
    assert roads.match(np.full((5, 3), np.nan)) == ()


def test_extending_goes_straight_on() -> None:
    roads = Roads(crossing())
    assert roads.extend(("in_w",), 50) == ("in_w", "w_e", "out_e")
    assert roads.extend(("in_w", "w_n"), 1) == ("in_w", "w_n", "out_n")
    assert roads.extend((), 50) == ()


def test_the_line_of_a_route_is_as_long_as_its_lanes_and_tells_their_ends() -> None:
    roads = Roads(bend())
    line = roads.line(("in", "arc", "out"))
    arc = float(roads.length[1])
    assert line.s[-1] == pytest.approx(100 + arc, abs=0.05)
    assert dict(line.ends) == pytest.approx({"in": 50, "arc": 50 + arc, "out": 100 + arc}, abs=0.05)
    np.testing.assert_allclose(line.project(np.array([[25.3, 1.0], [-5.0, 0.0]])), [[25.3, 0], [1, 5]], atol=1e-6)
    np.testing.assert_allclose(line.at(np.array([25.0]))[0], [25, 0, 0], atol=1e-6)
    assert np.abs(np.diff(np.unwrap(line.heading))).max() < 0.05


def test_a_route_that_passes_its_own_beginning_again_is_followed_in_order() -> None:
    square = np.array([[0, 0], [40, 0], [40, 40], [0, 40], [0, 0]], float)
    sides = [lane(f"{i}", square[i : i + 2], successors=(f"{(i + 1) % 4}",)) for i in range(4)]
    line = Roads(Map(lanes=tuple(sides))).line(("0", "1", "2", "3", "0"))
    twice = np.concatenate([line.points, [[np.nan, np.nan]], line.points[-1:]])
    np.testing.assert_allclose(line.follow(twice), [*line.s, np.nan, line.s[-1]], atol=1e-6)


def test_a_change_of_lane_in_a_route_is_crossed_smoothly() -> None:
    line = Roads(two_way_road()).line(("slow", "fast"))
    assert dict(line.ends) == {"fast": pytest.approx(line.s[-1])}
    assert line.points[0, 1] == pytest.approx(0) and line.points[-1, 1] == pytest.approx(WIDTH)
    assert np.abs(line.heading).max() < 0.25
    assert np.diff(line.points[:, 0]).min() > 0.9


@settings(max_examples=30, deadline=None)
@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.floats(-3.1, 3.1), st.floats(-30, 30), st.floats(-30, 30))
@example(0.015625, 0.0, -1.5, -1.0, -11.0)  # the union of these polygons lacked a lane
def test_answers_do_not_change_with_the_origin_and_heading_of_the_map(
    x: float, y: float, turn: float, px: float, py: float
) -> None:
    frame, here = np.array([x, y, turn]), np.array([[px, py]])
    town = crossing()
    moved = Roads(
        Map(
            lanes=tuple(
                replace(one, centre=move(frame, one.centre), polygon=move(frame, one.polygon)) for one in town.lanes
            ),
            drivable=tuple(move(frame, ring) for ring in town.drivable),
        )
    )
    still = Roads(town)
    there = move(frame, here)
    assert moved.off_road(there)[0] == pytest.approx(still.off_road(here)[0], abs=1e-6)
    a, b = still.nearest(here), moved.nearest(there)
    beside = still.nearest(here + 1e-6 * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]]))
    assume(np.ptp(np.append(beside[1], a[1])) < 1e-3)  # two pieces of an arc may be equally near
    if a[0][0] == b[0][0] and a[0][0] >= 0:  # two lanes may fit equally well
        np.testing.assert_allclose(np.ravel(a[1:3]), np.ravel(b[1:3]), atol=1e-5)
        assert wrap(a[3] + turn - b[3])[0] == pytest.approx(0, abs=1e-6)
    poses = along((-90, -WIDTH / 2), (90, -WIDTH / 2))
    assert moved.match(compose(frame, poses)) == still.match(poses)
