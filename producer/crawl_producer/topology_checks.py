"""What one part of exchanges.yaml must know of another: names, bindings, and that every URL arrives in every group."""

from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from crawl_producer import names
from crawl_producer.reach import keys_bound, queues_reached
from crawl_producer.topology import BindingSpec, CrawlSpec, Topology
from crawl_producer.topology_problems import nearest
from crawl_producer.topology_yaml import Path, Problem

#: Names that are made by us or by RabbitMQ; a work queue of such a name would be two things at once.
RESERVED_NAMES = (names.UNROUTED, names.REDELIVER, names.DEAD)
RESERVED_PREFIXES = ("crawl.delay.", "dead.", "journal.", "amq.")
RESERVED_SUFFIX = ".due"


def check(topology: Topology) -> Iterator[Problem]:
    """Everything that is wrong between the parts of a topology whose parts are each in order."""
    yield from _reserved_names(topology)
    yield from _bindings(topology)
    yield from _alternates(topology)
    for queue, spec in topology.queues.items():
        if spec.crawl not in topology.crawls:
            yield _unknown("crawl", spec.crawl, topology.crawls, ("queues", queue, "crawl"))
    for inbox, fed in topology.inboxes.items():
        if fed.crawl not in topology.crawls:
            yield _unknown("crawl", fed.crawl, topology.crawls, ("inboxes", inbox, "crawl"))
        if inbox in topology.queues:
            yield Problem("a work queue has this name", "choose another", ("inboxes", inbox))
    for crawl in topology.crawls:
        yield from _crawl(topology, crawl)


def is_reserved(name: str) -> bool:
    """Whether ``name`` is derived by us (DLX, ladder, companions) or kept by RabbitMQ for itself."""
    return name in RESERVED_NAMES or name.startswith(RESERVED_PREFIXES) or name.endswith(RESERVED_SUFFIX)


def _reserved_names(topology: Topology) -> Iterator[Problem]:
    taken = ", ".join((*RESERVED_NAMES, *(f"{p}*" for p in RESERVED_PREFIXES), f"*{RESERVED_SUFFIX}"))
    declared = [
        *(("exchanges", name) for name in topology.exchanges),
        *(("queues", name) for name in topology.queues),
        *(("inboxes", name) for name in topology.inboxes),
    ]
    for path in declared:
        if is_reserved(path[-1]):
            yield Problem("a reserved name", f"choose another; these are taken: {taken}", path)


def _bindings(topology: Topology) -> Iterator[Problem]:
    specs: dict[Path, tuple[BindingSpec, ...]] = {
        **{("queues", name): spec.bindings for name, spec in topology.queues.items()},
        **{("exchanges", name): spec.bindings for name, spec in topology.exchanges.items()},
        **{("inboxes", name): spec.bindings for name, spec in topology.inboxes.items()},
    }
    for owner, bindings in specs.items():
        for place, binding in enumerate(bindings):
            yield from _binding(topology, binding, (*owner, "bindings", place))


def _binding(topology: Topology, binding: BindingSpec, path: Path) -> Iterator[Problem]:
    source = topology.exchanges.get(binding.exchange)
    if source is None:
        yield _unknown("exchange", binding.exchange, topology.exchanges, (*path, "exchange"))
    elif source.type in ("direct", "topic") and not binding.key:
        remedy = "write '#' for every key" if source.type == "topic" else "write the key as it is published"
        text = f"a {source.type} exchange routes by key, and this binding has none"
        yield Problem(text, remedy, (*path, "key"))
    elif source.type == "headers" and not binding.arguments:
        remedy = "write {x-match: all, <header>: <value>}"
        yield Problem("a headers exchange routes by arguments", remedy, (*path, "arguments"))


def _alternates(topology: Topology) -> Iterator[Problem]:
    alternates = {name: spec.alternate for name, spec in topology.exchanges.items() if spec.alternate}
    for name, alternate in alternates.items():
        if alternate not in topology.exchanges and alternate != names.UNROUTED:
            yield _unknown("exchange", alternate, topology.exchanges, ("exchanges", name, "alternate"))
    try:
        TopologicalSorter({name: [alternate] for name, alternate in alternates.items()}).prepare()
    except CycleError as error:
        circle = error.args[1]
        text = f"alternates run in a circle ({' <- '.join(circle)}), so what none routes would vanish"
        remedy = f"leave one out, or let it be {names.UNROUTED}"
        yield Problem(text, remedy, ("exchanges", circle[0], "alternate"))


def _crawl(topology: Topology, crawl: str) -> Iterator[Problem]:
    path: Path = ("crawls", crawl)
    if not topology.groups(crawl):
        yield Problem("no queue serves this crawl", f"give a queue 'crawl: {crawl}'", path)
        return
    for way in _ways_in(topology.crawls[crawl], path):
        if way.exchange not in topology.exchanges:
            yield _unknown("exchange", way.exchange, topology.exchanges, way.exchange_at)
        else:
            yield from _arrival(topology, crawl, way)


class _WayIn(NamedTuple):
    """An exchange and key that URLs of a crawl are published with, and where the file says so."""

    exchange: str
    key: str
    exchange_at: Path
    key_at: Path


def _ways_in(spec: CrawlSpec, path: Path) -> Iterator[_WayIn]:
    yield _WayIn(spec.exchange, spec.key, (*path, "exchange"), (*path, "key"))
    if spec.seed_key is not None:
        yield _WayIn(spec.exchange, spec.seed_key, (*path, "exchange"), (*path, "seed_key"))
    for place, route in enumerate(spec.routes):
        at: Path = (*path, "routes", place)
        exchange_at = (*at, "exchange") if route.exchange else (*path, "exchange")
        yield _WayIn(route.exchange or spec.exchange, route.key, exchange_at, (*at, "key"))


def _arrival(topology: Topology, crawl: str, way: _WayIn) -> Iterator[Problem]:
    reached = queues_reached(topology, way.exchange, way.key)
    strangers = sorted(queue for queue in reached if topology.queues[queue].crawl != crawl)
    bound = ", ".join(repr(key) for key in keys_bound(topology, way.exchange)) or "nothing"
    if len(strangers) == len(reached):
        text = f"exchange {way.exchange!r} brings the key {way.key!r} to no queue of crawl {crawl!r}"
        yield Problem(text, f"bind one of its queues; bound there: {bound}", way.key_at)
    elif strangers:
        other = f"{strangers[0]!r}, a queue of crawl {topology.queues[strangers[0]].crawl!r}"
        remedy = "give each crawl keys or an exchange of its own"
        yield Problem(f"the key {way.key!r} also reaches {other}", remedy, way.key_at)
    else:
        # Each group's ledger admits every seed, and every link that its own consumers find: a message that comes to
        # other groups only counts as published, and its URL would be open in this one for ever.
        here = {topology.queues[queue].group for queue in reached}
        for group in (group for group in topology.groups(crawl) if group not in here):
            text = f"exchange {way.exchange!r} brings the key {way.key!r} to no queue of group {group!r}"
            remedy = f"bind one of its queues (bound there: {bound}): every group of a crawl gets every URL"
            yield Problem(text, remedy, way.key_at)


def _unknown(what: str, name: str, known: Iterable[str], path: Path) -> Problem:
    return Problem(f"no {what} is called {name!r}", nearest(name, known, f"declared {what}s"), path)
