"""What we lean on inside pika still exists, and joined frames are the same bytes."""

import asyncio
import inspect

from pika import frame, spec
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.channel import Channel as PikaChannel

from amqp_recorder import Recorder
from crawl_producer.amqp.wire import Wire
from crawl_producer.broker import Outgoing


def test_the_private_names_that_are_overridden_or_called_exist():
    emit = inspect.signature(AsyncioConnection._output_marshaled_frames)
    assert list(emit.parameters) == ["self", "marshaled_frames"]
    assert list(inspect.signature(AsyncioConnection._adapter_emit_data).parameters) == ["self", "data"]
    assert list(inspect.signature(AsyncioConnection._terminate_stream).parameters) == ["self", "error"]
    assert "self._body_max_length" in inspect.getsource(AsyncioConnection._send_message)
    assert "self._output_marshaled_frames(" in inspect.getsource(AsyncioConnection._send_frame)


def test_pika_answers_some_cancels_with_silence_which_the_subscription_knows():
    assert "consumer is already cancelling" in inspect.getsource(PikaChannel.basic_cancel)


def message(number):
    return Outgoing("x", "k", b"body", str(number))


def test_frames_of_one_iteration_leave_together_in_their_order():
    async def act():
        connection = Recorder(asyncio.get_running_loop())
        for number in range(3):
            connection.publish(1, message(number))
        assert connection.sent == []
        await asyncio.sleep(0)
        (sent,) = connection.sent
        kinds = []
        while sent:
            size, decoded = frame.decode_frame(sent)
            kinds.append(decoded.NAME)
            sent = sent[size:]
        assert kinds == ["METHOD", "Header", "Body"] * 3
        assert connection.bytes_sent == len(connection.sent[0])
        connection.publish(1, message(9))
        await asyncio.sleep(0)
        assert len(connection.sent) == 2

    asyncio.run(act())


def test_frames_of_a_connection_that_went_are_dropped():
    async def act():
        connection = Recorder(asyncio.get_running_loop())
        connection.publish(1, message(1))
        connection._set_connection_state(connection.CONNECTION_CLOSED)
        await asyncio.sleep(0)
        assert connection.sent == []

    asyncio.run(act())


def test_a_silent_connection_is_dropped_and_one_that_is_heard_is_not():
    async def act():
        loop = asyncio.get_running_loop()
        silent, heard = Recorder(loop, heartbeat=1), Recorder(loop, heartbeat=1)
        silent_wire, heard_wire = Wire(silent, "silent"), Wire(heard, "heard")

        def speak():
            heard.bytes_received += 8
            loop.call_later(0.3, speak)

        speak()
        async with asyncio.timeout(2):
            reason = await silent_wire.closed
        assert "nothing heard" in str(reason)
        assert reason.lost
        assert not heard_wire.closed.done()

    asyncio.run(act())


def test_a_wire_that_is_blocked_closes_without_waiting_for_an_answer():
    async def act():
        connection = Recorder(asyncio.get_running_loop())
        wire = Wire(connection, "node")
        connection.hear(spec.Connection.Blocked("memory"))
        assert wire.blocked
        async with asyncio.timeout(1):
            await wire.close()
        assert not wire.is_open
        await wire.close()

    asyncio.run(act())
