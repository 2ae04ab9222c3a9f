"""Mining over a lake: events of every drive, then clips within the budget, as the tables `events` and `clips`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from understudy import workers
from understudy.errors import SettingsError, UnderstudyError, UnknownName, hint
from understudy.mine.choose import Sighting, choose, event_id, in_order, shows
from understudy.mine.find import COLUMNS, asked, plan_by_plan, resolve, sightings
from understudy.mine.settings import Mine
from understudy.mine.variety import Window, vary, windows
from understudy.records import NS, Clip, Drive, Event, Trigger
from understudy.store import Entry, Lake, Part, code_version

SHORTLIST = (
    2000  # events of each trigger, the strongest, from which clips are chosen: memory does not grow with the lake
)

EVENTS = pa.schema(
    [
        ("id", pa.string()),
        ("drive", pa.string()),
        ("start_ns", pa.int64()),
        ("end_ns", pa.int64()),
        ("trigger", pa.string()),
        ("policy", pa.string()),  # whose plan it is about, or empty
        ("score", pa.float64()),
        ("run", pa.string()),  # the part that it was found in
        ("place", pa.string()),
        ("signature", pa.list_(pa.float64())),
    ]
)
WINDOWS = pa.schema(
    [
        ("policy", pa.string()),
        ("drive", pa.string()),
        ("start_ns", pa.int64()),
        ("end_ns", pa.int64()),
        ("place", pa.string()),
        ("embedding", pa.list_(pa.float32())),
        ("run", pa.string()),  # the part that it was seen in
    ]
)
CLIPS = pa.schema(
    [
        ("id", pa.string()),
        ("drive", pa.string()),
        ("start_ns", pa.int64()),
        ("end_ns", pa.int64()),
        ("events", pa.list_(pa.string())),
        ("seconds", pa.float64()),
        ("side", pa.string()),
        ("place", pa.string()),
        ("run", pa.string()),  # the part that it was chosen in
    ]
)


@dataclass(frozen=True)
class Yield:
    """What one trigger brought."""

    trigger: str
    events: int
    hours: float  # of the drives that it could look at, and where it looks at plans, of each policy's
    drives: int
    clips: int  # that show an event of its
    lacking: Mapping[str, int]  # what the other drives lacked, and how many of them did

    @property
    def per_hour(self) -> float:
        return self.events / self.hours if self.hours else float("nan")


@dataclass(frozen=True)
class Mined:
    """What mining came to."""

    report: workers.Report  # of the drives
    yields: tuple[Yield, ...]  # by trigger
    clips: tuple[Clip, ...]  # the most deserving first
    unlike: int  # so many of them, the last ones, are kept for being unlike all else


def run(
    lake: Lake,
    settings: Mine | None = None,
    processes: int = 0,
    on_drive: Callable[[workers.Outcome, int], None] | None = None,
    key: str = "clips",
    kept: Collection[Clip] = (),
    eyes: str = "",
) -> Mined:
    """Find the events of every drive of the lake, and choose clips.

    A trigger passes over drives that lack what it needs, which is counted. Drives that were searched already, by the
    same triggers in the same shadow runs, are not searched again. Clips replace those that were chosen under the same
    `key` before, and lie beside those of other keys. Variety sees with the `eyes` of one policy, or where that has seen
    nothing, of the one that has seen most. What the clips `kept` before show is not paid for again, and variety looks
    for what is unlike them, too, as far as the same policy planned in the shadow of their drives.
    """
    settings = settings or Mine()
    triggers = resolve(settings.triggers)
    for name in settings.weights:
        if name not in triggers:
            raise SettingsError(f"mine.weights: no trigger named {name!r} is asked{hint(name, triggers)}")
    code = code_version(["understudy.mine", "understudy.store", *{type(one).__module__ for one in triggers.values()}])
    report, entries = _find(lake, triggers, settings.policies, lake.drives(), code, processes, on_drive)
    chosen = _choose(lake, settings, entries, kept, eyes, code, key)
    clips = read_clips(lake, chosen.part)
    return Mined(report, tuple(_yields(triggers, entries, clips)), tuple(clips), chosen.about["unlike"])


def read_clips(lake: Lake, part: str | None = None) -> list[Clip]:
    """The clips of the lake, or those of one choice only, in the order in which they were chosen."""
    rows = lake.table("clips").to_pylist() if "clips" in lake.tables() else []
    rows = [row for row in rows if part in (None, row["run"])]
    events = _events(lake, {row["drive"] for row in rows})
    return [
        Clip(
            id=row["id"],
            drive=row["drive"],
            start_ns=row["start_ns"],
            end_ns=row["end_ns"],
            events=tuple(events[id] for id in row["events"] if id in events),  # those that were not searched anew since
            place=row["place"],
            side=row["side"],
        )
        for row in rows
    ]


# Events ---------------------------------------------------------------------------------------------------------------


def _find(
    lake: Lake,
    triggers: Mapping[str, Trigger],
    policies: tuple[str, ...],
    drives: list[dict[str, Any]],
    code: str,
    processes: int,
    on_drive: Callable[[workers.Outcome, int], None] | None,
) -> tuple[workers.Report, list[Entry]]:
    """What became of each drive, and the parts that hold the events."""
    shadows: dict[str, list[str]] = defaultdict(list)
    for policy in policies or (None,):
        planned = lake.entries(stage="shadow", key=policy)
        if policy is not None and not planned:
            known = (
                lake.query("SELECT DISTINCT policy FROM plans")["policy"].to_pylist()
                if "plans" in lake.tables()
                else []
            )
            raise UnknownName("policy in the shadow", policy, sorted(known))
        for entry in planned:
            shadows[entry.subject].append(entry.part)
    told = {name: {"use": _path(trigger), **asdict(trigger)} for name, trigger in triggers.items()}  # type: ignore[call-overload]
    with lake.run("mine", "events", told, code, replaces="drive") as run:
        todo, kept = [], []
        for drive in drives:
            plans = shadows[drive["id"]]
            part = run.part(drive["id"], [drive["part"], *plans])
            if part.done:
                kept.append(drive["id"])
            else:
                todo.append((part, {*drive["offers"], *(("plan", "shadows") if plans else ())}))
        find = partial(_find_one, lake, triggers, policies)
        report = workers.fill(run, find, todo, kept, processes, on_drive, _subject)
        entries = [found for part in run.parts.values() if (found := part.entry()) is not None]
        failures = dict(run.failures)
        for entry in entries:
            failures |= {f"{entry.subject}, {name}": why for name, why in entry.about.get("failed", {}).items()}
        return replace(report, failures=failures), entries


def _path(trigger: Trigger) -> str:
    return f"{type(trigger).__module__}:{type(trigger).__qualname__}"


def _subject(item: tuple[Part, set[str]]) -> str:
    return item[0].subject


def _find_one(
    lake: Lake, triggers: Mapping[str, Trigger], policies: tuple[str, ...], item: tuple[Part, set[str]]
) -> None:
    """Search one drive, of which no more is read than those triggers want that can look at it."""
    part, offers = item
    lacks = {name: sorted(set(trigger.needs) - offers) for name, trigger in triggers.items()}
    able = {name: trigger for name, trigger in triggers.items() if not lacks[name]}
    needs = {need for trigger in able.values() for need in trigger.needs}
    pose = {"x", "y", "yaw"} if needs & {"pose", "future"} else set()
    drive = lake.drive(
        part.subject,
        columns=sorted(((needs | pose) - set(Drive.NEEDS)) | (offers & set(COLUMNS))),
        objects="objects" in needs,
        lights="lights" in needs,
        map=bool(needs & {"map", "route"}),
        cameras="pictures" in needs,
        truth=False,
        shadows=bool(needs & {"plan", "shadows"}),
    )
    if policies:
        drive = replace(drive, shadows={name: run for name, run in drive.shadows.items() if name in policies})
    lacks |= {name: list(drive.lacks(trigger.needs)) for name, trigger in able.items()}  # plans may be out of date
    events, failed = _found(drive, able)
    seen = [{**asdict(window), "run": part.hash} for window in windows(drive)]
    part.write(
        {
            "events": _table(sightings(drive, events), part.hash),
            **({"windows": pa.Table.from_pylist(seen, WINDOWS)} if seen else {}),
        },
        about={
            "start_ns": int(drive.t_ns[0]),
            "end_ns": int(drive.t_ns[-1]),
            "found": Counter(event.trigger for event in events),
            "plans": len(drive.shadows),
            "lacks": {name: lacking for name, lacking in lacks.items() if lacking},
            "failed": failed,
        },
    )


def _found(drive: Drive, triggers: Mapping[str, Trigger]) -> tuple[list[Event], dict[str, str]]:
    """What triggers find in a drive, and by name why those failed that did: the others have found what they found."""
    found: list[Event] = []
    failed: dict[str, str] = {}
    views = plan_by_plan(drive)
    for name, trigger in triggers.items():
        try:
            found += list(asked(trigger, name, drive, views))
        except UnderstudyError as error:
            failed[name] = str(error)
        except Exception as error:  # a trigger may be anybody's
            failed[name] = f"{type(error).__name__}: {error}"
    return in_order(found), failed


def _table(found: list[Sighting], run: str) -> pa.Table:
    rows = [
        {
            **asdict(sighting.event),
            "id": event_id(sighting.event),
            "run": run,
            "place": sighting.place,
            "signature": sighting.signature,
        }
        for sighting in found
    ]
    return pa.Table.from_pylist(rows, EVENTS)


def event_of(row: Mapping[str, Any]) -> Event:
    """The event of a row of the table `events`."""
    policy = row.get("policy") or ""  # lakes of before did not tell
    return Event(row["drive"], row["start_ns"], row["end_ns"], row["score"], row["trigger"], policy)


def _events(lake: Lake, drives: set[str]) -> dict[str, Event]:
    """All events of some drives, by their ids; none where nothing was ever searched."""
    if not drives or "events" not in lake.tables():
        return {}
    return {row["id"]: event_of(row) for row in lake.table("events", drives).to_pylist()}


# Clips ----------------------------------------------------------------------------------------------------------------


def _choose(
    lake: Lake, settings: Mine, entries: list[Entry], kept: Collection[Clip], eyes: str, code: str, key: str
) -> Entry:
    """Choose clips and keep them; the part that holds them."""
    told = {name: value for name, value in asdict(settings).items() if name != "triggers"} | {"eyes": eyes}
    before = {clip.drive for clip in kept}
    seen = [entry.part for entry in lake.entries(stage="mine", key="events") if entry.subject in before]
    with lake.run("mine", key, told, code) as run:
        part = run.part(key, [*(entry.part for entry in entries), *seen, *(clip.id for clip in kept)])
        if (there := part.entry()) is not None:
            return there
        bounds = {entry.subject: (entry.about["start_ns"], entry.about["end_ns"]) for entry in entries}
        clips, unlike = _best(lake, bounds, settings, kept, eyes) if entries else ([], [])
        clips += unlike
        events = in_order(_events(lake, {clip.drive for clip in clips}).values())  # the weaker ones too
        part.write({"clips": clips_table(clips, part.hash, events)}, about={"unlike": len(unlike)})
        made = part.entry()
        assert made is not None
        return made


def _best(
    lake: Lake, drives: Mapping[str, tuple[int, int]], settings: Mine, kept: Collection[Clip], eyes: str
) -> tuple[list[Clip], list[Clip]]:
    """The clips of some drives that are worth keeping: what triggers choose, and what is unlike that and all `kept`."""
    there = _windows(lake, drives, eyes) if settings.variety else []
    own_share = settings.share(1 - settings.variety) if there else settings
    clips = choose(_strongest(lake, drives), drives, own_share, kept)
    own = defaultdict(list)
    for clip in kept:
        own[clip.drive].append(clip)
    before = _windows(lake, own, there[0].policy) if there and kept else []
    known = [
        window
        for window in before
        if window.policy == there[0].policy and any(shows(window, clip) for clip in own[window.drive])
    ]
    return clips, vary(there, clips, settings, known, kept)


def _windows(lake: Lake, drives: Iterable[str], policy: str) -> list[Window]:
    """The windows of some drives as that policy saw them; where it saw none, as the one that saw most did."""
    if "windows" not in lake.tables():
        return []
    rows = lake.table("windows", set(drives), WINDOWS.names[:-1]).to_pylist()
    seen = Counter(row["policy"] for row in rows)
    most = policy if policy in seen else max(sorted(seen), key=lambda name: seen[name], default="")
    return [Window(**{**row, "embedding": np.array(row["embedding"])}) for row in rows if row["policy"] == most]


def _strongest(lake: Lake, drives: Iterable[str]) -> Iterator[Sighting]:
    """The strongest events of each trigger in some drives."""
    listed = ", ".join("'{}'".format(drive.replace("'", "''")) for drive in drives)
    rows = lake.query(
        "SELECT drive, start_ns, end_ns, trigger, policy, score, place, signature FROM events "
        f"WHERE drive IN ({listed}) "
        f"QUALIFY row_number() OVER (PARTITION BY trigger ORDER BY score DESC, id) <= {SHORTLIST}"
    )
    for batch in rows.to_batches(max_chunksize=1000):
        for row in batch.to_pylist():
            yield Sighting(event_of(row), row["place"], tuple(row["signature"]))


def clips_table(clips: Iterable[Clip], run: str, events: Collection[Event] = ()) -> pa.Table:
    """Clips as rows of the table `clips`, with those of the events that each shows."""
    names = ("id", "drive", "start_ns", "end_ns", "seconds", "side", "place")
    rows = [
        {
            **{name: getattr(clip, name) for name in names},
            "events": [event_id(event) for event in events if shows(clip, event)],
            "run": run,
        }
        for clip in clips
    ]
    return pa.Table.from_pylist(rows, CLIPS)


def _yields(triggers: Mapping[str, Trigger], entries: list[Entry], clips: list[Clip]) -> Iterator[Yield]:
    shown = Counter(trigger for clip in clips for trigger in {event.trigger for event in clip.events})
    for trigger, asks in triggers.items():
        able = [entry.about for entry in entries if trigger not in entry.about["lacks"]]
        times = [about["plans"] if "plan" in asks.needs else 1 for about in able]
        span_ns = sum(n * (about["end_ns"] - about["start_ns"]) for n, about in zip(times, able, strict=True))
        yield Yield(
            trigger=trigger,
            events=sum(about["found"].get(trigger, 0) for about in able),
            hours=span_ns / NS / 3600,
            drives=len(able),
            clips=shown[trigger],
            lacking=Counter(need for entry in entries for need in entry.about["lacks"].get(trigger, ())),
        )
