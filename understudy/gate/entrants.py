"""Who may drive through the gate: a policy by name, a model by file, or the driver that the world has of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from understudy import plugins, policies
from understudy.errors import PolicyError, SettingsError, UnknownName
from understudy.gate.drivers import Driver, Human, Planning
from understudy.gate.faults import fault
from understudy.records import Rig
from understudy.store import code_version, digest
from understudy.worlds.rig import default_rig

HUMAN = "human"  # the world's own driver; `human:late` is the same with a fault that is known


@dataclass(frozen=True)
class Entrant:
    """One who wants to drive, small enough to travel to workers: each process makes its own driver of it."""

    spec: str
    settings: str  # as JSON
    id: str  # the name that tables and pages know it by
    hash: str  # what it is: its model file, or its code and settings
    module: str  # where its code lives

    @property
    def driver(self) -> Driver:
        return _driver(self.spec, self.settings, self.hash)

    @property
    def rig(self) -> Rig | None:
        """The cameras that it must be given."""
        driver = self.driver
        if "pictures" not in driver.needs:
            return None
        size = driver.card.get("cameras", {}).get("size") if isinstance(driver, Planning) else None
        return default_rig(*size) if size else default_rig()


def entrant(spec: str, settings: Mapping[str, Any] | None = None) -> Entrant:
    """Who `lane_follow`, `module:Class`, `some/model.onnx`, `human` or `human:late` is."""
    told = sorted((settings or {}).items())
    if spec.partition(":")[0] == HUMAN:
        if told:
            raise SettingsError(f"{spec} has no settings, got {told[0][0]!r}")
        module = type(_driver(spec, "[]", "")).__module__
        return Entrant(spec, "[]", spec, digest([spec, code_version([module])]), module)
    known = plugins.names("policy")
    if spec not in known and ":" not in spec and not spec.endswith(".onnx"):
        raise UnknownName("driver", spec, [*known, HUMAN, "champion"])
    named = policies.named(spec, settings)
    contents = named.contents or digest([spec, told, code_version([named.module])])
    return Entrant(spec, json.dumps(told), named.id, contents, named.module)


@cache
def _driver(spec: str, settings: str, hash: str) -> Driver:
    """Made once in each process; under the same path another file is another driver."""
    kind, _, name = spec.partition(":")
    if kind == HUMAN:
        return fault(name) if name else Human()
    known = policies.named(spec, dict(json.loads(settings)))
    if known.contents not in ("", hash):
        raise PolicyError(f"loading {spec}: its file was replaced since the gate began; ask the gate again")
    return Planning(known.policy)
