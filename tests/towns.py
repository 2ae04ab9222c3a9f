"""Small maps whose every answer is known: a two-way road, a bend, a crossing of two roads."""

from __future__ import annotations

import numpy as np

from understudy.geometry import compose, move
from understudy.records import Floats, Lane, Map

WIDTH = 3.5


def lane(id: str, centre: Floats, **more: object) -> Lane:
    """A lane of WIDTH along a line."""
    step = np.gradient(centre, axis=0)
    left = np.stack([-step[:, 1], step[:, 0]], axis=-1) / np.hypot(*step.T)[:, None] * WIDTH / 2
    return Lane(
        id, centre, np.concatenate([centre + left, (centre - left)[::-1]]), centre + left, centre - left, **more
    )  # type: ignore[arg-type]


def _straight(start: tuple[float, float], stop: tuple[float, float]) -> Floats:
    return np.linspace(start, stop, 2)


def two_way_road(length: float = 200.0, speed_limit: float = 10.0) -> Map:
    """Along x: `slow` at y = 0 and `fast` at y = 3.5 go to the right, `back` at y = 7 comes towards them."""
    return Map(
        lanes=(
            lane("slow", _straight((0, 0), (length, 0)), left_lane="fast", speed_limit=speed_limit),
            lane("fast", _straight((0, WIDTH), (length, WIDTH)), right_lane="slow", speed_limit=speed_limit),
            lane("back", _straight((length, 2 * WIDTH), (0, 2 * WIDTH)), speed_limit=speed_limit),
        )
    )


def bend(radius: float = 50.0) -> Map:
    """50 m straight along x, then a quarter circle to the left, then 50 m along y."""
    turn = np.linspace(0, np.pi / 2, 40)
    arc = np.stack([50 + radius * np.sin(turn), radius * (1 - np.cos(turn))], axis=-1)
    end = arc[-1]
    return Map(
        lanes=(
            lane("in", _straight((0, 0), (50, 0)), successors=("arc",)),
            lane("arc", arc, predecessors=("in",), successors=("out",)),
            lane("out", _straight((end[0], end[1]), (end[0], end[1] + 50)), predecessors=("arc",)),
        )
    )


def crossing(reach: float = 100.0, half: float = 10.0) -> Map:
    """Two roads of two lanes cross at the origin. Arms are e, n, w, s: `in_w` comes from the west, `w_e` crosses to the
    east, `out_e` leaves there. Lights would govern `w_e` and its like at the end of `in_w`."""
    lanes: list[Lane] = []
    ways = {"e": 0.0, "n": np.pi / 2, "w": np.pi, "s": -np.pi / 2}
    offset = WIDTH / 2
    for arm, turn in ways.items():
        outward = np.array([0, 0, turn])
        others = [other for other in ways if other != arm]
        lanes.append(
            lane(
                f"in_{arm}",
                move(outward, np.array([[reach, offset], [half, offset]])),
                successors=tuple(f"{arm}_{o}" for o in others),
            )
        )
        lanes.append(lane(f"out_{arm}", move(outward, np.array([[half, -offset], [reach, -offset]]))))
        for other in others:
            a = compose(outward, np.array([half, offset, np.pi]))
            b = np.array([*move(np.array([0, 0, ways[other]]), np.array([half, -offset])), ways[other]])
            span = np.hypot(*(b[:2] - a[:2]))
            t = np.linspace(0, 1, 15)[:, None]
            ta, tb = (span * np.array([np.cos(p[2]), np.sin(p[2])]) for p in (a, b))
            path = (
                (1 + 2 * t) * (1 - t) ** 2 * a[:2]
                + t * (1 - t) ** 2 * ta
                + t**2 * (3 - 2 * t) * b[:2]
                - t**2 * (1 - t) * tb
            )
            lanes.append(
                lane(f"{arm}_{other}", path, predecessors=(f"in_{arm}",), successors=(f"out_{other}",), junction=True)
            )
    square = np.array([[half, half], [-half, half], [-half, -half], [half, -half]], float)
    return Map(lanes=tuple(lanes), drivable=(*(one.polygon for one in lanes), square))
