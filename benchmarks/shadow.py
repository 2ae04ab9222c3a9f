"""What shadow mode costs beyond reading a drive, decoding its pictures and the policy's own computing.

    python benchmarks/shadow.py

Takes the sample drives (three cameras of 384 x 192) and a small convolutional network as ONNX, and measures in one run

- the stage as users run it, scoring and writing included, against the sum of its unavoidable parts (limit 1.2);
- two networks in one pass against two passes: what is saved must be at least the reading and decoding of one pass.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from understudy import ingest, sample, shadow
from understudy.observe import Observer
from understudy.policies import named
from understudy.records import PLAN_STEPS
from understudy.store import Lake

SIZE = (384, 192)
CAMERAS = ("front", "left", "right")
REPEATS = 3
BATCH = 24  # instants that a policy is asked at once, as the stage does with pictures of this size


def network(path: Path, seed: int) -> Path:
    """A network of four convolutions over the newest pictures: 5.6 million multiplications a picture."""
    rng = np.random.default_rng(seed)
    width, height = SIZE
    weights = {
        f"w{i}": (rng.standard_normal((out, into, 3, 3)) / np.sqrt(9 * into)).astype(np.float32)
        for i, (into, out) in enumerate([(3, 8), (8, 16), (16, 32), (32, 32)])
    }
    weights["head"] = (rng.standard_normal((32, PLAN_STEPS * 4)) / 6).astype(np.float32)
    constants = {"flat": [-1, height, width, 3], "together": [-1, len(CAMERAS), 32], "plan": [-1, 1, PLAN_STEPS, 4]}
    nodes = [
        helper.make_node("Reshape", ["pictures", "flat"], ["one_each"]),
        helper.make_node("Cast", ["one_each"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["number"], ["x0"], perm=[0, 3, 1, 2]),
    ]
    for i in range(4):
        nodes += [
            helper.make_node("Conv", [f"x{i}", f"w{i}"], [f"c{i}"], strides=[2, 2], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [f"c{i}"], [f"x{i + 1}"]),
        ]
    nodes += [
        helper.make_node("GlobalAveragePool", ["x4"], ["pooled"]),
        helper.make_node("Reshape", ["pooled", "together"], ["cameras"]),
        helper.make_node("ReduceMean", ["cameras"], ["features"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["features", "head"], ["numbers"]),
        helper.make_node("Reshape", ["numbers", "plan"], ["poses"]),
    ]
    shape = ["B", 1, len(CAMERAS), height, width, 3]
    graph = helper.make_graph(
        nodes,
        "benchmark",
        [helper.make_tensor_value_info("pictures", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("poses", TensorProto.FLOAT, ["B", 1, PLAN_STEPS, 4])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()]
        + [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    card = {"format": "understudy-model/1", "history_s": [0.0], "needs": ["pictures"], "cameras": {"names": CAMERAS}}
    path.with_suffix(".json").write_text(json.dumps(card))
    return path


def seconds(work: Callable[[], object]) -> float:
    """Processor time of this process, which runs in one thread: neighbours on the machine are not counted."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        sample.write(base / "logs", SIZE)
        one, two = str(network(base / "one.onnx", 1)), str(network(base / "two.onnx", 2))
        lake = Lake(base / "lake")
        ingest.ingest(lake, "mcap", base / "logs")
        ids = [drive["id"] for drive in lake.drives()]
        policies = {"one": named(one).policy, "two": named(two).policy}

        def stage(*specs: str) -> Callable[[], object]:
            def run() -> None:
                scratch = base / "scratch"
                shutil.rmtree(scratch, ignore_errors=True)
                shutil.copytree(lake.root, scratch)
                start = time.process_time()
                shadow.run(Lake(scratch), specs)
                took.append(time.process_time() - start)

            took: list[float] = []
            return lambda: (run(), took[-1])[1]

        def read() -> None:
            for id in ids:
                lake.drive(id)

        def decode() -> None:
            for id in ids:
                for camera in lake.drive(id, columns=(), objects=False, map=False).cameras:
                    for start in range(0, len(camera.t_ns), BATCH):
                        camera.pictures.read(np.arange(start, min(start + BATCH, len(camera.t_ns))))

        seen = []
        for id in ids:
            drive = lake.drive(id)
            observer = Observer(drive)
            cuts = range(0, len(drive), BATCH)
            batches = [np.arange(cut, min(cut + BATCH, len(drive))) for cut in cuts]
            seen += [observer.observe(batch, ("pictures",), (0.0,)) for batch in batches]

        def plan(*names: str) -> Callable[[], None]:
            return lambda: [policies[name].plan(batch) for name in names for batch in seen] and None

        rounds = []
        for _ in range(REPEATS):  # side by side in every round, so that a drift of the machine touches all alike
            rounds.append(
                {
                    "read": seconds(read),
                    "decode": seconds(decode),
                    "plan": seconds(plan("one")),
                    "plan both": seconds(plan("one", "two")),
                    "one": float(stage(one)()),  # type: ignore[arg-type]
                    "two passes": float(stage(one)()) + float(stage(two)()),  # type: ignore[arg-type]
                    "one pass": float(stage(one, two)()),  # type: ignore[arg-type]
                }
            )
        instants = sum(len(lake.drive(id, columns=())) for id in ids)
    width, height = SIZE
    print(f"{len(ids)} drives, {instants} instants, {len(CAMERAS)} cameras of {width} x {height}; medians of {REPEATS}")
    for name in rounds[0]:
        print(f"{name:12} {median(one[name] for one in rounds):7.2f} s")
    whole = median(one["one"] / (one["read"] + one["decode"] + one["plan"]) for one in rounds)
    saved = median((one["two passes"] - one["one pass"]) / (one["read"] + one["decode"]) for one in rounds)
    print(f"one candidate: {whole:.2f} x (reading + decoding + its own computing); limit 1.2")
    print(f"two candidates in one pass save {saved:.2f} x (reading + decoding) against two passes; limit 1")


if __name__ == "__main__":
    main()
