"""Clips chosen at random: what the first champion learns from, and what a control arm is given."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import numpy as np

from understudy.mine.choose import clip_of
from understudy.records import NS, PAUSE_S, Clip, Floats
from understudy.store import Lake, digest
from understudy.turn.share import Share

SECONDS = 8.0  # of a clip


def by_chance(
    lake: Share,
    budget_s: float,
    identity: str,
    known: Iterable[Clip] = (),
    only: str = "",
) -> list[Clip]:
    """Clips of 8 s of the drives listed, none overlapping, until the budget is spent; chance follows from `identity`.

    A `known` clip is not chosen again, nor one that is not on the side `only`, nor one of which a pause takes half.
    """
    had = {clip.id for clip in known}
    slots = [(listed["id"], start) for listed in lake.drives() for start in range(int(listed["seconds"] // SECONDS))]
    order = sorted(slots, key=lambda slot: digest([identity, *slot]))
    found = (_clip(lake, drive, slot) for drive, slot in order)
    wanted = (clip for clip in found if clip and clip.id not in had and (not only or clip.side == only))
    return list(islice(wanted, int(budget_s // SECONDS)))


def _clip(lake: Lake, id: str, slot: int) -> Clip | None:
    drive = lake.drive(id, ["place"], objects=False, lights=False, map=False, cameras=False, truth=False)
    start = int(drive.t_ns[0]) + round(slot * SECONDS * NS)
    end = start + round(SECONDS * NS)
    within = np.diff(np.searchsorted(drive.t_ns, (start, end)))[0]
    if within < SECONDS * len(drive) / max(_recorded_s(drive.t_s), SECONDS) / 2:
        return None
    place = drive.place_at(min(int(np.searchsorted(drive.t_ns, (start + end) // 2)), len(drive) - 1))
    return clip_of(id, (start, end), place)


def _recorded_s(t_s: Floats) -> float:
    """The seconds of instants (T,) without the pauses between them."""
    step = np.diff(t_s)
    return float(step[step <= PAUSE_S].sum())
