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

A model that looks at the newest frame alone says which of its answers it wants to be given of the frames before:

    {"kept": {"view": "past_views"}}

Its `pictures` are (B, C, H, W, 3) then, and `past_views` (B, F - 1, ...) are what it answered as `view` when these
frames were the newest. So a frame is encoded once, at however many instants it is looked back at.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import onnxruntime
from PIL import Image

from understudy.errors import PolicyError
from understudy.geometry import Grid, lift_table, sight_ahead
from understudy.records import PLAN_STEPS, Array, Observation, Plan, Rig

FORMAT = "understudy-model/1"
_FRAME = ("pictures", "picture_valid")
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
    *_FRAME,
    *_RIG,
)
_PICTURES = {*_FRAME, *_RIG}  # what comes with the need "pictures"
_KEPT, _KEPT_BYTES = 32, 256_000_000  # frames that may be looked back at, 3 s at 10 Hz, if they are not too large
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
class _Lift:
    """The lift table that a card wants."""

    grid: Grid
    heights: tuple[float, ...]
    size: tuple[int, int]


class _Frame(NamedTuple):
    """What the cameras show at one instant, named by its contents: whatever was kept, the answers are the same."""

    name: bytes
    pictures: list[Array]  # of each camera (1, H, W, 3)
    valid: Array  # (1, C)


@dataclass(frozen=True)
class Onnx:
    """A network as a policy; its card decides what it needs."""

    path: str
    needs: tuple[str, ...] = field(init=False, repr=False)
    history_s: tuple[float, ...] = field(init=False, repr=False)
    card: dict[str, Any] = field(init=False, repr=False, compare=False)
    _session: Any = field(init=False, repr=False, compare=False)
    _mounted: dict[bytes, dict[str, Array]] = field(init=False, repr=False, compare=False, default_factory=dict)
    _kept: dict[bytes, dict[str, Array]] = field(init=False, repr=False, compare=False, default_factory=dict)

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
        if unknown := sorted(wanted - set(_FED) - set(card["kept"].values())):
            raise PolicyError(
                f"the model wants {', '.join(unknown)}; an observation offers {', '.join(_FED)}; in {self.path}"
            )
        answers = {entry.name for entry in session.get_outputs()}
        for name in ("poses", *card["kept"]):
            if name not in answers:
                raise PolicyError(f"the model answers {', '.join(sorted(answers))}, but no {name!r}; in {self.path}")
        if missing := sorted(set(card["kept"].values()) - wanted):
            raise PolicyError(f"the model's card keeps {missing[0]!r}, which the model does not want; in {self.path}")
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
        answer = self._frame_by_frame(seen) if self.card["kept"] else self._run(self._fed(seen))
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

    def _fed(self, seen: Observation, without: Collection[str] = ()) -> dict[str, Array]:
        wanted = (entry for entry in self._session.get_inputs() if entry.name not in without)
        return {entry.name: self._input(seen, entry) for entry in wanted}

    def _run(self, fed: Mapping[str, Array]) -> dict[str, Array]:
        names = [entry.name for entry in self._session.get_outputs()]
        try:
            return dict(zip(names, self._session.run(names, dict(fed)), strict=True))
        except Exception as error:
            raise PolicyError(f"running {Path(self.path).name}: {_said(error)}") from error

    def _frame_by_frame(self, seen: Observation) -> dict[str, Array]:
        """The answers at every instant, one after the other: what a convolution works on stays near the processor."""
        kept = self.card["kept"]
        fed = self._fed(seen, without={*_FRAME, *kept.values()})
        answers = []
        for row in range(len(seen)):
            now = {name: value if name in _RIG else value[row : row + 1] for name, value in fed.items()}
            *past, newest = (self._frame(seen, row, frame) for frame in range(len(self.history_s)))
            known = [self._kept.get(frame.name) or self._look(frame, now | self._no_past)[1] for frame in past]
            history = {into: np.stack([one[name] for one in known], axis=1) for name, into in kept.items()}
            answers.append(self._look(newest, now | history)[0])
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}

    def _look(self, frame: _Frame, fed: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
        """What is answered where this frame is the newest, and what is kept of it for later."""
        answer = self._run({**fed, "pictures": self._scaled(frame.pictures), "picture_valid": frame.valid})
        kept = self._kept[frame.name] = {name: answer.pop(name) for name in self.card["kept"]}
        most = min(_KEPT, _KEPT_BYTES // max(sum(value.nbytes for value in kept.values()), 1))
        while len(self._kept) > max(most, len(self.history_s)):
            del self._kept[next(iter(self._kept))]  # the oldest
        return answer, kept

    def _frame(self, seen: Observation, row: int, frame: int) -> _Frame:
        chosen = self._chosen(seen)
        assert seen.rig is not None and seen.picture_valid is not None
        valid = seen.picture_valid[row : row + 1, frame][:, chosen]
        pictures = [seen.pictures[camera][row : row + 1, frame] for camera in chosen]
        contents = hashlib.blake2b(_mounting(seen.rig.only(chosen)) + valid.tobytes(), digest_size=16)
        for picture in pictures:
            contents.update(np.ascontiguousarray(picture).data)
        return _Frame(contents.digest(), pictures, valid)

    @cached_property
    def _no_past(self) -> dict[str, Array]:
        """What a frame is given that is looked at for its own sake."""
        wanted = [one for one in self._session.get_inputs() if one.name in self.card["kept"].values()]
        return {
            one.name: np.zeros([side if isinstance(side, int) else 1 for side in one.shape], np.float32)
            for one in wanted
        }

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
        """`pictures` (B, F, C, H, W, 3), `picture_valid` (B, F, C), or what is told of the rig."""
        chosen = self._chosen(seen)
        if name == "picture_valid":
            return np.asarray(seen.picture_valid[..., chosen])  # type: ignore[index]
        if name in _RIG:
            return self._told_of(seen.rig.only(chosen))[name]  # type: ignore[union-attr]
        return self._scaled([seen.pictures[camera] for camera in chosen])

    def _chosen(self, seen: Observation) -> list[int]:
        """The cameras that the card names, all where it names none, by their number."""
        if seen.rig is None or seen.picture_valid is None:
            raise PolicyError(f"{Path(self.path).name} wants pictures, and the observation has none")
        names = self.card.get("cameras", {}).get("names") or list(seen.rig.names)
        if missing := [camera for camera in names if camera not in seen.rig.names]:
            raise PolicyError(
                f"{Path(self.path).name} wants camera {missing[0]!r}; the drive has {', '.join(seen.rig.names)}"
            )
        return [seen.rig.names.index(camera) for camera in names]

    def _scaled(self, stacks: Sequence[Array]) -> Array:
        """Pictures of each camera (..., H, W, 3) in the card's size, (..., C, H, W, 3)."""
        own = stacks[0].shape[-2], stacks[0].shape[-3]
        size = tuple(self.card.get("cameras", {}).get("size", own))
        return np.stack([resized(stack, size) for stack in stacks], axis=-4)

    def _told_of(self, rig: Rig) -> dict[str, Array]:
        """What is told of a rig, by the names of the inputs; made once."""
        key = _mounting(rig)
        if key not in self._mounted:
            told = self.card.get("lift")
            if told is None:
                raise PolicyError(f"{Path(self.path).name} wants a lift table, and its card does not say which")
            lift = msgspec.convert(told, _Lift)
            table = lift_table(rig, lift.grid, np.array(lift.heights), lift.size)
            self._mounted[key] = dict(zip(_RIG, (*table, sight_ahead(rig)), strict=True))
        return self._mounted[key]


def _mounting(rig: Rig) -> bytes:
    """All that a lift table hangs on."""
    told = repr((rig.size.tolist(), rig.distortion, rig.coefficients)).encode()
    return told + rig.K.tobytes() + rig.ego_T_cam.tobytes()


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
        and all(isinstance(age, int | float) and math.isfinite(age) for age in ages)
        and all(older > age for older, age in pairwise(ages))
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
    try:
        lift = msgspec.convert(card.get("lift"), _Lift | None)
    except msgspec.ValidationError as error:
        raise PolicyError(f"reading a model's card: its lift is none: {error}; in {path}") from error
    if lift and not (lift.grid.cell > 0 and min(*lift.grid.shape, *lift.size) > 0):
        raise PolicyError(f"the model's card has lift {card['lift']!r}, expected cells and sizes above 0; in {path}")
    data = card.get("data", {})
    places = data.get("places", []) if isinstance(data, dict) else None
    if not (isinstance(places, list) and all(isinstance(place, str) for place in places)):
        raise PolicyError(f'the model\'s card has data {data!r}, expected {{"places": ["grid:1"]}}; in {path}')
    kept = card.get("kept", {})
    if not (isinstance(kept, dict) and all(isinstance(into, str) for into in kept.values())):
        raise PolicyError(f'the model\'s card has kept {kept!r}, expected {{"view": "past_views"}}; in {path}')
    if kept and len(ages) < 2:
        raise PolicyError(f"the model's card keeps {', '.join(kept)} and has no history to give it to; in {path}")
    return card | {"history_s": [float(age) for age in ages], "needs": needs, "kept": kept}
