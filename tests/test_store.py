"""The lake: what goes in comes out, twice is once, and a kill at any moment leaves no trace."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.small_lake import (
    Album,
    assert_equal,
    full_drive,
    full_shadow,
    pick,
    pipeline,
    plan_over,
    read_in,
    seen,
)
from understudy import plugins
from understudy.errors import DataError, UnderstudyError, UnknownName
from understudy.records import NS, Drive, Plan, Shadow
from understudy.store import Entry, Lake, Source, code_version, digest, find_lake, part_hash
from understudy.store import catalog as catalogs
from understudy.store.files import PARTIAL, locked, write_whole
from understudy.store.pictures import LoggedPictures
from understudy.store.runs import Manifest, guard
from understudy.store.upkeep import OWNED


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def short(id: str, speed: float = 1.0, count: int = 5, **columns: object) -> Drive:
    """A drive of a few instants."""
    values = {"speed": np.full(count, speed), **columns}
    return Drive(id=id, t_ns=np.arange(count) * NS, columns=values)  # type: ignore[arg-type]


def instants_of(lake: Lake, *subjects: str) -> list[Path]:
    """The files that hold instants of the lake, or of some of its drives."""
    return list(dict.fromkeys(span.path for _, span in lake.places("instants", subjects or None)))


def states(root: Path) -> dict[str, tuple[int, int]]:
    """Size and time of last change of every file."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}


# Drives ---------------------------------------------------------------------------------------------------------------


def test_a_drive_comes_back_equal(lake: Lake) -> None:
    drive = full_drive()
    read_in(lake, [drive])
    found = lake.drive("full")
    for name in drive.__dataclass_fields__:
        if name != "cameras":
            assert_equal(getattr(found, name), getattr(drive, name))
    for left, right in zip(found.cameras, drive.cameras, strict=True):
        assert_equal(replace(left, pictures=right.pictures), right)


@pytest.mark.parametrize("reader", ["scenarionet", "argoverse2", "comma2k19"])
def test_real_drives_come_back_equal(lake: Lake, shared_data: Path, reader: str) -> None:
    root, opened = shared_data / reader, plugins.make("reader", reader)
    drives = [replace(opened.read(root, key), cameras=()) for key in opened.scan(root)]
    read_in(lake, drives)
    assert len(drives) > 0
    for drive in drives:
        assert_equal(lake.drive(drive.id), drive)


def test_a_drive_with_nothing_but_stamps_comes_back_with_nothing_else(lake: Lake) -> None:
    bare = Drive(id="bare", t_ns=np.array([5]), columns={})
    read_in(lake, [bare])
    assert_equal(lake.drive("bare"), bare)
    assert lake.drives()[0]["objects"] is None


_values = st.floats(allow_nan=True, allow_infinity=True)


@given(
    st.integers(1, 20).flatmap(
        lambda count: st.tuples(
            st.dictionaries(
                st.sampled_from(["yaw", "steer", "lane_offset", "fuel"]), arrays(np.float64, count, elements=_values)
            ),
            arrays(np.int64, count, elements=st.integers(1, 2**40)),
            arrays(np.int16, count, elements=st.integers(-1, 1)),
        )
    )
)
@settings(max_examples=25, deadline=None)
def test_any_columns_come_back_equal(tmp_path_factory: pytest.TempPathFactory, drawn: tuple) -> None:
    columns, steps, place = drawn
    drive = Drive(id="any", t_ns=np.cumsum(steps), columns={**columns, "place": place}, places=("here", "there"))
    lake = Lake(tmp_path_factory.mktemp("lake"))
    read_in(lake, [drive])
    assert_equal(lake.drive("any"), drive)


def test_only_what_is_asked_for_is_loaded(lake: Lake) -> None:
    read_in(lake, [full_drive()])
    found = lake.drive(
        "full", columns=("speed", "absent"), objects=False, lights=False, map=False, cameras=False, truth=False
    )
    assert list(found.columns) == ["speed"]
    assert (found.objects, found.lights, found.map, found.truth, found.cameras) == (None, None, None, None, ())
    assert found.vehicle == full_drive().vehicle


def test_shadow_runs_come_back_with_the_drive(lake: Lake) -> None:
    drive = full_drive()
    read_in(lake, [drive])
    plan_over(lake, "one")
    plan_over(lake, "two", modes=1)
    assert lake.drive("full").shadows == {}
    found = lake.drive("full", shadows=True).shadows
    assert_equal(found, {"one": full_shadow(drive, "one"), "two": full_shadow(drive, "two", modes=1)})


def test_a_plan_without_spread_and_embedding_has_none_afterwards(lake: Lake) -> None:
    drive = short("d")
    read_in(lake, [drive])
    shadow = Shadow("plain", Plan.single(np.zeros((5, 8, 4))), {})
    with lake.run("shadow", "plain", {}, "code", "drive") as run:
        lake.put_shadow(run.part("d"), drive, shadow)
    assert_equal(lake.drive("d", shadows=True).shadows, {"plain": shadow})


def test_plans_over_an_older_version_of_a_drive_are_left_out(lake: Lake) -> None:
    read_in(lake, [short("d")])
    plan_over(lake, "one")
    read_in(lake, [short("d", count=7)], settings={"rate_hz": 2})
    assert lake.drive("d", shadows=True).shadows == {}


def test_drives_on_the_same_map_share_it(lake: Lake) -> None:
    read_in(lake, [replace(full_drive(), id=f"d{n}", truth=None) for n in range(3)])
    maps = {entry.blobs["map.json"] for entry in lake.entries(stage="ingest")}
    assert len(maps) == 1
    assert lake.drive("d0").map is lake.drive("d1").map


def test_a_column_with_a_name_of_the_lakes_own_is_refused(lake: Lake) -> None:
    with pytest.raises(DataError, match="a column may not be called drive"):
        read_in(lake, [short("d", drive=np.zeros(5))])


def test_listings_say_what_a_drive_has(lake: Lake) -> None:
    read_in(lake, [full_drive()])
    (listed,) = lake.drives()
    drive = full_drive()
    assert listed["id"] == "full" and listed["reader"] == "album"
    assert listed["seconds"] == drive.seconds and listed["km"] == pytest.approx(drive.metres / 1000)
    assert listed["cameras"] == ["front", "rear"] and listed["map"] and listed["lights"]
    assert listed["places"] == ["harbour", "hill"]
    assert {"speed", "gear", "objects", "pictures", "future", "route"} <= set(listed["offers"])
    assert "shadows" not in listed["offers"]


def test_a_hole_in_time_is_counted(lake: Lake) -> None:
    read_in(lake, [Drive(id="d", t_ns=np.array([0, 1, 2, 3, 9, 10, 11]) * NS, columns={})])
    assert lake.drives()[0]["gaps"] == 1


# Pictures -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    folder.mkdir()
    (folder / "trip.shades").write_bytes(bytes([1, 2, 3]))
    return folder


def ingest_album(lake: Lake, folder: Path) -> int:
    """Read an album as `ingest` would: its parts are named by the contents of the log."""
    with lake.run("ingest", "album", {}, "code", "drive") as run:
        for key in Album().scan(folder):
            contents = digest((folder / f"{key}.shades").read_bytes())
            part = run.part(key, [contents], Source("tests.small_lake:Album", str(folder), key, {"rate_hz": 2.0}))
            if not part.done:
                lake.put_drive(part, Album(2.0).read(folder, key))
    return run.seq


def test_pictures_are_read_from_the_log_when_looked_at(lake: Lake, album: Path) -> None:
    ingest_album(lake, album)
    (camera,) = pickle.loads(pickle.dumps(lake.drive("trip"))).cameras  # noqa: TID251 - as it travels to a worker
    assert camera.t_ns.tolist() == [0, NS // 2, NS]
    assert camera.pictures.read(np.array([2, 0]))[:, 0, 0, 0].tolist() == [3, 1]
    assert camera.pictures.encoded(1) == ("png", b"\x02")


def test_a_log_that_moved_is_found_again_when_it_is_ingested_from_its_new_folder(lake: Lake, album: Path) -> None:
    ingest_album(lake, album)
    parts = [entry.part for entry in lake.entries()]
    moved = album.rename(album.parent / "moved")
    with pytest.raises(DataError, match=r"drive trip: .* ingest it again from its new folder; it was in .*album$"):
        lake.drive("trip").cameras[0].pictures.read(np.array([0]))
    ingest_album(lake, moved)
    assert [entry.part for entry in lake.entries()] == parts  # where a log lies is no part of a name
    assert lake.drive("trip").cameras[0].pictures.encoded(0) == ("png", b"\x01")


def test_a_log_that_is_written_anew_while_it_is_looked_at_is_opened_again(lake: Lake, album: Path) -> None:
    ingest_album(lake, album)
    (camera,) = lake.drive("trip").cameras
    assert camera.pictures.encoded(0) == ("png", b"\x01")
    (album / "trip.shades").write_bytes(bytes([1, 2]))
    with pytest.raises(DataError, match="no longer has these 3 pictures"):
        camera.pictures.encoded(0)


def test_as_many_pictures_of_other_stamps_are_not_those_of_the_drive(album: Path) -> None:
    source = Source("tests.small_lake:Album", str(album), "trip", {"rate_hz": 2.0})
    stamps = np.array([0, NS // 2, NS])
    assert LoggedPictures("trip", "front", stamps, source).encoded(1) == ("png", b"\x02")
    with pytest.raises(DataError, match="no longer has these 3 pictures"):
        LoggedPictures("trip", "front", stamps + 1, source).encoded(1)


def test_pictures_that_changed_behind_our_back_are_refused(lake: Lake, album: Path) -> None:
    ingest_album(lake, album)
    (album / "trip.shades").write_bytes(bytes([1, 2, 3, 4]))
    camera = lake.drive("trip").cameras[0]
    with pytest.raises(DataError, match="no longer has these 3 pictures"):
        camera.pictures.encoded(0)


# Names ----------------------------------------------------------------------------------------------------------------


def test_a_name_changes_with_everything_that_made_it_and_with_nothing_else() -> None:
    made = ("shadow", "lane_follow", "drive", ("a", "b"), {"headway_s": 1.5}, "code")
    name = part_hash(*made)
    assert name == part_hash("shadow", "lane_follow", "drive", ["b", "a"], {"headway_s": 1.5}, "code")
    others = [part_hash(*made[:n], "other", *made[n + 1 :]) for n in range(6)]
    assert len({name, *others}) == 7


def test_a_setting_that_has_no_spelling_is_refused(lake: Lake) -> None:
    with pytest.raises(TypeError):
        part_hash("s", "k", "d", (), {"folder": Path("/data")}, "")


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def version_in_new_process(folder: Path, *modules: str) -> str:
    script = "import sys; from understudy.store.code import code_version; print(code_version(sys.argv[1:]))"
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{root}"}
    command = [sys.executable, "-c", script, *modules]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def test_code_changes_its_version_with_all_that_it_imports_and_nothing_else(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "idea/__init__.py": "",
            "idea/phantom.py": "from . import brakes\nraise SystemExit('never run')",
            "idea/brakes.py": "def f():\n    from idea.deep import thing",
            "idea/deep/__init__.py": "",
            "idea/deep/thing.py": "x = 1",
            "idea/stranger.py": "x = 1",
            "loose.py": "import beside\nimport json",
            "beside.py": "x = 1",
        },
    )
    phantom, loose = version_in_new_process(tmp_path, "idea.phantom"), version_in_new_process(tmp_path, "loose")
    write(tmp_path, {"idea/stranger.py": "x = 2"})
    assert version_in_new_process(tmp_path, "idea.phantom") == phantom
    write(tmp_path, {"idea/deep/thing.py": "x = 2", "beside.py": "x = 2"})
    assert version_in_new_process(tmp_path, "idea.phantom") != phantom
    assert version_in_new_process(tmp_path, "loose") != loose


def test_the_same_code_elsewhere_has_the_same_version(tmp_path: Path) -> None:
    for folder in ("here", "there"):
        write(tmp_path / folder, {"idea/__init__.py": "", "idea/phantom.py": "x = 1"})
    here, there = (version_in_new_process(tmp_path / folder, "idea.phantom") for folder in ("here", "there"))
    assert here == there


def test_two_who_append_lose_no_line(tmp_path: Path) -> None:
    path, code = (
        tmp_path / "lines",
        (
            "import sys; from pathlib import Path; from understudy.store.files import append_line\n"
            "for i in range(60): append_line(Path(sys.argv[1]), f'{sys.argv[2]} {i}'.encode())"
        ),
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(path), who]) for who in "ab"]
    assert [one.wait() for one in both] == [0, 0]
    assert sorted(path.read_text().split("\n")[:-1]) == sorted(f"{who} {i}" for who in "ab" for i in range(60))


def test_libraries_that_change_results_are_part_of_the_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import understudy.store.code as code

    write(tmp_path, {"thinks.py": "import onnxruntime"})
    monkeypatch.syspath_prepend(str(tmp_path))
    versions = []
    for number in ("1.0", "2.0"):
        monkeypatch.setattr(code, "version", lambda _, number=number: number)
        code._version.cache_clear()
        versions.append(code_version(["thinks"]))
    assert versions[0] != versions[1]
    code._version.cache_clear()


def test_a_module_without_source_has_no_version() -> None:
    with pytest.raises(UnderstudyError, match="the code version of nowhere_at_all"):
        code_version(["nowhere_at_all"])


# Runs -----------------------------------------------------------------------------------------------------------------


def test_a_second_identical_run_touches_nothing(tmp_path: Path) -> None:
    pipeline(tmp_path)
    before = states(tmp_path)
    pipeline(tmp_path)
    assert states(tmp_path) == before


def test_a_run_that_breaks_off_leaves_no_manifest_and_its_parts_are_taken_up(lake: Lake) -> None:
    drives = [short("a"), short("b")]
    with pytest.raises(ZeroDivisionError), lake.run("ingest", "album", None, "code", "drive") as run:
        lake.put_drive(run.part("album-a", ["a"]), drives[0])
        raise ZeroDivisionError
    assert lake.drives() == []
    before = states(lake.root)
    read_in(lake, drives)
    assert [listed["id"] for listed in lake.drives()] == ["a", "b"]
    assert before.items() <= states(lake.root).items()  # what was finished is as it was


def test_a_part_with_a_file_missing_is_made_again(lake: Lake) -> None:
    read_in(lake, [short("a")])
    next((lake.root / "tables/instants").iterdir()).unlink()
    read_in(lake, [short("a")])
    assert lake.drive("a")["speed"].tolist() == [1.0] * 5


def test_failures_and_skips_are_kept_with_the_run(lake: Lake) -> None:
    def run() -> int:
        with lake.run("ingest", "album", None, "code", "drive") as run:
            lake.put_drive(run.part("good"), short("good"))
            run.part("bad")
            run.fail("bad", "row 7 is torn")
            run.skip("odd", "lacks a map")
        return run.seq

    assert run() == run() == 1
    (path,) = catalogs.manifests(lake.root).values()
    manifest = catalogs.read_manifest(path)
    assert (manifest.failures, manifest.skipped) == ({"bad": "row 7 is torn"}, {"odd": "lacks a map"})
    assert [entry.subject for entry in manifest.parts] == ["good"]


def test_two_logs_of_one_drive_in_one_run_are_a_failure(lake: Lake) -> None:
    with lake.run("ingest", "album", None, "code", "drive") as run:
        for subject in ("x", "y"):
            lake.put_drive(run.part(subject), short("same"))
    assert run.failures == {"y": "drive same was read from x already"}
    assert len(lake.drives()) == 1


def test_the_newest_run_replaces_drive_by_drive_or_whole(lake: Lake) -> None:
    read_in(lake, [short("a"), short("b")])
    read_in(lake, [short("b", speed=2.0)], settings="new")
    assert lake.query("SELECT drive, max(speed) AS v FROM instants GROUP BY drive ORDER BY drive").to_pylist() == [
        {"drive": "a", "v": 1.0},
        {"drive": "b", "v": 2.0},
    ]
    pick(lake)
    pick(lake, least=1)
    assert lake.table("events").num_rows == 6
    assert lake.query("SELECT max(score) AS s FROM events").to_pylist() == [{"s": 1.3}]


def test_a_drive_read_by_two_readers_counts_once(lake: Lake) -> None:
    read_in(lake, [short("a"), short("b")], key="mcap")
    read_in(lake, [short("a", speed=3.0)], key="tub")
    assert [(listed["id"], listed["reader"]) for listed in lake.drives()] == [("a", "tub"), ("b", "mcap")]
    assert lake.drive("a")["speed"][0] == 3.0
    read_in(lake, [short("a"), short("b")], key="mcap")  # said before, but it is news again
    assert lake.drive("a")["speed"][0] == 1.0


def test_the_lake_can_be_seen_as_it_was(lake: Lake) -> None:
    first = read_in(lake, [short("a")])
    second = read_in(lake, [short("a", speed=2.0), short("b")], settings="new")
    name = catalogs.manifests(lake.root)[first].stem
    for past in (lake.at(first), lake.at(str(first)), lake.at(name)):
        assert [listed["id"] for listed in past.drives()] == ["a"]
        assert past.drive("a")["speed"][0] == 1.0
        assert past.query("SELECT count(*) AS n FROM instants").to_pylist() == [{"n": 5}]
    assert lake.at(second).drives() == lake.at(None).drives() == lake.drives()
    with pytest.raises(UnknownName, match="no run named '9'"):
        lake.at(9)
    with pytest.raises(UnderstudyError, match="can only be read"):
        read_in(lake.at(first), [short("c")])


def test_what_made_a_part_can_be_asked(lake: Lake) -> None:
    read_in(lake, [short("a")])
    plan_over(lake, "one")
    (entry,) = lake.entries(stage="shadow", subject="a", table="plans")
    record = lake.record(entry.part)
    assert record["stage"] == "shadow" and record["key"] == "one"
    assert record["inputs"] == [lake.drives()[0]["part"]]
    assert lake.record(record["inputs"][0])["inputs"] == ["a"]


def test_a_manifest_of_a_newer_format_is_refused(lake: Lake) -> None:
    read_in(lake, [short("a")])
    (path,) = catalogs.manifests(lake.root).values()
    path.write_text(path.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(DataError, match="written by a newer Understudy"):
        lake.rebuild()
    path.write_text("{")
    with pytest.raises(DataError, match="reading the manifest of a run"):
        lake.rebuild()


# Looking up -----------------------------------------------------------------------------------------------------------


def test_the_lake_is_given_or_in_the_environment_or_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNDERSTUDY_LAKE", raising=False)
    assert find_lake() == Path("lake")
    monkeypatch.setenv("UNDERSTUDY_LAKE", "/data/lake")
    assert find_lake() == Path("/data/lake")
    assert find_lake("mine") == Path("mine")


def test_an_empty_lake_has_nothing_and_makes_nothing(lake: Lake) -> None:
    assert lake.drives() == [] and lake.tables() == [] and lake.entries() == []
    with pytest.raises(UnknownName, match="no drive named 'x'; there are none yet"):
        lake.resolve("x")
    with pytest.raises(UnderstudyError, match="no table named 'events'; there are none yet"):
        lake.query("SELECT * FROM events")
    assert lake.gc() == {"files": 0, "bytes": 0}
    assert not lake.root.exists()


def test_a_drive_is_found_by_the_beginning_of_its_id(lake: Lake) -> None:
    read_in(lake, [short(id) for id in ("scene-1", "scene-11", "trip")])
    assert lake.resolve("t") == "trip"
    assert lake.resolve("scene-1") == "scene-1"
    with pytest.raises(UnknownName, match=r"no single drive named 'scene'.*known: scene-1, scene-11"):
        lake.resolve("scene")
    with pytest.raises(UnknownName, match="no drive named 'tripe'; did you mean 'trip'"):
        lake.drive("tripe")


def test_tables_are_read_for_some_subjects_and_columns(lake: Lake) -> None:
    read_in(lake, [short("a"), short("b", fuel=np.ones(5)), short("c")])
    assert lake.table("instants", subjects=["a", "b"], columns=["drive", "fuel"]).to_pydict() == {
        "drive": ["a"] * 5 + ["b"] * 5,
        "fuel": [None] * 5 + [1.0] * 5,
    }
    assert len(instants_of(lake, "a")) == 1
    assert lake.table("instants", subjects=["nobody"]).num_rows == 0
    with pytest.raises(UnknownName, match="no table named 'instant'; did you mean 'instants'"):
        lake.table("instant")


def test_a_torn_table_is_one_clear_line(lake: Lake) -> None:
    read_in(lake, [short("a")])
    (path,) = instants_of(lake)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"reading a table of the lake: .*; in .*parquet") as caught:
        lake.drive("a")
    assert "\n" not in str(caught.value)
    with pytest.raises(UnderstudyError) as caught_too:
        lake.query("SELECT * FROM instants")
    assert "\n" not in str(caught_too.value)


@pytest.mark.parametrize("harm", ["remove", "garble", "forget a run", "other version"])
def test_the_catalog_is_made_again_when_it_is_missing_broken_or_stale(lake: Lake, harm: str) -> None:
    read_in(lake, [short("a"), short("b")])
    before = lake.drives()
    path = lake.root / "catalog.db"
    match harm:
        case "remove":
            path.unlink()
        case "garble":
            path.write_bytes(b"not a database, but long enough to look at" * 99)
        case "forget a run":
            older = path.read_bytes()
            read_in(lake, [short("b", speed=2.0)], settings="new")
            before = lake.drives()
            path.write_bytes(older)
        case "other version":
            import sqlite3

            with sqlite3.connect(path) as db:
                db.execute("PRAGMA user_version = 99")
            db.close()
    assert lake.drives() == before
    lake.rebuild()
    assert lake.drives() == before


def test_a_lake_without_one_of_its_manifests_shows_the_others(lake: Lake) -> None:
    read_in(lake, [short("a")])
    read_in(lake, [short("b")], settings="new")
    catalogs.manifests(lake.root)[2].unlink()
    assert [listed["id"] for listed in lake.drives()] == ["a"]


def test_ten_thousand_drives_are_listed_in_no_time(lake: Lake) -> None:
    about = {"reader": "tub", "seconds": 60.0, "km": 1.0, "cameras": ["front"], "offers": ["speed", "x", "y", "yaw"]}
    entries = tuple(
        Entry(f"{n:020x}", f"log-{n}", {"instants": 600}, drive=f"drive-{n:05d}", about=about) for n in range(10_000)
    )
    catalogs.commit(lake.root, Manifest("ingest", "tub", "drive", {}, "code", entries, {}, {}))
    took = min(timed(lambda: Lake(lake.root).drives()) for _ in range(3))
    assert len(lake.drives()) == 10_000
    assert took < 0.5, f"{took:.3f} s"  # under 0.1 s where nobody else works; see docs/lake.md


def timed(work: object) -> float:
    start = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - start


# Questions ------------------------------------------------------------------------------------------------------------


def test_columns_that_some_drives_lack_are_null_in_questions(lake: Lake) -> None:
    read_in(lake, [short("a"), short("b", fuel=np.ones(5, np.uint8))])
    answer = lake.query("SELECT drive, sum(fuel) AS fuel FROM INSTANTS GROUP BY drive ORDER BY drive").to_pylist()
    assert answer == [{"drive": "a", "fuel": None}, {"drive": "b", "fuel": 5}]
    assert "instants" in str(lake.query("SHOW TABLES").to_pylist())


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('{root}/catalog.db')",
        "SELECT * FROM read_blob('{root}/tables/instants/../../catalog.db')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_parquet('{root}/blobs/*')",
        "SELECT * FROM sneaky",
        "COPY instants TO '{root}/out.csv'",
        "COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)",
        "COPY (SELECT 1) TO '/dev/stdout'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)",
        "EXPORT DATABASE '{root}/out'",
        "ATTACH '{root}/catalog.db' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "DROP VIEW instants",
        "CREATE TABLE t AS SELECT 1",
        "INSERT INTO instants VALUES (1)",
        "SELECT 1; DROP VIEW instants",
        "SELECT getenv('HOME')",
        "",
    ],
)
def test_a_question_can_only_read_and_only_the_lake(lake: Lake, sql: str) -> None:
    read_in(lake, [short("a")])
    sneaky = pa.table({"x": [1]})  # DuckDB would find Python's variables
    (file,) = instants_of(lake)
    before = states(lake.root)
    with pytest.raises(UnderstudyError) as caught:
        lake.query(sql.format(root=lake.root, file=file))
    assert "\n" not in str(caught.value)
    assert states(lake.root) == before and sneaky.num_rows == 1


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM instant", r"no table named 'instant'; did you mean 'instants'\? \(known: instants\)"),
        ("SELECT sped FROM instants", "sped.*not found.*speed"),
        ("SELECT speed + 'x' FROM instants", "Could not convert|Conversion"),
    ],
)
def test_a_wrong_question_gets_one_line_with_the_right_names(lake: Lake, sql: str, says: str) -> None:
    read_in(lake, [short("a")])
    with pytest.raises(UnderstudyError, match=says) as caught:
        lake.query(sql)
    assert "\n" not in str(caught.value)


def test_a_question_over_many_rows_loads_only_what_it_needs(lake: Lake) -> None:
    """Forty million rows would be 6 GB; the sum of one column is found in a fraction of that."""
    rows = pa.table({f"c{n}": np.broadcast_to(np.float64(n), 1_000_000) for n in range(18)})
    with lake.run("ingest", "made", None, "code", "drive") as run:
        parts = [run.part(str(n)) for n in range(40)]
        for part in parts:
            part.write({"instants": rows[:1] if part is not parts[0] else rows})
    files = [lake.root / "tables/instants" / f"{part.hash}.parquet" for part in parts]
    for file in files[1:]:
        file.unlink()
        file.hardlink_to(files[0])
    script = (
        "import sys; from pathlib import Path; from understudy.store import Lake;"
        "sql = 'SELECT count(*) AS n, sum(c3) AS s FROM instants';"
        "print(Lake(Path(sys.argv[1])).query(sql).to_pylist());"
        # Not getrusage: it remembers how large the process was that this one was forked from.
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    found = subprocess.run([sys.executable, "-c", script, str(lake.root)], check=True, capture_output=True, text=True)
    answer, peak = found.stdout.splitlines()
    assert answer == "[{'n': 40000000, 's': 120000000.0}]"
    assert int(peak) < 600_000  # KB


# Upkeep ---------------------------------------------------------------------------------------------------------------


def filled(lake: Lake) -> Lake:
    """Twelve drives of three kinds, some read anew since, with plans over them."""
    read_in(
        lake,
        [short(f"d{n:02d}", speed=n, count=n + 1, **({"fuel": np.ones(n + 1)} if n % 3 else {})) for n in range(12)],
    )
    plan_over(lake, "one")
    read_in(lake, [short(f"d{n:02d}", speed=-n, count=n + 1) for n in range(3)], settings="new")
    return lake


def contents(lake: Lake) -> dict[str, object]:
    """What tables hold, in whatever order."""
    rows = {name: sorted(map(str, lake.query(f"SELECT * FROM {name}").to_pylist())) for name in lake.tables()}
    return {**seen(lake.root), "tables": rows}


def test_packing_and_sweeping_change_nothing_that_is_seen(lake: Lake) -> None:
    filled(lake)
    expected, past = contents(lake), contents(lake.at(1))
    assert lake.compact(least=2) > 0
    assert_equal(contents(lake), expected)
    assert lake.gc()["files"] > 0
    assert_equal(contents(lake), expected)
    assert_equal(contents(lake.at(1)), past)
    assert len(instants_of(lake)) == 2  # one for each set of columns
    assert lake.gc() == {"files": 0, "bytes": 0}


def test_rows_that_were_replaced_after_packing_are_not_seen(lake: Lake) -> None:
    filled(lake)
    lake.compact(least=2)
    lake.gc()
    read_in(lake, [short("d05", speed=50.0), short("d07", speed=70.0)], settings="newer")
    expected = contents(lake)
    answer = lake.query(
        "SELECT drive, max(speed) AS v FROM instants GROUP BY drive HAVING v > 10 ORDER BY v"
    ).to_pylist()
    assert answer == [{"drive": "d11", "v": 11.0}, {"drive": "d05", "v": 50.0}, {"drive": "d07", "v": 70.0}]
    lake.compact(least=2)
    lake.gc()
    assert_equal(contents(lake), expected)


def test_packs_keep_to_their_size_and_large_files_alone(lake: Lake) -> None:
    filled(lake)
    sizes = [path.stat().st_size for path in instants_of(lake)]
    assert lake.compact(target=min(sizes), least=2) == 0
    assert lake.compact(target=3 * max(sizes), least=3) > 0
    assert len(instants_of(lake)) > 2
    assert lake.compact(least=100) == 0


def test_only_what_no_run_reaches_is_removed(lake: Lake) -> None:
    read_in(lake, [short("a")])
    expected = contents(lake)
    with pytest.raises(KeyboardInterrupt), lake.run("ingest", "album", None, "code", "drive") as run:
        lake.put_drive(run.part("left over"), full_drive())
        raise KeyboardInterrupt
    write_whole(lake.root / "tables/instants/.x.1-2.partial", b"torn")
    write_whole(lake.root / "pages/page.html", b"not ours to remove")
    write_whole(lake.root / "understudy.toml", b"")
    before = states(lake.root)
    freed = lake.gc()
    after = states(lake.root)
    assert freed["bytes"] == sum(before[path][0] for path in before.keys() - after.keys()) > 0
    assert_equal(contents(lake), expected)
    assert len(list((lake.root / "tables").rglob("*.parquet"))) == 1 and len(list((lake.root / "blobs").iterdir())) == 1
    assert (lake.root / "pages/page.html").is_file() and (lake.root / "understudy.toml").is_file()


def test_replaced_runs_can_be_forgotten(lake: Lake) -> None:
    pick(filled(lake))
    pick(lake, least=1)
    expected = contents(lake)
    assert lake.gc() == {"files": 0, "bytes": 0}
    assert lake.gc(forget=True)["files"] > 0
    expected["runs"] = contents(lake)["runs"]
    assert_equal(contents(lake), expected)
    assert len(expected["runs"]) == 4  # type: ignore[arg-type]
    with pytest.raises(UnknownName):
        lake.at(4)


def test_nothing_is_removed_while_somebody_writes_or_reads(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    import understudy.store.upkeep as upkeep

    def hurried(path: Path, exclusive: bool, wait_s: float, busy: str) -> object:
        return locked(path, exclusive, 0.1, busy)

    read_in(lake, [short("a")])
    monkeypatch.setattr(upkeep, "locked", hurried)
    with pytest.raises(UnderstudyError, match="somebody is writing to the lake"), lake.run("mine", "", None, ""):
        lake.gc()
    with pytest.raises(UnderstudyError, match="or reading from it"), lake.reading():
        lake.gc()
    lake.gc()


def test_the_lock_of_a_killed_process_is_free(lake: Lake) -> None:
    read_in(lake, [short("a")])
    script = (
        "import os, signal, sys; from pathlib import Path; from understudy.store import Lake;"
        "run = Lake(Path(sys.argv[1])).run('mine', '', None, ''); run.__enter__(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(lake.root)]).returncode < 0
    with locked(guard(lake.root), exclusive=True, wait_s=0, busy="held"):
        pass


# Killed, and all at once ----------------------------------------------------------------------------------------------


def test_killed_at_any_moment_and_run_again_it_is_the_same_lake(tmp_path: Path) -> None:
    """Every few file operations of a pipeline are its last, and so are some of the run that takes it up."""
    command = [sys.executable, "-m", "tests.small_lake", str(tmp_path), "23"]
    found = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) >= 20


def test_killed_at_random_times_it_is_the_same_lake(tmp_path: Path) -> None:
    import random

    pipeline(tmp_path / "reference")
    script = "import sys; from tests.small_lake import *; print(flush=True); pipeline(Path(sys.argv[1]))"
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "lake")],
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()  # its imports are done
        time.sleep(random.uniform(0, 0.3))
        process.kill()
        process.wait()
        process.stdout.close()
        seen(tmp_path / "lake")
    pipeline(tmp_path / "lake")
    assert_equal(seen(tmp_path / "lake"), seen(tmp_path / "reference"))


def test_what_a_kill_left_half_written_is_swept_once(tmp_path: Path) -> None:
    pipeline(tmp_path)
    left = [tmp_path / owned / f".something.1-a{PARTIAL}" for owned in OWNED]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    assert Lake(tmp_path).gc()["files"] == len(left) and not any(path.exists() for path in left)


def test_processes_that_do_the_same_at_once_do_no_harm(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from tests.small_lake import *; lake = Lake(Path(sys.argv[1]));"
    script += "read_in(lake, [replace(full_drive(), id=f'd{n}', truth=None) for n in range(4)]); plan_over(lake, 'one')"
    command = [sys.executable, "-c", script, str(tmp_path / "lake")]
    processes = [subprocess.Popen(command, cwd=Path(__file__).parents[1]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    lake = Lake(tmp_path / "lake")
    assert sorted(catalogs.manifests(lake.root)) == [1, 2]
    reference = Lake(tmp_path / "reference")
    read_in(reference, [replace(full_drive(), id=f"d{n}", truth=None) for n in range(4)])
    plan_over(reference, "one")
    assert_equal(seen(lake.root), seen(reference.root))


def test_listing_drives_loads_neither_pyarrow_nor_duckdb() -> None:
    script = "import sys; from understudy.store import Lake; from pathlib import Path; Lake(Path('nowhere')).drives();"
    script += "print({'pyarrow', 'duckdb', 'torch', 'onnxruntime'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "set()\n"


def test_who_may_only_read_holds_the_lock_too(lake: Lake) -> None:
    """Of the lock's file: gc waits for readers of another user as well."""
    path = guard(lake.root)
    with locked(path):
        pass
    opened = os.open

    def may_only_read(name: Any, flags: int, *more: Any, **told: Any) -> int:
        if Path(name) == path and flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "may only be read", name)
        return opened(name, flags, *more, **told)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", may_only_read)
        with locked(path):
            patch.undo()
            with pytest.raises(UnderstudyError, match="held"), locked(path, exclusive=True, wait_s=0.0, busy="held"):
                pass
