"""How fast the city is, and how well its drivers drive in it.

    python benchmarks/city.py speed [--minutes 3]        seconds simulated in a second of one core
    python benchmarks/city.py drivers OUT.jsonl [--km 50] [--driver expert] [--processes 2]

`drivers` goes on where OUT.jsonl stops, one route a line, and prints the table of docs/city.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import gymnasium
import numpy as np

from understudy import workers
from understudy.policies import named
from understudy.recorder import write
from understudy.records import Floats
from understudy.worlds import sides
from understudy.worlds.city import City
from understudy.worlds.outcome import judged
from understudy.worlds.rig import default_rig
from understudy.worlds.scenario import Scenario
from understudy.worlds.world import drive_with


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(required=True)
    speed_ = what.add_parser("speed")
    speed_.add_argument("--minutes", type=float, default=3.0)
    speed_.set_defaults(run=lambda args: speed(args.minutes))
    drivers_ = what.add_parser("drivers")
    drivers_.add_argument("out", type=Path)
    drivers_.add_argument("--km", type=float, default=50.0)
    drivers_.add_argument("--driver", default="expert")
    drivers_.add_argument("--processes", type=int, default=2)
    drivers_.set_defaults(run=lambda args: drivers(args.out, args.km, args.driver, args.processes))
    args = parser.parse_args()
    args.run(args)


def speed(minutes: float) -> None:
    """Simulate, and record, for some minutes in a town, and the like in highway-env, where that is installed.

    What counts is processor time, ours and SUMO's together.
    """
    cases: tuple[tuple[str, bool, bool], ...] = (
        ("without cameras", False, False),
        ("without cameras, into MCAP with truth", False, True),
        ("six cameras of 128 x 64, into MCAP with truth", True, True),
    )
    rates: list[float] = []
    for name, cameras, recorded in cases:
        with City(rig=default_rig() if cameras else None) as world, tempfile.TemporaryDirectory() as folder:
            drive_for(world, 2.0)  # compile, build the town
            write(world.drive(), Path(folder) / "warm.mcap")
            world.close()
            before = spent_s()
            seconds = drive_for(world, minutes * 60)
            others = sum(len(crowd.x) for crowd in world._crowds) / len(world._crowds)
            if recorded:
                write(world.drive(), Path(folder) / "drive.mcap")
            world.close()  # SUMO's time counts when it has ended
            rates.append(seconds / (spent_s() - before))
            print(f"{name:50s} {rates[-1]:6.1f} x real time, {others:.0f} others in reach", flush=True)
    theirs = highway_env(others=60)
    if theirs is None:
        print("highway-env is not installed: no comparison with it")
    else:
        print(f"{'highway-env, 60 vehicles, no pictures':50s} {theirs:6.1f} x real time, ratio {rates[0] / theirs:.0f}")


def highway_env(others: int, seconds: float = 40.0) -> float | None:
    """Seconds that highway-env's own step simulates in one of the processor, at our rates: 10 Hz, plans at 5 Hz."""
    try:
        import highway_env
    except ImportError:
        return None
    gymnasium.register_envs(highway_env)
    rates = {"simulation_frequency": 10, "policy_frequency": 5}
    env = gymnasium.make("highway-v0", config={"vehicles_count": others, "duration": 1e9, "lanes_count": 3, **rates})
    env.reset(seed=0)
    before = spent_s()
    for seed in range(round(seconds / City.PLAN_S)):
        _, _, ended, cut, _ = env.step(1)  # as it is
        if ended or cut:
            env.reset(seed=seed)
    return seconds / (spent_s() - before)


def spent_s() -> float:
    """Processor seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])


def drive_for(world: City, seconds: float) -> float:
    world.begin(Scenario(town="organic:1", route="r1:8000", seed=3))
    while not world.ended and world.t_s < seconds:
        world.advance(world.expert.plan())
    return world.t_s


def drivers(out: Path, km: float, driver: str, processes: int) -> None:
    """Everyday routes in towns of the gate's side, in turn, until so many kilometres were driven."""
    done = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    where = sides.towns_of("gate", count=12)
    metres, number = sum(row["metres"] for row in done), len(done)
    while metres < km * 1000 and number < 400:
        block = [
            Scenario(town=where[n % 12], route=f"r{n}", seed=n) for n in range(number, number + 4 * max(processes, 1))
        ]
        with out.open("a") as file:
            for outcome in workers.map_drives(partial(one, driver), block, processes):
                row = outcome.value or {"scenario": outcome.name, "ended": outcome.error, "metres": 0.0}
                done.append(row)
                metres += row["metres"]
                print(json.dumps(row), file=file, flush=True)
        number += len(block)
        table(driver, done)


def one(driver: str, scenario: Scenario) -> dict[str, object]:
    """The outcome of one scenario."""
    policy = None if driver == "expert" else named(driver).policy
    with City(policy.needs if policy else (), policy.history_s if policy else (0.0,)) as world:
        drive_with(world, policy.plan if policy else lambda _: world.expert.plan(), world.reset(scenario))
        return dataclasses.asdict(judged(world.drive(), driver))


def table(driver: str, rows: list[dict[str, object]]) -> None:
    """One line of the table in docs/city.md: means, and for the score a 95 % interval (normal, over routes).

    The score is a route's times the share of it that was driven, or 0 where nobody knows what it is worth.
    """
    known = [row for row in rows if "score" in row]
    column: Callable[[str], Floats] = lambda name: np.array([row[name] for row in known], float)  # noqa: E731
    score = np.nan_to_num(column("score")) * column("completion")
    sure = 1.96 * score.std(ddof=1) / np.sqrt(len(score))
    fault = int(sum(column(f"collision_{kind}").sum() for kind in ("pedestrian", "vehicle", "static")))
    reds = f"{column('red_light').sum():.0f} of {column('reds').sum():.0f}"
    ends = ", ".join(f"{end} {n}" for end, n in Counter(str(row["ended"]) for row in rows).most_common())
    print(
        f"| {driver} | {len(known)} | {column('metres').sum() / 1000:.1f} | {column('completion').mean():.1%} "
        f"| {fault} | {reds} | {score.mean():.3f} ± {sure:.3f} | {ends} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
