"""What is only known afterwards: smoothed poses, the human's own faults, where traffic went, what lights meant."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.conftest import steady_turn
from tests.test_labels import ALL, answer, by, red_light_drive, road_map, with_box
from understudy import label, plugins, sample
from understudy.cli import main
from understudy.geometry import Grid, compose, constant_turn, move, seen_from
from understudy.labelers import UNKNOWN
from understudy.labelers.agents import STEPS
from understudy.labelers.agreement import ASKED, agreement
from understudy.labelers.bev import CHANNELS
from understudy.labelers.light import NONE
from understudy.labelers.path import wrong
from understudy.labelers.smooth import noise, smoothed
from understudy.observe import driven
from understudy.records import Array, Drive, Driver, Floats, Kind, Light, Objects, Truth
from understudy.store import Lake
from understudy.worlds.city import City
from understudy.worlds.scenario import Scenario

RANDOM = np.random.default_rng(7)


# Smoothing ------------------------------------------------------------------------------------------------------------


def weaving(seconds: float = 40.0, rate_hz: float = 10.0) -> tuple[Floats, Floats]:
    """Seconds and poses of a lively drive, with headings along the way."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    x, y = 10 * t + 3 * np.sin(t / 3), 2 * np.sin(t / 2)
    return t, np.stack([x, y, np.arctan2(np.cos(t / 2), 10 + np.cos(t / 3))], axis=-1)


def test_smoothing_changes_nothing_of_a_steady_drive() -> None:
    far = np.array([5e5, 4.2e6, 0.0])
    straight = steady_turn(yaw_rate=0.0)
    np.testing.assert_allclose(smoothed(straight.t_ns, straight.poses + far), straight.poses + far, atol=1e-6)
    arc = steady_turn(speed=8.0, yaw_rate=0.2, seconds=40.0, start=(3.0, 1.0, 3.0))
    np.testing.assert_allclose(smoothed(arc.t_ns, arc.poses), arc.poses, atol=1e-5)


@pytest.mark.parametrize("deviation", [0.02, 0.1, 0.3])
def test_noise_is_recognised_and_shrinks(deviation: float) -> None:
    t, true = weaving()
    scale = deviation * np.array([1.0, 1.0, 0.05])
    noisy = true + RANDOM.normal(0, scale, true.shape)
    np.testing.assert_allclose(noise(t, noisy), scale, rtol=0.3)
    left = np.std(smoothed((t * 1e9).astype(np.int64), noisy) - true, axis=0)
    assert (left < 0.7 * scale).all()


def test_smoothing_looks_both_ways() -> None:
    """Turned about in time, a drive is smoothed to the same path turned about."""
    t, true = weaving()
    noisy = true + RANDOM.normal(0, 0.05, true.shape)
    stamps = (t * 1e9).astype(np.int64)
    there, back = smoothed(stamps, noisy), smoothed(stamps, noisy[::-1])[::-1]
    np.testing.assert_allclose(there[20:-20], back[20:-20], atol=0.002)


def test_smoothing_leaves_what_is_unknown_unknown_and_does_not_reach_across_gaps() -> None:
    t, true = weaving()
    noisy = true + RANDOM.normal(0, 0.05, true.shape)
    noisy[100:103] = np.nan
    stamps = (t * 1e9).astype(np.int64)
    stamps[200:] += 5 * 10**9
    found = smoothed(stamps, noisy)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(noisy))
    np.testing.assert_allclose(found[200:], smoothed(stamps[200:], noisy[200:]), atol=1e-9)


def test_the_path_label_of_a_log_is_smoothed_and_that_of_a_world_is_exact() -> None:
    t, true = weaving()
    noisy = true + RANDOM.normal(0, [0.1, 0.1, 0.005], true.shape)
    columns = {**dict(zip(("x", "y", "yaw"), noisy.T, strict=True)), "speed": np.full(len(t), 10.0)}
    log = by(Driver.HUMAN, Drive("log", (t * 1e9).astype(np.int64), columns))
    exact = replace(log, columns={**log.columns, **dict(zip(("x", "y", "yaw"), true.T, strict=True))})
    apart = [
        np.nanstd(answer("path", one).value[..., :2] - driven(exact, ALL(len(t)))[..., :2])
        for one in (log, replace(log, truth=Truth()))
    ]
    assert apart[0] < 0.6 * apart[1]


def test_poses_of_real_logs_move_by_less_than_they_are_known_to(shared_data: Path) -> None:
    for name in ("comma2k19", "argoverse2", "scenarionet"):
        reader = plugins.make("reader", name)
        for key in reader.scan(shared_data / name):
            drive = reader.read(shared_data / name, key)
            moved = smoothed(drive.t_ns, drive.poses) - drive.poses
            assert np.nanmax(np.hypot(moved[:, 0], moved[:, 1])) < 0.05, drive.id


# What the human did wrong ---------------------------------------------------------------------------------------------


def on_the_road(lateral: Floats, seconds: float = 20.0) -> Drive:
    """A human who drives along the road of `road_map` at 10 m/s, beside its centre by so much at each instant."""
    drive = by(Driver.HUMAN, steady_turn(yaw_rate=0.0, seconds=seconds))
    slope = np.arctan(np.gradient(lateral, drive["x"]))
    return replace(drive, columns={**drive.columns, "y": lateral, "yaw": slope}, map=road_map(), truth=Truth())


def test_a_human_who_leaves_the_road_is_no_example_and_one_who_comes_back_is() -> None:
    t = np.arange(201) / 10
    drive = on_the_road(4.0 / (1 + np.exp(-2 * (t - 8))) - 4.0 / (1 + np.exp(-2 * (t - 14))))
    found = answer("path", drive)
    off = wrong(drive, ALL(161), driven(drive, ALL(161)))["drivable"]
    np.testing.assert_array_equal(found.valid[:161], ~off)
    assert off[36:72].all() and not off[:33].any()
    assert found.valid[75:130].all(), "who is off the road already is on the way back"
    np.testing.assert_array_equal(answer("path", drive, errors=True).valid, drive.t_s <= 16.0)


def test_driving_into_somebody_is_no_example() -> None:
    drive = on_the_road(np.zeros(201))
    standing = with_box(drive, np.array([0.0, 0.0, 0.0]))
    assert standing.objects is not None
    place = {"x": np.full(201, 120.0), "y": np.zeros(201), "yaw": np.zeros(201), "vx": np.zeros(201)}
    objects = replace(standing.objects, columns={**standing.objects.columns, **place})
    found = answer("path", replace(drive, objects=objects))
    hits = 11.43  # when the front bumper, 3.7 m ahead, reaches the box's rear at 118 m
    assert found.valid[drive.t_s < hits - 4.1].all() and not found.valid[np.abs(drive.t_s - (hits - 2)) < 1.5].any()


def test_running_a_red_light_is_no_example() -> None:
    drive = red_light_drive()
    assert answer("path", by(Driver.HUMAN, drive)).valid[drive.t_s <= 26].all(), "it waits"
    t = drive.t_s
    straight = compose(drive.poses[0], constant_turn(np.float64(10.0), np.float64(0.0), t))
    columns = dict(zip(("x", "y", "yaw"), straight.T, strict=True))
    runs = by(Driver.HUMAN, replace(drive, columns={**drive.columns, **columns, "speed": np.full(len(t), 10.0)}))
    crosses = (160.0 - 14.0 - (straight[0, 0] + 160.0)) / 10.0
    assert 6 < crosses < 15, "while it is red"
    found = answer("path", runs)
    assert not found.valid[np.abs(t - (crosses - 2)) < 1].any() and found.valid[t < crosses - 4.5].all()


# Where traffic went ---------------------------------------------------------------------------------------------------


def others(
    drive: Drive, poses: Floats, speed: float = 8.0, kind: Kind = Kind.CAR, size: tuple[float, float] = (4, 2)
) -> Drive:
    """The drive with one more object at poses (T, 3); where they are nan it is not seen."""
    there = np.isfinite(poses).all(axis=1)
    rows = poses[there]
    ones = np.ones(len(rows))
    columns = {
        "track": 1 * ones, "kind": int(kind) * ones, "x": rows[:, 0], "y": rows[:, 1], "yaw": rows[:, 2],
        "length": size[0] * ones, "width": size[1] * ones,
        "vx": speed * np.cos(rows[:, 2]), "vy": speed * np.sin(rows[:, 2]),
    }  # fmt: skip
    return replace(drive, objects=Objects(np.concatenate([[0], np.cumsum(there)]), columns))


def road_of(drive: Drive, instant: int) -> Array:
    found: Array = answer("bev", drive, np.array([instant])).value[0, CHANNELS.index("drivable")]
    return found


def test_without_a_map_the_road_is_where_the_car_drives_and_nothing_else_is_known() -> None:
    drive = steady_turn(yaw_rate=0.0)
    road, cells = road_of(drive, 100), Grid().centres()
    assert (road[np.abs(cells[..., 1]) < 0.8] == 1).all(), "where it came from and where it goes"
    assert (road[np.abs(cells[..., 1]) > 1.2] == UNKNOWN).all()
    end = road_of(drive, 200)
    assert (end[(np.abs(cells[..., 1]) < 0.8) & (cells[..., 0] > 4.2)] == UNKNOWN).all(), "nobody went further"


def test_others_show_road_where_they_drive_and_only_there() -> None:
    drive = steady_turn(speed=0.0, yaw_rate=0.0)
    crossing = np.stack([np.full(201, 10.0), 8.0 * drive.t_s - 80.0, np.full(201, np.pi / 2)], axis=-1)
    cells = Grid().centres()
    road = road_of(others(drive, crossing), 100)
    assert (road[np.abs(cells[..., 0] - 10) < 0.5] == 1).all() and (road[np.abs(cells[..., 0] - 10) > 1.2] != 1).all()
    walking = road_of(others(drive, crossing, kind=Kind.PEDESTRIAN), 100)
    unsized = road_of(others(drive, crossing, size=(np.nan, np.nan)), 100)
    parked = road_of(others(drive, np.broadcast_to([10.0, 0.0, 0.0], (201, 3)), speed=0.0), 100)
    assert (walking != 1).all() and (unsized != 1).all() and (parked != 1).all()


def test_where_there_is_a_map_it_is_the_map_that_tells() -> None:
    drive = replace(steady_turn(yaw_rate=0.0), map=road_map(np.array([(-50.0, -9), (60.0, -9), (60.0, 9), (-50.0, 9)])))
    road, cells = road_of(drive, 50), move(drive.poses[50], Grid().centres())
    assert (road[cells[..., 0] > 60.5] == UNKNOWN).all() and (
        road[(cells[..., 0] < 59) & (np.abs(cells[..., 1]) > 2.5)] != 1
    ).all()


def test_traffic_of_real_drives_stays_on_their_maps(shared_data: Path) -> None:
    reader = plugins.make("reader", "argoverse2")
    for key in reader.scan(shared_data / "argoverse2"):
        drive = reader.read(shared_data / "argoverse2", key)
        instants = ALL(0, len(drive), 30)
        said = answer("bev", replace(drive, map=None), instants).value[:, 0] == 1
        true = answer("bev", drive, instants).value[:, 0]
        known = said & (true != UNKNOWN)
        assert known.sum() > 200 * len(instants) and (true[known] == 1).mean() > 0.93, drive.id


# What others did ------------------------------------------------------------------------------------------------------


def test_the_future_of_somebody_is_where_he_will_be_as_seen_from_now() -> None:
    drive = steady_turn(speed=5.0, yaw_rate=0.1)
    path = compose(np.array([20.0, 4.0, 0.5]), constant_turn(np.float64(6.0), np.float64(-0.2), drive.t_s))
    found = answer("agents", others(drive, path), most=3, range_m=300.0).value
    assert found.shape == (201, 3, 9, 3) and np.isnan(found[:, 1:]).all()
    for instant in (0, 77, 160):
        at = instant + np.round(STEPS * 10).astype(int)
        np.testing.assert_allclose(found[instant, 0], seen_from(drive.poses[instant], path[at]), atol=1e-4)
    np.testing.assert_array_equal(np.isfinite(found[190, 0, :, 0]), STEPS <= 1.0)


def test_who_is_lost_from_sight_is_unknown_and_who_is_far_is_not_told() -> None:
    drive = steady_turn(speed=0.0, yaw_rate=0.0)
    path = np.stack([10 + 0 * drive.t_s, 0 * drive.t_s, np.full(201, np.nan)], axis=-1)
    path[:, 2] = 0.0
    path[50:100] = np.nan
    found = answer("agents", others(drive, path, speed=0.0)).value[:, 0]
    np.testing.assert_array_equal(np.isfinite(found[40, :, 0]), STEPS < 1.0)
    assert np.isnan(found[60]).all()
    assert np.isnan(answer("agents", others(drive, path + np.array([90.0, 0, 0]), speed=0.0)).value).all()


# What the light must have shown ---------------------------------------------------------------------------------------


def waiting(gap: float) -> Drive:
    """The sample's red light, green from 15 s on: a car comes, stands `gap` before the line from 10 to 16 s, goes."""
    drive = red_light_drive()
    t, speed = drive.t_s, np.empty(len(drive))
    speed = np.where(t < 10, np.minimum(2.0 * (10 - t), 12.0), np.where(t < 16, 0.0, np.minimum(2.0 * (t - 16), 10.0)))
    x = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2 * np.diff(t))])
    stands = -14.0 - gap - 3.7  # the line is at -14, the front 3.7 m ahead of the rear axle
    columns = {**drive.columns, "x": x - x[t == 10] + stands, "speed": speed}
    return replace(drive, columns=columns, objects=None)


def test_who_waits_shows_red_and_who_goes_shows_green() -> None:
    drive = waiting(gap=3.0)
    found, t = answer("inferred_light", drive).value, drive.t_s
    np.testing.assert_array_equal(found == Light.RED, (t > 9.86) & (t < 14.75))
    crosses = 16 + np.sqrt(3.0)  # 3 m at 2 m/s²
    assert (found[(t > 16.2) & (t < crosses - 0.1)] == Light.GREEN).all() and (found[t > crosses + 0.5] == NONE).all()
    assert (found[(t > 14.8) & (t < 16)] == UNKNOWN).all() and (found[(t > 7) & (t < 9.5)] == UNKNOWN).all()
    shown = answer("light", drive).value
    both = np.isin(found, (Light.RED, Light.GREEN)) & (shown != NONE)
    assert both.sum() > 55 and (found == shown)[both].all()


def test_a_leader_at_the_line_shows_what_it_is_to_who_waits_behind() -> None:
    leader, behind = waiting(gap=1.0), waiting(gap=12.0)
    assert answer("inferred_light", behind).value[120] == UNKNOWN, "it stands somewhere"
    centre = leader.poses + np.array([leader.vehicle.centre_x, 0.0, 0.0])
    leading = others(behind, centre, size=(leader.vehicle.length, leader.vehicle.width))
    assert leading.objects is not None
    told = {**leading.objects.columns, "vx": leader["speed"], "vy": np.zeros(len(leader))}
    found = answer("inferred_light", replace(leading, objects=replace(leading.objects, columns=told))).value
    np.testing.assert_array_equal(found == Light.RED, (leader.t_s > 9.86) & (leader.t_s < 14.75))
    assert (found == Light.GREEN).sum() > 8
    seen = (leader.t_s < 16.0) | (leader.t_s > 20.0)  # it crosses while it is hidden: when is not known
    starts = np.concatenate([[0], np.cumsum(seen)])
    hidden = Objects(starts, {name: values[seen] for name, values in told.items()})
    found = answer("inferred_light", replace(leading, objects=hidden)).value
    np.testing.assert_array_equal(found == Light.GREEN, answer("inferred_light", behind).value == Light.GREEN)


# Agreement ------------------------------------------------------------------------------------------------------------


def knowing(drive: Drive, shift: float = 0.0) -> Drive:
    """The drive with its own objects as the truth, of which the car knew them so many metres aside."""
    assert drive.objects is not None
    seen = replace(drive.objects, columns={**drive.objects.columns, "y": drive.objects["y"] + shift})
    return replace(drive, objects=seen, truth=Truth(objects=drive.objects, lights=drive.lights))


def test_labels_of_a_car_that_knows_the_truth_agree_with_it_and_those_of_one_that_errs_do_not() -> None:
    drive = by(Driver.HUMAN, next(one for one in sample.drives() if one.id == "sample-cut-in"))
    right = agreement(knowing(drive), ALL(0, len(drive), 20))
    assert set(right) <= set(ASKED) and {"path", "bev", "agents", "bev without a map"} <= set(right)
    assert all(one.all() for one in right.values()) and len(right["bev"]) > 5
    wrong_by_2_m = agreement(knowing(drive, 1.8), ALL(0, len(drive), 20))
    assert not wrong_by_2_m["agents"].any() and wrong_by_2_m["bev"].mean() < 0.5


def test_the_command_tells_shares_with_intervals(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    drive = by(Driver.HUMAN, next(one for one in sample.drives() if one.id == "sample-cut-in"))
    with lake.run("ingest", "made", {}, "1", replaces="drive") as run:
        lake.put_drive(run.part(drive.id), knowing(drive))
    result = CliRunner().invoke(main, ["label", "--agree", "--lake", str(lake.root)])
    assert result.exit_code == 0, result.output
    rows = {row["id"]: row for row in map(json.loads, result.stdout.splitlines())}
    assert list(rows) == list(ASKED) and rows["path"]["right"] == 1.0
    assert rows["path"]["low"] < 1.0 == rows["path"]["high"] and rows["light"]["labels"] == 0
    assert "labels" not in lake.tables() and not label.agree(Lake(tmp_path / "none"))[0]


# What the expert would have done --------------------------------------------------------------------------------------


def test_the_expert_in_the_place_of_the_human_does_what_the_human_did() -> None:
    """The city's human is its expert: taken for a model, his drive lived again must give his own path, to the bit."""
    with City(needs=()) as world:
        world.begin(Scenario("city", "grid:2", "r4", "everyday", "clear", "cut_in", 7))
        while not world.ended and world.t_s < 20:
            world.advance(world.expert.plan())
        drive = world.drive()
    instants = np.array([0, 60, 121, 140])
    assert not answer("expert", drive, instants).valid.any(), "a human drives: there is a path already"
    model = by(Driver.MODEL, drive)
    found = answer("expert", model, instants).value
    np.testing.assert_array_equal(found[[0, 1, 3]], answer("path", drive, instants).value[[0, 1, 3]])
    assert np.isnan(found[2]).all(), "at an odd tick the world makes no plan"
    assert drive.truth is not None and drive.truth.objects is not None
    elsewhere = {**drive.truth.objects.columns, "x": drive.truth.objects["x"] + 1.0}
    other = replace(model, truth=replace(drive.truth, objects=replace(drive.truth.objects, columns=elsewhere)))
    assert not answer("expert", other, instants[:2]).valid.any(), "another city than that which was recorded"


def test_a_model_that_drives_on_is_answered_by_an_expert_who_brakes() -> None:
    """A policy that never brakes drives beside the expert; asked afterwards, the expert would have gone slower."""
    with City(needs=()) as world:
        world.begin(Scenario("city", "grid:2", "r4", "everyday", "clear", "none", 7))
        world.who = Driver.MODEL
        while not world.ended and world.t_s < 16:
            plan = world.expert.plan()
            poses = plan.poses.copy()
            poses[..., 3] += 1.0  # the same way, faster
            world.advance(replace(plan, poses=poses))
        drive = world.drive()
    assert drive.seconds > 12, "it drives on for long enough to be asked about"
    instants = ALL(60, len(drive) - 40, 40)
    found = answer("expert", drive, instants)
    assert found.valid.all() and not answer("path", drive, instants).valid.any()
    assert (found.value[:, -1, 0] < driven(drive, instants)[:, -1, 0]).mean() > 0.7


def test_what_is_labelled_unless_asked_otherwise_could_be_told_of_a_log() -> None:
    privileged = [
        name for name in plugins.names("labeler") if getattr(plugins.load("labeler", name), "privileged", False)
    ]
    assert privileged == ["expert"] and not set(privileged) & set(label.Labels().labelers)
