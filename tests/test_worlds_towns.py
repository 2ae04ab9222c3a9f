"""Towns: what they are made of, which side of the split they are on; scenarios and their identifiers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import UnderstudyError, UnknownName
from understudy.worlds import sides, towns
from understudy.worlds.scenario import Scenario
from understudy.worlds.sketches import KINDS

SMALL = ("grid:3", "spider:1", "roundabout:1", "highway:1", "mix:2")
words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)


@given(words, st.integers(0, 99), st.integers(1, 9999), words, words, words, st.integers(0, 2**31))
def test_a_scenario_is_what_its_identifier_says(
    town: str, number: int, metres: int, traffic: str, weather: str, event: str, seed: int
) -> None:
    scenario = Scenario("city", f"osm:{town}", f"r{number}:{metres}", traffic, weather, event, seed)
    assert Scenario.parse(str(scenario)) == scenario


def test_an_identifier_reads_as_documented() -> None:
    scenario = Scenario("city", "organic:3", "r12", "everyday", "clear", "none", 7)
    assert str(scenario) == "scenario:city/organic:3/r12/everyday/clear/none/7"
    assert (scenario.number, scenario.metres) == (12, 800)


@pytest.mark.parametrize(
    "bad",
    [
        "", "scenario:city/organic:3", "scenario:city/grid:1/x/everyday/clear/none/7", "a/b/r1/d/e/f/-1",
        "scenario:city/grid:1/r0:0/everyday/clear/none/7",
    ],
)  # fmt: skip
def test_what_is_no_scenario_is_answered_in_a_line(bad: str) -> None:
    with pytest.raises(UnderstudyError, match="expected"):
        Scenario.parse(bad)


@given(st.sampled_from(sorted(KINDS)), st.integers(0, 10**9))
def test_a_town_is_on_one_side_whatever_else_is_asked(kind: str, number: int) -> None:
    side = sides.side(f"{kind}:{number}")
    assert side in sides.SIDES
    assert sides.side(f"{kind}:{number:012}") == side  # another spelling of the same town
    assert sides.side_of_place(sides.identity(f"{kind}:{number}")) == side


def test_train_regression_and_gate_share_no_town() -> None:
    chosen = {side: set(sides.towns_of(side, count=60)) for side in sides.SIDES}
    assert all(len(names) == 60 for names in chosen.values())
    assert (
        not chosen["train"] & chosen["regression"]
        | chosen["train"] & chosen["gate"]
        | chosen["regression"] & chosen["gate"]
    )


def test_three_towns_in_five_are_for_training() -> None:
    found = [sides.side(f"organic:{number}") for number in range(2000)]
    assert abs(found.count("train") / 2000 - 0.6) < 0.05
    assert abs(found.count("gate") / 2000 - 0.2) < 0.04


def test_a_drive_tells_the_side_of_its_town() -> None:
    assert sides.side_of_place("grid:7") == sides.side("grid:7")
    assert {sides.side_of_place(f"osm:{number:016x}") for number in range(40)} == set(sides.SIDES)
    assert [sides.side_of_place(place) for place in ("miami:3:4", "grid:x", "grid", "")] == [""] * 4


def test_towns_of_different_names_are_different_towns() -> None:
    nets = {town: towns.town(town).net.parent.name for town in ("grid:1", "grid:2", "grid:3", "mix:1", "mix:2")}
    assert len(set(nets.values())) == len(nets)


def test_an_unknown_kind_of_town_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="organic"):
        sides.side("orgnic:3")
    with pytest.raises(UnderstudyError, match="grid:NUMBER"):
        sides.side("grid:x")


@pytest.mark.parametrize("name", SMALL)
def test_a_town_is_a_map_one_can_drive_on(name: str) -> None:
    town = towns.town(name)
    assert len(town.streets) > 10
    for lane in town.map.lanes:
        if lane.kind != "vehicle":
            continue
        assert np.isfinite(lane.polygon).all() and 2.0 < lane.speed_limit < 36
        for after in lane.successors:
            gap = np.hypot(*(town.lane[after].centre[0] - lane.centre[-1]))
            assert gap < 0.9, f"{lane.id} ends {gap:.1f} m before {after}"
            assert lane.id in town.lane[after].predecessors
        if lane.left_lane:
            assert town.lane[lane.left_lane].right_lane == lane.id
    everywhere = town.roads.drivable
    centres = np.concatenate([town.lane[lane].centre for lane in town.onward])
    assert shapely.contains_xy(everywhere.buffer(0.1), centres[:, 0], centres[:, 1]).all()


def test_nothing_stands_on_the_road() -> None:
    town = towns.town("mix:2")
    solids = town.fixed
    assert len(solids) > 50
    assert not town.roads.inside(np.stack([solids["x"], solids["y"]], -1)).any()


def test_a_roundabout_goes_round_anticlockwise() -> None:
    town = towns.town("roundabout:1")
    ring = [lane for lane in town.map.lanes if not lane.junction and lane.kind == "vehicle" and lane.speed_limit == 7.0]
    turns = [np.unwrap(np.arctan2(*np.diff(lane.centre, axis=0).T[::-1])) for lane in ring]
    assert len(ring) > 8 and all(turn[-1] - turn[0] > 0 for turn in turns)


def test_a_built_town_is_taken_from_the_cache(tmp_path: Path) -> None:
    first = towns.town("spider:1", tmp_path)
    stamp = first.net.stat().st_mtime_ns
    towns.town.cache_clear()
    assert towns.town("spider:1", tmp_path).net.stat().st_mtime_ns == stamp
    assert not list(tmp_path.glob(".building*"))


OSM = """<osm version="0.6"><bounds minlat="0" minlon="0" maxlat="0.004" maxlon="0.004"/>
{nodes}
<way id="1"><nd ref="1"/><nd ref="2"/><nd ref="3"/><nd ref="4"/><nd ref="1"/><tag k="highway" v="residential"/></way>
<way id="2"><nd ref="1"/><nd ref="3"/><tag k="highway" v="residential"/></way></osm>"""


def test_a_map_of_openstreetmap_is_a_town_known_by_what_it_holds(tmp_path: Path) -> None:
    places = [(0.0005, 0.0005), (0.0005, 0.0030), (0.0030, 0.0030), (0.0030, 0.0005)]
    nodes = "".join(
        f'<node id="{i}" lat="{lat}" lon="{lon}" version="1"/>' for i, (lat, lon) in enumerate(places, start=1)
    )
    (tmp_path / "a.osm").write_text(OSM.format(nodes=nodes))
    (tmp_path / "b.osm").write_text(OSM.format(nodes=nodes))
    town = towns.town(f"osm:{tmp_path / 'a.osm'}", tmp_path / "cache")
    assert len(town.streets) == 6
    assert town.id == sides.identity(f"osm:{tmp_path / 'b.osm'}")
    with pytest.raises(UnderstudyError, match="osm:FILE"):
        sides.side("osm:/nowhere.osm")
