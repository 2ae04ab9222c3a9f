"""The steps of a turn, in order. Each asks the stages for what is not done yet, and says what came of it as numbers.

A step is left alone once the diary holds it; before that it may have been killed at any moment, and everything that it
asks for is named by what makes it, so that doing it again comes to the same.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from understudy import dataset, fleet, label, mine, shadow
from understudy.errors import DataError, UnderstudyError
from understudy.gate import report
from understudy.gate.entrants import entrant
from understudy.gate.run import run as judge
from understudy.gate.suites import suite
from understudy.gate.verdict import Verdict
from understudy.mine.run import CLIPS
from understudy.network.sizes import size_of
from understudy.policies import named
from understudy.records import Clip, Driver
from understudy.registry import Registry
from understudy.store import Lake, digest
from understudy.store.reviews import heeded, standing
from understudy.turn.apart import Side, assert_apart
from understudy.turn.campaign import FIRST, Brought, campaign
from understudy.turn.chance import by_chance
from understudy.turn.diary import About, Diary, name_of, progress, turns
from understudy.turn.preset import Preset
from understudy.turn.share import share
from understudy.turn.towns import fleet_of, side_of, told
from understudy.worlds.events import KINDS

Tell = Callable[..., None]


class Impossible(UnderstudyError):
    """A step cannot be done with what there is; the turn goes on without it."""


@dataclass
class Turn:
    """One turn under way."""

    lake: Lake
    diary: Diary
    preset: Preset
    seed: int
    processes: int
    on_verdict: Callable[[Verdict], object] | None = None

    @property
    def number(self) -> int:
        return self.diary.number

    @property
    def registry(self) -> Registry:
        return Registry(self.lake.root)

    def came_to(self, step: str) -> About:
        return self.diary.done[step]

    @property
    def champion(self) -> str:
        """The hash of who is challenged in this turn."""
        first = self.came_to("bootstrap").get("champion")
        return str(first or self.came_to("begin")["champion"])

    def spec(self, model: str) -> str:
        """What stages are told to have a model drive."""
        return self.registry.model(model).spec

    def drives(self, *steps: str) -> list[str]:
        """The drives that steps of this turn brought."""
        return [drive for step in steps for drive in self.came_to(step).get("drives", ())]


# What a turn begins with ----------------------------------------------------------------------------------------------


def begin(turn: Turn, world: str) -> Mapping[str, Any]:
    """Who is champion, what the fleet will do, what the turn before asks for: from here on none of it changes."""
    before = turns(turn.lake)
    reigns = turn.registry.reigns()
    last = before.get(turn.number - 1, {}).get("campaign", {})
    asked = last if "weights" in last else asdict(FIRST)
    fleets = {
        kind: [told(tour) for tour in fleet_of(kind, turn.preset, turn.number, turn.seed, events)]
        for kind, events in (("train", asked["events"]), ("regression", ()), ("wheel", ()))
        if world == "city"
    }
    return {
        "world": world,
        "seed": turn.seed,
        "preset": msgspec.to_builtins(turn.preset),
        "champion": reigns[-1].model if reigns else None,
        "binding": sorted(turn.registry.binding()),
        "campaign": {name: asked[name] for name in ("weights", "events", "words")},
        "fleet": fleets,
    }


def assert_nothing_leaks(turn: Turn) -> None:
    """Raise DataError where train, regression and gate share a drive, a place or a seed."""
    told = turn.came_to("begin")
    clips = clips_of(turn.lake)
    of = {"train": used_for_training(clips), "regression": [clip for clip in clips if clip.side == "regression"]}
    fleets = {"train": ("train", "wheel"), "regression": ("regression",)}
    sides = {
        side: Side()
        .with_clips(of[side])
        .with_scenarios(tour["scenario"] for kind in kinds for tour in told["fleet"].get(kind, ()))
        for side, kinds in fleets.items()
    }
    if told["champion"]:
        places = turn.registry.model(told["champion"]).card.get("data", {}).get("places", ())
        sides["train"] = sides["train"].with_places(places)
    gate = turn.preset.gate
    if told["world"] == "city":
        scenarios = [scenario for name in gate.suites for scenario in suite(name, gate.routes).scenarios]
        sides["gate"] = Side().with_scenarios(scenarios)
    assert_apart(sides)


def clips_of(lake: Lake) -> list[Clip]:
    """All clips of a lake, as their reviewers left them."""
    return heeded(mine.read_clips(lake), standing(lake.root))


def used_for_training(clips: Iterable[Clip]) -> list[Clip]:
    """Clips chosen for training, but those of drives that the regression suite also has a clip of."""
    clips = list(clips)
    barred = {clip.drive for clip in clips if clip.side == "regression"}
    return [clip for clip in clips if clip.side == "train" and clip.drive not in barred]


# Drives ---------------------------------------------------------------------------------------------------------------


def drive_fleet(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """People drive; and whatever else has come into the lake since the turn before is taken up too."""
    told = turn.came_to("begin")
    lost: dict[str, str] = {}
    if told["world"] == "city":
        plan = [
            tour
            for kind, events in (("train", told["campaign"]["events"]), ("regression", ()))
            for tour in fleet_of(kind, turn.preset, turn.number, turn.seed, events)
        ]
        lost = _drive(turn, plan, tell)
    found = new_drives(turn.lake, turn.number)
    if not found:
        raise DataError(f"the fleet brought no drive; {next(iter(lost.values()), 'the lake has none')}")
    km, hours = sum(drive["km"] for drive in found), sum(drive["seconds"] for drive in found) / 3600
    tell(said=f"{len(found)} drives, {km:.1f} km" + (f", {len(lost)} lost" if lost else ""))
    sides = {drive["id"]: side_of(drive["places"]) for drive in found}
    return {"drives": sorted(sides), "sides": sides, "km": km, "hours": hours, "lost": lost}


def new_drives(lake: Lake, number: int) -> list[dict[str, Any]]:
    """The drives of a lake that no turn before this one has taken up."""
    taken = {
        drive
        for before, done in turns(lake).items()
        for step in ("fleet", "wheel")
        if before < number
        for drive in done.get(step, {}).get("drives", ())
    }
    return [drive for drive in lake.drives() if drive["id"] not in taken]


def _drive(turn: Turn, plan: list[fleet.Tour], tell: Tell) -> dict[str, str]:
    """Have tours driven; those lost, and why."""
    on_drive = progress(tell)
    found = fleet.fleet_drive(turn.lake, plan, turn.processes, lambda outcome: on_drive(outcome, len(plan)))
    names = {tour.name for tour in plan}
    return {name: why for name, why in sorted(found.failures.items()) if name in names}


def drive_champion(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """The champion drives, with a safety driver beside it who takes over when it gets dangerous."""
    if turn.came_to("begin")["world"] != "city":
        raise Impossible("there is no city to drive in")
    spec = turn.spec(turn.champion)
    plan = [replace(tour, driver=spec) for tour in fleet_of("wheel", turn.preset, turn.number, turn.seed)]
    if not plan:
        raise Impossible("the preset has no car for it")
    lost = _drive(turn, plan, tell)
    wanted = {tour.drive for tour in plan}
    found = [drive for drive in turn.lake.drives() if drive["id"] in wanted]
    km, count = sum(drive["km"] for drive in found), 0
    for drive in found:
        who = turn.lake.table("instants", [drive["id"]], ["who_drives"])["who_drives"].to_numpy()
        count += int(np.count_nonzero(np.diff((who == Driver.SAFETY).astype(int), prepend=0) == 1))
    tell(said=f"{len(found)} drives, {km:.1f} km, the safety driver took over {count} times")
    return {"drives": sorted(wanted & {drive["id"] for drive in found}), "km": km, "interventions": count, "lost": lost}


# Who is challenged ----------------------------------------------------------------------------------------------------


def bootstrap(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """The first champion: a network that learns from clips chosen at random."""
    if turn.came_to("begin")["champion"]:
        raise Impossible("there is a champion already")
    drives = turn.came_to("fleet")["sides"]
    pictured = [drive["id"] for drive in turn.lake.drives() if drive["id"] in drives and "pictures" in drive["offers"]]
    if not pictured:
        rule = turn.registry.add("lane_follow", entrant("lane_follow").hash, "lane_follow")
        tell(said="no drive has pictures to learn from: lane_follow is the first champion")
        return {"champion": _crown(turn, rule.hash, "no drive has pictures to learn from"), "name": rule.name}
    label_drives(turn, pictured, tell)
    clips = by_chance(
        share(turn.lake, (drive for drive in pictured if drives[drive] != "regression")),
        turn.preset.bootstrap_s,
        f"bootstrap {turn.seed}",
        drives,
    )
    keep_clips(turn.lake, f"{name_of(turn.number)} bootstrap", clips)
    frozen = freeze(turn, clips, tell)
    trained = teach(turn, frozen["name"], turn.preset.bootstrap_steps, "", tell)
    made = out_of_the_house(turn, trained["model"], frozen, "bootstrap", "")
    _crown(turn, made["candidate"], why=f"the first: learned from {frozen['seconds']:.0f} s chosen at random")
    tell(said=f"{made['name']} learned from {frozen['seconds']:.0f} s chosen at random, {trained['steps']} steps")
    return {"champion": made["candidate"], "name": made["name"], **frozen, "training": trained}


def _crown(turn: Turn, model: str, why: str = "") -> str:
    """Make a model champion, if it is not."""
    reigns = turn.registry.reigns()
    if not reigns or reigns[-1].model != model:
        turn.registry.promote(model, why)
    return model


# What matters ---------------------------------------------------------------------------------------------------------


def plan_in_shadow(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """The champion plans at every instant that people drove; so does a candidate that the turn before left open."""
    before = turns(turn.lake).get(turn.number - 1, {})
    models = [turn.champion]
    if before.get("promote", {}).get("outcome") == "undecided":
        models.append(before["export"]["candidate"])
    specs = list(dict.fromkeys(turn.spec(model) for model in models))
    drives = turn.drives("fleet")
    reports = shadow.run(share(turn.lake, drives), specs, processes=turn.processes, on_drive=progress(tell))
    planned = {name: len(one.made) + len(one.kept) for name, one in reports.items()}
    if not any(planned.values()):
        lacks = Counter(why for one in reports.values() for why in [*one.skipped.values(), *one.failures.values()])
        raise Impossible(f"no drive offers what {', '.join(reports)} needs: {'; '.join(lacks)}")
    listed = ", ".join("'{}'".format(drive.replace("'", "''")) for drive in drives)
    rows = turn.lake.query(
        "SELECT policy, median(mean_displacement) AS median, quantile_cont(mean_displacement, 0.95) AS worst, "
        "avg(plan_score) AS score, avg(human_score) AS human FROM plans "
        f"WHERE drive IN ({listed}) AND NOT isnan(mean_displacement) GROUP BY policy ORDER BY policy"
    ).to_pylist()
    rows = [row for row in rows if row["policy"] in planned]
    apart = ", ".join(f"{row['policy']} {row['median']:.2f} m apart (median)" for row in rows)
    tell(said=f"{max(planned.values())} drives: {apart}")
    failures = {f"{name} {drive}": why for name, one in reports.items() for drive, why in one.failures.items()}
    return {"planned": planned, "disagreement": rows, "failures": failures}


def choose_clips(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """Events, then clips within the budget: for training from the towns to train in, for regression from the others."""
    preset, asked = turn.preset, turn.came_to("begin")["campaign"]
    sides = {**turn.came_to("fleet")["sides"], **dict.fromkeys(turn.drives("wheel"), "train")}
    brought: dict[str, Counter[str]] = {name: Counter() for name in ("events", "clips", "hours")}
    clips: list[Clip] = []
    failures: dict[str, str] = {}
    for side in ("train", "regression", ""):
        drives = [drive for drive, known in sides.items() if known == side]
        if not drives:
            continue
        key = f"{name_of(turn.number)} {side or 'logs'}"
        here = share(turn.lake, drives)
        budget = preset.regression_clips if side == "regression" else f"{preset.budget_s:g}s"
        settings = mine.Mine(budget=budget, side=side, weights=dict(asked["weights"]), seed=turn.seed)
        if preset.chosen == "chance" and side != "regression":
            chosen = by_chance(here, preset.budget_s, f"{key} {turn.seed}", sides)
            keep_clips(turn.lake, key, chosen)
        else:
            mined = mine.run(here, settings, turn.processes, progress(tell), key)
            chosen = list(mined.clips)
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
    tell(said=f"{events} events, {len(clips)} clips, {sum(seconds.values()):.0f} s")
    return {
        "events": events,
        "clips": [{"id": clip.id, "drive": clip.drive, "side": clip.side, "seconds": clip.seconds} for clip in clips],
        "seconds": seconds,
        "triggers": yields,
        "failures": failures,
    }


def keep_clips(lake: Lake, key: str, clips: list[Clip]) -> None:
    """Keep clips as mining keeps its own."""
    with lake.run("mine", key, {}, "") as run:
        part = run.part(key, [clip.id for clip in clips])
        if not part.done:
            rows = [
                {
                    **{name: getattr(clip, name) for name in ("id", "drive", "start_ns", "end_ns", "seconds", "side")},
                    "place": clip.place,
                    "events": [],
                    "run": part.hash,
                }
                for clip in clips
            ]
            part.write({"clips": pa.Table.from_pylist(rows, CLIPS)})


# Learning -------------------------------------------------------------------------------------------------------------


def label_all(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """The answers known afterwards, of all drives of the turn."""
    return label_drives(turn, turn.drives("fleet", "wheel"), tell)


def label_drives(turn: Turn, drives: list[str], tell: Tell) -> dict[str, Any]:
    settings = label.Labels(every_s=turn.preset.every_s)
    found = label.run(share(turn.lake, drives), settings, turn.processes, progress(tell))
    entries = [entry for entry in turn.lake.entries(stage="label") if entry.subject in set(drives)]
    valid: Counter[str] = Counter()
    for entry in entries:
        valid.update(entry.about["valid"])
    tell(said=f"{len(entries)} drives, " + ", ".join(f"{name} {count}" for name, count in sorted(valid.items())))
    return {"labelled": len(entries), "valid": dict(sorted(valid.items())), "failures": dict(found.failures)}


def freeze_all(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """All clips chosen for training so far: what is new, and what the champion has learned from already."""
    return freeze(turn, used_for_training(clips_of(turn.lake)), tell)


def freeze(turn: Turn, clips: list[Clip], tell: Tell) -> dict[str, Any]:
    """Freeze the labelled instants of clips into a dataset."""
    offers = {drive["id"]: drive["offers"] for drive in turn.lake.drives()}
    clips = [clip for clip in clips if "pictures" in offers.get(clip.drive, ())]
    if not clips:
        raise Impossible("no clip chosen for training has pictures to learn from")
    size = size_of(turn.preset.size)
    settings = dataset.Dataset(size=size.picture, history_s=size.history_s, clips=True, held_out=0.0)
    here = share(turn.lake, {clip.drive for clip in clips})
    frozen = dataset.run(here, settings, clips, turn.processes, progress(tell))
    seconds = sum(clip.seconds for clip in clips)
    tell(said=f"{frozen.samples} instants of {len(clips)} clips, {seconds:.0f} s, in {len(frozen.places)} places")
    return {
        "name": frozen.name,
        "samples": frozen.samples,
        "clips": len(clips),
        "seconds": seconds,
        "places": list(frozen.places),
        "failures": dict(frozen.report.failures),
    }


def train_candidate(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """The candidate learns on from the champion's weights, where the champion is a network of this lake."""
    frozen = turn.came_to("dataset")
    if "skipped" in frozen:
        raise Impossible("there is no dataset")
    made = turn.registry.model(turn.champion).card.get("made", {})
    return teach(turn, frozen["name"], turn.preset.steps, str(made.get("model", "")), tell)


def teach(turn: Turn, frozen: str, steps: int, start: str, tell: Tell) -> dict[str, Any]:
    """Train a network on a dataset, from the weights of `start` if there is one. DataError where it diverges."""
    from understudy import train

    first: dict[str, float] = {}
    last: dict[str, float] = {}

    def on_log(line: Mapping[str, float]) -> None:
        values = {name: value for name, value in line.items() if name not in ("step", "lr", "elapsed_s", "norm")}
        if wrong := sorted(name for name, value in values.items() if not math.isfinite(value)):
            raise DataError(
                f"training diverged: the loss of {wrong[0]} is {values[wrong[0]]} at step {line['step']:.0f}"
            )
        tell(done=int(line["step"]), of=steps, what="steps", losses={k: round(v, 4) for k, v in values.items()})

    preset = turn.preset
    seed = int(digest([turn.seed, turn.number, "training"])[:6], 16)
    settings = train.Train(
        size=preset.size,
        steps=steps,
        batch=preset.batch,
        lr=preset.lr,
        warmup=max(1, min(100, steps // 5)),
        seed=seed,
        start=start,
        save_every_s=30.0,
    )
    found = train.run(turn.lake, frozen, settings, on_log)
    entry = next(entry for entry in turn.lake.entries(stage="train") if entry.part == found.name)
    lines = [json.loads(line) for line in turn.lake.blob(entry, "log.jsonl").read_text(encoding="utf-8").splitlines()]
    first, last = ({k: v for k, v in line.items() if k not in ("elapsed_s", "lr")} for line in (lines[0], lines[-1]))
    tell(said=f"{steps} steps, drivable {first.get('drivable', math.nan):.3f} → {last.get('drivable', math.nan):.3f}")
    return {"model": found.name, "steps": steps, "start": start, "first": first, "last": last}


def export_candidate(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """The candidate as ONNX, with its card, into the registry."""
    trained = turn.came_to("train")
    if "skipped" in trained:
        raise Impossible("nothing was trained")
    made = out_of_the_house(turn, trained["model"], turn.came_to("dataset"), name_of(turn.number), turn.champion)
    tell(said=made["name"])
    return made


def out_of_the_house(turn: Turn, model: str, frozen: About, name: str, parent: str) -> dict[str, Any]:
    """Export a model; its card also says where it was trained, so that a gate can refuse what learned in its towns."""
    from understudy.network.export import export

    with TemporaryDirectory() as folder:
        path = export(turn.lake, model, Path(folder) / f"{name}.onnx")
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        card["made"]["model"] = model
        card |= {
            "parents": [parent] if parent else [],
            "data": {key: frozen[key] for key in ("places", "clips", "seconds", "samples")},
        }
        path.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        known = named(str(path))
        turn.registry.add(known.id, known.contents, str(path))
    return {"candidate": known.contents, "name": known.id}


# Judging --------------------------------------------------------------------------------------------------------------


def judge_candidate(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """May the candidate take the champion's place?"""
    made = turn.came_to("export")
    if "skipped" in made:
        raise Impossible("there is no candidate")
    gate = turn.preset.gate
    if turn.came_to("begin")["world"] != "city":
        gate = replace(gate, suites=())  # a replay shows no pictures: what is left is the regression suite
    specs = turn.spec(turn.champion), turn.spec(made["candidate"])
    verdict = judge(
        turn.lake,
        *specs,
        gate,
        binding=turn.came_to("begin")["binding"],
        processes=turn.processes,
        on_route=progress(tell),
    )
    if turn.on_verdict is not None:
        turn.on_verdict(verdict)
    text = report.as_json(verdict)
    id = turn.registry.record(text, dict(zip((verdict.champion, verdict.candidate), specs, strict=True)))
    driven = f"{verdict.routes} pairs of routes" if gate.suites else f"{len(verdict.clips)} clips and no closed loop"
    tell(said=f"{verdict.outcome} after {driven}: {verdict.reasons[0].text}")
    return {"verdict": id, **judged(verdict)}


def judged(verdict: Verdict) -> dict[str, Any]:
    """What of a verdict the report of a turn and the next campaign need. Of scenarios only their kind of event."""
    kinds: dict[str, list[tuple[float, float]]] = {}
    taken = {"champion": [0, 0.0], "candidate": [0, 0.0]}
    for pairs in verdict.pairs.values():
        for a, b in zip(pairs.champion, pairs.candidate, strict=True):
            words = a.scenario.split("/")
            if len(words) == 7 and words[5] != "none":
                kinds.setdefault(words[5], []).append((a.driving_score, b.driving_score))
            for side, route in (("champion", a), ("candidate", b)):
                taken[side][0] += route.interventions
                taken[side][1] += 0.0 if math.isnan(route.metres) else route.metres / 1000
    findings = [
        {
            "suite": one.suite,
            "measure": one.measure,
            **{name: getattr(one, name) for name in ("champion", "candidate")},
            **{name: getattr(one.paired, name) for name in ("n", "mean", "low", "high", "wins", "losses")},
        }
        for one in (*verdict.evidence.findings, *verdict.evidence.guards)
    ]
    return {
        "outcome": verdict.outcome,
        "reasons": [reason.text for reason in verdict.reasons],
        "routes": verdict.routes,
        "findings": findings,
        "kinds": {
            kind: {"champion": float(np.mean([a for a, _ in two])), "candidate": float(np.mean([b for _, b in two]))}
            for kind, two in sorted(kinds.items())
        },
        "interventions": {side: {"count": count, "km": km} for side, (count, km) in taken.items()},
        "clips": {
            "binding": sum(clip.binds for clip in verdict.clips),
            "failed": sum(clip.binds and clip.failed for clip in verdict.clips),
            "all": len(verdict.clips),
        },
    }


def promote(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """The gate's word: a new champion, or the old one stays. Here a champion changes, and nowhere else."""
    found = turn.came_to("gate")
    if "skipped" in found:
        raise Impossible(f"nobody was judged, {turn.registry.model(turn.champion).name} stays champion")
    outcome, candidate = found["outcome"], turn.came_to("export")["candidate"]
    champion = _crown(turn, candidate) if outcome == "promote" else turn.champion
    name = turn.registry.model(champion).name
    tell(said=f"{name} is champion" if outcome == "promote" else f"{name} stays champion")
    return {"outcome": outcome, "champion": champion, "name": name, "why": found["reasons"]}


# What comes next ------------------------------------------------------------------------------------------------------


def plan_campaign(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """What the next turn is to collect."""
    found, promoted = turn.came_to("gate"), turn.came_to("promote")
    side = "candidate" if promoted.get("outcome") == "promote" else "champion"
    lost = {kind: 1.0 - scores[side] for kind, scores in found.get("kinds", {}).items()}
    brought = [Brought(**one) for one in turn.came_to("mine")["triggers"]]
    catches = {kind: one.triggers for kind, one in KINDS.items()}
    kept = [kind for kind, one in KINDS.items() if one.kept]
    asked = campaign(lost, brought, catches, kept)
    tell(said=" ".join(asked.words))
    return asdict(asked)
