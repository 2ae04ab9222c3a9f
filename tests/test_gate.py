"""The gate: closed forms of its scores, what its rule decides on made-up pairs, and small gates that really drive."""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import av
import numpy as np
import onnx
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from tests.conftest import steady_turn
from tests.small_lake import read_in
from tests.test_policies import straight_ahead
from tests.towns import two_way_road
from understudy import metrics
from understudy.errors import DataError, PolicyError, SettingsError, UnknownName
from understudy.gate import regression, report, suites
from understudy.gate.driving import drive_route
from understudy.gate.entrants import entrant
from understudy.gate.faults import FAULTS, Unseen, paced
from understudy.gate.regression import ClipResult
from understudy.gate.run import lost, run
from understudy.gate.verdict import Gate, Look, Pairs, Verdict, decide, gather, merits
from understudy.geometry import constant_turn
from understudy.policies.constant_turn import ConstantTurn
from understudy.policies.lane_follow import LaneFollow
from understudy.records import NS, PLAN_STEP_S, PLAN_STEPS, Clip, Drive, Kind, Objects, Observation, Plan
from understudy.registry import Registry
from understudy.store import Lake
from understudy.store.reviews import regression_clips
from understudy.web import verdict as page
from understudy.worlds import sides
from understudy.worlds.city import City
from understudy.worlds.outcome import Route, _lasting, combined, judged, route_subscores, runs, window_scores
from understudy.worlds.scenario import Scenario


def log(id: str = "straight", seconds: float = 12.0, ahead: float = 300.0) -> Drive:
    """At 10 m/s along a straight road, with a car standing on it `ahead` of where the log began."""
    drive = steady_turn(yaw_rate=0.0, seconds=seconds, start=(20.0, 0.0, 0.0))
    rows, one = len(drive), np.ones(len(drive))
    car = {"track": 7, "kind": Kind.CAR, "x": 20.0 + ahead, "y": 0, "yaw": 0, "length": 4, "width": 2, "vx": 0, "vy": 0}
    return replace(
        drive,
        id=id,
        columns={**drive.columns, "lane_offset": 0.25 * one, "speed_limit": 10.0 * one, "place": 0 * one},
        objects=Objects(np.arange(rows + 1), {name: value * one for name, value in car.items()}),
        map=two_way_road(400.0),
        route=("slow",),
        places=("the-straight",),
    )


def ended(drive: Drive, how: str = "", completion: float = 1.0) -> Drive:
    """The same drive as a world tells of it."""
    return replace(drive, facts={"scenario": "here", "ended": how, "completion": completion})


# Scores of a route ----------------------------------------------------------------------------------------------------


def test_a_route_is_as_good_as_its_worst_window_where_it_counts_and_as_its_mean_elsewhere() -> None:
    """Worked example of docs/gate.md: one window of four hits a cone, one is too close, one is uncomfortable."""
    windows = {name: np.ones(4) for name in metrics.SUBSCORES}
    windows["no_collision"] = np.array([1, 1, 1, 0.5])
    windows["ttc"] = np.array([1, 1, 1, 0.0])
    windows["comfort"] = np.array([1, 0, 1, np.nan])
    windows["lights"] = np.full(4, np.nan)
    found = route_subscores(windows)
    assert found["no_collision"] == 0.5 and found["ttc"] == 0.75 and found["comfort"] == pytest.approx(2 / 3)
    assert np.isnan(found["lights"])
    weighted = (5 * 1 + 5 * 0.75 + 4 * 1 + 2 * 2 / 3 + 2 * 1) / 18
    assert combined(found) == pytest.approx(0.5 * weighted)
    assert combined(found) == pytest.approx(0.447, abs=5e-4)


def test_one_event_in_many_windows_is_one_event() -> None:
    assert runs(np.array([1, 1, 0, 0, 1, 1, 1, 0], bool)) == 2
    assert runs(np.zeros(0, bool)) == 0


def test_windows_end_with_the_drive() -> None:
    scene = metrics.Scene.of(log(seconds=6.3))
    assert len(window_scores(scene)["score"]) == 5, "at 0.3, 0.8, ... 2.3 s"
    assert len(window_scores(metrics.Scene.of(log(seconds=3.9)))["score"]) == 0
    late = window_scores(scene, since_s=1.0)["progress"]
    assert np.array_equal(late, window_scores(scene)["progress"][-3:]), "at 1.3, 1.8, 2.3 s, of the same drive"
    assert len(window_scores(scene, since_s=2.4)["score"]) == 0


def test_a_steady_drive_at_the_limit_is_perfect_and_keeps_its_distance() -> None:
    found = judged(ended(log()), "me")
    assert found.score == pytest.approx(1.0) and found.driving_score == 1.0
    assert found.lane_distance == pytest.approx(0.25)
    assert (found.interventions, found.outside, found.collision_vehicle) == (0, 0.0, 0)
    assert found.metres == pytest.approx(120.0)


def test_the_distance_to_the_lane_s_centre_is_not_asked_beside_what_is_gone_round() -> None:
    aside = log(ahead=60.0)
    offset = np.where(np.abs(aside["x"] - 80.0) < 15.0, 2.3, 0.25)
    aside = replace(aside, columns=aside.columns | {"lane_offset": offset})
    assert judged(ended(aside), "me").lane_distance == pytest.approx(0.25)
    assert judged(ended(replace(aside, objects=log().objects)), "me").lane_distance > 0.7


def test_driving_into_a_standing_car_costs_all_and_a_safety_driver_would_have_stepped_in_once() -> None:
    found = judged(ended(log(ahead=60.0, seconds=5.5), "collision", 0.5), "me")
    assert found.no_collision == 0 and found.score == 0 and found.collision_vehicle == 1
    assert found.driving_score == pytest.approx(0.5 * 0.6)
    assert found.interventions == 1


def test_what_infractions_spare_knows_no_time_limit() -> None:
    half = judged(ended(log(), "", 0.5), "me")
    assert half.driving_score == 0.5 and half.spared == 1.0
    hit = judged(ended(log(ahead=60.0, seconds=5.5), "collision", 0.5), "me")
    assert hit.spared == pytest.approx(0.6)
    for nothing in (replace(half, stuck=1), replace(half, ended="lost"), replace(half, completion=0.0)):
        assert nothing.spared == 0.0


def test_a_collision_before_the_first_window_is_the_egos() -> None:
    found = judged(ended(log(seconds=2.0), "collision", 0.1), "me")
    assert found.score == 0 and found.collision_vehicle == 1


def test_who_stands_twenty_seconds_where_the_way_is_free_is_stuck() -> None:
    windows = np.ones(80, bool)
    windows[33:41] = False  # going on for four seconds
    assert runs(_lasting(windows[:32])) == 0 and runs(_lasting(windows[:33])) == 1
    assert runs(_lasting(windows)) == 2
    drive = log(seconds=24.0)
    still = {name: np.full(len(drive), value) for name, value in (("x", 20.0), ("speed", 0.0), ("accel", 0.0))}
    assert judged(ended(replace(drive, columns={**drive.columns, **still})), "me").stuck == 1
    assert judged(ended(log(seconds=24.0)), "me").stuck == 0


def test_a_drive_beside_the_road_is_outside_all_the_way() -> None:
    drive = log()
    beside = replace(drive, columns={**drive.columns, "y": np.full(len(drive), -6.0)})
    found = judged(ended(beside), "me")
    assert found.outside == pytest.approx(1.0) and found.drivable == 0 and found.driving_score == 0


def test_a_lost_route_is_worth_nothing_and_says_why() -> None:
    found = judged(ended(log(), "", 0.4), "me", "nan in its plan")
    assert found.score == 0 and found.driving_score == 0 and found.trouble == "nan in its plan"
    assert np.isnan(found.no_collision)


# Suites ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*suites.STANDARD, "cut_in", "fog"])
def test_suites_lie_in_gate_towns_and_grow_by_appending(name: str) -> None:
    short, long = suites.suite(name, 8), suites.suite(name, 20)
    count = 20 * {"lights": 10, "braking": 2, "weather": 2}.get(name, 1)
    assert long.scenarios[: len(short.scenarios)] == short.scenarios and len(set(long.scenarios)) == count
    assert {sides.side(Scenario.parse(one).town) for one in long.scenarios} == {"gate"}
    assert {len(long.block(i, 3)) for i in range(3)} == {count // 3, count // 3 + 1}
    assert sum((long.block(i, 3) for i in range(3)), ()) == long.scenarios


@pytest.mark.parametrize("name", suites.STANDARD)
def test_who_leaves_routes_out_gets_the_next_ones(name: str) -> None:
    whole, first, second = suites.suite(name, 8), suites.suite(name, 4), suites.suite(name, 4, first=4)
    assert whole.scenarios == first.scenarios + second.scenarios and first.seconds == second.seconds
    with pytest.raises(SettingsError, match="routes to leave out"):
        Gate(first=-1)


def test_a_planted_leak_raises() -> None:
    town = sides.towns_of("train", count=1)[0]
    with pytest.raises(DataError, match=r"a train town; this suite is for the gate side only"):
        suites.assert_side([str(Scenario(town=town))], "gate")
    assert suites.leaked([town, "boston:3:4", "just-a-drive"]) == ()
    gate_town = sides.towns_of("gate", count=1)[0]
    assert suites.leaked([town, gate_town]) == (gate_town,)
    maps = [f"osm:{number:016x}" for number in range(20)]  # as a card names them: no file of that name is here
    assert suites.leaked(maps) == tuple(one for one in maps if sides.side_of_place(one) == "gate")
    assert 0 < len(suites.leaked(maps)) < 20


def test_every_weather_and_every_event_gets_its_turn() -> None:
    weathers = {Scenario.parse(one).weather for one in suites.suite("weather", 16).scenarios}
    assert "fog" in weathers and "clear" not in weathers and len(weathers) == 8
    assert len({Scenario.parse(one).event for one in suites.suite("events", 17).scenarios}) == 17


def test_lights_are_red_when_the_car_gets_there() -> None:
    """The first of the suite: it stops, and has met one."""
    scenario = suites.suite("lights", 1).scenarios[0]
    route, _ = drive_route(Lake(Path("nowhere")), scenario, entrant("human"), 25.0)
    assert (route.reds, route.red_light) == (1, 0) and route.completion < 0.7


def test_an_unknown_suite_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'everyday'"):
        suites.suite("everday", 3)


# The rule -------------------------------------------------------------------------------------------------------------

GATE = Gate(suites=("everyday", "events"), routes=40, blocks=4, within=0.1)


SCENARIO = "scenario:city/grid:1/r0:250/everyday/clear/none/0"
_numbers = itertools.count(1)


def made(score: float, **more: Any) -> Route:
    """A route like no other, of which only the sub-score `ttc` makes the score."""
    zero = lost("me", f"{SCENARIO}{next(_numbers)}", "")
    told = {"lane_distance": 0.1, "speed_limit": 1.0, "driving_score": score, "no_collision": 1.0, "completion": 1.0}
    ttc = (score * 9 - 4 * 1.0) / 5  # weights: ttc 5, speed_limit 4
    return replace(zero, **{**told, "score": score, "ttc": ttc, **more})


def pairs_of(champion: list[Route], candidate: list[Route]) -> Pairs:
    return Pairs(tuple(champion), tuple(candidate))


def noisy(mean: float, n: int = 40, seed: int = 0, **more: Any) -> list[Route]:
    noise = np.random.default_rng(seed).normal(0, 0.01, n)
    return [made(mean + e, **more) for e in noise]


def decided(everyday: Pairs, events: Pairs | None = None, clips: tuple[ClipResult, ...] = ()) -> tuple[str, list[str]]:
    pairs = {"everyday": everyday} | ({"events": events} if events else {})
    outcome, reasons = decide(gather(pairs, GATE), GATE, clips, Look((), True, events is not None))
    return outcome, [f"{reason.kind} {reason.about}" for reason in reasons]


SAME = pairs_of(noisy(0.95), noisy(0.95, seed=1))


def test_who_is_better_somewhere_and_nowhere_worse_is_promoted() -> None:
    outcome, reasons = decided(SAME, pairs_of(noisy(0.7), noisy(0.8, seed=1)))
    assert outcome == "promote"
    assert "better events score" in reasons and "not_worse everyday score" in reasons


def test_who_is_a_little_better_on_most_routes_and_much_worse_on_one_is_promoted_for_most() -> None:
    """The mean says nothing: one collision weighs as much as all the rest."""
    before, after = noisy(0.9), [replace(one, ttc=one.ttc + 0.02) for one in noisy(0.9)]
    after[7] = replace(after[7], no_collision=0.0, driving_score=0.4)
    outcome, reasons = decided(SAME, pairs_of(before, after))
    assert outcome == "promote"
    assert "better events score won" in reasons and "better events score" not in reasons


def test_the_score_over_all_suites_needs_fewer_routes_than_any_other_claim() -> None:
    """Nine routes won for one lost, p = 11 / 1024: proof of the score of them all, and of no other measure."""
    few = Gate(suites=("everyday", "events"), routes=8, blocks=1)
    changes = {"everyday": [-0.1, *[0.1] * 4, 0.0, 0.0, 0.0], "events": [*[0.1] * 5, 0.0, 0.0, 0.0]}
    for measure, proven in (("ttc", ["all score"]), ("driving_score", [])):
        pairs = {}
        for suite, change in changes.items():
            before = noisy(0.8, 8)
            after = [
                replace(one, **{measure: getattr(one, measure) + d}) for one, d in zip(before, change, strict=True)
            ]
            pairs[suite] = pairs_of(before, after)
        assert [one.about for one in merits(gather(pairs, few), few)[0] if one.kind == "better"] == proven


def test_who_collides_on_fewer_routes_is_promoted() -> None:
    hits = [replace(one, collision_vehicle=int(i % 3 == 0)) for i, one in enumerate(noisy(0.95))]
    outcome, reasons = decided(pairs_of(hits, noisy(0.95, seed=1)), SAME)
    assert outcome == "promote" and "better collision" in reasons


def test_equals_stay_undecided_and_hear_what_is_wanting() -> None:
    assert decided(SAME, SAME) == ("undecided", ["unproven better"])


def test_who_is_worse_on_everyday_driving_is_refused_before_the_others_are_driven() -> None:
    outcome, reasons = decided(pairs_of(noisy(0.95, 12), noisy(0.6, 12, 1)))
    assert outcome == "refuse" and "worse everyday score" in reasons


def test_nobody_is_promoted_on_everyday_driving_alone_while_others_are_planned() -> None:
    assert decided(pairs_of(noisy(0.7), noisy(0.8, seed=1)))[0] == "undecided"


def test_a_rare_great_loss_in_everyday_driving_is_no_promotion() -> None:
    """One route in thirteen is lost whole: 40 routes cannot tell that from one in ten."""
    hits = [replace(one, ttc=-0.8, driving_score=0.0) if i % 13 == 5 else one for i, one in enumerate(noisy(0.95))]
    outcome, reasons = decided(pairs_of(noisy(0.95), hits), pairs_of(noisy(0.7), noisy(0.8, seed=1)))
    assert outcome == "undecided" and "unproven everyday score" in reasons


@pytest.mark.parametrize("told", [{"within": 1.0}, {"within": 0.0}, {"lane_within": 2.0}, {"lane_within": -1.0}])
def test_a_loss_that_cannot_be_excluded_is_no_setting(told: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=f"gate.{next(iter(told))} wants more than 0 and less than"):
        Gate(**told)  # type: ignore[arg-type]


def test_where_everyday_driving_could_not_be_begun_nothing_is_promoted() -> None:
    better = pairs_of(noisy(0.7), noisy(0.8, seed=1))
    outcome, reasons = decide(gather({"events": better}, GATE), GATE, (), Look(()))
    assert outcome == "undecided" and "unproven everyday" in [f"{one.kind} {one.about}" for one in reasons]


def test_what_is_unknown_for_one_of_a_pair_weighs_nothing() -> None:
    some = pairs_of(noisy(0.9, 4, lane_distance=0.2), noisy(0.9, 4, lane_distance=np.nan))
    others = pairs_of(noisy(0.9, 20, lane_distance=0.2), noisy(0.9, 20, lane_distance=0.2))
    lane, _ = gather({"everyday": some, "events": others}, GATE).guards
    assert (lane.paired.n, lane.champion, lane.candidate) == (20, pytest.approx(0.2), pytest.approx(0.2))


def test_a_little_worse_is_within_the_margin() -> None:
    outcome, _ = decided(pairs_of(noisy(0.95), noisy(0.94, seed=1)), pairs_of(noisy(0.7), noisy(0.8, seed=1)))
    assert outcome == "promote"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"lane_distance": 0.45}, "worse all lane_distance"),
        ({"speed_limit": 0.9}, "worse all speed_limit"),
    ],
)
def test_guards_have_margins_of_their_own(more: dict[str, float], reason: str) -> None:
    outcome, reasons = decided(pairs_of(noisy(0.95), noisy(0.95, seed=1, **more)))
    assert outcome == "refuse" and reason in reasons


def test_a_scenario_of_two_suites_counts_once() -> None:
    hits = pairs_of(noisy(0.95, 20), noisy(0.95, 20, 1, collision_vehicle=1))
    found = gather({"events": hits, "cut_in": hits}, GATE)
    assert {one.name: one.candidate for one in found.infractions}["collision"] == 20
    assert {one.key: one.paired.n for one in found.findings}["all score"] == 20


def test_many_routes_of_a_suite_where_nothing_shows_do_not_hide_the_others() -> None:
    fast = pairs_of(noisy(0.95, 20), noisy(0.95, 20, 1, speed_limit=0.9))
    still = pairs_of(noisy(0.95, 200), noisy(0.95, 200))
    found = gather({"everyday": fast, "lights": still}, GATE)
    assert found.guards[1].paired.mean == pytest.approx(-0.05)
    outcome, reasons = decide(found, GATE, (), Look(()))
    assert outcome == "refuse" and "all speed_limit" in [reason.about for reason in reasons]


def test_red_lights_are_counted_where_the_other_stopped() -> None:
    runs_red = [replace(one, red_light=int(i % 4 == 0)) for i, one in enumerate(noisy(0.95, seed=1))]
    outcome, reasons = decided(pairs_of(noisy(0.95), runs_red))
    assert outcome == "refuse" and reasons == ["infraction red_light"]


def test_eight_infractions_that_the_champion_has_not_refuse_and_say_where() -> None:
    def stopping(n: int) -> list[Route]:
        foggy = SCENARIO.replace("clear", "fog")
        return [replace(one, stuck=1, scenario=foggy) if i < n else one for i, one in enumerate(noisy(0.95))]

    assert decided(pairs_of(noisy(0.95), stopping(7)))[0] == "undecided"
    pairs = {"everyday": pairs_of(noisy(0.95), stopping(8))}
    outcome, (reason,) = decide(gather(pairs, GATE), GATE, (), Look((), ends_block=False))
    assert outcome == "refuse" and reason.text == "stuck on 8 routes (8 in fog), where the champion has 0"


def test_routes_that_are_lost_refuse() -> None:
    broken = [
        lost("me", SCENARIO, "nan in its plan") if i % 3 == 0 else one for i, one in enumerate(noisy(0.95, seed=1))
    ]
    outcome, reasons = decided(pairs_of(noisy(0.95), broken))
    assert outcome == "refuse" and "infraction lost" in reasons


def test_scores_are_compared_over_what_both_know() -> None:
    knows, knows_not = made(0.9, no_collision=0.5), made(0.9, no_collision=np.nan)
    a, b = pairs_of([knows], [knows_not]).scores()
    assert a == pytest.approx(0.9) and b == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("champion", "candidate", "bound", "refused"),
    [(5, 2, False, True), (5, 3, False, False), (4, 0, False, False), (4, 0, True, True)],
)
def test_a_clip_binds_once_a_champion_passed_it_reliably(
    champion: int, candidate: int, bound: bool, refused: bool
) -> None:
    clips = (ClipResult("clip:1", champion, candidate, bound),)
    outcome, reasons = decided(SAME, pairs_of(noisy(0.7), noisy(0.8, seed=1)), clips)
    assert (outcome == "refuse") == refused
    assert (reasons == ["clip clip:1"]) == refused


def test_labels_swapped_at_random_promote_at_most_one_in_twenty() -> None:
    """Two drivers who differ, and skewed. `benchmarks/gate.py` does it with recorded pairs, 2,000 times."""
    random = np.random.default_rng(4)
    a, b = ([made(float(x)) for x in 0.9 - random.exponential(0.05, 40) * (random.random(40) < 0.4)] for _ in range(2))
    outcomes = []
    for _ in range(80):
        swaps = random.random((2, 40)) < 0.5
        suite = [
            Pairs(*zip(*[(y, x) if swap else (x, y) for x, y, swap in zip(a, b, row, strict=True)], strict=True))
            for row in swaps
        ]
        for look in (20, 40):
            seen = {n: Pairs(p.champion[:look], p.candidate[:look]) for n, p in zip(GATE.suites, suite, strict=True)}
            outcome, _ = decide(gather(seen, GATE), GATE, (), Look(()))
            if outcome != "undecided":
                break
        outcomes.append(outcome)
    assert outcomes.count("promote") <= 4 and outcomes.count("undecided") > 60


def test_a_gate_without_routes_is_no_gate() -> None:
    with pytest.raises(SettingsError, match="a route for each block"):
        Gate(routes=2, blocks=4)


# Faults ---------------------------------------------------------------------------------------------------------------


def test_the_same_path_at_another_pace() -> None:
    poses = constant_turn(np.array([[8.0]]), np.array([[0.2]]), PLAN_STEP_S * np.arange(1, PLAN_STEPS + 1))
    plan = Plan.single(np.concatenate([poses, np.full((1, PLAN_STEPS, 1), 8.0)], axis=-1))
    slower = paced(plan, 8.0, -2.0).likeliest[0]
    assert slower[:, 3] == pytest.approx(8.0 - 2.0 * PLAN_STEP_S * np.arange(1, PLAN_STEPS + 1))
    radius = np.hypot(slower[:, 0], slower[:, 1] - 40.0)
    assert radius == pytest.approx(40.0, abs=0.06), "still on the arc"
    assert paced(plan, 8.0, 2.0).likeliest[0, -1, 0] > plan.likeliest[0, -1, 0]


def test_one_red_light_in_twenty_is_not_seen_and_stays_so() -> None:
    unseen = [Unseen(f"scenario {i}", 0.05) for i in range(2000)]
    first = [one(100.0) for one in unseen]
    assert 0.03 < np.mean(first) < 0.07
    assert [one(102.0) for one in unseen] == first


def test_faults_have_names() -> None:
    assert set(FAULTS) == {"late", "drifting", "red_runner", "speeding", "fog_freezer", "blind", "leaked"}
    with pytest.raises(UnknownName, match="did you mean 'late'"):
        entrant("human:lat")


# Gates that drive -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Crashing:
    needs: ClassVar[tuple[str, ...]] = ()
    history_s: ClassVar[tuple[float, ...]] = (0.0,)

    def plan(self, seen: Observation) -> Plan:
        raise ValueError("no idea")


@dataclass(frozen=True)
class Nan(Crashing):
    def plan(self, seen: Observation) -> Plan:
        return Plan.single(np.full((1, PLAN_STEPS, 4), np.nan))


@dataclass(frozen=True)
class Misshapen(Crashing):
    def plan(self, seen: Observation) -> Plan:
        return Plan.single(np.zeros((1, 3, 4)))


@dataclass(frozen=True)
class Doubled(Crashing):
    def plan(self, seen: Observation) -> Plan:
        return Plan.single(np.zeros((2, PLAN_STEPS, 4)))


@dataclass(frozen=True)
class Slow(Crashing):
    def plan(self, seen: Observation) -> Plan:
        total = 0.0
        while total < 1e5:
            total += float(np.linalg.norm(np.ones(200_000)))
        return Plan.single(np.zeros((1, PLAN_STEPS, 4)))


@dataclass(frozen=True)
class Creeping(Crashing):
    def plan(self, seen: Observation) -> Plan:
        t = PLAN_STEP_S * np.arange(1, PLAN_STEPS + 1)
        return Plan.single(np.stack([3.0 * t, 0 * t, 0 * t, 0 * t + 3.0], axis=-1)[None])


@dataclass(frozen=True)
class Endless(Crashing):
    def plan(self, seen: Observation) -> Plan:
        while True:
            pass


@dataclass(frozen=True)
class Stubborn(Crashing):
    """Never comes back either, and catches whatever it may."""

    def plan(self, seen: Observation) -> Plan:
        while True:
            with suppress(Exception):
                while True:
                    pass


@dataclass(frozen=True)
class KilledOnce(ConstantTurn):
    """Its process is killed by somebody while it drives, the first time."""

    mark: str = ""

    def plan(self, seen: Observation) -> Plan:
        if not Path(self.mark).exists():
            Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().plan(seen)


@dataclass(frozen=True)
class Tuned(Crashing):
    """With a setting that is a list."""

    gains: tuple[float, ...] = ()

    def plan(self, seen: Observation) -> Plan:
        return Plan.single(np.full((1, PLAN_STEPS, 4), self.gains[1]))


@dataclass(frozen=True)
class WarmsUp(Crashing):
    """Slow in its first plan, as one that compiles."""

    warm: list[bool] = field(default_factory=list)

    def plan(self, seen: Observation) -> Plan:
        if not self.warm:
            np.linalg.svd(np.ones((500, 500)))
            self.warm.append(True)
        return Plan.single(np.zeros((1, PLAN_STEPS, 4)))


@dataclass(frozen=True)
class Swerving(LaneFollow):
    """Off the road on the right, within four seconds."""

    def plan(self, seen: Observation) -> Plan:
        t = PLAN_STEP_S * np.arange(1, PLAN_STEPS + 1)
        return Plan.single(
            np.broadcast_to(np.stack([8 * t, -(t**2), -t / 4, 8 + 0 * t], -1), (len(seen), PLAN_STEPS, 4))
        )


@dataclass(frozen=True)
class Raising(LaneFollow):
    def plan(self, seen: Observation) -> Plan:
        raise RuntimeError("no plan")


@dataclass(frozen=True)
class OneAtATime(LaneFollow):
    def plan(self, seen: Observation) -> Plan:
        assert len(seen) == 1
        return super().plan(seen)


REPLAY = Gate(suites=("replay",), routes=4, blocks=1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two logs."""
    lake = Lake(tmp_path / "lake")
    read_in(lake, [log("first"), log("second", ahead=260.0)])
    return lake


@pytest.fixture
def clipped(lake: Lake) -> Lake:
    """The same with a clip for the regression suite."""
    with lake.run("mine", "clips", {}, "test") as run_:
        rows = [
            {"id": "clip:1", "drive": "first", "start_ns": 2 * NS, "end_ns": 6 * NS, "place": "p", "side": "regression"}
        ]
        run_.part("clips").write({"clips": pa.Table.from_pylist(rows)})
    return lake


@pytest.mark.parametrize(
    ("who", "why"),
    [
        ("Crashing", "crashed: ValueError: no idea"),
        ("Nan", "nan in its plan"),
        ("Misshapen", "wrong shape: a plan's poses have shape"),
        ("Doubled", "wrong shape: 2 plans for one"),
    ],
)
def test_who_cannot_drive_loses_the_route_and_the_reason_is_told(lake: Lake, who: str, why: str) -> None:
    scenario = suites.suite("replay", 1, lake.drives()).scenarios[0]
    found, _ = drive_route(lake, scenario, entrant(f"tests.test_gate:{who}"), 10.0)
    assert found.trouble.startswith(why) and found.score == 0


def test_who_takes_too_long_loses_too(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.gate.driving.PLAN_LIMIT_S", 0.01)
    scenario = suites.suite("replay", 1, lake.drives()).scenarios[0]
    route, _ = drive_route(lake, scenario, entrant("tests.test_gate:Slow"), 10.0)
    assert route.trouble.startswith("too slow: ")


def test_who_never_comes_back_from_a_plan_is_not_waited_for(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.gate.driving.FIRST_LIMIT_S", 0.01)
    scenario = suites.suite("replay", 1, lake.drives()).scenarios[0]
    for who in ("Endless", "Stubborn"):
        route, _ = drive_route(lake, scenario, entrant(f"tests.test_gate:{who}"), 10.0)
        assert route.trouble == "too slow: over 0.05 s for a plan, at most 0.01"


def test_whose_process_somebody_killed_is_asked_once_more(lake: Lake, tmp_path: Path) -> None:
    killed = {"mark": str(tmp_path / "mark")}
    told = {"tests.test_gate:KilledOnce": killed}
    verdict, names = driven(lake, "constant_turn", "tests.test_gate:KilledOnce", settings=told, processes=1)
    assert Path(killed["mark"]).exists() and len(names) > len(set(names)) and not verdict.void
    assert not [route.trouble for route in verdict.pairs["replay"].candidate if route.trouble]


def test_a_file_that_was_replaced_is_another_driver(tmp_path: Path) -> None:
    path = straight_ahead(tmp_path)
    before = entrant(str(path))
    assert before.driver is entrant(str(path)).driver
    card = path.with_suffix(".json")
    card.write_text(card.read_text().replace("[0.0]", "[0.5, 0.0]"))
    after = entrant(str(path))
    assert after.hash != before.hash and after.driver.history_s == (0.5, 0.0) and before.driver.history_s == (0.0,)
    with pytest.raises(PolicyError, match="its file was replaced since the gate began"):
        _ = replace(after, hash="that of a third").driver


@given(st.integers(0, 600))
def test_the_five_starts_of_a_clip_all_differ_and_lie_about_its_beginning(tenths: int) -> None:
    found = [steps * City.PLAN_S for steps in regression.starts(tenths / 10)]
    assert len(set(found)) == 5 and found[0] >= 0
    if tenths >= 5:
        np.testing.assert_allclose(found, tenths / 10 + 0.2 * np.arange(-2, 3), atol=0.1 + 1e-9)


def test_a_setting_may_be_a_list(lake: Lake) -> None:
    tuned = entrant("tests.test_gate:Tuned", {"gains": [1.0, 2.0]})
    assert tuned.driver is entrant("tests.test_gate:Tuned", {"gains": [1.0, 2.0]}).driver
    assert tuned.hash != entrant("tests.test_gate:Tuned", {"gains": [1.0, 3.0]}).hash
    scenario = suites.suite("replay", 1, lake.drives()).scenarios[0]
    assert not drive_route(lake, scenario, tuned, 1.0)[0].trouble


def test_the_first_plan_may_take_long_for_it_may_have_to_compile(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = suites.suite("replay", 1, lake.drives()).scenarios[0]
    monkeypatch.setattr("understudy.gate.driving.PLAN_LIMIT_S", 0.01)
    route, _ = drive_route(lake, scenario, entrant("tests.test_gate:WarmsUp"), 2.0)
    assert not route.trouble
    monkeypatch.setattr("understudy.gate.driving.FIRST_LIMIT_S", 0.01)
    route, _ = drive_route(lake, scenario, entrant("tests.test_gate:Slow"), 2.0)
    assert route.trouble.startswith("too slow: ") and route.trouble.endswith("at most 0.01")


def driven(lake: Lake, champion: str, candidate: str, **more: Any) -> tuple[Verdict, list[str]]:
    """A gate, and what was driven for it."""
    names: list[str] = []
    verdict = run(lake, champion, candidate, REPLAY, on_route=lambda outcome, _: names.append(outcome.name), **more)
    return verdict, names


def test_who_swerves_off_the_road_is_refused_and_the_gate_drives_nothing_twice(lake: Lake) -> None:
    gate = Gate(suites=("replay",), routes=10, blocks=1)
    names: list[str] = []
    verdicts = [
        run(lake, "lane_follow", "tests.test_gate:Swerving", gate, on_route=lambda one, _: names.append(one.name))
        for _ in range(2)
    ]
    assert "off_road" in [reason.about for reason in verdicts[0].reasons if reason.kind == "infraction"]
    assert len(names) == 20 and report.as_json(verdicts[0]) == report.as_json(verdicts[1])


def test_a_log_that_was_corrected_is_driven_anew_and_the_others_are_not(lake: Lake) -> None:
    driven(lake, "lane_follow", "constant_turn")
    read_in(lake, [log("first", ahead=40.0)], settings="corrected")
    verdict, names = driven(lake, "lane_follow", "constant_turn")
    assert len(names) == 4 and all("/first/" in name for name in names), "two starts, by both"
    assert all(route.collision_vehicle for route in verdict.pairs["replay"].candidate if "/first/" in route.scenario)


def test_a_binding_clip_that_is_failed_decides_before_a_route_is_driven(clipped: Lake) -> None:
    verdict, names = driven(clipped, "lane_follow", "tests.test_gate:Swerving")
    assert [reason.kind for reason in verdict.reasons] == ["clip"] and verdict.routes == 0
    assert [(clip.champion, clip.candidate) for clip in verdict.clips] == [(5, 0)] and len(names) == 2


def test_a_block_may_be_driven_though_a_clip_has_refused_and_changes_no_verdict(clipped: Lake) -> None:
    """A turn asks for one: its campaign and its report live on how both drive."""
    gate = replace(REPLAY, blocks=2)
    for candidate, blocks in (("tests.test_gate:Swerving", 1), ("lane_follow", 2)):
        verdict = run(clipped, "lane_follow", candidate, gate, at_least=1)
        assert verdict.routes == blocks * gate.routes // gate.blocks
        assert (verdict.outcome, verdict.reasons[0].kind) == (
            ("refuse", "clip") if blocks == 1 else ("undecided", "unproven")
        )


def test_a_clip_of_a_log_is_judged_to_its_end_for_what_it_is_kept_for_comes_late(tmp_path: Path) -> None:
    """The human brakes from 8 s on for a car that stands; who keeps the speed would hit it by plans from 7.3 s on."""
    drive = log("brakes", seconds=20.0, ahead=118.0)
    braking = np.clip(drive.t_s - 8.0, 0.0, 4.0)
    x = 20.0 + 10.0 * np.minimum(drive.t_s, 12.0) - 1.25 * braking**2
    drive = replace(drive, columns={**drive.columns, "x": x, "speed": 10.0 - 2.5 * braking})
    lake = Lake(tmp_path / "lake")
    read_in(lake, [drive])
    whole = Clip("clip:1", "brakes", round(3.3 * NS), round(14.4 * NS), (), "the-straight", "regression")
    assert regression.passes(lake, whole, entrant("constant_turn")) == (0, 0)
    assert regression.passes(lake, replace(whole, end_ns=5 * NS), entrant("constant_turn")) == (5, 5)


def test_who_creeps_passes_a_clip_and_binds_nobody(clipped: Lake) -> None:
    verdict = run(clipped, "tests.test_gate:Creeping", "tests.test_gate:Swerving", Gate(suites=()))
    assert [(clip.champion, clip.candidate, clip.binds) for clip in verdict.clips] == [(0, 0, False)]
    verdict = run(clipped, "lane_follow", "tests.test_gate:Creeping", Gate(suites=()))
    assert [(clip.champion, clip.candidate, clip.binds) for clip in verdict.clips] == [(5, 5, True)]


def test_who_raises_or_takes_one_instant_at_a_time_is_asked_like_others(clipped: Lake) -> None:
    verdict, _ = driven(clipped, "lane_follow", "tests.test_gate:Raising")
    assert [(clip.champion, clip.candidate) for clip in verdict.clips] == [(5, 0)] and verdict.outcome == "refuse"
    verdict = run(clipped, "lane_follow", "tests.test_gate:OneAtATime", Gate(suites=()))
    assert [(clip.champion, clip.candidate) for clip in verdict.clips] == [(5, 5)]


def test_who_cannot_be_asked_for_a_log_is_said_to_be_and_what_binds_is_asked_of_the_other(clipped: Lake) -> None:
    """The city's own driver has no plan for a log."""
    nobody = run(clipped, "human", "tests.test_gate:Swerving", Gate(suites=()))
    assert nobody.clips == () and nobody.void == {
        "clip:1": "human cannot be asked: human has no plan for first, which is a log: it drives worlds only"
    }
    bound = run(clipped, "human", "tests.test_gate:Swerving", Gate(suites=()), binding={"clip:1": None})
    assert [(clip.champion, clip.candidate) for clip in bound.clips] == [(None, 0)] and bound.outcome == "refuse"
    assert "clip:1" in run(clipped, "lane_follow", "human", Gate(suites=()), binding={"clip:1": None}).void


def test_what_binds_is_asked_though_mining_chooses_otherwise_by_now(clipped: Lake) -> None:
    registry, gate = Registry(clipped.root), Gate(suites=())
    registry.add("lane_follow", entrant("lane_follow").hash, "lane_follow")
    registry.promote("lane_follow", "to begin with")
    first = run(clipped, "lane_follow", "tests.test_gate:Swerving", gate)
    registry.record(report.as_json(first), {first.champion: "lane_follow", first.candidate: "tests.test_gate:Swerving"})
    assert registry.binding()["clip:1"] == Clip("clip:1", "first", 2 * NS, 6 * NS, (), "p", "regression")
    with clipped.run("mine", "clips", {}, "otherwise"):
        pass
    assert regression_clips(clipped) == []
    again = run(clipped, "lane_follow", "tests.test_gate:Swerving", gate, binding=registry.binding())
    assert again.outcome == "refuse" and [(clip.clip, clip.binds) for clip in again.clips] == [("clip:1", True)]
    lost = run(clipped, "lane_follow", "tests.test_gate:Swerving", gate, binding={"clip:9": None})
    assert lost.void == {"clip:9": "it is no longer among the lake's clips"}


def test_a_log_that_can_be_no_world_is_left_out_by_name(lake: Lake) -> None:
    away = log("away")
    read_in(lake, [replace(away, columns={**away.columns, "y": away["y"] + 500.0}, route=())], settings="more")
    verdict, _ = driven(lake, "lane_follow", "constant_turn")
    assert verdict.routes and np.isfinite(verdict.human)
    assert verdict.void and all("/away/" in one and "on no lane" in why for one, why in verdict.void.items())


def test_a_clip_whose_drive_is_gone_is_left_out_by_name(clipped: Lake) -> None:
    with clipped.run("mine", "more", {}, "") as run_:
        row = {
            "id": "clip:2",
            "drive": "gone",
            "start_ns": 2 * NS,
            "end_ns": 6 * NS,
            "place": "p",
            "side": "regression",
        }
        run_.part("more").write({"clips": pa.Table.from_pylist([row])})
    verdict, _ = driven(clipped, "lane_follow", "tests.test_gate:Swerving")
    assert [one.clip for one in verdict.clips] == ["clip:1"]
    assert verdict.void["clip:2"] == "its drive is not in the lake: gone"


def test_a_gate_that_was_interrupted_goes_on_and_says_the_same(lake: Lake, tmp_path: Path) -> None:
    def stop_at(number: int) -> Callable[[Any, int], None]:
        seen: list[str] = []

        def tell(outcome: Any, _: int) -> None:
            seen.append(outcome.name)
            if len(seen) == number:
                raise KeyboardInterrupt

        return tell

    with pytest.raises(KeyboardInterrupt):
        run(lake, "human", "lane_follow", REPLAY, on_route=stop_at(3))
    resumed, names = driven(lake, "human", "lane_follow")
    straight_on, whole = driven(Lake(_copy(lake, tmp_path / "other")), "human", "lane_follow")
    assert len(names) == len(whole) - 3
    assert resumed.outcome == straight_on.outcome and resumed.evidence == straight_on.evidence


def _copy(lake: Lake, root: Path) -> Path:
    shutil.copytree(lake.root, root, ignore=shutil.ignore_patterns("gate"))
    return root


def test_who_is_perfect_but_for_one_binding_clip_is_refused_for_that_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clip is of a drive in the city, so its scenario is driven again, by the city's driver and by a blind one."""
    scenario = Scenario(town=sides.towns_of("regression", count=1)[0], route="r0:120", seed=3)
    with City(("route",)) as world:
        world.reset(scenario)
        while not world.ended and world.t_s < 9.0:
            world.step(world.expert.plan())
        drive = world.drive()
    lake = Lake(tmp_path)
    read_in(lake, [drive])
    with lake.run("mine", "clips", {}, "test") as run_:
        rows = [
            {
                "id": "clip:2",
                "drive": drive.id,
                "start_ns": 2 * NS,
                "end_ns": 8 * NS,
                "place": "p",
                "side": "regression",
            }
        ]
        run_.part("clips").write({"clips": pa.Table.from_pylist(rows)})
    verdict = run(lake, "human", f"human:blind:{scenario}")
    assert verdict.routes == 0 and [(clip.champion, clip.candidate) for clip in verdict.clips] == [(5, 0)]
    assert verdict.outcome == "refuse" and [reason.about for reason in verdict.reasons] == ["clip:2"]
    clip = regression_clips(lake)[0]
    assert regression.passes(lake, clip, entrant("human:drifting")) == (5, 5)
    monkeypatch.setattr("understudy.worlds.city._LOST_M", 0.2)
    assert regression.passes(lake, clip, entrant("human:drifting")) == (0, 0), "it went another way than its route"


def test_who_was_trained_on_a_gate_town_is_refused_before_a_wheel_turns(lake: Lake) -> None:
    verdict, names = driven(lake, "human", "human:leaked")
    assert verdict.outcome == "refuse" and names == []
    assert [reason.kind for reason in verdict.reasons] == ["leak"]


def network(path: Path, places: tuple[str, ...] = ()) -> str:
    """A network of random weights that sees six cameras: straight on, and a little with the colours. Its file."""
    random = np.random.default_rng(7)
    base = np.zeros((PLAN_STEPS, 4), np.float32)
    base[:, 0], base[:, 3] = 2.5 * np.arange(1, PLAN_STEPS + 1), 5.0
    constants = {
        "axes": np.array([1, 3, 4]), "flat": np.array([-1, 18]), "shape": np.array([-1, PLAN_STEPS, 4]),
        "weights": random.normal(0, 2e-4, (18, base.size)).astype(np.float32), "base": base.reshape(1, -1),
    }  # fmt: skip
    nodes = [
        helper.make_node("Cast", ["pictures"], ["light"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["light", "axes"], ["means"], keepdims=0),
        helper.make_node("Reshape", ["means", "flat"], ["seen"]),
        helper.make_node("MatMul", ["seen", "weights"], ["turned"]),
        helper.make_node("Add", ["turned", "base"], ["row"]),
        helper.make_node("Reshape", ["row", "shape"], ["poses"]),
    ]
    graph = helper.make_graph(
        nodes, "small",
        [helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["B", 2, 6, 64, 128, 3])],
        [helper.make_tensor_value_info("poses", TensorProto.FLOAT, ["B", PLAN_STEPS, 4])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, path)
    card = {"format": "understudy-model/1", "history_s": [0.5, 0.0], "needs": [], "data": {"places": places}}
    path.with_suffix(".json").write_text(json.dumps(card | {"cameras": {"size": [128, 64]}}))
    return str(path)


def test_a_network_drives_with_cameras_and_one_world_or_eight_change_nothing(tmp_path: Path) -> None:
    gate = Gate(suites=("everyday",), routes=4, blocks=1, seconds=2.0)
    who = network(tmp_path / "small.onnx")
    here, apart = (
        run(Lake(tmp_path / name), who, "lane_follow", gate, processes=processes)
        for name, processes in (("here", 0), ("apart", 8))
    )
    assert report.as_json(here) == report.as_json(apart)
    (champion,) = {route.entrant for route in here.pairs["everyday"].champion}
    assert champion.startswith("small-") and all(route.metres > 2 for route in here.pairs["everyday"].champion)


def test_a_network_that_learned_in_a_gate_town_is_refused(lake: Lake, tmp_path: Path) -> None:
    (town,) = sides.towns_of("gate", count=1)
    who = network(tmp_path / "small.onnx", ("organic:1", town))
    verdict = run(lake, "lane_follow", who, Gate(suites=("everyday",), routes=4))
    assert verdict.outcome == "refuse" and verdict.routes == 0
    assert [(reason.kind, reason.about) for reason in verdict.reasons] == [("leak", town)]


def test_a_network_that_learned_in_the_place_of_a_regression_clip_is_refused(clipped: Lake, tmp_path: Path) -> None:
    verdict = run(clipped, "lane_follow", network(tmp_path / "small.onnx", ("p", "elsewhere")), Gate(suites=()))
    assert verdict.outcome == "refuse" and verdict.clips == ()
    assert [(reason.kind, reason.about) for reason in verdict.reasons] == [("leak", "p")]


def test_a_clip_in_whose_place_the_champion_has_learned_is_not_asked(clipped: Lake, tmp_path: Path) -> None:
    learned = network(tmp_path / "small.onnx", ("p", "elsewhere"))
    verdict = run(clipped, learned, "lane_follow", Gate(suites=()))
    assert verdict.outcome == "undecided" and verdict.clips == ()
    assert verdict.void.keys() == {clip.id for clip in regression_clips(clipped)}
    assert all("has learned in p" in why for why in verdict.void.values())


def test_a_clip_that_reaches_into_where_somebody_has_learned_counts_as_lying_there(tmp_path: Path) -> None:
    lake, drive = Lake(tmp_path / "lake"), log("first")
    place = (np.arange(len(drive)) >= len(drive) // 2).astype(np.int16)
    read_in(lake, [replace(drive, columns={**drive.columns, "place": place}, places=("p", "next"))])
    middle = int(drive.t_ns[len(drive) // 2])
    row = {"id": "clip:1", "drive": "first", "start_ns": middle - NS, "end_ns": middle + NS, "place": "p"}
    with lake.run("mine", "clips", {}, "test") as run_:
        run_.part("clips").write({"clips": pa.Table.from_pylist([row | {"side": "regression"}])})
    learned = network(tmp_path / "small.onnx", ("next",))
    idle = run(lake, learned, "lane_follow", Gate(suites=())).void
    assert idle.keys() == {"clip:1"} and "has learned in next" in idle["clip:1"]
    refused = run(lake, "lane_follow", learned, Gate(suites=()))
    assert [(reason.kind, reason.about) for reason in refused.reasons] == [("leak", "next")]


def test_the_verdict_can_be_read_by_programs(clipped: Lake) -> None:
    verdict, _ = driven(clipped, "lane_follow", "tests.test_gate:Swerving")
    told = json.loads(report.as_json(verdict))
    assert told["outcome"] == "refuse" and told["reasons"][0]["text"]
    tree = ElementTree.fromstring(report.junit(verdict))
    assert int(tree.attrib["failures"]) == len(tree.findall("testcase/failure")) == 2
    assert tree.findall("testcase")[-1].attrib == {"classname": "gate.verdict", "name": "refuse"}
    assert {row["id"] for row in report.rows(verdict)} >= {"all lane_distance", "routes with off road"}


def test_passing_needs_progress(lake: Lake) -> None:
    good = dict.fromkeys(metrics.SUBSCORES, 1.0)
    assert regression.passed(good)
    assert not regression.passed({**good, "progress": 0.1})
    assert regression.passed({**good, "progress": np.nan})
    assert not regression.passed({**good, "lights": 0.0})
    assert not regression.passed(dict.fromkeys(metrics.SUBSCORES, np.nan))


# The page -------------------------------------------------------------------------------------------------------------


def verdict_on(candidate: str = "new") -> Verdict:
    """A made-up verdict with a lost route and paths to draw."""
    way = tuple(float(value) for value in range(12))
    champion = [
        replace(one, path=way, scenario=f"scenario:city/grid:1/r{i}/everyday/clear/cut_in/1")
        for i, one in enumerate(noisy(0.9))
    ]
    worse = [replace(one, driving_score=0.2, score=0.2, ended="collision") for one in champion]
    pairs = {"events": pairs_of(champion, worse)}
    evidence = gather(pairs, GATE)
    outcome, reasons = decide(evidence, GATE, (), Look(()))
    return Verdict(
        "old", candidate, "aa", "bb", outcome, reasons, evidence, pairs, (ClipResult("clip:1", 5, 5, False),)
    )


def test_the_page_shows_every_suite_with_its_interval_and_both_ways() -> None:
    text = page.render(verdict_on())
    assert "Refused" in text and "<script" not in text and "http" not in text.replace("http-equiv", "")
    assert text.count('class="interval"') == 4, "two measures and two guards"
    assert text.count('<article class="route">') == page.WORST
    assert "cut in" in text and "clip:1" in text


def test_the_page_says_whether_the_metrics_can_be_trusted_on_logs() -> None:
    assert "score 0.970 by the same metrics." in page.render(replace(verdict_on(), human=0.97))
    assert "cannot be trusted" in page.render(replace(verdict_on(), human=0.9))
    assert "by the same metrics" not in page.render(verdict_on())


def test_names_cannot_write_into_the_page() -> None:
    assert "<b>new</b>" not in page.render(verdict_on("<b>new</b>"))


def test_an_interval_lies_on_an_axis_symmetric_about_nothing() -> None:
    finding = verdict_on().evidence.findings[1]
    drawn = page.interval(finding)
    assert drawn is not None and drawn.high < 50 and min(drawn.low, drawn.mean) >= 0
    assert drawn.low <= drawn.mean <= drawn.high < drawn.margin < 50


def test_the_page_of_a_verdict_lies_in_the_lake(clipped: Lake) -> None:
    verdict, _ = driven(clipped, "lane_follow", "tests.test_gate:Swerving")
    assert "fails" in page.write(clipped, verdict).read_text()


def test_the_worst_routes_have_films_of_both(lake: Lake) -> None:
    gate = Gate(suites=("replay",), routes=2, blocks=1)
    verdict = run(lake, "lane_follow", "tests.test_gate:Swerving", gate)
    assert verdict.human > 0.95
    text = page.write(lake, verdict).read_text()
    films = [base64.b64decode(part.partition('"')[0]) for part in text.split("data:video/webm;base64,")[1:]]
    assert len(films) == 2
    with av.open(io.BytesIO(films[0])) as film:
        assert sum(1 for _ in film.decode(video=0)) > 6 and film.streams.video[0].width == 512
