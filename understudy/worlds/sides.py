"""The side of the split that a town is on: `train`, `regression` or `gate`, from its name alone, without building it.

A town's side follows from its identity alone, so train, regression and gate never share one: nothing has to be
remembered, and nobody can move a town by accident. An OpenStreetMap town is known by what its file holds, not by its
name; so the same streets in another file (a later download) are another town, which may be on another side.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

from understudy.errors import DataError, UnderstudyError, UnknownName

SIDES = ("train", "regression", "gate")
TOWN_KINDS = ("grid", "organic", "spider", "roundabout", "highway", "mix")  # `sketches` draws them

_SIDE_OF = ("regression", "gate", "train", "train", "train")


def identity(town: str) -> str:
    """What a town is, whatever its file is called: its identifier, or a hash of the map that it is made from."""
    kind, _, rest = town.partition(":")
    if kind == "osm":
        try:
            return f"osm:{hashlib.sha256(Path(rest).read_bytes()).hexdigest()[:16]}"
        except OSError as error:
            raise DataError(f"reading a town's map: {error.strerror}; expected osm:FILE; {rest}") from error
    if kind not in TOWN_KINDS:
        raise UnknownName("kind of town", kind, [*TOWN_KINDS, "osm"])
    if not rest.isdecimal():
        raise UnderstudyError(f"no town {town!r}: expected {kind}:NUMBER, as in {kind}:3")
    return f"{kind}:{int(rest)}"


def side(town: str) -> str:
    """`train`, `regression` or `gate`: three, one and one towns in five."""
    return _side(identity(town))


def side_of_place(place: str) -> str:
    """The side of a place that is a town of the city, as drives name it by its identity: its map need not be here.
    Empty for any other place."""
    kind, colon, rest = place.partition(":")
    if colon and kind == "osm":
        return _side(place)
    return side(place) if colon and kind in TOWN_KINDS and rest.isdecimal() else ""


def _side(identity: str) -> str:
    return _SIDE_OF[hashlib.sha256(f"side of {identity}".encode()).digest()[0] % 5]


def towns_of(side_wanted: str, kinds: tuple[str, ...] = TOWN_KINDS, count: int = 5) -> list[str]:
    """The first `count` towns of a side, the kinds taking turns."""
    if side_wanted not in SIDES:
        raise UnknownName("side", side_wanted, SIDES)
    found = {kind: _on_side(kind, side_wanted) for kind in kinds}
    return [next(found[kinds[i % len(kinds)]]) for i in range(count)]


def _on_side(kind: str, side_wanted: str) -> Iterator[str]:
    return (name for number in itertools.count(1) if side(name := f"{kind}:{number}") == side_wanted)
