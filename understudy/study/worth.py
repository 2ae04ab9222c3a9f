"""How much a way of choosing is worth: k, the number of times more seconds that random needs for the same score.

Random was given 1, 2, 4, 8 times the budget (and 0 times: replay alone). Its scores are made monotone, for more of the
same cannot teach less (isotonic regression by pooling adjacent violators, Ayer et al. 1955), and joined by lines: over
the logarithm of the seconds between budgets, for learning curves are near to straight there, over the seconds below the
first. k is where that curve first reaches the strategy's score; inf where it never does.

The interval is a bootstrap over seeds: a seed is drawn with all that was done under it, so what is common to a seed
stays paired; the deviations are made `evidence.wider`, for few seeds look too sure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.errors import DataError
from understudy.evidence import random_of, wider
from understudy.records import Floats

_RESAMPLES = 4_000


def isotonic(values: Floats) -> Floats:
    """The non-decreasing values (..., n) nearest to `values` in squares.

    Each is the largest, over where a stretch that holds it may begin, of the smallest mean, over where it may end.
    """
    n = values.shape[-1]
    total = np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)], axis=-1)
    first, last = np.arange(n)[:, None], np.arange(n)
    mean = (total[..., None, 1:] - total[..., :-1, None]) / np.maximum(last - first + 1, 1)  # (..., first, last)
    least = np.minimum.accumulate(np.where(last >= first, mean, np.inf)[..., ::-1], axis=-1)[..., ::-1]
    return np.asarray(np.where(last >= first, least, -np.inf).max(axis=-2))


def times(multiples: Floats, curve: Floats, score: Floats | float) -> Floats:
    """The smallest multiple at which random's curve (..., n) reaches `score` (...,); inf where it never does.

    `multiples` (n,) ascend; the curve is made monotone first. A score at or below its beginning gives the first.
    """
    rising, score = isotonic(np.asarray(curve)), np.asarray(score)[..., None]
    after = np.argmax(rising >= score, axis=-1)[..., None]
    before = np.maximum(after - 1, 0)
    y0, y1 = np.take_along_axis(rising, before, -1), np.take_along_axis(rising, after, -1)
    share = np.clip((score - y0) / np.where(y1 > y0, y1 - y0, 1.0), 0.0, 1.0)
    low, high = multiples[before], multiples[after]
    by_logarithm = low * (high / np.where(low > 0, low, 1.0)) ** share
    found = np.where(low > 0, by_logarithm, low + share * (high - low))
    return np.asarray(np.where(score > rising[..., -1:], np.inf, found)[..., 0])


@dataclass(frozen=True, slots=True)
class Worth:
    """k of a strategy with its 95 % interval, and the strategy's score less random's at the same budget, likewise.

    k is nan where random was not also judged without any choice: less than once is then not to be told.
    """

    seeds: int
    k: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float

    def __str__(self) -> str:
        if np.isnan(self.k):
            return ""
        if self.seeds < 2:
            return f"{_told(self.k)} (one seed)"
        return f"{_told(self.k)} ({_told(self.low)} to {_told(self.high)})"


def _told(k: float) -> str:
    return "never" if np.isinf(k) else f"{k:.2f}"


def k_of(multiples: Floats, random: Floats, scores: Floats, identity: str) -> Worth:
    """k from random's scores (seeds, n) at `multiples` (n,), 1 among them, and the strategy's (seeds,) at 1."""
    multiples, random, scores = np.asarray(multiples, float), np.asarray(random, float), np.asarray(scores, float)
    if random.shape != (len(scores), len(multiples)) or 1.0 not in multiples:
        raise DataError(f"k wants random at the budget and at multiples of it, for each seed; got {multiples.tolist()}")
    everything = np.column_stack([random, scores])  # (seeds, n + 1)
    seeds, once = len(scores), int(np.flatnonzero(multiples == 1.0)[0])
    centre = everything.mean(axis=0)
    gain = float(centre[-1] - centre[once])
    told = multiples[0] == 0.0
    k = float(times(multiples, centre[:-1], centre[-1])) if told else np.nan
    if seeds < 2:
        return Worth(seeds, k, np.nan, np.nan, gain, np.nan, np.nan)
    rng = random_of(identity)
    drawn = rng.multinomial(seeds, np.full(seeds, 1 / seeds), _RESAMPLES) @ everything / seeds
    drawn = centre + wider(seeds) * (drawn - centre)
    found = times(multiples, drawn[:, :-1], drawn[:, -1])
    gains = drawn[:, -1] - drawn[:, once]
    low, high = np.quantile(found, [0.025, 0.975], method="inverted_cdf") if told else (np.nan, np.nan)
    gain_low, gain_high = np.quantile(gains, [0.025, 0.975])
    return Worth(seeds, k, float(low), float(high), gain, float(gain_low), float(gain_high))
