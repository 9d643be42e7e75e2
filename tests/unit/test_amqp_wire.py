"""What we lean on inside pika still exists, and joined frames are the same bytes."""

import asyncio
import inspect

from pika import ConnectionParameters, frame, spec
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.channel import Channel as PikaChannel

from crawl_producer.amqp.wire import JoinedConnection


def test_the_private_names_that_are_overridden_or_called_exist():
    emit = inspect.signature(AsyncioConnection._output_marshaled_frames)
    assert list(emit.parameters) == ["self", "marshaled_frames"]
    assert list(inspect.signature(AsyncioConnection._adapter_emit_data).parameters) == ["self", "data"]
    assert list(inspect.signature(AsyncioConnection._terminate_stream).parameters) == ["self", "error"]
    source = inspect.getsource(AsyncioConnection._send_message)
    assert "self._output_marshaled_frames(" in source
    assert "self._output_marshaled_frames(" in inspect.getsource(AsyncioConnection._send_frame)


def test_a_publication_is_encoded_before_anything_is_sent():
    source = inspect.getsource(AsyncioConnection._send_message)
    assert source.rindex(".marshal()") < source.index("self._output_marshaled_frames(")


def test_pika_answers_some_cancels_with_silence_which_the_subscription_knows():
    assert "consumer is already cancelling" in inspect.getsource(PikaChannel.basic_cancel)


class Recorder(JoinedConnection):
    """A connection that was never opened, and keeps what would be sent."""

    def __init__(self, loop):
        super().__init__(ConnectionParameters(), custom_ioloop=loop, internal_connection_workflow=False)
        self.sent = []

    def _adapter_emit_data(self, data):
        self.sent.append(data)


def publication(number):
    properties = spec.BasicProperties(delivery_mode=2, message_id=str(number))
    return 1, spec.Basic.Publish(exchange="x", routing_key="k", mandatory=True), (properties, b"body")


def test_frames_of_one_iteration_leave_together_in_their_order():
    async def act():
        connection = Recorder(asyncio.get_running_loop())
        connection._body_max_length = 4096
        for number in range(3):
            connection._send_method(*publication(number))
        assert connection.sent == []
        await asyncio.sleep(0)
        (sent,) = connection.sent
        kinds = []
        while sent:
            size, decoded = frame.decode_frame(sent)
            kinds.append(decoded.NAME)
            sent = sent[size:]
        assert kinds == ["METHOD", "Header", "Body"] * 3
        assert (connection.frames_sent, connection.bytes_sent) == (9, len(connection.sent[0]))
        connection._send_method(*publication(9))
        await asyncio.sleep(0)
        assert len(connection.sent) == 2

    asyncio.run(act())


def test_frames_of_a_connection_that_went_are_dropped():
    async def act():
        connection = Recorder(asyncio.get_running_loop())
        connection._body_max_length = 4096
        connection._send_method(*publication(1))
        connection._set_connection_state(connection.CONNECTION_CLOSED)
        await asyncio.sleep(0)
        assert connection.sent == []

    asyncio.run(act())
