"""A moment seen from above, as an SVG: the ego in place and heading up, the map, the others, who drove and planned where.

One unit is one metre, x to the right and y down, so the ego frame's (x, y) lies at (-y, -x). Lines keep their width on
the screen at any size (`vector-effect` in the page's style, which also holds every colour).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from markupsafe import Markup, escape

from understudy.geometry import corners, move, seen_from
from understudy.records import NS, Array, Drive, Floats, Kind, Lane, Light, Map
from understudy.web.moment import FURTHER, HORIZON_S, Intent, Moment, moment

# What objects look like: class of the style -> kinds. Unknown ones are drawn as vehicles are, hollow.
LOOKS: dict[str, tuple[Kind, ...]] = {
    "car": (Kind.CAR,),
    "heavy": (Kind.TRUCK, Kind.BUS, Kind.EMERGENCY),
    "rider": (Kind.MOTORCYCLE, Kind.BICYCLE),
    "walker": (Kind.PEDESTRIAN, Kind.ANIMAL),
    "thing": (Kind.CONE, Kind.BARRIER, Kind.DEBRIS),
    "unknown": (Kind.UNKNOWN,),
}
_FINE = 0.05  # m: what of the map is too fine to be seen
_SMALLEST = 0.6  # m: an object of unknown size


@dataclass(frozen=True, slots=True)
class View:
    """The part of the ego frame that is shown, in metres around the rear axle."""

    ahead: float
    behind: float
    side: float

    @classmethod
    def of(cls, moment: Moment) -> View:
        """Wide enough for what was driven and planned next, 4 to 5 in shape, the ego a quarter up from below."""
        paths = [moment.driven, *(intent.likeliest for intent in moment.intents)]
        points = np.concatenate([np.zeros((1, 2)), *(path[:, :2] for path in paths if path is not None)])
        forward, back, aside = points[:, 0].max(), -points[:, 0].min(), np.abs(points[:, 1]).max()
        height = float(np.clip(max((forward + 10) / 0.74, (back + 10) / 0.26, (aside + 6) / 0.4), 48, 220))
        return cls(0.74 * height, 0.26 * height, 0.4 * height)

    @property
    def reach(self) -> float:
        """From the ego to the farthest corner."""
        return float(np.hypot(self.ahead, self.side))

    def __str__(self) -> str:
        """The SVG's viewBox."""
        return f"{-self.side:.1f} {-self.ahead:.1f} {2 * self.side:.1f} {self.ahead + self.behind:.1f}"


def svg(moment: Moment, frames: Sequence[int] = ()) -> Markup:
    """The scene at a moment, and hidden layers of other instants that a page may play in its place.

    Raises DataError for a drive without poses: there is no from-above without a place.
    """
    drive, view = moment.drive, View.of(moment)
    ego = drive.poses[moment.instant]
    around = _around(drive, [moment.instant, *frames], ego, view)
    layers = [f'<g class="ground">{"".join(_map(drive.map, ego, around)) if drive.map else _grid(around)}</g>']
    layers += [f'<g class="now">{"".join(_now(moment, view))}</g>']
    layers += [_then(drive, instant, ego, view) for instant in frames]
    layers += [_body(drive), _scale(view)]
    said = escape(f"From above: {drive.id} at {moment.at_s:.1f} s. {' '.join(sentences(moment))}")
    return Markup(f'<svg class="bev" viewBox="{view}" role="img" aria-label="{said}">{"".join(layers)}</svg>')


def sentences(moment: Moment) -> Iterator[str]:
    """Where each policy parts from what was driven, in words."""
    for intent in moment.intents:
        yield f"{intent.policy} {intent}."


def looks(drive: Drive, instant: int, reach: float) -> list[str]:
    """Which kinds of object are near at an instant, as LOOKS names them: for a legend."""
    kinds = _near(drive, instant, reach)["kind"] if drive.objects is not None else np.zeros(0)
    return [look for look, of in LOOKS.items() if np.isin(kinds, of).any()]


# The ground -----------------------------------------------------------------------------------------------------------


def _around(drive: Drive, instants: Sequence[int], ego: Floats, view: View) -> tuple[float, float, float, float]:
    """The box of the moment's ego frame that any of the instants shows: x from, y from, x to, y to."""
    places = seen_from(ego, drive.poses[list(instants)])[:, :2]
    low, high = np.nanmin(places, axis=0) - view.reach, np.nanmax(places, axis=0) + view.reach
    if len(instants) == 1:
        return -view.behind, -view.side, view.ahead, view.side
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _map(known: Map, ego: Floats, around: tuple[float, float, float, float]) -> Iterator[str]:
    """Asphalt, crossings, lanes and paint within a box of the ego frame."""
    lanes = [lane for lane in known.lanes if _touches(_local(ego, lane.polygon), around)]
    rings = known.drivable or tuple(lane.polygon for lane in lanes)
    asphalt = shapely.union_all([area for ring in rings if (area := _area(_local(ego, ring), around)) is not None])
    yield _path("asphalt", _outline(shapely.simplify(asphalt, _FINE)))
    for ring in known.crosswalks:
        area = _area(_local(ego, ring), around)
        yield _path("crosswalk", _outline(area) if area is not None else "")
    junctions = [_area(_local(ego, lane.polygon), around) for lane in lanes if lane.junction]
    yield _path("junction", _outline(shapely.union_all([area for area in junctions if area is not None])))
    yield _path("centre", _lines((lane.centre for lane in lanes if not lane.junction), ego, around))
    if known.markings:
        for style in ("solid", "dashed", "kerb"):
            for colour in ("white", "yellow"):
                lines = (one.points for one in known.markings if one.style == style and (one.colour == "yellow") == (colour == "yellow"))
                yield _path(f"{style} {colour}", _lines(lines, ego, around))
    else:
        yield _path("edge", _lines(_edges(lanes), ego, around))
    yield _path("stop", _lines(known.stop_lines, ego, around))
    if known.extent is not None:
        yield _path("extent", _lines([np.concatenate([known.extent, known.extent[:1]])], ego, around))


def _edges(lanes: Iterable[Lane]) -> Iterator[Floats]:
    for lane in lanes:
        if not lane.junction:
            yield from (line for line in (lane.left, lane.right) if line is not None)


def _local(ego: Floats, points: Floats) -> Floats:
    """Points (P, 2) of the map frame in the ego frame of a pose."""
    x, y, yaw = ego
    cos, sin = np.cos(yaw), np.sin(yaw)
    dx, dy = points[:, 0] - x, points[:, 1] - y
    return np.stack([cos * dx + sin * dy, cos * dy - sin * dx], axis=-1)


def _touches(points: Floats, box: tuple[float, float, float, float]) -> bool:
    low, high = points.min(axis=0), points.max(axis=0)
    return bool(low[0] <= box[2] and high[0] >= box[0] and low[1] <= box[3] and high[1] >= box[1])


def _area(ring: Floats, box: tuple[float, float, float, float]) -> shapely.Geometry | None:
    """The part of a ring within a box; None where there is none."""
    if len(ring) < 3 or not _touches(ring, box):
        return None
    return shapely.clip_by_rect(shapely.make_valid(shapely.Polygon(ring)), *box)


def _outline(area: shapely.Geometry) -> str:
    """The rings of polygons as one path; holes run the other way and are spared by the even-odd rule."""
    polygons = [one for one in shapely.get_parts(area) if one.geom_type == "Polygon" and not one.is_empty]
    return "".join(
        _d(np.asarray(ring.coords)[:-1], closed=True) for polygon in polygons for ring in (polygon.exterior, *polygon.interiors)
    )


def _lines(lines: Iterable[Floats], ego: Floats, box: tuple[float, float, float, float]) -> str:
    """Lines of the map as one path, the parts within a box."""
    local = (_local(ego, line) for line in lines if len(line) > 1)
    kept = [shapely.LineString(line) for line in local if _touches(line, box)]
    clipped = shapely.simplify(shapely.clip_by_rect(np.array(kept, dtype=object), *box), _FINE) if kept else []
    parts = shapely.get_parts(clipped) if len(clipped) else []
    return "".join(_d(np.asarray(part.coords)) for part in parts if not part.is_empty)


def _grid(around: tuple[float, float, float, float]) -> str:
    """Lines every ten metres, where no map says how large things are."""
    x0, y0, x1, y1 = (round(edge / 10) * 10 for edge in around)
    rows = [np.array([[x, y0], [x, y1]], float) for x in range(x0, x1 + 1, 10)]
    columns = [np.array([[x0, y], [x1, y]], float) for y in range(y0, y1 + 1, 10)]
    return _path("grid", "".join(_d(line) for line in rows + columns))


# What moves -----------------------------------------------------------------------------------------------------------


def _now(moment: Moment, view: View) -> Iterator[str]:
    """The moment itself, with all that may be said about it."""
    drive = moment.drive
    yield _trails(drive, moment.instant, view.reach)
    yield from _others(drive, moment.instant, view.reach)
    yield from _past(drive, moment.instant)
    for place, intent in enumerate(moment.intents, 1):
        others = [mode for mode in intent.modes if mode is not intent.likeliest]
        yield _path(f"mode p{place}", "".join(_curve(_from_here(mode)) for mode in others))
    if moment.driven is not None and len(moment.driven) > 1:
        yield from _driven(moment.driven, drive)
    for place, intent in enumerate(moment.intents, 1):
        yield from _planned(intent, place, drive)
    for place, intent in enumerate(moment.intents, 1):
        yield from _parting(intent, place, moment.driven, view)


def _then(drive: Drive, instant: int, ego: Floats, view: View) -> str:
    """Another instant, plainly: it is shown while the page plays. The ground is turned and moved under the ego."""
    at = moment(drive, instant)
    dx, dy, turn = seen_from(ego, drive.poses[instant])
    parts = [*_others(drive, instant, view.reach)]
    if at.driven is not None and len(at.driven) > 1:
        parts.append(_path("human", _d(at.driven[::5, :2])))
    parts += [_path(f"plan p{k}", _d(_from_here(intent.likeliest)[:, :2])) for k, intent in enumerate(at.intents, 1)]
    ground = f"rotate({np.degrees(turn):.2f}) translate({dy:.2f} {dx:.2f})"
    return f'<g class="then" data-s="{at.at_s:.2f}" data-ground="{ground}">{"".join(parts)}</g>'


def _near(drive: Drive, instant: int, reach: float) -> dict[str, Array]:
    """The objects within reach at an instant, in its ego frame."""
    if drive.objects is None:
        return {}
    rows = slice(*drive.objects.starts[instant : instant + 2])
    found = {name: values[rows] for name, values in drive.objects.columns.items()}
    pose = seen_from(drive.poses[instant], np.stack([found["x"], found["y"], found["yaw"]], -1))
    near = np.hypot(pose[:, 0], pose[:, 1]) < reach
    return {name: values[near] for name, values in {**found, "x": pose[:, 0], "y": pose[:, 1], "yaw": pose[:, 2]}.items()}


def _others(drive: Drive, instant: int, reach: float) -> Iterator[str]:
    """Objects as boxes with a line towards where they head, and the lights."""
    near = _near(drive, instant, reach)
    if near:
        boxes = _boxes(near)
        for look, kinds in LOOKS.items():
            yield _path(look, "".join(boxes[i] for i in np.flatnonzero(np.isin(near["kind"], kinds))))
        if "leader_track" in drive and drive["leader_track"][instant] >= 0:
            yield _path("leader", "".join(boxes[i] for i in np.flatnonzero(near["track"] == drive["leader_track"][instant])))
    yield from _lights(drive, instant, reach)


def _boxes(near: dict[str, Array]) -> list[str]:
    """A path for each object: its box and nose, or a circle where the heading is unknown."""
    length, width = (np.fmax(np.nan_to_num(near[side]), _SMALLEST) for side in ("length", "width"))
    pose = np.stack([near["x"], near["y"], near["yaw"]], -1)
    box = corners(pose, length, width)
    nose = np.stack([pose[:, :2], move(pose, np.stack([length / 2, 0 * length], -1))], axis=1)
    return [
        _d(box[i], closed=True) + _d(nose[i]) if np.isfinite(pose[i, 2]) else _circle(pose[i, :2], width[i] / 2)
        for i in range(len(pose))
    ]


def _trails(drive: Drive, instant: int, reach: float) -> str:
    """Where the objects of an instant went within the horizon."""
    if drive.objects is None:
        return ""
    last = int(np.searchsorted(drive.t_ns, drive.t_ns[instant] + int(HORIZON_S * NS), side="right"))
    rows = slice(int(drive.objects.starts[instant]), int(drive.objects.starts[last]))
    track, x, y = (drive.objects[name][rows] for name in ("track", "x", "y"))
    place = _local(drive.poses[instant], np.stack([x, y], -1))
    lines = (place[track == one] for one in _near(drive, instant, reach)["track"])
    return _path("trail", "".join(_d(line[::2]) for line in lines if len(line) > 2 and np.hypot(*(line[-1] - line[0])) > 1))


def _lights(drive: Drive, instant: int, reach: float) -> Iterator[str]:
    """A bar across the end of each lane whose light is known."""
    if drive.lights is None or drive.map is None:
        return
    lanes = {lane.id: lane for lane in drive.map.lanes}
    for name, state in zip(drive.lights.lanes, drive.lights.state[instant], strict=True):
        if name in lanes and state in (Light.RED, Light.YELLOW, Light.GREEN):
            end = _local(drive.poses[instant], lanes[name].centre[-2:])
            along = (end[1] - end[0]) / max(np.hypot(*(end[1] - end[0])), 1e-9)
            across = 1.4 * np.array([-along[1], along[0]])
            if np.hypot(*end[1]) < reach:
                yield _path(f"light {Light(state).name.lower()}", _d(np.stack([end[1] - across, end[1] + across])))


def _past(drive: Drive, instant: int) -> Iterator[str]:
    first = int(np.searchsorted(drive.t_ns, drive.t_ns[instant] - 2 * NS))
    line = seen_from(drive.poses[instant], drive.poses[first : instant + 1])[:, :2]
    yield _path("past", _d(line[np.isfinite(line).all(axis=1)]))


def _driven(path: Floats, drive: Drive) -> Iterator[str]:
    line = _d(path[:, :2])
    yield _path("casing wide", line) + _path("human", line)
    yield _path("ghost human", _d(_footprint(path[-1], drive), closed=True))
    yield _path("dots human", _dots(path[5::5]))


def _planned(intent: Intent, place: int, drive: Drive) -> Iterator[str]:
    line = _curve(_from_here(intent.likeliest))
    yield _path("casing", line) + _path(f"plan p{place}", line)
    yield _path(f"ghost p{place}", _d(_footprint(intent.likeliest[-1, :3], drive), closed=True))
    yield _path(f"dots p{place}", _dots(intent.likeliest))


def _parting(intent: Intent, place: int, driven: Floats | None, view: View) -> Iterator[str]:
    """The place where a plan leaves the driven path, or how far it is ahead or behind on it."""
    if driven is None:
        return
    size = (view.ahead + view.behind) / 40
    if intent.parts is not None:
        at = intent.likeliest[intent.parts, :2]
        beside = driven[np.argmin(np.hypot(*(driven[:, :2] - at).T)), :2]
        left, text = intent.aside > 0, f"{intent.parts_s:.1f} s"
    elif abs(intent.further) > FURTHER:
        at, beside = intent.likeliest[-1, :2], driven[-1, :2]
        left, text = place % 2 == 1, f"{abs(intent.further):.0f} m {intent.along}"
    else:
        return
    yield _path(f"parts p{place}", _d(np.stack([beside, at])))
    yield f'<path class="ring p{place}" d="{_circle(at, 0.75 * size)}"/>'
    x, y = _screen(at + np.array([0.0, 1.3 * size if left else -1.3 * size]))
    anchor = "end" if left else "start"
    yield f'<text class="p{place}" x="{x:.2f}" y="{y + 0.35 * size:.2f}" font-size="{size:.2f}" text-anchor="{anchor}">{text}</text>'


def _body(drive: Drive) -> str:
    """The ego, with its windscreen in front."""
    car = drive.vehicle
    front = car.length - car.rear_overhang
    glass = np.array([[front - 0.28 * car.length, 0.42 * car.width], [front - 0.2 * car.length, 0.0], [front - 0.28 * car.length, -0.42 * car.width]])
    return _path("ego", _d(_footprint(np.zeros(3), drive), closed=True)) + _path("glass", _d(glass))


def _footprint(pose: Floats, drive: Drive) -> Floats:
    """The ego's corners (4, 2) with its rear axle at a pose."""
    centre = np.append(move(pose, np.array([drive.vehicle.centre_x, 0.0])), pose[2])
    return corners(centre, np.float64(drive.vehicle.length), np.float64(drive.vehicle.width))


def _scale(view: View) -> str:
    size = (view.ahead + view.behind) / 40
    metres = next(length for length in (50, 20, 10) if length <= view.side / 1.5 or length == 10)
    x, y = -view.side + 1.2 * size, view.behind - 1.2 * size
    bar = f'<path class="scale" d="M{x:.2f} {y - size / 3:.2f}V{y:.2f}h{metres}v{-size / 3:.2f}"/>'
    return bar + f'<text class="scale" x="{x:.2f}" y="{y - 0.7 * size:.2f}" font-size="{size:.2f}">{metres} m</text>'


# Paths ----------------------------------------------------------------------------------------------------------------


def _screen(points: Floats) -> Floats:
    """Points (..., 2) of the ego frame on the picture."""
    return np.stack([-points[..., 1], -points[..., 0]], axis=-1)


def _path(look: str, d: str) -> str:
    return f'<path class="{look}" d="{d}"/>' if d else ""


def _d(points: Floats, closed: bool = False) -> str:
    """Points (P, 2) of the ego frame as a path's data, to the centimetre."""
    if len(points) == 0 or not np.isfinite(points).all():
        return ""
    text = ["%g %g" % (x, y) for x, y in np.round(_screen(points), 2).tolist()]
    return "M" + "L".join(text) + ("z" if closed else "")


def _curve(poses: Floats) -> str:
    """Poses (P, 4) as a smooth path that has each pose's heading; straight where a heading is unknown."""
    points, yaw = poses[:, :2], poses[:, 2]
    if not np.isfinite(yaw).all():
        return _d(points)
    step = np.hypot(*np.diff(points, axis=0).T)[:, None] / 3
    heading = np.stack([np.cos(yaw), np.sin(yaw)], -1)
    after, before = points[:-1] + step * heading[:-1], points[1:] - step * heading[1:]
    rows = np.round(_screen(np.stack([after, before, points[1:]], axis=1)).reshape(-1, 6), 2).tolist()
    return _d(points[:1]) + "".join("C" + " ".join("%g" % value for value in row) for row in rows)


def _from_here(poses: Floats) -> Floats:
    """Poses (K, 4) of a plan, with the pose of the moment before them."""
    return np.concatenate([np.zeros((1, 4)), poses])


def _dots(points: Floats) -> str:
    """Points as lines without length: the style's caps make them round or square, of one size on any screen."""
    return "".join("M%g %gh0" % (x, y) for x, y in np.round(_screen(points[:, :2]), 2).tolist())


def _circle(centre: Floats, radius: float) -> str:
    x, y = _screen(centre)
    return f"M{x - radius:.2f} {y:.2f}a{radius:.2f} {radius:.2f} 0 1 0 {2 * radius:.2f} 0a{radius:.2f} {radius:.2f} 0 1 0 {-2 * radius:.2f} 0"
