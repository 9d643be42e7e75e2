"""A publication as frames: what the messages of a crawl have in common is encoded once.

pika encodes each from the beginning, field by field, which is a quarter of what a seed costs. The bytes are the same
(AMQP 0-9-1, 2.3.5 and 2.3.5.2); ``tests/unit/test_amqp_publication.py`` compares them.
"""

import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol

from pika import BasicProperties, frame, spec

#: AMQP's delivery mode for messages that survive a restart of the broker.
_PERSISTENT = 2
#: A frame's type, channel and size.
_FRAME = struct.Struct(">BHI")
#: The same of a header, with what every header begins with: class, weight and the size of the body.
_HEADER = struct.Struct(">BHIHxxQ")
_CONTENT_BYTES = _HEADER.size - _FRAME.size
_END = bytes([spec.FRAME_END])

#: Encoded ``basic.publish`` methods that are kept: one for each exchange, routing key and channel.
_METHODS = 1024


class Properties(Protocol):
    """What a message's properties are encoded by: pika's, or ours."""

    INDEX: int  #: AMQP's number of the class that they belong to

    def encode(self) -> list[bytes]:
        """The parts of their bytes."""


class Bare:
    """The properties of a persistent message that has no header fields, like nearly all."""

    INDEX = BasicProperties.INDEX

    def __init__(self, message_id: str, priority: int | None) -> None:
        self._id, self._priority = message_id, priority

    def encode(self) -> list[bytes]:
        """See :class:`Properties`. Raises ValueError: the id has more than 255 bytes."""
        name = self._id.encode()
        return [_before_the_id(self._priority), bytes([len(name)]), name]


def properties(message_id: str, headers: Mapping[str, object], priority: int | None) -> Properties:
    """Those of a persistent message."""
    if not headers:
        return Bare(message_id, priority)
    made: Properties = BasicProperties(  # type: ignore[no-untyped-call]
        headers=dict(headers), delivery_mode=_PERSISTENT, priority=priority, message_id=message_id
    )
    return made


def frames(
    channel: int, method: spec.Basic.Publish, content: tuple[Properties, bytes], *, body_max_bytes: int
) -> list[bytes]:
    """A publication's method, its header, and its body in frames of so many bytes at most.

    Raises:
        Exception: a value that AMQP cannot carry, by pika's encoder.
    """
    known, body = content
    encoded = b"".join(known.encode())
    size = _CONTENT_BYTES + len(encoded)
    header = _HEADER.pack(spec.FRAME_HEADER, channel, size, known.INDEX, len(body))
    made = [
        _method(channel, method.exchange, method.routing_key, method.mandatory),
        b"".join((header, encoded, _END)),
    ]
    for start in range(0, len(body), body_max_bytes):
        part = body[start : start + body_max_bytes]
        made.append(b"".join((_FRAME.pack(spec.FRAME_BODY, channel, len(part)), part, _END)))
    return made


@lru_cache(_METHODS)
def _method(channel: int, exchange: str, routing_key: str, mandatory: bool) -> bytes:
    method = spec.Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=mandatory)  # type: ignore[no-untyped-call]
    return frame.Method(channel, method).marshal()


@lru_cache
def _before_the_id(priority: int | None) -> bytes:
    """What the properties of messages begin with that differ in nothing but their ids."""
    empty = BasicProperties(headers={}, delivery_mode=_PERSISTENT, priority=priority, message_id="")  # type: ignore[no-untyped-call]
    encoded = b"".join(empty.encode())  # type: ignore[no-untyped-call]
    return encoded.removesuffix(b"\0")  # the length of the id
