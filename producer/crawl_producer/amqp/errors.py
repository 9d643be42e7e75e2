"""Where pika's exceptions end: each becomes a reason that we can act on, or one of our own errors."""

import re
import socket
import ssl
from typing import Self

from pika import exceptions as pika_exceptions
from pika.adapters.utils import connection_workflow

from crawl_dedup.errors import CrawlError
from crawl_producer.errors import (
    BrokerRefused,
    ProducerError,
    TopologyDrift,
    TopologyInvalid,
    TopologyMissing,
)

#: AMQP 0-9-1 reply codes (https://www.rabbitmq.com/amqp-0-9-1-reference#constants).
ACCESS_REFUSED = 403
NOT_FOUND = 404
PRECONDITION_FAILED = 406
NOT_ALLOWED = 530
#: The broker closed the connection for reasons of its own: a node that stops, a failure inside it.
_NOT_OUR_FAULT = frozenset({200, 320, 541})

#: pika folds the broker's own words on a refused handshake into the text of another exception.
_BROKER_SAID = re.compile(r"ConnectionClosedByBroker: \((\d+)\) (['\"])(.*)\2", re.DOTALL)
_EXCHANGE = re.compile(r"exchange '([^']*)' in vhost")
#: What an attempt's exception says to an operator; the first that fits.
_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "the name does not resolve"),
    (TimeoutError, "no answer in time"),
    (connection_workflow.AMQPConnectorStackTimeout, "no answer in time"),
    (ConnectionRefusedError, "connection refused"),
    (pika_exceptions.IncompatibleProtocolError, "it does not speak AMQP 0-9-1, or expects TLS"),
)


class Closed(Exception):
    """A channel is closed and whoever waited on it will get no answer. Stays inside this package.

    Args:
        code: the broker's reply code, 0 when it gave none.
        text: the broker's words, or what happened to the connection.
        lost: the connection went through no fault of ours, so the same may be tried on the next one.
    """

    def __init__(self, code: int, text: str, *, lost: bool) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.lost = lost

    @classmethod
    def because(cls, error: BaseException) -> Self:
        """The reason that pika gives to close callbacks, or raises."""
        match error:
            case pika_exceptions.ChannelClosedByBroker():
                return cls(error.reply_code, error.reply_text, lost=False)
            case pika_exceptions.ConnectionClosed():
                return cls(error.reply_code, error.reply_text, lost=error.reply_code in _NOT_OUR_FAULT)
            case pika_exceptions.NoFreeChannels():
                return cls(0, "all channels of the connection are in use", lost=False)
        return cls(0, str(error) or type(error).__name__, lost=True)

    @property
    def exchange(self) -> str | None:
        """The exchange whose absence or refusal closed a publishing channel, when the broker names it."""
        found = _EXCHANGE.search(self.text) if self.code in (ACCESS_REFUSED, NOT_FOUND) else None
        return found[1] if found else None

    def again(self) -> Self:
        """A copy to raise: one exception raised in many tasks collects the tracebacks of all."""
        return type(self)(self.code, self.text, lost=self.lost)

    def as_error(self) -> ProducerError:
        """What the broker's refusal of an operation means for a caller outside this package."""
        if self.code == NOT_FOUND:
            return TopologyMissing(f"RabbitMQ says: {self.text}", remedy="run crawl-topology apply")
        if self.code == PRECONDITION_FAILED and "invalid arg" in self.text:
            return TopologyInvalid(
                f"RabbitMQ says: {self.text}", remedy="this RabbitMQ version does not take that argument"
            )
        if self.code == PRECONDITION_FAILED:
            return TopologyDrift(
                f"RabbitMQ says: {self.text}",
                remedy="arguments of a queue or exchange never change: delete it by hand, or name a new one",
            )
        return BrokerRefused(
            f"RabbitMQ says: {self.text}", remedy="see rabbitmqctl list_permissions for what the user may do"
        )


def again(error: CrawlError) -> CrawlError:
    """A copy to raise, for the same reason as :meth:`Closed.again`."""
    return type(error)(str(error), remedy=error.remedy)


def handshake_refusal(error: BaseException) -> str | None:
    """The broker's words when it refused us for good while connecting: credentials, virtual host, permission.

    A lost stream during the handshake, which pika also calls a probable authentication error, is none: a node
    that is just being stopped does that. Neither is a connection limit, which has room again later.
    """
    for cause in _causes(error):
        if isinstance(cause, pika_exceptions.AuthenticationError):
            return "it does not offer PLAIN authentication"
        said = _BROKER_SAID.search(str(cause))
        if said and int(said[1]) in (ACCESS_REFUSED, NOT_ALLOWED) and "limit" not in said[3]:
            return said[3]
    return None


def connect_reason(error: BaseException) -> str:
    """Why one node could not be reached, in a few words."""
    return "; ".join(dict.fromkeys(_reason(cause) for cause in _causes(error)))


def _causes(error: BaseException) -> list[BaseException]:
    """What lies inside pika's wrappers; several when a name has several addresses."""
    if isinstance(error, connection_workflow.AMQPConnectionWorkflowFailed):
        return [cause for inner in error.exceptions for cause in _causes(inner)]
    if isinstance(error, connection_workflow.AMQPConnectorPhaseErrorBase):
        return _causes(error.exception)
    return [error]


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error}"
    for kinds, words in _WORDS:
        if isinstance(error, kinds):
            return words
    said = _BROKER_SAID.search(str(error))
    return said[3] if said else (str(error) or type(error).__name__)
