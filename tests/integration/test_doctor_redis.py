"""The doctor's findings on real Redis servers that are set up wrong, and what a ledger there owes."""

import asyncio
import os
import shutil

import pytest

from crawl_dedup import Commit, LedgerName, LedgerUnavailable, count_members, read_debts, read_health
from crawl_dev import PrivateServers, ServersError
from crawl_producer.doctor.check_redis import check
from crawl_producer.doctor.finding import Level
from ledger_worlds import NAME, redis_world
from polling import until

pytestmark = pytest.mark.servers


@pytest.fixture
def redis():
    """A Redis of the test's own, to be set up wrong."""
    with PrivateServers(0, redis=True, redis_settings={"enable-protected-configs": "local"}) as servers:
        yield servers.redis


def found(redis):
    """What is not in order: (level, text, command)."""
    health = asyncio.run(read_health(redis.url, name="tests"))
    return [(f.level, f.text, f.command) for f in check(health) if f.level is not Level.OK]


def test_a_redis_as_it_should_be_has_no_finding(redis):
    assert found(redis) == []


@pytest.mark.parametrize(
    ("setting", "level", "text", "command"),
    [
        ("maxmemory-policy allkeys-lru", Level.ERROR, "it forgets URLs", "CONFIG SET maxmemory-policy noeviction"),
        ("appendonly no", Level.WARNING, "a restart loses everything", "CONFIG SET appendonly yes"),
        ("appendfsync no", Level.WARNING, "may lose half a minute", "CONFIG SET appendfsync everysec"),
        ("maxmemory 1", Level.ERROR, "nothing new is admitted", "CONFIG SET maxmemory 2"),
    ],
)
def test_a_wrong_setting_is_found_with_the_command_that_mends_it(redis, setting, level, text, command):
    redis.command(f"CONFIG SET {setting}")
    [(how_bad, said, mends)] = found(redis)
    assert (how_bad, text in said, mends) == (level, True, f"redis-cli {command}")
    redis.command(mends.removeprefix("redis-cli ") if "maxmemory 2" not in mends else "CONFIG SET maxmemory 0")
    assert found(redis) == []


def test_without_an_append_only_file_snapshots_lose_less(redis):
    redis.command("CONFIG SET appendonly no")
    redis.command('CONFIG SET save "3600 1"')
    [(_, text, _)] = found(redis)
    assert "what came since the last snapshot" in text


def test_failed_snapshots_and_rewrites_are_errors(redis):
    data = redis.folder / "data"
    data.mkdir()
    redis.command(f"CONFIG SET dir {data}")
    shutil.rmtree(data)
    redis.command("BGSAVE")

    async def failed(words):
        health = await read_health(redis.url, name="tests")
        return any(words in finding.text for finding in check(health) if finding.level is Level.ERROR)

    asyncio.run(until(lambda: failed("the last snapshot failed")))
    with pytest.raises(ServersError, match="background rewriting"):
        redis.command("BGREWRITEAOF")
    asyncio.run(until(lambda: failed("the last rewrite of the append-only file failed")))


def test_functions_of_another_version_are_found_and_none_are_no_finding(redis):
    code = "#!lua name=crawl_ledger_1\\nredis.register_function('ledger1_old', function() return 1 end)"
    redis.command(f'FUNCTION LOAD "{code}"')
    [(level, text, _)] = found(redis)
    assert (level, "crawl_ledger_1 are those of another version" in text) == (Level.WARNING, True)


def test_a_replica_is_no_place_for_a_ledger(redis):
    with PrivateServers(0, redis=True) as servers:
        servers.redis.command(f"REPLICAOF 127.0.0.1 {redis.port}")
        assert "this is a replica" in found(servers.redis)[0][1]

        async def known():
            return len((await read_health(redis.url, name="tests")).replicas) == 1

        asyncio.run(until(known))
    assert found(redis) == []


def test_a_redis_that_is_gone_is_an_error_of_ours(redis):
    redis.kill()
    with pytest.raises(LedgerUnavailable, match=str(redis.port)):
        asyncio.run(read_health(redis.url, name="tests"))


def test_debts_name_who_lives_and_count_what_the_dead_have_left(fresh_redis):
    async def story():
        async with redis_world(fresh_redis) as world:
            dead, living = await world.ledger("dead"), await world.ledger("living")
            await dead.heartbeat()
            urls = [dead.fingerprint(f"https://example.org/{n}") for n in range(4)]
            await dead.begin(urls[0])
            await dead.commit(Commit(urls[1], "ok", [(urls[2], b"a"), (urls[3], b"b")]))
            await world.passes(16)
            await living.heartbeat()
            await living.begin(urls[3])
            debts = await read_debts(world.redis, NAME)
            assert (debts.outboxes, debts.outbox_messages, debts.alive) == (1, 2, ("living",))
            assert (debts.leases, debts.dead_leases) == (3, 2)
            assert 16 <= debts.oldest_outbox_s < 30
            assert await read_debts(world.redis, LedgerName("other")) == type(debts)()

    asyncio.run(story())


def test_counting_a_ledger_gives_what_its_books_say(fresh_redis):
    async def story():
        async with redis_world(fresh_redis, expected_urls=100_000) as world:
            ledger = await world.ledger("a")
            urls = [ledger.fingerprint(f"https://example.org/{n}") for n in range(3000)]
            parent = ledger.seed_parent(os.urandom(8))
            await ledger.commit(Commit(parent, "seeded", [(url, b"m") for url in urls]))
            for url in urls[:100]:
                await ledger.commit(Commit(url, "ok"))
            members = await count_members(world.redis, NAME)
            assert (members.open, members.done) == (2900, 100)

    asyncio.run(story())
