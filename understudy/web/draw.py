"""Points of the ego frame as paths of an SVG: the ego's x points up, its y to the left, one unit is one metre."""

from __future__ import annotations

import numpy as np

from understudy.records import Floats


def screen(points: Floats) -> Floats:
    """Points (..., 2) of the ego frame on the picture: x to the right, y down."""
    return np.stack([-points[..., 1], -points[..., 0]], axis=-1)


def element(look: str, d: str) -> str:
    """A path with a class of the page's style; nothing where there is nothing to draw."""
    return f'<path class="{look}" d="{d}"/>' if d else ""


def line(points: Floats, closed: bool = False) -> str:
    """A line through points (P, 2), to the centimetre; empty where any is unknown.

    Each point is told from the one before, as whole centimetres apart, so that nothing adds up.
    """
    if len(points) == 0 or not np.isfinite(points).all():
        return ""
    steps = np.diff(np.round(screen(points) * 100).astype(int), axis=0, prepend=0) / 100
    return "M" + "l".join(f"{x:g} {y:g}" for x, y in steps.tolist()) + ("z" if closed else "")


def curve(poses: Floats) -> str:
    """A smooth line through poses (P, 3 or more) that has each pose's heading; straight where a heading is unknown."""
    points, yaw = poses[:, :2], poses[:, 2]
    if not np.isfinite(yaw).all():
        return line(points)
    third = np.hypot(*np.diff(points, axis=0).T)[:, None] / 3
    heading = np.stack([np.cos(yaw), np.sin(yaw)], -1)
    after, before = points[:-1] + third * heading[:-1], points[1:] - third * heading[1:]
    rows = np.round(screen(np.stack([after, before, points[1:]], axis=1)).reshape(-1, 6), 2).tolist()
    return line(points[:1]) + "".join("C" + " ".join(f"{value:g}" for value in row) for row in rows)


def dots(points: Floats) -> str:
    """Points (P, 2 or more) as lines without length: the style's caps make them dots of one size on any screen."""
    return "".join(f"M{x:g} {y:g}h0" for x, y in np.round(screen(points[:, :2]), 2).tolist())


def circle(centre: Floats, radius: float) -> str:
    """A circle around a point (2,), as two arcs."""
    x, y = screen(centre)
    arc = f"a{radius:.2f} {radius:.2f} 0 1 0"
    return f"M{x - radius:.2f} {y:.2f}{arc} {2 * radius:.2f} 0{arc} {-2 * radius:.2f} 0"
