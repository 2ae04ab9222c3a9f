"""How a drive of ours lies in MCAP: the topics under `/understudy/` and their JSON.

What is unknown is left out: a field that is absent is nan or None, a channel that is absent is a column that the log
lacks. Numbers are written with as many digits as their float64 needs, so they survive exactly; an infinity is 1e999,
which JSON's grammar allows and parsers read as one. Each schema carries, beside JSON Schema's own words, the `dtype` of
every number. docs/mcap.md shows the channels to strangers.

Schemas keep to what Foxglove's viewer understands: no references, no arrays of arrays, one type per field.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_type_hints

import msgspec
import numpy as np

from understudy import records
from understudy.records import (
    OBJECT_COLUMNS,
    OPTIONAL_OBJECT_COLUMNS,
    PLAN_STEPS,
    Array,
    Event,
    Floats,
    Lane,
    Marking,
    Plan,
    Shadow,
    Vehicle,
)

VERSION = 1

DRIVE = "/understudy/drive"
MAP = "/understudy/map"
COLUMNS = "/understudy/columns"
OBJECTS = "/understudy/objects"
LIGHTS = "/understudy/lights"
PLANS = "/understudy/plans/"  # and the name of a policy
TRUTH_OBJECTS = "/understudy/truth/objects"
TRUTH_LIGHTS = "/understudy/truth/lights"
TRUTH_EVENTS = "/understudy/truth/events"

PLAN_COLUMNS = ("x", "y", "yaw", "speed")
NAN = float("nan")
INFINITY = b"1e999"

T = TypeVar("T")
Schema = dict[str, Any]
Words = Mapping[str, tuple[str, str, str]]


def picture_topic(camera: str) -> str:
    return f"/camera/{camera}/image"


# Values as JSON, and back ---------------------------------------------------------------------------------------------


def encode(value: Any) -> bytes:
    """A value as JSON: nan is null, an infinity is 1e999, arrays (P, 2) are two lists `x` and `y`."""
    data = msgspec.json.encode(value, enc_hook=_plain)
    if b"null" in data:  # msgspec writes null for an infinity, which would read as nan
        data = msgspec.json.encode(_with_infinities(msgspec.to_builtins(value, enc_hook=_plain)))
    return data


def decode(data: bytes, kind: Any = Any) -> Any:
    """JSON as a value, or as a record. Raises ValueError where it is neither."""
    try:
        return msgspec.json.decode(data, type=kind, dec_hook=_line)
    except msgspec.ValidationError:
        value = json.loads(data)  # msgspec refuses 1e999, as out of range; json reads an infinity
        return msgspec.convert(value, kind, dec_hook=_line)


def known(record: Any) -> Any:
    """A record as dicts and lists, without the fields that are unknown (None or nan)."""
    if dataclasses.is_dataclass(record):
        pairs = ((field.name, getattr(record, field.name)) for field in dataclasses.fields(record))
        return {name: known(value) for name, value in pairs if not _unknown(value)}
    if isinstance(record, tuple):
        return [known(value) for value in record]
    return record


def record(kind: type[T], said: Mapping[str, Any]) -> T:
    """The record of which `known` made a dict; a number that it leaves out is nan."""
    unknown = {name: NAN for name, hint in get_type_hints(kind).items() if hint is float}
    return msgspec.convert({**unknown, **said}, kind)


def _unknown(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.ndim == 2 and value.shape[1] == 2:
        return {"x": value[:, 0].tolist(), "y": value[:, 1].tolist()}
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no place in a drive's JSON")


def _line(kind: Any, value: Any) -> Floats:
    """What `_plain` made of a line."""
    if not isinstance(value, dict) or value.keys() != {"x", "y"}:
        raise ValueError(f"expected a line as lists x and y, found {str(value)[:40]}")
    return np.stack([np.array(value["x"], np.float64), np.array(value["y"], np.float64)], axis=-1)


def _with_infinities(value: Any) -> Any:
    if isinstance(value, float) and math.isinf(value):
        return msgspec.Raw(INFINITY if value > 0 else b"-" + INFINITY)
    if isinstance(value, dict):
        return {name: _with_infinities(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_with_infinities(one) for one in value]
    return value


def rows(columns: Mapping[str, Array], count: int) -> Iterator[dict[str, Any]]:
    """Columns as one dict for each of `count` rows, nan left out."""
    names = list(columns)
    complete = not any(column.dtype.kind == "f" and np.isnan(column).any() for column in columns.values())
    values = zip(*(column.tolist() for column in columns.values()), strict=True) if names else [()] * count
    for row in values:
        said = zip(names, row, strict=True)
        yield dict(said) if complete else {name: value for name, value in said if value == value}


def columns(found: Sequence[Mapping[str, Any]], dtypes: Mapping[str, np.dtype[Any]]) -> dict[str, Array]:
    """Rows as columns; a number that a row lacks is nan, and anything else that it lacks an error."""
    return {
        name: np.array(
            [row.get(name, NAN) for row in found] if dtype.kind == "f" else [row[name] for row in found], dtype
        )
        for name, dtype in dtypes.items()
    }


def camera(record: records.Camera) -> dict[str, Any]:
    """What a camera is, without its pictures."""
    said = {
        "name": record.name,
        "width": record.size[0],
        "height": record.size[1],
        "distortion": record.distortion,
        "coefficients": record.coefficients,
    }
    matrices = {"K": record.K, "ego_T_cam": record.ego_T_cam}
    return said | {name: matrix.ravel() for name, matrix in matrices.items() if matrix is not None}


# Schemas --------------------------------------------------------------------------------------------------------------


def number(dtype: Any, unit: str = "", meaning: str = "") -> Schema:
    dtype = np.dtype(dtype)
    word = {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}[dtype.kind]
    return {"type": word, "dtype": dtype.name, "description": f"{meaning} [{unit}]" if unit else meaning}


def text(meaning: str = "") -> Schema:
    return {"type": "string", "description": meaning}


def items(of: Schema, meaning: str = "") -> Schema:
    return {"type": "array", "items": of, "description": meaning}


def fields(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


def vocabulary(found: Mapping[str, Array], words: Words) -> dict[str, Schema]:
    """The schema of each column, with its unit and meaning where it is one of the vocabulary's."""
    return {name: number(values.dtype, *words.get(name, ("", "", ""))[1:]) for name, values in found.items()}


def dtypes(properties: Mapping[str, Schema]) -> dict[str, np.dtype[Any]]:
    """The dtype of each number of a schema."""
    found = {name: np.dtype(schema["dtype"]) for name, schema in properties.items()}
    wrong = [name for name, dtype in found.items() if dtype.kind not in "biuf"]
    if wrong:
        raise ValueError(f"a schema gives {wrong[0]} the dtype {found[wrong[0]]}, which is no number's")
    return found


FLOAT = number("float64")
LINE = fields(x=items(FLOAT), y=items(FLOAT))
IDS = items(text())


def of_record(kind: type, **properties: Schema) -> Schema:
    """The schema of a record; fields that are not given are described by the type of their default."""
    simple = {bool: {"type": "boolean"}, str: text(), float: FLOAT}
    for field in dataclasses.fields(kind):
        properties.setdefault(field.name, simple.get(type(field.default), text()))
    return fields(**properties)


DRIVE_SCHEMA = fields(
    version=number("int64", meaning="of this layout"),
    id=text("the drive's name"),
    frame=text("the name of the map frame where it is global"),
    route=items(text(), "lanes to follow, in order"),
    places=items(text(), "names that the column `place` points to"),
    derived=items(text(), "columns computed from the drive's own future"),
    vehicle=of_record(Vehicle),
    cameras=items(
        fields(
            name=text(),
            width=number("int64", "px"),
            height=number("int64", "px"),
            K=items(FLOAT, "3 x 3, row by row; absent where unknown"),
            ego_T_cam=items(FLOAT, "4 x 4, row by row: points of the camera to the ego; absent where unknown"),
            distortion=text("none, brown (k1 k2 p1 p2 k3) or fisheye (k1 k2 k3 k4)"),
            coefficients=items(FLOAT),
        )
    ),
    truth={"type": "boolean", "description": "whether the drive comes from a world that knows the truth"},
    facts=fields() | {"description": "what the log says of itself"},
)
MAP_SCHEMA = fields(
    lanes=items(
        of_record(
            Lane,
            centre=LINE,
            polygon=LINE,
            left=LINE,
            right=LINE,
            successors=IDS,
            predecessors=IDS,
            speed_limit=number("float64", "m/s"),
        )
    ),
    drivable=items(LINE, "rings; a car may be in their union"),
    crosswalks=items(LINE, "rings"),
    stop_lines=items(LINE),
    markings=items(of_record(Marking, points=LINE)),
    extent=LINE | {"description": "a ring; nothing is known outside"},
)
LIGHTS_SCHEMA = fields(
    lights=items(
        fields(
            lane=text("the lane that it governs"),
            x=number("float64", "m", "the lamp in the map frame"),
            y=number("float64", "m"),
            z=number("float64", "m", "above the ground"),
            state=number("int8", meaning="0 unknown, 1 red, 2 yellow, 3 green, 4 off"),
        ),
        "all lights, written when one changes",
    )
)
EVENTS_SCHEMA = fields(
    events=items(
        of_record(Event, start_ns=number("int64", "ns"), end_ns=number("int64", "ns"), score=number("float64"))
    )
)


def columns_schema(found: Mapping[str, Array]) -> Schema:
    return fields(**vocabulary(found, records.COLUMNS))


def objects_schema(found: Mapping[str, Array]) -> Schema:
    return fields(objects=items(fields(**vocabulary(found, OBJECT_COLUMNS | OPTIONAL_OBJECT_COLUMNS))))


def plans_schema(shadow: Shadow) -> Schema:
    plan = shadow.plan
    poses = fields(**{name: number(plan.poses.dtype, *records.COLUMNS[name][1:]) for name in PLAN_COLUMNS})
    mode = {"poses": items(poses, "in the ego frame, 0.5 s apart"), "probability": number(plan.probability.dtype)}
    parts = {"modes": items(fields(**mode)), "columns": fields(**vocabulary(shadow.columns, {}))}
    if plan.spread is not None:
        parts["spread"] = number(plan.spread.dtype, meaning="the policy's own uncertainty")
    if plan.embedding is not None:
        parts["embedding"] = items(number(plan.embedding.dtype))
    return fields(**parts)


# Plans ----------------------------------------------------------------------------------------------------------------


def plan_rows(shadow: Shadow) -> Iterator[dict[str, Any]]:
    """A policy's plans as one message per instant."""
    plan = shadow.plan
    count, modes = plan.probability.shape
    flat = plan.poses.reshape(-1, 4)
    poses = list(rows(dict(zip(PLAN_COLUMNS, flat.T, strict=True)), len(flat)))
    chances = list(rows({"probability": plan.probability.ravel()}, count * modes))
    compared = list(rows(shadow.columns, count))
    spreads = list(rows({} if plan.spread is None else {"spread": plan.spread}, count))
    for instant in range(count):
        said = [
            {"poses": poses[PLAN_STEPS * mode : PLAN_STEPS * (mode + 1)], **chances[mode]}
            for mode in range(modes * instant, modes * (instant + 1))
        ]
        row = {"modes": said, "columns": compared[instant], **spreads[instant]}
        if plan.embedding is not None:
            row["embedding"] = plan.embedding[instant]
        yield row


def shadow_of(policy: str, found: Sequence[Mapping[str, Any]], parts: Mapping[str, Schema]) -> Shadow:
    """A policy's plans from the messages that `plan_rows` made, and the fields of their schema."""
    mode = parts["modes"]["items"]["properties"]
    modes = [one for row in found for one in row["modes"]]
    poses = [pose for one in modes for pose in one["poses"]]
    taken = columns(poses, dtypes(mode["poses"]["items"]["properties"]))
    shape = (len(found), len(found[0]["modes"]))
    plan = Plan(
        np.stack([taken[name] for name in PLAN_COLUMNS], axis=-1).reshape(*shape, PLAN_STEPS, 4),
        columns(modes, dtypes({"probability": mode["probability"]}))["probability"].reshape(shape),
        columns(found, dtypes({"spread": parts["spread"]}))["spread"] if "spread" in parts else None,
        np.array([row["embedding"] for row in found], parts["embedding"]["items"]["dtype"])
        if "embedding" in parts
        else None,
    )
    return Shadow(policy, plan, columns([row["columns"] for row in found], dtypes(parts["columns"]["properties"])))
