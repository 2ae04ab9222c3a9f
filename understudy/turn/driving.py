"""The steps that bring drives: people, and the champion with a safety driver beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from understudy import fleet
from understudy.errors import DataError
from understudy.identifiers import counted
from understudy.records import Driver
from understudy.registry import Registry
from understudy.store import Lake
from understudy.turn.diary import progress, turns
from understudy.turn.towns import common_side, fleet_of
from understudy.turn.under_way import Impossible, Tell, Turn


def drive_fleet(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """People drive; and whatever else has come into the lake since the turn before is taken up too."""
    told = turn.came_to("begin")
    lost: dict[str, str] = {}
    if told["world"] == "city":
        plan = [
            tour
            for kind, events in (("train", told["campaign"]["events"]), ("regression", ()))
            for tour in fleet_of(kind, turn.preset, turn.number, turn.seed, events, turn.learned)
        ]
        lost = _drive(turn, plan, tell)
    found = new_drives(turn.lake, turn.number)
    if not found:
        raise DataError(f"the fleet brought no drive; {next(iter(lost.values()), 'the lake has none')}")
    km = sum(drive["km"] or 0.0 for drive in found)  # who has no poses has no kilometres
    hours = sum(drive["seconds"] for drive in found) / 3600
    tell(said=f"{counted(len(found), 'drive')}, {km:.1f} km" + (f", {len(lost)} lost" if lost else ""))
    sides = {drive["id"]: common_side(drive["places"]) for drive in found}
    return {"drives": sorted(sides), "sides": sides, "km": km, "hours": hours, "lost": lost}


def drive_champion(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """The champion drives, with a safety driver beside it who takes over when it gets dangerous."""
    if turn.came_to("begin")["world"] != "city":
        raise Impossible("there is no city to drive in")
    spec = turn.spec(turn.champion)
    plan = [replace(tour, driver=spec) for tour in fleet_of("wheel", turn.preset, turn.number, turn.seed)]
    if not plan:
        raise Impossible("the preset has no car for it")
    lost = _drive(turn, plan, tell)
    wanted = {tour.drive for tour in plan}
    found = [drive for drive in turn.lake.drives() if drive["id"] in wanted]
    km, count = sum(drive["km"] for drive in found), 0
    for drive in found:
        who = turn.lake.table("instants", [drive["id"]], ["who_drives"])["who_drives"].to_numpy()
        count += int(np.count_nonzero(np.diff((who == Driver.SAFETY).astype(int), prepend=0) == 1))
    tell(said=f"{counted(len(found), 'drive')}, {km:.1f} km, the safety driver took over {counted(count, 'time')}")
    return {"drives": sorted(wanted & {drive["id"] for drive in found}), "km": km, "interventions": count, "lost": lost}


def new_drives(lake: Lake, number: int) -> list[dict[str, Any]]:
    """The drives of a lake that no turn before this one has taken up, but those that a network of the lake drove in the
    city: a turn that was given up leaves some, and people did not drive them."""
    ours = tuple(f"~{model.name}" for model in Registry(lake.root).models() if model.spec.endswith(".onnx"))
    taken = {
        drive
        for before, done in turns(lake).items()
        for step in ("fleet", "wheel")
        if before < number
        for drive in done.get(step, {}).get("drives", ())
    }
    return [
        drive for drive in lake.drives() if drive["id"] not in taken and not any(name in drive["id"] for name in ours)
    ]


def _drive(turn: Turn, plan: list[fleet.Tour], tell: Tell) -> dict[str, str]:
    """Have tours driven; those lost, and why."""
    on_drive = progress(tell)
    found = fleet.fleet_drive(turn.lake, plan, turn.processes, lambda outcome: on_drive(outcome, len(plan)))
    names = {tour.name for tour in plan}
    failures = sorted(found.failures.items())  # of recordings that could not be read in, too
    return {name: why for name, why in failures if name.removesuffix(".mcap") in names}
