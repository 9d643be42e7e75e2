"""The broker's promise: publish until confirmed, consume until acknowledged.

Two implementations keep it: :mod:`crawl_producer.amqp` (RabbitMQ through pika) and
:mod:`crawl_producer.memory_broker` (exchanges, queues and bindings in this process, for tests and small
crawls). Both pass ``tests/contract/test_broker_contract.py``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol, Self

from crawl_dedup.errors import CrawlError
from crawl_producer.errors import PublishFailed

#: RabbitMQ header values that survive every client: pika cannot encode floats.
HeaderValue = str | int
#: Those of nearly all messages.
NO_HEADERS: Mapping[str, HeaderValue] = MappingProxyType({})


class Outgoing(NamedTuple):
    """A message on its way to an exchange. It is always persistent and mandatory.

    A tuple, because the constructor of a frozen dataclass takes three times as long, and a seed is little else.

    Attributes:
        exchange: where to; never the default exchange.
        routing_key: at most 255 bytes.
        body: an encoded message.
        message_id: stays the same when the message is published again.
        headers: fresh ones only; the broker's own (``x-death`` …) are never copied, because RabbitMQ before
            4.0.1 drops a message that comes back with them.
        priority: for queues with ``max_priority``, where higher ones come first; others do not look at it. Quorum
            queues of RabbitMQ 4.0 let those above 4 come somewhat earlier.
        sealed: it is a URL message that we wrote, or have believed, and gets the crawl's seal where there is a key.
            What strangers wrote must never get it.
    """

    exchange: str
    routing_key: str
    body: bytes
    message_id: str
    headers: Mapping[str, HeaderValue] = NO_HEADERS
    priority: int | None = None
    sealed: bool = False


class Delivery(Protocol):
    """One message handed to this process and not yet settled."""

    @property
    def queue(self) -> str:
        """The queue it came from."""

    @property
    def body(self) -> bytes:
        """The message's bytes as published."""

    @property
    def message_id(self) -> str:
        """The publisher's id, or an empty string."""

    @property
    def headers(self) -> Mapping[str, object]:
        """The message's headers, the broker's own included."""

    @property
    def doubt(self) -> str:
        """Why it is not to be believed to be a URL message of ours; empty: it is, or there is no key to tell by."""

    @property
    def redelivered(self) -> bool:
        """Whether some consumer had it before."""

    @property
    def stale(self) -> bool:
        """Whether its channel is gone: the broker has requeued it, and an acknowledgement would do nothing."""

    def ack(self) -> bool:
        """Settle it for good. Returns False, and counts it, when the delivery is stale. At most one call."""

    def requeue(self) -> bool:
        """Give it back to its queue. Only for shutdown: a requeue is no way to wait."""


class Subscription(Protocol):
    """One queue's stream of deliveries, kept alive over reconnects until it is cancelled."""

    @property
    def queue(self) -> str:
        """The queue's name."""

    async def cancel(self) -> None:
        """Stop new deliveries; those in hand may still be settled until the broker is closed."""

    async def close(self) -> None:
        """Stop, and give what is not settled back to its queue, in its order; those deliveries go stale."""


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How full a queue is, as AMQP tells it (passive declare): unacknowledged messages are not in ``ready``."""

    ready: int
    consumers: int


@dataclass(frozen=True, slots=True)
class BrokerStatistics:
    """What the client did since it was opened."""

    node: str
    published: int = 0
    confirmed: int = 0
    returned: int = 0
    nacked: int = 0
    unconfirmed: int = 0  #: waiting for their confirm now
    delivered: int = 0
    acked: int = 0
    stale_acks: int = 0
    reconnects: int = 0
    consumer_cancels: int = 0  #: cancelled by the broker (queue deleted, node lost) and consumed again
    blocked_s: float = 0.0  #: seconds that the broker refused to read from the publishing connection


class Broker(Protocol):
    """A connection to the broker that survives the loss of a node."""

    async def publish(self, message: Outgoing) -> None:
        """Publish and wait for the confirm; waits while the window is full or the broker blocks publishers.

        Raises:
            Unroutable: returned, no queue is bound.
            PublishRefused: nacked.
            Unconfirmed: the connection was lost or no confirm came within ``confirm_timeout_s``.
            TopologyMissing: the exchange does not exist.
            BrokerUnreachable, BrokerRefused: there is no connection to be had.
            ValueError: AMQP cannot carry it: a key or id beyond 255 bytes, a header that is no text or integer.
        """

    async def publish_all(self, messages: Sequence[Outgoing]) -> list[PublishFailed | None]:
        """Publish a batch and wait until every message's fate is known; cheaper than one call per message.

        Returns:
            For each message None when it is confirmed, or the PublishFailed that :meth:`publish` would raise.

        Raises:
            TopologyMissing: an exchange does not exist; treat the whole batch as unconfirmed.
            BrokerUnreachable, BrokerRefused: there is no connection to be had; likewise.
            ValueError: AMQP cannot carry one of them; likewise.
        """

    async def consume(self, queue: str, *, prefetch: int, deliver: Callable[[Delivery], None]) -> Subscription:
        """Consume a queue; ``deliver`` is called in the event loop, must not block and must not raise.

        Raises:
            TopologyMissing: the queue does not exist.
        """

    async def depth(self, queue: str) -> QueueDepth:
        """Ready messages and consumers of a queue. Raises TopologyMissing."""

    def statistics(self) -> BrokerStatistics:
        """Counts since the start."""

    async def failed(self) -> CrawlError:
        """Wait until the client has given up for good, and return why: BrokerUnreachable or BrokerRefused.

        A process that consumes awaits this beside its work and ends with the error's exit code.
        """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...
