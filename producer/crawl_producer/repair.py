"""Repair: what is open and has perhaps no message any more is published again. Harmless at any time, and twice.

A URL's message may be gone while its URL is open: somebody purged or deleted a queue, or Redis lost the mark that the
URL was done. Nobody can ask RabbitMQ whether it has a message for a URL, so each open one that no living consumer
holds gets another; of two messages the ledger turns the second away.
"""

import asyncio
import logging
from collections.abc import AsyncIterable, Callable, Collection, Sequence
from dataclasses import dataclass, replace

from crawl_dedup import Ledger, Standing
from crawl_producer.admission import REFUSED_PAUSE_MAX_S, REFUSED_PAUSE_S, Admission
from crawl_producer.broker import Broker, Outgoing
from crawl_producer.errors import Unroutable

log = logging.getLogger(__name__)

#: URLs that the ledger is asked about, and messages that are published, at once.
BATCH = 500


@dataclass(frozen=True, slots=True)
class Found:
    """A URL that a source names, with the message to publish for it; without one, it is no URL of this crawl."""

    url: str
    message: Outgoing | None


@dataclass(slots=True)
class RepairReport:
    """What became of one crawl's repair.

    Attributes:
        crawl: its name.
        swept: outboxes whose committer was gone, published now.
        looked_at: messages and lines that were read.
        unreadable: of these, those that are none of this crawl.
        ended: those whose URL has ended, or is not known.
        held: those whose URL is open, and in the hands of a living consumer or in the care of an outbox.
        again: those whose URL had been seen in this run.
        republished: open URLs with a message more.
        unroutable: open URLs whose message no queue takes.
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
        dry_run: bool = False,
        on_progress: Callable[[RepairReport], None] = lambda _: None,
    ) -> None:
        self.report = RepairReport(crawl)
        self._ledgers = ledgers
        self._broker = broker
        self._admission = admission
        self._dry_run = dry_run
        self._on_progress = on_progress
        # A hash of eight bytes takes a tenth of the URL's room; where two are alike, the next run mends the second.
        self._seen: set[int] = set()

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
        self.report.named = len(self._seen)
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

    async def _again(self, batch: Sequence[Found]) -> None:
        self.report.looked_at += len(batch)
        readable = {found.url: found.message for found in batch if found.message is not None}
        self.report.unreadable += sum(found.message is None for found in batch)
        fresh = {url: message for url, message in readable.items() if hash(url) not in self._seen}
        self.report.again += sum(found.message is not None for found in batch) - len(fresh)
        standings = dict(zip(fresh, await self._standing(fresh), strict=True))
        self.report.ended += sum(standing in (Standing.DONE, Standing.UNKNOWN) for standing in standings.values())
        self.report.held += sum(standing is Standing.HELD for standing in standings.values())
        self._seen.update(hash(url) for url, s in standings.items() if s in (Standing.FREE, Standing.HELD))
        name = self._ledgers[0].fingerprint
        free = [(url, replace(fresh[url], message_id=name(url))) for url, s in standings.items() if s is Standing.FREE]
        # Another source may know where they can go.
        self._seen.difference_update(map(hash, await self._publish(free)))
        self._on_progress(self.report)

    async def _standing(self, urls: Collection[str]) -> list[Standing]:
        """How each URL stands in the group that needs it most."""
        if not urls:
            return []
        asked = [ledger.standing([ledger.fingerprint(url) for url in urls]) for ledger in self._ledgers]
        told = await asyncio.gather(*asked)
        return [_neediest(each) for each in zip(*told, strict=True)]

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
                    log.warning("%s cannot be published: %s", url, failure)
                    lost.append(url)
            waiting = [one for one, failure in failed if not isinstance(failure, Unroutable)]
            if waiting:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, REFUSED_PAUSE_MAX_S)
        self.report.unroutable += len(lost)
        return lost


def _neediest(standings: Sequence[Standing]) -> Standing:
    order = (Standing.FREE, Standing.HELD, Standing.DONE, Standing.UNKNOWN)
    return min(standings, key=order.index)
