"""A lake of very many drives and events, as it is after `compact`: generated columns, written in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from understudy.mine.choose import event_id
from understudy.mine.run import CLIPS, EVENTS
from understudy.records import NS, Event
from understudy.store import Lake, digest
from understudy.store.catalog import commit
from understudy.store.files import to_json, write_whole
from understudy.store.runs import Entry, Manifest, blob_file

INSTANTS = 100  # of a drive, at 10 Hz
TRIGGERS = ("hard_brake", "cut_in", "swerve", "displaced", "would_hit", "rare_value", "stop_and_go", "human_brakes")
TOWNS = ("grid:1", "grid:2", "organic:3", "organic:4")
WEATHERS = ("clear", "rain", "fog", "night")


def many(root: Path, drives: int = 10_000, events: int = 100_000, clips: int = 2_000) -> Lake:
    """Fill a lake: every drive an arc through one of four towns, events and clips at random among them."""
    random = np.random.default_rng(7)
    ids = [f"fleet/{TOWNS[n % 4]}/car-{n:05d}" for n in range(drives)]
    metas = [_blob(root, TOWNS[n % 4], WEATHERS[n % 3]) for n in range(12)]
    parts = [digest(["drive", id]) for id in ids]
    _drives(root, ids, parts, random)
    entries = [
        Entry(
            part, id, {"instants": INSTANTS}, {"drive.json": metas[n % 12]}, id,
            {"reader": "mcap", "seconds": (INSTANTS - 1) / 10, "km": 0.1, "instants": INSTANTS,
             "start_ns": 1_750_000_000 * NS + n * 3600 * NS, "rate_hz": 10.0, "gaps": 0,
             "offers": ["x", "y", "yaw", "speed"], "cameras": [], "pictures": 0, "objects": None, "lights": False,
             "map": False, "lanes": 0,
             "places": [TOWNS[n % 4]]},
        )
        for n, (id, part) in enumerate(zip(ids, parts, strict=True))
    ]  # fmt: skip
    _commit(root, "ingest", "mcap", entries)
    _events(root, ids, entries, events, clips, random)
    return Lake(root)


def _blob(root: Path, town: str, weather: str) -> str:
    meta = {
        "vehicle": {}, "cameras": [], "lights": None, "truth_lights": None, "frame": "", "route": [], "places": [town],
        "derived": [], "facts": {"town": town, "weather": weather},
    }  # fmt: skip
    name = f"{digest(to_json(meta))}.json"
    write_whole(blob_file(root, name), to_json(meta))
    return name


def _commit(root: Path, stage: str, key: str, entries: list[Entry]) -> None:
    commit(root, Manifest(stage, key, "drive", {}, "code", tuple(sorted(entries, key=lambda one: one.subject)), {}, {}))


def _pack(root: Path, table: str, rows: pa.Table, parts: list[tuple[str, int]], group: int = 4096) -> None:
    folder = root / "packs" / table
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, folder / "all.parquet", row_group_size=group, compression="zstd")
    write_whole(folder / "all.json", to_json(parts))


def _drives(root: Path, ids: list[str], parts: list[str], random: np.random.Generator) -> None:
    t = np.tile(np.arange(INSTANTS) / 10, len(ids))
    n = np.repeat(np.arange(len(ids)), INSTANTS)
    turn, heading = random.normal(0, 0.1, len(ids))[n], random.uniform(-3, 3, len(ids))[n]
    x0, y0 = random.uniform(-800, 800, (2, len(ids)))[:, n]
    yaw = heading + turn * t
    columns: dict[str, Any] = {
        "drive": pa.DictionaryArray.from_arrays(pa.array(n, pa.int32()), pa.array(ids)),
        "t_ns": (1_750_000_000 + n * 3600) * NS + (t * NS).astype(np.int64),
        "x": x0 + 10 * np.sinc(turn * t / 2 / np.pi) * t * np.cos(heading + turn * t / 2),
        "y": y0 + 10 * np.sinc(turn * t / 2 / np.pi) * t * np.sin(heading + turn * t / 2),
        "yaw": np.arctan2(np.sin(yaw), np.cos(yaw)),
        "speed": np.full(len(t), 10.0),
        "accel": np.sin(t),
        "yaw_rate": turn,
    }
    _pack(root, "instants", pa.table(columns), [(part, INSTANTS) for part in parts])


def _events(
    root: Path, ids: list[str], drives: list[Entry], count: int, clips: int, random: np.random.Generator
) -> None:
    per = count // len(ids)
    rows: list[dict[str, Any]] = []
    for id, drive in zip(ids, drives, strict=True):
        start = np.sort(random.choice(80, per, replace=False)) / 10
        for s, score in zip(start.tolist(), random.exponential(2.0, per).tolist(), strict=True):
            begin = drive.about["start_ns"] + int(s * NS)
            found = Event(id, begin, begin + NS, score, TRIGGERS[len(rows) % len(TRIGGERS)])
            rows.append(
                {"id": event_id(found), "drive": id, "start_ns": begin, "end_ns": begin + NS, "trigger": found.trigger,
                 "score": score, "run": "", "place": drive.about["places"][0], "signature": []}
            )  # fmt: skip
    entries = [Entry(digest(["events", id]), id, {"events": per}) for id in ids]
    _pack(root, "events", pa.Table.from_pylist(rows, EVENTS), [(entry.part, per) for entry in entries])
    _commit(root, "mine", "events", entries)
    chosen = [rows[i] for i in random.choice(len(rows), clips, replace=False)]
    kept = [
        {"id": f"clip:{digest(row['id'])[:12]}", "drive": row["drive"], "start_ns": row["start_ns"],
         "end_ns": row["end_ns"], "events": [row["id"]], "seconds": 1.0, "side": "train",
         "place": row["place"], "run": ""}
        for row in chosen
    ]  # fmt: skip
    part = digest("clips")
    _pack(root, "clips", pa.Table.from_pylist(kept, CLIPS), [(part, len(kept))])
    _commit(root, "mine", "clips", [Entry(part, "clips", {"clips": len(kept)})])
