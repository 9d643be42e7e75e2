"""A thread of an output's own, for calls that block."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")


class OwnThread:
    """Runs blocking calls one after the other, beside the loop.

    The loop's shared threads may all be busy resolving names for half a minute.

    Args:
        name: of the thread, for whoever looks at the process.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, call: Callable[[], _T]) -> _T:
        """What ``call`` returns or raises; a call that has begun ends, even if nobody waits for it any more."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def end(self) -> None:
        """Take no more calls."""
        self._pool.shutdown(wait=False)
