"""Drives whose every answer is known in closed form, and the door to real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from understudy import sample
from understudy.geometry import compose, constant_turn
from understudy.records import NS, Drive

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Recorded drives of others, which are not part of the project."""
    if not SHARED.is_dir():
        pytest.skip("needs the recorded drives in ../shared/data")
    return SHARED


def steady_turn(
    speed: float = 10.0,
    yaw_rate: float = 0.1,
    seconds: float = 20.0,
    rate_hz: float = 10.0,
    start: tuple[float, float, float] = (0, 0, 0),
) -> Drive:
    """A drive at constant speed and yaw rate: an arc known exactly."""
    t = np.arange(round(seconds * rate_hz) + 1) / rate_hz
    poses = compose(np.array(start, float), constant_turn(np.float64(speed), np.float64(yaw_rate), t))
    constant = np.ones(len(t))
    return Drive(
        id="steady-turn",
        t_ns=(t * NS).astype(np.int64),
        columns={
            "x": poses[:, 0],
            "y": poses[:, 1],
            "yaw": poses[:, 2],
            "speed": speed * constant,
            "accel": 0 * constant,
            "yaw_rate": yaw_rate * constant,
        },
    )


@pytest.fixture
def arc() -> Drive:
    return steady_turn()


@pytest.fixture
def straight() -> Drive:
    return steady_turn(yaw_rate=0.0)


@pytest.fixture(scope="session")
def sample_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample drives as MCAP files, with small pictures."""
    folder = tmp_path_factory.mktemp("sample")
    sample.write(folder, size=(64, 32))
    return folder
