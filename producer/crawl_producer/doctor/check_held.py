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
from collections.abc import Iterator, Mapping, Sequence

from crawl_producer.doctor.facts import QueueFacts
from crawl_producer.doctor.finding import Finding, Level

#: The first RabbitMQ that asks every node of the target.
MENDED = (3, 12, 5)
#: Looks that must agree. A queue that gives messages away has some on their way whenever one looks, by chance not
#: fewer than a moment ago in every second look; five times in a row in one of a hundred.
LOOKS = 5


def suspicious(looks: Sequence[Mapping[str, QueueFacts]], version: str | None) -> bool:
    """Whether one more look is needed, because all those so far agree that something may be held."""
    return len(looks) < LOOKS and not _mended(version) and any(True for _ in _still(looks))


def check(looks: Sequence[Mapping[str, QueueFacts]], *, version: str | None, vhost: str) -> list[Finding]:
    """Queues that have a member less, and held no less at any look than at the one before.

    Args:
        looks: :data:`LOOKS` of them, seconds apart; fewer when nothing was suspicious any more.
        version: of RabbitMQ.
        vhost: of the queues, for the command.
    """
    if len(looks) < LOOKS or _mended(version):
        return []
    return [_finding(queue, vhost) for queue in _still(looks)]


def _still(looks: Sequence[Mapping[str, QueueFacts]]) -> Iterator[QueueFacts]:
    """The queues, at the last look, that have given nothing away as far as anybody can see."""
    for name, queue in looks[-1].items():
        seen = [look.get(name) for look in looks]
        held = [one.held for one in seen if one is not None and _may_hold(one)]
        if len(held) == len(looks) and held == sorted(held):
            yield queue


def _finding(queue: QueueFacts, vhost: str) -> Finding:
    return Finding(
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
