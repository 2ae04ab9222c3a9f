"""A log as a world, and both worlds as Gymnasium environments."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import understudy.worlds.gym  # noqa: F401 (registers the environments)
from tests.towns import lane, two_way_road
from understudy.errors import DataError, UnderstudyError
from understudy.maps import Roads
from understudy.plugins import make
from understudy.records import NS, OBJECT_COLUMNS, Drive, Kind, Map, Objects, Plan
from understudy.worlds.outcome import judged
from understudy.worlds.replay import Replay, _turning


def straight_log(leader_speed: float = 8.0, gap: float = 30.0, seconds: float = 12.0, behind: bool = False) -> Drive:
    """Along a straight road at 8 m/s, somebody `gap` ahead (or behind) at a speed of their own."""
    t = np.arange(round(seconds * 10) + 1) / 10
    still = np.zeros(len(t))
    x = 10.0 + (-gap if behind else gap) + leader_speed * t
    other = {"track": still, "kind": still + Kind.CAR, "x": x, "y": still, "yaw": still, "length": still + 4.5,
             "width": still + 1.8, "vx": still + leader_speed, "vy": still}  # fmt: skip
    return Drive(
        id="straight", t_ns=(t * NS).astype(np.int64),
        columns={"x": 10.0 + 8.0 * t, "y": still, "yaw": still, "speed": still + 8.0, "yaw_rate": still,
                 "accel": still},
        objects=Objects(np.arange(len(t) + 1), other), map=two_way_road(400.0), route=("slow",),
    )  # fmt: skip


def going(speed: float) -> Plan:
    t = 0.5 * np.arange(1, 9)
    return Plan.single(np.stack([speed * t, 0 * t, 0 * t, 0 * t + speed], -1)[None])


def test_a_replay_of_the_human_drives_what_the_human_drove() -> None:
    log = straight_log()
    world = Replay(log)
    world.reset(world.scenario_of())
    while not world.ended:
        world.step(world.expert.plan())
    drive = world.drive()
    assert world.ended in ("arrived", "log over") and world.completion > 0.98
    assert np.abs(drive["x"] - log["x"][: len(drive)]).max() < 0.5
    assert judged(drive).score > 0.95


def test_the_others_of_a_replay_drive_as_recorded() -> None:
    world = Replay(straight_log())
    world.reset(world.scenario_of())
    for _ in range(10):
        world.step(going(2.0))
    objects = world.drive().objects
    assert objects is not None
    assert np.allclose(objects["x"], 40.0 + 8.0 * np.arange(len(objects)) / 10)


def test_running_into_the_leader_is_our_fault_and_being_run_into_is_not() -> None:
    world = Replay(straight_log(leader_speed=2.0, gap=30.0))
    world.reset(world.scenario_of())
    while not world.ended:
        world.step(going(8.0))
    assert world.ended == "collision" and judged(world.drive()).at_fault
    world = Replay(straight_log(gap=35.0, behind=True))
    world.reset(world.scenario_of())
    while not world.ended:
        world.step(going(3.0))
    assert world.ended == "collision" and not judged(world.drive()).at_fault


def test_a_follower_that_reacts_does_not_run_into_us() -> None:
    world = Replay(straight_log(gap=25.0, behind=True))
    world.reset(world.scenario_of("reactive"))
    while not world.ended:
        world.step(going(3.0))
    assert world.ended == "log over"
    objects = world.drive().objects
    assert objects is not None
    assert np.hypot(objects["vx"][-1], objects["vy"][-1]) >= 0 and objects["x"][-1] < world.ego.pose[0] - 3.0


def test_a_follower_that_waits_is_told_to_stand() -> None:
    world = Replay(straight_log(gap=25.0, behind=True, seconds=20.0))
    world.reset(world.scenario_of("reactive"))
    while not world.ended:
        world.step(going(0.0))
    objects = world.drive().objects
    assert objects is not None
    moved = np.diff(objects["x"]) / 0.1
    assert objects["vx"][-1] < 0.1 < 7.0 < objects["vx"][0], "logged at 8 m/s all the time"
    assert np.abs(moved - objects["vx"][1:]).max() < 0.5


def test_who_was_unseen_for_long_is_no_ghost_in_between() -> None:
    log = straight_log()
    assert log.objects is not None
    seen = (log.t_s < 3.0) | (log.t_s > 5.05)
    starts = np.concatenate([[0], np.cumsum(seen)])
    gone = replace(log, objects=Objects(starts, {name: c[seen] for name, c in log.objects.columns.items()}))
    world = Replay(gone)
    world.reset(world.scenario_of())
    while not world.ended:
        world.step(world.expert.plan())
    drive = world.drive()
    assert drive.objects is not None
    there = np.diff(drive.objects.starts) > 0
    assert np.array_equal(there, seen[: len(drive)])


def unknown(log: Drive, columns: tuple[str, ...], start: int, stop: int) -> Drive:
    """The log with instants `start` to `stop` of some columns not known."""
    cut = {name: np.where((np.arange(len(log)) >= start) & (np.arange(len(log)) < stop), np.nan, log[name])
           for name in columns}  # fmt: skip
    return replace(log, columns={**log.columns, **cut})


@pytest.mark.parametrize(
    ("columns", "start", "stop", "first", "last"),
    [
        (("x", "y", "yaw"), 0, 5, 5, 120), (("x", "y", "yaw"), 60, 70, 0, 120), (("x", "y", "yaw"), 60, 90, 0, 59),
        (("x", "y", "yaw"), 100, 121, 0, 99), (("speed",), 0, 5, 0, 120), (("speed",), 60, 90, 0, 120),
        (("speed",), 100, 121, 0, 120),
    ],
)  # fmt: skip
def test_what_a_log_does_not_know_costs_nobody_the_route(
    columns: tuple[str, ...], start: int, stop: int, first: int, last: int
) -> None:
    """Poses that are missing for long end the world as a pause does; whatever else is missing is bridged."""
    log = straight_log(gap=80.0)
    world = Replay(unknown(log, columns, start, stop))
    world.reset(world.scenario_of())
    while not world.ended:
        assert np.isfinite(world.expert.plan().likeliest).all()
        world.step(world.expert.plan())
    drive = world.drive()
    assert world.ended in ("arrived", "log over") and world.completion > 0.98
    assert (drive.t_ns[0], world._t_ns[-1]) == (log.t_ns[first], log.t_ns[last])
    assert np.abs(drive["x"] - log["x"][first : first + len(drive)]).max() < 0.5
    assert np.abs(drive["speed"] - 8.0).max() < 0.2


def test_a_log_that_never_knew_where_it_was_or_how_fast_is_no_world() -> None:
    for columns, word in ((("x", "y", "yaw"), "pose"), (("speed",), "speed")):
        with pytest.raises(DataError, match=f"its {word} is unknown"):
            Replay(unknown(straight_log(), columns, 0, 121))


def test_another_seed_begins_slightly_elsewhere() -> None:
    world = Replay(straight_log())
    starts = []
    for seed in (0, 1, 1, 2):
        world.reset(world.scenario_of(seed=seed))
        starts.append(world.ego.pose)
    assert np.array_equal(starts[0], [10.0, 0.0, 0.0]) and np.array_equal(starts[1], starts[2])
    assert 0 < np.hypot(*(starts[1] - starts[0])[:2]) < 1.5 and not np.array_equal(starts[1], starts[3])


def test_a_log_that_comes_back_to_its_start_is_to_be_driven_whole() -> None:
    """Once round and on along the first road again; and from the second time on."""
    turn = np.linspace(-np.pi / 2, np.pi / 2, 30)
    bend = np.stack([60 + 20 * np.cos(turn), 20 + 20 * np.sin(turn)], axis=-1)
    town = Map(
        (
            lane("there", np.array([[0.0, 0.0], [60.0, 0.0]]), successors=("back",)),
            lane("back", np.concatenate([bend, -bend + [60.0, 40.0]]), successors=("there",)),
        )
    )
    line = Roads(town).line(("there", "back", "there"))
    poses = line.at(np.arange(10.0, line.s[-1] - 10.0, 0.8))
    still = np.zeros(len(poses))
    columns = dict(zip(("x", "y", "yaw"), poses.T, strict=True)) | {"speed": still + 8.0, "yaw_rate": still}
    nobody = Objects(np.zeros(len(poses) + 1, np.int64), dict.fromkeys(OBJECT_COLUMNS, np.zeros(0)))
    t_ns = np.arange(len(poses)) * NS // 10
    log = Drive("ring", t_ns, columns, objects=nobody, map=town, route=("there", "back", "there"))
    world = Replay(log)
    for start_s in (0, round(log.seconds) - 4):
        world.reset(world.scenario_of(start_s=start_s))
        assert world.way.s == pytest.approx(10.0 + 8.0 * start_s, abs=1.0)
        assert world.way.goal == pytest.approx(line.s[-1] - 10.0, abs=1.5)


def test_a_log_without_a_map_is_no_world(straight: Drive) -> None:
    with pytest.raises(DataError, match="lacks objects, map"):
        Replay(straight)
    with pytest.raises(UnderstudyError, match="cannot begin"):
        short = Replay(straight_log())
        short.reset(short.scenario_of(start_s=100))


@pytest.mark.parametrize("reader", ["scenarionet", "argoverse2"])
def test_real_logs_are_worlds_and_quick_ones(reader: str, shared_data: Path) -> None:
    root = shared_data / reader
    read = make("reader", reader)
    world = Replay(read.read(root, next(iter(read.scan(root)))), needs=())
    world.reset(world.scenario_of())
    began = time.process_time()
    while not world.ended:
        world.step(world.expert.plan())
    drive = world.drive()
    assert world.completion > 0.95
    # Ten times less than what benchmarks show, because tests share their machine.
    assert drive.seconds / (time.process_time() - began) > 10


def test_the_environments_pass_gymnasiums_own_check(shared_data: Path) -> None:
    root = shared_data / "argoverse2"
    key = next(iter(make("reader", "argoverse2").scan(root)))
    arguments = {"City": {}, "Replay": {"reader": "argoverse2", "root": str(root), "key": key}}
    for name, given in arguments.items():
        env = gymnasium.make(f"understudy/{name}-v0", **given)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_env(env.unwrapped, skip_render_check=True)
        env.close()


def test_environments_come_as_a_vector() -> None:
    env = gymnasium.make_vec("understudy/City-v0", num_envs=2, vectorization_mode="sync")
    seen, _ = env.reset(seed=1)
    assert seen["route"].shape == (2, 61, 2)
    seen, reward, over, cut, _ = env.step(np.zeros(env.action_space.shape, np.float32))
    assert reward.shape == (2,) and not over.any() and not cut.any()
    env.close()


def test_an_unknown_heading_makes_nobody_untouchable() -> None:
    yaw = np.array([np.nan, 3.1, np.nan, -3.1, np.nan])
    np.testing.assert_allclose(_turning(yaw), [3.1, 3.1, np.pi, 2 * np.pi - 3.1, 2 * np.pi - 3.1])
    assert not _turning(np.full(3, np.nan)).any()
