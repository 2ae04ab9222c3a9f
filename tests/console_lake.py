"""A lake that a turn made, for the console to show, with as many clips as there are to review.

`python -m tests.console_lake LAKE` makes the turn in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner

from tests.turning import TINY
from understudy import mine, shadow
from understudy.cli import main
from understudy.gate.verdict import Gate
from understudy.store import Lake
from understudy.turn.run import run

PRESET = replace(
    TINY, name="console", cars=3, minutes=0.5, budget_s=60.0, gate=Gate(("everyday",), routes=2, blocks=1, seconds=6.0)
)


def start(root: Path) -> subprocess.Popen[bytes]:
    """Begin the turn, or go on with it. The console starts processes with one thread as well: the same sums."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.console_lake", str(root)],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def look_closer(root: Path) -> None:
    """Two rules in the shadow as well, of all that is found the short clips, and a rule that the gate refuses."""
    lake = Lake(root)
    shadow.run(lake, ["lane_follow", "constant_turn"])
    mine.run(lake, mine.Mine(budget="40", context_s=0.5, longest_s=3.0))
    few = ['suites=["everyday"]', "routes=8", "blocks=1", "seconds=12.0"]
    words = [word for one in few for word in ("--set", one)]
    told = CliRunner().invoke(main, ["gate", "lane_follow", "constant_turn", "--lake", str(root), *words])
    assert told.exit_code == 3, told.output


if __name__ == "__main__":
    run(Lake(Path(sys.argv[1])), 1, PRESET)
