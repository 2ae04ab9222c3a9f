"""How long a network takes for one plan on one core: `python -m benchmarks.inference [SIZE]`.

Six cameras, one instant, weights as they are drawn. By ONNX Runtime and by eager torch, with the views of the past kept
(the newest frame encoded, then decided). Beside it, eager and of one frame, the same backbone and grid with the lifts
of Lift-Splat-Shoot (Philion and Fidler 2020: 41 depths a place, splatted) and of Simple-BEV (Harley et al. 2023: every
cell at eight heights sampled in every camera, in turn).
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor
from torch.nn import functional as F

from understudy.network.export import KEPT, write
from understudy.network.model import Network
from understudy.network.predict import mounting
from understudy.network.sizes import size_of
from understudy.records import Array
from understudy.worlds.rig import default_rig


def main(name: str, repeats: int = 40) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    size, rig = size_of(name), default_rig()
    network = Network(size).eval()
    mounted = mounting(rig, size)
    frames, (width, height) = len(size.history_s), size.picture
    pictures = np.random.default_rng(0).integers(0, 256, (1, 6, height, width, 3), np.uint8)
    state = {"past_poses": np.zeros((1, frames, 3)), "speed": np.ones((1, frames)), "yaw_rate": np.zeros((1, frames))}
    state = {key: value.astype(np.float32) for key, value in state.items()} | {"command": np.ones(1, np.float32)}
    named = {"index": "lift_index", "weight": "lift_weight", "ahead": "sight_ahead"}
    table = {named[name]: value.numpy() for name, value in mounted.items()}
    newest = {"pictures": pictures, "picture_valid": np.ones((1, 6), bool)} | table
    with tempfile.TemporaryDirectory() as place:
        write(network, to := Path(place) / "net.onnx")
        graph = session(to)
    answers = ["poses", *KEPT]

    def look(past: Array) -> Array:
        view: Array = graph.run(answers, newest | state | {"past_views": past})[1]
        return view

    past = np.zeros((1, frames - 1, size.bev, *size.grid.shape), np.float32)
    tensors = [torch.from_numpy(value) for value in newest.values()]
    views = [torch.from_numpy(past[:, frame]) for frame in range(frames - 1)]
    past_poses = torch.from_numpy(state["past_poses"])
    own = [torch.from_numpy(state[key])[:, -1] for key in ("speed", "yaw_rate")]
    command = torch.from_numpy(state["command"])

    @torch.no_grad()
    def eager() -> None:
        now, seen, _ = network.encode(*tensors)
        network.decide([*views, now], seen, past_poses, *own, command)

    told = {
        "onnx_kept_ms": best(lambda: look(past), repeats),
        "eager_kept_ms": best(eager, repeats),
    }
    told |= lifts(network, tensors[0])
    print(json.dumps({"size": name, "parameters": sum(p.numel() for p in network.parameters()), **told}))


@torch.no_grad()
def lifts(network: Network, pictures: Tensor, depths: int = 41, heights: int = 8) -> dict[str, float]:
    """Milliseconds from the pictures (1, C, H, W, 3) of one frame to a view, by our lift and by those of others."""
    size, rig = network.size, default_rig()
    cameras, (w, h) = pictures.shape[1], size.features
    cells = size.grid.shape[0] * size.grid.shape[1]
    mounted = mounting(rig, size)
    valid = torch.ones(1, cameras, dtype=torch.bool)
    depth = torch.nn.Conv2d(size.bev, depths + size.bev, 1)
    # Where the frustum's points fall, and where the cells' points lie in each camera: made once, as for our table.
    splat = torch.randint(0, cells, (cameras * h * w * depths,), generator=torch.Generator().manual_seed(0))
    at = torch.rand(cameras, heights, cells, 2, generator=torch.Generator().manual_seed(0)) * 6 - 3
    flat = pictures.flatten(0, 1).permute(0, 3, 1, 2).float() * (1 / 128) - 1

    def lift_splat_shoot() -> Tensor:
        said = depth(network.backbone(flat))
        share, features = said[:, :depths].softmax(dim=1), said[:, depths:]
        points = (share[:, :, None] * features[:, None]).permute(0, 3, 4, 1, 2).reshape(-1, size.bev)
        return torch.zeros(cells, size.bev).index_add_(0, splat, points)

    def simple_bev() -> Tensor:
        maps = network.backbone(flat)
        seen = F.grid_sample(maps, at, align_corners=False)  # (C, D, Z, cells); a sixth of the points lie in a camera
        return seen.mean(dim=0)

    return {
        "eager_ours_view_ms": best(lambda: network.encode(pictures, valid, **mounted), 20),
        "eager_lift_splat_shoot_view_ms": best(lift_splat_shoot, 20),
        "eager_simple_bev_view_ms": best(simple_bev, 20),
    }


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def best(work: Callable[[], object], repeats: int) -> float:
    """The median of the faster half in milliseconds of processor time: others share this machine."""
    spent = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return round(float(np.median(np.sort(spent)[: repeats // 2])) * 1e3, 2)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "nano")
