"""Closed loop: the routes that a unit's network drives, as the gate drives them, in towns that nobody learns from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from understudy.gate.driving import drive_route
from understudy.gate.entrants import entrant
from understudy.network.export import card, write
from understudy.network.model import Network
from understudy.store import Lake

TOLD = ("score", "driving_score", "completion")


def driven(
    lake: Lake,
    network: Network,
    about: dict[str, Any],
    routes: Mapping[str, Sequence[str]],
    seconds: float,
    folder: Path,
) -> dict[str, dict[str, float]]:
    """Means over the routes of each group: score, CARLA's driving score and completion, and how many routes they are.

    `about` is what training told of the champion; the exported network is left in `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "unit.onnx"
    model.with_suffix(".json").write_text(json.dumps(card(network, about, write(network, model))), encoding="utf-8")
    who = entrant(str(model))
    found = {group: [drive_route(lake, name, who, seconds)[0] for name in names] for group, names in routes.items()}
    return {
        group: {"n": len(own), **{name: float(np.mean([getattr(route, name) for route in own])) for name in TOLD}}
        for group, own in found.items()
    }
