"""One consumer process: deliveries in, stories run side by side, until it is told or the crawl is complete."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from functools import reduce

from crawl_consumer.crawl import Crawl
from crawl_consumer.intake import Intake
from crawl_consumer.settings import ConsumerSettings
from crawl_consumer.stopping import on_signals
from crawl_consumer.tally import Tally
from crawl_dedup import LedgerName, Progress
from crawl_producer.broker import Broker

log = logging.getLogger(__name__)

#: How often completion is looked at; each look is one small read in Redis.
COMPLETION_POLL_S = 0.2
#: How often this process looks for outboxes whose committer died.
SWEEP_S = 15.0
#: How often a process that is not told to end with its crawls looks whether one is complete that a spider waits for.
FINALE_POLL_S = 2.0


class Worker:
    """Runs the stories of several crawls.

    Args:
        settings: what was asked.
        intake: the deliveries.
        crawls: the crawl that each queue (companions included) belongs to.
        broker: watched for its loss.
        stories: deliveries in hand at once; None: as many as are fetched at once.
    """

    def __init__(
        self,
        settings: ConsumerSettings,
        *,
        intake: Intake,
        crawls: Mapping[str, Crawl],
        broker: Broker,
        stories: int | None = None,
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._crawls = crawls
        self._distinct: Sequence[Crawl] = tuple(dict.fromkeys(crawls.values()))
        self._broker = broker
        self._stories = stories or settings.concurrency
        self._stop = asyncio.Event()

    async def run(self) -> bool:
        """Work until complete (``until_done``) or signalled; returns whether everything in flight was finished.

        Raises:
            SpiderInvalid: a spider's on_start raised; nothing was begun.
            CrawlError: broker, Redis or output are gone; whatever was in flight comes again.
        """
        for crawl in self._distinct:
            await crawl.life.begin()
        try:
            async with asyncio.TaskGroup() as group:
                slots = [group.create_task(self._slot()) for _ in range(self._stories)]
                work = (self._sweep(), self._watch_broker(), self._until_done(), self._finales())
                chores = [group.create_task(chore) for chore in work]
                with on_signals(first=self._stop.set, second=lambda: _cancel(slots)):
                    await self._stop.wait()
                    await self._intake.stop()
                    left = await self._drain(slots)
                _cancel(chores)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return left == 0

    @property
    def tally(self) -> Tally:
        """What this process did, over all its crawls."""
        return reduce(Tally.plus, (crawl.tally for crawl in self._distinct))

    async def books(self) -> list[tuple[LedgerName, Progress]]:
        """The books of every crawl served here."""
        return [(crawl.ledger.name, await crawl.ledger.progress()) for crawl in self._distinct]

    def stop(self) -> None:
        """Take no more deliveries and let :meth:`run` return when those in flight are finished."""
        self._stop.set()

    async def _slot(self) -> None:
        while (delivery := await self._intake.next()) is not None:
            await self._crawls[delivery.queue].work(delivery)

    async def _drain(self, slots: Sequence[asyncio.Task[None]]) -> int:
        """Wait for what is in flight; returns how many URLs had to be left."""
        await asyncio.wait(slots, timeout=self._settings.shutdown_s)
        left = sum(crawl.tally.in_flight for crawl in self._distinct) + sum(s.cancelled() for s in slots)
        if left:
            log.warning("left %d URLs in flight; RabbitMQ hands them out again", left)
        _cancel(slots)
        return left

    async def _until_done(self) -> None:
        told: set[LedgerName] = set()
        while self._settings.until_done:
            books = await self.books()
            if never := [str(name) for name, book in books if not book.admitted and name not in told]:
                log.info("waiting for seeds of %s", ", ".join(never))
                told |= {name for name, _ in books}
            if all(book.complete for _, book in books) and await self._no_copies_left() and await self._all_told():
                log.info("complete: %s", ", ".join(str(name) for name, _ in books))
                self._stop.set()
                return
            await asyncio.sleep(COMPLETION_POLL_S)

    async def _finales(self) -> None:
        waiting = [crawl for crawl in self._distinct if crawl.life.awaits_the_end]
        while waiting and not self._settings.until_done:
            for crawl in waiting:
                await crawl.life.end()
            await asyncio.sleep(FINALE_POLL_S)

    async def _all_told(self) -> bool:
        """Whether ``on_finish`` of every crawl was called; one that is called elsewhere is waited for."""
        return all([await crawl.life.end() for crawl in self._distinct])

    async def _no_copies_left(self) -> bool:
        """Whether no copy of a done URL waits in a queue, or is on its way there."""
        on_their_way_s = max(crawl.copies_until_s for crawl in self._distinct)
        return time.monotonic() > on_their_way_s and await self._intake.drained()

    async def _sweep(self) -> None:
        while True:
            for crawl in self._distinct:
                await crawl.admission.sweep()
            await asyncio.sleep(SWEEP_S)

    async def _watch_broker(self) -> None:
        raise await self._broker.failed()


def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
