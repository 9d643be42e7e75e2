"""Bytes of Redis memory per URL: a million generated URLs are admitted, then half of them end, then the rest.

What counts is how much Redis' ``used_memory`` grows from an empty ledger: sets, their keys and Redis' own tables.
The aim is 12 bytes at every one of these moments. Run it with ``make bench-memory``.
"""

import argparse
import asyncio
import itertools
import json
import time
from collections.abc import Iterator

from crawl_dedup import BatchedRedis, Commit, Fingerprint, LedgerName, RedisLedger, open_redis
from crawl_dev import PrivateServers

#: Bytes per URL that the ledger may cost.
AIM_BYTES = 12.0
#: URLs to a seed batch, and calls made at once: what a seeder and a busy consumer do.
BATCH_URLS = 500
CALLS_AT_ONCE = 256


def fingerprints(ledger: RedisLedger, urls: int) -> Iterator[Fingerprint]:
    for n in range(urls):
        yield ledger.fingerprint(f"https://host{n % 1000}.example/section/{n % 97}/page-{n}.html?id={n * 7919}")


def batches(items: Iterator[Fingerprint], size: int) -> Iterator[list[Fingerprint]]:
    while batch := list(itertools.islice(items, size)):
        yield batch


async def used_bytes(redis: BatchedRedis) -> dict[str, int]:
    await redis.call("MEMORY", "PURGE")
    lines = (await redis.call("INFO", "memory")).decode().splitlines()
    info = dict(line.split(":", 1) for line in lines if ":" in line)
    return {key: int(info[key]) for key in ("used_memory", "used_memory_dataset", "used_memory_rss")}


async def admit(ledger: RedisLedger, urls: Iterator[Fingerprint]) -> None:
    for number, batch in enumerate(batches(urls, BATCH_URLS)):
        parent = ledger.seed_parent(b"%d" % number)
        await ledger.commit(Commit(parent, "seeded", [(url, b"-") for url in batch]))
        await ledger.finish(parent)


async def end(ledger: RedisLedger, urls: Iterator[Fingerprint]) -> None:
    for batch in batches(urls, CALLS_AT_ONCE):
        await asyncio.gather(*(ledger.commit(Commit(url, "ok")) for url in batch))


async def measure(url: str, urls: int) -> dict[str, object]:
    async with await open_redis(url, name="bench-memory") as redis:
        ledger = await RedisLedger.open(redis, LedgerName("bench"), consumer="bench", expected_urls=urls)
        before, moments = await used_bytes(redis), {}
        both = fingerprints(ledger, urls)
        for moment, step in (
            ("admitted", admit(ledger, fingerprints(ledger, urls))),
            ("half_done", end(ledger, itertools.islice(both, urls // 2))),
            ("done", end(ledger, both)),
        ):
            started = time.monotonic()
            await step
            seconds = time.monotonic() - started
            after = await used_bytes(redis)
            moments[moment] = {key: round((after[key] - before[key]) / urls, 2) for key in before}
            moments[moment]["seconds"] = round(seconds, 1)
        progress = await ledger.progress()
    assert progress.complete
    assert progress.admitted == urls
    most = max(moment["used_memory"] for moment in moments.values())
    return {"urls": urls, "buckets": 2**ledger.pinned.bucket_bits, "moments": moments, "most_bytes_per_url": most}


def show(report: dict) -> None:
    print(f"{report['urls']:,} URLs in {report['buckets']:,} buckets; bytes per URL:")
    print(f"{'':>12} {'used':>8} {'dataset':>8} {'rss':>8} {'seconds':>8}")
    for moment, figures in report["moments"].items():
        print(f"{moment:>12} " + " ".join(f"{figure:8}" for figure in figures.values()))
    verdict = "within" if report["most_bytes_per_url"] <= AIM_BYTES else "ABOVE"
    print(f"at most {report['most_bytes_per_url']} bytes per URL: {verdict} the aim of {AIM_BYTES:.0f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--urls", type=int, default=1_000_000, help="how many (default: a million)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    with PrivateServers(rabbit_nodes=0, redis=True) as servers:
        report = asyncio.run(measure(servers.redis.url, arguments.urls))
    if arguments.json:
        print(json.dumps(report))
    else:
        show(report)
    return int(report["most_bytes_per_url"] > AIM_BYTES)


if __name__ == "__main__":
    raise SystemExit(main())
