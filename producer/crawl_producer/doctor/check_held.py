"""Delays: does a queue hold on to messages that ought to have left it?

RabbitMQ before 3.12.5 has one process for each queue with at-least-once dead-lettering that moves on what is over. When
a node is cut off that led such a queue and its target too, the new leader's process may begin before RabbitMQ has
written down who leads the target now. It then asks the node that is gone, takes silence for a refusal, and asks that
node again for as long as it lives. Nothing is lost, and nothing leaves: until that node is back, or another one leads
the queue.
Source: https://github.com/rabbitmq/rabbitmq-server/pull/9221, which mended it.
"""

import re
import shlex
from collections.abc import Iterator, Mapping

from crawl_producer.doctor.facts import QueueFacts
from crawl_producer.doctor.finding import Finding, Level

#: The first RabbitMQ that asks every node of the target.
MENDED = (3, 12, 5)


def suspicious(queues: Mapping[str, QueueFacts], version: str | None) -> bool:
    """Whether a second look is needed: what is only on its way is gone by then."""
    return not _mended(version) and any(map(_may_hold, queues.values()))


def check(
    first: Mapping[str, QueueFacts], second: Mapping[str, QueueFacts], *, version: str | None, vhost: str
) -> list[Finding]:
    """Queues that have a member less, and hold at least as much as one look earlier.

    Args:
        first: one look …
        second: … and one some seconds later; the same again when nothing was suspicious.
        version: of RabbitMQ.
        vhost: of the queues, for the command.
    """
    if first is second or _mended(version):
        return []
    return [finding for name, queue in second.items() for finding in _finding(first.get(name), queue, vhost)]


def _finding(before: QueueFacts | None, queue: QueueFacts, vhost: str) -> Iterator[Finding]:
    if before is None or not _may_hold(before) or not _may_hold(queue) or queue.held < before.held:
        return
    yield Finding(
        Level.ERROR,
        queue.name,
        f"{queue.held:,} messages ought to have left it and are held: RabbitMQ asks a node that is gone where they go",
        "start that node, or let another one lead the queue",
        f"rabbitmqctl eval {shlex.quote(_moved(queue, vhost))}" if queue.followers else "",
    )


def _may_hold(queue: QueueFacts) -> bool:
    return queue.held > 0 and queue.online < queue.members


def _moved(queue: QueueFacts, vhost: str) -> str:
    """In Erlang, because no command of RabbitMQ's moves one queue's leader."""
    name = f"rabbit_misc:r({_binary(vhost)}, queue, {_binary(queue.name)})"
    node = f'list_to_atom("{queue.followers[0]}")'
    return f"{{ok, Q}} = rabbit_amqqueue:lookup({name}), rabbit_quorum_queue:transfer_leadership(Q, {node})."


def _binary(text: str) -> str:
    return '<<"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"/utf8>>'


def _mended(version: str | None) -> bool:
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version or "")
    return numbers is not None and tuple(map(int, numbers.groups())) >= MENDED
