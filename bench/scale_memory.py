"""How the memory of one consumer process grows with the pages it has fetched: it should not.

In the child the consumer notes its own resident memory once a second. The slope is fitted to the second half of the
crawl, when every cache is full.
"""

import os
import sys
import threading
import time
from bisect import bisect
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import linear_regression
from tempfile import TemporaryDirectory

from measured import copies
from quick import Contest
from tables import table

from crawl_consumer.cli.consumer import main as consumer
from crawl_dev.servers import PrivateServers
from crawl_dev.site import StaticSite

#: Pages of the small site, links on each, and how many copies of it are crawled.
PAGES, LINKS, COPIES = 1000, 10, 500
EVERY_S = 1.0
#: Growth that is nobody's leak, MiB for each 100,000 pages.
AIM_MIB = 1.0
_MIB = 2**20


@contextmanager
def small_site() -> Iterator[Path]:
    """Small pages that form a tree and link to each other."""
    with TemporaryDirectory(prefix="crawl-bench-small-") as name:
        for n in range(PAGES):
            below = [(n * LINKS + k) % PAGES for k in range(1, LINKS + 1)]
            links = "".join(f'<li><a href="{page or "index"}.html">Page {page}</a>' for page in below)
            text = f"<!doctype html><title>Page {n}</title><h1>Page {n}</h1><ul>{links}</ul>"
            (Path(name) / f"{n or 'index'}.html").write_text(text)
        yield Path(name)


def consume(samples: Path, arguments: Sequence[str]) -> None:
    """In the child: be ``crawl-consumer``, and note the memory."""
    sys.argv = ["crawl-consumer", *arguments]
    threading.Thread(target=_watch, args=(samples,), daemon=True).start()
    consumer()


def _watch(samples: Path) -> None:
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    with samples.open("w", buffering=1) as out:
        while True:
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * page_bytes
            out.write(f"{time.time()} {resident}\n")
            time.sleep(EVERY_S)


def growth(samples: Sequence[tuple[float, int]], ended_s: Sequence[float]) -> list[tuple[int, float]]:
    """Pages so far, and resident MiB: the samples of ``(Unix time, bytes)`` beside the sorted ends of all requests."""
    return [(bisect(ended_s, at_s), resident / _MIB) for at_s, resident in samples]


def slope(points: Sequence[tuple[int, float]]) -> float:
    """MiB for each 100,000 pages, over the second half of the pages."""
    half = points[-1][0] / 2
    pages, resident = zip(*(point for point in points if point[0] >= half), strict=True)
    return linear_regression(pages, resident).slope * 100_000


def measure(quick: bool) -> str:
    """The results as Markdown."""
    number = COPIES // 50 if quick else COPIES
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="crawl-bench-")))
        pages = stack.enter_context(copies(stack.enter_context(small_site()), number))
        site = stack.enter_context(StaticSite(pages))
        servers = stack.enter_context(PrivateServers(1))
        contest = Contest(site, servers, folder, rounds=1)
        contest.program = [sys.executable, __file__, "consume", str(folder / "samples")]
        run = contest.consumer("round0", "")
        ended_s = sorted(request.ended_s for request in site.request_log())
        lines = [line.split() for line in (folder / "samples").read_text().splitlines()]
    points = growth([(float(at_s), int(resident)) for at_s, resident in lines], ended_s)
    return report(points, run.requests, run.pages_per_s)


def report(points: Sequence[tuple[int, float]], requests: int, rate: float) -> str:
    found = slope(points)
    rows = [[f"{pages:,}", f"{resident:.1f}"] for pages, resident in _tenths(points)]
    verdict = "met" if found < AIM_MIB else "**missed**"
    return (
        f"{table(['pages so far', 'resident memory, MiB'], rows)}\n\n"
        f"{requests:,} small pages at {rate:,.0f} a second. Growth over the second half: {found:.2f} MiB for each"
        f" 100,000 pages; target < {AIM_MIB:.0f}: {verdict}."
    )


def _tenths(points: Sequence[tuple[int, float]]) -> Iterator[tuple[int, float]]:
    total = points[-1][0]
    for tenth in range(1, 11):
        yield next(point for point in points if point[0] * 10 >= total * tenth)


if __name__ == "__main__":
    if sys.argv[1:2] == ["consume"]:
        consume(Path(sys.argv[2]), sys.argv[3:])
    else:
        print(measure(quick=True))
