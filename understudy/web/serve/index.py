"""What the console's lists are read from: an SQLite index of drives with their tracks, events and clips.

Ten thousand drives lie in as many files; a page that is to answer at once cannot open them. The index takes up each
part of the lake once, when it comes into view, and forgets it when it leaves: it holds nothing of its own, may be
deleted at any time (`console.db` in the lake), and is only as old as the last `refresh`.
"""

from __future__ import annotations

import itertools
import os
import queue
import sqlite3
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from understudy.errors import DataError
from understudy.geometry import arc_length, resample
from understudy.records import Floats
from understudy.store import Entry, Lake
from understudy.store.catalog import manifests
from understudy.store.packs import Span, packed, table_file
from understudy.store.runs import blob_file
from understudy.store.tables import numpy_of, read_span

VERSION = 5  # of SCHEMA
TRACK_POINTS = 32  # of a drive's track on the map
_BATCH = 200  # parts taken up in one transaction
TABLES = {  # what is wanted of which table, by kind of part
    "drive": ("instants", ("x", "y")),
    "events": ("events", ("id", "drive", "start_ns", "end_ns", "trigger", "policy", "score", "place")),
    "clips": ("clips", ("id", "drive", "start_ns", "end_ns", "place", "side", "events")),
}
_EPOCH_NS = 10**17  # a stamp below it tells no date: 1973
SCHEMA = """
CREATE TABLE parts (part TEXT PRIMARY KEY, drive TEXT, kind TEXT) WITHOUT ROWID;
CREATE TABLE drives (id TEXT PRIMARY KEY, part TEXT, reader TEXT, seconds REAL, km REAL, start_ns INTEGER,
    rate_hz REAL, cameras INTEGER, objects INTEGER, lanes INTEGER, gaps INTEGER, place TEXT, weather TEXT, frame TEXT,
    day TEXT, tracked INTEGER);
CREATE TABLE tracks (id TEXT PRIMARY KEY, part TEXT, track BLOB);
CREATE TABLE events (id TEXT, drive TEXT, start_ns INTEGER, end_ns INTEGER, trigger TEXT, policy TEXT, score REAL,
    place TEXT, part TEXT, strength REAL);
CREATE INDEX events_by_id ON events (id);
CREATE INDEX events_by_drive ON events (drive, start_ns);
CREATE INDEX events_by_trigger ON events (trigger, score);
CREATE INDEX events_by_rank ON events (trigger, strength, id, drive, place);
CREATE INDEX events_by_strength ON events (strength, id, drive, place);
CREATE INDEX events_by_part ON events (part);
CREATE TABLE yields (trigger TEXT PRIMARY KEY, found INTEGER, drives INTEGER);
CREATE TABLE places (place TEXT PRIMARY KEY);
CREATE TABLE clips (turn INTEGER, id TEXT, drive TEXT, start_ns INTEGER, end_ns INTEGER, place TEXT, side TEXT,
    trigger TEXT, events TEXT, part TEXT);
CREATE INDEX clips_by_id ON clips (id);
CREATE INDEX clips_by_drive ON clips (drive);
CREATE INDEX clips_by_turn ON clips (turn);
"""


Values = Sequence[Any] | Mapping[str, Any]


class Index:
    """The index of a lake. Reading may go on in many threads while one refreshes."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.version = 0  # grows whenever what is seen changes
        self.todo = 1  # parts not taken up yet; how many there are is known when the lake was looked through
        self._seen: dict[int, Path] | None = None
        self._refreshing = threading.Lock()
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._own: tempfile.TemporaryDirectory[str] | None = None
        self._path = self._place()
        self._prepare()

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get().close()
        if self._own is not None:
            self._own.cleanup()

    def rows(self, sql: str, values: Values = ()) -> list[dict[str, Any]]:
        """The answer to a question of ours; whatever a user gave is among `values`."""
        with self._reading() as db:
            cursor = db.execute(sql, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def one(self, sql: str, values: Values = ()) -> dict[str, Any] | None:
        """The first row of an answer."""
        return next(iter(self.rows(sql, values)), None)

    def count(self, sql: str, values: Values = ()) -> int:
        """An answer that is one number."""
        with self._reading() as db:
            return int(db.execute(sql, values).fetchone()[0])

    def refresh(self) -> bool:
        """Take up what has come into view since, and forget what left; whether there was anything."""
        with self._refreshing:
            known = manifests(self.lake.root)
            if known == self._seen:
                return False
            changed = self._follow(self.lake.entries())
            self._seen = known
            self.version += 1  # plans of shadow runs are no rows here, and seen all the same
            return changed

    # Inside -----------------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """Where the console may write."""
        return self._path.parent

    def _place(self) -> Path:
        """Beside the lake's own catalog, or aside where the lake may only be read."""
        if os.access(self.lake.root, os.W_OK):
            return self.lake.root / "console.db"
        self._own = tempfile.TemporaryDirectory(prefix="understudy-console-")
        return Path(self._own.name) / "console.db"

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that nobody uses: what it has read before it need not read again. Threads come and go, so none
        has one of its own."""
        try:
            db = self._idle.get_nowait()
        except queue.Empty:
            db = sqlite3.connect(self._path, timeout=30, check_same_thread=False)
        try:
            yield db
        finally:
            self._idle.put(db)

    def _prepare(self) -> None:
        try:
            with closing(sqlite3.connect(self._path, timeout=30)) as db:
                if db.execute("PRAGMA user_version").fetchone()[0] == VERSION:
                    return
        except sqlite3.DatabaseError:
            pass  # not an index of ours: made anew
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(f"console.db{suffix}").unlink(missing_ok=True)
        with closing(sqlite3.connect(self._path, timeout=30)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(SCHEMA + f"PRAGMA user_version = {VERSION};")

    def _follow(self, entries: Iterable[Entry]) -> bool:
        wanted = {entry.part: entry for entry in entries if _kind(entry)}
        with closing(sqlite3.connect(self._path, timeout=30)) as db:
            db.execute("PRAGMA synchronous = OFF")
            held = {part for (part,) in db.execute("SELECT part FROM parts")}
            gone, new = held - wanted.keys(), [wanted[part] for part in wanted if part not in held]
            ranked = bool(db.execute("PRAGMA application_id").fetchone()[0])  # since anything was taken up or forgotten
            self.todo = len(new)
            for start in range(0, len(gone), _BATCH):
                _forget(db, sorted(gone)[start : start + _BATCH])
            for batch in _batches(self.lake, new):
                with db:
                    db.execute("BEGIN IMMEDIATE")  # another console may be at it, too
                    db.execute("PRAGMA application_id = 0")
                    for entry, rows in batch:
                        if not db.execute("SELECT 1 FROM parts WHERE part = ?", [entry.part]).fetchone():
                            _take_up(db, self.lake, entry, rows)
                self.todo -= len(batch)
                self.version += 1
            if gone or new or not ranked:
                with db:
                    _rank(db)
                    db.execute("PRAGMA application_id = 1")
                db.execute("PRAGMA optimize")
                self.version += 1
            return bool(gone or new or not ranked)


def _kind(entry: Entry) -> str:
    """What the console's lists show of a part; empty for nothing."""
    if entry.drive is not None:
        return "drive"
    return next((table for table in ("events", "clips") if table in entry.tables), "")


def _forget(db: sqlite3.Connection, parts: Sequence[str]) -> None:
    marks = ", ".join("?" * len(parts))
    with db:
        db.execute("PRAGMA application_id = 0")
        for table in ("drives", "tracks", "events", "clips", "parts"):
            db.execute(f"DELETE FROM {table} WHERE part IN ({marks})", parts)


def _batches(lake: Lake, entries: Sequence[Entry]) -> Iterator[list[tuple[Entry, pa.Table | None]]]:
    """Parts with what is wanted of their tables. Those that lie in one pack are read in one go, and not one by one."""
    for kind, (table, columns) in TABLES.items():
        places = packed(lake.root, table)
        located: list[tuple[Span, Entry]] = []
        for entry in entries:
            if _kind(entry) == kind and table in entry.tables:
                own = Span(table_file(lake.root, table, entry.part), 0, entry.tables[table])
                located.append((places.get(entry.part, own), entry))
        located.sort(key=lambda one: (str(one[0].path), one[0].start))
        for start in range(0, len(located), _BATCH):
            yield list(_read(located[start : start + _BATCH], columns))
    bare = [entry for entry in entries if TABLES[_kind(entry)][0] not in entry.tables]
    yield [(entry, None) for entry in bare]


def _read(located: Sequence[tuple[Span, Entry]], columns: Sequence[str]) -> Iterator[tuple[Entry, pa.Table | None]]:
    for path, group in itertools.groupby(located, key=lambda one: one[0].path):
        here = list(group)
        first = here[0][0].start
        try:
            rows = read_span(Span(path, first, max(span.stop for span, _ in here)), columns)
        except DataError:
            rows = None  # what cannot be read has no track and no events here; who opens it is told
        for span, entry in here:
            yield entry, None if rows is None else rows.slice(span.start - first, span.stop - span.start)


def _take_up(db: sqlite3.Connection, lake: Lake, entry: Entry, rows: pa.Table | None) -> None:
    kind = _kind(entry)
    db.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", (entry.part, entry.drive, kind))
    if kind == "drive":
        _drive(db, lake, entry, rows)
    elif rows is not None:
        {"events": _events, "clips": _clips}[kind](db, entry, rows)


def _drive(db: sqlite3.Connection, lake: Lake, entry: Entry, rows: pa.Table | None) -> None:
    about = entry.about
    meta = msgspec.json.decode(blob_file(lake.root, entry.blobs["drive.json"]).read_bytes())
    facts = meta.get("facts") or {}
    start_ns = int(about.get("start_ns", 0))
    values = {
        "id": entry.drive,
        "part": entry.part,
        "reader": about.get("reader", ""),
        "seconds": about.get("seconds"),
        "km": about.get("km"),
        "start_ns": start_ns,
        "rate_hz": about.get("rate_hz"),
        "cameras": len(about.get("cameras", ())),
        "objects": about.get("objects"),
        "lanes": about.get("lanes", 0),
        "gaps": about.get("gaps", 0),
        "place": ", ".join(map(str, about.get("places", ()))),
        "weather": str(facts.get("weather", "")),
        "frame": str(meta.get("frame") or facts.get("town") or ""),
        "day": str(np.datetime64(start_ns, "ns"))[:10] if start_ns > _EPOCH_NS else "",
        "tracked": bool(track := _track(rows)),
    }
    marks = ", ".join(f":{name}" for name in values)
    db.execute(f"INSERT OR REPLACE INTO drives ({', '.join(values)}) VALUES ({marks})", values)
    if track:
        db.execute("INSERT OR REPLACE INTO tracks VALUES (?, ?, ?)", (entry.drive, entry.part, track))


def _track(rows: pa.Table | None) -> bytes:
    """Where a drive went, as TRACK_POINTS points x, y of float32 at equal distances; nothing without poses."""
    if rows is None or not {"x", "y"} <= set(rows.column_names):
        return b""
    line: Floats = np.stack([numpy_of(rows["x"]), numpy_of(rows["y"])], axis=-1)
    line = line[np.isfinite(line).all(axis=1)]
    if len(line) < 2:
        return b""
    length = float(arc_length(line)[-1])
    even = resample(line, np.linspace(0, length, TRACK_POINTS)) if length > 1 else line[[0, -1]]
    return np.asarray(even, "<f4").tobytes()


def _events(db: sqlite3.Connection, entry: Entry, rows: pa.Table) -> None:
    names = TABLES["events"][1]
    values = [(*(row.get(name) for name in names), entry.part) for row in rows.to_pylist()]
    places = ", ".join("?" * (len(names) + 1))
    db.executemany(f"INSERT INTO events ({', '.join(names)}, part) VALUES ({places})", values)


def _clips(db: sqlite3.Connection, entry: Entry, rows: pa.Table) -> None:
    values = [
        (turn, row["id"], row["drive"], row["start_ns"], row["end_ns"], row["place"], row["side"],
         msgspec.json.encode(row["events"]).decode(), entry.part)
        for turn, row in enumerate(rows.to_pylist())
    ]  # fmt: skip
    db.executemany(
        "INSERT INTO clips (turn, id, drive, start_ns, end_ns, place, side, events, part) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        values,
    )


def _rank(db: sqlite3.Connection) -> None:
    """How strong each event is among all of its trigger, 0 to 1, and which trigger fired strongest in each clip."""
    db.execute(
        """UPDATE events SET strength = ranked.strength FROM
        (SELECT rowid AS row, (rank() OVER (PARTITION BY trigger ORDER BY score) - 0.5)
                / count(*) OVER (PARTITION BY trigger) AS strength FROM events) AS ranked
        WHERE events.rowid = ranked.row"""
    )
    db.execute(
        """UPDATE clips SET trigger = coalesce((SELECT events.trigger FROM json_each(clips.events) AS listed
        JOIN events ON events.id = listed.value ORDER BY events.strength DESC, events.trigger LIMIT 1), '')"""
    )
    db.execute("DELETE FROM places")
    db.execute("INSERT INTO places SELECT DISTINCT place FROM events WHERE place IS NOT NULL")
    db.execute("DELETE FROM yields")
    db.execute("INSERT INTO yields SELECT trigger, count(*), count(DISTINCT drive) FROM events GROUP BY trigger")
