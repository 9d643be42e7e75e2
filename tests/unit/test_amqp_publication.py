"""A publication is in the bytes that pika gives it, persistent and mandatory, or nothing of it is sent."""

import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pika import BasicProperties, frame, spec
from pika.connection import Connection

from amqp_recorder import Recorder
from crawl_producer.amqp.publication import encoded
from crawl_producer.broker import Outgoing

BODY_MAX_BYTES = 100
names = st.text(st.characters(codec="utf-8"), max_size=60)
headers = st.dictionaries(names, st.one_of(names, st.integers(-(2**31), 2**31), st.booleans()), max_size=3)


def pika_s(channel, method, content):
    """The frames that pika makes of it."""
    sent = []
    connection = SimpleNamespace(_body_max_length=BODY_MAX_BYTES, _output_marshaled_frames=sent.extend)
    Connection._send_message(connection, channel, method, content)
    return b"".join(sent)


@pytest.mark.parametrize("priority", [None, 0, 10])
@given(
    channel=st.integers(1, 65535),
    exchange=names,
    key=names,
    fields=headers,
    name=names,
    body=st.binary(max_size=3 * BODY_MAX_BYTES),
)
@example(1, "x", "k", {}, "", b"")
@example(1, "x", "k", {}, "é" * 127, b"x" * BODY_MAX_BYTES)
@example(1, "x", "k", {"a": 1}, "id", b"x" * (BODY_MAX_BYTES + 1))
def test_its_frames_are_those_of_pika(priority, channel, exchange, key, fields, name, body):
    method = spec.Basic.Publish(exchange=exchange, routing_key=key, mandatory=True)
    whole = BasicProperties(headers=fields, delivery_mode=2, priority=priority, message_id=name)
    expected = pika_s(channel, method, (whole, body))
    assert (
        encoded(Outgoing(exchange, key, body, name, fields, priority), channel, body_max_bytes=BODY_MAX_BYTES)
        == expected
    )


@pytest.mark.parametrize("fields", [{}, {"a": 1}])
def test_a_message_is_mandatory_and_persistent_and_has_its_id_and_priority(fields):
    whole = encoded(Outgoing("x", "k", b"body", "an id", fields, 7), 1, body_max_bytes=4096)
    size, called = frame.decode_frame(whole)
    _, header = frame.decode_frame(whole[size:])
    said = header.properties
    assert called.method.mandatory
    assert (said.delivery_mode, said.message_id, said.priority, said.headers) == (2, "an id", 7, fields)


@pytest.mark.parametrize(
    "message",
    [
        Outgoing("x", "k" * 256, b"body", "id"),
        Outgoing("x", "\ud800", b"body", "id"),
        Outgoing("x", "k", b"body", "i" * 256),
        Outgoing("x", "k", b"body", "\ud800"),
        Outgoing("x", "k", b"body", "id", {"a": object()}),
    ],
    ids=["a long key", "a surrogate in the key", "a long id", "a surrogate in the id", "an object in a field"],
)
def test_of_what_cannot_be_encoded_nothing_is_sent(message):
    async def act():
        connection = Recorder(asyncio.get_running_loop())
        with pytest.raises(Exception):  # noqa: B017 - whatever pika's encoder thinks of it
            connection.publish(1, message)
        await asyncio.sleep(0)
        assert connection.sent == []
        connection.publish(1, Outgoing("x", "k", b"body", "id"))
        await asyncio.sleep(0)
        assert len(connection.sent) == 1

    asyncio.run(act())
