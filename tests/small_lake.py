"""A drive that has something of everything, a reader of pictures, and a short pipeline that is killed at any moment.

`python -m tests.small_lake FOLDER STRIDE` kills it at every so manyth file that it opens, renames or removes.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tests.conftest import steady_turn
from understudy.records import (
    NS,
    PLAN_STEPS,
    Array,
    Camera,
    Drive,
    Event,
    Floats,
    Ints,
    Lane,
    Lights,
    Map,
    Marking,
    Objects,
    Plan,
    Shadow,
    Truth,
)
from understudy.store import Entry, Lake, Source


@dataclass(frozen=True)
class Shades:
    """Pictures that are one shade each."""

    shades: Array

    def __len__(self) -> int:
        return len(self.shades)

    def read(self, indices: Ints) -> Array:
        return np.broadcast_to(self.shades[indices][:, None, None, None], (len(indices), 2, 3, 3))

    def encoded(self, index: int) -> tuple[str, bytes]:
        return "png", bytes([self.shades[index]])


@dataclass(frozen=True)
class Album:
    """Reads drives whose pictures are the bytes of a file."""

    rate_hz: float = 1.0

    def scan(self, root: Path) -> Iterator[str]:
        return (path.stem for path in sorted(root.glob("*.shades")))

    def read(self, root: Path, key: str) -> Drive:
        shades = np.frombuffer((root / f"{key}.shades").read_bytes(), np.uint8)
        t_ns = (np.arange(len(shades)) / self.rate_hz * NS).astype(np.int64)
        return Drive(id=key, t_ns=t_ns, columns={}, cameras=(Camera("front", (3, 2), t_ns, Shades(shades)),))


def square(x: float, y: float, side: float = 10.0) -> Floats:
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]])


def town() -> Map:
    nan = float("nan")
    lanes = (
        Lane("a", square(0, 0)[:2], square(0, 0), successors=("b",), speed_limit=13.9, junction=True),
        Lane("b", square(10, 0)[:2], square(10, 0), left=square(1, 1), predecessors=("a",), left_lane="a", kind="bus"),
    )
    assert np.isnan(lanes[1].speed_limit) and nan != lanes[1].speed_limit
    return Map(
        lanes,
        (square(0, 0),),
        (square(1, 1, 0.1),),
        (square(0, 0)[:2],),
        (Marking(square(2, 2), "kerb"),),
        square(-9, -9),
    )


def objects(instants: int, per_instant: Array, seed: int = 0) -> Objects:
    rows = int(per_instant.sum())
    random = np.random.default_rng(seed)
    values = {name: random.normal(size=rows) for name in ("x", "y", "yaw", "length", "width", "vx", "vy", "confidence")}
    values["vx"][::3] = np.nan
    starts = np.concatenate([[0], np.cumsum(per_instant)])
    assert len(starts) == instants + 1
    return Objects(starts, {"track": random.integers(0, 9, rows), "kind": random.integers(0, 12, rows), **values})


def full_drive(id: str = "full") -> Drive:
    """One of everything that a drive can hold."""
    arc = steady_turn()
    count = len(arc)
    t_ns = arc.t_ns + 1_700_000_000 * NS + np.arange(count) ** 2
    speed = arc["speed"].copy()
    speed[3:6] = np.nan
    columns = {
        **arc.columns,
        "speed": speed,
        "who_drives": np.arange(count) % 3,
        "pushed": np.arange(count) % 2 == 0,
        "place": np.arange(count) % 3 - 1,
        "gear": (np.arange(count) % 5).astype(np.uint8),
        "wipers": np.linspace(0, 1, count).astype(np.float32),
    }
    heads = np.array([[1.0, 2.0, np.nan], [4.0, 5.0, 6.0]])
    lights = Lights(("a", "a"), heads, np.arange(2 * count).reshape(count, 2) % 5)
    stamps = t_ns[::2]
    rig = {"K": np.array([[500.1, 0, 320], [0, 500, 240], [0, 0, 1]]), "ego_T_cam": np.eye(4)}
    return Drive(
        id=id,
        t_ns=t_ns,
        columns=columns,
        cameras=(
            Camera(
                "front",
                (3, 2),
                stamps,
                Shades(np.arange(len(stamps), dtype=np.uint8)),
                **rig,
                distortion="brown",
                coefficients=(0.1, -0.2),
            ),
            Camera("rear", (3, 2), stamps[:5], Shades(np.arange(5, dtype=np.uint8))),
        ),
        objects=objects(count, np.arange(count) % 4),
        lights=lights,
        map=town(),
        frame="atlantis",
        route=("a", "b"),
        places=("harbour", "hill"),
        derived=frozenset({"route", "command"}),
        truth=Truth(objects(count, np.arange(count) % 2, seed=1), lights, (Event(id, 5, 9, 0.5, "cut_in"),)),
        facts={"weather": "rain", "rates": {"pose": 10.0}, "tags": ["a", 1, None]},
    )


def full_shadow(drive: Drive, policy: str = "twin", modes: int = 3) -> Shadow:
    random = np.random.default_rng(len(policy))
    count = len(drive)
    poses = random.normal(size=(count, modes, PLAN_STEPS, 4)).astype(np.float32).astype(np.float64)
    poses[-1] = np.nan
    spread = random.normal(size=count)
    plan = Plan(poses, random.random((count, modes)), spread, random.normal(size=(count, 64)).astype(np.float32))
    return Shadow(policy, plan, {"spread": spread, "score": random.random(count), "mask": np.arange(count)})


def assert_equal(left: Any, right: Any) -> None:
    """Equal through and through: values, dtypes, what is absent and what is nan. Pictures count by their number."""
    if isinstance(left, np.ndarray):
        np.testing.assert_array_equal(left, right, strict=True)
    elif hasattr(left, "read") and hasattr(left, "encoded"):
        assert len(left) == len(right)
    elif hasattr(left, "__dataclass_fields__"):
        assert type(left) is type(right)
        for name in left.__dataclass_fields__:
            assert_equal(getattr(left, name), getattr(right, name))
    elif isinstance(left, dict):
        assert left.keys() == right.keys()
        for name in left:
            assert_equal(left[name], right[name])
    elif isinstance(left, tuple | list):
        assert type(left) is type(right) and len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_equal(one, other)
    else:
        assert left == right or (left != left and right != right)


# The pipeline ---------------------------------------------------------------------------------------------------------


def read_in(lake: Lake, drives: list[Drive], key: str = "album", settings: Any = None, replaces: Any = "drive") -> int:
    """Drives into a lake as a reader's run would put them; gives the run's number."""
    with lake.run("ingest", key, settings, "code", replaces) as run:
        for drive in drives:
            part = run.part(f"{key}-{drive.id}", [drive.id], Source("tests.small_lake:Album", "/nowhere", drive.id))
            if not part.done:
                lake.put_drive(part, drive)
    return run.seq


def plan_over(lake: Lake, policy: str, modes: int = 3) -> int:
    with lake.run("shadow", policy, {}, "code", "drive") as run:
        for listed in lake.drives():
            part = run.part(listed["id"], [listed["part"]])
            if not part.done:
                drive = lake.drive(listed["id"])
                lake.put_shadow(part, drive, full_shadow(drive, policy, modes))
    return run.seq


def pick(lake: Lake, least: int = 0) -> int:
    with lake.run("mine", "", {"least": least}, "code") as run:
        for listed in lake.drives():
            part = run.part(listed["id"], [listed["part"]])
            if not part.done:
                part.write({"events": pa.table({"drive": [listed["id"]] * 3, "score": [0.1, 0.2, 0.3 + least]})})
    return run.seq


def pipeline(root: Path) -> None:
    """Drives in, two policies in their shadow, events out, all of it packed and swept."""
    lake = Lake(root)
    drive = full_drive()
    read_in(lake, [replace(drive.slice(0, 9 + n), id=f"d{n}", truth=None) for n in range(3)])
    plan_over(lake, "one")
    plan_over(lake, "two", modes=1)
    pick(lake)
    lake.compact(least=2)
    lake.gc()


def seen(root: Path) -> dict[str, Any]:
    """All that a lake shows, whatever files it lies in."""
    lake = Lake(root)
    entries: list[Entry] = lake.entries()
    return {
        "drives": lake.drives(),
        "entries": [(entry.part, entry.tables, entry.blobs) for entry in entries],
        "runs": sorted(path.name for path in root.glob("runs/*/*.json")),
        "tables": {name: lake.table(name).to_pydict() for name in lake.tables()},
        "whole": [lake.drive(listed["id"], shadows=True) for listed in lake.drives()],
    }


def _die_at(step: int) -> None:
    """Be killed, as if by a power cut, at the given file operation."""
    left = step

    def watch(event: str, _: Any) -> None:
        nonlocal left
        if event in ("open", "os.rename", "os.remove", "os.mkdir"):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def killed_at(root: Path, step: int) -> bool:
    """Run the pipeline in a fork that dies at a step; whether it got that far."""
    child = os.fork()
    if child == 0:
        _die_at(step)
        pipeline(root)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    if status:
        sys.exit(f"the pipeline failed, killed at step {step}")
    return False


def main(folder: str, stride: int) -> None:
    """Kill the pipeline at every so manyth step, kill the rerun too, and compare with a lake that was never killed."""
    root = Path(folder)
    killed_at(root / "reference", -1)
    expected = seen(root / "reference")
    kills, step = 0, 1
    while True:
        lake = root / f"killed-{step}"
        if not killed_at(lake, step):
            break
        seen(lake)  # nothing half is visible
        kills += 1 + killed_at(lake, step // 2 + 1)
        seen(lake)
        killed_at(lake, -1)
        assert_equal(seen(lake), expected)
        leftovers = [path for path in lake.rglob("*") if path.name.endswith(".partial")]
        assert not leftovers, leftovers
        step += stride
    print(kills)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
