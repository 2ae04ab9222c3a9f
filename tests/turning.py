"""A turn that takes seconds, what a lake shows after it, and turns that are killed.

`python -m tests.turning turn LAKE` makes such a turn in a process of its own.
`python -m tests.turning kills FOLDER 20` kills it so often at random moments, and compares.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from understudy.gate.verdict import Gate
from understudy.registry import Registry
from understudy.store import Lake
from understudy.turn.diary import turns
from understudy.turn.preset import Preset
from understudy.turn.run import run

TINY = Preset(
    "tiny",
    cars=1,
    minutes=0.7,  # room for windows of which neither the first champion nor a trigger shows anything
    regression_cars=0,
    regression_minutes=0.2,
    wheel_cars=1,
    wheel_minutes=0.1,
    towns=1,
    budget_s=16.0,
    regression_clips=1,
    every_s=0.5,
    bootstrap_s=8.0,
    bootstrap_steps=6,
    steps=6,
    batch=4,
    gate=Gate(suites=("everyday",), routes=2, blocks=1, seconds=6.0),
)


def end_state(root: Path) -> dict[str, Any]:
    """All that a turn leaves but the clock: tables, diary, models, champions, verdicts, binding clips, pages."""
    lake, registry = Lake(root), Registry(root)
    return {
        "tables": {name: sorted(map(repr, lake.table(name).to_pylist())) for name in lake.tables()},
        "parts": sorted((entry.subject, entry.part) for entry in lake.entries()),
        "turns": turns(lake),
        "models": sorted((model.hash, model.name) for model in registry.models()),
        "champions": [(reign.model, reign.verdict, reign.why) for reign in registry.reigns()],
        "verdicts": sorted({one["id"] for model in registry.models() for one in registry.verdicts(model.hash)}),
        "binding": sorted(registry.binding()),
        # What a kill broke off is gc's.
        "recordings": sorted(path.name for path in (root / "recordings").glob("[!.]*")),
    }


def killed(root: Path, after_s: float) -> bool:
    """Make the turn in a process of its own, which is killed after a while; False where it was done before."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.turning", "turn", str(root)], start_new_session=True, stdout=subprocess.DEVNULL
    )
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    assert process.returncode == 0
    return False


def kills(folder: Path, count: int, seed: int = 0) -> None:
    """Kill turns at random moments, often several times each, and hold what they leave against an undisturbed one."""
    dice, done, number = random.Random(seed), 0, 0
    began = time.monotonic()
    killed(folder / "undisturbed", 3600)
    took = time.monotonic() - began
    expected = end_state(folder / "undisturbed")
    while done < count:
        root, number = folder / f"killed-{number}", number + 1
        while done < count and killed(root, dice.uniform(0.1, 0.7) * took):
            done += 1
        killed(root, 3600)
        assert end_state(root) == expected, root
        print(f"{done} kills, {number} turns, all as if undisturbed", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "turn":
        run(Lake(Path(sys.argv[2])), 1, TINY)
    else:
        kills(Path(sys.argv[2]), int(sys.argv[3]))
