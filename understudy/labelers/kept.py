"""Labels as they lie in the lake: the table `labels`.

A value is kept as the bytes of its array (C order); its type and shape are told in the part that holds it. `valid` says
whether anything is known at that instant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy.labelers import Label
from understudy.labelers.bev import Bev
from understudy.records import Ints
from understudy.store import Lake

LABELS = pa.schema(
    [
        ("drive", pa.string()),
        ("t_ns", pa.int64()),
        ("labeler", pa.string()),
        ("valid", pa.bool_()),
        ("value", pa.binary()),
    ]
)


def table(drive: str, t_ns: Ints, name: str, one: Label) -> pa.Table:
    """The rows of one labeler over a drive."""
    count = len(t_ns)
    values = [row.tobytes() for row in np.ascontiguousarray(one.value)]
    return pa.table([[drive] * count, t_ns, [name] * count, one.valid, values], schema=LABELS)


def read(lake: Lake, drive: str) -> tuple[Ints, dict[str, Label]]:
    """The stamps that a drive has labels at, and its labels by labeler; nothing where it was not labelled."""
    entries = lake.entries(stage="label", subject=drive)
    if not entries:
        return np.zeros(0, np.int64), {}
    rows = lake.table("labels", [drive])
    stamps: Ints = np.zeros(0, np.int64)
    found = {}
    for name, kind in entries[-1].about["kinds"].items():
        mine = rows.filter(pc.equal(rows["labeler"], name))
        stamps = mine["t_ns"].to_numpy()
        data = b"".join(mine["value"].to_pylist())
        found[name] = Label(np.frombuffer(data, kind["dtype"]).reshape(len(stamps), *kind["shape"]))
    return stamps, found


def outdated(lake: Lake, drives: Iterable[Mapping[str, Any]]) -> list[str]:
    """Those of some drives, rows of `lake.drives()`, whose labels were made of another version of them."""
    newest = {entry.subject: entry.part for entry in lake.entries(stage="label")}
    labelled = [drive for drive in drives if drive["id"] in newest]
    return [drive["id"] for drive in labelled if lake.record(newest[drive["id"]])["inputs"] != [drive["part"]]]


def grid(lake: Lake, drive: str) -> dict[str, Any]:
    """The grid that the drive's surroundings were drawn on, as settings: the labeler's own where none was given."""
    made = lake.record(lake.entries(stage="label", subject=drive)[-1].part)
    told: dict[str, Any] = made["settings"]["settings"].get("bev", {}).get("grid", {})
    return asdict(Bev().grid) | told
