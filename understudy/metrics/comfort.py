"""Comfort: six bounds on acceleration, jerk and turning (nuPlan's, found from its human drivers).

Poses are known to a few centimetres only, and their second and third differences are noise. So, as nuPlan does, all
derivatives are those of quadratics (cubics for the second derivative) fitted over 1.5 s (Savitzky and Golay 1964).
Unlike there, nothing is extrapolated: a fit counts at the middle of its window only, for at a window's end a recorded
start at 2.9 m/s² came out as 3.8.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import toeplitz
from scipy.signal import savgol_coeffs

from understudy.metrics.motion import DT, Motion, T
from understudy.records import Array, Floats

LON_ACCEL = (-4.05, 2.40)  # m/s²
LAT_ACCEL = 4.89  # m/s²
YAW_RATE = 0.95  # rad/s
YAW_ACCEL = 1.93  # rad/s²
LON_JERK = 4.13  # m/s³
JERK = 8.37  # m/s³

WINDOW = 15  # samples


def _fitted(samples: int, degree: int, derivative: int) -> Floats:
    """The matrix (samples, samples - WINDOW + 1) that takes values at 10 Hz to a derivative of their local fits."""
    weights = savgol_coeffs(WINDOW, degree, derivative, delta=DT, use="dot")
    inner = samples - WINDOW + 1
    column, row = np.zeros(samples), np.zeros(inner)
    column[:WINDOW], row[0] = weights, weights[0]
    return np.asarray(toeplitz(column, row))


_SMOOTH, _RATE, _SECOND_RATE = (_fitted(len(T), *fit) for fit in ((2, 0), (2, 1), (3, 2)))
_RATE_OF_FITTED = _fitted(len(T) - WINDOW + 1, 2, 1)


def comfortable(motion: Motion) -> Floats:
    """1 where all bounds are kept throughout, 0 elsewhere, (P,)."""
    yaw = motion.pose[..., 2]
    lon, rate = motion.speed @ _RATE, yaw @ _RATE
    lat = (motion.speed @ _SMOOTH) * rate

    def within(values: Floats, bound: float) -> Array:
        return np.asarray(np.all(np.abs(values) < bound, axis=-1))

    kept = (
        np.all((lon > LON_ACCEL[0]) & (lon < LON_ACCEL[1]), axis=-1)
        & within(lat, LAT_ACCEL)
        & within(rate, YAW_RATE)
        & within(yaw @ _SECOND_RATE, YAW_ACCEL)
        & within(lon @ _RATE_OF_FITTED, LON_JERK)
        & within(np.hypot(lon, lat) @ _RATE_OF_FITTED, JERK)
    )
    return np.asarray(kept, float)
