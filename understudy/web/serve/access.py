"""Who may see the console: whoever holds the cookie that a one-time address was exchanged for, on this machine.

A lake holds what cars filmed. So nothing is answered without the cookie; a request must be for a name that the console
goes by (a page elsewhere cannot have a name of its own point here: DNS rebinding); what changes something must come
from a page of ours (a page elsewhere cannot post: CSRF); and pages may load, run and talk to nothing but the console.

One thing is open to a program without a cookie: a file that somebody inside has just given a ticket for. The ticket is
as long as the cookie, names that file alone, and is void after some minutes.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

from starlette.responses import FileResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

INVITATION_S = 24 * 3600.0  # an address that nobody opened
TICKET_S = 600.0
LARGEST_BODY = 64 * 1024
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "media-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}
SAFE = ("GET", "HEAD")
PORTS = {"http": 80, "https": 443}  # that browsers leave away
FOR_A_VIEWER = {  # whoever has the ticket may read, from wherever its own pages come
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, HEAD",
    "access-control-allow-headers": "range",
    "access-control-allow-private-network": "true",
    "access-control-expose-headers": "accept-ranges, content-length, content-range, etag",
    "cross-origin-resource-policy": "cross-origin",
}


@dataclass
class Visitor:
    """One browser that was let in."""

    reviewer: str = ""


def _nobody(_: str) -> None:
    pass


@dataclass
class Access:
    """The keys of one console: invitations not yet used, and the visitors behind each cookie."""

    hosts: frozenset[str]  # names that are ours, in lower case, each with its port
    cookie: str
    invitations: dict[str, float] = field(default_factory=dict)  # until when, by token
    visitors: dict[str, Visitor] = field(default_factory=dict)
    tickets: dict[str, tuple[Path, float]] = field(default_factory=dict)  # a file, and until when, by token
    tell: Callable[[str], None] = _nobody  # hands a fresh token on when one was used, for the next browser

    def invite(self) -> str:
        """A token that lets one browser in, once."""
        token = secrets.token_urlsafe(32)
        self.invitations[token] = time.monotonic() + INVITATION_S
        return token

    def enter(self, token: str) -> str | None:
        """The cookie that a token is exchanged for; None for one that is forged, used or too old."""
        found = next(
            (known for known in self.invitations if secrets.compare_digest(known.encode(), token.encode())), None
        )
        if found is None or self.invitations.pop(found) < time.monotonic():
            return None
        cookie = secrets.token_urlsafe(32)
        self.visitors[cookie] = Visitor()
        self.tell(self.invite())
        return cookie

    def ticket(self, file: Path) -> str:
        """A token with which a file may be read for some minutes, by a program that has no cookie."""
        token = secrets.token_urlsafe(32)
        self.tickets[token] = file, time.monotonic() + TICKET_S
        return token

    def ticketed(self, token: str) -> Path | None:
        """The file that a ticket is for; None where it is forged or too old."""
        file, until = self.tickets.get(token, (None, 0.0))
        return file if until > time.monotonic() else None

    def visitor(self, headers: Mapping[str, str]) -> Visitor | None:
        """Whose request it is."""
        # Cookies of others on this host may hold anything, at which SimpleCookie stops reading.
        cookies = (one.strip().partition("=") for one in headers.get("cookie", "").split(";"))
        known = (self.visitors.get(value) for name, _, value in cookies if name == self.cookie)
        return next((visitor for visitor in known if visitor is not None), None)

    def goes_by(self, host: str) -> bool:
        """Whether a Host header names this console. One without a port says nothing of whether TLS is in between."""
        return any(ported(host, port) in self.hosts for port in PORTS.values())

    def misdirected(self, method: str, headers: Mapping[str, str]) -> str:
        """Why a request is none of ours, whoever sent it; empty for one that is."""
        if not self.goes_by(headers.get("host", "")):
            return "this console goes by another name: open the address that `understudy serve` printed"
        origin = headers.get("origin")
        scheme, _, place = (origin or "").partition("://")
        if origin is not None and ported(place, PORTS.get(scheme, 0)) not in self.hosts:
            return "a page elsewhere may not talk to this console"
        if method not in SAFE and origin is None and headers.get("sec-fetch-site") != "same-origin":
            return "what changes something must say where it comes from (Origin)"
        return ""


def ported(host: str, port: int) -> str:
    """A host in lower case, with the port it has, or else this one."""
    host = host.lower()
    host = f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host  # IPv6
    return host if re.search(r":\d+\Z", host) else f"{host}:{port}"


class Door:
    """Lets in whom Access knows, and puts the rules for browsers on every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, _guarded(send))
        else:  # we speak no websocket
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if scope["path"].startswith("/ticket/") and self.access.goes_by(headers.get("host", "")):
            await self._ticket(scope, receive, send)
        elif refused := self.access.misdirected(scope["method"], headers):
            await _say(send, 403, refused)
        elif scope["path"] == "/enter":
            await self._enter(scope, send)
        elif (visitor := self.access.visitor(headers)) is None:
            await _say(send, 401, "open the address that `understudy serve` printed; it lets one browser in")
        elif (
            not headers.get("content-length", "0").isdecimal() or int(headers.get("content-length", "0")) > LARGEST_BODY
        ):
            await _say(send, 413, f"no form here has more than {LARGEST_BODY} bytes")
        elif "transfer-encoding" in headers:
            await _say(send, 411, "say how long the request is")
        else:
            scope.setdefault("state", {})["visitor"] = visitor
            await self.app(scope, receive, send)

    async def _enter(self, scope: Scope, send: Send) -> None:
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        cookie = self.access.enter(token) if scope["method"] == "GET" else None
        if cookie is None:
            await _say(send, 403, "this address has let somebody in already, or never was ours; ask for another one")
            return
        kept = f"{self.access.cookie}={cookie}; Path=/; HttpOnly; SameSite=Strict"
        await _say(send, 303, "come in", {"location": "/", "set-cookie": kept})

    async def _ticket(self, scope: Scope, receive: Receive, send: Send) -> None:
        file = self.access.ticketed(scope["path"].split("/")[2])
        if file is None or not file.is_file():
            await _say(send, 404, "this ticket is too old, or never was ours")
        elif scope["method"] in SAFE:
            await FileResponse(file, headers=FOR_A_VIEWER)(scope, receive, send)
        else:  # a browser asks what it may
            await _say(send, 200 if scope["method"] == "OPTIONS" else 405, "GET or HEAD", FOR_A_VIEWER)


async def _say(send: Send, status: int, words: str, more: Mapping[str, str] | None = None) -> None:
    told = {"content-type": "text/plain; charset=utf-8", **(more or {})}
    headers = [(name.encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{words}\n".encode()})


def _guarded(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            told = {name.lower() for name, _ in message["headers"]}
            own = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in told]
            message["headers"] = [*message["headers"], *own]
        await send(message)

    return guarded
