"""One queue of the in-memory broker, with RabbitMQ's prefetch, time to live, limits and dead letters."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crawl_producer.declarations import Queue

#: Seconds by which a timer may come early: asyncio allows the clock's resolution. No other comes for that message.
_TIMER_EARLY_S = 1e-6


@dataclass(slots=True, eq=False)
class Stored:
    """A message in a queue. Another queue that gets the same message has its own."""

    routing_key: str
    body: bytes
    message_id: str
    headers: Mapping[str, object]
    priority: int = 0
    deliveries: int = 0
    expires_s: float | None = None  #: loop time


@dataclass(slots=True, eq=False)
class Consumer:
    """Who gets a queue's messages: at most ``prefetch`` unsettled ones."""

    prefetch: int
    receive: Callable[["MemoryQueue", Stored], None]
    unsettled: int = 0


class MemoryQueue:
    """A queue's ready messages and consumers.

    Args:
        declaration: its name and arguments. ``x-message-ttl``, ``x-max-length``, ``x-overflow``,
            ``x-delivery-limit``, ``x-max-priority``, ``x-dead-letter-exchange`` and ``x-dead-letter-routing-key``
            mean what they mean in RabbitMQ; others are kept and mean nothing.
        bury: gets each dead letter's exchange, routing key and message.
    """

    def __init__(self, declaration: Queue, bury: Callable[[str, str, Stored], None]) -> None:
        self.declaration = declaration
        self.ready: deque[Stored] = deque()
        self.consumers: deque[Consumer] = deque()
        self._bury = bury
        self._ttl_ms = _number(declaration, "x-message-ttl")
        self._max_length = _number(declaration, "x-max-length")
        self._delivery_limit = _number(declaration, "x-delivery-limit")
        self._max_priority = _number(declaration, "x-max-priority") or 0

    def __repr__(self) -> str:
        return f"<MemoryQueue {self.declaration.name}: {len(self.ready)} ready, {len(self.consumers)} consumers>"

    @property
    def full(self) -> bool:
        """Whether it refuses publications (``x-overflow: reject-publish``)."""
        refuses = self.declaration.arguments.get("x-overflow") == "reject-publish"
        return refuses and self._max_length is not None and len(self.ready) >= self._max_length

    def put(self, message: Stored) -> None:
        """Append a message; without reject-publish the oldest makes room."""
        if self._ttl_ms is not None:
            loop = asyncio.get_running_loop()
            message.expires_s = loop.time() + self._ttl_ms / 1000
            loop.call_at(message.expires_s, self._expire)
        self.ready.insert(self._place_behind(message), message)
        while self._max_length is not None and len(self.ready) > self._max_length:
            self._dead(self.ready.popleft())
        self.serve_soon()

    def give_back(self, message: Stored) -> None:
        """Return an unsettled message to the front, or bury it when it was delivered too often."""
        if self._delivery_limit is not None and message.deliveries > self._delivery_limit:
            self._dead(message)
        else:
            self.ready.insert(self._place_before(message), message)
        self.serve_soon()

    def serve_soon(self) -> None:
        """Hand out messages in a later loop iteration, as a network would."""
        asyncio.get_running_loop().call_soon(self._serve)

    def _serve(self) -> None:
        self._expire()
        while self.ready and (consumer := self._next_consumer()) is not None:
            message = self.ready.popleft()
            message.deliveries += 1
            consumer.unsettled += 1
            consumer.receive(self, message)

    def _place_behind(self, message: Stored) -> int:
        place = len(self.ready)
        while place and self._rank(self.ready[place - 1]) < self._rank(message):
            place -= 1
        return place

    def _place_before(self, message: Stored) -> int:
        ranks = [self._rank(other) for other in self.ready] if self._max_priority else [0]
        return next((place for place, rank in enumerate(ranks) if rank <= self._rank(message)), len(self.ready))

    def _rank(self, message: Stored) -> int:
        return min(message.priority, self._max_priority)

    def _next_consumer(self) -> Consumer | None:
        for _ in range(len(self.consumers)):
            self.consumers.rotate(-1)
            if self.consumers[-1].unsettled < self.consumers[-1].prefetch:
                return self.consumers[-1]
        return None

    def _expire(self) -> None:
        now_s = asyncio.get_running_loop().time() + _TIMER_EARLY_S
        # Only the head is looked at, as in RabbitMQ: one time to live per queue makes it the oldest.
        while self.ready and self.ready[0].expires_s is not None and self.ready[0].expires_s <= now_s:
            self._dead(self.ready.popleft())

    def _dead(self, message: Stored) -> None:
        arguments = self.declaration.arguments
        exchange = arguments.get("x-dead-letter-exchange")
        if exchange is not None:
            key = arguments.get("x-dead-letter-routing-key", message.routing_key)
            self._bury(str(exchange), str(key), message)


def _number(declaration: Queue, argument: str) -> int | None:
    value = declaration.arguments.get(argument)
    return None if value is None else int(value)
