"""Training goes on where it was killed, repeats itself, and its networks run without torch as they run with it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.learning import learn, sample_dataset, sample_lake
from understudy import evaluate
from understudy.dataset import Dataset
from understudy.dataset import run as freeze
from understudy.errors import DataError, SettingsError, UnderstudyError, UnknownName
from understudy.metrics import SUBSCORES, combine
from understudy.network.distil import scored as scored_modes
from understudy.network.export import export
from understudy.network.predict import find, load, predict
from understudy.network.samples import Samples
from understudy.observe import Observer
from understudy.policies import named
from understudy.policies.onnx import Onnx
from understudy.records import PLAN_STEP_S, PLAN_STEPS, Clip
from understudy.shadow import plan_all
from understudy.store import Lake
from understudy.train import Feed, Log, Train, meet, parts_of, schedule, shape, stops_or_sets_off, twin_of
from understudy.train import run as train
from understudy.web import evaluation

STEPS = 40


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    """Each core has a file of tests."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return sample_lake(tmp_path_factory.mktemp("train"))


@pytest.fixture(scope="module")
def untaught(lake: Lake) -> Path:
    """The lake with its dataset, as it is before anything is trained."""
    sample_dataset(lake, size=(128, 64))
    return Path(shutil.copytree(lake.root, lake.root.parent / "untaught"))


@pytest.fixture(scope="module")
def dataset(lake: Lake, untaught: Path) -> str:
    return sample_dataset(lake, size=(128, 64)).name


@pytest.fixture(scope="module")
def model(lake: Lake, dataset: str) -> str:
    return learn(lake, dataset, STEPS).name


def weights(lake: Lake, model: str) -> bytes:
    return lake.blob(find(lake, model), "model.safetensors").read_bytes()


def curve(lake: Lake, model: str) -> list[dict[str, float]]:
    lines = lake.blob(find(lake, model), "log.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "elapsed_s"} for line in lines]


@pytest.fixture
def elsewhere(dataset: str, untaught: Path, tmp_path: Path) -> Lake:
    """The same dataset in a lake where nothing has been trained yet."""
    return Lake(Path(shutil.copytree(untaught, tmp_path / "lake")))


def test_a_backbone_may_be_the_users_own(lake: Lake, dataset: str, model: str, tmp_path: Path) -> None:
    """Of a whole network or alone; what is no backbone of that size is refused in one line."""
    whole, alone = tmp_path / "whole.safetensors", tmp_path / "alone.safetensors"
    whole.write_bytes(weights(lake, model))
    own = {name: value for name, value in load_file(whole).items() if name.startswith("backbone.")}
    save_file({name.removeprefix("backbone."): value for name, value in own.items()}, alone)
    for file in (whole, alone):
        begun = learn(lake, dataset, 0, seed=1, backbone=str(file))
        found = load(lake, begun.name)[0].state_dict()
        assert all(torch.equal(found[name], value) for name, value in own.items())
        assert not torch.equal(found["heights.weight"], load_file(whole)["heights.weight"])
    with pytest.raises(DataError, match=r"nano has \(16, 3, 4, 4\) as stages.0.0.0.weight, the file has nothing"):
        learn(lake, dataset, 0, backbone=str(torn(alone, "stages.0.0.0.weight")))
    alone.write_bytes(b"no tensors")
    with pytest.raises(DataError, match="reading weights of a backbone: no safetensors file"):
        learn(lake, dataset, 0, backbone=str(alone))


def test_what_modes_are_worth_is_learned_and_heeded(lake: Lake, dataset: str, model: str) -> None:
    """The same network, whose likeliest modes are worth more: on what it learned from, at least."""
    taught = learn(lake, dataset, STEPS, scores=300)
    plain, scored = load(lake, model)[0], load(lake, taught.name)[0]
    assert plain.scorer is None and scored.scorer is not None
    own = {name: value for name, value in scored.state_dict().items() if not name.startswith("scorer.")}
    assert all(torch.equal(own[name], value) for name, value in plain.state_dict().items())
    told, hidden, subscores = next(scored_modes(lake, Samples(lake, dataset), plain, np.zeros((1, 3)), 0))
    true = combine({name: subscores[..., k].numpy().ravel() for k, name in enumerate(SUBSCORES)})["score"]
    with torch.no_grad():
        foretold = scored.scorer.log_score(told, hidden).exp().numpy().ravel()
    assert np.corrcoef(true, foretold)[0, 1] > 0.4, "of a network whose view is forty steps old"
    worth = evaluate.run(lake, taught.name, side="train").plan["score"]
    assert 0 < worth <= 1
    again = learn(lake, dataset, 1, start=taught.name)
    assert load(lake, again.name)[0].scorer is None, "who learns on has other modes"


def test_what_an_older_form_left_is_told_in_one_line(elsewhere: Lake, dataset: str) -> None:
    begun = learn(elsewhere, dataset, 0)
    whole = elsewhere.blob(find(elsewhere, begun.name), "model.safetensors")
    kept = {name: value for name, value in load_file(whole).items() if name != "trunk.out.bias"}
    save_file(kept, whole)
    with pytest.raises(DataError, match=r"its weights are another network's; train it again$"):
        load(elsewhere, begun.name)
    one = elsewhere.entries(stage="dataset", key=dataset)[0]
    blobs = {name: elsewhere.blob(one, name).read_bytes() for name in one.blobs if name != "t_ns.npy"}
    with elsewhere.run("dataset", "older", {}, "0") as run:
        run.part(one.subject, ["older"]).write({}, blobs, about={**one.about, "dataset": "older"})
    with pytest.raises(DataError, match=r"older is of an older form; label and freeze its drives again$"):
        Samples(elsewhere, "older")


def torn(file: Path, without: str) -> Path:
    save_file({name: value for name, value in load_file(file).items() if name != without}, file)
    return file


def process(lake: Lake, dataset: str, die_at: int = 0, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.learning", str(lake.root), dataset, str(STEPS), str(die_at)]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1", **environment})


def test_a_loss_falls(lake: Lake, model: str) -> None:
    told = curve(lake, model)
    assert [line["step"] for line in told] == [20, 40]
    assert told[-1]["drivable"] < 0.8 * told[0]["drivable"]


def test_what_was_trained_is_not_trained_again(lake: Lake, dataset: str, model: str) -> None:
    again = learn(lake, dataset, STEPS)
    assert again.name == model and not again.new


def test_a_drive_that_failed_before_is_learned_from_when_it_has_been_frozen(tmp_path: Path) -> None:
    """The dataset has the same name then: it tells what was asked for."""
    lake = sample_lake(tmp_path)
    log = tmp_path / "logs" / "sample-cut-in.mcap"
    log.rename(log.with_suffix(".away"))
    frozen = sample_dataset(lake, size=(128, 64))
    without = learn(lake, frozen.name, 0)
    assert list(frozen.report.failures) == ["sample-cut-in"]
    log.with_suffix(".away").rename(log)
    assert sample_dataset(lake, size=(128, 64)).name == frozen.name
    assert learn(lake, frozen.name, 0).name != without.name


def test_killed_before_it_was_said_that_it_was_trained_it_is_said_the_next_time(
    dataset: str, model: str, lake: Lake, tmp_path: Path
) -> None:
    killed = Lake(Path(shutil.copytree(lake.root, tmp_path / "killed")))
    shutil.rmtree(killed.root / "runs" / "train")
    assert not killed.entries(stage="train")
    again = learn(killed, dataset, STEPS)
    assert not again.new and again.name == model and find(killed, model)


def test_killed_at_any_moment_it_goes_on_along_the_same_curve_to_the_same_weights(
    lake: Lake, dataset: str, model: str, elsewhere: Lake
) -> None:
    killed = process(elsewhere, dataset, die_at=40)
    assert killed.wait(timeout=120) == -signal.SIGKILL
    checkpoint = next((elsewhere.root / "training").glob("*/checkpoint.safetensors"))
    assert checkpoint.is_file() and not elsewhere.entries(stage="train")
    elsewhere.gc()
    assert checkpoint.is_file()
    resumed = learn(elsewhere, dataset, STEPS)
    assert resumed.name == model and resumed.new
    assert curve(elsewhere, model) == curve(lake, model)
    assert weights(elsewhere, model) == weights(lake, model)


def test_a_finished_training_leaves_no_checkpoint_and_gc_forgets_one_that_was_broken_off(
    lake: Lake, model: str
) -> None:
    assert find(lake, model) and not (lake.root / "training" / model).exists()
    left = lake.root / "training" / "broken-off" / "checkpoint.safetensors"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes(b"half a network")
    lake.gc()
    assert left.is_file()
    lake.gc(forget=True)
    assert not left.exists()


def test_two_threads_learn_what_one_does(lake: Lake, dataset: str, model: str, elsewhere: Lake) -> None:
    """Each takes its half of every batch; one thread takes both, one after the other."""
    torch.set_num_threads(2)
    try:
        assert learn(elsewhere, dataset, STEPS).name == model and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert curve(elsewhere, model) == curve(lake, model) and weights(elsewhere, model) == weights(lake, model)


def test_a_batch_falls_into_parts_and_one_sample_into_one() -> None:
    inputs, mounted = {"speed": torch.arange(5.0)}, {"index": torch.arange(3)}
    for count, sizes in ((1, [5]), (2, [3, 2])):
        parts = parts_of({"inputs": inputs, "labels": {"path": torch.arange(5)}, "mounted": mounted}, count)
        assert [len(part["inputs"]["speed"]) for part in parts] == sizes
        assert torch.equal(torch.cat([part["labels"]["path"] for part in parts]), torch.arange(5))
        assert all(part["mounted"] is mounted for part in parts)
    alone = {"inputs": {"speed": torch.zeros(1)}, "labels": {}, "mounted": {}}
    assert len(parts_of(alone, 2)) == 1


def test_halves_meet_in_the_gradient_of_the_whole() -> None:
    """Of a network without statistics of batches, and a loss that is a mean over samples."""
    torch.manual_seed(0)
    whole = torch.nn.Linear(3, 1)
    halves = whole, twin_of(whole)  # type: ignore[arg-type]
    samples = torch.randn(8, 3)
    whole(samples).square().mean().backward()
    wanted = [one.grad.clone() for one in whole.parameters() if one.grad is not None]
    for half, part in zip(halves, samples.chunk(2), strict=True):
        half.zero_grad()
        half(part).square().mean().backward()
    meet(*halves)
    for one, other, grad in zip(*(half.parameters() for half in halves), wanted, strict=True):
        assert one.data_ptr() == other.data_ptr() and one.grad is not None
        torch.testing.assert_close(one.grad, grad)


def test_another_seed_gives_other_weights(lake: Lake, dataset: str) -> None:
    a, b = (learn(lake, dataset, 2, seed=seed).name for seed in (1, 2))
    assert weights(lake, a) != weights(lake, b)


def test_two_processes_learn_one_network(elsewhere: Lake, dataset: str) -> None:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = str(door.getsockname()[1])
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    both = [process(elsewhere, dataset, RANK=str(rank), LOCAL_RANK=str(rank), **group) for rank in (0, 1)]
    assert [one.wait(timeout=120) for one in both] == [0, 0]
    (entry,) = elsewhere.entries(stage="train")
    told = curve(elsewhere, entry.part)
    assert [line["step"] for line in told] == [20, 40]
    assert told[-1]["drivable"] < 0.8 * told[0]["drivable"]


def test_who_stops_or_sets_off_counts_and_who_waits_or_just_drives_does_not() -> None:
    t = PLAN_STEP_S * np.arange(1, PLAN_STEPS + 1)
    going = [(0.0, 2.0 * t), (0.8, 0.8 + 2.0 * t), (0.0, 2.0 * (t - 1).clip(0)), (0.0, 0 * t), (8.0, 8.0 + 0 * t),
             (8.0, (8.0 - 3.0 * t).clip(0)), (8.0, 8.0 + 2.0 * t), (1.0, np.nan * t)]  # fmt: skip
    path = np.zeros((len(going), PLAN_STEPS, 4))
    path[..., 3] = [speeds for _, speeds in going]
    told = stops_or_sets_off(np.array([now for now, _ in going]), path)
    assert told.tolist() == [True, True, False, False, False, True, False, False]


def test_the_learning_rate_goes_up_in_a_line_and_down_along_a_cosine() -> None:
    assert [schedule(step, 10, 110) for step in (0, 4, 9, 10)] == [0.1, 0.5, 1.0, 1.0]
    assert schedule(60, 10, 110) == pytest.approx(0.5) and schedule(110, 10, 110) == pytest.approx(0.0)


def test_a_dataset_of_another_shape_is_refused_with_what_is_wanted(lake: Lake, dataset: str) -> None:
    other = sample_dataset(lake, size=(32, 16)).name
    with pytest.raises(DataError, match=r"nano wants a dataset of size \(128, 64\)"):
        train(lake, other)
    begun = learn(lake, dataset, 0).name
    with pytest.raises(DataError, match=r"nano wants a dataset of size \(128, 64\)"):
        evaluate.run(lake, begun, other, side="train")


def test_a_setting_that_is_not_known_says_which_are(lake: Lake, dataset: str) -> None:
    with pytest.raises(UnderstudyError, match="known: auto, float32, bfloat16"):
        train(lake, dataset, Train(steps=1, precision="float8"))


@pytest.mark.parametrize(
    ("name", "value", "wants"),
    [
        ("batch", 0, "1 or more, got 0"),
        ("views", 0, "1 or more, got 0"),
        ("rare", 0, "1 or more, got 0"),
        ("steps", -1, "0 or more, got -1"),
        ("seed", -1, "0 or more, got -1"),
        ("warmup", -1, "0 or more, got -1"),
        ("scores", -1, "0 or more, got -1"),
        ("lr", 0.0, "more than 0, got 0"),
        ("clip", float("nan"), "more than 0, got nan"),
        ("ema", 1.0, "0 or more and less than 1, got 1"),
    ],
)
def test_a_setting_out_of_its_bounds_says_what_is_wanted(name: str, value: float, wants: str) -> None:
    with pytest.raises(SettingsError, match=rf"^train\.{name} wants {wants}$"):
        replace(Train(steps=0, scores=1), **{name: value})  # type: ignore[arg-type]


def test_every_process_has_a_share_of_the_smallest_batch(
    lake: Lake, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = Samples(lake, dataset)
    feed = Feed(samples, shape(samples, "nano"), Train(batch=2, views=1, steps=1), torch.device("cpu"), 0)
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        (batch,) = feed
        assert len(batch["inputs"]["speed"]) == 1


def test_a_training_is_named_by_the_whole_name_of_the_model_that_it_goes_on_from(lake: Lake, dataset: str) -> None:
    begun = learn(lake, dataset, 0).name
    one, same = (learn(lake, dataset, 0, start=start, seed=1).name for start in (begun, begun[:10]))
    assert one == same and find(lake, one).about["settings"]["start"] == begun


# Out of the house -----------------------------------------------------------------------------------------------------


def test_a_model_runs_without_torch_as_it_runs_with_it(lake: Lake, model: str, dataset: str, tmp_path: Path) -> None:
    policy = named(str(export(lake, model, tmp_path / "nano.onnx"))).policy
    network, _ = load(lake, model)
    samples = Samples(lake, dataset)
    assert set(policy.card["data"]["places"]) == {place for drive in lake.drives() for place in drive["places"]}
    own = samples.drives[0]
    drive = lake.drive(own.id)
    rows = np.arange(0, 20, 4)
    seen = Observer(drive).observe(rows * 5, policy.needs, policy.history_s)
    plan = policy.plan(seen)
    _, _, said = next(predict(network, samples, rows))
    np.testing.assert_allclose(plan.poses, said["poses"], atol=1e-3)
    share = np.exp(said["choice"]) / np.exp(said["choice"]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(plan.probability, share, atol=1e-3)
    assert plan.spread is not None and plan.embedding is not None
    np.testing.assert_allclose(plan.spread, said["spread"], atol=1e-3)
    np.testing.assert_allclose(plan.embedding, said["embedding"], atol=1e-3)


def test_a_blind_model_sees_nothing_out_of_the_house_either(lake: Lake, dataset: str, tmp_path: Path) -> None:
    blind = learn(lake, dataset, 2, blind=True).name
    policy = named(str(export(lake, blind, tmp_path / "blind.onnx"))).policy
    network, samples, rows = load(lake, blind)[0], Samples(lake, dataset), np.arange(0, 20, 4)
    drive = lake.drive(samples.drives[0].id)
    plan = policy.plan(Observer(drive).observe(rows * 5, policy.needs, policy.history_s))
    unseen, seen = (next(predict(network, samples, rows, one))[2]["poses"] for one in (True, False))
    np.testing.assert_allclose(plan.poses, unseen, atol=1e-3)
    assert np.abs(seen - unseen).max() > 3e-3


def test_a_model_plans_a_whole_drive_in_the_shadow(lake: Lake, model: str, tmp_path: Path) -> None:
    policy = named(str(export(lake, model, tmp_path / "nano.onnx"))).policy
    drive = lake.drive(lake.drives()[0]["id"]).slice(0, 20)
    plan = plan_all(drive, {"nano": policy})["nano"]
    assert plan.poses.shape == (20, 17, PLAN_STEPS, 4) and np.isfinite(plan.poses).all()


def test_a_frame_is_looked_at_once_and_what_is_kept_of_it_changes_nothing(
    lake: Lake, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = str(export(lake, model, tmp_path / "nano.onnx"))
    drive = lake.drive(lake.drives()[0]["id"])
    policy = Onnx(to)
    every = 2  # instants, 0.2 s: a multiple of it is the age of a frame
    rows = np.arange(20, 20 + 12 * every, every)
    seen = [Observer(drive).observe(np.array([row]), policy.needs, policy.history_s) for row in rows]
    looks: list[int] = []
    run = policy._session.run
    counted = SimpleNamespace(
        get_inputs=policy._session.get_inputs,
        get_outputs=policy._session.get_outputs,
        run=lambda *given: looks.append(1) or run(*given),
    )
    object.__setattr__(policy, "_session", counted)
    plans = [policy.plan(one) for one in seen]
    before = round(policy.history_s[0] / (every * 0.1))
    assert len(looks) == len(rows) + before, "the first few look at their past, the others know it"
    together = Onnx(to).plan(Observer(drive).observe(rows, policy.needs, policy.history_s))
    for row, (one, plan) in enumerate(zip(seen, plans, strict=True)):
        alone = Onnx(to).plan(one)
        for name in ("poses", "probability", "spread", "embedding"):
            assert np.array_equal(getattr(plan, name), getattr(alone, name)), "a replay without them is the same"
            assert np.array_equal(getattr(plan, name)[0], getattr(together, name)[row])
    again = [policy.plan(one).poses for one in reversed(seen)]
    assert np.array_equal(again, [plan.poses for plan in reversed(plans)])
    monkeypatch.setattr("understudy.policies.onnx._KEPT", 2)
    forgetful = Onnx(to)
    assert np.array_equal([forgetful.plan(one).poses for one in seen], [plan.poses for plan in plans])
    assert len(forgetful._kept) == 2


def test_a_card_remembers_where_its_ancestors_learned_and_from_whom_it_goes_on(untaught: Path, tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(untaught, tmp_path / "lake"))
    settings = Dataset(size=(128, 64), clips=True, held_out=0.0)
    drives = lake.drives()[:3]
    last = None
    for drive in drives:  # each learns in one place, on from the one before
        clip = Clip("c", drive["id"], 0, 2**62, (), drive["places"][0])
        frozen = freeze(lake, settings, [clip])
        before, last = last, learn(lake, frozen.name, 1, start=last.name if last else "")
    assert before is not None and last is not None
    card = json.loads(export(lake, last.name, tmp_path / "last.onnx").with_suffix(".json").read_text())
    assert card["data"]["places"] == sorted(drive["places"][0] for drive in drives)
    assert card["parents"] == [before.name]


def test_a_missing_model_is_answered_with_the_known_ones(lake: Lake, model: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=model):
        export(lake, "nosuch", tmp_path / "x.onnx")


# Evaluation -----------------------------------------------------------------------------------------------------------


def test_evaluation_counts_every_sample_and_says_what_it_rests_on(lake: Lake, model: str) -> None:
    found = evaluate.run(lake, model, side="train")
    assert found.samples == 225 and 0 < found.plans < 225
    assert set(found.iou) == set(evaluate.CLASSES) and found.iou["drivable"] > 0.3
    assert 0 <= found.calibration <= 1
    read = evaluate.told(found)
    assert read["IoU drivable"] == found.iou["drivable"] and np.isfinite([*read.values()]).all()
    with pytest.raises(DataError, match="no test samples"):
        evaluate.run(lake, model)


def test_a_model_is_not_judged_where_it_or_who_it_goes_on_from_has_learned(untaught: Path, tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(untaught, tmp_path / "lake"))
    settings = Dataset(size=(128, 64), clips=True, held_out=0.0)
    places = [drive["places"][0] for drive in lake.drives()[:2]]
    models: list[str] = []
    for drive, place in zip(lake.drives()[:2], places, strict=True):
        frozen = freeze(lake, settings, [Clip("c", drive["id"], 0, 2**62, (), place)])
        models.append(learn(lake, frozen.name, 0, start=models[-1] if models else "").name)
    judging = sample_dataset(lake, size=(128, 64), held_out=1.0)
    for model, beside, learned in ((models[0], "", 1), (models[1], "", 2), (models[0], models[1], 2)):
        found = evaluate.run(lake, model, judging.name, beside=beside)
        assert set(found.by["place"]) == set(judging.test_places) - set(places[:learned])
        assert found.left_out == judging.samples - found.samples
    everywhere = learn(lake, sample_dataset(lake, size=(128, 64)).name, 0)
    with pytest.raises(DataError, match=r"lie where it, its ancestors or the model beside it have learned; a dataset"):
        evaluate.run(lake, everywhere.name, judging.name)


def test_a_page_shows_what_was_seen_true_and_said_and_loads_nothing(lake: Lake, model: str) -> None:
    found = evaluate.run(lake, model, side="train", show=4)
    assert len(found.shown) == 4 and sum(one.samples for one in found.by["place"].values()) == found.samples
    page = evaluation.write(lake, found).read_text()
    assert page.count("data:image/png") == 4 * (3 + 2) and found.shown[0].drive in page
    assert "http" not in page.replace("http-equiv", "") and "<script" not in page


def test_overlap_is_that_of_known_cells() -> None:
    said, label = np.full((1, 8, 2, 2), -1.0), np.zeros((1, 8, 2, 2), np.int8)
    said[0, 0, 0] = 1.0  # two cells taken
    label[0, 0, :, 0] = 1  # two cells true, one of them taken
    assert [value[0, 0] for value in evaluate.overlap(said, label)] == [1, 3]
    label[0, 0, 1, 0] = evaluate.UNKNOWN
    assert [value[0, 0] for value in evaluate.overlap(said, label)] == [1, 2]


def test_a_plan_half_a_metre_to_the_side_is_half_a_metre_off_at_all_times() -> None:
    path = np.zeros((3, PLAN_STEPS, 4))
    path[..., 0] = 5.0 * np.arange(1, 9)
    poses = np.repeat(path[:, None], 2, axis=1)
    poses[:, 0, :, 1], poses[:, 1, :, 1] = 0.5, 3.0
    found = evaluate.plan_errors(poses, np.array([[1.0, 0.0]] * 3), path)
    assert found["mean_displacement"] == found["final_displacement"] == found["min_displacement"] == 0.5
    assert found["lateral_1s"] == pytest.approx(0.5) and np.isnan(found["lateral_1s_bent"])
    ahead = path.copy()[:, None]
    ahead[..., 0] += 2.0
    found = evaluate.plan_errors(ahead, np.zeros((3, 1)), path)
    assert found["final_displacement"] == 2.0 and found["lateral_1s"] == pytest.approx(0.0)


def test_probabilities_that_come_true_are_calibrated() -> None:
    path = np.zeros((1000, PLAN_STEPS, 4))
    path[:700, :, 1] = 1.0  # the first mode is right in 7 of 10 cases
    poses = np.zeros((1000, 2, PLAN_STEPS, 4))
    poses[:, 0, :, 1] = 1.0
    sure = np.tile(np.log([0.7, 0.3]), (1000, 1))
    assert evaluate.calibration_error(poses, sure, path) == pytest.approx(0.0, abs=1e-9)
    assert evaluate.calibration_error(poses, np.tile(np.log([0.9, 0.1]), (1000, 1)), path) == pytest.approx(0.2)


def test_half_a_line_of_a_log_is_cut_off_and_stops_no_training(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 20, "offset": 1.0}\n{"step": 40, "off')
    log = Log(path, 20)
    log.add({"offset": 0.5})
    log.write(40, {"lr": 0.1})
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [20, 40]
