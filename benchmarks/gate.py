"""Does the gate keep its word? Faults planted into the city's own driver, labels swapped at random, routes saved.

    python benchmarks/gate.py faults LAKE [--processes 2] [--only late,speeding]
    python benchmarks/gate.py swaps LAKE CHAMPION CANDIDATE [--suites everyday,events] [--routes 48] [--seconds 20]
    python benchmarks/gate.py siblings LAKE ONE.onnx ... TEN.onnx --suites everyday --routes 12 --blocks 1 --seconds 20
    python benchmarks/gate.py speed LAKE                        how early a clear refusal comes
    python benchmarks/gate.py speed LAKE pilot.onnx --routes 40 what a closed loop with cameras costs

`faults` has the driver with each fault challenge the driver without, as `understudy gate human human:FAULT` does, and
prints verdict and reason. `swaps` takes the routes that two *different* drivers have driven already (in a gate before),
swaps who is who on each route at random 2,000 times, and counts promotions; and it tells how many routes pairing saves.
`siblings` has models that differ by the seed of their training challenge each other, each every other, and counts.
`speed` times `lane_follow` against `constant_turn`, which must be refused early. Routes are kept in LAKE.
"""

from __future__ import annotations

import argparse
import os
import time
from contextlib import closing
from itertools import permutations
from pathlib import Path

import numpy as np

from understudy.evidence import Paired, Share, flip_test, pairing_gain, per_look, routes_needed, sign_test
from understudy.gate.driving import world_of
from understudy.gate.entrants import entrant
from understudy.gate.run import run
from understudy.gate.suites import STANDARD, suite
from understudy.gate.verdict import ALL, INFRACTIONS, Gate, Verdict, disjoint, merits, shared_out
from understudy.records import Array, Floats
from understudy.store import Lake
from understudy.worlds.cameras import Cameras
from understudy.worlds.city import City
from understudy.worlds.outcome import judged
from understudy.worlds.scenario import Scenario

# What the gate must say of each, with nothing set.
FAULTS = {
    "leaked": "grid:1",
    "drifting": "all lane_distance",
    "speeding": "all speed_limit",
    "late": "collision",
    "fog_freezer": "stuck",
    "red_runner": "red_light",
}
REPEATS = 2000
REFUSED_S = 55.0  # in which a clear refusal must come


def faults(lake: Lake, processes: int, only: list[str]) -> None:
    for name, wanted in FAULTS.items():
        if only and name not in only:
            continue
        began = time.perf_counter()
        verdict = run(lake, "human", f"human:{name}", processes=processes)
        met = sum(route.reds for one in verdict.pairs.values() for route in one.champion)
        said = [reason.about for reason in verdict.reasons]
        right = verdict.outcome == "refuse" and wanted in said
        print(
            f"{name:12} {verdict.outcome:9} {'right' if right else 'WRONG'} reason, {verdict.routes} pairs, "
            f"{met} reds met, {time.perf_counter() - began:.0f} s: " + "; ".join(r.text for r in verdict.reasons),
            flush=True,
        )


def siblings(lake: Lake, models: list[str], gate: Gate, processes: int) -> None:
    said = []
    for champion, candidate in permutations(models, 2):
        verdict = run(lake, champion, candidate, gate, processes=processes)
        claimed = bool([reason for reason in merits(verdict.evidence, gate)[0] if reason.kind == "better"])
        said.append((champion, verdict.outcome, claimed))
        print(f"{verdict.candidate} against {verdict.champion}: {verdict.outcome} after {verdict.routes}", flush=True)
    for whose, some in (("the first", [one for one in said if one[0] == models[0]]), ("each other", said)):
        outcomes = {name: Share(sum(one[1] == name for one in some), len(some)) for name in ("promote", "refuse")}
        claimed_better = Share(sum(one[2] for one in some), len(some))
        print(f"against {whose}: promoted {outcomes['promote']}, refused {outcomes['refuse']}, ", end="")
        print(f"claimed better {claimed_better}, of {len(some)}")


def swaps(lake: Lake, champion: str, candidate: str, gate: Gate, processes: int) -> None:
    verdict = run(lake, champion, candidate, gate, processes=processes)
    print(f"{candidate} against {champion}: {verdict.outcome} after {verdict.routes} pairs")
    for reason in verdict.reasons:
        print(f"    {reason.text} (p = {reason.p:.2g})" if reason.p is not None else f"    {reason.text}")
    for name, pairs in verdict.pairs.items():
        for measure in gate.margins:
            a, b = pairs.measure(measure)
            spread = float(np.std(b - a, ddof=1))
            print(
                f"{name:10} {measure:14} difference {np.nanmean(b - a):+.3f}, deviation {spread:.3f}, "
                f"pairing gain {pairing_gain(a, b):.2f}, routes to prove 0.05: {routes_needed(spread, 0.05)} pairs, "
                f"{round(routes_needed(spread, 0.05) * pairing_gain(a, b))} of each unpaired"
            )
    print(f"promoted with labels swapped: {_swapped(verdict, gate)}")


def _swapped(verdict: Verdict, gate: Gate) -> Share:
    """How often a driver is *claimed better* at any look; what a promotion needs beside that makes it rarer still."""
    suites = {}
    for name, one in disjoint(verdict.pairs).items():
        columns = {m: np.subtract(*reversed(one.measure(m))) for m in gate.margins}
        for infraction in INFRACTIONS:
            a, b = one.infraction(infraction)
            columns[infraction] = a.astype(float) - b.astype(float)  # above 0 is better here, too
        suites[name] = columns
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(REPEATS):
        flipped = {}
        for name, columns in suites.items():
            flips = random.choice([-1.0, 1.0], len(columns["score"]))
            flipped[name] = {measure: d * flips for measure, d in columns.items()}
        hits += any(_claimed(flipped, look / gate.blocks, gate) for look in range(1, gate.blocks + 1))
    return Share(hits, REPEATS)


def _claimed(suites: dict[str, dict[str, Floats]], share: float, gate: Gate) -> bool:
    """Whether anything is proven better from this share of the routes of every suite."""
    seen = {name: {m: d[: round(share * len(d))] for m, d in one.items()} for name, one in suites.items()}
    every = {name: np.concatenate([one[name] for one in seen.values()]) for name in INFRACTIONS}
    alike = {m: np.concatenate([one[m] / len(one[m]) for one in seen.values()]) for m in gate.margins}
    means = {**seen, ALL: alike} if len(seen) > 1 else seen
    p = {f"{name} {m}": flip_test(one[m]) for name, one in means.items() for m in gate.margins}
    won = {f"{name} {m} won": Paired.of(one[m], "") for name, one in seen.items() for m in gate.margins}
    p |= {name: sign_test(one.wins, one.losses) for name, one in won.items()}
    p |= {name: sign_test(int((every[name] > 0).sum()), int((every[name] < 0).sum())) for name in INFRACTIONS}
    return min(shared_out(p, gate).values()) <= per_look(gate.alpha, gate.blocks)


def speed(lake: Lake, processes: int) -> None:
    suite("everyday", 48)  # the towns are built once, and then lie in a cache
    began, spent = time.perf_counter(), sum(os.times()[:4])
    verdict = run(lake, "lane_follow", "constant_turn", processes=processes)
    took, spent = time.perf_counter() - began, sum(os.times()[:4]) - spent
    print(f"constant_turn against lane_follow: {verdict.outcome} after {verdict.routes} pairs in {took:.1f} s", end="")
    print(f", {took / REFUSED_S:.2f} of what it may take; {spent:.1f} s of processor time")


def closed_loop(model: str, routes: int) -> None:
    """How long everyday routes of 40 s take one core, in processor time, and what takes it."""
    who, spent = entrant(model), dict.fromkeys(("traffic", "cameras", "network", "scoring", "rest"), 0.0)
    shoot = Cameras.shoot

    def timed(self: Cameras, world: City) -> Array:
        began = time.process_time()
        pixels = shoot(self, world)
        spent["cameras"] += time.process_time() - began
        return pixels

    Cameras.shoot = timed  # type: ignore[method-assign]
    chosen = suite("everyday", routes + 1).scenarios
    seconds = 0.0
    for number, identifier in enumerate(chosen):
        if number == 1:  # the first compiles
            spent = dict.fromkeys(spent, 0.0)
            began, seconds = sum(os.times()[:4]), 0.0
        others = os.times()
        with closing(world_of(Scenario.parse(identifier), who, Lake(Path()))) as world:
            seen = world.reset(Scenario.parse(identifier))
            planner = who.driver.begin(world)
            for _ in range(200):
                if world.ended:
                    break
                at = time.process_time()
                plan = planner(seen)
                spent["network"] += time.process_time() - at
                seen = world.step(plan)
            at = time.process_time()
            route = judged(world.drive(), who.id)
            spent["scoring"] += time.process_time() - at
        seconds += route.seconds
        spent["traffic"] += sum(os.times()[2:4]) - sum(others[2:4])  # SUMO's own process, which has ended
    whole = sum(os.times()[:4]) - began
    spent["rest"] = whole - sum(spent.values())
    shares = ", ".join(f"{name} {share / whole:.0%}" for name, share in spent.items())
    print(f"{routes} routes, {seconds:.0f} s: {whole:.0f} s of one core, {seconds / whole:.1f} x real time; {shares}")
    print(f"40 routes of 40 s on two cores: {1600 / seconds * whole / 2:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("faults", "swaps", "siblings", "speed"))
    parser.add_argument("lake", type=Path)
    parser.add_argument("who", nargs="*")
    parser.add_argument("--processes", type=int, default=0)
    parser.add_argument("--routes", type=int, default=48)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--only", default="")
    parser.add_argument("--suites", default="")
    told = parser.parse_args()
    told.lake.mkdir(parents=True, exist_ok=True)
    lake, chosen = Lake(told.lake), tuple(name for name in told.suites.split(",") if name)
    gate = Gate(suites=chosen or STANDARD, routes=told.routes, blocks=told.blocks, seconds=told.seconds)
    if told.what == "faults":
        faults(lake, told.processes, [name for name in told.only.split(",") if name])
    elif told.what == "swaps":
        champion, candidate = told.who or ("lane_follow", "human")
        swaps(lake, champion, candidate, gate, told.processes)
    elif told.what == "siblings":
        siblings(lake, told.who, gate, told.processes)
    elif told.who:
        closed_loop(told.who[0], told.routes)
    else:
        speed(lake, told.processes)


if __name__ == "__main__":
    main()
