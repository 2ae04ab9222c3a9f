"""How quick the console is over a large lake, and whether pictures keep their rate in a real browser.

    python benchmarks/console.py                      10,000 drives, 100,000 events
    python benchmarks/console.py --drives 1000        the same, smaller
    python benchmarks/console.py --only pages         or queue, or films

Columns are generated (`tests/many.py`). Pages are asked for one after the other over one connection, as a person does;
the queue is measured in chromium from the key to the next clip on the page. Films are a sample drive as six small
cameras and as a large one saw it, from a server that has just begun.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.many import TOWNS, TRIGGERS, many
from tests.serving import Serving, serving
from understudy import ingest, recorder, sample
from understudy.records import Array, Camera, Ints
from understudy.store import Lake

PAGE_MS, MOVE_MS, FIRST_MS, GROWTH_MB = 200.0, 50.0, 1000.0, 50.0
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
ARGUMENTS += ["--disable-component-update", "--disable-sync"]


def pages(drives: int, events: int) -> dict[str, Callable[[random.Random], str]]:
    """An address of each kind of page, another each time."""

    def drive(chance: random.Random) -> str:
        n = chance.randrange(drives)
        return f"/drives/fleet/{TOWNS[n % 4]}/car-{n:05d}"

    return {
        "start": lambda _: "/",
        "drives": lambda chance: f"/drives?at={chance.randint(1, drives // 50)}",
        "drives, filtered, ordered": lambda chance: f"/drives?q={chance.randrange(100)}&weather=rain&order=km&down=1",
        "tracks of a town": lambda chance: f"/tracks?frame={chance.choice(TOWNS)}",
        "events": lambda chance: f"/events?at={chance.randint(1, events // 50)}",
        "events of a trigger": lambda chance: f"/events?trigger={chance.choice(TRIGGERS)}&order=score",
        "events, by name": lambda chance: f"/events?q=car-{chance.randrange(100):02d}&place=grid",
        "a drive": drive,
        "a moment": lambda chance: f"{drive(chance)}/{chance.randint(0, 3)}.0:8.0",
        "a second that plays": lambda chance: drive(chance).replace("/drives", "/play") + "?start=2&stop=3&at=2",
        "queue": lambda _: "/review",
        "next clip": lambda _: "/review/next",
        "anywhere": lambda chance: f"/search?q=car-{chance.randrange(1000):03d}",
        "turns": lambda _: "/turns",
        "models": lambda _: "/models",
        "exports": lambda _: "/exports",
    }


def measure_pages(here: Serving, browser: httpx.Client, drives: int, events: int, rounds: int) -> bool:
    """Every page, `rounds` times; whether all are within the limit and memory is flat."""
    chance = random.Random(1)
    kinds = pages(drives, events)
    for address in kinds.values():
        browser.get(address(chance))
    fine, before = True, 0
    print(f"{'page':28}{'median ms':>11}{'p95 ms':>9}{'kB':>8}")
    for turn in range(2):  # the first round fills what is kept, the second must not grow
        for name, address in kinds.items():
            took, size = [], 0
            for _ in range(rounds):
                began = time.perf_counter()
                answer = browser.get(address(chance))
                took.append(1000 * (time.perf_counter() - began))
                size = len(answer.content)
                assert answer.status_code in (200, 204), answer.text
            if turn:
                late = float(np.quantile(took, 0.95))
                fine &= late <= PAGE_MS
                print(f"{name:28}{np.median(took):11.1f}{late:9.1f}{size / 1000:8.1f}")
        if not turn:
            before = here.memory
    grown = (here.memory - before) / 1e6
    print(f"memory {here.memory / 1e6:.0f} MB, {grown:+.1f} MB over the last {rounds * len(kinds)} pages")
    return fine and grown < GROWTH_MB


@contextmanager
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


def window(browser: Any, here: Serving) -> Any:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    address = here.address()
    page.base = address.partition("/enter")[0]
    page.goto(address)
    return page


def until(page: Any, claim: str) -> None:
    end = time.monotonic() + 60
    while not page.evaluate(claim):
        if time.monotonic() > end:
            raise TimeoutError(f"{claim}; the page says: {page.evaluate('document.body.innerText')[:400]}")
        page.wait_for_timeout(10)


def measure_queue(browser: Any, here: Serving, clips: int) -> bool:
    """From the key to the next clip on the page."""
    page = window(browser, here)
    page.goto(f"{page.base}/review")
    page.fill("input[name=name]", "ben")
    page.click("text=Begin")
    page.wait_for_selector(".queue")
    took = []
    for n in range(clips):
        until(page, "document.querySelector('.queue').dataset.ready !== ''")
        page.keyboard.press("kdwb"[n % 4])
        until(page, f"+document.querySelector('.queue').dataset.saved === {n + 1}")
        took.append(float(page.evaluate("document.querySelector('.queue').dataset.moved")))
    late = float(np.quantile(took, 0.95))
    print(f"queue, key to next clip: median {np.median(took):.1f} ms, p95 {late:.1f} ms, of {clips}")
    return late <= MOVE_MS


def measure_film(browser: Any, here: Serving, drive: str, seconds: float) -> bool:
    """The first picture of a moment, and how many of its pictures each camera shows while it plays."""
    page = window(browser, here)
    page.goto(f"{page.base}/drives/{drive}/1.0:{seconds + 1:.1f}")
    until(page, "document.querySelector('.cam img').naturalWidth > 0")
    first = page.evaluate(
        "performance.getEntriesByType('resource').find((one) => one.name.includes('/picture/')).responseEnd"
    )
    page.keyboard.press("Space")
    told = "[performance.now(), player.time, ...player.cameras.map((camera) => camera.drawn)]"
    until(page, "player.time > 2")
    before = np.array(page.evaluate(told), float)
    until(page, f"player.time > {seconds - 1}")
    after = np.array(page.evaluate(told), float)
    passed, played, *drawn = after - before
    rates = np.array(drawn) / (passed / 1000)
    rate = float(page.text_content(".cam figcaption .soft").split()[0])
    print(
        f"{drive[:40]}: first picture after {first:.0f} ms; {len(drawn)} cameras of {rate:.0f} Hz show "
        f"{rates.min():.1f} to {rates.max():.1f} a second, at {played / (passed / 1000):.2f} of the drive's pace"
    )
    return bool(first <= FIRST_MS and rates.min() >= 0.95 * rate)


def films(root: Path) -> list[str]:
    """A lake with two drives: six cameras of 128 x 64 at 10 Hz, and one of 1164 x 874 at 20 Hz."""
    lake, logs = Lake(root), root / "sample"
    sample.write(logs, size=(128, 64))
    ingest.ingest(lake, "mcap", logs)
    drive = lake.drive("sample-stopped-truck")
    cameras = tuple(replace(drive.cameras[n % 3], name=f"camera_{n}") for n in range(6))
    recorder.write(replace(drive, id="six-cameras", cameras=cameras), logs / "six.mcap")
    ingest.ingest(lake, "mcap", logs)
    stamps = drive.t_ns[0] + np.arange(20 * 13, dtype=np.int64) * 50_000_000
    large = replace(drive.cameras[0], size=(1164, 874), t_ns=stamps, pictures=Enlarged(drive.cameras[0]), K=None)
    recorder.write(replace(drive, id="one-large-camera", cameras=(large,)), logs / "large.mcap")
    ingest.ingest(lake, "mcap", logs)
    return ["six-cameras", "one-large-camera"]


@dataclass(frozen=True)
class Enlarged:
    """Pictures of a camera of 10 Hz as one of 20 Hz would have them, 1164 x 874, with the grain of a sensor."""

    camera: Camera

    def __len__(self) -> int:
        return 20 * 13

    def read(self, indices: Ints) -> Array:
        return np.stack([self._picture(int(index)) for index in indices])

    def encoded(self, index: int) -> tuple[str, bytes]:
        Image.fromarray(self._picture(index)).save(packed := io.BytesIO(), "JPEG", quality=90)
        return "jpeg", packed.getvalue()

    def _picture(self, index: int) -> Array:
        small = Image.fromarray(self.camera.pictures.read(np.array([index // 2]))[0])
        grain = np.random.default_rng(index).normal(0, 6, (874, 1164, 1))
        return np.clip(np.asarray(small.resize((1164, 874))) + grain, 0, 255).astype(np.uint8)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drives", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--only", choices=("pages", "queue", "films"))
    told = parser.parse_args()
    wanted = {told.only} if told.only else {"pages", "queue", "films"}
    fine = True
    with tempfile.TemporaryDirectory(prefix="understudy-console-") as folder:
        if wanted & {"pages", "queue"}:
            large = many(Path(folder) / "many", told.drives, 10 * told.drives).root
            began = time.perf_counter()
            with serving(large) as here:
                browser = here.visitor("ann")
                while "still to come" in browser.get("/").text:
                    time.sleep(0.5)
                print(
                    f"{told.drives} drives, ten times as many events: indexed after {time.perf_counter() - began:.0f} s"
                )
                if "pages" in wanted:
                    fine &= measure_pages(here, browser, told.drives, 10 * told.drives, told.rounds)
                if "queue" in wanted:
                    with chromium() as chrome:
                        fine &= measure_queue(chrome, here, told.clips)
        if "films" in wanted:
            names = films(Path(folder) / "films")
            for name in names:  # each with a server that has opened no log yet
                with serving(Path(folder) / "films") as here, chromium() as chrome:
                    fine &= measure_film(chrome, here, name, 12.0)
    print("all within the limits" if fine else "NOT all within the limits")
    return 0 if fine else 1


if __name__ == "__main__":
    raise SystemExit(main())
