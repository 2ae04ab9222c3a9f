"""Reads a pickle that holds numbers, text and arrays; refuses one that wants anything else.

A pickle is a program: it may call any function by name. Only the names below are answered, and none of them can
reach further: they build arrays, dtypes, numpy scalars and plain containers.
"""

from __future__ import annotations

import collections
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from understudy.errors import DataError
from understudy.readers.folder import reading


class _ArrayOfBytes:
    """numpy's own `_frombuffer`, as an object that a pickle cannot alter."""

    __slots__ = ()

    def __call__(self, data: Any, dtype: Any, shape: Any, order: Any, *rest: Any) -> Any:
        return np.frombuffer(data, dtype=dtype).reshape(shape, order=order)


_ALLOWED: dict[tuple[str, str], Any] = {
    ("builtins", "bool"): bool,
    ("builtins", "dict"): dict,
    ("builtins", "float"): float,
    ("builtins", "int"): int,
    ("builtins", "list"): list,
    ("builtins", "set"): set,
    ("builtins", "str"): str,
    ("builtins", "tuple"): tuple,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): collections.defaultdict,
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
}
for _core in ("numpy.core", "numpy._core"):  # before and after numpy 2
    _ALLOWED[f"{_core}.multiarray", "_reconstruct"] = np.empty(0).__reduce__()[0]
    _ALLOWED[f"{_core}.multiarray", "scalar"] = np.float64().__reduce__()[0]
    _ALLOWED[f"{_core}.numeric", "_frombuffer"] = _ArrayOfBytes()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise DataError(
                f"it wants {module}.{name}, and only numbers, text and numpy arrays are taken from a pickle"
            )
        return _ALLOWED[module, name]


def load(path: Path) -> Any:
    """What a pickle file holds; DataError when it is damaged or asks for more than data."""
    with reading("a pickle", path), path.open("rb") as stream:
        try:
            return _Unpickler(stream).load()
        except DataError as error:
            raise DataError(f"refused a pickle: {error}; in {path}") from error
        except pickle.UnpicklingError as error:
            raise ValueError(error) from error
