"""The whole examination: each server is asked as far as it answers, and what fails is a finding too."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from crawl_dedup import read_health
from crawl_dedup.errors import CrawlError
from crawl_producer import opening
from crawl_producer.amqp import AmqpBroker, open_admin
from crawl_producer.broker import Broker
from crawl_producer.derive import declarations
from crawl_producer.doctor import (
    check_balance,
    check_held,
    check_ledger,
    check_nodes,
    check_queues,
    check_redis,
    check_topology,
    observe_broker,
    observe_dead,
    observe_ledgers,
)
from crawl_producer.doctor.facts import BrokerFacts, DeadFacts, LedgerFacts, Look, QueueFacts
from crawl_producer.doctor.finding import Finding, Level
from crawl_producer.errors import BrokerRefused
from crawl_producer.plan import plan
from crawl_producer.topology import Topology

PROGRAM = "crawl-doctor"


class Examination:
    """One run of the doctor.

    Args:
        topology: exchanges.yaml.
        crawls: whose ledgers and queues are looked at.
        deep: count the ledgers' sets too, and look at every dead letter.
        between_looks_s: see check_balance.
    """

    def __init__(
        self,
        topology: Topology,
        crawls: Sequence[str],
        *,
        deep: bool = False,
        between_looks_s: float = check_balance.BETWEEN_LOOKS_S,
    ) -> None:
        self._topology = topology
        self._crawls = crawls
        self._deep = deep
        self._between_looks_s = between_looks_s
        self.findings: list[Finding] = []

    async def run(self) -> list[Finding]:
        """Look at everything; never raises for what a server does or says."""
        await self._redis()
        ledgers = await self._ledgers()
        for ledger in ledgers or ():
            self.findings += check_ledger.check(ledger)
        async with self._failures("rabbitmq"), AmqpBroker(self._topology.connection, name=PROGRAM) as broker:
            facts = await observe_broker.observe(self._topology, self._crawls, broker)
            self.findings += [*check_nodes.check(facts), *check_queues.check(facts, self._topology)]
            await self._drift()
            await self._two_looks(facts, ledgers or (), broker)
        return self.findings

    async def _redis(self) -> None:
        async with self._failures("redis"):
            health = await read_health(self._topology.redis.url.get_secret_value(), name=PROGRAM)
            self.findings += check_redis.check(health)

    async def _drift(self) -> None:
        async with open_admin(self._topology.connection, name=PROGRAM) as admin:
            try:
                self.findings += check_topology.check(await plan(declarations(self._topology), admin))
            except BrokerRefused as error:
                self.findings.append(check_topology.not_compared(str(error)))

    async def _ledgers(self) -> Sequence[LedgerFacts] | None:
        """The ledgers; None where Redis cannot be read, which is a finding already."""
        if any(finding.subject == "redis" and finding.level is Level.ERROR for finding in self.findings):
            return None
        async with self._failures("redis"), opening.redis(self._topology, PROGRAM) as redis:
            return await observe_ledgers.observe(self._topology, self._crawls, redis, deep=self._deep)
        return None

    async def _two_looks(self, facts: BrokerFacts, ledgers: Sequence[LedgerFacts], broker: Broker) -> None:
        first = second = Look(tuple(ledgers), facts.queues)
        dead: Mapping[str, DeadFacts] = {}
        if unbalanced := check_balance.suspicious(first):
            dead = await self._dead_letters(check_balance.letters_that_matter(first), facts.queues, broker)
        if unbalanced or check_held.suspicious([first.queues], facts.version):
            await asyncio.sleep(self._between_looks_s)
            queues = await observe_broker.observe_queues(self._topology, self._crawls, broker)
            again = await self._ledgers()
            # A ledger that was begun or forgotten meanwhile is nobody's loss.
            both = {ledger.name for ledger in again or ()} & {ledger.name for ledger in ledgers}
            first = Look(tuple(ledger for ledger in ledgers if ledger.name in both), first.queues, dead)
            second = Look(tuple(ledger for ledger in again or () if ledger.name in both), queues, dead)
        journals = {crawl: spec.journal is not None for crawl, spec in self._topology.crawls.items()}
        self.findings += check_balance.check(first, second, journals=journals)
        await self._held([facts.queues, *([] if second is first else [second.queues])], facts.version, broker)

    async def _held(self, looks: list[Mapping[str, QueueFacts]], version: str | None, broker: Broker) -> None:
        """Go on looking while a delay seems to hold messages."""
        while check_held.suspicious(looks, version):
            await asyncio.sleep(self._between_looks_s)
            looks.append(await observe_broker.observe_queues(self._topology, self._crawls, broker))
        vhost = self._topology.connection.vhost
        self.findings += check_held.check(looks, version=version, vhost=vhost)

    async def _dead_letters(
        self, queues: Sequence[str], before: Mapping[str, QueueFacts], broker: Broker
    ) -> Mapping[str, DeadFacts]:
        if not queues:
            return {}
        topology, limit = self._topology, None if self._deep else observe_dead.MOST_READ
        async with AsyncExitStack() as stack:
            redis = await stack.enter_async_context(opening.redis(topology, PROGRAM))
            ledger_of = opening.QueueLedgers(topology, redis, stack, consumer=opening.identity(PROGRAM))
            return await observe_dead.observe(topology, queues, before, broker, ledger_of, limit=limit)

    @asynccontextmanager
    async def _failures(self, subject: str) -> AsyncIterator[None]:
        """An error of ours ends what is inside, as a finding; the same one twice is said once."""
        try:
            yield
        except CrawlError as error:
            said = Finding(Level.ERROR, subject, str(error), error.remedy)
            if not any(finding.text == said.text for finding in self.findings):
                self.findings.append(said)
