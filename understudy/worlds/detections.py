"""What the car knows of others: simulated detections made from the truth, with what detectors get wrong.

Range, occlusion by nearer boxes, noise that grows with distance and lasts, dropouts that come in bursts, kinds that are
mistaken for a moment, lamps that are misread. Without them a trigger for flicker could never fire.

Every number is a function of (seed, track, channel, time) alone, so an instant can be detected by itself, again, or in
another process, and comes out the same. Time-correlated noise is value noise: hashed knots, smoothly joined.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numba
import numpy as np

from understudy.geometry import wrap
from understudy.records import Array, Floats, Kind, Light, Lights, Objects

RANGE = 80.0  # m, in clear air
_KNOT_S = 0.5  # noise keeps its mood for about as long
_BURST_S = 0.25
_HIDDEN = 0.75  # an object of which less than a quarter is visible is not detected
_RAYS = 9
# Channels of noise.
_X, _Y, _YAW, _LENGTH, _WIDTH, _VX, _VY, _DROP, _KIND, _CONFIDENCE, _LAMP = range(11)

# What a kind is taken for when it is mistaken.
_MISTAKEN = np.arange(len(Kind), dtype=np.int8)
for _one, _other in (
    (Kind.CAR, Kind.TRUCK), (Kind.TRUCK, Kind.BUS), (Kind.BUS, Kind.TRUCK), (Kind.MOTORCYCLE, Kind.BICYCLE),
    (Kind.BICYCLE, Kind.PEDESTRIAN), (Kind.PEDESTRIAN, Kind.BICYCLE), (Kind.ANIMAL, Kind.DEBRIS),
    (Kind.CONE, Kind.PEDESTRIAN), (Kind.BARRIER, Kind.UNKNOWN), (Kind.DEBRIS, Kind.UNKNOWN),
    (Kind.EMERGENCY, Kind.TRUCK),
):  # fmt: skip
    _MISTAKEN[_one] = _other


def detect(truth: Objects, poses: Floats, t_s: Floats, seed: int, range_m: float = RANGE) -> Objects:
    """The objects that a car at map_T_ego `poses` (T, 3) and times `t_s` (T,) detects of the true ones.

    `range_m` is how far it sees (fog and night shorten it). Columns are those of `truth`, and `confidence`.
    """
    instant = truth.instant
    dx, dy = truth["x"] - poses[instant, 0], truth["y"] - poses[instant, 1]
    distance = np.hypot(dx, dy)
    hidden = _hidden(truth.starts, truth["x"], truth["y"], truth["yaw"], truth["length"], truth["width"], poses)
    track, t = truth["track"], t_s[instant]

    def noise(channel: int, knot_s: float = _KNOT_S) -> Floats:
        return np.asarray(_value_noise(seed, track, channel, t, knot_s))

    share = distance / range_m
    # Dropouts: rare near and in the open, common far away and half hidden.
    miss = 0.012 + 0.10 * share**4 + 0.35 * np.clip(hidden / _HIDDEN, 0, 1) ** 3
    seen = (hidden < _HIDDEN) & (share < 1) & (_uniform(noise(_DROP, _BURST_S)) > miss)
    mistaken = _uniform(noise(_KIND, _BURST_S)) < 0.002 + 0.01 * share**2
    sigma = 0.08 + 0.25 * share**2  # m
    columns: dict[str, Array] = {**truth.columns}
    columns["kind"] = np.where(mistaken, _MISTAKEN[truth["kind"]], truth["kind"]).astype(np.int8)
    columns["x"] = truth["x"] + sigma * noise(_X)
    columns["y"] = truth["y"] + sigma * noise(_Y)
    columns["yaw"] = wrap(truth["yaw"] + (0.02 + 0.06 * share**2) * noise(_YAW))
    columns["length"] = truth["length"] * (1 + 0.04 * noise(_LENGTH))
    columns["width"] = truth["width"] * (1 + 0.03 * noise(_WIDTH))
    columns["vx"] = truth["vx"] + (0.10 + 0.5 * share**2) * noise(_VX)
    columns["vy"] = truth["vy"] + (0.10 + 0.5 * share**2) * noise(_VY)
    columns["confidence"] = np.clip(0.97 - 0.4 * share**2 - 0.3 * hidden + 0.04 * noise(_CONFIDENCE), 0.05, 1.0)
    kept = np.concatenate([[0], np.cumsum(seen)])
    return Objects(kept[truth.starts], {name: values[seen] for name, values in columns.items()})


def detect_lights(truth: Lights, poses: Floats, t_s: Floats, seed: int, range_m: float = RANGE) -> Lights:
    """The lights as the car reads them: unknown beyond `range_m`, and now and then for a moment."""
    distance = np.hypot(truth.heads[None, :, 0] - poses[:, None, 0], truth.heads[None, :, 1] - poses[:, None, 1])
    columns = np.broadcast_to(np.arange(len(truth.lanes)) + 1_000_003, distance.shape)
    mood = _uniform(_value_noise(seed, columns.ravel(), _LAMP, np.repeat(t_s, len(truth.lanes)), _BURST_S))
    lost = mood.reshape(distance.shape) < 0.003 + 0.10 * np.clip(distance / range_m, 0, 1) ** 4
    state = np.where((distance < range_m) & ~lost, truth.state, Light.UNKNOWN)
    return replace(truth, state=state.astype(np.int8))


def _uniform(normal: Floats) -> Floats:
    """Value noise of unit variance as a number that is roughly uniform in [0, 1] (logistic approximation)."""
    return np.asarray(1 / (1 + np.exp(-1.702 * normal)))


@numba.njit(cache=True)
def _mix(key: Any) -> Any:  # pragma: no cover - compiled
    """SplitMix64's finaliser (Steele, Lea, Flood 2014): one 64-bit word into another without a pattern."""
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


@numba.njit(cache=True)
def _knot(seed: Any, track: Any, channel: Any, knot: Any) -> float:  # pragma: no cover - compiled
    """A number of zero mean and unit variance that belongs to a knot: the sum of four hashed uniforms."""
    word = _mix(np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15) * np.uint64(channel + 1))
    word = _mix(word + np.uint64(track))
    word = _mix(word + np.uint64(knot))
    total = 0.0
    for _ in range(4):
        word = _mix(word + np.uint64(0x9E3779B97F4A7C15))
        total += float(word >> np.uint64(11)) / 9007199254740992.0
    return (total - 2.0) * 1.7320508075688772  # the variance of the sum is 4 / 12


@numba.njit(cache=True)
def _value_noise(seed, tracks, channel, t, knot_s):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    out = np.empty(len(tracks))
    for row in range(len(tracks)):
        place = t[row] / knot_s + 1e6  # knots are counted from long before the start, so that they are positive
        low = np.floor(place)
        a = _knot(seed, tracks[row], channel, np.int64(low))
        b = _knot(seed, tracks[row], channel, np.int64(low) + 1)
        share = place - low
        # Weights whose squares sum to one keep the variance between knots.
        out[row] = a * np.cos(share * np.pi / 2) + b * np.sin(share * np.pi / 2)
    return out


@numba.njit(cache=True)
def _hidden(starts, x, y, yaw, length, width, poses):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """The share (R,) of each box that nearer boxes hide: rays from the ego to points across it."""
    out = np.zeros(len(x))
    for i in range(len(starts) - 1):
        px, py = poses[i, 0], poses[i, 1]
        for a in range(starts[i], starts[i + 1]):
            dx, dy = x[a] - px, y[a] - py
            distance = np.hypot(dx, dy)
            if distance < 1e-6:
                continue
            # Half the extent of the box across the line of sight.
            turn = yaw[a] - np.arctan2(dy, dx)
            half = (abs(np.sin(turn)) * length[a] + abs(np.cos(turn)) * width[a]) / 2
            nx, ny = -dy / distance, dx / distance
            blocked = 0
            for ray in range(_RAYS):
                spread = half * 0.9 * (2.0 * ray / (_RAYS - 1) - 1.0)
                tx, ty = dx + nx * spread, dy + ny * spread
                for b in range(starts[i], starts[i + 1]):
                    if b == a:
                        continue
                    bx, by = x[b] - px, y[b] - py
                    reach = np.hypot(length[b], width[b]) / 2
                    if np.hypot(bx, by) - reach > distance or np.hypot(bx, by) > distance + reach:
                        continue
                    if _crosses(tx, ty, bx, by, np.cos(yaw[b]), np.sin(yaw[b]), length[b] / 2, width[b] / 2):
                        blocked += 1
                        break
            out[a] = blocked / _RAYS
    return out


@numba.njit(cache=True)
def _crosses(tx, ty, bx, by, cos, sin, half_l, half_w):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Whether the segment from the origin to (tx, ty) enters a box, by slabs in the box's own frame."""
    ox, oy = -(bx * cos + by * sin), bx * sin - by * cos
    vx, vy = tx * cos + ty * sin, ty * cos - tx * sin
    near, far = 0.0, 0.98  # the last bit of the ray is the target's own surface
    for o, v, half in ((ox, vx, half_l), (oy, vy, half_w)):
        if abs(v) < 1e-12:
            if abs(o) > half:
                return False
        else:
            a, b = (-half - o) / v, (half - o) / v
            near, far = max(near, min(a, b)), min(far, max(a, b))
    return near < far
