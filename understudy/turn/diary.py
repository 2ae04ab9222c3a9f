"""What a turn has done, step by step: facts in the lake, and lines that tell how it goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from understudy import workers
from understudy.store import Lake
from understudy.store.files import append_line, whole_lines

STAGE = "turn"
STEPS = (
    "begin",
    "fleet",
    "bootstrap",
    "wheel",
    "shadow",
    "mine",
    "label",
    "dataset",
    "train",
    "export",
    "gate",
    "promote",
    "campaign",
    "report",
)

About = Mapping[str, Any]
Told = Callable[[Mapping[str, Any]], None]


def turns(lake: Lake) -> dict[int, dict[str, About]]:
    """What every turn of a lake has done so far: by number, what each step came to."""
    found: dict[int, dict[str, About]] = {}
    for entry in lake.entries(stage=STAGE):
        number = int(entry.about["turn"])
        found.setdefault(number, {})[entry.subject] = entry.about
    return dict(sorted(found.items()))


def name_of(number: int) -> str:
    return f"turn-{number:03d}"


def diary_file(root: Path, number: int) -> Path:
    """Where a turn tells how it goes on."""
    return root / "turns" / f"{name_of(number)}.jsonl"


def times(root: Path, number: int) -> dict[str, float]:
    """The seconds that each step took when it was done; a step that was killed counts from its last beginning."""
    lines = (json.loads(line) for line in whole_lines(diary_file(root, number)).splitlines())
    return {line["step"]: line["seconds"] for line in lines if line["state"] == "done"}


@dataclass
class Diary:
    """The diary of one turn."""

    lake: Lake
    number: int
    on_line: Told | None = None
    done: dict[str, About] = field(init=False)

    def __post_init__(self) -> None:
        self.done = turns(self.lake).get(self.number, {})

    @property
    def over(self) -> bool:
        return "report" in self.done

    def keep(self, step: str, about: Mapping[str, Any]) -> About:
        """Write down for good what a step came to."""
        told = msgspec.to_builtins({"turn": self.number, **about})
        with self.lake.run(STAGE, name_of(self.number), {}, "", replaces="drive") as run:
            part = run.part(step)
            part.write({}, about=told)
        entry = part.entry()
        assert entry is not None
        self.done[step] = entry.about
        return entry.about

    def forget(self) -> None:
        """Give up what the turn has come to: it is as if it had not begun. What its steps made stays in the lake."""
        with self.lake.run(STAGE, name_of(self.number), {}, ""):
            self.done = {}

    @contextmanager
    def telling(self, step: str) -> Iterator[Callable[..., None]]:
        """Tell that a step begins, what it comes to, and if it fails, why; gives what tells of its progress."""
        began = time.monotonic()
        self.tell(step, "begun")
        said: dict[str, Any] = {}

        def tell(**more: Any) -> None:
            if "said" in more:
                said.update(more)
            else:
                self.tell(step, "working", **more)

        try:
            yield tell
        except BaseException as error:
            self.tell(step, "failed", said=str(error) or type(error).__name__)
            raise
        state = said.pop("state", "done")
        self.tell(step, state, seconds=round(time.monotonic() - began, 1), **said)

    def tell(self, step: str, state: str, **more: Any) -> None:
        """Append a line, and hand it on."""
        line = {"at": datetime.now(UTC).isoformat(), "turn": self.number, "step": step, "state": state, **more}
        append_line(diary_file(self.lake.root, self.number), json.dumps(line).encode())
        if self.on_line is not None:
            self.on_line(line)


def progress(tell: Callable[..., None]) -> Callable[[workers.Outcome, int], None]:
    """Tells of drives as they are worked on, in the form that stages report them."""
    count = total = 0

    def on_drive(outcome: workers.Outcome, of: int) -> None:
        nonlocal count, total
        count, total = count % of + 1 if of == total else 1, of  # a stage may go over drives more than once
        trouble = {"error": outcome.error, "trace": outcome.trace} if outcome.error else {}
        tell(done=count, of=of, what=outcome.name, **trouble)

    return on_drive
