"""One run of crawl-seed: what it opens, and each kind of source on its way to the door."""

import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from crawl_dedup import BatchedRedis, Fingerprint, Fingerprinter, open_plain_redis
from crawl_producer import heap, opening
from crawl_producer.admission import Admission, Limits
from crawl_producer.amqp import AmqpBroker
from crawl_producer.broker import Broker
from crawl_producer.cli import seed_report
from crawl_producer.cli.source_options import Sources
from crawl_producer.delayed import SeedTimes
from crawl_producer.guard import Guard
from crawl_producer.own_routes import Reach
from crawl_producer.own_servers import own_servers
from crawl_producer.routing import Router
from crawl_producer.seeding import Seeding, SeedReport
from crawl_producer.seeds import Rejected, bounded_lines, opened, parse
from crawl_producer.sources.inbox import Inbox
from crawl_producer.sources.redis_key import RedisKey
from crawl_producer.sources.service import drain, stop_on_signals
from crawl_producer.sources.walk import Walk
from crawl_producer.sources.web import SourceWeb
from crawl_producer.topology import Topology
from crawl_producer.user_agent import user_agent

PROGRAM = "crawl-seed"


@dataclass(frozen=True, slots=True)
class SeedRun:
    """What was asked for.

    Attributes:
        topology: exchanges.yaml.
        crawl: that the URLs are for.
        sources: where they come from.
        router: where their messages go.
        depth: that they are to have.
        times: when they may be fetched.
        on_rejected: called with each rejected line.
        quiet: show no progress.
    """

    topology: Topology
    crawl: str
    sources: Sources
    router: Router
    depth: int
    times: SeedTimes
    on_rejected: Callable[[Rejected], None]
    quiet: bool

    async def count(self) -> SeedReport:
        """Read everything and admit nothing. Raises SeedsUnreadable."""
        return await self._read(self._seeding(None, Fingerprinter(b"dry run", 0).seed_parent))

    async def admit(self) -> SeedReport:
        """Read everything and admit it. Raises errors of Redis, RabbitMQ and the sources, each with its exit code."""
        topology, crawl = self.topology, self.crawl
        consumer = opening.identity(PROGRAM)
        async with (
            opening.redis(topology, PROGRAM) as redis,
            AmqpBroker(topology.connection, name=PROGRAM) as broker,
            opening.ledgers(redis, topology, crawl, topology.groups(crawl), consumer=consumer) as ledgers,
        ):
            heap.prepare()
            limits = Limits.of(topology.crawls[crawl].scope)
            admission = Admission(ledgers, broker, self.router, limits=limits, refused_tries=None)
            seeding = self._seeding(admission, ledgers[0].seed_parent)
            if self.sources.redis_key is not None or self.sources.inbox is not None:
                return await self._take(seeding, redis, broker)
            return await self._read(seeding)

    def _seeding(self, admission: Admission | None, seed_parent: Callable[[bytes], Fingerprint]) -> Seeding:
        return Seeding(
            self.crawl,
            admission,
            seed_parent,
            rules=self.topology.crawls[self.crawl].canonical.rules(),
            depth=self.depth,
            not_before_ms=self.times.not_before_ms,
            expires_ms=self.times.expires_ms,
            on_rejected=self.on_rejected,
        )

    async def _read(self, seeding: Seeding) -> SeedReport:
        if self.sources.lists:
            return await self._walk(seeding)
        if self.sources.urls:
            return await seeding.run(parse(self.sources.urls))
        file = self.sources.file
        with opened(file, sys.stdin.buffer) as lines, seed_report.bar(file, quiet=self.quiet) as progress:
            seeding.on_progress = lambda report: progress(lines.position(), report)
            return await seeding.run(parse(bounded_lines(lines.stream)))

    async def _walk(self, seeding: Seeding) -> SeedReport:
        """Sitemaps and feeds."""
        spec, sources = self.topology.crawls[self.crawl], self.sources
        guard = Guard(spec.allow_networks, await own_servers(self.topology))
        agent, delay_s = user_agent(spec.user_agent), spec.politeness.delay_s
        async with SourceWeb(user_agent=agent, delay_s=delay_s, guard=guard) as web:
            walk = Walk(
                sources.lists,
                web,
                spec.scope,
                rules=spec.canonical.rules(),
                depth=self.depth,
                since_ms=sources.since_ms,
                any_host=sources.any_host,
            )
            with seed_report.ticker(lambda: f"{walk.lists:,} lists read, ", quiet=self.quiet) as progress:
                seeding.on_progress = progress
                report = await seeding.run_batches(walk.batches())
        return replace(report, lists=walk.lists, older=walk.older, outside=dict(walk.outside))

    async def _take(self, seeding: Seeding, redis: BatchedRedis, broker: Broker) -> SeedReport:
        """What other systems write."""
        sources = self.sources
        routes = Reach(self.topology, self.crawl, *self.topology.groups(self.crawl))
        async with AsyncExitStack() as stack:
            stop = stack.enter_context(stop_on_signals())
            seeding.on_progress = stack.enter_context(seed_report.ticker(str, quiet=self.quiet))
            if sources.inbox is not None:
                inbox = await stack.enter_async_context(Inbox(broker, sources.inbox))
                return await drain(inbox, seeding, routes=routes, stop=stop, follow=sources.follow)
            if sources.redis_url is not None:
                redis = await stack.enter_async_context(await open_plain_redis(sources.redis_url, name=PROGRAM))
            key = RedisKey(redis, sources.redis_key or "")
            return await drain(key, seeding, routes=routes, stop=stop, follow=sources.follow)
