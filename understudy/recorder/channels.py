"""An MCAP file in the making: messages by topic, gathered into chunks of one kind, in place only when it is whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from mcap.well_known import MessageEncoding, SchemaEncoding
from mcap.writer import CompressionType, Writer
from mcap_protobuf.schema import build_file_descriptor_set

from understudy import __version__
from understudy.errors import UnderstudyError
from understudy.readers.mcap import layout
from understudy.store.files import beside, take_place

CHUNK_BYTES = 2**20
DATA, VIEWS, PICTURES = "data", "views", "pictures"


class Channels:
    """Messages go into chunks of one kind: who wants columns need not unpack pictures.

    The file is written aside and takes its name when it is closed; discarded, it leaves nothing.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._aside = beside(path)  # its own, though another process record the same drive
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._pending: dict[str, list[tuple[int, int, bytes]]] = {DATA: [], VIEWS: [], PICTURES: []}
        self._bytes = dict.fromkeys(self._pending, 0)
        self._file = self._aside.open("wb")
        # The writer would mix all kinds in a chunk: here chunks end where `_flush` says, never by their size.
        self._writer: Any = Writer(self._file, chunk_size=2**62, compression=CompressionType.ZSTD)
        self._writer.start(library=f"understudy {__version__}")

    def close(self) -> None:
        """Put the file in place, whole."""
        for kind in self._pending:
            self._flush(kind)
        with self._disk():
            self._writer.finish()
            self._file.close()
            take_place(self._aside, self._path)

    def discard(self) -> None:
        """Remove what is not in place."""
        with suppress(OSError):  # closing writes what is left, for which a full disk has no room
            self._file.close()
        self._aside.unlink(missing_ok=True)

    def json(
        self, topic: str, schema: layout.Schema, t_ns: int, value: Any, about: Mapping[str, str] | None = None
    ) -> None:
        """A message in JSON; `schema` and `about` describe the channel when it is new."""
        channel = self._channels.get(topic)
        if channel is None:
            name = f"understudy.{topic.removeprefix('/understudy/').replace('/', '.')}"
            schema_id = self._writer.register_schema(name, SchemaEncoding.JSONSchema, layout.encode(schema))
            channel = self._writer.register_channel(topic, MessageEncoding.JSON, schema_id, dict(about or {}))
            self._channels[topic] = channel
        self._put(DATA, channel, t_ns, layout.encode(value))

    def protobuf(self, kind: str, topic: str, t_ns: int, schema: type[Message], data: bytes) -> None:
        """An encoded message in one of Foxglove's schemas, into the chunks of a kind."""
        channel = self._channels.get(topic)
        if channel is None:
            name = schema.DESCRIPTOR.full_name
            if name not in self._schemas:
                described = build_file_descriptor_set(schema).SerializeToString()
                self._schemas[name] = self._writer.register_schema(name, SchemaEncoding.Protobuf, described)
            channel = self._writer.register_channel(topic, MessageEncoding.Protobuf, self._schemas[name])
            self._channels[topic] = channel
        self._put(kind, channel, t_ns, data)

    def _put(self, kind: str, channel: int, t_ns: int, data: bytes) -> None:
        self._pending[kind].append((channel, t_ns, data))
        self._bytes[kind] += len(data)
        if self._bytes[kind] >= CHUNK_BYTES:
            self._flush(kind)

    def _flush(self, kind: str) -> None:
        for channel, t_ns, data in self._pending[kind]:
            self._writer.add_message(channel, log_time=t_ns, data=data, publish_time=t_ns)
        with self._disk():
            self._writer.flush()
        self._pending[kind].clear()
        self._bytes[kind] = 0

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """A full disk is the user's matter."""
        try:
            yield
        except OSError as error:
            raise UnderstudyError(f"recording a drive: {error.strerror}; in {self._path}") from error
