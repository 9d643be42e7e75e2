"""Repair: what is open and has perhaps no message any more is published again. Harmless at any time, and twice.

A URL's message may be gone while its URL is open: somebody purged or deleted a queue, or Redis lost the mark that the
URL was done. Nobody can ask RabbitMQ whether it has a message for a URL, so each open one that no living consumer
holds gets another; of two messages the ledger turns the second away.

A URL that the ledger has lost altogether is admitted anew; see :mod:`crawl_producer.readmission`.
"""

import asyncio
import logging
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from dataclasses import dataclass

from crawl_dedup import Ledger, Standing, shown
from crawl_producer.admission import NO_LIMITS, REFUSED_PAUSE_MAX_S, REFUSED_PAUSE_S, Admission, Limits
from crawl_producer.broker import Broker, Outgoing
from crawl_producer.errors import Unroutable
from crawl_producer.readmission import Found, Memory, ask, readmit

log = logging.getLogger(__name__)

#: URLs that the ledger is asked about, and messages that are published, at once.
BATCH = 500


@dataclass(slots=True)
class RepairReport:
    """What became of one crawl's repair.

    Attributes:
        crawl: its name.
        swept: outboxes whose committer was gone, published now.
        looked_at: messages and lines that were read.
        unreadable: of these, those that are none of this crawl.
        ended: those whose URL has ended, or was never known to this ledger.
        held: those whose URL is open, and in the hands of a living consumer or in the care of an outbox.
        again: those whose URL had been seen in this run.
        republished: open URLs with a message more.
        readmitted: URLs that their ledger had lost, admitted anew; in each group.
        unroutable: open URLs whose message no queue takes; with such a one all that were to be admitted beside it.
        open: URLs that were open before or are open now, the fewer of both; of the group with the most.
        named: distinct open URLs that the sources named.
        sources: how many there were.
    """

    crawl: str
    swept: int = 0
    looked_at: int = 0
    unreadable: int = 0
    ended: int = 0
    held: int = 0
    again: int = 0
    republished: int = 0
    readmitted: int = 0
    unroutable: int = 0
    open: int = 0
    named: int = 0
    sources: int = 0

    @property
    def unnamed(self) -> int:
        """Open URLs that no source names: if they have no message either, this run could not help them."""
        return max(0, self.open - self.named)


class Repair:
    """The repair of one crawl.

    Args:
        crawl: its name.
        ledgers: the memory of each of its groups; a message that one of them misses reaches all.
        broker: where messages go.
        admission: its door, for outboxes.
        limits: admit no URL anew beyond them.
        dry_run: only count.
        on_progress: called with the report after each batch.
    """

    def __init__(
        self,
        crawl: str,
        ledgers: Sequence[Ledger],
        broker: Broker,
        admission: Admission,
        *,
        limits: Limits = NO_LIMITS,
        dry_run: bool = False,
        on_progress: Callable[[RepairReport], None] = lambda _: None,
    ) -> None:
        self.report = RepairReport(crawl)
        self._ledgers = ledgers
        self._broker = broker
        self._admission = admission
        self._limits = limits
        self._dry_run = dry_run
        self._on_progress = on_progress
        # A hash of eight bytes takes a tenth of the URL's room; where two are alike, the next run mends the second.
        self._seen: set[int] = set()
        self._anew = 0  # of these, those that were not open

    async def run(self, sources: Sequence[AsyncIterable[Found]]) -> RepairReport:
        """Sweep the outboxes, then go through the sources.

        Raises:
            BrokerUnreachable, LedgerUnavailable: run it again; what is republished by then is safe.
        """
        before = await self._open()
        await self._sweep()
        for source in sources:
            self.report.sources += 1
            await self._mend(source)
        self.report.open = min(before, await self._open())
        self.report.named = len(self._seen) - self._anew
        self._on_progress(self.report)
        return self.report

    async def _open(self) -> int:
        return max([(await ledger.progress()).open for ledger in self._ledgers])

    async def _sweep(self) -> None:
        while not self._dry_run and (swept := await self._admission.sweep()):
            self.report.swept += swept
            self._on_progress(self.report)

    async def _mend(self, source: AsyncIterable[Found]) -> None:
        batch: list[Found] = []
        async for found in source:
            batch.append(found)
            if len(batch) == BATCH:
                await self._again(batch)
                batch = []
        await self._again(batch)
        self._on_progress(self.report)

    async def _again(self, batch: Sequence[Found]) -> None:
        self.report.looked_at += len(batch)
        # Of several copies in a batch the youngest counts.
        readable = {found.url: found for found in sorted(batch, key=_admitted_ms) if found.message is not None}
        self.report.unreadable += sum(found.message is None for found in batch)
        fresh = {url: found for url, found in readable.items() if hash(url) not in self._seen}
        self.report.again += sum(found.message is not None for found in batch) - len(fresh)
        if not fresh:
            return
        memories = await asyncio.gather(*(ask(ledger, fresh) for ledger in self._ledgers))
        standings = {url: _neediest([memory.standings[url] for memory in memories]) for url in fresh}
        self.report.ended += sum(standing is Standing.DONE for standing in standings.values())
        self.report.held += sum(standing is Standing.HELD for standing in standings.values())
        self._seen.update(hash(url) for url, s in standings.items() if s in (Standing.FREE, Standing.HELD))
        messages = {url: found.message for url, found in fresh.items() if found.message is not None}
        name = self._ledgers[0].fingerprint
        free = [url for url, standing in standings.items() if standing is Standing.FREE]
        await self._restart(memories, free)
        # Another source may know where they can go.
        waiting = [(url, messages[url]._replace(message_id=name(url))) for url in free]
        self._seen.difference_update(map(hash, await self._publish(waiting)))
        lost = {url: messages[url] for url, s in standings.items() if s is Standing.UNKNOWN}
        for memory in memories:
            await self._readmit(memory, {u: m for u, m in lost.items() if memory.standings[u] is Standing.UNKNOWN})
        self._on_progress(self.report)

    async def _restart(self, memories: Sequence[Memory], urls: Sequence[str]) -> None:
        """What is published again is a first attempt, and of a later one nobody knows whether it has a message.

        In a group that has the URL in hand there will be one.
        """
        for memory in memories if not self._dry_run else ():
            name = memory.ledger.fingerprint
            if mine := [name(url) for url in urls if memory.standings[url] is Standing.FREE]:
                await memory.ledger.restart(mine)

    async def _readmit(self, memory: Memory, messages: Mapping[str, Outgoing]) -> None:
        if not messages:
            return
        admitted: int | None = len(messages)
        if not self._dry_run:
            admitted = await readmit(memory, messages, self._broker, limits=self._limits)
        if admitted is None:
            self.report.unroutable += len(messages)
            return
        self.report.readmitted += admitted
        new = set(map(hash, messages)) - self._seen
        self._anew += len(new)
        self._seen |= new

    async def _publish(self, waiting: Sequence[tuple[str, Outgoing]]) -> list[str]:
        """Publish until all are confirmed; returns the URLs that no queue takes, which are given up and counted."""
        pause_s, lost = REFUSED_PAUSE_S, []
        if self._dry_run:
            self.report.republished += len(waiting)
            return []
        while waiting:
            failures = await self._broker.publish_all([message for _, message in waiting])
            failed = [(one, f) for one, f in zip(waiting, failures, strict=True) if f is not None]
            self.report.republished += len(waiting) - len(failed)
            for (url, _), failure in failed:
                if isinstance(failure, Unroutable):
                    log.warning("%s cannot be published: %s", shown(url), failure)
                    lost.append(url)
            waiting = [one for one, failure in failed if not isinstance(failure, Unroutable)]
            if waiting:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, REFUSED_PAUSE_MAX_S)
        self.report.unroutable += len(lost)
        return lost


def _admitted_ms(found: Found) -> int:
    return found.admitted_ms


def _neediest(standings: Sequence[Standing]) -> Standing:
    order = (Standing.FREE, Standing.UNKNOWN, Standing.HELD, Standing.DONE)
    return min(standings, key=order.index)
