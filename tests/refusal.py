"""A verdict in a lake's registry, as the gate writes one, without driving."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from understudy.registry import Registry


def refused(root: Path) -> str:
    """Have `lane_follow` refused against `constant_turn`; the verdict's identifier."""
    route = {"scenario": "scenario:city/grid:1/r12/everyday/clear/cut_in/7", "ended": "", "seconds": 30.0}
    verdict: dict[str, Any] = {
        "champion": "constant_turn",
        "candidate": "lane_follow",
        "champion_hash": "c" * 20,
        "candidate_hash": "d" * 20,
        "outcome": "refuse",
        "reasons": [{"kind": "infraction", "about": "collision", "text": "a collision more on its route", "p": 0.01}],
        "clips": [],
        "settings": {"blocks": 1},
        "evidence": {
            "findings": [
                {
                    "suite": "everyday",
                    "measure": "driving_score",
                    "margin": 0.05,
                    "champion": 0.9,
                    "candidate": 0.65,
                    "paired": {"mean": -0.25, "low": -0.4, "high": -0.1},
                }
            ],
            "guards": [],
        },
        "pairs": {
            "everyday": {
                "champion": [{**route, "driving_score": 0.9}],
                "candidate": [{**route, "driving_score": 0.65, "ended": "collision"}],
            }
        },
    }
    specs = {"constant_turn": "constant_turn", "lane_follow": "lane_follow"}
    return Registry(root).record(json.dumps(verdict).encode(), specs)
