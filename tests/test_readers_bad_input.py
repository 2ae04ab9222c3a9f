"""Bad logs: one clear line each, whatever is broken."""

from __future__ import annotations

import json
import os
import pickle
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import feather

from tests import small_logs
from tests.test_readers import NAMES, SETTINGS, WRITERS, drives
from understudy import plugins
from understudy.errors import DataError
from understudy.ingest import ingest
from understudy.readers import restricted_pickle
from understudy.readers.images import ImageFiles, image_size
from understudy.readers.tub import Tub
from understudy.records import Drive
from understudy.store import Lake


def only_key(name: str, root: Path) -> tuple[Any, str]:
    reader = plugins.make("reader", name, SETTINGS.get(name))
    (key,) = reader.scan(root)
    return reader, key


def complaint(name: str, root: Path) -> str:
    """What a reader says of the only log under a folder."""
    reader, key = only_key(name, root)
    with pytest.raises(DataError) as caught:
        reader.read(root, key)
    said = str(caught.value)
    assert "\n" not in said and len(said) < 600
    return said


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_folder_is_told_what_a_right_one_looks_like(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found none; expected"):
        list(plugins.make("reader", name).scan(tmp_path))


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        list(plugins.make("reader", name).scan(tmp_path / "nowhere"))


@pytest.mark.parametrize("name", NAMES)
def test_another_formats_folder_is_a_wrong_folder(name: str, tmp_path: Path) -> None:
    for other in NAMES:
        if other != name:
            WRITERS[other](tmp_path / other)
    with pytest.raises(DataError, match="found none; expected"):
        list(plugins.make("reader", name).scan(tmp_path))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["..", "../..", "/etc", "no-such-drive"])
def test_a_key_does_not_lead_out_of_the_folder(name: str, key: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / "logs")
    with pytest.raises(DataError):
        plugins.make("reader", name, SETTINGS.get(name)).read(tmp_path / "logs", key)


@pytest.mark.parametrize("name", NAMES)
def test_any_file_cut_short_is_one_line_or_does_no_harm(name: str, tmp_path: Path) -> None:
    """A picture is only missed when it is asked for; any other file of the log is."""
    WRITERS[name](tmp_path)
    reader, key = only_key(name, tmp_path)
    shuffle = random.Random(4)
    for path in sorted(path for path in tmp_path.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        for keep in (0, len(whole) // 3, len(whole) - 1, shuffle.randrange(len(whole))):
            path.write_bytes(whole[:keep])
            harmless(reader, tmp_path, key)
        damaged = bytearray(whole)
        for _ in range(8):
            damaged[shuffle.randrange(len(damaged))] = shuffle.randrange(256)
        path.write_bytes(damaged)
        harmless(reader, tmp_path, key)
        path.unlink()
        harmless(reader, tmp_path, key)
        path.write_bytes(whole)
    assert isinstance(reader.read(tmp_path, key), Drive)


def harmless(reader: Any, root: Path, key: str) -> None:
    """Scanning and reading give a drive or a DataError of one line, nothing else."""
    for do in (lambda: list(reader.scan(root)), lambda: reader.fingerprint(root, key), lambda: reader.read(root, key)):
        try:
            do()
        except DataError as error:
            assert "\n" not in str(error)


# Poses and time -------------------------------------------------------------------------------------------------------


def edit_scenario(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    said = small_logs.scenario()
    change(said)
    small_logs.write_scenarionet(root, said)


def edit_array(root: Path, name: str, change: Callable[[Any], None]) -> None:
    path = small_logs.write_comma2k19(root) / name
    values = np.load(path)
    change(values)
    with path.open("wb") as stream:
        np.save(stream, values)


def edit_table(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = small_logs.write_argoverse2(root) / "city_SE3_egovehicle.feather"
    table = feather.read_table(path)
    columns = {name: table.column(name).to_numpy().copy() for name in table.column_names}
    change(columns)
    small_logs.write_table(path, columns)


def swap(values: Any) -> None:
    values[[20, 21]] = values[[21, 20]]


def test_time_that_runs_backwards_is_said_with_its_row(tmp_path: Path) -> None:
    edit_scenario(tmp_path / "s", lambda said: swap(said["metadata"]["ts"]))
    edit_array(tmp_path / "c", "global_pose/frame_times", swap)
    edit_table(tmp_path / "a", lambda columns: swap(columns["timestamp_ns"]))
    for name, row in (("scenarionet", "row 21"), ("comma2k19", "frame 21"), ("argoverse2", "pose 21")):
        assert f"time goes backwards at {row}" in complaint(name, tmp_path / name[0])
    records = small_logs.tub_records()
    records[12]["_timestamp_ms"] -= 200
    small_logs.write_tub(tmp_path / "t", records)
    with pytest.raises(DataError, match=r"stamps go backwards.*--set rate_hz=20"):
        plugins.make("reader", "tub").read(tmp_path / "t", "data")


HOLES = [0, 1, 10, 11, -1]


def test_poses_that_are_nan_are_dropped_at_the_ends_and_kept_as_holes_inside(tmp_path: Path) -> None:
    def blank(values: Any) -> None:
        values[HOLES] = np.nan

    edit_scenario(tmp_path / "s", lambda said: blank(said["tracks"]["ego"]["state"]["position"]))
    edit_array(tmp_path / "c", "global_pose/frame_positions", blank)
    for name in ("scenarionet", "comma2k19"):
        WRITERS[name](tmp_path / name)
        (whole,) = drives(name, tmp_path / name).values()
        (drive,) = drives(name, tmp_path / name[0]).values()
        assert len(drive) == len(whole) - 3 and drive.facts["nan_poses"] == 2
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(drive["x"])), [8, 9])
        assert np.isfinite(drive["accel"][:8]).all() and np.isnan(drive["accel"][8])
        assert drive.objects is not None and np.isfinite(drive.objects["x"]).all()


def test_argoverse2_nan_poses_are_passed_over_unless_they_leave_a_hole(tmp_path: Path) -> None:
    def blank(columns: dict[str, Any]) -> None:
        columns["tx_m"][[3, 200, *range(300, 340)]] = np.nan

    edit_table(tmp_path, blank)
    (drive,) = drives("argoverse2", tmp_path).values()
    assert drive.facts["nan_poses"] == 42
    for name in ("x", "speed", "accel", "yaw_rate"):
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(drive[name])), [30, 31, 32, 33])
    assert drive.objects is not None and np.isfinite(drive.objects["x"]).all()
    np.testing.assert_array_equal(np.diff(drive.objects.starts)[28:36], [2, 2, 0, 0, 0, 0, 2, 2])


def test_poses_that_are_all_nan_are_said_so(tmp_path: Path) -> None:
    edit_scenario(tmp_path / "s", lambda said: said["tracks"]["ego"]["state"]["position"].fill(np.nan))
    assert "is known in 0 rows" in complaint("scenarionet", tmp_path / "s")
    edit_array(tmp_path / "c", "global_pose/frame_positions", lambda values: values.fill(np.nan))
    assert "0 of its poses are numbers" in complaint("comma2k19", tmp_path / "c")


# Pictures and paths ---------------------------------------------------------------------------------------------------


def test_a_missing_picture_is_named_when_it_is_asked_for(tmp_path: Path) -> None:
    tub = small_logs.write_tub(tmp_path)
    (tub / "images/7_cam_image_array_.jpg").unlink()
    (tub / "images/8_cam_image_array_.jpg").write_bytes(b"\xff\xd8 no picture")
    small_logs.picture(9, size=(20, 10)).save(tub / "images/9_cam_image_array_.jpg")
    (drive,) = drives("tub", tmp_path).values()
    pictures = drive.cameras[0].pictures
    assert pictures.read(np.array([6])).shape == (1, 24, 32, 3)
    for index, said in ((7, "there is no such file"), (8, "no picture that can be read"), (9, "20 x 10")):
        with pytest.raises(DataError, match=f"{said}.*{index}_cam_image_array_.jpg"):
            pictures.read(np.array([6, index]))
    with pytest.raises(DataError, match=r"7_cam_image_array_\.jpg"):
        pictures.encoded(7)


def test_a_tub_whose_first_picture_is_damaged_is_as_large_as_the_next(tmp_path: Path) -> None:
    tub = small_logs.write_tub(tmp_path)
    (tub / "images/0_cam_image_array_.jpg").write_bytes(b"")
    (drive,) = drives("tub", tmp_path).values()
    assert drive.cameras[0].size == (32, 24) and len(drive.cameras[0].pictures) == 30


def test_a_tub_without_pictures_has_no_camera(tmp_path: Path) -> None:
    tub = small_logs.write_tub(tmp_path)
    for path in (tub / "images").iterdir():
        path.unlink()
    (drive,) = drives("tub", tmp_path).values()
    assert drive.cameras == () and "steer" in drive


@pytest.mark.parametrize("name", ["../../secret.jpg", "/etc/passwd", "a/../../../secret.jpg", "nul\0.jpg"])
def test_a_picture_name_that_leads_out_of_the_tub_is_refused(name: str, tmp_path: Path) -> None:
    records = small_logs.tub_records()
    records[5]["cam/image_array"] = name
    small_logs.write_tub(tmp_path / "tubs", records)
    small_logs.picture(0).save(tmp_path / "secret.jpg")
    assert "leads out of the log's folder" in complaint("tub", tmp_path / "tubs")


def test_a_link_that_leads_out_of_the_tub_is_refused(tmp_path: Path) -> None:
    tub = small_logs.write_tub(tmp_path / "tubs")
    small_logs.picture(0).save(tmp_path / "secret.jpg")
    path = tub / "images/5_cam_image_array_.jpg"
    path.unlink()
    path.symlink_to(tmp_path / "secret.jpg")
    assert "leads out of the log's folder" in complaint("tub", tmp_path / "tubs")


def test_a_catalog_name_that_leads_out_of_the_tub_is_refused(tmp_path: Path) -> None:
    tub = small_logs.write_tub(tmp_path)
    manifest = (tub / "manifest.json").read_text().replace("catalog_1.catalog", "../catalog_1.catalog")
    (tub / "manifest.json").write_text(manifest)
    assert "leads out of the log's folder" in complaint("tub", tmp_path)


# The tub's clock ------------------------------------------------------------------------------------------------------


def test_stamps_of_a_conversion_are_refused_with_what_to_type(tmp_path: Path) -> None:
    small_logs.write_tub(tmp_path, small_logs.tub_records(step_ms=3))
    reader = plugins.make("reader", "tub")
    (key,) = reader.scan(tmp_path)
    with pytest.raises(DataError, match=r"are 3 ms apart.*--set rate_hz=20"):
        reader.read(tmp_path, key)
    assert plugins.make("reader", "tub", {"rate_hz": 20}).read(tmp_path, key).seconds == pytest.approx(29 / 20)


@pytest.mark.parametrize("rate", [0.0, -20.0, float("nan")])
def test_a_rate_that_is_none_is_refused(rate: float, tmp_path: Path) -> None:
    small_logs.write_tub(tmp_path)
    with pytest.raises(DataError, match="is no rate"):
        Tub(rate_hz=rate).read(tmp_path, "data")


def test_a_broken_tub_does_not_keep_others_from_being_found(tmp_path: Path) -> None:
    small_logs.write_tub(tmp_path / "good")
    bad = small_logs.write_tub(tmp_path / "bad")
    (bad / "manifest.json").write_text("[]\n[]\n")
    reader = plugins.make("reader", "tub")
    assert list(reader.scan(tmp_path)) == ["bad/data", "good/data"]
    with pytest.raises(DataError, match="found 2 JSON lines, expected 5"):
        reader.read(tmp_path, "bad/data")


def test_a_record_that_is_no_json_is_named_by_its_line(tmp_path: Path) -> None:
    catalog = small_logs.write_tub(tmp_path) / "catalog_1.catalog"
    lines = catalog.read_text().splitlines()
    lines[3] = lines[3][:20]
    catalog.write_text("\n".join(lines))
    assert "line 4 holds no record" in complaint("tub", tmp_path)


# Pickles --------------------------------------------------------------------------------------------------------------


class Malicious:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call = call, arguments

    def __reduce__(self) -> Any:
        return self.call


def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("alive")
    for number, evil in enumerate(
        (
            Malicious(os.remove, str(victim)),
            Malicious(eval, f"__import__('os').remove({str(victim)!r})"),
            Malicious(getattr, "x", "__class__"),
            Malicious(np.load, str(victim)),
            Malicious(np.lib.format.open_memmap, str(victim)),
        )
    ):
        small_logs.write_scenarionet(tmp_path / str(number), {"metadata": evil})
        assert "only numbers, text and numpy arrays" in complaint("scenarionet", tmp_path / str(number))
    assert victim.read_text() == "alive"


@pytest.mark.parametrize(
    "arguments",
    [
        ((1,), np.dtype("O"), b"AAAAAAAA"),  # an array of objects, with addresses out of the file
        ((1,), np.dtype({"names": ["a"], "formats": ["O"], "itemsize": 8}), b"AAAAAAAA"),
        ((1 << 20,), np.dtype("f8"), b"AAAAAAAA"),
    ],
)
def test_a_pickle_gives_no_addresses_in_memory(arguments: tuple[Any, ...], tmp_path: Path) -> None:
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Malicious(np.ndarray, *arguments)))
    with pytest.raises(DataError, match="reading a pickle"):
        restricted_pickle.load(tmp_path / "evil.pkl")


@pytest.mark.parametrize("shape", [(5,), (100_000,), (2, 3), (-1,), (True,), 1])
def test_an_array_of_objects_in_a_pickle_is_as_long_as_it_says(shape: Any, tmp_path: Path) -> None:
    """numpy reads on in memory where the list is shorter than the shape."""

    class Array:
        def __reduce__(self) -> Any:
            made = np.empty(0).__reduce__()
            return made[0], made[1], (1, shape, np.dtype("O"), False, [1])

    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Array()))
    with pytest.raises(DataError, match="reading a pickle"):
        restricted_pickle.load(tmp_path / "evil.pkl")
    honest = np.array([[1, None], ["a", 2.5]], object)
    (tmp_path / "honest.pkl").write_bytes(pickle.dumps(honest))
    assert restricted_pickle.load(tmp_path / "honest.pkl").tolist() == honest.tolist()


def test_text_in_a_pickle_is_not_made_of_lists_in_lists(tmp_path: Path) -> None:
    nested: Any = []
    for _ in range(60):
        nested = [nested, nested]
    for call in (str, np.dtype):
        (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Malicious(call, nested)))
        with pytest.raises(DataError, match="reading a pickle"):
            restricted_pickle.load(tmp_path / "evil.pkl")


@pytest.mark.parametrize("kind", ["V8", "O"])
def test_a_type_of_a_pickle_hides_no_objects(kind: str, tmp_path: Path) -> None:
    """A type whose state says that an object lies in it, or beyond its end, though its flags do not."""

    def text(word: str) -> bytes:
        return b"X" + struct.pack("<I", len(word)) + word.encode()

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    inner = b"cnumpy\ndtype\n(" + text("O") + b"tR"
    outer = b"cnumpy\ndtype\n(" + text(kind) + b"tR("
    fields = b"(" + text("a") + b"t}" + text("a") + b"(" + inner + number(10**8) + b"ts"
    state = number(3) + text("|") + b"N" + fields + number(8) + number(1) + number(0) + b"t"
    (tmp_path / "evil.pkl").write_bytes(b"\x80\x04" + outer + state + b"b.")
    with pytest.raises(DataError, match="reading a pickle"):
        restricted_pickle.load(tmp_path / "evil.pkl")


def test_a_pickle_cannot_alter_what_it_is_read_with(tmp_path: Path) -> None:
    """The state of an object may carry attributes to set: on ours none can be set."""
    path = tmp_path / "evil.pkl"
    for target in ("numpy.core.numeric _frombuffer", "numpy ndarray", "collections defaultdict", "builtins dict"):
        module, name = target.split()
        path.write_bytes(f"c{module}\n{name}\n(N(dVfoo\nVbar\nstb.".encode())
        with pytest.raises(DataError):
            restricted_pickle.load(path)


nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=8,
)


PROTOCOLS = range(3, pickle.HIGHEST_PROTOCOL + 1)  # before the third, bytes were text in disguise


@settings(max_examples=60, deadline=None)
@given(said=nested, protocol=st.sampled_from(PROTOCOLS))
def test_a_pickle_of_data_is_read_as_it_was_written(
    said: Any, protocol: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("pickles") / "data.pkl"
    path.write_bytes(pickle.dumps(said, protocol))
    assert restricted_pickle.load(path) == said


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "bool", "U3", "M8[ns]", "O"])
def test_a_pickle_of_arrays_is_read_as_it_was_written(protocol: int, dtype: str, tmp_path: Path) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    path = tmp_path / "array.pkl"
    path.write_bytes(pickle.dumps({"array": array, "turned": array.T, "scalar": np.float64(2.5)}, protocol))
    found = restricted_pickle.load(path)
    np.testing.assert_array_equal(found["array"], array, strict=True)
    np.testing.assert_array_equal(found["turned"], array.T)
    assert found["scalar"] == 2.5


@settings(max_examples=80, deadline=None)
@given(data=st.binary(max_size=60))
def test_any_bytes_are_a_pickle_or_one_line(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("bytes") / "data.pkl"
    path.write_bytes(data)
    try:
        restricted_pickle.load(path)
    except DataError as error:
        assert "\n" not in str(error)


def test_a_pickle_of_something_else_says_what_is_missing(tmp_path: Path) -> None:
    small_logs.write_scenarionet(tmp_path, {"hello": 1})
    assert "'id' is missing" in complaint("scenarionet", tmp_path)
    small_logs.write_scenarionet(tmp_path, json.loads("[1, 2]"))
    complaint("scenarionet", tmp_path)


# Names, links and tables that lead elsewhere --------------------------------------------------------------------------


def test_a_table_whose_offsets_lead_out_of_it_is_one_line(tmp_path: Path) -> None:
    path = small_logs.write_argoverse2(tmp_path) / "annotations_with_ego.feather"
    table = feather.read_table(path)
    feather.write_feather(table, path, compression="uncompressed")
    data = bytearray(path.read_bytes())
    lengths = [len(word) for word in table.column("category").to_pylist()]
    at = data.find(np.cumsum([0, *lengths]).astype("<i4").tobytes()[:40]) + 4 * len(lengths)
    data[at : at + 4] = (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(data)
    assert "reading a feather table" in complaint("argoverse2", tmp_path)


def test_a_picture_that_is_a_link_out_of_the_log_is_refused(tmp_path: Path) -> None:
    log = small_logs.write_argoverse2(tmp_path / "logs", cameras=True)
    picture = next(log.glob("sensors/cameras/*/*.jpg"))
    private = picture.rename(tmp_path / "private.jpg")
    picture.symlink_to(private)
    reader, key = only_key("argoverse2", tmp_path / "logs")
    with pytest.raises(DataError, match="leads out of the log's folder"):
        reader.fingerprint(tmp_path / "logs", key)


def test_a_folder_that_is_a_link_out_of_the_log_is_refused(tmp_path: Path) -> None:
    segment = small_logs.write_comma2k19(tmp_path / "logs")
    (segment / "global_pose").symlink_to((segment / "global_pose").rename(tmp_path / "private"))
    assert "refused global_pose: it leads out of the log's folder" in complaint("comma2k19", tmp_path / "logs")


@pytest.mark.parametrize("name", ["global_pose/frame_positions", "processed_log/CAN/speed/t"])
@pytest.mark.parametrize("content", [b"PK\x03\x04 junk", b'\x93NUMPY\x01\x00\x10\x00{\'descr\': """   \n'])
def test_an_array_that_begins_like_something_else_is_one_line(name: str, content: bytes, tmp_path: Path) -> None:
    (small_logs.write_comma2k19(tmp_path) / name).write_bytes(content)
    assert "reading a numpy array: " in complaint("comma2k19", tmp_path)


def test_a_lane_without_end_is_refused_before_it_is_sampled(tmp_path: Path) -> None:
    path = next(small_logs.write_argoverse2(tmp_path).glob("map/*.json"))
    archive = json.loads(path.read_text())
    archive["lane_segments"]["1"]["left_lane_boundary"][0]["x"] = 1e9
    path.write_text(json.dumps(archive))
    assert "lane 1 is 1e+09 m long, expected 10000 at most" in complaint("argoverse2", tmp_path)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 24\n%%EndComments\nshowpage\n%%EOF\n"


def test_a_program_that_is_named_like_a_picture_is_none(tmp_path: Path) -> None:
    path = tmp_path / "program.jpg"
    path.write_bytes(EPS)
    for look in (image_size, lambda one: ImageFiles((one,), (32, 24)).read(np.array([0])), _encoded):
        with pytest.raises(DataError, match="it is no picture that can be read"):
            look(path)


def _encoded(path: Path) -> Any:
    return ImageFiles((path,), (32, 24)).encoded(0)


def test_a_name_that_is_no_utf8_fails_by_itself(tmp_path: Path) -> None:
    root = small_logs.write_tub(tmp_path / "good").parent
    os.rename(small_logs.write_tub(tmp_path / "other"), os.fsencode(root) + b"/caf\xe9")
    lake = Lake(tmp_path / "lake")
    report = ingest(lake, "tub", root)
    assert len(report.made) == 1 and [*report.failures] == ["caf\\xe9"] and len(lake.drives()) == 1
