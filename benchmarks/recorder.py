"""How many instants a second of processor time the recorder writes, and the reader `mcap` reads back.

    python benchmarks/recorder.py [--instants 1200] [--size 128 64]

A made-up drive at 10 Hz: all columns of the vocabulary, 30 detected objects and the true ones, 8 lights, six cameras
with a different JPEG at every instant. Written in pieces of one second, as the fleet does, with and without what
viewers show, with and without cameras.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from understudy.readers.mcap import Mcap
from understudy.recorder import Recorder, unseen
from understudy.records import COLUMNS, NS, OBJECT_COLUMNS, Array, Drive, Lights, Objects, Rig, Truth

OBJECTS, LIGHTS, CAMERAS, PIECE = 30, 8, 6, 10


def columns(words: dict[str, tuple[str, str, str]], count: int, dice: np.random.Generator) -> dict[str, Array]:
    return {
        name: dice.normal(size=count) if dtype == "float64" else dice.integers(0, 2, count)
        for name, (dtype, _, _) in words.items()
    }


def made_up(instants: int) -> Drive:
    dice = np.random.default_rng(0)
    starts = np.arange(instants + 1) * OBJECTS
    detected, true = (Objects(starts, columns(OBJECT_COLUMNS, int(starts[-1]), dice)) for _ in range(2))
    state = np.repeat(dice.integers(1, 4, (instants // 50 + 1, LIGHTS)), 50, axis=0)[:instants]
    lights = Lights(tuple(map(str, range(LIGHTS))), dice.normal(size=(LIGHTS, 3)), state)
    t_ns = np.arange(instants, dtype=np.int64) * (NS // 10)
    return Drive(
        "bench", t_ns, columns(COLUMNS, instants, dice), objects=detected, lights=lights, truth=Truth(true, lights)
    )


def jpegs(count: int, size: Sequence[int]) -> list[bytes]:
    """Pictures as smooth as a rendered street."""
    dice = np.random.default_rng(1)
    found = []
    for _ in range(count):
        coarse = Image.fromarray(dice.integers(0, 256, (8, 16, 3), np.uint8))
        coarse.resize((size[0], size[1]), Image.Resampling.BICUBIC).save(out := io.BytesIO(), "jpeg", quality=90)
        found.append(out.getvalue())
    return found


def rig(size: Sequence[int]) -> Rig:
    names = tuple(f"camera{i}" for i in range(CAMERAS))
    eye = np.repeat(np.eye(4)[None], CAMERAS, axis=0)
    sizes = np.repeat([list(size)], CAMERAS, axis=0)
    return Rig(names, sizes, eye[:, :3, :3], eye, ("none",) * CAMERAS, ((),) * CAMERAS)


def record(drive: Drive, pictures: list[bytes], size: Sequence[int], path: Path, viewers: bool) -> None:
    cameras = unseen(rig(size)) if pictures else ()
    with Recorder(path, viewers) as recorder:
        for start in range(0, len(drive), PIECE):
            piece = replace(drive.slice(start, min(start + PIECE, len(drive))), cameras=cameras)
            recorder.append(piece)
            for number, camera in enumerate(cameras):
                for instant, t_ns in enumerate(piece.t_ns.tolist(), start):
                    recorder.picture(camera.name, t_ns, "jpeg", pictures[instant * CAMERAS + number])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instants", type=int, default=1200)
    parser.add_argument("--size", type=int, nargs=2, default=(128, 64))
    asked = parser.parse_args()
    drive, shots = made_up(asked.instants), jpegs(asked.instants * CAMERAS, asked.size)
    print(f"{len(drive)} instants, {np.mean([len(shot) for shot in shots]) / 1e3:.1f} kB a picture")
    print("cameras  viewers  written/s  read/s  kB/instant")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drive.mcap"
        for cameras in (CAMERAS, 0):
            for viewers in (True, False):
                begin = time.process_time()
                record(drive, shots if cameras else [], asked.size, path, viewers)
                written = time.process_time()
                Mcap().read(path.parent, path.name)
                read = time.process_time()
                rates = (len(drive) / (written - begin), len(drive) / (read - written))
                size = path.stat().st_size / 1e3 / len(drive)
                print(f"{cameras:7}  {'yes' if viewers else 'no':7}  {rates[0]:9.0f}  {rates[1]:6.0f}  {size:10.1f}")


if __name__ == "__main__":
    main()
