"""Drives are completed with what every drive should say, and ingested once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from tests.conftest import steady_turn
from understudy import sample
from understudy.errors import DataError, UnderstudyError, UnknownName
from understudy.ingest import complete, ingest
from understudy.readers.mcap import Mcap
from understudy.recorder import write
from understudy.records import Command, Drive, Lane, Map
from understudy.store import Lake


def test_a_steady_turn_to_the_left_is_commanded_left_until_its_end_is_near(arc: Drive) -> None:
    """0.1 rad/s at 10 m/s turns 0.4 rad in 40 m: a bend. Twice that is a turn."""
    assert set(complete(arc)["command"][:-45]) == {Command.FOLLOW}
    sharp = complete(steady_turn(yaw_rate=0.2))
    assert set(sharp["command"][:-45]) == {Command.LEFT}
    assert set(sharp["command"][-40:]) == {Command.UNKNOWN}
    assert "command" in sharp.derived


def test_a_car_that_never_moves_has_no_command() -> None:
    assert set(complete(steady_turn(speed=0.0, yaw_rate=0.0))["command"]) == {Command.UNKNOWN}


def test_a_command_that_the_log_states_is_kept(straight: Drive) -> None:
    told = replace(straight, columns={**straight.columns, "command": np.full(len(straight), Command.RIGHT, np.int8)})
    assert set(complete(told)["command"]) == {Command.RIGHT}


def test_nobody_drives_beyond_this_planet(straight: Drive) -> None:
    x = straight["x"].copy()
    x[7] = -1e300
    with pytest.raises(DataError, match=r"x is -1e\+300 at row 7; expected metres"):
        complete(replace(straight, columns={**straight.columns, "x": x}))


def test_places_are_cells_where_positions_are_global_else_the_drive_itself(straight: Drive) -> None:
    assert complete(straight).places == (straight.id,)
    cells = complete(replace(straight, frame="boston"))
    assert cells.places == ("boston:0:0",)
    beyond = complete(replace(steady_turn(yaw_rate=0, seconds=100), frame="boston"))
    assert beyond.places == ("boston:0:0", "boston:1:0", "boston:2:0")
    assert beyond["place"][0] == 0 and beyond["place"][-1] == 2
    assert complete(replace(straight, facts={"town": "organic:3"})).places == ("organic:3",)


def test_an_instant_without_a_position_is_where_the_one_before_it_was() -> None:
    drive = steady_turn(yaw_rate=0, seconds=100)
    x = drive["x"].copy()
    x[600:] = np.nan
    gone = complete(replace(drive, frame="boston", columns={**drive.columns, "x": x}))
    assert gone.places[gone["place"][-1]] == "boston:1:0"


def test_going_on_through_a_junction_is_straight() -> None:
    drive = complete(next(one for one in sample.drives() if one.id == "sample-cut-in"))
    assert {Command.FOLLOW, Command.STRAIGHT} <= set(drive["command"])
    assert drive.route[0] == "in01"
    assert np.allclose(drive["speed_limit"], 13.9)


def test_a_drive_without_poses_keeps_what_it_has() -> None:
    bare = Drive("tub", np.arange(5), {"steer": np.zeros(5)})
    assert set(complete(bare).columns) == {"steer", "place"}


@dataclass(frozen=True)
class Naming:
    """A reader that calls its only drive something that no identifier can say."""

    needs: ClassVar[tuple[str, ...]] = ()

    def scan(self, root: Path) -> Iterator[str]:
        yield "one"

    def fingerprint(self, root: Path, key: str) -> str:
        return "contents-of-one"

    def read(self, root: Path, key: str) -> Drive:
        return replace(steady_turn(), id="My drive (1)")


def test_a_drive_that_nobody_could_ask_for_is_refused_by_name(tmp_path: Path) -> None:
    report = ingest(Lake(tmp_path / "lake"), "tests.test_ingest:Naming", tmp_path)
    assert "calls a drive 'My drive (1)', which is no name" in report.failures["one"] and not report.made


@pytest.mark.parametrize("name", ["clip:9f3c", "model:x", "a/1.0:3.0", "a/12:"])
def test_a_drive_by_the_name_of_something_else_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    write(replace(steady_turn(), id=name), tmp_path / "logs/drive.mcap")
    report = ingest(Lake(tmp_path / "lake"), "mcap", tmp_path / "logs")
    assert f"calls a drive {name!r}, which is no name" in report.failures["drive.mcap"] and not report.made


@pytest.mark.parametrize("centre", [[[0, 0]], [[0, 0], [np.inf, 0]], [[0, 0], [1e9, 0]]])
def test_a_lane_that_is_no_line_on_this_planet_is_one_line(
    straight: Drive, centre: list[list[float]], tmp_path: Path
) -> None:
    lane = Lane("a", np.array(centre, float), np.array([[0.0, -2], [10, -2], [10, 2], [0, 2]]))
    write(replace(straight, map=Map((lane,))), tmp_path / "drive.mcap")
    with pytest.raises(DataError, match="lane a is a single point or has no end"):
        complete(Mcap().read(tmp_path, "drive.mcap"))


def test_a_map_that_has_no_lane_here_is_no_hindrance(straight: Drive, tmp_path: Path) -> None:
    drive = replace(straight, map=Map(()), columns={**straight.columns})
    assert len(complete(drive)["command"]) == len(drive)


@pytest.mark.parametrize("name", [":Reader", "..tests:Reader"])
def test_a_reader_of_no_module_is_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnderstudyError, match="is no name of a module; expected module:Class"):
        ingest(Lake(tmp_path / "lake"), name, tmp_path)


def test_a_reader_that_is_none_leaves_no_lake_behind(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'mcap'"):
        ingest(Lake(tmp_path / "lake"), "mcpa", tmp_path)
    assert not (tmp_path / "lake").exists()
