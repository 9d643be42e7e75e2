"""A URL that a consumer died over is tried again alone, on record, and given up after some such trials.

A page may kill its process: by a defect of a parser, or by the memory that it takes. All that was in hand beside it is
then handed out again too, and nobody knows which of them it was. So each of them has the next process to itself for
its fetch. Whoever survives that is cleared; who does not is known, and takes nobody along.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from crawl_dedup import CrawlError, Fingerprint, Ledger

#: Consumers that may die over one URL alone before it becomes a dead letter. One death may have any cause (an
#: operator, the machine, another process' memory); three in a row at the same URL have one.
MOST_TRIALS = 3
#: Suspects that are held while others have the process to themselves. All that was in hand at a death is suspect, so
#: that there may be hundreds; their hosts are asked one by one, and whoever waits for long comes back later instead.
MOST_WAITING = 4
#: Seconds to tell the ledger that a suspect did no harm: Redis may be what has failed.
CLEAR_S = 2.0


class Company:
    """Who fetches in this process at the moment: many together, or one alone. First come, first served."""

    def __init__(self) -> None:
        self._present = 0
        self._one_alone = False
        self._waiting: deque[tuple[asyncio.Future[None], bool]] = deque()

    @property
    def alone_waiting(self) -> int:
        """How many wait to be alone."""
        return sum(alone for turn, alone in self._waiting if not turn.cancelled())

    def __repr__(self) -> str:
        return f"<Company of {self._present}, {len(self._waiting)} wait>"

    @asynccontextmanager
    async def joined(self, *, alone: bool = False) -> AsyncIterator[None]:
        """While inside, one is among those that fetch; ``alone``: nobody else is."""
        if self._waiting or not self._has_room(alone):
            await self._queue_up(alone)
        else:
            self._enter(alone)
        try:
            yield
        finally:
            self._present -= 1
            self._one_alone = False
            self._let_in()

    def _has_room(self, alone: bool) -> bool:
        return not (self._one_alone or (alone and self._present))

    def _enter(self, alone: bool) -> None:
        self._present += 1
        self._one_alone = alone

    async def _queue_up(self, alone: bool) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, alone))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # let in, and called off before it noticed
                self._present -= 1
                self._one_alone = False
            self._let_in()
            raise

    def _let_in(self) -> None:
        while self._waiting:
            turn, alone = self._waiting[0]
            if not turn.cancelled():
                if not self._has_room(alone):
                    return
                self._enter(alone)
                turn.set_result(None)
            self._waiting.popleft()


class Trials:
    """Keeps those apart that a consumer died over.

    Args:
        ledger: knows who is suspect, and keeps the record.
        company: of all crawls of this process.
    """

    def __init__(self, ledger: Ledger, company: Company) -> None:
        self._ledger = ledger
        self._company = company

    @property
    def crowded(self) -> bool:
        """Whether so many wait to be alone that one more should come back later instead of being held."""
        return self._company.alone_waiting >= MOST_WAITING

    @asynccontextmanager
    async def of(self, url: Fingerprint, trials: int | None) -> AsyncIterator[None]:
        """What might kill the process is done in here, from the host's turn until the URL is settled.

        Whatever comes of it, an error of ours and a shutdown included: this process has survived, and the URL is
        cleared.

        Args:
            url: what is fetched.
            trials: as :meth:`crawl_dedup.ledger.Ledger.begin` says; None: beside the others.
        """
        async with self._company.joined(alone=trials is not None):
            if trials is None:
                yield
                return
            await self._ledger.trial(url, trials + 1)
            try:
                yield
            finally:
                with suppress(CrawlError, TimeoutError):
                    async with asyncio.timeout(CLEAR_S):
                        await self._ledger.cleared(url)
