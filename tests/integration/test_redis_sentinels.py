"""Redis behind Sentinels: found, followed after a promotion, and never taken from somebody who is not the master."""

import asyncio
import time

import pytest

from crawl_dedup import (
    Commit,
    LedgerName,
    LedgerRefused,
    LedgerUnavailable,
    RedisLedger,
    Verdict,
    open_redis,
    redis_servers,
)
from crawl_dedup.redis_where import where
from crawl_dev import PrivateServers, free_ports
from crawl_dev.redis_replicated import MASTER
from polling import until
from pretender import pretender

#: What a Sentinel answers while redis-py introduces itself: CLIENT SETNAME, then CLIENT SETINFO twice.
WELCOME = (b"+OK\r\n", b"+OK\r\n+OK\r\n")


@pytest.fixture(scope="module")
def replicated():
    with PrivateServers(rabbit_nodes=0, replicated=True) as servers:
        yield servers.replicated


def naming(port):
    """The answers of a Sentinel that takes the server on this port for the master."""
    return (*WELCOME, b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%d\r\n" % (len(str(port)), port))


def behind(*sentinels):
    return f"redis+sentinel://{','.join(url.removeprefix('redis://').removesuffix('/0') for url in sentinels)}/{MASTER}"


def nobody():
    [port] = free_ports(1)
    return f"redis://127.0.0.1:{port}/0"


async def reached(url, **options):
    """The port of the server behind a URL."""
    async with await open_redis(url, name="tests", **options) as redis:
        info = await redis.call("INFO", "server")
        return int(next(line for line in info.split(b"\r\n") if line.startswith(b"tcp_port:")).split(b":")[1])


def test_a_promoted_replica_is_followed_with_all_that_it_has_and_all_functions(replicated):
    async def play():
        async with (
            await open_redis(replicated.url, name="tests") as redis,
            await RedisLedger.open(redis, LedgerName("news"), consumer="a", expected_urls=10) as ledger,
        ):
            url = ledger.fingerprint("https://example.org/")
            await ledger.begin(url)
            await ledger.commit(Commit(url, "ok"))
            former = replicated.master
            # Both servers have it now; otherwise the promotion would be free to lose it.
            assert await redis.call("WAIT", 1, 0) == 1
            former.kill()
            answer = asyncio.ensure_future(ledger.begin(url))
            promoted = await asyncio.to_thread(replicated.wait_promoted, former)
            assert (await answer).verdict is Verdict.DONE
            assert (await ledger.progress()).open == 0
            assert await reached(replicated.url) == promoted.port
            former.start()
            former.wait_ready()
            # A master for some seconds more in its own eyes; whoever asks the Sentinels never meets it.
            assert await reached(replicated.url) == promoted.port

    asyncio.run(play())


def test_the_servers_behind_a_url_are_the_sentinels_the_master_and_its_replicas(replicated):
    found = asyncio.run(redis_servers(replicated.url))
    ports = {server.port for server in (*replicated.sentinels, *replicated.servers)}
    assert (set(found), len(ports)) == ({("127.0.0.1", port) for port in ports}, len(ports))


def test_of_sentinels_that_are_away_only_the_url_is_known():
    urls = [nobody(), nobody()]
    expected = [("127.0.0.1", int(url.split(":")[2].removesuffix("/0"))) for url in urls]
    assert asyncio.run(redis_servers(behind(*urls))) == expected


def test_a_sentinel_that_may_not_name_the_replicas_names_the_master():
    async def play():
        serving = set()

        async def serve(reader, writer):
            serving.add(asyncio.current_task())
            while asked := await reader.read(4096):
                named = naming(7)[-1] if b"GET-MASTER" in asked else b"-NOPERM no\r\n"
                writer.write(named if b"SENTINEL" in asked else b"+OK\r\n" * asked.count(b"CLIENT"))
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            found = await redis_servers(f"redis+sentinel://127.0.0.1:{port}/{MASTER}")
            await asyncio.gather(*serving)
            return found, port

    found, port = asyncio.run(play())
    assert found == [("127.0.0.1", port), ("127.0.0.1", 7)]


def test_a_sentinel_that_is_away_is_passed_by(fresh_redis, redis_server):
    async def play():
        async with pretender(naming(redis_server.port)) as sentinel:
            assert await reached(behind(nobody(), sentinel)) == redis_server.port

    asyncio.run(play())


def test_a_sentinel_that_never_answers_is_passed_by(fresh_redis, redis_server):
    async def play():
        async with pretender(()) as silent, pretender(naming(redis_server.port)) as sentinel:
            assert await reached(behind(silent, sentinel)) == redis_server.port

    asyncio.run(play())


def test_a_sentinel_that_names_a_server_which_is_gone_is_not_believed_for_ever(fresh_redis, redis_server):
    [gone] = free_ports(1)

    async def play():
        async with pretender(naming(gone)) as stale, pretender(naming(redis_server.port)) as sentinel:
            assert await reached(behind(stale, sentinel)) == redis_server.port

    asyncio.run(play())


@pytest.mark.parametrize("place", range(3))
def test_one_sentinel_that_has_not_heard_of_a_promotion_is_not_believed(fresh_redis, redis_server, place):
    async def play():
        async with (
            pretender(naming(free_ports(1)[0])) as late,
            pretender(naming(redis_server.port)) as one,
            pretender(naming(redis_server.port)) as another,
        ):
            sentinels = [one, another]
            sentinels.insert(place, late)
            connection = await where(behind(*sentinels), name="tests").connect()  # and no other try
            await connection.disconnect()

    asyncio.run(play())


def test_a_replica_is_never_used_even_if_a_sentinel_names_it(fresh_redis, redis_server):
    redis_server.command(f"REPLICAOF 127.0.0.1 {free_ports(1)[0]}")
    try:

        async def play():
            async with pretender(naming(redis_server.port)) as stale:
                await reached(behind(stale), patience_s=0.5)

        with pytest.raises(LedgerUnavailable, match="is a replica"):
            asyncio.run(play())
    finally:
        redis_server.command("REPLICAOF NO ONE")


def test_calls_wait_while_their_server_is_a_replica_and_go_on_when_it_is_master(fresh_redis, redis_server):
    async def play():
        async with await open_redis(fresh_redis, name="tests") as redis:
            redis_server.command("CONFIG RESETSTAT")
            redis_server.command(f"REPLICAOF 127.0.0.1 {free_ports(1)[0]}")
            write = redis.call("SET", "crawl:x", "1")
            await until(lambda: "errorstat_READONLY:count=2" in redis_server.ask("INFO errorstats"))
            assert not write.done()
            redis_server.command("REPLICAOF NO ONE")
            assert await write == b"OK"

    try:
        asyncio.run(play())
    finally:
        redis_server.command("REPLICAOF NO ONE")


def test_a_master_without_its_replicas_is_waited_for(fresh_redis, redis_server):
    redis_server.command("CONFIG SET min-replicas-to-write 1")

    async def play():
        async with await open_redis(fresh_redis, name="tests", patience_s=0.5) as redis:
            await redis.call("SET", "crawl:x", "1")

    try:
        with pytest.raises(LedgerUnavailable, match="NOREPLICAS"):
            asyncio.run(play())
    finally:
        redis_server.command("CONFIG SET min-replicas-to-write 0")


def test_a_server_that_comes_back_with_an_evicting_policy_is_refused(fresh_redis, redis_server):
    async def play():
        async with await open_redis(fresh_redis, name="tests") as redis:
            redis_server.command("CONFIG SET maxmemory-policy allkeys-lru")
            redis_server.command("CLIENT KILL TYPE normal SKIPME yes")
            await redis.call("PING")

    try:
        with pytest.raises(LedgerRefused, match="maxmemory-policy is allkeys-lru"):
            asyncio.run(play())
    finally:
        redis_server.command("CONFIG SET maxmemory-policy noeviction")


def test_a_name_that_no_sentinel_knows_is_refused_at_once():
    async def play():
        async with pretender((*WELCOME, b"*-1\r\n")) as sentinel, pretender((*WELCOME, b"*-1\r\n")) as other:
            await reached(behind(sentinel, other))

    began = time.monotonic()
    with pytest.raises(LedgerRefused, match="no Sentinel knows a master called 'main'") as caught:
        asyncio.run(play())
    assert time.monotonic() - began < 2
    assert "SENTINEL MASTERS" in caught.value.remedy


def test_one_sentinel_that_does_not_know_it_is_not_the_last_word_while_another_is_away():
    async def play():
        async with pretender((*WELCOME, b"*-1\r\n")) as sentinel:
            await reached(behind(sentinel, nobody()), patience_s=0.5)

    with pytest.raises(LedgerUnavailable, match="no Sentinel names the master"):
        asyncio.run(play())


def test_sentinels_that_are_all_away_are_said_within_the_time_allowed():
    began = time.monotonic()
    with pytest.raises(LedgerUnavailable, match=r"Redis at main \(Sentinels 127\.0\.0\.1:\d+\) is unavailable"):
        asyncio.run(reached(behind(nobody()), patience_s=0.5))
    assert time.monotonic() - began < 3


def test_a_sentinel_that_asks_for_a_password_says_how_to_give_it():
    async def play():
        async with pretender((b"-NOAUTH Authentication required.\r\n",)) as sentinel:
            await reached(behind(sentinel))

    with pytest.raises(LedgerRefused, match="refuses the login") as caught:
        asyncio.run(play())
    assert "sentinel_password" in caught.value.remedy
