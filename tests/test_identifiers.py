"""The grammar of identifiers, as a table of good ones and bad ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import UnderstudyError
from understudy.identifiers import GRAMMAR, KINDS, Identifier, parse

GOOD = [
    ("trip", Identifier("drive", "trip")),
    ("scene-0061", Identifier("drive", "scene-0061")),
    ("4f2a91", Identifier("drive", "4f2a91")),
    ("b0c9d2329ad1606b|2018-07-27--06-03-57/3", Identifier("drive", "b0c9d2329ad1606b|2018-07-27--06-03-57/3")),
    ("sumo/town-3/seed=7", Identifier("drive", "sumo/town-3/seed=7")),
    ("trip/12.0:18.0", Identifier("drive", "trip", 12.0, 18.0)),
    ("trip/12:18", Identifier("drive", "trip", 12.0, 18.0)),
    ("trip/12.0:", Identifier("drive", "trip", 12.0, None)),
    ("trip/:18.5", Identifier("drive", "trip", None, 18.5)),
    ("trip/0:0.05", Identifier("drive", "trip", 0.0, 0.05)),
    ("trip/9.6:9.60001", Identifier("drive", "trip", 9.6, 9.60001)),
    ("trip/0.000000001:100000", Identifier("drive", "trip", 1e-9, 1e5)),
    ("a/b/3.5:4", Identifier("drive", "a/b", 3.5, 4.0)),
    ("clip:9f3c11", Identifier("clip", "9f3c11")),
    ("event:trip/hard_brake@12.4", Identifier("event", "trip/hard_brake@12.4")),
    ("scenario:city/town=3/route=7/rain/seed=12", Identifier("scenario", "city/town=3/route=7/rain/seed=12")),
    ("model:lane_follow", Identifier("model", "lane_follow")),
    ("model:pilot@1f0e9c3a", Identifier("model", "pilot@1f0e9c3a")),
    ("turn:12", Identifier("turn", "12")),
    (
        "scenario:city/organic:3/r12/everyday/clear/none/7",
        Identifier("scenario", "city/organic:3/r12/everyday/clear/none/7"),
    ),
    (
        "city/organic:3/r12:5000/everyday/clear/none/7/2:4",
        Identifier("drive", "city/organic:3/r12:5000/everyday/clear/none/7", 2.0, 4.0),
    ),
    ("city/grid:3", Identifier("drive", "city/grid:3")),
    ("trips/11-30", Identifier("drive", "trips/11-30")),
    ("trips/11-30/2:8", Identifier("drive", "trips/11-30", 2.0, 8.0)),
    ("clip", Identifier("drive", "clip")),
]
BAD = [
    ("", "a name is missing"),
    ("clip:", "a name is missing"),
    ("/12:18", "a name is missing"),
    ("trip/:", "no stretch of seconds"),
    ("trip/12:18:20", "no stretch of seconds"),
    ("trip/-3:4", "no stretch of seconds"),
    ("trip/1e3:", "no stretch of seconds"),
    ("trip/18:12", "ends at 12 s, before it begins"),
    ("trip/:0", "ends at 0 s, before it begins"),
    ("song:la-la", "is no name"),
    ("my trip", "is no name"),
    ("trip/", "is no name"),
    ("../secrets", "is no name"),
    ("/etc/passwd", "is no name"),
    ("clip:../../etc/passwd", "is no name"),
    ("tr\u00efp", "is no name"),
    ("trip\n", "is no name"),
    ("trip/2.0-8.0", "a stretch is written trip/2.0:8.0"),
]


@pytest.mark.parametrize(("text", "meaning"), GOOD)
def test_good_identifiers_are_understood_and_spelled_back(text: str, meaning: Identifier) -> None:
    assert parse(text) == meaning
    assert parse(str(meaning)) == meaning


@pytest.mark.parametrize(("text", "why"), BAD)
def test_bad_identifiers_are_told_why_and_what_the_grammar_is(text: str, why: str) -> None:
    with pytest.raises(UnderstudyError) as caught:
        parse(text)
    assert why in str(caught.value) and str(caught.value).endswith(GRAMMAR)


def test_spans_are_spelled_with_decimals() -> None:
    assert str(parse("trip/12:18.25")) == "trip/12.0:18.25"
    assert str(parse("trip/100:")) == "trip/100.0:"


_words = st.text("abcXYZ019._-+=@,|~", min_size=1, max_size=6).filter(lambda word: word not in (".", ".."))
_names = st.lists(_words, min_size=1, max_size=3).map("/".join)
_seconds = st.integers(0, 10**15).map(lambda ns: ns / 10**9)


@given(_names, st.sampled_from(KINDS))
def test_any_name_of_any_kind_comes_back(name: str, kind: str) -> None:
    assert parse(str(Identifier(kind, name))) == Identifier(kind, name)
    assert parse(name) == Identifier("drive", name)


@given(_names, st.none() | _seconds, st.none() | _seconds)
def test_any_stretch_comes_back(name: str, start: float | None, stop: float | None) -> None:
    if stop is not None and stop <= (start or 0.0):
        start, stop = (None, None) if stop == start or not stop else (stop, start)
    stretch = Identifier("drive", name, start, stop)
    assert parse(str(stretch)) == stretch
