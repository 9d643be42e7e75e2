"""A consumer's heartbeat: sent again and again for as long as its ledger is open, and then withdrawn."""

import asyncio
import logging

from crawl_dedup.crash_points import reached
from crawl_dedup.errors import DedupError
from crawl_dedup.ledger import HEARTBEAT_S, Ledger

log = logging.getLogger(__name__)

#: Seconds that closing waits for the ledger. It need not answer: the heartbeat also ends by itself.
LEAVE_S = 3.0


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
            DedupError: the first beat failed.
        """
        await self._send()
        self._task = asyncio.create_task(self._beat(), name=f"heartbeat {self._ledger.name}")

    async def stop(self) -> None:
        """End the task and leave the ledger; if that fails, the last beat expires by itself."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        try:
            async with asyncio.timeout(LEAVE_S):
                reached("leaving")
                await self._ledger.leave()
                reached("left")
        except (DedupError, TimeoutError) as error:
            log.warning("leaving %s: %s; what we held is free when our heartbeat expires", self._ledger.name, error)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self._send()
            except DedupError as error:
                log.warning("heartbeat in %s failed: %s; others may take over our URLs", self._ledger.name, error)

    async def _send(self) -> None:
        reached("heartbeat.due")
        await self._ledger.heartbeat()
        reached("heartbeat.sent")
