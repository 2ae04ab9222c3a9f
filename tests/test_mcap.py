"""Drives of ours in MCAP: what was written is read, viewers accept the file, and no damage gets past the reader."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory
from PIL import Image

from tests.conftest import steady_turn
from understudy import plugins
from understudy.errors import DataError, UnderstudyError
from understudy.readers.mcap import Mcap
from understudy.readers.mcap.container import open_container
from understudy.recorder import Recorder, unseen, write
from understudy.records import (
    COLUMNS,
    OBJECT_COLUMNS,
    OPTIONAL_OBJECT_COLUMNS,
    PLAN_STEPS,
    Array,
    Camera,
    Drive,
    Event,
    Ints,
    Kind,
    Lane,
    Lights,
    Map,
    Marking,
    Objects,
    Plan,
    Rig,
    Shadow,
    Truth,
    Vehicle,
)


@dataclasses.dataclass(frozen=True)
class Bytes:
    """Pictures that are nothing but bytes."""

    stored: tuple[tuple[str, bytes], ...]

    def __len__(self) -> int:
        return len(self.stored)

    def read(self, indices: Ints) -> Array:
        opened = [Image.open(io.BytesIO(self.stored[index][1])).convert("RGB") for index in indices]
        return np.stack([np.asarray(picture) for picture in opened])

    def encoded(self, index: int) -> tuple[str, bytes]:
        return self.stored[index]


def picture(shade: int, form: str = "jpeg", size: tuple[int, int] = (32, 16)) -> tuple[str, bytes]:
    out = io.BytesIO()
    Image.new("RGB", size, (shade % 256, 40, 90)).save(out, form)
    return form, out.getvalue()


def same(one: Any, other: Any, where: str = "drive") -> None:
    """Equal to the last bit: values, dtypes, what is unknown, and the bytes of pictures."""
    if isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray) and one.dtype == other.dtype, where
        np.testing.assert_array_equal(one, other, err_msg=where)
        assert np.array_equal(np.signbit(one), np.signbit(other)) or one.dtype.kind != "f" or np.isnan(one).any(), where
    elif dataclasses.is_dataclass(one) and not isinstance(one, Bytes):
        assert type(one) is type(other), where
        for field in dataclasses.fields(one):
            same(getattr(one, field.name), getattr(other, field.name), f"{where}.{field.name}")
    elif hasattr(one, "encoded"):
        assert [one.encoded(i) for i in range(len(one))] == [other.encoded(i) for i in range(len(other))], where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for name, value in one.items():
            same(value, other[name], f"{where}.{name}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, pair in enumerate(zip(one, other, strict=True)):
            same(*pair, f"{where}[{index}]")
    else:
        assert one == other or (one != one and other != other), where


def there_and_back(drive: Drive, folder: Path, viewers: bool = True) -> Drive:
    write(drive, folder / "drive.mcap", viewers)
    return Mcap().read(folder, "drive.mcap")


def a_town() -> Map:
    line = np.array([[0.0, 0.0], [10.0, 0.1], [1 / 3, -20.0]])
    return Map(
        lanes=(
            Lane("a", line, line + 1, left=line, successors=("b",), speed_limit=13.9, junction=True),
            Lane("b", line * 2, line, predecessors=("a",), right_lane="a", kind="bus"),
        ),
        drivable=(line, line * 3),
        crosswalks=(line,),
        stop_lines=(line[:2],),
        markings=(Marking(line, "dashed", "yellow"), Marking(line, "kerb")),
        extent=line * 9,
    )


def rows(count: int, instants: int, seed: int = 0) -> Objects:
    """`count` objects at each instant."""
    rng = np.random.default_rng(seed)
    words = OBJECT_COLUMNS | OPTIONAL_OBJECT_COLUMNS
    columns = {name: rng.normal(size=count * instants) for name, (dtype, _, _) in words.items() if dtype == "float64"}
    columns["vx"][::3] = np.nan
    kinds = rng.integers(0, 12, count * instants)
    tracks = np.tile(np.arange(count), instants)
    return Objects(np.arange(instants + 1) * count, {**columns, "track": tracks, "kind": kinds})


def whole_drive(instants: int = 12) -> Drive:
    """A drive that has something of everything."""
    t_ns = np.arange(instants, dtype=np.int64) * 100_000_000 + 1_700_000_000_123_456_789
    rng = np.random.default_rng(1)
    floats = {name: rng.normal(size=instants) for name, (dtype, _, _) in COLUMNS.items() if dtype == "float64"}
    floats["leader_gap"][::2] = np.nan
    floats["leader_speed"][3] = np.inf
    poses = rng.normal(size=(instants, 2, PLAN_STEPS, 4))
    poses[2] = np.nan
    lights = Lights(("a", "null"), np.array([[1.0, 2.0, 3.0], [np.nan] * 3]), rng.integers(0, 3, (instants, 2)))
    pictures = Bytes(tuple(picture(i, ("jpeg", "png")[i % 2]) for i in range(instants)))
    mount = np.array([[0.0, 0, 1, 1.5], [-1, 0, 0, 0], [0, -1, 0, 1.4], [0, 0, 0, 1]])
    K = np.array([[30.0, 0, 16], [0, 30, 8], [0, 0, 1]])
    return Drive(
        id="somewhere/3",
        t_ns=t_ns,
        columns={
            **floats,
            "who_drives": rng.integers(0, 4, instants),
            "pushed": rng.integers(0, 2, instants),
            "command": rng.integers(0, 5, instants),
            "place": rng.integers(0, 2, instants),
            "leader_track": rng.integers(-1, 2**62, instants),
            "battery": rng.normal(size=instants).astype(np.float32),
        },
        vehicle=Vehicle(length=4.0, wheelbase=2.5),
        cameras=(
            Camera("front", (32, 16), t_ns - 7, pictures, K, mount, "brown", (0.1, 0.0, 0.0, 0.0, 0.01)),
            Camera("rear", (32, 16), t_ns[:0], Bytes(())),
        ),
        objects=rows(5, instants),
        lights=lights,
        map=a_town(),
        frame="town:3",
        route=("a", "b"),
        places=("here", "there"),
        derived=frozenset({"command"}),
        truth=Truth(rows(7, instants), lights, (Event("somewhere/3", int(t_ns[0]), int(t_ns[5]), 0.5, "cut_in"),)),
        shadows={
            "idm": Shadow(
                "lane_follow",
                Plan(poses, rng.random((instants, 2)), rng.random(instants), rng.random((instants, 4), np.float32)),
                {"displacement": rng.normal(size=instants)},
            )
        },
        facts={"town": "grid:3", "rates_hz": {"pose": 10.0}, "weather": ["rain", 0.3, None], "cars": 8},
    )


# Written and read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("viewers", [True, False])
def test_what_is_written_is_read(tmp_path: Path, viewers: bool) -> None:
    drive = whole_drive()
    same(drive, there_and_back(drive, tmp_path, viewers))


FLOATS = st.floats(width=64) | st.sampled_from([0.0, -0.0, 5e-324, 1.7976931348623157e308, 1 / 3])
DTYPES = st.sampled_from(["float64", "float32", "bool", "int8", "int64", "uint64"])


def columns_of(length: int) -> st.SearchStrategy[dict[str, Array]]:
    def values(name: str) -> st.SearchStrategy[Array]:
        dtype = st.just(COLUMNS[name][0]) if name in COLUMNS else DTYPES
        return dtype.flatmap(lambda one: arrays.arrays(one, length, elements=FLOATS if one == "float64" else None))

    names = st.lists(st.sampled_from([*COLUMNS, "own_one", "own_two"]), unique=True)
    return names.flatmap(lambda some: st.fixed_dictionaries({name: values(name) for name in some}))


def objects_of(length: int) -> st.SearchStrategy[Objects]:
    def of(counts: list[int]) -> st.SearchStrategy[Objects]:
        total = sum(counts)
        kinds = {name: dtype for name, (dtype, _, _) in OBJECT_COLUMNS.items()}
        parts = {
            name: arrays.arrays(dtype, total, elements=FLOATS if dtype == "float64" else None)
            for name, dtype in kinds.items()
        }
        parts["track"] = arrays.arrays("int64", total, elements=st.integers(0, 2**63 - 1))
        parts["kind"] = arrays.arrays("int8", total, elements=st.sampled_from([*Kind]).map(int))
        starts = np.concatenate([[0], np.cumsum(counts)])
        return st.fixed_dictionaries(parts).map(lambda columns: Objects(starts, columns))

    return st.lists(st.integers(0, 3), min_size=length, max_size=length).flatmap(of)


def lights_of(length: int) -> st.SearchStrategy[Lights]:
    def of(lanes: list[str]) -> st.SearchStrategy[Lights]:
        heads = arrays.arrays(np.float64, (len(lanes), 3), elements=FLOATS)
        state = arrays.arrays(np.int8, (length, len(lanes)), elements=st.integers(0, 4))
        return st.builds(Lights, st.just(tuple(lanes)), heads, state)

    return st.lists(st.text(max_size=4), max_size=3).flatmap(of)


@st.composite
def drives(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Drive:
    length = draw(st.integers(1, 5))
    stamps = st.lists(st.integers(0, 2**62), min_size=length, max_size=length, unique=True)
    shots = draw(st.lists(st.integers(0, 2**62), max_size=4, unique=True))
    stored = tuple((draw(st.sampled_from(["jpeg", "png"])), draw(st.binary(max_size=20))) for _ in shots)
    return Drive(
        id=draw(st.text(max_size=5)),
        t_ns=np.array(sorted(draw(stamps)), np.int64),
        columns=draw(columns_of(length)),
        cameras=draw(st.sampled_from([(), (Camera("c", (4, 2), np.array(sorted(shots), np.int64), Bytes(stored)),)])),
        objects=draw(st.none() | objects_of(length)),
        lights=draw(st.none() | lights_of(length)),
        map=draw(st.sampled_from([None, Map(()), a_town()])),
        truth=draw(st.none() | st.builds(Truth, st.none() | objects_of(length), st.none() | lights_of(length))),
        facts=draw(
            st.dictionaries(st.text(max_size=3), st.none() | st.integers(-9, 9) | st.text(max_size=3), max_size=3)
        ),
    )


@settings(max_examples=60, deadline=None)
@given(drive=drives(), viewers=st.booleans())
def test_any_drive_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, drive: Drive, viewers: bool
) -> None:
    same(drive, there_and_back(drive, tmp_path_factory.mktemp("mcap"), viewers))


@pytest.mark.parametrize("reader", ["scenarionet", "argoverse2", "comma2k19"])
def test_real_drives_are_read_as_they_were_written(tmp_path: Path, shared_data: Path, reader: str) -> None:
    logs = plugins.make("reader", reader)
    drive = logs.read(shared_data / reader, next(iter(logs.scan(shared_data / reader))))
    same(drive, there_and_back(drive, tmp_path))


def test_a_column_that_a_log_lacks_is_absent_and_not_zero(tmp_path: Path, arc: Drive) -> None:
    drive = there_and_back(arc, tmp_path)
    assert "steer" not in drive and drive.objects is None and drive.map is None and drive.truth is None


def test_pictures_decode_only_when_asked_and_each_chunk_once(
    tmp_path: Path, arc: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (len(arc), 64, 128, 3), np.uint8)
    shots = []
    for pixels in noise:
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "png")
        shots.append(("png", out.getvalue()))
    write(replace(arc, cameras=(Camera("front", (128, 64), arc.t_ns, Bytes(tuple(shots))),)), tmp_path / "a.mcap")
    drive = Mcap().read(tmp_path, "a.mcap")
    container = drive.cameras[0].pictures.container  # type: ignore[attr-defined]
    unpacked: list[int] = []
    plain = type(container)._unpacked

    def counted(self: Any, offset: int) -> bytes:
        if all(at != offset for at, _ in self._held):
            unpacked.append(offset)
        return bytes(plain(self, offset))

    monkeypatch.setattr(type(container), "_unpacked", counted)
    for index in range(len(arc)):
        assert np.array_equal(drive.cameras[0].pictures.read(np.array([index]))[0], noise[index])
    assert 1 < len(unpacked) == len(set(unpacked)) < len(arc) / 10


# A drive in pieces ----------------------------------------------------------------------------------------------------


def test_pieces_make_the_same_drive_as_the_whole(tmp_path: Path) -> None:
    drive = whole_drive()
    with Recorder(tmp_path / "drive.mcap") as recorder:
        for start, stop in ((0, 1), (1, 7), (7, 12)):
            recorder.append(drive.slice(start, stop))
    same(drive, Mcap().read(tmp_path, "drive.mcap"))


def test_pictures_come_one_by_one_and_facts_at_the_end(tmp_path: Path, arc: Drive) -> None:
    rig = Rig(("front",), np.array([[32, 16]]), np.eye(3)[None], np.eye(4)[None], ("none",), ((),))
    with Recorder(tmp_path / "drive.mcap") as recorder:
        for index in range(len(arc)):
            piece = arc.slice(index, index + 1)
            recorder.append(replace(piece, cameras=unseen(rig), facts={"instants": index + 1}))
            recorder.picture("front", int(arc.t_ns[index]), *picture(index))
    drive = Mcap().read(tmp_path, "drive.mcap")
    assert drive.facts == {"instants": len(arc)}
    assert drive.cameras[0].pictures.encoded(5) == picture(5) and drive.cameras[0].calibrated
    assert np.array_equal(drive.cameras[0].t_ns, arc.t_ns)
    same(drive.columns, dict(arc.columns))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda piece: replace(piece, t_ns=piece.t_ns - 10**9), "time goes backwards"),
        (lambda piece: replace(piece, columns={"x": piece["x"]}), "differs from the first in accel"),
        (lambda piece: replace(piece, objects=rows(1, len(piece))), r"differs from the first in objects\.brake_light"),
    ],
)
def test_a_piece_that_does_not_continue_the_drive_is_refused(
    tmp_path: Path, arc: Drive, spoil: Callable[[Drive], Drive], said: str
) -> None:
    with pytest.raises(DataError, match=said), Recorder(tmp_path / "drive.mcap") as recorder:
        recorder.append(arc.slice(0, 10))
        recorder.append(spoil(arc.slice(10, 20)))
    assert not list(tmp_path.iterdir())


def test_an_error_discards_the_recording_whole(tmp_path: Path, arc: Drive) -> None:
    write(arc, tmp_path / "drive.mcap")
    before = (tmp_path / "drive.mcap").read_bytes()
    with pytest.raises(RuntimeError, match="SUMO died"), Recorder(tmp_path / "drive.mcap") as recorder:
        recorder.append(arc)
        raise RuntimeError("SUMO died")
    assert [path.name for path in tmp_path.iterdir()] == ["drive.mcap"]
    assert (tmp_path / "drive.mcap").read_bytes() == before


def test_a_killed_recorder_leaves_nothing_that_is_taken_for_a_drive(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; import numpy as np\n"
        "from understudy.records import Drive; from understudy.recorder import Recorder\n"
        "with Recorder(Path(sys.argv[1])) as recorder:\n"
        "    recorder.append(Drive('d', np.arange(9), {'x': np.zeros(9)})); os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, tmp_path / "drive.mcap"], check=False)
    assert ended.returncode == -9 and [path.suffix for path in tmp_path.iterdir()] == [".partial"]
    with pytest.raises(DataError, match="found none; expected MCAP files"):
        list(Mcap().scan(tmp_path))


def test_a_full_disk_discards_the_recording_and_says_so(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; import numpy as np\n"
        "from understudy.errors import UnderstudyError\n"
        "from understudy.records import Drive; from understudy.recorder import write\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try: write(Drive('d', np.arange(5000), {'x': np.random.default_rng(0).random(5000)}), Path(sys.argv[1]))\n"
        "except UnderstudyError as error: print(error)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "drive.mcap"], check=True, capture_output=True, text=True
    )
    assert ended.stdout.startswith("recording a drive: File too large; in ") and not ended.stderr
    assert not list(tmp_path.iterdir())


def test_a_recording_without_instants_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no instants"), Recorder(tmp_path / "drive.mcap"):
        pass
    assert not list(tmp_path.iterdir())


def test_time_before_1970_is_refused_because_mcap_has_none(tmp_path: Path, arc: Drive) -> None:
    early = Camera("front", (32, 16), np.array([-1, 5]), Bytes((picture(0), picture(1))))
    for drive in (replace(arc, t_ns=arc.t_ns - 1), replace(arc, cameras=(early,))):
        with pytest.raises(DataError, match="MCAP's time begins at 0"):
            write(drive, tmp_path / "drive.mcap")


def test_the_same_drive_makes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(whole_drive(), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


# What others make of it -----------------------------------------------------------------------------------------------


def messages_of(path: Path) -> dict[str, list[Any]]:
    """Every message by topic, decoded as a stranger would: protobuf by the file's own schemas, JSON as JSON."""
    found: dict[str, list[Any]] = {}
    factory = DecoderFactory()
    with path.open("rb") as file:
        for schema, channel, message in make_reader(file, validate_crcs=True).iter_messages():
            assert schema is not None
            decode = factory.decoder_for(channel.message_encoding, schema) or json.loads
            found.setdefault(channel.topic, []).append(decode(message.data))
    return found


def test_foxgloves_schema_package_reads_every_message(tmp_path: Path) -> None:
    write(whole_drive(), tmp_path / "drive.mcap")
    with (tmp_path / "drive.mcap").open("rb") as file:
        kinds = set()
        for schema, channel, message in make_reader(file).iter_messages():
            assert schema is not None
            if channel.message_encoding == "protobuf":
                name = schema.name.removeprefix("foxglove.")
                module = importlib.import_module(f"foxglove_schemas_protobuf.{name}_pb2")
                parsed = getattr(module, name).FromString(message.data)
                assert parsed.IsInitialized() and not parsed.FindInitializationErrors()
                assert parsed.SerializeToString() == message.data
                kinds.add(name)
    assert kinds == {"FrameTransforms", "CompressedImage", "CameraCalibration", "SceneUpdate"}


def test_viewers_are_shown_the_same_drive(tmp_path: Path) -> None:
    drive = whole_drive()
    write(drive, tmp_path / "drive.mcap")
    shown = messages_of(tmp_path / "drive.mcap")
    moved = [message.transforms[0].translation for message in shown["/tf"]]
    assert [(one.x, one.y) for one in moved] == list(zip(drive["x"], drive["y"], strict=True))
    mount = shown["/tf_static"][0].transforms[0]
    assert (mount.parent_frame_id, mount.child_frame_id, mount.translation.x) == ("ego", "camera/front", 1.5)
    assert drive.objects is not None
    for instant, scene in enumerate(shown["/scene/objects"]):
        at = drive.objects.slice(instant, instant + 1)
        assert [int(entity.id) for entity in scene.entities] == at["track"].tolist()
        assert [entity.cubes[0].pose.position.x for entity in scene.entities] == at["x"].tolist()
        turns = [entity.cubes[0].pose.orientation for entity in scene.entities]
        yaws = [2 * np.arctan2(turn.z, turn.w) for turn in turns]
        np.testing.assert_allclose(np.exp(1j * np.array(yaws)), np.exp(1j * at["yaw"]), atol=1e-12)
    assert len(shown["/scene/map"][0].entities[0].lines) == 8
    plans = [message.entities[0].lines for message in shown["/scene/plans/idm"]]
    assert [len(lines) for lines in plans] == [2, 2, 0] + [2] * (len(drive) - 3)
    assert [message.data for message in shown["/camera/front/image"]] == [
        drive.cameras[0].pictures.encoded(i)[1] for i in range(len(drive))
    ]


def test_our_json_keeps_to_its_own_schemas(tmp_path: Path) -> None:
    """Foxglove reads a schema only without references, without arrays of arrays, and with one type per field."""
    drive = whole_drive()
    drive = replace(drive, columns={name: np.nan_to_num(v, posinf=0.0) for name, v in drive.columns.items()})
    write(drive, tmp_path / "drive.mcap")
    container = open_container(tmp_path / "drive.mcap")
    messages = messages_of(tmp_path / "drive.mcap")
    checked = 0
    for channel in container.channels.values():
        if channel.message_encoding == "json":
            schema = json.loads(container.schemas[channel.schema_id].data)
            for message in messages[channel.topic]:
                conforms(message, schema, channel.topic)
                checked += 1
    assert checked > 3 * len(drive)


def conforms(value: Any, schema: dict[str, Any], where: str) -> None:
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
    assert isinstance(value, kinds[schema["type"]]), f"{where}: {value!r} is no {schema['type']}"
    if schema["type"] == "object" and not where.endswith(".facts"):
        assert value.keys() <= schema["properties"].keys(), f"{where}: {value.keys() - schema['properties'].keys()}"
        for name, one in value.items():
            conforms(one, schema["properties"][name], f"{where}.{name}")
    if schema["type"] == "array":
        assert schema["items"]["type"] != "array", where
        for one in value:
            conforms(one, schema["items"], where)


@pytest.mark.skipif(importlib.util.find_spec("rerun_cli") is None, reason="needs rerun-sdk, one of the dev extras")
def test_rerun_loads_the_file(tmp_path: Path) -> None:
    write(whole_drive(), tmp_path / "drive.mcap")

    def rerun(*arguments: str | Path) -> str:
        ended = subprocess.run(
            [sys.executable, "-m", "rerun_cli", *arguments],
            env={**os.environ, "HOME": str(tmp_path), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    checked = [line.split() for line in rerun("mcap", "check", tmp_path / "drive.mcap").splitlines()]
    topics = {words[3]: words[0] for words in checked if len(words) > 3 and words[3].startswith("/")}
    assert "/camera/front/image" in topics and set(topics.values()) == {"ok"}
    rerun("mcap", "convert", tmp_path / "drive.mcap", "-o", tmp_path / "drive.rrd")
    rerun("rrd", "verify", tmp_path / "drive.rrd")
    loaded = rerun("rrd", "print", "-v", tmp_path / "drive.rrd")
    for component in (
        "/camera/front/image@EncodedImage:blob",
        "/camera/front/calibration@Pinhole:image_from_camera",
        "/tf@Transform3D:translation",
        "/tf_static@Transform3D:translation",
        "/scene/objects@foxglove.SceneUpdate",
        "/understudy/columns@McapMessage:data",
    ):
        assert component in loaded


# Bad files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "it is empty"), (b"PK\x03\x04 and so on", "it does not begin like one"), (b"\x89MCAP0\r\n", "breaks off")],
)
def test_what_is_no_mcap_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "drive.mcap").write_bytes(content)
    with pytest.raises(DataError, match=said):
        Mcap().read(tmp_path, "drive.mcap")


def test_a_file_that_was_cut_short_is_refused_or_recovered_as_asked(tmp_path: Path, arc: Drive) -> None:
    with Recorder(tmp_path / "whole.mcap", viewers=False) as recorder:
        for index in range(len(arc)):
            recorder.append(arc.slice(index, index + 1))
            recorder._channels._flush("data")  # a long drive has many chunks
    whole = (tmp_path / "whole.mcap").read_bytes()
    (tmp_path / "cut.mcap").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"breaks off at byte .*; --set recover=true reads those") as refused:
        Mcap().read(tmp_path, "cut.mcap")
    assert "\n" not in str(refused.value)
    drive = Mcap(recover=True).read(tmp_path, "cut.mcap")
    assert 10 < len(drive) < len(arc) and "breaks off" in drive.facts["lost"]
    assert np.array_equal(drive["x"], arc["x"][: len(drive)])


def test_pictures_of_a_log_that_was_moved_are_missed_in_one_line(tmp_path: Path) -> None:
    drive = there_and_back(whole_drive(), tmp_path)
    (tmp_path / "drive.mcap").rename(tmp_path / "moved.mcap")
    with pytest.raises(DataError, match=r"No such file or directory; in .*drive\.mcap"):
        drive.cameras[0].pictures.read(np.array([0]))


def test_a_key_that_leaves_the_folder_is_refused(tmp_path: Path, arc: Drive) -> None:
    (tmp_path / "logs").mkdir()
    write(arc, tmp_path / "secret.mcap")
    with pytest.raises(DataError, match="leads out"):
        Mcap().read(tmp_path / "logs", "../secret.mcap")


def test_a_file_may_be_given_itself(tmp_path: Path, arc: Drive) -> None:
    write(arc, tmp_path / "one.mcap")
    write(arc, tmp_path / "two.mcap")
    (key,) = Mcap().scan(tmp_path / "one.mcap")
    assert len(Mcap().read(tmp_path / "one.mcap", key)) == len(arc)
    assert list(Mcap().scan(tmp_path)) == ["one.mcap", "two.mcap"]
    assert Mcap().fingerprint(tmp_path, "one.mcap") == Mcap().fingerprint(tmp_path / "one.mcap", key)


@pytest.mark.parametrize("seed", range(150))
def test_damage_is_an_error_of_one_line_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, seed: int, small_file: bytes
) -> None:
    dice = random.Random(seed)
    data = bytearray(small_file)
    if dice.random() < 0.3:
        del data[dice.randrange(len(data)) :]
    for _ in range(dice.choice([0, 1, 1, 5, 40])):
        if data:
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    folder = tmp_path_factory.mktemp("damage")
    (folder / "drive.mcap").write_bytes(data)
    for recover in (False, True):
        try:
            drive = Mcap(recover=recover).read(folder, "drive.mcap")
            for camera in drive.cameras:
                camera.pictures.read(np.arange(len(camera.pictures)))
        except UnderstudyError as error:
            assert "\n" not in str(error)


@pytest.fixture(scope="session")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("small") / "drive.mcap"
    write(whole_drive(6), path)
    return path.read_bytes()


def test_two_that_record_one_drive_leave_it_whole(tmp_path: Path) -> None:
    drive = steady_turn(seconds=20.0)
    with Recorder(tmp_path / "drive.mcap") as one, Recorder(tmp_path / "drive.mcap") as other:
        for start in range(0, len(drive), 50):
            one.append(drive.slice(start, min(start + 50, len(drive))))
            other.append(drive.slice(start, min(start + 50, len(drive))))
    assert [path.name for path in tmp_path.iterdir()] == ["drive.mcap"]
    assert len(Mcap().read(tmp_path, "drive.mcap")) == len(drive)
