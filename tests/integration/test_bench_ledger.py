"""A ledger that the benchmark has filled is one that a crawl could have filled."""

import asyncio

from memory import fingerprints
from scale_ledger import fill, filled

from crawl_dedup import Commit, LedgerName, RedisLedger, Verdict, open_redis

URLS = 200


def test_its_urls_are_where_a_consumer_looks_for_them(fresh_redis):
    async def story():
        async with await open_redis(fresh_redis, name="test") as redis:
            name = LedgerName("bench", "main")
            ledger = await RedisLedger.open(redis, name, consumer="test", expected_urls=10**7)
            await fill(redis, ledger, URLS)
            async with ledger:
                urls = list(fingerprints(ledger, URLS))
                begun = [(await ledger.begin(url)).verdict for url in urls]
                new, *links = (ledger.fingerprint("https://example.org/new"), *urls)
                committed = await ledger.commit(Commit(new, "ok", [(link, b"-") for link in links]))
                return begun, committed.duplicate

    begun, duplicate = asyncio.run(story())
    assert begun == [Verdict.GO, Verdict.DONE] * (URLS // 2)
    assert duplicate == URLS


def test_the_bytes_that_a_url_takes_are_those_of_the_last_ledger(fresh_redis):
    per_url = asyncio.run(filled(fresh_redis, {"small": 100, "large": 20_000}, 20_000))
    assert 8 < per_url < 16
