"""The city as a world: it answers plans, replays exactly, tells detections and keeps the truth."""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from click.testing import CliRunner

from understudy.cli import main
from understudy.errors import UnderstudyError, UnknownName
from understudy.geometry import bicycle, seen_from
from understudy.policies.constant_turn import ConstantTurn
from understudy.records import Drive, Driver, Kind, Light, Observation, Plan, Rig
from understudy.registry import Registry
from understudy.store import Lake
from understudy.worlds import sides, towns
from understudy.worlds.city import City, looks_hz
from understudy.worlds.detect import Walls, chance, detect_lights, detect_objects, smooth
from understudy.worlds.ego import TICK_S, Ego, Follower
from understudy.worlds.events import KINDS
from understudy.worlds.events.met import SOON_S, met
from understudy.worlds.events.stage import FRONT
from understudy.worlds.outcome import judged
from understudy.worlds.rig import default_rig
from understudy.worlds.scenario import Scenario
from understudy.worlds.sumo import Sumo, SumoError
from understudy.worlds.traffic import Crowd
from understudy.worlds.way import way
from understudy.worlds.world import drive_with

HERE = Scenario(town="grid:3", route="r2", traffic="everyday", seed=5)


def driven_by_expert(scenario: Scenario, seconds: float = 30.0) -> Drive:
    with City() as world:
        world.begin(scenario)
        while not world.ended and world.t_s < seconds:
            world.advance(world.expert.plan())
        return world.drive()


def digest(scenario: Scenario) -> bytes:
    drive = driven_by_expert(scenario, 10.0)
    assert drive.objects is not None and drive.truth is not None and drive.truth.objects is not None
    parts = [*drive.columns.values(), *drive.objects.columns.values(), *drive.truth.objects.columns.values()]
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


@pytest.fixture(scope="module")
def drive() -> Drive:
    return driven_by_expert(HERE, 60.0)


# The ego ----------------------------------------------------------------------------------------------------------


def test_the_ego_moves_as_the_bicycle_model_says() -> None:
    ego = Ego(np.array([3.0, -2.0, 0.4]), 8.0, wheel=0.1)
    before = ego.pose
    ego.drive(0.0, 0.1)
    assert np.allclose(ego.pose, bicycle(before, np.float64(8.0), np.float64(0.1), ego.vehicle.wheelbase, TICK_S))


@pytest.mark.parametrize("radius", [12.0, -25.0, 1e9])
def test_a_plan_along_an_arc_is_driven_along_that_arc(radius: float) -> None:
    speed, t = 5.0, 0.5 * np.arange(1, 9)
    ego = Ego(np.zeros(3), speed, wheel=float(np.arctan(2.8 / radius)))
    for _ in range(15):
        turn = speed * t / radius
        arc = np.stack([radius * np.sin(turn), radius * (1 - np.cos(turn)), turn, np.full(8, speed)], -1)
        follower = Follower(ego.pose, ego.speed, arc)
        for tick in range(2):
            ego.drive(*follower.control(ego, tick * TICK_S))
    travelled = 30 * TICK_S * speed / radius
    expected = np.array([radius * np.sin(travelled), radius * (1 - np.cos(travelled))])
    assert np.hypot(*(ego.pose[:2] - expected)) < 0.4
    assert abs(ego.speed - speed) < 0.1


def test_a_plan_to_stop_stops_the_car_and_a_plan_of_nan_brakes() -> None:
    for poses in (np.zeros((8, 4)), np.full((8, 4), np.nan)):
        ego = Ego(np.zeros(3), 6.0)
        for _ in range(40):
            follower = Follower(ego.pose, ego.speed, poses)
            ego.drive(*follower.control(ego, 0.0))
        assert ego.speed < 0.05 and abs(ego.pose[1]) < 0.5


# The world --------------------------------------------------------------------------------------------------------


def test_the_expert_drives_well(drive: Drive) -> None:
    outcome = judged(replace(drive, facts={**drive.facts, "completion": 1.0}))
    assert drive.metres > 150
    assert not outcome.at_fault
    assert outcome.score > 0.9
    assert np.abs(drive["lane_offset"]).max() < 1.2


@pytest.mark.parametrize(
    ("scenario", "why"),
    [
        ("scenario:city/organic:4/r13/everyday/clear/none/13", "its way comes to an edge twice"),
        ("scenario:city/spider:3/r62/everyday/clear/none/62", "its light turns red while it stands at the line"),
    ],
)
def test_the_expert_waits_at_red_even_where_sumo_forgets_the_light(scenario: str, why: str) -> None:
    with City() as world:
        world.begin(Scenario.parse(scenario))
        while not world.ended:
            world.advance(world.expert.plan())
        route = judged(world.drive())
    assert route.reds >= 2 and route.red_light == 0, why


def test_each_visit_of_a_lane_has_a_stop_line_of_its_own() -> None:
    scenario = Scenario.parse("scenario:city/organic:4/r13/everyday/clear/none/13")
    first, second = (s for lane, s in way(towns.town(scenario.town), scenario).line.ends if lane == "e3_2")
    assert second - first > 100.0


def test_sumo_keeps_the_ego_that_comes_back_after_going_astray() -> None:
    with City() as world:
        world.begin(Scenario.parse("scenario:city/organic:3/r12/everyday/clear/stopped_truck/7"))
        astray = False
        while not world.ended and world.t_s < 60.0:
            world.advance(world.expert.plan())
            astray |= abs(world.beside) > 1.6
        assert astray and world.traffic.lost == 0


def test_the_same_scenario_replays_exactly_here_and_in_other_processes() -> None:
    scenarios = [replace(HERE, event="tail", seed=seed) for seed in (1, 2)]
    here = [digest(scenario) for scenario in scenarios]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        there = list(pool.map(digest, scenarios))
    assert here == there
    assert here[0] != here[1]


def test_what_is_observed_in_the_loop_is_what_the_recorded_drive_says() -> None:
    from understudy.observe import Observer

    with City() as world:
        seen = world.reset(HERE)
        for _ in range(20):
            seen = world.step(world.expert.plan())
        whole = Observer(world.drive(), world.way.line).observe(np.array([40]), ("route", "objects"), (0.0,))
    assert seen.objects is not None and whole.objects is not None
    for name, values in whole.objects.items():
        assert np.array_equal(seen.objects[name], values, equal_nan=True), name
    assert seen.route is not None and whole.route is not None
    assert np.allclose(seen.route, whole.route, atol=1e-6, equal_nan=True)
    assert seen.speed == whole.speed and seen.light == whole.light


def test_the_truth_alone_says_how_many_pixels_show_each_of_the_others() -> None:
    with City(rig=default_rig()) as world:
        world.begin(HERE)
        for _ in range(10):
            world.advance(world.expert.plan())
        drive = world.drive()
    assert drive.truth is not None and drive.truth.objects is not None and drive.objects is not None
    others, pixels = drive.truth.objects, drive.truth.objects["visible_pixels"]
    far = np.hypot(others["x"] - drive["x"][others.instant], others["y"] - drive["y"][others.instant]) > 300
    assert pixels.max() > 50 and (pixels >= 0).all() and not pixels[far].any()
    assert "visible_pixels" not in drive.objects


def test_lights_are_what_sumo_says_they_are() -> None:
    import struct

    from understudy.worlds.sumo import _command, _text

    with City() as world:
        world.begin(HERE)
        for _ in range(60):
            world.advance(world.expert.plan())
            for program in world.town.programs.values():
                asked = _command(0xA2, struct.pack(">B", 0x20) + _text(program.id))
                answer = world.traffic.sumo._talk(asked)
                told = answer[answer.rindex(_text(program.id)) + len(_text(program.id)) + 5 :].decode()
                colour = {"r": Light.RED, "y": Light.YELLOW, "g": Light.GREEN, "G": Light.GREEN}
                assert [colour[c] for c in told] == list(program.at(np.array(world.sumo_s))), world.t_s


def test_the_ego_is_seen_by_the_others() -> None:
    """It stands in the road; whoever comes from behind stops, and nobody drives through it."""
    stand = Plan.single(np.zeros((1, 8, 4)))
    with City() as world:
        world.begin(replace(HERE, traffic="dense", seed=3))
        while not world.ended and world.t_s < 40:
            world.advance(stand)
        assert world.ended == ""
        assert world.traffic.lost == 0


def test_leaving_the_road_and_hitting_somebody_end_the_scenario() -> None:
    off = np.zeros((1, 8, 4))
    off[0, :, 0], off[0, :, 3] = 4.0 * np.arange(1, 9), 8.0  # straight on, wherever the street goes
    with City() as world:
        world.begin(replace(HERE, traffic="empty"))
        while not world.ended:
            world.advance(Plan.single(off))
        assert world.ended in ("lost", "collision")
        with pytest.raises(UnderstudyError, match="reset"):
            world.advance(Plan.single(off))


def test_who_creeps_into_a_lorry_has_a_collision() -> None:
    with City() as world:
        world.begin(Scenario(town="organic:1", route="r0:250", traffic="empty", event="stopped_truck", seed=1))
        while not world.ended:
            lorry = world.events.passing
            room = lorry.start - world.way.s - FRONT if lorry else 99.0
            speed = min(8.0, max(0.4, 0.5 * (room - 0.1)))
            along = world.way.at(world.way.s + speed * 0.5 * np.arange(1, 9))
            poses = np.concatenate([seen_from(world.ego.pose, along), np.full((8, 1), speed)], axis=1)
            world.advance(Plan.single(poses[None]))
        assert lorry and world.ended == "collision" and world.ego.speed < 0.5
        assert judged(world.drive()).at_fault


def test_a_bump_is_no_licence_to_drive_on_through_a_body() -> None:
    with City() as world:
        world.begin(replace(HERE, traffic="empty"))
        world.crowd = Crowd.of(7, "lorry", (*world.ego.pose[:2], float(world.ego.pose[2])), 0.0)
        world._judge()
        assert (world.ended, world.bumped) == ("", 1), "something appeared round a car that stood"
        world.way.s += 4.0
        world._judge()
        assert (world.ended, world.bumped) == ("", 1), "it may get away"
        world.way.s += 1.0
        world._judge()
        assert world.ended == "collision"


def test_unknown_words_are_answered_with_the_known_ones() -> None:
    with City() as world:
        for change in ({"traffic": "evryday"}, {"weather": "claer"}, {"event": "jaywaker"}):
            with pytest.raises(UnknownName, match="did you mean"):
                world.begin(replace(HERE, **change))


def test_sumo_dies_with_its_world_and_its_death_is_told() -> None:
    with City() as world:
        world.begin(HERE)
        world.traffic.sumo._process.kill()
        with pytest.raises(SumoError, match="SUMO is gone"):
            for _ in range(5):
                world.advance(world.expert.plan())
        pid = world.traffic.sumo._process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def _hold_a_sumo() -> int:
    world = City()
    world.begin(HERE)
    print(world.traffic.sumo._process.pid, flush=True)
    time.sleep(60)
    return 0


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_sumo_dies_with_a_killed_worker() -> None:
    import signal
    import subprocess
    import sys

    worker = subprocess.Popen(
        [sys.executable, "-c", "from tests.test_worlds_city import _hold_a_sumo; _hold_a_sumo()"],
        stdout=subprocess.PIPE,
    )
    assert worker.stdout is not None
    sumo = int(worker.stdout.readline())
    os.kill(sumo, 0)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{sumo}/stat").read_text().split()[2]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    pytest.fail("SUMO outlived its worker")


# Detections -------------------------------------------------------------------------------------------------------


def _row(**columns: float) -> dict[str, np.ndarray]:
    usual = {"track": 1, "kind": Kind.CAR, "x": 20.0, "y": 0.0, "yaw": 0.0, "length": 4.5, "width": 1.8, "height": 1.5,
             "vx": 0.0, "vy": 0.0}  # fmt: skip
    return {name: np.array([value]) for name, value in {**usual, **columns}.items()}


def _seen(rows: dict[str, np.ndarray], instants: int = 200, walls: Walls | None = None) -> int:
    """At how many of the instants the first row is detected."""
    count = len(rows["x"])
    many = {name: np.tile(values, instants) for name, values in rows.items()}
    starts = np.arange(instants + 1) * count
    none = walls or Walls(*(np.zeros(0) for _ in range(5)))
    t = np.arange(instants) * 0.1
    _, found = detect_objects(1, t, np.zeros((instants, 3)), starts, many, none, 4000.0)
    return int((found["track"] == rows["track"][0]).sum())


def test_what_is_near_is_seen_but_not_always_and_what_is_far_or_hidden_is_not() -> None:
    assert 19_900 < _seen(_row(), 20_000) < 20_000  # dropouts
    assert _seen(_row(x=200.0)) == 0
    house = Walls(np.array([10.0]), np.array([0.0]), np.array([0.0]), np.array([2.0]), np.array([8.0]))
    assert _seen(_row(), walls=house) == 0
    lorry = _row(track=2, x=12.0, length=8.0, width=2.5, height=3.4)
    child = _row(kind=Kind.PEDESTRIAN, x=18.0, length=0.3, width=0.4, height=1.2)
    assert _seen({name: np.append(child[name], lorry[name]) for name in child}) == 0


def test_detections_are_noisy_around_the_truth(drive: Drive) -> None:
    assert drive.objects is not None and drive.truth is not None and drive.truth.objects is not None
    seen, true = drive.objects, drive.truth.objects
    assert 0.3 < len(seen["x"]) / len(true["x"]) < 0.98
    place = {(i, t): (x, y) for i, t, x, y in zip(true.instant, true["track"], true["x"], true["y"], strict=True)}
    found = zip(seen.instant, seen["track"], seen["x"], seen["y"], strict=True)
    error = [np.hypot(x - place[i, t][0], y - place[i, t][1]) for i, t, x, y in found]
    assert 0.05 < np.mean(error) < 0.8


def test_noise_is_a_function_of_who_and_when() -> None:
    who, when = np.arange(1000), np.linspace(0, 50, 1000)
    assert np.array_equal(chance(3, who, when, 1), chance(3, who, when, 1))
    assert abs(chance(3, who, when, 1).mean() - 0.5) < 0.05
    assert abs(np.corrcoef(chance(3, who, when, 1), chance(4, who, when, 1))[0, 1]) < 0.1
    track = np.full(1000, 7)
    assert abs(smooth(1, track, when, 1).std() - 1) < 0.35
    assert np.abs(np.diff(smooth(1, track, when, 1))).max() < 0.5


def test_a_light_is_seen_from_its_front_and_near_only() -> None:
    heads, facing = np.array([[30.0, 0.0, 5.0]]), np.array([0.0])
    red = np.full((1, 1), Light.RED, np.int8)
    for pose, expected in (((0, 0, 0), Light.RED), ((-100, 0, 0), Light.UNKNOWN), ((60, 0, np.pi), Light.UNKNOWN)):
        states = [
            detect_lights(2, np.array([t]), np.array([pose], float), heads, facing, red, 4000.0)[0, 0]
            for t in range(40)
        ]
        assert np.mean(np.array(states) == expected) > 0.9


# Events -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "scenario"),
    [
        ("jaywalker", "grid:3/r0"), ("stopped_truck", "grid:3/r0"), ("debris", "mix:2/r2"),
        ("dead_traffic_light", "grid:3/r0"), ("blocked_junction", "grid:3/r0"),
    ],
)  # fmt: skip
def test_an_event_happens_and_is_written_into_the_truth(kind: str, scenario: str) -> None:
    town, route = scenario.split("/")
    drive = driven_by_expert(Scenario(town=town, route=route, event=kind, seed=int(route[1:])), 60.0)
    assert drive.truth is not None
    assert [event.trigger for event in drive.truth.events] == [kind]
    event = drive.truth.events[0]
    assert event.drive == drive.id and 0 < event.end_ns - event.start_ns < 45e9
    assert not judged(drive).at_fault


def test_an_emergency_vehicle_is_one_for_as_long_as_its_event_lasts() -> None:
    """In this scenario it comes by a second time, half a minute later: as the car that it was before."""
    drive = driven_by_expert(Scenario(town="organic:6", route="r0:3000", event="emergency_vehicle", seed=0), 120.0)
    assert drive.truth is not None and drive.truth.objects is not None
    others, (event,) = drive.truth.objects, drive.truth.events
    blue = others["kind"] == Kind.EMERGENCY
    (track,) = set(others["track"][blue].tolist())
    apart = np.hypot(others["x"] - drive["x"][others.instant], others["y"] - drive["y"][others.instant])
    near = (others["track"] == track) & (apart < 45.0)
    stamps = drive.t_ns[others.instant]
    happens = (stamps >= event.start_ns) & (stamps <= event.end_ns)
    assert np.array_equal(near & happens, near & blue) and (near & happens).any() and (near & ~happens).any()
    changes = np.flatnonzero(np.diff(blue[others["track"] == track]))
    assert (apart[others["track"] == track][changes] > 70.0).all(), "far away"


@pytest.mark.parametrize(
    ("group", "kind"),
    [("gate", kind) for kind in KINDS] + [("regression", name) for name, kind in KINDS.items() if kind.kept],
)
def test_an_event_comes_about_on_the_routes_that_are_known_for_it(group: str, kind: str) -> None:
    """The first in each table; `scripts/find_events --check` drives all of them."""
    known = list(islice(met(group, kind), 30))
    assert len(set(known)) == 30 and {sides.side(one.town) for one in known} == {group}
    with City() as world:
        world.begin(known[0])
        while not world.ended and world.t_s < SOON_S and not world.events.happened():
            world.advance(world.expert.plan())
        assert [event.trigger for event in world.events.happened()] == [kind]


def test_others_let_whoever_goes_round_a_lorry_pass_whoever_plans_it() -> None:
    """The plans of the city's own driver, given by somebody else, are answered in the same way."""
    scenario = Scenario(town="spider:3", route="r2:250", event="stopped_truck", seed=2)
    plans, yielded = [], []
    with City() as world:
        world.begin(scenario)
        while not world.ended and world.t_s < 40:
            plans.append(world.expert.plan())
            world.advance(plans[-1])
            yielded.append(set(world.events._yielding))
        ends = world.ego.pose
    assert any(yielded), "somebody had to wait"
    with City() as world:
        world.begin(scenario)
        for plan, who in zip(plans, yielded, strict=True):
            world.advance(plan)
            assert world.events._yielding == who
        assert np.array_equal(world.ego.pose, ends)


def test_the_sun_blinds_where_it_shines_and_worn_paint_is_drawn_each_time() -> None:
    with City(("pictures",), (0.0,), default_rig(64, 32)) as world:
        world.begin(Scenario(town="grid:3", route="r1:250", traffic="empty", weather="fog", event="blinding_sun"))
        for _ in range(30):
            world.advance(world.expert.plan())
        assert not world.events.happened(), "no sun shines in fog"
        cameras = world._cameras
        assert cameras is not None
        drawn = []
        for metres in (100.0, 25.0):
            s = np.arange(world.way.s, world.way.s + metres, 4.0)
            sides = [world.way.beside(s, np.full(len(s), d))[:, :2] for d in (-7.0, 10.0)]
            world.events.worn = np.concatenate([sides[0], sides[1][::-1]])
            cameras.shoot(world)
            drawn.append(cameras._renderer)
        assert drawn[0] is not drawn[1]


def test_every_kind_of_event_names_the_triggers_that_should_catch_it() -> None:
    from importlib.metadata import entry_points

    known = {entry.name for entry in entry_points(group="understudy.trigger")}
    assert len(KINDS) == 17 and sum(kind.kept for kind in KINDS.values()) == 5
    for name, kind in KINDS.items():
        assert kind.triggers and set(kind.triggers) <= known, name


def test_dead_lights_are_off_in_the_truth() -> None:
    drive = driven_by_expert(Scenario(town="grid:3", route="r0", event="dead_traffic_light", seed=0), 60.0)
    assert drive.truth is not None and drive.truth.lights is not None
    assert (drive.truth.lights.state == Light.OFF).any()


# Policies ---------------------------------------------------------------------------------------------------------


def test_a_policy_drives_the_city_by_the_protocol() -> None:
    from understudy.policies.constant_turn import ConstantTurn
    from understudy.policies.lane_follow import LaneFollow

    came = {}
    for policy in (ConstantTurn(), LaneFollow()):
        with City(policy.needs, policy.history_s) as world:
            world.who = Driver.MODEL
            seen = world.reset(Scenario(town="grid:3", route="r1", traffic="empty", seed=1))
            while not world.ended and world.t_s < 25.0:
                seen = world.step(policy.plan(seen))
            came[type(policy).__name__] = world.completion
    assert came["ConstantTurn"] < 0.05 and came["LaneFollow"] > 0.1


@pytest.mark.parametrize(("ages", "hertz"), [((0.6, 0.0), 5.0), ((0.5, 0.0), 10.0), ((0.25, 0.0), 10.0), ((0.0,), 5.0)])
def test_pictures_are_taken_where_a_plan_looks_at_them_and_no_others(ages: tuple[float, ...], hertz: float) -> None:
    assert looks_hz(ages) == pytest.approx(hertz)
    scenario = Scenario(town="grid:3", route="r1", traffic="empty", seed=1)
    stays = Plan.single(np.zeros((1, 8, 4)))
    seen = []
    for often in (hertz, 10.0):
        with City(("pictures",), ages, default_rig(32, 16), often) as world:
            world.reset(scenario)
            for _ in range(4):
                last = world.step(stays)
            assert last.picture_valid is not None and last.picture_valid.all()
            seen.append(last)
    for one, other in zip(seen[0].pictures, seen[1].pictures, strict=True):
        assert np.array_equal(one, other)


@dataclass
class Sees:
    """A policy that was trained on pictures twice as wide as usual."""

    needs: ClassVar[tuple[str, ...]] = ("pictures",)
    history_s: ClassVar[tuple[float, ...]] = (0.0,)
    card: ClassVar[dict[str, Any]] = {"cameras": {"size": [256, 128]}}

    def plan(self, seen: Observation) -> Plan:
        return Plan.single(np.zeros((1, 8, 4)))


def test_who_is_filmed_is_shown_pictures_as_the_gate_shows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rigs = []

    def begin(_: City, needs: object, history_s: object, rig: Rig, *more: object) -> None:
        rigs.append(rig)
        raise UnderstudyError("seen")

    monkeypatch.setattr(City, "__init__", begin)
    for spec in ("tests.test_worlds_city:Sees", "lane_follow", "human"):
        CliRunner().invoke(main, ["watch", str(HERE), "--driver", spec, "--film", str(tmp_path / "film.mp4")])
    assert [tuple(rig.size[0].tolist()) for rig in rigs] == [(256, 128), (128, 64), (128, 64)]


def test_the_champion_of_a_lake_may_be_filmed_and_drive_in_a_fleet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(tmp_path / "lake")
    registry.promote(registry.add("constant_turn", "c0ffee", "constant_turn").hash, "the first")
    began = []
    monkeypatch.setattr(City, "__init__", lambda _, needs, *more: began.append(needs))
    there = ["--lake", str(tmp_path / "lake"), "--film", str(tmp_path / "film.mp4")]
    for driver in ("champion", "model:c0f"):
        CliRunner().invoke(main, ["watch", str(HERE), "--driver", driver, *there])
    assert began == [ConstantTurn.needs] * 2
    monkeypatch.undo()
    fleet = ["fleet", "drive", "--cars", "1", "--minutes", "0.05", "--driver", "champion"]
    told = CliRunner().invoke(main, [*fleet, "--no-cameras", "--lake", str(tmp_path / "lake")])
    assert told.exit_code == 0, told.stderr
    (drive,) = Lake(tmp_path / "lake").drives()
    assert "constant_turn" in drive["id"]
    missing = CliRunner().invoke(main, ["watch", str(HERE), "--driver", "champion", "--lake", str(tmp_path / "none")])
    assert missing.exit_code == 1 and "there is no lake yet" in missing.stderr


def test_a_replay_has_no_cameras_to_film(tmp_path: Path) -> None:
    scenario = str(replace(HERE, world="replay", town="a-log"))
    told = CliRunner().invoke(main, ["watch", scenario, "--film", str(tmp_path / "film.mp4")])
    assert told.exit_code == 1 and "only the city has cameras" in told.stderr


def test_a_scenario_driven_to_its_end_is_judged_once() -> None:
    with City(ConstantTurn.needs) as world:
        seen = world.reset(Scenario(town="highway:1", route="r1", traffic="empty", seed=1))
        drive_with(world, ConstantTurn().plan, seen)
        outcome = judged(world.drive())
    assert outcome.ended in ("lost", "collision") and outcome.score < 0.5
    assert outcome.subscores["drivable"] < 1.0


def test_sumo_says_why_it_did_not_start(tmp_path: Path) -> None:
    (tmp_path / "bad.net.xml").write_text("<net>")
    (tmp_path / "town.rou.xml").write_text("<routes/>")
    with pytest.raises(SumoError, match="starting SUMO"):
        Sumo(tmp_path / "bad.net.xml", tmp_path / "town.rou.xml", 1)
