"""A verdict for others: JSON for programs, JUnit XML for CI servers, lines for people."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from understudy.gate.verdict import Infraction, Verdict
from understudy.store.files import legible


def as_json(verdict: Verdict) -> bytes:
    """The whole verdict, every route of both included; unknown numbers are null."""
    return legible(verdict)


def junit(verdict: Verdict) -> bytes:
    """One test case for each claim: a fault that is proven fails, what could not be proven is skipped."""
    cases: list[tuple[str, str, str, str]] = []  # class, name, what became of it, why
    told = {reason.about: reason for reason in verdict.reasons}
    proven = {reason.about: reason for reason in verdict.reasons if reason.kind == "infraction"}
    for one in (*verdict.evidence.findings, *verdict.evidence.guards):
        became = {"worse": "failure", "unproven": "skipped"}.get(told[one.key].kind, "") if one.key in told else ""
        cases.append((one.suite, one.measure, became, told[one.key].text if became else ""))
    for infraction in verdict.evidence.infractions:
        reason = proven.get(infraction.name)
        cases.append(("infractions", infraction.name, "failure" if reason else "", reason.text if reason else ""))
    for clip in verdict.clips:
        reason = told.get(clip.clip)
        became = "failure" if reason else "" if clip.binds else "skipped"
        cases.append(("regression", clip.clip, became, reason.text if reason else f"{clip.candidate} of 5"))
    known = {(suite, name) for suite, name, _, _ in cases}
    for reason in verdict.reasons:
        if reason.kind == "leak" and ("places", reason.about) not in known:
            cases.append(("places", reason.about, "failure", reason.text))
    became = {"promote": "", "refuse": "failure", "undecided": "skipped"}[verdict.outcome]
    cases.append(("verdict", verdict.outcome, became, "; ".join(reason.text for reason in verdict.reasons)))
    root = ElementTree.Element(
        "testsuite",
        name=f"{verdict.candidate} against {verdict.champion}",
        tests=str(len(cases)),
        failures=str(sum(became == "failure" for *_, became, _ in cases)),
        skipped=str(sum(became == "skipped" for *_, became, _ in cases)),
        errors="0",
    )
    for suite, name, became, why in cases:
        case = ElementTree.SubElement(root, "testcase", classname=f"gate.{suite}", name=name)
        if became:
            ElementTree.SubElement(case, became, message=why)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def rows(verdict: Verdict) -> list[dict[str, Any]]:
    """What a terminal shows: a row for each measure of each suite, each guard and each infraction."""
    found: list[dict[str, Any]] = [
        {
            "id": one.key,
            "champion": one.champion,
            "candidate": one.candidate,
            "difference": one.paired.mean,
            "low": one.paired.low,
            "high": one.paired.high,
            "won": one.paired.wins,
            "lost": one.paired.losses,
            "routes": one.paired.n,
        }
        for one in (*verdict.evidence.findings, *verdict.evidence.guards)
    ]
    return found + [_counted(one, verdict.routes) for one in verdict.evidence.infractions]


def _counted(one: Infraction, routes: int) -> dict[str, Any]:
    return {
        "id": f"routes with {one.name.replace('_', ' ')}",
        "champion": one.champion,
        "candidate": one.candidate,
        "won": one.only_champion,
        "lost": one.only_candidate,
        "routes": routes,
    }
