"""Live progress: one line a crawl, from the ledger's books, redrawn on a terminal and logged elsewhere."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from rich.console import Console
from rich.live import Live

from crawl_dedup import DedupError, LedgerName, Progress
from crawl_producer.rate import Rate

log = logging.getLogger(__name__)

#: Redraw on a terminal this often …
REDRAW_S = 1.0
#: … and write a log line this often elsewhere.
LOG_S = 10.0

Books = Sequence[tuple[LedgerName, Progress]]


class ProgressLine:
    """Turns readings of the books into lines with a rate, and the number of hosts in hand where it is known."""

    def __init__(self, hosts: Callable[[], int] | None = None) -> None:
        self._rate = Rate()
        self._hosts = hosts

    def text(self, books: Books, *, now_s: float) -> str:
        """One line for each crawl: done, open, and pages a second over the last readings."""
        rate = self._rate.add(now_s, sum(book.admitted - book.open for _, book in books))
        window = f"  {self._hosts():,} hosts in hand" if self._hosts else ""
        return "\n".join(_line(name, book, rate) + window for name, book in books)


async def show(
    read: Callable[[], Awaitable[Books]], *, console: Console, hosts: Callable[[], int] | None = None
) -> None:
    """Show the books until cancelled.

    Args:
        read: brings them.
        console: where to.
        hosts: how many distinct hosts the URLs in hand have.
    """
    lines = ProgressLine(hosts)
    if not console.is_terminal:
        while True:
            await asyncio.sleep(LOG_S)
            log.info("%s", (await _text(lines, read)).replace("\n", "; "))
    with Live(console=console, transient=True, auto_refresh=False) as live:
        while True:
            live.update(await _text(lines, read), refresh=True)
            await asyncio.sleep(REDRAW_S)


@asynccontextmanager
async def shown(read: Callable[[], Awaitable[Books]], *, console: Console) -> AsyncIterator[None]:
    """While inside, :func:`show` the books."""
    showing = asyncio.create_task(show(read, console=console))
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)


async def _text(lines: ProgressLine, read: Callable[[], Awaitable[Books]]) -> str:
    """What there is to show; while Redis is away, that, because the display outlives its silence."""
    try:
        return lines.text(await read(), now_s=time.monotonic())
    except DedupError as error:
        return f"no progress: {error}"


def _line(name: LedgerName, book: Progress, rate: float) -> str:
    outcomes = "  ".join(f"{outcome} {n:,}" for outcome, n in sorted(book.outcomes.items(), key=lambda o: -o[1])[:4])
    return f"{name}: {book.admitted - book.open:,} done  {book.open:,} to go  {rate:,.1f}/s  {outcomes}"
