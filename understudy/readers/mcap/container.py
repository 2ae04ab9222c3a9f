"""An MCAP file as chunks of messages that can be found again.

The mcap package reads a file from its beginning to its end. A lazy reader also needs to know where each message lies,
so that a picture can be fetched long afterwards, and what is whole of a file whose recorder died. Records are parsed by
mcap's own classes; the framing is that of https://mcap.dev/spec.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

import lz4.frame
import numpy as np
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, ChunkIndex, Footer, Header, Schema

from understudy.errors import DataError
from understudy.records import Array, Ints

MAGIC = b"\x89MCAP0\r\n"
RECORD = struct.Struct("<BQ")  # opcode, length of what follows
MESSAGE = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
FOOTER_BYTES = RECORD.size + 8 + 8 + 4
LARGEST = 2**30  # bytes: a chunk that claims to be larger is damage, not data
HELD = 4  # chunks kept after use: pictures are asked for in order, with a little history
DAMAGE = (McapError, ArithmeticError, LookupError, RuntimeError, ValueError, struct.error, zstandard.ZstdError)


class Place(NamedTuple):
    """Where a message lies: its block in the file, and its record in the block once unpacked."""

    block: int
    offset: int


class Message(NamedTuple):
    """A message as it was stored."""

    channel: int
    log_ns: int
    data: bytes
    place: Place


@dataclass(frozen=True, slots=True)
class Block:
    """A chunk, or a message outside of chunks. `indexes` holds, per channel, where its message index lies."""

    offset: int
    indexes: dict[int, int] | None = None  # None where only reading the block tells what is in it


@dataclass
class Container:
    """The channels of a file, and where its messages are."""

    path: Path
    library: str = ""
    channels: dict[int, Channel] = field(default_factory=dict)
    schemas: dict[int, Schema] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    lost: str = ""  # what is missing of a file that was cut short
    _held: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)

    def messages(self, channels: Collection[int]) -> Iterator[Message]:
        """The messages of some channels in the order of the file. Blocks without any are not read."""
        wanted = set(channels)
        for block in self.blocks:
            if block.indexes is not None and wanted.isdisjoint(block.indexes):
                continue
            data = self._unpacked(block.offset)
            with _damage(self.path, block.offset):  # one at a time: a small chunk may unpack to millions
                for opcode, start, stop in _records(data):
                    if opcode == Opcode.MESSAGE:
                        channel, _, log_ns, _ = MESSAGE.unpack_from(data, start)
                        if channel in wanted:
                            place = Place(block.offset, start)
                            yield Message(channel, log_ns, data[start + MESSAGE.size : stop], place)

    def index(self, channel: int) -> tuple[Ints, list[Place]]:
        """The log times of a channel's messages, in order, and where they lie; pictures need not be read for that."""
        times: list[Array] = [np.empty(0, np.uint64)]
        places: list[Place] = []
        with self.path.open("rb") as file:
            for block in self.blocks:
                if block.indexes is None:
                    return self._index_by_reading(channel)
                if channel in block.indexes:
                    with _damage(self.path, block.indexes[channel]):
                        pairs = _message_index(file, block.indexes[channel], channel)
                    times.append(pairs[:, 0])
                    places += [Place(block.offset, int(offset) + RECORD.size) for offset in pairs[:, 1]]
        return _in_order(np.concatenate(times).astype(np.int64), places)

    def _index_by_reading(self, channel: int) -> tuple[Ints, list[Place]]:
        found = [(message.log_ns, message.place) for message in self.messages({channel})]
        return _in_order(np.array([log_ns for log_ns, _ in found], np.int64), [place for _, place in found])

    def fetch(self, place: Place, channel: int) -> bytes:
        """The message at a place that `messages` or `index` gave."""
        data = self._unpacked(place.block)
        with _damage(self.path, place.block):
            opcode, length = RECORD.unpack_from(data, place.offset - RECORD.size)
            if opcode != Opcode.MESSAGE or MESSAGE.unpack_from(data, place.offset)[0] != channel:
                raise ValueError(f"the index of channel {channel} points to something else")
        return data[place.offset + MESSAGE.size : place.offset + length]

    def _unpacked(self, offset: int) -> bytes:
        """The records of a block. The last few blocks are kept, so that reading in order unpacks each once."""
        for at, data in self._held:
            if at == offset:
                return data
        with _damage(self.path, offset), self.path.open("rb") as file:
            data = _unpack(file, offset)
        self._held = ((offset, data), *self._held[: HELD - 1])
        return data


def open_container(path: Path, recover: bool = False) -> Container:
    """The contents of a file, from its summary or, where that is missing, from a walk over its records.

    A file that ends before its footer is refused, unless `recover` asks for what is whole of it.
    """
    with path.open("rb") as file:
        start = file.read(len(MAGIC))
        if start != MAGIC:
            what = "it is empty" if not start else "it does not begin like one"
            raise DataError(f"reading MCAP: {what}; in {path}")
        container = Container(path)
        if not (_from_summary(container, file) or _from_walk(container, file)) and not recover:
            raise DataError(
                f"reading MCAP: {container.lost}, {len(container.blocks)} blocks before are whole; "
                f"--set recover=true reads those; in {path}"
            )
    return container


def _from_summary(container: Container, file: BinaryIO) -> bool:
    """Fill in a container from a file's summary; false where the file has none that can be trusted."""
    tail_start = file.seek(0, 2) - len(MAGIC) - FOOTER_BYTES
    if tail_start < len(MAGIC):
        return False
    file.seek(tail_start)
    tail = file.read()
    opcode, _ = RECORD.unpack_from(tail)
    if not tail.endswith(MAGIC) or opcode != Opcode.FOOTER:
        return False
    footer = Footer.read(_stream(tail[RECORD.size :]))
    if not len(MAGIC) <= footer.summary_start < tail_start:
        return False
    file.seek(footer.summary_start)
    summary = file.read(tail_start - footer.summary_start)
    checked = summary + tail[: FOOTER_BYTES - 4]
    if footer.summary_crc and zlib.crc32(checked) != footer.summary_crc:
        return False
    chunks: list[ChunkIndex] = []
    try:
        for opcode, start, stop in _records(summary):
            if opcode == Opcode.CHUNK_INDEX:
                chunks.append(ChunkIndex.read(_stream(summary[start:stop])))
            else:
                _note(container, opcode, summary[start:stop])
        file.seek(len(MAGIC))
        _, length = RECORD.unpack(file.read(RECORD.size))
        _note(container, Opcode.HEADER, file.read(min(length, LARGEST)))
    except DAMAGE:
        return False
    # Writers need not repeat channels and schemas in the summary; then only a walk finds them.
    known = all(chunk.message_index_offsets.keys() <= container.channels.keys() for chunk in chunks)
    known &= all(channel.schema_id in (0, *container.schemas) for channel in container.channels.values())
    if not chunks or not container.channels or not known:
        return False
    container.blocks = [
        Block(chunk.chunk_start_offset, chunk.message_index_offsets or None)
        for chunk in sorted(chunks, key=lambda chunk: chunk.chunk_start_offset)
    ]
    return True


def _from_walk(container: Container, file: BinaryIO) -> bool:
    """Fill in a container from the records of a file; false, and `lost` says what, where it breaks off."""
    end = file.seek(0, 2)
    offset = len(MAGIC)
    container.channels, container.schemas, container.blocks = {}, {}, []
    try:
        while True:
            file.seek(offset)
            opcode, length = RECORD.unpack(file.read(RECORD.size))
            if opcode == Opcode.FOOTER:
                return True
            if opcode == 0 or offset + RECORD.size + length > end:
                raise ValueError("no whole record")
            if opcode == Opcode.CHUNK:
                data = _unpack(file, offset)
                for inner, start, stop in _records(data):
                    _note(container, inner, data[start:stop])
            elif opcode in (Opcode.HEADER, Opcode.SCHEMA, Opcode.CHANNEL):
                _note(container, opcode, file.read(length))
            if opcode in (Opcode.CHUNK, Opcode.MESSAGE):
                container.blocks.append(Block(offset))
            offset += RECORD.size + length
    except DAMAGE as error:
        container.lost = f"the file breaks off at byte {offset} of {end} ({_said(error)})"
        return False


def _note(container: Container, opcode: int, content: bytes) -> None:
    """Remember what a record says of the file as a whole."""
    if opcode == Opcode.HEADER:
        container.library = Header.read(_stream(content)).library
    elif opcode == Opcode.SCHEMA:
        schema = Schema.read(_stream(content))
        container.schemas[schema.id] = schema
    elif opcode == Opcode.CHANNEL:
        channel = Channel.read(_stream(content))
        container.channels[channel.id] = channel


def _unpack(file: BinaryIO, offset: int) -> bytes:
    """The records of the chunk at an offset, checked against its CRC; a message outside of chunks is its own record."""
    file.seek(offset)
    head = file.read(RECORD.size)
    opcode, length = RECORD.unpack(head)
    if opcode not in (Opcode.CHUNK, Opcode.MESSAGE) or length > LARGEST:
        raise ValueError("neither a chunk nor a message")
    content = file.read(length)
    if opcode == Opcode.MESSAGE:
        return head + content
    chunk = Chunk.read(_stream(content))
    if chunk.compression not in DECOMPRESS:
        raise ValueError(f"unknown compression {chunk.compression!r}")
    if chunk.uncompressed_size > LARGEST:
        raise ValueError(f"a chunk that claims to hold {chunk.uncompressed_size} bytes")
    data = DECOMPRESS[chunk.compression](chunk.data, chunk.uncompressed_size)
    if len(data) != chunk.uncompressed_size:
        raise ValueError(f"a chunk of {len(data)} bytes where {chunk.uncompressed_size} were written")
    if chunk.uncompressed_crc and zlib.crc32(data) != chunk.uncompressed_crc:
        raise ValueError("its checksum differs")
    return data


# Each asks for as many bytes as the chunk says that it holds: what unpacks to more is cut off, not swallowed.
DECOMPRESS: dict[str, Callable[[bytes, int], bytes]] = {
    "": lambda data, size: data,
    "zstd": lambda data, size: bytes(zstandard.ZstdDecompressor().stream_reader(data).read(size)),
    "lz4": lambda data, size: bytes(lz4.frame.LZ4FrameDecompressor().decompress(data, max_length=size)),
}


def _records(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Opcode, start and stop of the content of each record."""
    offset = 0
    while offset < len(data):
        opcode, length = RECORD.unpack_from(data, offset)
        start, offset = offset + RECORD.size, offset + RECORD.size + length
        if offset > len(data) or (opcode == Opcode.MESSAGE and length < MESSAGE.size):
            raise ValueError("a record that is longer than its chunk, or shorter than its own head")
        yield opcode, start, offset


def _message_index(file: BinaryIO, offset: int, channel: int) -> Array:
    """Log time and offset in the chunk (n, 2) of a channel's messages."""
    file.seek(offset)
    opcode, _, found, size = struct.unpack("<BQHI", file.read(RECORD.size + 6))
    if opcode != Opcode.MESSAGE_INDEX or found != channel:
        raise ValueError(f"no index of channel {channel}")
    return np.frombuffer(file.read(size), "<u8").reshape(-1, 2)


def _in_order(times: Ints, places: list[Place]) -> tuple[Ints, list[Place]]:
    order = np.argsort(times, kind="stable")
    return times[order], [places[i] for i in order]


def _stream(content: bytes) -> ReadDataStream:
    return ReadDataStream(BytesIO(content))


@contextmanager
def _damage(path: Path, offset: int) -> Iterator[None]:
    """What damaged bytes make parsers raise, as one line that says where they lie."""
    try:
        yield
    except DAMAGE as error:
        raise DataError(f"reading MCAP: damaged at byte {offset} ({_said(error)}); in {path}") from error
    except OSError as error:  # the log was moved since
        raise DataError(f"reading MCAP: {error.strerror}; in {path}") from error


def _said(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
