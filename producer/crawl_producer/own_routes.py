"""The routes and priorities that spiders name themselves: whether they come to queues of their crawl."""

import logging
from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

from crawl_producer.errand import Errand, Route
from crawl_producer.errors import RouteInvalid
from crawl_producer.reach import keys_bound, queues_reached
from crawl_producer.topology import Topology

log = logging.getLogger(__name__)

#: Routes whose queues are remembered; a spider may make up keys without end. Some 200 bytes each.
_REMEMBERED = 1000


class OwnRoutes(Protocol):
    """Judges errands before their links go through the door."""

    def check(self, errands: Iterable[Errand]) -> None:
        """Raises RouteInvalid: a route leads nowhere, into another crawl, or past the group that asks."""


class AnyRoute:
    """Where there is no exchanges.yaml to look into: every route is taken, and the broker has the last word."""

    def check(self, errands: Iterable[Errand]) -> None:
        """Do nothing."""


class Reach:
    """See :class:`OwnRoutes`.

    Args:
        topology: exchanges.yaml.
        crawl: the crawl's name.
        groups: whose ledgers admit the links, so that a queue of each must get them; none: whichever it is.
    """

    def __init__(self, topology: Topology, crawl: str, *groups: str) -> None:
        self._topology = topology
        self._crawl = crawl
        self._groups = groups
        self._exchange = topology.crawls[crawl].exchange
        self._may_warn = not any(q.max_priority for q in topology.queues.values() if q.crawl == crawl)
        #: The work queues that a route comes to, remembered. Raises RouteInvalid.
        self.queues = lru_cache(_REMEMBERED)(self._queues)

    def check(self, errands: Iterable[Errand]) -> None:
        """See :meth:`OwnRoutes.check`. Warns once of priorities that no queue looks at."""
        for errand in errands:
            if errand.route is not None:
                self.queues(errand.route)
            if errand.priority is not None and self._may_warn:
                self._may_warn = False
                log.warning(
                    "priorities have no effect in crawl %s: none of its queues has max_priority (type: classic); "
                    "a route to a queue of their own brings URLs forward in any type",
                    self._crawl,
                )

    def _queues(self, route: Route) -> frozenset[str]:
        exchange, key = route[0] or self._exchange, route[1]
        reached = queues_reached(self._topology, exchange, key)
        where = f"route {key!r} of exchange {exchange!r}"
        if not reached:
            bound = ", ".join(repr(known) for known in keys_bound(self._topology, exchange)) or "nothing"
            raise RouteInvalid(f"{where} comes to no queue; bound there: {bound}")
        for queue in sorted(reached):
            if (other := self._topology.queues[queue].crawl) != self._crawl:
                raise RouteInvalid(f"{where} comes to {queue!r}, a queue of crawl {other!r}")
        served = {self._topology.queues[queue].group for queue in reached}
        for group in self._groups:
            if group not in served:
                others = ", ".join(sorted(reached))
                raise RouteInvalid(f"{where} comes to no queue of group {group!r}, only to {others}")
        return reached
