"""The main job as a user runs it: sample drives, two candidates, clips, the page; again; and killed anywhere."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.test_cli import lines, understudy
from understudy.store import Lake

TRIP: tuple[tuple[str, ...], ...] = (("shadow", "lane_follow", "constant_turn"), ("mine", "--budget", "8"))


def contents(lake: Path) -> dict[str, list[str]]:
    """Every table in view, as rows in an order of their own; as text, because nan is nan here."""
    here = Lake(lake)
    return {name: sorted(map(json.dumps, here.table(name).to_pylist())) for name in here.tables()}


def files(lake: Path) -> dict[str, int]:
    return {str(path.relative_to(lake)): path.stat().st_mtime_ns for path in lake.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def travelled(tmp_path_factory: pytest.TempPathFactory, sample_logs: Path) -> Path:
    """A lake after the main job."""
    lake = tmp_path_factory.mktemp("trip") / "lake"
    for words in (("ingest", "mcap", str(sample_logs)), *TRIP):
        assert understudy(*words, lake=lake).exit_code == 0
    return lake


def test_the_trip_ends_in_clips_and_a_page(travelled: Path) -> None:
    drives = lines(understudy("drives", lake=travelled))
    assert [drive["id"] for drive in drives] == [
        f"sample-{name}" for name in ("braking-leader", "cut-in", "jaywalker", "red-light", "stopped-truck")
    ]
    assert all(drive["map"] and drive["cameras"] == ["front", "left", "right"] for drive in drives)
    clips = lines(understudy("query", "SELECT id, drive, seconds, side FROM clips", lake=travelled))
    assert 3 <= len(clips) <= 8
    page = Path(understudy("show", lake=travelled).stdout.strip())
    assert page.is_relative_to(travelled) and page.stat().st_size > 100_000


def test_what_must_be_found_is_found(travelled: Path) -> None:
    """Each story was told for the sake of a moment in which a simple driver would have done otherwise."""
    found = {
        (row["drive"], row["trigger"])
        for row in lines(understudy("query", "SELECT DISTINCT drive, trigger FROM events", lake=travelled))
    }
    for story, trigger in [
        ("braking-leader", "leader_brakes"),
        ("braking-leader", "would_hit"),
        ("cut-in", "cut_in"),
        ("jaywalker", "would_hit"),
        ("red-light", "would_run_light"),
    ]:
        assert (f"sample-{story}", trigger) in found, f"{trigger} in {story}"


def test_a_moment_is_shown_by_its_identifier(travelled: Path) -> None:
    for identifier in ("sample-cut-in/2.0:8.0", "sample-cut"):
        shown = lines(understudy("show", identifier, "--json", lake=travelled))[0]
        assert Path(str(shown["page"])).is_file()
    missing = understudy("show", "sample-cut-ni", lake=travelled)
    assert missing.exit_code == 1 and "did you mean" in missing.stderr


def test_the_same_again_writes_nothing(travelled: Path, sample_logs: Path) -> None:
    understudy("drives", lake=travelled)
    before = files(travelled)
    for words in (("ingest", "mcap", str(sample_logs)), *TRIP):
        assert understudy(*words, lake=travelled).exit_code == 0
    assert files(travelled) == before


def test_several_processes_make_the_same_lake(travelled: Path, sample_logs: Path, tmp_path: Path) -> None:
    for words in (("ingest", "mcap", str(sample_logs)), *TRIP):
        assert understudy(*words, "--processes", "2", lake=tmp_path / "lake").exit_code == 0
    assert contents(tmp_path / "lake") == contents(travelled)


def test_killed_at_any_moment_and_run_again_it_is_the_same_lake(
    travelled: Path, sample_logs: Path, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    dice = random.Random(7)
    for words in (("ingest", "mcap", str(sample_logs)), *TRIP):
        for _ in range(4):
            _killed(lambda: dice.uniform(0.3, 1.6), *words, "--lake", str(lake))
        assert understudy(*words, lake=lake).exit_code == 0
    assert contents(lake) == contents(travelled)


def _killed(after_s: Callable[[], float], *words: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "from understudy.cli import main; main()", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(after_s())
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_broken_log_is_one_line_and_the_rest_goes_on(sample_logs: Path, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    for path in sorted(sample_logs.glob("*.mcap"))[:2]:
        (logs / path.name).write_bytes(path.read_bytes())
    (logs / "broken.mcap").write_bytes(b"not an mcap file")
    result = understudy("ingest", "mcap", logs, lake=tmp_path / "lake")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["read"] == 2
    assert result.stderr.count("\n") == 1 and "broken" in result.stderr
    assert len(lines(understudy("drives", lake=tmp_path / "lake"))) == 2
