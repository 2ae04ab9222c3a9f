"""A log is a folder of files: what it holds, what tells it from other logs, and nothing outside it.

A drive is named by what it holds, so that a log that is moved or copied stays the same drive.
"""

from __future__ import annotations

import csv
import hashlib
import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import shapely

from understudy.errors import DataError, UnderstudyError

WHOLE_BYTES = 16 * 2**20  # a larger file (video, raw CAN) is known by its size and both ends
END_BYTES = 2**20

MALFORMED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    csv.Error,
    shapely.GEOSException,
    tokenize.TokenError,  # of numpy, from the head of an array
    zipfile.BadZipFile,  # of numpy, from an array that begins like an archive
    zlib.error,
)


def found(keys: Iterable[str], root: Path, expected: str) -> Iterator[str]:
    """`keys` sorted; none at all is a DataError that says what a right folder looks like."""
    if not root.exists():
        raise DataError(f"looking for drives: no such folder; in {root}")
    ordered = sorted(keys)
    if not ordered:
        raise DataError(f"looking for drives: found none; expected {expected}; in {root}")
    yield from ordered


def inside(root: Path, name: str) -> Path:
    """The path of `name` under `root`; a name that leads out of it is refused."""
    path = root / name
    if "\0" in name or not path.resolve().is_relative_to(root.resolve()):
        raise DataError(f"refused {name!r}: it leads out of the log's folder; in {root}")
    return path


def key_of(log: Path, root: Path) -> str:
    """The key of a drive's folder: its path under `root`, or its own name where it is the root."""
    return log.relative_to(root).as_posix() if log != root else root.resolve().name


def drive_folder(root: Path, key: str) -> Path:
    """The folder that `key_of` named."""
    log = inside(root, key)
    if log.is_dir():
        return log
    if key == root.resolve().name:
        return root
    raise DataError(f"no drive {key!r}; in {root}")


def fingerprint(root: Path, files: Iterable[Path]) -> str:
    """32 hex digits of the names (relative to `root`) and contents of files; files that are absent count as absent.

    A file that lies elsewhere, by a link, is refused; so is a folder among them, in which nothing would be found.
    """
    digest = hashlib.blake2b(digest_size=16)
    with reading("a log", root):
        whole, homes = root.resolve(), dict[Path, Path]()
        for path in sorted(path for path in files if path.exists()):
            home = homes.setdefault(path.parent, path.parent.resolve())
            if not (path.resolve() if path.is_symlink() else home).is_relative_to(whole):
                raise DataError(f"refused {path.relative_to(root)}: it leads out of the log's folder; in {root}")
            if not path.is_file():
                continue
            size = path.stat().st_size
            digest.update(f"{path.relative_to(root).as_posix()}\0{size}\0".encode())
            with path.open("rb") as stream:
                digest.update(stream.read(WHOLE_BYTES if size <= WHOLE_BYTES else END_BYTES))
                if size > WHOLE_BYTES:
                    stream.seek(-END_BYTES, 2)
                    digest.update(stream.read())
    return digest.hexdigest()


def drive_id(reader: str, name: str, contents: str) -> str:
    """`reader-name-3f9a1c`: readable, fit for file names and addresses, and different where the contents differ.

    Of random numbers in a name, such as a UUID, the first eight digits are enough to find the log again.
    """
    name = re.sub(r"([0-9a-f]{8})(?:[0-9a-f]{8,}|(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![0-9A-Za-z])", r"\1", name)
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")
    return f"{reader}-{slug}-{contents[:6]}"


@contextmanager
def reading(what: str, path: Path) -> Iterator[None]:
    """Whatever a malformed file makes go wrong inside becomes one line that names the file."""
    try:
        yield
    except UnderstudyError:
        raise
    except MALFORMED as error:
        said = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, KeyError):
            said = f"{said} is missing"
        elif isinstance(error, FileNotFoundError):
            said = "there is no such file"
        raise DataError(f"reading {what}: {said}; in {path}") from error
