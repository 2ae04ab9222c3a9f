"""Training: a frozen dataset in, a network out. Read it from top to bottom.

Everything that chance decides (which samples, from which view) follows from the seed and the number of the step, so a
run that was killed goes on from its last checkpoint along the same curve. The checkpoint is one safetensors file with
its state in the header; it appears whole or not at all.

On a processor two halves of every batch are learned from at the same time, each in a thread of its own. Threads within
a layer would wait for each other at every one of them, and long where another program wants a core too.

On several devices: `torchrun --nproc-per-node 2 --no-python understudy train ...`; each takes its share of every batch.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from understudy.errors import DataError, SettingsError, UnderstudyError
from understudy.network import views
from understudy.network.backbone import Backbone
from understudy.network.distil import scorer_of
from understudy.network.losses import losses, total
from understudy.network.model import Network
from understudy.network.muon import Muon
from understudy.network.plan import modes_of
from understudy.network.predict import find, fitted, inputs_of, load, mounting
from understudy.network.samples import Batch, Samples
from understudy.network.sizes import Size, size_of
from understudy.records import Array, Floats, Ints
from understudy.store import Lake, Part, code_version
from understudy.store.files import append_line, digest, whole_lines, write_whole
from understudy.store.upkeep import TRAINING

STAGE = "train"
LOG_EVERY = 20  # steps
_STANDING, _MOVING = 0.5, 1.0  # m/s
_SLOW, _GAIN = 2.0, 0.3  # m/s: who is no faster, and gains more by the first pose of the path, is setting off
_LIMITS: Mapping[str, tuple[Callable[[float], bool], Sequence[str]]] = {  # what settings want
    "0 or more": (
        lambda told: 0 <= told < math.inf,
        ("steps", "weight_decay", "warmup", "seed", "ahead_m", "shift_m", "turn_deg", "scores", "save_every_s"),
    ),
    "1 or more": (lambda told: told >= 1, ("batch", "rare", "views")),
    "more than 0": (lambda told: 0 < told < math.inf, ("lr", "clip", "recover_m")),
    "0 or more and less than 1": (lambda told: 0 <= told < 1, ("ema",)),
}
_BACKBONE = "backbone."  # what names begin with in the weights of a network


@dataclass(frozen=True)
class Train:
    """How a network is trained."""

    size: str = "nano"  # nano, small, base or large
    steps: int = 3000  # of the whole training
    batch: int = 32  # samples in a step
    lr: float = 2e-3  # the largest of the schedule
    weight_decay: float = 0.02
    warmup: int = 100  # steps
    ema: float = 0.998  # of the weights that are kept in the end
    clip: float = 5.0  # the largest norm of a gradient
    seed: int = 0  # of weights, samples and views
    rare: int = 2  # times that a sample near a light, before stopping, or setting off, is taken in each epoch
    views: int = 32  # lift tables to choose from, the car's own among them; 1 turns view augmentation off
    ahead_m: float = 2.0  # how far views lie ahead of the car and behind it
    shift_m: float = 0.7  # to either side
    turn_deg: float = 8.0  # to the left and to the right
    recover_m: float = 10.0  # within which the path of a moved car comes back
    steer_m: float = float("nan")  # steering a curvature wants (fraction of full lock times m): for logs without poses
    blind: bool = False  # black pictures: what a network learns from the car's own state and the command
    precision: str = "auto"  # float32, bfloat16; auto takes bfloat16 where the device multiplies it in hardware
    compile: bool = False  # with torch.compile
    start: str = ""  # a model of the lake whose weights, and modes, are learned on from; none: from nothing
    backbone: str = ""  # a safetensors file with weights of your own for the image backbone, to begin with
    scores: int = 0  # steps in which it learns, in the end, to foretell what its modes are worth; 0 leaves it out
    save_every_s: float = 120.0  # between checkpoints

    def __post_init__(self) -> None:
        for wants, (holds, names) in _LIMITS.items():
            for name in names:
                if not holds(told := getattr(self, name)):
                    raise SettingsError(f"train.{name} wants {wants}, got {told:g}")


@dataclass(frozen=True)
class Trained:
    """A network as it was trained."""

    name: str
    steps: int
    instants_per_s: float  # since it was started last, waiting for data included
    waiting: float  # share of that time spent waiting for data
    new: bool  # False where it was there already


def run(
    lake: Lake,
    dataset: str,
    settings: Train | None = None,
    on_log: Callable[[Mapping[str, float]], None] | None = None,
    on_drive: Callable[[int, int], None] | None = None,
) -> Trained:
    """Train a network on a dataset of the lake. What was trained already is left alone; what was cut short goes on.

    `on_log` is called with each line of the log, `on_drive` for each drive whose modes are scored, of how many.
    """
    settings = settings or Train()
    samples = Samples(lake, dataset)
    size = shape(samples, settings.size)
    code = code_version(["understudy.train", "understudy.store"])
    told = {name: value for name, value in asdict(settings).items() if name != "save_every_s"}
    told["steer_m"] = None if math.isnan(settings.steer_m) else settings.steer_m
    if settings.start:
        told["start"] = find(lake, settings.start).part  # later models' names may begin alike
    if settings.backbone and backbone_weights(size, settings):
        told["backbone"] = digest(Path(settings.backbone).read_bytes())  # the file may move
    learned_from = (samples.name, samples.contents)
    key = f"{settings.size}-{digest([*learned_from, told])[:8]}"
    part = Part(lake.root, STAGE, key, samples.name, learned_from, told, code)
    if part.done:
        if _rank() == 0:
            with lake.run(STAGE, key, told, code) as run:  # it may have been killed before this was said
                run.part(samples.name, learned_from)
        return Trained(part.hash, settings.steps, math.nan, math.nan, new=False)
    folder = lake.root / TRAINING / part.hash
    with lake.reading(), _processes() as device:  # gc leaves alone what is being made
        start = load(lake, told["start"])[0] if settings.start else None
        if start is not None:
            start.scorer = None  # what its modes are worth is learned anew
        if start is not None and start.size != size:
            raise UnderstudyError(f"model {settings.start} is another network than {settings.size} on these labels")
        network, speed, waiting = train(samples, size, settings, folder, device, on_log, start)
    if _rank() == 0:
        if settings.scores and any("bev" in drive.labels for drive in samples.drives):
            network.to("cpu").sees = True
            own = views_of(settings)
            network.scorer = scorer_of(lake, samples, network, own, settings.scores, settings.seed, on_drive)
        about = {
            "network": asdict(size),
            "settings": told,
            "dataset": samples.name,
            "split": samples.about["split"],
            "places": samples.places,
            "labels": sorted({label for drive in samples.drives for label in drive.labels}),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
        }
        weights = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
        blobs = {"model.safetensors": save(weights), "log.jsonl": (folder / "log.jsonl").read_bytes()}
        with lake.run(STAGE, key, told, code) as run:
            run.part(samples.name, learned_from).write({}, blobs, about=about)
        rmtree(folder, ignore_errors=True)
    return Trained(part.hash, settings.steps, speed, waiting, new=True)


def shape(samples: Samples, name: str) -> Size:
    """The network's shape for a dataset, on the grid of its labels. DataError where they do not fit each other."""
    return fitted(samples, size_of(name))


def train(
    samples: Samples,
    size: Size,
    settings: Train,
    folder: Path,
    device: torch.device,
    on_log: Callable[[Mapping[str, float]], None] | None = None,
    start: Network | None = None,
) -> tuple[Network, float, float]:
    """The averaged network, the instants learned from in a second, and the share of time spent waiting for data.

    `start` is a trained network of the same size to learn on from.
    """
    torch.manual_seed(settings.seed)
    network = Network(size)
    if start is None:
        anchors, unit = modes_of(_paths(samples), size.modes, settings.seed)
        network.planner.anchors.copy_(torch.from_numpy(anchors))
        network.planner.unit.copy_(torch.from_numpy(unit))
    else:
        network.load_state_dict(start.state_dict())
    if settings.backbone:
        network.backbone.load_state_dict(backbone_weights(size, settings))
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = Network(size).to(device)
    averaged.load_state_dict(network.state_dict())

    kernels = network.kernels()
    others = [one for one in network.parameters() if all(one is not kernel for kernel in kernels)]
    optimizers = (
        *(Muon(kernels[half::2], settings.lr, settings.weight_decay) for half in range(2)),  # for a thread each
        torch.optim.AdamW(others, settings.lr, weight_decay=settings.weight_decay, fused=True),
    )
    checkpoint = Checkpoint(folder, network, averaged, optimizers)
    first = checkpoint.load()
    learners: list[nn.Module] = [torch.compile(network) if settings.compile else network]  # type: ignore[list-item]
    if _world() > 1:
        learners = [DistributedDataParallel(learners[0])]
    elif device.type == "cpu" and not settings.compile:
        learners.append(twin_of(network))
    for one in learners:
        one.train()

    log = Log(folder / "log.jsonl", first)
    bfloat16 = _half(settings.precision, device)

    def learn(learner: nn.Module, part: Mapping[str, dict[str, Tensor]]) -> dict[str, float]:
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            said = learner(**part["inputs"], **part["mounted"])
        found = losses(said, part["labels"], network.planner.anchors, network.planner.unit)
        learner.zero_grad()
        (total(found) + 0.0 * sum(value.sum() for value in said.values())).backward()  # every head has a gradient
        return {name: float(value.detach()) for name, value in found.items()}

    began, waited, saved = time.monotonic(), 0.0, time.monotonic()
    with _threads(len(learners)) as pool:
        for step, batch in enumerate(Feed(samples, size, settings, device, first), start=first):
            waited += batch["waited"]
            lr = settings.lr * schedule(step, settings.warmup, settings.steps)
            for optimizer in optimizers:
                optimizer.param_groups[0]["lr"] = lr
            parts = parts_of(batch, len(learners))
            found = list((pool.map if len(parts) > 1 else map)(learn, learners, parts))
            if len(parts) > 1:
                meet(*learners)
            norm = nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
            if torch.isfinite(norm):
                list(pool.map(lambda optimizer: optimizer.step(), optimizers))
            average(averaged, network, min(settings.ema, (1 + step) / (10 + step)))
            log.add({"norm": float(norm)}, *found)

            done = step + 1
            if done % LOG_EVERY == 0 or done == settings.steps:
                if _rank() == 0:
                    line = log.write(done, {"lr": lr, "elapsed_s": time.monotonic() - began})
                    if on_log is not None:
                        on_log(line)
                if time.monotonic() - saved >= settings.save_every_s or done == settings.steps:
                    checkpoint.save(done)
                    saved = time.monotonic()
    spent = max(time.monotonic() - began, 1e-9)
    averaged.eval()
    return averaged, (settings.steps - first) * settings.batch / spent, waited / spent


def views_of(settings: Train) -> Floats:
    """ego_T_view (V, 3) of the views that a training takes, the car's own first."""
    turn = math.radians(settings.turn_deg)
    return views.poses(settings.views, settings.ahead_m, settings.shift_m, turn, settings.seed)


def backbone_weights(size: Size, settings: Train) -> dict[str, Tensor]:
    """The weights in the file `settings.backbone`: those of a backbone, or of a whole network of any grid and history.

    DataError where it is no safetensors file, or a backbone of another shape.
    """
    told = f"reading weights of a backbone: {{}}; {settings.backbone}"
    try:
        found = load_file(settings.backbone)
    except (OSError, SafetensorError) as error:
        raise DataError(told.format(f"no safetensors file ({error})")) from error
    found = {name.removeprefix(_BACKBONE): v for name, v in found.items() if name.startswith(_BACKBONE)} or found
    wanted = Backbone(size).state_dict()
    for name in sorted(wanted.keys() | found.keys()):
        shapes = [tuple(of[name].shape) if name in of else "nothing" for of in (wanted, found)]
        if shapes[0] != shapes[1]:
            raise DataError(told.format(f"{size.name} has {shapes[0]} as {name}, the file has {shapes[1]}"))
    return found


def schedule(step: int, warmup: int, steps: int) -> float:
    """The share of the learning rate: up in a line, down along a cosine."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


@torch.no_grad()
def average(averaged: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the averaged weights a little towards the network's; counts and constants are taken over."""
    for old, new in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - keep)
        else:
            old.copy_(new)


def twin_of(network: Network) -> Network:
    """A network of the same weights, in the same memory, with gradients and statistics of batches of its own."""
    twin = deepcopy(network)
    for own, shared in zip(twin.parameters(), network.parameters(), strict=True):
        own.data = shared.data
    return twin


def parts_of(batch: Mapping[str, Any], count: int) -> list[dict[str, dict[str, Tensor]]]:
    """A batch in so many parts, or as many as it has samples; all of it is mounted alike."""
    count = min(count, len(batch["inputs"]["speed"]))
    cut = {what: {name: value.tensor_split(count) for name, value in batch[what].items()}
           for what in ("inputs", "labels")}  # fmt: skip
    return [
        {what: {name: value[k] for name, value in named.items()} for what, named in cut.items()}
        | {"mounted": batch["mounted"]}
        for k in range(count)
    ]


def meet(network: nn.Module, twin: nn.Module) -> None:
    """Give the network the mean of both gradients, as processes of DistributedDataParallel do."""
    for one, other in zip(network.parameters(), twin.parameters(), strict=True):
        if one.grad is not None and other.grad is not None:
            one.grad.add_(other.grad).mul_(0.5)


@contextmanager
def _threads(learners: int) -> Iterator[ThreadPoolExecutor]:
    """A thread for each learner, as far as torch may have so many, and torch's own shared out among them."""
    own = torch.get_num_threads()
    torch.set_num_threads(max(own // learners, 1))
    try:
        with ThreadPoolExecutor(min(learners, own)) as pool:
            yield pool
    finally:
        torch.set_num_threads(own)


def _paths(samples: Samples) -> Array:
    if not any("path" in drive.labels for drive in samples.drives):
        return np.zeros((0, 8, 4), np.float32)
    paths = np.concatenate(
        [drive.labels["path"][~drive.arrays["test"]] for drive in samples.drives if "path" in drive.labels]
    )
    return np.asarray(paths[np.isfinite(paths).all(axis=(1, 2))])


def _half(precision: str, device: torch.device) -> bool:
    if precision == "auto":
        return device.type == "cuda" or bool(torch.cpu.get_capabilities().get("amx_bf16"))
    if precision not in ("float32", "bfloat16"):
        raise UnderstudyError(f"train.precision is {precision!r}; known: auto, float32, bfloat16")
    return precision == "bfloat16"


# Data -----------------------------------------------------------------------------------------------------------------


class Feed:
    """Batches from a step on, each read while the one before is learned from."""

    def __init__(self, samples: Samples, size: Size, settings: Train, device: torch.device, first: int) -> None:
        self.samples, self.size, self.settings, self.device, self.first = samples, size, settings, device, first
        self.views = views_of(settings)
        taken = np.repeat(np.arange(len(samples)), np.where(rare(samples), settings.rare, 1) * ~samples.test)
        self.groups = [taken[samples.rig_number[taken] == k] for k in range(len(samples.rigs))]
        if not sum(map(len, self.groups)):
            raise DataError(f"dataset {samples.name} has no samples to train on: all are held out")
        self.mounted = lru_cache(maxsize=4 * settings.views)(self._mounted)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(self._batch, self.first)
            for step in range(self.first, self.settings.steps):
                began = time.monotonic()
                batch = coming.result()
                batch["waited"] = time.monotonic() - began
                if step + 1 < self.settings.steps:
                    coming = pool.submit(self._batch, step + 1)
                yield batch

    def _batch(self, step: int) -> dict[str, Any]:
        chunks = self._order(0)
        chunk = self._order(step // len(chunks))[step % len(chunks)]
        view = int(np.random.default_rng([self.settings.seed, 1, step]).integers(self.settings.views))
        chunk = np.resize(chunk, max(len(chunk), _world()))  # of fewer, some are learned from twice: each has a share
        tensors = self._tensors(self.samples.take(chunk[_rank() :: _world()]), view)
        tensors["mounted"] = self.mounted(int(self.samples.rig_number[chunk[0]]), view)
        return tensors

    @lru_cache(maxsize=2)  # noqa: B019 - it lives as long as the training
    def _order(self, epoch: int) -> list[Ints]:
        """The batches of an epoch: samples in random order, those of a batch by one rig."""
        random = np.random.default_rng([self.settings.seed, 0, epoch])
        chunks: list[Ints] = []
        for group in self.groups:
            shuffled = random.permutation(group)
            whole = max(len(shuffled) // self.settings.batch, 1) if len(shuffled) else 0
            chunks += [shuffled[k * self.settings.batch : (k + 1) * self.settings.batch] for k in range(whole)]
        return [chunks[k] for k in random.permutation(len(chunks))]

    def _mounted(self, rig: int, view: int) -> dict[str, Tensor]:
        told = mounting(views.rig_from(self.samples.rigs[rig], self.views[view]), self.size)
        return {name: value.to(self.device) for name, value in told.items()}

    def _tensors(self, batch: Batch, view: int) -> dict[str, Any]:
        pose, settings = self.views[view], self.settings
        labels = views.labels_from(batch.labels, pose, self.size.grid, settings.recover_m, settings.steer_m)
        state = dict(batch.state)
        state["past_poses"] = views.past_from(state["past_poses"], pose)
        inputs = inputs_of(replace(batch, state=state), settings.blind)
        return {
            "inputs": {name: value.to(self.device) for name, value in inputs.items()},
            "labels": {name: torch.from_numpy(value).to(self.device) for name, value in labels.items()},
        }


def rare(samples: Samples) -> Array:
    """Which samples (S,) are near a light, before stopping, or setting off: a few in a hundred that decide most."""
    found = []
    for drive in samples.drives:
        one = np.zeros(len(drive.arrays["test"]), bool)
        if "light" in drive.labels:
            one |= drive.labels["light"] > 0
        if "path" in drive.labels:
            one |= stops_or_sets_off(drive.arrays["speed"][:, -1], drive.labels["path"])
        found.append(one)
    return np.concatenate(found)


def stops_or_sets_off(speed: Array, path: Array) -> Array:
    """Who drives at a speed (B,) and will stand at the end of a path (B, K, 4), or gains speed right now, (B,).

    Not who waits to set off: a network that knows more of them than of setting off plans to go in a moment, and in
    closed loop that moment never comes.
    """
    soon, last = path[:, 0, 3], path[:, -1, 3]
    return np.asarray(((speed > _MOVING) & (last < _STANDING)) | ((speed < _SLOW) & (soon > speed + _GAIN)))


# State ----------------------------------------------------------------------------------------------------------------


@dataclass
class Checkpoint:
    """All that training has come to: network, average, the optimizers' moments and the step, in one file."""

    folder: Path
    network: Network
    averaged: Network
    optimizers: tuple[torch.optim.Optimizer, ...]

    @property
    def path(self) -> Path:
        return self.folder / "checkpoint.safetensors"

    def save(self, step: int) -> None:
        if _rank():
            return
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"averaged.{name}": value for name, value in self.averaged.state_dict().items()}
        for which, optimizer in enumerate(self.optimizers):
            moments = optimizer.state_dict()["state"]
            tensors |= {f"moment.{which}.{number}.{name}": m[name] for number, m in moments.items() for name in m}
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        write_whole(self.path, lambda aside: save_file(tensors, aside, {"step": str(step)}))

    def load(self) -> int:
        """The step to go on from; 0 where there is no checkpoint."""
        if not self.path.is_file():
            return 0
        with safe_open(self.path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
            step = int(file.metadata()["step"])
        of: dict[str, dict[str, Tensor]] = {"network": {}, "averaged": {}, "moment": {}}
        for name, value in tensors.items():
            whose, _, rest = name.partition(".")
            of[whose][rest] = value
        self.network.load_state_dict(of["network"])
        self.averaged.load_state_dict(of["averaged"])
        for which, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, Tensor]] = {}
            parameters = optimizer.param_groups[0]["params"]
            for name, value in of["moment"].items():
                whose, number, moment = name.split(".")
                if whose != str(which):
                    continue
                if moment != "step":  # a fused optimizer reads memory as it lies: moments lie as their parameter does
                    value = torch.empty_like(parameters[int(number)]).copy_(value)
                state.setdefault(int(number), {})[moment] = value
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        return step


class Log:
    """JSON lines, one for every LOG_EVERY steps, with the mean of each loss since the line before."""

    def __init__(self, path: Path, first: int) -> None:
        """Lines beyond the step that training goes on from are taken back: it will come there again."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = whole_lines(path).decode().splitlines()
        kept = [line for line in lines if json.loads(line)["step"] <= first]
        if _rank() == 0:
            write_whole(path, "".join(f"{line}\n" for line in kept).encode())
        self.board = _board(path.parent, first)
        self.since: list[dict[str, float]] = []

    def add(self, *values: dict[str, float]) -> None:
        self.since += values

    def write(self, step: int, more: dict[str, float]) -> dict[str, float]:
        names = dict.fromkeys(name for values in self.since for name in values)
        means = {name: float(np.mean([values[name] for values in self.since if name in values])) for name in names}
        line = {"step": step, **means, **more}
        append_line(self.path, json.dumps({name: float(f"{value:.6g}") for name, value in line.items()}).encode())
        if self.board is not None:
            for name, value in line.items():
                self.board.add_scalar(name, value, step)
            self.board.flush()
        self.since = []
        return line


def _board(folder: Path, first: int) -> Any:
    """A TensorBoard writer, where TensorBoard is installed; steps beyond the first are taken back there too."""
    if _rank() or find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=first + 1)


# Several processes ----------------------------------------------------------------------------------------------------


def _rank() -> int:
    return int(os.environ.get("RANK", 0))


def _world() -> int:
    return int(os.environ.get("WORLD_SIZE", 1))


@contextmanager
def _processes() -> Iterator[torch.device]:
    """The device of this process; where torchrun started several, their group."""
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
    if _world() == 1:
        yield device
        return
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()
