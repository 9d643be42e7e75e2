"""From exchanges.yaml to everything that RabbitMQ must hold: the work queues and, derived, their plumbing.

For every work queue ``q``::

    q          work; a message that is redelivered too often goes to crawl.dead under the key q
    q.due      messages whose delay is over, bound to crawl.redeliver under the key q
    dead.q     messages that failed for good, bound to crawl.dead under the key q

(an inbox has no ``.due``: what comes out of it goes to work queues);
for every crawl ``c`` that asks for one, the stream ``journal.c``, bound as all of its work queues are; and once for
all: the ladder ``crawl.delay.<ms>`` (fanout exchange and queue each), from whose queues expired messages
leave through ``crawl.redeliver`` under the key that they were published with, and ``crawl.unrouted`` for what RabbitMQ
itself moves and no binding wants. What items need is added by :mod:`.derive_items`. Arguments are immutable in
RabbitMQ, so what is chosen here is chosen for good.
"""

from collections.abc import Iterator

from crawl_producer import names
from crawl_producer.declarations import Arguments, Binding, Declarations, Exchange, Queue
from crawl_producer.derive_items import item_bindings, item_exchanges, item_queues, stream
from crawl_producer.topology import QueueSpec, Topology

#: Messages kept in crawl.unrouted. It is a catch basin for mistakes: bounded, so that a mistake cannot fill
#: the disk, and the oldest go first, because a full basin that refused would wedge every delay queue.
MAX_UNROUTED = 100_000
#: Redeliveries that queues without dead-lettering of their own allow. RabbitMQ 4.0 drops a message after 20
#: unless told otherwise, and operators look at dead letters more often than that.
KEEP_FOR_EVER = 1_000_000

_QUORUM: Arguments = {"x-queue-type": "quorum"}
#: A dead letter stays until its target has confirmed it; RabbitMQ demands reject-publish with this.
#: Source: https://www.rabbitmq.com/docs/quorum-queues#dead-lettering.
_AT_LEAST_ONCE: Arguments = {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}


def declarations(topology: Topology) -> Declarations:
    """Everything that ``topology`` needs in RabbitMQ, in an order that can be declared. Pure."""
    return Declarations(
        exchanges=(*_plumbing_exchanges(), *_user_exchanges(topology), *item_exchanges(topology)),
        queues=(
            *_plumbing_queues(),
            *_work_queues(topology),
            *_inboxes(topology),
            *_journals(topology),
            *item_queues(topology),
        ),
        bindings=(
            *_plumbing_bindings(),
            *_user_bindings(topology),
            *_companion_bindings(topology),
            *_inbox_bindings(topology),
            *_journal_bindings(topology),
            *item_bindings(topology),
        ),
    )


def _plumbing_exchanges() -> Iterator[Exchange]:
    yield Exchange(names.UNROUTED, "fanout")
    yield Exchange(names.REDELIVER, "direct", {"alternate-exchange": names.UNROUTED})
    yield Exchange(names.DEAD, "direct", {"alternate-exchange": names.UNROUTED})
    # No alternate: a rung whose queue is gone must return the message to its publisher, who still holds it.
    for delay_ms in names.DELAYS_MS:
        yield Exchange(names.delay_exchange(delay_ms), "fanout")


def _plumbing_queues() -> Iterator[Queue]:
    basin: Arguments = {
        "x-max-length": MAX_UNROUTED,
        "x-overflow": "drop-head",
        "x-delivery-limit": KEEP_FOR_EVER,
    }
    yield Queue(names.UNROUTED, {**_QUORUM, **basin})
    for delay_ms in names.DELAYS_MS:
        # No x-dead-letter-routing-key: the key it was published with names the queue it goes back to.
        way_out: Arguments = {"x-message-ttl": delay_ms, "x-dead-letter-exchange": names.REDELIVER}
        yield Queue(names.delay_queue(delay_ms), {**_QUORUM, **way_out, **_AT_LEAST_ONCE})


def _plumbing_bindings() -> Iterator[Binding]:
    yield Binding(names.UNROUTED, names.UNROUTED)
    for delay_ms in names.DELAYS_MS:
        yield Binding(names.delay_exchange(delay_ms), names.delay_queue(delay_ms))


def _user_exchanges(topology: Topology) -> Iterator[Exchange]:
    for name, spec in topology.exchanges.items():
        # Without an alternate of its own an exchange has none: RabbitMQ confirms what an alternate has taken, and
        # a publisher that is told "confirmed" forgets a URL which no consumer will ever see.
        yield Exchange(name, spec.type, {"alternate-exchange": spec.alternate} if spec.alternate else {})


def _user_bindings(topology: Topology) -> Iterator[Binding]:
    for name, exchange in topology.exchanges.items():
        for b in exchange.bindings:
            yield Binding(b.exchange, name, b.key, to_exchange=True, arguments=b.arguments)
    for name, queue in topology.queues.items():
        for b in queue.bindings:
            yield Binding(b.exchange, name, b.key, arguments=b.arguments)


def _work_queues(topology: Topology) -> Iterator[Queue]:
    for name, spec in topology.queues.items():
        yield Queue(names.dead_queue(name), {**_QUORUM, "x-delivery-limit": KEEP_FOR_EVER})
        yield Queue(names.due_queue(name), _counted_quorum(name, spec.delivery_limit))
        yield Queue(name, {**_of_type(name, spec), **_limit(spec)})


def _companion_bindings(topology: Topology) -> Iterator[Binding]:
    for name in topology.queues:
        yield Binding(names.REDELIVER, names.due_queue(name), name)
        yield Binding(names.DEAD, names.dead_queue(name), name)


def _inboxes(topology: Topology) -> Iterator[Queue]:
    for name, spec in topology.inboxes.items():
        yield Queue(names.dead_queue(name), {**_QUORUM, "x-delivery-limit": KEEP_FOR_EVER})
        yield Queue(name, _counted_quorum(name, spec.delivery_limit))


def _inbox_bindings(topology: Topology) -> Iterator[Binding]:
    for name, spec in topology.inboxes.items():
        yield Binding(names.DEAD, names.dead_queue(name), name)
        for b in spec.bindings:
            yield Binding(b.exchange, name, b.key, arguments=b.arguments)


def _journals(topology: Topology) -> Iterator[Queue]:
    for crawl, spec in topology.crawls.items():
        if spec.journal is not None:
            yield Queue(names.journal(crawl), stream(spec.journal.max_bytes))


def _journal_bindings(topology: Topology) -> Iterator[Binding]:
    """Exactly those of the work queues: a key that reaches none of them reaches no journal, and comes back."""
    wanted = [
        Binding(b.exchange, names.journal(queue.crawl), b.key, arguments=b.arguments)
        for queue in topology.queues.values()
        if topology.crawls[queue.crawl].journal is not None
        for b in queue.bindings
    ]
    # Queues of several groups are bound alike, and a binding with a dictionary in it cannot be hashed.
    yield from (binding for place, binding in enumerate(wanted) if binding not in wanted[:place])


def _of_type(name: str, spec: QueueSpec) -> Arguments:
    if spec.type == "quorum":
        return _counted_quorum(name, spec.delivery_limit)
    # RabbitMQ answers 406 to delivery limits and dead-letter strategies on classic queues.
    priorities = {"x-max-priority": spec.max_priority} if spec.max_priority else {}
    return {"x-queue-type": "classic", **_dead_letters(name), **priorities}


def _counted_quorum(name: str, delivery_limit: int) -> Arguments:
    return {**_QUORUM, "x-delivery-limit": delivery_limit, **_dead_letters(name), **_AT_LEAST_ONCE}


def _dead_letters(name: str) -> Arguments:
    return {"x-dead-letter-exchange": names.DEAD, "x-dead-letter-routing-key": name}


def _limit(spec: QueueSpec) -> Arguments:
    """A full queue refuses (the publisher keeps the URL) instead of dropping its oldest."""
    return {"x-max-length": spec.max_length, "x-overflow": "reject-publish"} if spec.max_length else {}
