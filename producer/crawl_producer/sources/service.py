"""Seeding from where other systems write: take, admit, and only then let go; once, or for ever."""

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from crawl_dedup.crash_points import reached
from crawl_producer.own_routes import OwnRoutes
from crawl_producer.seeding import Seeding, SeedReport
from crawl_producer.seeds import Rejected, Seed
from crawl_producer.sources import written

#: Seconds between two looks at a source that was empty.
LOOK_S = 1.0
#: Messages that are taken at once: one commit to the ledger.
BATCH = 500

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Written(Generic[_T]):
    """One message, and what its source knows it by."""

    body: bytes
    handle: _T


class Source(Protocol[_T]):
    """Somewhere that URLs are written to. Whatever was not let go is there again after a crash.

    Attributes:
        name: for reports.
    """

    name: str

    async def next(self) -> Sequence[Written[_T]]:
        """Up to :data:`BATCH` messages, which the source still has; none: it is empty at the moment."""

    async def let_go(self, taken: Sequence[Written[_T]], bad: Sequence[tuple[Written[_T], str]]) -> None:
        """Forget what was taken, and what is bad once it is kept aside with its reason."""


async def drain(
    source: Source[_T], seeding: Seeding, *, routes: OwnRoutes, stop: asyncio.Event, follow: bool
) -> SeedReport:
    """Admit what is written there, until it is empty; with ``follow`` until ``stop`` is set.

    Args:
        source: it stays the caller's to close.
        seeding: the door.
        routes: judges the routes that are written there.
        stop: ends it, after what is in hand.
        follow: wait for more.

    Raises:
        PublishFailed, LedgerUnavailable, BrokerUnreachable: what was not let go is still there.
    """
    await seeding.sweep()
    number = 0
    while not stop.is_set():
        messages = await source.next()
        if messages:
            entries = [written.read(n, m.body, source.name, routes) for n, m in enumerate(messages, number + 1)]
            await _take(source, seeding, messages, entries)
            number += len(messages)
        elif not follow:
            break
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_S)
    return seeding.report


async def _take(
    source: Source[_T], seeding: Seeding, messages: Sequence[Written[_T]], entries: Sequence[Seed | Rejected]
) -> None:
    await seeding.take(entries)
    reached("written.admitted")
    pairs = list(zip(messages, entries, strict=True))
    bad = [(message, entry.reason) for message, entry in pairs if isinstance(entry, Rejected)]
    await source.let_go([message for message, entry in pairs if not isinstance(entry, Rejected)], bad)
    reached("written.gone")


@contextmanager
def stop_on_signals() -> Iterator[asyncio.Event]:
    """An event that the first SIGTERM or SIGINT sets; the second ends the process as if nobody listened."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)

    def received() -> None:
        stop.set()
        for number in signals:
            loop.remove_signal_handler(number)

    for number in signals:
        loop.add_signal_handler(number, received)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
