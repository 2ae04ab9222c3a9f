"""What a study trains: a first champion from the base, and every unit's network from that champion.

Half of what a unit learns from is new and half is replay of the base, however little the new is: the same few seconds
come more often, and every unit takes the same steps. With nothing new it is replay alone.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from understudy.network.model import Network
from understudy.network.samples import Samples
from understudy.records import Ints
from understudy.store import Lake, code_version
from understudy.store.files import digest
from understudy.study.rows import Rows
from understudy.train import STAGE, Train, shape, train


def first(lake: Lake, samples: Samples, base: Ints, settings: Train) -> str:
    """The name of the champion that learned from the rows `base` and nothing else; what is there is left alone."""
    told = {
        "size": settings.size,
        "steps": settings.steps,
        "lr": settings.lr,
        "seed": settings.seed,
        "batch": settings.batch,
    }
    code = code_version(["understudy.train", "understudy.study.learning"])
    key = f"study-{digest([samples.name, told, base.tolist()])[:8]}"
    with lake.run(STAGE, key, told, code) as run:
        part = run.part(samples.name, [samples.name, digest(base.tolist())])
        if not part.done:
            size, folder = shape(samples, settings.size), lake.root / "training" / part.hash
            network = train(Rows(samples, base), size, settings, folder, Network(size).planner.anchors.device)[0]
            part.write({}, {"model.safetensors": weights(network)}, about={
                "network": asdict(size), "settings": {**asdict(settings), "steer_m": None}, "dataset": samples.name,
                "places": samples.places, "split": "by place",
                "labels": sorted({name for drive in samples.drives for name in drive.labels}),
                "parameters": sum(one.numel() for one in network.parameters()),
            })  # fmt: skip
    return part.hash


def further(samples: Samples, chosen: Ints, base: Ints, champion: Network, settings: Train, folder: Path) -> Network:
    """The champion trained on: on the chosen rows, and as often on those of the base. Killed, it goes on from what it
    left in `folder`."""
    rows = np.concatenate([base, np.resize(chosen, len(base))]) if len(chosen) else base
    device = champion.planner.anchors.device
    return train(Rows(samples, rows), champion.size, settings, folder, device, start=champion)[0]


def weights(network: Network) -> bytes:
    """A network's weights as safetensors."""
    return save({name: tensor.cpu().contiguous().numpy() for name, tensor in network.state_dict().items()})
