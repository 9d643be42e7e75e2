"""The ledger in the ugly hours: lost connections, answers and functions, a Redis that dies or stands still."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from crawl_dedup import LEASE_HOLDS_S, Commit, LedgerRefused, LedgerUnavailable, RedisLedger, Verdict, open_redis
from crawl_dev import PrivateServers
from ledger_worlds import NAME, MemoryWorld, RedisWorld

#: Pages of the web under test; a page's links are three others, so that every page can be reached from page 1.
PAGES = 150


def links_of(page: int) -> list[int]:
    return [2 * page % PAGES, (2 * page + 1) % PAGES, (page * page + 7) % PAGES]


def reachable() -> set[int]:
    found, ahead = {1}, [1]
    while ahead:
        new = set(links_of(ahead.pop())) - found
        found |= new
        ahead += new
    return found


class Crawl:
    """Consumers over one queue in this process: what they fetch, and how often."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[int] = asyncio.Queue()
        self.fetched: Counter[int] = Counter()
        self.interruptions = 0

    async def run(self, *ledgers, disturbance=None) -> None:
        """Crawl from page 1 until every delivery is acknowledged, while ``disturbance`` is going on."""
        seeds = ledgers[0].seed_parent(b"seeds")
        await ledgers[0].commit(Commit(seeds, "seeded", [self._message(ledgers[0], 1)]))
        self.queue.put_nowait(1)
        await ledgers[0].finish(seeds)
        async with contextlib.AsyncExitStack() as stack:
            for ledger in ledgers:
                await stack.enter_async_context(ledger)
            await self.drain(*ledgers, disturbance=disturbance)

    async def drain(self, *ledgers, disturbance=None) -> None:
        """Consume until the queue is empty and everything acknowledged."""
        tasks = [asyncio.create_task(self._consume(ledger)) for ledger in ledgers for _ in range(4)]
        if disturbance:
            tasks.append(asyncio.create_task(disturbance))
        joined = asyncio.create_task(self.queue.join())
        done, _ = await asyncio.wait([joined, *tasks[:-1]], return_when=asyncio.FIRST_COMPLETED)
        for task in (joined, *tasks):
            task.cancel()
        await asyncio.gather(joined, *tasks, return_exceptions=True)
        assert done == {joined}, done

    async def sweep(self, ledger) -> None:
        """Publish what nobody else will publish."""
        for orphan in await ledger.orphans(limit=1000):
            for _, body in orphan.messages:
                self.queue.put_nowait(int(body))
            await ledger.finish(orphan.parent)

    async def _consume(self, ledger) -> None:
        while True:
            page = await self.queue.get()
            try:
                await self._deliver(ledger, page)
            except LedgerUnavailable:
                self.interruptions += 1
                self.queue.put_nowait(page)
            finally:
                self.queue.task_done()

    async def _deliver(self, ledger, page: int) -> None:
        url, _ = self._message(ledger, page)
        begun = await ledger.begin(url)
        outbox = begun.outbox
        if begun.verdict is Verdict.BUSY:
            await asyncio.sleep(0.001)
            self.queue.put_nowait(page)
        elif begun.verdict is Verdict.GO:
            self.fetched[page] += 1
            await asyncio.sleep(random.random() * 0.002)
            found = dict(self._message(ledger, link) for link in links_of(page))
            outbox = (await ledger.commit(Commit(url, "ok", list(found.items()), {"filtered:scheme": 1}))).outbox
        for _, body in outbox.messages if outbox else ():
            self.queue.put_nowait(int(body))
        if outbox and not await ledger.finish(url):
            self.queue.put_nowait(page)

    @staticmethod
    def _message(ledger, page):
        return ledger.fingerprint(f"https://example.org/{page}"), str(page).encode()


async def undisturbed() -> dict[str, int]:
    """The books of the same crawl without any disturbance."""
    ledger = await MemoryWorld().ledger("a")
    await Crawl().run(ledger)
    return (await ledger.progress()).counts


async def join(redis, consumer="a"):
    return await RedisLedger.open(redis, NAME, consumer=consumer, expected_urls=PAGES)


@asynccontextmanager
async def forgetful_proxy(url, *, cut_every: int):
    """A way to Redis on which every so many answers are lost together with the connection, after they were given."""
    host, port = url.removeprefix("redis://").removesuffix("/0").split(":")
    answers, tasks = Counter(), set()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        to_reader, to_writer = await asyncio.open_connection(host, port)
        asking = asyncio.create_task(pass_on(reader, to_writer))
        try:
            while data := await to_reader.read(1 << 16):
                answers["given"] += 1
                if answers["given"] % cut_every == 0:
                    answers["lost"] += 1
                    break
                writer.write(data)
        finally:
            asking.cancel()
            for end in (to_writer, writer):
                end.close()
                with contextlib.suppress(ConnectionError):
                    await end.wait_closed()

    async def pass_on(reader, writer):
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        async with server:
            yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", answers
    finally:
        await asyncio.gather(*tasks)


def test_lost_answers_change_nothing_in_the_books(fresh_redis, run):
    async def play():
        async with forgetful_proxy(fresh_redis, cut_every=7) as (url, answers):
            async with await open_redis(url, name="tests") as redis:
                ledgers = [await join(redis, name) for name in "ab"]
                crawl = Crawl()
                await crawl.run(*ledgers)
                progress = await ledgers[0].progress()
            assert answers["lost"] > 10
            assert progress.complete
            assert progress.counts == await undisturbed()
            assert crawl.fetched == Counter(reachable())
            assert crawl.interruptions == 0

    run(play())


def test_connections_that_are_killed_all_the_time_disturb_nobody(fresh_redis, run):
    async def kill_all(redis):
        while True:
            await redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await asyncio.sleep(0.005)

    async def play():
        async with (
            await open_redis(fresh_redis, name="first") as first,
            await open_redis(fresh_redis, name="second") as second,
            await open_redis(fresh_redis, name="killer") as killer,
        ):
            ledgers = [await join(first, "a"), await join(second, "b")]
            crawl = Crawl()
            await crawl.run(*ledgers, disturbance=kill_all(killer))
            progress = await read(killer)
            assert progress.complete
            assert progress.counts == await undisturbed()
            assert crawl.fetched == Counter(reachable())

    run(play())


async def read(redis):
    return await (await join(redis)).progress()


def test_lost_functions_are_loaded_again_by_whoever_misses_them(fresh_redis, run):
    async def flush_functions(redis):
        while True:
            await redis.call("FUNCTION", "FLUSH")
            await asyncio.sleep(0.01)

    async def play():
        async with (
            await open_redis(fresh_redis, name="tests") as redis,
            await open_redis(fresh_redis, name="flusher") as flusher,
        ):
            ledger = await join(redis)
            await redis.call("FUNCTION", "FLUSH")
            assert not (await ledger.progress()).complete
            crawl = Crawl()
            await crawl.run(ledger, disturbance=flush_functions(flusher))
            assert (await ledger.progress()).complete
            assert crawl.fetched == Counter(reachable())

    run(play())


def test_callers_that_are_cancelled_at_any_moment_never_cross_answers(fresh_redis, run):
    async def play():
        async with await open_redis(fresh_redis, name="tests") as redis:
            ledger = await join(redis)
            random.seed(7)
            tasks = []
            for number in range(6000):
                task = asyncio.create_task(ask(redis, ledger, number))
                tasks.append(task)
                if number % 2:
                    asyncio.get_running_loop().call_later(random.random() * 0.01, task.cancel)
                if number % 40 == 0:
                    await asyncio.sleep(0)
            outcomes = Counter(map(outcome, await asyncio.gather(*tasks, return_exceptions=True)))
            assert set(outcomes) == {"right", "cancelled"}, outcomes
            assert min(outcomes.values()) > 500

    async def ask(redis, ledger, number):
        word = b"%d" % number
        if number % 3:
            return await redis.call("ECHO", word) == word
        parent, child = ledger.seed_parent(word), ledger.fingerprint(f"https://example.org/{number}")
        committed = await ledger.commit(Commit(parent, "seeded", [(child, word)]))
        return committed.outbox.messages == ((child, word),) and await ledger.finish(parent)

    def outcome(result):
        return (
            {True: "right", False: "wrong"}.get(result, "cancelled")
            if isinstance(result, bool)
            else ("cancelled" if isinstance(result, asyncio.CancelledError) else repr(result))
        )

    run(play())


def test_redis_killed_and_started_again_in_the_middle_costs_nothing(run):
    async def kill_and_start(server):
        await asyncio.sleep(0.05)
        for _ in range(3):
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.heal)
            await asyncio.sleep(0.05)

    async def play(server):
        async with await open_redis(server.url, name="tests") as redis:
            ledgers = [await join(redis, name) for name in "ab"]
            crawl = Crawl()
            disturbance = asyncio.create_task(kill_and_start(server))
            await crawl.run(*ledgers)
            await disturbance
            progress = await ledgers[0].progress()
            assert progress.complete
            assert progress.counts == await undisturbed()
            assert crawl.fetched == Counter(reachable())

    with PrivateServers(rabbit_nodes=0, redis=True) as servers:
        run(play(servers.redis))


@pytest.mark.parametrize("lost_bytes", [1, 700, 3_000, 12_000])
def test_redis_that_loses_its_last_writes_costs_refetches_but_no_url(lost_bytes):
    async def lose(server, world):
        log = next(server.folder.glob("appendonlydir/*.incr.aof"))
        while log.stat().st_size < 40_000:
            await asyncio.sleep(0.002)
        await asyncio.to_thread(server.kill)
        with log.open("r+b") as file:
            file.truncate(log.stat().st_size - lost_bytes)
        await asyncio.to_thread(server.heal)
        await world.passes(LEASE_HOLDS_S)  # leases that came back, of URLs that nobody works on any more

    async def play(server):
        async with await open_redis(server.url, name="tests") as redis:
            crawl, world = Crawl(), RedisWorld(redis)
            losing = asyncio.create_task(lose(server, world))
            await crawl.run(await join(redis, "a"), await join(redis, "b"))
            await losing
            await world.passes(LEASE_HOLDS_S)
            sweeper = await join(redis, "sweeper")
            await crawl.sweep(sweeper)
            await crawl.drain(sweeper)
            assert set(crawl.fetched) == reachable()

    with PrivateServers(rabbit_nodes=0, redis=True) as servers:
        asyncio.run(play(servers.redis))


def test_a_redis_that_is_gone_is_reported_within_the_time_allowed_and_used_again_when_it_is_back(
    fresh_redis, redis_server, run
):
    async def play():
        async with await open_redis(fresh_redis, name="tests", patience_s=0.4) as redis:
            ledger = await join(redis)
            url = ledger.fingerprint("https://example.org/")
            redis_server.kill()
            began = time.monotonic()
            results = await asyncio.gather(*(ledger.begin(url) for _ in range(300)), return_exceptions=True)
            assert time.monotonic() - began < 2
            assert {type(result) for result in results} == {LedgerUnavailable}
            assert redis.address in str(results[0])
            redis_server.heal()
            assert (await ledger.begin(url)).verdict is Verdict.GO

    run(play())


def test_a_redis_that_stands_still_is_reported_within_the_time_allowed(fresh_redis, redis_server, run):
    async def play():
        async with await open_redis(fresh_redis, name="tests", patience_s=0.4) as redis:
            ledger = await join(redis)
            url = ledger.fingerprint("https://example.org/")
            redis_server.pause()
            try:
                began = time.monotonic()
                with pytest.raises(LedgerUnavailable, match="no answer in time"):
                    await ledger.begin(url)
                assert time.monotonic() - began < 2
            finally:
                redis_server.heal()
            assert (await ledger.begin(url)).verdict is Verdict.GO

    run(play())


def test_a_full_redis_lets_work_end_but_none_begin(fresh_redis, redis_server):
    async def play():
        async with await open_redis(fresh_redis, name="tests") as redis:
            ledger = await join(redis)
            page, other = (ledger.fingerprint(f"https://example.org/{i}") for i in range(2))
            await ledger.commit(Commit(page, "ok", [(other, b"message")]))
            redis_server.command("CONFIG SET maxmemory 1")
            try:
                began, finished = await asyncio.gather(ledger.begin(other), ledger.finish(page), return_exceptions=True)
                assert isinstance(began, LedgerUnavailable)
                assert "is full" in str(began)
                assert finished is True
            finally:
                redis_server.command("CONFIG SET maxmemory 0")
            assert (await ledger.begin(other)).verdict is Verdict.GO

    asyncio.run(play())


def test_an_error_answer_fails_only_the_call_that_it_belongs_to(fresh_redis):
    async def play():
        async with await open_redis(fresh_redis, name="tests") as redis:
            answers = await asyncio.gather(
                redis.call("ECHO", "before"),
                redis.call("NO-SUCH-COMMAND"),
                redis.call("ECHO", "after"),
                redis.call("FCALL", "no_such_function", 0),
                redis.call("ECHO", "last"),
                return_exceptions=True,
            )
            assert answers[::2] == [b"before", b"after", b"last"]
            assert {type(answer) for answer in answers[1::2]} == {LedgerRefused}

    asyncio.run(play())


def test_who_waits_when_the_connection_is_closed_is_told(fresh_redis, redis_server):
    async def play():
        redis = await open_redis(fresh_redis, name="tests")
        redis_server.pause()
        try:
            waiting = [redis.call("ECHO", i) for i in range(3)]
            await asyncio.sleep(0.01)
            waiting.append(redis.call("ECHO", "not even sent"))
            await redis.aclose()
            for answer in waiting:
                with pytest.raises(LedgerUnavailable, match="closed"):
                    await answer
            with pytest.raises(LedgerUnavailable, match="closed"):
                redis.call("ECHO", "too late")
        finally:
            redis_server.heal()

    asyncio.run(play())
