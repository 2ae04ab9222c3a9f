"""What can drive: one policy a file, each with `needs`, `history_s` and one method, `plan`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy import plugins
from understudy.records import Policy


@dataclass(frozen=True)
class Named:
    """A policy under the name that tables and pages know it by."""

    id: str
    policy: Policy
    module: str  # where its code lives, for naming results by what made them
    contents: str = ""  # hash of the model file and its card, if it is one


def named(spec: str, settings: Mapping[str, Any] | None = None) -> Named:
    """The policy that `lane_follow`, `module:Class` or `some/model.onnx` asks for, with its settings.

    Settings that differ from the defaults are part of the name, and so is the content of a model.
    """
    settings = dict(settings or {})
    if spec.endswith(".onnx"):
        policy = plugins.make("policy", "onnx", {"path": spec, **settings})
        model = Path(spec)
        digest = hashlib.sha256(model.read_bytes() + model.with_suffix(".json").read_bytes()).hexdigest()
        return Named(f"{model.stem}-{digest[:6]}", policy, type(policy).__module__, digest)
    policy = plugins.make("policy", spec, settings)
    told = ",".join(f"{key}={value}" for key, value in sorted(settings.items()))
    return Named(f"{spec}({told})" if told else spec, policy, type(policy).__module__)
