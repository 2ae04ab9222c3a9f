"""What was taken out of the lake is read back, by the tools that it is for, as what it was."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import av
import numpy as np
import pytest
from click.testing import CliRunner
from pyarrow import csv, parquet

from tests.small_logs import tub_records, write_tub
from tests.test_observe import Numbered
from understudy import exporters, ingest, plugins
from understudy.cli import main
from understudy.errors import UnderstudyError
from understudy.exporters import Chosen, choose, human, write
from understudy.exporters.lerobot import LeRobot
from understudy.exporters.stats import Histogram, told
from understudy.readers.mcap import Mcap
from understudy.readers.tub import Tub
from understudy.recorder import write as record
from understudy.records import NS, Array, Drive, Driver
from understudy.store import Lake

CUT_IN, RED = "sample-cut-in", "sample-red-light"


@pytest.fixture(scope="module")
def lake(sample_logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The sample drives, and one tub of a donkeycar."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    ingest.ingest(lake, "mcap", sample_logs)
    logs = tmp_path_factory.mktemp("tubs")
    write_tub(logs, tub_records(90))
    ingest.ingest(lake, "tub", logs)
    return lake


@pytest.fixture
def cart(lake: Lake) -> str:
    return lake.resolve("tub-")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != exporters.ABOUT)


def assert_same(a: Drive, b: Drive) -> None:
    np.testing.assert_array_equal(a.t_ns, b.t_ns)
    assert a.columns.keys() - {"place"} == b.columns.keys() - {"place"}, "places are given when a log is ingested"
    for name in a.columns.keys() - {"place"}:
        np.testing.assert_array_equal(a[name], b[name])
    assert (a.objects is None) == (b.objects is None)
    if a.objects is not None and b.objects is not None:
        np.testing.assert_array_equal(a.objects["x"], b.objects["x"])


# What is chosen -------------------------------------------------------------------------------------------------------


def test_moments_that_overlap_are_one_and_those_apart_are_not(lake: Lake) -> None:
    moments = [f"{CUT_IN}/2.0:5.0", f"{CUT_IN}/4.0:6.0", f"{CUT_IN}/9:10", RED, f"{RED}/3:4"]
    names = [name for one in choose(lake, moments) for name in one.names]
    assert names == [f"{CUT_IN}@2.0-6.0", f"{CUT_IN}@9.0-10.0", RED]


@pytest.mark.parametrize(
    ("moment", "says"),
    [
        ("sample-cut-in/99:100", "is 20.0 s long"),
        ("nobody", "no drive named 'nobody'"),
        ("clip:0000", "no clip named"),
        ("model:champion", "no moment named"),
        ("../../etc", "is no identifier"),
    ],
)
def test_what_names_no_moment_is_refused_in_one_line(lake: Lake, moment: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UnderstudyError, match=says) as error:
        write("csv", lake, [moment], tmp_path / "out")
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


def test_a_piece_has_the_picture_that_was_seen_at_its_first_instant(lake: Lake) -> None:
    (one,) = choose(lake, [f"{CUT_IN}/2.05:4.0"])
    drive = one.read()
    (piece,) = one.pieces(drive)
    assert piece.id == f"{CUT_IN}@2.05-4.0" and piece.facts["cut_from"]["drive"] == CUT_IN
    for whole, cut in zip(drive.cameras, piece.cameras, strict=True):
        seen = whole.latest(piece.t_ns)
        np.testing.assert_array_equal(whole.t_ns[seen], cut.t_ns[cut.latest(piece.t_ns)])
        assert cut.pictures.encoded(0) == whole.pictures.encoded(int(seen[0]))
        np.testing.assert_array_equal(
            cut.pictures.read(np.array([1, 3])), whole.pictures.read(seen[0] + np.array([1, 3]))
        )


# Whole or not at all --------------------------------------------------------------------------------------------------


def test_the_same_export_is_kept_and_anything_else_is_left_alone(lake: Lake, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert write("csv", lake, [RED], out).made == (RED,)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert write("csv", lake, [RED], out).kept == (RED,)
    for moments, kind in (([CUT_IN], "csv"), ([RED], "mcap")):
        with pytest.raises(UnderstudyError, match="another export already"):
            write(kind, lake, moments, out)
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UnderstudyError, match="there is something already"):
        write("csv", lake, [RED], tmp_path / "mine")
    assert files(tmp_path / "mine") == ["thesis.txt"]


@dataclass(frozen=True)
class Killed:
    """An exporter whose process is killed while it writes."""

    needs: ClassVar[tuple[str, ...]] = ()

    def write(self, chosen: Sequence[Chosen], folder: Path) -> Iterator[tuple[str, str]]:
        (folder / "half.txt").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
        yield "", ""


def test_an_export_that_is_killed_is_never_seen(lake: Lake, tmp_path: Path) -> None:
    command = ["extract", "tests.test_exporters:Killed", RED, "--to", str(tmp_path / "out"), "--lake", str(lake.root)]
    process = subprocess.run(
        [sys.executable, "-c", "from understudy.cli import main; main()", *command], capture_output=True, check=False
    )
    assert process.returncode == -signal.SIGKILL
    assert [path.name[:5] for path in tmp_path.iterdir()] == [".out."], "what is half done has another name"
    assert write("csv", lake, [RED], tmp_path / "out").made == (RED,)


def test_an_export_that_fails_leaves_nothing(lake: Lake, sample_logs: Path, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    shutil.copytree(sample_logs, logs)
    moved = Lake(tmp_path / "lake")
    ingest.ingest(moved, "mcap", logs)
    shutil.rmtree(logs)
    for kind in ("mcap", "lerobot"):
        with pytest.raises(UnderstudyError, match="the log is gone"):
            write(kind, moved, [CUT_IN], tmp_path / "out" / kind)
        assert not list((tmp_path / "out").iterdir())


def test_a_drive_that_lacks_what_a_format_needs_is_skipped_and_counted(lake: Lake, cart: str, tmp_path: Path) -> None:
    report = write("tub", lake, [cart, RED], tmp_path / "out")
    assert report.made == (cart,) and report.skipped == {RED: "lacks steer, throttle"}
    with pytest.raises(UnderstudyError, match="nothing to export as tub: lacks steer"):
        write("tub", lake, [RED], tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("kind", plugins.names("exporter"))
def test_every_format_says_of_each_piece_what_became_of_it(kind: str, lake: Lake, cart: str, tmp_path: Path) -> None:
    moments = [f"{cart}/0:1.5", f"{cart}/2:4"]
    seen: list[str] = []
    report = write(kind, lake, moments, tmp_path / "out", on_piece=lambda outcome, total: seen.append(outcome.name))
    assert seen == list(report.made) == [f"{cart}@0.0-1.5", f"{cart}@2.0-4.0"]


# MCAP and CSV ---------------------------------------------------------------------------------------------------------


def test_mcap_gives_back_the_stretch(lake: Lake, tmp_path: Path) -> None:
    write("mcap", lake, [f"{CUT_IN}/2:4", RED], tmp_path / "out")
    assert files(tmp_path / "out") == [f"{CUT_IN}@2.0-4.0.mcap", f"{RED}.mcap"]
    reader = Mcap()
    there = {key: reader.read(tmp_path / "out", key) for key in reader.scan(tmp_path / "out")}
    assert_same(there[f"{RED}.mcap"], lake.drive(RED))
    whole = lake.drive(CUT_IN)
    cut = there[f"{CUT_IN}@2.0-4.0.mcap"]
    assert_same(cut, whole.slice(20, 41))
    np.testing.assert_array_equal(
        cut.cameras[0].pictures.read(np.array([0])), whole.cameras[0].pictures.read(np.array([20]))
    )


def test_csv_has_every_column_and_empty_cells_where_nothing_is_known(lake: Lake, tmp_path: Path) -> None:
    write("csv", lake, [f"{CUT_IN}/2:4"], tmp_path / "out")
    drive = lake.drive(CUT_IN).slice(20, 41)
    rows = csv.read_csv(tmp_path / "out" / f"{CUT_IN}@2.0-4.0.csv")
    assert set(rows.column_names) == {"t_ns", "t_s", *drive.columns}
    np.testing.assert_array_equal(rows["t_ns"].to_numpy(), drive.t_ns)
    for name in ("x", "yaw", "speed"):
        np.testing.assert_array_equal(rows[name].to_numpy(), drive[name])
    unknown = [name for name, values in drive.columns.items() if values.dtype.kind == "f" and np.isnan(values).any()]
    for name in unknown:
        assert rows[name].null_count == np.isnan(drive[name]).sum()
    objects = csv.read_csv(tmp_path / "out" / f"{CUT_IN}@2.0-4.0.objects.csv")
    assert drive.objects is not None
    np.testing.assert_array_equal(objects["x"].to_numpy(), drive.objects["x"])
    np.testing.assert_array_equal(objects["t_ns"].to_numpy(), drive.t_ns[drive.objects.instant])


# Donkeycar's tub ------------------------------------------------------------------------------------------------------


def test_a_tub_of_a_whole_drive_is_read_back_as_the_drive(lake: Lake, cart: str, tmp_path: Path) -> None:
    write("tub", lake, [cart], tmp_path / "out")
    (key,) = Tub().scan(tmp_path / "out")
    assert_same(Tub().read(tmp_path / "out", key), lake.drive(cart))


def test_what_was_not_chosen_is_deleted_and_still_there(lake: Lake, cart: str, tmp_path: Path) -> None:
    write("tub", lake, [f"{cart}/0.5:1.0", f"{cart}/2.0:3.0"], tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out" / "manifest.json").read_text().splitlines()]
    assert len(lines) == 5 and lines[0][0] == "cam/image_array" and lines[1][0] == "image_array"
    assert lines[4]["deleted_indexes"] == list(range(11, 30)) and lines[4]["current_index"] == 51
    assert len(list((tmp_path / "out" / "images").iterdir())) == 51
    keys = list(Tub().scan(tmp_path / "out"))
    stamps = np.concatenate([Tub().read(tmp_path / "out", key).t_ns for key in keys])
    whole = lake.drive(cart)
    chosen = ((whole.t_s >= 0.5) & (whole.t_s <= 1.0)) | ((whole.t_s >= 2.0) & (whole.t_s <= 3.0))
    np.testing.assert_array_equal(stamps, whole.t_ns[chosen])


def test_the_lines_of_a_catalog_are_as_long_as_its_manifest_says(
    lake: Lake, cart: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("understudy.exporters.tub.CATALOG", 40)
    write("tub", lake, [cart], tmp_path / "out")
    count = 0
    for number in range(3):
        text = (tmp_path / "out" / f"catalog_{number}.catalog").read_text()
        about = json.loads((tmp_path / "out" / f"catalog_{number}.catalog_manifest").read_text())
        assert about["line_lengths"] == [len(line) for line in text.splitlines(keepends=True)]
        assert about["start_index"] == count
        records = [json.loads(line) for line in text.splitlines()]
        assert [one["_index"] for one in records] == list(range(count, count + len(records)))
        count += len(records)
    assert count == 90


def test_nobody_learns_from_a_model_or_from_a_push(lake: Lake) -> None:
    drive = lake.drive(CUT_IN)
    who = np.where(drive.t_s < 5, Driver.MODEL, Driver.HUMAN)
    drive = replace(drive, columns={**drive.columns, "who_drives": who, "pushed": drive.t_s > 15})
    np.testing.assert_array_equal(human(drive), (drive.t_s >= 5) & (drive.t_s <= 15))


# LeRobot --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dataset(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lerobot") / "dataset"
    write("lerobot", lake, [f"{CUT_IN}/2:6", f"{CUT_IN}/8:10", f"{RED}/0:3"], out)
    return out


def test_the_layout_is_that_of_the_format(dataset: Path) -> None:
    """As `lerobot` 0.4.4 writes it: names of files, keys, types."""
    info = json.loads((dataset / "meta" / "info.json").read_text())
    assert info["codebase_version"] == "v3.0" and info["fps"] == 10 and info["chunks_size"] == 1000
    assert info["splits"] == {"train": "0:3"} and info["total_episodes"] == 3
    assert info["data_path"] == "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
    assert info["video_path"] == "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    features = info["features"]
    own = {"timestamp", "frame_index", "episode_index", "index", "task_index"}
    cameras = {key for key, feature in features.items() if feature["dtype"] == "video"}
    assert set(features) == own | {"observation.state", "action"} | cameras
    assert cameras == {f"observation.images.{name}" for name in ("front", "left", "right")}
    assert features["observation.images.front"]["shape"] == [32, 64, 3]
    rows = parquet.read_table(dataset / "data" / "chunk-000" / "file-000.parquet")
    assert {name: str(rows.schema.field(name).type) for name in rows.column_names} == {
        "observation.state": "fixed_size_list<element: float>[3]",
        "action": "fixed_size_list<element: float>[2]",
        "timestamp": "float",
        "frame_index": "int64",
        "episode_index": "int64",
        "index": "int64",
        "task_index": "int64",
    }
    tasks = parquet.read_table(dataset / "meta" / "tasks.parquet")
    assert tasks.column_names == ["task_index", "__index_level_0__"]
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["__index_level_0__"]
    stats = json.loads((dataset / "meta" / "stats.json").read_text())
    assert set(stats) == set(features)
    assert np.shape(stats["action"]["mean"]) == (2,) and np.shape(stats["observation.images.left"]["std"]) == (3, 1, 1)
    names = {"min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99"}
    assert all(set(one) == names for one in stats.values())


def episodes(dataset: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = parquet.read_table(
        dataset / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    ).to_pylist()
    return found


def frames(dataset: Path) -> dict[str, Array]:
    rows = parquet.read_table(dataset / "data").to_pydict()
    order = np.argsort(rows["index"])
    return {name: np.array(values)[order] for name, values in rows.items()}


def test_episodes_follow_each_other_without_gap(dataset: Path) -> None:
    found, rows = episodes(dataset), frames(dataset)
    assert [one["understudy/moment"] for one in found] == [f"{CUT_IN}@2.0-6.0", f"{CUT_IN}@8.0-10.0", f"{RED}@0.0-3.0"]
    assert [one["length"] for one in found] == [40, 20, 30], "of the last frame nobody knows what was done"
    assert found[0]["dataset_from_index"] == 0 and found[-1]["dataset_to_index"] == len(rows["index"]) == 90
    for before, after in pairwise(found):
        assert before["dataset_to_index"] == after["dataset_from_index"]
    np.testing.assert_array_equal(rows["index"], np.arange(90))
    np.testing.assert_allclose(rows["timestamp"], rows["frame_index"] / 10, atol=1e-6)
    assert [one["data/file_index"] for one in found] == [0, 0, 1], "a file per drive"


def test_state_is_what_was_and_action_what_was_done_next(dataset: Path, lake: Lake) -> None:
    drive, rows = lake.drive(CUT_IN), frames(dataset)
    state = np.stack([drive[name] for name in ("speed", "accel", "yaw_rate")], -1)
    np.testing.assert_allclose(rows["observation.state"][:40], state[20:60], rtol=1e-6)
    np.testing.assert_allclose(rows["action"][:40], state[21:61][:, [0, 2]], rtol=1e-6)


def test_films_show_at_each_timestamp_what_the_camera_saw(dataset: Path, lake: Lake) -> None:
    drive = lake.drive(CUT_IN)
    key = "observation.images.front"
    with av.open(str(dataset / "videos" / key / "chunk-000" / "file-000.mp4")) as film:
        shown = {round(float(frame.time or 0.0), 3): frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)}
    assert len(shown) == 60
    for one, start in zip(episodes(dataset)[:2], (20, 80), strict=True):
        began = one[f"videos/{key}/from_timestamp"]
        assert isinstance(began, float)
        for step in (0, 7, 19):
            seen = drive.cameras[0].pictures.read(drive.cameras[0].latest(drive.t_ns[[start + step]]))[0]
            apart = np.abs(shown[round(began + step / 10, 3)].astype(int) - seen)
            assert apart.mean() < 8, "but for what compression takes away"


def test_statistics_are_those_of_the_frames(dataset: Path) -> None:
    rows = frames(dataset)
    stats = json.loads((dataset / "meta" / "stats.json").read_text())
    for name in ("observation.state", "action", "timestamp"):
        values = rows[name].reshape(90, -1)
        np.testing.assert_allclose(stats[name]["mean"], values.mean(axis=0), rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(stats[name]["std"], values.std(axis=0), rtol=1e-5, atol=1e-7)
        assert stats[name]["count"] == [90]
    first = episodes(dataset)[0]
    np.testing.assert_allclose(first["stats/action/max"], rows["action"][:40].max(axis=0), rtol=1e-6)


def test_a_histogram_knows_the_statistics_of_its_pixels() -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (7, 20, 30, 3), np.uint8)
    parts = [Histogram.of(pictures[:3]), Histogram.of(pictures[3:])]
    found, pixels = Histogram.sum(parts).told(), pictures.reshape(-1, 3) / 255
    np.testing.assert_allclose(np.ravel(found["mean"]), pixels.mean(axis=0))
    np.testing.assert_allclose(np.ravel(found["std"]), pixels.std(axis=0))
    np.testing.assert_allclose(np.ravel(found["q10"]), np.quantile(pixels, 0.1, axis=0, method="inverted_cdf"))
    assert found["count"] == [7] and told(np.arange(4))["q50"] == [1.5]


def test_what_is_not_known_is_no_frame(lake: Lake, tmp_path: Path) -> None:
    """A hole in the numbers, a model at the wheel: two episodes are left of three stretches."""
    drive = lake.drive(CUT_IN)
    columns = dict(drive.columns)
    columns["speed"] = np.where((drive.t_s > 6) & (drive.t_s < 7), np.nan, columns["speed"])
    columns["who_drives"] = np.where(drive.t_s < 3, Driver.MODEL, Driver.HUMAN)
    record(replace(drive, id="holes", columns=columns), tmp_path / "logs" / "holes.mcap")
    here = Lake(tmp_path / "lake")
    ingest.ingest(here, "mcap", tmp_path / "logs")
    report = write("lerobot", here, ["holes/0:2", "holes/4:9"], tmp_path / "out")
    assert report.made == ("holes@4.0-9.0",)
    assert report.skipped == {"holes@0.0-2.0": "no second of it is known throughout at 10 frames a second"}
    assert [one["length"] for one in episodes(tmp_path / "out")] == [20, 20]
    assert np.isfinite(frames(tmp_path / "out")["observation.state"]).all()


def test_frames_are_never_made_up(lake: Lake, cart: str, tmp_path: Path) -> None:
    """A cart at 20 Hz gives 10 frames a second; at 50 there is nothing to take."""
    write("lerobot", lake, [cart], tmp_path / "out")
    info = json.loads((tmp_path / "out" / "meta" / "info.json").read_text())
    assert info["features"]["action"]["names"] == ["steer", "throttle"] and "observation.state" not in info["features"]
    drive = lake.drive(cart)
    np.testing.assert_allclose(frames(tmp_path / "out")["action"][:, 0], drive["steer"][::2], atol=1e-6)
    for fps in (25, 50):
        with pytest.raises(UnderstudyError, match=f"at {fps} frames a second"):
            write("lerobot", lake, [cart], tmp_path / "none", {"fps": fps})


def test_a_camera_that_stops_ends_the_episode(lake: Lake) -> None:
    from understudy.exporters.lerobot import _Dataset

    drive = lake.drive(CUT_IN)
    front = drive.cameras[0]
    shown = front.t_ns[front.t_ns < drive.t_ns[0] + 4 * NS]
    dies = replace(front, t_ns=shown, pictures=Numbered(len(shown)))
    (episode,) = _Dataset(Path(), 10, ["speed"], ["speed", "yaw_rate"], [front.name]).episodes(
        replace(drive, cameras=(dies,))
    )
    assert 3.9 < drive.t_s[episode[-1]] < 4.2


def test_drives_that_share_no_action_are_no_dataset(lake: Lake, cart: str, tmp_path: Path) -> None:
    with pytest.raises(UnderstudyError, match="these drives have no action in common"):
        write("lerobot", lake, [cart, RED], tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_drive_shorter_than_a_frame_is_no_episode(lake: Lake) -> None:
    drive = lake.drive(CUT_IN).slice(0, 1)
    from understudy.exporters.lerobot import _Dataset

    assert _Dataset(Path(), 10, ["speed"], ["speed", "yaw_rate"], []).episodes(drive) == []
    assert LeRobot().fps == 10 and drive.t_ns[0] % NS == drive.t_ns[0]


# The command ----------------------------------------------------------------------------------------------------------


def test_the_command_writes_what_is_named(lake: Lake, tmp_path: Path) -> None:
    arguments = ["extract", "csv", f"{CUT_IN}/2:4", "--to", str(tmp_path / "out"), "--lake", str(lake.root)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["written"] == 1 and len(files(tmp_path / "out")) == 2
    result = CliRunner().invoke(main, [*arguments[:2], RED, *arguments[3:]])
    assert result.exit_code == 1 and "another export already" in result.output


def test_a_cameras_name_leads_no_export_out_of_its_folder(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    whole = lake.drive(CUT_IN)
    stranger = replace(whole.cameras[0], name="/../../../../mine/videos/observation.images.front")
    record(replace(whole, id="stranger", cameras=(stranger,)), tmp_path / "logs" / "stranger.mcap")
    film = tmp_path / "mine" / "videos" / "observation.images.front" / "chunk-000" / "file-000.mp4"
    film.parent.mkdir(parents=True)
    film.write_bytes(b"my film")
    own = Lake(tmp_path / "lake")
    ingest.ingest(own, "mcap", tmp_path / "logs")
    with pytest.raises(UnderstudyError, match="leads out of the folder"):
        write("lerobot", own, ["stranger"], tmp_path / "export")
    assert film.read_bytes() == b"my film" and not (tmp_path / "export").exists()
