"""Mining: shares of the budget, clips that grow, near-duplicates that give way, the same clips every time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.calm import SECONDS, calm, with_shadow, with_value
from tests.small_lake import read_in
from understudy import mine, shadow
from understudy.errors import DataError, SettingsError, UnknownName
from understudy.mine import Mine, Sighting, choose, event_id, find, resolve, side_of, sightings
from understudy.mine.variety import Window, vary, windows
from understudy.records import NS, Clip, Drive, Event, Floats
from understudy.store import Lake
from understudy.triggers.hard_brake import HardBrake
from understudy.worlds import sides

LONG = {name: (0, 1000 * NS) for name in ("a", "b", "c")}
NEVER_ALIKE = np.random.default_rng(0)


def sighting(
    trigger: str,
    start: float,
    end: float,
    score: float = 1.0,
    drive: str = "a",
    place: str = "",
    like: float | None = None,
) -> Sighting:
    """An event by its seconds; unlike all others unless it is given what it is like."""
    signature = (NEVER_ALIKE.uniform(-1e6, 1e6) if like is None else like,)
    event = Event(drive, round(start * NS), round(end * NS), score, trigger)
    return Sighting(event, place or drive, signature)


def spans(clips: list[Clip]) -> list[tuple[str, float, float]]:
    return [(clip.drive, clip.start_ns / NS, clip.end_ns / NS) for clip in clips]


def first_takers(clips: list[Clip]) -> Counter[str]:
    return Counter(event.trigger for clip in clips for event in clip.events)


# Budgets and shares ---------------------------------------------------------------------------------------------------


def test_every_trigger_gets_its_share_whatever_its_scores() -> None:
    loud = [sighting("loud", 50.0 * i, 50.0 * i + 1, score=1000 + i) for i in range(15)]
    quiet = [sighting("quiet", 50.0 * i, 50.0 * i + 1, score=0.001 * i, drive="b") for i in range(15)]
    clips = choose([*loud, *quiet], LONG, Mine(budget=10))
    assert first_takers(clips) == {"loud": 5, "quiet": 5}


def test_the_strongest_of_a_trigger_come_first() -> None:
    found = [sighting("one", 50.0 * i, 50.0 * i + 1, score=score) for i, score in enumerate([3.0, 9.0, 1.0, 7.0])]
    clips = choose(found, LONG, Mine(budget=2))
    assert [clip.events[0].score for clip in clips] == [9.0, 7.0]


def test_a_trigger_that_runs_dry_leaves_its_turns_to_the_others() -> None:
    found = [sighting("rich", 50.0 * i, 50.0 * i + 1) for i in range(15)] + [sighting("poor", 10, 11, drive="b")]
    assert first_takers(choose(found, LONG, Mine(budget=10))) == {"rich": 9, "poor": 1}


def test_weights_are_turns() -> None:
    found = [sighting(name, 50.0 * i, 50.0 * i + 1, drive=name) for name in ("a", "b", "c") for i in range(15)]
    weights = {"a": 3.0, "b": 1.0, "c": 0.0}
    assert first_takers(choose(found, LONG, Mine(budget=12, weights=weights))) == {"a": 9, "b": 3}


def test_a_budget_of_seconds_is_not_overspent() -> None:
    found = [sighting("one", 50.0 * i, 50.0 * i + 2 + i % 3, score=i) for i in range(15)]
    clips = choose(found, LONG, Mine(budget="65s"))
    assert 55.0 < sum(clip.seconds for clip in clips) <= 65.0


@given(st.lists(st.tuples(st.floats(0, 120), st.floats(0, 12), st.floats(0, 1)), min_size=1, max_size=30))
def test_seconds_are_paid_once(told: list[tuple[float, float, float]]) -> None:
    """No two clips have time in common."""
    found = [sighting("one", start, start + seconds, score) for start, seconds, score in told]
    clips = choose(found, LONG, Mine(budget="60s", context_s=4.0, longest_s=20.0))
    assert sum(clip.seconds for clip in clips) <= 60.0 + 1e-6
    assert all(clip.seconds > 0 for clip in clips)
    for one, other in combinations(clips, 2):
        assert min(one.end_ns, other.end_ns) <= max(one.start_ns, other.start_ns)


def test_what_a_clip_shows_is_not_paid_for_again() -> None:
    found = [sighting("one", start, start + 12, 5.0 - start / 10) for start in (4, 9, 14, 19)]
    clips = choose(found, LONG, Mine(budget="80s", context_s=4.0, longest_s=20.0))
    assert spans(clips) == [("a", 0, 20), ("a", 20, 35)]
    found = [sighting("one", 4, 16, 9.0), sighting("one", 24, 36, 8.0), sighting("one", 16, 24, 7.0)]
    clips = choose(found, LONG, Mine(budget="80s", context_s=4.0, longest_s=20.0))
    assert spans(clips) == [("a", 0, 20), ("a", 20, 40)], "what two clips show together is shown"


@pytest.mark.parametrize("budget", ["20 clips", "-3", "s", "2h", ""])
def test_a_budget_is_clips_or_seconds(budget: str) -> None:
    with pytest.raises(SettingsError, match="wants clips"):
        Mine(budget=budget)


# Clips ----------------------------------------------------------------------------------------------------------------


def test_context_is_kept_on_both_sides_as_far_as_the_drive_goes() -> None:
    found = [sighting("one", 50, 52), sighting("one", 1, 2), sighting("one", 998, 999)]
    clips = choose(found, LONG, Mine(context_s=4.0))
    assert sorted(spans(clips)) == [("a", 0, 6), ("a", 46, 56), ("a", 994, 1000)]


def test_events_that_overlap_with_their_context_share_a_clip() -> None:
    found = [
        sighting("one", 50, 51),
        sighting("other", 56, 57),
        sighting("far", 90, 91),
        sighting("one", 50, 51, drive="b"),
    ]
    clips = choose(found, LONG, Mine(context_s=4.0))
    assert sorted(spans(clips)) == [("a", 46, 61), ("a", 86, 95), ("b", 46, 55)]
    both = next(clip for clip in clips if clip.start_ns == 46 * NS and clip.drive == "a")
    assert [event.trigger for event in both.events] == ["one", "other"]


def test_no_clip_grows_beyond_the_longest() -> None:
    found = [sighting("one", 3.0 * i, 3.0 * i + 1) for i in range(100)]
    clips = choose(found, LONG, Mine(budget=50, longest_s=20.0))
    assert max(clip.seconds for clip in clips) <= 20.0
    shown = {event for clip in clips for event in clip.events}
    assert shown == {one.event for one in found}


def test_of_an_event_longer_than_a_clip_the_beginning_is_shown() -> None:
    clips = choose([sighting("one", 100, 200)], LONG, Mine(context_s=4.0, longest_s=20.0))
    assert spans(clips) == [("a", 96, 116)]


def test_an_event_that_a_clip_shows_already_takes_no_other() -> None:
    found = [sighting("one", 50, 60, score=2.0), sighting("one", 52, 53), sighting("other", 55, 56)]
    (clip,) = choose(found, LONG, Mine())
    assert len(clip.events) == 3


def test_a_clip_that_grows_over_another_swallows_it() -> None:
    found = [sighting("one", 50, 50, 3.0), sighting("one", 59.5, 59.5, 2.0), sighting("one", 55, 55, 1.0)]
    clips = choose(found, LONG, Mine(context_s=4.0, longest_s=16.0))
    assert spans(clips) == [("a", 46, 55.5), ("a", 55.5, 63.5)], "and is cut where the next begins"
    assert spans(choose(found, LONG, Mine(context_s=4.0, longest_s=20.0))) == [("a", 46, 63.5)]


def test_near_duplicates_give_way_at_the_same_place_only() -> None:
    alike = [sighting("one", 50.0 * i, 50.0 * i + 1, like=5.0 + 0.1 * i, place="here") for i in range(5)]
    assert len(choose(alike, LONG, Mine())) == 1
    assert len(choose([replace(one, place=str(i)) for i, one in enumerate(alike)], LONG, Mine())) == 5
    assert len(choose([*alike, sighting("other", 500, 501, like=5.0, place="here")], LONG, Mine())) == 2
    unknown = [replace(one, signature=(float("nan"),)) for one in alike]
    assert len(choose(unknown, LONG, Mine())) == 1
    assert len(choose([alike[0], unknown[1]], LONG, Mine())) == 2


def test_clips_are_named_by_where_they_are() -> None:
    (clip,) = choose([sighting("one", 50, 51)], LONG, Mine())
    (same,) = choose([sighting("other", 50, 51)], LONG, Mine(seed=3))
    (later,) = choose([sighting("one", 50.5, 51)], LONG, Mine())
    assert clip.id == same.id != later.id
    assert clip.id.startswith("clip:") and len(clip.id) == len("clip:") + 12
    assert event_id(clip.events[0]) != event_id(same.events[0])


# The same every time --------------------------------------------------------------------------------------------------

_events = st.builds(
    sighting,
    trigger=st.sampled_from(["one", "two", "three"]),
    start=st.integers(0, 900),
    end=st.just(0),
    score=st.integers(0, 3),
    drive=st.sampled_from(["a", "b"]),
    place=st.sampled_from(["here", "there"]),
    like=st.integers(0, 4),
).map(lambda one: replace(one, event=replace(one.event, end_ns=one.event.start_ns + 2 * NS)))


@settings(max_examples=60, deadline=None)
@given(
    found=st.lists(_events, max_size=40, unique_by=lambda one: event_id(one.event)),
    seed=st.integers(0, 5),
    budget=st.sampled_from(["3", "9", "45s"]),
    data=st.data(),
)
def test_the_same_events_and_seed_give_the_same_clips_in_any_order(
    found: list[Sighting], seed: int, budget: str, data: st.DataObject
) -> None:
    chosen = Mine(seed=seed, budget=budget)
    clips = choose(found, LONG, chosen)
    assert choose(data.draw(st.permutations(found)), LONG, chosen) == clips
    assert len(clips) <= chosen.clips
    assert sum(clip.seconds for clip in clips) <= chosen.seconds
    assert len({clip.id for clip in clips}) == len(clips)
    for clip in clips:
        start, end = LONG[clip.drive]
        assert start <= clip.start_ns <= clip.end_ns <= end
        assert clip.seconds <= chosen.longest_s
        assert clip.events


def test_the_seed_decides_between_equals() -> None:
    found = [sighting("one", 50.0 * i, 50.0 * i + 1) for i in range(15)]
    assert {tuple(spans(choose(found, LONG, Mine(budget=3, seed=seed)))) for seed in range(5)}.__len__() > 1


def test_one_place_in_five_is_for_the_regression_suite_and_stays_there() -> None:
    for side in sides.SIDES:  # nothing is learned or asked in a town of the gate
        assert {side_of(town, 5) for town in sides.towns_of(side, count=12)} == {side}
    found = [side_of(f"place {i}", 5) for i in range(2000)]
    assert 330 < found.count("regression") < 470
    assert found == [side_of(f"place {i}", 5) for i in range(2000)]
    seen = [sighting("one", 50.0 * i, 50.0 * i + 1, place=f"place {i}") for i in range(15)]
    assert all(clip.side == side_of(clip.place, 5) for clip in choose(seen, LONG, Mine()))


def test_what_earlier_clips_show_is_neither_shown_nor_paid_for_again() -> None:
    seen = [sighting("one", 10.0, 11.0), sighting("one", 30.0, 31.0, place="there")]
    first, second = choose(seen, LONG, Mine())
    assert choose(seen, LONG, Mine(), [first]) == [second]
    half = replace(second, id="clip:half", end_ns=(second.start_ns + second.end_ns) // 2)
    (rest,) = choose(seen, LONG, Mine(), [first, half])
    assert rest.start_ns == half.end_ns and rest.end_ns == second.end_ns
    inside = replace(first, id="clip:inside", start_ns=first.start_ns + NS, end_ns=first.start_ns + 3 * NS)
    dear = Mine(budget=f"{first.seconds - inside.seconds:g}s")
    assert choose(seen, LONG, dear) == [] and choose(seen[:1], LONG, dear, [inside]) == [first]


# Finding --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clumsy:
    """Says whatever it is told to."""

    needs: ClassVar[tuple[str, ...]] = ()

    start_ns: int = 0
    end_ns: int = 0
    score: float = 1.0

    def find(self, drive: Drive) -> Iterator[Event]:
        yield Event(drive.id, self.start_ns, self.end_ns, self.score)


def test_a_trigger_that_lacks_something_is_passed_over() -> None:
    drive = with_value(calm(), 5.0, 6.0, accel=-5.0)
    triggers = resolve(("hard_brake", "leader_brakes"))
    assert [event.trigger for event in find(drive, triggers)] == ["hard_brake"]
    without = replace(drive, columns={name: drive[name] for name in ("x", "y", "yaw", "speed")})
    assert not find(without, triggers)


@pytest.mark.parametrize("clumsy", [Clumsy(-5, 0), Clumsy(0, 10**15), Clumsy(9, 3), Clumsy(score=float("nan"))])
def test_a_trigger_that_speaks_nonsense_is_named(clumsy: Clumsy) -> None:
    with pytest.raises(DataError, match="trigger odd gave"):
        find(calm(), {"odd": clumsy})


def test_triggers_are_told_by_name_by_table_or_by_module() -> None:
    found = resolve(
        (
            "hard_brake",
            {"use": "hard_brake", "name": "harder", "decel": 6.0},
            {"use": "tests.test_mine:Clumsy", "score": 2.0},
            {"use": "query", "name": "slow", "where": "speed < 2"},
        )
    )
    assert list(found) == ["hard_brake", "harder", "Clumsy", "slow"]
    assert found["harder"] == HardBrake(decel=6.0)


@pytest.mark.parametrize(
    ("wanted", "error", "complaint"),
    [
        (("hard_break",), UnknownName, "did you mean 'hard_brake'"),
        (
            ({"use": "hard_brake", "decell": 3.0},),
            SettingsError,
            "did you mean 'decel'",
        ),
        (({"decel": 3.0},), SettingsError, "wants `use`"),
        (("hard_brake", {"use": "hard_brake", "decel": 6.0}), SettingsError, "two triggers are called"),
        (({"use": "query"},), SettingsError, "needs a value for where"),
    ],
)
def test_a_mistaken_trigger_is_answered_with_the_right_one(wanted: Any, error: type[Exception], complaint: str) -> None:
    with pytest.raises(error, match=complaint):
        resolve(wanted)


def test_a_weight_for_nobody_is_answered(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean 'would_hit'"):
        mine.run(Lake(tmp_path), Mine(weights={"would_hitt": 2.0}))


def test_by_default_all_that_need_no_settings_are_asked() -> None:
    assert "hard_brake" in resolve() and "query" not in resolve()


def test_a_moment_knows_where_it_was_and_what_was_going_on() -> None:
    drive = with_shadow(calm(), 10.0, 20.0, lateral_difference=3.0, speed_difference=-6.0)
    (found,) = sightings(drive, [Event("calm", 12 * NS, 13 * NS, 1.0, "one")])
    assert found.place == "here"
    assert found.signature == pytest.approx((10 / 3, 0.0, 0.0, 2.0, 2.0, -2.0))
    bare = replace(drive, columns={}, shadows={}, places=())
    (unknown,) = sightings(bare, [Event("calm", 12 * NS, 13 * NS, 1.0, "one")])
    assert unknown.place == "calm" and np.isnan(unknown.signature).all()


# Variety --------------------------------------------------------------------------------------------------------------


def seen(drive: Drive, embedding: Floats) -> Drive:
    """The drive with embeddings (T, D) of the one in its shadow."""
    run = drive.shadows["one"]
    return replace(drive, shadows={"one": replace(run, plan=replace(run.plan, embedding=embedding))})


def line(*values: float) -> list[Window]:
    """Windows of a drive, one after the other, whose embeddings lie on a line."""
    return [
        Window("one", "a", 5 * i * NS, 5 * (i + 1) * NS, "here", np.array([value])) for i, value in enumerate(values)
    ]


def test_a_window_is_the_mean_of_what_a_model_makes_of_it_and_none_where_it_says_nothing() -> None:
    drive = calm()
    embedding = np.stack([drive.t_s, np.ones(len(drive))], axis=1)
    embedding[120] = np.nan
    found = list(windows(seen(drive, embedding)))
    assert [window.start_ns / NS for window in found] == [0, 5, 15, 20, 25]
    assert np.stack([window.embedding for window in found]) == pytest.approx(
        np.array([[start + 2.45, 1] for start in (0, 5, 15, 20, 25)])
    )
    assert {window.place for window in found} == {"here"} and not list(windows(drive))


def test_the_furthest_from_what_is_kept_comes_first() -> None:
    there = line(0.0, 0.1, 0.2, 10.1, 10.0, 20.0)
    shown = choose([sighting("one", 1.0, 3.0)], {"a": (0, 4 * NS)}, Mine(context_s=1.0))
    assert spans(shown) == [("a", 0, 4)]
    assert spans(vary(there, shown, Mine(budget="14s"))) == [("a", 25, 30), ("a", 20, 25)]


def test_what_is_like_something_kept_before_comes_last() -> None:
    there = line(0.0, 10.0, 20.0)
    before = [replace(window, drive="b") for window in line(19.0, 0.5)]
    assert spans(vary(there, [], Mine(budget=3), before)) == [("a", 5, 10), ("a", 10, 15), ("a", 0, 5)]


def test_variety_spends_what_triggers_leave_and_shows_nothing_twice() -> None:
    there = line(*np.linspace(0, 1, 20))
    shown = choose([sighting("one", 22, 24)], LONG, Mine())
    assert spans(shown) == [("a", 18, 28)]
    assert len(vary(there, shown, Mine(budget="31s"))) == 4
    assert len(vary(there, shown, Mine(budget=3))) == 2
    everything = vary(there, shown, Mine(budget=99))
    assert sorted(spans(everything)) == [("a", 5.0 * i, 5.0 * (i + 1)) for i in range(20) if i not in (3, 4, 5)]
    assert not vary([], shown, Mine()) and not vary(there, shown, Mine(budget="5s"))


# A whole lake ---------------------------------------------------------------------------------------------------------


def _drives() -> Iterator[Drive]:
    for i in range(4):
        drive = with_value(calm(), 5.0 + i, 6.0 + i, accel=-4.0 - i)
        if i == 3:
            drive = replace(drive, columns={name: drive[name] for name in ("x", "y", "yaw")}, objects=None)
        yield replace(with_shadow(drive, 20.0, 21.0, plan_no_collision=0.0), id=f"drive{i}", places=(f"place{i}",))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    with lake.run("ingest", "test", {}, "code") as run:
        for drive in _drives():
            lake.put_drive(run.part(drive.id), replace(drive, shadows={}))
    with lake.run("shadow", "one", {}, "code") as run:
        for drive in list(_drives())[:2]:
            lake.put_shadow(run.part(drive.id), drive, drive.shadows["one"])
    return lake


TWO = Mine(triggers=("hard_brake", "would_hit"), budget=5)


def test_mining_a_lake_writes_events_and_clips(lake: Lake) -> None:
    mined = mine.run(lake, TWO)
    assert mined.report.made == ("drive0", "drive1", "drive2", "drive3")
    rows = lake.table("events").to_pylist()
    assert Counter((row["drive"], row["trigger"]) for row in rows) == {
        **{(f"drive{i}", "hard_brake"): 1 for i in range(3)},
        **{(f"drive{i}", "would_hit"): 1 for i in range(2)},
    }
    kept = lake.table("clips").to_pylist()
    assert {row["id"] for row in kept} == {clip.id for clip in mined.clips}
    assert {id for row in kept for id in row["events"]} == {row["id"] for row in rows}
    assert all(row["seconds"] == pytest.approx(9.0) for row in kept)
    assert mine.read_clips(lake) == list(mined.clips)
    strongest = [clip.events[0].score for clip in mined.clips if clip.events[0].trigger == "hard_brake"]
    assert strongest == [6.0, 5.0, 4.0]


def test_mining_tells_what_each_trigger_brought_and_what_the_others_lacked(lake: Lake) -> None:
    brakes, hits = mine.run(lake, TWO).yields
    assert (brakes.trigger, brakes.events, brakes.drives, brakes.clips) == ("hard_brake", 3, 3, 3)
    assert brakes.lacking == {"accel": 1, "speed": 1}
    assert brakes.per_hour == pytest.approx(3600 / SECONDS)
    assert (hits.events, hits.drives, hits.lacking) == (2, 2, {"plan": 2, "objects": 1})


def test_an_event_says_whose_plan_it_is_about_and_each_plan_has_its_own_hours(lake: Lake) -> None:
    """Of two policies in the shadow of one drive, one would hit somebody, and the other drives as was driven."""
    drive = next(iter(_drives()))
    calm_run = calm().shadows["one"]
    with lake.run("shadow", "other", {}, "newer") as run:
        lake.put_shadow(run.part(drive.id), drive, replace(calm_run, policy="other"))
    brakes, hits = mine.run(lake, TWO).yields
    assert hits.per_hour == pytest.approx(2 / 3 * 3600 / SECONDS) and brakes.per_hour == pytest.approx(3600 / SECONDS)
    told = lake.query("SELECT trigger, policy, count(*) AS events FROM events GROUP BY ALL ORDER BY ALL").to_pylist()
    assert told == [
        {"trigger": "hard_brake", "policy": "", "events": 3},
        {"trigger": "would_hit", "policy": "one", "events": 2},
    ]
    assert {event.policy for clip in mine.read_clips(lake) for event in clip.events} == {"", "one"}


def test_a_share_of_the_budget_goes_to_what_a_model_finds_unlike_the_rest(lake: Lake) -> None:
    plain = mine.run(lake, replace(TWO, budget="40s"))
    assert mine.run(lake, replace(TWO, budget="40s", variety=0.5)).clips == plain.clips, "nobody has embeddings"
    random = np.random.default_rng(0)
    with lake.run("shadow", "one", {}, "newer") as run:
        for drive in list(_drives())[:2]:
            drive = seen(drive, random.normal(size=(len(drive), 4)))
            lake.put_shadow(run.part(drive.id), drive, drive.shadows["one"])
    mined = mine.run(lake, replace(TWO, budget="40s", variety=0.5))
    assert {clip.seconds for clip in mined.clips[-mined.unlike :]} == {5.0}
    assert list(mined.clips[: -mined.unlike]) == list(mine.run(lake, replace(TWO, budget="20s")).clips)
    assert mined.unlike == 4 and mine.run(lake, replace(TWO, budget="40s", variety=0.5)).clips == mined.clips
    with pytest.raises(SettingsError, match="variety"):
        Mine(variety=1.5)


def test_what_the_same_model_saw_in_clips_kept_before_is_known(lake: Lake) -> None:
    """Windows of drive1 lie on a line; its last are like what was kept of drive0."""
    with lake.run("shadow", "one", {}, "newer") as run:
        for drive, (first, last) in zip(list(_drives())[:2], ((50.0, 50.0), (0.0, 60.0)), strict=True):
            drive = seen(drive, np.linspace(first, last, len(drive))[:, None])
            lake.put_shadow(run.part(drive.id), drive, drive.shadows["one"])
    mine.run(lake, replace(TWO, variety=1.0))
    kept = Clip("clip:b", "drive0", 0, 5 * NS, (), "place0")

    class Half(Lake):
        def drives(self) -> list[dict[str, Any]]:
            return [drive for drive in super().drives() if drive["id"] == "drive1"]

    settings = replace(TWO, budget="5s", variety=1.0)
    (alone,), (known,) = (mine.run(Half(lake.root), settings, key="x", kept=one).clips[-1:] for one in ((), [kept]))
    assert known.start_ns == 0 != alone.start_ns, "furthest from 50; without that, chance"
    again = mine.run(Half(lake.root), settings, key="x", kept=[replace(kept, drive="drive2")]).clips
    assert again == (alone,), "nobody planned there"


def test_variety_sees_with_the_eyes_it_is_told_to(lake: Lake) -> None:
    """Two models planned in the same drive, and each finds another window the odd one."""
    drive = next(iter(_drives()))
    for name, odd in (("first", 20), ("later", 10)):
        with lake.run("shadow", name, {}, "newer") as run:
            one = seen(drive, 9.0 * (drive.t_s // 5 == odd // 5)[:, None])
            lake.put_shadow(run.part(drive.id), one, replace(one.shadows["one"], policy=name))
    settings = replace(TWO, budget="10s", variety=1.0)
    found = {who: mine.run(lake, settings, key=who or "x", eyes=who).clips for who in ("first", "later", "", "nobody")}
    starts = {who: {clip.start_ns // NS for clip in clips} for who, clips in found.items()}
    assert 20 in starts["first"] and 10 in starts["later"] and starts["first"] != starts["later"]
    assert starts[""] == starts["nobody"] == starts["first"]


def test_what_was_searched_is_not_searched_again(lake: Lake) -> None:
    first = mine.run(lake, TWO)
    again = mine.run(lake, TWO)
    assert again.report.made == () and again.report.kept == ("drive0", "drive1", "drive2", "drive3")
    assert (again.clips, again.yields) == (first.clips, first.yields)
    fewer = mine.run(lake, replace(TWO, budget=2))
    assert fewer.report.made == () and len(fewer.clips) == 2
    assert len(mine.read_clips(lake)) == 2


def test_a_new_shadow_run_is_searched(lake: Lake) -> None:
    mine.run(lake, TWO)
    drive = list(_drives())[2]
    with lake.run("shadow", "other", {}, "code") as run:
        lake.put_shadow(run.part(drive.id), drive, replace(drive.shadows["one"], policy="other"))
    assert mine.run(lake, TWO).report.made == ("drive2",)


def test_in_several_processes_the_clips_are_the_same(lake: Lake, tmp_path: Path) -> None:
    here = mine.run(lake, TWO)
    other = Lake(tmp_path / "other")
    (tmp_path / "lake").rename(tmp_path / "other")
    for path in (tmp_path / "other" / "parts" / "mine").iterdir():
        path.unlink()
    there = mine.run(other, TWO, processes=2)
    assert there.report.made == here.report.made
    assert there.clips == here.clips


def test_a_drive_that_fails_is_told_and_the_others_go_on(lake: Lake) -> None:
    bad, good = {"use": "query", "where": "speed > leader_gap / 'x'"}, {"use": "query", "name": "any", "where": "true"}
    mined = mine.run(lake, Mine(triggers=(bad, good)))
    assert sorted(mined.report.failures) == [f"drive{k}, query" for k in range(3)]
    assert mined.report.made == tuple(f"drive{k}" for k in range(4))
    assert mine.run(lake, Mine(triggers=(bad,))).clips == ()
    assert {one.trigger: one.events > 0 for one in mined.yields} == {"query": False, "any": True} and mined.clips
    assert mine.run(lake, Mine(triggers=(bad, good))).report.failures == mined.report.failures, "it is said again"


def test_mining_looks_at_the_plans_of_whom_it_is_told(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    read_in(lake, [calm()])
    shadow.run(lake, ["constant_turn", "lane_follow"])
    both = mine.run(lake, Mine(triggers=("models_disagree",)))
    assert not both.yields[0].lacking
    one = mine.run(lake, Mine(triggers=("displaced",), policies=("constant_turn",)))
    assert one.report.made == ("calm",) and not one.report.failures
    with pytest.raises(UnknownName, match="did you mean 'constant_turn'"):
        mine.run(lake, Mine(policies=("constant_trun",)))


def test_an_empty_lake_has_no_clips(tmp_path: Path) -> None:
    mined = mine.run(Lake(tmp_path / "empty"))
    assert mined.clips == () and mined.report.made == ()
