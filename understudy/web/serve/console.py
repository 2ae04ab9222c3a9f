"""What all requests share: the lake, the index of its lists, the reviews, and a few drives kept open."""

from __future__ import annotations

import sqlite3
import subprocess
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fastapi import Request

from understudy.errors import UnderstudyError
from understudy.records import Drive
from understudy.store import Lake
from understudy.store.reviews import Reviews
from understudy.web.moment import Moment, moment
from understudy.web.serve.access import Access, Visitor
from understudy.web.serve.index import Index

OPEN = 6  # drives kept in memory
MOMENTS = 64


class Console:
    """One lake as it is being looked at."""

    def __init__(self, lake: Lake, access: Access) -> None:
        self.lake = lake
        self.access = access
        self.index = Index(lake)
        self._parts: Kept = Kept(MOMENTS)
        self._drives: Kept = Kept(OPEN)
        self._moments: Kept = Kept(MOMENTS)
        self.process: subprocess.Popen[bytes] | None = None  # a turn that was begun here
        self.film: subprocess.Popen[bytes] | None = None  # a film being made
        self.filming: Path | None = None
        self.export: threading.Thread | None = None  # an export being written
        self.exported: dict[str, str] = {}  # what became of each, by its folder's name
        self.trouble = ""  # why the index is older than the lake
        self._stop = threading.Event()
        self._first = threading.Event()  # the index has been looked after once
        self._watch = threading.Thread(target=self._follow, name="index", daemon=True)

    def start(self) -> None:
        """Follow the lake from now on; a small one is taken up before this returns."""
        self._watch.start()
        self._first.wait(2.0)

    def close(self) -> None:
        self._stop.set()
        if self._watch.is_alive():
            self._watch.join(5.0)
        if "said" in self.__dict__:
            self.said.close()
        self.index.close()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def _follow(self) -> None:
        """Keep the index as new as the lake. A lake that cannot be read now may be read later: people see the old."""
        while True:
            try:
                self.index.refresh()
                self.trouble = ""
            except (UnderstudyError, OSError, sqlite3.Error) as error:
                self.trouble = str(error)
            except Exception as error:  # a damaged file may raise anything, and must not end the thread
                self.trouble = f"reading the lake: {type(error).__name__}: {error}"
            self._first.set()
            if self._stop.wait(2.0):
                return

    @cached_property
    def said(self) -> Reviews:
        """What reviewers said; nothing, of a lake that may only be read and was never reviewed."""
        held = self._writable or (self.lake.root / "reviews.db").is_file()
        return Reviews(self.lake.root if held else self.index.folder)

    @property
    def reviews(self) -> Reviews:
        """The reviews, to be added to."""
        if not self._writable:
            raise UnderstudyError("this lake may only be read here, so nothing can be said of it")
        return self.said

    def lease(self, clips: Sequence[str], reviewer: str, count: int) -> list[str]:
        """The first `count` of `clips` to be reviewed by somebody, who holds them where the lake may be written."""
        if self._writable:
            return self.said.lease(clips, reviewer, count)
        done = self.said.reviewed()
        return [clip for clip in clips if clip not in done][:count]

    @property
    def _writable(self) -> bool:
        return self.index.folder == self.lake.root

    def parts(self, id: str) -> tuple[str, ...]:
        """What a drive is read from: its own part of the lake, and those of all who were in its shadow."""
        return self._parts.get(  # type: ignore[no-any-return]
            (self.index.version, id),
            lambda: tuple(one.part for one in self.lake.entries(subject=id) if one.drive or "plans" in one.tables),
        )

    def drive(self, id: str, truth: bool = False) -> Drive:
        """A drive with the plans of all who were in its shadow; as the world knew it, where `truth` is asked for."""
        return self._drives.get((self.parts(id), id, truth), lambda: self._open(id, truth))  # type: ignore[no-any-return]

    def _open(self, id: str, truth: bool) -> Drive:
        if not truth:
            return self.lake.drive(id, shadows=True)
        drive = self.drive(id)
        if drive.truth is None:
            return drive
        return replace(drive, objects=drive.truth.objects or drive.objects, lights=drive.truth.lights or drive.lights)

    def moment(self, id: str, instant: int, truth: bool = False) -> Moment:
        """An instant of a drive, with what was driven and planned then."""
        key = (self.parts(id), id, instant, truth)
        return self._moments.get(key, lambda: moment(self.drive(id, truth), instant))  # type: ignore[no-any-return]


class Kept:
    """The few things used last, each made once however many ask for it at the same time."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._making: defaultdict[Any, threading.Lock] = defaultdict(threading.Lock)

    def get(self, key: Any, make: Any) -> Any:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            making = self._making[key]
        with making:
            with self._lock:
                if key in self._values:
                    return self._values[key]
            value = make()
            with self._lock:
                self._values[key] = value
                self._making.pop(key, None)
                while len(self._values) > self._size:
                    self._values.popitem(last=False)
            return value


def console_of(request: Request) -> Console:
    """The console that a request is for."""
    console: Console = request.app.state.console
    return console


def visitor_of(request: Request) -> Visitor:
    """Who asks; the door has let nobody else in."""
    visitor: Visitor = request.scope["state"]["visitor"]
    return visitor


HERE = Path(__file__).parent
