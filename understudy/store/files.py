"""Files that appear whole or not at all, names made of contents, and the lock that keeps `gc` from files in use."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from understudy.errors import UnderstudyError

DIGITS = 20  # 80 bits: the chance that two of a million names meet is below 1e-12
PARTIAL = ".partial"


def to_json(value: Any) -> bytes:
    """The one spelling of a value in JSON: sorted keys, dataclasses as objects, nan as null."""
    return msgspec.json.encode(value, order="sorted", enc_hook=_plain)


def legible(value: Any) -> bytes:
    """The same on many lines, for files that people read too."""
    return msgspec.json.format(to_json(value), indent=1)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no place in a name or a record of the lake")


def digest(value: Any) -> str:
    """A name for a value: of bytes by their contents, of anything else by its JSON."""
    data = value if isinstance(value, bytes) else to_json(value)
    return hashlib.sha256(data).hexdigest()[:DIGITS]


def write_whole(path: Path, content: bytes | Callable[[Path], None]) -> None:
    """Put a file in place whole: written aside, synced to the disk, renamed.

    `content` is the bytes, or a function that writes the file it is given.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = beside(path)
    try:
        if isinstance(content, bytes):
            aside.write_bytes(content)
        else:
            content(aside)
        take_place(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def whole_lines(path: Path) -> bytes:
    """A file of lines up to the end of the last whole one; nothing where there is no file."""
    data = path.read_bytes() if path.is_file() else b""
    return data[: data.rfind(b"\n") + 1]


def append_line(path: Path, line: bytes) -> None:
    """Add a line to a file of lines, on the disk when this returns. Whoever was killed while writing left half of one,
    which is cut off first; whoever else is writing is waited for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
        file.truncate(len(whole_lines(path)))
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to write in, which takes its name, synced to the disk, when the block is left well, and vanishes when it
    is not. The name must be free, or an empty folder's."""
    path = path.absolute()
    aside = beside(path)
    aside.mkdir(parents=True)
    try:
        yield aside
        for one in aside.rglob("*"):
            _sync(one)
        take_place(aside, path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def take_place(aside: Path, path: Path) -> None:
    """Let what was written aside take its name, both synced to the disk: else the name might not outlive a power
    cut."""
    _sync(aside)
    aside.rename(path)
    _sync(path.parent)


def beside(path: Path) -> Path:
    """Where to write a file that is to take the place `path` when it is whole: a name that nobody else writes to."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{PARTIAL}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, exclusive: bool = False, wait_s: float = float("inf"), busy: str = "") -> Iterator[None]:
    """Hold a lock file, shared or alone. The system frees it when the process ends, however it ends.

    Raises UnderstudyError(busy) when others hold it for longer than `wait_s`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        if exclusive or error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        if not path.is_file():  # a lake that nobody has ever locked, and that may only be read
            yield
            return
        descriptor = os.open(path, os.O_RDONLY)
    try:
        _acquire(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH, wait_s, busy)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, kind: int, wait_s: float, busy: str) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, kind | (0 if wait_s == float("inf") else fcntl.LOCK_NB))
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise UnderstudyError(busy) from None
            time.sleep(0.05)
