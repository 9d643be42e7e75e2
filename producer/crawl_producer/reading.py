"""Iterating over what may block, such as a pipe, without holding up heartbeats in the event loop."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


async def in_thread(items: Iterator[_T], *, ahead: int) -> AsyncIterator[_T]:
    """The items, read by a thread of their own, at most ``ahead`` of them before they are wanted.

    The thread is a daemon: whoever leaves in the middle does not wait for a read that may never return.

    Raises:
        BaseException: whatever the iterator raises.
    """
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[_T | _End] = asyncio.Queue()
    room = threading.Semaphore(ahead)

    def read() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                room.acquire()
                loop.call_soon_threadsafe(arrived.put_nowait, item)
        except BaseException as raised:  # noqa: BLE001 - raised again, on the other side
            error = raised
        with suppress(RuntimeError):  # the loop has ended, and nobody listens any more
            loop.call_soon_threadsafe(arrived.put_nowait, _End(error))

    threading.Thread(target=read, name="reading", daemon=True).start()
    while not isinstance(item := await arrived.get(), _End):
        room.release()
        yield item
    if item.error is not None:
        raise item.error
