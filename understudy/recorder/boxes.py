"""Objects as boxes in Foxglove's scenes, thousands at a time.

As protobuf's objects they would take longer to make than all else that is recorded. A message may be put together from
pieces (https://protobuf.dev/programming-guides/encoding/#last-one-wins), and the numbers of a box without zeros always
stand at the same bytes. So a track's words are encoded once, an instant's stamp once, and all boxes are copies of one
box with other numbers in them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from foxglove_schemas_protobuf.SceneEntity_pb2 import SceneEntity
from foxglove_schemas_protobuf.SceneEntityDeletion_pb2 import SceneEntityDeletion
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from google.protobuf.message import Message

from understudy.records import NS, Array, Floats, Kind, Objects

HEIGHT = 1.5  # metres, of a box whose height is not known

Colour = tuple[float, float, float, float]
GREY: Colour = (0.6, 0.6, 0.6, 0.7)
COLOURS: dict[int, Colour] = {
    Kind.CAR: (0.95, 0.6, 0.1, 0.7),
    Kind.TRUCK: (0.85, 0.45, 0.1, 0.7),
    Kind.BUS: (0.9, 0.75, 0.1, 0.7),
    Kind.MOTORCYCLE: (0.8, 0.2, 0.6, 0.7),
    Kind.BICYCLE: (0.9, 0.2, 0.5, 0.7),
    Kind.PEDESTRIAN: (0.9, 0.2, 0.2, 0.8),
    Kind.EMERGENCY: (0.2, 0.2, 0.95, 0.8),
}
KINDS = {kind.value: kind.name.lower() for kind in Kind}
_ENTITY = SceneUpdate.DESCRIPTOR.fields_by_name["entities"].number << 3 | 2  # the byte before an entity's length


def scenes(frame: str, times: Sequence[int], objects: Objects) -> Iterator[bytes]:
    """A SceneUpdate for each instant, which replaces the one before it: the objects whose place is known."""
    numbers = _numbers(objects)
    known: Array = np.all(np.isfinite(numbers), axis=1)
    size, cubes = len(_BOX), _cubes(numbers)
    tracks, kinds = objects["track"].tolist(), objects["kind"].tolist()
    words: dict[tuple[int, int], bytes] = {}
    starts: list[int] = objects.starts.tolist()
    for t_ns, start, stop in zip(times, starts, starts[1:], strict=False):
        time = {"seconds": t_ns // NS, "nanos": t_ns % NS}
        gone = {"timestamp": time, "type": SceneEntityDeletion.Type.ALL}
        scene, stamp = [_encoded(SceneUpdate, deletions=[gone])], _encoded(SceneEntity, timestamp=time)
        for row in np.flatnonzero(known[start:stop]) + start:
            who = tracks[row], kinds[row]
            if who not in words:
                words[who] = _words(frame, *who)
            length = len(stamp) + len(words[who]) + size
            scene += (_prefix(length), stamp, words[who], cubes[row * size : (row + 1) * size])
        yield b"".join(scene)


def _numbers(objects: Objects) -> Floats:
    """What a box says of each row, (R, 12): place, sine and cosine of half its heading, size, colour."""
    flat = np.full(len(objects["x"]), np.nan)
    height = np.nan_to_num(objects.columns.get("height", flat), nan=HEIGHT)
    z = objects.columns.get("z", flat)
    z = np.where(np.isfinite(z), z, height / 2)
    half = np.nan_to_num(objects["yaw"]) / 2
    length, width = np.nan_to_num(objects["length"], nan=0.5), np.nan_to_num(objects["width"], nan=0.5)
    colour = np.array([COLOURS.get(kind, GREY) for kind in range(256)])[objects["kind"].astype(np.uint8)]
    place = np.stack([objects["x"], objects["y"], z, np.sin(half), np.cos(half), length, width, height], axis=-1)
    return np.concatenate([place, colour], axis=1, dtype=np.float64)


def _words(frame: str, track: int, kind: int) -> bytes:
    """What does not change of an entity while it is there."""
    said = {"key": "kind", "value": KINDS.get(kind, str(kind))}
    return _encoded(SceneEntity, frame_id=frame, id=str(track), metadata=[said])


def _encoded(message: type[Message], **fields: Any) -> bytes:
    data: bytes = message(**fields).SerializeToString()
    return data


def _prefix(length: int) -> bytes:
    """The tag of an entity and its length, as a varint of two bytes: no box takes more."""
    return bytes((_ENTITY, length & 0x7F | 0x80, length >> 7))


def _box(numbers: Sequence[float]) -> bytes:
    x, y, z, sine, cosine, length, width, height, red, green, blue, alpha = numbers
    pose = {"position": {"x": x, "y": y, "z": z}, "orientation": {"z": sine, "w": cosine}}
    size, colour = {"x": length, "y": width, "z": height}, {"r": red, "g": green, "b": blue, "a": alpha}
    cube = {"pose": pose, "size": size, "color": colour}
    return _encoded(SceneEntity, cubes=[cube])


_MARKS = [1.5 + k for k in range(12)]
_BOX = _box(_MARKS)
_PLACES = [_BOX.index(struct.pack("<d", mark)) for mark in _MARKS]


def _cubes(numbers: Floats) -> bytes:
    """Copies of `_BOX` with other numbers (R, 12) in them."""
    made: Array = np.tile(np.frombuffer(_BOX, np.uint8), (len(numbers), 1))
    for place, column in zip(_PLACES, numbers.T, strict=True):
        made[:, place : place + 8] = np.ascontiguousarray(column, "<f8")[:, None].view(np.uint8)
    return made.tobytes()
