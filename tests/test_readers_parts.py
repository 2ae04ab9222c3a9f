"""The parts that readers share: motion from poses, tracks, the earth, lane graphs, films, names."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import steady_turn
from understudy.errors import DataError, ShapeError
from understudy.readers import folder, geodesy, lane_graph
from understudy.readers.kinematics import motion
from understudy.readers.mcap.frames import Edge
from understudy.readers.tracks import objects, velocities
from understudy.readers.video import HevcFile
from understudy.records import NS, OBJECT_COLUMNS

# Motion ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [2.0, 10.0, 20.0, 167.0])
@pytest.mark.parametrize("speed", [0.0, 12.0, -2.0])
def test_the_motion_of_a_steady_turn(rate_hz: float, speed: float) -> None:
    drive = steady_turn(speed=speed, yaw_rate=0.2, rate_hz=rate_hz, start=(1e4, -2e4, 3.0))
    found = motion(drive.t_ns, drive.poses)
    np.testing.assert_allclose(found["speed"], speed, atol=0.09 if rate_hz < 10 else 0.06)
    np.testing.assert_allclose(found["yaw_rate"], 0.2, atol=1e-6)
    np.testing.assert_allclose(found["accel"], 0, atol=0.3)


def test_the_motion_of_a_car_that_brakes() -> None:
    t = np.arange(101) / 10
    poses = np.stack([20 * t - t**2, np.zeros(101), np.zeros(101)], axis=-1)
    found = motion((t * NS).astype(np.int64), poses)
    np.testing.assert_allclose(found["speed"], 20 - 2 * t, atol=1e-6)
    np.testing.assert_allclose(found["accel"], -2, atol=1e-6)


def test_fixes_once_a_second_that_come_a_little_late_are_no_pauses() -> None:
    t = np.arange(60) + np.random.default_rng(0).uniform(-0.005, 0.005, 60)
    poses = np.stack([10 * t, np.zeros(60), np.zeros(60)], axis=-1)
    np.testing.assert_allclose(motion((t * NS).astype(np.int64), poses)["speed"], 10, atol=0.3)


def test_what_turns_nowhere_costs_no_later_heading() -> None:
    edge = Edge("map")
    for k in range(10):
        half = 0.05 * k * (-1) ** k  # q and -q by turns
        edge.t_ns.append(k * NS)
        edge.place.append((k, 0.0, 0.0, *(np.array([np.cos(0.05 * k), 0, 0, np.sin(0.05 * k)]) * np.sign(half or 1.0))))
    whole = edge.at(np.arange(10) * NS)
    edge.place[2] = (2.0, 0.0, 0.0, *[np.nan] * 4)
    found = edge.at(np.arange(10) * NS)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, whole, atol=2e-3)


def test_motion_does_not_reach_across_what_is_missing() -> None:
    drive = steady_turn(speed=5.0)
    poses = drive.poses.copy()
    poses[50:55] = np.nan
    poses[55:, :2] += 1000.0  # elsewhere, after the hole
    found = motion(drive.t_ns, poses)
    assert np.isnan(found["speed"][50:55]).all()
    known = np.r_[0:50, 55 : len(poses)]
    np.testing.assert_allclose(found["speed"][known], 5, atol=0.02)


@settings(max_examples=40, deadline=None)
@given(
    x=st.floats(-1e5, 1e5),
    y=st.floats(-1e5, 1e5),
    turn=st.floats(-3, 3),
    begin=st.integers(0, 10**18),
    seed=st.integers(0, 99),
)
def test_motion_does_not_depend_on_where_and_when(x: float, y: float, turn: float, begin: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    t_ns = np.cumsum(random.integers(80_000_000, 120_000_000, 60))
    drive = steady_turn(seconds=5.9)
    poses = drive.poses + 0.01 * random.normal(size=(60, 3))
    cos, sin = np.cos(turn), np.sin(turn)
    moved = np.stack(
        [x + cos * poses[:, 0] - sin * poses[:, 1], y + sin * poses[:, 0] + cos * poses[:, 1], poses[:, 2] + turn],
        axis=-1,
    )
    here, there = motion(t_ns, poses), motion(t_ns + begin, moved)
    for name in here:
        np.testing.assert_allclose(there[name], here[name], atol=1e-5)


# Tracks ---------------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999))
def test_rows_in_any_order_become_objects_sorted_by_instant_and_track(seed: int) -> None:
    random = np.random.default_rng(seed)
    instant, track = (part.ravel() for part in np.meshgrid(np.arange(12), np.arange(5)))
    kept = random.permutation(60)[: random.integers(0, 61)]
    instant, track = instant[kept], track[kept]
    t_ns = instant * NS // 10
    vx, vy = velocities(t_ns, track, 3.0 * track * t_ns / NS, -1.0 * t_ns / NS)
    columns = dict.fromkeys(OBJECT_COLUMNS, np.zeros(len(kept))) | {"track": track, "vx": vx, "vy": vy}
    found = objects(12, instant, columns)
    assert len(found) == 12 and found.starts[-1] == len(kept)
    order = np.stack([found.instant, found["track"]], axis=-1).tolist()
    assert order == sorted(order)
    known = np.isfinite(found["vx"])
    np.testing.assert_allclose(found["vx"][known], 3.0 * found["track"][known], atol=1e-9)
    np.testing.assert_allclose(found["vy"][known], -1.0, atol=1e-9)


@pytest.mark.parametrize("wrong", [{"track": -1}, {"kind": -1}, {"kind": 99}])
def test_tracks_and_kinds_that_would_be_places_outside_a_table_are_refused(wrong: dict[str, int]) -> None:
    columns = dict.fromkeys(OBJECT_COLUMNS, np.zeros(3)) | {name: np.full(3, value) for name, value in wrong.items()}
    with pytest.raises(ShapeError, match="tracks are 0 or more, and kinds 0 to 11"):
        objects(2, np.array([0, 1, 1]), columns)


def test_a_track_seen_once_has_no_velocity_and_a_gap_is_not_bridged() -> None:
    t_ns = np.array([0, 1, 2, 30, 31, 0]) * NS // 10
    vx, _ = velocities(t_ns, np.array([7, 7, 7, 7, 7, 9]), np.array([0.0, 1, 2, 100, 101, 5]), np.zeros(6))
    np.testing.assert_allclose(vx, [10, 10, 10, 10, 10, np.nan])


# The earth ------------------------------------------------------------------------------------------------------------


@given(st.floats(-89.9, 89.9), st.floats(-179.9, 179.9), st.floats(-500, 9000))
def test_geodetic_is_the_inverse_of_the_ellipsoid(latitude: float, longitude: float, height: float) -> None:
    found = geodesy.geodetic(geodesy.ecef(np.radians(latitude), np.radians(longitude), height))
    np.testing.assert_allclose(np.degrees(found[:2]), [latitude, longitude], atol=1e-9)
    assert found[2] == pytest.approx(height, abs=1e-3)


def test_utm_of_a_tower_in_toronto() -> None:
    """The worked example of the encyclopedias: the CN Tower, 43°38'33.24"N 79°23'13.7"W, 17T 630084 4833438."""
    latitude, longitude = np.radians(43 + 38 / 60 + 33.24 / 3600), -np.radians(79 + 23 / 60 + 13.7 / 3600)
    assert geodesy.utm_zone(longitude) == 17
    east, north, _ = geodesy.utm(latitude, longitude, 17)
    assert (round(float(east)), round(float(north))) == (630084, 4833439)


@given(st.floats(-80, 80), st.floats(-2.9, 2.9))
def test_utm_keeps_angles_and_nearly_lengths(latitude: float, away: float) -> None:
    lat, lon = np.radians(latitude), np.radians(-123 + away)
    here, step = geodesy.ecef(lat, lon, 0.0), 10.0
    enu = geodesy.enu_R_ecef(lat, lon)
    there = here + enu.T @ np.array([0.0, step, 0.0])
    (e0, n0, convergence), (e1, n1, _) = (geodesy.utm(*geodesy.geodetic(point)[:2], 10) for point in (here, there))
    assert np.hypot(e1 - e0, n1 - n0) == pytest.approx(step, rel=2e-3)
    north = np.arctan2(n1 - n0, e1 - e0) - np.pi / 2  # counter-clockwise from grid north to true north
    assert north == pytest.approx(float(convergence), abs=2e-5)


# Lane graphs ----------------------------------------------------------------------------------------------------------


def straight(x: float, y: float, heading: float, length: float = 20.0) -> Any:
    along = np.linspace(0, length, 21)[:, None]
    return np.array([x, y]) + along * np.array([np.cos(heading), np.sin(heading)])


def test_lanes_follow_where_ends_meet_in_about_the_same_direction() -> None:
    lines = [
        straight(0, 0, 0),
        straight(20.5, 0, 0.3),  # near its end, bent a little
        straight(20.5, 0, np.pi / 2),  # near, but square to it
        straight(22, 0, 0),  # too far
        straight(40, 0.1, np.pi),  # comes towards it
    ]
    assert lane_graph.successors(lines)[0] == [1]
    assert lane_graph.successors([]) == []


def test_neighbours_run_beside_in_the_same_direction() -> None:
    lines = [straight(0, 0, 0), straight(0, 3.5, 0), straight(20, -3.5, np.pi), straight(0, 7, 0)]
    left, right = lane_graph.neighbours(lines, np.full(4, 3.5))
    assert left == [1, 3, -1, -1] and right == [-1, 0, -1, 1]


@given(st.floats(2.6, 4.9), st.floats(-3, 3))
def test_the_width_of_a_lane_is_found_again(width: float, heading: float) -> None:
    line = straight(5, 6, heading)
    ring = lane_graph.ribbon(line, width)
    assert lane_graph.width(line, ring) == pytest.approx(width, abs=0.05)
    assert shapely.Polygon(ring).area == pytest.approx(20 * width)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-40, 40), st.floats(-40, 40), st.floats(1, 8)), max_size=6))
def test_an_area_without_its_holes_is_still_that_area(holes: list[tuple[float, float, float]]) -> None:
    area: Any = shapely.box(-50, -50, 50, 50)
    for x, y, radius in holes:
        area = area.difference(shapely.Point(x, y).buffer(radius))
    rings = lane_graph.rings(area)
    assert sum(shapely.Polygon(ring).area for ring in rings) == pytest.approx(area.area, abs=0.1)
    assert shapely.union_all([shapely.Polygon(ring) for ring in rings]).symmetric_difference(area).area < 0.1


def test_boundaries_of_boundaries_are_islands() -> None:
    rings = [np.asarray(shapely.box(-size, -size, size, size).exterior.coords) for size in (1.0, 3.0, 2.0)]
    assert lane_graph.from_boundaries(rings).area == pytest.approx(36 - 16 + 4)


def test_tidy_keeps_the_ends() -> None:
    line = np.array([[0.0, 0], [0, 0], [np.nan, 1], [0.01, 0], [1, 0], [1.001, 0], [2, 0], [2.02, 0]])
    np.testing.assert_allclose(lane_graph.tidy(line), [[0, 0], [1, 0], [2.02, 0]])
    assert len(lane_graph.tidy(np.full((4, 2), 7.0))) == 1


# Films and names ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """45 pictures with a key frame every 15, each as bright as its index says."""
    path = tmp_path_factory.mktemp("film") / "video.hevc"
    with av.open(str(path), "w", format="hevc") as container:
        stream = container.add_stream("libx265", rate=20)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 64, 48, "yuv420p", Fraction(1, 20)
        stream.options = {"x265-params": "keyint=15:min-keyint=15:scenecut=0:bframes=0:log-level=none:pools=1"}
        for index in range(45):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 + 4 * index, np.uint8), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_pictures_of_a_film_by_index_in_any_order(film: Path) -> None:
    pictures = HevcFile(film, 45, (64, 48))
    indices = np.array([44, 0, 16, 14, 15, 16, 31])
    found = pictures.read(indices)
    assert found.shape == (7, 48, 64, 3)
    np.testing.assert_allclose(found[:, 20, 20, 1], 40 + 4 * indices, atol=4)
    assert pictures.read(np.array([], dtype=np.int64)).shape == (0, 48, 64, 3)
    assert pictures.encoded(3)[0] == "jpeg"


def test_a_film_cut_short_or_broken_is_one_line(film: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.hevc"
    data = film.read_bytes()
    short.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="ends before picture 44"):
        HevcFile(short, 45, (64, 48)).read(np.array([0, 44]))
    with pytest.raises(DataError, match="64 x 48, the camera 128 x 96"):
        HevcFile(film, 45, (128, 96)).read(np.array([0]))
    broken = tmp_path / "broken.hevc"
    broken.write_bytes(b"no film at all")
    for path in (broken, tmp_path / "absent.hevc"):
        with pytest.raises(DataError) as caught:
            HevcFile(path, 45, (64, 48)).read(np.array([0]))
        assert "\n" not in str(caught.value)


@given(st.text(max_size=40))
def test_a_drives_id_is_fit_for_file_names(name: str) -> None:
    found = folder.drive_id("tub", name, "0123456789abcdef")
    assert found.startswith("tub-") and found.endswith("-012345") and "/" not in found and found.isascii()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["..", ".", "a", "b", "", "/", "..."]), max_size=6).map("/".join))
def test_a_name_stays_inside_or_is_refused(name: str) -> None:
    root = Path("/tmp/some/log")
    try:
        path = folder.inside(root, name)
    except DataError:
        return
    assert path.resolve().is_relative_to(root.resolve())


def test_poses_that_come_in_bursts_are_fitted_like_others() -> None:
    """Three poses 20 µs apart, ten times a second: a median interval that says nothing of the rate."""
    t_ns = (np.arange(30)[:, None] * NS // 10 + np.array([0, 20_000, 40_000])).ravel()
    poses = np.stack([8.0 * t_ns / NS, 0.0 * t_ns, 0.0 * t_ns], axis=-1)
    found = motion(t_ns, poses)
    assert np.allclose(found["speed"], 8.0, atol=0.01) and np.allclose(found["accel"], 0.0, atol=0.1)
