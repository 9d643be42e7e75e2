"""A publication in bytes: what the messages of a crawl have in common is encoded once.

pika encodes each from the beginning, field by field, which is a quarter of what a seed costs. The bytes are the same
(AMQP 0-9-1, 2.3.5 and 2.3.5.2); ``tests/unit/test_amqp_publication.py`` compares them.
"""

import struct
from functools import lru_cache

from pika import BasicProperties, frame, spec

from crawl_producer.broker import Outgoing

#: AMQP's delivery mode for messages that survive a restart of the broker.
_PERSISTENT = 2
#: A frame's type, channel and size.
_FRAME = struct.Struct(">BHI")
#: The same of a header, with what every header begins with: class, weight and the size of the body.
_HEADER = struct.Struct(">BHIHxxQ")
_CONTENT_BYTES = _HEADER.size - _FRAME.size
_END = bytes([spec.FRAME_END])

#: Encoded ``basic.publish`` methods that are kept: one for each exchange, routing key and channel.
_METHODS = 4096


def encoded(message: Outgoing, channel: int, *, body_max_bytes: int) -> bytes:
    """The frames of a publication: its method, its header, and its body in frames of so many bytes at most.

    Raises:
        Exception: a value that AMQP cannot carry, by pika's encoder or Python's.
    """
    body, properties = message.body, _properties(message)
    size = _CONTENT_BYTES + len(properties)
    parts = [
        _method(channel, message.exchange, message.routing_key),
        _HEADER.pack(spec.FRAME_HEADER, channel, size, BasicProperties.INDEX, len(body)),
        properties,
        _END,
    ]
    for start in range(0, len(body), body_max_bytes):
        part = body[start : start + body_max_bytes]
        parts += (_FRAME.pack(spec.FRAME_BODY, channel, len(part)), part, _END)
    return b"".join(parts)


def _properties(message: Outgoing) -> bytes:
    """Those of a persistent message. Nearly all have no header fields and differ in their ids alone."""
    if not message.headers:
        name = message.message_id.encode()
        return b"%b%b%b" % (_before_the_id(message.priority), bytes([len(name)]), name)
    made = BasicProperties(
        headers=dict(message.headers),
        delivery_mode=_PERSISTENT,
        priority=message.priority,
        message_id=message.message_id,
    )  # type: ignore[no-untyped-call]
    return b"".join(made.encode())  # type: ignore[no-untyped-call]


@lru_cache(_METHODS)
def _method(channel: int, exchange: str, routing_key: str) -> bytes:
    method = spec.Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=True)  # type: ignore[no-untyped-call]
    return frame.Method(channel, method).marshal()


@lru_cache
def _before_the_id(priority: int | None) -> bytes:
    """What the properties of messages begin with that differ in nothing but their ids."""
    empty = BasicProperties(headers={}, delivery_mode=_PERSISTENT, priority=priority, message_id="")  # type: ignore[no-untyped-call]
    encoded = b"".join(empty.encode())  # type: ignore[no-untyped-call]
    return encoded.removesuffix(b"\0")  # the length of the id
