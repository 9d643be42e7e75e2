"""Seeds with times: not to be fetched yet, which leads their messages into the ladder, or not for ever."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from crawl_producer import names
from crawl_producer.errors import TimesInvalid, Unroutable
from crawl_producer.reach import queues_reached
from crawl_producer.routing import Router
from crawl_producer.topology import Topology


@dataclass(frozen=True, slots=True)
class SeedTimes:
    """Unix times in milliseconds.

    Attributes:
        not_before_ms: no fetch before; None: at once.
        expires_ms: no fetch from then on; None: never too late.
    """

    not_before_ms: int | None = None
    expires_ms: int | None = None

    @classmethod
    def asked(cls, *, delay_s: float | None, eta_ms: int | None, expires_s: float | None) -> Self:
        """What somebody asks for now: a delay or a moment, and a span from now; a moment in the past is no delay.

        Raises:
            TimesInvalid: both a delay and a moment, or the seeds would expire before they may be fetched.
        """
        if delay_s is not None and eta_ms is not None:
            raise TimesInvalid("a delay and a moment at once", remedy="give --delay or --eta")
        now_ms = _now_ms()
        not_before_ms = eta_ms if delay_s is None else now_ms + int(delay_s * 1000)
        expires_ms = None if expires_s is None else now_ms + int(expires_s * 1000)
        if not_before_ms is not None and not_before_ms <= now_ms:
            not_before_ms = None
        if expires_ms is not None and expires_ms <= (not_before_ms or now_ms):
            raise TimesInvalid("the URLs would expire before they may be fetched", remedy="--expires counts from now")
        return cls(not_before_ms, expires_ms)


def router_for(
    times: SeedTimes, topology: Topology, crawl: str, *, exchange: str | None = None, key: str | None = None
) -> Router:
    """The router that seeds with these times need; arguments as for DelayedRouter."""
    if times.not_before_ms is None:
        return Router(topology.crawls[crawl], exchange=exchange, key=key)
    return DelayedRouter(topology, crawl, not_before_ms=times.not_before_ms, exchange=exchange, key=key)


class DelayedRouter(Router):
    """The routes of one crawl, by way of the ladder.

    A message leaves the ladder for the one queue that its routing key names, so where the crawl's own exchange would
    reach several queues (a fanout), each gets a delayed copy of its own. A wait that the first rung does not fill is
    hopped by the consumer that finds the message too early.

    Args:
        topology: exchanges.yaml.
        crawl: the crawl's name.
        not_before_ms: Unix time before which nothing is fetched; once it is past, routes are the crawl's own.
        exchange: as for Router.
        key: as for Router.
    """

    def __init__(
        self,
        topology: Topology,
        crawl: str,
        *,
        not_before_ms: int,
        exchange: str | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(topology.crawls[crawl], exchange=exchange, key=key)
        self._topology = topology
        self._crawl = crawl
        self._not_before_ms = not_before_ms
        self._queues: dict[tuple[str, str], Sequence[str]] = {}

    def routes(self, url: str, *, seed: bool) -> tuple[tuple[str, str], ...]:
        """The ladder's exchange, with each queue that the crawl's own route would reach as key.

        Raises:
            Unroutable: that route reaches no queue of this crawl.
        """
        route = self.route(url, seed=seed)
        wait_ms = self._not_before_ms - _now_ms()
        if wait_ms <= 0:
            return (route,)
        if route not in self._queues:
            self._queues[route] = self._reached(*route)
        rung = names.delay_exchange_within(wait_ms)
        return tuple([(rung, queue) for queue in self._queues[route]])

    def _reached(self, exchange: str, key: str) -> Sequence[str]:
        reached = queues_reached(self._topology, exchange, key)
        queues = sorted(queue for queue in reached if self._topology.queues[queue].crawl == self._crawl)
        if not queues:
            raise Unroutable(
                f"no queue of {self._crawl} is bound to exchange {exchange!r} for the key {key!r}",
                remedy="bind one in exchanges.yaml, or name another exchange and key",
            )
        return queues


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
