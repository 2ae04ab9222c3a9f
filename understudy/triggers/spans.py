"""Masks over the instants of a drive into events: how nearly every trigger ends.

A comparison with nan is false, so an unknown value never fires. Where a recording pauses, spans end and rates are nan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from understudy.records import NS, PAUSE_S, Array, Drive, Event, Floats, Ints
from understudy.triggers.newest import newest_kept

_JITTER_NS = NS // 1000  # stamps are inexact, and four instants at 10 Hz should last 0.3 s


@dataclass(frozen=True, slots=True)
class Clock:
    """When the instants of a drive are."""

    t_s: Floats  # (T,)
    period_s: float  # the usual time from one instant to the next
    pauses: Ints  # the instants after which the recording pauses


@newest_kept
def clock(drive: Drive) -> Clock:
    t_s = drive.t_s
    step_s = np.diff(t_s)
    pauses = np.flatnonzero(step_s > PAUSE_S)
    steps = len(step_s) - len(pauses)
    return Clock(t_s, float(t_s[-1] - step_s[pauses].sum()) / steps if steps else PAUSE_S, pauses)


def spans(drive: Drive, mask: Array, hold_s: float = 0.0, bridge_s: float = 0.0) -> tuple[Ints, Ints]:
    """First and last instants, both (S,), of the spans where `mask` (T,) is true.

    Spans at most `bridge_s` apart are one; those that then last less than `hold_s` are dropped.
    """
    true = np.flatnonzero(mask)
    if not len(true):
        return true, true
    pauses = np.searchsorted(clock(drive).pauses, true)  # before each
    parted = (np.diff(true) > 1) | (np.diff(pauses) > 0)
    first, last = true[np.concatenate([[True], parted])], true[np.concatenate([parted, [True]])]
    if bridge_s:
        apart = drive.t_ns[first[1:]] - drive.t_ns[last[:-1]] > bridge_s * NS + _JITTER_NS
        apart |= np.diff(np.searchsorted(clock(drive).pauses, first)) > 0
        first, last = first[np.concatenate([[True], apart])], last[np.concatenate([apart, [True]])]
    if hold_s:
        held = drive.t_ns[last] - drive.t_ns[first] >= hold_s * NS - _JITTER_NS
        first, last = first[held], last[held]
    return first, last


def events(drive: Drive, mask: Array, score: Floats, hold_s: float = 0.0, bridge_s: float = 0.0) -> Iterator[Event]:
    """An event for each of the `spans`, as strong as the largest `score` (T,) in it."""
    first, last = spans(drive, mask, hold_s, bridge_s)
    stamps = drive.t_ns[first].tolist(), drive.t_ns[last].tolist()
    for start, end, peak in zip(*stamps, peaks(score, mask, first, last).tolist(), strict=True):
        yield Event(drive.id, start, end, peak)


def moments(drive: Drive, instants: Ints, score: Floats) -> Iterator[Event]:
    """An event of no length at each of `instants` (S,), with `score` (S,)."""
    for at, strength in zip(drive.t_ns[instants].tolist(), score.tolist(), strict=True):
        yield Event(drive.id, at, at, strength)


def joined(drive: Drive, first: Ints, last: Ints, score: Floats) -> Iterator[Event]:
    """Events of stretches, each from its first to its last instant with a score, (S,); those that overlap are one."""
    if not len(first):
        return
    order = np.argsort(first, kind="stable")
    first, last = first[order], np.maximum.accumulate(last[order])
    begin = np.flatnonzero(np.concatenate([[True], first[1:] > last[:-1]]))
    end = last[np.append(begin[1:], len(first)) - 1]
    strongest = np.maximum.reduceat(score[order], begin)
    for start, stop, peak in zip(first[begin].tolist(), end.tolist(), strongest.tolist(), strict=True):
        yield Event(drive.id, int(drive.t_ns[start]), int(drive.t_ns[stop]), peak)


def peaks(values: Floats, mask: Array, first: Ints, last: Ints) -> Floats:
    """The largest known of `values` (T,) in each of the spans (S,) of `mask` (T,), where that is true."""
    if not len(first):
        return np.empty(0)
    true = np.flatnonzero(mask)
    ends = np.stack([np.searchsorted(true, first), np.searchsorted(true, last) + 1], axis=-1)
    return np.asarray(np.fmax.reduceat(np.append(values[true], -np.inf), ends.ravel())[::2])


def runs(values: Array) -> tuple[Ints, Ints]:
    """First and last instants of the stretches over which `values` (T,) stays the same."""
    change = np.flatnonzero(values[1:] != values[:-1])
    return np.concatenate([[0], change + 1]), np.concatenate([change, [len(values) - 1]])


def rate(drive: Drive, values: Floats, over_s: float, of: Array | None = None) -> Floats:
    """How fast a column changes, (T,) a second: the difference over `over_s` centred at each instant.

    nan at the ends and across pauses, and where `of` (T,), whose value it is, changes meanwhile.
    """
    now = clock(drive)
    half = max(1, round(over_s / now.period_s / 2))
    out = np.full(len(drive), np.nan)
    if len(drive) <= 2 * half:
        return out
    change = out[half:-half]
    np.subtract(values[2 * half :], values[: -2 * half], out=change)
    change /= now.t_s[2 * half :] - now.t_s[: -2 * half]
    if of is not None:
        change[of[2 * half :] != of[: -2 * half]] = np.nan
    for pause in now.pauses:
        out[max(pause + 1 - half, 0) : pause + 1 + half] = np.nan
    return out
