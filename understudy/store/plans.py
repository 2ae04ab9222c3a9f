"""Shadow runs as the table `plans`, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.errors import DataError
from understudy.records import PLAN_STEPS, Drive, Ints, Plan, Shadow
from understudy.store.runs import Entry, Part
from understudy.store.tables import flat_of, lists, numpy_of, read_part, word

PLAN = ("drive", "policy", "t_ns", "modes", "poses", "probability", "spread", "embedding")


def put_shadow(part: Part, drive: Drive, shadow: Shadow) -> None:
    """Write a policy's plans over a drive as the table `plans` of a part.

    Poses are kept as float32: they lie within some hundred metres of the ego, so this rounds by less than 0.1 mm.
    """
    plan, count = shadow.plan, len(drive)
    own = {name: values for name, values in shadow.columns.items() if name != "spread"}  # that is the plan's own
    clash = set(own) & set(PLAN)
    if clash or len(plan) != count:
        raise DataError(
            f"shadow run of {shadow.policy}: {len(plan)} plans for {count} instants, clashing {sorted(clash)}"
        )
    columns: dict[str, Any] = {
        "drive": word(drive.id, count),
        "policy": word(shadow.policy, count),
        "t_ns": drive.t_ns,
        "modes": np.full(count, plan.probability.shape[1], np.int16),
        "poses": lists(np.asarray(plan.poses, np.float32)),
        "probability": lists(np.asarray(plan.probability)),
    }
    if plan.spread is not None:
        columns["spread"] = np.asarray(plan.spread, np.float64)
    if plan.embedding is not None:
        columns["embedding"] = lists(np.asarray(plan.embedding, np.float32))
    part.write({"plans": pa.table(columns | own)})


def read_shadows(root: Path, plans: Iterable[Entry], t_ns: Ints) -> Iterator[Shadow]:
    for entry in plans:
        rows = read_part(root, entry, "plans")
        if not np.array_equal(numpy_of(rows["t_ns"]), t_ns):
            continue  # the drive was ingested anew since: these plans are of another version of it
        names = rows.column_names
        count = len(t_ns)
        yield Shadow(
            policy=rows["policy"][0].as_py(),
            plan=Plan(
                poses=flat_of(rows["poses"]).reshape(count, -1, PLAN_STEPS, 4).astype(np.float64),
                probability=flat_of(rows["probability"]).reshape(count, -1),
                spread=numpy_of(rows["spread"]) if "spread" in names else None,
                embedding=flat_of(rows["embedding"]).reshape(count, -1) if "embedding" in names else None,
            ),
            columns={name: numpy_of(rows[name]) for name in names if name == "spread" or name not in PLAN},
        )
