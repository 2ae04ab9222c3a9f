"""Every policy keeps its word, and each is right where the answer is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.conftest import steady_turn
from understudy import plugins
from understudy.errors import PolicyError, SettingsError, UnderstudyError, UnknownName
from understudy.observe import Observer, driven
from understudy.policies import named
from understudy.policies.constant_turn import ConstantTurn
from understudy.policies.lane_follow import LaneFollow
from understudy.records import OBJECT_COLUMNS, Drive, Light, Observation

K = 8


def on_a_road(
    speed: float = 10.0,
    *,
    offset: float = 0.0,
    car_at: float | None = None,
    car_speed: float = 0.0,
    light: Light = Light.UNKNOWN,
    light_distance: float = np.nan,
    limit: float = 13.9,
) -> Observation:
    """One instant on a straight road, the lane's centre `offset` to the left, perhaps a car or a light ahead."""
    route = np.stack([2.0 * np.arange(61), np.full(61, offset)], -1)[None]
    there = car_at is not None
    values = {
        "track": 0,
        "kind": 1,
        "x": car_at or 0.0,
        "y": offset,
        "yaw": 0.0,
        "length": 4.5,
        "width": 1.8,
        "vx": car_speed,
        "vy": 0.0,
    }
    return Observation(
        age_s=np.zeros(1),
        past_poses=np.zeros((1, 1, 3)),
        speed=np.full((1, 1), speed),
        yaw_rate=np.zeros((1, 1)),
        accel=np.zeros((1, 1)),
        command=np.ones(1, np.int8),
        speed_limit=np.full(1, limit),
        route=route,
        light=np.array([light], np.int8),
        light_distance=np.array([light_distance]),
        objects={name: np.full((1, 1), values[name]) for name in OBJECT_COLUMNS} | {"valid": np.full((1, 1), there)},
    )


def poses(seen: Observation) -> np.ndarray:
    return LaneFollow().plan(seen).likeliest[0]


def test_a_steady_turn_leaves_constant_turn_nothing_to_disagree_about(arc: Drive) -> None:
    seen = Observer(arc).observe(np.arange(len(arc)), ConstantTurn.needs, (0.0,))
    plan, human = ConstantTurn().plan(seen).likeliest, driven(arc, np.arange(len(arc)))
    known = np.isfinite(human[:, -1, 0])
    assert known.sum() == len(arc) - 40
    assert np.allclose(plan[known], human[known], atol=1e-2)  # a hundredth of a metre: chords of 0.1 s
    assert np.abs(plan[known] - human[known]).max() < 2e-3


def test_lane_follow_keeps_its_speed_on_an_empty_road_at_the_limit() -> None:
    path = poses(on_a_road(13.9))
    assert np.allclose(path[:, 3], 13.9, atol=0.01)
    assert np.allclose(path[:, 1:3], 0, atol=1e-6)
    assert np.isclose(path[-1, 0], 4 * 13.9, atol=0.1)


def test_lane_follow_returns_to_the_lane() -> None:
    path = poses(on_a_road(10, offset=1.0))
    assert path[-1, 1] == pytest.approx(1.0, abs=0.15)
    assert np.all(np.diff(path[:, 1]) > -0.05)


def test_lane_follow_stops_behind_a_standing_car() -> None:
    path = poses(on_a_road(8, car_at=30.0))
    bumper = path[-1, 0] + 4.6 - 0.9
    assert path[-1, 3] < 4
    assert bumper < 30 - 4.5 / 2


def test_lane_follow_does_not_brake_for_a_car_that_goes_as_fast() -> None:
    assert poses(on_a_road(10, car_at=45.0, car_speed=12.0))[-1, 3] > 9.5


@pytest.mark.parametrize(
    ("light", "stops"), [(Light.RED, True), (Light.GREEN, False), (Light.OFF, False), (Light.UNKNOWN, False)]
)
def test_lane_follow_stops_for_red_only(light: Light, stops: bool) -> None:
    path = poses(on_a_road(8, light=light, light_distance=30.0))
    assert (path[-1, 3] < 5) == stops
    if stops:
        assert path[-1, 0] + 3.7 < 30


def test_lane_follow_goes_on_through_yellow_when_it_is_too_late_to_stop() -> None:
    assert poses(on_a_road(13, light=Light.YELLOW, light_distance=12.0))[-1, 3] > 12
    assert poses(on_a_road(10, light=Light.YELLOW, light_distance=40.0))[-1, 3] < 8


def test_lane_follow_slows_down_for_a_bend() -> None:
    seen = on_a_road(13)
    s = 2.0 * np.arange(61)
    bend = np.where(
        s[:, None] < 20,
        np.stack([s, 0 * s], -1),
        20 * np.array([1, 0]) + 12 * np.stack([np.sin((s - 20) / 12), 1 - np.cos((s - 20) / 12)], -1),
    )
    path = LaneFollow().plan(replace(seen, route=bend[None])).likeliest[0]
    assert path[-1, 3] < 7
    assert path[-1, 2] > 0.3


def test_lane_follow_drives_along_a_circle() -> None:
    turn = 2.0 * np.arange(61) / 50.0
    circle = np.stack([50 * np.sin(turn), 50 * (1 - np.cos(turn))], -1)[None]
    found = poses(replace(on_a_road(speed=8.0, limit=8.0), route=circle))
    assert np.abs(np.hypot(found[:, 0], found[:, 1] - 50.0) - 50.0).max() < 0.1
    np.testing.assert_allclose(found[:, 2], 8.0 * 0.5 * np.arange(1, 9) / 50.0, atol=0.02)


@pytest.mark.parametrize("what", ["speed", "route", "car", "limit"])
def test_lane_follow_plans_nothing_from_nothing_and_reads_no_further_than_the_road(what: str) -> None:
    seen = on_a_road(speed=np.nan if what == "speed" else 30.0, car_at=20.0 if what == "car" else None)
    if what == "car":
        seen = replace(seen, objects={**(seen.objects or {}), "vx": np.full((1, 1), np.nan)})
    if what == "limit":
        seen = replace(seen, speed_limit=np.array([np.nan]))
    if what == "route":
        seen = replace(seen, route=np.full((1, 61, 2), np.nan))
    assert np.isnan(poses(seen)).all() == (what in ("speed", "route"))
    short = poses(replace(on_a_road(speed=30.0), route=np.stack([2.0 * np.arange(5), np.zeros(5)], -1)[None]))
    assert np.isfinite(short).all()


def test_batches_do_not_change_a_plan() -> None:
    """Many instants at once give what each gives alone."""
    drive = steady_turn(speed=8, yaw_rate=0.2)
    observer = Observer(drive)
    together = ConstantTurn().plan(observer.observe(np.arange(50), ConstantTurn.needs, (0.0,))).poses
    alone = [
        ConstantTurn().plan(observer.observe(np.array([i]), ConstantTurn.needs, (0.0,))).poses[0] for i in range(50)
    ]
    assert np.array_equal(together, np.stack(alone))


def test_lane_follow_does_not_brake_for_the_known_end_of_a_road_that_had_turned() -> None:
    """A quarter of a circle, then straight on, then unknown: held in place, or going on, it is as fast."""
    seen = on_a_road(speed=4.0)
    turned = 0.5 * np.pi * np.clip((2.0 * np.arange(61) - 2) / 12, 0, 1)
    goes_on = np.cumsum(np.stack([2 * np.cos(turned), 2 * np.sin(turned)], -1), axis=0)
    ends = np.concatenate([goes_on[:10], np.repeat(goes_on[9:10], 51, axis=0)])
    speeds = [LaneFollow().plan(replace(seen, route=one[None])).poses[0, :, 3] for one in (goes_on, ends)]
    np.testing.assert_allclose(*speeds)


@pytest.mark.parametrize("name", ["constant_turn", "logged", "lane_follow"])
def test_every_policy_is_found_by_name_and_says_what_it_needs(name: str) -> None:
    found = named(name)
    assert found.id == name
    assert isinstance(found.policy.needs, tuple) and found.policy.history_s[-1] == 0


def test_settings_are_part_of_a_policys_name() -> None:
    assert named("lane_follow", {"headway_s": 2.0}).id == "lane_follow(headway_s=2.0)"


def test_a_mistyped_policy_or_setting_is_answered_with_the_right_one() -> None:
    with pytest.raises(UnknownName, match="did you mean 'lane_follow'"):
        named("lane_folow")
    with pytest.raises(SettingsError, match="did you mean 'headway_s'"):
        named("lane_follow", {"headway": 2.0})
    with pytest.raises(SettingsError, match="headway_s"):
        named("lane_follow", {"headway_s": "long"})


def test_a_policy_of_ones_own_needs_no_packaging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_idea.py").write_text(
        "from dataclasses import dataclass\n"
        "from understudy.policies.constant_turn import ConstantTurn\n\n"
        "@dataclass(frozen=True)\n"
        "class Slower(ConstantTurn):\n"
        "    share: float = 0.5\n"
    )
    monkeypatch.chdir(tmp_path)
    assert plugins.make("policy", "my_idea:Slower", {"share": 0.2}).share == 0.2
    (tmp_path / "my_other_idea.py").write_text("class Bare:\n    needs = ()\n")
    with pytest.raises(UnderstudyError, match="expected a dataclass, whose fields are its settings"):
        plugins.make("policy", "my_other_idea:Bare")


def straight_ahead(folder: Path, outputs: tuple[str, ...] = ("poses",), batch: int | None = None) -> Path:
    """A model that goes straight on at its speed, as ONNX with its card."""
    ramp = np.zeros((1, 1, K, 4), np.float32)
    ramp[0, 0, :, 0] = 0.5 * np.arange(1, K + 1)
    ramp[0, 0, :, 3] = 1
    nodes = [
        helper.make_node("Reshape", ["speed", "shape"], ["column"]),
        helper.make_node("Mul", ["column", "ramp"], ["poses" if "poses" in outputs else "other"]),
    ]
    graph = helper.make_graph(
        nodes,
        "straight",
        [helper.make_tensor_value_info("speed", TensorProto.FLOAT, ["B", 1])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 1, K, 4]) for name in outputs],
        [
            helper.make_tensor("shape", TensorProto.INT64, [4], [-1, 1, 1, 1]),
            helper.make_tensor("ramp", TensorProto.FLOAT, ramp.shape, ramp.ravel()),
        ],
    )
    path = folder / "straight.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    path.with_suffix(".json").write_text(
        json.dumps({"format": "understudy-model/1", "history_s": [0.0], "needs": ["speed"]})
    )
    return path


def test_a_model_as_onnx_plans_like_the_rule_it_holds(tmp_path: Path, straight: Drive) -> None:
    model = named(str(straight_ahead(tmp_path)))
    assert model.id.startswith("straight-")
    instants = np.arange(20)
    seen = Observer(straight).observe(instants, model.policy.needs, model.policy.history_s)
    assert np.allclose(model.policy.plan(seen).likeliest, ConstantTurn().plan(seen).likeliest, atol=1e-5)


def test_a_model_without_a_card_or_with_a_wrong_one_is_one_clear_line(tmp_path: Path) -> None:
    path = straight_ahead(tmp_path)
    card = path.with_suffix(".json")
    for text, message in [
        ("{", "reading a model's card"),
        ('{"format": "other"}', "not of format"),
        ('{"format": "understudy-model/1", "history_s": [0, 1]}', "decreasing to 0"),
        ('{"format": "understudy-model/1", "history_s": [0.5, 0.5, 0]}', "decreasing to 0"),
        ('{"format": "understudy-model/1", "history_s": [NaN, 0]}', "decreasing to 0"),
        ('{"format": "understudy-model/1", "history_s": [Infinity, 0]}', "decreasing to 0"),
        ('{"format": "understudy-model/1", "needs": 3}', "list of names"),
        ('{"format": "understudy-model/1", "lift": 3}', "its lift is none: Expected `object . null`, got `int`"),
        ('{"format": "understudy-model/1", "lift": {"grid": {}}}', "its lift is none: .*`heights`"),
        ('{"format": "understudy-model/1", "lift": {"grid": {}, "heights": [0], "size": [0, 1]}}', "above 0"),
        ('{"format": "understudy-model/1", "data": "grid:1"}', "expected .*places"),
        ('{"format": "understudy-model/1", "data": {"places": "grid:1"}}', "expected .*places"),
        ('{"format": "understudy-model/1", "cameras": {"size": "32x24"}}', "expected .*160, 120"),
        ('{"format": "understudy-model/1", "cameras": ["front"]}', "expected .*160, 120"),
        ('{"format": "understudy-model/1", "kept": ["view"]}', "expected .*past_views"),
        ('{"format": "understudy-model/1", "kept": {"poses": "speed"}}', "no history"),
        ('{"format": "understudy-model/1", "kept": {"view": "speed"}, "history_s": [1, 0]}', "no 'view'"),
        ('{"format": "understudy-model/1", "kept": {"poses": "past"}, "history_s": [1, 0]}', "does not want"),
    ]:
        card.write_text(text)
        with pytest.raises(PolicyError, match=message):
            named(str(path))
    card.unlink()
    with pytest.raises(PolicyError, match="has no card"):
        named(str(path))


def test_a_model_that_is_no_model_or_answers_something_else_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="no 'poses'"):
        named(str(straight_ahead(tmp_path, outputs=("other",))))
    whole = onnx.load(straight_ahead(tmp_path))
    for tensor in whole.graph.initializer:  # as raw bytes, which alone can lie elsewhere
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
    apart = {"save_as_external_data": True, "location": "straight.data", "size_threshold": 64}
    onnx.save(whole, tmp_path / "straight.onnx", **apart)
    with pytest.raises(PolicyError, match="weights in another file"):
        named(str(tmp_path / "straight.onnx"))
    (tmp_path / "straight.onnx").write_bytes(b"not a model")
    with pytest.raises(PolicyError, match="loading a model"):
        named(str(tmp_path / "straight.onnx"))
