"""The study of the loop: arms that begin alike, an audit nobody else reads, and gains with their intervals."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.turning import TINY
from understudy.errors import DataError, SettingsError
from understudy.gate.suites import special, suite
from understudy.store import Lake
from understudy.study.loop import (
    CHANCE,
    DRIVERS,
    FIRST,
    LEARNED,
    PARTS,
    TRIGGERS,
    Loop,
    arms,
    audit,
    by_arms,
    comparable,
    grounds,
    part_of,
    picture,
    rows,
    run,
    table,
)
from understudy.turn.diary import turns
from understudy.worlds import sides
from understudy.worlds.scenario import Scenario


def test_no_suite_of_the_gate_and_no_fleet_comes_to_the_towns_of_the_audit() -> None:
    audited = [Scenario.parse(one) for one in audit(200)]
    places = {one.town for one in audited}
    assert len({str(one) for one in audited}) == 200 and len(places) == 12
    assert {sides.side(place) for place in places} == {"gate"}, "fleets are refused there"
    for name in ("everyday", "braking", "events", "weather", "lights"):
        routes = 2 if name == "lights" else 60
        assert not places & {Scenario.parse(one).town for one in suite(name, routes).scenarios}
    assert sum(one.event == "none" for one in audited) == 100 and len({one.event for one in audited}) == 18


def line(driver: str, seed: int, scores: list[float], **more: Any) -> dict[str, Any]:
    routes = {"score": scores, "driving_score": scores, "interventions": [1.0] * 4, "metres": [250.0] * 4}
    told = {"driver": driver, "seed": seed, "outcomes": ["promote", "refuse"], "routes": {**routes, **more}}
    return {**told, "settings": {"seeds": 2}}


def test_gains_are_of_the_same_routes_and_a_seed_that_lacks_a_driver_does_not_count() -> None:
    base = [0.1, 0.2, 0.3, 0.4]
    gains = {FIRST: 0.0, CHANCE: 0.1, TRIGGERS: 0.3, LEARNED[CHANCE]: 0.4, LEARNED[TRIGGERS]: 0.5}
    lines = [line(who, seed, [b + gain for b in base]) for seed in (0, 1) for who, gain in gains.items()]
    lines.append(line(TRIGGERS, 2, [1.0] * 4))
    found = {row.driver: row for row in rows(lines)}
    assert {row.seeds for row in found.values()} == {2}
    np.testing.assert_allclose(found[TRIGGERS].over_first, 0.3)
    np.testing.assert_allclose(found[TRIGGERS].over_chance, 0.2)
    np.testing.assert_allclose(found[FIRST].over_chance, -0.1)
    assert found[TRIGGERS].interventions == pytest.approx(400.0) and found[TRIGGERS].promoted == 2
    np.testing.assert_allclose(found[LEARNED[TRIGGERS]].over_first, 0.5)
    np.testing.assert_allclose(found[LEARNED[TRIGGERS]].over_chance, 0.1)
    assert not list(rows(lines[:1])), "one driver alone says nothing"
    told = table(found.values()).splitlines()
    assert told[4].startswith("| `triggers` | 2 | 2 | 0.550 | 0.550 | 400 | 1.00 (1.00 to 1.00) | ")
    assert told[4].endswith(" | +0.300 (+0.300 to +0.300) | +0.200 (+0.200 to +0.200) |")
    assert {line.count("|") for line in told} == {10}


def test_half_of_the_interventions_on_every_route_are_half_for_sure() -> None:
    often = {FIRST: 2.0, CHANCE: 2.0, TRIGGERS: 1.0, LEARNED[CHANCE]: 0.0, LEARNED[TRIGGERS]: 4.0}
    lines = [line(who, 0, [0.5] * 4, interventions=[times] * 4) for who, times in often.items()]
    found = {row.driver: row.of_first for row in rows(lines)}
    np.testing.assert_allclose(found[TRIGGERS], 0.5)
    np.testing.assert_allclose(found[LEARNED[TRIGGERS]], 2.0)
    assert found[LEARNED[CHANCE]][0] == 0.0 and np.isnan(found[LEARNED[CHANCE]][1])


def test_a_gain_in_rare_weather_alone_is_told_as_such() -> None:
    base, kinds = [0.1, 0.2, 0.3, 0.4], ["everyday", "fog", "cut_in", "fog"]
    better = [0.1, 0.6, 0.3, 0.8]
    lines = [{**line(who, 0, better if TRIGGERS in who else base), "kinds": kinds} for who in DRIVERS]
    gains = {part: {row.driver: row.over_chance[0] for row in rows(lines, part)} for part in ("", *PARTS)}
    assert {part: round(found[TRIGGERS], 6) for part, found in gains.items()} == {
        "": 0.2,
        "everyday": 0.0,
        "weather": 0.4,
        "events": 0.0,
    }
    parts = Counter(part_of(special("everyday", one)) for one in audit(200))
    assert parts == {"everyday": 50, "weather": 50, "events": 100}


def test_an_arm_that_waits_for_its_control_is_shown_beside_the_first_champion() -> None:
    gains = {FIRST: 0.0, TRIGGERS: 0.3, LEARNED[TRIGGERS]: 0.5}
    lines = [line(who, 0, [0.1 + gain] * 4, score=[0.2 + 2 * gain] * 4) for who, gain in gains.items()]
    found = {row.driver: row for row in rows(lines)}
    assert list(found) == [FIRST, TRIGGERS, LEARNED[TRIGGERS]]
    np.testing.assert_allclose(found[TRIGGERS].over_first, 0.3)
    assert found[TRIGGERS].over_chance is None and "+0.300" in table(found.values())
    np.testing.assert_allclose({row.driver: row for row in rows(lines, "", "score")}[TRIGGERS].over_first, 0.6)
    assert not list(rows(lines[1:])), "held against nobody"


def test_a_seed_whose_control_waits_does_not_hide_and_is_not_hidden() -> None:
    whole = [line(who, seed, [0.1] * 4) for seed in (0, 3) for who in DRIVERS]
    alone = [line(who, 2, [0.1] * 4) for who in (FIRST, TRIGGERS)]
    assert by_arms([*alone, *whole]) == [whole, alone] and by_arms([]) == []
    assert [row.seeds for part in by_arms(whole + alone) for row in rows(part)] == [2] * 5 + [1] * 2


def test_the_picture_has_an_arrow_for_every_arm_that_was_audited() -> None:
    found = [line(who, 0, [0.2, 0.4, 0.6, 0.7]) for who in DRIVERS]
    alone = [line(who, 1, [0.3, 0.4, 0.6, 0.7]) for who in (FIRST, TRIGGERS, LEARNED[TRIGGERS])]
    half = [line(who, 2, [0.3, 0.4, 0.6, 0.7]) for who in (FIRST, TRIGGERS)]
    told = [{**one, "commit": f"{one['seed']}bcdef01", "unit": one["driver"]} for one in found + alone + half]
    drawn = picture([told])
    assert "seed 0, 0bcdef0" in drawn and "seed 1, 1bcdef0" in drawn and "seed 2" not in drawn and "nan" not in drawn
    marks = [one for one in ElementTree.fromstring(drawn).iter() if one.tag.endswith("circle")]
    assert len(marks) == 3 * 3 * 3 + 4, "three panels, three arms, three drivers, and a legend"


def test_grounds_are_kept_apart_and_what_was_worked_on_last_comes_last() -> None:
    one, other = line(FIRST, 0, [0.1] * 4), {**line(FIRST, 0, [0.1] * 4), "kinds": ["fog"]}
    assert grounds([]) == [] and comparable([]) == []
    assert grounds([one, other, one]) == [[other], [one, one]] and comparable([one, other]) == [other]


def test_a_study_without_turns_or_routes_is_refused_before_anything_is_driven(tmp_path: Path) -> None:
    for asked in (Loop(turns=0), Loop(routes=0), Loop(route_s=-1.0)):
        with pytest.raises(SettingsError, match=r"loop\.\w+ wants more than 0, got"):
            run(tmp_path / "arms", asked, TINY, tmp_path / "loop.jsonl")
    assert not any(tmp_path.iterdir())


def test_arms_of_other_designs_are_other_lakes(tmp_path: Path) -> None:
    design = Loop(preset="tiny", turns=2)
    here = arms(tmp_path, design, TINY)
    assert arms(tmp_path, replace(design, seeds=9, routes=1, route_s=1.0), TINY) == here, "another audit of the same"
    others = [arms(tmp_path, replace(design, turns=4), TINY), arms(tmp_path, design, replace(TINY, steps=3))]
    assert len({here, *others}) == 3


def test_lines_of_a_preset_with_other_numbers_are_not_compared() -> None:
    old, new = ({**line(FIRST, 0, [0.1] * 4), "preset": {"steps": steps}} for steps in (2, 3))
    assert comparable([old, new]) == [new] and comparable([new, line(FIRST, 0, [0.1] * 4), old]) == [old]


def test_both_arms_go_round_and_are_audited_once(tmp_path: Path) -> None:
    journal, design = tmp_path / "loop.jsonl", Loop(preset="tiny", seeds=1, turns=1, routes=2, route_s=2.0)
    lines = run(tmp_path / "arms", design, TINY, journal)
    assert [one["driver"] for one in lines] == [FIRST, TRIGGERS, LEARNED[TRIGGERS], CHANCE, LEARNED[CHANCE]]
    assert all(len(one["routes"]["metres"]) == 2 for one in lines)
    chosen = {arm: turns(Lake(arms(tmp_path / "arms", design, TINY) / "seed-0" / arm))[1] for arm in (TRIGGERS, CHANCE)}
    assert chosen[CHANCE]["begin"]["preset"]["chosen"] == "chance"
    assert chosen[CHANCE]["bootstrap"] == chosen[TRIGGERS]["bootstrap"], "they begin alike"
    assert chosen[CHANCE]["campaign"]["words"] == ["A control arm asks for nothing."]
    before = journal.read_bytes()
    assert run(tmp_path / "arms", design, TINY, journal) == lines and journal.read_bytes() == before
    journal.write_bytes(before[: before.rindex(b"{") + 9])  # killed while it wrote the last line
    again = run(tmp_path / "arms", design, TINY, journal)
    assert [{**one, "commit": ""} for one in again] == [{**one, "commit": ""} for one in lines]
    assert json.loads(journal.read_bytes().splitlines()[-1])["driver"] == LEARNED[CHANCE]
    first = {**json.loads(before.splitlines()[0]), "routes": "as it drove"}
    journal.write_bytes(json.dumps(first).encode() + b"\n")
    assert [one["routes"] == "as it drove" for one in run(tmp_path / "arms", design, TINY, journal)] == [
        one["model"] == lines[0]["model"] for one in lines
    ], "who is champion still is not driven again"
    journal.write_bytes(before)
    other = run(tmp_path / "arms", replace(design, routes=1), TINY, journal)
    assert len(other) == 5 and len(other[0]["routes"]["metres"]) == 1, "another audit is another line"

    told = [json.loads(line) for line in before.splitlines()]
    assert told[0]["preset"]["steps"] == TINY.steps
    journal.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in ({**told[0], "model": "x"}, *told[1:3])))
    for _ in range(2):
        with pytest.raises(DataError, match="did not begin with the same champion"):
            run(tmp_path / "arms", design, TINY, journal)
    assert [json.loads(line)["driver"] for line in journal.read_bytes().splitlines()][-1] == LEARNED[TRIGGERS]
