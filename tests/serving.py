"""A console that really runs, on a port of its own, and browsers' requests to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue

import httpx

WAIT_S = 180.0
COMMAND = "from understudy.cli import main; main()"


@dataclass
class Serving:
    """`understudy serve` as a process; it prints an address for each browser that is to come in."""

    process: subprocess.Popen[str]
    addresses: Queue[str] = field(default_factory=Queue)
    visitors: list[httpx.Client] = field(default_factory=list)

    def address(self) -> str:
        """An address that lets one browser in."""
        return self.addresses.get(timeout=WAIT_S)

    def visitor(self, reviewer: str = "") -> httpx.Client:
        """A browser that came in."""
        address = self.address()
        base = address.partition("/enter")[0]
        client = httpx.Client(base_url=base, headers={"origin": base}, timeout=180)
        self.visitors.append(client)
        assert client.get(address).status_code == 303
        if reviewer:
            assert client.post("/reviewer", data={"name": reviewer}).status_code == 303
        return client

    @property
    def memory(self) -> int:
        """Bytes that the server holds."""
        words = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(words[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serving(lake: Path, *more: str) -> Iterator[Serving]:
    """The console of a lake, until the block is left."""
    command = [sys.executable, "-c", COMMAND, "serve", str(lake), "--port", "0", *more]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        here = Serving(process)

        def listen() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                here.addresses.put(line.strip())

        threading.Thread(target=listen, daemon=True).start()
        try:
            yield here
        finally:
            for client in here.visitors:
                client.close()
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
