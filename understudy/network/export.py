"""ONNX with its card: a trained network that the policy `onnx` runs without torch, on any rig.

The graph takes the observation as it is, and the lift table of the rig that the policy makes. Beside the whole network,
its two halves may be written, for callers that keep encoded frames by instant.
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
from understudy.network.predict import find, load
from understudy.network.samples import STAGE as DATASET
from understudy.records import PLAN_STEPS
from understudy.store import Lake

FORMAT = "understudy-model/1"  # of the card, as policies/onnx.py reads it
OPSET = 17
_EXAMPLE = 2  # samples and cameras of the example that the graph is traced with; both stay free
DECIDED = ("poses", "probability", "spread", "bev", "light", "control")
OUTPUTS = (*DECIDED, "embedding")


class _Whole(nn.Module):
    """The network with an observation's names and the answers of a plan."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        pictures: Tensor,
        picture_valid: Tensor,
        past_poses: Tensor,
        speed: Tensor,
        yaw_rate: Tensor,
        command: Tensor,
        lift_index: Tensor,
        lift_weight: Tensor,
        sight_ahead: Tensor,
    ) -> tuple[Tensor, ...]:
        state = (past_poses, speed, yaw_rate, command)
        said = self.network(pictures, picture_valid, *state, lift_index, lift_weight, sight_ahead)
        return _answers(self.network.judged(said, speed[:, -1]), OUTPUTS)


class _Encode(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, pictures: Tensor, picture_valid: Tensor, lift_index: Tensor, lift_weight: Tensor, sight_ahead: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        return self.network.encode(pictures, picture_valid, lift_index, lift_weight, sight_ahead)


class _Decide(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, views: Tensor, glance: Tensor, past_poses: Tensor, speed: Tensor, yaw_rate: Tensor, command: Tensor
    ) -> tuple[Tensor, ...]:
        frames = [views[:, frame] for frame in range(len(self.network.size.history_s))]
        said = self.network.decide(frames, glance, past_poses, speed[:, -1], yaw_rate[:, -1], command)
        return _answers(self.network.judged(said, speed[:, -1]), DECIDED)


def _answers(said: dict[str, Tensor], names: Sequence[str]) -> tuple[Tensor, ...]:
    return tuple(torch.softmax(said["choice"], dim=1) if name == "probability" else said[name] for name in names)


def export(lake: Lake, model: str, to: Path, halves: bool = False) -> Path:
    """Write a model of the lake as ONNX, with its card beside it (`to` ends in .onnx).

    With `halves` also `NAME.encode.onnx` and `NAME.decide.onnx`. A network that was never shown a path does not know
    how to plan, and is refused.
    """
    if to.suffix != ".onnx":
        raise UnderstudyError(f"exporting a model: the file's name ends in .onnx, not in {to.suffix!r}")
    network, about = load(lake, model)
    if "path" not in about["labels"]:
        raise UnderstudyError(f"model {model} was never shown a path and cannot plan; it learned {about['labels']}")
    to.parent.mkdir(parents=True, exist_ok=True)
    told = card(network, about, write(network, to, halves)) | _origin(lake, about)
    told["made"]["model"] = find(lake, model).part  # from whose weights others may go on
    to.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return to


def _origin(lake: Lake, about: dict[str, Any]) -> dict[str, Any]:
    """What was learned from, and from which model on; a gate refuses who has learned in its places, or whose ancestors
    have. UnknownName where one of them is gone from the lake: then nobody knows."""
    parts = [entry.about for entry in lake.entries(stage=DATASET, key=about["dataset"])]
    places = {place for part in parts for place in part["places"]}
    samples = sum(part["samples"] - part["held_out"] for part in parts)
    parents = []
    ancestor = about
    while start := ancestor["settings"].get("start"):
        entry = find(lake, start)
        parents += [entry.part] if ancestor is about else []
        ancestor = entry.about
        places |= set(ancestor["places"])
    return {"parents": parents, "data": {"dataset": about["dataset"], "places": sorted(places), "samples": samples}}


def write(network: Network, to: Path, halves: bool = False) -> dict[str, list[int | str]]:
    """Write the graphs of a network; gives the shapes of the inputs of the whole."""
    given = _observation(network)
    inputs = _write(_Whole(network), given, to)
    if halves:
        table = {name: given[name] for name in ("lift_index", "lift_weight", "sight_ahead")}
        frame = {name: given[name][:, 0] for name in ("pictures", "picture_valid")}
        _write(_Encode(network), frame | table, to.with_suffix(".encode.onnx"), ("view", "glance", "embedding"))
        with torch.no_grad():
            view, glance, _ = network.encode(*frame.values(), *table.values())
        views = torch.stack([view] * len(network.size.history_s), dim=1)
        state = {name: given[name] for name in ("past_poses", "speed", "yaw_rate", "command")}
        _write(_Decide(network), {"views": views, "glance": glance} | state, to.with_suffix(".decide.onnx"), DECIDED)
    return inputs


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
        "pictures": torch.zeros(_EXAMPLE, frames, _EXAMPLE, height, width, 3, dtype=torch.uint8),
        "picture_valid": torch.ones(_EXAMPLE, frames, _EXAMPLE, dtype=torch.bool),
        "past_poses": torch.zeros(_EXAMPLE, frames, 3),
        "speed": torch.zeros(_EXAMPLE, frames),
        "yaw_rate": torch.zeros(_EXAMPLE, frames),
        "command": torch.zeros(_EXAMPLE),
        "lift_index": torch.zeros(cells, 8, dtype=torch.int64),
        "lift_weight": torch.zeros(cells, 8),
        "sight_ahead": torch.ones(_EXAMPLE),
    }


def _write(
    module: nn.Module, given: dict[str, Tensor], to: Path, outputs: tuple[str, ...] = OUTPUTS
) -> dict[str, list[int | str]]:
    """Write a graph in which the number of samples and of cameras is free; gives the shapes of its inputs."""
    axes: dict[str, dict[int, str]] = {name: {0: "B"} for name in (*given, *outputs) if not name.startswith("lift")}
    axes |= {"sight_ahead": {0: "C"}} if "sight_ahead" in given else {}
    for name in ("pictures", "picture_valid"):
        if name in given:
            axes[name][given[name].ndim - (4 if name == "pictures" else 1)] = "C"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of shapes that it takes for constants, and of its age
        torch.onnx.export(
            module.eval(),
            tuple(given.values()),
            str(to),
            input_names=list(given),
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    return {
        name: [axes.get(name, {}).get(axis, side) for axis, side in enumerate(value.shape)]
        for name, value in given.items()
    }
