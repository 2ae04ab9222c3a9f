"""What pairs prove: closed forms first, then error rates by simulation."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from understudy.evidence import (
    Paired,
    Share,
    betting_test,
    bootstrap,
    flip_test,
    holm,
    mean_test,
    pairing_gain,
    per_look,
    rate_ratio,
    routes_needed,
    sign_test,
)


def test_eight_wins_of_eight_are_one_chance_in_256() -> None:
    assert sign_test(8, 0) == 1 / 256
    assert sign_test(0, 0) == 1.0
    assert sign_test(3, 1) == 5 / 16


def test_eight_wins_in_a_row_multiply_the_stake_by_156() -> None:
    assert betting_test(8, 0) == pytest.approx(2 / (256 + 511 / 9))
    assert betting_test(0, 0) == 1.0 and betting_test(0, 8) == 1.0
    assert betting_test(14, 1) < betting_test(12, 1)


def test_a_thousand_wins_in_a_row_are_more_than_a_float_can_hold_and_prove_all() -> None:
    assert betting_test(1100, 0) == 0.0 and betting_test(0, 1100) == 1.0


def test_a_fair_coin_hardly_ever_wins_a_bet_however_often_one_looks() -> None:
    """Exactly, over all ways that 150 tosses can go: those that ever claim, at 0.05, are at most 0.05 of all."""
    going, claimed = {0: 1.0}, 0.0
    for n in range(1, 151):
        after: dict[int, float] = {}
        for wins, share in going.items():
            for more in (0, 1):
                if betting_test(wins + more, n - wins - more) <= 0.05:
                    claimed += share / 2
                else:
                    after[wins + more] = after.get(wins + more, 0.0) + share / 2
        going = after
    assert 0.01 < claimed <= 0.05


def test_flips_of_equal_sizes_are_the_sign_test() -> None:
    assert flip_test(np.array([1.0] * 7 + [-1.0])) == sign_test(7, 1)


def test_flips_look_at_sizes_too() -> None:
    """+3 -1 -1: of the eight signings only +++ (5), +-+ and ++- (3) and this one (1) come to 1 or more."""
    assert flip_test(np.array([3.0, -1.0, -1.0])) == 4 / 8


def test_nothing_is_proven_by_nothing() -> None:
    assert flip_test(np.zeros(30)) == 1.0
    assert flip_test(np.array([np.nan])) == 1.0


def test_a_margin_is_added_to_the_differences() -> None:
    d = np.full(20, -0.01)
    assert flip_test(d) == 1.0
    assert flip_test(d + 0.02) < 1e-3


def test_of_pairs_that_are_all_tied_a_bet_excludes_what_the_rule_of_three_lets_it() -> None:
    """Half of the stake is multiplied by 1 / (1 - m) at every pair; twenty times the whole are wanted."""
    for n, least in ((8, 0.37), (24, 0.143), (48, 0.075), (192, 0.0195)):
        assert mean_test(np.zeros(n), -least, 1.0) <= 0.05 < mean_test(np.zeros(n), -0.9 * least, 1.0)
        assert mean_test(np.zeros(n), -2 * least, 2.0) <= 0.05, "twice as wide, twice the margin"
    assert mean_test(np.array([]), 0.0, 1.0) == 1.0 and mean_test(np.array([np.nan]), 0.0, 1.0) == 1.0


@pytest.mark.parametrize(("loss", "share"), [(1.0, 0.08), (0.5, 0.16), (0.2, 0.4)])
def test_a_bet_against_a_margin_is_right_nineteen_times_in_twenty_whatever_the_skew(loss: float, share: float) -> None:
    """Losses that come to the margin in the mean, looked at after every pair; the test of flips is fooled by them."""
    random = np.random.default_rng(8)
    losses = -loss * (random.random((400, 96)) < share)
    looks = range(6, 97, 6)
    claimed = [any(mean_test(row[:n], -0.08, 1.0) <= 0.05 for n in looks) for row in losses]
    assert np.mean(claimed) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)
    if loss == 1.0:
        flips = [any(flip_test(row[:n] + 0.08) <= 0.05 / 4 for n in (24, 48, 72, 96)) for row in losses]
        assert np.mean(flips) > 0.1


@given(arrays(float, st.integers(1, 30), elements=st.floats(-1, 1)), st.floats(-0.5, 0.5), st.floats(0, 0.5))
def test_who_does_better_on_every_pair_is_never_less_sure_to_be_good_enough(
    d: np.ndarray, least: float, more: float
) -> None:
    p = mean_test(d, least, 1.0)
    assert 0.0 <= p <= 1.0 and mean_test(d + more, least, 1.0) <= p + 1e-12
    assert mean_test(d, least - more / 2, 1.0) <= p + 1e-9


def test_an_advantage_is_seen_with_few_pairs() -> None:
    random = np.random.default_rng(9)
    proven = [mean_test(random.normal(0.1, 0.25, 48).clip(-1, 1), -0.08, 1.0) <= 0.05 for _ in range(200)]
    assert np.mean(proven) > 0.9


@given(arrays(float, st.integers(1, 12), elements=st.floats(-1, 1)))
def test_better_and_worse_cannot_both_be_unlikely(d: np.ndarray) -> None:
    assert flip_test(d) + flip_test(-d) >= 1.0 - 1e-12


def test_what_happens_twice_as_often_on_every_route_does_so_for_sure() -> None:
    events, metres = np.array([1.0, 0.0, 2.0, 0.0, 1.0]), np.array([200.0, 250.0, 180.0, 90.0, 260.0])
    np.testing.assert_allclose(rate_ratio(2 * events, metres, events, metres, "twice"), 2.0)
    np.testing.assert_allclose(rate_ratio(events, metres / 2, 2 * events, metres, "the same"), 1.0)
    ratio, *interval = rate_ratio(0 * events, metres, events, metres, "never")
    assert ratio == 0.0 and np.isnan(interval).all()
    assert np.isnan(rate_ratio(events, metres, 0 * events, metres, "of never")).all()


def test_the_interval_of_a_ratio_of_rates_holds_as_often_as_it_says() -> None:
    random, held = np.random.default_rng(4), []
    for _ in range(300):
        metres = random.uniform(50, 250, (2, 200))
        few, many = random.poisson(metres / 1000 * np.array([[1.0], [2.5]])).astype(float)
        _, low, high = rate_ratio(few, metres[0], many, metres[1], "rates")
        held.append(low <= 0.4 <= high)
    assert np.mean(held) >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / 300)


def test_the_interval_of_many_is_the_normal_one() -> None:
    values = np.random.default_rng(1).normal(0.3, 1.0, 400)
    low, high = bootstrap(values, "many")
    assert np.allclose([low, high], values.mean() + np.array([-1.96, 1.96]) * values.std(ddof=1) / 20, atol=0.01)
    assert bootstrap(values, "many") == (low, high)
    assert np.isnan(bootstrap(np.array([1.0]), "one")).all()


@pytest.mark.parametrize("n", [3, 5, 10])
def test_intervals_of_few_cover_as_often_as_they_say(n: int) -> None:
    random = np.random.default_rng(n)
    found = [bootstrap(random.normal(0.3, 1.0, n), f"{n} {i}") for i in range(1000)]
    assert np.mean([low <= 0.3 <= high for low, high in found]) > 0.93


def test_pairs_that_are_half_unknown_are_left_out() -> None:
    found = Paired.of(np.array([0.2, -0.1, 0.001, np.nan]), "some")
    assert (found.n, found.wins, found.losses, found.ties) == (3, 1, 1, 1)


def test_holm_asks_the_smallest_of_all_and_the_next_of_the_rest() -> None:
    adjusted = holm({"a": 0.01, "b": 0.02, "c": 0.5})
    assert adjusted == pytest.approx({"a": 0.03, "b": 0.04, "c": 0.5})
    assert holm({"a": 0.04, "b": 0.001}) == pytest.approx({"a": 0.04, "b": 0.002})
    assert holm({"a": 0.02, "b": 0.021})["b"] == 0.04, "never below a smaller one's"


def test_weights_share_a_level_out() -> None:
    """Half of it to a, and a quarter to each other; what has been won is shared out again."""
    weights = {"a": 2.0, "b": 1.0, "c": 1.0}
    assert holm({"a": 0.02, "b": 0.5, "c": 0.5}, weights)["a"] == pytest.approx(0.04)
    assert holm({"a": 0.02, "b": 0.02, "c": 0.9}, weights) == pytest.approx({"a": 0.04, "b": 0.04, "c": 0.9})
    assert holm({"a": 0.9, "b": 0.01, "c": 0.9}, weights)["b"] == pytest.approx(0.04)


@given(st.dictionaries(st.text(), st.tuples(st.floats(0, 1), st.floats(0.1, 10)), min_size=1, max_size=6))
def test_weights_reject_what_closed_testing_does(told: dict[str, tuple[float, float]]) -> None:
    """Holm is the closed test of all Bonferroni tests of subsets, with their weights brought to 1."""
    p, weights = ({name: one[k] for name, one in told.items()} for k in (0, 1))
    for name, adjusted in holm(p, weights).items():
        with_it = [s for n in range(len(p)) for s in combinations(p.keys() - {name}, n)]
        worst = max(
            min(min(1.0, p[one] * sum(weights[other] for other in (*s, name)) / weights[one]) for one in (*s, name))
            for s in with_it
        )
        assert adjusted == pytest.approx(worst)


def test_shares_of_the_level_add_up() -> None:
    assert per_look(0.05, 4) * 4 == pytest.approx(0.05)


def test_looking_at_block_ends_promotes_an_equal_one_no_more_than_one_time_in_twenty() -> None:
    """Two suites, four looks, skewed differences whose labels are swapped at random: how often is anything claimed?"""
    random = np.random.default_rng(5)
    repeats, looks, block = 1000, 4, 10
    sizes = random.exponential(0.02, (2, looks * block))  # most routes differ a little,
    sizes[random.random(sizes.shape) < 0.15] = 0.9  # some are lost by one of the two
    claimed = 0
    for _ in range(repeats):
        d = sizes * random.choice([-1.0, 1.0], sizes.shape)
        claimed += any(
            min(holm({str(s): flip_test(row[: look * block]) for s, row in enumerate(d)}).values())
            <= per_look(0.05, looks)
            for look in range(1, looks + 1)
        )
    assert 0.01 < claimed / repeats <= 0.05


def test_pairs_that_share_their_luck_need_fewer_routes() -> None:
    """Routes vary by 0.3, drivers beyond that by 0.1: r = 0.9, ten times the routes unpaired."""
    random = np.random.default_rng(2)
    route = random.normal(0, 0.3, 200_000)
    a, b = (route + random.normal(0, 0.1, len(route)) for _ in range(2))
    assert pairing_gain(a, b) == pytest.approx(1 / (1 - 0.9), rel=0.02)
    assert pairing_gain(a, a) == np.inf


def test_the_number_of_routes_that_the_formula_asks_for_has_the_power_it_says() -> None:
    n = routes_needed(deviation=0.2, effect=0.1)
    assert n == 25
    random = np.random.default_rng(3)
    proven = sum(flip_test(random.normal(0.1, 0.2, n)) <= 0.05 for _ in range(500))
    low, high = Share(proven, 500).interval
    assert low - 0.03 < 0.8 < high + 0.03
