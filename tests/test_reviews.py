"""Reviews: nothing is overwritten, nothing acknowledged is lost, and what was said is heeded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import UnderstudyError
from understudy.records import Clip
from understudy.store.reviews import VERDICTS, Conflict, Reviews, Subject, heeded, standing

KILLS = 20


def subject(clip: str = "clip:a", trigger: str = "cut_in", place: str = "harbour") -> Subject:
    return Subject(clip, "drive", 0, 10, place, trigger)


def test_what_is_said_stands_until_it_is_taken_back(tmp_path: Path) -> None:
    with Reviews(tmp_path) as reviews:
        first = reviews.say(subject(), "keep", "ann")
        second = reviews.say(subject(), "drop", "ann", saw=first.seq)
        assert reviews.of("clip:a") == second
        assert reviews.undo("ann") == second and reviews.of("clip:a") == first
        assert reviews.undo("ann") == first and reviews.of("clip:a") is None
        assert reviews.undo("ann") is None
        assert [one.verdict for one in reviews.history("clip:a")] == ["keep", "drop", "undo", "undo"], "only grows"


def test_who_looked_before_another_spoke_is_told_and_overwrites_nothing(tmp_path: Path) -> None:
    with Reviews(tmp_path) as ann, Reviews(tmp_path) as ben:
        said = ann.say(subject(), "keep", "ann", saw=0)
        with pytest.raises(Conflict, match="ann said keep") as refused:
            ben.say(subject(), "drop", "ben", saw=0)
        assert refused.value.standing == said == ben.of("clip:a")
        assert ben.say(subject(), "drop", "ben", saw=said.seq).verdict == "drop"
        assert ann.undo("ann") is None, "what ann said does not stand any more"


def test_a_review_sent_twice_counts_once(tmp_path: Path) -> None:
    with Reviews(tmp_path) as reviews:
        first = reviews.say(subject(), "keep", "ann", saw=0, key="the same key")
        assert reviews.say(subject(), "keep", "ann", saw=0, key="the same key") == first
        assert len(reviews.history("clip:a")) == 1


@pytest.mark.parametrize(
    ("verdict", "reviewer", "note"), [("maybe", "a", ""), ("keep", " ", ""), ("keep", "a", "x" * 2001)]
)
def test_what_cannot_be_said_is_refused(tmp_path: Path, verdict: str, reviewer: str, note: str) -> None:
    with Reviews(tmp_path) as reviews:
        with pytest.raises(UnderstudyError):
            reviews.say(subject(), verdict, reviewer, note)
        assert reviews.standing() == {}


def test_nobody_gets_a_clip_that_another_is_looking_at(tmp_path: Path) -> None:
    clips = ["clip:a", "clip:b", "clip:c"]
    with Reviews(tmp_path) as reviews:
        assert reviews.lease(clips, "ann", 2) == ["clip:a", "clip:b"]
        assert reviews.lease(clips, "ben", 2) == ["clip:c"]
        assert reviews.lease(clips, "ann", 2) == ["clip:a", "clip:b"], "one's own are given again"
        reviews.say(subject("clip:a"), "keep", "ann")
        assert reviews.lease(clips, "ann", 2) == ["clip:b"]
        assert reviews.lease(clips, "cat", seconds=-1) == [] and reviews.lease(clips, "ben", seconds=-1) == ["clip:c"]
        assert reviews.lease(clips, "cat") == ["clip:c"], "who left holds nothing for ever"


def test_precision_counts_what_people_could_tell(tmp_path: Path) -> None:
    with Reviews(tmp_path) as reviews:
        for n, verdict in enumerate(("keep", "wrong_trigger", "bad_label", "regression", "drop")):
            reviews.say(subject(f"clip:{n}"), verdict, "ann")
        reviews.say(subject("clip:9", "hard_brake"), "drop", "ann")
        ((name, share),) = reviews.precision().items()
        assert (name, share.hits, share.n) == ("cut_in", 3, 4) and share.interval[0] < 0.75 < share.interval[1]
        reviews.undo("ann"), reviews.undo("ann"), reviews.undo("ann")
        assert reviews.precision()["cut_in"].n == 3 and reviews.counts()["keep"] == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([*VERDICTS, "undo"]), st.sampled_from(["c1", "c2"]))))
def test_what_stands_is_the_log_replayed(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, str, str]]
) -> None:
    log: list[tuple[int, str, str, str]] = []
    with Reviews(tmp_path_factory.mktemp("reviews")) as reviews:
        for who, verdict, clip in acts:
            if verdict == "undo":
                newest = {one[3]: one for one in log}
                own = [one for one in newest.values() if one[1] == who]
                if own:
                    log.remove(max(own))
                reviews.undo(who)
            else:
                log.append((reviews.say(subject(clip), verdict, who).seq, who, verdict, clip))
        expected = {clip: (seq, verdict) for seq, _, verdict, clip in log}
        assert {clip: (one.seq, one.verdict) for clip, one in reviews.standing().items()} == expected


# What becomes of it ---------------------------------------------------------------------------------------------------


def clip(id: str, place: str = "hill") -> Clip:
    return Clip(id, "drive", 0, 10, (), place)


def test_dropped_clips_go_and_those_sent_to_regression_change_sides(tmp_path: Path) -> None:
    clips = [clip(f"clip:{n}") for n in range(5)]
    assert heeded(clips, standing(tmp_path)) == clips and not (tmp_path / "reviews.db").exists()
    with Reviews(tmp_path) as reviews:
        for n, verdict in enumerate(("keep", "drop", "wrong_trigger", "regression")):
            reviews.say(subject(f"clip:{n}"), verdict, "ann")
        reviews.say(subject("clip:gone", place="tunnel"), "regression", "ann")
    left = {one.id: (one.side, one.place) for one in heeded(clips, standing(tmp_path))}
    assert left == {
        "clip:0": ("train", "hill"), "clip:4": ("train", "hill"),
        "clip:3": ("regression", "hill"), "clip:gone": ("regression", "tunnel"),
    }  # fmt: skip


def test_a_clip_of_the_regression_suite_stays_there_whatever_is_said(tmp_path: Path) -> None:
    clips = [replace(clip(f"clip:{n}"), side="regression") for n in range(len(VERDICTS))]
    with Reviews(tmp_path) as reviews:
        for one, verdict in zip(clips, VERDICTS, strict=True):
            reviews.say(subject(one.id), verdict, "ann")
    assert sorted(heeded(clips, standing(tmp_path)), key=lambda one: one.id) == clips


def test_reviews_of_a_lake_that_may_only_be_read_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Reviews(tmp_path) as reviews:
        said = reviews.say(subject(), "drop", "ann")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert standing(tmp_path) == {"clip:a": said}
    with Reviews(tmp_path) as reviews:
        assert reviews.reviewed() == {"clip:a"}
        with pytest.raises(UnderstudyError, match="readonly"):
            reviews.say(subject("clip:b"), "keep", "ann")
    assert [path.name for path in tmp_path.iterdir()] == ["reviews.db"]
    monkeypatch.undo()
    with Reviews(tmp_path) as writer:
        last = writer.say(subject("clip:b"), "keep", "ann")  # in the WAL
        monkeypatch.setattr(os, "access", lambda *_: False)
        assert standing(tmp_path) == {"clip:a": said, "clip:b": last}


# Threads and kills ----------------------------------------------------------------------------------------------------


def test_many_threads_lose_nothing(tmp_path: Path) -> None:
    with Reviews(tmp_path) as reviews:

        def speak(who: int) -> None:
            for n in range(10):
                reviews.say(subject(f"clip:{who}-{n}"), "keep", f"r{who}")

        threads = [threading.Thread(target=speak, args=(who,)) for who in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(reviews.standing()) == 40


def test_a_review_that_was_acknowledged_outlives_twenty_kills_under_load(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    for kill in range(KILLS):
        command = [sys.executable, "-m", "tests.test_reviews", str(tmp_path), str(kill)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            acknowledged.add(writer.stdout.readline().strip())  # it is under way
            time.sleep(0.01 * (kill % 7))
            os.kill(writer.pid, signal.SIGKILL)
            acknowledged |= {line.strip() for line in writer.stdout if line.endswith("\n")}
    said = standing(tmp_path)
    assert acknowledged <= said.keys() and len(acknowledged) > KILLS
    with Reviews(tmp_path) as reviews:
        assert all(reviews.of(one) is not None for one in acknowledged)


def _speak(root: Path, name: str) -> None:
    """Two threads that review without end, and print each clip once its review was acknowledged."""
    reviews = Reviews(root)

    def speak(who: int) -> None:
        for n in range(10**6):
            said = reviews.say(subject(f"clip:{name}-{who}-{n}"), "keep", f"r{who}", "a note " * 20)
            os.write(1, f"{said.clip}\n".encode())

    for who in range(2):
        threading.Thread(target=speak, args=(who,)).start()


if __name__ == "__main__":
    _speak(Path(sys.argv[1]), sys.argv[2])
