"""A consumer's heartbeat: sent again and again for as long as its ledger is open."""

import asyncio
import logging

from crawl_dedup.errors import LedgerUnavailable
from crawl_dedup.ledger import HEARTBEAT_S, Ledger

log = logging.getLogger(__name__)


class Pulse:
    """The task that beats. The first beat is the caller's own, so that it hears of a failure.

    Args:
        ledger: whose heartbeat.
        every_s: seconds between beats.
    """

    def __init__(self, ledger: Ledger, *, every_s: float = HEARTBEAT_S) -> None:
        self._ledger = ledger
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Beat once, then go on in the background.

        Raises:
            LedgerUnavailable: the first beat failed.
        """
        await self._ledger.heartbeat()
        self._task = asyncio.create_task(self._beat(), name=f"heartbeat {self._ledger.name}")

    async def stop(self) -> None:
        """End the task; the last beat stays valid until it is withdrawn or expires."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self._ledger.heartbeat()
            except LedgerUnavailable as error:
                log.warning("heartbeat of %s failed: %s; others may take over its URLs", self._ledger.name, error)
