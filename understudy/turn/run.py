"""Turn after turn: each step that is not done yet, until there are enough turns or the champion is good enough.

A step is left alone once the diary holds it; before that it may have been killed at any moment, and everything that it
asks for is named by what makes it, so that doing it again comes to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from understudy import workers
from understudy.errors import UnderstudyError
from understudy.fleet import FOLDER
from understudy.gate.verdict import Verdict
from understudy.store import Lake
from understudy.store.files import locked
from understudy.turn import clips, driving, judging, learning
from understudy.turn.begin import assert_nothing_leaks, begin
from understudy.turn.diary import About, Diary, Told, turns
from understudy.turn.preset import EVENING, Preset
from understudy.turn.summary import Goal, summary
from understudy.turn.under_way import Impossible, Tell, Turn

World = Literal["city", "none"]


class NothingNew(UnderstudyError):
    """No drive has come into the lake since the last turn, and there is no city that would bring some."""


def run(
    lake: Lake,
    count: int = 1,
    preset: Preset = EVENING,
    *,
    seed: int = 0,
    world: World | None = None,
    until: Goal | None = None,
    anew: bool = False,
    processes: int = 0,
    on_line: Told | None = None,
    on_verdict: Callable[[Verdict], object] | None = None,
    on_turn: Callable[[int], object] | None = None,
) -> list[About]:
    """Go round until the lake has made `count` turns, or `until` is reached; what its turns came to, in order.

    A turn that is done is left alone, one that was cut short goes on where it was, with the preset, the seed and the
    world that it was begun with; or it begins `anew` with those given here. `on_line` hears every line of the diary,
    `on_turn` the number of each turn that is done.
    Raises UnderstudyError, saying at which step, where a turn cannot go on; the champion is then who it was.
    """
    lake.root.mkdir(parents=True, exist_ok=True)
    busy = "turning the loop: another turn is under way in this lake"
    for number in range(1, count + 1):
        known = turns(lake)
        if until is not None and any("report" in done and until.reached(done["report"]) for done in known.values()):
            break
        diary = Diary(lake, number, on_line)
        if not diary.over:
            with locked(lake.root / "turns" / ".lock", exclusive=True, wait_s=0.2, busy=busy):
                if anew and diary.done:
                    diary.forget()
                _turn(lake, diary, preset, seed, world, processes, on_verdict)
        if on_turn is not None:
            on_turn(number)
    return [done["report"] for done in turns(lake).values() if "report" in done]


def _turn(
    lake: Lake,
    diary: Diary,
    preset: Preset,
    seed: int,
    world: World | None,
    processes: int,
    on_verdict: Callable[[Verdict], object] | None,
) -> None:
    if "begin" in diary.done:  # it goes on as it was begun
        told = diary.done["begin"]
        preset, seed = msgspec.convert(told["preset"], Preset), int(told["seed"])
    world = world or world_of(lake)
    if "begin" not in diary.done and world == "none" and not driving.new_drives(lake, diary.number):
        raise NothingNew(
            f"turn {diary.number}: no drive is new since the turn before, and there is no city to drive in"
        )
    turn = Turn(lake, diary, preset, seed, processes, on_verdict)
    _do(turn, "begin", lambda _: begin(turn, world))
    assert_nothing_leaks(turn)
    with workers.crew():
        for name, step in ORDER.items():
            _do(turn, name, lambda tell, step=step: step(turn, tell))  # type: ignore[misc]
    _do(turn, "report", lambda _: summary(diary.done))


ORDER: Mapping[str, Callable[[Turn, Tell], Mapping[str, Any]]] = {
    "fleet": driving.drive_fleet,
    "bootstrap": learning.bootstrap,
    "wheel": driving.drive_champion,
    "shadow": clips.plan_in_shadow,
    "mine": clips.choose_clips,
    "label": learning.label_all,
    "dataset": learning.freeze_all,
    "train": learning.train_candidate,
    "export": learning.export_candidate,
    "gate": judging.judge_candidate,
    "promote": judging.promote,
    "campaign": judging.plan_campaign,
}


def world_of(lake: Lake) -> World:
    """The city, unless the lake holds drives of its owner's and none of the city's."""
    return "none" if lake.drives() and not (lake.root / FOLDER).is_dir() else "city"


def _do(turn: Turn, name: str, work: Callable[[Tell], Mapping[str, Any]]) -> None:
    """Do a step that is not done, and keep what it came to."""
    if name in turn.diary.done:
        return
    try:
        with turn.diary.telling(name) as tell:
            try:
                about = work(tell)
            except Impossible as reason:
                about = {"skipped": str(reason)}
                tell(state="skipped", said=str(reason))
            turn.diary.keep(name, about)
    except (UnderstudyError, OSError) as error:
        reigns = turn.registry.reigns()
        champion = turn.registry.model(reigns[-1].model).name if reigns else "nobody yet"
        raise UnderstudyError(
            f"turn {turn.number} stopped at {name}: {error} (champion: {champion}); the same again goes on from there, "
            "`anew` begins the turn with other numbers"
        ) from error
