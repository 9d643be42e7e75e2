"""What the items' part of exchanges.yaml must know of the rest: names, keys, and that every item can arrive."""

from collections.abc import Iterator, Mapping

from crawl_producer.reach import takes
from crawl_producer.topology import Topology
from crawl_producer.topology_checks import is_reserved
from crawl_producer.topology_items import ItemsSpec
from crawl_producer.topology_problems import nearest
from crawl_producer.topology_yaml import Path, Problem

#: How an output says that it is an exchange.
_EXCHANGE = "exchange:"
#: Stands for the item's class in an output's routing key, so nobody can say which key it will be.
_KIND = "{kind}"


def check(topology: Topology) -> Iterator[Problem]:
    """Everything that is wrong between items and the rest of a topology whose parts are each in order."""
    for name, spec in topology.items.items():
        yield from _name(name, topology.exchanges, "exchanges", ("items", name))
        for queue in spec.queues:
            yield from _queue(topology, name, queue)
    for path, output in _outputs(topology):
        if output.startswith(_EXCHANGE):
            yield from _arrival(topology, output.removeprefix(_EXCHANGE), path)


def _queue(topology: Topology, exchange: str, queue: str) -> Iterator[Problem]:
    spec, path = topology.items[exchange], ("items", exchange, "queues", queue)
    yield from _name(queue, topology.queues, "queues", path)
    first = next(name for name, other in topology.items.items() if queue in other.queues)
    if first != exchange:
        yield Problem(f"items.{first} has a queue of this name", "give each its own", path)
    if spec.type == "direct" and not spec.queues[queue].keys:
        yield Problem("a direct exchange routes by key, and this queue has none", "add 'keys: [<key>]'", path)
    if spec.type == "fanout" and spec.queues[queue].keys:
        remedy = "leave them out, or let the exchange be of type topic"
        yield Problem("a fanout exchange gives everything to each queue, whatever its keys", remedy, (*path, "keys"))


def _name(name: str, others: Mapping[str, object], what: str, path: Path) -> Iterator[Problem]:
    if is_reserved(name):
        yield Problem("a reserved name", "choose another: URLs have their plumbing under it", path)
    elif name in others:
        yield Problem(f"{what}.{name} has this name", "choose another: URLs and items do not share one", path)


def _outputs(topology: Topology) -> Iterator[tuple[Path, str]]:
    for crawl, spec in topology.crawls.items():
        yield from ((("crawls", crawl, "outputs", place), output) for place, output in enumerate(spec.outputs))
    for queue, work in topology.queues.items():
        yield from ((("queues", queue, "outputs", place), output) for place, output in enumerate(work.outputs or ()))


def _arrival(topology: Topology, target: str, path: Path) -> Iterator[Problem]:
    name, _, key = target.partition("/")
    if name in topology.exchanges:  # somebody's own, with queues that this file may not know
        return
    if name not in topology.items:
        yield Problem(f"no exchange for items is called {name!r}", nearest(name, topology.items, "items"), path)
    elif _KIND not in key and not _taken(topology.items[name], key):
        bound = ", ".join(repr(k) for queue in topology.items[name].queues for k in topology.items[name].keys_of(queue))
        yield Problem(
            f"exchange {name!r} brings the key {key!r} to no queue",
            f"write exchange:{name}/<key>; bound there: {bound}",
            path,
        )


def _taken(spec: ItemsSpec, key: str) -> bool:
    return any(takes(spec.type, pattern, key) for queue in spec.queues for pattern in spec.keys_of(queue))
