"""A lake of which only some drives are listed: what a stage does to every drive, it does to these."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from understudy.store import Lake


@dataclass(frozen=True)
class Share(Lake):
    """The same lake, with all its tables; only `drives` lists fewer."""

    only: frozenset[str] = frozenset()

    def drives(self) -> list[dict[str, Any]]:
        return [drive for drive in super().drives() if drive["id"] in self.only]


def share(lake: Lake, drives: Iterable[str]) -> Share:
    return Share(lake.root, lake.as_of, frozenset(drives))
