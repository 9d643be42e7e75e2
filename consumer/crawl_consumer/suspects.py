"""A URL that a consumer died over is tried again alone, on record, and given up after some such trials.

A page may kill its process: by a defect of a parser, or by the memory that it takes. All that was in hand beside it is
then handed out again too, and nobody knows which of them it was. So each of them has the next process to itself for
its fetch. Whoever survives that is cleared; who does not is known, and takes nobody along.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from crawl_dedup import Fingerprint, Ledger

#: Consumers that may die over one URL alone before it becomes a dead letter. One death may have any cause (an
#: operator, the machine, another process' memory); three in a row at the same URL have one.
MOST_TRIALS = 3


class Company:
    """Who fetches in this process at the moment: many together, or one alone. First come, first served."""

    def __init__(self) -> None:
        self._present = 0
        self._one_alone = False
        self._waiting: deque[tuple[asyncio.Future[None], bool]] = deque()

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

    @asynccontextmanager
    async def fetching(self, url: Fingerprint, trials: int | None) -> AsyncIterator[None]:
        """What might kill the process is done in here.

        Args:
            url: what is fetched.
            trials: as :meth:`crawl_dedup.ledger.Ledger.begin` says; None: beside the others.
        """
        if trials is None:
            async with self._company.joined():
                yield
            return
        async with self._company.joined(alone=True):
            await self._ledger.trial(url, trials + 1)
            yield
            await self._ledger.cleared(url)
