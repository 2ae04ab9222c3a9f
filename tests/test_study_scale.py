"""The study of scale: nested shares of drives, rows over seeds and places, and a whole one on the sample drives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.learning import sample_lake
from understudy.errors import DataError, SettingsError, UnknownName
from understudy.network.predict import load
from understudy.network.samples import Samples
from understudy.study.scale import SCORE, SHOWN, Scale, chosen, comparable, curves, rows, run, table, units

NAMES = st.lists(st.text("abcdefgh:0123456789", min_size=1), min_size=1, unique=True)


@given(NAMES, st.floats(0.01, 1), st.floats(0.01, 1), st.randoms())
def test_a_larger_share_has_all_drives_of_a_smaller_one(drives: list[str], a: float, b: float, random: Any) -> None:
    small, large = (chosen(drives, share) for share in sorted((a, b)))
    assert set(small) <= set(large) <= set(drives) and small
    assert set(chosen(drives, 1.0)) == set(drives)
    again = random.sample(drives, len(drives))
    assert chosen(again, a) == chosen(drives, a), "their names alone decide"


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(SettingsError, match="above 0 and at most 1"):
        Scale(shares=(0.0, 1.0))
    with pytest.raises(UnknownName, match="nano"):
        Scale(sizes=("nanno",))


# The report -----------------------------------------------------------------------------------------------------------


def line(size: str, instants: int, seed: int, score: float, **settings: object) -> dict[str, Any]:
    """Four places judge; what is measured is the score itself, and the score of two places a tenth about it."""
    return {
        "size": size, "instants": instants, "seed": seed, "drives": instants // 100, "ground": "here",
        "parameters": {"nano": 10, "small": 70}[size],
        "measured": {**dict.fromkeys(SHOWN, score), SCORE: score},
        "scores": {"a": score - 0.1, "b": score, "c": score + 0.1, "d": score},
        "settings": {"steps": 3, "seeds": 2, "sizes": ["nano"], "shares": [1.0], **settings},
    }  # fmt: skip


LINES = [line(size, instants, seed, instants / 1000 + seed / 10)
         for seed in range(2) for size in ("small", "nano") for instants in (500, 100)]  # fmt: skip


def test_rows_go_by_parameters_and_instants_and_are_means_over_seeds() -> None:
    found = list(rows(LINES))
    assert [(row.size, row.instants) for row in found] == [
        ("nano", 100), ("nano", 500), ("small", 100), ("small", 500),
    ]  # fmt: skip
    for row in found:
        assert row.seeds == 2 and row.score == pytest.approx(row.instants / 1000 + 0.05)
        assert row.low < row.score < row.high and row.high - row.low < 0.5
        assert list(row.measured.values()) == pytest.approx([row.score] * len(SHOWN))
    assert not list(rows([]))
    twice = [line("nano", 100, 0, 0.5), line("nano", 100, 0, 0.5)]
    assert [row.seeds for row in rows(twice)] == [1], "of few drives two shares may be the same"


def test_only_what_is_trained_alike_is_compared() -> None:
    other = [line("nano", 100, 0, 0.5, steps=4)]
    assert comparable([*other, *LINES]) == LINES and comparable([*LINES, *other]) == other and comparable([]) == []
    assert comparable([{**LINES[0], "ground": "elsewhere"}, *LINES]) == LINES
    assert len(comparable([line("nano", 100, 3, 0.5, seeds=9, shares=[0.5]), *LINES])) == len(LINES) + 1


def test_a_table_and_a_picture_show_every_row() -> None:
    found = list(rows(LINES))
    assert table(found).count("\n") == 2 + len(found) and "0.150" in table(found)
    drawn = ElementTree.fromstring(curves(found))
    assert len(drawn.findall(".//{*}polyline")) == 4 and len(drawn.findall(".//{*}circle")) == 2 * len(found) + 2


# The whole of it ------------------------------------------------------------------------------------------------------

TINY = Scale(sizes=("nano",), shares=(1.0, 0.5), steps=2, batch=4, held_out=0.5)


def test_every_share_is_trained_and_judged_once_where_nobody_learned(tmp_path: Path) -> None:
    lake, journal = sample_lake(tmp_path), tmp_path / "scale.jsonl"
    half, whole = run(lake, TINY, journal, "first")
    assert (half["share"], whole["share"]) == (0.5, 1.0) and 0 < half["instants"] < whole["instants"]
    samples = Samples(lake, whole["dataset"])
    assert whole["instants"] == int((~samples.test).sum()) and whole["judged"] == int(samples.test.sum())
    assert not set(whole["scores"]) & set(samples.places)
    assert all(0 <= score <= 1 for score in whole["scores"].values())
    network, about = load(lake, half["model"])
    assert network.size.name == "nano" and about["places"] == samples.places, "its network stays in the lake"

    before = journal.read_bytes()
    assert run(lake, TINY, journal, "again") == [half, whole] and journal.read_bytes() == before
    more = run(lake, replace(TINY, seeds=2), journal, "more")
    assert more[:2] == [half, whole] and [one["seed"] for one in more[2:]] == [1, 1]
    assert [one.share for one in units(replace(TINY, seeds=2))] == [0.5, 1.0, 0.5, 1.0]

    with pytest.raises(DataError, match="held out"):
        run(lake, replace(TINY, held_out=0.0), journal)
