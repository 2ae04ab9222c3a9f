"""What another rig costs a trained network: `python -m benchmarks.rig LAKE MODEL FOLDER`.

The same stretches of the city are driven with the cameras as they were learned from, and with one turned by 10 degrees
and its new calibration told; then seen without one camera or another. Nothing is trained again.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from understudy import evaluate, label
from understudy.dataset import Dataset
from understudy.dataset import run as freeze
from understudy.ingest import ingest
from understudy.network.model import Network
from understudy.network.predict import load
from understudy.network.samples import Batch, Samples
from understudy.recorder import write
from understudy.records import Rig
from understudy.store import Lake
from understudy.worlds.city import City
from understudy.worlds.rig import default_rig, knocked
from understudy.worlds.scenario import Scenario

SCENARIOS = [Scenario(town=town, route="r77:2000", seed=77) for town in ("grid:12", "mix:3", "organic:24")]
SECONDS = 80.0
TURN = math.radians(10.0)


class Without(Samples):
    """Samples of which one camera is taken away."""

    def __init__(self, lake: Lake, camera: str) -> None:
        super().__init__(lake, "")
        self.kept = [k for k, name in enumerate(super().rigs[0].names) if name != camera]

    @property
    def rigs(self) -> list[Rig]:
        return [self._fewer(rig) for rig in super().rigs]

    def take(self, indices: np.ndarray[Any, Any]) -> Batch:
        batch = super().take(indices)
        return replace(
            batch,
            rig=self._fewer(batch.rig),
            pictures=batch.pictures[:, :, self.kept],
            picture_valid=batch.picture_valid[:, :, self.kept],
        )

    def _fewer(self, rig: Rig) -> Rig:
        return Rig(
            tuple(rig.names[k] for k in self.kept), rig.size[self.kept], rig.K[self.kept], rig.ego_T_cam[self.kept],
            tuple(rig.distortion[k] for k in self.kept), tuple(rig.coefficients[k] for k in self.kept),
        )  # fmt: skip


def driven(folder: Path, rig: Rig) -> Lake:
    """A lake of the scenarios as the city's own driver drives them, seen through a rig."""
    for number, scenario in enumerate(SCENARIOS):
        with City((), (0.0,), rig) as world:
            world.begin(scenario)
            while not world.ended and world.t_s < SECONDS:
                world.advance(world.expert.plan())
            write(world.drive(), folder / "logs" / f"{number}.mcap")
    lake = Lake(folder / "lake")
    ingest(lake, "mcap", folder / "logs")
    label.run(lake)
    freeze(lake, Dataset(held_out=1.0))
    return lake


def tell(what: str, network: Network, samples: Samples) -> None:
    _, found = evaluate.answers(network, samples, np.arange(len(samples)), blind=False)
    found["score"] = np.full(len(samples), np.nan)  # drives are not looked at
    one = evaluate.measured(found, np.ones(len(samples), bool))
    values = {**one.iou, **{name: one.plan[name] for name in ("lateral_1s", "mean_displacement")}}
    print(json.dumps({"rig": what, "samples": one.samples, **{k: round(float(v), 3) for k, v in values.items()}}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lake", type=Path)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path, help="Where the drives are kept; empty.")
    given = parser.parse_args()
    taught, _ = load(Lake(given.lake), given.model)
    own = driven(given.folder / "own", default_rig())
    tell("as learned", taught, Samples(own, ""))
    for name in default_rig().names:
        tell(f"without {name}", taught, Without(own, name))
    for name in ("front", "left"):
        tell(f"{name} turned by 10 degrees, told", taught,
             Samples(driven(given.folder / name, knocked(default_rig(), name, yaw=TURN)), ""))  # fmt: skip
