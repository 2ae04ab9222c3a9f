"""Labels are right where the answer is known, and unknown where it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import maximum_filter, minimum_filter

from tests.conftest import steady_turn
from understudy import label, plugins, sample
from understudy.errors import ShapeError
from understudy.geometry import Grid, compose, constant_turn, move
from understudy.labelers import UNKNOWN, Label, kept
from understudy.labelers.bev import _LONGEST, CHANNELS, DIRECTION_UNIT, VELOCITY_UNIT, _stretches
from understudy.labelers.light import NONE
from understudy.maps import LANE_WIDTH
from understudy.records import Array, Drive, Driver, Floats, Kind, Lane, Light, Map, Objects, Truth
from understudy.store import Lake

ALL = np.arange
GRID = Grid()


def by(who: Array | Driver, drive: Drive, **columns: Array) -> Drive:
    told = {"who_drives": np.broadcast_to(np.int8(who), len(drive)), **columns}
    return replace(drive, columns={**drive.columns, **told})


def answer(name: str, drive: Drive, instants: Array | None = None, **settings: object) -> Label:
    made: Label = plugins.make("labeler", name, settings).label(
        drive, ALL(len(drive)) if instants is None else instants
    )
    return made


def with_box(drive: Drive, ego_T_box: Floats, kind: Kind = Kind.CAR, size: tuple[float, float] = (4.0, 2.0)) -> Drive:
    """The drive with one object at the same place in the ego frame at all times, moving along its own heading."""
    pose = compose(drive.poses, ego_T_box)
    count = len(drive)
    columns = {"track": 0, "kind": int(kind), "length": size[0], "width": size[1]}
    motion = {"vx": 5 * np.cos(pose[:, 2]), "vy": 5 * np.sin(pose[:, 2])}
    place = {"x": pose[:, 0], "y": pose[:, 1], "yaw": pose[:, 2]}
    objects = Objects(
        ALL(count + 1), {**{name: np.full(count, value) for name, value in columns.items()}, **place, **motion}
    )
    return replace(drive, objects=objects)


def channel(found: Label, name: str) -> Array:
    return found.value[:, CHANNELS.index(name)]


# Path and control -----------------------------------------------------------------------------------------------------


def test_the_path_of_a_steady_turn_is_its_arc() -> None:
    drive = by(Driver.HUMAN, steady_turn(speed=8.0, yaw_rate=0.2))
    found = answer("path", drive)
    arc = constant_turn(np.float64(8.0), np.float64(0.2), 0.5 * np.arange(1, 9))
    # The drive is sampled at 10 Hz and every pose asked for is one of its own.
    np.testing.assert_allclose(found.value[:160, :, :3], np.broadcast_to(arc, (160, 8, 3)), atol=1e-4)
    np.testing.assert_allclose(found.value[:160, :, 3], 8.0, atol=1e-6)


def test_a_path_is_known_only_while_the_recording_goes_on() -> None:
    drive = by(Driver.HUMAN, steady_turn(seconds=20))
    np.testing.assert_array_equal(answer("path", drive).valid, drive.t_s <= 16.0)


def test_a_log_that_does_not_say_who_drives_is_a_humans() -> None:
    bare = steady_turn(seconds=20)
    bare = replace(bare, columns={name: values for name, values in bare.columns.items() if name != "who_drives"})
    told, silent = answer("path", by(Driver.HUMAN, bare)), answer("path", bare)
    np.testing.assert_array_equal(told.value, silent.value)
    assert told.valid.any() and np.array_equal(told.valid, silent.valid)


@pytest.mark.parametrize("who", [Driver.MODEL, Driver.SAFETY, Driver.UNKNOWN])
def test_only_what_a_human_drives_for_the_whole_four_seconds_is_a_path(who: Driver) -> None:
    drive = steady_turn(seconds=20)
    drive = by(np.where(drive.t_s == 10.0, who, Driver.HUMAN), drive)
    expected = (drive.t_s <= 16.0) & ((drive.t_s < 6.0) | (drive.t_s > 10.0))
    np.testing.assert_array_equal(answer("path", drive).valid, expected)


def test_a_push_is_no_path_and_what_follows_it_is() -> None:
    drive = steady_turn(seconds=20)
    drive = by(Driver.HUMAN, drive, pushed=(drive.t_s >= 8.0) & (drive.t_s <= 9.0))
    expected = (drive.t_s <= 16.0) & ((drive.t_s < 4.0) | (drive.t_s > 9.0))
    np.testing.assert_array_equal(answer("path", drive).valid, expected)


def test_control_is_what_the_human_commanded_and_nothing_else() -> None:
    drive = steady_turn()
    steer = np.linspace(-1, 1, len(drive))
    drive = by(np.where(drive.t_s < 5, Driver.MODEL, Driver.HUMAN), drive, steer=steer)
    found = answer("control", drive)
    np.testing.assert_array_equal(found.valid, drive.t_s >= 5)
    np.testing.assert_allclose(found.value[found.valid, 0], steer[found.valid], atol=1e-6)
    assert not found.known[:, 1].any(), "a throttle that the log lacks is unknown, not zero"


def test_a_label_is_float32_or_int8() -> None:
    with pytest.raises(ShapeError, match="expected float32 or int8"):
        Label(np.zeros(3))


# From above -----------------------------------------------------------------------------------------------------------


def test_a_car_fills_the_cells_whose_middle_it_covers() -> None:
    box = np.array([12.0, 3.0, 0.4])
    found = answer("bev", with_box(steady_turn(), box))
    x, y = np.moveaxis(GRID.centres() - box[:2], -1, 0)
    along, across = x * np.cos(0.4) + y * np.sin(0.4), y * np.cos(0.4) - x * np.sin(0.4)
    inside = (np.abs(along) <= 2.0) & (np.abs(across) <= 1.0)
    assert inside.sum() > 10
    np.testing.assert_array_equal(channel(found, "vehicle"), np.broadcast_to(inside, (len(found.value), 64, 64)))
    assert not channel(found, "vulnerable").any()


def test_a_car_that_hardly_a_pixel_shows_is_neither_there_nor_absent() -> None:
    seen = with_box(steady_turn(), np.array([12.0, 3.0, 0.4]))
    assert seen.objects is not None
    there = channel(answer("bev", seen), "vehicle") == 1
    for pixels, told in ((3.0, UNKNOWN), (4.0, 1)):
        shown = seen.objects.columns | {"visible_pixels": np.full(len(seen), pixels)}
        found = answer("bev", replace(seen, objects=Objects(seen.objects.starts, shown)))
        np.testing.assert_array_equal(channel(found, "vehicle"), np.where(there, told, 0))
        assert (channel(found, "velocity_x")[there] == UNKNOWN).all() == (told == UNKNOWN)


def test_velocity_is_told_in_the_ego_frame_where_the_car_is() -> None:
    found = answer("bev", with_box(steady_turn(), np.array([12.0, 3.0, 0.4])))
    there = channel(found, "vehicle") == 1
    np.testing.assert_allclose(channel(found, "velocity_x")[there] * VELOCITY_UNIT, 5 * np.cos(0.4), atol=0.13)
    np.testing.assert_allclose(channel(found, "velocity_y")[there] * VELOCITY_UNIT, 5 * np.sin(0.4), atol=0.13)
    assert (channel(found, "velocity_x")[~there] == UNKNOWN).all()


def test_somebody_thinner_than_a_cell_is_not_missed() -> None:
    for y in np.linspace(0, 0.75, 7):
        found = answer("bev", with_box(steady_turn(), np.array([10.0, y, 0.0]), Kind.PEDESTRIAN, (0.4, 0.4)))
        assert channel(found, "vulnerable").sum(axis=(1, 2)).min() >= 1


def test_without_a_map_or_objects_a_standing_car_knows_nothing() -> None:
    found = answer("bev", steady_turn(speed=0.0, yaw_rate=0.0))
    assert not found.valid.any() and (found.value == UNKNOWN).all()


def test_what_is_declared_as_truth_goes_before_what_the_car_knew() -> None:
    seen, true = (with_box(steady_turn(), np.array([x, 0.0, 0.0])) for x in (10.0, 20.0))
    found = answer("bev", replace(seen, truth=Truth(objects=true.objects)))
    np.testing.assert_array_equal(channel(found, "vehicle"), channel(answer("bev", true), "vehicle"))


def road_map(extent: Floats | None = None) -> Map:
    """A lane along x, 4 m wide."""
    x = np.linspace(-200, 400, 61)
    centre = np.stack([x, 0 * x], -1)
    side = np.array([0, 2.0])
    left, right = centre + side, centre - side
    return Map((Lane("a", centre, np.concatenate([left, right[::-1]]), left, right),), extent=extent)


@pytest.mark.parametrize("yaw", [0.0, 0.7, -2.0])
def test_a_straight_road_is_where_it_is_whatever_way_the_car_looks(yaw: float) -> None:
    drive = replace(steady_turn(speed=0.0, yaw_rate=0.0, seconds=1.0, start=(3.0, 0.7, yaw)), map=road_map())
    found = answer("bev", drive, np.array([0]))
    cells = move(np.array([3.0, 0.7, yaw]), GRID.centres())
    across = np.abs(cells[..., 1])
    road = channel(found, "drivable")[0]
    assert (road[across < 1.8] == 1).all() and (road[across > 2.2] == 0).all()
    line = channel(found, "line")[0]
    assert (line[np.abs(across - 2) < 0.2] == 1).all() and (line[np.abs(across - 2) > 0.6] == 0).all()
    on = across < 1.0
    np.testing.assert_allclose(channel(found, "direction_x")[0][on] * DIRECTION_UNIT, np.cos(yaw), atol=0.03)
    np.testing.assert_allclose(channel(found, "direction_y")[0][on] * DIRECTION_UNIT, -np.sin(yaw), atol=0.03)


def test_a_lane_without_a_polygon_is_a_strip_along_its_centre() -> None:
    drive = steady_turn(speed=0.0, yaw_rate=0.0, seconds=1.0)
    whole = road_map()
    bare = replace(whole, lanes=tuple(replace(lane, polygon=np.zeros((0, 2))) for lane in whole.lanes))
    road = channel(answer("bev", replace(drive, map=bare), np.array([0])), "drivable")[0]
    across = np.abs(GRID.centres()[..., 1])
    assert (road[across < LANE_WIDTH / 2 - 0.2] == 1).all() and (road[across > LANE_WIDTH / 2 + 0.2] == 0).all()


def test_beyond_the_extent_of_the_map_nothing_is_known() -> None:
    extent = np.array([(-100.0, -50.0), (10.0, -50.0), (10.0, 50.0), (-100.0, 50.0)])
    drive = replace(steady_turn(speed=0.0, yaw_rate=0.0, seconds=1.0), map=road_map(extent))
    found = answer("bev", drive, np.array([0]))
    beyond = GRID.centres()[..., 0] > 10.3
    for name in ("drivable", "line", "direction_x"):
        assert (channel(found, name)[0][beyond] == UNKNOWN).all()
    assert (channel(found, "drivable")[0][GRID.centres()[..., 0] < 9.7] != UNKNOWN).all()


def test_a_world_that_is_turned_and_moved_looks_the_same_from_the_car() -> None:
    drive = next(one for one in sample.drives() if one.id == "sample-cut-in")
    instants = ALL(0, len(drive), 20)
    here = answer("bev", drive, instants)
    there = answer("bev", _carried(drive, np.array([312.0, -75.0, 1.1])), instants)
    for name in ("drivable", "vehicle"):
        a, b = channel(here, name), channel(there, name)
        window = (1, 3, 3)  # the outlines may fall on either side of a cell's middle
        away_from_edges = maximum_filter(a, window) == minimum_filter(a, window)
        assert away_from_edges.mean() > 0.7 and (a == b)[away_from_edges].all(), name
    assert (channel(here, "vehicle") == 1).sum() > 50


def _carried(drive: Drive, by_pose: Floats) -> Drive:
    """The drive, its map and its objects moved and turned as one."""
    poses = compose(by_pose, drive.poses)
    objects, roads = drive.objects, drive.map
    assert objects is not None and roads is not None
    place = compose(by_pose, np.stack([objects["x"], objects["y"], objects["yaw"]], -1))
    columns = {**objects.columns, "x": place[:, 0], "y": place[:, 1], "yaw": place[:, 2]}
    lanes = tuple(
        replace(lane, centre=move(by_pose, lane.centre), polygon=move(by_pose, lane.polygon)) for lane in roads.lanes
    )
    moved = Map(
        lanes,
        tuple(move(by_pose, ring) for ring in roads.drivable),
        markings=tuple(replace(marking, points=move(by_pose, marking.points)) for marking in roads.markings),
    )
    own = {"x": poses[:, 0], "y": poses[:, 1], "yaw": poses[:, 2]}
    return replace(drive, columns={**drive.columns, **own}, map=moved, objects=replace(objects, columns=columns))


# Lights ---------------------------------------------------------------------------------------------------------------


def red_light_drive() -> Drive:
    drive = next(one for one in sample.drives() if one.id == "sample-red-light")
    return replace(drive, route=("in00", "in00-out30", "out30"))


def test_the_light_is_the_one_on_our_route_within_range() -> None:
    drive = red_light_drive()
    found = answer("light", drive)
    distance = 160.0 - 14.0 - (drive["x"] + 160.0)  # to the stop line, while on the first lane
    near = (distance < 45.0) & (distance > 5.0)
    red = near & (drive.t_s > 3.0) & (drive.t_s < 15.0)
    assert red.any() and (found.value[red] == Light.RED).all()
    assert (found.value[near & (drive.t_s > 15.1)] == Light.GREEN).all()
    assert (found.value[distance > 55.0] == NONE).all()


def test_a_light_that_nobody_knows_is_unknown() -> None:
    drive = red_light_drive()
    assert drive.lights is not None
    dark = replace(drive, lights=replace(drive.lights, state=np.zeros_like(drive.lights.state)))
    found = answer("light", dark)
    assert set(np.unique(found.value)) == {UNKNOWN, NONE}


def test_who_does_not_know_where_he_is_does_not_know_that_there_is_no_light() -> None:
    drive = red_light_drive()
    lost = np.where(np.arange(len(drive)) == 7, np.nan, drive["x"])
    found = answer("light", replace(drive, columns={**drive.columns, "x": lost}))
    assert found.value[7] == UNKNOWN and not found.valid[7]


def test_a_red_light_closes_the_route_beyond_its_stop_line() -> None:
    drive = red_light_drive()
    line = -14.0 - drive["x"]  # m ahead of the rear axle, while on the first lane, which runs along x
    red = np.flatnonzero((line < 25.0) & (line > 5.0) & (drive.t_s > 3.0) & (drive.t_s < 15.0))
    closed = channel(answer("bev", drive, red), "closed")
    x, y = np.moveaxis(GRID.centres(), -1, 0)
    lane = drive["y"][red][:, None, None] * 0 + y  # the car drives along the middle of its lane
    inside = (np.abs(lane) < 1.0) & (x - line[red][:, None, None] > 1.5) & (x - line[red][:, None, None] < 8.0)
    outside = (np.abs(lane) > 3.0) | (x < line[red][:, None, None]) | (x > line[red][:, None, None] + 11.0)
    assert inside.any() and (closed[inside] == 1).all() and (closed[outside] == 0).all()
    green = np.flatnonzero(drive.t_s > 15.1)
    assert (channel(answer("bev", drive, green), "closed") == 0).all()


def test_who_does_not_know_the_light_does_not_know_what_is_closed() -> None:
    drive = red_light_drive()
    assert drive.lights is not None
    dark = replace(drive, lights=replace(drive.lights, state=np.zeros_like(drive.lights.state)))
    closed = channel(answer("bev", dark), "closed")
    assert set(np.unique(closed)) == {UNKNOWN, 0}, "far from the light nothing is closed"
    assert (channel(answer("bev", replace(drive, lights=None)), "closed") == UNKNOWN).all()


# The stage ------------------------------------------------------------------------------------------------------------


def test_labels_come_back_from_the_lake_as_they_were_made_and_once(tmp_path: Path) -> None:
    lake, drive = Lake(tmp_path), by(Driver.HUMAN, with_box(steady_turn(), np.array([12.0, 3.0, 0.4])))
    with lake.run("ingest", "made", {}, "1", replaces="drive") as run:
        lake.put_drive(run.part(drive.id), drive)
    twice_a_second = label.Labels(every_s=0.5)
    report = label.run(lake, twice_a_second)
    assert report.made == (drive.id,) and not report.failures
    stamps, found = kept.read(lake, drive.id)
    instants = label.spaced(drive.t_ns, 0.5)
    np.testing.assert_array_equal(stamps, drive.t_ns[instants])
    assert sorted(found) == ["bev", "path"], "this drive knows no steering and no lights"
    for name, one in found.items():
        np.testing.assert_array_equal(one.value, answer(name, drive, instants).value)
    assert label.run(lake, twice_a_second).kept == (drive.id,)


def test_a_drive_that_nothing_can_be_said_of_is_skipped_and_counted(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    bare = Drive("bare", ALL(10) * 10**8, {"speed": np.ones(10)})
    with lake.run("ingest", "made", {}, "1", replaces="drive") as run:
        lake.put_drive(run.part(bare.id), bare)
    assert label.run(lake).skipped == {"bare": "no labeler has what it needs"}


def test_instants_are_spaced_though_the_clock_trembles() -> None:
    t_ns = (ALL(100) * 10**8 + np.where(ALL(100) % 2, 200_000, -200_000) + 10**6).astype(np.int64)
    np.testing.assert_array_equal(label.spaced(t_ns, 0.5), ALL(0, 100, 5))
    np.testing.assert_array_equal(label.spaced(t_ns, 0.0), ALL(100))


def test_no_drawing_reaches_across_a_jump() -> None:
    poses = np.zeros((6, 3))
    poses[2:, :2] = 20_000.0
    poses[5, 0] += _LONGEST + 1.0
    assert [rows.tolist() for rows in _stretches(poses, np.arange(6))] == [[0, 1], [2, 3, 4], [5]]
    assert [len(rows) for rows in _stretches(np.zeros((100, 3)), np.arange(100))][:1] != [100]
    assert np.concatenate([*_stretches(np.zeros((100, 3)), np.arange(100))]).tolist() == list(range(100))
    assert not list(_stretches(poses, np.arange(0)))
