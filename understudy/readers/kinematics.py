"""Speed, acceleration and rate of turn of a car whose log has only poses."""

from __future__ import annotations

import numpy as np
from scipy.signal import savgol_filter

from understudy.errors import DataError
from understudy.records import NS, PAUSE_S, Array, Floats, Ints

WINDOW_S = 1.0
FITTED = frozenset({"speed", "accel", "yaw_rate"})  # what `motion` gives: it looks ahead, so drives say `derived`


def check_time(t: Array, owner: str, row: str = "row") -> None:
    """A DataError where time does not go on."""
    stuck = np.flatnonzero(np.diff(t) <= 0)
    if len(stuck):
        raise DataError(f"{owner}: time goes backwards at {row} {stuck[0] + 1}")


def rate_hz(t_ns: Ints) -> float:
    """Rows a second, to a tenth."""
    return round(float((len(t_ns) - 1) * NS / (t_ns[-1] - t_ns[0])), 1)


def motion(t_ns: Ints, poses: Floats, window_s: float = WINDOW_S) -> dict[str, Floats]:
    """`speed`, `accel` and `yaw_rate`, each (T,), of poses (T, 3); nan where the pose is.

    The poses are resampled at their median interval and fitted by quadratics over a window (Savitzky and Golay 1964),
    whose derivatives are the velocity and the rate of turn; the speed is the velocity along the heading, and is fitted
    again for the acceleration. Nothing is fitted across missing poses or pauses.
    """
    columns = {name: np.full(len(t_ns), np.nan) for name in ("speed", "accel", "yaw_rate")}
    t = (t_ns - t_ns[0]) / NS
    known = np.flatnonzero(np.isfinite(poses).all(axis=1))
    breaks = (np.diff(known) > 1) | (np.diff(t[known]) > PAUSE_S)
    for run in np.split(known, np.flatnonzero(breaks) + 1):
        if len(run) >= 3:
            for name, values in _fit(t[run], poses[run], window_s).items():
                columns[name][run] = values
    return columns


def _fit(t: Floats, poses: Floats, window_s: float) -> dict[str, Floats]:
    """`motion` of one unbroken run."""
    usual = max(float(np.median(np.diff(t))), window_s / 100)  # poses may come in bursts
    step = (t[-1] - t[0]) / max(round((t[-1] - t[0]) / usual), 2)
    grid = t[0] + step * np.arange(round((t[-1] - t[0]) / step) + 1)
    x, y, yaw = (np.interp(grid, t, column) for column in (poses[:, 0], poses[:, 1], np.unwrap(poses[:, 2])))
    window = min(2 * max(round(window_s / step / 2), 1) + 1, len(grid) - 1 + len(grid) % 2)

    def rate(values: Floats) -> Floats:
        return np.asarray(savgol_filter(values, window, polyorder=2, deriv=1, delta=step))

    speed = rate(x) * np.cos(yaw) + rate(y) * np.sin(yaw)
    columns = {"speed": speed, "accel": rate(speed), "yaw_rate": rate(yaw)}
    return {name: np.interp(t, grid, values) for name, values in columns.items()}
