"""The logged driver: plans what was driven next. An oracle, and the self-check of everything that compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from understudy.errors import PolicyError
from understudy.records import Observation, Plan


@dataclass(frozen=True)
class Logged:
    """Knows the future of the drive, and says so by needing it."""

    needs: ClassVar[tuple[str, ...]] = ("future",)
    history_s: ClassVar[tuple[float, ...]] = (0.0,)

    def plan(self, seen: Observation) -> Plan:
        if seen.future is None:
            raise PolicyError("the logged driver can only be asked where the future is known")
        return Plan.single(seen.future)
