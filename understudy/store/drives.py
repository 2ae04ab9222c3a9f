"""A drive as tables, and back. What comes back equals what went in; pictures stay in the log.

Columns, objects, lights, picture stamps and truth are tables (`instants`, `objects`, `lights`, `pictures`, `truth_*`);
the few facts that remain are one JSON, and the map another that all drives on it share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy import plugins
from understudy.errors import DataError, UnderstudyError
from understudy.records import (
    NS,
    PLAN_STEPS,
    Array,
    Camera,
    Drive,
    Event,
    Floats,
    Ints,
    Lane,
    Lights,
    Map,
    Marking,
    Objects,
    Plan,
    Shadow,
    Truth,
    Vehicle,
)
from understudy.store.files import to_json
from understudy.store.packs import packed
from understudy.store.runs import Entry, Part, Source, blob_file, table_file
from understudy.store.tables import Span, read_span

if TYPE_CHECKING:
    from understudy.store.lake import Lake

OWN = ("drive", "t_ns")  # columns of ours before those of the drive
PLAN = ("drive", "policy", "t_ns", "modes", "poses", "probability", "spread", "embedding")


# Writing --------------------------------------------------------------------------------------------------------------


def put_drive(part: Part, drive: Drive) -> None:
    """Write a drive as the tables and blobs of a part."""
    tables = {"instants": _instants(drive)}
    if drive.objects is not None:
        tables["objects"] = _objects(drive, drive.objects)
    if drive.lights is not None:
        tables["lights"] = _lights(drive, drive.lights)
    if drive.cameras:
        tables["pictures"] = _pictures(drive)
    if drive.truth is not None:
        tables |= _truth(drive, drive.truth)
    blobs = {"drive.json": to_json(_meta(drive))}
    if drive.map is not None:
        blobs["map.json"] = to_json(map_to_json(drive.map))
    part.write(tables, blobs, drive=drive.id, about=summary(part, drive))


def summary(part: Part, drive: Drive) -> dict[str, Any]:
    """What a listing shows of a drive."""
    steps = np.diff(drive.t_ns)
    place = drive.columns.get("place", np.empty(0, np.int16))
    return {
        "reader": part.key,
        "seconds": drive.seconds,
        "km": drive.metres / 1000,
        "instants": len(drive),
        "start_ns": int(drive.t_ns[0]),
        "rate_hz": float(NS / np.median(steps)) if len(steps) else float("nan"),
        "gaps": int(np.sum(steps > 3 * np.median(steps))) if len(steps) else 0,  # holes of three steps and more
        "offers": [*drive.columns, *(need for need in Drive.NEEDS if drive.has(need))],
        "cameras": [camera.name for camera in drive.cameras],
        "pictures": sum(len(camera.t_ns) for camera in drive.cameras),
        "objects": None if drive.objects is None else len(np.unique(drive.objects["track"])),
        "lights": drive.lights is not None,
        "map": drive.map is not None,
        "lanes": 0 if drive.map is None else len(drive.map.lanes),
        "places": [drive.places[i] for i in np.unique(place) if i >= 0],
    }


def _word(text: str, length: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(length, np.int32)), pa.array([text], pa.string()))


def _words(indices: Array, words: Sequence[str]) -> pa.DictionaryArray:
    """Names by their index, null where it is negative."""
    indices = np.asarray(indices, np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(indices, mask=indices < 0), pa.array(list(words), pa.string()))


def _aligned(drive: Drive, columns: Mapping[str, Any], rows: Ints | None = None) -> pa.Table:
    """Columns under the drive's id and stamps; `rows` are the instants of the rows where they are not all of them."""
    clash = set(columns) & set(OWN)
    if clash:
        raise DataError(f"drive {drive.id}: a column may not be called {', '.join(sorted(clash))}: the lake's own are")
    t_ns = drive.t_ns if rows is None else drive.t_ns[rows]
    return pa.table({"drive": _word(drive.id, len(t_ns)), "t_ns": t_ns, **columns})


def _instants(drive: Drive) -> pa.Table:
    columns: dict[str, Any] = dict(drive.columns)
    if "place" in columns:
        if len(drive) and int(columns["place"].max()) >= len(drive.places):
            raise DataError(f"drive {drive.id}: column place points beyond its {len(drive.places)} places")
        columns["place"] = _words(columns["place"], drive.places)
    return _aligned(drive, columns)


def _objects(drive: Drive, objects: Objects) -> pa.Table:
    return _aligned(drive, objects.columns, objects.instant)


def _lights(drive: Drive, lights: Lights) -> pa.Table:
    rows, lanes = np.indices(lights.state.shape).reshape(2, -1)
    return _aligned(drive, {"lane": _words(lanes, lights.lanes), "state": lights.state.ravel()}, rows)


def _pictures(drive: Drive) -> pa.Table:
    counts = [len(camera.t_ns) for camera in drive.cameras]
    return pa.table(
        {
            "drive": _word(drive.id, sum(counts)),
            "camera": _words(np.repeat(np.arange(len(counts)), counts), [camera.name for camera in drive.cameras]),
            "t_ns": np.concatenate([camera.t_ns for camera in drive.cameras]),
        }
    )


def _truth(drive: Drive, truth: Truth) -> dict[str, pa.Table]:
    tables = {
        "truth_events": pa.table(
            {
                "drive": pa.array([event.drive for event in truth.events], pa.string()).dictionary_encode(),
                "start_ns": pa.array([event.start_ns for event in truth.events], pa.int64()),
                "end_ns": pa.array([event.end_ns for event in truth.events], pa.int64()),
                "score": pa.array([event.score for event in truth.events], pa.float64()),
                "trigger": pa.array([event.trigger for event in truth.events], pa.string()),
            }
        )
    }
    if truth.objects is not None:
        tables["truth_objects"] = _objects(drive, truth.objects)
    if truth.lights is not None:
        tables["truth_lights"] = _lights(drive, truth.lights)
    return tables


def _meta(drive: Drive) -> dict[str, Any]:
    """All of a drive that is neither a table nor the map."""
    truth_lights = drive.truth.lights if drive.truth is not None else None
    return {
        "vehicle": drive.vehicle,
        "cameras": [
            {
                "name": camera.name,
                "size": camera.size,
                "count": len(camera.t_ns),
                "K": camera.K,
                "ego_T_cam": camera.ego_T_cam,
                "distortion": camera.distortion,
                "coefficients": camera.coefficients,
            }
            for camera in drive.cameras
        ],
        "lights": _heads(drive.lights),
        "truth_lights": _heads(truth_lights),
        "frame": drive.frame,
        "route": drive.route,
        "places": drive.places,
        "derived": drive.derived,
        "facts": drive.facts,
    }


def _heads(lights: Lights | None) -> dict[str, Any] | None:
    return None if lights is None else {"lanes": lights.lanes, "heads": lights.heads}


# Reading --------------------------------------------------------------------------------------------------------------


def get_drive(
    lake: Lake, held: Entry, columns: Sequence[str] | None, wanted: set[str], plans: Iterable[Entry]
) -> Drive:
    """The drive that a part holds, or as much of it as `columns` and `wanted` name, with the plans of other parts."""
    assert held.drive is not None
    meta = msgspec.json.decode(blob_file(lake.root, held.blobs["drive.json"]).read_bytes())
    instants = _rows(lake, held, "instants", None if columns is None else ["t_ns", *columns])
    t_ns = _numpy(instants["t_ns"])
    values = {name: instants[name] for name in instants.column_names if name not in OWN}
    truth = None
    if "truth" in wanted and "truth_events" in held.tables:
        truth = Truth(
            objects=_read_objects(lake, held, "truth_objects", t_ns),
            lights=_read_lights(lake, held, "truth_lights", meta["truth_lights"], len(t_ns)),
            events=tuple(Event(**row) for row in _rows(lake, held, "truth_events").to_pylist()),
        )
    return Drive(
        id=held.drive,
        t_ns=t_ns,
        columns={
            name: _indices(column, meta["places"]) if name == "place" else _numpy(column)
            for name, column in values.items()
        },
        vehicle=Vehicle(**meta["vehicle"]),
        cameras=_read_cameras(lake, held, meta["cameras"]) if "pictures" in wanted else (),
        objects=_read_objects(lake, held, "objects", t_ns) if "objects" in wanted else None,
        lights=_read_lights(lake, held, "lights", meta["lights"], len(t_ns)) if "lights" in wanted else None,
        map=_read_map(blob_file(lake.root, held.blobs["map.json"]))
        if "map" in wanted and "map.json" in held.blobs
        else None,
        frame=meta["frame"],
        route=tuple(meta["route"]),
        places=tuple(meta["places"]),
        derived=frozenset(meta["derived"]),
        truth=truth,
        shadows={run.policy: run for run in _read_shadows(lake, plans, t_ns)},
        facts=meta["facts"],
    )


def _rows(lake: Lake, entry: Entry, table: str, columns: Sequence[str] | None = None) -> pa.Table:
    """A part's own rows of a table, with the columns that it was written with."""
    place = packed(lake.root, table).get(entry.part, (table_file(lake.root, table, entry.part), 0, entry.tables[table]))
    return read_span(Span(*place), columns)


def _numpy(column: pa.ChunkedArray) -> Array:
    values: Array = column.to_numpy()
    return values


def _indices(column: pa.ChunkedArray, words: Sequence[str]) -> Array:
    """The index of each name, -1 for null."""
    found = pc.index_in(column.cast(pa.string()), value_set=pa.array(words, pa.string()))
    return _numpy(pc.fill_null(found, -1))


def _read_objects(lake: Lake, held: Entry, table: str, t_ns: Ints) -> Objects | None:
    if table not in held.tables:
        return None
    rows = _rows(lake, held, table)
    columns = {name: _numpy(rows[name]) for name in rows.column_names if name not in OWN}
    starts = np.searchsorted(_numpy(rows["t_ns"]), t_ns)
    return Objects(np.append(starts, rows.num_rows), columns)


def _read_lights(lake: Lake, held: Entry, table: str, heads: dict[str, Any] | None, instants: int) -> Lights | None:
    if heads is None:
        return None
    state = _numpy(_rows(lake, held, table, ["state"])["state"]).reshape(instants, -1)
    return Lights(tuple(heads["lanes"]), np.array(heads["heads"], float).reshape(-1, 3), state)


def _read_cameras(lake: Lake, held: Entry, cameras: list[dict[str, Any]]) -> tuple[Camera, ...]:
    if not cameras:
        return ()
    stamps = _numpy(_rows(lake, held, "pictures", ["t_ns"])["t_ns"])
    ends = np.cumsum([camera.pop("count") for camera in cameras])
    return tuple(
        Camera(
            name=camera["name"],
            size=tuple(camera["size"]),
            t_ns=t_ns,
            pictures=LoggedPictures(held.drive or "", camera["name"], len(t_ns), held.source),
            K=None if camera["K"] is None else np.array(camera["K"], float),
            ego_T_cam=None if camera["ego_T_cam"] is None else np.array(camera["ego_T_cam"], float),
            distortion=camera["distortion"],
            coefficients=tuple(camera["coefficients"]),
        )
        for camera, t_ns in zip(cameras, np.split(stamps, ends[:-1]), strict=True)
    )


# Pictures -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LoggedPictures:
    """The pictures of a camera where the log lies. The log is opened when the first of them is looked at."""

    drive: str
    camera: str
    count: int
    source: Source | None

    def __len__(self) -> int:
        return self.count

    def read(self, indices: Ints) -> Array:
        """Pictures as (n, H, W, 3) uint8 RGB."""
        return self._opened().pictures.read(indices)

    def encoded(self, index: int) -> tuple[str, bytes]:
        """One picture: ('jpeg' or 'png', bytes)."""
        return self._opened().pictures.encoded(index)

    def _opened(self) -> Camera:
        owner = f"drive {self.drive}: pictures of camera {self.camera}"
        if self.source is None:
            raise DataError(f"{owner} were not kept: it was made without a log")
        again = f"if the log has moved, ingest it again from its new folder; it was in {self.source.root}"
        if not Path(self.source.root).exists():
            raise DataError(f"{owner}: the log is gone; {again}")
        settings = to_json(self.source.settings).decode()
        try:
            cameras = _logged_cameras(self.source.reader, settings, self.source.root, self.source.key)
        except (UnderstudyError, OSError) as error:
            raise DataError(f"{owner}: {error}; {again}") from error
        found = cameras.get(self.camera)
        if found is None or len(found.t_ns) != self.count:
            raise DataError(f"{owner}: the log no longer has these {self.count} pictures; {again}")
        return found


@lru_cache(maxsize=4)
def _logged_cameras(reader: str, settings: str, root: str, key: str) -> dict[str, Camera]:
    opened = plugins.make("reader", reader, msgspec.json.decode(settings))
    return {camera.name: camera for camera in opened.read(Path(root), key).cameras}


# Maps -----------------------------------------------------------------------------------------------------------------


def map_to_json(map: Map) -> dict[str, Any]:
    """A map as JSON: lines are lists of points, an unknown speed limit is null."""
    return {
        name: getattr(map, name) for name in ("lanes", "drivable", "crosswalks", "stop_lines", "markings", "extent")
    }


def map_from_json(found: Mapping[str, Any]) -> Map:
    """The map that `map_to_json` gave."""
    return Map(
        lanes=tuple(_lane(lane) for lane in found["lanes"]),
        drivable=tuple(map(_line, found["drivable"])),
        crosswalks=tuple(map(_line, found["crosswalks"])),
        stop_lines=tuple(map(_line, found["stop_lines"])),
        markings=tuple(Marking(_line(m["points"]), m["style"], m["colour"]) for m in found["markings"]),
        extent=None if found["extent"] is None else _line(found["extent"]),
    )


def _line(points: Sequence[Any]) -> Floats:
    return np.array(points, float).reshape(-1, 2)


def _lane(found: dict[str, Any]) -> Lane:
    for name in ("centre", "polygon", "left", "right"):
        found[name] = None if found[name] is None else _line(found[name])
    for name in ("successors", "predecessors"):
        found[name] = tuple(found[name])
    if found["speed_limit"] is None:
        found["speed_limit"] = float("nan")
    return Lane(**found)


@lru_cache(maxsize=16)
def _read_map(path: Path) -> Map:
    return map_from_json(msgspec.json.decode(path.read_bytes()))


# Plans ----------------------------------------------------------------------------------------------------------------


def put_shadow(part: Part, drive: Drive, shadow: Shadow) -> None:
    """Write a policy's plans over a drive as the table `plans` of a part.

    Poses are kept as float32: they lie within some hundred metres of the ego, so this rounds by less than 0.1 mm.
    """
    plan, count = shadow.plan, len(drive)
    own = {name: values for name, values in shadow.columns.items() if name != "spread"}  # that is the plan's own
    clash = set(own) & set(PLAN)
    if clash or len(plan) != count:
        raise DataError(
            f"shadow run of {shadow.policy}: {len(plan)} plans for {count} instants, clashing {sorted(clash)}"
        )
    columns: dict[str, Any] = {
        "drive": _word(drive.id, count),
        "policy": _word(shadow.policy, count),
        "t_ns": drive.t_ns,
        "modes": np.full(count, plan.probability.shape[1], np.int16),
        "poses": _lists(np.asarray(plan.poses, np.float32)),
        "probability": _lists(np.asarray(plan.probability)),
    }
    if plan.spread is not None:
        columns["spread"] = np.asarray(plan.spread, np.float64)
    if plan.embedding is not None:
        columns["embedding"] = _lists(np.asarray(plan.embedding, np.float32))
    part.write({"plans": pa.table(columns | own)})


def _lists(values: Array) -> pa.ListArray:
    """One flat list per row."""
    flat = values.reshape(len(values), -1)
    offsets = np.arange(len(flat) + 1, dtype=np.int32) * flat.shape[1]
    return pa.ListArray.from_arrays(offsets, np.ascontiguousarray(flat).ravel())


def _flat(column: pa.ChunkedArray) -> Array:
    return np.concatenate([chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks])


def _read_shadows(lake: Lake, plans: Iterable[Entry], t_ns: Ints) -> Iterable[Shadow]:
    for entry in plans:
        rows = _rows(lake, entry, "plans")
        if not np.array_equal(_numpy(rows["t_ns"]), t_ns):
            continue  # the drive was ingested anew since: these plans are of another version of it
        names = rows.column_names
        count = len(t_ns)
        yield Shadow(
            policy=rows["policy"][0].as_py(),
            plan=Plan(
                poses=_flat(rows["poses"]).reshape(count, -1, PLAN_STEPS, 4).astype(np.float64),
                probability=_flat(rows["probability"]).reshape(count, -1),
                spread=_numpy(rows["spread"]) if "spread" in names else None,
                embedding=_flat(rows["embedding"]).reshape(count, -1) if "embedding" in names else None,
            ),
            columns={name: _numpy(rows[name]) for name in names if name == "spread" or name not in PLAN},
        )
