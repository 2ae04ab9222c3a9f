"""The steps that find what matters: the champion in the shadow of people, then events, then clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from understudy import mine, shadow
from understudy.identifiers import counted
from understudy.mine.run import clips_table
from understudy.records import Clip
from understudy.registry import regression_suite
from understudy.store import Lake
from understudy.store.reviews import kept_clips, reached
from understudy.turn.campaign import Brought
from understudy.turn.chance import by_chance
from understudy.turn.diary import name_of, progress
from understudy.turn.share import share
from understudy.turn.under_way import Impossible, Tell, Turn


def plan_in_shadow(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """The champion plans at every instant that people drove; so does a candidate that the turn before left open."""
    specs = list(dict.fromkeys(turn.spec(model) for model in (turn.champion, turn.learner)))
    drives = turn.drives("fleet")
    reports = shadow.run(share(turn.lake, drives), specs, processes=turn.processes, on_drive=progress(tell))
    planned = {name: len(one.made) + len(one.kept) for name, one in reports.items()}
    if not any(planned.values()):
        lacks = Counter(why for one in reports.values() for why in [*one.skipped.values(), *one.failures.values()])
        raise Impossible(f"no drive offers what {', '.join(reports)} needs: {'; '.join(lacks)}")
    rows = [row for row in _disagreement(turn.lake, drives) if row["policy"] in planned]
    apart = ", ".join(f"{row['policy']} {row['median']:.2f} m apart (median)" for row in rows)
    tell(said=f"{counted(max(planned.values()), 'drive')}: {apart}")
    failures = {f"{name} {drive}": why for name, one in reports.items() for drive, why in one.failures.items()}
    return {"planned": planned, "disagreement": rows, "failures": failures}


def _disagreement(lake: Lake, drives: Collection[str]) -> list[dict[str, Any]]:
    """How far each policy's plans lay from what was driven; nothing where no drive tells where it went."""
    if "mean_displacement" not in lake.query("SELECT * FROM plans LIMIT 0").column_names:
        return []
    listed = ", ".join("'{}'".format(drive.replace("'", "''")) for drive in drives)
    found: list[dict[str, Any]] = lake.query(
        # Rounded, for threads add up in any order and a diary is the same however it came about.
        "SELECT policy, median(mean_displacement) AS median, quantile_cont(mean_displacement, 0.95) AS worst, "
        "round(avg(plan_score), 6) AS score, round(avg(human_score), 6) AS human FROM plans "
        f"WHERE drive IN ({listed}) AND NOT isnan(mean_displacement) GROUP BY policy ORDER BY policy"
    ).to_pylist()
    return found


def choose_clips(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """Events, then clips within the budget; of towns kept for regression so many clips, whatever the budget."""
    preset, asked = turn.preset, turn.came_to("begin")["campaign"]
    sides = {**turn.came_to("fleet")["sides"], **dict.fromkeys(turn.drives("wheel"), "train")}
    of_all = {
        "train": [drive for drive, side in sides.items() if side in ("train", "")],  # a log's places tell the side
        "regression": [drive for drive, side in sides.items() if side == "regression"],
    }
    brought: dict[str, Counter[str]] = {name: Counter() for name in ("events", "clips", "hours")}
    clips: list[Clip] = []
    eyes = turn.registry.model(turn.champion).name
    there = mine.resolve(mine.Mine().triggers)
    weights = {name: weight for name, weight in asked["weights"].items() if name in there}  # a plug-in may be gone
    unlike = 0
    failures: dict[str, str] = {}
    for side, drives in of_all.items():
        if not drives:
            continue
        key = f"{name_of(turn.number)} {side}"
        here = share(turn.lake, drives)
        budget = preset.regression_clips if side == "regression" else f"{preset.budget_s:g}s"
        variety = 0.0 if side == "regression" else preset.variety
        settings = mine.Mine(budget, weights=weights, seed=turn.seed, variety=variety)
        if preset.chosen == "chance" and side != "regression":
            chosen = by_chance(here, preset.budget_s, f"{key} {turn.seed}", kept_before(turn, drives))
            keep_clips(turn.lake, key, chosen)
        else:
            known = kept_before(turn, drives) if side != "regression" else []
            mined = mine.run(here, settings, turn.processes, progress(tell), key, known, eyes)
            chosen = list(mined.clips)
            unlike += mined.unlike
            failures |= mined.report.failures
            for one in mined.yields:
                brought["events"][one.trigger] += one.events
                brought["clips"][one.trigger] += one.clips
                brought["hours"][one.trigger] += one.hours  # type: ignore[assignment]
        clips += chosen
    seconds = {side: sum(clip.seconds for clip in clips if clip.side == side) for side in ("train", "regression")}
    yields = [
        asdict(
            Brought(name, count, count / hours if (hours := brought["hours"][name]) else 0.0, brought["clips"][name])
        )
        for name, count in brought["events"].most_common()
    ]
    events = sum(brought["events"].values())
    also = f" ({unlike} for being unlike all else)" if unlike else ""
    tell(said=f"{events} events, {len(clips)} clips{also}, {sum(seconds.values()):.0f} s")
    return {
        "events": events,
        "clips": [{"id": clip.id, "drive": clip.drive, "side": clip.side, "seconds": clip.seconds} for clip in clips],
        "unlike": unlike,
        "seconds": seconds,
        "triggers": yields,
        "failures": failures,
    }


def kept_before(turn: Turn, drives: Collection[str]) -> list[Clip]:
    """The clips that are learned from already when some drives of a turn are mined: those of the turns before, and of
    these drives what the first champion was given. What else this turn has kept is no part of it, so that a turn that
    was killed comes to the same."""
    first = {
        clip.id
        for entry in turn.lake.entries(stage="mine", key=f"{name_of(turn.number)} bootstrap")
        for clip in mine.read_clips(turn.lake, entry.part)
    }
    own = set(turn.drives("fleet", "wheel"))
    return [
        clip
        for clip in kept_clips(turn.lake)
        if clip.side == "train" and (clip.drive not in own or (clip.drive in drives and clip.id in first))
    ]


def keep_clips(lake: Lake, key: str, clips: list[Clip]) -> None:
    """Keep clips as mining keeps its own."""
    with lake.run("mine", key, {}, "") as run:
        part = run.part(key, [clip.id for clip in clips])
        if not part.done:
            part.write({"clips": clips_table(clips, part.hash)})


def asked_in(turn: Turn, champion: str) -> frozenset[str]:
    """The places in which the gate asks for clips: not those in which the champion has learned itself."""
    learned = turn.places(champion)
    lie_in = reached(turn.lake, regression_suite(turn.lake))
    return frozenset().union(*(places for places in lie_in.values() if not places & learned))
