"""The steps that follow from a candidate: the verdict, the champion, what to collect next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from understudy.gate import report
from understudy.gate.entrants import entrant
from understudy.gate.run import run as judge
from understudy.gate.verdict import Verdict
from understudy.turn.campaign import FIRST, Brought, campaign
from understudy.turn.diary import progress
from understudy.turn.under_way import Impossible, Tell, Turn, crown
from understudy.worlds.events import KINDS


def judge_candidate(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """May the candidate take the champion's place?"""
    made = turn.came_to("export")
    if "skipped" in made:
        raise Impossible("there is no candidate")
    gate = turn.gate
    if turn.came_to("begin")["world"] != "city":
        gate = replace(gate, suites=())  # a replay shows no pictures: what is left is the regression suite
    bound = turn.came_to("begin")["binding"]
    specs = turn.spec(turn.champion), turn.spec(made["candidate"])
    turn.registry.assert_same(f"model:{turn.champion}", entrant(specs[0]).hash)
    verdict = judge(
        turn.lake,
        *specs,
        gate,
        binding={id: clip for id, clip in turn.registry.binding().items() if id in bound},
        at_least=1,  # a campaign asks what was lost on routes, and the report how both drive
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


def promote(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """The gate's word: a new champion, or the old one stays. Here a champion changes, and nowhere else."""
    found = turn.came_to("gate")
    if "skipped" in found:
        raise Impossible(f"nobody was judged, {turn.registry.model(turn.champion).name} stays champion")
    outcome, candidate = found["outcome"], turn.came_to("export")["candidate"]
    present = turn.registry.reigns()[-1].model
    if present != turn.champion and not (present == candidate and outcome == "promote"):
        name = turn.registry.model(present).name
        raise Impossible(f"{name} has become champion meanwhile, and the verdict is not against {name}")
    champion = crown(turn, candidate) if outcome == "promote" else turn.champion
    name = turn.registry.model(champion).name
    tell(said=f"{name} is champion" if outcome == "promote" else f"{name} stays champion")
    return {"outcome": outcome, "champion": champion, "name": name, "why": found["reasons"]}


def plan_campaign(turn: Turn, tell: Tell) -> Mapping[str, Any]:
    """What the next turn is to collect; a control arm asks for nothing."""
    if turn.preset.chosen == "chance":
        return asdict(replace(FIRST, words=("A control arm asks for nothing.",)))
    found, promoted = turn.came_to("gate"), turn.came_to("promote")
    side = "candidate" if promoted.get("outcome") == "promote" else "champion"
    lost = {kind: 1.0 - scores[side] for kind, scores in found.get("kinds", {}).items()}
    brought = [Brought(**one) for one in turn.came_to("mine")["triggers"]]
    catches = {kind: one.triggers for kind, one in KINDS.items()}
    kept = [kind for kind, one in KINDS.items() if one.kept]
    asked = campaign(lost, brought, catches, kept)
    tell(said=" ".join(asked.words))
    return asdict(asked)


def judged(verdict: Verdict) -> dict[str, Any]:
    """What of a verdict the report of a turn and the next campaign need. Of scenarios only their kind of event."""
    kinds: dict[str, list[tuple[float, float]]] = {}
    taken = {"champion": [0, 0.0], "candidate": [0, 0.0]}
    for pairs in verdict.pairs.values():
        for a, b in zip(pairs.champion, pairs.candidate, strict=True):
            words = a.scenario.split("/")
            if len(words) == 7 and words[5] != "none":
                kinds.setdefault(words[5], []).append((a.spared, b.spared))
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
