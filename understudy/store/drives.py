"""A drive as tables, and back. What comes back equals what went in; pictures stay in the log.

Columns, objects, lights, picture stamps and truth are tables (`instants`, `objects`, `lights`, `pictures`, `truth_*`);
the few facts that remain are one JSON, and the map another that all drives on it share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from understudy.errors import DataError
from understudy.records import NS, Camera, Drive, Event, Ints, Lights, Objects, Truth, Vehicle
from understudy.store.files import to_json
from understudy.store.maps import map_to_json, read_map
from understudy.store.pictures import LoggedPictures
from understudy.store.plans import read_shadows
from understudy.store.runs import Entry, Part, blob_file
from understudy.store.tables import index_of, numpy_of, read_part, word, words

OWN = ("drive", "t_ns")  # columns of ours before those of the drive


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


def _aligned(drive: Drive, columns: Mapping[str, Any], rows: Ints | None = None) -> pa.Table:
    """Columns under the drive's id and stamps; `rows` are the instants of the rows where they are not all of them."""
    clash = set(columns) & set(OWN)
    if clash:
        raise DataError(f"drive {drive.id}: a column may not be called {', '.join(sorted(clash))}: the lake's own are")
    t_ns = drive.t_ns if rows is None else drive.t_ns[rows]
    return pa.table({"drive": word(drive.id, len(t_ns)), "t_ns": t_ns, **columns})


def _instants(drive: Drive) -> pa.Table:
    columns: dict[str, Any] = dict(drive.columns)
    if "place" in columns:
        if len(drive) and int(columns["place"].max()) >= len(drive.places):
            raise DataError(f"drive {drive.id}: column place points beyond its {len(drive.places)} places")
        columns["place"] = words(columns["place"], drive.places)
    return _aligned(drive, columns)


def _objects(drive: Drive, objects: Objects) -> pa.Table:
    return _aligned(drive, objects.columns, objects.instant)


def _lights(drive: Drive, lights: Lights) -> pa.Table:
    rows, lanes = np.indices(lights.state.shape).reshape(2, -1)
    return _aligned(drive, {"lane": words(lanes, lights.lanes), "state": lights.state.ravel()}, rows)


def _pictures(drive: Drive) -> pa.Table:
    counts = [len(camera.t_ns) for camera in drive.cameras]
    return pa.table(
        {
            "drive": word(drive.id, sum(counts)),
            "camera": words(np.repeat(np.arange(len(counts)), counts), [camera.name for camera in drive.cameras]),
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
    root: Path, held: Entry, columns: Sequence[str] | None, wanted: set[str], plans: Iterable[Entry]
) -> Drive:
    """The drive that a part holds, or as much of it as `columns` and `wanted` name, with the plans of other parts."""
    assert held.drive is not None
    meta = msgspec.json.decode(blob_file(root, held.blobs["drive.json"]).read_bytes())
    instants = read_part(root, held, "instants", None if columns is None else ["t_ns", *columns])
    t_ns = numpy_of(instants["t_ns"])
    values = {name: instants[name] for name in instants.column_names if name not in OWN}
    truth = None
    if "truth" in wanted and "truth_events" in held.tables:
        truth = Truth(
            objects=_read_objects(root, held, "truth_objects", t_ns),
            lights=_read_lights(root, held, "truth_lights", meta["truth_lights"]),
            events=tuple(Event(**row) for row in read_part(root, held, "truth_events").to_pylist()),
        )
    return Drive(
        id=held.drive,
        t_ns=t_ns,
        columns={
            name: index_of(column, meta["places"]) if name == "place" else numpy_of(column)
            for name, column in values.items()
        },
        vehicle=Vehicle(**meta["vehicle"]),
        cameras=_read_cameras(root, held, meta["cameras"]) if "cameras" in wanted else (),
        objects=_read_objects(root, held, "objects", t_ns) if "objects" in wanted else None,
        lights=_read_lights(root, held, "lights", meta["lights"]) if "lights" in wanted else None,
        map=read_map(blob_file(root, held.blobs["map.json"])) if "map" in wanted and "map.json" in held.blobs else None,
        frame=meta["frame"],
        route=tuple(meta["route"]),
        places=tuple(meta["places"]),
        derived=frozenset(meta["derived"]),
        truth=truth,
        shadows={run.policy: run for run in read_shadows(root, plans, t_ns)},
        facts=meta["facts"],
    )


def _read_objects(root: Path, held: Entry, table: str, t_ns: Ints) -> Objects | None:
    if table not in held.tables:
        return None
    rows = read_part(root, held, table)
    columns = {name: numpy_of(rows[name]) for name in rows.column_names if name not in OWN}
    starts = np.searchsorted(numpy_of(rows["t_ns"]), t_ns)
    return Objects(np.append(starts, rows.num_rows), columns)


def _read_lights(root: Path, held: Entry, table: str, heads: dict[str, Any] | None) -> Lights | None:
    if heads is None:
        return None
    state = numpy_of(read_part(root, held, table, ["state"])["state"])
    shape = (held.tables["instants"], len(heads["lanes"]))
    return Lights(tuple(heads["lanes"]), np.array(heads["heads"], float).reshape(-1, 3), state.reshape(shape))


def _read_cameras(root: Path, held: Entry, cameras: list[dict[str, Any]]) -> tuple[Camera, ...]:
    if not cameras:
        return ()
    stamps = numpy_of(read_part(root, held, "pictures", ["t_ns"])["t_ns"])
    ends = np.cumsum([camera.pop("count") for camera in cameras])
    return tuple(
        Camera(
            name=camera["name"],
            size=tuple(camera["size"]),
            t_ns=t_ns,
            pictures=LoggedPictures(held.drive or "", camera["name"], t_ns, held.source),
            K=None if camera["K"] is None else np.array(camera["K"], float),
            ego_T_cam=None if camera["ego_T_cam"] is None else np.array(camera["ego_T_cam"], float),
            distortion=camera["distortion"],
            coefficients=tuple(camera["coefficients"]),
        )
        for camera, t_ns in zip(cameras, np.split(stamps, ends[:-1]), strict=True)
    )
