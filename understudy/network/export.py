"""ONNX with its card: a trained network that the policy `onnx` runs without torch, on any rig.

The graph encodes the newest frame, and is given the views of those before, which it answered when these were the
newest: so a frame is encoded once, at however many instants it is looked back at.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from understudy.errors import UnderstudyError
from understudy.network.model import Network
from understudy.network.predict import lineage, load
from understudy.network.samples import STAGE as DATASET
from understudy.records import PLAN_STEPS
from understudy.store import Entry, Lake

FORMAT = "understudy-model/1"  # of the card, as policies/onnx.py reads it
OPSET = 17
_EXAMPLE = 2  # samples and cameras of the example that the graph is traced with; both stay free
KEPT = {"view": "past_views"}  # what is answered of the newest frame, and given of those before
OUTPUTS = ("poses", "probability", "spread", "bev", "light", "control", "embedding", *KEPT)


class _Graph(nn.Module):
    """The network with an observation's names and the answers of a plan."""

    def __init__(self, network: Network, blind: bool) -> None:
        super().__init__()
        self.network, self.blind = network, blind

    def forward(
        self,
        pictures: Tensor,
        picture_valid: Tensor,
        past_views: Tensor,
        past_poses: Tensor,
        speed: Tensor,
        yaw_rate: Tensor,
        command: Tensor,
        lift_index: Tensor,
        lift_weight: Tensor,
        sight_ahead: Tensor,
    ) -> tuple[Tensor, ...]:
        valid = torch.zeros_like(picture_valid) if self.blind else picture_valid
        view, glance, embedding = self.network.encode(pictures, valid, lift_index, lift_weight, sight_ahead)
        views = [*(past_views[:, frame] for frame in range(len(self.network.size.history_s) - 1)), view]
        said = self.network.decide(views, glance, past_poses, speed[:, -1], yaw_rate[:, -1], command)
        said = self.network.judged(said, speed[:, -1]) | {"embedding": embedding, "view": view}
        said["probability"] = torch.softmax(said["choice"], dim=1)
        return tuple(said[name] for name in OUTPUTS)


def export(lake: Lake, model: str, to: Path) -> Path:
    """Write a model of the lake as ONNX, with its card beside it (`to` ends in .onnx).

    A network that was never shown a path does not know how to plan, and is refused.
    """
    if to.suffix != ".onnx":
        raise UnderstudyError(f"exporting a model: the file's name ends in .onnx, not in {to.suffix!r}")
    network, about = load(lake, model)
    if "path" not in about["labels"]:
        raise UnderstudyError(f"model {model} was never shown a path and cannot plan; it learned {about['labels']}")
    to.parent.mkdir(parents=True, exist_ok=True)
    line = lineage(lake, model)
    told = card(network, about, write(network, to, bool(about["settings"]["blind"]))) | _origin(lake, line)
    told["made"]["model"] = line[0].part  # from whose weights others may go on
    to.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return to


def _origin(lake: Lake, line: Sequence[Entry]) -> dict[str, Any]:
    """What was learned from, and from which model on; a gate refuses who has learned in its places, or whose ancestors
    have. `line` is the model's lineage."""
    about = line[0].about
    parts = [entry.about for entry in lake.entries(stage=DATASET, key=about["dataset"])]
    places = {place for one in [*parts, *(entry.about for entry in line)] for place in one["places"]}
    samples = sum(part["samples"] - part["held_out"] for part in parts)
    parents = [entry.part for entry in line[1:2]]
    return {"parents": parents, "data": {"dataset": about["dataset"], "places": sorted(places), "samples": samples}}


def write(network: Network, to: Path, blind: bool = False) -> dict[str, list[int | str]]:
    """Write the graph of a network, in which the number of samples and of cameras is free; gives the shapes of its
    inputs. To one that learned `blind` no picture is valid, whatever it is told."""
    given = _observation(network)
    axes: dict[str, dict[int, str]] = {name: {0: "B"} for name in (*given, *OUTPUTS) if not name.startswith("lift")}
    axes |= {"sight_ahead": {0: "C"}, "pictures": {0: "B", 1: "C"}, "picture_valid": {0: "B", 1: "C"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of shapes that it takes for constants, and of its age
        torch.onnx.export(
            _Graph(network, blind).eval(),
            tuple(given.values()),
            str(to),
            input_names=list(given),
            output_names=list(OUTPUTS),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    return {
        name: [axes.get(name, {}).get(axis, side) for axis, side in enumerate(value.shape)]
        for name, value in given.items()
    }


def card(network: Network, about: dict[str, Any], inputs: dict[str, list[int | str]]) -> dict[str, Any]:
    """What the policy must know to feed the network, and what people should know of it."""
    size = network.size
    grid = size.grid
    return {
        "format": FORMAT,
        "history_s": list(size.history_s),
        "needs": ["pictures", "speed", "yaw_rate"],
        "cameras": {"size": list(size.picture)},
        "lift": {
            "grid": {"x0": grid.x0, "y0": grid.y0, "cell": grid.cell, "shape": list(grid.shape)},
            "heights": list(size.heights),
            "size": list(size.features),
        },
        "kept": KEPT,
        "inputs": inputs,
        "outputs": {"poses": ["B", network.modes, PLAN_STEPS, 4], "probability": ["B", network.modes]},
        "data": {"places": about.get("places", [])},
        "made": {name: about[name] for name in ("dataset", "split", "labels", "parameters", "settings")},
    }


def _observation(network: Network) -> dict[str, Tensor]:
    """An observation of the right shapes that nothing is seen in."""
    size = network.size
    frames, cells = len(size.history_s), len(size.heights) * size.grid.shape[0] * size.grid.shape[1]
    width, height = size.picture
    return {
        "pictures": torch.zeros(_EXAMPLE, _EXAMPLE, height, width, 3, dtype=torch.uint8),
        "picture_valid": torch.ones(_EXAMPLE, _EXAMPLE, dtype=torch.bool),
        "past_views": torch.zeros(_EXAMPLE, frames - 1, size.bev, *size.grid.shape),
        "past_poses": torch.zeros(_EXAMPLE, frames, 3),
        "speed": torch.zeros(_EXAMPLE, frames),
        "yaw_rate": torch.zeros(_EXAMPLE, frames),
        "command": torch.zeros(_EXAMPLE),
        "lift_index": torch.zeros(cells, 8, dtype=torch.int64),
        "lift_weight": torch.zeros(cells, 8),
        "sight_ahead": torch.ones(_EXAMPLE),
    }
