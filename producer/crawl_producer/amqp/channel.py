"""A channel whose calls are awaited: every one ends in an answer or in Closed, none waits for ever."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Self

from pika import exceptions as pika_exceptions
from pika.channel import Channel as PikaChannel

from crawl_producer.amqp.errors import Closed
from crawl_producer.amqp.wire import Wire
from crawl_producer.broker import Outgoing


class Channel:
    """One AMQP channel. Open one with :meth:`open`.

    Attributes:
        raw: pika's channel, for what needs no answer (ack).
        epoch: the connection that it belongs to; a delivery tag means nothing on any other.
        closed: resolved with the reason when the channel is gone.
    """

    def __init__(self, raw: PikaChannel, epoch: int) -> None:
        self.raw = raw
        self.epoch = epoch
        self.closed: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()
        self._waiting: set[asyncio.Future[Any]] = set()
        # pika encodes a queued call later, inside a callback, where an encoding error kills the connection.
        # One call at a time is encoded in its caller's stack.
        self._one_at_a_time = asyncio.Lock()
        raw.add_on_close_callback(self._on_close)

    def __repr__(self) -> str:
        return f"<Channel {self.raw.channel_number} epoch {self.epoch}, {'open' if self.is_open else 'closed'}>"

    @classmethod
    async def open(cls, wire: Wire) -> Self:
        """Open a channel. Raises Closed."""
        opened: asyncio.Future[PikaChannel] = asyncio.get_running_loop().create_future()
        try:
            channel = cls(wire.connection.channel(on_open_callback=partial(_resolve, opened)), wire.epoch)
        except pika_exceptions.AMQPError as error:
            raise Closed.because(error) from error
        try:
            await channel._answer(opened)
        except asyncio.CancelledError:
            channel.abandon()
            raise
        return channel

    @property
    def is_open(self) -> bool:
        """Whether something can be sent on it."""
        return bool(self.raw.is_open)

    async def call(self, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call one of pika's channel methods and await the method frame that answers it.

        Raises:
            Closed: the channel was closed before the answer came, or was closed already.
            ValueError: the arguments cannot be encoded; nothing was sent.
        """
        async with self._one_at_a_time:
            answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            try:
                method(*args, callback=partial(_resolve, answer), **kwargs)
            except (
                pika_exceptions.ChannelWrongStateError,
                pika_exceptions.ConnectionWrongStateError,
            ) as error:
                raise self._reason(error) from error
            except (pika_exceptions.AMQPError, AssertionError, TypeError) as error:
                raise ValueError(f"cannot be encoded for AMQP: {error!r}") from error
            return await self._answer(answer)

    def publish(self, message: Outgoing) -> None:
        """Send a message, while the channel is open; the broker's answer is a confirm.

        Raises:
            Exception: it cannot be encoded for AMQP, whatever the encoder thinks of it; nothing was sent.
        """
        self.raw.connection.publish(self.raw.channel_number, message)

    async def close(self) -> None:
        """Close in order; does nothing when it is closed already."""
        self.abandon()
        await asyncio.shield(self.closed)

    def abandon(self) -> None:
        """Begin to close, without waiting for the broker's answer."""
        if self.raw.is_open or self.raw.is_opening:
            self.raw.close()

    def drop_connection(self, reason: str) -> None:
        """Drop the connection that this channel is on, without a word to the broker; all its channels close."""
        self.raw.connection.abort(reason)

    async def _answer(self, answer: "asyncio.Future[Any]") -> Any:
        if self.closed.done():
            raise self.closed.result().again()
        self._waiting.add(answer)
        try:
            return await answer
        finally:
            self._waiting.discard(answer)

    def _on_close(self, _channel: PikaChannel, error: Exception) -> None:
        reason = Closed.because(error)
        if not self.closed.done():
            self.closed.set_result(reason)
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(reason.again())

    def _reason(self, error: Exception) -> Closed:
        if self.closed.done():
            return self.closed.result().again()
        return Closed.because(error)


def _resolve(future: "asyncio.Future[Any]", answer: Any) -> None:
    if not future.done():
        future.set_result(answer)
