"""What every reader promises, on logs written here and on real ones; and the figures of the real ones."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from tests import small_logs
from tests.small_lake import assert_equal
from understudy import plugins
from understudy.errors import DataError
from understudy.geometry import compose, constant_turn, corners, overlap, wrap
from understudy.ingest import ingest
from understudy.readers.kinematics import motion
from understudy.readers.scenarionet import _retimed
from understudy.records import NS, Drive, Driver, Kind
from understudy.store import Lake

WRITERS: dict[str, Callable[[Path], Path]] = {
    "argoverse2": small_logs.write_argoverse2,
    "comma2k19": small_logs.write_comma2k19,
    "scenarionet": small_logs.write_scenarionet,
    "tub": small_logs.write_tub,
}
FOLDERS = {"tub": "donkeycar_tub"}
SETTINGS: dict[str, dict[str, Any]] = {"tub": {"rate_hz": 20.0}}
NAMES = sorted(WRITERS)
POSED = [name for name in NAMES if name != "tub"]


def drives(name: str, root: Path) -> dict[str, Drive]:
    reader = plugins.make("reader", name, SETTINGS.get(name))
    return {key: reader.read(root, key) for key in reader.scan(root)}


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Callable[[str], dict[str, Drive]]:
    """The real drives of a reader, each read once."""
    read: dict[str, dict[str, Drive]] = {}

    def of(name: str) -> dict[str, Drive]:
        if name not in read:
            read[name] = drives(name, shared_data / FOLDERS.get(name, name))
        return read[name]

    return of


def keeps_its_word(drive: Drive) -> None:
    """What may be relied on in any drive."""
    assert np.all(np.diff(drive.t_ns) > 0)
    assert set(drive.id) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert drive.vehicle.length > drive.vehicle.width > 0
    if "x" in drive:
        assert np.isfinite(drive.poses).all()
        travelled = np.hypot(np.gradient(drive["x"], drive.t_s), np.gradient(drive["y"], drive.t_s))
        assert np.abs(travelled - np.abs(drive["speed"])).max() < 0.5
        assert np.abs(drive["accel"]).max() < 10 and np.abs(drive["yaw_rate"]).max() < 1
        fitted = motion(drive.t_ns, drive.poses)  # which looks ahead
        assert {name for name in fitted if np.allclose(drive[name], fitted[name])} <= drive.derived
    if drive.objects is not None:
        objects = drive.objects
        assert len(objects) == len(drive) and len(objects["x"]) == objects.starts[-1]
        assert np.isfinite(objects["x"]).all() and np.isfinite(objects["y"]).all()
        assert objects["track"].min(initial=0) >= 0
        rows = np.stack([objects.instant, objects["track"]])
        assert len(np.unique(rows, axis=1).T) == rows.shape[1], "a track twice in one instant"
    if drive.map is not None:
        ids = {lane.id for lane in drive.map.lanes}
        for lane in drive.map.lanes:
            assert len(lane.centre) > 1 and len(lane.polygon) > 2
            assert {*lane.successors, *lane.predecessors} <= ids
            assert {lane.left_lane, lane.right_lane} - {None} <= ids
            assert all(lane.id in by_id(drive)[other].predecessors for other in lane.successors)
    for camera in drive.cameras:
        assert len(camera.t_ns) == len(camera.pictures)
        assert camera.pictures.read(np.array([0])).shape == (1, camera.size[1], camera.size[0], 3)


def by_id(drive: Drive) -> dict[str, Any]:
    assert drive.map is not None
    return {lane.id: lane for lane in drive.map.lanes}


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_keeps_its_word_on_a_small_log(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path)
    found = drives(name, tmp_path)
    assert list(found) == sorted(found) and len({drive.id for drive in found.values()}) == len(found) == 1
    for drive in found.values():
        keeps_its_word(drive)


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_keeps_its_word_on_real_logs(name: str, real: Callable[[str], dict[str, Drive]]) -> None:
    found = real(name)
    assert list(found) == sorted(found) and len({drive.id for drive in found.values()}) == len(found)
    for drive in found.values():
        keeps_its_word(drive)


@pytest.mark.parametrize("name", NAMES)
def test_reading_twice_gives_equal_drives(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path)
    for one, other in zip(drives(name, tmp_path).values(), drives(name, tmp_path).values(), strict=True):
        assert_equal(one, other)


@pytest.mark.parametrize("name", NAMES)
def test_a_drive_is_named_by_its_contents_not_by_where_it_lies(name: str, tmp_path: Path) -> None:
    reader = plugins.make("reader", name, SETTINGS.get(name))
    WRITERS[name](tmp_path / "here")
    log = WRITERS[name](tmp_path / "far" / "away")
    (here,), (away,) = drives(name, tmp_path / "here").values(), drives(name, tmp_path / "far").values()
    assert here.id == away.id
    lone = log if log.is_dir() else log.parent
    (key,) = reader.scan(lone)
    assert reader.read(lone, key).id == here.id, "a drive's own folder"
    victim = next(path for path in sorted(lone.rglob("*")) if path.is_file() and "catalog" not in path.name)
    before = reader.fingerprint(lone, key)
    victim.write_bytes(victim.read_bytes() + b"\n")
    assert reader.fingerprint(lone, key) != before


@pytest.mark.parametrize("name", NAMES)
def test_importing_a_reader_imports_no_more_than_it_needs(name: str) -> None:
    code = (
        f"import sys, understudy.readers.{name};"
        "print(*{'torch', 'duckdb', 'onnxruntime', 'numba', 'mcap', 'fastapi'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# The turn that every small log records --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", POSED)
def test_the_turn_is_read_as_it_was_driven(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path)
    (drive,) = drives(name, tmp_path).values()
    inner = slice(3, -3)  # a retimed end has no neighbours on one side
    np.testing.assert_allclose(drive["speed"][inner], small_logs.SPEED, atol=0.02)
    np.testing.assert_allclose(drive["yaw_rate"][inner], small_logs.YAW_RATE, atol=0.002)
    np.testing.assert_allclose(drive["accel"][inner], 0, atol=0.1)
    assert drive.metres == pytest.approx(small_logs.SPEED * small_logs.SECONDS, rel=2e-3)
    assert (drive["who_drives"] == Driver.HUMAN).all()
    if name != "comma2k19":  # whose plane is another
        _, ego = small_logs.poses(10)
        np.testing.assert_allclose(drive.poses, ego, atol=0.03)


@pytest.mark.parametrize("name", ["scenarionet", "argoverse2"])
def test_others_are_where_they_were(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path)
    (drive,) = drives(name, tmp_path).values()
    assert drive.objects is not None
    objects, instant = drive.objects, drive.objects.instant
    truck, cone = objects["kind"] == Kind.TRUCK, objects["kind"] == Kind.CONE
    assert truck.any() and cone.sum() == len(drive)
    _, ego = small_logs.poses(10)
    beside = compose(ego, small_logs.BESIDE)[instant[truck]]
    found = np.stack([objects[name][truck] for name in ("x", "y", "yaw")], axis=-1)
    np.testing.assert_allclose(found[:, :2], beside[:, :2], atol=1e-6)
    np.testing.assert_allclose(wrap(found[:, 2] - beside[:, 2]), 0, atol=1e-6)
    assert set(objects["length"][truck]) == {4.5} and set(objects["width"][truck]) == {1.9}
    speed = np.hypot(objects["vx"][truck], objects["vy"][truck])
    np.testing.assert_allclose(speed, small_logs.SPEED - 3.5 * small_logs.YAW_RATE, atol=0.05)
    np.testing.assert_allclose(np.hypot(objects["vx"][cone], objects["vy"][cone]), 0, atol=1e-6)


def test_scenarionet_rows_that_are_not_valid_are_no_objects(tmp_path: Path) -> None:
    small_logs.write_scenarionet(tmp_path)
    (drive,) = drives("scenarionet", tmp_path).values()
    assert drive.objects is not None
    truck = drive.objects["kind"] == Kind.TRUCK
    assert drive.t_s[drive.objects.instant[truck]].min() == pytest.approx(1.1)


def test_scenarionet_the_egos_sides_are_not_swapped(tmp_path: Path) -> None:
    for dataset in ("nuscenes", "other"):
        small_logs.write_scenarionet(tmp_path, small_logs.scenario(dataset))
        (drive,) = drives("scenarionet", tmp_path).values()
        assert (drive.vehicle.length, drive.vehicle.width) == (4.08, 1.73)


def test_scenarionet_elsewhere_than_in_nuscenes_the_ego_is_its_centre(tmp_path: Path) -> None:
    small_logs.write_scenarionet(tmp_path, small_logs.scenario("waymo"))
    (drive,) = drives("scenarionet", tmp_path).values()
    _, ego = small_logs.poses(10)
    np.testing.assert_allclose(compose(drive.poses, np.array([drive.vehicle.centre_x, 0, 0])), ego, atol=1e-9)


def test_scenarionet_a_light_of_a_way_through_a_junction_stops_traffic_before_it(tmp_path: Path) -> None:
    """nuPlan and Waymo name the way; the stop line lies where it begins. One that is at its lane's end stays there."""
    said = small_logs.scenario("nuplan")
    ways = {key: np.asarray(said["map_features"][key]["polyline"]) for key in ("connector", "lane_a")}
    rows = said["length"]
    said["dynamic_map_states"] = {
        number: {"lane": key, "stop_point": [*at, 0.0], "state": {"object_state": ["TRAFFIC_LIGHT_RED"] * rows}}
        for number, (key, at) in enumerate((("connector", ways["connector"][1]), ("lane_a", ways["lane_a"][-1])))
    }
    small_logs.write_scenarionet(tmp_path, said)
    (drive,) = drives("scenarionet", tmp_path).values()
    assert drive.lights is not None and drive.lights.lanes == ("connector:stop", "lane_a")
    lanes = by_id(drive)
    assert lanes["lane_a"].successors == ("connector:stop",) and lanes["connector:stop"].successors == ("connector",)
    assert lanes["connector"].predecessors == ("connector:stop",)
    np.testing.assert_allclose(lanes["connector:stop"].centre[-1], ways["connector"][1], atol=1e-9)
    whole = np.concatenate([lanes["connector:stop"].centre[:-1], lanes["connector"].centre])
    np.testing.assert_allclose(whole, ways["connector"], atol=1e-9)


def test_scenarionet_a_lane_graph_is_worked_out(tmp_path: Path) -> None:
    small_logs.write_scenarionet(tmp_path)
    (drive,) = drives("scenarionet", tmp_path).values()
    lanes = by_id(drive)
    assert lanes["lane_a"].successors == ("connector",) and lanes["connector"].successors == ("lane_b",)
    assert lanes["connector"].junction and not lanes["lane_a"].junction
    assert lanes["connector"].predecessors == ("lane_a",) and lanes["lane_b"].predecessors == ("connector",)
    assert np.isnan(lanes["connector"].speed_limit), "100 km/h stands for unknown"


def test_scenarionet_the_drivable_area_leaves_out_islands(tmp_path: Path) -> None:
    small_logs.write_scenarionet(tmp_path)
    (drive,) = drives("scenarionet", tmp_path).values()
    assert drive.map is not None
    area = shapely.union_all([shapely.Polygon(ring) for ring in drive.map.drivable])
    on_island = compose(np.array([*small_logs.START[:2], np.pi / 4]), np.array([55.0, 6, 0]))
    beside_it = compose(np.array([*small_logs.START[:2], np.pi / 4]), np.array([45.0, 6, 0]))
    assert not shapely.contains_xy(area, *on_island[:2]) and shapely.contains_xy(area, *beside_it[:2])
    assert {(marking.style, marking.colour) for marking in drive.map.markings} == {
        ("dashed", "yellow"),
        ("kerb", "white"),
    }


def test_scenarionet_a_clock_that_stumbles_is_mended(tmp_path: Path) -> None:
    said = small_logs.scenario()
    state = said["tracks"]["ego"]["state"]
    t, _ = small_logs.poses(10)
    late = t + 0.02 * (t > 1.05) + 0.04 * (t > 3.05) - 0.1 * (t > 4.65)  # two dropped messages, then the right place
    start = small_logs.START
    stumbling = compose(start, constant_turn(np.float64(small_logs.SPEED), np.float64(small_logs.YAW_RATE), late))
    state["position"][:, :2], state["heading"] = stumbling[:, :2], stumbling[:, 2]
    small_logs.write_scenarionet(tmp_path, said)
    (drive,) = drives("scenarionet", tmp_path).values()
    assert 0.1 < drive.facts["retimed_m"] < 1.0
    np.testing.assert_allclose(np.hypot(*np.diff(drive.poses[:, :2], axis=0).T), 1.0, atol=0.02)
    np.testing.assert_allclose(drive.poses[[0, -1], :2], stumbling[[0, -1], :2], atol=1e-6)


def test_scenarionet_a_car_that_stands_and_once_jumps_is_left_alone() -> None:
    poses = np.zeros((200, 3))
    poses[100:, 0] = 1.2
    found, moved = _retimed(np.arange(200) * NS // 10, poses)
    assert np.array_equal(found, poses) and moved == 0.0


def test_argoverse2_its_map(tmp_path: Path) -> None:
    small_logs.write_argoverse2(tmp_path)
    (drive,) = drives("argoverse2", tmp_path).values()
    assert drive.map is not None and drive.frame == "PIT"
    lanes = by_id(drive)
    assert lanes["1"].successors == ("2",), "lane 99 is not in the map"
    np.testing.assert_allclose(lanes["1"].centre[:, 1], small_logs.START[1] + 2)
    assert lanes["2"].junction and lanes["2"].kind == "bicycle"
    assert lanes["1"].left_lane is None, "its neighbour comes the other way"
    (crossing,) = drive.map.crosswalks
    assert shapely.Polygon(crossing).is_valid and shapely.Polygon(crossing).area == pytest.approx(24)
    assert {(marking.style, marking.colour) for marking in drive.map.markings} == {
        ("dashed", "white"),
        ("solid", "yellow"),
    }


def test_argoverse2_rates_and_heights(tmp_path: Path) -> None:
    small_logs.write_argoverse2(tmp_path)
    (drive,) = drives("argoverse2", tmp_path).values()
    assert drive.facts["rates_hz"] == {"pose": 100.0, "objects": 10.0}
    assert (drive.vehicle.length, drive.vehicle.width) == (4.9, 2.0)
    assert drive.cameras == ()


def test_argoverse2_cameras_are_there_when_their_pictures_are(tmp_path: Path) -> None:
    small_logs.write_argoverse2(tmp_path, cameras=True)
    (drive,) = drives("argoverse2", tmp_path).values()
    keeps_its_word(drive)
    (camera,) = drive.cameras
    assert camera.calibrated and camera.size == (32, 24) and camera.distortion == "brown"
    assert camera.coefficients == (-0.2, 0.1, 0.0, 0.0, 0.05)
    assert camera.ego_T_cam is not None
    np.testing.assert_allclose(camera.ego_T_cam[:3, :3] @ [0, 0, 1], [1, 0, 0], atol=1e-12)  # it looks ahead
    pictures = camera.pictures.read(np.array([0, 10]))
    np.testing.assert_allclose(pictures[:, 0, 0, 0], [0, 30], atol=2)
    assert camera.pictures.encoded(3)[0] == "jpeg"


def test_comma2k19_radar_and_steering(tmp_path: Path) -> None:
    small_logs.write_comma2k19(tmp_path)
    (drive,) = drives("comma2k19", tmp_path).values()
    np.testing.assert_allclose(drive["steering_wheel_angle"], np.radians(12))
    assert drive.objects is not None and drive.frame == "utm-10n"
    objects = drive.objects
    np.testing.assert_array_equal(np.diff(objects.starts), 1)
    assert set(objects["track"]) == {0, 1} and (objects["kind"] == Kind.UNKNOWN).all()
    assert np.isnan(objects["length"]).all(), "a radar knows no box"
    bumper = drive.vehicle.length - drive.vehicle.rear_overhang
    expected = compose(drive.poses, np.array([bumper + 20, 1.5, 0]))
    np.testing.assert_allclose(objects["x"], expected[:, 0])
    np.testing.assert_allclose(np.hypot(objects["vx"], objects["vy"]), small_logs.SPEED - 2)


def test_comma2k19_a_signal_that_sent_nothing_is_absent(tmp_path: Path) -> None:
    can = small_logs.write_comma2k19(tmp_path) / "processed_log/CAN"
    for signal, width in (("speed", 1), ("steering_angle", 1), ("radar", 7)):
        for name, values in (("t", np.zeros(0)), ("value", np.zeros((0, width)))):
            with (can / signal / name).open("wb") as stream:
                np.save(stream, values)
    (drive,) = drives("comma2k19", tmp_path).values()
    assert drive.objects is None and "steering_wheel_angle" not in drive and "speed" in drive.derived
    np.testing.assert_allclose(drive["speed"], small_logs.SPEED, atol=0.01)


def test_tub_steers_to_the_left_for_less_than_nothing(tmp_path: Path) -> None:
    records = small_logs.tub_records()
    for record in records[10:20]:
        record |= {"user/mode": "local_angle", "pilot/angle": 0.25, "pilot/throttle": 0.9}
    for record in records[20:25]:
        record |= {"user/mode": "local", "pilot/angle": 0.25, "pilot/throttle": 0.9}
    small_logs.write_tub(tmp_path, records)
    (drive,) = drives("tub", tmp_path).values()
    assert drive["steer"][29] == pytest.approx(-29 / 30)
    np.testing.assert_array_equal(drive["steer"][10:25], -0.25)
    np.testing.assert_array_equal(drive["throttle"][9:26], [0.5] * 11 + [0.9] * 5 + [0.5])
    assert set(drive["who_drives"][10:20]) == {Driver.MODEL} and drive["who_drives"][0] == Driver.HUMAN
    assert "x" not in drive and "speed" not in drive
    np.testing.assert_allclose(drive.cameras[0].pictures.read(np.array([7, 2]))[:, 0, 0, 0], [21, 6], atol=2)


def test_tub_stamps_are_taken_when_they_can_be_believed(tmp_path: Path) -> None:
    small_logs.write_tub(tmp_path)
    reader = plugins.make("reader", "tub")
    (drive,) = (reader.read(tmp_path, key) for key in reader.scan(tmp_path))
    assert drive.t_ns[0] == 1_600_000_000 * NS and drive.seconds == pytest.approx(29 * 0.05)


def test_tub_short_deletions_are_gaps_and_long_ones_end_a_drive(tmp_path: Path) -> None:
    small_logs.write_tub(tmp_path, deleted=(3, 4, 12, 13, 14, 15, 16, 17))
    found = drives("tub", tmp_path)
    assert list(found) == ["data", "data@18"]
    first, second = found.values()
    np.testing.assert_allclose(np.diff(first.t_s)[:4], [0.05, 0.05, 0.15, 0.05])
    assert (len(first), len(second)) == (10, 12) and first.facts["deleted"] == 2
    assert len({first.id, second.id}) == 2
    np.testing.assert_allclose(second.cameras[0].pictures.read(np.array([0]))[0, 0, 0, 0], 54, atol=2)


def test_tub_a_record_that_was_being_written_when_the_power_went_is_none(tmp_path: Path) -> None:
    tub = small_logs.write_tub(tmp_path)
    (whole,) = drives("tub", tmp_path).values()
    with (tub / "catalog_1.catalog").open("a") as file:
        file.write('{"_index": 99, "user/ang')
    (found,) = drives("tub", tmp_path).values()
    assert np.array_equal(found.t_ns, whole.t_ns)
    with (tub / "catalog_1.catalog").open("a") as file:
        file.write("\n")
    with pytest.raises(DataError, match="holds no record"):
        drives("tub", tmp_path)


def test_tub_a_new_session_or_a_pause_is_another_drive(tmp_path: Path) -> None:
    records = small_logs.tub_records()
    for record in records[10:]:
        record["_session_id"] = "21-01-01_1"
    for record in records[20:]:
        record["_timestamp_ms"] += 5000
    small_logs.write_tub(tmp_path, records)
    assert list(plugins.make("reader", "tub").scan(tmp_path)) == ["data", "data@10", "data@20"]


def test_tub_a_tub_that_grew_has_its_earlier_drives_as_they_were(tmp_path: Path) -> None:
    """A session more, a record of it deleted, and at last the first session: the second is who it was."""

    def write(sessions: int, deleted: tuple[int, ...] = ()) -> None:
        records = small_logs.tub_records(30)[: 10 * sessions]
        for record in records:
            record["_session_id"] = str(record["_index"] // 10)
        small_logs.write_tub(tmp_path / "tubs", records, deleted)

    lake = Lake(tmp_path / "lake")
    for sessions, deleted, known in ((2, (), 2), (3, (), 3), (3, (25,), 4), (3, (25, *range(10)), 4)):
        write(sessions, deleted)
        ingest(lake, "tub", tmp_path / "tubs")
        found = drives("tub", tmp_path / "tubs")
        assert {drive.id for drive in found.values()} <= {drive["id"] for drive in lake.drives()}
        assert len(lake.drives()) == known


def test_tub_a_folder_with_an_at_sign_is_a_tub_like_others(tmp_path: Path) -> None:
    records = small_logs.tub_records()
    for record in records[10:]:
        record["_session_id"] = "another"
    small_logs.write_tub(tmp_path / "trip@home", records)
    assert list(drives("tub", tmp_path)) == ["trip@home/data", "trip@home/data@10"]


# Real figures ---------------------------------------------------------------------------------------------------------


def test_comma2k19_figures(real: Callable[[str], dict[str, Drive]]) -> None:
    (drive,) = real("comma2k19").values()
    assert len(drive) == 1200 and drive.seconds == pytest.approx(59.95, abs=0.005)
    assert drive.facts["rates_hz"]["pose"] == pytest.approx(20.0, abs=0.05)
    assert drive.metres == pytest.approx(1011.8, rel=0.01)
    assert drive["speed"].min() == pytest.approx(8.0, abs=0.05) and drive["speed"].max() == pytest.approx(
        19.8, abs=0.05
    )
    own = np.hypot(np.gradient(drive["x"], drive.t_s), np.gradient(drive["y"], drive.t_s))
    assert np.abs(own - drive["speed"]).max() < 0.5
    turning = np.corrcoef(drive["yaw_rate"], drive["steering_wheel_angle"])[0, 1]
    assert turning > 0.7, "steering is positive to the left"
    course = np.arctan2(np.gradient(drive["y"]), np.gradient(drive["x"]))
    assert np.abs(np.median(wrap(course - drive["yaw"]))) < np.radians(0.1)
    assert drive.cameras == (), "preview.png is no film"


def test_tub_figures(real: Callable[[str], dict[str, Drive]]) -> None:
    (drive,) = real("tub").values()
    assert len(drive) == 1000 and drive.seconds == pytest.approx(49.95)
    assert -drive["steer"].max() == pytest.approx(-0.857, abs=5e-4) and -drive["steer"].min() == 1.0
    (camera,) = drive.cameras
    assert len(camera.pictures) == 1000 and camera.size == (160, 120) and not camera.calibrated
    assert camera.pictures.encoded(0)[1][:2] == b"\xff\xd8"


def test_scenarionet_figures(real: Callable[[str], dict[str, Drive]]) -> None:
    found = real("scenarionet")
    assert len(found) == 6
    for drive in found.values():
        assert 19.0 <= drive.seconds <= 20.0 and drive.facts["rates_hz"]["pose"] == 10.0
        assert drive.frame in ("boston-seaport", "singapore-onenorth", "singapore-queenstown")
        assert drive.map is not None and len(drive.map.lanes) >= 50 and drive.map.drivable
        area = shapely.union_all([shapely.Polygon(ring) for ring in drive.map.drivable])
        assert shapely.contains_xy(area, drive["x"], drive["y"]).all(), "the ego drove on the road"
        assert shapely.Polygon(drive.map.extent).contains(shapely.MultiPoint(drive.poses[:, :2]))


@pytest.mark.parametrize("name", ["scenarionet", "argoverse2"])
def test_the_human_hit_nobody_and_stayed_on_the_road(name: str, real: Callable[[str], dict[str, Drive]]) -> None:
    """Binds the ego's place and size, the objects' and the map's to each other."""
    for drive in real(name).values():
        assert drive.objects is not None and drive.map is not None
        objects, size = drive.objects, np.ones(len(drive))
        ego = compose(drive.poses, np.array([drive.vehicle.centre_x, 0, 0]))
        length, width = drive.vehicle.length * size, drive.vehicle.width * size
        others = np.stack([objects["x"], objects["y"], objects["yaw"]], axis=-1)
        i = objects.instant
        assert not overlap(ego[i], length[i], width[i], others, objects["length"], objects["width"]).any()
        road = shapely.union_all([shapely.Polygon(ring) for ring in drive.map.drivable])
        wheels = corners(ego, length, width)
        assert shapely.contains_xy(road.buffer(0.3), wheels[..., 0], wheels[..., 1]).all()
        lanes = shapely.union_all([shapely.Polygon(lane.polygon).buffer(0) for lane in drive.map.lanes])
        assert shapely.contains_xy(lanes, drive["x"], drive["y"]).all()


def test_scenarionet_the_ego_does_not_slip_sideways_at_its_rear_axle(real: Callable[[str], dict[str, Drive]]) -> None:
    drive = next(drive for drive in real("scenarionet").values() if drive.facts["scene"] == "scene-0061")
    step, heading = np.diff(drive.poses[:, :2], axis=0), drive["yaw"][:-1] + np.diff(drive["yaw"]) / 2
    sideways = (step[:, 1] * np.cos(heading) - step[:, 0] * np.sin(heading)) / 0.1
    ahead = np.linalg.lstsq(drive["yaw_rate"][:-1, None], sideways, rcond=None)[0][0]
    assert abs(ahead) < 0.3, "metres ahead of the rear axle"


def test_argoverse2_figures(real: Callable[[str], dict[str, Drive]]) -> None:
    found = real("argoverse2")
    assert [drive.frame for drive in found.values()] == ["MIA", "PIT"]
    for drive in found.values():
        assert 165 <= drive.facts["rates_hz"]["pose"] <= 170 and drive.facts["rates_hz"]["objects"] == 10.0
        assert drive.seconds == pytest.approx(15.55, abs=0.06)
        assert drive.objects is not None and drive.map is not None
        near = (
            np.hypot(
                drive.objects["x"] - drive["x"][drive.objects.instant],
                drive.objects["y"] - drive["y"][drive.objects.instant],
            )
            < 15
        )
        cars = near & (drive.objects["kind"] == Kind.CAR)
        bottom = drive.objects["z"][cars] - drive.objects["height"][cars] / 2
        assert abs(np.median(bottom)) < 0.15, "cars stand on the ground"
