"""What a page costs one consumer, and a URL Redis, when the ledger already holds ten thousand URLs, or ten million.

The ledgers are filled behind the consumer's back, with the fingerprints of generated URLs at the places where a crawl
would have put them, half of them as done and half as admitted: that takes the most memory.
"""

import asyncio
from collections import defaultdict
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from measured import Run, copies
from memory import AIM_BYTES, batches, fingerprints, used_bytes
from quick import Contest, figures_of, manual
from tables import table
from verdicts import Rounds, Target, spread

from crawl_dedup import BatchedRedis, LedgerName, RedisLedger, open_redis
from crawl_dedup.redis_names import prefix
from crawl_dev.servers import PrivateServers
from crawl_dev.site import StaticSite

#: URLs in the ledgers; all are declared as large as the largest, so that they have the same number of buckets.
SIZES, QUICK_SIZES = (10**4, 10**5, 10**6, 10**7), (10**3, 10**4, 10**5)
#: URLs that are hashed before they are sent: then a bucket gets dozens at once.
CHUNK = 1_000_000
#: What the consumer's CPU per page in the largest ledger may be, as a multiple of that in the smallest.
AIM_RATIO = 1.1
COPIES, ROUNDS = 2, 7


async def filled(url: str, sizes: dict[str, int], expected: int) -> float:
    """Fill the ledgers of these crawls; returns the bytes of Redis memory that a URL of the last one takes."""
    per_url = 0.0
    async with await open_redis(url, name="bench-scale") as redis:
        for crawl, urls in sizes.items():
            name = LedgerName(crawl, "main")
            ledger = await RedisLedger.open(redis, name, consumer="bench", expected_urls=expected)
            before = await used_bytes(redis)
            await fill(redis, ledger, urls)
            after = await used_bytes(redis)
            per_url = (after["used_memory"] - before["used_memory"]) / urls
    return per_url


async def fill(redis: BatchedRedis, ledger: RedisLedger, urls: int) -> None:
    books = prefix(ledger.name)
    found = fingerprints(ledger, urls)
    while chunk := list(islice(found, CHUNK)):
        buckets: dict[str, list[str]] = defaultdict(list)
        for n, fingerprint in enumerate(chunk):
            bucket, member = fingerprint.split(".")
            buckets[f"{books}{'don' if n % 2 else 'adm'}:{bucket}"].append(member)
        for some in batches(iter(buckets.items()), 1000):
            await asyncio.gather(*(redis.call("SADD", key, *members) for key, members in some))


def crawled(contest: Contest, crawls: list[str]) -> dict[str, Rounds]:
    """Figures of some rounds: in each, every crawl gets the same pages under new URLs.

    The smallest and the largest, whose ratio counts, are neighbours, and each second round goes backwards: a machine
    that becomes slower or faster then favours neither.
    """
    order = [crawls[0], *crawls[:0:-1]]
    start_up = contest.consumer("single", "single/")
    figures: dict[str, dict[int, dict[str, float]]] = {crawl: {} for crawl in crawls}
    for number in range(ROUNDS):
        runs: dict[str, Run] = {}
        for crawl in order[:: -1 if number % 2 else 1]:
            runs[crawl] = contest.consumer(crawl, f"copy{number}/")
            figures[crawl][number] = figures_of(runs[crawl], start_up)
        if len({run.paths for run in runs.values()}) > 1:
            raise SystemExit(f"the crawls of round {number} did not fetch the same pages")
    return dict(figures)


def measure(quick: bool) -> str:
    """The results as Markdown."""
    crawls = {f"round{n}": urls for n, urls in enumerate(QUICK_SIZES if quick else SIZES)}
    largest = max(crawls.values())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="crawl-bench-")))
        pages = stack.enter_context(copies(manual(), 1 if quick else COPIES))
        site = stack.enter_context(StaticSite(stack.enter_context(copies(pages, ROUNDS))))
        servers = stack.enter_context(PrivateServers(1))
        contest = Contest(site, servers, folder, len(crawls), settings={"expected_urls": largest})
        per_url = asyncio.run(filled(servers.redis.url, crawls, largest))
        figures = crawled(contest, list(crawls))
    return report(crawls, figures, per_url)


def report(crawls: dict[str, int], figures: dict[str, Rounds], per_url: float) -> str:
    names = list(crawls)
    target = Target(names[-1], names[0], "cpu_ms", AIM_RATIO)
    ratio = target.ratio(figures)
    rows = [
        [f"{crawls[name]:,}", *(spread(rounds, key).text(form) for key, form in COLUMNS.items())]
        for name, rounds in figures.items()
    ]
    verdict = "met" if per_url <= AIM_BYTES else "**missed**"
    return (
        table(["URLs in the ledger", "pages/s", "consumer, ms/page", "Redis, ms/page"], rows)
        + f"\n\nConsumer CPU per page, largest / smallest: {ratio.text('.2f') if ratio else '-'};"
        f" target ≤ {AIM_RATIO}: {target.verdict(ratio)}."
        f"\n\nRedis memory at {crawls[names[-1]]:,} URLs: {per_url:.2f} bytes for each;"
        f" target ≤ {AIM_BYTES:.0f}: {verdict}."
    )


COLUMNS = {"pages_per_s": ",.0f", "cpu_ms": ".2f", "redis_cpu_ms": ".2f"}
