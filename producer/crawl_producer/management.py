"""What AMQP cannot tell: unacknowledged messages of each queue, from RabbitMQ's management API.

The plugin may be off or out of reach; then the answer is None and callers show what they have.
"""

import asyncio
import base64
import http.client
import json
import logging
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crawl_producer.topology import Connection

log = logging.getLogger(__name__)

#: The plugin's default port (https://www.rabbitmq.com/docs/management).
DEFAULT_PORT = 15672
#: A node on another port is one of several on its machine, or behind something.
AMQP_PORT = 5672
#: A status line must not hang on a plugin that is not there.
TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """One queue's messages, as of RabbitMQ's last tick of five seconds: waiting, and handed out but not settled."""

    ready: int
    unacked: int


async def queue_counts(connection: Connection) -> Mapping[str, QueueCounts] | None:
    """Every queue of the vhost by name, or None when the management API cannot be used.

    Args:
        connection: whose vhost, credentials and address; without one, its first node is asked.
    """
    vhost = urllib.parse.quote(connection.vhost, safe="")
    queues = await ask(connection, f"queues/{vhost}?disable_stats=true&enable_queue_totals=true")
    try:
        return None if queues is None else {queue["name"]: _counts(queue) for queue in queues}
    except (KeyError, TypeError) as error:
        log.debug("no answer of a management API: %r", error)
        return None


async def ask(connection: Connection, path: str) -> Any:
    """The answer of ``/api/<path>``, decoded; None when the management API cannot be used.

    Args:
        connection: whose credentials and address; without one, its first node is asked.
        path: see https://www.rabbitmq.com/docs/http-api-reference.
    """
    base = address(connection)
    if base is None:
        return None
    credentials = f"{connection.username}:{connection.password.get_secret_value()}".encode()
    request = urllib.request.Request(  # noqa: S310 - the operator's own address, from configuration
        f"{base}/api/{path}", headers={"Authorization": "Basic " + base64.b64encode(credentials).decode()}
    )
    try:
        return json.loads(await asyncio.to_thread(_get, request))
    except (OSError, http.client.HTTPException, ValueError) as error:
        log.debug("no management API at %s: %s", base, error)
        return None


def address(connection: Connection) -> str | None:
    """Where the management API is, or would be; None: nobody can know."""
    base = str(connection.management or "") or _usual_address(connection)
    return base.rstrip("/") if base else None


def _usual_address(connection: Connection) -> str | None:
    """Where the plugin listens beside a node on its default port; elsewhere, or with TLS, nobody can know."""
    host, port = connection.endpoints()[0]
    if connection.tls is not None or port != AMQP_PORT:
        return None
    return f"http://{f'[{host}]' if ':' in host else host}:{DEFAULT_PORT}"


#: Credentials must not go where a proxy or a redirect leads.
_OPENER = urllib.request.OpenerDirector()
for _handler in (urllib.request.HTTPHandler, urllib.request.HTTPSHandler, urllib.request.HTTPErrorProcessor):
    _OPENER.add_handler(_handler())
_OPENER.add_handler(urllib.request.HTTPDefaultErrorHandler())


def _get(request: urllib.request.Request) -> bytes:
    with _OPENER.open(request, timeout=TIMEOUT_S) as response:
        body: bytes = response.read()
    return body


def _counts(queue: Mapping[str, object]) -> QueueCounts:
    def number(key: str) -> int:
        value = queue.get(key, 0)
        return value if isinstance(value, int) else 0

    return QueueCounts(number("messages_ready"), number("messages_unacknowledged"))
