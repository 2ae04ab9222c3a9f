"""What people said of clips: a log in SQLite that only grows, kept by several reviewers at once.

Nobody overwrites anybody. A review says which entry of the clip its reviewer had seen; if another has spoken since, it
is refused and told. Undoing appends an entry as well. What `say` has returned is on the disk (WAL, full sync), so that
it outlives the process and the power.

Clips may be chosen anew, reviews stay: each entry says of itself which seconds of which drive it is about, and where.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import numpy as np

from understudy.errors import DataError, UnderstudyError, UnknownName
from understudy.evidence import Share
from understudy.records import Clip
from understudy.store.lake import Lake

VERDICTS = {
    "keep": "worth keeping",
    "drop": "nothing to learn from",
    "wrong_trigger": "what fired says it happened, and it did not",
    "bad_label": "what was driven or seen here must not be learned",
    "regression": "to the regression suite: its place leaves training",
}
RIGHT = ("keep", "bad_label", "regression")  # verdicts by which the trigger was right; of a dropped clip nobody says
LONGEST_NOTE = 2000
LEASE_S = 300.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY AUTOINCREMENT, clip TEXT NOT NULL, drive TEXT NOT NULL,
    start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, place TEXT NOT NULL, trigger TEXT NOT NULL,
    verdict TEXT NOT NULL, reviewer TEXT NOT NULL, note TEXT NOT NULL, at TEXT NOT NULL, undoes INTEGER,
    key TEXT UNIQUE);
CREATE INDEX IF NOT EXISTS log_by_clip ON log (clip, seq);
CREATE INDEX IF NOT EXISTS log_by_reviewer ON log (reviewer, seq);
CREATE TABLE IF NOT EXISTS standing (clip TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases (clip TEXT PRIMARY KEY, reviewer TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a review is about. `trigger` is the one that fired strongest."""

    clip: str
    drive: str
    start_ns: int
    end_ns: int
    place: str
    trigger: str


@dataclass(frozen=True, slots=True)
class Review(Subject):
    """One entry of the log; `verdict` is one of VERDICTS, or `undo` of the entry `undoes`."""

    verdict: str
    reviewer: str
    note: str
    at: str  # ISO 8601, UTC
    undoes: int | None = None
    seq: int = 0  # 0 until it is appended


class Conflict(UnderstudyError):
    """Somebody else has spoken of the clip since it was looked at."""

    def __init__(self, standing: Review | None) -> None:
        said = f"{standing.reviewer} said {standing.verdict}" if standing else "a review was taken back"
        super().__init__(f"{said} of this clip since you looked; look again, and say so if you see it otherwise")
        self.standing = standing


_COLUMNS = ", ".join(field.name for field in fields(Review))


class Reviews:
    """The reviews of a lake. May be used from several threads, and by several processes at once. Those of a lake that
    may only be read can be looked at."""

    def __init__(self, root: Path) -> None:
        self._path = root / "reviews.db"
        self._lock = threading.RLock()
        try:
            writable = os.access(root, os.W_OK)
            self._db = sqlite3.connect(
                self._path if writable else _read_only(self._path), timeout=30, isolation_level=None,
                check_same_thread=False, uri=not writable,
            )  # fmt: skip
            if writable:
                with self._told():
                    self._db.execute("PRAGMA journal_mode = WAL")
                    self._db.execute("PRAGMA synchronous = FULL")
                    self._db.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            raise DataError(f"opening the reviews: {error}; in {self._path}") from error

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Saying -----------------------------------------------------------------------------------------------------------

    def say(
        self, of: Subject, verdict: str, reviewer: str, note: str = "", saw: int | None = None, key: str | None = None
    ) -> Review:
        """Append a review, and give it back once it is on the disk.

        `saw` is the standing entry of the clip that the reviewer looked at, 0 for none; Conflict is raised where it is
        another by now. A `key` that was used before names the same review, sent again because no answer came.
        """
        if verdict not in VERDICTS:
            raise UnknownName("verdict", verdict, VERDICTS)
        if not reviewer.strip():
            raise UnderstudyError("a review needs the name of its reviewer")
        if len(note) > LONGEST_NOTE:
            raise UnderstudyError(f"a note has {len(note)} characters; {LONGEST_NOTE} are the most")
        with self._transaction():
            if key is not None and (sent := self._one("key = ?", key)):
                return sent
            standing = self._standing(of.clip)
            if saw is not None and saw != (standing.seq if standing else 0):
                raise Conflict(standing)
            about = (of.clip, of.drive, of.start_ns, of.end_ns, of.place, of.trigger)
            return self._append(Review(*about, verdict, reviewer, note, _now()), key)

    def undo(self, reviewer: str) -> Review | None:
        """Take back a reviewer's newest review that still stands; gives the entry taken back, None where there is
        none. What stood before it stands again."""
        with self._transaction():
            last = self._one("reviewer = ? AND seq IN (SELECT seq FROM standing) ORDER BY seq DESC LIMIT 1", reviewer)
            if last is None:
                return None
            self._append(replace(last, verdict="undo", note="", at=_now(), undoes=last.seq), None)
            return last

    def _append(self, review: Review, key: str | None) -> Review:
        row = astuple(review)[:-1]  # without its number, which the log gives
        marks = ", ".join("?" * (len(row) + 1))
        cursor = self._db.execute(
            f"INSERT INTO log ({_COLUMNS.rpartition(', ')[0]}, key) VALUES ({marks})", (*row, key)
        )
        before = self._one(
            "clip = ? AND verdict != 'undo' AND seq NOT IN (SELECT undoes FROM log WHERE clip = ? AND undoes NOT NULL)"
            " ORDER BY seq DESC LIMIT 1", review.clip, review.clip,
        )  # fmt: skip
        self._db.execute("DELETE FROM standing WHERE clip = ?", (review.clip,))
        if before is not None:
            self._db.execute("INSERT INTO standing VALUES (?, ?)", (review.clip, before.seq))
        self._db.execute("DELETE FROM leases WHERE clip = ?", (review.clip,))
        return replace(review, seq=int(cursor.lastrowid or 0))

    # Looking ----------------------------------------------------------------------------------------------------------

    def standing(self) -> dict[str, Review]:
        """What is said of each clip, by clip."""
        with self._told():
            rows = self._db.execute(f"SELECT {_COLUMNS} FROM log WHERE seq IN (SELECT seq FROM standing) ORDER BY seq")
            return {review.clip: review for review in (Review(*row) for row in rows)}

    def of(self, clip: str) -> Review | None:
        """What is said of a clip."""
        with self._told():
            return self._standing(clip)

    def history(self, clip: str) -> list[Review]:
        """All that was ever said of a clip, oldest first."""
        with self._told():
            rows = self._db.execute(f"SELECT {_COLUMNS} FROM log WHERE clip = ? ORDER BY seq", (clip,))
            return [Review(*row) for row in rows]

    def reviewed(self) -> set[str]:
        """The clips of which something is said."""
        with self._told():
            return {clip for (clip,) in self._db.execute("SELECT clip FROM standing")}

    def counts(self) -> dict[str, int]:
        """How many clips each verdict stands for."""
        return self._counted("verdict")

    def precision(self) -> dict[str, Share]:
        """How often each trigger was right, of the clips in which it fired strongest and a person has told.

        Clips are chosen, not drawn: this is the precision of what is kept, not of all that a trigger finds.
        """
        right = self._counted(f"trigger || '/' || (verdict IN {RIGHT})", "trigger != '' AND verdict != 'drop'")
        triggers = sorted({name.rpartition("/")[0] for name in right})
        return {
            name: Share(right.get(f"{name}/1", 0), right.get(f"{name}/1", 0) + right.get(f"{name}/0", 0))
            for name in triggers
        }

    def _counted(self, by: str, where: str = "true") -> dict[str, int]:
        question = f"SELECT {by}, count(*) FROM standing JOIN log USING (seq) WHERE {where} GROUP BY 1"
        with self._told():
            return dict(self._db.execute(question))

    # Sharing the queue ------------------------------------------------------------------------------------------------

    def lease(self, clips: Sequence[str], reviewer: str, count: int = 1, seconds: float = LEASE_S) -> list[str]:
        """The first `count` of `clips` that nobody has reviewed or holds: the reviewer's own for a while."""
        now = time.time()
        taken: list[str] = []
        with self._transaction():
            self._db.execute("DELETE FROM leases WHERE until < ?", (now,))
            held = dict(self._db.execute("SELECT clip, reviewer FROM leases"))
            done = {clip for (clip,) in self._db.execute("SELECT clip FROM standing")}
            for clip in clips:
                if len(taken) == count:
                    break
                if clip not in done and held.get(clip, reviewer) == reviewer:
                    taken.append(clip)
            self._db.execute("DELETE FROM leases WHERE reviewer = ?", (reviewer,))
            rows = [(clip, reviewer, now + seconds) for clip in taken]
            self._db.executemany("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", rows)
        return taken

    # Inside -----------------------------------------------------------------------------------------------------------

    def _standing(self, clip: str) -> Review | None:
        return self._one("seq = (SELECT seq FROM standing WHERE clip = ?)", clip)

    def _one(self, where: str, *values: object) -> Review | None:
        row = self._db.execute(f"SELECT {_COLUMNS} FROM log WHERE {where}", values).fetchone()
        return None if row is None else Review(*row)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """One thread at a time; what SQLite complains of is told in one line."""
        with self._lock:
            try:
                yield
            except sqlite3.DatabaseError as error:
                raise DataError(f"the reviews: {error}; in {self._path}") from error


def _read_only(path: Path) -> str:
    """The address of a database in a folder that may only be read. SQLite cannot make a WAL there; where there is none,
    nobody is writing, and it can do without."""
    alone = not path.with_name(f"{path.name}-wal").exists()
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


# What becomes of them -------------------------------------------------------------------------------------------------


def standing(root: Path) -> dict[str, Review]:
    """What is said of each clip of a lake; nothing where nobody has reviewed."""
    if not (root / "reviews.db").is_file():
        return {}
    with Reviews(root) as reviews:
        return reviews.standing()


def heeded(clips: Iterable[Clip], said: Mapping[str, Review]) -> list[Clip]:
    """Clips as their reviewers left them: only those kept or not spoken of yet, and all that were sent to regression,
    on that side, though mining would choose otherwise by now. What is in the regression suite stays there."""
    known = {clip.id: clip for clip in clips}
    sent = [
        replace(known[one.clip], side="regression")
        if one.clip in known
        else Clip(one.clip, one.drive, one.start_ns, one.end_ns, (), one.place, "regression")
        for one in said.values()
        if one.verdict == "regression"
    ]
    moved = {clip.id for clip in sent}
    kept = [
        clip
        for clip in known.values()
        if clip.id not in said
        or said[clip.id].verdict == "keep"
        or (clip.side == "regression" and clip.id not in moved)
    ]
    return kept + sent


def kept_clips(lake: Lake) -> list[Clip]:
    """All clips of a lake, as their reviewers left them, without their events; those of the regression suite are what
    the gate asks."""
    return heeded(_clips(lake), standing(lake.root))


def regression_clips(lake: Lake) -> list[Clip]:
    """The clips of the regression suite: those that mining kept for it, and those that reviewers sent there."""
    return heeded((clip for clip in _clips(lake) if clip.side == "regression"), standing(lake.root))


def reached(lake: Lake, clips: Iterable[Clip]) -> dict[str, frozenset[str]]:
    """The places that clips lie in, by their ids: each is named after one, and may reach into the next."""
    found = {clip.id: {clip.place} for clip in clips}
    by_drive: dict[str, list[Clip]] = {}
    for clip in clips:
        by_drive.setdefault(clip.drive, []).append(clip)
    for id, held in by_drive.items():
        if not any(entry.drive == id and len(entry.about["places"]) > 1 for entry in lake.entries(subject=id)):
            continue
        drive = lake.drive(id, ["place"], objects=False, lights=False, map=False, cameras=False, truth=False)
        for clip in held:
            first, last = np.searchsorted(drive.t_ns, clip.start_ns), np.searchsorted(drive.t_ns, clip.end_ns, "right")
            _, instants = np.unique(drive["place"][first:last], return_index=True)
            found[clip.id] |= {drive.place_at(instant) for instant in first + instants}
    return {id: frozenset(places) for id, places in found.items()}


def _clips(lake: Lake) -> list[Clip]:
    names = ("id", "drive", "start_ns", "end_ns", "place", "side")
    rows = lake.table("clips", columns=names).to_pylist() if "clips" in lake.tables() else []
    return [Clip(events=(), **row) for row in rows]
