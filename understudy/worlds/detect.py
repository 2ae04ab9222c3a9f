"""What the car's sensors make of the truth: a drive in the city holds detections, and the truth beside them.

Objects beyond range or hidden behind others are missing; the rest is noisy, drops out now and then and may be taken for
something else. Every error is a function of the scenario, the track and the time alone, so an instant observed in
closed loop and the same instant of the recorded drive agree, and a scenario replays exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numba
import numpy as np

from understudy.geometry import wrap
from understudy.records import Array, Floats, Ints, Kind, Light

_RANGE = np.full(len(Kind), 90.0)
_RANGE[[Kind.PEDESTRIAN, Kind.BICYCLE, Kind.MOTORCYCLE]] = 65.0
_RANGE[[Kind.CONE, Kind.DEBRIS, Kind.ANIMAL]] = 50.0
_TAKEN_FOR = {Kind.CAR: Kind.TRUCK, Kind.TRUCK: Kind.BUS, Kind.BUS: Kind.TRUCK, Kind.BICYCLE: Kind.PEDESTRIAN,
              Kind.PEDESTRIAN: Kind.BICYCLE, Kind.MOTORCYCLE: Kind.BICYCLE}  # fmt: skip
_CONFUSED = np.array([_TAKEN_FOR.get(kind, kind) for kind in Kind], np.int8)
LIGHT_RANGE = 75.0
_EYE = (1.6, 1.5)  # ahead of the rear axle and above the ground, m
_DROPOUT_S, _NOISE_S, _LIGHT_S = 0.3, 0.6, 0.4  # how long an error lasts
_DROPOUT, _CONFUSION, _FLICKER = 0.0005, 0.0003, 0.0012


class Walls(NamedTuple):
    """What hides things and does not move: boxes (n,) each column."""

    x: Floats
    y: Floats
    yaw: Floats
    length: Floats
    width: Floats


def detect_objects(
    seed: int, t_s: Floats, poses: Floats, starts: Ints, truth: Mapping[str, Array], walls: Walls, visibility: float
) -> tuple[Ints, dict[str, Array]]:
    """Detections of `truth`'s rows at instants `t_s` (T,) from poses (T, 3): starts (T + 1,) and columns (R',).

    `truth` has OBJECT_COLUMNS and `height`. `visibility` is the weather's, in metres.
    """
    instant = np.repeat(np.arange(len(t_s)), np.diff(starts))
    t, ego, track = t_s[instant], poses[instant], truth["track"]
    distance = np.hypot(truth["x"] - ego[:, 0], truth["y"] - ego[:, 1])
    reach = np.minimum(_RANGE[truth["kind"]], visibility)
    near_end = np.clip((distance / reach - 0.6) / 0.4, 0, 1)  # detection fades towards the end of the range
    dropped = chance(seed, track, t / _DROPOUT_S, 1) < _DROPOUT + 0.5 * near_end**2
    boxes = (truth[c] for c in ("x", "y", "yaw", "length", "width", "height"))
    shown = _shown(starts, poses, *boxes, *walls)  # type: ignore[call-arg]
    kept = (distance < reach) & ~dropped & (shown > 0)
    rows = np.flatnonzero(kept)
    t, track, distance, ego = t[rows], track[rows], distance[rows], ego[rows]
    spread = 0.06 + 0.005 * distance
    found = {name: values[rows].copy() for name, values in truth.items()}
    away = np.stack([found["x"] - ego[:, 0], found["y"] - ego[:, 1]], -1) / np.maximum(distance, 1.0)[:, None]
    along, across = (smooth(seed, track, t / _NOISE_S, purpose) * spread for purpose in (2, 3))
    found["x"] += 1.5 * along * away[:, 0] - across * away[:, 1]
    found["y"] += 1.5 * along * away[:, 1] + across * away[:, 0]
    found["yaw"] = wrap(found["yaw"] + 0.025 * smooth(seed, track, t / _NOISE_S, 4))
    for name, purpose in (("vx", 5), ("vy", 6)):
        found[name] += 0.2 * smooth(seed, track, t / _NOISE_S, purpose)
    for name in ("length", "width", "height"):
        found[name] *= 1 + 0.04 * smooth(seed, track, np.zeros(len(t)), 7)
    confused = chance(seed, track, t / _DROPOUT_S, 8) < _CONFUSION
    found["kind"] = np.where(confused, _CONFUSED[found["kind"]], found["kind"]).astype(np.int8)
    found["confidence"] = np.clip(0.97 - 0.4 * (distance / _RANGE[found["kind"]]) ** 2 - 0.25 * confused, 0.05, 1.0)
    counts = np.bincount(instant[rows], minlength=len(t_s))
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), found


def detect_lights(
    seed: int, t_s: Floats, poses: Floats, heads: Floats, facing: Floats, state: Array, visibility: float
) -> Array:
    """What is seen of lights (T, L): UNKNOWN beyond range or from behind, and now and then wrong for a moment.

    `heads` (L, 3), `facing` (L,) the heading of the traffic that the light is for, `state` (T, L) the truth.
    """
    if state.shape[1] == 0:
        return state.copy()
    dx, dy = heads[None, :, 0] - poses[:, None, 0], heads[None, :, 1] - poses[:, None, 1]
    apart = np.hypot(dx, dy)
    ahead = np.cos(np.arctan2(dy, dx) - poses[:, None, 2]) > 0.5
    towards = np.cos(facing[None] - poses[:, None, 2]) > 0.5
    seen = (apart < min(LIGHT_RANGE, visibility)) & ahead & towards
    which = np.broadcast_to(np.arange(len(heads)), state.shape)
    draw = chance(seed, which, np.broadcast_to(t_s[:, None] / _LIGHT_S, state.shape), 9)
    other = np.where(state == Light.RED, Light.YELLOW, np.where(state == Light.GREEN, Light.UNKNOWN, state))
    flickers = draw < _FLICKER * (0.3 + apart / LIGHT_RANGE)
    return np.where(seen, np.where(flickers, other, state), Light.UNKNOWN).astype(np.int8)


def chance(seed: int, who: Array, when: Array, purpose: int) -> Floats:
    """Uniform numbers in [0, 1), the same for the same four integers: splitmix64 (Steele, Lea, Flood 2014) of them."""
    z = np.asarray(who).astype(np.uint64) * np.uint64(0xD1342543DE82EF95) + np.floor(when).astype(np.int64).astype(
        np.uint64
    )
    z = z * np.uint64(0x9E3779B97F4A7C15) + np.uint64(
        (seed * 0x2545F4914F6CDD1D + purpose * 0x632BE59BD9B4E019) % 2**64
    )
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((z ^ (z >> np.uint64(31))) >> np.uint64(11), float) * 2.0**-53


def smooth(seed: int, who: Array, when: Floats, purpose: int) -> Floats:
    """Noise of unit variance that changes over about one unit of `when`: cosine between independent draws."""
    share = (1 - np.cos(np.pi * (when - np.floor(when)))) / 2
    before, after = (np.sqrt(12) * (chance(seed, who, when + step, purpose) - 0.5) for step in (0, 1))
    return np.asarray((before * (1 - share) + after * share) / np.sqrt((1 - share) ** 2 + share**2))


@numba.njit(cache=True)
def _shown(starts, poses, x, y, yaw, length, width, height, wall_x, wall_y, wall_yaw, wall_length, wall_width):  # type: ignore[no-untyped-def]
    """How many of each object's centre and two ends across the sight line can be seen, (R,) 0 to 3."""
    shown = np.zeros(len(x), np.int8)
    near = np.empty(len(wall_x), np.int64)
    for i in range(len(starts) - 1):
        ego = poses[i]
        ex, ey = ego[0] + _EYE[0] * np.cos(ego[2]), ego[1] + _EYE[0] * np.sin(ego[2])
        walls = 0
        for w in range(len(wall_x)):
            if (wall_x[w] - ex) ** 2 + (wall_y[w] - ey) ** 2 < (100.0 + wall_length[w]) ** 2:
                near[walls] = w
                walls += 1
        for r in range(starts[i], starts[i + 1]):
            dx, dy = x[r] - ex, y[r] - ey
            distance = max(np.hypot(dx, dy), 0.1)
            side = 0.4 * (
                abs(np.sin(yaw[r] - np.arctan2(dy, dx))) * length[r]
                + abs(np.cos(yaw[r] - np.arctan2(dy, dx))) * width[r]
            )
            for k in (-1, 0, 1):
                tx, ty = x[r] - k * side * dy / distance, y[r] + k * side * dx / distance
                hidden = False
                for o in range(starts[i], starts[i + 1]):
                    # Something lower than the eye hides only what is lower still.
                    tall = o != r and (height[o] > _EYE[1] or height[o] > height[r] + 0.2)
                    if tall and _crosses(ex, ey, tx, ty, x[o], y[o], yaw[o], length[o], width[o]):
                        hidden = True
                        break
                w = 0
                while not hidden and w < walls:
                    j = near[w]
                    hidden = _crosses(ex, ey, tx, ty, wall_x[j], wall_y[j], wall_yaw[j], wall_length[j], wall_width[j])
                    w += 1
                shown[r] += not hidden
    return shown


@numba.njit(cache=True)
def _crosses(ax, ay, bx, by, x, y, yaw, length, width):  # type: ignore[no-untyped-def]
    """Whether the segment from a to b passes through a box (slabs, in the box's frame)."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    ux, uy = cos * (ax - x) + sin * (ay - y), cos * (ay - y) - sin * (ax - x)
    vx, vy = cos * (bx - ax) + sin * (by - ay), cos * (by - ay) - sin * (bx - ax)
    low, high = 0.0, 1.0
    for p, v, half in ((ux, vx, length / 2), (uy, vy, width / 2)):
        if abs(v) < 1e-12:
            if abs(p) > half:
                return False
        else:
            t0, t1 = (-half - p) / v, (half - p) / v
            low, high = max(low, min(t0, t1)), min(high, max(t0, t1))
            if low >= high:
                return False
    return True
