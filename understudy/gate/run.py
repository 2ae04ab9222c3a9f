"""The stage: both drive what is not in the lake yet, block by block, until the pairs decide."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from understudy import workers
from understudy.errors import UnderstudyError, UnknownName
from understudy.gate.driving import drive_route
from understudy.gate.entrants import HUMAN, Entrant, entrant
from understudy.gate.regression import ClipResult, passes
from understudy.gate.suites import KNOWN, Suite, leaked, suite
from understudy.gate.verdict import (
    Gate,
    Look,
    Outcome,
    Pairs,
    Reason,
    Verdict,
    decide,
    gather,
)
from understudy.records import Clip
from understudy.store import Lake, Part, Run, code_version
from understudy.store.reviews import reached, regression_clips
from understudy.store.tables import read_part
from understudy.worlds.boxes import Boxes
from understudy.worlds.outcome import COLUMNS, Route
from understudy.worlds.scenario import Scenario
from understudy.worlds.sketches import program

Told = Callable[[workers.Outcome, int], None]
T = TypeVar("T", "_Task", "_ClipTask")


def run(
    lake: Lake,
    champion: str,
    candidate: str,
    gate: Gate | None = None,
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    binding: Mapping[str, Clip | None] | None = None,
    at_least: int = 0,
    processes: int = 0,
    on_route: Told | None = None,
) -> Verdict:
    """Whether `candidate` may take the place of `champion`; both are names, `module:Class`, model files, or `human`.

    `binding` are the clips that an earlier champion has passed reliably; a clip that reaches into where the champion
    has learned tells nothing of it, and is not asked. `settings` are by policy. Where a clip refuses the candidate, so
    many blocks are driven as `at_least` says: they change no verdict, and show how both drive.
    What either has driven before, as the same code and model, is in the lake and is not driven again; so a gate that
    was interrupted goes on where it was, and comes to the same verdict.
    """
    gate = gate or Gate()
    told = settings or {}
    both = entrant(champion, told.get(champion)), entrant(candidate, told.get(candidate))
    for name in gate.suites:
        if name not in KNOWN:
            raise UnknownName("suite", name, KNOWN)
    drives = lake.drives() if "replay" in gate.suites else []
    learned, trained = (set(one.driver.places) for one in both)
    binding = binding or {}
    kept = regression_clips(lake)
    gone = binding.keys() - {clip.id for clip in kept}  # chosen otherwise since: what binds is asked all the same
    kept += [clip for id in sorted(gone) if (clip := binding[id]) is not None]
    lie_in = reached(lake, kept)
    asked = [clip for clip in kept if not lie_in[clip.id] & learned]
    idle = {id: "it is no longer among the lake's clips" for id in gone if binding[id] is None}
    known = {clip.id: min(lie_in[clip.id] & learned) for clip in kept if clip not in asked}
    idle |= {id: f"{both[0].id} has learned in {place}, where it lies" for id, place in known.items()}
    there = {drive["id"] for drive in lake.drives()} if asked else set()
    idle |= {clip.id: f"its drive is not in the lake: {clip.drive}" for clip in asked if clip.drive not in there}
    asked = [clip for clip in asked if clip.id not in idle]
    judging = {place for drive in drives for place in drive["places"]}.union(*(lie_in[clip.id] for clip in asked))
    if leaks := sorted({*leaked(trained), *(judging & trained)}):
        return _verdict(both, gate, {}, (), idle, "refuse", tuple(_leak(place) for place in leaks))
    with ExitStack() as stack, workers.crew():
        course = _Course(lake, both, gate, drives, processes, on_route, stack)
        clips = course.clips(asked, binding)
        pairs: dict[str, Pairs] = {}
        before = Look((), means=False, ends_block=False)  # a clip may decide by itself
        outcome, reasons = decide(gather(pairs, gate), gate, clips, before)
        to_show = 0 if outcome == "undecided" else at_least  # blocks that decide nothing any more
        for block, look in product(range(gate.blocks), gate.looks):
            if outcome != "undecided" and block >= to_show:
                break
            course.drive(look.suites, block)
            pairs = course.pairs()
            outcome, reasons = decide(gather(pairs, gate), gate, clips, look)
        found = _verdict(both, gate, pairs, clips, course.void | idle, outcome, reasons)
        return replace(found, human=course.human())


def _leak(place: str) -> Reason:
    return Reason("leak", place, f"was trained on {place}, a place of the gate")


def _verdict(
    both: tuple[Entrant, Entrant],
    gate: Gate,
    pairs: Mapping[str, Pairs],
    clips: tuple[ClipResult, ...],
    void: Mapping[str, str],
    outcome: Outcome,
    reasons: tuple[Reason, ...],
) -> Verdict:
    return Verdict(
        champion=both[0].id,
        candidate=both[1].id,
        champion_hash=both[0].hash,
        candidate_hash=both[1].hash,
        outcome=outcome,
        reasons=reasons,
        evidence=gather(pairs, gate),
        pairs=pairs,
        clips=clips,
        void=dict(void),
        settings=gate,
        code=_code(["understudy.gate.run"]),
    )


def _code(modules: Iterable[str]) -> str:
    return code_version(["understudy.store", *modules])


class _Course:
    """Where two entrants drive: routes and clips by hash, made now or taken from the lake."""

    def __init__(
        self,
        lake: Lake,
        both: tuple[Entrant, Entrant],
        gate: Gate,
        drives: Sequence[Mapping[str, Any]],
        processes: int,
        on_route: Told | None,
        stack: ExitStack,
    ) -> None:
        self.lake, self.both, self.gate, self.processes, self.on_route = lake, both, gate, processes, on_route
        self.drives = drives  # of the lake, for replays
        self.suites: dict[str, Suite] = {}  # made when their turn comes: lights take a while to find
        self.void: dict[str, str] = {}
        self.driven: dict[tuple[str, str], Route] = {}  # by entrant and scenario
        self.runs: dict[str, Run] = {}
        for one in both:
            if one.id not in self.runs:
                code = _code(["understudy.gate.driving", one.module])
                run = lake.run("gate", one.id, {"entrant": one.id}, code, replaces="drive")
                self.runs[one.id] = stack.enter_context(run)

    def drive(self, names: Iterable[str], block: int) -> None:
        """Have both drive a block of every one of these suites."""
        todo: list[_Task] = []
        for name in names:
            if name not in self.suites:
                made = suite(name, self.gate.routes, self.drives, self.gate.first)
                self.suites[name] = made.within(self.gate.seconds)
            one = self.suites[name]
            for scenario in one.block(block, self.gate.blocks):
                for who in dict.fromkeys(self.both):
                    if (who.id, scenario) in self.driven or scenario in self.void:
                        continue
                    inputs = [who.hash, f"{one.seconds:g} s", *self._log(scenario)]
                    part = self.runs[who.id].part(scenario.removeprefix("scenario:"), inputs)
                    if (found := read_route(self.lake, part)) is not None:
                        self.driven[who.id, scenario] = found
                    else:
                        todo.append(_Task(part, who, scenario, one.seconds))
        todo.sort(key=lambda task: Scenario.parse(task.scenario).town)  # whose ground is drawn once, while it lasts
        if any(Scenario.parse(task.scenario).world == "city" for task in todo):
            program("sumo")  # without the extra [city]: one word of it, not one for every route
        for task, outcome in self._work(_drive_one, todo):
            part, who, scenario = task.part, task.who, task.scenario
            found = read_route(self.lake, part)
            if found is None and outcome.error and not outcome.trace:  # its process died
                found = lost(who.id, scenario, f"crashed: {outcome.error}")
                write_route(part, found)
            if found is None:
                self.void[scenario] = outcome.value or outcome.error
                self.runs[who.id].fail(part.subject, self.void[scenario])
            else:
                self.driven[who.id, scenario] = found

    def _log(self, scenario: str) -> list[str]:
        """What a scenario replays, by its contents; nothing where it is made from its name alone."""
        told = Scenario.parse(scenario)
        return [drive["part"] for drive in self.drives if told.world == "replay" and drive["id"] == told.town]

    def _work(self, act: Callable[[Lake, T], Any], todo: Sequence[T]) -> list[tuple[T, workers.Outcome]]:
        """What is to be done, and what came of it. Whose process died is asked once more: who ends it does so again,
        and what somebody else has killed is nobody's loss."""

        def tell(outcome: workers.Outcome) -> None:
            if self.on_route is not None:
                self.on_route(outcome, len(todo))

        def work(tasks: Sequence[T]) -> list[workers.Outcome]:
            return workers.map_drives(partial(act, self.lake), tasks, self.processes, tell, _name_of)

        outcomes = dict(enumerate(work(todo)))
        died = [i for i, outcome in outcomes.items() if outcome.error and not outcome.trace]
        outcomes |= dict(zip(died, work([todo[i] for i in died]), strict=True)) if died else {}
        return list(zip(todo, outcomes.values(), strict=True))

    def pairs(self) -> dict[str, Pairs]:
        """What both have driven of every suite, in its order."""
        found = {}
        for one in (self.suites[name] for name in self.gate.suites if name in self.suites):
            sides = [
                [self.driven.get((who.id, scenario)) for scenario in one.scenarios if scenario not in self.void]
                for who in self.both
            ]
            done = [pair for pair in zip(*sides, strict=True) if None not in pair]
            if done:
                found[one.name] = Pairs(*(tuple(side) for side in zip(*done, strict=True)))
        return found

    def human(self) -> float:
        """The mean score of the drivers of the replayed logs, each from its own start; nan without a replay."""
        if "replay" not in self.suites:
            return np.nan
        one, who = self.suites["replay"], entrant(HUMAN)
        driven = [log for log in one.scenarios if (self.both[0].id, log) in self.driven and log not in self.void]
        logs = [log for log in driven if Scenario.parse(log).seed == 0]
        scores = (drive_route(self.lake, log, who, one.seconds)[0].score for log in logs)
        known = [score for score in scores if np.isfinite(score)]
        return float(np.mean(known)) if known else np.nan

    def clips(self, clips: Sequence[Clip], binding: Collection[str]) -> tuple[ClipResult, ...]:
        """How both fare on the regression suite."""
        drives = {drive["id"]: drive["part"] for drive in self.lake.drives()} if clips else {}
        judge = _code(["understudy.gate.regression"])
        parts = {
            (who.id, clip.id): self.runs[who.id].part(clip.id, [who.hash, drives[clip.drive], judge])
            for clip, who in product(clips, dict.fromkeys(self.both))
        }
        todo = [
            _ClipTask(part, who, clip)
            for clip, who in product(clips, dict.fromkeys(self.both))
            if not (part := parts[who.id, clip.id]).done
        ]
        why: dict[tuple[str, str], str] = {}
        for task, outcome in self._work(_pass_one, todo):
            if outcome.error and not outcome.trace:  # its process died
                _write_passes(task, 0, 0)
            elif outcome.error or outcome.value:
                why[task.who.id, task.clip.id] = outcome.error or outcome.value
                self.runs[task.who.id].fail(task.part.subject, outcome.error or outcome.value)
        found = []
        for clip in clips:
            champion, candidate = (
                None if (entry := parts[who.id, clip.id].entry()) is None else int(entry.about[told])
                for who, told in zip(self.both, ("binding", "passes"), strict=True)
            )
            bound = clip.id in binding
            if candidate is None or (champion is None and not bound):
                who = self.both[candidate is None]
                self.void[clip.id] = f"{who.id} cannot be asked: {why.get((who.id, clip.id), 'nobody knows why')}"
            else:
                where = (clip.drive, clip.start_ns, clip.end_ns, clip.place)
                found.append(ClipResult(clip.id, champion, candidate, bound, *where))
        return tuple(found)


@dataclass(frozen=True)
class _Task:
    """Somebody is to drive a scenario."""

    part: Part
    who: Entrant
    scenario: str
    seconds: float


@dataclass(frozen=True)
class _ClipTask:
    """Somebody is to pass a clip."""

    part: Part
    who: Entrant
    clip: Clip


def _drive_one(lake: Lake, task: _Task) -> str:
    """Drive a route and keep it; what kept the world from beginning it, or nothing."""
    try:
        write_route(task.part, *drive_route(lake, task.scenario, task.who, task.seconds))
    except UnderstudyError as error:
        return str(error)
    return ""


def _pass_one(lake: Lake, task: _ClipTask) -> str:
    """Count from how many starts a clip is passed, and keep that; why it cannot be asked, or nothing."""
    try:
        _write_passes(task, *passes(lake, task.clip, task.who))
    except UnderstudyError as error:
        return str(error)
    return ""


def _write_passes(task: _ClipTask, count: int, binding: int) -> None:
    task.part.write({}, about={"passes": count, "binding": binding, "clip": task.clip.id})


def _name_of(task: _Task | _ClipTask) -> str:
    return f"{task.who.id} {task.part.subject}"


# Routes in the lake ---------------------------------------------------------------------------------------------------


def write_route(part: Part, route: Route, boxes: Boxes | None = None) -> None:
    tables = {"routes": pa.Table.from_pylist([asdict(route)])}
    if boxes is not None:
        told = {name: column.astype(np.int16 if name == "sort" else np.float32) for name, column in boxes.items()}
        tables["scenes"] = pa.table(told)
    part.write(tables)


def read_boxes(lake: Lake, who: str, scenario: str) -> Boxes | None:
    """What moved near an entrant in a scenario, of the newest run in which it drove there."""
    subject = scenario.removeprefix("scenario:")
    for entry in lake.entries(stage="gate", key=who, subject=subject, table="scenes"):
        columns = read_part(lake.root, entry, "scenes")
        return {name: columns[name].to_numpy() for name in columns.column_names}
    return None


def read_route(lake: Lake, part: Part) -> Route | None:
    """The route that a part holds, once it is done; what is null in the table is nan again."""
    entry = part.entry()
    if entry is None:
        return None
    row = read_part(lake.root, entry, "routes", COLUMNS).to_pylist()[0]
    return Route(
        **{name: np.nan if value is None else value for name, value in row.items()} | {"path": tuple(row["path"])}
    )


def lost(who: str, scenario: str, trouble: str) -> Route:
    """A route of which nothing is left but why."""
    unknown: dict[str, Any] = {name: np.nan for name in COLUMNS if Route.__dataclass_fields__[name].type == "float"}
    counts = {name: 0 for name in COLUMNS if Route.__dataclass_fields__[name].type == "int"}
    zero = {"seconds": 0.0, "metres": 0.0, "completion": 0.0, "score": 0.0, "driving_score": 0.0, "outside": 0.0}
    return Route(**(unknown | counts | zero), entrant=who, scenario=scenario, ended="", trouble=trouble, path=())
