"""Argoverse 2's vector map (log_map_archive_*.json) as lanes, areas and lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from shapely.geometry import Polygon

from understudy.geometry import arc_length, resample
from understudy.readers import folder, lane_graph
from understudy.records import Floats, Lane, Map, Marking

Sides = tuple[Floats, Floats]  # a lane's left and right boundary, each (P, 2)
LONGEST_M = 10_000.0  # of a lane, which is sampled every 2 m
KINDS = {"VEHICLE": "vehicle", "BUS": "bus", "BIKE": "bicycle"}


def city(path: Path) -> str:
    """`MIA` from log_map_archive_<log>____MIA_city_47894.json: the city whose frame the map and the poses share."""
    return path.stem.split("____")[-1].split("_")[0]


def read_map(path: Path, driven: Floats, margin: float) -> Map | None:
    """What lies within `margin` metres of the path driven (T, 2); None for a map without lanes."""
    with folder.reading("a map archive", path):
        archive = json.loads(path.read_text(encoding="utf-8"))
        segments = archive["lane_segments"]
        sides = {
            key: (_line(lane["left_lane_boundary"]), _line(lane["right_lane_boundary"]))
            for key, lane in segments.items()
        }
        if not sides:
            return None
        extent = lane_graph.around(driven, margin, (line for pair in sides.values() for line in pair))
        kept = {key: pair for key, pair in sides.items() if Polygon(_ring(*pair)).intersects(extent)}
        leading = {key: [other for other in kept if int(key) in segments[other]["successors"]] for key in kept}
        crossings = archive["pedestrian_crossings"].values()
        crosswalks = (_ring(_line(area["edge1"]), _line(area["edge2"])) for area in crossings)
        drivable = (_line(area["area_boundary"]) for area in archive["drivable_areas"].values())
        return Map(
            lanes=tuple(_lane(key, segments[key], *pair, kept, leading[key]) for key, pair in kept.items()),
            drivable=tuple(ring for ring in drivable if Polygon(ring).intersects(extent)),
            crosswalks=tuple(ring for ring in crosswalks if Polygon(ring).intersects(extent)),
            markings=tuple(_markings(segments, kept)),
            extent=np.asarray(extent.exterior.coords)[:-1],
        )


def _line(points: list[dict[str, float]]) -> Floats:
    return np.array([[point["x"], point["y"]] for point in points], dtype=np.float64)


def _ring(one: Floats, other: Floats) -> Floats:
    """The ring of two edges: along one and back along the other, which may run either way."""
    same = np.hypot(*(one[0] - other[0])) + np.hypot(*(one[-1] - other[-1]))
    crossed = np.hypot(*(one[0] - other[-1])) + np.hypot(*(one[-1] - other[0]))
    return np.concatenate([one, other[::-1] if same <= crossed else other])


def _lane(
    key: str, lane: Mapping[str, Any], left: Floats, right: Floats, kept: Mapping[str, Sides], leading: list[str]
) -> Lane:
    """A lane whose centre lies midway between its boundaries, both walked from end to end in equal shares.

    Its predecessors are those lanes that it succeeds: some maps leave most of them out of the lane's own list.
    """

    def others(ids: list[int]) -> tuple[str, ...]:
        return tuple(str(other) for other in ids if str(other) in kept)

    def beside(side: str) -> str | None:
        """The neighbour, unless its traffic comes the other way: the dataset lists both."""
        known = others([lane[f"{side}_neighbor_id"]])
        along = [line[-1] - line[0] for line in (left, *(kept[other][0] for other in known))]
        return known[0] if known and along[0] @ along[1] > 0 else None

    longest = max(arc_length(left)[-1], arc_length(right)[-1])
    if longest > LONGEST_M:
        raise ValueError(f"lane {key} is {longest:.3g} m long, expected {LONGEST_M:g} at most")
    share = np.linspace(0, 1, max(int(np.ceil(longest / 2)), 1) + 1)  # a point every 2 m or less
    return Lane(
        id=key,
        centre=(resample(left, share * arc_length(left)[-1]) + resample(right, share * arc_length(right)[-1])) / 2,
        polygon=np.concatenate([left, right[::-1]]),
        left=left,
        right=right,
        successors=others(lane["successors"]),
        predecessors=tuple(leading),
        left_lane=beside("left"),
        right_lane=beside("right"),
        junction=bool(lane["is_intersection"]),
        kind=KINDS.get(lane["lane_type"], "vehicle"),
    )


def _markings(segments: Mapping[str, Any], kept: Mapping[str, Sides]) -> Iterator[Marking]:
    """The painted boundaries of lanes, each once."""
    seen: set[tuple[bytes, ...]] = set()
    for key, sides in kept.items():
        for side, line in zip(("left", "right"), sides, strict=True):
            paint = str(segments[key][f"{side}_lane_mark_type"])
            name = tuple(sorted((line[0].tobytes(), line[-1].tobytes())))
            if paint not in ("NONE", "UNKNOWN") and name not in seen:
                seen.add(name)
                style = "dashed" if paint.startswith(("DASHED", "DOUBLE_DASH")) else "solid"
                yield Marking(line, style, "yellow" if "YELLOW" in paint else "blue" if "BLUE" in paint else "white")
