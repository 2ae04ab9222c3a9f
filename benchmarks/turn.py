"""Where the time of a turn goes: `python benchmarks/turn.py LAKE [--preset evening] [--turns 1]`.

A turn is made in one process, and 50 times a second it is looked at where it is. Each look counts for the first line
of the table below that any frame of the stack belongs to, from the innermost frame outwards: SUMO (waiting for its
answer), rendering, the network (torch or ONNX Runtime), decoding and encoding of pictures, and what is left by room.
Where it waits for threads of its own, as training does for those that learn, these are looked at.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from understudy.store import Lake
from understudy.turn.diary import times
from understudy.turn.preset import preset
from understudy.turn.run import run

PARTS: dict[str, tuple[str, ...]] = {
    "SUMO": ("worlds/sumo.py", "worlds/sketches.py", "subprocess.py"),
    "rendering": ("worlds/render/", "worlds/cameras.py"),
    "network": ("site-packages/torch/", "policies/onnx.py", "understudy/network/", "network/samples.py"),
    "decoding": ("site-packages/PIL/", "site-packages/av/", "store/pictures.py", "readers/mcap/pictures.py"),
}
_EVERY_S = 0.02
_WAITING = ("/threading.py", "/concurrent/futures/_base.py")


def part_of(frame: FrameType | None) -> str:
    """What a stack is at work on, told from its innermost frame outwards; else the innermost room of ours."""
    room = ""
    while frame is not None:
        path = frame.f_code.co_filename
        for part, places in PARTS.items():
            if any(place in path for place in places):
                return part
        if not room and "/understudy/" in path:
            room = path.rpartition("/understudy/")[2].split("/")[0].removesuffix(".py")
        frame = frame.f_back
    return f"our own: {room or 'waiting'}"


def at_work(frames: Mapping[int, FrameType], thread: int) -> str:
    """What a thread is at work on, of those of all threads by their identity."""
    if frames[thread].f_code.co_filename.endswith(_WAITING):
        others = (part_of(frame) for other, frame in frames.items() if other not in (thread, threading.get_ident()))
        if (part := next((part for part in others if part in PARTS), None)) is not None:
            return part
    return part_of(frames[thread])


@contextmanager
def watched(looks: Counter[str]) -> Iterator[None]:
    """Look at this thread until the block is left."""
    watched_thread, over = threading.get_ident(), threading.Event()

    def look() -> None:
        while not over.wait(_EVERY_S):
            looks[at_work(sys._current_frames(), watched_thread)] += 1

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lake", type=Path)
    parser.add_argument("--preset", default="evening")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    lake, looks = Lake(told.lake), Counter[str]()
    began, used = time.perf_counter(), time.process_time()
    with watched(looks):
        run(lake, told.turns, preset(told.preset), seed=told.seed)
    seen = sum(looks.values())
    print(f"{told.preset}: {time.perf_counter() - began:.0f} s, {time.process_time() - used:.0f} s of processor")
    for part, count in looks.most_common():
        print(f"{100 * count / seen:5.1f} %  {part}")
    print(f"{100 * sum(looks[part] for part in PARTS) / seen:5.1f} %  in SUMO, rendering, network and decoding")
    for step, seconds in times(lake.root, told.turns).items():
        print(f"{seconds:7.1f} s  {step}")


if __name__ == "__main__":
    main()
