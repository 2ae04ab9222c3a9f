"""Ask once, answer many: triggers look at one drive after another, and share what they all compute of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

A = TypeVar("A")
T = TypeVar("T")


def newest_kept(function: Callable[[A], T]) -> Callable[[A], T]:
    """`function` with its newest answer kept, for as long as it is asked of the same object.

    One answer and no more, so that memory does not grow; by identity, because drives and maps are not hashable.
    """
    kept: list[tuple[A, T]] = []

    def answer(asked: A) -> T:
        if not kept or kept[0][0] is not asked:
            kept[:] = [(asked, function(asked))]
        return kept[0][1]

    return answer
