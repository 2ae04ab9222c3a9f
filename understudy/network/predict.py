"""A trained network out of the lake, and what it says of samples, as arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import torch
from safetensors.torch import load as read_tensors
from torch import Tensor

from understudy.errors import DataError, the_one
from understudy.geometry import Grid, lift_table, sight_ahead
from understudy.network import views
from understudy.network.model import Network
from understudy.network.samples import Batch, Samples
from understudy.network.scorer import Scorer
from understudy.network.sizes import Size
from understudy.records import Array, Floats, Ints, Rig
from understudy.store import Entry, Lake

_BATCH = 32


def find(lake: Lake, name: str) -> Entry:
    """The entry of the model whose name begins so; UnknownName where there is none, or more than one."""
    entries = {entry.part: entry for entry in lake.entries(stage="train")}
    return entries[the_one("model that was trained in this lake", name, entries)]


def lineage(lake: Lake, name: str) -> list[Entry]:
    """The entry of a model, of the one that it goes on from, and so on to the first.

    UnknownName where one of them is gone from the lake: then nobody knows where all of them learned.
    """
    found = [find(lake, name)]
    while start := found[-1].about["settings"].get("start"):
        found.append(find(lake, start))
    return found


def load(lake: Lake, name: str) -> tuple[Network, dict[str, Any]]:
    """The network of that name, ready to answer, and what its training told of it.

    DataError where its weights are those of a network of another make.
    """
    entry = find(lake, name)
    about = entry.about
    told = about["network"]
    grid = Grid(**{**told["grid"], "shape": tuple(told["grid"]["shape"])})
    network = Network(msgspec.convert({**told, "grid": grid}, Size))
    weights = read_tensors(lake.blob(entry, "model.safetensors").read_bytes())
    if any(name.startswith("scorer.") for name in weights):
        network.scorer = Scorer(network.size.hidden)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise DataError(f"reading model {entry.part}: its weights are another network's; train it again") from error
    network.sees = "bev" in about["labels"]
    return network.eval(), about


def fitted(samples: Samples, size: Size) -> Size:
    """The size on the grid of a dataset's labels. DataError where its pictures or its history are not the size's."""
    for what, value in {"size": size.picture, "history_s": size.history_s}.items():
        if tuple(samples.about[what]) != value:
            raise DataError(f"{size.name} wants a dataset of {what} {value}, {samples.name} has {samples.about[what]}")
    told = samples.about["grid"]
    return size.on(Grid(**{**told, "shape": tuple(told["shape"])}))


def inputs_of(batch: Batch, blind: bool = False) -> dict[str, Tensor]:
    """What a network is given of a batch, beside what it must know of the rig."""
    seen = np.zeros_like(batch.picture_valid) if blind else batch.picture_valid
    state = {name: torch.from_numpy(np.asarray(value, np.float32)) for name, value in batch.state.items()}
    return {
        "pictures": torch.from_numpy(batch.pictures),
        "valid": torch.from_numpy(seen),
        **{name: state[name] for name in ("past_poses", "speed", "yaw_rate", "command")},
    }


def mounting(rig: Rig, size: Size) -> dict[str, Tensor]:
    """What a network must know of a rig: its lift table, `index` and `weight`, and how sharply each camera sees
    `ahead`."""
    index, weight = lift_table(rig, size.grid, np.array(size.heights), size.features)
    told = {"index": index, "weight": weight.astype(np.float32), "ahead": sight_ahead(rig).astype(np.float32)}
    return {name: torch.from_numpy(value) for name, value in told.items()}


def predict(
    network: Network, samples: Samples, indices: Ints, blind: bool = False
) -> Iterator[tuple[Ints, Batch, dict[str, Array]]]:
    """What the network says of samples, in batches of one rig: their indices, what they are, the answers."""
    for own, batch, (said,) in predict_from(network, samples, indices, np.zeros((1, 3)), blind):
        yield own, batch, said


@torch.no_grad()
def predict_from(
    network: Network, samples: Samples, indices: Ints, ego_T_views: Floats, blind: bool = False
) -> Iterator[tuple[Ints, Batch, list[dict[str, Array]]]]:
    """The same for a car that was moved in several ways (V, 3) under its cameras, as `views` does: an answer for each,
    in the frame of the moved car. The pictures stay, so they are looked at once."""
    for rig in np.unique(samples.rig_number[indices]):
        own = indices[samples.rig_number[indices] == rig]
        mounted = [mounting(views.rig_from(samples.rigs[rig], pose), network.size) for pose in ego_T_views]
        tables, ahead = [(one["index"], one["weight"]) for one in mounted], mounted[0]["ahead"]
        for start in range(0, len(own), _BATCH):
            batch = samples.take(own[start : start + _BATCH])
            told = inputs_of(batch, blind)
            pictures, valid, past_poses = (told.pop(name) for name in ("pictures", "valid", "past_poses"))
            maps = [network.maps(pictures[:, frame], valid[:, frame]) for frame in range(pictures.shape[1])]
            glance = network.glanced(pictures[:, -1], valid[:, -1], ahead)
            looks = {"embedding": network.embedding(maps[-1], valid[:, -1])}
            state = (told["speed"][:, -1], told["yaw_rate"][:, -1], told["command"])
            answers = []
            for pose, table in zip(ego_T_views, tables, strict=True):
                past = torch.from_numpy(views.past_from(past_poses.numpy(), pose)).float()
                said = network.decide([network.view(one, *table) for one in maps], glance, past, *state)
                answers.append({name: value.numpy() for name, value in network.judged(said | looks, state[0]).items()})
            yield own[start : start + _BATCH], batch, answers
