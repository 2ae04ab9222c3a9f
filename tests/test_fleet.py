"""The fleet: drives reach the lake whole or not at all, and the towns keep to their sides."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from understudy import fleet
from understudy.errors import UnderstudyError
from understudy.policies.constant_turn import ConstantTurn
from understudy.records import Driver, Observation, Plan
from understudy.store import Lake
from understudy.worlds import sides
from understudy.worlds.city import City
from understudy.worlds.sumo import SumoError

SHORT = {"minutes": 0.2, "pictures": None, "traffic": "light"}


def test_one_drive_in_five_is_in_a_regression_town_and_none_in_the_gates() -> None:
    found = [sides.side(tour.scenario.town) for tour in fleet.tours(cars=20)]
    assert found.count("regression") == 4 and found.count("train") == 16
    with pytest.raises(UnderstudyError, match="belongs to the gate"):
        fleet.tours(sides.towns_of("gate", count=1))


def test_a_fleet_of_two_records_into_the_lake_and_a_second_run_drives_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    plan = fleet.tours(("grid:3",), cars=2, **SHORT)  # type: ignore[arg-type]
    driven = []
    report = fleet.fleet_drive(lake, plan, on_drive=driven.append)
    assert len(report.made) == 2 and not report.failures and len(driven) == 2
    drive = lake.drive(plan[0].drive)
    assert drive.seconds == pytest.approx(12.0, abs=0.3)
    assert drive.truth is not None and drive.truth.objects is not None and drive.map is not None
    assert drive.places == ("grid:3",) and (drive["who_drives"] == Driver.HUMAN).all()
    again = fleet.fleet_drive(lake, plan, on_drive=driven.append)
    assert not again.made and len(driven) == 2


def test_a_recording_with_cameras_comes_back_as_it_was_taken(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    plan = fleet.tours(("spider:1",), cars=1, **{**SHORT, "minutes": 0.05, "pictures": (160, 80)})  # type: ignore[arg-type]
    assert not fleet.fleet_drive(lake, plan).failures
    drive = lake.drive(plan[0].drive)
    assert [camera.name for camera in drive.cameras][:2] == ["front", "left"]
    picture = drive.cameras[0].pictures.read(np.array([5]))[0]
    assert picture.shape == (80, 160, 3) and picture.std() > 10


def test_a_tour_is_another_drive_with_other_cameras() -> None:
    asked = [{"pictures": None}, {}, {"pictures": (64, 32)}, {"pictures_hz": 2.0}]
    names = [fleet.tours(("spider:1",), cars=1, **{"minutes": 1.0, **one})[0].name for one in asked]
    assert len(set(names)) == 4 and "~" not in names[1] and names[0].endswith("~no-cameras")


def test_cameras_may_take_fewer_pictures_than_there_are_instants(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    short = {**SHORT, "minutes": 0.05, "pictures": (32, 16)}
    fleet.fleet_drive(lake, plan := fleet.tours(("spider:1",), cars=1, pictures_hz=2.0, **short))  # type: ignore[arg-type]
    drive = lake.drive(plan[0].drive)
    taken = drive.cameras[0].t_ns
    np.testing.assert_allclose(np.diff(taken) / 1e9, 0.5)
    assert len(drive) > 4 * len(taken)
    assert drive.truth is not None and drive.truth.objects is not None
    starts, pixels = drive.truth.objects.starts, drive.truth.objects.columns["visible_pixels"]
    counts, seen = np.diff(starts), np.isin(drive.t_ns, taken)
    assert counts[~seen].any()
    np.testing.assert_array_equal(np.isfinite(pixels), np.repeat(seen, counts))


class _Looking(ConstantTurn):
    """One that wants pictures."""

    needs: ClassVar[tuple[str, ...]] = ("speed", "yaw_rate", "pictures")


def test_who_drives_by_the_pictures_wants_them_all() -> None:
    with pytest.raises(UnderstudyError, match="wants 10 a second; leave --pictures-hz out"):
        fleet.tours(("spider:1",), driver="tests.test_fleet:_Looking", pictures_hz=2.0)
    fleet.tours(("spider:1",), driver="lane_follow", pictures_hz=2.0)


def test_a_drive_that_fails_is_lost_whole_and_the_fleet_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = fleet.tours(("grid:3",), cars=3, **SHORT)  # type: ignore[arg-type]
    advance, write = City.advance, fleet.write

    def crashing(world: City, planned: Plan) -> None:
        if world.scenario == plan[0].scenario and world.t_s > 5:
            world.traffic.sumo._process.kill()
        advance(world, planned)

    def full(drive, path, *rest):  # type: ignore[no-untyped-def]
        if path.stem == plan[1].name:
            path.with_suffix(".part").write_bytes(b"half")
            path.with_suffix(".part").unlink()
            raise OSError(28, "No space left on device")
        write(drive, path, *rest)

    monkeypatch.setattr(City, "advance", crashing)
    monkeypatch.setattr(fleet, "write", full)
    lake = Lake(tmp_path / "lake")
    report = fleet.fleet_drive(lake, plan)
    assert len(report.made) == 1 and set(report.failures) == {plan[0].name, plan[1].name}
    assert "SUMO is gone" in report.failures[plan[0].name] and "No space" in report.failures[plan[1].name]
    assert [path.stem for path in (lake.root / fleet.FOLDER).iterdir()] == [plan[2].name]


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes to kill in /proc")
@pytest.mark.parametrize(("victim", "told"), [("worker", "its worker was killed by SIGKILL"), ("sumo", "SUMO is gone")])
def test_killing_a_worker_or_its_sumo_costs_one_drive_and_leaves_nothing_behind(
    tmp_path: Path, victim: str, told: str
) -> None:
    plan = fleet.tours(("grid:3",), cars=2, **{**SHORT, "minutes": 1.0})  # type: ignore[arg-type]
    lake, sumos = Lake(tmp_path / "lake"), list[int]()

    def kill() -> None:
        """Once a drive is under way."""
        while not sumos and fleet_drives.is_alive():
            time.sleep(0.02)
            for worker in multiprocessing.active_children():
                sumos.extend(_children_of(worker.pid, "sumo"))
                if sumos:
                    time.sleep(0.5)
                    os.kill(sumos[0] if victim == "sumo" else worker.pid or 0, signal.SIGKILL)
                    return

    fleet_drives, killer = threading.current_thread(), threading.Thread(target=kill, daemon=True)
    killer.start()
    report = fleet.fleet_drive(lake, plan, processes=1)
    killer.join(timeout=10)
    assert list(report.failures) == [plan[0].name] and told in report.failures[plan[0].name]
    assert len(report.made) == 1 and lake.drive(plan[1].drive).seconds > 50
    assert [path.name for path in (lake.root / fleet.FOLDER).iterdir()] == [f"{plan[1].name}.mcap"]
    assert not Path(f"/proc/{sumos[0]}").exists()


def _children_of(pid: int | None, name: str) -> list[int]:
    """Processes of a name that a process has started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            called, _, rest = (entry / "stat").read_text().rpartition(")")
        except OSError:  # it has just ended
            continue
        if called.endswith(f"({name}") and rest.split()[1] == str(pid):
            found.append(int(entry.name))
    return found


def test_a_fleet_that_cannot_drive_makes_no_lake_of_the_city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sumo", None)  # as without the extra [city]
    lake = Lake(tmp_path / "lake")
    with pytest.raises(ModuleNotFoundError):
        fleet.fleet_drive(lake, fleet.tours(("grid:3",), cars=1))
    assert not (lake.root / fleet.FOLDER).exists()


def test_sumo_errors_are_the_users_matter() -> None:
    assert issubclass(SumoError, UnderstudyError)


class _Straight(ConstantTurn):
    """Full speed ahead, whatever comes."""

    def plan(self, seen: Observation) -> Plan:
        t = 0.5 * np.arange(1, 9)
        return Plan.single(np.stack([9 * t, 0 * t, 0 * t, 0 * t + 9], -1)[None])


def test_a_safety_driver_takes_over_from_a_dangerous_model() -> None:
    tour = fleet.tours(("grid:3",), cars=1, **{**SHORT, "minutes": 0.7})[0]  # type: ignore[arg-type]
    with City(("speed",)) as world:
        world.begin(tour.scenario)
        fleet._model(world, tour, _Straight())
        drive = world.drive()
    assert {Driver.MODEL, Driver.SAFETY} <= set(drive["who_drives"].tolist())
    assert world.ended == "" and np.abs(drive["lane_offset"]).max() < 3.0


def test_nobody_is_pushed_where_regression_clips_come_from() -> None:
    """Whoever is asked such a clip is brought to its start without a push."""
    pushed = {}
    for side in ("train", "regression"):
        made = fleet.tours(sides.towns_of(side, count=5), cars=40, **SHORT)  # type: ignore[arg-type]
        pushed[side] = sum(tour.pushed for tour in made)
    assert pushed["train"] >= 4 and pushed["regression"] == 0


def test_people_are_pushed_off_their_path_and_recover() -> None:
    pushed = 0
    for tour in fleet.tours(("organic:1",), cars=8, **{**SHORT, "minutes": 0.8})[:8]:  # type: ignore[arg-type]
        if pushed or not tour.pushed:
            continue
        with City() as world:
            world.begin(tour.scenario)
            fleet._human(world, tour)
            drive = world.drive()
        rows = np.flatnonzero(drive["pushed"])
        if len(rows):
            pushed += 1
            after = drive["lane_offset"][rows[0] : rows[0] + 80]
            assert np.abs(after).max() > 0.3 and np.abs(after[-10:]).max() < 0.5
    assert pushed
