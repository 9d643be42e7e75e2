"""Seeding: batches of seeds through the door of admission, several at a time, in constant memory."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from crawl_dedup import Fingerprint, host
from crawl_producer.admission import Admission, Admitted, Work
from crawl_producer.errors import Unroutable
from crawl_producer.message import UrlMessage
from crawl_producer.reading import in_thread
from crawl_producer.seeds import Rejected, Seed

#: Lines per ledger commit. The batch is the unit that a killed seeder repeats, and its boundaries depend on
#: nothing but the input, so the repetition finds the same synthetic parents.
BATCH_LINES = 500
#: Commits on their way at once: enough to hide a round trip to Redis and the broker's confirm.
BATCHES_IN_FLIGHT = 8
#: Rejections kept to be shown; all of them are counted and handed to ``on_rejected``.
SHOWN_REJECTIONS = 20


@dataclass(slots=True)
class SeedReport:
    """What became of the lines so far; ``unroutable`` ones stay in the outbox until a queue is bound for them."""

    lines: int = 0
    admitted: int = 0
    duplicate: int = 0
    rejected: int = 0
    over_limit: int = 0
    resumed: int = 0
    unroutable: int = 0
    unroutable_because: str = ""
    shown: list[Rejected] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, admitted: Admitted) -> None:
        """Count one admitted batch."""
        self.admitted += admitted.admitted
        self.duplicate += admitted.duplicate
        self.over_limit += admitted.over_limit
        self.resumed += admitted.resumed


class Seeding:
    """One run of ``crawl-seed``.

    Args:
        crawl: the crawl's name.
        admission: its door; None only counts (``--dry-run``).
        seed_parent: gives a batch of seeds its synthetic parent (Ledger.seed_parent).
        depth: the depth to give the seeds.
        not_before_ms: Unix time before which they must not be fetched; the admission's router delays them.
        expires_ms: Unix time from which on they are not worth fetching any more.
        on_rejected: called with each rejected line.
        on_progress: called with the report after each batch.
    """

    def __init__(
        self,
        crawl: str,
        admission: Admission | None,
        seed_parent: Callable[[bytes], Fingerprint],
        *,
        depth: int = 0,
        not_before_ms: int | None = None,
        expires_ms: int | None = None,
        on_rejected: Callable[[Rejected], None] = lambda _: None,
        on_progress: Callable[[SeedReport], None] = lambda _: None,
    ) -> None:
        self._crawl = crawl
        self._admission = admission
        self._seed_parent = seed_parent
        self._same: dict[str, Any] = {"depth": depth, "not_before_ms": not_before_ms, "expires_ms": expires_ms}
        self._on_rejected = on_rejected
        self._on_progress = on_progress
        self.report = SeedReport()

    async def run(self, entries: Iterable[Seed | Rejected]) -> SeedReport:
        """Admit every seed; returns when RabbitMQ has confirmed the last one.

        Raises:
            PublishFailed, LedgerUnavailable, BrokerUnreachable: run it again with the same input; what was
                admitted is not doubled, what was left in an outbox is published.
        """
        started = time.monotonic()
        if self._admission is not None:
            await self._admission.sweep()
        window = asyncio.Semaphore(BATCHES_IN_FLIGHT)
        try:
            async with asyncio.TaskGroup() as group:
                async for batch in in_thread(self._batches(entries), ahead=BATCHES_IN_FLIGHT):
                    await window.acquire()
                    group.create_task(self._admit(batch, window))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return replace(self.report, seconds=time.monotonic() - started)

    def _batches(self, entries: Iterable[Seed | Rejected]) -> Iterator[list[str]]:
        batch: list[str] = []
        for entry in entries:
            self.report.lines += 1
            if isinstance(entry, Rejected):
                self._reject(entry)
                continue
            batch.append(entry.url)
            if len(batch) == BATCH_LINES:
                yield batch
                batch = []
        if batch:
            yield batch

    def _reject(self, rejected: Rejected) -> None:
        self.report.rejected += 1
        if len(self.report.shown) < SHOWN_REJECTIONS:
            self.report.shown.append(rejected)
        self._on_rejected(rejected)

    async def _admit(self, urls: list[str], window: asyncio.Semaphore) -> None:
        distinct = dict.fromkeys(urls)
        self.report.duplicate += len(urls) - len(distinct)
        try:
            if self._admission is None:
                self.report.admitted += len(distinct)
            else:
                self.report.add(await self._admission.admit(self._work(distinct), seed=True))
        except Unroutable as error:
            # They stay in the outbox: whoever seeds or sweeps once there is a queue publishes them.
            self.report.unroutable += len(distinct)
            self.report.unroutable_because = str(error)
        finally:
            window.release()
        self._on_progress(self.report)

    def _work(self, urls: Iterable[str]) -> Work:
        now_ms = time.time_ns() // 1_000_000
        links = [
            UrlMessage.model_construct(crawl=self._crawl, url=url, root=host(url), first_seen_ms=now_ms, **self._same)
            for url in urls
        ]
        return Work(self._seed_parent("\n".join(urls).encode()), "seeded", links)
