"""Choosing, judging and comparing: closed forms first, then one whole study on a toy fleet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from understudy import workers
from understudy.errors import DataError, SettingsError, UnknownName
from understudy.mine.variety import furthest, whitened
from understudy.network.predict import load
from understudy.network.samples import Samples
from understudy.records import Floats
from understudy.store import Lake
from understudy.study import journal
from understudy.study.ceiling import eventless, happened, oracle
from understudy.study.companion import SHIFTS, together
from understudy.study.design import (
    EVERYDAY,
    KEPT,
    RATES,
    WEATHERS,
    Selection,
    Unit,
    base,
    judges,
    pool,
    routes,
    tours,
    units,
)
from understudy.study.pool import Pool, joined, look, unexplained
from understudy.study.report import CLOSED, comparable, grounds, picture, rows, score, table
from understudy.study.report import KEPT as KEPT_KINDS
from understudy.study.selection import Ground, do, look_at_pools, prepare, run
from understudy.study.strategies import STRATEGIES, choose, excess, ranks, unit, worth
from understudy.study.worth import isotonic, k_of, times
from understudy.worlds import sides
from understudy.worlds.scenario import Scenario

MULTIPLES = np.array([0.0, 1, 2, 4, 8])


def toy(windows: int = 60, seed: int = 0, known: int = 0) -> Pool:
    """Windows of 5 s with two samples each, and signals at random."""
    random = np.random.default_rng(seed)
    names = ("displacement", "consequence", "soft_collision", "unexplained", "entropy", "spread", "agents")
    fired = random.random((windows, 3))
    fired[fired < 0.6] = np.nan
    return Pool(
        rows=np.arange(2 * windows) + 100,
        window=np.repeat(np.arange(windows), 2),
        window_s=5.0,
        drive=np.arange(windows) // 12,
        signals={name: random.random(windows) for name in names},
        embedding=random.normal(size=(windows, 4)),
        lesson=random.normal(size=(windows, 6)),
        triggers=fired,
        known=random.normal(size=(known, 4)),
    )


# Strategies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STRATEGIES)
@settings(max_examples=10)
@given(budget_s=st.floats(0, 400), seed=st.integers(0, 99))
def test_every_strategy_spends_its_budget_to_the_window_and_never_more(name: str, budget_s: float, seed: int) -> None:
    there = toy(known=5)
    chosen = choose(name, there, budget_s, np.random.default_rng(seed))
    assert len(set(chosen.tolist())) == len(chosen) == min(int(budget_s // 5), 60)
    assert len(there.samples(chosen)) == 2 * len(chosen)


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_same_seed_chooses_the_same(name: str) -> None:
    a, b = (choose(name, toy(), 100.0, np.random.default_rng(7)) for _ in range(2))
    assert a.tolist() == b.tolist()


def test_a_strategy_that_is_none_says_which_are() -> None:
    with pytest.raises(UnknownName, match="core_set"):
        choose("core_sat", toy(), 10.0, np.random.default_rng(0))


def test_uniform_is_uniform() -> None:
    chosen = choose("uniform", toy(60), 100.0, np.random.default_rng(3))
    assert set(np.diff(chosen)) == {3}


def test_random_is_uniform_in_the_mean() -> None:
    random = np.random.default_rng(0)
    counts = np.bincount(np.concatenate([choose("random", toy(), 50.0, random) for _ in range(600)]), minlength=60)
    assert np.all(np.abs(counts - 100) < 45)


def test_whitened_points_spread_alike_and_copies_count_once() -> None:
    random = np.random.default_rng(0)
    one, other = random.normal(size=(2, 500))
    points = np.stack([one, one + 1e-9 * other, -3.0 * one, 100.0 * other + 7], axis=1)
    white = whitened(points)
    spread = np.linalg.eigvalsh(np.cov(white.T))
    assert spread[:2].max() < 0.01 and spread[2:] == pytest.approx([1, 1], abs=0.02)
    assert np.isfinite(whitened(np.ones((3, 4)))).all() and np.isfinite(whitened(np.ones((1, 4)))).all()


def test_every_half_of_a_pool_has_one_of_each_pair_of_drives() -> None:
    there = toy(windows=120)  # ten drives of twelve windows
    for seed in range(8):
        kept = np.unique(there.half(np.random.default_rng(seed)).drive)
        assert sorted(kept % 5) == [0, 1, 2, 3, 4]


def test_core_set_covers_the_corners_before_anything_else() -> None:
    """A cloud around the origin and four corners: the corners are the four furthest points."""
    random = np.random.default_rng(0)
    corners = np.array([[9.0, 9.0], [-9.0, 9.0], [9.0, -9.0], [-9.0, -9.0]])
    points = np.concatenate([random.normal(size=(50, 2)), corners])
    assert set(furthest(points, 4, np.zeros((1, 2)), random)) == {50, 51, 52, 53}


@given(arrays(float, (12, 2), elements=st.floats(-9, 9)), st.integers(1, 11))
def test_core_set_covers_within_twice_the_best(points: Floats, count: int) -> None:
    """Gonzalez (1985): the taken points and the next one are pairwise at least as far apart as the radius left."""
    taken = points[furthest(points, count, np.zeros((0, 2)), np.random.default_rng(0))]
    radius = np.hypot(*np.moveaxis(points[:, None] - taken[None], -1, 0)).min(axis=1).max()
    apart = np.hypot(*np.moveaxis(taken[:, None] - taken[None], -1, 0))[np.triu_indices(count, 1)]
    assert apart.min(initial=np.inf) >= radius - 1e-9


@given(
    arrays(float, (12, 2), elements=st.floats(-9, 9)), arrays(float, 12, elements=st.floats(0, 1)), st.integers(1, 11)
)
def test_worth_that_decides_among_the_nearly_furthest_costs_no_more_cover_than_it_says(
    points: Floats, worth: Floats, count: int
) -> None:
    taken = points[furthest(points, count, np.zeros((0, 2)), np.random.default_rng(0), worth, 0.5)]
    radius = np.hypot(*np.moveaxis(points[:, None] - taken[None], -1, 0)).min(axis=1).max()
    apart = np.hypot(*np.moveaxis(taken[:, None] - taken[None], -1, 0))[np.triu_indices(count, 1)]
    assert apart.min(initial=np.inf) >= 0.5 * radius - 1e-9


def test_what_is_known_is_not_taken_again() -> None:
    points = np.array([[0.0, 0.0], [5.0, 0.0]])
    assert furthest(points, 1, np.array([[5.0, 0.1]]), np.random.default_rng(0)).tolist() == [0]


def test_triggers_take_turns_and_the_strongest_goes_first() -> None:
    nan = np.nan
    fired = np.array([[3.0, nan], [2.0, nan], [1.0, nan], [nan, 1.0], [nan, nan]])
    there = toy(5)
    there = replace(there, triggers=fired)
    chosen = choose("triggers", there, 20.0, np.random.default_rng(0)).tolist()
    assert chosen == [0, 3, 1, 2]
    assert choose("triggers", there, 25.0, np.random.default_rng(0)).tolist() == [0, 3, 1, 2, 4]


def test_disagreement_that_no_observation_explains_is_worth_nothing() -> None:
    there = toy()
    there.signals["unexplained"][:] = there["displacement"] + 1.0  # type: ignore[index]
    assert not excess(there).any()


def test_ours_takes_the_most_worth_of_what_is_nearly_as_far() -> None:
    """Ten corners far out and a cloud within: the corners come first, and of them the one of the most worth."""
    turn = 2 * np.pi * np.arange(10) / 10
    corners = 90 * np.stack([np.cos(turn), np.sin(turn), np.zeros(10), np.zeros(10)], axis=1)
    there = toy(60)
    there = replace(there, embedding=np.concatenate([there.embedding[:50], corners]), known=np.zeros((1, 4)))
    chosen = choose("ours", there, 50.0, np.random.default_rng(1)).tolist()
    assert set(chosen) == set(range(50, 60))
    assert chosen[0] == 50 + np.argmax(worth(there)[50:])


def test_a_lesson_is_taken_once_and_what_teaches_nothing_last() -> None:
    """Three windows that would teach the same, one that would teach something else, and many that would nothing."""
    lesson = np.zeros((60, 6))
    lesson[[4, 5, 6], 0], lesson[7, 1] = 3.0, 1.0
    there = replace(toy(60), lesson=lesson)
    chosen = choose("lessons", there, 10.0, np.random.default_rng(0)).tolist()
    assert chosen[0] in (4, 5, 6) and chosen[1] == 7


def test_a_mixture_is_half_triggers_and_half_what_is_unlike_them() -> None:
    there = toy(60, known=2)
    chosen = choose("mixture", there, 50.0, np.random.default_rng(0)).tolist()
    assert chosen[:5] == choose("triggers", there, 25.0, np.random.default_rng(0)).tolist()
    known = replace(there, known=np.concatenate([there.known, there.embedding[chosen[:5]]]))
    assert chosen[5:] == choose("core_set", known, 25.0, np.random.default_rng(0)).tolist()


def test_half_of_a_pool_is_half_of_its_drives_and_all_that_is_known_of_them() -> None:
    there = toy(60)  # five drives of twelve windows
    half = there.half(np.random.default_rng(0))
    kept = np.flatnonzero(np.isin(there.drive, half.drive))
    assert len(np.unique(half.drive)) == 2 and len(half) == 24
    assert half.samples(np.array([3, 20])).tolist() == there.samples(kept[[3, 20]]).tolist()
    assert half["entropy"].tolist() == there["entropy"][kept].tolist()
    assert half.embedding.tolist() == there.embedding[kept].tolist()
    assert half.lesson.tolist() == there.lesson[kept].tolist()
    assert half.drive.tolist() != there.half(np.random.default_rng(1)).drive.tolist()


def test_ranks_and_units() -> None:
    assert ranks(np.array([5.0, 1.0, 5.0, 9.0])).tolist() == [0.25, 0.0, 0.25, 0.75]
    assert unit(np.array([2.0, 4.0, 3.0])).tolist() == [0.0, 1.0, 0.5]
    assert unit(np.ones(3)).tolist() == [0.0, 0.0, 0.0]


def test_where_all_drove_alike_all_is_explained_and_where_they_did_not_it_is_not() -> None:
    """Two situations, ten drives in each; in the second half of them stop and half go 8 m."""
    embedding = np.repeat([[0.0, 0.0], [100.0, 0.0]], 20, axis=0)
    paths = np.zeros((40, 8, 4))
    paths[20::2, :, 0] = 8.0
    spread = unexplained(embedding, paths, np.arange(40))
    assert np.allclose(spread[:20], 0.0)
    assert np.all((spread[20:] > 2.5) & (spread[20:] <= 4.0))  # two values 8 m apart are 4 m from their mean


def test_a_pool_is_read_as_it_was_written(tmp_path: Path) -> None:
    there = toy(known=3)
    there.save(tmp_path / "pool.npz")
    again = Pool.read(tmp_path / "pool.npz")
    assert again.window_s == there.window_s and again.signals.keys() == there.signals.keys()
    assert all(np.array_equal(again[name], there[name]) for name in there.signals)
    for name in ("rows", "window", "embedding", "lesson", "triggers", "known"):
        assert np.array_equal(getattr(again, name), getattr(there, name), equal_nan=True)


# k --------------------------------------------------------------------------------------------------------------------


def test_k_is_exact_on_a_law_of_the_logarithm() -> None:
    curve = np.array([0.2, 0.4, 0.5, 0.6, 0.7])  # 0.4 + 0.1 log2 m
    for k in (1.0, 1.5, 2.0, 3.3, 7.9):
        assert times(MULTIPLES, curve, 0.4 + 0.1 * np.log2(k)) == pytest.approx(k)
    assert times(MULTIPLES, curve, 0.3) == pytest.approx(0.5)  # half the way from nothing to the budget
    assert times(MULTIPLES, curve, 0.1) == 0.0
    assert times(MULTIPLES, curve, 0.71) == np.inf


def test_a_dent_in_the_curve_is_levelled_and_a_plateau_is_reached_at_its_beginning() -> None:
    assert isotonic(np.array([1.0, 3.0, 2.0, 4.0])).tolist() == [1.0, 2.5, 2.5, 4.0]
    assert times(MULTIPLES, np.array([0.0, 0.5, 0.7, 0.3, 1.0]), 0.5) == pytest.approx(1.0)


@given(arrays(float, 6, elements=st.floats(-5, 5)))
def test_isotonic_never_falls_keeps_the_mean_and_leaves_what_rises(values: Floats) -> None:
    found = isotonic(values)
    assert np.all(np.diff(found) >= -1e-12) and found.mean() == pytest.approx(values.mean(), abs=1e-9)
    assert np.allclose(isotonic(np.sort(values)), np.sort(values))


def test_the_interval_of_k_covers_the_truth() -> None:
    """Five seeds with an error of their own and one for each unit; the true k is 3."""
    random = np.random.default_rng(0)
    truth = np.array([0.2, 0.4, 0.5, 0.6, 0.7])
    score, covered, trials = 0.4 + 0.1 * np.log2(3.0), 0, 120
    for trial in range(trials):
        own = random.normal(0, 0.05, (5, 1))
        noise = random.normal(0, 0.03, (5, 6))
        found = k_of(MULTIPLES, truth + own + noise[:, :5], score + own[:, 0] + noise[:, 5], f"trial {trial}")
        covered += found.low <= 3.0 <= found.high
        assert found.low <= found.k <= found.high
    assert covered / trials > 0.92


def test_one_seed_has_no_interval_and_a_study_without_random_at_the_budget_is_refused() -> None:
    found = k_of(MULTIPLES, np.array([[0.2, 0.4, 0.5, 0.6, 0.7]]), np.array([0.9]), "one")
    assert str(found) == "never (one seed)" and np.isnan(found.low) and found.gain == pytest.approx(0.5)
    with pytest.raises(DataError, match="at the budget and at multiples"):
        k_of(np.array([0.0, 2.0]), np.zeros((2, 2)), np.zeros(2), "x")


# The companion --------------------------------------------------------------------------------------------------------


def test_the_second_stage_is_that_of_the_start_where_the_first_plan_ended() -> None:
    starts = np.zeros((1, 3, 2))
    starts[0, :, 1] = [0.0, 2.0, -2.0]
    second = np.array([[0.9, 0.5, 0.1]])
    for at, expected in ((0.0, 0.9), (2.0, 0.5), (-3.0, 0.1)):
        assert together(second, starts, np.array([[30.0, at]]))[0] == pytest.approx(expected, abs=1e-6)
    assert together(second, starts, np.array([[0.0, 1.0]]))[0] == pytest.approx(0.7)  # half way between two
    assert np.isnan(together(np.full((1, 3), np.nan), starts, np.zeros((1, 2)))[0])


def test_one_of_the_shifts_is_none() -> None:
    assert not SHIFTS[0].any() and len(np.unique(SHIFTS, axis=0)) == len(SHIFTS)


# The design -----------------------------------------------------------------------------------------------------------


def test_what_is_learned_from_and_what_judges_lie_in_towns_of_different_sides() -> None:
    design = Selection()
    learned = {tour.scenario.town for tour in (*base(design), *(tour for rate in RATES for tour in pool(design, rate)))}
    judging = {tour.scenario.town for rate in RATES for group in judges(design, rate).values() for tour in group}
    judging |= {Scenario.parse(one).town for rate in RATES for own in routes(design, rate).values() for one in own}
    assert {sides.side(town) for town in learned} == {"train"}
    assert {sides.side(town) for town in judging} == {"regression"}
    assert not {t.scenario.town for t in base(design)} & {t.scenario.town for t in pool(design, "default")}


def test_a_tenth_of_the_drives_has_events_and_drives_of_both_pools_are_driven_once() -> None:
    design = Selection()
    events = [tour.scenario.event for tour in pool(design, "tenth")]
    assert events.count("tail") == len(events) / 10
    assert len({tour.name for tour in tours(design)}) == len(tours(design))
    assert set(judges(design, "tenth")) == {EVERYDAY, *KEPT} and len(KEPT) == 5


def test_in_a_pool_of_weather_every_tenth_drive_has_one_that_nothing_else_has_and_they_judge() -> None:
    design = Selection(rates=RATES, routes=12)
    weathers = [tour.scenario.weather for tour in pool(design, "weather")]
    assert weathers.count("clear") == 0.9 * len(weathers) and set(weathers) == {"clear", *WEATHERS}
    others = (*base(design), *pool(design, "default"), *pool(design, "tenth"))
    assert {tour.scenario.weather for tour in others} == {"clear"}
    for name, own in judges(design, "weather").items():
        assert {tour.scenario.weather for tour in own} == {"clear" if name == EVERYDAY else name}
    for name, scenarios in routes(design, "weather").items():
        assert {Scenario.parse(one).weather for one in scenarios} == {"clear" if name == EVERYDAY else name}
        assert len(scenarios) == (6 if name == EVERYDAY else 2)
    assert len({tour.name for tour in tours(design)}) == len(tours(design))


def test_every_unit_is_there_once_and_seeds_are_whole() -> None:
    design = Selection(seeds=2)
    found = list(units(design))
    assert len(set(found)) == len(found) == 2 * 2 * (len(design.multiples) + len(design.strategies))
    assert [unit.seed for unit in found] == sorted(unit.seed for unit in found)


def test_a_pool_that_is_too_small_is_refused() -> None:
    with pytest.raises(SettingsError, match="make the pool larger"):
        Selection(pool_drives=1)
    with pytest.raises(SettingsError, match="some for each of two groups"):
        Selection(routes=1)
    with pytest.raises(SettingsError, match="got none"):
        Selection(kinds=())
    with pytest.raises(SettingsError, match="known: default, tenth"):
        Selection(rates=("often",))


# The journal ----------------------------------------------------------------------------------------------------------


@given(cut=st.integers(0, 60))
def test_a_torn_last_line_is_dropped_and_the_next_one_is_whole(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "deep" / "study.jsonl"
    for number in range(3):
        journal.append(path, {"unit": number})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - cut % len(data)])
    there = len(journal.read(path))
    journal.append(path, {"unit": "new"})
    assert [line["unit"] for line in journal.read(path)] == [*range(there), "new"]
    assert path.read_bytes().endswith(b"\n")


def test_a_journal_with_something_else_in_it_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "study.jsonl"
    path.write_text('{"unit": 1}\nsomething else\n')
    with pytest.raises(DataError, match="line 2"):
        journal.read(path)
    assert journal.read(tmp_path / "none.jsonl") == []


def test_a_line_says_where_it_was_made_and_names_nobody() -> None:
    assert set(journal.machine()) == {"processor", "cores", "memory_gib", "python"}
    assert journal.commit().rstrip("+").isalnum() or journal.commit() == ""


# The report -----------------------------------------------------------------------------------------------------------


def told(strategy: str, multiple: int, seed: int, score: float, **settings: object) -> dict[str, object]:
    kinds = (EVERYDAY, "debris", "wrong_way")
    judged = {kind: {"n": 8, "score": score, "displacement": 3 - score} for kind in kinds}
    closed = {kind: {"n": 1, "driving_score": score / 2} for kind in kinds}
    return {
        "rate": "default", "strategy": strategy, "multiple": multiple, "seed": seed, "seconds": 100.0 * multiple,
        "companion": judged, "closed_loop": closed, "dataset": "d", "start": "s",
        "settings": {"steps": 3, "seeds": 2, **settings},
    }  # fmt: skip


def journalled() -> list[dict[str, object]]:
    """Random's law is 0.5 + 0.1 log2 m (0.4 from nothing), the strategy is at 0.6: k = 2."""
    law = {0: 0.4, 1: 0.5, 2: 0.6, 4: 0.7}
    lines = [told("random", m, seed, y + 0.01 * seed) for seed in range(3) for m, y in law.items()]
    return lines + [told("ours", 1, seed, 0.6 + 0.01 * seed) for seed in range(3)]


def test_a_journal_says_what_a_strategy_is_worth() -> None:
    found = list(rows(journalled()))
    assert [(row.strategy, row.seconds) for row in found[:5]] == [
        *[("random", 100.0 * multiple) for multiple in (0, 1, 2, 4)], ("ours", 100.0),
    ]  # fmt: skip
    assert [row.group for row in found] == [EVERYDAY] * 5 + ["kept kinds"] * 5
    for row in (found[4], found[9]):
        assert row.worth is not None and row.worth.seeds == 3
        assert row.worth.k == pytest.approx(2.0) and row.worth.gain == pytest.approx(0.1)
    by_metres = list(rows(journalled(), "displacement"))[4].worth
    assert by_metres is not None and by_metres.k == pytest.approx(2.0)  # less is more
    driven = list(rows(journalled(), CLOSED))[4]
    assert driven.score == pytest.approx(0.305) and driven.worth is not None and driven.worth.k == pytest.approx(2.0)


def test_kinds_that_hardly_happen_hardly_count() -> None:
    line = told("ours", 1, 0, 0.6)
    line["companion"] = {
        EVERYDAY: {"n": 5, "score": 0.1},
        "debris": {"n": 8, "score": 0.6},
        "red_light_runner": {"n": 2, "score": 0.1},
    }
    assert score(line, KEPT_KINDS) == pytest.approx(0.5) and score(line, EVERYDAY) == 0.1


def test_only_what_starts_alike_and_is_trained_alike_is_compared() -> None:
    other = [told("random", 1, 0, 0.9, steps=4)]
    assert len(comparable([*other, *journalled()])) == 15
    assert comparable([*journalled(), *other]) == other
    assert len(comparable([told("random", 1, 0, 0.9, seeds=5), *journalled()])) == 16
    assert grounds([*other, *journalled(), *other]) == [journalled(), [*other, *other]] and comparable([]) == []


def test_without_replay_alone_there_is_a_gain_and_no_k() -> None:
    """Nor where only one of the seeds has it; k comes with the last of them."""
    lines = [line for line in journalled() if line["multiple"]]
    (one, *_) = [row for row in rows(lines) if row.strategy == "ours"]
    assert one.worth is not None and one.worth.seeds == 3 and str(one.worth) == ""
    assert one.worth.gain == pytest.approx(0.1) and np.isnan([one.worth.k, one.worth.low, one.worth.high]).all()
    assert "nan" not in table([one])
    (one, *_) = [row for row in rows([*lines, told("random", 0, 1, 0.4)]) if row.strategy == "ours"]
    assert one.worth is not None and one.worth.seeds == 3 and str(one.worth) == ""


def test_a_table_and_a_picture_show_every_row() -> None:
    found = list(rows(journalled()))
    assert table(found).count("\n") == 2 + len(found) and "2.00 (2.00 to 2.00)" in table(found)
    drawn = ElementTree.fromstring(picture(found))
    assert len(drawn.findall(".//{*}polyline")) == 2
    assert "nan" not in picture(list(rows(journalled()[:4])))  # one seed has no interval


def test_the_oracle_takes_every_window_of_what_judges_kinds_in_turn() -> None:
    there = {kind: np.zeros(60, bool) for kind in ("debris", "wrong_way", "cut_in")}
    there["debris"][:20], there["wrong_way"][18:22], there["cut_in"][40:] = True, True, True
    random = np.random.default_rng(0)
    few = oracle(there, ("debris", "wrong_way", "red_light_runner"), 8, random)
    assert there["debris"][few].sum() >= 4 and there["wrong_way"][few].sum() == 4 and not there["cut_in"][few].any()
    many = oracle(there, ("debris", "wrong_way"), 30, random)
    assert len(set(many.tolist())) == 30 and set(range(22)) <= set(many.tolist())


def test_without_events_is_without_events() -> None:
    there = {"debris": np.arange(60) < 20, "cut_in": np.arange(60) >= 40}
    random = np.random.default_rng(0)
    assert set(eventless(there, (), 100, random).tolist()) == set(range(20, 40))
    assert len(eventless(there, (), 7, random)) == 7


# The whole of it ------------------------------------------------------------------------------------------------------

TINY = Selection(
    rates=("default",),
    strategies=("ours",),
    multiples=(0, 1),
    seeds=1,
    budget_s=10.0,
    drive_minutes=0.3,
    base_drives=1,
    pool_drives=4,
    everyday_drives=1,
    kinds=("debris",),
    kind_drives=1,
    kind_minutes=0.3,
    start_steps=2,
    steps=2,
    batch=4,
    instants=6,
    routes=2,
    route_s=2.0,
)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    pytest.importorskip("sumo")
    ground = prepare(Lake(tmp_path_factory.mktemp("study") / "lake"), TINY)
    look_at_pools(ground)
    return ground


def test_a_study_is_done_unit_by_unit_and_nothing_is_done_twice(ground: Ground, tmp_path: Path) -> None:
    path = tmp_path / "selection.jsonl"
    (one,) = run(ground, path, "first", most=1)
    assert one["strategy"] == "random" and one["multiple"] == 0 and one["seconds"] == 0.0
    lines = run(ground, path, "second")
    assert [(line["strategy"], line["seconds"]) for line in lines] == [
        ("random", 0.0),
        ("random", 10.0),
        ("ours", 10.0),
    ]
    assert [line["command"] for line in lines] == ["first", "second", "second"]
    for line in lines:
        assert 0 <= line["companion"][EVERYDAY]["score"] <= 1 and line["companion"][EVERYDAY]["n"] == 6
        assert line["closed_loop"][EVERYDAY]["n"] == 1
    before = path.read_bytes()
    assert run(ground, path, "third") == lines and path.read_bytes() == before


def test_a_unit_gives_the_same_again(ground: Ground) -> None:
    a, b = (do(ground, Unit("default", "ours", 1, 0)) for _ in range(2))
    assert a["companion"] == b["companion"]


def test_what_happened_is_what_the_truth_of_a_drive_tells(ground: Ground) -> None:
    lake, samples = Lake(ground.root), Samples(Lake(ground.root), ground.dataset)
    (tour,) = judges(TINY, "default")["debris"]
    looked = look(lake, samples, tour.drive, load(lake, ground.start)[0], TINY.window_s)
    known = joined([looked], np.zeros((0, looked.embedding.shape[1])), TINY.window_s)
    truth = lake.drive(tour.drive).truth
    assert truth and truth.events
    stamps = samples.column("t_ns")[known.rows]
    for kind, windows in happened(lake, samples, known).items():
        own = [event for event in truth.events if event.trigger == kind]
        during = np.any([(stamps >= event.start_ns) & (stamps <= event.end_ns) for event in own], axis=0)
        assert windows.any() and set(np.flatnonzero(windows)) == set(known.window[during])


def test_a_unit_may_know_the_truth_where_it_is_a_ceiling(ground: Ground) -> None:
    assert do(ground, Unit("default", "oracle", 1, 0))["seconds"] == 10.0


def test_a_study_that_is_prepared_again_drives_looks_and_trains_nothing(ground: Ground) -> None:
    assert prepare(Lake(ground.root), TINY) == ground
    looked: list[workers.Outcome] = []
    look_at_pools(ground, tell=lambda outcome, _: looked.append(outcome))
    assert not looked
