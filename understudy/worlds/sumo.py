"""A SUMO of our own: the child process, and as much of its protocol (TraCI) as driving in it takes.

The client that comes with SUMO reads each value of each vehicle by itself, which costs more than SUMO's own step. Here
several commands travel in one message, and the answers about everybody near the ego are read as one array: identifiers
are digits of a fixed width, so the rows of a subscription have a fixed length.

SUMO dies with its worker twice over: by a signal from the kernel, and because it quits when its socket closes.
Protocol: https://sumo.dlr.de/docs/TraCI/Protocol.html
"""

from __future__ import annotations

import ctypes
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from understudy.errors import UnderstudyError
from understudy.records import Array
from understudy.worlds.sketches import program

ID_DIGITS = 7  # of every vehicle and person: "0000012" is track 12
_OK, _STEP, _VEHICLE, _PERSON = 0x00, 0x02, 0xC4, 0xCE
_STRING, _STRINGS, _INT, _DOUBLE, _BYTE, _COMPOUND, _COLOUR = 0x0C, 0x0E, 0x09, 0x0B, 0x08, 0x0F, 0x11
_POSITION, _ANGLE, _SPEED, _SIGNALS, _LANE, _WISH = 0x42, 0x43, 0x40, 0x5B, 0x51, 0xB1
_CONTEXT, _OWN = 0x94, 0xE4  # answers to subscriptions: those around the ego, and the ego itself

# One row of a context subscription: identifier, then (variable, status, type, value) for each variable asked for.
_HEAD = [("id_length", ">i4"), ("id", "u1", ID_DIGITS)]
_ROWS = {
    0xA4: np.dtype([*_HEAD, ("p", "u1", 3), ("x", ">f8"), ("y", ">f8"), ("a", "u1", 3), ("angle", ">f8"),
                    ("s", "u1", 3), ("speed", ">f8"), ("g", "u1", 3), ("signals", ">i4")]),
    0xAE: np.dtype([*_HEAD, ("p", "u1", 3), ("x", ">f8"), ("y", ">f8"), ("a", "u1", 3), ("angle", ">f8"),
                    ("s", "u1", 3), ("speed", ">f8")]),
}  # fmt: skip
_ASKED = {0xA4: (_POSITION, _ANGLE, _SPEED, _SIGNALS), 0xAE: (_POSITION, _ANGLE, _SPEED)}
VEHICLES, PERSONS = 0xA4, 0xAE
STEP_S = 0.1  # that SUMO goes at once
_POWERS = 10 ** np.arange(ID_DIGITS - 1, -1, -1)


_OPTIONS = (
    "--time-to-teleport", "-1", "--collision.action", "none", "--lanechange.duration", "3", "--ignore-route-errors",
    "--no-step-log", "--no-warnings", "--duration-log.disable", "--xml-validation", "never",
    "--xml-validation.routes", "never", "--xml-validation.net", "never",
)  # fmt: skip


class SumoError(UnderstudyError):
    """SUMO refused a command or is no more."""


def name(track: int) -> str:
    """SUMO's identifier of a track."""
    return f"{track:0{ID_DIGITS}d}"


def _text(value: str) -> bytes:
    return struct.pack(">i", len(value)) + value.encode()


def _command(kind: int, content: bytes) -> bytes:
    length = len(content) + 2
    return (
        struct.pack(">BB", length, kind) + content
        if length < 256
        else struct.pack(">BiB", 0, length + 4, kind) + content
    )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Sumo:
    """A running SUMO and the connection to it. Commands are queued and travel with the next `step`."""

    def __init__(self, net: Path, routes: Path, seed: int) -> None:
        self._queue: list[bytes] = []
        self.time_s = 0.0
        for _ in range(5):  # a port found free may be taken a moment later
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            # SUMO listens on all interfaces; it accepts the first client only, and that is us.
            self._log = (routes.parent / "sumo.log").open("w+b")
            self._process = subprocess.Popen(
                [program("sumo"), "-n", net, "-r", routes, "--seed", str(seed), "--step-length", str(STEP_S),
                 "--remote-port", str(port), "--num-clients", "1", *_OPTIONS],
                stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )  # fmt: skip
            if self._connect(port, routes):
                return
        raise SumoError(f"starting SUMO: {self._said}")

    def _connect(self, port: int, routes: Path) -> bool:
        until = time.monotonic() + 30
        while self._process.poll() is None and time.monotonic() < until:
            try:
                self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
            except OSError:
                time.sleep(0.004)
                continue
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._is_ours(routes):
                return True
            break
        self._process.kill()
        self._process.wait()
        self._said = self._last_words()  # before its log is closed
        self.close()
        return False

    def _is_ours(self, routes: Path) -> bool:
        """Whether the SUMO at the other end reads our routes: another worker's may have been quicker to the port."""
        try:
            answer = self._talk(_command(0xAB, struct.pack(">B", 0x32) + _text("route-files")))
        except SumoError:
            return False
        return str(routes).encode() in answer and self._process.poll() is None

    def close(self) -> None:
        """End the process, however it is."""
        if hasattr(self, "_socket"):
            self._socket.close()
        self._process.kill()
        self._process.wait()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Commands ---------------------------------------------------------------------------------------------------------

    def watch(self, who: str, radius: float) -> None:
        """From the next step on, report those within `radius` of `who`, its own lane and the speed it wishes."""
        for domain, asked in _ASKED.items():
            reported = (
                struct.pack(">dd", 0, 1e9) + _text(who) + struct.pack(">BdB", domain, radius, len(asked)) + bytes(asked)
            )
            self._queue.append(_command(0x84, reported))
        own = (_LANE, _WISH)
        self._queue.append(
            _command(0xD4, struct.pack(">dd", 0, 1e9) + _text(who) + struct.pack(">B", len(own)) + bytes(own))
        )

    def move(self, who: str, edge: str, lane: int, x: float, y: float, angle: float, astray: bool = False) -> None:
        """Put the front bumper of a vehicle at (x, y), heading `angle` degrees clockwise from north, on a lane named.

        A vehicle that is `astray` (keepRoute=2) is taken to be where it is, on a lane or not. Others (keepRoute=1) are
        taken to be on the middle of the lane: with 2, SUMO lost sight of the lane in junctions now and then, and in an
        empty town it wished emergency stops in most bends; with 1 neither, over the same routes.
        """
        place = b"\xb4" + _text(who) + struct.pack(">BiB", _COMPOUND, 7, _STRING) + _text(edge)
        place += struct.pack(">BiBdBdBd", _INT, lane, _DOUBLE, x, _DOUBLE, y, _DOUBLE, angle)
        place += struct.pack(">BbBd", _BYTE, 2 if astray else 1, _DOUBLE, 100.0)
        self._queue.append(_command(_VEHICLE, place))

    def set_speed(self, who: str, speed: float) -> None:
        """Make a vehicle drive this fast within what is safe for it; a negative speed gives the choice back to SUMO."""
        self._set(who, 0x40, struct.pack(">Bd", _DOUBLE, speed))

    def set_route(self, who: str, edges: Sequence[str]) -> None:
        """Send a vehicle along these edges from now on; it is on the first of them."""
        listed = b"".join(map(_text, edges))
        self._set(who, 0x57, struct.pack(">Bi", _STRINGS, len(edges)) + listed)

    def set_speed_factor(self, who: str, factor: float) -> None:
        self._set(who, 0x5E, struct.pack(">Bd", _DOUBLE, factor))

    def set_lane_change_mode(self, who: str, bits: int) -> None:
        self._set(who, 0xB6, struct.pack(">Bi", _INT, bits))

    def set_signals(self, junction: str, state: str) -> None:
        """Show this state ("o" blinks yellow, "O" is off) until further notice."""
        content = struct.pack(">B", 0x20) + _text(junction) + struct.pack(">B", _STRING) + _text(state)
        self._queue.append(_command(0xC2, content))

    def restore_signals(self, junction: str) -> None:
        """Go on with the programme, at the phase that the clock says."""
        content = struct.pack(">B", 0x23) + _text(junction) + struct.pack(">B", _STRING) + _text("0")
        self._queue.append(_command(0xC2, content))

    def _set(self, who: str, variable: int, value: bytes) -> None:
        self._queue.append(_command(_VEHICLE, struct.pack(">B", variable) + _text(who) + value))

    # Steps ------------------------------------------------------------------------------------------------------------

    def exists(self, who: str) -> bool:
        """Whether a vehicle is on the road: a query of its own, for the moments before the ego is there."""
        answer = self._talk(_command(0xA4, struct.pack(">B", 0x00) + _text("")))
        return _text(who) in answer

    def step(self, until_s: float | None = None) -> Step:
        """Send what is queued, simulate one step (or until a time), and read what is watched."""
        self._queue.append(_command(_STEP, struct.pack(">d", until_s or 0.0)))
        message, self._queue = b"".join(self._queue), []
        answer = self._talk(message)
        self.time_s = until_s or round(self.time_s + STEP_S, 6)
        return Step(answer)

    def _talk(self, message: bytes) -> bytes:
        try:
            self._socket.sendall(struct.pack(">i", len(message) + 4) + message)
            length = struct.unpack(">i", self._receive(4))[0]
            answer = self._receive(length - 4)
        except (OSError, EOFError) as error:
            raise SumoError(f"SUMO is gone at {self.time_s:.1f} s ({error}): {self._last_words()}") from error
        return answer

    def _receive(self, length: int) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            part = self._socket.recv(length - len(parts))
            if not part:
                raise EOFError("connection closed")
            parts += part
        return bytes(parts)

    def _last_words(self) -> str:
        try:
            self._log.seek(0)
            lines = self._log.read().decode(errors="replace").strip().splitlines()
        except ValueError:
            lines = []
        told = [line for line in lines if line.startswith("Error")] or lines
        return told[-1] if told else "it said nothing"


def _header(answer: bytes, at: int) -> tuple[int, int, int]:
    """Where a command's kind stands, how many bytes it has from there on, and the kind."""
    short = answer[at]
    length, header = (short, 1) if short else (struct.unpack_from(">i", answer, at + 1)[0], 5)
    return at + header, length - header, answer[at + header]


class Step:
    """What one step reported: rows of vehicles and people near the ego, its lane, the speed it wishes."""

    __slots__ = ("lane", "persons", "refused", "vehicles", "wish")

    def __init__(self, answer: bytes) -> None:
        self.vehicles: Array = np.zeros(0, _ROWS[VEHICLES])
        self.persons: Array = np.zeros(0, _ROWS[PERSONS])
        self.lane = ""
        self.wish = float("nan")
        self.refused: list[str] = []
        at, kind = 0, 0
        while kind != _STEP:  # the status of each command; that of the step comes last
            at, length, kind = _header(answer, at)
            # A new subscription also tells at once what is there now; the step will say it again.
            if kind not in (_CONTEXT, _OWN) and answer[at + 1] != _OK:
                size = struct.unpack_from(">i", answer, at + 2)[0]
                self.refused.append(answer[at + 6 : at + 6 + size].decode(errors="replace"))
            at += length
        count = struct.unpack_from(">i", answer, at)[0]
        at += 4
        for _ in range(count):
            at, length, kind = _header(answer, at)
            self._read(answer, at, kind)
            at += length

    def _read(self, answer: bytes, at: int, kind: int) -> None:
        at += 5 + struct.unpack_from(">i", answer, at + 1)[0]  # the ego's name
        if kind == _CONTEXT:
            domain, _, count = struct.unpack_from(">BBi", answer, at)
            rows = np.frombuffer(answer, _ROWS[domain], count, at + 6)
            if domain == VEHICLES:
                self.vehicles = rows
            else:
                self.persons = rows
        else:
            size = struct.unpack_from(">i", answer, at + 4)[0]
            self.lane = answer[at + 8 : at + 8 + size].decode()
            self.wish = struct.unpack_from(">d", answer, at + 8 + size + 3)[0]


def tracks(rows: Array) -> Array:
    """The tracks (n,) that rows' identifiers stand for."""
    return np.asarray((rows["id"].astype(np.int64) - 48) @ _POWERS)
