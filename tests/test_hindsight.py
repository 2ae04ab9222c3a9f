"""What is only known afterwards: smoothed poses, the human's own faults, where traffic went, what lights meant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import steady_turn
from tests.test_labels import ALL, answer, by, red_light_drive, road_map, with_box
from understudy import plugins
from understudy.geometry import compose, constant_turn
from understudy.labelers.path import wrong
from understudy.labelers.smooth import noise, smoothed
from understudy.observe import driven
from understudy.records import Drive, Driver, Floats, Truth

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
