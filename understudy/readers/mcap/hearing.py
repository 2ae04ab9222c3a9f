"""One pass over a stranger's file: what each channel that matters said, and when."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from understudy.errors import DataError
from understudy.readers.mcap import messages
from understudy.readers.mcap.container import Container, Message, Place
from understudy.readers.mcap.messages import Role
from understudy.readers.mcap.pictures import is_key
from understudy.records import NS, Array, Ints

PICTURES = (Role.STILLS, Role.VIDEO, Role.RAW)
ONE_CLOCK_S = 10.0  # delays between measuring and logging differ by less than this, if measured by one clock
LATE_S = 1.0  # a message may be this late; more, and time runs backwards


@dataclass
class Heard:
    """What a channel said: when each message was logged, when it was measured (0 if it does not say), and what."""

    topic: str
    channel: int
    role: Role
    log_ns: list[int] = field(default_factory=list)
    stamp_ns: list[int] = field(default_factory=list)
    said: list[Any] = field(default_factory=list)

    @property
    def stamped(self) -> bool:
        return all(self.stamp_ns)

    def times(self, measured: bool) -> Ints:
        """When each message was measured, or logged where that is asked for or all that is known."""
        return np.array(self.stamp_ns if measured and self.stamped else self.log_ns, np.int64)


class Shot(NamedTuple):
    """A picture where it lies. Of the first of a channel everything is kept, of the others what indexing needs."""

    frame: str
    place: Place
    key: bool  # whether it can be decoded by itself
    message: Any = None


def listen(container: Container, leave_out: Collection[int]) -> list[Heard]:
    """All that channels with a role say, but for those left out."""
    heard: dict[int, Heard] = {}
    decoders = {}
    for channel in container.channels.values():
        schema = container.schemas.get(channel.schema_id)
        role = messages.role(channel, schema)
        if role is not None and schema is not None and channel.id not in leave_out:
            heard[channel.id] = Heard(channel.topic, channel.id, role)
            decoders[channel.id] = messages.decoder(channel, schema)
    for message in container.messages(heard):
        one = heard[message.channel]
        for stamp_ns, said in _said(one, message, decoders[message.channel](message.data)):
            one.log_ns.append(message.log_ns)
            one.stamp_ns.append(stamp_ns)
            one.said.append(said)
    return [one for one in heard.values() if one.said]


def _said(one: Heard, message: Message, decoded: Any) -> Iterator[tuple[int, Any]]:
    """What a message says by the role of its channel, each with its stamp."""
    if one.role is Role.TRANSFORMS:
        yield from ((transform.stamp_ns, transform) for transform in messages.transforms(decoded))
    elif one.role in (Role.ODOMETRY, Role.POSES):
        if (pose := messages.pose(decoded)) is not None:
            yield messages.stamp(decoded), pose
    elif one.role is Role.FIXES:
        yield messages.stamp(decoded), messages.fix(decoded)
    elif one.role is Role.CALIBRATION:
        if not one.said:
            yield messages.stamp(decoded), messages.calibration(decoded)
    elif one.role in PICTURES:
        key = one.role is not Role.VIDEO or is_key(decoded.format, decoded.data)
        shot = Shot(messages.frame(decoded), message.place, key, None if one.said else decoded)
        yield messages.stamp(decoded), shot
    else:
        # Of an update that only takes away, when it does; one that says nothing has no stamp, and need not be heard.
        stamps = [messages.nanoseconds(one.timestamp) for one in decoded.entities or decoded.deletions]
        if stamps:
            yield max(stamps), decoded


def one_clock(heard: Iterable[Heard]) -> bool:
    """Whether the stamps in messages are of one clock, so that they may be compared: they are better than log times.

    A channel that has none is compared by its log times. Static transforms may carry any stamp.
    """
    delays = [
        float(np.median(one.times(measured=False) - one.times(measured=True))) / NS
        for one in heard
        if one.role is not Role.CALIBRATION and not one.topic.endswith("static")
    ]
    return max(delays, default=0.0) - min(delays, default=0.0) < ONE_CLOCK_S


def in_order(t_ns: Ints, topic: str) -> Array:
    """The order in which messages are new, each stamp once. Raises DataError where time runs backwards."""
    late = np.maximum.accumulate(t_ns) - t_ns
    if len(late) and late.max() > LATE_S * NS:
        raise DataError(
            f"time goes backwards by {late.max() / NS:.1f} s at message {int(np.argmax(late)) + 1} of {topic}"
        )
    return np.unique(t_ns, return_index=True)[1]
