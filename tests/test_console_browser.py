"""The console in a real browser: find the worst event, play it, review by keys, two at once, and nothing goes wrong.

With UNDERSTUDY_SCREENSHOTS=docs/images the same tests leave pictures of what they saw.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import pytest

from tests.console_lake import PRESET, look_closer, start
from tests.serving import Serving, serving
from tests.turning import end_state
from understudy.store import Lake
from understudy.store.reviews import Reviews, standing
from understudy.turn.diary import diary_file, turns

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra [dev]")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium (apt-get install chromium)")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
ARGUMENTS += ["--disable-component-update", "--disable-sync"]
SCREENS = {"laptop": (1280, 900, "light"), "wide": (2560, 1400, "dark"), "phone": (390, 844, "dark")}
PICTURES = os.environ.get("UNDERSTUDY_SCREENSHOTS", "")
Visit = Callable[..., Any]


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake as a turn leaves it."""
    root = tmp_path_factory.mktemp("turn") / "lake"
    assert start(root).wait(900) == 0
    return root


@pytest.fixture(scope="module")
def root(turned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with more to look at: two rules in the shadow, short clips to review, a refusal."""
    root = Path(shutil.copytree(turned, tmp_path_factory.mktemp("browser") / "lake"))
    look_closer(root)
    return root


@pytest.fixture(scope="module")
def drives(root: Path) -> list[str]:
    """What people drove in that turn, each for half a minute, as addresses say it."""
    ids = sorted(drive["id"] for drive in Lake(root).drives() if "~" not in drive["id"])
    assert len(ids) == PRESET.cars
    return [quote(id) for id in ids]


@pytest.fixture(scope="module")
def here(root: Path) -> Iterator[Serving]:
    with serving(root) as here:
        yield here


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A window of a browser that came in; any error that a page has, or any request beyond the console, fails."""
    contexts, wrong = [], []

    def come(
        reviewer: str = "", width: int = 1280, height: int = 900, theme: str = "light", to: Serving | None = None
    ) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
        contexts.append(context)
        page = context.new_page()
        address = (to or request.getfixturevalue("here")).address()
        base = address.partition("/enter")[0]
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console", lambda told: wrong.append(told.text) if told.type == "error" and "409" not in told.text else None
        )
        page.on("request", lambda asked: None if asked.url.startswith((base, "blob:")) else wrong.append(asked.url))
        page.goto(address)
        if reviewer:
            page.goto(f"{base}/review")
            page.fill("input[name=name]", reviewer)
            page.click("text=Begin")
            page.wait_for_selector(".queue")
        page.base = base
        return page

    yield come
    for context in contexts:
        context.close()
    assert not wrong


def until(page: Any, claim: str, wait_s: float = 20.0) -> None:
    """Wait until a claim in JavaScript holds. (Pages forbid what playwright's own way of waiting needs: eval.)"""
    end = time.monotonic() + wait_s
    while not page.evaluate(claim):
        assert time.monotonic() < end, claim
        page.wait_for_timeout(20)


def picture(page: Any, name: str, whole: bool = False) -> None:
    """Leave a picture for the docs, where asked."""
    if PICTURES:
        path = Path(PICTURES) / f"console-{name}.webp"
        page.wait_for_timeout(400)
        png = path.with_suffix(".png")
        page.screenshot(path=png, full_page=whole)
        from PIL import Image

        with Image.open(png) as image:
            image.convert("RGB").save(path, "WEBP", quality=82, method=6)
        png.unlink()


def seconds(page: Any) -> float:
    return float(re.sub(r"[^\d.]", "", page.text_content(".scrub output")))


# Looking --------------------------------------------------------------------------------------------------------------


def test_the_worst_event_is_found_and_played(visit: Visit) -> None:
    page = visit()
    picture(page, "start")
    page.click("text=Events")
    trigger = page.text_content("#live tbody tr td:nth-child(2) code")
    page.select_option("select[name=trigger]", trigger)
    until(page, "location.search.includes('trigger=')")
    assert set(page.locator("#live td:nth-child(2) code").all_text_contents()) == {trigger}
    page.click("#live tbody tr a")
    page.wait_for_selector(".player")
    until(page, "[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    page.keyboard.press("Space")
    until(page, "player.cameras.every((camera) => camera.drawn > 8)", 60)
    assert page.locator(".bev .then path").count() > 3, "the scene from above plays too"
    page.keyboard.press("Space")
    at = seconds(page)
    page.keyboard.press("ArrowRight")
    assert seconds(page) == pytest.approx(at + 0.1, abs=0.06)
    page.keyboard.press("Shift+ArrowLeft")
    assert seconds(page) == pytest.approx(max(at - 0.9, float(page.get_attribute(".player", "data-start"))), abs=0.06)
    page.keyboard.press("Home")
    page.keyboard.press("s")
    assert page.locator(".bevs .bev").count() > 1, "each model in a picture of its own"


def test_every_page_looks_right_on_every_screen(visit: Visit, drives: list[str]) -> None:
    for name, width, height, theme in (
        ("laptop", 1280, 900, "light"),
        ("wide", 2560, 1400, "dark"),
        ("phone", 390, 844, "dark"),
    ):
        page = visit(width=width, height=height, theme=theme)
        for path in (
            "/",
            "/drives",
            "/events",
            f"/drives/{drives[0]}",
            f"/drives/{drives[0]}/1.0:9.0",
            "/turns",
            "/turns/1",
            "/models",
            "/exports",
        ):
            page.goto(page.base + path)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
            text, ground = page.evaluate(
                "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
            )
            assert contrast(text, ground) > 7
        page.goto(f"{page.base}/drives/{drives[0]}/1.0:9.0")
        until(page, "[...document.querySelectorAll('.cam polygon')].length > 0")
        picture(page, f"moment-{name}", whole=name == "phone")


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast of two colours as a browser tells them."""
    light = []
    for colour in (one, other):
        parts = np.array([float(part) for part in re.findall(r"[\d.]+", colour)[:3]]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        light.append(float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05)
    return max(light) / min(light)


def test_the_first_picture_is_there_within_a_second(visit: Visit, drives: list[str]) -> None:
    page = visit()
    page.goto(f"{page.base}/drives/{drives[0]}/1.0:9.0")
    page.goto(f"{page.base}/drives/{drives[1]}/2.0:12.0")
    until(page, "document.querySelector('.cam img').naturalWidth > 0")
    took = page.evaluate(
        "performance.getEntriesByType('resource').find((one) => one.name.includes('/picture/')).responseEnd"
    )
    assert took < 3000, "benchmarks/console.py measures it; here other tests run beside it"


def test_six_cameras_play_together_at_their_rate(visit: Visit, drives: list[str]) -> None:
    page = visit()
    page.goto(f"{page.base}/drives/{drives[0]}/0:10")
    assert page.locator(".cam").count() == 6
    until(page, "player.chunks.get(0)?.ready || player.chunks.size > 0")
    page.keyboard.press("Space")
    until(page, "player.time > 1")
    before = page.evaluate("[performance.now(), player.time, player.cameras.map((camera) => camera.drawn)]")
    until(page, "player.time > 5")
    after = page.evaluate("[performance.now(), player.time, player.cameras.map((camera) => camera.drawn)]")
    drawn = np.array(after[2]) - np.array(before[2])
    assert (drawn >= 0.9 * 10 * (after[1] - before[1]) - 2).all(), "every camera shows what it has"
    assert np.ptp(drawn) <= 2, "and all of them together"


def test_any_page_is_a_few_keys_away(visit: Visit, drives: list[str]) -> None:
    page, drive = visit(), unquote(drives[1])
    page.keyboard.press("Control+k")
    page.keyboard.type(drive[-12:])
    page.wait_for_selector(f"#palette li >> text={drive}")
    picture(page, "anywhere")
    page.keyboard.press("Enter")
    page.wait_for_selector("h2 >> text=What fired")
    assert unquote(page.url).endswith(f"/drives/{drive}")
    page.keyboard.press("Control+k")
    page.keyboard.type(f"{drive}/2.0:6.0")
    page.keyboard.press("Enter")  # before the answer is there
    page.wait_for_selector(".player")
    assert unquote(page.url).endswith(f"/drives/{drive}/2.0:6.0")


def test_a_list_narrows_while_one_types_and_pages_need_no_mouse(visit: Visit, drives: list[str]) -> None:
    page, drive = visit(), unquote(drives[2])
    page.goto(page.base + "/drives")
    picture(page, "drives")
    page.keyboard.press("/")
    page.keyboard.type(drive[-4:])
    until(page, "document.querySelectorAll('#live tbody tr').length === 1")
    assert f"q={drive[-4:]}" in page.url
    page.keyboard.press("Escape")
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim()"))
    assert {drive, "Review", "Models"} <= reached
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_why_the_gate_refused_is_three_clicks_away(visit: Visit) -> None:
    page = visit()
    page.click("text=Models")
    page.click("text=constant_turn")
    page.click("text=Everything behind it")
    page.wait_for_selector("text=Refused")
    page.wait_for_selector("text=score on everyday worse by")
    assert page.locator("svg.gap .mean").count() > 0
    picture(page, "verdict")


def test_a_turn_says_what_it_came_to(visit: Visit) -> None:
    page = visit()
    page.click("text=Turns")
    page.click("td a >> text=turn 1")
    assert page.locator(".dot.done").count() > 8 and page.locator("button >> text=Stop").count() == 0
    picture(page, "turn")
    page.click("text=What it came to, on one page")
    page.wait_for_selector("text=What to collect next")


def test_what_is_kept_is_exported_by_a_click(visit: Visit, root: Path) -> None:
    page = visit()
    page.click("text=Exports")
    before = set(root.glob("exports/csv-*/**/*.csv"))
    page.select_option("select[name=kind]", "csv")
    page.click("button >> text=Export")
    page.wait_for_selector("text=pieces", timeout=30000)
    assert set(root.glob("exports/csv-*/**/*.csv")) > before


# A turn as it goes ----------------------------------------------------------------------------------------------------


def test_a_turn_is_stopped_and_goes_on_to_the_same_end(visit: Visit, turned: Path, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    with start(root) as turn, ExitStack() as stack:
        while not diary_file(root, 1).is_file():
            time.sleep(0.1)
        page = visit(to=stack.enter_context(serving(root)))
        page.goto(f"{page.base}/turns/1")
        until(page, "/ of /.test(document.querySelector('[data-step=fleet]').textContent)", 300)
        page.click("button >> text=Stop")
        assert turn.wait(60) != 0
        page.wait_for_selector("button >> text=Go on")
        assert page.locator("td >> text=stopped").count() == 1 and "promote" not in turns(Lake(root))[1]
        page.click("button >> text=Go on")
        page.wait_for_selector("button >> text=Stop")
        page.wait_for_selector("button >> text=Begin a turn", timeout=900_000)
        assert "report" in turns(Lake(root))[1]
        page.close()
    assert end_state(root) == end_state(turned)


# Reviewing ------------------------------------------------------------------------------------------------------------


def review(page: Any, key: str) -> float:
    """Press a key when the next clip is loaded; milliseconds until it was on the page."""
    until(page, "document.querySelector('.queue').dataset.ready !== ''")
    saved = page.evaluate("+(document.querySelector('.queue').dataset.saved ?? 0)")
    page.keyboard.press(key)
    until(page, f"+document.querySelector('.queue').dataset.saved === {saved + 1}")
    return float(page.evaluate("document.querySelector('.queue').dataset.moved"))


@pytest.fixture
def clean(root: Path) -> Iterator[None]:
    """Whatever a test reviews is taken back."""
    yield
    with Reviews(root) as reviews:
        for who in {said.reviewer for said in reviews.standing().values()}:
            while reviews.undo(who):
                pass


@pytest.mark.usefixtures("clean")
def test_twenty_clips_are_reviewed_by_keys_and_taken_back(visit: Visit, root: Path) -> None:
    page = visit("ann")
    left = int(page.text_content("[data-left]"))
    assert left >= 20
    page.fill(".remark", "the cone was seen late")
    page.keyboard.press("Escape")
    picture(page, "review")
    took = [review(page, "kdwbr"[n % 5]) for n in range(20)]
    assert np.median(took) < 50, "the next clip is there before it is asked for"
    said = standing(root)
    assert len(said) == 20 and {one.verdict for one in said.values()} == {
        "keep",
        "drop",
        "wrong_trigger",
        "bad_label",
        "regression",
    }
    assert [one.note for one in said.values() if one.note] == ["the cone was seen late"]
    assert int(page.text_content("[data-left]")) == left - 20
    assert page.locator(".precision tbody tr").count() > 0
    for n in range(20):
        page.keyboard.press("u")
        until(page, f"+document.querySelector('.queue').dataset.undone === {n + 1}")
    assert standing(root) == {} and page.locator("#clip .player").count() == 1


@pytest.mark.usefixtures("clean")
def test_two_people_review_at_once_and_never_the_same_clip(visit: Visit, root: Path) -> None:
    ann, ben = visit("ann"), visit("ben")
    for _ in range(3):
        here, there = (page.get_attribute("#clip article", "data-clip") for page in (ann, ben))
        assert here != there
        review(ann, "k")
        review(ben, "d")
    said = list(standing(root).values())
    assert sorted(one.reviewer for one in said) == ["ann"] * 3 + ["ben"] * 3
    clip = next(one.clip for one in said if one.reviewer == "ann")
    for page in (ann, ben):
        page.goto(f"{page.base}/review?clip={clip}")
    review(ann, "b")
    until(ben, "document.querySelector('.queue').dataset.ready !== ''")
    with ben.expect_response(lambda answer: answer.status == 409):
        ben.keyboard.press("d")
    ben.wait_for_selector(".saved.alarm >> text=ann said bad_label")
    until(ben, f"document.querySelector('#clip article').dataset.clip === '{clip}'")  # again, as ann left it
    assert standing(root)[clip].reviewer == "ann"
