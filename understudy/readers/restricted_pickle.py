"""Reads a pickle that holds numbers, text and arrays; refuses one that wants anything else.

A pickle is a program: it may call any function by name. Only the names below are answered, and none of them can
reach further: they build plain containers, and arrays and numbers of numpy by stand-ins that check what they are told,
for numpy's own take addresses in memory from a file.
"""

from __future__ import annotations

import collections
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

from understudy.errors import DataError
from understudy.readers.folder import reading


class _Plain:
    """In the place of `numpy.dtype`: what a pickle may say of one, numbers and text of a length and an order of bytes.

    numpy's own would take fields that lie anywhere, and objects for which the file gives addresses in memory.
    """

    __slots__ = ("dtype",)

    def __init__(self, code: Any, align: Any = False, copy: Any = False) -> None:
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            told = code[:40] if isinstance(code, str) else type(code).__name__
            raise ValueError(f"{told!r} is no type of plain numbers or text")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        _, order, inner, names, fields, *more = state
        if (inner, names, fields) != (None, None, None) or order not in ("<", ">", "|", "="):
            raise ValueError("a type of many fields")
        if self.dtype.kind in "Mm" and len(more) > 3:  # dates and times have a unit: ({}, (b"ns", 1, 1, 1))
            unit, count = more[3][1][:2]
            self.dtype = np.dtype(f"{self.dtype.kind}8[{int(count)}{bytes(unit).decode('ascii')}]")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(np.ndarray):
    """In the place of `numpy.ndarray`: an array whose contents must be as many bytes as it says, or a list."""

    def __setstate__(self, state: Any) -> None:
        version, shape, kind, fortran, contents = state
        dtype = _dtype_of(kind)
        if not isinstance(contents, list if dtype.hasobject else bytes):
            raise ValueError(f"an array of {dtype} out of {type(contents).__name__}")
        if dtype.hasobject and math.prod(_sides(shape)) != len(contents):  # numpy itself would read on in memory
            raise ValueError(f"an array of objects out of {len(contents)}, which is not what its shape says")
        super().__setstate__((version, shape, dtype, fortran, contents))


def _sides(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError("an array whose shape is none")
    return shape


def _text(value: Any = "") -> str:
    """`str` of what is short; of lists in lists it would grow without bound."""
    if not isinstance(value, str | int | float):
        raise ValueError(f"text out of {type(value).__name__}")
    return str(value)


def _empty(kind: Any, shape: Any, code: Any) -> _Array:
    """numpy's `_reconstruct`, as it is always called: an empty array that is told its contents afterwards."""
    return np.empty(0, np.int8).view(_Array)


def _scalar(kind: Any, contents: Any = b"") -> Any:
    """numpy's `scalar`."""
    dtype = _dtype_of(kind)
    if dtype.hasobject or not isinstance(contents, bytes) or len(contents) != dtype.itemsize:
        raise ValueError(f"a number of {dtype} out of {type(contents).__name__}")
    return np.frombuffer(contents, dtype)[0]


def _of_bytes(contents: Any, kind: Any, shape: Any, order: Any, *rest: Any) -> Any:
    """numpy's `_frombuffer`, which takes no objects."""
    return np.frombuffer(contents, dtype=_dtype_of(kind)).reshape(shape, order=order)


def _dtype_of(kind: Any) -> Any:
    if not isinstance(kind, _Plain):
        raise ValueError(f"{type(kind).__name__} where the type of an array belongs")
    return kind.dtype


class _Function:
    """A function that a pickle may call and cannot alter."""

    __slots__ = ("call",)
    call: Any

    def __init__(self, call: Any) -> None:
        object.__setattr__(self, "call", call)

    def __setattr__(self, name: str, value: Any) -> None:
        raise ValueError("a pickle alters nothing that it is read with")

    def __call__(self, *arguments: Any) -> Any:
        return self.call(*arguments)


_CODE = re.compile(r"[biufcSUOMm]\d{0,9}", re.ASCII)
_ALLOWED: dict[tuple[str, str], Any] = {
    ("builtins", "bool"): bool,
    ("builtins", "dict"): dict,
    ("builtins", "float"): float,
    ("builtins", "int"): int,
    ("builtins", "list"): list,
    ("builtins", "set"): set,
    ("builtins", "str"): _Function(_text),
    ("builtins", "tuple"): tuple,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): collections.defaultdict,
    ("numpy", "dtype"): _Function(_Plain),
    ("numpy", "ndarray"): "numpy.ndarray",  # a word, which makes nothing
}
for _core in ("numpy.core", "numpy._core"):  # before and after numpy 2
    _ALLOWED[f"{_core}.multiarray", "_reconstruct"] = _Function(_empty)
    _ALLOWED[f"{_core}.multiarray", "scalar"] = _Function(_scalar)
    _ALLOWED[f"{_core}.numeric", "_frombuffer"] = _Function(_of_bytes)


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
