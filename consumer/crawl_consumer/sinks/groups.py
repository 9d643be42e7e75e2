"""Group commit: whatever is added while one group is being made safe becomes the next group.

So the price of a sync, a transaction or a round trip is shared by all pages in flight.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from crawl_consumer.errors import OutputFailed
from crawl_dedup.crash_points import reached

T = TypeVar("T")


class Groups(Generic[T]):
    """Things that become safe in groups.

    Args:
        keep: makes a group safe, or raises OutputFailed; the next group waits for it.
    """

    def __init__(self, keep: Callable[[list[T]], Awaitable[None]]) -> None:
        self._keep = keep
        self._waiting: list[T] = []
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self._failure: OutputFailed | None = None

    def __repr__(self) -> str:
        return f"<Groups waiting={len(self._waiting)} failure={str(self._failure or '')!r}>"

    def add(self, thing: T) -> None:
        """Take a thing into the next group.

        Raises:
            OutputFailed: an earlier group failed.
        """
        self._refuse_after_failure()
        self._waiting.append(thing)

    async def flush(self) -> None:
        """Return when everything added before is safe; whoever is cancelled here leaves the others be.

        Raises:
            OutputFailed: it is not. Nothing is kept any more after that: a later group would report success for
                pages whose items have been given up.
        """
        self._refuse_after_failure()
        if self._waiting and self._next is None:
            self._next = asyncio.create_task(self._keep_group(self._running))
        if (group := self._next if self._waiting else self._running) is not None:
            await asyncio.shield(group)

    async def close(self, within_s: float | None = None) -> None:
        """Flush, unless something failed before: whoever was told of that failure must not hear it again.

        Args:
            within_s: seconds; what is not safe by then is given up, and its pages come again. None: no limit.

        Raises:
            OutputFailed: not everything is safe.
        """
        if self._failure is not None:
            return
        try:
            async with asyncio.timeout(within_s):
                await self.flush()
        except TimeoutError:
            for task in (self._running, self._next):
                if task is not None:
                    task.cancel()
            raise OutputFailed(
                f"items are not accepted after {within_s} s", remedy="make room; their pages come again"
            ) from None

    async def _keep_group(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        self._refuse_after_failure()
        self._running, self._next = self._next, None
        group, self._waiting = self._waiting, []
        reached("group.closed")
        try:
            await self._keep(group)
            reached("group.kept")
        except OutputFailed as error:
            self._failure = error
            raise
        except Exception as error:  # a defect of ours, or of a library; what was in the group is not safe either
            self._failure = OutputFailed(f"items could not be kept: {error!r}", remedy="report it; nothing is lost")
            raise self._failure from error

    def _refuse_after_failure(self) -> None:
        if self._failure is not None:
            raise OutputFailed(str(self._failure), remedy=self._failure.remedy)
