"""The turn: a tiny one from end to end, killed, repeated, broken; and in closed form what it decides."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import steady_turn
from tests.learning import sample_lake
from tests.small_lake import read_in
from tests.small_logs import write_tub
from tests.turning import TINY, end_state, killed
from understudy.errors import DataError, SettingsError, UnderstudyError, UnknownName
from understudy.fleet import tours
from understudy.gate.entrants import entrant
from understudy.gate.suites import suite
from understudy.ingest import ingest
from understudy.mine.choose import side_of
from understudy.mine.settings import WEIGHTS
from understudy.records import NS, Clip
from understudy.registry import Registry, used_for_training
from understudy.store import Lake
from understudy.store.reviews import Reviews, Subject
from understudy.turn import learning
from understudy.turn.apart import Side, assert_apart
from understudy.turn.begin import assert_nothing_leaks, begin, left_open
from understudy.turn.campaign import FIRST, NOISY, Brought, campaign
from understudy.turn.chance import by_chance
from understudy.turn.clips import choose_clips, keep_clips, kept_before
from understudy.turn.diary import STEPS, Diary, diary_file, progress, times, turns
from understudy.turn.driving import new_drives
from understudy.turn.judging import promote
from understudy.turn.preset import EVENING, PRESETS, STANDARD, Preset, preset, with_budget
from understudy.turn.run import NothingNew, run, world_of
from understudy.turn.share import share
from understudy.turn.summary import Goal, line
from understudy.turn.towns import _sent, common_side, fleet_of, told
from understudy.turn.under_way import Impossible, Turn
from understudy.web import turn as page
from understudy.workers import Outcome
from understudy.worlds import sides
from understudy.worlds.scenario import Scenario


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake after one tiny turn in the city, made in a process of its own: as many threads, the same sums."""
    root = tmp_path_factory.mktemp("turn") / "lake"
    killed(root, 600)
    return Lake(root)


def files(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def clip(drive: str, place: str, side: str = "train") -> Clip:
    return Clip(f"clip:{drive}", drive, 0, 4_000_000_000, (), place, side)


# One turn -------------------------------------------------------------------------------------------------------------


def test_a_turn_goes_through_all_its_steps_and_says_what_it_came_to(turned: Lake) -> None:
    done = turns(turned)[1]
    assert tuple(sorted(done, key=STEPS.index)) == STEPS
    row = done["report"]
    assert row["drives"] == 2 and row["clips"] and row["steps"] == TINY.steps and row["routes"] == 2
    unlike = done["mine"]["unlike"]  # windows of 5 s, as many as triggers, who may spend half of 16 s, leave room for
    triggered = done["mine"]["seconds"]["train"] - 5 * unlike
    assert 0 <= triggered <= 8 and unlike == (16 - triggered) // 5
    assert "were kept for being unlike all else" in page.render(turned, 1)
    assert done["train"]["start"] == done["bootstrap"]["training"]["model"]
    assert done["train"]["on_from"].startswith("bootstrap")
    assert row["outcome"] in ("promote", "refuse", "undecided") and line(row).startswith("turn 1: 2 drives")
    champion = Registry(turned.root).reigns()[-1].model
    assert (champion == done["export"]["candidate"]) == (row["outcome"] == "promote")


def test_a_candidates_card_says_where_it_learned_and_from_whom(turned: Lake) -> None:
    done = turns(turned)[1]
    card = Registry(turned.root).model(done["export"]["candidate"]).card
    assert card["data"]["places"] == done["dataset"]["places"] and card["parents"] == [done["bootstrap"]["champion"]]


def test_a_candidates_card_does_not_forget_where_its_champion_learned(turned: Lake, tmp_path: Path) -> None:
    lake, old = Lake(Path(shutil.copytree(turned.root, tmp_path / "lake"))), tmp_path / "old.onnx"
    old.write_bytes(b"net")
    old.with_suffix(".json").write_text(json.dumps({"data": {"places": ["grid:3"]}, "made": {}, "parents": []}))
    turn = Turn(lake, Diary(lake, 1), TINY, 0, 0)
    turn.registry.add("old", "hash-of-old", str(old))
    trained, frozen = turn.came_to("train")["model"], turn.came_to("dataset")
    made = learning.out_of_the_house(turn, trained, frozen, "new", "hash-of-old")
    card = turn.registry.model(made["candidate"]).card
    kept = {name: frozen[name] for name in ("clips", "seconds", "samples")}
    assert card["data"] == {**kept, "places": sorted({"grid:3", *frozen["places"]})}
    assert card["parents"] == ["hash-of-old"]


def test_the_same_turn_again_writes_nothing(turned: Lake) -> None:
    before, heard = files(turned.root), list[int]()
    again = run(turned, 1, TINY, on_turn=heard.append)
    assert heard == [1], "who writes its page may have been killed before"
    assert files(turned.root) == before and again == [turns(turned)[1]["report"]]


def test_killed_at_random_moments_a_turn_ends_as_if_undisturbed(turned: Lake, tmp_path: Path) -> None:
    for after_s in (7.0, 11.0):
        killed(tmp_path / "lake", after_s)
    killed(tmp_path / "lake", 600)
    assert end_state(tmp_path / "lake") == end_state(turned.root)


def test_the_page_tells_the_turn_and_runs_nothing(turned: Lake) -> None:
    text = page.write(turned, 1).read_text(encoding="utf-8")
    assert "<script" not in text and "http" not in text.replace("http-equiv", "")
    assert "What to collect next" in text and "left out: {" not in text and turns(turned)[1]["promote"]["name"] in text
    with pytest.raises(UnknownName):
        page.write(turned, 2)


def test_progress_begins_again_with_what_is_asked() -> None:
    told: list[tuple[int, int]] = []
    on_drive = progress(lambda **more: told.append((more["done"], more["of"])))
    for of in (2, 2, 3, 3, 3, 3):
        on_drive(Outcome("a"), of)
    assert told == [(1, 2), (2, 2), (1, 3), (2, 3), (3, 3), (1, 3)]


def test_the_diary_is_told_as_it_goes(turned: Lake) -> None:
    spent = times(turned.root, 1)
    assert set(spent) >= {"fleet", "train", "gate"} and all(value >= 0 for value in spent.values())
    assert diary_file(turned.root, 1).read_text(encoding="utf-8").count('"state": "begun"') == len(STEPS)


# A lake of one's own --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recorded drives of one's own, and a champion that is a rule."""
    lake = sample_lake(tmp_path_factory.mktemp("logs"))
    registry = Registry(lake.root)
    registry.add("lane_follow", entrant("lane_follow").hash, "lane_follow")
    registry.promote("lane_follow", "to begin with")
    return lake.root


@pytest.fixture
def logs(recorded: Path, tmp_path: Path) -> Lake:
    torch.set_num_threads(1)
    return Lake(shutil.copytree(recorded, tmp_path / "lake"))


def test_without_a_city_a_turn_does_what_it_can_and_says_what_it_could_not(logs: Lake) -> None:
    assert world_of(logs) == "none"
    row = run(logs, 1, TINY)[0]
    assert row["drives"] == 5 and row["events"] > 0 and row["steps"] == TINY.steps
    assert row["outcome"] == "undecided" and row["routes"] == 0
    assert row["skipped"].keys() == {"bootstrap", "wheel"}
    assert Registry(logs.root).spec("champion") == "lane_follow"
    assert page.write(logs, 1).is_file()
    before = files(logs.root)
    with pytest.raises(NothingNew, match="no drive is new"):
        run(logs, 2, TINY)
    assert files(logs.root) == before


def test_a_candidate_that_is_left_undecided_goes_on_learning(logs: Lake) -> None:
    run(logs, 1, TINY)
    read_in(logs, [replace(steady_turn(), id="new")])
    row = run(logs, 2, TINY)[1]
    one, two = turns(logs).values()
    assert row["outcome"] == "undecided" and two["train"]["start"] == one["train"]["model"]
    assert two["begin"]["champion"] == one["begin"]["champion"] and "On from turn-001" in page.render(logs, 2)
    registry = Registry(logs.root)
    assert registry.model(two["export"]["candidate"]).card["parents"] == [one["export"]["candidate"]]


def test_who_was_refused_or_is_no_longer_challenged_does_not_go_on_learning(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({"data": {"places": ["here"]}}))
    (tmp_path / "model.onnx").touch()
    turn = Turn(lake, Diary(lake, 2), TINY, 0, 0)
    candidate = turn.registry.add("model", "0" * 20, str(tmp_path / "model.onnx")).hash
    learned_there = turn.registry.add("champion", "1" * 20, str(tmp_path / "model.onnx")).hash
    rule = turn.registry.add("lane_follow", entrant("lane_follow").hash, "lane_follow").hash

    def goes_on(outcome: str, champion: str = rule) -> str | None:
        challenged = rule if champion == "made by hand" else champion
        before = {"promote": {"outcome": outcome, "champion": challenged}, "export": {"candidate": candidate}}
        return left_open(turn, before, learned_there if champion == "made by hand" else champion)

    assert goes_on("undecided") == candidate
    assert goes_on("refuse") is goes_on("undecided", "made by hand") is left_open(turn, {}, None) is None
    keep_clips(lake, "kept", [clip("drive", "here", "regression")])
    assert goes_on("undecided") is None, "it learned where the regression suite asks now"
    assert goes_on("undecided", learned_there) == candidate, "there the gate does not ask, for the champion has, too"
    told = {"champion": "champion", "candidate": "model", "outcome": "refuse", "clips": [], "reasons": []}
    told |= {"champion_hash": learned_there, "candidate_hash": candidate}
    turn.registry.record(json.dumps(told).encode(), {"champion": "", "model": ""})
    assert goes_on("undecided", learned_there) is None, "a gate by hand has refused it since"


def test_drives_with_pictures_and_no_poses_bring_the_turn_to_its_end_without_training(tmp_path: Path) -> None:
    write_tub(tmp_path / "tub")
    lake = Lake(tmp_path / "lake")
    ingest(lake, "tub", tmp_path / "tub")
    row = run(lake, 1, TINY)[0]
    assert row["drives"] == 1 and row["km"] == 0 and row["outcome"] == "skipped"
    assert {"train", "gate"} <= row["skipped"].keys()
    assert Registry(lake.root).spec("champion") == "lane_follow"


def test_a_lake_with_nothing_to_begin_from_begins_with_a_rule(logs: Lake) -> None:
    (logs.root / "registry.db").unlink()
    row = run(logs, 1, replace(TINY, bootstrap_s=4.0))[0]  # less than a clip
    assert row["steps"] == TINY.steps and row["outcome"] == "undecided"
    assert Registry(logs.root).spec("champion") == "lane_follow"


def test_who_is_made_champion_while_the_first_one_learns_stays_it(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.promote(registry.add("constant_turn", entrant("constant_turn").hash, "constant_turn").hash, "by hand")
    turn = Turn(Lake(tmp_path), Diary(Lake(tmp_path), 1), TINY, 0, 0)
    turn.diary.done = {"begin": {"champion": None}, "fleet": {"drives": []}}
    assert learning.bootstrap(turn, lambda **_: None)["name"] == "constant_turn" and len(registry.reigns()) == 1


def test_a_candidate_goes_on_only_from_weights_that_are_here(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"made": {"model": "of another lake"}}))
    (tmp_path / "model.onnx").touch()
    turn = Turn(Lake(tmp_path), Diary(Lake(tmp_path), 1), TINY, 0, 0)
    foreign = turn.registry.add("model", "0" * 20, str(tmp_path / "model.onnx")).hash
    assert learning.weights_of(turn, foreign) == ""


def test_a_training_that_diverges_ends_the_turn_and_the_champion_stays(logs: Lake) -> None:
    with pytest.raises(UnderstudyError, match=r"turn 1 stopped at train: training diverged.*champion: lane_follow"):
        run(logs, 1, replace(TINY, lr=1e30))
    assert Registry(logs.root).spec("champion") == "lane_follow" and "train" not in turns(logs)[1]
    assert '"failed"' in diary_file(logs.root, 1).read_text(encoding="utf-8")
    with pytest.raises(UnderstudyError, match=r"diverged.*`anew`"):  # with the numbers of before
        run(logs, 1, TINY)
    row = run(logs, 1, TINY, anew=True)[0]
    assert row["outcome"] == "undecided" and row["drives"] == 5 and row["steps"] == TINY.steps


def test_a_lake_that_cannot_be_written_ends_the_turn_in_one_line(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    read_in(lake, [replace(steady_turn(), id="a")])
    (lake.root / "runs" / "shadow").write_text("in the way, as a full disk would be")
    with pytest.raises(UnderstudyError, match=r"turn 1 stopped at .*champion: "):
        run(lake, 1, TINY)


@pytest.mark.parametrize(
    ("outcome", "name"), [("refuse", "lane_follow"), ("undecided", "lane_follow"), ("promote", "constant_turn")]
)
def test_only_a_promotion_changes_the_champion(tmp_path: Path, outcome: str, name: str) -> None:
    registry = Registry(tmp_path)
    hashes = [registry.add(one, entrant(one).hash, one).hash for one in ("lane_follow", "constant_turn")]
    registry.promote("lane_follow", "to begin with")
    turn = Turn(Lake(tmp_path), Diary(Lake(tmp_path), 1), TINY, 0, 0)
    turn.diary.done = {
        "begin": {"champion": hashes[0]},
        "bootstrap": {},
        "export": {"candidate": hashes[1]},
        "gate": {"outcome": outcome, "reasons": ["because"]},
    }
    if outcome == "promote":
        told = {"champion": "lane_follow", "candidate": "constant_turn", "outcome": outcome, "clips": [], "reasons": []}
        told |= {"champion_hash": hashes[0], "candidate_hash": hashes[1]}
        registry.record(json.dumps(told).encode(), {"lane_follow": "lane_follow", "constant_turn": "constant_turn"})
    for _ in range(2):  # killed after it, it is asked once more
        assert promote(turn, lambda **_: None)["name"] == name
    assert registry.spec("champion") == name and len(registry.reigns()) == (2 if outcome == "promote" else 1)


def test_a_champion_made_by_hand_meanwhile_ends_the_judging_in_words(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    hashes = [registry.add(name, entrant(name).hash, name).hash for name in ("lane_follow", "constant_turn", "logged")]
    registry.promote(hashes[0], why="the first")
    turn = Turn(Lake(tmp_path), Diary(Lake(tmp_path), 1), TINY, 0, 0)
    turn.diary.done = {
        "bootstrap": {"champion": hashes[0]},
        "export": {"candidate": hashes[1]},
        "gate": {"outcome": "promote", "reasons": ["because"]},
    }
    registry.promote(hashes[2], why="by hand")
    with pytest.raises(Impossible, match="logged has become champion meanwhile"):
        promote(turn, lambda **_: None)
    assert registry.reigns()[-1].model == hashes[2]
    registry.promote(hashes[1], why="by hand, against the verdict")
    turn.diary.done["gate"]["outcome"] = "refuse"
    with pytest.raises(Impossible, match="constant_turn has become champion meanwhile"):
        promote(turn, lambda **_: None)


# Apart ----------------------------------------------------------------------------------------------------------------


def test_a_planted_leak_stops_the_turn_before_anything_is_driven(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    gate_town = sides.towns_of("gate", count=1)[0]
    keep_clips(lake, "planted", [clip("city/grid:1/r1/everyday/clear/none/77", gate_town)])
    with pytest.raises(DataError, match=f"train and gate share 1 places, '{gate_town}'"):
        run(lake, 1, TINY)
    assert not (lake.root / "recordings").exists()


@pytest.mark.parametrize(
    ("what", "side"),
    [
        ("places", Side().with_places(["here"])),
        ("drives", Side().with_clips([clip("a-log", "elsewhere")])),
        ("seeds", Side().with_scenarios(["scenario:city/organic:9/r1/everyday/clear/none/7"])),
    ],
)
def test_sides_may_share_nothing(what: str, side: Side) -> None:
    other = Side(frozenset({"here"}), frozenset({"a-log"}), frozenset({("organic:9", 7)}))
    with pytest.raises(DataError, match=f"train and gate share 1 {what}"):
        assert_apart({"train": side, "regression": Side(), "gate": other})
    assert_apart({"train": side, "regression": Side()})


@pytest.mark.parametrize("size", [EVENING, STANDARD])
def test_drives_of_a_fleet_of_ones_own_may_be_learned_from(tmp_path: Path, size: Preset) -> None:
    """Its seeds begin at 0, as those of the gate do, in other towns."""
    lake = Lake(tmp_path)
    found = tours(cars=8, minutes=10.0)
    sides = {tour.drive: common_side([tour.scenario.town]) for tour in found}
    keep_clips(lake, "kept", [clip(tour.drive, tour.scenario.town, sides[tour.drive]) for tour in found])
    turn = Turn(lake, Diary(lake, 1), size, 0, 0)
    turn.diary.done = {"begin": {"fleet": {}, "champion": None, "world": "city"}}
    assert_nothing_leaks(turn)


@pytest.mark.parametrize("size", [EVENING, STANDARD])
def test_clips_mined_by_hand_and_a_champion_trained_by_hand_stop_no_turn(tmp_path: Path, size: Preset) -> None:
    """Mining knows a town's side from its name; where the champion has learned nothing is kept for regression."""
    lake = Lake(tmp_path)
    found = tours(cars=10, minutes=10.0)
    keep_clips(lake, "kept", [clip(one.drive, town := one.scenario.town, side_of(town, 5)) for one in found])
    (tmp_path / "model.json").write_text(json.dumps({"data": {"places": ["grid:2", "grid:3"]}}))
    (tmp_path / "model.onnx").touch()
    turn = Turn(lake, Diary(lake, 1), size, 0, 0)
    turn.diary.done = {"begin": begin(turn, "city")}
    assert_nothing_leaks(turn)
    turn.registry.promote(turn.registry.add("model", "0" * 20, str(tmp_path / "model.onnx")).hash, "by hand")
    turn.diary.done = {"begin": begin(turn, "city")}
    assert_nothing_leaks(turn)
    there = {Scenario.parse(one["scenario"]).town for one in turn.came_to("begin")["fleet"]["regression"]}
    assert there and "grid:2" not in there


def test_a_clip_that_a_reviewer_sends_to_regression_does_not_stop_turns(tmp_path: Path) -> None:
    """Not where the fleet trains, nor where the champion has learned; and nothing more is learned in its place."""
    lake = Lake(tmp_path)
    turn = Turn(lake, Diary(lake, 2), EVENING, 0, 0)
    tour, other = fleet_of("train", EVENING, 2, 0)[:2]
    one, beside, apart = (clip(f"{n}", town) for n, town in enumerate([tour.scenario.town] * 2 + [other.scenario.town]))
    keep_clips(lake, "kept", [one, beside, apart])
    (tmp_path / "model.json").write_text(json.dumps({"data": {"places": [tour.scenario.town]}}))
    (tmp_path / "model.onnx").touch()
    champion = turn.registry.add("model", "0" * 20, str(tmp_path / "model.onnx")).hash
    turn.diary.done = {"begin": {"fleet": {"train": [told(tour)]}, "champion": champion, "world": "city"}}
    with Reviews(lake.root) as reviews:
        reviews.say(Subject(one.id, one.drive, one.start_ns, one.end_ns, one.place, "cut_in"), "regression", "ann")
    assert_nothing_leaks(turn)
    assert used_for_training(lake) == [apart]


def test_every_turn_of_every_seed_has_traffic_of_its_own() -> None:
    seeds = [
        tour.scenario.seed
        for seed in range(3)
        for number in range(1, 4)
        for kind in ("train", "regression", "wheel")
        for tour in fleet_of(kind, EVENING, number, seed)
    ]
    assert len(set(seeds)) == len(seeds) and min(seeds) > 1000  # the gate's begin at 0


def test_a_turn_drives_where_its_side_allows() -> None:
    for kind, side in (("train", "train"), ("regression", "regression"), ("wheel", "train")):
        assert {sides.side(tour.scenario.town) for tour in fleet_of(kind, EVENING, 2, 0)} == {side}
    sent = fleet_of("train", EVENING, 1, 0, ["cut_in"])
    assert [tour.scenario.event for tour in sent][:2] == ["cut_in", "tail"]


def test_the_side_of_a_drive_is_that_of_its_town() -> None:
    train, regression, gate = (sides.towns_of(side, count=1)[0] for side in sides.SIDES)
    assert [common_side([town]) for town in (train, regression, gate)] == ["train", "regression", "gate"]
    assert common_side(["miami:3:4"]) == common_side([train, "miami:3:4"]) == common_side([]) == ""


def test_a_drive_that_regression_has_a_clip_of_is_not_learned_from(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    asked = replace(clip("b", "z", "regression"), id="clip:asked")
    keep_clips(lake, "kept", [clip("a", "x"), clip("b", "y"), asked])
    assert [one.drive for one in used_for_training(lake)] == ["a"]


def test_what_is_learned_from_already_is_of_earlier_turns_or_was_given_to_the_first_champion(
    tmp_path: Path,
) -> None:
    turn = Turn(Lake(tmp_path), Diary(Lake(tmp_path), 2), TINY, 0, 0)
    turn.diary.done = {"fleet": {"drives": ["new", "other"]}, "wheel": {"drives": ["wheel"]}}
    kept = {
        "turn-001 train": [clip("old", "x"), clip("asked", "y", "regression")],
        "turn-002 bootstrap": [clip("new", "x"), clip("other", "z")],
        "turn-002 train": [replace(clip("new", "x"), id="clip:mined"), clip("wheel", "x")],
    }
    for key, clips in kept.items():
        keep_clips(turn.lake, key, clips)
    assert {one.id for one in kept_before(turn, ["new"])} == {"clip:new", "clip:old"}


def test_cars_are_sent_to_dead_lights_where_there_are_lights() -> None:
    names = ["roundabout:1", "highway:3", "grid:3", "spider:1"]
    assert _sent(["dead_traffic_light", "debris", "red_light_runner"], names) == {
        2: "dead_traffic_light",
        0: "debris",
        3: "red_light_runner",
    }
    assert _sent(["dead_traffic_light"], names[:2]) == {}


# Chance, campaigns, goals ---------------------------------------------------------------------------------------------


def test_every_turn_is_judged_on_routes_of_its_own(tmp_path: Path) -> None:
    gates = [Turn(Lake(tmp_path), Diary(Lake(tmp_path), number), EVENING, 0, 0).gate for number in (1, 2, 3)]
    assert gates[0] == EVENING.gate and [gate.first for gate in gates] == [0, 8, 16]
    driven = [set(suite("events", gate.routes, first=gate.first).scenarios) for gate in gates]
    assert not driven[0] & driven[1] and not driven[1] & driven[2]


def test_a_turn_is_judged_on_routes_of_its_own_after_turns_of_another_preset(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    Diary(lake, 1).keep("begin", {"preset": asdict(STANDARD)})
    gates = [STANDARD.gate, *(Turn(lake, Diary(lake, n), EVENING, 0, 0).gate for n in (2, 3))]
    assert [gate.first for gate in gates] == [0, 12, 20]


def test_a_campaign_may_name_a_trigger_that_is_gone(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    read_in(lake, [replace(steady_turn(), id="a")])
    registry = Registry(tmp_path)
    champion = registry.add("lane_follow", entrant("lane_follow").hash, "lane_follow").hash
    turn = Turn(lake, Diary(lake, 1), TINY, 0, 0)
    turn.diary.done = {
        "begin": {"champion": champion, "campaign": {"weights": {"crawl": 0.4, "displaced": 2.0}}},
        "bootstrap": {},
        "fleet": {"drives": ["a"], "sides": {"a": ""}},
        "wheel": {},
    }
    assert choose_clips(turn, lambda **_: None)["clips"] == []


def test_a_turn_begun_anew_does_not_take_its_champions_drives_for_peoples(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({}))
    (tmp_path / "model.onnx").touch()
    Registry(tmp_path).add("turn-001-abc", "0" * 20, str(tmp_path / "model.onnx"))
    read_in(lake, [replace(steady_turn(), id=name) for name in ("people", "city/x~turn-001-abc")])
    assert [drive["id"] for drive in new_drives(lake, 1)] == ["people"]


def test_seconds_that_two_clips_show_count_once() -> None:
    one, other = clip("a", "here"), replace(clip("a", "here"), start_ns=3 * NS, end_ns=6 * NS)
    assert learning.seconds_of([other, one, clip("b", "here")]) == 10.0


def test_clips_by_chance_are_the_same_again_and_never_overlap(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    read_in(lake, [replace(steady_turn(seconds=40.0), id=name) for name in "ab"])
    chosen = by_chance(share(lake, "ab"), 32.0, "x")
    assert len(chosen) == 4 and chosen == by_chance(share(lake, "ab"), 32.0, "x")
    assert len({(one.drive, one.start_ns) for one in chosen}) == 4 and all(one.seconds == 8.0 for one in chosen)
    assert {one.drive: one.side for one in chosen} == {"a": side_of("a", 5), "b": side_of("b", 5)}
    assert chosen != by_chance(share(lake, "ab"), 32.0, "y")
    only = by_chance(share(lake, "ab"), 32.0, "x", only="train")
    assert len(only) == 4 and {one.drive for one in only} == {"a"}, "the whole budget, from the one side"
    others = by_chance(share(lake, "ab"), 32.0, "x", known=chosen)
    assert len(others) == 4 and not {clip.id for clip in others} & {clip.id for clip in chosen}


def test_the_citys_drives_and_ones_own_share_one_budget_and_a_town_of_the_gate_has_none(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    read_in(lake, [replace(steady_turn(seconds=40.0), id=name) for name in "acd"])
    turn = Turn(lake, Diary(lake, 1), replace(TINY, chosen="chance", budget_s=16.0), 0, 0)
    champion = turn.registry.add("lane_follow", entrant("lane_follow").hash, "lane_follow").hash
    turn.diary.done = {
        "begin": {"champion": champion, "campaign": asdict(FIRST)},
        "bootstrap": {},
        "fleet": {"drives": ["a", "c", "d"], "sides": {"a": "train", "c": "", "d": "gate"}},
        "wheel": {"drives": []},
    }
    chosen = choose_clips(turn, lambda **_: None)["clips"]
    assert len(chosen) == 2 and {one["drive"] for one in chosen} <= {"a", "c"}


def test_chance_does_not_pay_for_a_pause(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    one = replace(steady_turn(seconds=40.0), id="a")
    read_in(lake, [replace(one, t_ns=one.t_ns + np.where(one.t_s > 20.0, 160 * NS, 0))])
    found, t_ns = by_chance(share(lake, "a"), 400.0, "x"), lake.drive("a").t_ns
    held = [np.count_nonzero((t_ns >= clip.start_ns) & (t_ns < clip.end_ns)) for clip in found]
    assert len(found) in (4, 5) and min(held) > 30


def test_a_share_of_a_lake_lists_fewer_drives_and_reads_all(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    read_in(lake, [replace(steady_turn(), id=name) for name in "ab"])
    assert [drive["id"] for drive in share(lake, ["b"]).drives()] == ["b"] and share(lake, ["b"]).drive("a").id == "a"


def test_a_campaign_sends_cars_after_what_was_lost_and_hears_those_who_catch_it() -> None:
    brought = [Brought("cut_in", 3, 30.0, 1), Brought("hard_brake", 1, 10.0, 0), Brought("swerve", 40, 480.0, 2)]
    catches = {"cut_in": ("cut_in",), "debris": ("hard_brake",), "jaywalker": ("hard_brake",)}
    found = campaign({"cut_in": 0.5, "debris": 0.9, "jaywalker": 0.1}, brought, catches, kept=["debris"])
    assert found.events == ("cut_in",)  # debris is kept for judging, the jaywalker cost little
    assert found.weights["cut_in"] == 1.5 and "hard_brake" not in found.weights
    assert found.weights["swerve"] == pytest.approx(NOISY / 480)
    assert found.weights.items() >= FIRST.weights.items()
    assert "Cut in cost 50 %" in found.words[0] and "swerve (480)" in found.words[-1]


def test_a_campaign_never_says_where() -> None:
    found = campaign({"cut_in": 1.0}, [], {}, [])
    assert "scenario" not in " ".join(found.words) and found.weights == FIRST.weights


def test_a_trigger_gets_at_most_twice_its_share() -> None:
    found = campaign({"cut_in": 1.0}, [Brought(name, 1, 1.0, 1) for name in WEIGHTS], {"cut_in": list(WEIGHTS)}, [])
    assert found.weights == FIRST.weights | {name: 2 * weight for name, weight in WEIGHTS.items()}


@pytest.mark.parametrize(("text", "value", "reached"), [("score>=0.9", 0.9, True), ("score > 0.9", 0.9, False)])
def test_a_goal_is_a_measure_a_sign_and_a_number(text: str, value: float, reached: bool) -> None:
    assert Goal.parse(text).reached({"champion_after": {"score": value}}) is reached
    assert not Goal.parse(text).reached({"champion_after": {"score": None}})
    assert not Goal.parse(text).reached({"champion_after": {"score": math.nan}})


def test_a_goal_that_is_none_is_told_what_one_is() -> None:
    with pytest.raises(UnderstudyError, match=r"as in score>=0.9"):
        Goal.parse("speed>=3")


def test_presets_are_known_by_name_and_take_another_budget() -> None:
    assert [preset(name) for name in PRESETS] == list(PRESETS.values())
    assert with_budget(EVENING, "90s").budget_s == 90.0
    with pytest.raises(SettingsError, match="120s"):
        with_budget(EVENING, "90")
    with pytest.raises(UnknownName, match="did you mean 'evening'"):
        preset("evning")


def test_half_a_line_of_a_diary_is_cut_off_and_not_read(tmp_path: Path) -> None:
    diary, path = Diary(Lake(tmp_path), 1), diary_file(tmp_path, 1)
    diary.tell("fleet", "done", seconds=1.0)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"at": "2026-11-23T22:10:04", "step": "wheel", "state": "working", "losses": {"path": 1.0}')
    assert times(tmp_path, 1) == {"fleet": 1.0}
    diary.tell("wheel", "begun")
    diary.tell("wheel", "done", seconds=2.0)
    assert times(tmp_path, 1) == {"fleet": 1.0, "wheel": 2.0}
    assert [json.loads(line)["state"] for line in path.read_text().splitlines()] == ["done", "begun", "done"]


def test_a_step_that_fails_is_told_with_its_reason(tmp_path: Path) -> None:
    heard: list[str] = []
    diary = Diary(Lake(tmp_path), 1, lambda told: heard.append(told["state"]))
    with pytest.raises(OSError, match="No space"), diary.telling("mine"):
        raise OSError(28, "No space left on device")
    assert heard == ["begun", "failed"] and times(tmp_path, 1) == {}
