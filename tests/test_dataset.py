"""A dataset holds what the drives held at its instants, under one name, and never leaks between its sides."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.learning import sample_dataset, sample_lake
from understudy import dataset, label
from understudy.dataset import Dataset, assert_apart
from understudy.errors import DataError, UnderstudyError, UnknownName
from understudy.gate.entrants import entrant
from understudy.ingest import ingest
from understudy.network.samples import Samples, read_rig, write_rig
from understudy.observe import Observer, rig_of
from understudy.recorder import write
from understudy.records import NS, Clip
from understudy.registry import Registry, used_for_training
from understudy.store import Lake
from understudy.store.reviews import Reviews, Subject, kept_clips, reached, regression_clips
from understudy.turn.clips import keep_clips
from understudy.turn.share import share
from understudy.worlds.rig import default_rig


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return sample_lake(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def labelled(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of that lake as it is before anything was frozen or said."""
    return shutil.copytree(lake.root, tmp_path_factory.mktemp("labelled") / "lake")


def test_a_sample_is_what_an_observer_sees_and_what_was_labelled(lake: Lake) -> None:
    samples = Samples(lake, sample_dataset(lake).name)
    own = next(one for one in samples.drives if one.id.endswith("cut-in"))
    first = sum(len(one.arrays["frame"]) for one in samples.drives[: samples.drives.index(own)])
    drive = lake.drive(own.id)
    rows = np.array([9, 0, 4])  # every half second, in any order
    seen = Observer(drive).observe(rows * 5, ("pictures",), Dataset().history_s)
    batch = samples.take(first + rows)
    assert seen.picture_valid is not None
    np.testing.assert_array_equal(batch.pictures, np.stack(seen.pictures, axis=2))
    np.testing.assert_array_equal(batch.picture_valid, seen.picture_valid)
    np.testing.assert_allclose(batch.state["past_poses"], np.nan_to_num(seen.past_poses), atol=1e-6)
    np.testing.assert_allclose(batch.state["speed"], np.nan_to_num(seen.speed), atol=1e-6)
    assert seen.future is None and np.isfinite(batch.labels["path"]).all()
    assert not batch.picture_valid[1, 0].any() and batch.picture_valid[1, 1].all(), "nothing came before the first"


def test_labels_of_an_older_version_of_a_drive_teach_nothing(labelled: Path, tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(labelled, tmp_path / "lake"))
    logs = tmp_path / "logs"
    logs.mkdir()
    drive = lake.drive(next(one["id"] for one in lake.drives() if one["id"].endswith("cut-in")))
    write(drive, logs / f"{drive.id}.mcap")
    ingest(lake, "mcap", logs)
    frozen = dataset.run(lake)
    assert list(frozen.report.skipped) == [drive.id] and "of an older version" in frozen.report.skipped[drive.id]
    label.run(lake)
    again = dataset.run(lake)
    assert not again.report.skipped and again.samples > frozen.samples


def test_samples_of_several_drives_come_in_the_order_asked_for(lake: Lake) -> None:
    samples = Samples(lake, sample_dataset(lake).name)
    mixed = np.array([150, 3, 75, 3, 0])
    together = samples.take(mixed)
    for row, index in enumerate(mixed):
        alone = samples.take(np.array([index]))
        np.testing.assert_array_equal(together.pictures[row], alone.pictures[0])
        np.testing.assert_array_equal(together.labels["bev"][row], alone.labels["bev"][0])


def test_the_same_makings_give_the_same_name_and_nothing_is_made_twice(lake: Lake) -> None:
    first, again = sample_dataset(lake), sample_dataset(lake)
    assert first.name == again.name and not again.report.made
    assert sample_dataset(lake, size=(32, 16)).name != first.name


def test_no_place_is_on_both_sides(lake: Lake) -> None:
    frozen = sample_dataset(lake, held_out=0.5)
    assert frozen.places and frozen.test_places
    assert not set(frozen.places) & set(frozen.test_places)
    samples = Samples(lake, frozen.name)
    assert 0 < samples.test.sum() < len(samples)


def test_a_planted_leak_is_refused() -> None:
    with pytest.raises(DataError, match="the split leaks: training and held-out samples share 1 places, 'b'"):
        assert_apart(["a", "b"], ["b", "c"], "held-out samples")


def test_a_regression_clip_keeps_its_place_out_of_training(lake: Lake) -> None:
    drive = lake.drives()[0]["id"]
    place = lake.drive(drive).places[0]
    clip = Clip("c", drive, 0, 10**10, (), place, side="regression")
    frozen = dataset.run(lake, Dataset((64, 32), held_out=0.0), [clip])
    assert place not in frozen.places and len(frozen.places) == len(lake.drives()) - 1


@pytest.mark.parametrize("verdict", [None, "keep", "drop", "wrong_trigger", "bad_label", "regression"])
def test_what_the_gate_asks_is_never_learned_from_whatever_was_said(
    labelled: Path, tmp_path: Path, verdict: str | None
) -> None:
    lake = Lake(shutil.copytree(labelled, tmp_path / "lake"))
    drive = lake.drive(lake.drives()[0]["id"])
    clip = Clip("clip:r", drive.id, int(drive.t_ns[20]), int(drive.t_ns[100]), (), drive.places[0], "regression")
    keep_clips(lake, "kept", [clip])
    if verdict is not None:
        with Reviews(lake.root) as reviews:
            reviews.say(Subject(clip.id, drive.id, clip.start_ns, clip.end_ns, clip.place, "cut_in"), verdict, "ann")
    assert [one.id for one in regression_clips(lake)] == [clip.id]
    assert [one.id for one in kept_clips(lake) if one.side == "regression"] == [clip.id]
    assert clip.place not in dataset.run(lake, Dataset((64, 32), held_out=0.0)).places, "nobody named the clip"


def test_what_binds_is_never_learned_from_though_mining_took_it_for_training(labelled: Path, tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(labelled, tmp_path / "lake"))
    drive = lake.drive(lake.drives()[0]["id"])
    clip = Clip("clip:b", drive.id, int(drive.t_ns[20]), int(drive.t_ns[100]), (), drive.places[0])
    keep_clips(lake, "kept", [clip])
    assert used_for_training(lake) == [clip]
    registry, hash = Registry(lake.root), entrant("lane_follow").hash
    registry.add("lane_follow", hash, "lane_follow")
    registry.promote("lane_follow", "to begin with")
    where = {"drive": clip.drive, "start_ns": clip.start_ns, "end_ns": clip.end_ns, "place": clip.place}
    both = {name: "lane_follow" for name in ("champion", "candidate")} | {
        f"{side}_hash": hash for side in ("champion", "candidate")
    }
    told = {**both, "outcome": "undecided", "clips": [{"clip": clip.id, "champion": 5, "candidate": 5, **where}]}
    registry.record(json.dumps(told).encode(), {"lane_follow": "lane_follow"})
    assert used_for_training(lake) == []
    assert clip.place not in dataset.run(lake, Dataset((64, 32), held_out=0.0)).places


def test_a_clip_that_reaches_into_another_place_teaches_nothing_of_it(lake: Lake, tmp_path: Path) -> None:
    whole = lake.drive(lake.drives()[0]["id"])
    place = (np.arange(len(whole)) >= 40).astype(np.int32)
    drive = replace(whole, columns={**whole.columns, "place": place}, places=("here", "there"))
    (tmp_path / "logs").mkdir()
    write(drive, tmp_path / "logs" / "drive.mcap")
    own = Lake(tmp_path / "lake")
    ingest(own, "mcap", tmp_path / "logs")
    label.run(own, label.Labels(every_s=0.5))
    clip = Clip("c", drive.id, int(drive.t_ns[20]), int(drive.t_ns[50]), (), "here")
    frozen = dataset.run(own, Dataset((64, 32), clips=True, held_out=0.0), [clip])
    assert frozen.places == ("here",) and frozen.samples == 4

    asks = replace(clip, side="regression")
    assert not dataset.run(own, Dataset((64, 32), held_out=0.0), [asks]).samples, "it judges in both places"
    assert reached(share(own, []), [asks]) == {"c": {"here", "there"}}, "whichever drives are learned from"
    asks = replace(asks, end_ns=int(drive.t_ns[39]))
    assert dataset.run(own, Dataset((64, 32), held_out=0.0), [asks]).places == ("there",)
    assert reached(own, [asks, replace(clip, id="d", drive="gone")]) == {"c": {"here"}, "d": {"here"}}

    for place, taught in (("elsewhere", [clip]), ("there", [])):
        keep_clips(own, "kept", [clip, Clip(place, "another", 0, NS, (), place, "regression")])
        assert used_for_training(own) == taught, "what leaves the lake for other trainers is not trimmed to places"


def test_what_reviewers_said_is_heeded(lake: Lake, tmp_path: Path) -> None:
    one, other = (drive["id"] for drive in lake.drives()[:2])
    place = lake.drive(one).places[0]
    before = sample_dataset(lake)
    with Reviews(lake.root) as reviews:
        reviews.say(Subject("clip:a", one, 0, 1, place, "cut_in"), "regression", "ann")
        reviews.say(Subject("clip:b", other, 0, 3 * NS, "", "cut_in"), "bad_label", "ann")
        after = sample_dataset(lake)
        assert place not in after.places and after.name != before.name
        in_other = {at.id: len(at.arrays["frame"]) for at in Samples(lake, after.name).drives}[other]
        assert in_other == {at.id: len(at.arrays["frame"]) for at in Samples(lake, before.name).drives}[other] - 7
        assert [(clip.id, clip.side) for clip in regression_clips(lake)] == [("clip:a", "regression")]
        reviews.undo("ann")
        reviews.undo("ann")
    assert sample_dataset(lake).name == before.name


def test_only_what_lies_in_clips_is_taken_where_clips_are_asked_for(lake: Lake) -> None:
    drive = lake.drive(lake.drives()[0]["id"])
    clip = Clip("c", drive.id, int(drive.t_ns[20]), int(drive.t_ns[60]), (), drive.places[0])
    frozen = dataset.run(lake, Dataset((64, 32), clips=True, held_out=0.0), [clip])
    assert frozen.samples == 9, "every half second of four seconds, both ends"
    regression = dataset.run(lake, Dataset((64, 32), clips=True, held_out=0.0), [replace(clip, side="regression")])
    assert regression.samples == 0


def test_of_dull_instants_a_share_is_kept_and_of_the_others_all() -> None:
    path = np.zeros((6, 8, 4), np.float32)
    path[:, :, 3] = 8.0
    path[1, -1, 2] = 0.3  # turns
    path[2, -1, 3] = 3.0  # brakes
    path[5] = np.nan
    light = np.array([0, 0, 0, 1, 1, 0], np.int8)
    found = dataset.eventful({"path": path, "light": light}, np.array([8.0, 8, 8, 8, 0, 8]))
    assert found.tolist() == [False, True, True, True, True, False], "row 4 sets off at a light"
    assert dataset.thinned(found, 0.5).tolist() == [False, True, True, True, True, True]
    assert dataset.thinned(np.zeros(12, bool), 0.25).sum() == 3
    assert dataset.thinned(found, 1.0).all() and dataset.eventful({}, np.zeros(3)).all()


def test_the_end_of_each_drive_may_be_held_out_to_look_at_learning_and_the_dataset_says_so(lake: Lake) -> None:
    frozen = dataset.run(lake, Dataset((64, 32), held_out=0.25, within_drives=True))
    samples = Samples(lake, frozen.name)
    assert samples.about["split"] == "within drives"
    for drive in samples.drives:
        test = drive.arrays["test"]
        assert test.sum() == len(test) - round(len(test) * 0.75) and (np.diff(test.astype(int)) >= 0).all()


def test_a_lake_without_labels_says_what_would_help(tmp_path: Path) -> None:
    with pytest.raises(UnderstudyError, match="understudy label"):
        dataset.run(Lake(tmp_path))


def test_an_unknown_dataset_is_answered_with_the_known_ones(lake: Lake) -> None:
    name = sample_dataset(lake).name
    with pytest.raises(UnknownName, match=name):
        Samples(lake, "nosuch")


def test_a_rig_comes_back_as_it_was_and_an_unknown_lens_as_unknown(lake: Lake) -> None:
    rig = default_rig()
    again = read_rig(write_rig(rig))
    np.testing.assert_array_equal(again.K, rig.K)
    assert again.names == rig.names and again.coefficients == rig.coefficients
    camera = replace(lake.drive(lake.drives()[0]["id"]).cameras[0], K=None, ego_T_cam=None)
    assert np.isnan(read_rig(write_rig(rig_of((camera,)))).K).all()
