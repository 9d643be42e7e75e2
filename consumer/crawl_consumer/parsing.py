"""Where a page is parsed: tame ones at once, others in a thread, and those that may be costly in a child first.

Nearly every page is parsed within milliseconds. But libxml2 takes time with the square of an element's attributes,
35 minutes for 8 MiB of them, and nothing can stop it; and two million elements take 300 MiB. So what is large enough
for that, and not seen to be tame (:mod:`crawl_consumer.tame`), is first parsed by a process that may die of it
(:mod:`crawl_consumer.parse_child`). A page that it survives costs no more in ours, because libxml2 does the same
again; one that it does not survive is ``unparsable``.

Threads are for the others only. The interpreter's lock, the hand-overs and the memory that one thread takes and another
one frees made a page twice as dear when every larger one went through them.

The child says no more than that: to bring links over would spare a second parse of few pages, and spiders want trees.
What a spider does with the tree is its own affair, and goes on in the event loop.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Self, TypeVar

from crawl_consumer.page import Page
from crawl_consumer.parse_child import CPU_S, LENGTH_BYTES, TREE_BYTES
from crawl_consumer.tame import TAG_BYTES, is_tame
from crawl_producer import heap

#: Bytes of markup up to which any page is parsed at once: ordinary ones take 3 ms then, and the worst a second.
TAME_BYTES = TAG_BYTES
#: Bytes up to which a page is parsed without a child. The worst, one element with 130,000 attributes, takes 17 seconds
#: of a thread that holds nothing else up.
UNTRIED_BYTES = 512 << 10
#: Pages between the two that are parsed at a time, and whose trees may be in memory; the worst take 24 MiB each.
MODERATE = 4

#: Seconds after a costly page until memory that is free goes back to the system.
GIVE_BACK_AFTER_S = 5.0

_T = TypeVar("_T")


class ChildLost(RuntimeError):
    """The process that was to try a page ended; nobody knows what the page would have done."""


class Parsing:
    """Parses pages before anybody asks for their trees. Close it after use, with ``async with``.

    Args:
        cpu_s: seconds of the processor that a page may take in the child.
        tree_bytes: memory that it may take there.
    """

    def __init__(self, *, cpu_s: int = CPU_S, tree_bytes: int = TREE_BYTES) -> None:
        self._limits = (str(cpu_s), str(tree_bytes))
        self._child: asyncio.subprocess.Process | None = None
        self._threads = ThreadPoolExecutor(MODERATE, thread_name_prefix="parsing")
        self._moderate = asyncio.Semaphore(MODERATE)
        # One thread for all costly pages: the memory that one of them has left is what the next one takes.
        self._costly_thread = ThreadPoolExecutor(1, thread_name_prefix="parsing-costly")
        self._costly = asyncio.Semaphore(1)
        self._giving_back: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._giving_back is not None:
            self._giving_back.cancel()
        for threads in (self._threads, self._costly_thread):
            threads.shutdown(wait=False, cancel_futures=True)
        await self._end_child()

    @property
    def child_pid(self) -> int | None:
        """The process that tries pages, None while there is none."""
        return self._child.pid if self._child else None

    @asynccontextmanager
    async def of(self, page: Page, *, skimmed: bool = False) -> AsyncIterator[str]:
        """While inside, the page is parsed, or what comes says why it must not be: then its tree is empty.

        Args:
            page: a fetched one.
            skimmed: it is asked for its links, its title and its meta elements only. Then no tree is made if the tags
                tell all that, as those of most pages do.

        Larger pages are inside a few at a time, and those that may need a child one at a time, so that their trees do
        not add up.

        Raises:
            ChildLost: see there.
            MemoryError: there is none left for the tree.
        """
        if skimmed and page.skim():
            yield ""
            return
        markup_bytes = len(page.in_utf8()) if page.is_html else 0
        if markup_bytes <= TAME_BYTES:
            yield ""
        elif markup_bytes <= UNTRIED_BYTES:
            async with self._moderate:
                if not _parsed_at_once(page):
                    await _made(self._threads, page.parse_apart)
                yield ""
        else:
            async with self._costly:
                try:
                    yield "" if _parsed_at_once(page) else await self._refused(page)
                finally:
                    if self._giving_back is None:
                        self._giving_back = asyncio.get_running_loop().call_later(GIVE_BACK_AFTER_S, self._give_back)

    async def _refused(self, page: Page) -> str:
        refused = await self._tried(await _made(self._costly_thread, page.in_utf8))
        if refused:
            page.give_up(refused)
        else:
            await _made(self._costly_thread, page.read_apart)
        return refused

    def _give_back(self) -> None:
        self._giving_back = None
        with suppress(RuntimeError):  # closed meanwhile
            self._costly_thread.submit(heap.give_back)

    async def _tried(self, markup: bytes) -> str:
        child = self._child = self._child or await _started(*self._limits)
        assert child.stdin is not None
        assert child.stdout is not None
        answer = b""
        try:
            child.stdin.write(len(markup).to_bytes(LENGTH_BYTES, "big"))
            child.stdin.write(markup)
            await child.stdin.drain()
            answer = await child.stdout.readline()
        except ConnectionError as error:
            raise ChildLost("the process that tries pages has ended") from error
        finally:
            if not answer:  # lost, or we were told to stop: what it says next would be taken for another page's
                await self._end_child()
        if not answer:
            raise ChildLost("the process that tries pages has ended")
        return answer.decode().rstrip("\n")

    async def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # its fork too
            await child.communicate()


def _parsed_at_once(page: Page) -> bool:
    return is_tame(page.in_utf8()) and page.parse_shallow()


async def _made(threads: ThreadPoolExecutor, call: Callable[[], _T]) -> _T:
    # A thread drops its work a moment after it has told that it is done, and would hold the page until then.
    calls = [call]

    def made() -> _T:
        return calls.pop()()

    return await asyncio.get_running_loop().run_in_executor(threads, made)


async def _started(*limits: str) -> asyncio.subprocess.Process:
    # A session of its own: Ctrl-C is for the consumer, which may finish what it has in hand.
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-P", "-m", "crawl_consumer.parse_child", *limits)  # -P: nothing of the working folder
    return await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, start_new_session=True)
