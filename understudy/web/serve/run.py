"""The server: one process on one address, until Ctrl-C."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import suppress

import uvicorn

from understudy.errors import UnderstudyError
from understudy.store import Lake
from understudy.web.serve.access import Access, ported
from understudy.web.serve.app import make

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    lake: Lake,
    port: int = 8700,
    host: str = "127.0.0.1",
    names: Iterable[str] = (),
    on_ready: Callable[[str], None] = print,
) -> None:
    """Serve a lake until Ctrl-C. `on_ready` is told the address that lets one browser in.

    Beyond this machine the console goes by `host`, or by `names` where the host is all addresses (0.0.0.0 or ::). A
    name may carry the port that browsers call, where something that speaks TLS stands before the console.
    """
    names = list(names)
    known = {*names, *(LOOPBACK if host in LOOPBACK else ())}
    if host not in ("0.0.0.0", "::"):
        known.add(host)
    if not known:
        raise UnderstudyError(f"listening on all addresses ({host}): say by which name others reach it, with --name")
    with _bound(host, port) as listening:
        port = listening.getsockname()[1]
        access = Access(frozenset(ported(name, port) for name in known), f"understudy_{port}")
        config = uvicorn.Config(
            make(lake, access), log_level="warning", access_log=False, server_header=False, ws="none",
            timeout_graceful_shutdown=1, timeout_keep_alive=75, lifespan="on", h11_max_incomplete_event_size=32 * 1024,
        )  # fmt: skip
        shown = ported(names[0] if names else "127.0.0.1" if host in LOOPBACK else host, port)
        scheme = "https" if shown.endswith(":443") else "http"
        access.tell = lambda token: on_ready(f"{scheme}://{shown}/enter?token={token}")
        access.tell(access.invite())
        with suppress(KeyboardInterrupt):  # Ctrl-C is how it ends
            uvicorn.Server(config).run(sockets=[listening])


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Told to be TCP, it is told by asyncio not to wait for more to send: an answer would take 40 ms longer.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)  # whoever comes before the server is up waits
    except (OSError, OverflowError) as error:
        listening.close()
        raise UnderstudyError(f"listening on {host}, port {port}: {error}; --port 0 takes any that is free") from error
    return listening
