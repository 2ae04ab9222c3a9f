"""Poses smoothed with all of the drive, what came after as well as what came before.

A Kalman filter forward and the smoother of Rauch, Tung and Striebel (1965) backward, on each of x, y and yaw as a point
that is moved by white jerk (Bar-Shalom, Li, Kirubarajan 2001, section 6.2). How noisy the poses are is read off
themselves, so that exact poses stay as they are.
"""

from __future__ import annotations

import numpy as np

from understudy.geometry import wrap
from understudy.records import NS, PAUSE_S, Floats, Ints

JERK = np.array([1.0, 1.0, 0.1])  # m²/s⁵, rad²/s⁵, power densities: an ordinary jerk of 1 m/s³ lasts for about a second
_SHORTEST = 8  # poses
_EXACT = 1e-6  # m, rad: less noise is none
_UNKNOWN = np.diag([0.0, 1e4, 1e2])  # variances of velocity and acceleration before the first pose


def smoothed(t_ns: Ints, poses: Floats) -> Floats:
    """Poses (T, 3) with less noise; nan where they are nan. Nothing is smoothed across pauses."""
    out = np.array(poses, dtype=np.float64)
    t = (t_ns - t_ns[0]) / NS
    known = np.flatnonzero(np.isfinite(out).all(axis=1))
    breaks = (np.diff(known) > 1) | (np.diff(t[known]) > PAUSE_S)
    for run in np.split(known, np.flatnonzero(breaks) + 1):
        if len(run) >= _SHORTEST:
            out[run, 2] = np.unwrap(out[run, 2])
            # A map's coordinates are far from zero, which would cost digits.
            out[run] = out[run[0]] + _smoothed(t[run], out[run] - out[run[0]])
            out[run, 2] = wrap(out[run, 2])
    return out


def noise(t: Floats, values: Floats) -> Floats:
    """The standard deviation of white noise on values (n, ...): from their third differences, in which it is amplified
    sqrt(20)-fold while little is left of a motion (von Neumann 1941, two orders further); the median makes it robust.
    """
    even = np.linspace(t[0], t[-1], len(t))
    columns = [np.interp(even, t, column) for column in values.reshape(len(t), -1).T]
    spread = 1.4826 * np.median(np.abs(np.diff(columns, n=3)), axis=-1) / np.sqrt(20.0)
    return np.asarray(spread.reshape(values.shape[1:]))


def _smoothed(t: Floats, measured: Floats) -> Floats:
    """Values (n, D) of D independent points, whose state is the value and its first two derivatives."""
    n, width = measured.shape
    variance = np.maximum(noise(t, measured), _EXACT) ** 2  # (D,)
    state, cov = np.zeros((n, width, 3)), np.zeros((n, width, 3, 3))
    ahead, ahead_cov = np.zeros_like(state), np.zeros_like(cov)  # of each instant, before it was measured
    ahead[0, :, 0], ahead_cov[0] = measured[0], _UNKNOWN + 1e3 * variance[:, None, None] * np.diag([1.0, 0.0, 0.0])
    for k in range(n):
        if k:
            f, q = _going_on(t[k] - t[k - 1])
            ahead[k] = state[k - 1] @ f.T
            ahead_cov[k] = f @ cov[k - 1] @ f.T + JERK[:, None, None] * q
        gain = ahead_cov[k, :, :, 0] / (ahead_cov[k, :, 0, 0] + variance)[:, None]  # (D, 3)
        state[k] = ahead[k] + gain * (measured[k] - ahead[k, :, 0])[:, None]
        keep = np.broadcast_to(np.eye(3), (width, 3, 3)).copy()
        keep[:, :, 0] -= gain
        spread = variance[:, None, None] * gain[:, :, None] * gain[:, None, :]
        cov[k] = keep @ ahead_cov[k] @ np.swapaxes(keep, 1, 2) + spread  # Joseph: symmetric and positive throughout
    for k in range(n - 2, -1, -1):
        f, _ = _going_on(t[k + 1] - t[k])
        back = np.swapaxes(np.linalg.solve(ahead_cov[k + 1], f @ cov[k]), 1, 2)
        state[k] += (back @ (state[k + 1] - ahead[k + 1])[:, :, None])[:, :, 0]
    return state[:, :, 0]


def _going_on(dt: float) -> tuple[Floats, Floats]:
    """What becomes of a state (3,) after `dt`, and how uncertain white jerk of unit density makes it."""
    f = np.array([[1.0, dt, dt * dt / 2], [0.0, 1.0, dt], [0.0, 0.0, 1.0]])
    q = np.array([[dt**5 / 20, dt**4 / 8, dt**3 / 6], [dt**4 / 8, dt**3 / 3, dt**2 / 2], [dt**3 / 6, dt**2 / 2, dt]])
    return f, q
