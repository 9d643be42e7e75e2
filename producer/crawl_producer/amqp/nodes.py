"""The walk over the cluster's nodes until one of them has us.

pika's own multi-host connect is no failover: a name that does not resolve ends its round, pauses do not grow,
and aborting it during the handshake leaks an open connection. So every node gets an attempt of its own, and
an attempt is never aborted: what it brings when nobody waits any more is closed.
"""

import asyncio
import logging
import os
import random
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pika

from crawl_producer.amqp.errors import connect_reason, handshake_refusal
from crawl_producer.amqp.wire import JoinedConnection, Wire
from crawl_producer.errors import BrokerRefused, BrokerUnreachable, TopologyInvalid
from crawl_producer.topology import Connection

log = logging.getLogger(__name__)

#: A pause is at most this many times the one before it ("decorrelated jitter"): growth without a herd.
_GROWTH = 3


@dataclass(slots=True)
class Backoff:
    """Pauses that grow from ``first_s`` to ``max_s`` with decorrelated jitter.

    Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
    """

    first_s: float
    max_s: float
    uniform: Callable[[float, float], float] = random.uniform
    _last_s: float = field(default=0.0, init=False)

    def next_s(self) -> float:
        """The next pause in seconds."""
        self._last_s = min(self.max_s, self.uniform(self.first_s, max(self.first_s, self._last_s * _GROWTH)))
        return self._last_s

    def reset(self) -> None:
        """Begin again with the shortest pause."""
        self._last_s = 0.0


class NodeWalk:
    """Connects to whichever node answers, beginning after the one that served last.

    Args:
        settings: nodes, credentials, timeouts and pauses.
        connection_name: what ``rabbitmqctl list_connections`` shows; see :func:`connection_name`.
        order: the nodes as (host, port); one order for all connections of a process, see :func:`shuffled`.

    Raises:
        TopologyInvalid: a TLS file cannot be used.
    """

    def __init__(self, settings: Connection, connection_name: str, order: tuple[tuple[str, int], ...]) -> None:
        self._settings = settings
        self._tls = tls_context(settings)
        self._name = connection_name
        self._order = order
        self._first, self._served = 0, False
        self._attempts: set[asyncio.Future[Wire | BaseException]] = set()
        self.backoff = Backoff(settings.retry_first_s, settings.retry_max_s)

    async def connect(self) -> Wire:
        """Try every node in turn, again and again, for a limited time and at least one whole round.

        The limit is ``opening_s`` until a first node answered, because a user is waiting, and then ``give_up_s``.

        Raises:
            BrokerUnreachable: no node answered; the message lists each with its reason.
            BrokerRefused: a node refused the credentials or the virtual host; trying again cannot help.
        """
        loop = asyncio.get_running_loop()
        patience_s = self._settings.give_up_s if self._served else self._settings.opening_s
        give_up_s = loop.time() + patience_s
        while True:
            reasons: dict[str, str] = {}
            for place, (host, port) in self._round():
                outcome = await self._attempt(host, port)
                if isinstance(outcome, Wire):
                    self._first, self._served = place + 1, True
                    return outcome
                reasons[_node(host, port)] = outcome
            left_s = give_up_s - loop.time()
            if left_s <= 0:
                raise _unreachable(reasons)
            pause_s = min(self.backoff.next_s(), left_s)
            log.warning("no RabbitMQ node answers (%s); next try in %.1f s", _listed(reasons), pause_s)
            await asyncio.sleep(pause_s)

    async def drain(self) -> None:
        """Wait for attempts that are still under way; each ends by its own timeouts."""
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=self._attempt_timeout_s)

    @property
    def _attempt_timeout_s(self) -> float:
        """One attempt's limit: pika limits TCP and handshake per address, but not the name's resolution."""
        return self._settings.connect_timeout_s + self._settings.handshake_timeout_s

    def _round(self) -> Iterator[tuple[int, tuple[str, int]]]:
        first = self._first
        for place in range(first, first + len(self._order)):
            yield place % len(self._order), self._order[place % len(self._order)]

    async def _attempt(self, host: str, port: int) -> Wire | str:
        """The open connection, or the reason why there is none."""
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[Wire | BaseException] = loop.create_future()
        self._attempts.add(opened)
        opened.add_done_callback(self._attempts.discard)

        def on_done(result: JoinedConnection | BaseException) -> None:
            opened.set_result(result if isinstance(result, BaseException) else Wire(result, _node(host, port)))

        JoinedConnection.create_connection([self._parameters(host, port)], on_done, custom_ioloop=loop)
        try:
            async with asyncio.timeout(self._attempt_timeout_s):
                outcome = await asyncio.shield(opened)
        except TimeoutError:
            opened.add_done_callback(_abort_unwanted)
            return "no answer in time"
        except asyncio.CancelledError:
            opened.add_done_callback(_abort_unwanted)
            raise
        if isinstance(outcome, Wire):
            return outcome
        if (refusal := handshake_refusal(outcome)) is not None:
            raise self._refused(_node(host, port), refusal) from outcome
        return connect_reason(outcome)

    def _parameters(self, host: str, port: int) -> pika.ConnectionParameters:
        """One attempt at one node. The broker's own heartbeat proposal is overridden."""
        settings = self._settings
        return pika.ConnectionParameters(
            host=host,
            port=port,
            virtual_host=settings.vhost,
            credentials=pika.PlainCredentials(settings.username, settings.password.get_secret_value()),
            heartbeat=settings.heartbeat_s,
            socket_timeout=settings.connect_timeout_s,
            stack_timeout=settings.handshake_timeout_s,
            connection_attempts=1,
            ssl_options=pika.SSLOptions(self._tls, server_hostname=host) if self._tls else None,
            client_properties={"connection_name": self._name},
        )

    def _refused(self, node: str, words: str) -> BrokerRefused:
        settings = self._settings
        if "vhost" in words:
            return BrokerRefused(
                f"RabbitMQ at {node} refuses user {settings.username!r} on vhost {settings.vhost!r}: {words}",
                remedy="correct CRAWL_RABBITMQ_VHOST, or rabbitmqctl add_vhost and set_permissions",
            )
        return BrokerRefused(
            f"RabbitMQ at {node} refuses user {settings.username!r}: {words}",
            remedy="correct CRAWL_RABBITMQ_USERNAME and CRAWL_RABBITMQ_PASSWORD "
            "(the user guest may connect from the broker's own machine only)",
        )


def connection_name(command: str, purpose: str) -> str:
    """``<command>/<host>/<pid>/<purpose>``, so that an operator finds the process behind a connection."""
    return f"{command}/{socket.gethostname()}/{os.getpid()}/{purpose}"


def shuffled(settings: Connection) -> tuple[tuple[str, int], ...]:
    """The nodes in an order of this process's own, so that a fleet spreads over the cluster."""
    nodes = settings.endpoints()
    return tuple(random.sample(nodes, len(nodes)))


def _abort_unwanted(opened: "asyncio.Future[Wire | BaseException]") -> None:
    """Close what an attempt brings, or has just brought, when nobody waits for it any more."""
    if isinstance(outcome := opened.result(), Wire):
        outcome.abort("nobody waits for this connection any more")


def tls_context(settings: Connection) -> ssl.SSLContext | None:
    """What ``connection.tls`` asks for, None without it. Raises TopologyInvalid."""
    tls = settings.tls
    if tls is None:
        return None
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except (OSError, ValueError) as error:
        raise TopologyInvalid(
            f"connection.tls of exchanges.yaml cannot be used: {error}",
            remedy="ca_file, cert_file and key_file are paths of readable PEM files",
        ) from error
    return context


def _unreachable(reasons: dict[str, str]) -> BrokerUnreachable:
    return BrokerUnreachable(
        f"no RabbitMQ node answers: {_listed(reasons)}",
        remedy="start RabbitMQ, or correct connection.nodes in exchanges.yaml (CRAWL_RABBITMQ_NODES)",
    )


def _listed(reasons: dict[str, str]) -> str:
    return ", ".join(f"{node} ({reason})" for node, reason in reasons.items())


def _node(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
