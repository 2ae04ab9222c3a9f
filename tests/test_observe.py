"""What a policy may know, where the answer is known; and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import steady_turn
from tests.towns import lane
from understudy import sample
from understudy.errors import DataError
from understudy.geometry import compose
from understudy.ingest import complete
from understudy.maps import Roads
from understudy.observe import Observer, driven, leader_on, place_on, select_frames
from understudy.records import NS, Camera, Drive, Light, Map, Objects


class Numbered:
    """Pictures that show their own number, and count how often they are decoded."""

    def __init__(self, count: int) -> None:
        self.count, self.decoded = count, []

    def __len__(self) -> int:
        return self.count

    def read(self, indices: np.ndarray) -> np.ndarray:
        self.decoded += indices.tolist()
        return np.broadcast_to(indices.astype(np.uint8)[:, None, None, None], (len(indices), 4, 6, 3))

    def encoded(self, index: int) -> tuple[str, bytes]:
        return "jpeg", b""


def filmed(drive: Drive, first_s: float = 0.0) -> tuple[Drive, Numbered]:
    """The drive with a camera of its own rate whose first picture comes late."""
    t_ns = drive.t_ns[drive.t_ns >= first_s * NS]
    pictures = Numbered(len(t_ns))
    return replace(drive, cameras=(Camera("front", (6, 4), t_ns, pictures),)), pictures


@pytest.fixture(scope="module")
def stories() -> dict[str, Drive]:
    return {drive.id.removeprefix("sample-"): complete(drive) for drive in sample.drives()}


def test_history_is_where_the_car_was(arc: Drive) -> None:
    seen = Observer(arc).observe(np.array([50]), ("pose",), (1.0, 0.5, 0.0))
    back = steady_turn(speed=-10.0, yaw_rate=-0.1, seconds=2).poses  # the same arc driven backwards
    assert np.allclose(seen.past_poses[0], back[[10, 5, 0]], atol=1e-9)
    assert np.allclose(seen.speed, 10)


def test_before_the_drive_began_nothing_is_known(arc: Drive) -> None:
    seen = Observer(arc).observe(np.array([3]), ("pose",), (1.0, 0.0))
    assert np.isnan(seen.past_poses[0, 0]).all() and np.isnan(seen.speed[0, 0])
    assert seen.speed[0, 1] == 10


def test_a_picture_is_the_newest_at_the_time_and_decoded_once(straight: Drive) -> None:
    drive, pictures = filmed(straight, first_s=1.0)
    observer = Observer(drive)
    first = observer.observe(np.arange(0, 30), ("pictures",), (0.5, 0.0))
    second = observer.observe(np.arange(30, 60), ("pictures",), (0.5, 0.0))
    assert first.picture_valid is not None and second.picture_valid is not None
    assert not first.picture_valid[:10].any()
    assert first.picture_valid[10, :, 0].tolist() == [False, True]
    assert second.pictures[0][0, :, 0, 0, 0].tolist() == [15, 20]
    assert len(pictures.decoded) == len(set(pictures.decoded)) == 50


def test_a_batch_of_one_decodes_no_picture_twice_though_its_history_is_long(straight: Drive) -> None:
    drive, pictures = filmed(straight)
    observer = Observer(drive)
    for instant in range(len(drive)):
        observer.observe(np.array([instant]), ("pictures",), (1.5, 1.0, 0.5, 0.0))
        assert len(observer._decoded["front"]) <= 31, "and no more are kept than a later history reaches"
    assert sorted(pictures.decoded) == list(range(len(drive)))


def test_a_camera_that_died_shows_nothing_rather_than_its_last_picture(straight: Drive) -> None:
    drive, _ = filmed(straight, first_s=0.0)
    (camera,) = drive.cameras
    dies = replace(camera, t_ns=camera.t_ns[:21], pictures=Numbered(21))
    period, last = int(camera.t_ns[1] - camera.t_ns[0]), int(dies.t_ns[-1])
    at = np.array([last, last + period * 3 // 2, last + period * 3 // 2 + 1, last + 10 * period])
    assert dies.fresh(at).tolist() == [20, 20, -1, -1] and dies.latest(at).tolist() == [20] * 4
    assert dies.fresh(np.array([dies.t_ns[0] - 1])).tolist() == [-1]
    seen = Observer(replace(drive, cameras=(dies,))).observe(np.array([5, 150]), ("pictures",), (0.5, 0.0))
    assert seen.picture_valid is not None and seen.picture_valid[:, -1, 0].tolist() == [True, False]
    assert not seen.pictures[0][1].any()


def test_frames_of_a_shorter_history_are_those_of_the_longer(straight: Drive) -> None:
    drive, _ = filmed(straight)
    observer = Observer(drive)
    long = observer.observe(np.arange(20, 30), ("pictures", "pose"), (1.0, 0.5, 0.0))
    short = observer.observe(np.arange(20, 30), ("pictures", "pose"), (0.5, 0.0))
    cut = select_frames(long, (0.5, 0.0))
    assert np.array_equal(cut.pictures[0], short.pictures[0])
    assert np.array_equal(cut.past_poses, short.past_poses)


def test_what_was_driven_ends_with_the_drive(arc: Drive) -> None:
    path = driven(arc, np.arange(len(arc)))
    assert np.isfinite(path[: len(arc) - 40]).all()
    assert np.isnan(path[-1]).all()
    assert np.isnan(path[-40:, -1]).all()


def test_what_a_drive_lacks_cannot_be_asked_for(arc: Drive) -> None:
    with pytest.raises(DataError, match="lacks route, objects"):
        Observer(arc).observe(np.arange(3), ("route", "objects"), (0.0,))


def test_the_route_lies_ahead_and_the_light_at_its_stop_line(stories: dict[str, Drive]) -> None:
    drive = stories["red-light"]
    seen = Observer(drive).observe(np.arange(len(drive)), ("route", "objects"), (0.0,))
    assert seen.route is not None and seen.light is not None and seen.light_distance is not None
    assert np.allclose(seen.route[0, :10], np.stack([2.0 * np.arange(10), np.zeros(10)], -1), atol=1e-6)
    t = drive.t_s
    before = (t > 3.0) & (t < 15.0)
    assert (seen.light[before] == Light.RED).all()
    assert np.allclose(seen.light_distance[before], -14.0 - drive["x"][before], atol=0.6)


def test_the_leader_is_the_car_ahead(stories: dict[str, Drive]) -> None:
    drive = stories["braking-leader"]
    assert (drive["leader_track"] == 0).all()
    leader = drive.objects["x"][drive.objects["track"] == 0]  # type: ignore[index]
    front = drive.vehicle.length - drive.vehicle.rear_overhang
    assert np.allclose(drive["leader_gap"], leader - 2.25 - drive["x"] - front, atol=0.05)


def test_who_cuts_in_becomes_the_leader(stories: dict[str, Drive]) -> None:
    tracks = stories["cut-in"]["leader_track"]
    assert tracks[0] == -1 and tracks[-1] == 0


def test_nobody_is_ahead_on_an_empty_road() -> None:
    empty = {name: np.zeros((3, 0)) for name in ("x", "y", "yaw", "length", "width", "vx", "vy", "valid")}
    gap, speed, index = leader_on(np.zeros((3, 5, 2)), empty, 1.9, 3.7)
    assert np.isinf(gap).all() and (speed == 0).all() and (index == -1).all()


@settings(max_examples=25, deadline=None)
@given(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(-3, 3)).map(np.array))
def test_what_is_seen_does_not_depend_on_where_the_map_lies(moved: np.ndarray) -> None:
    drive = complete(next(one for one in sample.drives() if one.id == "sample-cut-in"))
    instants = np.arange(0, len(drive), 20)
    here = Observer(drive).observe(instants, ("objects", "future"), (0.5, 0.0))
    there = Observer(_moved(drive, moved)).observe(instants, ("objects", "future"), (0.5, 0.0))
    assert (
        here.objects is not None and there.objects is not None and here.future is not None and there.future is not None
    )
    for name in ("x", "y", "vx", "vy"):
        assert np.allclose(here.objects[name], there.objects[name], atol=1e-6)
    assert np.allclose(here.future, there.future, atol=1e-6, equal_nan=True)
    assert np.allclose(here.past_poses, there.past_poses, atol=1e-6, equal_nan=True)


def _moved(drive: Drive, by: np.ndarray) -> Drive:
    poses = compose(by, drive.poses)
    objects = drive.objects
    assert objects is not None
    boxes = compose(by, np.stack([objects["x"], objects["y"], objects["yaw"]], -1))
    turn = np.array([0, 0, by[2]])
    velocity = compose(turn, np.stack([objects["vx"], objects["vy"], 0 * objects["vx"]], -1))
    return replace(
        drive,
        columns={**drive.columns, "x": poses[:, 0], "y": poses[:, 1], "yaw": poses[:, 2]},
        objects=Objects(
            objects.starts,
            {
                **objects.columns,
                "x": boxes[:, 0],
                "y": boxes[:, 1],
                "yaw": boxes[:, 2],
                "vx": velocity[:, 0],
                "vy": velocity[:, 1],
            },
        ),
        map=None,
    )


def test_a_road_driven_twice_is_told_apart_whichever_instants_are_asked_for() -> None:
    turn = np.linspace(-np.pi / 2, np.pi / 2, 30)
    there = np.array([[0.0, 0.0], [60.0, 0.0]])
    bend = np.stack([60 + 20 * np.cos(turn), 20 + 20 * np.sin(turn)], axis=-1)
    back = np.concatenate([bend, -bend + [60.0, 40.0]])
    town = Map((lane("there", there, successors=("back",)), lane("back", back, successors=("there",))))
    line = Roads(town).line(("there", "back", "there"))
    poses = line.at(np.arange(0.0, line.s[-1], 1.0))
    columns = dict(zip(("x", "y", "yaw"), poses.T, strict=True))
    twice = Drive("twice", np.arange(len(poses)) * NS // 10, columns, map=town, route=("there", "back", "there"))
    every = np.arange(len(twice))
    whole = Observer(twice).observe(every, ("route",), (0.0,)).route
    alone = [Observer(twice).observe(every[[k]], ("route",), (0.0,)).route for k in every]
    np.testing.assert_array_equal(whole, np.concatenate(alone))
    assert np.isfinite(whole[30, -1, 0]) and not np.allclose(whole[30], whole[-31], equal_nan=True)


def test_a_policy_is_told_nothing_of_a_pause() -> None:
    drive = steady_turn(seconds=10)
    kept = np.flatnonzero((drive.t_s < 4.0) | (drive.t_s > 6.0))
    paused = replace(drive, t_ns=drive.t_ns[kept], columns={name: drive[name][kept] for name in drive.columns})
    resumed = int(np.flatnonzero(paused.t_s > 6.0)[3])
    seen = Observer(paused).observe(np.array([resumed]), ("pose",), (1.0, 0.2, 0.0))
    assert np.isfinite(seen.speed[0]).tolist() == [False, True, True]
    assert np.isfinite(seen.past_poses[0]).all(axis=1).tolist() == [False, True, True]


def test_a_path_that_crosses_itself_is_followed_in_its_own_order() -> None:
    t = np.linspace(0, 2 * np.pi, 400)
    eight = 50 * np.stack([np.sin(t), np.sin(2 * t)], -1)
    along = place_on(eight, eight)
    assert np.all(np.diff(along) > 0)


def test_a_ring_driven_three_times_begins_with_the_first_round() -> None:
    angle = np.linspace(0, 6 * np.pi, 3000)
    ring = 100 * np.stack([np.cos(angle), np.sin(angle)], -1)
    rng = np.random.default_rng(0)
    along = place_on(ring, ring + rng.normal(0, 0.1, ring.shape))
    np.testing.assert_allclose(along, 100 * angle, atol=0.6)


def test_unknown_positions_have_no_place_on_the_route() -> None:
    line = np.array([[0.0, 0], [100, 0]])
    along = place_on(line, np.array([[1.0, 0], [np.nan, np.nan], [3.0, 0]]))
    assert along[0] == 1 and np.isnan(along[1]) and along[2] == 3
