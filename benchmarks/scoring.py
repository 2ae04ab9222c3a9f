"""How many plans a second the metrics judge: all sub-scores, 4 s, 60 objects, a recorded map, one core.

    python benchmarks/scoring.py [--plans 4000]

The drive is an Argoverse 2 log of ../shared/data, with the 60 objects nearest to the ego kept at each instant and the
lights of a made-up signal, so that no sub-score is idle. Plans are what the human drove, stretched and turned a bit.
Compared with the same judge asked for one plan at a time.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from understudy.geometry import compose
from understudy.metrics import SUBSCORES, Scene, score
from understudy.observe import driven
from understudy.readers.argoverse2 import Argoverse2
from understudy.records import Drive, Floats, Light, Lights, Objects

LOGS = Path(__file__).resolve().parents[2] / "shared" / "data" / "argoverse2"
OBJECTS = 60


def crowded(drive: Drive) -> Drive:
    """The drive with exactly OBJECTS objects at each instant (copies beside them where it has fewer), and limits."""
    assert drive.objects is not None and drive.map is not None
    objects, rows, shift, track = drive.objects, [], [], []
    for i, (first, last) in enumerate(zip(objects.starts[:-1], objects.starts[1:], strict=True)):
        near = np.argsort(np.hypot(objects["x"][first:last] - drive["x"][i], objects["y"][first:last] - drive["y"][i]))
        chosen = first + np.resize(near, OBJECTS)
        rows.append(chosen)
        copies = np.arange(OBJECTS) // max(len(near), 1)
        shift.append(copies * 4.0)
        track.append(objects["track"][chosen] + copies * 1_000_000)
    row = np.concatenate(rows)
    columns = {name: values[row] for name, values in objects.columns.items()}
    columns["x"], columns["track"] = columns["x"] + np.concatenate(shift), np.concatenate(track)
    lanes = tuple(replace(lane, speed_limit=11.2) for lane in drive.map.lanes)
    ids = tuple(lane.id for lane in lanes if lane.junction)
    state = np.full((len(drive), len(ids)), Light.GREEN)
    state[::2] = Light.RED
    return replace(
        drive,
        objects=Objects(np.arange(len(drive) + 1) * OBJECTS, columns),
        map=replace(drive.map, lanes=lanes),
        lights=Lights(ids, np.full((len(ids), 3), np.nan), state),
    )


def varied(paths: Floats, seed: int = 0) -> Floats:
    """Paths (P, 8, 4) driven up to 40 % slower or faster and turned by some degrees."""
    random = np.random.default_rng(seed)
    pace = random.uniform(0.6, 1.4, (len(paths), 1))
    turn = np.zeros((len(paths), 1, 3))
    turn[..., 2] = random.normal(0, 0.05, (len(paths), 1))
    out = paths.copy()
    out[..., :2] *= pace[..., None]
    out[..., 3] *= pace
    out[..., :3] = compose(turn, out[..., :3])
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plans", type=int, default=4000)
    count = parser.parse_args().plans
    reader = Argoverse2()
    drive = crowded(reader.read(LOGS, next(iter(reader.scan(LOGS)))))
    human = driven(drive, np.arange(len(drive)))
    instants = np.resize(np.flatnonzero(np.isfinite(human).all(axis=(1, 2))), count)
    paths = varied(human[instants])

    began = time.perf_counter()
    scene = Scene.of(drive)
    score(scene, np.unique(instants), human[np.unique(instants)])
    prepared = time.perf_counter() - began
    print(
        f"prepared one drive of {drive.seconds:.0f} s (roads, route, {len(drive)} reference drivers): {prepared:.2f} s"
    )

    rates = []
    for _ in range(5):
        began = time.perf_counter()
        found = score(scene, instants, paths)
        rates.append(count / (time.perf_counter() - began))
    batched = float(np.median(rates))
    some = np.arange(min(200, count))
    began = time.perf_counter()
    alone = [score(scene, instants[[i]], paths[[i]]) for i in some]
    single = len(some) / (time.perf_counter() - began)
    for name in (*SUBSCORES, "score"):
        np.testing.assert_allclose(np.concatenate([one[name] for one in alone]), found[name][some])
    known = [name for name in SUBSCORES if np.isfinite(found[name]).any()]
    print(f"{OBJECTS} objects, {len(drive.map.lanes)} lanes, known: {', '.join(known)}")  # type: ignore[union-attr]
    print(f"batched {batched:,.0f} plans/s; one at a time {single:,.0f} plans/s; ratio {batched / single:.1f}")


if __name__ == "__main__":
    main()
