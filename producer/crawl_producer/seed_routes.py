"""Where an exchange and key that somebody names for his seeds would lead."""

from crawl_producer.errors import UnknownName, Unroutable
from crawl_producer.reach import keys_bound, queues_reached
from crawl_producer.topology import Topology


def check_routes(topology: Topology, crawl: str, exchange: str | None, key: str | None) -> None:
    """See that seeds reach every group of their crawl, and no other crawl.

    An override may lead nowhere; what exchanges.yaml itself says was checked when it was read.

    Args:
        topology: exchanges.yaml.
        crawl: the crawl's name.
        exchange: None: the crawl's own.
        key: likewise.

    Raises:
        UnknownName: there is no such exchange.
        Unroutable: it leads nowhere, or elsewhere.
    """
    if exchange is not None and exchange not in topology.exchanges:
        raise UnknownName(
            f"no exchange is called {exchange!r}",
            remedy=f"exchanges.yaml has {', '.join(topology.exchanges)}",
        )
    if exchange is None and key is None:
        return
    spec = topology.crawls[crawl]
    target, routing_key = exchange or spec.exchange, key if key is not None else spec.seed_key or spec.key
    reached = queues_reached(topology, target, routing_key)
    if foreign := [queue for queue in reached if topology.queues[queue].crawl != crawl]:
        raise Unroutable(
            f"exchange {target!r} and key {routing_key!r} lead to {foreign[0]}, a queue of another crawl",
            remedy=f"seed --crawl {topology.queues[foreign[0]].crawl}, or name another exchange or key",
        )
    groups = {topology.queues[queue].group for queue in reached}
    if reached and (left := [group for group in topology.groups(crawl) if group not in groups]):
        raise Unroutable(
            f"exchange {target!r} and key {routing_key!r} reach no queue of group {left[0]!r}",
            remedy="seeds belong to every group of their crawl; name an exchange and key that reach them all",
        )
    if not reached:
        raise Unroutable(
            f"no queue is bound to exchange {target!r} for the key {routing_key!r}",
            remedy=f"keys bound there: {', '.join(keys_bound(topology, target)) or 'none'}",
        )


def crawl_of_inbox(topology: Topology, inbox: str, crawl: str | None) -> str:
    """The crawl that an inbox feeds. Raises UnknownName: there is no such inbox, or it feeds another crawl."""
    if inbox not in topology.inboxes:
        known = ", ".join(topology.inboxes) or "no inboxes; write  inboxes: {" + inbox + ": {crawl: ...}}"
        raise UnknownName(f"no inbox is called {inbox!r}", remedy=f"exchanges.yaml has {known}")
    fed = topology.inboxes[inbox].crawl
    if crawl not in (None, fed):
        raise UnknownName(f"inbox {inbox} feeds crawl {fed}", remedy=f"leave --crawl out, or name {fed}")
    return fed
