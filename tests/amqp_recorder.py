"""A connection without a socket, for what can be shown without one."""

from pika import ConnectionParameters

from crawl_producer.amqp.wire import JoinedConnection


class Recorder(JoinedConnection):
    """A pika connection that counts as open, keeps what would be sent, and is told what the broker says."""

    def __init__(self, loop, heartbeat=0):
        super().__init__(
            ConnectionParameters(heartbeat=heartbeat), custom_ioloop=loop, internal_connection_workflow=False
        )
        self._opened = True
        self._set_connection_state(self.CONNECTION_OPEN)
        self._body_max_length = 4096
        self.sent = []

    def _adapter_emit_data(self, data):
        self.sent.append(data)

    def _adapter_disconnect_stream(self):
        self.ioloop.call_soon(self._on_stream_terminated, None)

    def hear(self, method):
        """The broker says this, on channel 0."""
        self.callbacks.process(0, type(method), self, _Said(method))

    def lose(self, error):
        """The socket goes."""
        self._on_stream_terminated(error)


class _Said:
    def __init__(self, method):
        self.method = method
        self.channel_number = 0
