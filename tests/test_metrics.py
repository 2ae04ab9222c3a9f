"""Good driving, on roads and among others whose answers are known; and the human on recorded drives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.towns import WIDTH, crossing, lane, two_way_road
from understudy import metrics
from understudy.errors import UnknownName
from understudy.geometry import compose, constant_turn, move
from understudy.maps import Roads
from understudy.metrics.contacts import Contacts, _Pairs, astride
from understudy.metrics.motion import Motion
from understudy.metrics.motion import T as SAMPLES
from understudy.metrics.tracks import Tracks
from understudy.observe import driven
from understudy.readers.argoverse2 import Argoverse2
from understudy.readers.scenarionet import ScenarioNet
from understudy.records import NS, Array, Drive, Floats, Kind, Lane, Light, Lights, Map, Objects, Vehicle

CAR = Vehicle(length=4.6, width=1.9, rear_overhang=0.9)
FRONT = CAR.length - CAR.rear_overhang
STEPS = 0.5 * np.arange(1, 9)
START = np.array([0])


def other(x: float, y: float = 0.0, yaw: float = 0.0, speed: float = 0.0, kind: Kind = Kind.CAR, length: float = 4.6):
    """A road user at time 0, that keeps its speed and heading."""
    return (x, y, yaw, speed, kind, length)


def drive(
    speed: float = 10.0,
    others: Sequence[tuple[float, float, float, float, Kind, float]] | None = (),
    map: Map | None = None,
    lights: Lights | None = None,
    start: Sequence[float] = (20.0, 0.0, 0.0),
    seconds: float = 10.0,
) -> Drive:
    """A drive straight on at constant speed, at 10 Hz, along the two-way road or another map."""
    t = np.arange(round(seconds * 10) + 1) / 10
    poses = compose(np.array(start, float), constant_turn(np.float64(speed), np.float64(0), t))
    objects = None
    if others is not None:
        rows = np.array([(*one[:4], one[4], one[5]) for one in others], float).reshape(-1, 6)
        x, y, yaw, v, kind, length = np.tile(rows, (len(t), 1)).T
        vx, vy = v * np.cos(yaw), v * np.sin(yaw)
        at = np.repeat(t, len(rows))
        track = np.tile(np.arange(len(rows)), len(t))
        columns = dict(track=track, kind=kind, x=x + vx * at, y=y + vy * at, yaw=yaw, length=length, vx=vx, vy=vy)
        objects = Objects(np.arange(len(t) + 1) * len(rows), columns | {"width": np.full(len(x), 1.9)})
    return Drive(
        id="made-up",
        t_ns=(t * NS).astype(np.int64),
        columns={"x": poses[:, 0], "y": poses[:, 1], "yaw": poses[:, 2], "speed": np.full(len(t), speed)},
        vehicle=CAR,
        objects=objects,
        map=two_way_road() if map is None else map,
        lights=lights,
    )


def path(speed: float = 10.0, accel: float = 0.0, yaw_rate: float = 0.0, aside: float = 0.0) -> Floats:
    """A plan (1, 8, 4) at constant acceleration or rate of turn, from a start moved aside."""
    if yaw_rate:
        poses = constant_turn(np.float64(speed), np.float64(yaw_rate), STEPS)
    else:
        poses = np.stack([speed * STEPS + accel * STEPS**2 / 2, 0 * STEPS, 0 * STEPS], axis=-1)
    poses = compose(np.array([0.0, aside, 0.0]), poses)
    return np.concatenate([poses, (speed + accel * STEPS)[:, None]], axis=1)[None]


def judged(drive: Drive, plan: Floats) -> dict[str, float]:
    return {name: float(values[0]) for name, values in metrics.score(metrics.Scene.of(drive), START, plan).items()}


# The whole ------------------------------------------------------------------------------------------------------------


def test_driving_along_an_empty_road_at_the_limit_scores_one() -> None:
    found = judged(drive(), path())
    assert found["score"] == 1
    assert np.isnan(found.pop("lights"))  # there are none
    assert all(found[name] == 1 for name in metrics.SUBSCORES if name != "lights")


def test_the_score_is_the_product_of_the_known_multipliers_times_the_weighted_mean_of_the_known_rest() -> None:
    one = {name: np.array([np.nan]) for name in metrics.SUBSCORES}
    some = one | {"no_collision": np.array([0.5]), "ttc": np.array([0.0]), "comfort": np.array([1.0])}
    found = metrics.combine(some)
    assert found["score"][0] == pytest.approx(0.5 * (0 * 5 + 1 * 2) / 7)
    bits = [metrics.SUBSCORES.index(name) for name in ("no_collision", "ttc", "comfort")]
    assert found["mask"][0] == sum(1 << bit for bit in bits)
    nothing = metrics.combine(one)
    assert np.isnan(nothing["score"][0]) and nothing["mask"][0] == 0
    assert metrics.combine(one | {"drivable": np.array([1.0])})["score"][0] == 1


def test_an_unknown_plan_is_unknown_and_does_not_touch_its_neighbours() -> None:
    scene = metrics.Scene.of(drive())
    plans = np.concatenate([path(), np.full((1, 8, 4), np.nan), path()])
    found = metrics.score(scene, np.zeros(3, int), plans)
    np.testing.assert_array_equal(found["score"], [1, np.nan, 1])
    assert found["mask"][1] == 0
    only = metrics.score(scene, START, plans[1:2])
    assert np.isnan(only["score"][0])
    assert all(len(values) == 0 for values in metrics.score(scene, START[:0], plans[:0]).values())


def test_what_is_not_recorded_is_nan() -> None:
    blind = judged(replace(drive(others=None), map=None), path())
    assert {name for name in metrics.SUBSCORES if np.isfinite(blind[name])} == {"comfort"}
    no_others = judged(drive(others=None), path())
    assert np.isnan([no_others[name] for name in ("no_collision", "ttc", "progress")]).all()
    no_limit = judged(drive(map=two_way_road(speed_limit=float("nan"))), path())
    assert np.isnan(no_limit["speed_limit"])
    assert no_limit["progress"] == 1


def test_beyond_the_recording_and_beyond_the_map_nothing_is_known() -> None:
    scene = metrics.Scene.of(drive(seconds=10))
    found = metrics.score(scene, np.array([60, 61]), np.concatenate([path(), path()]))
    for name in ("no_collision", "ttc", "progress"):
        assert found[name][0] == 1 and np.isnan(found[name][1])
    cut = replace(two_way_road(), extent=np.array([[0, -20], [50, -20], [50, 20], [0, 20]], float))
    outside = judged(drive(map=cut), path())
    for name in ("drivable", "direction", "lane_keeping", "speed_limit"):
        assert np.isnan(outside[name])


# Others ---------------------------------------------------------------------------------------------------------------


def test_across_a_pause_of_the_recording_nothing_is_known() -> None:
    whole = drive(seconds=20.0)
    kept = np.flatnonzero((whole.t_s <= 8.01) | (whole.t_s >= 10.0))  # it pauses after instant 80
    columns = {name: values[kept] for name, values in whole.columns.items()}
    nobody = Objects(np.zeros(len(kept) + 1, np.int64), whole.objects.columns) if whole.objects else None
    paused = replace(whole, t_ns=whole.t_ns[kept], columns=columns, objects=nobody)
    at = np.array([35, 40, 41, 80, 81])
    found = metrics.score(metrics.Scene.of(paused), at, np.repeat(path(), len(at), axis=0))
    for name in ("no_collision", "ttc", "progress"):
        assert np.isfinite(found[name]).tolist() == [True, True, False, False, True], name
    assert np.isfinite(driven(paused, at)).all(axis=(1, 2)).tolist() == [True, True, False, False, True]


def test_nobody_near_and_nobody_at_all_are_no_collision() -> None:
    assert judged(drive(others=[]), path())["no_collision"] == 1
    assert judged(drive(others=[other(100, 0), other(40, WIDTH)]), path())["no_collision"] == 1


@pytest.mark.parametrize(("kind", "left"), [(Kind.CAR, 0), (Kind.PEDESTRIAN, 0), (Kind.UNKNOWN, 0), (Kind.CONE, 0.5)])
def test_running_into_what_stands_ahead_is_at_fault(kind: Kind, left: float) -> None:
    assert judged(drive(others=[other(50, kind=kind)]), path())["no_collision"] == left


def test_the_worst_collision_counts() -> None:
    assert judged(drive(others=[other(40, kind=Kind.CONE), other(55)]), path())["no_collision"] == 0


def test_a_replayed_car_that_runs_into_the_back_is_not_our_fault() -> None:
    found = judged(drive(others=[other(5.0, speed=20.0)]), path(speed=10))
    assert found["no_collision"] == 1 and found["ttc"] == 1


def test_who_stands_is_not_at_fault() -> None:
    still = drive(speed=0.0, others=[other(60, yaw=np.pi, speed=15.0)])
    assert judged(still, path(speed=0.0))["no_collision"] == 1


def test_what_overlaps_from_the_beginning_is_ignored() -> None:
    inside = drive(others=[other(20.0 + CAR.centre_x)])
    assert judged(inside, path())["no_collision"] == 1
    assert judged(inside, path())["ttc"] == 1


def test_touching_sideways_is_at_fault_only_across_lanes() -> None:
    # Somebody keeps pace half a car ahead, and their sides come together: by our doing, or by theirs.
    ours = drive(others=[other(20 + CAR.centre_x, WIDTH, speed=10.0)])
    drifting = path()
    drifting[0, :, 1] = np.minimum(0.5 * STEPS, 1.9)
    assert judged(ours, drifting)["no_collision"] == 0
    theirs = drive(others=[other(20 + CAR.centre_x, WIDTH, yaw=-0.06, speed=10.0)])
    assert judged(theirs, path())["no_collision"] == 1


def test_a_lane_and_the_one_that_follows_it_are_one_lane() -> None:
    """Who drifts into our side is to blame at the joint of two lanes as well; not so beyond what the map knows."""
    whole = two_way_road()
    near = lane("near", np.array([[0.0, 0.0], [25.0, 0.0]]), successors=("far",))
    far = lane("far", np.array([[25.0, 0.0], [200.0, 0.0]]))
    parted = replace(whole, lanes=(near, far, *whole.lanes[1:]))
    poses = np.array([[x, 0.0, 0.0] for x in np.arange(15.0, 35.0, 0.5)])
    assert not astride(Roads(whole), CAR, poses).any() and not astride(Roads(parted), CAR, poses).any()
    between = poses + np.array([0.0, WIDTH / 2, 0.0])
    assert astride(Roads(whole), CAR, between).all() and astride(Roads(parted), CAR, between).all()
    small = replace(whole, extent=np.array([[0.0, -50.0], [20.0, -50.0], [20.0, 50.0], [0.0, 50.0]]))
    beyond = np.array([[10.0, 30.0, 0.0], [60.0, 30.0, 0.0]])
    assert astride(Roads(small), CAR, beyond).tolist() == [True, False]


def test_time_to_collision_looks_nine_tenths_of_a_second_ahead() -> None:
    # Braking from 10 m/s by 2 m/s² ends 24 m on; 3.1 s in, 21.39 m on at 3.8 m/s, 0.9 s more are 24.81 m.
    for gap, ttc in ((24.4, 0.0), (25.0, 1.0)):
        wall = other(20 + FRONT + gap + 2.3)
        found = judged(drive(others=[wall]), path(accel=-2.0))
        assert (found["no_collision"], found["ttc"]) == (1, ttc)


def test_who_turns_beside_a_wall_is_not_about_to_hit_it() -> None:
    rate, speed = 0.5, 5.0
    ahead = constant_turn(np.float64(speed), np.float64(rate), np.float64(2.0))
    tangent = move(compose(np.array([20.0, 0.0, 0.0]), ahead), np.array([8.5, -2.0]))
    wall = other(float(tangent[0]), float(tangent[1]), yaw=float(ahead[2]), kind=Kind.BARRIER, length=1.0)
    scene = drive(speed=speed, others=[wall])
    assert judged(scene, path(speed=speed, yaw_rate=rate))["ttc"] == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_no_contact_is_lost_by_looking_only_at_who_is_near(seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y, yaw, speed, length = random.uniform((0, -8, -3.1, 0, 0.5), (70, 12, 3.1, 20, 12), (15, 5)).T
    crowd = [(*one[:4], Kind.CAR, one[4]) for one in zip(x, y, yaw, speed, length, strict=True)]
    made = drive(others=crowd)
    scene = metrics.Scene.of(made)
    plans = np.concatenate([path(speed=10, yaw_rate=rate) for rate in random.uniform(-0.6, 0.6, 3)])
    instants, t = np.zeros(len(plans), int), np.zeros(len(plans))
    motion = Motion.of_plans(scene.poses[instants], scene.speed[instants], plans)
    assert scene.tracks is not None
    plan, number = np.divmod(np.arange(len(plans) * len(crowd)), len(crowd))
    everybody = _Pairs(scene, scene.tracks, plan, number, t, motion)
    near = Contacts.of(scene, instants, motion)
    np.testing.assert_array_equal(near.no_collision, everybody.no_collision().reshape(len(plans), -1).min(axis=1))
    np.testing.assert_array_equal(near.ttc, everybody.ttc().reshape(len(plans), -1).min(axis=1))


def test_others_annotated_twice_a_second_are_seen_in_between() -> None:
    full = drive(others=[other(45.0, yaw=np.pi, speed=8.0)])
    assert full.objects is not None
    keep = np.arange(len(full)) % 5 == 0
    rows = np.repeat(keep, np.diff(full.objects.starts))
    starts = np.concatenate([[0], np.cumsum(np.diff(full.objects.starts) * keep)])
    sparse = replace(full, objects=Objects(starts, {name: v[rows] for name, v in full.objects.columns.items()}))
    assert judged(sparse, path())["no_collision"] == 0
    assert judged(sparse, path()) == pytest.approx(judged(full, path()), nan_ok=True)


# Road -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("beyond", "kept"), [(-0.1, 1), (0.25, 1), (0.35, 0), (1.0, 0)])
def test_leaving_the_road_by_more_than_the_map_is_wrong_is_seen(beyond: float, kept: float) -> None:
    plan = path()
    plan[0, 2:, 1] = -(WIDTH / 2 - CAR.width / 2 + beyond)
    assert judged(drive(), plan)["drivable"] == kept


@pytest.mark.parametrize(("speed", "left"), [(1.9, 1), (4.0, 0.5), (5.9, 0.5), (7.0, 0)])
def test_driving_against_the_lane_counts_by_metres_a_second(speed: float, left: float) -> None:
    wrong_way = drive(speed=speed, start=(20, 2 * WIDTH, 0))
    assert judged(wrong_way, path(speed=speed))["direction"] == left


def test_driving_with_the_lane_is_right_whichever_way_it_runs() -> None:
    assert judged(drive(start=(150, 2 * WIDTH, np.pi)), path())["direction"] == 1


@pytest.mark.parametrize(("aside", "kept"), [(0.45, 1), (0.55, 0), (-0.55, 0)])
def test_keeping_the_lane_means_half_a_metre(aside: float, kept: float) -> None:
    assert judged(drive(start=(20, aside, 0)), path())["lane_keeping"] == kept


def test_who_stands_aside_leaves_no_lane() -> None:
    assert judged(drive(speed=0, start=(20, 0.8, 0)), path(speed=0))["lane_keeping"] == 1


def test_a_wide_lane_leaves_more_room() -> None:
    (lane, *_) = two_way_road().lanes
    wide = replace(lane, polygon=lane.polygon * [1, 1.5])
    assert judged(drive(map=Map(lanes=(wide,)), start=(20, 1.2, 0)), path())["lane_keeping"] == 1


@pytest.mark.parametrize(("speed", "left"), [(10.0, 1.0), (10 + 2.23 / 2, 0.5), (12.23, 0.0), (15.0, 0.0)])
def test_speeding_costs_its_mean(speed: float, left: float) -> None:
    assert judged(drive(speed=speed), path(speed=speed))["speed_limit"] == pytest.approx(left, abs=1e-9)


def red(state: Light, lane: str = "slow", columns: int = 101) -> Lights:
    return Lights((lane,), np.full((1, 3), np.nan), np.full((columns, 1), state))


@pytest.mark.parametrize(
    ("state", "left"), [(Light.RED, 0), (Light.GREEN, 1), (Light.YELLOW, 1), (Light.UNKNOWN, np.nan)]
)
def test_passing_the_stop_line_counts_by_its_light(state: Light, left: float) -> None:
    passing = drive(start=(200 - FRONT - 20, 0, 0), lights=red(state))
    assert judged(passing, path())["lights"] == pytest.approx(left, nan_ok=True)


def test_stopping_before_the_line_or_turning_red_behind_it_is_no_offence() -> None:
    waits = drive(start=(200 - FRONT - 21, 0, 0), lights=red(Light.RED))
    assert judged(waits, path(accel=-2.5))["lights"] == 1
    turned = red(Light.RED)
    turned.state[:30] = Light.GREEN
    assert judged(drive(start=(200 - FRONT - 20, 0, 0), lights=turned), path())["lights"] == 1
    elsewhere = drive(start=(200 - FRONT - 20, WIDTH, 0), lights=red(Light.RED))
    assert judged(elsewhere, path())["lights"] == 1


# Progress -------------------------------------------------------------------------------------------------------------


def test_progress_is_a_share_of_what_the_reference_drives() -> None:
    half = path(speed=10, accel=-2.5)
    assert half[0, -1, 0] == pytest.approx(20)
    assert judged(drive(), half)["progress"] == pytest.approx(0.5, abs=1e-3)
    assert judged(drive(), path(speed=10, accel=1.0))["progress"] == 1


def test_who_stands_behind_who_will_drive_on_makes_all_the_progress_there_is() -> None:
    line = 200 - FRONT - 8  # the rear axle, where somebody else waits at the stop line ahead
    for light, x in ((red(Light.RED), line), (None, 20.0)):
        queue = drive(speed=0.0, others=[other(x + FRONT + 2.0 + 2.3)], start=(x, 0, 0), lights=light)
        if light is None:
            queue = starts_at(queue, 6.0)
        assert judged(queue, path(speed=0.0))["progress"] == 1
    assert judged(drive(speed=0.0, others=[]), path(speed=0.0))["progress"] == 0


def starts_at(one: Drive, seconds: float) -> Drive:
    """The drive, whose others drive off then."""
    assert one.objects is not None
    later = np.maximum(one.t_s[one.objects.instant] - seconds, 0.0)
    return replace(one, objects=replace(one.objects, columns=one.objects.columns | {"x": one.objects["x"] + 5 * later}))


# What is gone round ---------------------------------------------------------------------------------------------------


TWO_WAYS = Map(
    lanes=(
        lane("slow", np.array([(0.0, 0.0), (300.0, 0.0)]), speed_limit=10.0),
        lane("back", np.array([(300.0, WIDTH), (0.0, WIDTH)]), speed_limit=10.0),
    )
)


def lorry(speed: float = 5.0, road: Map | None = None, others: Sequence[Any] = (), **more: Any) -> Drive:
    """On a road with a lane for each way, 8 m of lorry stand 25 m ahead."""
    stands = other(20 + FRONT + 25 + 4, -0.4, length=8.0)
    return drive(speed, [stands, *others], map=road or TWO_WAYS, **more)


def round_it(speed: float = 8.0) -> Floats:
    """A plan (1, 8, 4) from 12 m before it past it, a metre further to the left, on the lane of those that come."""
    plan = path(speed=speed)
    plan[0, :, 1] = np.interp(STEPS, (0, 1, 4), (0.0, 1.0, 1.0))
    return plan


def test_going_round_what_stands_for_good_breaks_neither_direction_nor_lane() -> None:
    near = dict(speed=8.0, start=(20 + 13, 1.2, 0))
    found = judged(lorry(**near), round_it())
    assert (found["direction"], found["lane_keeping"], found["no_collision"]) == (1, 1, 1)
    for other_way in (starts_at(lorry(**near), 5.0), replace(lorry(**near), objects=drive(8.0).objects)):
        found = judged(other_way, round_it())
        assert (found["direction"], found["lane_keeping"]) == (0, 0), "nothing there stays"
    assert judged(lorry(speed=8.0, start=(20 - 15, 1.2, 0)), round_it(6.0))["direction"] == 0, "too early"
    assert judged(lorry(speed=8.0, start=(20 + 13, 3.2, 0)), round_it())["direction"] == 0, "too far aside"
    back = judged(lorry(speed=-8.0, start=(20 + 45, 0, 0)), path(speed=-8.0))
    assert back["direction"] == 0, "backwards"


def test_a_street_of_parked_cars_does_not_open_the_lane_of_those_who_come() -> None:
    street = drive(8.0, [other(20 + 8 * i, -1.85) for i in range(20)], map=TWO_WAYS, start=(33, WIDTH, 0))
    assert len(metrics.Scene.of(street).blocks) == 1, "they reach in by 5 cm"
    assert judged(street, path(speed=8.0))["direction"] == 0


def test_who_waits_for_ever_behind_what_stands_for_good_makes_no_progress() -> None:
    waits = dict(speed=0.0, start=(20 + 23, 0, 0))
    assert judged(lorry(**waits), path(speed=0.0))["progress"] == 0
    comes = [other(80.0, WIDTH, yaw=np.pi, speed=10.0)]
    assert judged(lorry(**waits, others=comes), path(speed=0.0))["progress"] == 1, "now one must"
    beside = [other(46.0, WIDTH, speed=0.6, length=12.0)]
    assert judged(lorry(**waits, others=beside), path(speed=0.0))["progress"] == 1, "and now"
    overtakes = [other(20.0, WIDTH, speed=10.0)]
    assert judged(lorry(**waits, others=overtakes), path(speed=0.0))["progress"] == 1, "and now"
    narrow = Map(lanes=TWO_WAYS.lanes[:1])
    assert judged(lorry(**waits, road=narrow), path(speed=0.0))["progress"] == 1, "there is no way round"
    assert not len(metrics.Scene.of(lorry(road=narrow)).blocks)


def test_the_reference_goes_round_wherever_it_comes_from() -> None:
    for x in range(0, 90, 3):
        gone = metrics.Scene.of(lorry(speed=5.0, start=(x, 0, 0))).reference(START)[0]
        assert gone > 15, x


def test_the_way_round_is_the_shorter_one_for_which_there_is_road() -> None:
    blocks = metrics.Scene.of(lorry()).blocks
    assert blocks.way == pytest.approx([-0.4 + 1.9 + 0.5]), "half of both widths, and half a metre"
    assert (blocks.rear, blocks.front) == (pytest.approx([48.7]), pytest.approx([56.7]))
    right = metrics.Scene.of(drive(others=[other(60.0, 1.0)])).blocks
    assert right.way == pytest.approx([1.0 + 1.9 + 0.5]), "to the right there is no road"
    fast = metrics.Scene.of(drive(start=(20, WIDTH, 0), others=[other(60.0, WIDTH + 0.7)])).blocks
    assert fast.way == pytest.approx([0.7 - 1.9 - 0.5]), "and here there is"


def test_a_row_of_cones_is_gone_round_on_one_side() -> None:
    row = [other(70 + 2.6 * i, d, kind=Kind.CONE, length=0.4) for i, d in enumerate(np.linspace(-1.5, 0.3, 7))]
    scene = metrics.Scene.of(drive(5.0, row, map=TWO_WAYS))
    assert scene.blocks.way == pytest.approx([0.3 + 1.9 + 0.5])
    for x in range(40, 100, 4):
        assert metrics.Scene.of(drive(5.0, row, map=TWO_WAYS, start=(x, 0, 0))).reference(START)[0] > 15, x


@pytest.mark.parametrize("gap", [1.0, 2.0, 4.0])
def test_a_queue_that_dissolves_is_none_that_is_gone_round(gap: float) -> None:
    """Eight cars wait before a junction, one after the other drives off, and the last ones do not in time."""
    place = [-10 - 1 - 2.3 - i * (4.6 + gap) for i in range(8)]
    mine = 6
    others = [i for i in range(8) if i != mine]
    start = (place[mine] - CAR.centre_x, -WIDTH / 2, 0)
    queue = drive(0.0, [other(place[i], -WIDTH / 2) for i in others], map=crossing(), start=start, seconds=14.0)
    assert queue.objects is not None
    off = 9 + 1.5 * np.array(others)[queue.objects["track"]]
    gone = np.maximum(queue.t_s[queue.objects.instant] - off, 0.0)
    columns = queue.objects.columns | {"x": queue.objects["x"] + gone**2 / 2, "vx": gone}
    queue = replace(queue, objects=replace(queue.objects, columns=columns))
    assert not len(metrics.Scene.of(queue).blocks)
    assert judged(queue, path(speed=0.0))["progress"] == 1


def test_who_crawls_beside_a_later_part_of_the_route_has_not_come_there() -> None:
    """A hairpin: 20 m there, a turn of 3 m radius, and back on the lane beside."""
    turn = np.linspace(-np.pi / 2, np.pi / 2, 25)
    bend = np.stack([60 + 3 * np.cos(turn), 3 + 3 * np.sin(turn)], axis=-1)
    line = np.concatenate([[[0.0, 0.0]], bend, [[-300.0, 6.0]]])
    one = replace(two_way_road(), lanes=(Lane("hairpin", line, np.zeros((0, 2)), speed_limit=10.0),), drivable=())
    crawls = path(1.5)
    crawls[..., 1] += 3.5 * np.linspace(0.2, 1.0, 8)  # towards the way back
    found = judged(replace(drive(5.0, map=one), route=("hairpin",)), crawls)
    assert found["progress"] < 0.5


def test_whether_one_may_pass_a_light_of_unknown_state_is_unknown() -> None:
    for state, known in ((Light.UNKNOWN, False), (Light.GREEN, True), (Light.RED, True)):
        scene = metrics.Scene.of(drive(start=(200 - FRONT - 25, 0, 0), lights=red(state)))
        assert np.isfinite(scene.reference(START))[0] == known, state


def test_the_reference_keeps_its_distance_and_stops_for_red() -> None:
    free = metrics.Scene.of(drive()).reference(START)[0]
    behind = metrics.Scene.of(drive(others=[other(20 + FRONT + 15 + 2.3, speed=5.0)])).reference(START)[0]
    light = metrics.Scene.of(drive(start=(200 - FRONT - 25, 0, 0), lights=red(Light.RED))).reference(START)[0]
    assert free == pytest.approx(40, abs=0.01)
    assert 22 < behind < 34
    assert 15 < light < 25


def test_the_reference_does_not_brake_for_who_is_out_of_sight() -> None:
    ahead = drive(others=[other(20 + FRONT + 15 + 2.3, speed=5.0)])
    at = np.array([20])
    for seen, low, high in ((ahead.t_s < 1.05, 40, 40), (np.arange(len(ahead)) % 5 == 0, 0, 34)):
        assert ahead.objects is not None
        rows = seen[ahead.objects.instant]
        columns = {name: values[rows] for name, values in ahead.objects.columns.items()}
        one = replace(ahead, objects=Objects(np.concatenate([[0], np.cumsum(seen)]), columns))
        assert low - 0.01 < metrics.Scene.of(one).reference(at)[0] < high + 0.01, "twice a second is often enough"


def test_a_reference_that_would_hit_somebody_asks_for_nothing() -> None:
    # A pedestrian steps out 8 m ahead: too late for the reference. The plan that brakes hard makes all progress asked.
    steps_out = drive(others=[other(20 + FRONT + 8, -3.0, yaw=np.pi / 2, speed=2.5, kind=Kind.PEDESTRIAN, length=0.6)])
    assert metrics.Scene.of(steps_out).reference(START)[0] == 0
    assert judged(steps_out, path(speed=10, accel=-2.4))["progress"] == 1


def test_who_may_enter_a_junction_is_unknown_where_lights_were_not_recorded() -> None:
    arriving = dict(map=crossing(), start=(-20, -WIDTH / 2, 0), speed=5.0)
    assert np.isnan(judged(drive(**arriving), path(speed=5))["progress"])
    green = red(Light.GREEN, "in_w")
    assert judged(drive(**arriving, lights=green), path(speed=5))["progress"] > 0.7


# Comfort --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("accel", "kept"), [(2.35, 1), (2.45, 0), (-4.0, 1), (-4.1, 0)])
def test_comfort_ends_at_known_accelerations(accel: float, kept: float) -> None:
    fast = drive(speed=17.0)
    assert judged(fast, path(speed=17.0, accel=accel))["comfort"] == kept


@pytest.mark.parametrize(("speed", "rate", "kept"), [(10, 0.48, 1), (10, 0.50, 0), (2, 0.94, 1), (2, 0.96, 0)])
def test_comfort_ends_at_known_turns(speed: float, rate: float, kept: float) -> None:
    assert judged(drive(speed=speed), path(speed=speed, yaw_rate=rate))["comfort"] == kept


def test_a_jolt_is_uncomfortable_although_every_speed_is_harmless() -> None:
    jolt = path()
    jolt[0, :, 3] = [10, 10, 10, 6, 10, 10, 10, 10]
    jolt[0, :, 0] = np.cumsum([5, 5, 5, 4, 4, 5, 5, 5])
    assert judged(drive(), jolt)["comfort"] == 0


def test_a_plan_passes_through_its_poses_at_their_speeds_and_headings() -> None:
    plan = path(speed=8.0, yaw_rate=0.3)
    motion = Motion.of_plans(np.zeros((1, 3)), np.array([8.0]), plan)
    np.testing.assert_allclose(motion.pose[0, 5::5], plan[0, :, :3], atol=1e-9)
    np.testing.assert_allclose(motion.speed[0], 8.0, atol=0.01)
    arc = constant_turn(np.float64(8.0), np.float64(0.3), SAMPLES)
    np.testing.assert_allclose(motion.pose[0], arc, atol=1e-3)
    unknown = Motion.of_plans(np.zeros((1, 3)), np.array([np.nan]), plan)
    np.testing.assert_allclose(unknown.pose, motion.pose, atol=1e-9)


# Compared with what was driven ----------------------------------------------------------------------------------------


def test_displacement_has_two_names_that_differ() -> None:
    mean, final = metrics.displacements(path(speed=11), path(speed=10))
    assert mean[0] == pytest.approx(np.mean(STEPS)) and final[0] == pytest.approx(4.0)
    assert metrics.speed_difference(path(speed=11), path(speed=10))[0] == pytest.approx(1.0)


def test_lateral_difference_compares_paths_and_not_times() -> None:
    assert metrics.lateral_difference(path(speed=14), path(speed=7))[0] == 0
    assert metrics.lateral_difference(path(aside=1.5), path())[0] == pytest.approx(1.5)
    assert metrics.lateral_difference(path(speed=8, yaw_rate=0.2), path(speed=4, yaw_rate=0.1))[0] < 0.05
    assert metrics.lateral_difference(path(), path(speed=0))[0] == 0
    assert np.isnan(metrics.lateral_difference(path(), path() * np.nan)[0])


@settings(max_examples=30, deadline=None)
@given(st.floats(-0.4, 0.4), st.floats(0.5, 15))
def test_a_path_does_not_differ_from_itself(rate: float, speed: float) -> None:
    one = path(speed=speed, yaw_rate=rate or 0.1)
    assert metrics.lateral_difference(one, one)[0] == pytest.approx(0, abs=1e-9)


def test_carlas_driving_score_multiplies_what_each_infraction_leaves() -> None:
    assert metrics.driving_score(1.0, {}) == 1
    assert metrics.driving_score(0.8, {"collision_vehicle": 2, "red_light": 1}) == pytest.approx(0.8 * 0.36 * 0.7)
    assert metrics.driving_score(1.0, {"collision_pedestrian": 1}, outside=0.25) == pytest.approx(0.375)
    with pytest.raises(UnknownName, match="did you mean 'red_light'"):
        metrics.driving_score(1.0, {"red_lights": 1})


# What must not matter -------------------------------------------------------------------------------------------------


def moved(one: Drive, frame: Floats, later_s: float) -> Drive:
    """The same drive in another map frame, at another time."""
    assert one.objects is not None and one.map is not None
    poses = compose(frame, one.poses)
    boxes = compose(frame, np.stack([one.objects[name] for name in ("x", "y", "yaw")], axis=-1))
    velocity = move(np.array([0, 0, frame[2]]), np.stack([one.objects["vx"], one.objects["vy"]], axis=-1))
    columns = dict(zip(("x", "y", "yaw", "vx", "vy"), [*boxes.T, *velocity.T], strict=True))

    def there(lane: Lane) -> Lane:
        return replace(lane, centre=move(frame, lane.centre), polygon=move(frame, lane.polygon))

    return replace(
        one,
        t_ns=one.t_ns + np.int64(later_s * NS),
        columns={**one.columns, **dict(zip(("x", "y", "yaw"), poses.T, strict=True))},
        objects=Objects(one.objects.starts, {**one.objects.columns, **columns}),
        map=replace(one.map, lanes=tuple(map(there, one.map.lanes))),
    )


@settings(max_examples=25, deadline=None)
@given(st.floats(-5e3, 5e3), st.floats(-3.1, 3.1), st.floats(0, 1e6), st.floats(2, 14), st.floats(-0.3, 0.3))
def test_scores_do_not_change_with_origin_heading_and_start_time(
    x: float, turn: float, later: float, speed: float, rate: float
) -> None:
    crowd = [other(45, 0.3, speed=4.0), other(60, 2 * WIDTH, yaw=np.pi, speed=9.0), other(40, -2.5, kind=Kind.CONE)]
    here = drive(others=crowd, lights=red(Light.RED), speed=8.0)
    there = moved(here, np.array([x, -x / 3, turn]), later)
    plan = path(speed=speed, yaw_rate=rate or 0.01)
    assert judged(there, plan) == pytest.approx(judged(here, plan), abs=1e-4, nan_ok=True)


def test_scores_do_not_depend_on_what_is_judged_together() -> None:
    scene = metrics.Scene.of(drive(others=[other(45, 0.3, speed=4.0), other(60, 2 * WIDTH, yaw=np.pi, speed=9.0)]))
    plans = np.concatenate([path(speed=s, yaw_rate=r) for s in (4, 9, 13) for r in (-0.2, 0.01, 0.2)])
    instants = np.arange(len(plans))
    together = metrics.score(scene, instants, plans)
    for i in instants:
        alone = metrics.score(scene, instants[[i]], plans[[i]])
        for name, values in alone.items():
            np.testing.assert_array_equal(values[0], together[name][i], err_msg=name)


def test_scores_at_the_end_of_a_way_that_turns_back_do_not_depend_on_what_is_judged_together() -> None:
    """To the left of the way back lies the way there."""
    turn = np.linspace(-np.pi / 2, np.pi / 2, 25)
    bend = np.stack([100 + 3 * np.cos(turn), 3 + 3 * np.sin(turn)], axis=-1)
    road = Map(lanes=(lane("hairpin", np.concatenate([[[0.0, 0.0]], bend, [[0.0, 6.0]]]), speed_limit=10.0),))
    one = replace(drive(5.0, map=road, start=(60, 6, np.pi)), route=("hairpin",))
    plans = np.concatenate([path(speed=4.0, aside=1.0 * i) for i in range(6)] + [path(speed=60.0)])
    together = metrics.score(metrics.Scene.of(one), np.repeat(40, 7), plans)
    for i in range(7):
        alone = metrics.score(metrics.Scene.of(one), np.array([40]), plans[[i]])
        for name, values in alone.items():
            np.testing.assert_array_equal(values[0], together[name][i], err_msg=name)


# Recorded drives: the metrics' self-check -----------------------------------------------------------------------------


def every_half_second(one: Drive) -> Array:
    """Instants about 0.5 s apart."""
    return np.unique(np.searchsorted(one.t_s, np.arange(0, one.seconds, 0.5)).clip(0, len(one) - 1))


def test_a_replay_of_the_human_scores_near_one(shared_data: Path) -> None:
    scores, progress = {}, []
    for reader, folder in ((ScenarioNet(), "scenarionet"), (Argoverse2(), "argoverse2")):
        for key in reader.scan(shared_data / folder):
            one = reader.read(shared_data / folder, key)
            assert one.map is not None and one.objects is not None
            instants = every_half_second(one)
            found = metrics.score(metrics.Scene.of(one), instants, driven(one, instants))
            known = np.isfinite(found["score"])
            assert one.seconds - 5 < 0.5 * known.sum() < one.seconds  # all but the last 4 s
            for name in ("no_collision", "drivable", "direction"):
                assert np.nanmin(found[name]) == 1, f"{key}: {name}"
            scores[key] = float(np.nanmean(found["score"]))
            progress.append(np.isfinite(found["progress"]).sum() / known.sum())
    assert len(scores) >= 8
    assert np.mean(list(scores.values())) >= 0.95, scores
    assert min(scores.values()) >= 0.85, scores
    assert np.mean(progress) > 0.25  # and not because nothing was asked of it


def test_a_bad_driver_on_a_recorded_drive_does_not(shared_data: Path) -> None:
    folder = shared_data / "argoverse2"
    reader = Argoverse2()
    one = reader.read(folder, next(iter(reader.scan(folder))))
    scene, instants = metrics.Scene.of(one), every_half_second(one)
    human = driven(one, instants)
    known = np.isfinite(human).all(axis=(1, 2))
    swerve = human.copy()
    swerve[..., 1] += 8.0 * np.minimum(STEPS / 2, 1)
    reckless = human.copy()
    reckless[..., 0] += 12 * STEPS
    reckless[..., 3] += 12
    for bad, name in ((swerve, "drivable"), (reckless, "no_collision")):
        found = metrics.score(scene, instants[known], bad[known])
        assert np.nanmean(found["score"]) < 0.5
        assert np.nanmean(found[name]) < 0.8


def test_a_track_is_nowhere_before_it_was_first_seen_and_after_it_was_last_seen() -> None:
    x = np.array([0.0, 1.0, 2.0, 5.0])
    columns = {name: np.zeros(4) for name in ("y", "z", "yaw", "length", "width", "height", "vx", "vy")}
    objects = Objects(
        np.array([0, 1, 2, 4, 4]), {"track": np.array([7, 7, 7, 9]), "kind": np.ones(4, int), "x": x, **columns}
    )
    seen = Tracks(np.array([0.0, 0.5, 1.0, 1.5]), objects).poses(np.array([0, 1]), np.array([[0.25, 1.0, 1.2]] * 2))
    np.testing.assert_array_equal(seen[..., 0], [[0.5, 2.0, np.nan], [np.nan, 5.0, np.nan]])


def test_who_was_told_no_velocity_moves_as_its_places_say() -> None:
    """Seen at 0, 0.5, 1 s, long lost, seen at 3 s; another is seen once."""
    t = np.array([0.0, 0.5, 1.0, 3.0])
    columns = {name: np.zeros(5) for name in ("z", "yaw", "length", "width", "height")}
    told = {"vx": np.array([np.nan, np.nan, np.nan, np.nan, np.nan]), "vy": np.array([np.nan, 0.25, np.nan, 1.0, 2.0])}
    objects = Objects(
        np.array([0, 1, 2, 3, 5]),
        {"track": np.array([7, 7, 7, 7, 9]), "kind": np.ones(5, int), "x": np.array([0.0, 1.0, 4.0, 5.0, 2.0]),
         "y": np.array([0.0, 0.5, 1.0, 9.0, 9.0]), **columns, **told},
    )  # fmt: skip
    tracks = Tracks(t, objects)
    np.testing.assert_allclose(tracks.vx, [2.0, 4.0, 6.0, 0.0, 0.0])
    np.testing.assert_allclose(tracks.vy, [1.0, 0.25, 1.0, 1.0, 2.0])
