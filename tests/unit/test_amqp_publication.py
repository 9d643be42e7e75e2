"""A publication is encoded in the bytes that pika gives it, or nothing of it is sent."""

import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pika import BasicProperties, frame, spec
from pika.connection import Connection

from amqp_recorder import Recorder
from crawl_producer.amqp.publication import Bare, frames, properties

BODY_MAX_BYTES = 100
names = st.text(st.characters(codec="utf-8"), max_size=60)
headers = st.dictionaries(names, st.one_of(names, st.integers(-(2**31), 2**31), st.booleans()), max_size=3)


def pika_s(channel, method, content):
    """The frames that pika makes of it."""
    sent = []
    connection = SimpleNamespace(_body_max_length=BODY_MAX_BYTES, _output_marshaled_frames=sent.extend)
    Connection._send_message(connection, channel, method, content)
    return sent


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
    content = properties(name, fields, priority), body
    assert frames(channel, method, content, body_max_bytes=BODY_MAX_BYTES) == expected


def test_a_message_without_fields_is_persistent_and_has_its_id_and_priority():
    encoded = frame.Header(1, 0, Bare("an id", 7)).marshal()
    _, decoded = frame.decode_frame(encoded)
    said = decoded.properties
    assert (said.delivery_mode, said.message_id, said.priority, said.headers) == (2, "an id", 7, {})


@pytest.mark.parametrize(
    ("method", "known"),
    [
        (spec.Basic.Publish(exchange="x", routing_key="k" * 256), Bare("id", None)),
        (spec.Basic.Publish(exchange="x", routing_key="\ud800"), Bare("id", None)),
        (spec.Basic.Publish(exchange="x", routing_key="k"), Bare("i" * 256, None)),
        (spec.Basic.Publish(exchange="x", routing_key="k"), Bare("\ud800", None)),
        (spec.Basic.Publish(exchange="x", routing_key="k"), properties("id", {"a": object()}, None)),
    ],
    ids=["a long key", "a surrogate in the key", "a long id", "a surrogate in the id", "an object in a field"],
)
def test_of_what_cannot_be_encoded_nothing_is_sent(method, known):
    async def act():
        connection = Recorder(asyncio.get_running_loop())
        with pytest.raises(Exception):  # noqa: B017 - whatever pika's encoder thinks of it
            connection._send_method(1, method, (known, b"body"))
        await asyncio.sleep(0)
        assert connection.sent == []
        connection._send_method(1, spec.Basic.Publish(exchange="x", routing_key="k"), (Bare("id", None), b"body"))
        await asyncio.sleep(0)
        assert len(connection.sent) == 1

    asyncio.run(act())
