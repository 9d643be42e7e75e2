"""Which queues a message reaches: RabbitMQ's routing, worked out from exchanges.yaml alone."""

from collections.abc import Iterator

from crawl_producer.topic import topic_matches
from crawl_producer.topology import BindingSpec, Topology


def queues_reached(topology: Topology, exchange: str, key: str) -> frozenset[str]:
    """The work queues that a message with ``key`` comes to when it is published to ``exchange``.

    Follows exchange-to-exchange bindings and, where an exchange has no binding for the key, its own alternate
    exchange. What ends in ``crawl.unrouted`` reaches nothing. A headers exchange routes by headers, which a
    key does not tell, so all its bindings count as taken.

    Source: https://www.rabbitmq.com/docs/e2e and https://www.rabbitmq.com/docs/ae.
    """
    queues: set[str] = set()
    seen: set[str] = set()
    todo = [exchange]
    while todo:
        name = todo.pop()
        # RabbitMQ visits an exchange once per message, so bindings in a circle end.
        if name in seen or name not in topology.exchanges:
            continue
        seen.add(name)
        to_queues = [q for q, spec in topology.queues.items() if _any_takes(topology, spec.bindings, name, key)]
        to_exchanges = [x for x, spec in topology.exchanges.items() if _any_takes(topology, spec.bindings, name, key)]
        alternate = topology.exchanges[name].alternate
        if alternate and not to_queues and not to_exchanges:
            to_exchanges = [alternate]
        queues.update(to_queues)
        todo.extend(to_exchanges)
    return frozenset(queues)


def keys_bound(topology: Topology, exchange: str) -> tuple[str, ...]:
    """The binding keys that ``exchange`` knows, for a message that says what would have been routed."""
    return tuple(dict.fromkeys(b.key for b in _bindings(topology) if b.exchange == exchange))


def _bindings(topology: Topology) -> Iterator[BindingSpec]:
    for queue in topology.queues.values():
        yield from queue.bindings
    for exchange in topology.exchanges.values():
        yield from exchange.bindings


def _any_takes(topology: Topology, bindings: tuple[BindingSpec, ...], source: str, key: str) -> bool:
    kind = topology.exchanges[source].type
    return any(binding.exchange == source and takes(kind, binding.key, key) for binding in bindings)


def takes(kind: str, pattern: str, key: str) -> bool:
    """Whether a binding with ``pattern`` takes ``key`` at an exchange of this kind."""
    if kind == "direct":
        return pattern == key
    return kind in ("fanout", "headers") or topic_matches(pattern, key)
