"""Where a URL's message goes: the exchange and routing key, by the crawl's routes."""

import re

from crawl_producer.errand import Route
from crawl_producer.topology import CrawlSpec


class Router:
    """The routes of one crawl, compiled once.

    Args:
        spec: the crawl's section of exchanges.yaml.
        exchange: overrides the crawl's exchange for everything (``crawl-seed --exchange``).
        key: overrides every routing key (``crawl-seed --key``).
    """

    def __init__(self, spec: CrawlSpec, *, exchange: str | None = None, key: str | None = None) -> None:
        self._override = key
        self._own_exchange = spec.exchange
        self._exchange = exchange or spec.exchange
        self._key = spec.key
        self._seed_key = spec.key if spec.seed_key is None else spec.seed_key
        self._routes = [
            (re.compile(route.match), exchange or route.exchange or spec.exchange, route.key) for route in spec.routes
        ]

    def named(self, route: Route) -> tuple[str, str]:
        """The (exchange, routing key) of a URL that names its own route; no override touches it."""
        return route[0] or self._own_exchange, route[1]

    def routes(self, url: str, *, seed: bool) -> tuple[tuple[str, str], ...]:
        """Every (exchange, routing key) that a message for ``url`` is published to: one, the :meth:`route`."""
        return (self.route(url, seed=seed),)

    def route(self, url: str, *, seed: bool) -> tuple[str, str]:
        """The (exchange, routing key) for a canonical URL; a route that matches wins over the defaults."""
        if self._override is not None:
            return self._exchange, self._override
        for pattern, exchange, key in self._routes:
            if pattern.search(url):
                return exchange, key
        return self._exchange, self._seed_key if seed else self._key
