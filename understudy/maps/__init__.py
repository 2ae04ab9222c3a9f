"""What a map answers: which lane is here, is this road, which lanes were driven, where does the route go on.

A `Map` is what was read; `Roads` is the same map with its indices, prepared once. Every method takes many points at
once. Distances are exact (GEOS); nothing is rasterised.
"""

from __future__ import annotations

from understudy.maps.roads import LANE_WIDTH, REACH, Near, Roads, outline
from understudy.maps.route import RouteLine

__all__ = ["LANE_WIDTH", "REACH", "Near", "Roads", "RouteLine", "outline"]
