"""Turns and models: how the loop goes, what each turn came to, who may drive and why."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi import Path as Named
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from understudy.errors import UnderstudyError, UnknownName
from understudy.registry import Registry
from understudy.turn.diary import STEPS, diary_file, times, turns
from understudy.web.serve.console import Console, console_of
from understudy.web.serve.pages import alone, page
from understudy.web.turn import curve, render

TAIL = 64 * 1024  # bytes of a diary that are looked at for how it goes
POLL_S = 0.5
INTERRUPTED = "KeyboardInterrupt"  # what a diary tells of a step that was stopped

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a turn: how far it is, and what it came to."""

    name: str
    state: str = "to come"  # begun, working, done, skipped, failed, stopped
    said: str = ""
    done: int = 0
    of: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn as the pages show it."""

    number: int
    steps: tuple[Step, ...]

    @property
    def over(self) -> bool:
        return self.steps[-1].state == "done"

    @property
    def state(self) -> str:
        """In a word."""
        if self.over:
            return "done"
        last = next((step for step in reversed(self.steps) if step.state != "to come"), None)
        if last is None:
            return "to come"
        return f"{last.name} {last.state if last.state in ('failed', 'stopped', 'done') else 'under way'}"

    def about(self, step: str) -> Mapping[str, Any]:
        return next((one.about for one in self.steps if one.name == step), {})


def turns_of(console: Console) -> list[Turn]:
    """All turns, the newest first."""
    done = turns(console.lake)
    told = {int(path.stem.rpartition("-")[2]) for path in (console.lake.root / "turns").glob("turn-*.jsonl")}
    running = running_of(console)
    return [
        turn_of(console.lake.root, number, done.get(number, {}), running)
        for number in sorted(told | done.keys(), reverse=True)
    ]


def turn_of(root: Path, number: int, done: Mapping[str, Mapping[str, Any]], running: bool) -> Turn:
    """A turn out of what the lake holds of it and what its diary tells; `running` says whether one is under way."""
    lines: dict[str, dict[str, Any]] = {}
    for line in diary_tail(root, number):
        lines[line["step"]] = {**lines.get(line["step"], {}), **line} if line["state"] == "working" else line
    took = times(root, number)
    steps = []
    for name in STEPS:
        line, about = lines.get(name, {}), done.get(name)
        state, said = line.get("state", "to come"), str(line.get("said") or line.get("what") or "")
        if about is not None:
            skipped = about.get("skipped")  # why; a report tells it of all steps
            state, said = ("skipped", skipped) if isinstance(skipped, str) else ("done", said)
        elif said == INTERRUPTED or (state in ("begun", "working") and not running):
            state, said = "stopped", "goes on from here"
        steps.append(
            Step(name, state, said, line.get("done", 0), line.get("of", 0), about or {}, took.get(name))
        )  # fmt: skip
    return Turn(number, tuple(steps))


def diary_tail(root: Path, number: int) -> list[dict[str, Any]]:
    """The last lines of a turn's diary, those that are whole."""
    path = diary_file(root, number)
    if not path.is_file():
        return []
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - TAIL, 0))
        text = file.read(TAIL).decode("utf-8", "replace")
    found = []
    for line in text.splitlines():
        try:
            told = json.loads(line)
        except json.JSONDecodeError:
            continue  # the first of the tail, cut; or the last, being written
        if isinstance(told, dict) and {"step", "state"} <= told.keys():
            found.append(told)
    return found


# Pages ----------------------------------------------------------------------------------------------------------------


@router.get("/turns", response_class=HTMLResponse)
def all_turns(request: Request, console: Annotated[Console, Depends(console_of)]) -> HTMLResponse:
    """The curve over turns, and each turn in a line."""
    done = {number: steps["report"] for number, steps in turns(console.lake).items() if "report" in steps}
    return page(
        request, "turns.html", turns=turns_of(console), running=running_of(console), rows=done, dots=curve(done)
    )  # fmt: skip


@router.get("/turns/{number}", response_class=HTMLResponse)
def one_turn(
    request: Request, console: Annotated[Console, Depends(console_of)], number: Annotated[int, Named(ge=0, le=10**6)]
) -> HTMLResponse:
    """One turn: its steps and what each came to."""
    found = next((one for one in turns_of(console) if one.number == number), None)
    if found is None:
        raise UnknownName("turn", str(number), ())
    return page(request, "turn.html", turn=found, running=running_of(console))


@router.get("/turns/{number}/page", response_class=HTMLResponse)
def whole(console: Annotated[Console, Depends(console_of)], number: Annotated[int, Named(ge=0, le=10**6)]) -> Response:
    """The page that a turn writes when it is over."""
    return alone(render(console.lake, number))


@router.get("/models", response_class=HTMLResponse)
def all_models(request: Request, console: Annotated[Console, Depends(console_of)]) -> HTMLResponse:
    """Who has driven before the gate, and who is champion."""
    registry = registry_of(console)
    models = registry.models() if registry else []
    reigns = registry.reigns() if registry else []
    verdicts = {one.hash: registry.verdicts(one.hash) for one in models} if registry else {}
    names = {one.hash: one.name for one in models}
    return page(request, "models.html", models=models, reigns=reigns, verdicts=verdicts, names=names)


@router.get("/models/{hash}", response_class=HTMLResponse)
def one_model(request: Request, console: Annotated[Console, Depends(console_of)], hash: str) -> HTMLResponse:
    """All that is known of a model."""
    registry = registry_of(console)
    if registry is None:
        raise UnknownName("model", hash, ())
    model = registry.model(hash)
    reigns = [one for one in registry.reigns() if one.model == model.hash]
    return page(
        request, "model.html", model=model, verdicts=registry.verdicts(model.hash), reigns=reigns,
        card=json.dumps(dict(model.card), indent=2) if model.card else "",
    )  # fmt: skip


def registry_of(console: Console) -> Registry | None:
    """The registry of the lake, where it has one: looking makes none."""
    return Registry(console.lake.root) if (console.lake.root / "registry.db").is_file() else None


def champion_of(console: Console) -> str:
    """The name of the champion; empty where there is none."""
    registry = registry_of(console)
    reigns = registry.reigns() if registry else []
    return registry.model(reigns[-1].model).name if registry and reigns else ""


# As it goes -----------------------------------------------------------------------------------------------------------


@router.get("/progress", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def progress(request: Request, console: Annotated[Console, Depends(console_of)]) -> StreamingResponse:
    """What the newest turn tells, line by line, as server-sent events; every line is a JSON object.

    An event `turn` says which turn it is, `running` whether it is under way: at first, and whenever that changes.
    """
    return StreamingResponse(_lines(request, console), media_type="text/event-stream")


async def _lines(request: Request, console: Console) -> AsyncIterator[str]:
    path, seen, running = None, 0, None
    yield "retry: 2000\n\n"
    while not await request.is_disconnected() and not console.stopping:
        if running is not (running := running_of(console)):
            yield f"event: running\ndata: {json.dumps({'running': running})}\n\n"
        newest = max((console.lake.root / "turns").glob("turn-*.jsonl"), default=None)
        if newest is not None:
            size = newest.stat().st_size
            if path != newest:
                path, seen = newest, size if path is None else 0
                yield f"event: turn\ndata: {json.dumps({'turn': int(newest.stem.rpartition('-')[2])})}\n\n"
            if size > seen:
                with newest.open("rb") as file:
                    file.seek(seen)
                    whole = file.read(TAIL).rpartition(b"\n")[0]
                seen += len(whole) + 1 if whole else 0
                for line in whole.decode("utf-8", "replace").splitlines():
                    yield f"data: {line}\n\n"
        yield ": still here\n\n"
        await asyncio.sleep(POLL_S)


# Starting and stopping ------------------------------------------------------------------------------------------------


def running_of(console: Console) -> bool:
    """Whether a turn is under way in the lake, whoever began it: it holds a lock for as long."""
    if console.process is not None and console.process.poll() is None:
        return True
    path = console.lake.root / "turns" / ".lock"
    if not path.is_file():
        return False
    with path.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def holder(path: Path) -> int | None:
    """The process of this machine that holds a lock on a file; None where that cannot be known."""
    try:
        lock, locks = path.stat(), Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    fields = (line.split() for line in locks if "FLOCK" in line and "->" not in line)  # an arrow: it waits
    found = [int(words[4]) for words in fields if len(words) > 5 and words[5].rpartition(":")[2] == str(lock.st_ino)]
    return next((process for process in found if process > 1 and _opened(process, lock)), None)


def _opened(process: int, file: os.stat_result) -> bool:
    """Whether a process has a file open. Files on other disks may have its number, and /proc/locks and stat do not
    call every disk the same."""
    with suppress(OSError):  # another user's, or ended
        return any(os.path.samestat(one.stat(), file) for one in Path(f"/proc/{process}/fd").iterdir() if one.exists())
    return False


@router.post("/turns/resume")
def resume(console: Annotated[Console, Depends(console_of)]) -> Response:
    """Go on with the turn that is not over, or begin the next one."""
    if running_of(console):
        raise UnderstudyError("a turn is under way already")
    main = "from understudy.cli import main; main()"
    count = max((one.number for one in turns_of(console) if one.over), default=0) + 1
    command = [sys.executable, "-c", main, "turn", "--turns", str(count), "--lake", str(console.lake.root)]
    log = console.lake.root / "turns" / "console.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as told:
        console.process = subprocess.Popen(  # it outlives the console, as any turn does
            command, stdin=subprocess.DEVNULL, stdout=told, stderr=told, start_new_session=True
        )
    return RedirectResponse("/turns", 303)


@router.post("/turns/stop")
def stop(console: Annotated[Console, Depends(console_of)]) -> Response:
    """Stop the turn that is under way on this machine. What its steps have finished is kept."""
    if not running_of(console):
        raise UnderstudyError("no turn is under way")
    own = console.process.pid if console.process is not None and console.process.poll() is None else None
    process = own or holder(console.lake.root / "turns" / ".lock")
    if process is None:
        raise UnderstudyError(
            "the turn that is under way is not of this machine or not of this user: stop it where it was begun"
        )
    with suppress(ProcessLookupError):  # it has ended meanwhile
        os.kill(process, signal.SIGTERM if deaf(process) else signal.SIGINT)
    return RedirectResponse("/turns", 303)


def deaf(process: int) -> bool:
    """Whether a process takes no notice of Ctrl-C, as one that a script has put into the background."""
    try:
        ignored = re.search(r"^SigIgn:\s*(\w+)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    except OSError:
        return False
    return ignored is not None and bool(int(ignored[1], 16) >> (signal.SIGINT - 1) & 1)
