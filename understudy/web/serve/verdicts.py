"""Verdicts: why, with what intervals, and the routes that cost most, which may be filmed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from understudy.errors import UnderstudyError, UnknownName
from understudy.registry import Registry
from understudy.store import digest
from understudy.web.serve.console import Console, console_of
from understudy.web.serve.pages import alone, page
from understudy.web.serve.turns import registry_of
from understudy.web.standalone import verdict_page

WORST = 12
_ID = re.compile(r"[0-9a-f]{8,64}")

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Pair:
    """Both drivers on one route."""

    suite: str
    scenario: str
    champion: Mapping[str, Any]
    candidate: Mapping[str, Any]

    @property
    def filmed(self) -> bool:
        """Whether it can be driven again as a film: a log that is replayed has no cameras."""
        return self.scenario.startswith("scenario:city/")

    @property
    def difference(self) -> float:
        """Of the driving score; negative where the candidate did worse."""
        scores = [one.get("driving_score") for one in (self.candidate, self.champion)]
        return float(scores[0]) - float(scores[1]) if None not in scores else 0.0  # type: ignore[arg-type]


@router.get("/verdicts/{id}", response_class=HTMLResponse)
def verdict(request: Request, console: Annotated[Console, Depends(console_of)], id: str) -> HTMLResponse:
    """A verdict: its reasons, its measures, the worst routes."""
    told = verdict_of(console, id)
    pairs = sorted(_pairs(told), key=lambda pair: pair.difference)
    worst = [pair for pair in pairs if pair.difference < -0.01][:WORST]
    films = {
        (pair.scenario, side): film_of(console, pair.scenario, told[f"{side}_hash"])
        for pair in worst
        for side in ("champion", "candidate")
    }
    ready = {key: path.stem for key, path in films.items() if path.is_file()}
    making = console.filming.stem if console.filming and _making(console) else ""
    failed = {key: why for key, path in films.items() if path.stem != making and (why := _failed(path))}
    rows = [*told["evidence"]["findings"], *told["evidence"]["guards"]]
    return page(
        request, "verdict.html", id=id, verdict=told, rows=rows, routes=len(pairs), worst=worst, ready=ready,
        failed=failed, making=making, whole=_written(console, told).is_file(),
    )  # fmt: skip


@router.get("/verdicts/{id}/page", response_class=HTMLResponse)
def whole(console: Annotated[Console, Depends(console_of)], id: str) -> Response:
    """The page that the gate wrote of a verdict, with every suite in it."""
    path = _written(console, verdict_of(console, id))
    if not path.is_file():
        raise UnderstudyError("the page of this verdict is not in the lake; `understudy gate` writes it")
    return alone(path.read_text(encoding="utf-8"))


def verdict_of(console: Console, id: str) -> dict[str, Any]:
    """A verdict of the registry, as the gate wrote it."""
    registry: Registry | None = registry_of(console)
    for model in registry.models() if registry else []:
        for told in registry.verdicts(model.hash) if registry else []:
            if told["id"] == id:
                return told
    raise UnknownName("verdict", id, ())


def _written(console: Console, told: Mapping[str, Any]) -> Path:
    """Where `web.verdict.write` puts the page."""
    name = verdict_page(told["champion_hash"], told["candidate_hash"], told["settings"])
    return console.lake.root / "pages" / name


def _pairs(told: Mapping[str, Any]) -> list[Pair]:
    return [
        Pair(suite, one["scenario"], one, other)
        for suite, both in told["pairs"].items()
        for one, other in zip(both["champion"], both["candidate"], strict=True)
    ]


# Films ----------------------------------------------------------------------------------------------------------------


def film_of(console: Console, scenario: str, model: str) -> Path:
    """Where the film of a driver in a scenario lies, or would."""
    return console.lake.root / "films" / f"{digest([scenario, model])}.mp4"


def _failed(path: Path) -> str:
    """Why there is no film though it was begun: the last that was said."""
    log = path.with_suffix(".log")
    told = log.is_file() and not path.is_file() and log.read_text(encoding="utf-8", errors="replace").splitlines()
    return told[-1] if told else ""


def _making(console: Console) -> bool:
    return console.film is not None and console.film.poll() is None


@router.post("/films")
def film(
    console: Annotated[Console, Depends(console_of)],
    verdict: Annotated[str, Form(max_length=64)],
    scenario: Annotated[str, Form(max_length=200)],
    side: Annotated[str, Form(max_length=20)],
) -> Response:
    """Have a driver drive a route of a verdict once more, and film it. One film is made at a time."""
    told = verdict_of(console, verdict)
    if side not in ("champion", "candidate") or scenario not in {pair.scenario for pair in _pairs(told) if pair.filmed}:
        raise UnknownName("route of this verdict", scenario, ())
    if _making(console):
        raise UnderstudyError("a film is being made; the next one when that is done")
    registry = registry_of(console)
    assert registry is not None
    path = film_of(console, scenario, told[f"{side}_hash"])
    path.parent.mkdir(exist_ok=True)
    spec = registry.model(told[f"{side}_hash"]).spec
    script = "from understudy.cli import main; main()"
    command = [sys.executable, "-c", script, "watch", scenario, "--driver", spec, "--film", str(path)]
    with path.with_suffix(".log").open("wb") as log:
        console.film = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    console.filming = path
    return RedirectResponse(f"/verdicts/{verdict}#routes", 303)


@router.get("/films/{name}", response_class=FileResponse, responses={200: {"content": {"video/mp4": {}}}})
def filmed(console: Annotated[Console, Depends(console_of)], name: str) -> Response:
    """A film that was made."""
    path = console.lake.root / "films" / f"{name}.mp4"
    if not _ID.fullmatch(name) or not path.is_file() or (console.filming == path and _making(console)):
        raise UnknownName("film", name, ())
    return FileResponse(path, media_type="video/mp4")
