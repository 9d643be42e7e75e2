"""One open connection to one node: pika's callbacks as futures, with an epoch that its deliveries carry."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from pika import exceptions as pika_exceptions
from pika.adapters.asyncio_connection import AsyncioConnection

from crawl_dedup.crash_points import reached
from crawl_producer.amqp import frames, publication
from crawl_producer.amqp.errors import Closed
from crawl_producer.broker import Outgoing

log = logging.getLogger(__name__)

#: An orderly close waits this long for the broker's answer; then the socket goes. A broker that answers does
#: so in milliseconds.
CLOSE_TIMEOUT_S = 5.0
#: A connection on which nothing was heard at so many looks in a row, each a quarter of the heartbeat time after
#: the last, is lost: after 1 to 1.25 heartbeat times, where pika takes up to two and ten seconds. Looks are
#: counted, not seconds, so that an event loop which was busy meanwhile does not take itself for a dead broker.
_SILENT_LOOKS = 4


class JoinedConnection(AsyncioConnection):
    """pika's connection with all frames of one loop iteration in one ``send()``.

    By itself pika sends every frame alone: three system calls for a publication, one for an acknowledgement.
    Joined, a confirmed publication costs less than half the processor time. The names that this leans on are
    pika's private ones; ``tests/unit/test_amqp_wire.py`` fails when they disappear.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._unsent: list[bytes] = []
        super().__init__(*args, **kwargs)

    def _output_marshaled_frames(self, marshaled_frames: Sequence[bytes]) -> None:
        if not self._unsent:
            self.ioloop.call_soon(self._send)
        self._unsent.extend(marshaled_frames)

    def _send(self) -> None:
        data = b"".join(self._unsent)
        self.bytes_sent += len(data)
        self._unsent.clear()
        if not self.is_closed:
            self._adapter_emit_data(data)
            reached("amqp.written")

    def publish(self, channel_number: int, message: Outgoing) -> None:
        """Send a message on an open channel, or nothing of it.

        Raises:
            Exception: it cannot be encoded; see :func:`crawl_producer.amqp.publication.encoded`.
        """
        whole = publication.encoded(message, channel_number, body_max_bytes=self._body_max_length)
        self._output_marshaled_frames((whole,))

    def _read_frame(self) -> tuple[int, Any]:
        return frames.read(self._frame_buffer)

    def abort(self, reason: str) -> None:
        """Drop the socket without a word; the close callback follows. pika has no public way to do this."""
        self._terminate_stream(pika_exceptions.StreamLostError(reason))


class Wire:
    """An open connection.

    Callbacks are registered on construction, which must therefore happen inside pika's own "open" callback:
    a block or a loss in the very next frame is not missed.

    Args:
        connection: open, and not yet seen by anybody else.
        node: ``host:port``, for logs and statistics.
    """

    def __init__(self, connection: JoinedConnection, node: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self.node = node
        #: Which connection of its link this is, from 1; set by the link.
        self.epoch = 0
        self.opened_s = self._loop.time()
        self.closed: asyncio.Future[Closed] = self._loop.create_future()
        #: Called at once when the connection goes; must not raise.
        self.on_closed: Callable[[], None] = _nothing
        #: Called when the broker reads from us again; must not raise.
        self.on_unblocked: Callable[[], None] = _nothing
        self._blocked_since_s: float | None = None
        self._blocked_before_s = 0.0
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        connection.add_on_close_callback(self._on_closed)
        #: As agreed with the broker; 0 is none.
        self._heartbeat_s: float = connection.params.heartbeat  # type: ignore[assignment]
        self._heard_bytes = 0
        self._silent_looks = 0
        self._look: asyncio.TimerHandle | None = None
        self._listen()

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<Wire {self.node} epoch {self.epoch}, {state}{', blocked' if self.blocked else ''}>"

    @property
    def connection(self) -> AsyncioConnection:
        """For opening channels."""
        return self._connection

    @property
    def is_open(self) -> bool:
        """Whether channels can be opened."""
        return bool(self._connection.is_open)

    @property
    def server_version(self) -> str:
        """The node's version as it tells it, such as ``4.0.5``; empty if it tells none."""
        return str((self._connection.server_properties or {}).get("version", ""))

    @property
    def blocked(self) -> bool:
        """Whether the broker refuses to read from this connection (memory or disk alarm)."""
        return self._blocked_since_s is not None

    @property
    def blocked_s(self) -> float:
        """Seconds that it was blocked, up to now."""
        since = self._blocked_since_s
        return self._blocked_before_s + (self._loop.time() - since if since is not None else 0.0)

    async def close(self) -> None:
        """Close, waiting at most CLOSE_TIMEOUT_S for the broker; what was written before is sent first."""
        if self._connection.is_open:
            self._connection.close()
        try:
            # A blocked connection is not read by the broker: there is no answer to wait for.
            async with asyncio.timeout(0 if self.blocked else CLOSE_TIMEOUT_S):
                await asyncio.shield(self.closed)
        except TimeoutError:
            self.abort("no answer to close")
            await asyncio.shield(self.closed)

    def abort(self, reason: str) -> None:
        """Drop the connection without asking the broker; :attr:`closed` follows in the next iteration."""
        if not self._connection.is_closed:
            self._connection.abort(reason)

    def _listen(self) -> None:
        heard_bytes = self._connection.bytes_received
        self._silent_looks = 0 if heard_bytes != self._heard_bytes else self._silent_looks + 1
        self._heard_bytes = heard_bytes
        if self._silent_looks > _SILENT_LOOKS:
            self.abort(f"nothing heard for {self._heartbeat_s} s")
        elif self._heartbeat_s:
            self._look = self._loop.call_later(self._heartbeat_s / _SILENT_LOOKS, self._listen)

    def _on_closed(self, _connection: object, error: Exception) -> None:
        if self._look is not None:
            self._look.cancel()
        self._blocked_before_s, self._blocked_since_s = self.blocked_s, None
        reason = Closed.because(error)
        if not self.closed.done():
            self.closed.set_result(reason)
        self.on_closed()

    def _on_blocked(self, _connection: object, frame: Any) -> None:
        log.warning("%s blocks publishers: %s", self.node, frame.method.reason)
        if self._blocked_since_s is None:
            self._blocked_since_s = self._loop.time()

    def _on_unblocked(self, _connection: object, _frame: object) -> None:
        log.info("%s reads from publishers again after %.1f s", self.node, self.blocked_s)
        self._blocked_before_s, self._blocked_since_s = self.blocked_s, None
        self.on_unblocked()


def _nothing() -> None:
    """Nobody listens yet."""
