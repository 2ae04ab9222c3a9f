"""How sure a number is: intervals that travel with every share that we state, and what pairs of drives can prove.

Two drivers of the same scenarios are compared by their paired differences. What is *claimed* rests on exact tests,
because routes are few and their differences skewed: most are near 0, and a collision costs all. What is *drawn* is a
bootstrap interval.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist
from typing import ClassVar

import numpy as np
from scipy.special import stdtrit

from understudy.records import Array, Floats, Ints


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `n`, with the 95 % interval of Wilson (1927), which holds for small n and for shares near 0 and 1."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        """The share itself; nan of nothing."""
        return self.hits / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Low and high; (0, 1) of nothing."""
        if not self.n:
            return 0.0, 1.0
        z = 1.959963984540054
        centre = (self.hits + z * z / 2) / (self.n + z * z)
        reach = z / (self.n + z * z) * math.sqrt(self.hits * (self.n - self.hits) / self.n + z * z / 4)
        return max(0.0, centre - reach), min(1.0, centre + reach)

    def __str__(self) -> str:
        if not self.n:
            return "–"
        low, high = self.interval
        return f"{self.value:.2f} ({low:.2f}–{high:.2f})"


# Pairs ----------------------------------------------------------------------------------------------------------------

_FLIPS = 1 << 14
_RESAMPLES = 4_000
_BETS, _MOST_GROWN = 64, 600.0  # shares of the greatest λ; and what exp can bear


def sign_test(wins: int, losses: int) -> float:
    """How likely so many wins or more are where winning and losing are equally likely: one-sided, ties left out."""
    n = wins + losses
    return float(sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n)


def betting_test(wins: int, losses: int) -> float:
    """As `sign_test`, but to be looked at after every pair: one-sided, ties left out, true at whatever time one stops.

    Somebody bets on "win" before every pair, where winning and losing pay alike: half of the stake as if there were no
    losses at all, half spread evenly over all chances of a win from 1/2 to 1. If there is nothing in it, the stake is
    not multiplied by 1 / p *ever* with a probability of more than p (Ville 1939; Shafer 2021, "Testing by betting").
    Eight wins in a row multiply it by 156, where a sign test with eight looks planned would claim 32.
    """
    n = wins + losses
    certain = 0 if losses else 2**n
    spread = Fraction(sum(math.comb(n + 1, k) for k in range(wins + 1)), (n + 1) * math.comb(n, wins))
    return float(min(Fraction(1), 2 / (certain + spread)))  # a thousand wins are more than a float can hold


def flip_test(differences: Floats) -> float:
    """How likely so large a mean of differences (n,) or a larger one is if each might as well have the other sign.

    Fisher's randomisation test for pairs (1935), one-sided; it is the sign test that also looks at sizes, and exact for
    any n and any skew where swapping the labels of a pair changes nothing. All 2^n signs are tried while they are at
    most 16,384, and else so many random ones, with one added to both counts (Phipson and Smyth 2010). nan is left out.

    Against a margin, `flip_test(d + 0.02)`, it holds for differences that lie evenly about it: a rare great loss leaves
    them all above it until the first is seen. What must hold whatever the skew is asked of `mean_test`.
    """
    d = differences[np.isfinite(differences)]
    if not len(d):
        return 1.0
    signs, drawn = _signs(len(d))
    as_large = int(np.sum(signs @ d >= d.sum() - 1e-9))
    return float((as_large + drawn) / (len(signs) + drawn))


def mean_test(differences: Floats, least: float, bound: float) -> float:
    """How likely such differences (n,) are where their mean is `least` or less, and none lies further than `bound` from
    0: whatever their skew, and to be looked at after every pair.

    Somebody bets on "more" before every pair (Waudby-Smith and Ramdas 2023, "Estimating means of bounded random
    variables by betting"): the stake is multiplied by 1 + λ (d - least), with λ (bound + least) <= 1 so that it never
    falls below 0. Half of the stake is bet with the greatest λ, half is spread evenly over all of them. If the mean is
    no more than `least`, it is not multiplied by 1 / p *ever* with a probability of more than p (Ville 1939). Where
    differences have several means, it holds for the mean of these: a geometric mean is never above the arithmetic one.
    nan is left out.
    """
    d = np.clip(differences[np.isfinite(differences)], -bound, bound)
    share = np.append((np.arange(_BETS) + 0.5) / _BETS, 1.0)
    stake = np.append(np.full(_BETS, 0.5 / _BETS), 0.5)
    with np.errstate(divide="ignore"):
        grown = np.log1p(np.maximum(share[:, None] * (d - least) / (bound + least), -1.0)).sum(axis=1)
    return min(1.0, 1.0 / float(stake @ np.exp(np.minimum(grown, _MOST_GROWN))))


@lru_cache(maxsize=8)
def _signs(n: int) -> tuple[Floats, bool]:
    """Rows of signs (m, n), and whether they were drawn at random."""
    if 1 << n <= _FLIPS:
        return _as_signs(np.arange(1 << n)[:, None] >> np.arange(n) & 1), False
    return _as_signs(np.random.default_rng(n).integers(0, 2, (_FLIPS, n))), True


def _as_signs(bits: Ints) -> Floats:
    return 1.0 - 2.0 * bits.astype(np.float64)


def bootstrap(values: Floats, identity: str, level: float = 0.95) -> tuple[float, float]:
    """The interval of the mean of values (n,) by resampling them 4,000 times; the seed follows from `identity`.

    Percentiles, made `wider` about the mean. (nan, nan) of fewer than two.
    """
    values = values[np.isfinite(values)]
    n = len(values)
    if n < 2:
        return math.nan, math.nan
    means = _resamples(n, identity) @ values / n
    centre, by = float(values.mean()), wider(n, level)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return centre + by * (float(low) - centre), centre + by * (float(high) - centre)


def wider(n: int, level: float = 0.95) -> float:
    """By how much deviations of resampled means of n values are too small: sqrt(n / (n - 1)), for resamples vary less
    than what they were drawn from, and Student's t against the normal distribution, for few values do not tell how
    much they vary (Hesterberg 2015, "What teachers should know about the bootstrap")."""
    tail = (1 + level) / 2
    return float(math.sqrt(n / (n - 1)) * stdtrit(n - 1, tail) / NormalDist().inv_cdf(tail))


def rate_ratio(
    events: Floats, amounts: Floats, other_events: Floats, other_amounts: Floats, identity: str
) -> tuple[float, float, float]:
    """How many times as often per amount (of metres, say) something happens to one as to the other, on the same n
    routes, each (n,): the ratio of two rates, and its 95 % interval by resampling routes.

    The logarithm of the ratio is linearised about what was seen (the delta method: Cochran 1977, "Sampling
    techniques", 6.3), so that a route enters by what it adds to either rate. No interval (nan) where it never happens
    to one of them.
    """
    sums = [float(one.sum()) for one in (events, amounts, other_events, other_amounts)]
    if not all(sums[1:]):
        return math.nan, math.nan, math.nan
    ratio = sums[0] / sums[1] / (sums[2] / sums[3])
    if not ratio:
        return 0.0, math.nan, math.nan
    counts = (events, amounts, other_events, other_amounts)
    shares = [one / total for one, total in zip(counts, sums, strict=True)]
    low, high = bootstrap(math.log(ratio) + len(events) * (shares[0] - shares[1] - shares[2] + shares[3]), identity)
    return ratio, math.exp(low), math.exp(high)


def random_of(identity: str) -> np.random.Generator:
    """Randomness that follows from an identity: the same wherever it is asked for."""
    return np.random.default_rng(list(hashlib.sha256(identity.encode()).digest()[:16]))


@lru_cache(maxsize=64)
def _resamples(n: int, identity: str) -> Array:
    """How often each of n values is drawn in each resample, (_RESAMPLES, n)."""
    random = random_of(identity)
    return random.multinomial(n, np.full(n, 1 / n), _RESAMPLES).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Paired:
    """Differences of n pairs, candidate minus champion: their mean, its 95 % interval, and who won how many."""

    n: int
    mean: float
    low: float
    high: float
    wins: int
    losses: int
    ties: int
    better: float  # one-sided p of the flip test
    worse: float

    TIE: ClassVar[float] = 0.005  # differences below this are ties when wins are counted

    @classmethod
    def of(cls, differences: Floats, identity: str) -> Paired:
        """nan is left out: a pair of which one is unknown says nothing."""
        d = differences[np.isfinite(differences)]
        wins, losses = int((d >= cls.TIE).sum()), int((d <= -cls.TIE).sum())
        mean = float(d.mean()) if len(d) else math.nan
        low, high = bootstrap(d, identity)
        return cls(len(d), mean, low, high, wins, losses, len(d) - wins - losses, flip_test(d), flip_test(-d))


def holm(p: Mapping[str, float], weights: Mapping[str, float] | None = None) -> dict[str, float]:
    """p-values of several hypotheses, adjusted by Holm (1979): those at or below alpha are wrong with at most alpha in
    all, however they depend on each other. `weights` above 0 share the level out; without them all have the same."""
    weights = weights or dict.fromkeys(p, 1.0)
    adjusted: dict[str, float] = {}
    most, left = 0.0, sum(weights[name] for name in p)
    for name in sorted(p, key=lambda name: p[name] / weights[name]):
        most = max(most, min(1.0, left * p[name] / weights[name]))
        adjusted[name] = most
        left -= weights[name]
    return adjusted


def per_look(alpha: float, looks: int) -> float:
    """The level at each of so many looks, planned beforehand, that spends `alpha` in all: an equal share of it.

    By Boole's inequality this holds for every test and every dependence between looks. Constants of Pocock (1977) and
    of O'Brien and Fleming (1979) spend more at some looks, and hold where sums are normal: a few dozen routes of which
    most are ties are not.
    """
    return alpha / looks


# How many routes ------------------------------------------------------------------------------------------------------


def pairing_gain(a: Floats, b: Floats) -> float:
    """How many times as many routes two independent samples need to say as much as pairs (a, b), each (n,).

    The mean of n differences has variance var(a - b) / n, the difference of two means of m routes each
    (var a + var b) / m: equal where m / n = (var a + var b) / var(a - b), which is 1 / (1 - r) for equal variances.
    """
    apart = float(np.var(a - b, ddof=1))
    return float(np.var(a, ddof=1) + np.var(b, ddof=1)) / apart if apart > 0 else math.inf


def routes_needed(deviation: float, effect: float) -> int:
    """Pairs needed to prove a mean difference `effect` > 0 where differences have the standard `deviation`, one-sided
    at 5 %, with a power of 80 %.

    n = ((z(0.95) + z(0.8)) deviation / effect)², by the normal approximation.
    """
    normal = NormalDist()
    return math.ceil(((normal.inv_cdf(0.95) + normal.inv_cdf(0.8)) * deviation / effect) ** 2)
