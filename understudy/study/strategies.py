"""Ways to choose windows of a pool within a budget. Each is a function (pool, count, random) to the windows chosen.

Names that compare:

random        what everybody does
uniform       evenly in time
entropy       the model is torn between its modes (uncertainty sampling, Lewis and Gale 1994)
spread        the model says itself how far off it expects to be
core_set      k-centre greedy on embeddings (Sener and Savarese 2018): near to nothing that is known
active_ad     displacement, soft collision and agent uncertainty in equal parts, each normalised to [0, 1]: the three
              criteria of ActiveAD (Lu et al. 2024, arXiv 2403.02877), with what our network offers: the uncertainty of
              agents is the entropy of the cells that may hold one, for it does not forecast them one by one

and what we try:

disagreement  how far the plan in the shadow was from what was driven
consequence   how much worse than what was driven the plan would have scored
explained     disagreement less what no observation explains: the spread of what was driven next where all looked alike
surprising    how many times that spread (and a metre) the disagreement was
triggers      triggers take turns, the strongest first, as mining does
worth         explained disagreement, consequence and triggers together
worth_first   of three times as many as are wanted, those of the most worth, the ones furthest apart
lessons       as `core_set`, by what each would teach the planner: the gradient of its losses
mixture       as turns do: half of it triggers, the other half as `core_set`
ours          variety first: of the windows that are nearly the furthest from all that is known, the one of the most
              worth, again and again
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from understudy.errors import UnknownName
from understudy.mine.variety import furthest
from understudy.records import Floats, Ints
from understudy.study.pool import Pool

Strategy = Callable[[Pool, int, np.random.Generator], Ints]
_NEARLY = 0.9  # of the greatest distance: between windows at least so far `ours` lets worth decide
_SHORTLIST = 3  # times as many as are wanted: from these `worth_first` takes those furthest apart


def choose(name: str, pool: Pool, budget_s: float, random: np.random.Generator) -> Ints:
    """The windows that a strategy chooses, as many as the budget pays for; UnknownName for a strategy that is none."""
    if name not in STRATEGIES:
        raise UnknownName("strategy", name, STRATEGIES)
    return STRATEGIES[name](pool, pool.affords(budget_s), random)


# The usual ones -------------------------------------------------------------------------------------------------------


def at_random(pool: Pool, count: int, random: np.random.Generator) -> Ints:
    """`count` windows, all equally likely."""
    return random.permutation(len(pool))[:count]


def uniform(pool: Pool, count: int, random: np.random.Generator) -> Ints:
    """Every so manyth window, from a random first one on."""
    places = (np.arange(count) + random.random()) * len(pool) / max(count, 1)
    return np.minimum(places.astype(np.int64), len(pool) - 1)


def by(signal: str) -> Strategy:
    """Those windows in which a signal is largest."""
    return lambda pool, count, random: top(pool[signal], count, random)


def core_set(pool: Pool, count: int, random: np.random.Generator) -> Ints:
    """The window furthest from all that is known, and again, each chosen one being known from then on."""
    return furthest(pool.embedding, count, pool.known, random)


def active_ad(pool: Pool, count: int, random: np.random.Generator) -> Ints:
    """The largest sums of the three criteria, each brought to [0, 1] over the pool."""
    value = unit(pool["displacement"]) + unit(pool["soft_collision"]) + unit(pool["agents"])
    return top(value, count, random)


# Ours -----------------------------------------------------------------------------------------------------------------


def triggers(pool: Pool, count: int, random: np.random.Generator) -> Ints:
    """Each trigger in turn gives its strongest window that nobody gave yet; at random when all have given theirs."""
    order = random.permutation(len(pool))
    queues = []
    for strength in pool.triggers.T:
        fired = order[np.isfinite(strength[order])]
        queues.append(list(fired[np.argsort(strength[fired], kind="stable")]))
    chosen: dict[int, None] = {}
    while any(queues) and len(chosen) < count:
        for queue in queues:
            while queue and queue[-1] in chosen:
                queue.pop()
            if queue and len(chosen) < count:
                chosen[int(queue.pop())] = None
    rest = [int(window) for window in order if int(window) not in chosen]
    return np.array([*chosen, *rest][:count], dtype=np.int64)


def worth(pool: Pool) -> Floats:
    """What each window is worth, (W,): the mean of its ranks by what observation explains of the disagreement, by what
    the plan would have caused, and by how many triggers fired."""
    fired = np.isfinite(pool.triggers).sum(axis=1).astype(float)
    return (ranks(excess(pool)) + ranks(pool["consequence"]) + ranks(fired)) / 3


def worth_first(pool: Pool, count: int, random: np.random.Generator) -> Ints:
    """The best three times as many, and of those the ones furthest apart."""
    best = top(worth(pool), min(_SHORTLIST * count, len(pool)), random)
    return best[furthest(pool.embedding[best], count, pool.known, random)]


def ours(pool: Pool, count: int, random: np.random.Generator) -> Ints:
    """As `core_set` does, but worth decides between windows that are nearly as far."""
    return furthest(pool.embedding, count, pool.known, random, worth(pool), _NEARLY)


def lessons(pool: Pool, count: int, random: np.random.Generator) -> Ints:
    """The window that would teach what is furthest from nothing and from what the chosen ones would teach, and again.

    So both count: how much is to be learned, and that it is something else.
    """
    return furthest(pool.lesson, count, np.zeros_like(pool.lesson[:1]), random)


def mixture(pool: Pool, count: int, random: np.random.Generator) -> Ints:
    """Half of them as `triggers`, and then those furthest from these and from all that is known."""
    first = triggers(pool, count // 2, random)
    rest = np.setdiff1d(np.arange(len(pool)), first)
    known = np.concatenate([pool.known, pool.embedding[first]])
    return np.concatenate([first, rest[furthest(pool.embedding[rest], count - len(first), known, random)]])


def excess(pool: Pool) -> Floats:
    """Disagreement less what no observation explains, (W,), never below 0."""
    return np.maximum(pool["displacement"] - pool["unexplained"], 0.0)


def surprise(pool: Pool) -> Floats:
    """Disagreement in units of what no observation explains, and a metre, (W,)."""
    return pool["displacement"] / (pool["unexplained"] + 1.0)


STRATEGIES: Mapping[str, Strategy] = {
    "random": at_random,
    "uniform": uniform,
    "entropy": by("entropy"),
    "spread": by("spread"),
    "core_set": core_set,
    "active_ad": active_ad,
    "disagreement": by("displacement"),
    "consequence": by("consequence"),
    "explained": lambda pool, count, random: top(excess(pool), count, random),
    "surprising": lambda pool, count, random: top(surprise(pool), count, random),
    "triggers": triggers,
    "worth": lambda pool, count, random: top(worth(pool), count, random),
    "worth_first": worth_first,
    "lessons": lessons,
    "mixture": mixture,
    "ours": ours,
}


# What they are made of ------------------------------------------------------------------------------------------------


def top(value: Floats, count: int, random: np.random.Generator) -> Ints:
    """The `count` largest, the largest first, equals in random order."""
    order = random.permutation(len(value))
    return order[np.argsort(-value[order], kind="stable")[:count]]


def unit(value: Floats) -> Floats:
    """Values brought to [0, 1] in a line; 0 where all are equal."""
    low, high = value.min(), value.max()
    return (value - low) / (high - low) if high > low else np.zeros(len(value))


def ranks(value: Floats) -> Floats:
    """The share of values that are smaller, (n,) in [0, 1): equals share a rank."""
    return np.searchsorted(np.sort(value), value, side="left") / max(len(value), 1)
