"""What the pairs prove, and the verdict. Pure: routes in, verdict out; nothing is driven and nothing is read here.

Promotion needs all of: something proven better, everyday driving proven not to lose more than `within`, whatever the
skew, distance to the lane's centre and speed likewise, no binding clip failed, nothing proven worse than a margin.
Refusal needs one thing proven.
`docs/gate.md` has the levels and why they hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from understudy import metrics
from understudy.errors import SettingsError
from understudy.evidence import Paired, betting_test, flip_test, holm, mean_test, per_look, sign_test
from understudy.gate.regression import ClipResult
from understudy.gate.suites import STANDARD, special
from understudy.records import Array, Floats
from understudy.worlds.outcome import Route

Outcome = Literal["promote", "refuse", "undecided"]
ALL = "all"  # suites together
BASE = "everyday"  # the suite on which the candidate must be proven not worse
TRUSTED = 0.95  # what the recorded drivers must score for the metrics to be believed on their logs
MAIN = 0.5  # of the level of all claims to be better, for the score over all suites
LANE_M = 2.0  # who drives further from the lane's centre is in no lane: more does not count
INFRACTIONS = ("collision", "red_light", "off_road", "intervention", "stuck", "lost")


@dataclass(frozen=True)
class Look:
    """What is driven within a block before the routes so far are looked at, and what may be claimed then.

    Infractions always: bets pay nothing for a look. Means pay, so they are asked after everyday driving and at the end
    of a block; and there alone a candidate can be promoted.
    """

    suites: tuple[str, ...]
    means: bool = True
    ends_block: bool = True


@dataclass(frozen=True)
class Gate:
    """Settings of `understudy gate`."""

    suites: tuple[str, ...] = STANDARD  # none: the regression suite alone, which can refuse and never promotes
    routes: int = 48  # in each suite, at most
    first: int = 0  # routes of each suite that are left out, to ask again on others
    blocks: int = 4  # in which they are added; there is a look at the end of each
    alpha: float = 0.05  # of promoting one that is not better; and of refusing one that is not worse, for each family
    margin: float = 0.02  # of the score that may be lost: who is proven to lose more is refused
    driving_margin: float = 0.05  # of CARLA's driving score
    lane_margin: float = 0.1  # m, mean distance to the lane's centre
    speed_margin: float = 0.02  # of the speed limit's sub-score
    within: float = 0.08  # of each of these that must be proven not to be lost, to promote; 48 routes can tell 0.075
    lane_within: float = 0.2  # m, for the distance to the lane's centre
    seconds: float = 0.0  # that a route may take at most; 0 leaves it to the suite

    def __post_init__(self) -> None:
        if self.blocks < 1 or self.routes < self.blocks:
            raise SettingsError(
                f"gate wants a block, and a route for each block; got {self.blocks} blocks, {self.routes} routes"
            )
        if self.first < 0:
            raise SettingsError(f"gate.first wants routes to leave out, got {self.first}")
        for name, most in (("within", 1.0), ("lane_within", LANE_M)):
            if not 0 < (told := getattr(self, name)) < most:
                raise SettingsError(f"gate.{name} wants more than 0 and less than {most:g}, got {told:g}")

    @property
    def looks(self) -> list[Look]:
        """The looks within a block. Everyday driving, where it is asked, is driven first and looked at by itself."""
        order = sorted(self.suites, key=lambda name: name != BASE)
        within = [Look((name,), means=name == BASE, ends_block=False) for name in order[:-1]]
        return [*within, Look(tuple(order[-1:]))]

    @property
    def claims(self) -> int:
        """How many means of suites there are in all: two of each, and two of all together."""
        return len(self.margins) * (len(self.suites) + (len(self.suites) > 1))

    @property
    def margins(self) -> dict[str, float]:
        """Of the two measures of every suite."""
        return {"score": self.margin, "driving_score": self.driving_margin}


@dataclass(frozen=True)
class Pairs:
    """Routes of one suite that both have driven, in the same order."""

    champion: tuple[Route, ...]
    candidate: tuple[Route, ...]

    def both(self, name: str) -> tuple[Floats, Floats]:
        """A column of each."""
        a, b = ([getattr(route, name) for route in side] for side in (self.champion, self.candidate))
        return np.array(a, float), np.array(b, float)

    def scores(self) -> tuple[Floats, Floats]:
        """The scores of each, of those sub-scores only that are known for both; 0 for a lost route."""
        columns = {name: self.both(name) for name in metrics.SUBSCORES}
        lost = [np.array([bool(route.trouble) for route in side], bool) for side in (self.champion, self.candidate)]
        neither = ~lost[0] & ~lost[1]
        found = []
        for side in (0, 1):
            own = {
                name: np.where(np.isfinite(pair[1 - side]) | ~neither, pair[side], np.nan)
                for name, pair in columns.items()
            }
            found.append(np.where(lost[side], 0.0, metrics.combine(own)["score"]))
        return found[0], found[1]

    def measure(self, name: str) -> tuple[Floats, Floats]:
        return self.scores() if name == "score" else self.both(name)

    def infraction(self, name: str) -> tuple[Array, Array]:
        """Which routes of each show it."""
        a, b = (np.array([_shows(route, name) for route in side], bool) for side in (self.champion, self.candidate))
        return a, b


def _shows(route: Route, infraction: str) -> bool:
    if infraction == "collision":
        return route.collision_pedestrian + route.collision_vehicle + route.collision_static > 0
    if infraction == "red_light":
        return route.red_light > 0
    if infraction == "intervention":
        return route.interventions > 0
    if infraction == "stuck":
        return route.stuck > 0
    return route.outside > 0 if infraction == "off_road" else bool(route.trouble)


@dataclass(frozen=True)
class Finding:
    """One measure on one suite (or on all routes, for a guard): means, paired differences, margin.

    Differences are candidate minus champion, for a guard of distance the other way round: above 0 is better.
    """

    suite: str
    measure: str
    margin: float
    champion: float
    candidate: float
    paired: Paired
    worse: float  # p of being not worse than the margin
    not_worse: float  # p of losing `within` or more: at whatever look
    within: float = float("nan")

    @classmethod
    def of(
        cls,
        suite: str,
        measure: str,
        margins: tuple[float, float],
        pair: tuple[Floats, Floats],
        weight: Floats,
        sign: float = 1.0,
        bound: float = 1.0,
    ) -> Finding:
        """From the margin and `within`, and what each of the two came to; a pair of which one is unknown says nothing.

        Differences lie within `bound`.
        """
        margin, within = margins
        known = np.isfinite(pair[0]) & np.isfinite(pair[1])
        a, b, weight = pair[0][known], pair[1][known], weight[known]
        weight = weight / weight.mean() if len(weight) else weight
        d = sign * (b - a)
        return cls(
            suite,
            measure,
            margin,
            _mean(weight * a),
            _mean(weight * b),
            Paired.of(weight * d, f"{suite} {measure}"),
            flip_test(weight * (-d - margin)),
            mean_test(weight * d, -within, bound * float(weight.max(initial=1.0))),
            within,
        )

    @property
    def key(self) -> str:
        return f"{self.suite} {self.measure}"


@dataclass(frozen=True)
class Infraction:
    """On how many routes each showed it, and how many of those the other did not."""

    name: str
    champion: int
    candidate: int
    only_champion: int
    only_candidate: int
    where: str  # what was special about most of those that only the candidate shows
    better: float  # p of the sign test
    worse: float  # p of the betting test: at whatever look

    @classmethod
    def of(cls, name: str, pairs: Mapping[str, Pairs]) -> Infraction:
        where: Counter[str] = Counter()
        shown = np.zeros((2, 2), int)  # by champion, by candidate
        for suite, one in pairs.items():
            a, b = one.infraction(name)
            np.add.at(shown, (a.astype(int), b.astype(int)), 1)
            where.update(special(suite, one.candidate[i].scenario) for i in np.flatnonzero(b & ~a))
        only_a, only_b, both = (int(count) for count in (shown[1, 0], shown[0, 1], shown[1, 1]))
        most = ", ".join(f"{count} in {what}" for what, count in where.most_common(3))
        better, worse = sign_test(only_a, only_b), betting_test(only_b, only_a)
        return cls(name, only_a + both, only_b + both, only_a, only_b, most, better, worse)


@dataclass(frozen=True)
class Reason:
    """Why the verdict is what it is: `kind` is for programs, `text` for people."""

    kind: str  # leak, clip, worse, infraction, better, not_worse, unproven
    about: str  # the suite and measure, the infraction, the clip, the place
    text: str
    p: float | None = None


@dataclass(frozen=True)
class Evidence:
    """All that has been found so far."""

    findings: tuple[Finding, ...]
    guards: tuple[Finding, ...]
    infractions: tuple[Infraction, ...]


@dataclass(frozen=True)
class Verdict:
    """The gate's answer, with its reasons as data."""

    champion: str
    candidate: str
    champion_hash: str
    candidate_hash: str
    outcome: Outcome
    reasons: tuple[Reason, ...]
    evidence: Evidence
    pairs: Mapping[str, Pairs]
    clips: tuple[ClipResult, ...] = ()
    void: Mapping[str, str] = field(default_factory=dict)  # scenarios and clips that were left out, and why
    human: float = float("nan")  # mean score of the recorded drivers of the replayed logs: the metrics' self-check
    settings: Gate = Gate()
    code: str = ""

    @property
    def routes(self) -> int:
        return sum(len(one.champion) for one in disjoint(self.pairs).values())


def disjoint(pairs: Mapping[str, Pairs]) -> dict[str, Pairs]:
    """Every scenario in the first of the suites that hold it: nothing that was driven once counts twice."""
    found, seen = {}, set[str]()
    for suite, one in pairs.items():
        new = [i for i, route in enumerate(one.champion) if route.scenario not in seen]
        seen.update(route.scenario for route in one.champion)
        if new:
            found[suite] = Pairs(tuple(one.champion[i] for i in new), tuple(one.candidate[i] for i in new))
    return found


def gather(pairs: Mapping[str, Pairs], gate: Gate) -> Evidence:
    """What the routes driven so far say: of every suite, and of all of them together."""
    apart = disjoint(pairs)
    every = Pairs(
        tuple(route for one in apart.values() for route in one.champion),
        tuple(route for one in apart.values() for route in one.candidate),
    )
    suites = {**pairs, ALL: every} if len(pairs) > 1 else pairs
    weights = {suite: np.ones(len(one.champion)) for suite, one in pairs.items()}
    # Together every suite weighs the same: else ten times as many lights, where all must stop, would hide the others.
    sizes = np.array([len(one.champion) for one in apart.values()], int)
    alike = weights[ALL] = np.repeat(sizes.sum() / max(len(sizes), 1) / sizes, sizes)
    findings = tuple(
        Finding.of(suite, measure, (margin, gate.within), found.measure(measure), weights[suite])
        for suite, found in suites.items()
        for measure, margin in gate.margins.items()
    )
    guards = (
        Finding.of(ALL, "lane_distance", (gate.lane_margin, gate.lane_within), _in_lane(every), alike, -1.0, LANE_M),
        Finding.of(ALL, "speed_limit", (gate.speed_margin, gate.within), every.both("speed_limit"), alike),
    )
    infractions = tuple(Infraction.of(name, apart) for name in INFRACTIONS)
    return Evidence(findings, guards, infractions)


def _in_lane(pairs: Pairs) -> tuple[Floats, Floats]:
    """Mean distances to the lane's centre, of which no more than LANE_M counts."""
    a, b = pairs.both("lane_distance")
    return np.minimum(a, LANE_M), np.minimum(b, LANE_M)


def faults(evidence: Evidence, gate: Gate, clips: Sequence[ClipResult] = (), means: bool = True) -> list[Reason]:
    """What is proven against the candidate, at any of the looks; its means only where they are asked."""
    level = per_look(gate.alpha, sum(look.means for look in gate.looks) * gate.blocks)
    reasons = [
        Reason("clip", clip.clip, f"fails {clip.clip}, which binds: passes it from {clip.candidate} of 5 starts")
        for clip in clips
        if clip.binds and clip.failed
    ]
    measured = {one.key: one for one in (*evidence.findings, *evidence.guards)}
    planned = gate.claims + len(evidence.guards)
    unasked = {f"unasked {n}": 1.0 for n in range(planned - len(measured))}
    adjusted = holm({key: one.worse for key, one in measured.items()} | unasked)
    for key, one in measured.items():
        if means and adjusted[key] <= level:
            reasons.append(Reason("worse", key, _worse(one), adjusted[key]))
    adjusted = holm({one.name: one.worse for one in evidence.infractions})
    for infraction in evidence.infractions:
        if adjusted[infraction.name] <= gate.alpha:
            reasons.append(Reason("infraction", infraction.name, _counted(infraction), adjusted[infraction.name]))
    return reasons


def shared_out(p: Mapping[str, float], gate: Gate) -> dict[str, float]:
    """p-values of all claims to be better, adjusted: the score over all suites, which is what a candidate is made for,
    has a share `MAIN` of the level; the others have the rest, alike."""
    main = f"{ALL if len(gate.suites) > 1 else ''.join(gate.suites)} score"
    rest = (1 - MAIN) / max(len(p) - 1, 1)
    return holm(p, {name: MAIN if name == main else rest for name in p})


def merits(evidence: Evidence, gate: Gate) -> tuple[list[Reason], list[Reason]]:
    """What is proven for the candidate at the end of a block, and what is wanting for a promotion."""
    level = per_look(gate.alpha, gate.blocks)
    means = {one.key: one for one in evidence.findings}
    signs = {f"{one.key} won": one for one in evidence.findings if one.suite != ALL}
    planned = gate.claims + len(gate.margins) * len(gate.suites)
    p = {key: one.paired.better for key, one in means.items()}
    p |= {key: sign_test(one.paired.wins, one.paired.losses) for key, one in signs.items()}
    p |= {f"unasked {n}": 1.0 for n in range(planned - len(p))}
    adjusted = shared_out(p | {one.name: one.better for one in evidence.infractions}, gate)
    told = {key: f"{_named(one)} better by {one.paired.mean:.3f}" for key, one in means.items()}
    told |= {key: f"{_named(one)} won {one.paired.wins}, lost {one.paired.losses}" for key, one in signs.items()}
    told |= {one.name: _counted(one) for one in evidence.infractions}
    proven = [Reason("better", name, text, adjusted[name]) for name, text in told.items() if adjusted[name] <= level]
    wanting = [] if proven else [Reason("unproven", "better", "not proven better in any suite")]
    everyday = [one for one in evidence.findings if one.suite == BASE or BASE not in gate.suites]
    if BASE in gate.suites and not everyday:
        wanting.append(Reason("unproven", BASE, f"nothing was driven in {BASE}"))
    for one in (*everyday, *evidence.guards):
        if one.not_worse <= gate.alpha:  # a bet: nothing is paid for looks
            proven.append(Reason("not_worse", one.key, f"{_named(one)} not worse by {one.within:g}", one.not_worse))
        else:
            text = f"{_named(one)} not proven to be within {one.within:g} of the champion"
            wanting.append(Reason("unproven", one.key, text, one.not_worse))
    return proven, wanting


def decide(
    evidence: Evidence, gate: Gate, clips: Sequence[ClipResult], look: Look
) -> tuple[Outcome, tuple[Reason, ...]]:
    """The answer at a look; a promotion is possible only where all suites have their block."""
    if against := faults(evidence, gate, clips, look.means):
        return "refuse", tuple(against)
    proven, wanting = merits(evidence, gate)
    if look.ends_block and not wanting:
        return "promote", tuple(proven)
    return "undecided", tuple(wanting)


def _worse(one: Finding) -> str:
    apart = abs(one.candidate - one.champion)
    if one.measure == "lane_distance":
        return f"drives {apart:.2f} m further from the lane's centre; {one.margin:g} m are allowed"
    return f"{_named(one)} worse by {apart:.3f}; {one.margin:g} is allowed"


def _counted(one: Infraction) -> str:
    name = one.name.replace("_", " ")
    where = f" ({one.where})" if one.where else ""
    routes = "route" if one.candidate == 1 else "routes"
    return f"{name} on {one.candidate} {routes}{where}, where the champion has {one.champion}"


def _named(one: Finding) -> str:
    return f"{one.measure.replace('_', ' ')} on {one.suite}"


def _mean(known: Floats) -> float:
    return float(known.mean()) if len(known) else float("nan")
