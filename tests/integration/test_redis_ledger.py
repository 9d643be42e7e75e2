"""The ledger on a real Redis: joining, what lies there, who may read it, and forgetting."""

import asyncio

import pytest

from crawl_dedup import (
    ALIVE_TTL_S,
    Commit,
    CrawlMismatch,
    LedgerForgot,
    LedgerName,
    LedgerRefused,
    RedisLedger,
    Verdict,
    born_ms,
    bucket_bits_for,
    forget,
    ledger_names,
    open_redis,
    read_progress,
)
from crawl_dedup.redis_names import alive, meta, pattern, prefix
from ledger_worlds import KEY, NAME


def with_redis(url, story):
    async def play():
        async with await open_redis(url, name="tests") as redis:
            await story(redis)

    asyncio.run(play())


async def join(redis, name=NAME, **rules) -> RedisLedger:
    return await RedisLedger.open(redis, name, **{"consumer": "a", "expected_urls": 1000} | rules)


def messages(ledger, count):
    return [(ledger.fingerprint(f"https://example.org/{i}"), b"message %d" % i) for i in range(count)]


def test_whoever_comes_first_pins_the_rules_for_all(fresh_redis):
    async def story(redis):
        first = await join(redis, expected_urls=1_000_000)
        second = await join(redis, consumer="b", expected_urls=10)
        assert first.pinned == second.pinned
        assert second.pinned.bucket_bits == bucket_bits_for(1_000_000)
        assert first.fingerprint("https://example.org/") == second.fingerprint("https://example.org/")
        other = await join(redis, LedgerName("other"))
        assert other.pinned.hash_key != first.pinned.hash_key

    with_redis(fresh_redis, story)


def test_of_many_that_begin_a_crawl_at_once_all_get_the_same_rules(fresh_redis):
    async def story(_):
        async def begin(number):
            async with await open_redis(fresh_redis, name="tests") as redis:
                return (await join(redis, consumer=f"c{number}")).pinned

        assert len(set(await asyncio.gather(*map(begin, range(8))))) == 1

    with_redis(fresh_redis, story)


def test_who_has_other_rules_may_not_join_and_learns_both(fresh_redis):
    async def story(redis):
        await join(redis, canonicaliser="1", hash_key=KEY)
        with pytest.raises(CrawlMismatch, match=r"news/main was begun with canonicaliser 1, not 2") as caught:
            await join(redis, canonicaliser="2")
        assert "crawl-forget news" in caught.value.remedy
        with pytest.raises(CrawlMismatch, match=r"hash key [0-9a-f]{8}, not [0-9a-f]{8}") as caught:
            await join(redis, canonicaliser="1", hash_key=b"another key")
        assert KEY.hex() not in str(caught.value)
        assert KEY.hex() not in repr((await join(redis, canonicaliser="1", hash_key=KEY)).pinned)

    with_redis(fresh_redis, story)


def test_leases_and_heartbeats_expire_by_themselves(fresh_redis):
    async def story(redis):
        async with await join(redis) as ledger:
            [(url, _)] = messages(ledger, 1)
            await ledger.begin(url)
            lease_ms = await redis.call("PTTL", f"{prefix(NAME)}lease:{url}")
            alive_ms = await redis.call("PTTL", alive(NAME, "a"))
            assert 595 < lease_ms / 1000 <= 600  # its trace; see LEASE_TRACE_MS in ledger.lua
            assert ALIVE_TTL_S - 5 < alive_ms / 1000 <= ALIVE_TTL_S
        assert await redis.call("EXISTS", alive(NAME, "a")) == 0

    with_redis(fresh_redis, story)


def test_at_the_end_nothing_lies_there_but_the_sets_and_the_books(fresh_redis):
    async def story(redis):
        async with await join(redis) as ledger:
            seeds = ledger.seed_parent(b"seeds")
            await ledger.commit(Commit(seeds, "seeded", messages(ledger, 50)))
            await ledger.finish(seeds)
            for url, _ in messages(ledger, 50):
                await ledger.begin(url)
                await ledger.commit(Commit(url, "ok", [(ledger.fingerprint(f"{url}+"), b"child")]))
                await ledger.finish(url)
                child = ledger.fingerprint(f"{url}+")
                await ledger.begin(child)
                await ledger.commit(Commit(child, "ok"))
            assert (await ledger.progress()).complete
        keys = {key.decode().removeprefix(prefix(NAME)) for key in await redis.call("KEYS", pattern(NAME))}
        assert {key for key in keys if not key.startswith("don:")} == {"meta", "counts"}
        for key in keys - {"meta", "counts"}:
            assert await redis.call("OBJECT", "ENCODING", prefix(NAME) + key) == b"intset"

    with_redis(fresh_redis, story)


def test_after_a_redis_came_back_empty_the_crawl_goes_on_under_the_same_rules(fresh_redis):
    async def story(redis):
        ledger = await join(redis)
        [(url, _)] = messages(ledger, 1)
        await redis.call("FLUSHDB")
        assert (await ledger.begin(url)).verdict is Verdict.GO
        assert not await ledger.finish(url)
        await ledger.commit(Commit(url, "ok"))
        assert (await ledger.progress()).outcomes == {"ok": 1}
        await ledger.heartbeat()
        assert (await join(redis, consumer="b")).pinned == ledger.pinned

    with_redis(fresh_redis, story)


def test_a_consumer_whose_rules_were_replaced_hears_of_it_with_its_next_heartbeat(fresh_redis):
    async def story(redis):
        ledger = await join(redis)
        await redis.call("FLUSHDB")
        await join(redis, consumer="b")
        with pytest.raises(CrawlMismatch, match="hash key"):
            await ledger.heartbeat()
        [(url, _)] = messages(ledger, 1)
        with pytest.raises(CrawlMismatch, match="hash key"):  # the pulse has only logged it
            await ledger.begin(url)

    with_redis(fresh_redis, story)


def test_a_ledger_is_read_without_joining_it(fresh_redis):
    async def story(redis):
        assert await read_progress(redis, NAME) is None
        assert await ledger_names(redis) == []
        groups = [LedgerName("mirror", "archive"), LedgerName("mirror", "linkcheck"), NAME]
        for name in reversed(groups):
            await join(redis, name)
        await redis.call("SET", "crawl:{odd}:meta", "x")
        await redis.call("HSET", "somebody:else:meta", "x", "y")
        ledger = await join(redis)
        await ledger.commit(Commit(ledger.seed_parent(b"seeds"), "seeded", messages(ledger, 3)))
        keys = await redis.call("DBSIZE")
        assert await ledger_names(redis) == groups
        assert await read_progress(redis, NAME) == await ledger.progress()
        assert (await read_progress(redis, groups[0])).admitted == 0
        assert await redis.call("DBSIZE") == keys

    with_redis(fresh_redis, story)


def test_forgetting_takes_all_of_one_ledger_and_nothing_else(fresh_redis):
    async def story(redis):
        kept = await join(redis, LedgerName("news", "other"))
        await kept.commit(Commit(kept.seed_parent(b"seeds"), "seeded", messages(kept, 5)))
        ledger = await join(redis, expected_urls=2_000_000)
        await ledger.commit(Commit(ledger.seed_parent(b"seeds"), "seeded", messages(ledger, 3000)))
        told = []
        deleted = await forget(redis, NAME, on_deleted=told.append)
        assert deleted == told[-1] > 2000
        assert told == sorted(told)
        assert len(told) > 2
        assert await redis.call("KEYS", pattern(NAME)) == []
        assert await ledger_names(redis) == [kept.name]
        assert (await kept.progress()).admitted == 5
        assert await forget(redis, NAME) == 0

    with_redis(fresh_redis, story)


def test_a_killed_forgetting_can_be_found_and_run_again(fresh_redis):
    class Killed(Exception):
        pass

    def kill(_):
        raise Killed

    async def story(redis):
        ledger = await join(redis, expected_urls=2_000_000)
        await ledger.commit(Commit(ledger.seed_parent(b"seeds"), "seeded", messages(ledger, 3000)))
        with pytest.raises(Killed):
            await forget(redis, NAME, on_deleted=kill)
        assert await redis.call("EXISTS", meta(NAME)) == 1
        assert await ledger_names(redis) == [NAME]
        half = await join(redis)
        assert born_ms(half.born) > born_ms(ledger.born)  # whatever was published before is not this memory's
        with pytest.raises(LedgerForgot):
            await ledger.commit(Commit(ledger.fingerprint("https://example.org/"), "ok", relies_on=ledger.born))
        await redis.call("DEL", f"{prefix(NAME)}out:{ledger.seed_parent(b'seeds')}")
        await redis.call("ZADD", f"{prefix(NAME)}outs", 1, ledger.seed_parent(b"seeds"))
        assert await ledger.orphans() == []
        assert (await ledger.progress()).outboxes == 0
        assert await forget(redis, NAME) > 0
        assert await redis.call("DBSIZE") == 0

    with_redis(fresh_redis, story)


@pytest.mark.parametrize("name", [LedgerName(""), LedgerName("a/b"), LedgerName("a", "{b}"), LedgerName("a b")])
def test_names_that_would_mix_up_two_ledgers_are_refused(name):
    with pytest.raises(ValueError, match="ledger's name"):
        prefix(name)


def test_names_with_pattern_characters_match_only_themselves():
    assert pattern(LedgerName("a*[b]?")) == r"crawl:{a\*\[b\]\?/main}:*"


def test_what_is_no_fingerprint_is_refused_and_changes_nothing(fresh_redis):
    async def story(redis):
        ledger = await join(redis)
        for wrong in ("", "s.0123", "12", "1.x", "1.2.3", "g.1"):
            with pytest.raises(LedgerRefused, match="not the fingerprint of a URL"):
                await ledger.begin(wrong)
        with pytest.raises(LedgerRefused, match="not the fingerprint of a URL"):
            await ledger.commit(Commit(messages(ledger, 1)[0][0], "ok", [("nonsense", b"")]))
        assert await redis.call("KEYS", pattern(NAME) + "lease*") == []

    with_redis(fresh_redis, story)
