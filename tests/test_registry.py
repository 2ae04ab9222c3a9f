"""Who is champion, by which verdict; models by hash; what a model card says."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from understudy.errors import DataError, UnderstudyError
from understudy.records import Clip
from understudy.registry import Registry, model_card, regression_suite
from understudy.store import Lake
from understudy.store.reviews import Reviews, Subject

CARD = {
    "format": "understudy-model/1",
    "needs": ["speed"],
    "parents": ["abc"],
    "data": {"places": ["grid:3"], "clips": 20},
    "made": {"parameters": 12, "labels": ["path"], "settings": {"lr": 0.001}},
}


def verdict(champion: str, candidate: str, outcome: str, clips: list[dict[str, Any]] | None = None) -> bytes:
    told = {
        "champion": champion,
        "candidate": candidate,
        "champion_hash": f"hash-of-{champion}",
        "candidate_hash": f"hash-of-{candidate}",
        "outcome": outcome,
        "reasons": [{"kind": "better", "about": "events score", "text": "score on events better by 0.1", "p": 0.001}],
        "clips": clips or [],
    }
    return json.dumps(told).encode()


SPECS = {name: name for name in ("a", "b", "c")}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """`a` reigns, and has lost to `b`."""
    registry = Registry(tmp_path)
    registry.add("a", "hash-of-a", "a")
    registry.promote("a", why="the first")
    registry.record(verdict("a", "b", "promote"), SPECS)
    return registry


def test_who_won_is_promoted_and_rolled_back(registry: Registry) -> None:
    reign = registry.promote("model:b")
    assert reign.verdict is not None and reign.why == "by verdict"
    assert registry.spec("champion") == "b"
    registry.rollback()
    assert registry.spec("champion") == "a"
    assert [one.model for one in registry.reigns()] == ["hash-of-a", "hash-of-b", "hash-of-a"]


def test_who_was_refused_since_it_won_needs_a_reason(registry: Registry) -> None:
    registry.record(verdict("a", "b", "refuse"), SPECS)
    with pytest.raises(UnderstudyError, match="no verdict `promote` against the champion"):
        registry.promote("b")
    assert registry.promote("b", why="the first look was the larger one").verdict is None


def test_nobody_is_promoted_without_a_verdict_or_a_reason(registry: Registry) -> None:
    registry.record(verdict("a", "c", "undecided"), SPECS)
    with pytest.raises(UnderstudyError, match="no verdict `promote` against the champion"):
        registry.promote("c")
    assert registry.promote("c", why="a demonstration").verdict is None
    with pytest.raises(UnderstudyError, match="champion already"):
        registry.promote("c", why="again")


def test_a_verdict_counts_against_the_present_champion_only(registry: Registry) -> None:
    registry.add("c", "hash-of-c", "c")
    registry.promote("c", why="meanwhile")
    with pytest.raises(UnderstudyError, match="no verdict"):
        registry.promote("b")


def test_the_first_champion_has_nobody_to_go_back_to(registry: Registry) -> None:
    with pytest.raises(UnderstudyError, match="no earlier champion"):
        registry.rollback()


def test_an_empty_registry_knows_nobody(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "new")
    assert registry.models() == [] and registry.binding() == {}
    with pytest.raises(UnderstudyError, match="no champion yet"):
        registry.spec("champion")
    with pytest.raises(UnderstudyError, match="no model named 'x': there are none yet"):
        registry.model("model:x")
    assert registry.spec("lane_follow") == "lane_follow"


def test_a_verdict_is_kept_once(registry: Registry) -> None:
    assert registry.record(verdict("a", "b", "promote"), SPECS) == registry.verdicts("hash-of-b")[0]["id"]
    assert len(registry.verdicts("hash-of-b")) == 1


def test_clips_that_a_champion_passed_reliably_bind_for_ever(registry: Registry) -> None:
    passed = [{"clip": "clip:1", "champion": 5, "candidate": 5}, {"clip": "clip:2", "champion": 4, "candidate": 5}]
    registry.record(verdict("a", "c", "refuse", passed), SPECS)
    registry.record(verdict("a", "c", "refuse", [{**passed[0], "champion": 0}]), SPECS)
    assert registry.binding() == {"clip:1": None}, "nobody told where it lies"
    where = {"clip": "clip:3", "drive": "d", "start_ns": 1, "end_ns": 2, "place": "p", "champion": 5, "candidate": 5}
    for place in ("p", "elsewhere"):
        registry.record(verdict("a", "c", "refuse", [{**where, "place": place}]), SPECS)
    assert registry.binding() == {"clip:1": None, "clip:3": Clip("clip:3", "d", 1, 2, (), "p", "regression")}


def test_what_binds_is_of_the_regression_suite_though_its_reviewer_took_it_back(registry: Registry) -> None:
    assert regression_suite(Lake(registry.root / "without")) == []
    clip = Clip("clip:1", "d", 1, 2, (), "p", "regression")
    with Reviews(registry.root) as reviews:
        reviews.say(Subject(clip.id, clip.drive, clip.start_ns, clip.end_ns, clip.place, "cut_in"), "regression", "ann")
        assert regression_suite(Lake(registry.root)) == [clip]
        told = {"clip": clip.id, "drive": "d", "start_ns": 1, "end_ns": 2, "place": "p", "champion": 5, "candidate": 5}
        registry.record(verdict("a", "c", "undecided", [told]), SPECS)
        assert regression_suite(Lake(registry.root)) == [clip], "once"
        reviews.undo("ann")
    assert regression_suite(Lake(registry.root)) == [clip]


def test_who_would_drive_otherwise_than_it_was_judged_is_told(registry: Registry) -> None:
    for given, hash in (("champion", "hash-of-a"), ("model:b", "hash-of-b"), ("a", "whatever drives by this name")):
        registry.assert_same(given, hash)
    for given in ("champion", "model:hash-of-a"):
        with pytest.raises(UnderstudyError, match=f"{given} is a with the code .* `a` drives otherwise by now: tell"):
            registry.assert_same(given, "hash-of-a-with-settings")


def test_who_never_was_champion_here_binds_nothing(registry: Registry) -> None:
    """A look at how the city's driver compares with a rule is no promise of anybody's."""
    passed = [{"clip": "clip:1", "champion": 5, "candidate": 5}]
    registry.record(verdict("human", "c", "refuse", passed), {**SPECS, "human": "human"})
    assert registry.binding() == {}
    registry.promote("b")
    registry.record(verdict("a", "c", "refuse", passed), SPECS)
    assert registry.binding().keys() == {"clip:1"}, "`a` was champion"


def test_who_is_rolled_back_twice_goes_back_twice(registry: Registry) -> None:
    registry.promote("b")
    registry.add("c", "hash-of-c", "c")
    registry.promote("c", why="third")
    assert [registry.rollback().model for _ in range(2)] == ["hash-of-b", "hash-of-a"]
    with pytest.raises(UnderstudyError, match="no earlier champion"):
        registry.rollback()


def test_of_two_who_won_against_the_same_champion_one_is_promoted(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While `b` is being crowned, somebody asks for `c`."""
    registry.record(verdict("a", "c", "promote"), SPECS)
    refused: list[str] = []

    def other() -> None:
        try:
            registry.promote("c")
        except UnderstudyError as error:
            refused.append(str(error))

    def now() -> str:
        monkeypatch.undo()
        rival.start()
        rival.join(0.5)
        return "2026-11-29"

    rival = threading.Thread(target=other)
    monkeypatch.setattr("understudy.registry._now", now)
    registry.promote("b")
    rival.join()
    assert [one.model for one in registry.reigns()] == ["hash-of-a", "hash-of-b"]
    assert len(refused) == 1 and "no verdict" in refused[0]


def test_a_model_file_is_kept_by_its_contents(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere" / "pilot.onnx"
    path.parent.mkdir()
    path.write_bytes(b"net")
    path.with_suffix(".json").write_text(json.dumps(CARD))
    model = registry.add("pilot-123456", "ff00", str(path))
    path.unlink()
    assert Path(model.spec).read_bytes() == b"net" and Path(model.spec).with_suffix(".json").is_file()
    assert registry.spec("model:ff") == model.spec and Path(model.spec).name == "pilot.onnx"
    assert registry.add("pilot-123456", "ff00", model.spec) == model


def test_the_card_tells_what_is_known(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "b.onnx"
    path.write_bytes(b"net")
    path.with_suffix(".json").write_text(json.dumps(CARD))
    registry.add("pilot", "ff00", str(path))
    card = model_card(registry, "pilot")
    for line in ("# pilot", "- Parents: `abc`", "- Places: `grid:3`", "- Clips: 20", "- lr: 0.001", "- Parameters: 12"):
        assert line in card
    told = json.loads(verdict("a", "pilot", "promote")) | {"candidate_hash": "ff00"}
    told["pairs"] = {"events": {"champion": [{}] * 12, "candidate": [{}] * 12}}
    told["evidence"] = {"findings": [{"suite": "events", "measure": "score", "champion": 0.5, "candidate": 0.75}]}
    registry.record(json.dumps(told).encode(), {"a": "a", "pilot": str(path)})
    card = model_card(registry, "pilot")
    for line in ("- events: 12 routes", "- events, score: 0.750 (`a` 0.500)", "## Quantitative analyses"):
        assert line in card
    assert "against `a`: **promote**" in model_card(registry, "b")
    assert "challenged by `b`" in model_card(registry, "a")


def test_a_file_that_is_no_registry_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "registry.db").write_bytes(b"not a database, but long enough to be taken for one" * 40)
    with pytest.raises(DataError, match="reading the registry"):
        Registry(tmp_path).models()
