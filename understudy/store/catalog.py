"""The catalog: an SQLite index over the manifests, for listings that may not read thousands of files.

It is a replay of the manifests in their order, and holds nothing that they do not; when it is missing, stale or
broken it is made again. The view of the lake as it was at some run is the same replay, stopped there.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path

import msgspec

from understudy.store.files import legible, locked, to_json, write_whole
from understudy.store.runs import Entry, Manifest, read_manifest

SCHEMA = """
CREATE TABLE runs (seq INTEGER PRIMARY KEY, name TEXT, stage TEXT, key TEXT, content TEXT);
CREATE TABLE current (stage TEXT, key TEXT, subject TEXT, part TEXT, drive TEXT, seq INTEGER, entry TEXT);
CREATE INDEX current_by_subject ON current (stage, key, subject);
CREATE INDEX current_by_part ON current (part);
CREATE INDEX current_by_drive ON current (drive);
CREATE INDEX current_by_owner ON current (coalesce(drive, subject));
CREATE TABLE tables (part TEXT, name TEXT, rows INTEGER, PRIMARY KEY (part, name)) WITHOUT ROWID;
CREATE INDEX tables_by_name ON tables (name);
"""
VERSION = 1  # of SCHEMA
OWNER = "coalesce(drive, subject)"  # what a part is looked up by: the drive that it holds, or its subject


def manifests(root: Path) -> dict[int, Path]:
    """The manifests of a lake by their sequence number."""
    found = {}
    for stage in _listed(root / "runs"):
        for name in _listed(root / "runs" / stage):
            number = name.partition("-")[0]
            if number.isdecimal() and name.endswith(".json"):
                found[int(number)] = root / "runs" / stage / name
    return dict(sorted(found.items()))


def _listed(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []


@contextmanager
def open_catalog(root: Path, as_of: int | None = None) -> Iterator[sqlite3.Connection]:
    """The catalog, as new as the manifests (or as old as the run `as_of`)."""
    known = manifests(root)
    if as_of is not None or not known:
        opened = _in_memory({seq: path for seq, path in known.items() if as_of is None or seq <= as_of})
    else:
        opened = _fresh(root, known)
    with closing(opened) as catalog:
        yield catalog


def view(known: dict[int, Path]) -> tuple[set[tuple[int, str]], set[int]]:
    """What some manifests show, as run and part, and which of them are the newest of their stage and key."""
    with closing(_in_memory(known)) as catalog:
        newest = catalog.execute("SELECT max(seq) FROM runs GROUP BY stage, key")
        return set(catalog.execute("SELECT seq, part FROM current")), {seq for (seq,) in newest}


def rebuild(root: Path) -> None:
    """Make the catalog again from the manifests, whatever it says now."""
    known = manifests(root)
    if known:
        _fresh(root, known, anew=True).close()


def _fresh(root: Path, known: dict[int, Path], anew: bool = False) -> sqlite3.Connection:
    try:
        return _synced(root, known, anew)
    except sqlite3.OperationalError:  # a lake that may only be read, a full disk
        return _in_memory(known)
    except sqlite3.DatabaseError:  # not a catalog of ours
        for suffix in ("", "-wal", "-shm"):
            (root / f"catalog.db{suffix}").unlink(missing_ok=True)
        return _synced(root, known)


def _in_memory(known: dict[int, Path]) -> sqlite3.Connection:
    catalog = sqlite3.connect(":memory:")
    catalog.deserialize(_image(tuple(known.items())))
    return catalog


@lru_cache(maxsize=2)
def _image(known: tuple[tuple[int, Path], ...]) -> bytes:
    """A catalog over some manifests, as the bytes of its database."""
    with closing(sqlite3.connect(":memory:")) as catalog:
        catalog.executescript(SCHEMA)
        _replay(catalog, dict(known))
        catalog.commit()
        return catalog.serialize()


def _synced(root: Path, known: dict[int, Path], anew: bool = False) -> sqlite3.Connection:
    catalog = sqlite3.connect(root / "catalog.db", timeout=60, isolation_level=None)
    try:
        if anew or _seen(catalog) != {seq: path.stem for seq, path in known.items()}:
            catalog.execute("PRAGMA journal_mode = WAL")
            with _transaction(catalog):
                known, seen = manifests(root), _seen(catalog)  # others may have been here since
                missing = {seq: path for seq, path in known.items() if seq not in seen}
                stale = any(seq not in known or known[seq].stem != name for seq, name in seen.items())
                if anew or stale or not seen or (missing and min(missing) < max(seen)):
                    _clear(catalog)
                    missing = known
                _replay(catalog, missing)
        return catalog
    except BaseException:
        catalog.close()
        raise


@contextmanager
def _transaction(catalog: sqlite3.Connection) -> Iterator[None]:
    catalog.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        catalog.execute("ROLLBACK")
        raise
    catalog.execute("COMMIT")


def _seen(catalog: sqlite3.Connection) -> dict[int, str]:
    """The runs that the catalog knows; none if it is of another version."""
    if catalog.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        return {}
    return dict(catalog.execute("SELECT seq, name FROM runs"))


def _clear(catalog: sqlite3.Connection) -> None:
    for (name,) in catalog.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        catalog.execute(f'DROP TABLE "{name}"')
    for statement in filter(str.strip, SCHEMA.split(";")):
        catalog.execute(statement)
    catalog.execute(f"PRAGMA user_version = {VERSION}")


def _replay(catalog: sqlite3.Connection, known: dict[int, Path]) -> None:
    for seq in sorted(known):
        _apply(catalog, seq, known[seq].stem, read_manifest(known[seq]))


def _apply(catalog: sqlite3.Connection, seq: int, name: str, manifest: Manifest) -> None:
    """What a run replaces goes, what it consists of comes. This is the definition of a view."""
    stage, key = manifest.stage, manifest.key
    catalog.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?)", (seq, name, stage, key, manifest.content))
    if manifest.replaces == "run":
        catalog.execute("DELETE FROM current WHERE stage = ? AND key = ?", (stage, key))
    for entry in manifest.parts:
        catalog.execute(
            "DELETE FROM current WHERE stage = ? AND key = ? AND subject = ? AND seq < ?",
            (stage, key, entry.subject, seq),
        )
        if entry.drive is not None:
            catalog.execute("DELETE FROM current WHERE drive = ? AND seq < ?", (entry.drive, seq))
    catalog.executemany(
        "INSERT INTO current VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(stage, key, e.subject, e.part, e.drive, seq, to_json(e).decode()) for e in manifest.parts],
    )
    catalog.executemany(
        "INSERT OR IGNORE INTO tables VALUES (?, ?, ?)",
        [(entry.part, table, rows) for entry in manifest.parts for table, rows in entry.tables.items()],
    )


def commit(root: Path, manifest: Manifest) -> int:
    """Write the manifest of a complete run, unless the lake says all of it already; gives its sequence number."""
    with locked(root / "runs" / ".lock", exclusive=True):
        with open_catalog(root) as catalog:
            same = _same(catalog, manifest)
        if same is not None:
            return same
        seq = max(manifests(root), default=0) + 1
        write_whole(root / "runs" / manifest.stage / f"{seq:06d}-{manifest.content[:8]}.json", legible(manifest))
    with contextlib.suppress(sqlite3.OperationalError), open_catalog(root):  # now rather than at the next listing
        pass
    return seq


def _same(catalog: sqlite3.Connection, manifest: Manifest) -> int | None:
    """The run that this one repeats, if nothing has replaced any of it since."""
    newest = "SELECT seq, content FROM runs WHERE stage = ? AND key = ? ORDER BY seq DESC"
    runs = catalog.execute(newest, (manifest.stage, manifest.key)).fetchall()
    same = next((seq for seq, content in runs if content == manifest.content), None)
    if same is None or (manifest.replaces == "run" and runs[0][0] != same):
        return None
    current = "SELECT entry FROM current WHERE stage = ? AND key = ?"
    entries = {entry for (entry,) in catalog.execute(current, (manifest.stage, manifest.key))}
    return same if all(to_json(entry).decode() in entries for entry in manifest.parts) else None


def read_entry(text: str) -> Entry:
    return msgspec.json.decode(text, type=Entry)
