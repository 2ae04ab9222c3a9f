"""Any model as ONNX with a JSON card beside it (`model.onnx`, `model.json`): it runs without torch and holds no code.

The card says what the model wants to be fed and what it answers:

    {"format": "understudy-model/1",
     "history_s": [1.5, 1.0, 0.5, 0.0],
     "needs": ["speed", "yaw_rate", "pictures"],
     "cameras": {"names": ["front"], "size": [160, 120]},
     "inputs":  {"pictures": ["B", 4, 1, 120, 160, 3], "speed": ["B", 4]},
     "outputs": {"poses": ["B", 16, 8, 4], "probability": ["B", 16]}}

Inputs bear the names of `Observation`'s fields and the shapes of its conventions; `poses` is required of the outputs,
`probability`, `spread` and `embedding` are optional. A model for any rig names no cameras and asks for `lift_index` and
`lift_weight`, the table of `geometry.lift_table`, made for the rig at hand as its card says, and for `sight_ahead`,
how sharply each camera sees ahead:

    {"lift": {"grid": {"x0": -16, "y0": -24, "cell": 0.75, "shape": [64, 64]}, "heights": [0, 1.5], "size": [32, 16]}}
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

from understudy.errors import PolicyError
from understudy.geometry import Grid, lift_table, sight_ahead
from understudy.records import PLAN_STEPS, Array, Observation, Plan, Rig

FORMAT = "understudy-model/1"
_RIG = ("lift_index", "lift_weight", "sight_ahead")
_FED = (
    "past_poses",
    "speed",
    "yaw_rate",
    "accel",
    "command",
    "speed_limit",
    "route",
    "light",
    "light_distance",
    "pictures",
    "picture_valid",
    *_RIG,
)
_PICTURES = {"pictures", "picture_valid", *_RIG}  # what comes with the need "pictures"
# A tensor's field 13, `external_data`, whose first entry is `location` (onnx.proto).
_ELSEWHERE = re.compile(rb"\x6a(?:[\x00-\x7f]|[\x80-\xff][\x00-\x7f])\x0a\x08location\x12")
_KINDS = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int64)": np.int64,
    "tensor(int8)": np.int8,
    "tensor(bool)": np.bool_,
}


@dataclass(frozen=True)
class Onnx:
    """A network as a policy; its card decides what it needs."""

    path: str
    needs: tuple[str, ...] = field(init=False, repr=False)
    history_s: tuple[float, ...] = field(init=False, repr=False)
    card: dict[str, Any] = field(init=False, repr=False, compare=False)
    _session: Any = field(init=False, repr=False, compare=False)
    _mounted: dict[bytes, dict[str, Array]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        card = read_card(Path(self.path))
        if _ELSEWHERE.search(Path(self.path).read_bytes()):  # nobody would know of which weights a result is
            raise PolicyError(
                "the model has weights in another file; expected all in one, as `external_data=False` exports it; in "
                f"{self.path}"
            )
        options = onnxruntime.SessionOptions()
        # One thread: plans must not depend on how many worlds or workers share the machine.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own untyped family
            raise PolicyError(f"loading a model: {_said(error)}; in {self.path}") from error
        wanted = {entry.name for entry in session.get_inputs()}
        if unknown := sorted(wanted - set(_FED)):
            raise PolicyError(
                f"the model wants {', '.join(unknown)}; an observation offers {', '.join(_FED)}; in {self.path}"
            )
        answers = {entry.name for entry in session.get_outputs()}
        if "poses" not in answers:
            raise PolicyError(f"the model answers {', '.join(sorted(answers))}, but no 'poses'; in {self.path}")
        needs = dict.fromkeys(
            (
                *card["needs"],
                *(("pictures",) if wanted & _PICTURES else ()),
                *(("route",) if wanted & {"route", "light", "light_distance"} else ()),
            )
        )
        object.__setattr__(self, "card", card)
        object.__setattr__(self, "needs", tuple(needs))
        object.__setattr__(self, "history_s", tuple(card["history_s"]))
        object.__setattr__(self, "_session", session)

    def plan(self, seen: Observation) -> Plan:
        feed = {entry.name: self._input(seen, entry) for entry in self._session.get_inputs()}
        names = [entry.name for entry in self._session.get_outputs()]
        try:
            answer = dict(zip(names, self._session.run(names, feed), strict=True))
        except Exception as error:
            raise PolicyError(f"running {Path(self.path).name}: {_said(error)}") from error
        poses = np.asarray(answer["poses"], dtype=np.float64)
        if poses.ndim == 3:  # one mode
            poses = poses[:, None]
        if poses.ndim != 4 or poses.shape[0] != len(seen) or poses.shape[2:] != (PLAN_STEPS, 4):
            raise PolicyError(
                f"{Path(self.path).name} answered poses {poses.shape}, expected ({len(seen)}, M, {PLAN_STEPS}, 4)"
            )
        probability = answer.get("probability", np.full(poses.shape[:2], 1 / poses.shape[1]))
        spread = answer.get("spread")
        if spread is not None and np.size(spread) != len(seen):
            raise PolicyError(f"{Path(self.path).name} answered spread {np.shape(spread)}, expected ({len(seen)},)")
        return Plan(
            poses,
            np.asarray(probability, dtype=np.float64),
            None if spread is None else np.asarray(spread, dtype=np.float64).reshape(len(seen)),
            answer.get("embedding"),
        )

    def _input(self, seen: Observation, entry: Any) -> Array:
        value = self._of_cameras(seen, entry.name) if entry.name in _PICTURES else getattr(seen, entry.name)
        if value is None:
            raise PolicyError(f"{Path(self.path).name} wants {entry.name!r}, which this drive does not offer")
        kind = _KINDS.get(entry.type)
        if kind is None:
            raise PolicyError(f"{Path(self.path).name} wants {entry.name} as {entry.type}; known: {', '.join(_KINDS)}")
        array = np.asarray(value)
        if array.dtype.kind == "f":  # networks are trained with 0 for what is not known
            array = np.nan_to_num(array)
        return np.ascontiguousarray(array, dtype=kind)

    def _of_cameras(self, seen: Observation, name: str) -> Array:
        """`pictures` (B, F, C, H, W, 3), `picture_valid` (B, F, C), or what is told of the rig, of the cameras that
        the card names (all where it names none) and in its size."""
        if seen.rig is None or seen.picture_valid is None:
            raise PolicyError(f"{Path(self.path).name} wants pictures, and the observation has none")
        cameras = self.card.get("cameras", {})
        names = cameras.get("names") or list(seen.rig.names)
        if missing := [camera for camera in names if camera not in seen.rig.names]:
            raise PolicyError(
                f"{Path(self.path).name} wants camera {missing[0]!r}; the drive has {', '.join(seen.rig.names)}"
            )
        chosen = [seen.rig.names.index(camera) for camera in names]
        if name == "picture_valid":
            return np.asarray(seen.picture_valid[..., chosen])
        if name in _RIG:
            return self._told_of(seen.rig.only(chosen))[name]
        stacks = [seen.pictures[c] for c in chosen]
        size = tuple(cameras["size"]) if "size" in cameras else (stacks[0].shape[3], stacks[0].shape[2])
        return np.stack([resized(stack, size) for stack in stacks], axis=2)

    def _told_of(self, rig: Rig) -> dict[str, Array]:
        """What is told of a rig, by the names of the inputs; made once."""
        key = repr((rig.size.tolist(), rig.distortion, rig.coefficients)).encode()
        key += rig.K.tobytes() + rig.ego_T_cam.tobytes()
        if key not in self._mounted:
            told = self.card.get("lift")
            if told is None:
                raise PolicyError(f"{Path(self.path).name} wants a lift table, and its card does not say which")
            grid = Grid(**{**told["grid"], "shape": tuple(told["grid"]["shape"])})
            table = lift_table(rig, grid, np.array(told["heights"]), tuple(told["size"]))
            self._mounted[key] = dict(zip(_RIG, (*table, sight_ahead(rig)), strict=True))
        return self._mounted[key]


def _said(error: Exception) -> str:
    """What onnxruntime says, in one line."""
    return " ".join(str(error).split())


def resized(pictures: Array, size: tuple[int, int]) -> Array:
    """Pictures (..., H, W, 3) at another width and height, averaged over what a pixel covers."""
    if (pictures.shape[-2], pictures.shape[-3]) == size:
        return pictures
    flat = pictures.reshape(-1, *pictures.shape[-3:])
    small = [np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR)) for picture in flat]
    return np.reshape(small, (*pictures.shape[:-3], size[1], size[0], 3))


def read_card(model: Path) -> dict[str, Any]:
    """The card beside a model, checked."""
    if not model.is_file():
        raise PolicyError(f"there is no model file {model}")
    path = model.with_suffix(".json")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PolicyError(f"the model has no card; expected {path.name} beside {model}") from error
    except (ValueError, OSError) as error:
        raise PolicyError(f"reading a model's card: {error}; in {path}") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise PolicyError(f"the model's card is not of format {FORMAT!r}; in {path}")
    ages, needs = card.get("history_s", [0.0]), card.get("needs", [])
    if not (
        isinstance(ages, list)
        and ages
        and all(isinstance(age, int | float) for age in ages)
        and ages == sorted(ages, reverse=True)
        and ages[-1] == 0
    ):
        raise PolicyError(f"the model's card has history_s {ages!r}, expected ages decreasing to 0; in {path}")
    if not (isinstance(needs, list) and all(isinstance(need, str) for need in needs)):
        raise PolicyError(f"the model's card has needs {needs!r}, expected a list of names; in {path}")
    cameras = card.get("cameras", {})
    names, size = (cameras.get("names", []), cameras.get("size", [1, 1])) if isinstance(cameras, dict) else (None, None)
    if not (
        isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and isinstance(size, list)
        and len(size) == 2
        and all(isinstance(side, int) and side > 0 for side in size)
    ):
        raise PolicyError(
            f'the model\'s card has cameras {cameras!r}, expected {{"names": ["front"], "size": [160, 120]}}; in {path}'
        )
    return card | {"history_s": [float(age) for age in ages], "needs": needs}
