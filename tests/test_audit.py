"""Shares, their intervals, and triggers held against what happened."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.audit import audit
from understudy.evidence import Share
from understudy.records import NS, Event
from understudy.worlds.events import KINDS


def at(trigger: str, start: float, end: float, drive: str = "a") -> Event:
    return Event(drive, int(start * NS), int(end * NS), 1.0, trigger)


def test_wilsons_interval_against_worked_examples() -> None:
    """Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    for hits, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        assert Share(hits, n).interval == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 200), st.integers(1, 200))
def test_an_interval_holds_its_share_and_stays_within_zero_and_one(hits: int, n: int) -> None:
    share = Share(min(hits, n), n)
    low, high = share.interval
    assert 0 <= low <= share.value + 1e-12 and share.value - 1e-12 <= high <= 1


def test_nothing_is_known_of_nothing() -> None:
    assert Share(0, 0).interval == (0, 1) and str(Share(0, 0)) == "–"


def test_recall_counts_occurrences_that_any_named_trigger_marked() -> None:
    truth = [at("cut_in", 10, 12), at("cut_in", 50, 52), at("cut_in", 90, 92), at("debris", 30, 31)]
    marks = [
        at("close", 11, 11.5),
        at("brake", 13.5, 14),
        at("brake", 51, 53),
        at("brake", 70, 71),
        at("other", 90, 91),
    ]
    found = audit(truth, marks, {"cut_in": ("close", "brake"), "debris": ("brake",)}, hours=0.5)
    cut_in, debris = found.kinds
    assert (cut_in.recall.hits, cut_in.recall.n) == (2, 3)
    assert cut_in.first == {"close": 1, "brake": 2}
    assert (debris.recall.hits, debris.recall.n) == (0, 1)
    brake = next(one for one in found.triggers if one.trigger == "brake")
    assert (brake.precision.hits, brake.precision.n) == (2, 3)
    assert brake.per_hour == 6
    assert next(one for one in found.triggers if one.trigger == "other").precision.n == 0


def test_a_mark_in_another_drive_catches_nothing() -> None:
    found = audit([at("cut_in", 10, 12, "a")], [at("close", 10, 12, "b")], {"cut_in": ("close",)}, hours=1)
    assert found.kinds[0].recall.hits == 0


def test_a_kind_that_never_happened_is_listed_with_nothing() -> None:
    found = audit([], [], {"cut_in": ("close",)}, hours=1)
    assert found.kinds[0].recall.n == 0


def test_the_page_of_the_city_names_every_kind_with_its_triggers_and_those_kept_for_judging() -> None:
    page = (Path(__file__).parents[1] / "docs/city.md").read_text()
    table = page.partition("## The long tail")[2].partition("##")[0].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table if line.startswith("| `")]
    told = {row[0].strip("`"): row[1:] for row in rows}
    assert told.keys() == KINDS.keys()
    for name, kind in KINDS.items():
        triggers, kept = told[name][1], told[name][2]
        assert triggers == ", ".join(f"`{trigger}`" for trigger in kind.triggers) and (kept == "yes") == kind.kept
