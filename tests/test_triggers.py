"""Triggers: each finds what was planted for it and nothing in a calm drive, wherever and whenever that was."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.calm import (
    LEADER,
    ONCOMING,
    PARKED,
    SECONDS,
    WALKER,
    calm,
    during,
    elsewhere,
    with_columns,
    with_object,
    with_shadow,
    with_value,
    without_rows,
)
from understudy import plugins
from understudy.errors import SettingsError
from understudy.mine import find, resolve
from understudy.mine.find import plan_by_plan
from understudy.records import NS, Array, Drive, Driver, Event, Floats, Kind, Light, Lights, Map, Objects, Trigger
from understudy.triggers.query import Query
from understudy.triggers.rare_value import RareValue
from understudy.triggers.spans import events, joined, rate, spans
from understudy.triggers.stop_and_go import StopAndGo

TRIGGERS: dict[str, Any] = {**resolve(), "query": Query(where="accel < -2 AND speed > 5", score="-accel")}
Plant = Callable[[Drive], Drive]


# What is planted, and when --------------------------------------------------------------------------------------------


def _beside(drive: Drive, ahead: Floats, left: Floats) -> tuple[Floats, Floats]:
    """Places in the map frame that are so far ahead and to the left of the ego at each instant; for straight drives."""
    return drive["x"] + ahead, drive["y"] + left


def _put(track: int, ahead: Callable[[Floats], Floats], left: Callable[[Floats], Floats], **values: float) -> Plant:
    """One object taken out of its way: where it is seen from the ego, by time."""

    def plant(drive: Drive) -> Drive:
        def change(t: Floats, columns: dict[str, Array]) -> None:
            columns["x"], columns["y"] = _beside(drive, ahead(t), left(t))
            columns["vx"], columns["vy"] = np.gradient(columns["x"], t), np.gradient(columns["y"], t)
            columns["yaw"] = np.arctan2(columns["vy"], columns["vx"] + 1e-9)
            columns.update({name: np.full(len(t), value) for name, value in values.items()})

        return with_object(drive, track, change)

    return plant


def _change(track: int, start: float, end: float, **values: float) -> Plant:
    """One object with other columns for a while."""

    def plant(drive: Drive) -> Drive:
        def change(t: Floats, columns: dict[str, Array]) -> None:
            mask = (t >= start - 1e-6) & (t <= end + 1e-6)
            for name, value in values.items():
                columns[name] = np.where(mask, value, columns[name])

        return with_object(drive, track, change)

    return plant


def _driven(speed: Callable[[Floats], Floats]) -> Plant:
    """Another speed by time, and the acceleration that goes with it; the poses stay."""

    def plant(drive: Drive) -> Drive:
        t = drive.t_s
        return with_columns(drive, speed=speed(t), accel=np.gradient(speed(t), t))

    return plant


def _lights(state: Callable[[Floats], Array]) -> Plant:
    return lambda drive: replace(drive, lights=replace(drive.lights, state=state(drive.t_s)[:, None]))  # type: ignore[type-var]


def _plans_apart(drive: Drive) -> Drive:
    run = drive.shadows["one"]
    poses = run.plan.poses.copy()
    poses[during(drive, 12.0, 13.0), :, -1, 1] = 8.0
    return replace(drive, shadows={**drive.shadows, "one": replace(run, plan=replace(run.plan, poses=poses))})


def _off_the_road(drive: Drive) -> Drive:
    return with_columns(drive, y=drive["y"] - 6.0 * during(drive, 12.0, 15.0))


def _leader_changes(gap: float) -> Plant:
    return lambda drive: with_value(drive, 12.0, 30.0, leader_track=7, leader_gap=gap)


def _leader_speed(drive: Drive) -> Drive:
    return with_columns(drive, leader_speed=10.0 - 5.0 * np.clip(drive.t_s - 12.0, 0, 1))


def _drifting_leader(drive: Drive) -> Drive:
    def change(t: Floats, columns: dict[str, Array]) -> None:
        columns["y"] = columns["y"] + 2.0 * np.clip(t - 12.0, 0, 1)
        columns["vy"] = np.where((t >= 12.0) & (t <= 13.0), 2.0, 0.0)

    return with_object(drive, LEADER, change)


def _jumping_leader(drive: Drive) -> Drive:
    return with_object(drive, LEADER, lambda t, columns: columns.update(x=columns["x"] + 2.0 * (abs(t - 12.0) < 0.01)))


def _kinds(drive: Drive) -> Drive:
    def change(t: Floats, columns: dict[str, Array]) -> None:
        columns["kind"] = np.where((t >= 12.0) & (t <= 12.45), Kind.TRUCK, Kind.CAR)

    return with_object(drive, LEADER, change)


def _braking_lights(drive: Drive) -> Drive:
    def change(t: Floats, columns: dict[str, Array]) -> None:
        columns["vx"] = columns["vx"] + 2.0 * np.clip(t - 12.0, 0, 2)
        columns["brake_light"] = np.where((t >= 12.0) & (t <= 14.0), 1.0, 0.0)

    return with_object(drive, LEADER, change)


def _seen_late(drive: Drive) -> Drive:
    near = _put(PARKED, lambda t: 60 - 4.0 * t, lambda t: 0 * t, length=1.0)(drive)
    return without_rows(near, lambda t, columns: (columns["track"] == PARKED) & (t < 12.0 - 1e-6))


def _red_at_the_line(t: Floats) -> Array:
    return np.where(t > 5.0, Light.RED, Light.GREEN)


# The front bumper is 3.7 m ahead of the rear axle: at 10 m/s it crosses the stop line at 150 m after 14.63 s.
PLANTED: Mapping[str, tuple[Plant, float, float]] = {
    "abrupt_steering": (lambda d: with_columns(d, steer=np.clip(4 * (d.t_s - 12.0), 0, 1)), 12.0, 12.3),
    "box_jitter": (_jumping_leader, 12.0, 12.2),
    "brake_light_mismatch": (_braking_lights, 12.0, 14.0),
    "close_vulnerable": (_put(WALKER, lambda t: 130 - 10.0 * t, lambda t: 0 * t - 2.0), 12.5, 13.2),
    "crossing_path": (_put(WALKER, lambda t: 150.3 - 10.0 * t, lambda t: 3.0 * (t - 14.52)), 12.0, 14.5),
    "cut_in": (_leader_changes(8.0), 12.0, 12.0),
    "cut_out": (lambda d: _leader_changes(60.0)(with_value(d, 0, 11.95, leader_gap=12.0)), 12.0, 12.0),
    "dead_light": (_lights(lambda t: np.where((t > 12) & (t < 15), Light.OFF, Light.GREEN)), 12.1, 14.9),
    "displaced": (lambda d: with_shadow(d, 12.0, 13.0, mean_displacement=6.0), 12.0, 13.0),
    "emergency_vehicle": (_change(ONCOMING, 8.0, 14.0, kind=Kind.EMERGENCY), 8.0, 13.4),
    "flicker": (lambda d: without_rows(d, lambda t, c: (c["track"] == LEADER) & (abs(t - 12.1) < 0.25)), 11.8, 12.4),
    "goes_round": (lambda d: with_value(d, 12.0, 14.0, lane_offset=2.0), 12.0, 14.0),
    "hard_acceleration": (_driven(lambda t: 10 + 4.0 * np.clip(t - 12, 0, 2)), 12.1, 13.9),
    "hard_brake": (_driven(lambda t: 15 - 4.0 * np.clip(t - 12, 0, 2)), 12.1, 13.9),
    "harsh_brake_near_vulnerable": (
        lambda d: with_value(_put(WALKER, lambda t: 130 - 10.0 * t, lambda t: 0 * t - 3.0)(d), 12.0, 13.0, accel=-4.0),
        12.0,
        13.0,
    ),
    "human_brakes": (
        lambda d: with_shadow(_driven(lambda t: 10 - 2.0 * np.clip(t - 12, 0, 3))(d), 0, 30, speed_difference=6.0),
        9.6,
        13.4,
    ),
    "intervention": (lambda d: with_value(d, 12.0, 30.0, who_drives=Driver.SAFETY), 12.0, 12.0),
    "kind_flicker": (_kinds, 12.0, 12.5),
    "lateral_mover": (_drifting_leader, 12.0, 13.0),
    "leader_brakes": (_leader_speed, 12.1, 12.9),
    "leaves_path": (lambda d: with_shadow(d, 12.0, 13.0, lateral_difference=4.0), 12.0, 13.0),
    "light_flicker": (_lights(lambda t: np.where(abs(t - 12) < 0.25, Light.RED, Light.GREEN)), 11.7, 12.3),
    "map_against_vision": (_put(ONCOMING, lambda t: 20 + 0 * t, lambda t: 0 * t + 12.0), 0.0, SECONDS),
    "models_disagree": (_plans_apart, 12.0, 13.0),
    "needless_stop": (lambda d: with_shadow(d, 12.0, 13.0, speed_difference=-10.0), 12.0, 13.0),
    "obstacle_in_path": (_put(PARKED, lambda t: 180 - 10.0 * t, lambda t: 0 * t, kind=Kind.DEBRIS), 14.4, 17.2),
    "off_the_map": (_off_the_road, 12.0, 15.0),
    "oncoming_in_lane": (_put(ONCOMING, lambda t: 260 - 19.0 * t, lambda t: 0 * t), 10.4, 13.3),
    "pedestrian_ahead": (_put(WALKER, lambda t: 160.3 - 10.0 * t, lambda t: 0 * t + 1.0), 13.2, 15.6),
    "plan_brakes": (lambda d: with_shadow(d, 12.0, 13.0, speed_difference=-5.0), 12.0, 13.0),
    "query": (lambda d: with_value(d, 12.0, 13.0, accel=-2.5), 12.0, 13.0),
    "rare_value": (lambda d: with_value(d, 12.0, 13.0, accel=6.0), 12.0, 13.0),
    "red_light": (_lights(_red_at_the_line), 14.7, 14.7),
    "short_time_to_collision": (lambda d: with_value(d, 12.0, 13.0, leader_speed=2.0, leader_gap=8.0), 12.0, 13.0),
    "standing_object_ahead": (_put(PARKED, lambda t: 180 - 10.0 * t, lambda t: 0 * t), 15.3, 17.1),
    "stop_and_go": (_driven(lambda t: 2.5 * np.clip(1.5 + 2 * np.cos(t / 5 * np.pi), 0, 2)), 3.1, 26.9),
    "surprise": (_seen_late, 12.0, 12.0),
    "swerve": (lambda d: with_value(d, 12.0, 13.0, yaw_rate=0.3), 11.8, 13.2),
    "tailgater": (_put(ONCOMING, lambda t: 0 * t - 0.9 - 2.3 - 3.0, lambda t: 0 * t), 0.0, SECONDS),
    "uncertain": (lambda d: with_shadow(d, 12.0, 13.0, spread=5.0), 12.0, 13.0),
    "would_come_close": (lambda d: with_shadow(d, 12.0, 13.0, plan_ttc=0.0), 12.0, 13.0),
    "would_go_wrong_way": (lambda d: with_shadow(d, 12.0, 13.0, plan_direction=0.0), 12.0, 13.0),
    "would_hit": (lambda d: with_shadow(d, 12.0, 13.0, plan_no_collision=0.0), 12.0, 13.0),
    "would_leave_road": (lambda d: with_shadow(d, 12.0, 13.0, plan_drivable=0.0), 12.0, 13.0),
    "would_run_light": (lambda d: with_shadow(d, 12.0, 13.0, plan_lights=0.0), 12.0, 13.0),
}


def views(trigger: Trigger, drive: Drive) -> list[Drive]:
    """The drive as mining asks it: of one policy after the other, where the trigger looks at plans."""
    return [*plan_by_plan(drive).values()] if "plan" in trigger.needs else [drive]


def fired(trigger: Trigger, drive: Drive) -> list[Event]:
    return [event for view in views(trigger, drive) for event in trigger.find(view)]


every_trigger = pytest.mark.parametrize("name", sorted(TRIGGERS))


def planted(name: str, rate_hz: float = 10.0) -> Drive:
    return PLANTED[name][0](calm(rate_hz=rate_hz))


def seconds(drive: Drive, found: list[Event]) -> list[tuple[float, float]]:
    first = int(drive.t_ns[0])
    return [((event.start_ns - first) / NS, (event.end_ns - first) / NS) for event in found]


# What every trigger keeps ---------------------------------------------------------------------------------------------


def test_every_trigger_has_something_planted_for_it() -> None:
    assert sorted(PLANTED) == sorted(plugins.names("trigger"))


@every_trigger
def test_a_calm_drive_has_no_events(name: str) -> None:
    for drive in (calm(), calm(yaw_rate=0.08), calm(yaw_rate=-0.15, speed=7.0), calm(rate_hz=20)):
        assert not drive.lacks(TRIGGERS[name].needs)
        assert not fired(TRIGGERS[name], drive)


@every_trigger
@pytest.mark.parametrize("rate_hz", [10.0, 20.0])
def test_what_was_planted_is_found_where_it_is(name: str, rate_hz: float) -> None:
    drive, (_, start, end) = planted(name, rate_hz), PLANTED[name]
    found = fired(TRIGGERS[name], drive)
    spans_s = seconds(drive, found)
    assert len(found) == 1, spans_s
    assert spans_s[0] == pytest.approx((start, end), abs=0.26)
    assert found[0].score > 0


@every_trigger
@settings(max_examples=4, deadline=None)
@given(
    x=st.floats(-1e5, 1e5),
    y=st.floats(-1e5, 1e5),
    yaw=st.floats(-3, 3),
    later_ns=st.integers(0, 2**60),
)
def test_events_do_not_change_with_the_origin_the_heading_or_the_start(
    name: str, x: float, y: float, yaw: float, later_ns: int
) -> None:
    drive = planted(name)
    here = fired(TRIGGERS[name], drive)
    there = fired(TRIGGERS[name], elsewhere(drive, np.array([x, y, yaw]), later_ns))
    assert [(event.start_ns + later_ns, event.end_ns + later_ns) for event in here] == [
        (event.start_ns, event.end_ns) for event in there
    ]
    assert [event.score for event in here] == pytest.approx([event.score for event in there], abs=1e-4)


@every_trigger
def test_only_what_is_declared_is_looked_at(name: str) -> None:
    drive, trigger = planted(name), TRIGGERS[name]
    columns = {column for need in trigger.needs for column in ("x", "y", "yaw") if need == "pose"} | set(trigger.needs)
    bare = replace(
        drive,
        columns={column: drive[column] for column in columns - set(Drive.NEEDS)},
        objects=drive.objects if "objects" in trigger.needs else None,
        lights=drive.lights if "lights" in trigger.needs else None,
        map=drive.map if "map" in trigger.needs else None,
        shadows=drive.shadows if {"plan", "shadows"} & set(trigger.needs) else {},
        places=(),
    )
    assert not bare.lacks(trigger.needs)
    assert fired(trigger, bare) == fired(trigger, drive)


def _unknown(drive: Drive, rows: slice) -> Drive:
    """The drive with nan at some rows of everything that can be nan."""

    def blank(columns: Mapping[str, Array]) -> dict[str, Array]:
        out = {name: values.copy() for name, values in columns.items()}
        for values in out.values():
            if values.dtype.kind == "f":
                values[rows] = np.nan
        return out

    assert drive.objects is not None
    shadows = {}
    for name, run in drive.shadows.items():
        poses = run.plan.poses.copy()
        poses[rows] = np.nan
        shadows[name] = replace(run, columns=blank(run.columns), plan=replace(run.plan, poses=poses))
    objects = Objects(drive.objects.starts, blank(drive.objects.columns))
    return replace(drive, columns=blank(drive.columns), objects=objects, shadows=shadows)


@every_trigger
def test_the_unknown_never_fires(name: str) -> None:
    found = fired(TRIGGERS[name], _unknown(planted(name), slice(None)))
    assert not found or name in ("intervention", "dead_light", "light_flicker")  # which need no numbers


@every_trigger
@settings(max_examples=5, deadline=None)
@given(start=st.integers(0, 20), step=st.integers(2, 40))
def test_events_lie_in_the_drive_in_order_whatever_is_unknown(name: str, start: int, step: int) -> None:
    drive = _unknown(planted(name), slice(start, None, step))
    for view in views(TRIGGERS[name], drive):
        begun = [event.start_ns for event in TRIGGERS[name].find(view)]
        assert begun == sorted(begun)
    found = fired(TRIGGERS[name], drive)
    assert all(drive.t_ns[0] <= event.start_ns <= event.end_ns <= drive.t_ns[-1] for event in found)
    assert np.all(np.isfinite([event.score for event in found]))
    assert all(event.drive == drive.id for event in found)


@every_trigger
def test_a_moment_is_no_drive_to_stumble_over(name: str) -> None:
    drive = planted(name)
    for count in (1, 2, 3):
        fired(TRIGGERS[name], drive.slice(0, count))
    empty = without_rows(drive, lambda t, columns: np.ones(len(t), bool))
    fired(TRIGGERS[name], replace(empty, lights=Lights((), np.empty((0, 3)), np.empty((len(drive), 0)))))


@every_trigger
def test_no_event_reaches_across_a_pause(name: str) -> None:
    drive = planted(name)
    (found,) = fired(TRIGGERS[name], drive)
    first, last = np.searchsorted(drive.t_ns, [found.start_ns, found.end_ns])
    for before in np.unique(np.linspace(first, max(last - 1, first), 8).astype(int)):
        paused = replace(drive, t_ns=drive.t_ns + 20 * NS * (np.arange(len(drive)) > before))
        for event in fired(TRIGGERS[name], paused):
            assert not event.start_ns <= paused.t_ns[before] < event.end_ns


@every_trigger
def test_real_drives_are_searched_without_a_warning(name: str, real: list[Drive]) -> None:
    for drive in real:
        found = find(drive, {name: TRIGGERS[name]})
        assert all(event.trigger == name for event in found)


@pytest.fixture(scope="module")
def real(shared_data: Path) -> list[Drive]:
    from understudy import ingest

    reader = plugins.make("reader", "scenarionet")
    root = shared_data / "scenarionet"
    return [ingest.complete(reader.read(root, key)) for key in list(reader.scan(root))[:3]]


# Single ideas ---------------------------------------------------------------------------------------------------------


def test_spans_shorter_than_wanted_are_dropped_and_near_ones_joined() -> None:
    drive = calm()
    mask = during(drive, 1.0, 1.2) | during(drive, 3.0, 3.5) | during(drive, 3.8, 4.0)
    first, last = spans(drive, mask)
    assert list(zip(first, last, strict=True)) == [(10, 12), (30, 35), (38, 40)]
    first, last = spans(drive, mask, hold_s=0.5, bridge_s=0.3)
    assert list(zip(first, last, strict=True)) == [(30, 40)]


def test_a_span_ends_where_the_recording_pauses() -> None:
    drive = calm()
    paused = replace(drive, t_ns=drive.t_ns + 20 * NS * (drive.t_s > 5.0))
    for bridge_s in (0.0, 60.0):
        first, last = spans(paused, during(drive, 4.0, 6.0), bridge_s=bridge_s)
        assert list(zip(first, last, strict=True)) == [(40, 50), (51, 60)]


def test_a_rate_is_unknown_across_a_pause_and_where_another_is_meant() -> None:
    drive = calm()
    paused = replace(drive, t_ns=drive.t_ns + 20 * NS * (drive.t_s > 5.0))
    change = rate(paused, 2.0 * drive.t_s, 0.4)
    assert np.flatnonzero(np.isnan(change)).tolist() == [0, 1, 49, 50, 51, 52, 299, 300]
    assert np.allclose(change[2:49], 2.0)
    other = rate(drive, drive.t_s, 0.4, of=drive.t_s > 5.0)
    assert np.flatnonzero(np.isnan(other)).tolist() == [0, 1, 49, 50, 51, 52, 299, 300]


def test_an_event_is_as_strong_as_its_strongest_instant_that_counts() -> None:
    drive = calm()
    score = np.where(during(drive, 2.0, 2.2), np.inf, drive.t_s)
    mask = during(drive, 1.0, 3.0) & np.isfinite(score)
    assert [event.score for event in events(drive, mask, score, bridge_s=1.0)] == [pytest.approx(3.0)]


def test_stretches_that_overlap_are_one_event() -> None:
    found = list(joined(calm(), np.array([50, 10, 12]), np.array([60, 20, 30]), np.array([3.0, 1.0, 2.0])))
    assert [(event.start_ns / NS, event.end_ns / NS, event.score) for event in found] == [(1, 3, 2), (5, 6, 3)]


def test_what_the_driver_did_not_do_better_is_not_held_against_the_plan() -> None:
    drive = with_shadow(planted("would_hit"), 12.0, 13.0, human_no_collision=0.0)
    assert not fired(TRIGGERS["would_hit"], drive)


def test_a_plan_that_fails_longer_weighs_more() -> None:
    short, long = (with_shadow(calm(), 12.0, end, plan_drivable=0.0) for end in (12.5, 14.0))
    (brief,), (lasting,) = (fired(TRIGGERS["would_leave_road"], drive) for drive in (short, long))
    assert lasting.score > 2 * brief.score


def test_stopping_is_not_needless_where_driving_on_broke_a_rule() -> None:
    drive = with_shadow(planted("needless_stop"), 0.0, 30.0, human_lights=0.0)
    assert not fired(TRIGGERS["needless_stop"], drive)


def test_the_worst_of_several_shadow_runs_counts() -> None:
    drive = with_shadow(planted("leaves_path"), 20.0, 21.0, name="other", lateral_difference=9.0)
    assert [event.score for event in fired(TRIGGERS["leaves_path"], drive)] == [4.0, 9.0]


def test_who_brakes_for_the_light_does_not_pass_it() -> None:
    stops = with_columns(planted("red_light"), x=np.minimum(10.0 * calm().t_s, 145.0))
    assert not list(TRIGGERS["red_light"].find(stops))


def test_a_leader_lost_and_found_is_no_cut_in() -> None:
    drive = with_value(with_value(calm(), 0, 30, leader_gap=8.0), 12.0, 12.2, leader_track=-1, leader_gap=np.nan)
    assert not find(drive, {name: TRIGGERS[name] for name in ("cut_in", "cut_out")})


def test_two_halts_are_no_stop_and_go() -> None:
    drive = planted("stop_and_go")
    assert not [event for stops in range(4, 9) for event in StopAndGo(stops=stops).find(drive)]
    assert [event.score for event in StopAndGo().find(drive)] == [3.0]


def test_a_speed_unknown_for_a_moment_parts_no_halt_and_halts_are_not_counted_across_a_pause() -> None:
    stands = np.zeros(301)
    stands[[50, 100, 150]] = np.nan
    parked = replace(calm(), columns={**calm().columns, "speed": stands})
    assert not list(StopAndGo(stops=2).find(parked))
    drive = planted("stop_and_go")
    paused = replace(drive, t_ns=drive.t_ns + 3 * NS * (drive.t_s > 10.0))
    assert not list(StopAndGo().find(paused)) and len(list(StopAndGo(stops=2).find(paused))) == 1


def test_rare_is_what_the_fleet_hardly_ever_shows_where_that_is_known() -> None:
    drive = calm(speed=30.0)
    assert not list(RareValue(columns=("speed",)).find(drive))
    found = list(RareValue(columns=("speed",), usual={"speed": (0.0, 25.0)}).find(drive))
    assert [event.score for event in found] == [pytest.approx(5.0 / 25.0)]


def test_a_rarity_without_a_reach_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"rare_value\.reach wants more than 0, got 0$"):
        RareValue(reach=0.0)


@pytest.mark.parametrize("name", ["off_the_map", "map_against_vision"])
def test_a_map_without_roads_is_no_word_against_anybody(name: str) -> None:
    drive = planted(name)
    assert not fired(TRIGGERS[name], replace(drive, map=Map(())))


def test_a_track_numbered_without_bounds_is_still_followed() -> None:
    drive = planted("flicker")
    assert drive.objects is not None
    far = {**drive.objects.columns, "track": drive.objects["track"] + 2**61}
    other = replace(drive, objects=Objects(drive.objects.starts, far))
    assert list(TRIGGERS["flicker"].find(other)) == list(TRIGGERS["flicker"].find(drive))


def test_a_map_of_another_drive_is_not_mistaken_for_this_one() -> None:
    trigger = TRIGGERS["off_the_map"]
    drive = planted("off_the_map")
    moved = elsewhere(drive, np.array([500.0, 0.0, 1.0]), 0)
    (first,), (there,), (again,) = (list(trigger.find(one)) for one in (drive, moved, drive))
    assert first == again
    assert there.score == pytest.approx(first.score)


# Queries --------------------------------------------------------------------------------------------------------------


def test_a_query_needs_the_columns_that_it_mentions() -> None:
    assert Query("speed > 3 AND t_s < 9", "leader_gap").needs == ("leader_gap", "speed")
    assert Query("speed - lag(speed, 5) OVER (ORDER BY t_ns) < -2").needs == ("speed",)


def test_a_query_may_look_at_other_instants() -> None:
    drive = planted("hard_brake")
    (event,) = Query("speed - lag(speed, 5) OVER (ORDER BY t_ns) < -1.9").find(drive)
    assert seconds(drive, [event])[0] == pytest.approx((12.5, 14.0))


def test_the_unknown_satisfies_no_query() -> None:
    drive = with_value(calm(), 0, 30, leader_gap=np.nan)
    assert not list(Query("leader_gap > 10").find(drive))
    assert not list(Query("leader_gap < 10").find(drive))


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        ("speed >", "syntax error"),
        ("1) FROM instants; DROP TABLE instants; SELECT (1", "SELECT"),
        ("speed > (SELECT count(*) FROM read_csv('/etc/hostname'))", "disabled"),
        ("speed > (SELECT count(*) FROM drive)", "drive"),
        ("'perhaps'", "BOOL"),
    ],
)
def test_a_query_reads_one_table_and_nothing_else(where: str, complaint: str) -> None:
    drive = calm()
    with pytest.raises(SettingsError, match=complaint) as caught:
        query = Query(where)
        assert query.needs is not None and list(query.find(drive))
    assert "\n" not in str(caught.value)


# The page -------------------------------------------------------------------------------------------------------------


def table() -> str:
    """The table of docs/triggers.md, from the triggers themselves."""
    rows = ["| trigger | idea | fires where | needs | settings | score |", "|---|---|---|---|---|---|"]
    for name in plugins.names("trigger"):
        cls = plugins.load("trigger", name)
        idea = (sys.modules[cls.__module__].__doc__ or "").strip().split("\n\n")[0]
        rule, _, score = " ".join((cls.__doc__ or "").split()).partition("Score: ")
        settings = ", ".join(map(_setting, dataclasses.fields(cls)))
        needs = TRIGGERS[name].needs if isinstance(cls.needs, tuple) else ("those columns",)
        cells = (f"`{name}`", idea, rule, ", ".join(map("`{}`".format, needs)), settings, score)
        rows.append("| " + " | ".join(re.sub(r"\s+", " ", cell).strip() for cell in cells) + " |")
    return "\n".join(rows)


def _setting(field: dataclasses.Field[object]) -> str:
    if field.default is not dataclasses.MISSING:
        return f"`{field.name} = {json.dumps(field.default)}`"
    return f"`{field.name}`" if field.default_factory is dataclasses.MISSING else f"`{field.name} = {{}}`"


def test_the_page_says_what_the_triggers_say() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "triggers.md").read_text(encoding="utf-8")
    assert table() in page, f"the table should read\n\n{table()}"


def test_every_trigger_says_what_its_score_means() -> None:
    assert not [name for name in TRIGGERS if "Score: " not in (type(TRIGGERS[name]).__doc__ or "")]
