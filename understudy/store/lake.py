"""The lake as the rest of the house sees it: runs are written into it, tables and drives are read out of it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from understudy.errors import UnderstudyError, UnknownName, the_one
from understudy.records import Drive, Shadow
from understudy.store import catalog
from understudy.store.files import locked
from understudy.store.packs import Span, packed, stretches, table_file
from understudy.store.runs import Entry, Part, Replaces, Run, blob_file, guard

if TYPE_CHECKING:
    import pyarrow as pa

# pyarrow and duckdb come in with the methods that need them: a listing of drives needs neither.


def find_lake(given: str | Path | None = None) -> Path:
    """Where the lake is: as given, else UNDERSTUDY_LAKE, else ./lake."""
    return Path(given or os.environ.get("UNDERSTUDY_LAKE") or "lake")


@dataclass(frozen=True)
class Lake:
    """A lake as it is now, or as it was after the run `as_of`. Nothing is opened until asked for."""

    root: Path
    as_of: int | None = None

    def at(self, run: int | str | None) -> Lake:
        """The lake as it was after a run, given by its sequence number or name (`12`, `000012-1f0e9c3a`)."""
        if run is None:
            return self
        known = catalog.manifests(self.root)
        number, _, _ = str(run).partition("-")
        if not number.isdecimal() or int(number) not in known:
            raise UnknownName("run", str(run), (path.stem for path in known.values()))
        return Lake(self.root, int(number))

    # Writing ----------------------------------------------------------------------------------------------------------

    @contextmanager
    def run(self, stage: str, key: str, settings: Any, code: str, replaces: Replaces = "run") -> Iterator[Run]:
        """A run of a stage. Leaving the block commits it; an exception, or the end of the process, leaves no trace but
        finished parts, which the next run takes up.

        `key` tells apart what one stage makes side by side (a reader, a policy). In the newest view a run replaces the
        former run of its stage and key whole (`run`), or subject by subject (`drive`). A drive that is held by several
        parts counts once, the newest.
        """
        if self.as_of is not None:
            raise UnderstudyError(f"the lake as it was after run {self.as_of} can only be read")
        with locked(guard(self.root)):
            run = Run(self.root, stage, key, msgspec.to_builtins(settings), code, replaces)
            yield run
            run.seq = catalog.commit(self.root, run.manifest())

    def put_drive(self, part: Part, drive: Drive) -> None:
        """Write a drive as the tables and blobs of a part."""
        from understudy.store.drives import put_drive

        put_drive(part, drive)

    def put_shadow(self, part: Part, drive: Drive, shadow: Shadow) -> None:
        """Write a policy's plans over a drive as the table `plans` of a part."""
        from understudy.store.plans import put_shadow

        put_shadow(part, drive, shadow)

    # Looking up -------------------------------------------------------------------------------------------------------

    def entries(
        self, stage: str | None = None, key: str | None = None, subject: str | None = None, table: str | None = None
    ) -> list[Entry]:
        """The parts in view, narrowed by what is given; `subject` is a part's subject or the drive that it holds."""
        asked = {
            "stage = ?": stage,
            "key = ?": key,
            f"{catalog.OWNER} = ?": subject,
            "EXISTS (SELECT 1 FROM tables WHERE tables.part = current.part AND tables.name = ?)": table,
        }
        asked = {condition: value for condition, value in asked.items() if value is not None}
        where = " AND ".join(asked) or "true"
        question = f"SELECT entry FROM current WHERE {where} ORDER BY {catalog.OWNER}, key, part"
        with self._catalog() as index:
            return [catalog.read_entry(text) for (text,) in index.execute(question, list(asked.values()))]

    def drives(self) -> list[dict[str, Any]]:
        """What listings show of each drive, by id: `drives.summary`, and `part`, the name of the drive as an input."""
        question = "SELECT entry FROM current WHERE drive IS NOT NULL ORDER BY drive"
        with self._catalog() as index:
            entries = [catalog.read_entry(text) for (text,) in index.execute(question)]
        return [{"id": entry.drive, **entry.about, "part": entry.part} for entry in entries]

    def resolve(self, prefix: str) -> str:
        """The drive whose id is `prefix`, or the only one whose id begins with it."""
        question = "SELECT drive FROM current WHERE drive IS NOT NULL ORDER BY drive"
        with self._catalog() as index:
            return the_one("drive", prefix, [drive for (drive,) in index.execute(question)])

    def tables(self) -> list[str]:
        """The names of the tables in view."""
        question = "SELECT DISTINCT name FROM current JOIN tables USING (part) ORDER BY name"
        with self._catalog() as index:
            return [name for (name,) in index.execute(question)]

    def rebuild(self) -> None:
        """Make the catalog again from the manifests."""
        catalog.rebuild(self.root)

    def record(self, part: str) -> dict[str, Any]:
        """What made a part: stage, inputs, settings and code, and what it holds. Its inputs may be parts in turn."""
        for path in (self.root / "parts").glob(f"*/{part}.json"):
            record: dict[str, Any] = msgspec.json.decode(path.read_bytes())
            return record
        raise UnknownName("part", part, ())

    # Reading ----------------------------------------------------------------------------------------------------------

    @contextmanager
    def _catalog(self) -> Iterator[sqlite3.Connection]:
        with self.reading(), catalog.open_catalog(self.root, self.as_of) as index:
            yield index

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep `gc` away while files that were looked up are being read."""
        if not self.root.is_dir():
            yield
            return
        with locked(guard(self.root)):
            yield

    def places(self, table: str, subjects: Iterable[str] | None = None) -> list[tuple[str, Span]]:
        """The parts in view that hold rows of a table, in order of subject, and where their rows lie."""
        values = [table]
        narrowed = ""
        if subjects is not None:
            values.append(msgspec.json.encode(sorted(subjects)).decode())
            narrowed = f"AND {catalog.OWNER} IN (SELECT value FROM json_each(?))"
        question = f"""SELECT part, rows FROM current JOIN tables USING (part)
                       WHERE name = ? {narrowed} ORDER BY {catalog.OWNER}, part"""
        with self._catalog() as index:
            found = index.execute(question, values).fetchall()
        packs = packed(self.root, table)
        return [(part, packs.get(part) or Span(table_file(self.root, table, part), 0, rows)) for part, rows in found]

    def table(self, name: str, subjects: Iterable[str] | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of a table in view, of all subjects or of some; what a part lacks is null."""
        import pyarrow as pa

        from understudy.store.tables import read_span

        with self.reading():
            spans = stretches(span for _, span in self.places(name, subjects))
            tables = [read_span(span, columns) for span in spans]
        if not tables and name not in self.tables():
            raise UnknownName("table", name, self.tables())
        return pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})

    def query(self, sql: str) -> pa.Table:
        """The answer to a question in SQL over all tables; it can read nothing else and write nothing."""
        from understudy.store.query import query

        return query(self, sql)

    def blob(self, entry: Entry, name: str) -> Path:
        """The file of a blob."""
        if name not in entry.blobs:
            raise UnknownName("blob", name, entry.blobs)
        return blob_file(self.root, entry.blobs[name])

    def drive(
        self,
        id: str,
        columns: Sequence[str] | None = None,
        *,
        objects: bool = True,
        lights: bool = True,
        map: bool = True,
        cameras: bool = True,
        truth: bool = True,
        shadows: bool = False,
    ) -> Drive:
        """A drive, or only as much of it as asked for. Its pictures are read from the log when they are looked at."""
        from understudy.store.drives import get_drive

        asked = {"objects": objects, "lights": lights, "map": map, "cameras": cameras, "truth": truth}
        wanted = {name for name, wish in asked.items() if wish}
        with self.reading():
            entries = self.entries(subject=id)
            held = next((entry for entry in entries if entry.drive == id), None)
            if held is None:
                raise UnknownName("drive", id, (drive["id"] for drive in self.drives()))
            return get_drive(self.root, held, columns, wanted, [e for e in entries if shadows and "plans" in e.tables])

    # Upkeep -----------------------------------------------------------------------------------------------------------

    def compact(self, target: int = 128 << 20, least: int = 16) -> int:
        """Join small files of a table, where there are `least` of them, into packs of about `target` bytes.

        Gives the number of files joined; `gc` removes them.
        """
        from understudy.store.upkeep import compact

        return compact(self, target, least)

    def gc(self, forget: bool = False) -> dict[str, int]:
        """Remove what no manifest reaches; with `forget`, also the runs that newer ones replaced whole.

        Gives how many `files` and `bytes` went. Waits for readers; refuses while a run is under way.
        """
        from understudy.store.upkeep import gc

        return gc(self.root, forget)
