"""A moment seen from above, as an SVG: the ego heading up, the others, what was driven and what was planned.

Lines keep their width on the screen at any size (`vector-effect` in the page's style, which also holds every colour).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from understudy.geometry import compose, corners, inverse, move, seen_from
from understudy.records import NS, Array, Drive, Floats, Kind, Light
from understudy.web import draw
from understudy.web.ground import Box, ground
from understudy.web.moment import FURTHER, HORIZON_S, Intent, Moment, driven, intents

# What objects look like: class of the style -> kinds.
LOOKS: dict[str, tuple[Kind, ...]] = {
    "car": (Kind.CAR,),
    "heavy": (Kind.TRUCK, Kind.BUS, Kind.EMERGENCY),
    "rider": (Kind.MOTORCYCLE, Kind.BICYCLE),
    "walker": (Kind.PEDESTRIAN, Kind.ANIMAL),
    "thing": (Kind.CONE, Kind.BARRIER, Kind.DEBRIS),
    "unknown": (Kind.UNKNOWN,),
}
_BEYOND = 4.0  # m: how far outside the picture a centre may lie and its box still be seen
_PAST_S = 2.0


@dataclass(frozen=True, slots=True)
class View:
    """The part of the ego frame that is shown, in metres around the rear axle."""

    ahead: float
    behind: float
    side: float

    @classmethod
    def of(cls, moment: Moment) -> View:
        """Wide enough for what was driven and planned next; 4 to 5 in shape, the ego a quarter up from below."""
        paths = [np.zeros((1, 3)), *(intent.likeliest for intent in moment.intents)]
        points = np.concatenate([path[:, :2] for path in (*paths, moment.driven) if path is not None])
        forward, back, aside = points[:, 0].max(), -points[:, 0].min(), np.abs(points[:, 1]).max()
        height = float(np.clip(max((forward + 10) / 0.74, (back + 10) / 0.26, (aside + 6) / 0.4), 48, 220))
        return cls(0.74 * height, 0.26 * height, 0.4 * height)

    @property
    def reach(self) -> float:
        """From the ego to the farthest corner."""
        return float(np.hypot(self.ahead, self.side))

    @property
    def text(self) -> float:
        """The size of letters, in metres."""
        return (self.ahead + self.behind) / 40

    def __str__(self) -> str:
        """The SVG's viewBox."""
        return f"{-self.side:.1f} {-self.ahead:.1f} {2 * self.side:.1f} {self.ahead + self.behind:.1f}"


def svg(moment: Moment, frames: Sequence[int] = (), later: bool = False) -> Markup:
    """The scene at a moment, and hidden layers of other instants that a page may play in its place; or, where it gets
    them `later`, the ground on which they lie and one empty layer.

    The drive must know its pose at the moment and at the frames.
    """
    drive, view = moment.drive, View.of(moment)
    ego = drive.poses[moment.instant]
    layers = [
        f'<g class="ground">{ground(drive.map, ego, _around(moment, frames, view))}</g>',
        f'<g class="now">{"".join(_now(moment, view))}</g>',
        *(['<g class="then"></g>'] if later else [_then(moment, instant, view) for instant in frames]),
        _body(drive),
        _scale(view),
    ]
    words = " ".join(f"{intent.policy} {intent}." for intent in moment.intents)
    said = escape(f"From above: {drive.id} at {moment.at_s:.1f} s. {words}")
    return Markup(f'<svg class="bev" viewBox="{view}" role="img" aria-label="{said}">{"".join(layers)}</svg>')


def looks(moment: Moment) -> list[str]:
    """Which kinds of object are in the picture, as LOOKS names them: for a legend."""
    near = _near(moment.drive, moment.instant, View.of(moment))
    return [look for look, kinds in LOOKS.items() if near and np.isin(near["kind"], kinds).any()]


def _around(moment: Moment, frames: Sequence[int], view: View) -> Box:
    """The part of the moment's ego frame that is seen at the moment or at any frame."""
    if not frames:
        return -view.behind, -view.side, view.ahead, view.side
    places = seen_from(moment.drive.poses[moment.instant], moment.drive.poses[[moment.instant, *frames]])[:, :2]
    low, high = places.min(axis=0) - view.reach, places.max(axis=0) + view.reach
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


# Layers ---------------------------------------------------------------------------------------------------------------


def _now(moment: Moment, view: View) -> Iterator[str]:
    """The moment itself, with all that may be said about it."""
    drive, instant = moment.drive, moment.instant
    yield _trails(drive, instant, view)
    yield from _others(drive, instant, view)
    yield _past(drive, instant)
    for intent in moment.intents:
        unlikely = [mode for mode in intent.modes if mode is not intent.likeliest]
        yield draw.element(f"mode {intent.look}", "".join(draw.curve(_from_here(mode)) for mode in unlikely))
    if moment.driven is not None and len(moment.driven) > 1:
        line = draw.line(moment.driven[:, :2])
        yield draw.element("casing", line) + draw.element("human", line)
        yield draw.element("ghost human", draw.line(_footprint(moment.driven[-1], drive), closed=True))
        yield draw.element("dots human", draw.dots(moment.driven[5::5]))
    for intent in moment.intents:
        yield draw.element(f"plan {intent.look}", draw.curve(_from_here(intent.likeliest)))
        yield draw.element(f"ghost {intent.look}", draw.line(_footprint(intent.likeliest[-1, :3], drive), closed=True))
        yield draw.element(f"dots {intent.look}", draw.dots(intent.likeliest))
    yield from _marks(moment, view)


def _then(moment: Moment, instant: int, view: View) -> str:
    inside, turned = then(moment, instant, view)
    return f'<g class="then" data-s="{moment.drive.t_s[instant]:.2f}" data-ground="{turned}">{inside}</g>'


def then(moment: Moment, instant: int, view: View) -> tuple[str, str]:
    """Another instant, plainly, and how the ground is turned and moved under the ego: shown while a page plays."""
    drive = moment.drive
    dx, dy, turn = seen_from(drive.poses[moment.instant], drive.poses[instant])
    path = driven(drive, instant)
    parts = [*_others(drive, instant, view)]
    parts += [draw.element("human", draw.line(path[::5, :2]))] if path is not None and len(path) > 5 else []
    for intent in intents(drive.shadows.values(), instant, moment.looks):
        parts.append(draw.element(f"plan {intent.look}", draw.line(_from_here(intent.likeliest)[:, :2])))
    return "".join(parts), f"rotate({np.degrees(turn):.2f}) translate({dy:.2f} {dx:.2f})"


# The others -----------------------------------------------------------------------------------------------------------


def _near(drive: Drive, instant: int, view: View) -> dict[str, Array]:
    """The objects in view at an instant, in its ego frame; empty for a drive that knows of none."""
    if drive.objects is None:
        return {}
    found = drive.objects.slice(instant, instant + 1).columns
    x, y, yaw = seen_from(drive.poses[instant], np.stack([found["x"], found["y"], found["yaw"]], -1)).T
    seen = (x > -view.behind - _BEYOND) & (x < view.ahead + _BEYOND) & (np.abs(y) < view.side + _BEYOND)
    return {name: values[seen] for name, values in {**found, "x": x, "y": y, "yaw": yaw}.items()}


def _others(drive: Drive, instant: int, view: View) -> Iterator[str]:
    """Objects as boxes with a line towards where they head, and the lights."""
    near = _near(drive, instant, view)
    if near:
        boxes = np.array(_boxes(near, view.text / 2), dtype=object)
        for look, kinds in LOOKS.items():
            yield draw.element(look, "".join(boxes[np.isin(near["kind"], kinds)]))
        leader = drive["leader_track"][instant] if "leader_track" in drive else -1
        yield draw.element("leader", "".join(boxes[near["track"] == leader]))
    yield from _lights(drive, instant, view)


def _boxes(near: dict[str, Array], least: float) -> list[str]:
    """A path for each object: its box and nose, or a circle where the heading is unknown; none smaller than `least`."""
    length, width = (np.fmax(near[side], least) for side in ("length", "width"))
    pose = np.stack([near["x"], near["y"], near["yaw"]], -1)
    box = corners(pose, length, width)
    nose = np.stack([pose[:, :2], move(pose, np.stack([length / 2, 0 * length], -1))], axis=1)
    return [
        draw.line(box[i], closed=True) + draw.line(nose[i])
        if np.isfinite(pose[i, 2])
        else draw.circle(pose[i, :2], width[i] / 2)
        for i in range(len(pose))
    ]


def _trails(drive: Drive, instant: int, view: View) -> str:
    """Where the objects in view went within the horizon."""
    if drive.objects is None:
        return ""
    last = int(np.searchsorted(drive.t_ns, drive.t_ns[instant] + int(HORIZON_S * NS), side="right"))
    later = drive.objects.slice(instant, last)
    place = move(inverse(drive.poses[instant]), np.stack([later["x"], later["y"]], -1))
    trails = [place[later["track"] == track] for track in _near(drive, instant, view)["track"]]
    moved = [trail for trail in trails if np.hypot(*(trail[-1] - trail[0])) > 1]
    return draw.element("trail", "".join(draw.line(trail[::2]) for trail in moved))


def _lights(drive: Drive, instant: int, view: View) -> Iterator[str]:
    """A bar across the end of each lane whose light is known."""
    if drive.lights is None or drive.map is None:
        return
    lanes = {lane.id: lane for lane in drive.map.lanes}
    for name, state in zip(drive.lights.lanes, drive.lights.state[instant], strict=True):
        if name in lanes and state in (Light.RED, Light.YELLOW, Light.GREEN):
            before, end = move(inverse(drive.poses[instant]), lanes[name].centre[-2:])
            heading = np.arctan2(*(end - before)[::-1])
            bar = move(np.array([*end, heading]), np.array([[0.0, 1.4], [0.0, -1.4]]))
            if np.hypot(*end) < view.reach:
                yield draw.element(f"light {Light(state).name.lower()}", draw.line(bar))


# The ego and the plans ------------------------------------------------------------------------------------------------


def _past(drive: Drive, instant: int) -> str:
    first = int(np.searchsorted(drive.t_ns, drive.t_ns[instant] - int(_PAST_S * NS)))
    path = seen_from(drive.poses[instant], drive.poses[first : instant + 1])[:, :2]
    return draw.element("past", draw.line(path[np.isfinite(path).all(axis=1)]))


def _from_here(poses: Floats) -> Floats:
    """Poses (K, 4) of a plan, with the pose of the moment before them."""
    return np.concatenate([np.zeros((1, 4)), poses])


def _marks(moment: Moment, view: View) -> Iterator[str]:
    """Where each plan parts from the driven path, and whom it would have touched; words keep clear of words."""
    taken: list[Floats] = []
    for place, intent in enumerate(moment.intents):
        left = intent.aside > 0 if intent.parts is not None else place % 2 == 0
        for at, said, drawn in (*_parting(intent, moment, view), *_touching(intent, moment)):
            word = at + view.text * np.array([-0.35, 1.3 if left else -1.3])
            while any((np.abs(word - other) < view.text * np.array([1.2, 8.0])).all() for other in taken):
                word = word - np.array([1.2 * view.text, 0.0])
            taken.append(word)
            yield drawn + _text(intent.look, word, view, said, "end" if left else "start")


def _parting(intent: Intent, moment: Moment, view: View) -> Iterator[tuple[Floats, str, str]]:
    """Where a plan leaves the driven path, or how far along it is at the horizon: the place, the word, the mark."""
    if moment.driven is None:
        return
    if intent.parts is not None:
        at, said = intent.likeliest[intent.parts, :2], f"{intent.parts_s:.1f} s"
        beside = moment.driven[np.argmin(np.hypot(*(moment.driven[:, :2] - at).T)), :2]
    elif abs(intent.further) > FURTHER:
        at, said = intent.likeliest[-1, :2], f"{abs(intent.further):.0f} m {intent.along}"
        beside = moment.driven[-1, :2]
    else:
        return
    gap = draw.element(f"parts {intent.look}", draw.line(np.stack([beside, at])))
    yield at, said, gap + draw.element(f"ring {intent.look}", draw.circle(at, 0.75 * view.text))


def _touching(intent: Intent, moment: Moment) -> Iterator[tuple[Floats, str, str]]:
    """Whom a plan would have touched, as both would have stood then: the place, the word, the mark."""
    contact = intent.contact
    if contact is not None:
        box = corners(contact.box, np.float64(contact.length), np.float64(contact.width))
        ego = draw.line(_footprint(contact.ego, moment.drive), closed=True)
        both = draw.element("struck", draw.line(box, closed=True)) + draw.element(f"ghost struck {intent.look}", ego)
        yield contact.ego[:2], f"touches, {contact.after_s:.1f} s", both


def _body(drive: Drive) -> str:
    """The ego, with its windscreen in front."""
    car = drive.vehicle
    front = car.front
    glass = np.array([front, 0.0]) + np.array([[-0.28, 0.4], [-0.2, 0.0], [-0.28, -0.4]]) * [car.length, car.width]
    return draw.element("ego", draw.line(_footprint(np.zeros(3), drive), closed=True)) + draw.element(
        "glass", draw.line(glass)
    )


def _footprint(pose: Floats, drive: Drive) -> Floats:
    """The ego's corners (4, 2) with its rear axle at a pose."""
    centre = compose(pose, np.array([drive.vehicle.centre_x, 0.0, 0.0]))
    return corners(centre, np.float64(drive.vehicle.length), np.float64(drive.vehicle.width))


def _scale(view: View) -> str:
    """A bar of round length in the lower left."""
    metres = next(length for length in (50, 20, 10) if length <= view.side / 1.5 or length == 10)
    corner = np.array([1.2 * view.text - view.behind, view.side - 1.2 * view.text])
    tick = np.array([view.text / 3, 0.0])
    end = corner - np.array([0.0, metres])
    bar = draw.element("scale", draw.line(np.stack([corner + tick, corner, end, end + tick])))
    return bar + _text("scale", corner + 2 * tick, view, f"{metres} m", "start")


def _text(look: str, at: Floats, view: View, said: str, anchor: str) -> str:
    """Words of our own at a point of the ego frame."""
    x, y = draw.screen(at)
    size = f'font-size="{view.text:.2f}" text-anchor="{anchor}"'
    return f'<text class="{look}" x="{x:.2f}" y="{y:.2f}" {size}>{said}</text>'
