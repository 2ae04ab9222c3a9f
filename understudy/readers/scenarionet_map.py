"""ScenarioNet's map features as lanes, areas and lines.

The nuScenes converter leaves lanes without successors and neighbours, and those of junctions without polygons and with
a speed limit of 100 km/h that stands for none: what is missing is worked out in `lane_graph`. It stores the boundaries
of the drivable area (outlines and holes) as white lines named `boundary_0`, `boundary_1`, ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import shapely
from shapely.geometry import LineString

from understudy.readers import lane_graph
from understudy.records import Floats, Lane, Map, Marking


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
