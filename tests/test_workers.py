"""Drives mapped over processes: in order, one failure at a time, and cleanly stopped."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from understudy.errors import DataError, UnderstudyError
from understudy.workers import Outcome, crew, map_drives

BOTH = pytest.mark.parametrize("processes", [0, 2])


def square(number: int) -> int:
    return number * number


def moody(number: int) -> int:
    """Fails in every way but the last: an error of ours, a bug, a kill, an exit."""
    match number:
        case 1:
            raise DataError("row 7 is torn")
        case 2:
            raise ZeroDivisionError("by zero")
        case 3:
            os.kill(os.getpid(), signal.SIGKILL)
        case 4:
            os._exit(7)
    return number


def who(_: int) -> int:
    return os.getpid()


def threads(_: int) -> int:
    return int(os.environ["OMP_NUM_THREADS"])


def leave(code: int | None) -> None:
    raise SystemExit(code)


def generate(number: int) -> object:
    return (n for n in range(number)) if number else "nothing"


def tell_who(folder: Path, _: int) -> None:
    (folder / "pid.partial").write_text(str(os.getpid()))
    (folder / "pid.partial").rename(folder / "pid")
    time.sleep(60)


def leave_mark(folder: Path, name: str) -> None:
    """Mark the beginning, take a while, mark the end."""
    (folder / f"{name}-begun").touch()
    time.sleep(20 if name == "slow" else 0)
    (folder / f"{name}-done").touch()


@BOTH
def test_outcomes_are_in_the_order_of_the_items(processes: int) -> None:
    heard: list[Outcome] = []
    outcomes = map_drives(square, range(7), processes, on_result=heard.append, describe="drive-{}".format)
    assert [outcome.value for outcome in outcomes] == [n * n for n in range(7)]
    assert [outcome.name for outcome in outcomes] == [f"drive-{n}" for n in range(7)]
    assert sorted(heard, key=lambda outcome: outcome.name) == outcomes


@BOTH
def test_no_items_are_no_work(processes: int) -> None:
    assert map_drives(square, [], processes) == []


@BOTH
def test_a_drive_that_fails_is_reported_and_the_others_go_on(processes: int) -> None:
    good, torn, bug = map_drives(moody, [0, 1, 2], processes)
    assert (good.value, good.error) == (0, "")
    assert (torn.error, torn.trace) == ("row 7 is torn", "")
    assert bug.error == "ZeroDivisionError: by zero" and "in moody" in bug.trace


@BOTH
def test_a_plug_in_that_ends_its_process_ends_its_drive_alone(processes: int) -> None:
    """`sys.exit(0)` in a policy would else be the exit code of a gate, which means promote."""
    outcomes = map_drives(leave, [0, None], processes)
    assert [outcome.error for outcome in outcomes] == [f"its worker ended with exit code {code}" for code in (0, None)]
    assert not any(outcome.trace for outcome in outcomes)


def test_a_worker_that_dies_takes_one_drive_with_it() -> None:
    outcomes = map_drives(moody, [3, 0, 4, 5, 3, 6], 2)
    assert [outcome.value for outcome in outcomes] == [None, 0, None, 5, None, 6]
    assert outcomes[0].error == "its worker was killed by SIGKILL (out of memory, perhaps)"
    assert outcomes[2].error == "its worker ended with exit code 7"


def test_a_crew_works_on_from_map_to_map() -> None:
    def hands() -> set[int]:
        return {outcome.value for outcome in map_drives(who, range(6), 2)}

    with crew():
        first = hands()
        assert [outcome.value for outcome in map_drives(square, range(3), 2)] == [0, 1, 4]
        with crew():  # a stage of its own within it
            assert hands() <= first
        assert hands() <= first
        alone = map_drives(who, range(2), 1)  # whose share of the cores is another
        assert not first & {outcome.value for outcome in alone} or os.cpu_count() == 1
    for pid in first:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not first & hands()


def test_a_crew_mans_itself_anew() -> None:
    """Who died, at work or at rest, is replaced, and costs no drive of another map."""
    with crew():
        assert [outcome.value for outcome in map_drives(moody, [3, 0, 5], 2)] == [None, 0, 5]
        for outcome in map_drives(who, range(6), 2):
            with suppress(ProcessLookupError):
                os.kill(outcome.value, signal.SIGKILL)
        while multiprocessing.active_children():
            time.sleep(0.01)
        assert [outcome.value for outcome in map_drives(square, range(5), 2)] == [0, 1, 4, 9, 16]


def test_an_answer_that_cannot_travel_fails_that_drive_alone() -> None:
    outcomes = map_drives(generate, [0, 2], 1)
    assert [outcome.value for outcome in outcomes] == ["nothing", None]
    assert "cannot travel between processes" in outcomes[1].error


def test_ctrl_c_ends_the_workers_and_says_nothing_more(tmp_path: Path) -> None:
    script = (
        "import signal, sys; from functools import partial; from pathlib import Path;"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"  # a shell's background job would ignore Ctrl-C
        "from tests.test_workers import leave_mark; from understudy.workers import map_drives\n"
        "try: map_drives(partial(leave_mark, Path(sys.argv[1])), ['slow', 'quick', 'slow'], 2)\n"
        "except KeyboardInterrupt: sys.exit(130)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=Path(__file__).parents[1],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "slow-begun").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert errors == ""
    assert not (tmp_path / "slow-done").exists()


def test_workers_do_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = (
        "import sys; from functools import partial; from pathlib import Path;"
        "from tests.test_workers import tell_who; from understudy.workers import map_drives\n"
        "map_drives(partial(tell_who, Path(sys.argv[1])), [1], 1)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=Path(__file__).parents[1])
    deadline = time.monotonic() + 40
    while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    worker = int((tmp_path / "pid").read_text())
    parent.kill()
    parent.wait()
    while _alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(worker)


def _alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # nobody may be there to bury it


def test_a_callback_that_fails_ends_the_workers() -> None:
    def break_off(outcome: Outcome) -> None:
        raise ZeroDivisionError

    start = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        map_drives(time.sleep, [0, 60], 2, on_result=break_off)
    assert time.monotonic() - start < 30


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is there")
def test_without_ray_the_extra_is_named() -> None:
    with pytest.raises(UnderstudyError, match=r"install the extra \[ray\]"):
        map_drives(square, [1], "ray")


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra [ray]")
@pytest.mark.filterwarnings("default")
def test_ray_does_the_same() -> None:
    outcomes = map_drives(moody, [0, 1, 2, 3, 5], "ray")
    assert [outcome.value for outcome in outcomes] == [0, None, None, None, 5]
    assert outcomes[1].error == "row 7 is torn"
    assert outcomes[3].error.startswith("its worker died")


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (one,), two = (map_drives(threads, range(count), processes=count) for count in (1, 2))
    assert one.value == os.cpu_count()
    assert [outcome.value for outcome in two] == [max((os.cpu_count() or 1) // 2, 1)] * 2
    monkeypatch.setenv("OMP_NUM_THREADS", "7")  # what the user wants goes first
    assert map_drives(threads, [0], processes=1)[0].value == 7
