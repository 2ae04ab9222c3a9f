"""Ask once, answer many: triggers look at one drive after another, and share what they all compute of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from understudy.records import Drive

T = TypeVar("T")


def once_a_drive(function: Callable[[Drive], T]) -> Callable[[Drive], T]:
    """`function` with its newest answer kept; one drive's and no more, so that memory does not grow."""
    kept: list[tuple[Drive, T]] = []

    @wraps(function)
    def answer(drive: Drive) -> T:
        if not kept or kept[0][0] is not drive:
            kept[:] = [(drive, function(drive))]
        return kept[0][1]

    return answer
