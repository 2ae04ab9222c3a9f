"""What choosing could be worth at most, and what learning is worth without rare events: windows by the city's truth.

No strategy may look at it. Between `eventless` and `oracle` lies all that finding rare events can gain
in a study; where the two are not told apart, no strategy of it can show anything.

oracle      windows in which what judges happens (kinds of event, or weathers), taking turns; then at random
eventless   at random from the windows in which nothing rare happens
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from understudy.network.samples import Samples
from understudy.records import Array, Ints
from understudy.store import Lake
from understudy.study.pool import Pool
from understudy.worlds.scenario import Scenario

Happened = Mapping[str, Array]  # by kind of event or weather: in which windows of a pool it happens, (W,) bool
Ceiling = Callable[[Happened, Sequence[str], int, np.random.Generator], Ints]


def happened(lake: Lake, samples: Samples, pool: Pool) -> Happened:
    """What happened in each window, as the truth of its drive tells."""
    t_ns, number = samples.column("t_ns")[pool.rows], samples.drive_number[pool.rows]
    found: dict[str, Array] = {}
    for one in np.unique(number):
        drive = lake.drive(samples.drives[one].id, cameras=False, objects=False, lights=False, map=False)
        own = number == one
        spans = [(event.trigger, event.start_ns, event.end_ns) for event in drive.truth.events] if drive.truth else []
        if (weather := Scenario.parse(str(drive.facts["scenario"])).weather) != "clear":
            spans.append((weather, int(drive.t_ns[0]), int(drive.t_ns[-1])))
        for name, start_ns, end_ns in spans:
            there = own & (t_ns >= start_ns) & (t_ns <= end_ns)
            found.setdefault(name, np.zeros(len(pool), bool))[pool.window[there]] = True
    return found or {"none": np.zeros(len(pool), bool)}


def oracle(found: Happened, judged: Sequence[str], count: int, random: np.random.Generator) -> Ints:
    """Windows of what judges, one of each in turn, and when there are no more, any."""
    order = random.permutation(len(next(iter(found.values()))))
    queues = [list(order[found[kind][order]]) for kind in judged if kind in found]
    chosen: dict[int, None] = {}
    while any(queues):
        chosen |= {int(queue.pop()): None for queue in queues if queue}
    chosen |= dict.fromkeys(order.tolist())
    return np.array([*chosen][:count], dtype=np.int64)


def eventless(found: Happened, judged: Sequence[str], count: int, random: np.random.Generator) -> Ints:
    """Windows without any rare event, all equally likely; fewer where there are not so many."""
    quiet = np.flatnonzero(~np.any([*found.values()], axis=0))
    return random.permutation(quiet)[:count]


CEILINGS: Mapping[str, Ceiling] = {"oracle": oracle, "eventless": eventless}
