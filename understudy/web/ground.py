"""The ground of a picture from above: asphalt, lanes, crossings and paint of the map, or a grid where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import shapely

from understudy.geometry import inverse, move
from understudy.records import Floats, Map, Marking
from understudy.web import draw

Box = tuple[float, float, float, float]  # a part of the ego frame: x from, y from, x to, y to

_FINE = 0.05  # m: what of the map is too fine to be seen


def ground(known: Map | None, ego: Floats, box: Box) -> str:
    """What of a map lies within a box of the frame of the pose `ego`, as paths."""
    return "".join(_map(known, ego, box)) if known is not None else _grid(box)


def _map(known: Map, ego: Floats, box: Box) -> Iterator[str]:
    lanes = [lane for lane in known.lanes if _touches(_local(ego, lane.polygon), box)]
    rings = known.drivable or tuple(lane.polygon for lane in lanes)
    yield draw.element("asphalt", _areas(rings, ego, box))
    yield draw.element("junction", _areas((lane.polygon for lane in lanes if lane.junction), ego, box))
    yield draw.element("crosswalk", _areas(known.crosswalks, ego, box))
    yield draw.element("centre", _lines((lane.centre for lane in lanes if not lane.junction), ego, box))
    for look in dict.fromkeys(map(_look, known.markings)):
        yield draw.element(look, _lines((one.points for one in known.markings if _look(one) == look), ego, box))
    if not known.markings:
        edges = [edge for lane in lanes if not lane.junction for edge in (lane.left, lane.right) if edge is not None]
        yield draw.element("edge", _lines(edges, ego, box))
    yield draw.element("stop", _lines(known.stop_lines, ego, box))
    if known.extent is not None:
        yield draw.element("extent", _lines([np.concatenate([known.extent, known.extent[:1]])], ego, box))


def _look(marking: Marking) -> str:
    style = marking.style if marking.style in ("dashed", "kerb") else "solid"
    return f"{style} yellow" if marking.colour == "yellow" else style


def _grid(box: Box) -> str:
    """Lines every ten metres, where no map says how large things are."""
    x0, y0, x1, y1 = (round(edge / 10) * 10 for edge in box)
    rows = [np.array([[x, y0], [x, y1]], float) for x in range(x0, x1 + 1, 10)]
    columns = [np.array([[x0, y], [x1, y]], float) for y in range(y0, y1 + 1, 10)]
    return draw.element("grid", "".join(map(draw.line, rows + columns)))


def _local(ego: Floats, points: Floats) -> Floats:
    """Points (P, 2) of the map frame in the frame of the pose `ego`."""
    return move(inverse(ego), points)


def _touches(points: Floats, box: Box) -> bool:
    low, high = points.min(axis=0), points.max(axis=0)
    return bool(low[0] <= box[2] and high[0] >= box[0] and low[1] <= box[3] and high[1] >= box[1])


def _areas(rings: Iterable[Floats], ego: Floats, box: Box) -> str:
    """The union of rings within a box as one path; its holes are spared by the even-odd rule."""
    local = [_local(ego, ring) for ring in rings if len(ring) > 2]
    parts = [shapely.make_valid(shapely.Polygon(ring)) for ring in local if _touches(ring, box)]
    union = shapely.simplify(shapely.union_all([shapely.clip_by_rect(part, *box) for part in parts]), _FINE)
    polygons = [part for part in shapely.get_parts(union) if part.geom_type == "Polygon" and not part.is_empty]
    edges = [edge for polygon in polygons for edge in (polygon.exterior, *polygon.interiors)]
    return "".join(draw.line(np.asarray(edge.coords)[:-1], closed=True) for edge in edges)


def _lines(lines: Iterable[Floats], ego: Floats, box: Box) -> str:
    """The parts of lines within a box as one path."""
    local = [_local(ego, points) for points in lines if len(points) > 1]
    kept = np.array([shapely.LineString(points) for points in local if _touches(points, box)], dtype=object)
    parts = shapely.get_parts(shapely.simplify(shapely.clip_by_rect(kept, *box), _FINE))
    return "".join(draw.line(np.asarray(part.coords)) for part in parts if not part.is_empty)
