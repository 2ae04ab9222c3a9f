"""A drive as our recorder wrote it, exactly as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from understudy.errors import DataError
from understudy.readers.mcap import layout
from understudy.readers.mcap.container import Container
from understudy.readers.mcap.messages import decoder
from understudy.readers.mcap.pictures import FORMATS, Stills
from understudy.records import Camera, Drive, Event, Floats, Ints, Lights, Map, Objects, Shadow, Truth, Vehicle


class _Camera(msgspec.Struct):
    name: str
    width: int
    height: int
    distortion: str
    coefficients: tuple[float, ...]
    K: list[float] | None = None
    ego_T_cam: list[float] | None = None


class _About(msgspec.Struct):
    """What `/understudy/drive` says."""

    version: int
    id: str
    frame: str
    route: tuple[str, ...]
    places: tuple[str, ...]
    derived: frozenset[str]
    vehicle: dict[str, float]
    cameras: tuple[_Camera, ...]
    truth: bool
    facts: dict[str, Any]


def is_ours(container: Container) -> bool:
    return any(channel.topic == layout.DRIVE for channel in container.channels.values())


def read(container: Container) -> Drive:
    """The drive of a file that is ours. Raises what malformed JSON makes go wrong."""
    return _Heard(container).drive()


class _Recorded(Stills):
    """Pictures byte for byte as the recorder was given them, by the name that it was told."""

    def encoded(self, index: int) -> tuple[str, bytes]:
        message = self.message(index)
        return (message.format, bytes(message.data)) if message.format in FORMATS else super().encoded(index)


class _Heard:
    """All that our JSON channels say, by topic."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.channels = {channel.topic: channel for channel in container.channels.values()}
        ours = {channel.id: topic for topic, channel in self.channels.items() if topic.startswith("/understudy/")}
        self.said: dict[str, list[tuple[int, bytes]]] = {topic: [] for topic in ours.values()}
        for message in container.messages(ours):
            self.said[ours[message.channel]].append((message.log_ns, message.data))
        stamps = [log_ns for log_ns, _ in self.said[layout.COLUMNS]]
        if container.lost:  # chunks of one channel may reach further than those of another
            for topic in self._aligned():
                stamps = sorted(set(stamps) & {log_ns for log_ns, _ in self.said[topic]})
        self.t_ns: Ints = np.array(stamps, np.int64)

    def _aligned(self) -> list[str]:
        """The topics with a message per instant, beside the columns."""
        return [
            topic
            for topic in self.said
            if topic in (layout.OBJECTS, layout.TRUTH_OBJECTS) or topic.startswith(layout.PLANS)
        ]

    def drive(self) -> Drive:
        about = layout.decode(self.said[layout.DRIVE][-1][1], _About)
        if about.version > layout.VERSION:
            raise DataError(
                f"its layout is version {about.version}, newer than the {layout.VERSION} that is known here"
            )
        maps = self.said.get(layout.MAP)
        return Drive(
            id=about.id,
            t_ns=self.t_ns,
            columns=layout.columns(self.rows(layout.COLUMNS), layout.dtypes(self.schema(layout.COLUMNS))),
            vehicle=layout.record(Vehicle, about.vehicle),
            cameras=tuple(self.camera(camera) for camera in about.cameras),
            objects=self.objects(layout.OBJECTS),
            lights=self.lights(layout.LIGHTS),
            map=layout.decode(maps[0][1], Map) if maps else None,
            frame=about.frame,
            route=about.route,
            places=about.places,
            derived=about.derived,
            truth=self.truth() if about.truth else None,
            shadows={
                topic.removeprefix(layout.PLANS): self.shadow(topic)
                for topic in self.said
                if topic.startswith(layout.PLANS)
            },
            facts=about.facts | ({"lost": self.container.lost} if self.container.lost else {}),
        )

    def schema(self, topic: str) -> dict[str, layout.Schema]:
        """The properties of a channel's schema."""
        found = layout.decode(self.container.schemas[self.channels[topic].schema_id].data, dict[str, Any])
        properties: dict[str, layout.Schema] = found["properties"]
        return properties

    def rows(self, topic: str) -> list[dict[str, Any]]:
        """The messages of a topic with one per instant."""
        said = self.said[topic]
        if self.container.lost:
            instants = set(self.t_ns.tolist())
            said = [one for one in said if one[0] in instants]
        if [log_ns for log_ns, _ in said] != self.t_ns.tolist():
            raise DataError(f"{topic} has {len(said)} messages, not one for each of {len(self.t_ns)} instants")
        return [layout.decode(data, dict[str, Any]) for _, data in said]

    def objects(self, topic: str) -> Objects | None:
        if topic not in self.said:
            return None
        found = [row["objects"] for row in self.rows(topic)]
        starts = np.concatenate([[0], np.cumsum([len(rows) for rows in found])]).astype(np.int64)
        dtypes = layout.dtypes(self.schema(topic)["objects"]["items"]["properties"])
        return Objects(starts, layout.columns([row for rows in found for row in rows], dtypes))

    def lights(self, topic: str) -> Lights | None:
        if topic not in self.said:
            return None
        changes = [log_ns for log_ns, _ in self.said[topic]]
        found = [layout.decode(data, dict[str, Any])["lights"] for _, data in self.said[topic]]
        state = np.array([[light["state"] for light in lights] for lights in found], np.int8)
        now = np.searchsorted(changes, self.t_ns, side="right") - 1
        if now[0] < 0:
            raise DataError(f"{topic} says nothing of the first instant")
        heads = layout.columns(found[0], {name: np.dtype("float64") for name in "xyz"})
        lanes = tuple(light["lane"] for light in found[0])
        return Lights(lanes, np.stack([heads[name] for name in "xyz"], axis=-1), state[now])

    def truth(self) -> Truth:
        said = self.said.get(layout.TRUTH_EVENTS)
        events = layout.decode(said[-1][1], dict[str, Any])["events"] if said else []
        return Truth(
            self.objects(layout.TRUTH_OBJECTS),
            self.lights(layout.TRUTH_LIGHTS),
            tuple(layout.record(Event, event) for event in events),
        )

    def shadow(self, topic: str) -> Shadow:
        policy = self.channels[topic].metadata["policy"]
        return layout.shadow_of(policy, self.rows(topic), self.schema(topic))

    def camera(self, about: _Camera) -> Camera:
        size = (about.width, about.height)
        channel = self.channels.get(layout.picture_topic(about.name))
        if channel is None:
            t_ns, pictures = np.empty(0, np.int64), _Recorded(self.container, -1, [], size, bytes)
        else:
            t_ns, places = self.container.index(channel.id)
            decode = decoder(channel, self.container.schemas[channel.schema_id])
            pictures = _Recorded(self.container, channel.id, places, size, decode)
        return Camera(
            about.name,
            size,
            t_ns,
            pictures,
            _matrix(about.K, 3),
            _matrix(about.ego_T_cam, 4),
            about.distortion,
            about.coefficients,
        )


def _matrix(values: Sequence[float] | None, side: int) -> Floats | None:
    return None if values is None else np.array(values, np.float64).reshape(side, side)
