"""The console in a real browser: find the worst event, play it, review by keys, two at once, and nothing goes wrong.

With UNDERSTUDY_SCREENSHOTS=docs/images the same tests leave pictures of what they saw.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.refusal import refused
from tests.serving import Serving, serving
from understudy import ingest, mine, recorder, sample, shadow
from understudy.records import Drive
from understudy.store import Lake
from understudy.store.reviews import Review, standing

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra [dev]")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium (apt-get install chromium)")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
ARGUMENTS += ["--disable-component-update", "--disable-sync"]
SCREENS = {"laptop": (1280, 900, "light"), "wide": (2560, 1400, "dark"), "phone": (390, 844, "dark")}
MOMENT = "/drives/sample-cut-in/1.0:9.0"
PICTURES = os.environ.get("UNDERSTUDY_SCREENSHOTS", "")
Visit = Callable[..., Any]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample drives, and one with six cameras at 10 Hz; plans, events and clips."""
    root = tmp_path_factory.mktemp("browser") / "lake"
    logs = root / "sample"
    sample.write(logs, size=(384, 192) if PICTURES else (128, 64))
    lake = Lake(root)
    ingest.ingest(lake, "mcap", logs)
    recorder.write(six_cameras(lake.drive("sample-stopped-truck")), logs / "six.mcap")
    ingest.ingest(lake, "mcap", logs)
    shadow.run(lake, ["lane_follow", "constant_turn"])
    mine.run(lake, mine.Mine(budget="40", context_s=1.0, longest_s=8.0))
    return root


def six_cameras(drive: Drive) -> Drive:
    """A drive seen by six cameras of 128 x 64."""
    cameras = tuple(replace(drive.cameras[n % 3], name=f"camera_{n}") for n in range(6))
    return replace(drive, id="six-cameras", cameras=cameras, shadows={})


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
def visit(browser: Any, here: Serving) -> Iterator[Visit]:
    """A window of a browser that came in; any error that a page has, or any request beyond the console, fails."""
    contexts, wrong = [], []

    def come(reviewer: str = "", width: int = 1280, height: int = 900, theme: str = "light") -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
        contexts.append(context)
        page = context.new_page()
        address = here.address()
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


def test_the_strongest_event_is_found_and_played(visit: Visit) -> None:
    page = visit()
    picture(page, "start")
    page.click("text=Events")
    page.select_option("select[name=trigger]", "would_hit")
    until(
        page,
        "[...document.querySelectorAll('#live td:nth-child(2)')].every((cell) => cell.textContent === 'would_hit')",
    )
    page.click("#live tbody tr a")
    page.wait_for_selector(".player")
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    page.keyboard.press("Space")
    until(page, "player.cameras.every((camera) => camera.drawn > 8)")
    assert page.locator(".bev .then path").count() > 3, "the scene from above plays too"
    page.keyboard.press("Space")
    at = seconds(page)
    page.keyboard.press("ArrowRight")
    assert seconds(page) == pytest.approx(at + 0.1, abs=0.06)
    page.keyboard.press("Shift+ArrowLeft")
    assert seconds(page) == pytest.approx(max(at - 0.9, float(page.get_attribute(".player", "data-start"))), abs=0.06)
    page.keyboard.press("Home")
    page.keyboard.press("s")
    assert page.locator(".bevs .bev").count() == 2, "each model in a picture of its own"


def test_a_moment_looks_right_on_every_screen(visit: Visit) -> None:
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
            "/drives/sample-cut-in",
            "/drives/sample-cut-in/1.0:9.0",
            "/turns",
            "/models",
        ):
            page.goto(page.base + path)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
            text, ground = page.evaluate(
                "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
            )
            assert contrast(text, ground) > 7
        page.goto(page.base + "/drives/sample-cut-in/1.0:9.0")
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


def test_the_first_picture_is_there_within_a_second(visit: Visit) -> None:
    page = visit()
    page.goto(page.base + MOMENT)
    page.goto(page.base + "/drives/sample-red-light/2.0:12.0")
    until(page, "document.querySelector('.cam img').naturalWidth > 0")
    took = page.evaluate(
        "performance.getEntriesByType('resource').find((one) => one.name.includes('/picture/')).responseEnd"
    )
    assert took < 3000, "benchmarks/console.py measures it; here other tests run beside it"


def test_six_cameras_play_together_at_their_rate(visit: Visit) -> None:
    page = visit()
    page.goto(page.base + "/drives/six-cameras/0:10")
    until(page, "player.chunks.get(0)?.ready || player.chunks.size > 0")
    page.keyboard.press("Space")
    until(page, "player.time > 1")
    before = page.evaluate("[performance.now(), player.time, player.cameras.map((camera) => camera.drawn)]")
    until(page, "player.time > 5")
    after = page.evaluate("[performance.now(), player.time, player.cameras.map((camera) => camera.drawn)]")
    drawn = np.array(after[2]) - np.array(before[2])
    assert (drawn >= 0.9 * 10 * (after[1] - before[1]) - 2).all(), "every camera shows what it has"
    assert np.ptp(drawn) <= 2, "and all of them together"


def test_any_page_is_a_few_keys_away(visit: Visit) -> None:
    page = visit()
    page.keyboard.press("Control+k")
    page.keyboard.type("sample-red")
    page.wait_for_selector("#palette li >> text=sample-red-light")
    picture(page, "anywhere")
    page.keyboard.press("Enter")
    page.wait_for_url("**/drives/sample-red-light")
    page.keyboard.press("Control+k")
    page.keyboard.type("sample-cut-in/2.0:6.0")
    page.wait_for_selector("#palette small >> text=moment")
    page.keyboard.press("Enter")
    page.wait_for_url("**/drives/sample-cut-in/2.0:6.0")


def test_a_list_narrows_while_one_types_and_pages_need_no_mouse(visit: Visit) -> None:
    page = visit()
    page.goto(page.base + "/drives")
    picture(page, "drives")
    page.keyboard.press("/")
    page.keyboard.type("jay")
    until(page, "document.querySelectorAll('#live tbody tr').length === 1")
    assert "q=jay" in page.url
    page.keyboard.press("Escape")
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim()"))
    assert {"sample-jaywalker", "Review", "Models"} <= reached
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_why_the_gate_refused_is_three_clicks_away(visit: Visit, root: Path) -> None:
    refused(root)
    page = visit()
    page.click("text=Models")
    page.click("text=lane_follow")
    page.click("text=Everything behind it")
    page.wait_for_selector("text=a collision more")
    assert page.locator("svg.gap .mean").count() == 1
    picture(page, "verdict")


def test_what_is_kept_is_exported_by_a_click(visit: Visit, root: Path) -> None:
    page = visit()
    page.click("text=Exports")
    page.select_option("select[name=kind]", "csv")
    page.click("button >> text=Export")
    page.wait_for_selector("text=pieces", timeout=30000)
    assert list((root / "exports").glob("csv-*/**/*.csv"))


# Reviewing ------------------------------------------------------------------------------------------------------------


def review(page: Any, key: str) -> float:
    """Press a key when the next clip is loaded; milliseconds until it was on the page."""
    until(page, "document.querySelector('.queue').dataset.ready !== ''")
    saved = page.evaluate("+(document.querySelector('.queue').dataset.saved ?? 0)")
    page.keyboard.press(key)
    until(page, f"+document.querySelector('.queue').dataset.saved === {saved + 1}")
    return float(page.evaluate("document.querySelector('.queue').dataset.moved"))


def since(before: dict[str, Review], root: Path) -> dict[str, Review]:
    """What stands now and did not before: the other tests review clips of the same lake, in any order."""
    return {clip: one for clip, one in standing(root).items() if clip not in before}


def test_twenty_clips_are_reviewed_by_keys_and_taken_back(visit: Visit, root: Path) -> None:
    before = standing(root)
    page = visit("ann")
    left = int(page.text_content("[data-left]"))
    assert left >= 12
    page.fill(".remark", "the cone was seen late")
    page.keyboard.press("Escape")
    picture(page, "review")
    count = min(20, left - 4)
    took = [review(page, "kdwbr"[n % 5]) for n in range(count)]
    assert np.median(took) < 50, "the next clip is there before it is asked for"
    said = since(before, root)
    assert len(said) == count and {one.verdict for one in said.values()} == {
        "keep",
        "drop",
        "wrong_trigger",
        "bad_label",
        "regression",
    }
    assert [one.note for one in said.values() if one.note] == ["the cone was seen late"]
    assert int(page.text_content("[data-left]")) == left - count
    assert page.locator(".precision tbody tr").count() > 0
    for n in range(count):
        page.keyboard.press("u")
        until(page, f"+document.querySelector('.queue').dataset.undone === {n + 1}")
    assert standing(root) == before and page.locator("#clip .player").count() == 1


def test_two_people_review_at_once_and_never_the_same_clip(visit: Visit, root: Path) -> None:
    before = standing(root)
    ann, ben = visit("ann"), visit("ben")
    for _ in range(3):
        here, there = (page.get_attribute("#clip article", "data-clip") for page in (ann, ben))
        assert here != there
        review(ann, "k")
        review(ben, "d")
    said = list(since(before, root).values())
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
