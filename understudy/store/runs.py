"""Runs and their parts: what a stage made, named by what made it.

A part is what one stage makes of one subject (mostly a drive): some tables and blobs under one hash of inputs,
settings and code. A run is the list of its parts. Parts may be written by any process, in any order, twice; the
manifest of the run is written once, last, and only if it says anything new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from understudy.errors import DataError
from understudy.store.files import digest, legible, locked, write_whole
from understudy.store.packs import locate, table_file

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1  # of the lake; part of every name, so that a change of format makes everything anew
Replaces = Literal["run", "drive"]


def part_hash(stage: str, key: str, subject: str, inputs: Iterable[str], settings: Any, code: str) -> str:
    """The name of a part: what made it, and nothing else (no commit, clock, host or path)."""
    return digest([FORMAT, stage, key, subject, sorted(inputs), settings, code])


@dataclass(frozen=True)
class Source:
    """Where the log of a drive lies and which reader opens it: a location, never part of a name."""

    reader: str
    root: str
    key: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """A part as a manifest lists it."""

    part: str
    subject: str
    tables: dict[str, int]  # rows by table
    blobs: dict[str, str] = field(default_factory=dict)  # file in blobs/ by name
    drive: str | None = None  # the drive that it holds, whatever its subject is called
    about: dict[str, Any] = field(default_factory=dict)  # what listings show of it
    source: Source | None = None


@dataclass(frozen=True)
class Manifest:
    """A complete run."""

    stage: str
    key: str
    replaces: Replaces
    settings: Any
    code: str
    parts: tuple[Entry, ...]
    failures: dict[str, str]  # message by subject
    skipped: dict[str, str]  # reason by subject
    format: int = FORMAT

    @property
    def content(self) -> str:
        """Two runs of the same content are the same run."""
        return digest(self)


def blob_file(root: Path, name: str) -> Path:
    return root / "blobs" / name


def guard(root: Path) -> Path:
    """The lock that readers and writers share, and that `gc` must hold alone."""
    return root / ".lock"


@dataclass(frozen=True)
class Part:
    """One part of a run, to be written from here or from any other process."""

    root: Path
    stage: str
    key: str
    subject: str
    inputs: tuple[str, ...]
    settings: Any
    code: str
    source: Source | None = None

    @property
    def hash(self) -> str:
        return part_hash(self.stage, self.key, self.subject, self.inputs, self.settings, self.code)

    @property
    def record(self) -> Path:
        return self.root / "parts" / self.stage / f"{self.hash}.json"

    @property
    def done(self) -> bool:
        """Whether all that the part holds is in the lake, whole."""
        return self.entry() is not None

    def entry(self) -> Entry | None:
        """What the part holds, once it is done."""
        try:
            record = msgspec.json.decode(self.record.read_bytes())
        except FileNotFoundError:
            return None
        if not all(locate(self.root, name, self.hash, rows).path.is_file() for name, rows in record["tables"].items()):
            return None
        if not all(blob_file(self.root, name).is_file() for name in record["blobs"].values()):
            return None
        return Entry(
            part=self.hash,
            subject=self.subject,
            tables=record["tables"],
            blobs=record["blobs"],
            drive=record["drive"],
            about=record["about"],
            source=self.source,
        )

    def write(
        self,
        tables: Mapping[str, pa.Table],
        blobs: Mapping[str, bytes] | None = None,
        drive: str | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Put the part in the lake. `blobs` are named like files: `{"map.json": ...}`."""
        from understudy.store.tables import write_table

        with locked(guard(self.root)):
            for name, table in tables.items():
                write_table(table, table_file(self.root, name, self.hash))
            files = {name: f"{digest(data)}{Path(name).suffix}" for name, data in (blobs or {}).items()}
            for name, file in files.items():
                if not blob_file(self.root, file).is_file():
                    write_whole(blob_file(self.root, file), (blobs or {})[name])
            record = {
                "stage": self.stage,
                "key": self.key,
                "subject": self.subject,
                "inputs": self.inputs,
                "settings": self.settings,
                "code": self.code,
                "tables": {name: table.num_rows for name, table in tables.items()},
                "blobs": files,
                "drive": drive,
                "about": about or {},
            }
            write_whole(self.record, legible(record))


@dataclass
class Run:
    """A run under way: ask it for parts, tell it of failures. `Lake.run` commits it."""

    root: Path
    stage: str
    key: str
    settings: Any
    code: str
    replaces: Replaces
    parts: dict[str, Part] = field(default_factory=dict)  # by hash
    failures: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    seq: int = 0  # of the committed run (an older one where this run only repeats it)

    def part(self, subject: str, inputs: Iterable[str] = (), source: Source | None = None) -> Part:
        """The part that this run makes of `subject` from `inputs` (hashes of files, or names of other parts)."""
        part = Part(self.root, self.stage, self.key, subject, tuple(sorted(inputs)), self.settings, self.code, source)
        return self.parts.setdefault(part.hash, part)

    def fail(self, subject: str, message: str) -> None:
        """Report that nothing could be made of `subject`; the others go on."""
        self.failures[subject] = message

    def skip(self, subject: str, reason: str) -> None:
        """Count `subject` as none of this run's business."""
        self.skipped[subject] = reason

    def manifest(self) -> Manifest:
        """What the run came to."""
        entries: list[Entry] = []
        drives: dict[str, str] = {}
        for part in self.parts.values():
            entry = part.entry()
            if entry is None:
                continue  # the stage says why, in `failures`
            if entry.drive is not None and drives.setdefault(entry.drive, part.subject) != part.subject:
                self.fail(part.subject, f"drive {entry.drive} was read from {drives[entry.drive]} already")
            else:
                entries.append(entry)
        return Manifest(
            stage=self.stage,
            key=self.key,
            replaces=self.replaces,
            settings=self.settings,
            code=self.code,
            parts=tuple(sorted(entries, key=lambda entry: (entry.subject, entry.part))),
            failures=self.failures,
            skipped=self.skipped,
        )


def read_manifest(path: Path) -> Manifest:
    """A manifest from its file."""
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"reading the manifest of a run: {error}; in {path}") from error
    if manifest.format > FORMAT:
        raise DataError(f"this lake was written by a newer Understudy (format {manifest.format}, known: {FORMAT})")
    return manifest
