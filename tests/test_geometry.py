"""Poses, boxes, cameras and lines against closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from understudy import geometry as g
from understudy.worlds.rig import default_rig

finite = st.floats(-1e3, 1e3)
angles = st.floats(-np.pi, np.pi)
pose = st.tuples(finite, finite, angles).map(np.array)


@given(pose, pose)
def test_a_pose_composed_with_its_inverse_is_where_it_started(a: np.ndarray, b: np.ndarray) -> None:
    there = g.compose(a, g.seen_from(a, b))
    assert np.allclose(there[:2], b[:2], atol=1e-8)
    assert abs(g.wrap(there[2] - b[2])) < 1e-9


@given(pose, arrays(float, (5, 2), elements=finite))
def test_points_moved_there_and_back_are_the_same(a: np.ndarray, points: np.ndarray) -> None:
    assert np.allclose(g.move(g.inverse(a), g.move(a, points)), points, atol=1e-6)


@given(angles.map(lambda angle: angle * 7))
def test_wrapping_keeps_the_direction(angle: float) -> None:
    wrapped = g.wrap(np.float64(angle))
    assert -np.pi < wrapped <= np.pi
    assert np.isclose(np.cos(wrapped), np.cos(angle)) and np.isclose(np.sin(wrapped), np.sin(angle))


@given(st.floats(0.1, 30), st.floats(-1, 1), st.floats(0.1, 5))
def test_a_constant_turn_ends_on_its_circle(speed: float, yaw_rate: float, t: float) -> None:
    x, y, yaw = g.constant_turn(np.float64(speed), np.float64(yaw_rate), np.float64(t))
    if abs(yaw_rate) > 1e-6:
        radius = speed / yaw_rate
        assert np.isclose(np.hypot(x, y - radius), abs(radius), rtol=1e-9)
    assert np.hypot(x, y) <= speed * t + 1e-9
    assert np.isclose(np.cos(yaw), np.cos(yaw_rate * t))


def test_poses_are_interpolated_along_the_shorter_turn_and_unknown_outside() -> None:
    t = np.array([0, 1_000_000_000])
    poses = np.array([[0.0, 0.0, np.radians(170)], [10.0, 0.0, np.radians(-170)]])
    middle, outside = g.interpolate(t, poses, np.array([500_000_000, 2_000_000_000]))
    assert np.isclose(abs(middle[2]), np.pi) and np.isclose(middle[0], 5)
    assert np.isnan(outside).all()


def test_boxes_that_touch_and_boxes_that_do_not() -> None:
    here = np.zeros(3)
    assert g.overlap(here, 4, 2, np.array([3.9, 0, 0]), 4, 2)
    assert not g.overlap(here, 4, 2, np.array([4.1, 0, 0]), 4, 2)
    assert not g.overlap(here, 4, 2, np.array([3.5, 2.6, np.pi / 4]), 4, 2)  # the boxes around them would touch
    assert g.overlap(here, 4, 2, np.array([0, 0, np.pi / 4]), 1, 1)  # one inside the other


@given(pose, pose, st.floats(0.5, 10), st.floats(0.5, 4), st.floats(0.5, 10), st.floats(0.5, 4), pose)
def test_overlap_is_symmetric_and_does_not_depend_on_the_frame(a, b, la, wa, lb, wb, frame) -> None:  # type: ignore[no-untyped-def]
    b = g.compose(a, b * np.array([0.01, 0.01, 1]))
    one = g.overlap(a, la, wa, b, lb, wb)
    assert one == g.overlap(b, lb, wb, a, la, wa)
    grown = g.overlap(g.compose(frame, a), la + 1e-5, wa + 1e-5, g.compose(frame, b), lb + 1e-5, wb + 1e-5)
    shrunk = g.overlap(g.compose(frame, a), la - 1e-5, wa - 1e-5, g.compose(frame, b), lb - 1e-5, wb - 1e-5)
    assert grown or not one
    assert one or not shrunk


def test_corners_run_from_front_left_clockwise() -> None:
    corners = g.corners(np.array([1.0, 2.0, np.pi / 2]), np.float64(4), np.float64(2))
    assert np.allclose(corners, [[0, 4], [2, 4], [2, 0], [0, 0]])


K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])


def test_a_point_ahead_is_at_the_principal_point_and_one_behind_is_nowhere() -> None:
    pixels = g.project(np.array([[0, 0, 10.0], [1, 0, 10], [0, 0, -10]]), K)
    assert np.allclose(pixels[:2], [[320, 240], [370, 240]])
    assert np.isnan(pixels[2]).all()


@given(st.floats(20, 620), st.floats(20, 460), st.sampled_from(["none", "brown", "fisheye"]))
def test_a_ray_through_a_pixel_projects_onto_it(u: float, v: float, model: str) -> None:
    coefficients = {"none": (), "brown": (-0.2, 0.05, 0.001, -0.001, 0.0), "fisheye": (0.02, -0.01, 0.003, 0.0)}[model]
    ray = g.rays(np.array([u, v]), K, model, coefficients)
    assert np.allclose(g.project(7 * ray, K, model, coefficients), [u, v], atol=1e-3)


def test_where_a_lens_has_no_ray_none_is_given() -> None:
    ray = g.rays(np.array([[320.0, 240.0], [3200.0, 240.0]]), K, "brown", (-0.3, 0.0, 0, 0, 0))
    assert np.allclose(ray[0], [0, 0, 1]) and np.isnan(ray[1]).all()


def test_brown_distortion_does_not_fold_far_points_back_into_the_picture() -> None:
    assert np.isnan(g.project(np.array([5.0, 0, 1]), K, "brown", (-0.3, 0.0, 0, 0, 0))).all()


def test_a_fisheye_does_not_fold_far_points_back_into_the_picture() -> None:
    angle = np.radians(np.arange(1.0, 90.0))
    points = np.stack([np.sin(angle), np.zeros(89), np.cos(angle)], axis=-1)
    u = g.project(points, K, "fisheye", (-0.05, -0.02, -0.02, 0.0))[:, 0]
    known = np.isfinite(u)
    assert 40 < known.sum() < 89 and known[: known.sum()].all() and (np.diff(u[known]) > 0).all()
    assert np.isfinite(g.project(points, K, "fisheye", (0.02, -0.01, 0.003, 0.0))).all()


def test_along_and_across_a_line() -> None:
    line = np.array([[0.0, 0], [10, 0], [10, 10]])
    along, across, heading = g.frenet(line, np.array([[-2.0, 1], [5, -1], [9, 5], [10, 12]]))
    assert np.allclose(along, [-2, 5, 15, 22])
    assert np.allclose(across, [1, -1, 1, 0])
    assert np.allclose(heading, [0, 0, np.pi / 2, np.pi / 2])


@given(angles, angles, angles)
def test_quaternions_turn_as_their_angles_say(roll: float, pitch: float, yaw: float) -> None:
    half = yaw / 2
    matrix = g.rotation(np.cos(half), 0.0, 0.0, np.sin(half))
    assert np.allclose(matrix, [[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    assert np.isclose(np.cos(g.yaw_of(matrix) - yaw), 1)


def test_who_sees_ahead_sharpest_is_the_narrow_camera_and_of_wide_ones_the_front() -> None:
    rig = default_rig()
    sight = dict(zip(rig.names, g.sight_ahead(rig), strict=True))
    pitch = {"front": np.radians(4.0), "narrow": np.radians(-2.0)}
    for name, view in (("front", 92.0), ("narrow", 30.0)):  # a pinhole's width is 2 tan(view / 2) focal lengths
        expected = 1 / (2 * np.tan(np.radians(view) / 2)) / np.cos(pitch[name])
        np.testing.assert_allclose(sight[name], expected, rtol=1e-3)
    assert not any(sight[name] for name in ("left", "right", "rear_left", "rear_right"))
    larger = default_rig(1024, 512)
    np.testing.assert_allclose(g.sight_ahead(larger), g.sight_ahead(rig), rtol=1e-6)


def test_a_camera_of_unknown_lens_or_mounting_perhaps_looks_ahead() -> None:
    rig = default_rig()
    narrow = np.arange(len(rig.names))[:, None, None] == 5
    for lost in (replace(rig, ego_T_cam=np.where(narrow, np.nan, rig.ego_T_cam)),
                 replace(rig, K=np.where(narrow, np.nan, rig.K))):  # fmt: skip
        front, *aside, perhaps = g.sight_ahead(lost)
        assert front > perhaps > 0 and not any(aside)
    backwards = replace(rig, ego_T_cam=g.rigid(np.diag([-1.0, -1.0, 1.0]), np.zeros(3)) @ rig.ego_T_cam)
    assert not g.sight_ahead(backwards)[[0, 5]].any()
