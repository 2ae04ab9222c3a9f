"""The console: who may come in, what it refuses, what its pages show, and that no review is lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from urllib.parse import unquote

import httpx
import numpy as np
import pytest
import schemathesis
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import steady_turn
from tests.many import many
from tests.refusal import refused
from tests.serving import COMMAND, Serving, serving
from understudy import ingest, mine, sample, shadow
from understudy.cli import main
from understudy.errors import UnderstudyError
from understudy.exporters import ABOUT
from understudy.registry import Registry
from understudy.store import Lake
from understudy.store.files import locked
from understudy.store.reviews import Reviews, Subject, standing
from understudy.turn.diary import Diary
from understudy.web.serve import turns
from understudy.web.serve.access import POLICY, Access, Visitor, ported
from understudy.web.serve.console import HERE, Console
from understudy.web.serve.index import Index
from understudy.web.serve.moment import scene, views
from understudy.web.serve.pages import alone
from understudy.web.serve.verdicts import film_of, verdict_of
from understudy.web.standalone import allowed

BEGINS = {"/progress", "/turns/resume", "/turns/stop", "/reviewer", "/exports", "/films"}  # what would go on or stay
EVIL = "<script>alert(1)</script>'\"; DROP TABLE drives; --"


@pytest.fixture(scope="module")
def sample_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with drives, plans, events and clips."""
    root = tmp_path_factory.mktemp("console") / "lake"
    logs = root / "sample"
    sample.write(logs, size=(64, 32))
    lake = Lake(root)
    ingest.ingest(lake, "mcap", logs)
    shadow.run(lake, ["lane_follow", "constant_turn"])
    mine.run(lake, mine.Mine(budget="20"))
    return root


@pytest.fixture(scope="module")
def here(sample_lake: Path) -> Iterator[Serving]:
    with serving(sample_lake) as here:
        yield here


@pytest.fixture(scope="module")
def client(here: Serving) -> httpx.Client:
    """A browser that came in."""
    return here.visitor("ann")


@pytest.fixture
def clean(sample_lake: Path) -> Iterator[None]:
    """Whatever a test reviews is taken back."""
    yield
    with Reviews(sample_lake) as reviews:
        for who in {said.reviewer for said in reviews.standing().values()}:
            while reviews.undo(who):
                pass


# Who may come in ------------------------------------------------------------------------------------------------------


def test_an_address_lets_one_browser_in_once(here: Serving) -> None:
    address = here.address()
    token = address.partition("token=")[2]
    with httpx.Client(base_url=address.partition("/enter")[0]) as browser:
        assert browser.get("/drives").status_code == 401
        first = browser.get(address)
        kept = first.headers["set-cookie"]
        assert first.status_code == 303 and "HttpOnly" in kept and "SameSite=Strict" in kept and token not in kept
        assert browser.get("/drives").status_code == 200
        (name,) = browser.cookies
        browser.cookies.clear()
        assert browser.get(address).status_code == 403, "the address was used"
        for forged in ("", token[:-1], "x" * len(token), "ü", token + "%00"):
            assert browser.get("/enter", params={"token": forged}).status_code == 403
        browser.cookies.set(name, "forged")
        assert browser.get("/drives").status_code == 401


def test_nothing_at_all_is_answered_without_the_cookie(client: httpx.Client) -> None:
    paths = ("/", "/drives", "/static/page.css", "/openapi.json", "/picture/sample-cut-in?camera=0&at=1", "/progress")
    origin = str(client.headers["origin"])
    with httpx.Client(base_url=client.base_url, headers={"origin": origin}) as stranger:
        assert {stranger.get(path).status_code for path in paths} == {401}
        assert stranger.post("/review").status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:80", "localhost:8700.evil.example"])
def test_a_name_that_is_not_ours_is_refused(client: httpx.Client, host: str) -> None:
    answer = client.get("/drives", headers={"host": host})
    assert answer.status_code == 403, "else DNS could point a stranger's page here"


@pytest.mark.parametrize(
    ("name", "port", "host", "origin"),
    [
        ("Lab-3.example", 8700, "lab-3.example:8700", "http://lab-3.example:8700"),
        ("lab-3.example", 8700, "LAB-3.example:8700", "http://lab-3.example:8700"),
        ("console.example:443", 8700, "console.example", "https://console.example"),
        ("console.example:8443", 8700, "console.example:8443", "https://console.example:8443"),
        ("127.0.0.1", 80, "127.0.0.1", "http://127.0.0.1"), ("::1", 8700, "[::1]:8700", "http://[::1]:8700"),
        ("[::1]:443", 8700, "[::1]", "https://[::1]"),
    ],
)  # fmt: skip
def test_a_name_is_known_as_browsers_write_it(name: str, port: int, host: str, origin: str) -> None:
    access = Access(frozenset({ported(name, port)}), "c")
    assert (
        access.misdirected("GET", {"host": host}) == access.misdirected("POST", {"host": host, "origin": origin}) == ""
    )
    for other in (f"evil.{host}", f"{host}.evil.example", host.partition(":8")[0] + ":9", ""):
        assert access.misdirected("GET", {"host": other}), other
    usual = ":8" not in origin  # a port that the scheme stands for
    swapped = origin.replace("https", "http") if "https" in origin else origin.replace("http", "https")
    for other in (f"{origin}9", f"{origin}.evil.example", "null", "", *([swapped] if usual else [])):
        assert access.misdirected("POST", {"host": host, "origin": other}), other


@pytest.mark.parametrize("cookies", ["{}", 'prefs={{"a":1}}; {}', "a b=[1, 2];{}", "x=é; c=void; {}; y", "c=; {}"])
def test_cookies_of_others_on_this_host_shut_nobody_out(cookies: str) -> None:
    access = Access(frozenset(), "c", visitors={"secret": Visitor("ann")})
    assert access.visitor({"cookie": cookies.format("c=secret")}) == Visitor("ann")
    for wrong in ("c=secre", "d=secret", "c=", "secret", "cc=secret", "c=secret=", "c=SECRET"):
        assert access.visitor({"cookie": cookies.format(wrong)}) is None, wrong


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1.evil.example"]
)
def test_a_page_elsewhere_cannot_post_nor_read(client: httpx.Client, origin: str) -> None:
    said = {"clip": "clip:x", "verdict": "keep", "saw": "0"}
    assert client.post("/review", data=said, headers={"origin": origin}).status_code == 403
    assert client.get("/drives", headers={"origin": origin}).status_code == 403
    with httpx.Client(base_url=client.base_url, cookies=client.cookies) as silent:
        assert silent.post("/review", data=said).status_code == 403, "a post that does not say where it comes from"


def test_every_answer_forbids_what_a_page_does_not_need(client: httpx.Client) -> None:
    for path in ("/", "/drives/sample-cut-in/2.0:8.0", "/nowhere", "/static/page.css", "/search?q=s"):
        headers = client.get(path).headers
        assert headers["content-security-policy"] == POLICY and "unsafe" not in POLICY and "http" not in POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_pages_hold_no_inline_script_or_style_and_no_address_of_others(client: httpx.Client) -> None:
    paths = ("/", "/drives", "/events", "/review", "/turns", "/models", "/drives/sample-cut-in")
    for path in (*paths, "/drives/sample-cut-in/2.0:8.0"):
        text = client.get(path).text
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text), path
        assert not re.search(r"<script(?! src=\"/static/)", text), path
        assert not re.search(r"(?:src|href|action)=\"(?!/|\?|#)", text), path
        assert not re.search(r"https?://", text), path


@pytest.mark.parametrize(("name", "films"), [("verdict.html", True), ("turn.html", False)])
def test_a_page_that_stands_alone_may_load_here_what_it_may_load_by_itself(name: str, films: bool) -> None:
    style = "p { color: red }"
    found = re.search(r'Content-Security-Policy" content="([^"]+)"', (HERE.parent / name).read_text())
    assert found is not None
    own = {one for one in found[1].replace("{{ style_hash }}", allowed(style)).split("; ") if "-src " in one}
    assert ("media-src data:" in own) == films
    told = alone(f"<style>{style}</style>").headers["content-security-policy"]
    assert own <= set(told.split("; ")) and "script" not in told and "http" not in told


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_all_addresses_need_a_name(tmp_path: Path, host: str) -> None:
    told = CliRunner().invoke(main, ["serve", str(tmp_path), "--host", host])
    assert told.exit_code == 1 and "--name" in told.stderr


# Hostile input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/static/../access.py", "/static/..%2faccess.py", "/static/%2e%2e/%2e%2e/page.py", "/static/page.py",
        "/drives/../../etc/passwd", "/drives/..%2f..%2fetc%2fpasswd", "/picture/..%2f..%2fetc/passwd?camera=0&at=0",
        "/mcap/..%2f..%2fetc%2fpasswd", "/play/%2fetc%2fpasswd?start=0&stop=1&at=0", "/go/..%2f..%2fetc",
        "/models/..%2f..", "/turns/..%2f1", "/review?clip=..%2f..%2fx", "/drives/sample-cut-in/%00",
    ],
)  # fmt: skip
def test_no_path_leaves_the_lake(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (400, 404, 422) and "root:" not in answer.text


@pytest.mark.parametrize("field", ["q", "source", "place", "weather", "since", "until", "order"])
def test_filters_are_values_and_never_sql(client: httpx.Client, field: str) -> None:
    for evil in (EVIL, "' OR 1=1 --", "1; ATTACH DATABASE '/tmp/x' AS y", "%", "_", "\\", "x" * 200):
        answer = client.get("/drives", params={field: evil})
        assert answer.status_code == (404 if field == "order" else 200)
        assert 'href="/drives/sample' not in answer.text, "nothing is like that"
    assert 'href="/drives/sample' in client.get("/drives").text, "and all is still there"


def test_names_are_shown_and_not_run(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    drive = replace(steady_turn(), id="x&amp;<img src=x onerror=alert(1)>", facts={"weather": EVIL, "town": EVIL})
    with lake.run("ingest", "test", {}, "code") as run:
        lake.put_drive(run.part("x", ["x"]), drive)
    with serving(tmp_path) as here:
        browser = here.visitor()
        text = browser.get("/drives").text
        assert "&lt;img src=x onerror" in text and "<img src=x" not in text
        assert "<script>alert" not in text and "&lt;script&gt;alert(1)" in text


@pytest.mark.parametrize(
    "query",
    [
        "start=0&stop=1e9&at=0", "start=5&stop=4&at=0", "start=-1&stop=1&at=0", "start=nan&stop=1&at=0", "start=0",
        "start=0&stop=inf&at=0", "start=1e300&stop=1e301&at=0", "start=0&stop=1&at=0&truth=perhaps",
        "start=0x10&stop=1&at=1",
    ],
)  # fmt: skip
def test_huge_and_broken_ranges_are_refused(client: httpx.Client, query: str) -> None:
    assert client.get(f"/play/sample-cut-in?{query}").status_code in (400, 422)


def test_other_huge_asks_are_refused(client: httpx.Client) -> None:
    paths = [
        "/picture/sample-cut-in?camera=99&at=1", "/picture/sample-cut-in?camera=0&at=1&width=100000", "/drives?at=0",
        "/drives?at=99999999999", f"/drives?q={'x' * 5000}", "/drives/sample-cut-in/999:1000",
        "/drives/sample-cut-in/9:3", "/turns/99999999999999999999", "/drives/sample-cut-in/2:8?at=1e99",
    ]  # fmt: skip
    assert {client.get(path).status_code for path in paths} <= {400, 404, 422}
    assert client.post("/review", content=b"x" * 100_000).status_code == 413
    assert client.post("/review", data={"clip": "c", "verdict": "keep", "saw": "-1"}).status_code == 422
    assert client.post("/reviewer", data={"name": EVIL}).status_code in (400, 422)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(q=st.text(max_size=60), place=st.text(max_size=20), at=st.integers(-5, 10**12), down=st.booleans())
def test_no_filter_breaks_a_list(client: httpx.Client, q: str, place: str, at: int, down: bool) -> None:
    for path in ("/drives", "/events", "/search"):
        answer = client.get(path, params={"q": q, "place": place, "at": at, "down": down})
        assert answer.status_code in (200, 422)


def test_the_console_keeps_to_its_own_description(client: httpx.Client) -> None:
    """Schemathesis makes requests along the OpenAPI description, right and wrong ones: none is an error of ours."""
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    for operation in (result.ok() for result in schema.get_all_operations()):
        if operation.path in BEGINS:
            continue

        @settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def passes(case: schemathesis.Case) -> None:
            told = case.as_transport_kwargs(base_url=str(client.base_url))
            asked = {key: told[key] for key in ("method", "url", "params", "data") if told.get(key) is not None}
            try:
                request = client.build_request(**asked)
            except (httpx.InvalidURL, TypeError, ValueError):
                return  # nothing that can be sent
            assert client.send(request).status_code < 500

        passes()


# Pages ----------------------------------------------------------------------------------------------------------------


def test_every_page_answers(client: httpx.Client) -> None:
    pages = {
        "/": "The strongest events", "/drives": "sample-jaywalker", "/events": "cut_in", "/review": "Wilson",
        "/turns": "Turns", "/models": "Models", "/drives/sample-cut-in": "What fired",
        "/drives/sample-cut-in/2.0:8.0": "constant_turn",
    }  # fmt: skip
    for path, word in pages.items():
        answer = client.get(path)
        assert answer.status_code == 200 and word in answer.text, path
    missing = client.get("/drives/sample-cut")
    assert missing.status_code == 404 and "did you mean" in missing.text


def test_an_empty_lake_says_what_to_do_next(tmp_path: Path) -> None:
    with serving(tmp_path) as here:
        browser = here.visitor("ann")
        for path in ("/", "/drives", "/events", "/turns", "/models"):
            answer = browser.get(path)
            assert answer.status_code == 200 and "understudy " in answer.text, path
        assert "understudy mine" in browser.get("/review").text


def test_filters_narrow_and_orders_order(client: httpx.Client) -> None:
    shown = re.findall(r'<td><a href="/drives/([\w-]+)"', client.get("/drives?order=seconds&down=1").text)
    assert shown[0] == "sample-red-light" and len(shown) == 5
    assert re.findall(r'<td><a href="/drives/([\w-]+)"', client.get("/drives?q=CUT").text) == ["sample-cut-in"]
    assert "No drive is like that" in client.get("/drives?source=tub").text
    events = client.get("/events?trigger=cut_in&order=score").text
    assert "cut_in" in events and "<code>displaced</code>" not in events


def parts(answer: httpx.Response) -> tuple[dict[str, list[dict[str, object]]], bytes]:
    (size,) = struct.unpack("<I", answer.content[:4])
    return json.loads(answer.content[4 : 4 + size]), answer.content[4 + size :]


def test_a_second_holds_every_picture_of_every_camera_as_it_was_stored(client: httpx.Client, sample_lake: Path) -> None:
    head, pictures = parts(client.get("/play/sample-cut-in?start=3&stop=4&at=3"))
    drive = Lake(sample_lake).drive("sample-cut-in", shadows=True)
    assert [frame["s"] for frame in head["frames"]] == pytest.approx(np.arange(30, 40) / 10)
    for number, camera in enumerate(drive.cameras):
        own = [one for one in head["pictures"] if one["camera"] == number]
        assert [one["s"] for one in own] == pytest.approx(((camera.t_ns - drive.t_ns[0]) / 1e9)[30:40])
    assert sum(int(one["bytes"]) for one in head["pictures"]) == len(pictures)  # type: ignore[call-overload]
    assert pictures.startswith(drive.cameras[0].pictures.encoded(30)[1])
    front = next(view.index for view in views(drive))
    first = head["frames"][0]
    assert str(first["above"]).count("plan p") == 2 and "polygon" in first["cameras"][str(front)]  # type: ignore[index]


def test_plans_of_another_shadow_run_have_another_address(tmp_path: Path) -> None:
    """Browsers keep what an address gave them; so does the console a drive."""
    lake, drive = Lake(tmp_path), steady_turn()
    with lake.run("ingest", "test", {}, "code") as run:
        lake.put_drive(run.part("x", ["x"]), drive)
    console = Console(lake, Access(frozenset(), "c"))
    console.index.refresh()
    before = scene(console, drive.id, 0.0, 2.0)
    assert before.moment.intents == () and scene(console, drive.id, 0.0, 2.0).part == before.part
    shadow.run(lake, ["constant_turn"])
    console.index.refresh()
    after = scene(console, drive.id, 0.0, 2.0)
    assert len(after.moment.intents) == 1 and after.part[:8] != before.part[:8]
    console.close()


def test_any_identifier_leads_somewhere(client: httpx.Client) -> None:
    event = re.findall(r"<code>(event:\w+)</code>", client.get("/events").text)[0]
    clip = json.loads(client.get("/search?q=clip:").text)[0]["name"]
    stretch = "sample-cut-in/2.0:4.0"
    known = {event: "/drives/sample-", clip: "/review?clip=", stretch: f"/drives/{stretch}"}
    for named, there in known.items():
        found = client.get(f"/go/{named}")
        assert found.status_code == 303 and found.headers["location"].startswith(there)
        assert client.get(found.headers["location"]).status_code == 200
    assert client.get("/go/clip:ffff").status_code == 404
    for short, shown in (
        ("1.01:1.04", "1.0:1.1"),
        ("0.01:0.02", "0.0:0.1"),
        ("1.04:1.06", "1.0:1.1"),
        ("2.22:", "2.2:"),
    ):
        there = client.get(f"/go/sample-cut-in/{short}").headers["location"]
        assert there == f"/drives/sample-cut-in/{shown}" and client.get(there).status_code == 200
        assert client.get(f"/drives/sample-cut-in/{short}").status_code == 200
    offered = client.get("/search?q=cut").json()
    assert {"kind": "drive", "name": "sample-cut-in", "address": "/drives/sample-cut-in"} in offered


def test_a_moment_leaves_as_mcap_that_reads_back(client: httpx.Client, tmp_path: Path) -> None:
    answer = client.get("/mcap/sample-cut-in/2.0:5.0")
    assert answer.status_code == 200 and "attachment" in answer.headers["content-disposition"]
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "moment.mcap").write_bytes(answer.content)
    ingest.ingest(Lake(tmp_path / "lake"), "mcap", tmp_path / "logs")
    (found,) = Lake(tmp_path / "lake").drives()
    assert found["seconds"] == pytest.approx(3.0) and found["pictures"] == 3 * 31


def test_a_ticket_opens_one_file_to_a_program_without_the_cookie(client: httpx.Client, tmp_path: Path) -> None:
    told = client.post("/foxglove", data={"moment": "sample-cut-in/2.0:5.0"}).json()["open"]
    assert told.startswith("foxglove://open?ds=remote-file&ds.url=http%3A%2F%2F127.0.0.1")
    address = unquote(told.partition("ds.url=")[2])
    with httpx.Client(headers={"origin": "https://elsewhere.example"}) as app:
        whole = app.get(address)
        assert whole.status_code == 200 and whole.headers["access-control-allow-origin"] == "*"
        assert whole.content.startswith(b"\x89MCAP0\r\n")
        part = app.get(address, headers={"range": "bytes=0-7"})
        assert part.status_code == 206 and part.content == whole.content[:8], "Foxglove reads in ranges"
        assert app.options(address).headers["access-control-allow-headers"] == "range"
        assert app.post(address).status_code == 405 and app.get(address, headers={"host": "evil"}).status_code == 403
        token = address.split("/")[4]
        for other in (address.replace(token, token[:-1]), address.replace(token, "x"), address.replace(token, "")):
            assert app.get(other).status_code == 404
        for path in ("/", "/mcap/sample-cut-in/2.0:5.0", "/ticket/../drives"):
            refused = app.get(f"{client.base_url}{path}", headers={"authorization": token})
            assert refused.status_code in (401, 403, 404), "a ticket opens nothing else"
        assert app.post(f"{client.base_url}/foxglove", data={"moment": "sample-cut-in"}).status_code == 403


def test_a_ticket_is_void_after_some_minutes(tmp_path: Path) -> None:
    access = Access(frozenset(), "name")
    token = access.ticket(tmp_path)
    assert access.ticketed(token) == tmp_path and access.ticketed("") is None
    access.tickets[token] = tmp_path, time.monotonic() - 1
    assert access.ticketed(token) is None


# Models and exports ---------------------------------------------------------------------------------------------------


def test_a_refusal_says_why_and_where_it_lost(client: httpx.Client, sample_lake: Path) -> None:
    id = refused(sample_lake)
    assert "lane_follow" in client.get("/models").text
    text = client.get(f"/verdicts/{id}").text
    assert "Refused" in text and "a collision more" in text and "scenario:city/grid:1" in text
    assert 'aria-label="from −0.400 to −0.100"' in text, "the interval is drawn, and told"
    assert client.get(f"/verdicts/{id}/page").status_code == 400, "the gate wrote no page of this one"
    for hash in re.findall(r'href="/models/(\w+)"', text):
        assert "a collision more" in client.get(f"/models/{hash}").text
    assert client.get("/verdicts/ffff").status_code == 404 and client.get("/films/..%2freviews").status_code == 404
    asked = {"verdict": id, "scenario": "scenario:elsewhere", "side": "candidate"}
    assert client.post("/films", data=asked).status_code == 404, "only routes of the verdict are filmed"


def test_a_film_that_failed_says_why_and_of_a_replay_none_is_offered(client: httpx.Client, sample_lake: Path) -> None:
    id = refused(sample_lake)
    console = cast(Console, SimpleNamespace(lake=Lake(sample_lake)))
    told = verdict_of(console, id)
    scenario = told["pairs"]["everyday"]["champion"][0]["scenario"]
    log = film_of(console, scenario, told["candidate_hash"]).with_suffix(".log")
    log.parent.mkdir()
    log.write_text("driving\nunderstudy: SUMO is <gone>\n")
    text = client.get(f"/verdicts/{id}").text
    assert "No film: understudy: SUMO is &lt;gone&gt;" in text and text.count('action="/films"') == 2
    log.unlink()
    replayed = "scenario:replay/sample-cut-in/r0/logged/clear/none/0"
    again = json.dumps({key: value for key, value in told.items() if key != "id"}).replace(scenario, replayed)
    id = Registry(sample_lake).record(again.encode(), dict.fromkeys(("constant_turn", "lane_follow"), ""))
    text = client.get(f"/verdicts/{id}").text
    assert replayed in text and 'action="/films"' not in text
    asked = {"verdict": id, "scenario": replayed, "side": "candidate"}
    assert client.post("/films", data=asked).status_code == 404


def test_what_is_kept_leaves_in_the_formats_of_others(client: httpx.Client, sample_lake: Path, clean: None) -> None:
    clips = Lake(sample_lake).table("clips").to_pylist()
    (asked,) = (clip for clip in clips if clip["drive"] == "sample-jaywalker")
    about = Subject(asked["id"], asked["drive"], asked["start_ns"], asked["end_ns"], asked["place"], "")
    with Reviews(sample_lake) as reviews:
        reviews.say(about, "regression", "ann")
    assert f"kept for training ({len(clips) - 1})" in client.get("/exports").text
    assert client.post("/exports", data={"kind": "csv"}).status_code == 303
    for _ in range(200):
        if "pieces" in (text := client.get("/exports").text):
            break
        time.sleep(0.1)
    (folder,) = (sample_lake / "exports").iterdir()
    assert folder.name in text and list(folder.glob("**/*.csv"))
    left = json.loads((folder / ABOUT).read_bytes())["drives"]
    assert set(left) == {clip["drive"] for clip in clips} - {asked["drive"]}, "what the gate asks is no example"
    assert client.post("/exports", data={"kind": "../csv"}).status_code == 404
    assert client.post("/exports", data={"kind": "csv", "which": "../../etc"}).status_code == 400


def test_a_turn_that_runs_elsewhere_is_known_by_its_lock(client: httpx.Client, sample_lake: Path) -> None:
    assert client.post("/turns/stop").status_code == 400, "none is under way"
    with locked(sample_lake / "turns" / ".lock", exclusive=True):
        assert "Stop" in client.get("/turns").text and client.post("/turns/resume").status_code == 400


def test_only_the_process_that_holds_the_turns_own_lock_is_interrupted(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    assert turns.holder(lock) is None
    with locked(lock, exclusive=True):
        assert turns.holder(lock) == os.getpid()
        mode, number, disk, *rest = lock.stat()
        other = SimpleNamespace(stat=lambda: os.stat_result((mode, number, disk + 1, *rest)))
        assert turns.holder(cast(Path, other)) is None, "a file of the same number on another disk"
    assert turns.holder(lock) is None


def test_a_turn_that_ends_before_it_is_stopped_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    monkeypatch.setattr(turns, "holder", lambda _: gone.pid)
    console = cast(Console, SimpleNamespace(process=None, lake=Lake(tmp_path)))
    with pytest.raises(UnderstudyError, match="no turn is under way"):
        turns.stop(console)
    with locked(tmp_path / "turns" / ".lock", exclusive=True):
        assert turns.stop(console).status_code == 303


# The queue ------------------------------------------------------------------------------------------------------------


def clip_of(text: str) -> tuple[str, str]:
    found = re.search(r'data-clip="([^"]+)" data-saw="(\d+)"', text)
    assert found is not None
    return found[1], found[2]


@pytest.mark.usefixtures("clean")
def test_a_review_is_kept_counted_and_taken_back(client: httpx.Client, sample_lake: Path) -> None:
    clip, saw = clip_of(client.get("/review").text)
    coming, _ = clip_of(client.get("/review/next", params={"after": clip}).text)
    assert coming != clip
    said = client.post("/review", data={"clip": clip, "verdict": "wrong_trigger", "saw": saw, "note": EVIL})
    told = said.json()
    assert said.status_code == 200 and told["done"] == 1 and told["precision"][0]["right"] == 0
    assert standing(sample_lake)[clip].note == EVIL
    shown = client.get("/review", params={"clip": clip}).text
    assert "<script>alert" not in shown and "ann said" in shown
    again = client.post("/review", data={"clip": clip, "verdict": "keep", "saw": saw})
    assert again.status_code == 409 and again.json()["standing"]["verdict"] == "wrong_trigger"
    assert client.post("/review/undo").json()["undone"]["clip"] == clip and standing(sample_lake) == {}


@pytest.mark.usefixtures("clean")
def test_whoever_puts_clip_after_clip_off_comes_by_every_one_before_any_again(client: httpx.Client) -> None:
    first, _ = clip_of(client.get("/review").text)
    queue = int(re.findall(r"data-left[^>]*>(\d+)", client.get("/review").text)[0])
    seen = [first]
    for _ in range(queue):
        coming = client.get("/review/next", params={"after": seen[-1]})
        seen.append(clip_of(coming.text)[0])
    assert len(set(seen)) == queue > 3 and seen[-1] == first


def test_a_lake_that_may_only_be_read_shows_what_was_said_and_the_rest_of_its_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Reviews(tmp_path) as reviews:
        reviews.say(Subject("clip:a", "drive", 0, 10, "", ""), "drop", "ann")
    monkeypatch.setattr(os, "access", lambda *_: False)
    console = Console(Lake(tmp_path), Access(frozenset(), "c"))
    assert console.said.counts() == {"drop": 1}
    assert console.lease(["clip:a", "clip:b", "clip:c"], "ben", 1) == ["clip:b"]
    with pytest.raises(UnderstudyError, match="may only be read"):
        _ = console.reviews
    console.close()


# A server that really runs --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tenth of what benchmarks/console.py looks at."""
    root = tmp_path_factory.mktemp("many")
    many(root, drives=1_000, events=10_000, clips=400)
    Index(Lake(root)).refresh()
    return root


def test_many_drives_are_quick_and_memory_stays_flat(large: Path) -> None:
    with serving(large) as here:
        browser = here.visitor("ann")
        paths = [
            "/", "/drives", "/drives?q=7&order=km", "/events?trigger=cut_in", "/events?at=100", "/review",
            "/tracks?frame=grid:1", "/drives/fleet/grid:1/car-00004", "/drives/fleet/grid:2/car-00005/2.0:8.0",
        ]  # fmt: skip
        for path in paths:  # warm
            assert browser.get(path).status_code == 200
        before, took = here.memory, []
        for n in range(100):
            began = time.perf_counter()
            assert browser.get(paths[n % len(paths)]).status_code == 200
            took.append(time.perf_counter() - began)
        for n in range(4, 400, 4):
            assert browser.get(f"/drives/fleet/grid:1/car-{n:05d}/1.0:6.0").status_code == 200
        assert np.quantile(took, 0.5) < 0.2, "benchmarks/console.py measures; here other tests run beside it"
        assert here.memory - before < 60e6, "a hundred drives were looked at, a few are kept"


def test_reviews_of_several_browsers_outlive_kills(large: Path) -> None:
    acknowledged: dict[str, str] = {}
    for kill in range(2):
        with serving(large) as here:
            ann, ben = here.visitor("ann"), here.visitor("ben")
            for browser, verdict in ((ann, "keep"), (ben, "drop")) * 8:
                clip, saw = clip_of(browser.get("/review").text)
                assert clip not in acknowledged, "nobody is given what another has said"
                said = browser.post("/review", data={"clip": clip, "verdict": verdict, "saw": saw})
                assert said.status_code == 200
                acknowledged[clip] = verdict
            os.kill(here.process.pid, signal.SIGKILL)
            here.process.wait()
        assert {clip: one.verdict for clip, one in standing(large).items()} == acknowledged, kill


def test_ctrl_c_ends_it_quietly(sample_lake: Path) -> None:
    with serving(sample_lake) as here:
        here.visitor()
        here.process.send_signal(signal.SIGINT)
        assert here.process.wait(20) == 0


def test_a_port_that_is_taken_is_said(here: Serving, client: httpx.Client, sample_lake: Path) -> None:
    command = [sys.executable, "-c", COMMAND, "serve", str(sample_lake), "--port", str(client.base_url.port)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert told.returncode == 1 and told.stderr.startswith("understudy: listening on 127.0.0.1")
    assert "--port 0" in told.stderr


def test_a_turn_is_shown_as_it_goes(tmp_path: Path) -> None:
    diary = Diary(Lake(tmp_path), 1)
    diary.tell("fleet", "begun")
    under_way = locked(tmp_path / "turns" / ".lock", exclusive=True)
    with under_way, serving(tmp_path) as here, here.visitor().stream("GET", "/progress") as lines:
        told = (json.loads(line[5:]) for line in lines.iter_lines() if line.startswith("data: {"))
        assert (next(told), next(told)) == ({"running": True}, {"turn": 1})
        diary.tell("fleet", "working", done=1, of=8, what="grid:3")
        line = next(told)
        assert (line["step"], line["done"]) == ("fleet", 1)
        assert "1 of 8" in here.visitor().get("/turns/1").text


def test_the_connections_of_threads_that_ended_are_used_again(tmp_path: Path) -> None:
    index = Index(Lake(tmp_path))
    opened = list(Path("/proc/self/fd").iterdir())
    for _ in range(40):
        thread = threading.Thread(target=index.count, args=("SELECT count(*) FROM drives",))
        thread.start()
        thread.join()
    assert len(list(Path("/proc/self/fd").iterdir())) - len(opened) < 10, "one connection: a database and its WAL"
    index.close()


def test_an_index_that_was_killed_before_it_ranked_ranks_when_it_is_asked_again(
    sample_lake: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(sample_lake, tmp_path / "lake")
    for left in root.glob("console.db*"):
        left.unlink()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("understudy.web.serve.index._rank", lambda db: (_ for _ in ()).throw(KeyboardInterrupt))
        Index(Lake(root)).refresh()
    ranked = "SELECT count(*) AS n FROM events WHERE strength IS NOT NULL"
    index = Index(Lake(root))
    assert index.rows(ranked) == [{"n": 0}]
    index.refresh()
    every = index.rows("SELECT count(*) AS n FROM events")
    assert index.rows(ranked) == every and every[0]["n"] > 0
    other = Index(Lake(root))  # a second console takes nothing up twice
    other.refresh()
    assert other.rows("SELECT count(*) AS n FROM events") == every
