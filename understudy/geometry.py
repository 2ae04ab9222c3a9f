"""Poses, boxes, cameras and lines, as pure functions on arrays with any leading axes.

A pose is (x, y, yaw): `a_T_b` as a planar transform. A rigid transform in space is (4, 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.errors import DataError
from understudy.records import PAUSE_S, Array, Floats, Ints, Rig


def wrap(angle: Floats) -> Floats:
    """The same angle in (-pi, pi]."""
    return np.asarray(np.pi - np.mod(np.pi - angle, 2 * np.pi))


# Planar poses ---------------------------------------------------------------------------------------------------------


def compose(a_T_b: Floats, b_T_c: Floats) -> Floats:
    """a_T_c from poses (..., 3)."""
    a_T_b, b_T_c = np.asarray(a_T_b, float), np.asarray(b_T_c, float)
    cos, sin = np.cos(a_T_b[..., 2]), np.sin(a_T_b[..., 2])
    x = a_T_b[..., 0] + cos * b_T_c[..., 0] - sin * b_T_c[..., 1]
    y = a_T_b[..., 1] + sin * b_T_c[..., 0] + cos * b_T_c[..., 1]
    return np.stack(np.broadcast_arrays(x, y, wrap(a_T_b[..., 2] + b_T_c[..., 2])), axis=-1)


def inverse(a_T_b: Floats) -> Floats:
    """b_T_a from a pose (..., 3)."""
    a_T_b = np.asarray(a_T_b, float)
    cos, sin = np.cos(a_T_b[..., 2]), np.sin(a_T_b[..., 2])
    x = -cos * a_T_b[..., 0] - sin * a_T_b[..., 1]
    y = sin * a_T_b[..., 0] - cos * a_T_b[..., 1]
    return np.stack([x, y, wrap(-a_T_b[..., 2])], axis=-1)


def seen_from(map_T_ego: Floats, map_T_other: Floats) -> Floats:
    """ego_T_other: a pose as seen from another, both (..., 3) in the same frame."""
    return compose(inverse(map_T_ego), map_T_other)


def move(a_T_b: Floats, points: Floats) -> Floats:
    """Points (..., 2) of frame b in frame a."""
    a_T_b, points = np.asarray(a_T_b, float), np.asarray(points, float)
    cos, sin = np.cos(a_T_b[..., 2]), np.sin(a_T_b[..., 2])
    x = a_T_b[..., 0] + cos * points[..., 0] - sin * points[..., 1]
    y = a_T_b[..., 1] + sin * points[..., 0] + cos * points[..., 1]
    return np.stack([x, y], axis=-1)


def interpolate(t_ns: Ints, poses: Floats, at_ns: Ints) -> Floats:
    """Poses (..., 3) at other stamps, linear in position and along the shorter turn; nan outside the recording and
    where it pauses."""
    at = (np.asarray(at_ns) - t_ns[0]) / 1e9
    t = (t_ns - t_ns[0]) / 1e9
    yaw = poses[:, 2].copy()
    known = np.isfinite(yaw)
    yaw[known] = np.unwrap(yaw[known])
    columns = [np.interp(at, t, column, left=np.nan, right=np.nan) for column in (poses[:, 0], poses[:, 1], yaw)]
    columns[2] = wrap(columns[2])
    return np.where(paused(t_ns, at_ns)[..., None], np.nan, np.stack(columns, axis=-1))


def paused(t_ns: Ints, at_ns: Ints) -> Array:
    """Whether stamps (...,) lie where a recording with instants at `t_ns` (T,) pauses."""
    after = np.clip(np.searchsorted(t_ns, at_ns), 1, max(len(t_ns) - 1, 1))
    pauses = np.append(np.diff(t_ns) > PAUSE_S * 1e9, False)  # after each instant
    return np.asarray(pauses[after - 1] & (at_ns > t_ns[after - 1]) & (at_ns < t_ns[np.minimum(after, len(t_ns) - 1)]))


def constant_turn(speed: Floats, yaw_rate: Floats, t_s: Floats) -> Floats:
    """Poses (..., 3) after `t_s` at constant speed and yaw rate: the chord of the arc, exact at any rate of turn."""
    half = yaw_rate * t_s / 2
    chord = speed * t_s * np.sinc(half / np.pi)
    return np.stack([chord * np.cos(half), chord * np.sin(half), wrap(2 * half)], axis=-1)


def bicycle(pose: Floats, speed: Floats, road_wheel_angle: Floats, wheelbase: float, dt: float) -> Floats:
    """The pose (..., 3) of the rear axle after `dt` of a kinematic bicycle with constant speed and wheel angle."""
    return compose(pose, constant_turn(speed, speed * np.tan(road_wheel_angle) / wheelbase, np.asarray(dt)))


# Rotations in space ---------------------------------------------------------------------------------------------------


def rotation(qw: Array, qx: Array, qy: Array, qz: Array) -> Floats:
    """Rotation matrices (..., 3, 3) from quaternions, w first, normalised here."""
    q = np.stack(np.broadcast_arrays(qw, qx, qy, qz), axis=-1).astype(float)
    w, x, y, z = np.moveaxis(q / np.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def yaw_of(matrix: Floats) -> Floats:
    """The heading of the x axis of rotation matrices (..., 3, 3)."""
    return np.asarray(np.arctan2(matrix[..., 1, 0], matrix[..., 0, 0]))


def rigid(matrix: Floats, translation: Floats) -> Floats:
    """A transform (..., 4, 4) from a rotation and a translation."""
    out = np.zeros((*np.shape(translation)[:-1], 4, 4))
    out[..., :3, :3] = matrix
    out[..., :3, 3] = translation
    out[..., 3, 3] = 1
    return out


def transform(a_T_b: Floats, points: Floats) -> Floats:
    """Points (..., P, 3) of frame b in frame a, for a (..., 4, 4) transform."""
    return np.asarray(points @ np.swapaxes(a_T_b[..., :3, :3], -1, -2) + a_T_b[..., None, :3, 3])


# Cameras --------------------------------------------------------------------------------------------------------------


def project(points: Floats, K: Floats, distortion: str = "none", coefficients: tuple[float, ...] = ()) -> Floats:
    """Pixels (..., 2) of points (..., 3) in the camera frame; nan behind the camera or beyond what the lens model maps.

    `brown` is Brown-Conrady (k1 k2 p1 p2 k3), `fisheye` is Kannala-Brandt (k1 to k4), both as OpenCV defines them.
    """
    z = points[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = points[..., 0] / z, points[..., 1] / z
        front = z > 1e-6
        if distortion == "brown":
            k1, k2, p1, p2, k3 = (*coefficients, 0.0, 0.0, 0.0, 0.0, 0.0)[:5]
            r2 = x * x + y * y
            radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
            # Beyond the first turning point of r * radial the polynomial folds far points back into the picture.
            front = front & (1 + r2 * (3 * k1 + r2 * (5 * k2 + r2 * 7 * k3)) > 0) & (r2 < _fold(k1, k2, k3))
            x, y = (
                x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
            )
        elif distortion == "fisheye":
            k1, k2, k3, k4 = (*coefficients, 0.0, 0.0, 0.0, 0.0)[:4]
            r = np.hypot(x, y)
            theta = np.arctan(r)
            t2 = theta * theta
            front = front & (t2 < _fold(k1, k2, k3, k4))
            scale = np.where(r > 1e-9, theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4)))) / r, 1.0)
            x, y = x * scale, y * scale
        elif distortion != "none":
            raise DataError(f"unknown distortion {distortion!r}; known: none, brown, fisheye")
        pixels = np.stack([K[0, 0] * x + K[0, 1] * y + K[0, 2], K[1, 1] * y + K[1, 2]], axis=-1)
    return np.asarray(np.where(front[..., None], pixels, np.nan))


def _fold(*k: float) -> float:
    """The smallest square of r at which r (1 + k1 r² + k2 r⁴ + ...) stops growing."""
    roots = np.roots([*reversed([(2 * i + 1) * one for i, one in enumerate(k, start=1)]), 1.0])
    real = roots[(np.abs(roots.imag) < 1e-9) & (roots.real > 0)].real
    return float(real.min()) if len(real) else np.inf


def rays(pixels: Floats, K: Floats, distortion: str = "none", coefficients: tuple[float, ...] = ()) -> Floats:
    """Directions (..., 3) with z = 1 in the camera frame that `project` maps to the pixels; fixed-point inversion.

    nan where the lens model has none: outside the picture of a strong distortion.
    """
    y = (pixels[..., 1] - K[1, 2]) / K[1, 1]
    x = (pixels[..., 0] - K[0, 2] - K[0, 1] * y) / K[0, 0]
    wanted = np.stack([x, y], -1)
    ray = np.stack([x, y, np.ones_like(x)], -1)
    if distortion == "none":
        return ray
    for _ in range(30):
        there = project(ray, np.eye(3), distortion, coefficients)
        ray[..., :2] += np.nan_to_num(wanted - there)
    with np.errstate(invalid="ignore"):
        missed = np.linalg.norm(project(ray, np.eye(3), distortion, coefficients) - wanted, axis=-1)
        return np.where((missed < 1e-3)[..., None], ray, np.nan)


# Boxes ----------------------------------------------------------------------------------------------------------------


def corners(pose: Floats, length: Floats | float, width: Floats | float) -> Floats:
    """Corners (..., 4, 2) of boxes centred at poses (..., 3): front left, front right, rear right, rear left."""
    x = np.asarray(length)[..., None] / 2 * np.array([1, 1, -1, -1])
    y = np.asarray(width)[..., None] / 2 * np.array([1, -1, -1, 1])
    return move(np.asarray(pose)[..., None, :], np.stack(np.broadcast_arrays(x, y), axis=-1))


def overlap(
    pose_a: Floats,
    length_a: Floats | float,
    width_a: Floats | float,
    pose_b: Floats,
    length_b: Floats | float,
    width_b: Floats | float,
) -> Array:
    """Whether oriented boxes touch, (...,) bool, by the separating axis theorem on centres, extents and headings."""
    pose_a, pose_b = np.asarray(pose_a, float), np.asarray(pose_b, float)
    dx, dy = pose_b[..., 0] - pose_a[..., 0], pose_b[..., 1] - pose_a[..., 1]
    turn = pose_b[..., 2] - pose_a[..., 2]
    cos, sin = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    la, wa, lb, wb = (np.asarray(side) / 2 for side in (length_a, width_a, length_b, width_b))
    ca, sa = np.cos(pose_a[..., 2]), np.sin(pose_a[..., 2])
    cb, sb = np.cos(pose_b[..., 2]), np.sin(pose_b[..., 2])
    return np.asarray(
        (np.abs(dx * ca + dy * sa) <= la + lb * cos + wb * sin)
        & (np.abs(dy * ca - dx * sa) <= wa + lb * sin + wb * cos)
        & (np.abs(dx * cb + dy * sb) <= lb + la * cos + wa * sin)
        & (np.abs(dy * cb - dx * sb) <= wb + la * sin + wa * cos)
    )


# Lines ----------------------------------------------------------------------------------------------------------------


def arc_length(line: Floats) -> Floats:
    """Distance along a line (P, 2) at each of its points, starting at 0."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])


def resample(line: Floats, s: Floats) -> Floats:
    """Points (len(s), 2) of a line at distances along it; held at the ends."""
    along = arc_length(line)
    return np.stack([np.interp(s, along, line[:, 0]), np.interp(s, along, line[:, 1])], axis=-1)


def frenet(line: Floats, points: Floats) -> tuple[Floats, Floats, Floats]:
    """Where points (..., 2) lie along a line (P, 2): distance along it, signed distance to its left, heading there.

    Before the first and beyond the last point the line goes on straight, so the distance along may be negative.
    """
    points = np.asarray(points, float)
    start, step = line[:-1], np.diff(line, axis=0)
    length = np.maximum(np.hypot(*step.T), 1e-9)
    unit = step / length[:, None]
    offset = points[..., None, :] - start  # (..., P-1, 2)
    t = offset[..., 0] * unit[:, 0] + offset[..., 1] * unit[:, 1]
    inside = np.clip(t, 0, length)
    nearest = np.argmin(
        np.hypot(offset[..., 0] - inside * unit[:, 0], offset[..., 1] - inside * unit[:, 1]), axis=-1
    )  # (...,)
    along = np.take_along_axis(t, nearest[..., None], -1)[..., 0]
    first, last = nearest == 0, nearest == len(step) - 1
    along = (
        np.where(first, np.minimum(along, length[nearest]), np.clip(along, 0, length[nearest]))
        if len(step) > 1
        else along
    )
    if len(step) > 1:
        along = np.where(last, np.maximum(np.take_along_axis(t, nearest[..., None], -1)[..., 0], 0), along)
    across = offset[..., 1] * unit[:, 0] - offset[..., 0] * unit[:, 1]
    heading = np.arctan2(unit[:, 1], unit[:, 0])
    return (
        arc_length(line)[:-1][nearest] + along,
        np.take_along_axis(across, nearest[..., None], -1)[..., 0],
        heading[nearest],
    )


def first_pass(line: Floats, point: Floats, slack: float = 2.0) -> int:
    """The index of a line's point (P, 2) that is nearest to `point` (2,) where the line first comes as near as that.

    A line that comes by again (a ring driven twice) is as near later, give or take `slack` metres.
    """
    apart = np.hypot(*(line - point).T)
    near = apart < apart.min() + slack
    first = int(np.argmax(near))
    left = near[first:].argmin() or len(near) - first
    return first + int(np.argmin(apart[first : first + left]))


# Bird's-eye view ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of a bird's-eye view in the ego frame: X rows forward from `x0`, Y columns leftward from `y0`."""

    x0: float = -16.0
    y0: float = -24.0
    cell: float = 0.75
    shape: tuple[int, int] = (64, 64)

    def centres(self) -> Floats:
        """The middle of each cell, (X, Y, 2)."""
        x = self.x0 + self.cell * (np.arange(self.shape[0]) + 0.5)
        y = self.y0 + self.cell * (np.arange(self.shape[1]) + 0.5)
        return np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)


CAMERAS_A_CELL = 2
_PERHAPS = 0.01  # of a picture's width a radian: less than any lens has


def lift_table(rig: Rig, grid: Grid, heights: Floats, size: tuple[int, int]) -> tuple[Ints, Floats]:
    """Where each cell of a bird's-eye view, at each height, lies in the feature maps of a rig's cameras.

    Gives `index` (Z * X * Y, 8) into the feature maps laid out as (C, h, w) for maps of `size` (w, h), and `weight` of
    the same shape: four bilinear corners in each of at most two cameras, those that see the cell nearest to their
    middle. Weights of a cell sum to 1, or to 0 where no camera sees it. Sampling by such a table has no parameters, as
    in Simple-BEV (Harley et al. 2023), and knows nothing of how many cameras there are or of their lenses.
    """
    w, h = size
    ground = grid.centres()
    points = np.concatenate(
        [np.concatenate([ground, np.full((*grid.shape, 1), height)], axis=-1).reshape(-1, 3) for height in heights]
    )  # (Z * X * Y, 3)
    places = np.full((len(rig.names), len(points), 2), np.nan)
    for c in range(len(rig.names)):
        if not np.isfinite(rig.ego_T_cam[c]).all():
            continue
        in_camera = transform(np.linalg.inv(rig.ego_T_cam[c]), points)
        pixels = project(in_camera, rig.K[c], rig.distortion[c], rig.coefficients[c])
        places[c] = (pixels + 0.5) * np.array([w, h]) / rig.size[c] - 0.5  # from pixel centres to feature centres
    # The share of the half picture between a point and the nearest edge: negative or nan is not seen.
    margin = 1 - np.max(np.abs((places + 0.5) / np.array([w, h]) - 0.5) * 2, axis=-1)  # (C, Z * X * Y)
    margin = np.where(np.isfinite(margin), margin, -1.0)
    order = np.argsort(-margin, axis=0, kind="stable")[:CAMERAS_A_CELL]
    index = np.zeros((len(points), CAMERAS_A_CELL * 4), np.int64)
    weight = np.zeros((len(points), CAMERAS_A_CELL * 4))
    for slot, camera in enumerate(order):
        rows = np.arange(len(points))
        seen = margin[camera, rows] > 0
        place = np.where(seen[:, None], places[camera, rows], 0.0)
        low = np.floor(place).astype(np.int64)
        share = place - low
        for corner, (dx, dy) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
            x, y = np.clip(low[:, 0] + dx, 0, w - 1), np.clip(low[:, 1] + dy, 0, h - 1)
            bilinear = np.abs(1 - dx - share[:, 0]) * np.abs(1 - dy - share[:, 1])
            index[:, slot * 4 + corner] = np.where(seen, (camera * h + y) * w + x, 0)
            weight[:, slot * 4 + corner] = np.where(seen, bilinear, 0.0)
    total = weight.sum(axis=1, keepdims=True)
    return index, np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)


def sight_ahead(rig: Rig) -> Floats:
    """How sharply each camera sees straight ahead, (C,): the share of its picture's width that a radian takes there; 0
    where it looks elsewhere. Of equals the first comes first. A camera of unknown lens or mounting is taken for one
    that looks ahead, as most do, but comes after all that are known to.
    """
    azimuth = np.array([0.01, 0.0, -0.01])
    far = 1e4 * np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros(3)], axis=-1)
    found = np.zeros(len(rig.names))
    for c in range(len(rig.names)):
        if not np.isfinite(rig.ego_T_cam[c]).all() or not np.isfinite(rig.K[c]).all():
            found[c] = _PERHAPS
        else:
            in_camera = transform(np.linalg.inv(rig.ego_T_cam[c]), far)
            u, v = project(in_camera, rig.K[c], rig.distortion[c], rig.coefficients[c]).T
            width, height = rig.size[c]
            if ((u > 0) & (u < width - 1) & (v > 0) & (v < height - 1)).all():
                found[c] = (u[2] - u[0]) / (azimuth[0] - azimuth[2]) / width
    return found * (1 - 1e-6 * np.arange(len(found)))
