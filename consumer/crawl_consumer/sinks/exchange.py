"""Records as messages to an exchange, confirmed: any number of programs read them, each from a queue of its own."""

import asyncio
import logging
from typing import Self

from crawl_consumer.errors import OutputFailed
from crawl_consumer.sink import ItemsOnly, Record
from crawl_consumer.sinks.groups import Groups
from crawl_consumer.sinks.lines import json_line
from crawl_dedup import CrawlError
from crawl_producer.broker import Broker, Outgoing
from crawl_producer.errors import Unroutable

log = logging.getLogger(__name__)

#: Pause before what a full queue refused is published again, doubled each time …
_PAUSE_S = 0.1
#: … up to this. Until it is accepted the pages wait, which slows the crawl down to its readers.
_PAUSE_MAX_S = 5.0
#: Seconds that closing waits for room: meanwhile deliveries are held that another consumer could work on.
CLOSE_S = 5.0
#: A topic exchange lets readers choose kinds of items by this routing key.
_KIND = "{kind}"


class ExchangeSink(ItemsOnly):
    """Publishes each record as JSON, with its key as the message id; see :class:`crawl_consumer.sink.Sink`.

    Args:
        broker: stays the caller's to close.
        exchange: one of exchanges.yaml.
        routing_key: ``{kind}`` in it stands for the item's class.
    """

    def __init__(self, broker: Broker, exchange: str, routing_key: str = "") -> None:
        self._broker = broker
        self._exchange = exchange
        self._routing_key = routing_key
        self._groups = Groups(self._publish)

    def __repr__(self) -> str:
        return f"ExchangeSink({self._exchange!r}, {self._groups!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._groups.close(CLOSE_S)

    def write(self, record: Record) -> None:
        """Take a record into the next group of messages.

        Raises:
            ItemInvalid: a value is nothing that JSON can hold.
            OutputFailed: an earlier group failed.
        """
        key = self._routing_key.replace(_KIND, record.kind)
        self._groups.add(Outgoing(self._exchange, key, json_line(record).rstrip(b"\n"), record.key))

    async def flush(self) -> None:
        """Return when RabbitMQ has confirmed every record written before.

        Raises:
            OutputFailed: no queue is bound for them, or there is no broker any more.
        """
        await self._groups.flush()

    async def _publish(self, messages: list[Outgoing]) -> None:
        pause_s = _PAUSE_S
        while messages:
            failures = await self._try(messages)
            if lost := next((failure for failure in failures if isinstance(failure, Unroutable)), None):
                raise OutputFailed(str(lost), remedy="bind a queue to it in exchanges.yaml: crawl-topology apply")
            messages = [message for message, failure in zip(messages, failures, strict=True) if failure]
            if messages:
                log.info("%d items are not accepted yet, publishing them again", len(messages))
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _PAUSE_MAX_S)

    async def _try(self, messages: list[Outgoing]) -> list[Exception | None]:
        try:
            return list(await self._broker.publish_all(messages))
        except CrawlError as error:
            raise OutputFailed(f"items cannot be published: {error}", remedy=error.remedy) from error
