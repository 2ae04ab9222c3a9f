"""Shadow mode, where the answer is known; several candidates in one pass; candidates that misbehave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.small_lake import read_in
from tests.test_observe import filmed
from tests.test_policies import straight_ahead
from understudy import metrics, sample
from understudy.errors import PolicyError
from understudy.ingest import complete
from understudy.observe import driven
from understudy.policies.constant_turn import ConstantTurn
from understudy.policies.lane_follow import LaneFollow
from understudy.policies.logged import Logged
from understudy.records import Drive, Observation, Plan
from understudy.shadow import COLUMNS, plan_all, run, shadow
from understudy.store import Lake


@pytest.fixture(scope="module")
def cut_in() -> Drive:
    return complete(next(drive for drive in sample.drives() if drive.id == "sample-cut-in"))


def test_a_steady_turn_leaves_constant_turn_nothing_to_disagree_about(arc: Drive) -> None:
    run = shadow(arc, {"ct": ConstantTurn()})["ct"]
    known = np.isfinite(run["mean_displacement"])
    assert known.sum() == len(arc) - 40
    for name in ("mean_displacement", "final_displacement", "lateral_difference", "speed_difference"):
        assert np.abs(run[name][known]).max() < 5e-3


def test_the_logged_driver_is_the_human(cut_in: Drive) -> None:
    run = shadow(cut_in, {"logged": Logged()})["logged"]
    known = np.isfinite(run["human_score"])
    assert known.any()
    for name in (*metrics.SUBSCORES, "score", "mask"):
        assert np.array_equal(run[f"plan_{name}"], run[f"human_{name}"], equal_nan=True)
    assert np.nanmax(run["mean_displacement"]) == 0


def test_every_column_is_in_the_vocabulary(cut_in: Drive) -> None:
    assert set(shadow(cut_in, {"lf": LaneFollow()})["lf"].columns) <= COLUMNS.keys()


def test_candidates_of_one_pass_plan_as_if_alone(cut_in: Drive) -> None:
    together = shadow(cut_in, {"ct": ConstantTurn(), "lf": LaneFollow()})
    for name, policy in (("ct", ConstantTurn()), ("lf", LaneFollow())):
        alone = shadow(cut_in, {name: policy})[name]
        assert np.array_equal(together[name].plan.poses, alone.plan.poses, equal_nan=True)
        assert all(np.array_equal(together[name][key], alone[key], equal_nan=True) for key in alone.columns)


@dataclass(frozen=True)
class Watcher:
    """Needs pictures of its own history and goes straight on."""

    history_s: tuple[float, ...] = (0.0,)
    needs: ClassVar[tuple[str, ...]] = ("speed", "pictures")

    def plan(self, seen: Observation) -> Plan:
        assert seen.pictures[0].shape[1] == len(self.history_s)
        poses = np.zeros((len(seen), 8, 4))
        poses[..., 0] = seen.pictures[0][:, -1, 0, 0, 0][:, None]  # the number that the newest picture shows
        return Plan.single(poses)


def test_pictures_are_decoded_once_for_all_candidates(straight: Drive) -> None:
    drive, pictures = filmed(straight)
    plans = plan_all(drive, {"a": Watcher(), "b": Watcher((0.5, 0.0)), "c": Watcher((1.0, 0.5, 0.0))})
    assert sorted(pictures.decoded) == list(range(len(drive)))
    for plan in plans.values():
        assert np.array_equal(plan.poses[:, 0, 0, 0], np.arange(len(drive)))


@dataclass(frozen=True)
class Wrong:
    """Answers whatever it is told to."""

    answer: Any
    needs: ClassVar[tuple[str, ...]] = ("speed",)
    history_s: ClassVar[tuple[float, ...]] = (0.0,)

    def plan(self, seen: Observation) -> Plan:
        return self.answer(len(seen))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda n: Plan(np.zeros((n, 1, 7, 4)), np.ones((n, 1))), "expected \\(B, M, 8, 4\\)"),
        (lambda n: Plan(np.zeros((n, 2, 8, 4)), np.ones((n, 1))), "probabilities"),
        (lambda n: Plan(np.zeros((1, 1, 8, 4)), np.ones((1, 1))), "answered 1 plans"),
        (lambda n: Plan(np.full((n, 1, 8, 4), np.inf), np.ones((n, 1))), "infinite number"),
        (lambda n: Plan(np.zeros((n, 1, 8, 4)), np.ones((n, 1)), np.full(n, np.inf)), "infinite number"),
        (lambda n: Plan(np.zeros((n, 1, 8, 4)), np.full((n, 1), np.nan)), "probability below 0, or none"),
        (lambda n: Plan(np.zeros((n, 2, 8, 4)), np.array([[1.5, -0.5]] * n)), "probability below 0"),
    ],
)
def test_what_is_no_plan_is_one_clear_line(arc: Drive, answer: Any, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        shadow(arc, {"wrong": Wrong(answer)})


@dataclass(frozen=True)
class Raising(Wrong):
    answer: Any = None

    def plan(self, seen: Observation) -> Plan:
        raise RuntimeError("no plan")


def test_one_who_fails_takes_no_other_with_it(tmp_path: Path, arc: Drive) -> None:
    lake = Lake(tmp_path)
    read_in(lake, [arc])
    reports = run(lake, ["constant_turn", "tests.test_shadow:Raising", "lane_follow"])
    assert {name: len(one.made) for name, one in reports.items()} == {
        "constant_turn": 1, "tests.test_shadow:Raising": 0, "lane_follow": 0,
    }  # fmt: skip
    assert list(reports["tests.test_shadow:Raising"].failures.values()) == ["RuntimeError: no plan"]
    assert reports["lane_follow"].skipped and not reports["lane_follow"].failures, "the arc has no road"


def test_a_model_that_was_replaced_under_its_path_is_another_model(tmp_path: Path, arc: Drive) -> None:
    lake = Lake(tmp_path / "lake")
    read_in(lake, [arc])
    model = straight_ahead(tmp_path)
    (first,) = run(lake, [str(model)])
    stands = onnx.load(model)
    (ramp,) = (one for one in stands.graph.initializer if one.name == "ramp")
    ramp.CopyFrom(numpy_helper.from_array(np.zeros((1, 1, 8, 4), np.float32), "ramp"))
    onnx.save(stands, model)
    (second,) = run(lake, [str(model)])
    shadows = lake.drive(arc.id, shadows=True).shadows
    assert {name: bool(shadows[name].plan.poses.any()) for name in (first, second)} == {first: True, second: False}


@dataclass(frozen=True)
class Listed(ConstantTurn):
    """With a setting that is a list."""

    speeds: tuple[float, ...] = ()


def test_a_setting_may_be_a_list(tmp_path: Path, arc: Drive) -> None:
    lake = Lake(tmp_path)
    read_in(lake, [arc])
    (report,) = run(lake, [spec := "tests.test_shadow:Listed"], {spec: {"speeds": [1.0, 2.0]}}).values()
    assert len(report.made) == 1 and not report.failures


def test_a_drive_without_the_camera_that_a_card_names_is_skipped(tmp_path: Path, straight: Drive) -> None:
    lake = Lake(tmp_path / "lake")
    read_in(lake, [filmed(straight)[0]])
    model = straight_ahead(tmp_path)
    card = {"format": "understudy-model/1", "needs": ["pictures"], "cameras": {"names": ["rear"]}}
    model.with_suffix(".json").write_text(json.dumps(card))
    (report,) = run(lake, [str(model)]).values()
    assert list(report.skipped.values()) == ["lacks camera rear"] and not report.failures


def test_a_plan_of_nan_has_no_score_and_no_difference(cut_in: Drive) -> None:
    run = shadow(cut_in, {"nan": Wrong(lambda n: Plan(np.full((n, 1, 8, 4), np.nan), np.ones((n, 1))))})["nan"]
    for name in ("plan_score", "mean_displacement", "lateral_difference", "min_displacement"):
        assert np.isnan(run[name]).all()
    assert np.isfinite(run["human_score"]).any()


def test_the_best_mode_is_compared_beside_the_likeliest(arc: Drive) -> None:
    def answer(n: int) -> Plan:
        poses = np.stack([human[:n], human[:n] + 5.0], axis=1)
        return Plan(poses, np.tile([0.1, 0.9], (n, 1)))

    human = driven(arc, np.arange(len(arc)))
    run = shadow(arc, {"two": Wrong(answer)})["two"]
    assert np.nanmax(run["min_displacement"]) < 1e-9 < np.nanmin(run["mean_displacement"])


def test_a_drive_without_poses_is_planned_but_not_compared() -> None:
    bare = Drive("bare", np.arange(30) * 10**8, {"speed": np.full(30, 3.0), "yaw_rate": np.zeros(30)})
    run = shadow(bare, {"ct": ConstantTurn()})["ct"]
    assert run.columns == {}
    assert np.allclose(run.plan.likeliest[:, -1, 0], 12)


def _scores(drive: Drive) -> Mapping[str, Any]:
    return shadow(drive, {"lf": LaneFollow()})["lf"].columns


def test_comparisons_do_not_change_with_the_time_of_day(cut_in: Drive) -> None:
    later = replace(cut_in, t_ns=cut_in.t_ns + 1_700_000_000_000_000_000)
    before, after = _scores(cut_in), _scores(later)
    assert all(np.allclose(before[name], after[name], equal_nan=True, atol=1e-6) for name in before)
