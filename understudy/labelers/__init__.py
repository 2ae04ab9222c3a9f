"""The answer, known afterwards: one labeler a file, each with `needs` and one method, `label`.

A label is an array whose first axis is the instants asked for. What is not known is `nan` in floats and UNKNOWN in
int8; nothing is filled in. Labelers may look at the future and at what a drive declares as truth: that is what tells
them from policies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from understudy.errors import ShapeError
from understudy.records import Array, Drive, Ints

UNKNOWN = -128  # the nan of int8


@dataclass(frozen=True, slots=True)
class Label:
    """The answers of one labeler at B instants."""

    value: Array  # (B, ...) float32 with nan, or int8 with UNKNOWN

    def __post_init__(self) -> None:
        if self.value.dtype not in (np.float32, np.int8) or self.value.ndim < 1:
            raise ShapeError(f"a label is {self.value.dtype} {self.value.shape}, expected float32 or int8 (B, ...)")

    @property
    def known(self) -> Array:
        """Which numbers are known, of the shape of `value`."""
        return np.isfinite(self.value) if self.value.dtype == np.float32 else self.value != UNKNOWN

    @property
    def valid(self) -> Array:
        """Whether anything is known at an instant, (B,)."""
        return np.asarray(self.known.reshape(len(self.value), -1).any(axis=1))


class Labeler(Protocol):
    """Says afterwards what the answer was.

    One that asks a world what no log could tell has `privileged = True`: no comparison of ways to choose data uses it.
    """

    needs: ClassVar[tuple[str, ...]]

    def label(self, drive: Drive, instants: Ints) -> Label: ...
