"""ScenarioNet's map features as lanes, areas and lines.

The nuScenes converter leaves lanes without successors and neighbours, and those of junctions without polygons and with
a speed limit of 100 km/h that stands for none: what is missing is worked out in `lane_graph`. It stores the boundaries
of the drivable area (outlines and holes) as white lines named `boundary_0`, `boundary_1`, ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import shapely
from shapely.geometry import LineString

from understudy.geometry import arc_length, frenet, resample
from understudy.readers import lane_graph
from understudy.records import Floats, Lane, Lights, Map, Marking

_SHORTEST = 0.5  # m, of a lane


def read_map(features: Mapping[str, Any], driven: Floats, margin: float, dataset: str) -> Map | None:
    """What lies within `margin` metres of the path driven (T, 2); None for a map without lanes."""
    features = {str(key): feature for key, feature in features.items()}
    lanes = {key: feature for key, feature in features.items() if feature["type"].startswith("LANE")}
    lines = {key: lane_graph.tidy(lane["polyline"]) for key, lane in lanes.items()}
    lines = {key: line for key, line in lines.items() if len(line) > 1}
    if not lines:
        return None
    extent = lane_graph.around(driven, margin, lines.values())
    shapely.prepare(extent)
    lines = {key: line for key, line in lines.items() if extent.intersects(LineString(line))}
    kept = tuple(_lanes({key: lanes[key] for key in lines}, lines, dataset))
    boundaries = [lane_graph.tidy(feature["polyline"]) for key, feature in features.items() if _is_boundary(key)]
    drivable = lane_graph.rings(lane_graph.from_boundaries(boundaries).intersection(extent))
    crosswalks = (
        lane_graph.tidy(feature["polygon"]) for feature in features.values() if feature["type"] == "CROSSWALK"
    )
    return Map(
        lanes=kept,
        drivable=drivable or tuple(lane.polygon for lane in kept),
        crosswalks=tuple(ring for ring in crosswalks if extent.intersects(LineString(ring))),
        markings=tuple(_markings(features, extent)),
        extent=np.asarray(extent.exterior.coords)[:-1],
    )


def _is_boundary(key: str) -> bool:
    return key.startswith("boundary_")


def _lanes(kept: Mapping[str, Any], lines: Mapping[str, Floats], dataset: str) -> Iterator[Lane]:
    """Lanes with what their shapes tell: followers, neighbours, and polygons as wide as the lanes that they join."""
    keys = list(kept)
    rings = {key: lane_graph.tidy(kept[key]["polygon"])[:-1] for key in keys if "polygon" in kept[key]}
    following: dict[str, tuple[str, ...]] = {}
    for key, after in zip(keys, lane_graph.successors([lines[key] for key in keys]), strict=True):
        said = [str(other) for other in kept[key].get("exit_lanes") or ()]
        following[key] = tuple(other for other in said or [keys[index] for index in after] if other in kept)
    leading = {key: tuple(other for other in keys if key in following[other]) for key in keys}
    known = {key: across for key, ring in rings.items() if np.isfinite(across := lane_graph.width(lines[key], ring))}
    wide = {}
    for key in keys:
        joined = [known[other] for other in (*following[key], *leading[key]) if other in known]
        wide[key] = known.get(key) or float(np.mean(joined or [lane_graph.LANE_WIDTH]))
    straight = [key for key in keys if key in rings]  # in junctions lanes cross: none is beside another
    beside = dict.fromkeys(keys, (-1, -1))
    sides = lane_graph.neighbours([lines[key] for key in straight], np.array([wide[key] for key in straight]))
    beside.update(zip(straight, zip(*sides, strict=True), strict=True))
    for key in keys:
        feature, (left, right) = kept[key], beside[key]
        limit = float("nan") if dataset == "nuscenes" else float(feature.get("speed_limit_kmh") or np.nan) / 3.6
        yield Lane(
            id=key,
            centre=lines[key],
            polygon=rings[key] if key in rings else lane_graph.ribbon(lines[key], wide[key]),
            successors=following[key],
            predecessors=leading[key],
            left_lane=straight[left] if left >= 0 else None,
            right_lane=straight[right] if right >= 0 else None,
            speed_limit=limit,
            junction="UNSTRUCTURE" in feature["type"] or (dataset == "nuscenes" and key not in rings),
            kind="bicycle" if "BIKE" in feature["type"] else "vehicle",
        )


def _markings(features: Mapping[str, Any], extent: Any) -> Iterator[Marking]:
    for key, feature in features.items():
        label = feature["type"]
        if label.startswith(("ROAD_LINE", "ROAD_EDGE")):
            kerb = _is_boundary(key) or label.startswith("ROAD_EDGE")
            style = "kerb" if kerb else "dashed" if "BROKEN" in label else "solid"
            line = lane_graph.tidy(feature["polyline"])
            for piece in lane_graph.pieces(line, extent) if len(line) > 1 else []:
                yield Marking(piece, style, "yellow" if "YELLOW" in label else "white")


# Lights ---------------------------------------------------------------------------------------------------------------


def parted_at_stops(map: Map, lights: Lights, stops: Floats) -> tuple[Map, Lights]:
    """The same with every lane in two whose light stops traffic, at `stops` (L, 2), in its first half.

    nuPlan and Waymo name the way through the junction as the lane that a light governs. Here that is a lane which ends
    at the stop line. So there are two: `ID:stop`, up to the line, and ID, on from there.
    """
    lanes = {lane.id: lane for lane in map.lanes}
    governed = list(lights.lanes)
    for row, (id, stop) in enumerate(zip(lights.lanes, stops, strict=True)):
        before = f"{id}:stop"
        if id not in lanes or not np.isfinite(stop).all():
            continue
        lane = lanes[id]
        along = arc_length(lane.centre)
        at = float(frenet(lane.centre, stop)[0])
        if before not in lanes and at < along[-1] / 2:
            at = max(at, min(_SHORTEST, along[-1] / 2))
            cut = resample(lane.centre, np.array([at]))
            centre = np.concatenate([lane.centre[along < at], cut])
            rest = np.concatenate([cut, lane.centre[along > at]])
            width = lane_graph.width(lane.centre, lane.polygon)
            ribbon = lane_graph.ribbon(centre, width if np.isfinite(width) else lane_graph.LANE_WIDTH)
            first = Lane(
                before, centre, ribbon, successors=(id,), predecessors=lane.predecessors,
                speed_limit=lane.speed_limit, kind=lane.kind,
            )  # fmt: skip
            lanes |= {before: first, id: replace(lane, centre=rest, predecessors=(before,), left=None, right=None)}
            for other in lane.predecessors:
                if other in lanes:
                    after = tuple(before if one == id else one for one in lanes[other].successors)
                    lanes[other] = replace(lanes[other], successors=after)
        if before in lanes:
            governed[row] = before
    return replace(map, lanes=tuple(lanes.values())), replace(lights, lanes=tuple(governed))
