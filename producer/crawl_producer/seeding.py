"""Seeding: batches of seeds through the door of admission, several at a time, in constant memory."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from crawl_dedup import Fingerprint, host
from crawl_producer.admission import Admission, Admitted, Work
from crawl_producer.errors import Unroutable
from crawl_producer.reading import in_thread
from crawl_producer.seeds import Rejected, Seed
from crawl_producer.siblings import Family, Seedling

#: Lines per ledger commit. The batch is the unit that a killed seeder repeats, and its boundaries depend on
#: nothing but the input, so the repetition finds the same synthetic parents.
BATCH_LINES = 500
#: Lines to a batch, rejected ones included: a file of nonsense must not be kept in memory.
MOST_IN_BATCH = 5_000
#: Commits on their way at once: enough to hide a round trip to Redis and the broker's confirm.
BATCHES_IN_FLIGHT = 8
#: Rejections kept to be shown; all of them are counted and handed to ``on_rejected``.
SHOWN_REJECTIONS = 20


@dataclass(slots=True)
class SeedReport:
    """What became of the lines so far; ``unroutable`` ones stay in the outbox until a queue is bound for them.

    Of sitemaps and feeds: ``lists`` that were read, ``older`` entries than was asked for, and those ``outside`` of
    the crawl's scope, by reason. Neither are lines.
    """

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
    lists: int = 0
    older: int = 0
    outside: Mapping[str, int] = field(default_factory=dict)

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

    Attributes:
        report: what became of the entries so far.
        on_progress: as given; may be set until it runs.
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
        self._depth = depth
        self._same: dict[str, Any] = {"not_before_ms": not_before_ms, "expires_ms": expires_ms}
        self._on_rejected = on_rejected
        self.on_progress = on_progress
        self.report = SeedReport()

    async def run(self, entries: Iterable[Seed | Rejected]) -> SeedReport:
        """Admit every seed; returns when RabbitMQ has confirmed the last one.

        Raises:
            PublishFailed, LedgerUnavailable, BrokerUnreachable: run it again with the same input; what was
                admitted is not doubled, what was left in an outbox is published.
        """
        return await self.run_batches(in_thread(_batches(entries), ahead=BATCHES_IN_FLIGHT))

    async def run_batches(self, batches: AsyncIterator[Sequence[Seed | Rejected]]) -> SeedReport:
        """As :meth:`run`, for entries that come in batches: about :data:`BATCH_LINES` seeds each."""
        started = time.monotonic()
        await self.sweep()
        window = asyncio.Semaphore(BATCHES_IN_FLIGHT)
        try:
            async with asyncio.TaskGroup() as group:
                async for batch in batches:
                    await window.acquire()
                    group.create_task(self.take(batch)).add_done_callback(lambda _: window.release())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return replace(self.report, seconds=time.monotonic() - started)

    async def sweep(self) -> None:
        """Publish what earlier, killed runs have left behind."""
        if self._admission is not None:
            await self._admission.sweep()

    async def take(self, batch: Sequence[Seed | Rejected]) -> None:
        """Count one batch, and admit what is to be crawled; returns when RabbitMQ has confirmed it.

        What cannot be routed stays in the outbox, and counts as taken.

        Raises:
            PublishFailed, LedgerUnavailable, BrokerUnreachable: as :meth:`run`.
        """
        self.report.lines += len(batch)
        seeds: dict[str, Seed] = {}
        for entry in batch:
            if isinstance(entry, Rejected):
                self._reject(entry)
            elif entry.url in seeds:
                self.report.duplicate += 1
            else:
                seeds[entry.url] = entry
        if seeds:
            await self._admit(list(seeds.values()))
        self.on_progress(self.report)

    def _reject(self, rejected: Rejected) -> None:
        self.report.rejected += 1
        if len(self.report.shown) < SHOWN_REJECTIONS:
            self.report.shown.append(rejected)
        self._on_rejected(rejected)

    async def _admit(self, seeds: Sequence[Seed]) -> None:
        try:
            if self._admission is None:
                self.report.admitted += len(seeds)
            else:
                self.report.add(await self._admission.admit(self._work(seeds), seed=True))
        except Unroutable as error:
            # They stay in the outbox: whoever seeds or sweeps once there is a queue publishes them.
            self.report.unroutable += len(seeds)
            self.report.unroutable_because = str(error)

    def _work(self, seeds: Sequence[Seed]) -> Work:
        families: dict[int | None, Family] = {}
        links = [
            Seedling(
                seed.url,
                seed.root or host(seed.url),
                families.get(seed.depth) or families.setdefault(seed.depth, self._family(seed.depth)),
            )
            for seed in seeds
        ]
        return Work(self._seed_parent("\n".join(seed.url for seed in seeds).encode()), "seeded", links)

    def _family(self, depth: int | None) -> Family:
        return Family.of(
            crawl=self._crawl,
            depth=self._depth if depth is None else depth,
            first_seen_ms=time.time_ns() // 1_000_000,
            **self._same,
        )


def _batches(entries: Iterable[Seed | Rejected]) -> Iterator[list[Seed | Rejected]]:
    """Batches of so many seeds, with what was rejected among them; where they end depends on the input alone."""
    batch: list[Seed | Rejected] = []
    seeds = 0
    for entry in entries:
        batch.append(entry)
        seeds += isinstance(entry, Seed)
        if seeds == BATCH_LINES or len(batch) == MOST_IN_BATCH:
            yield batch
            batch, seeds = [], 0
    if batch:
        yield batch
