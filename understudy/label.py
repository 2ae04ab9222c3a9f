"""Labels of every drive of the lake, as the table `labels`: a labeler is asked where the drive offers what it needs.

What is unknown is nan, or labelers.UNKNOWN in int8; how a label lies in the table is told in `labelers.kept`. Where
drives know their truth, `agree` tells how far labels that are made without it can be trusted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from understudy import plugins, workers
from understudy.errors import SettingsError
from understudy.evidence import Share
from understudy.labelers import Label, Labeler
from understudy.labelers.agreement import ASKED, EVERY_S, agreement
from understudy.labelers.kept import LABELS, table
from understudy.records import NS, Drive, Ints
from understudy.store import Lake, Part, code_version


@dataclass(frozen=True)
class Labels:
    """The settings of the stage."""

    labelers: tuple[str, ...] = ("path", "control", "bev", "light")  # which labels are made
    every_s: float = 0.6  # between the instants that get labels, as between a network's frames; 0 is every instant
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of labelers, by name

    def __post_init__(self) -> None:
        if not 0 <= self.every_s < math.inf:
            raise SettingsError(f"label.every_s wants seconds, 0 or more, got {self.every_s:g}")


def label(drive: Drive, labelers: Mapping[str, Labeler], every_s: float = 0.6) -> tuple[Ints, dict[str, Label]]:
    """The instants that get labels, and the labels of those labelers that the drive has enough for."""
    instants = spaced(drive.t_ns, every_s)
    found = {
        name: labeler.label(drive, instants) for name, labeler in labelers.items() if not drive.lacks(labeler.needs)
    }
    return instants, found


def spaced(t_ns: Ints, every_s: float) -> Ints:
    """Instants at least `every_s` apart (less half a millisecond, for clocks that tremble), from the first on."""
    if every_s <= 0:
        return np.arange(len(t_ns))
    chosen, step = [0], max(int(every_s * NS) - NS // 2000, 1)
    while (following := int(np.searchsorted(t_ns, t_ns[chosen[-1]] + step))) < len(t_ns):
        chosen.append(following)
    return np.array(chosen, dtype=np.int64)


def run(
    lake: Lake,
    settings: Labels | None = None,
    processes: int = 0,
    on_drive: Callable[[workers.Outcome, int], None] | None = None,
) -> workers.Report:
    """Label every drive of the lake. A drive that no labeler has enough for is skipped and counted."""
    settings = settings or Labels()
    labelers = {name: plugins.make("labeler", name, settings.settings.get(name)) for name in settings.labelers}
    code = code_version(["understudy.label", "understudy.store", *{type(one).__module__ for one in labelers.values()}])
    with lake.run("label", "labels", asdict(settings), code, replaces="drive") as run:
        todo, kept = [], []
        for drive in lake.drives():
            if all(set(labeler.needs) - set(drive["offers"]) for labeler in labelers.values()):
                run.skip(drive["id"], "no labeler has what it needs")
                continue
            part = run.part(drive["id"], [drive["part"]])
            if part.done:
                kept.append(part.subject)
            else:
                todo.append(part)
        make = partial(_label_one, lake, labelers, settings.every_s)
        return workers.fill(run, make, todo, kept, processes, on_drive, _subject)


def _subject(part: Part) -> str:
    return part.subject


def _label_one(lake: Lake, labelers: Mapping[str, Labeler], every_s: float, part: Part) -> None:
    drive = lake.drive(part.subject, cameras=False)
    instants, found = label(drive, labelers, every_s)
    kinds = {name: {"dtype": str(one.value.dtype), "shape": one.value.shape[1:]} for name, one in found.items()}
    tables = [table(drive.id, drive.t_ns[instants], name, one) for name, one in found.items()]
    known = {name: int(one.valid.sum()) for name, one in found.items()}
    part.write({"labels": pa.concat_tables([LABELS.empty_table(), *tables])}, about={"kinds": kinds, "valid": known})


# Agreement with the truth ---------------------------------------------------------------------------------------------


def agree(
    lake: Lake, processes: int = 0, on_drive: Callable[[workers.Outcome, int], None] | None = None
) -> tuple[dict[str, Share], workers.Report]:
    """How many labels of each kind (`agreement.ASKED`) agree with the truth, over all drives that know it."""
    known = [drive["id"] for drive in lake.drives() if lake.entries(subject=drive["id"], table="truth_events")]
    outcomes = workers.map_drives(
        partial(_agree_one, lake),
        known,
        processes,
        on_result=on_drive and (lambda outcome: on_drive(outcome, len(known))),
    )
    failures = {outcome.name: outcome.error for outcome in outcomes if outcome.error}
    made = tuple(outcome.name for outcome in outcomes if not outcome.error)
    found = {
        name: Share(*np.sum([outcome.value[name] for outcome in outcomes if not outcome.error], axis=0).tolist())
        for name in (ASKED if made else ())
    }
    return found, workers.Report(made, (), {}, failures)


def _agree_one(lake: Lake, id: str) -> dict[str, tuple[int, int]]:
    drive = lake.drive(id, cameras=False)
    right = agreement(drive, spaced(drive.t_ns, EVERY_S))
    return {name: (int(right[name].sum()), len(right[name])) if name in right else (0, 0) for name in ASKED}
