"""The application: its rooms, its files, and errors that a person can read."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, Response
from starlette.exceptions import HTTPException

from understudy import __version__, plugins
from understudy.errors import UnderstudyError, UnknownName
from understudy.store import Lake
from understudy.store.reviews import Conflict
from understudy.web.serve import drives, export, media, moment, review, search, turns, verdicts
from understudy.web.serve.access import Access, Door
from understudy.web.serve.console import Console
from understudy.web.serve.pages import STATIC, page

THREADS = 8  # requests worked on at once: more would only wait for the processor, with more in memory


def make(lake: Lake, access: Access) -> Door:
    """The application over a lake, behind its door."""
    console = Console(lake, access)

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        await anyio.to_thread.run_sync(console.start)
        threading.Thread(target=_warm, args=(console,), daemon=True).start()
        yield
        console.close()

    app = FastAPI(
        title="Understudy", version=__version__, docs_url=None, redoc_url=None, lifespan=running, redirect_slashes=False
    )
    app.state.console = console
    for room in (drives, moment, media, review, turns, verdicts, search, export):
        app.include_router(room.router)
    app.add_api_route("/static/{name}", _static, include_in_schema=False)
    app.add_exception_handler(UnderstudyError, _told)
    app.add_exception_handler(RequestValidationError, _told)
    app.add_exception_handler(HTTPException, _told)
    return Door(app, access)


def _warm(console: Console) -> None:
    """Import what the first moment would wait for: its triggers, to say what they say, and its reader."""
    for row in console.index.rows("SELECT trigger FROM yields"):
        moment.told(row["trigger"])
    for row in console.index.rows("SELECT DISTINCT reader FROM drives"):
        with suppress(UnderstudyError):
            plugins.load("reader", row["reader"])


def _static(name: str) -> Response:
    if name not in STATIC:
        raise HTTPException(404)
    return FileResponse(STATIC[name], headers={"cache-control": "private, max-age=31536000, immutable"})


def _told(request: Request, error: Exception) -> Response:
    """One line for the person, as a page; as JSON for a script."""
    status, said = _said(error)
    if "application/json" in request.headers.get("accept", ""):
        from fastapi.responses import JSONResponse

        return JSONResponse({"error": said}, status)
    return page(request, "error.html", status, said=said)


def _said(error: Exception) -> tuple[int, str]:
    if isinstance(error, RequestValidationError):
        return 422, "; ".join(f"{_place(one)}: {one['msg']}" for one in error.errors())
    if isinstance(error, HTTPException):
        return error.status_code, "there is no such page" if error.status_code == 404 else str(error.detail)
    status = 404 if isinstance(error, UnknownName) else 409 if isinstance(error, Conflict) else 400
    return status, str(error)


def _place(one: dict[str, Any]) -> str:
    return ".".join(str(part) for part in one["loc"][1:]) or "request"
