"""Opening Redis: what is checked, and the one line that says what is wrong with it."""

import asyncio
import logging
import time

import pytest

from crawl_dedup import LedgerName, LedgerRefused, LedgerUnavailable, RedisLedger, open_redis
from crawl_dev import PrivateServers, free_ports
from pretender import pretender

SECRET = "s3cret-word"


def opening(url, **options):
    async def play():
        async with await open_redis(url, name="tests", **options) as redis:
            return await redis.call("PING")

    return asyncio.run(play())


def with_user(url, user, password):
    return url.replace("redis://", f"redis://{user}:{password}@")


def opening_a_pretender(*answers, **options):
    async def play():
        async with pretender(answers) as url, await open_redis(url, name="tests", **options):
            pass

    asyncio.run(play())


def test_a_sound_redis_is_opened_under_its_name_without_a_word(fresh_redis, caplog):
    async def play():
        async with await open_redis(fresh_redis, name="crawl-consumer") as redis:
            assert b"name=crawl-consumer" in await redis.call("CLIENT", "LIST")
            assert redis.address == fresh_redis.removeprefix("redis://").removesuffix("/0")

    asyncio.run(play())
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_functions_are_loaded_once_and_again_when_they_differ(fresh_redis, redis_server, caplog):
    caplog.set_level(logging.INFO, "crawl_dedup")
    opening(fresh_redis)
    opening(fresh_redis)
    assert caplog.text.count("loaded the functions of crawl_ledger_1") == 1
    other = "#!lua name=crawl_ledger_1\\nredis.register_function('ledger1_old', function() return 1 end)"
    redis_server.command(f'FUNCTION LOAD REPLACE "{other}"')
    opening(fresh_redis)
    assert caplog.text.count("loaded the functions of crawl_ledger_1") == 2


def test_nobody_there_is_said_with_host_and_port_within_the_time_allowed():
    [port] = free_ports(1)
    began = time.monotonic()
    with pytest.raises(LedgerUnavailable, match=rf"127\.0\.0\.1:{port} is unavailable") as caught:
        opening(f"redis://user:{SECRET}@127.0.0.1:{port}/0", patience_s=0.5)
    assert time.monotonic() - began < 3
    assert SECRET not in f"{caught.value} {caught.value.remedy} {caught.value.__cause__}"
    assert "CRAWL_REDIS_URL" in caught.value.remedy


def test_a_name_that_does_not_resolve_is_unavailable():
    with pytest.raises(LedgerUnavailable, match=r"no-such-host\.invalid:6379"):
        opening("redis://no-such-host.invalid", patience_s=0.2)


def test_a_server_that_never_answers_is_unavailable_within_the_time_allowed():
    began = time.monotonic()
    with pytest.raises(LedgerUnavailable, match="no answer in time"):
        opening_a_pretender(patience_s=0.5)
    assert time.monotonic() - began < 3


def test_a_redis_that_is_just_starting_is_waited_for():
    with PrivateServers(rabbit_nodes=0, redis=True) as servers:
        servers.redis.kill()

        async def play():
            opened = asyncio.create_task(open_redis(servers.redis.url, name="tests"))
            await asyncio.sleep(0)
            await asyncio.to_thread(servers.redis.heal)
            async with await opened as redis:
                assert await redis.call("PING") == b"PONG"

        asyncio.run(play())


def test_a_wrong_password_is_refused_at_once(fresh_redis):
    began = time.monotonic()
    with pytest.raises(LedgerRefused, match="refuses the login") as caught:
        opening(with_user(fresh_redis, "default", SECRET).replace("default", "nobody"))
    assert time.monotonic() - began < 2
    assert SECRET not in f"{caught.value} {caught.value.remedy}"


def test_a_missing_password_is_refused():
    with PrivateServers(rabbit_nodes=0, redis=True, redis_settings={"requirepass": SECRET}) as servers:
        with pytest.raises(LedgerRefused, match="refuses the login"):
            opening(servers.redis.url)
        assert opening(with_user(servers.redis.url, "", SECRET)) == b"PONG"


def test_wide_permissions_do_as_well_and_too_few_are_refused(fresh_redis, redis_server):
    redis_server.command(f"ACL SETUSER crawler reset on >{SECRET} ~crawl:* +@all -@dangerous +info")
    redis_server.command(f"ACL SETUSER reader reset on >{SECRET} ~crawl:* +@read +@connection +info")
    try:
        with pytest.raises(LedgerRefused, match="refuses a command") as caught:
            opening(with_user(fresh_redis, "reader", SECRET))
        assert "crawl-topology render --as redis-acl" in caught.value.remedy

        async def play():
            async with (
                await open_redis(with_user(fresh_redis, "crawler", SECRET), name="tests") as redis,
                await RedisLedger.open(redis, LedgerName("news"), consumer="a", expected_urls=10) as ledger,
            ):
                await ledger.begin(ledger.fingerprint("https://example.org/"))
                assert (await ledger.progress()).open == 1

        asyncio.run(play())
    finally:
        redis_server.command("ACL DELUSER crawler reader")


def test_who_may_not_load_functions_uses_those_of_his_version_and_no_others(fresh_redis, redis_server):
    worker = "~crawl:* -@all +ping +info +client|setname +function|list +fcall"
    redis_server.command(f"ACL SETUSER worker reset on >{SECRET} {worker}")
    try:
        with pytest.raises(LedgerRefused, match=r"has no code of our functions .* may not load them") as caught:
            opening(with_user(fresh_redis, "worker", SECRET))
        assert "crawl-status" in caught.value.remedy
        opening(fresh_redis)
        assert opening(with_user(fresh_redis, "worker", SECRET)) == b"PONG"
        other = "#!lua name=crawl_slots_1\\nredis.register_function('slots1_old', function() return 1 end)"
        redis_server.command(f'FUNCTION LOAD REPLACE "{other}"')
        with pytest.raises(LedgerRefused, match="has another version of our functions crawl_slots_1"):
            opening(with_user(fresh_redis, "worker", SECRET))
    finally:
        redis_server.command("ACL DELUSER worker")


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_redis_that_would_evict_keys_is_refused(fresh_redis, redis_server, policy):
    redis_server.command(f"CONFIG SET maxmemory-policy {policy}")
    try:
        with pytest.raises(LedgerRefused, match=f"maxmemory-policy is {policy}") as caught:
            opening(fresh_redis)
        assert "noeviction" in caught.value.remedy
    finally:
        redis_server.command("CONFIG SET maxmemory-policy noeviction")


def test_a_redis_without_append_only_file_is_used_with_a_warning(fresh_redis, redis_server, caplog):
    redis_server.command("CONFIG SET appendonly no")
    try:
        opening(fresh_redis)
        assert "keeps no append-only file" in caplog.text
    finally:
        redis_server.command("CONFIG SET appendonly yes")


@pytest.mark.parametrize(
    "url", ["http://localhost", "localhost:6379", "redis://localhost:port/0", "", "redis://localhost?db=first"]
)
def test_what_is_no_redis_url_is_refused_without_repeating_it(url):
    with pytest.raises(LedgerRefused, match="cannot be read") as caught:
        opening(url)
    assert "redis://host:port/0" in caught.value.remedy


def test_an_unknown_database_is_refused(fresh_redis):
    with pytest.raises(LedgerRefused, match="out of range"):
        opening(fresh_redis.removesuffix("/0") + "/12345")


def test_an_old_redis_is_refused_with_its_version():
    info = b"# Server\r\nredis_version:6.2.14\r\n"
    with pytest.raises(LedgerRefused, match=r"has version 6\.2\.14") as caught:
        opening_a_pretender(b"+OK\r\n", b"+OK\r\n+OK\r\n", b"$%d\r\n%s\r\n" % (len(info), info))
    assert "7" in caught.value.remedy


def test_something_else_that_answers_is_refused():
    with pytest.raises(LedgerRefused, match=r"127\.0\.0\.1"):
        opening_a_pretender(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_redis_that_still_reads_its_data_is_waited_for():
    with pytest.raises(LedgerUnavailable, match="loading"):
        opening_a_pretender(b"-LOADING Redis is loading the dataset in memory\r\n", patience_s=0.3)
