"""What the network learns from real pictures, and how fast: `python -m benchmarks.training WHAT LAKE`.

`tub` learns to steer from 800 pictures of a donkeycar and is judged on the other 200, a contiguous end: a look at
learning, not a gate. `pandaset` learns 80 instants of six real cameras by heart: proof that the lift is right on a real
rig. `speed` is training from the dataset against training on one batch kept in memory.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from understudy import evaluate, label
from understudy.dataset import Dataset
from understudy.dataset import run as freeze
from understudy.ingest import ingest
from understudy.network.losses import losses, total
from understudy.network.model import Network
from understudy.network.samples import Samples
from understudy.readers.tub import Tub
from understudy.records import Drive, Floats
from understudy.store import Lake
from understudy.train import Feed, Train, shape
from understudy.train import run as train

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class CalibratedTub(Tub):
    """A tub whose camera is where a donkeycar's may be. ASSUMED, from the horizon and the lines in the pictures: a
    lens of 110 degrees, 0.2 m above the ground, 15 degrees downwards."""

    rate_hz: float | None = 20.0
    view_deg: float = 110.0
    height_m: float = 0.2
    pitch_deg: float = 15.0

    def read(self, root: Path, key: str) -> Drive:
        drive = super().read(root, key)
        camera = drive.cameras[0]
        width, height = camera.size
        focal = width / 2 / math.tan(math.radians(self.view_deg) / 2)
        K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
        return replace(drive, cameras=(replace(camera, K=K, ego_T_cam=self._mounting()),))

    def _mounting(self) -> Floats:
        down = math.radians(self.pitch_deg)
        mounting = np.eye(4)
        mounting[:3, 0] = [0, -1, 0]
        mounting[:3, 1] = [-math.sin(down), 0, -math.cos(down)]
        mounting[:3, 2] = [math.cos(down), 0, -math.sin(down)]
        mounting[:3, 3] = [0.2, 0, self.height_m]
        return mounting


def tub(lake: Lake, steps: int, seed: int) -> None:
    """Steering of the last 200 pictures, with and without view augmentation."""
    ingest(lake, "benchmarks.training:CalibratedTub", DATA / "donkeycar_tub")
    small = {"x0": -1.0, "y0": -1.6, "cell": 0.05}  # a model car's world
    label.run(lake, label.Labels(("control",), 0.0, {"bev": {"grid": small}}))
    frozen = freeze(lake, Dataset(held_out=0.2, within_drives=True))
    # ASSUMED: 0.26 m of wheelbase and 0.4 rad of lock, so that a curvature of 1/m wants 0.65 of full lock.
    moved = Train(steps=steps, ahead_m=0.0, shift_m=0.1, turn_deg=10.0, recover_m=0.8, steer_m=0.65, seed=seed)
    for name, settings in (("views", moved), ("no views", replace(moved, views=1))):
        trained = train(lake, frozen.name, settings)
        found = evaluate.run(lake, trained.name)
        print(json.dumps({"tub": name, "seed": seed, "steps": steps, "samples": found.samples, **found.control}))


def pandaset(lake: Lake, steps: int, seed: int) -> None:
    """The 80 instants by heart."""
    ingest(lake, "pandaset", DATA / "pandaset")
    label.run(lake, label.Labels(("bev",), 0.0))
    frozen = freeze(lake, Dataset(held_out=0.0, within_drives=True))
    trained = train(lake, frozen.name, Train(steps=steps, batch=16, views=1, seed=seed), _tell)
    found = evaluate.run(lake, trained.name, side="train")
    print(json.dumps({"pandaset": trained.name, "steps": steps, "samples": found.samples, **found.iou}))


def city(lake: Lake, steps: int, seed: int) -> None:
    """The drives that `understudy fleet drive` recorded into the lake: judged on towns never seen, beside a network
    that is shown black pictures."""
    label.run(lake)
    frozen = freeze(lake, Dataset(held_out=0.3))
    for name, settings in (
        ("nano", Train(steps=steps, seed=seed)),
        ("blind", Train(steps=steps, seed=seed, blind=True)),
    ):
        trained = train(lake, frozen.name, settings, _tell)
        found = evaluate.run(lake, trained.name)
        told = {
            "samples": frozen.samples,
            "held_out": frozen.held_out,
            "towns": [*frozen.places, "|", *frozen.test_places],
        }
        print(
            json.dumps(
                {"city": name, "steps": steps, "instants_per_s": trained.instants_per_s, **told, **asdict(found)}
            )
        )


def speed(lake: Lake, steps: int, seed: int) -> None:
    """Instants a second from the dataset, and from one batch in memory, turn and turn about."""
    samples = Samples(lake, "")
    settings = Train(steps=steps, seed=seed)
    size = shape(samples, settings.size)
    network = Network(size).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    feed = Feed(samples, size, settings, torch.device("cpu"), 0)
    for number in range(settings.views):
        feed.mounted(0, number)  # made once for a training, however long
    constant = next(iter(Feed(samples, size, replace(settings, steps=1), torch.device("cpu"), 0)))
    spent = {"dataset": 0.0, "memory": 0.0}
    began = time.monotonic()
    for batch in feed:
        for name, one in (("dataset", batch), ("memory", constant)):
            began = began if name == "dataset" else time.monotonic()
            with torch.autocast("cpu", torch.bfloat16):
                said = network(**one["inputs"], **one["mounted"])
            optimizer.zero_grad()
            total(losses(said, one["labels"], network.planner.anchors, network.planner.unit)).backward()
            optimizer.step()
            spent[name] += time.monotonic() - began
        began = time.monotonic()
    rate = {name: round(steps * settings.batch / value, 1) for name, value in spent.items()}
    print(json.dumps({"instants_per_s": rate, "ratio": round(spent["memory"] / spent["dataset"], 3),
                      "threads": torch.get_num_threads(), "network": asdict(size)["name"]}))  # fmt: skip


def _tell(line: object) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("tub", "pandaset", "city", "speed"))
    parser.add_argument("lake", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    {"tub": tub, "pandaset": pandaset, "city": city, "speed": speed}[given.what](
        Lake(given.lake), given.steps, given.seed
    )
