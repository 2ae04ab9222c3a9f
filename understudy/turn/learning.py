"""The steps that make a candidate, and the first champion: labels, dataset, training, export."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from understudy import dataset, label
from understudy.errors import DataError
from understudy.gate.entrants import entrant
from understudy.identifiers import counted
from understudy.labelers.kept import outdated
from understudy.labelers.path import Path as PathLabeler
from understudy.network.sizes import size_of
from understudy.policies import named
from understudy.records import NS, Clip
from understudy.registry import used_for_training
from understudy.store import digest
from understudy.turn.chance import by_chance
from understudy.turn.clips import asked_in, keep_clips
from understudy.turn.diary import About, name_of, progress
from understudy.turn.share import share
from understudy.turn.under_way import Impossible, Tell, Turn, crown_first

_PLANS = {"pictures", *PathLabeler.needs}  # what a drive must offer to teach a network to plan


def bootstrap(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """The first champion: a network that learns from clips chosen at random."""
    if turn.came_to("begin")["champion"]:
        raise Impossible("there is a champion already")
    drives = set(turn.drives("fleet"))
    pictured = [drive["id"] for drive in turn.lake.drives() if drive["id"] in drives and {*drive["offers"]} >= _PLANS]
    if not pictured:
        return _by_rule(turn, "no drive has pictures and poses to learn from", tell)
    label_drives(turn, pictured, tell)
    clips = by_chance(share(turn.lake, pictured), turn.preset.bootstrap_s, f"bootstrap {turn.seed}", only="train")
    keep_clips(turn.lake, f"{name_of(turn.number)} bootstrap", clips)
    try:
        frozen = freeze(turn, clips, tell)
    except Impossible as reason:
        return _by_rule(turn, str(reason), tell)
    trained = teach(turn, frozen["name"], turn.preset.bootstrap_steps, "", tell)
    made = out_of_the_house(turn, trained["model"], frozen, "bootstrap", "")
    why = f"the first: learned from {frozen['seconds']:.0f} s chosen at random"
    champion = turn.registry.model(crown_first(turn, made["candidate"], why))
    tell(said=f"{made['name']} learned from {frozen['seconds']:.0f} s chosen at random, {trained['steps']} steps")
    return {"champion": champion.hash, "name": champion.name, **frozen, "training": trained}


def _by_rule(turn: Turn, why: str, tell: Tell) -> dict[str, Any]:
    """Without anything to learn from the first champion is `lane_follow`."""
    rule = turn.registry.add("lane_follow", entrant("lane_follow").hash, "lane_follow")
    champion = turn.registry.model(crown_first(turn, rule.hash, why))
    tell(said=f"{why}: {champion.name} is the first champion")
    return {"champion": champion.hash, "name": champion.name}


def label_all(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """The answers known afterwards, of all drives of the turn."""
    return label_drives(turn, turn.drives("fleet", "wheel"), tell)


def freeze_all(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """All clips chosen for training so far: what is new, and what the champion has learned from already."""
    return freeze(turn, used_for_training(turn.lake), tell)


def train_candidate(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """The candidate learns on from a network of this lake: from the one that the turn before left undecided, so that
    turns which each prove nothing add up, or else from the champion."""
    frozen = turn.came_to("dataset")
    if "skipped" in frozen:
        raise Impossible("there is no dataset")
    clean = not asked_in(turn, turn.champion) & turn.places(turn.learner)  # a reviewer may have sent clips there since
    parent = turn.learner if clean else turn.champion
    start = weights_of(turn, parent)
    return {
        "parent": parent if start else "",
        "on_from": turn.registry.model(parent).name if start else "",
        **teach(turn, frozen["name"], turn.preset.steps, start, tell),
    }


def weights_of(turn: Turn, model: str) -> str:
    """The training that a model came out of; empty where it is not of this lake, or no network."""
    made = str(turn.registry.model(model).card.get("made", {}).get("model", ""))
    return made if made in {entry.part for entry in turn.lake.entries(stage="train")} else ""


def export_candidate(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """The candidate as ONNX, with its card, into the registry."""
    trained = turn.came_to("train")
    if "skipped" in trained:
        raise Impossible("nothing was trained")
    made = out_of_the_house(turn, trained["model"], turn.came_to("dataset"), name_of(turn.number), trained["parent"])
    tell(said=made["name"])
    return made


def label_drives(turn: Turn, drives: list[str], tell: Tell) -> dict[str, Any]:
    settings = label.Labels(every_s=turn.preset.every_s)
    found = label.run(share(turn.lake, drives), settings, turn.processes, progress(tell))
    entries = [entry for entry in turn.lake.entries(stage="label") if entry.subject in set(drives)]
    valid: Counter[str] = Counter()
    for entry in entries:
        valid.update(entry.about["valid"])
    tell(
        said=", ".join([counted(len(entries), "drive"), *(f"{name} {count}" for name, count in sorted(valid.items()))])
    )
    return {"labelled": len(entries), "valid": dict(sorted(valid.items())), "failures": dict(found.failures)}


def seconds_of(clips: Iterable[Clip]) -> float:
    """How long clips are, of which several may show the same instants."""
    total, ends = 0, dict[str, int]()
    for clip in sorted(clips, key=lambda clip: clip.start_ns):
        total += max(clip.end_ns - max(clip.start_ns, ends.get(clip.drive, clip.start_ns)), 0)
        ends[clip.drive] = max(clip.end_ns, ends.get(clip.drive, clip.end_ns))
    return total / NS


def freeze(turn: Turn, clips: list[Clip], tell: Tell) -> dict[str, Any]:
    """Freeze the labelled instants of clips into a dataset."""
    offers = {drive["id"]: drive["offers"] for drive in turn.lake.drives()}
    clips = [clip for clip in clips if "pictures" in offers.get(clip.drive, ())]
    if not any({*offers[clip.drive]} >= _PLANS for clip in clips):
        raise Impossible("no clip chosen for training has pictures and poses to learn from")
    size = size_of(turn.preset.size)
    settings = dataset.Dataset(size=size.picture, history_s=size.history_s, clips=True, held_out=0.0)
    here = share(turn.lake, {clip.drive for clip in clips})
    if old := outdated(here, here.drives()):  # of turns before, and read again since
        label_drives(turn, old, tell)
    frozen = dataset.run(here, settings, clips, turn.processes, progress(tell))
    if not frozen.samples:
        raise Impossible("the clips chosen for training hold no instant with a label")
    seconds = round(seconds_of(clips), 3)
    tell(said=f"{frozen.samples} instants of {len(clips)} clips, {seconds:.0f} s, in {len(frozen.places)} places")
    return {
        "name": frozen.name,
        "samples": frozen.samples,
        "clips": len(clips),
        "seconds": seconds,
        "places": list(frozen.places),
        "failures": dict(frozen.report.failures),
    }


def teach(turn: Turn, frozen: str, steps: int, start: str, tell: Tell) -> dict[str, Any]:
    """Train a network on a dataset, from the weights of `start` if there is one. DataError where it diverges."""
    from understudy import train

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
    name = next(name for name in ("drivable", "offset", "control") if name in last)
    tell(said=f"{steps} steps, {name} {first.get(name, math.nan):.3f} → {last[name]:.3f}")
    return {"model": found.name, "steps": steps, "start": start, "first": first, "last": last}


def out_of_the_house(turn: Turn, model: str, frozen: About, name: str, parent: str) -> dict[str, Any]:
    """Export a model; its card also says where it and those that it learned on from were trained, so that a gate can
    refuse what learned in its towns."""
    from understudy.network.export import export

    with TemporaryDirectory() as folder:
        path = export(turn.lake, model, Path(folder) / f"{name}.onnx")
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        card |= {
            "parents": [parent] if parent else [],
            "data": {
                "places": sorted({*card["data"]["places"], *turn.places(parent)}),
                **{key: frozen[key] for key in ("clips", "seconds", "samples")},
            },
        }
        path.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        known = named(str(path))
        turn.registry.add(known.id, known.contents, str(path))
    return {"candidate": known.contents, "name": known.id}
