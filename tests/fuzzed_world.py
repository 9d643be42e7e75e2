"""A small world in which everything takes a random while and much goes wrong, all of it from one seed.

Time is virtual: when nobody has anything to do the clock jumps to the next timer, so that leases, sweeps and delays of
minutes cost nothing, and a seed tells the same story each time.
"""

import asyncio
import random
import selectors
import time
from collections import Counter

from crawl_consumer.response import FailureKind, FetchFailure
from crawl_dedup import LedgerName, LedgerUnavailable, MemoryLedger, MemoryLedgerStore
from crawl_producer.errors import BrokerUnreachable, PublishRefused, Unconfirmed
from crawl_producer.memory_broker import MemoryBroker
from small_world import HOME, Kept, World, html

#: A ledger's step, a publication and a fetch take up to this long, seconds of virtual time.
LATENCY_S, FETCH_S = 0.02, 0.3
#: How often an answer is lost, a confirm is lost, a queue refuses, and a fetch takes too long.
LOST, UNCONFIRMED, REFUSED, TIMEOUT = 0.05, 0.03, 0.03, 0.05
#: Longer than any crawl of these with its faults, virtual seconds.
PATIENCE_S = 2_000


class VirtualTime(selectors.DefaultSelector):
    """The time, and a selector that does not wait for it."""

    def __init__(self):
        super().__init__()
        self.now_s = 1_000_000.0

    def select(self, timeout=None):
        found = super().select(0)
        if not found:
            assert timeout is not None, "everybody waits, and nothing will ever happen"
            self.now_s += timeout
        return found


def in_virtual_time(monkeypatch, story, seed):
    """Run a coroutine function of a ``random.Random`` in virtual time."""
    clock = VirtualTime()
    with monkeypatch.context() as patched:
        patched.setattr(time, "monotonic", lambda: clock.now_s)
        patched.setattr(time, "time_ns", lambda: round(clock.now_s * 1e9))
        random.seed(seed)
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(clock)) as runner:
            runner.run(story(random.Random(seed)))


class FuzzedWorld(World):
    """``again[url]`` counts how often a life ended between a fetch of this URL and its commit."""

    def __init__(self, chance):
        self.chance = chance
        self.size = chance.choice([8, 20, 40])
        super().__init__(self._pages(), retry={"max_attempts": 60, "first_delay_s": 0.01, "max_delay_s": 0.02})
        self.store = MemoryLedgerStore(clock=lambda: time.monotonic(), hash_key=b"k" * 16)  # noqa: PLW0108 - patched later
        self.site = self.web
        self.again, self.records = Counter(), []
        self.urls = {self.store.fingerprint(url): url for url in self.pages}
        self.life = None

    def _pages(self):
        chance, size = self.chance, self.size
        self.pages = {
            f"{HOME}{n}": html(f"/{n + 1}", *(f"/{chance.randrange(size)}" for _ in range(chance.randrange(6))))
            for n in range(size - 1)
        }
        self.pages[f"{HOME}{size - 1}"] = html("https://elsewhere.example/", "/0")
        moved = chance.randrange(1, size - 1)
        self.pages[f"{HOME}{moved}"] = (301, {"location": f"{HOME}{moved + 1}"}, b"")
        self.pages[f"{HOME}{size}"] = (404, {}, b"")
        return self.pages

    def ledger(self, consumer):
        if self.life is None:
            return MemoryLedger(self.store, LedgerName("c"), consumer)
        self.life.ledger = FuzzedLedger(self, consumer, self.life)
        return self.life.ledger

    def client(self):
        self.life.broker = FuzzedBroker(self.broker.server, self.life)
        return self.life.broker


class Life:
    """One life of a consumer process: what it has, what it has fetched and not committed, whether it is dead."""

    def __init__(self, world):
        self.world, self.chance = world, world.chance
        self.broker = self.ledger = None
        self.dead, self.uncommitted = False, set()

    async def run(self, name):
        """Until the crawl is complete, or this life ends otherwise."""
        # Whatever asks the world for a client or a ledger in the next moment is this life.
        self.world.life, self.world.web = self, LifeWeb(self)
        work = self.world.crawl(
            name,
            concurrency=self.chance.choice([1, 3, 8]),
            shutdown_s=self.chance.choice([0, 1, 5]),
            sink=LifeSink(self),
        )
        try:
            return await work
        finally:
            self.world.again.update(self.uncommitted)

    def kill(self):
        """kill -9: nothing of it reaches anybody any more."""
        self.dead = True
        self.broker.give_up(BrokerUnreachable("killed"))

    async def takes(self, most_s):
        await asyncio.sleep(self.chance.choice([0, 0, self.chance.random()]) * most_s)
        if self.dead:
            raise LedgerUnavailable("killed")


class LifeWeb:
    """The web as one life asks it: slow, and out of reach now and then."""

    def __init__(self, life):
        self._life = life

    async def fetch(self, url, *, first_bytes=None, headers=None):
        life = self._life
        await life.takes(FETCH_S)
        if life.chance.random() < TIMEOUT:
            return FetchFailure(FailureKind.TIMEOUT, "as the dice fell", 1.0)
        answer = await life.world.site.fetch(url)
        life.uncommitted.add(url)
        await life.takes(FETCH_S)
        return answer


class FuzzedLedger(MemoryLedger):
    """Its answers get lost; the client asks again."""

    def __init__(self, world, consumer, life):
        super().__init__(world.store, LedgerName("c"), consumer)
        self._world, self._life = world, life

    async def _slowly(self, step, *args, **more):
        life = self._life
        await life.takes(LATENCY_S)
        answer = await step(*args, **more)
        if life.chance.random() < LOST:
            await life.takes(LATENCY_S)
            answer = await step(*args, **more)
        return answer

    async def begin(self, url, *, attempt=0):
        return await self._slowly(super().begin, url, attempt=attempt)

    async def commit(self, commit):
        committed = await self._slowly(super().commit, commit)
        self._life.uncommitted.discard(self._world.urls.get(commit.parent))
        await self._life.takes(LATENCY_S)
        return committed

    async def finish(self, parent):
        finished = await self._slowly(super().finish, parent)
        await self._life.takes(LATENCY_S)
        return finished

    async def release(self, url, *, next_attempt=0):
        await self._slowly(super().release, url, next_attempt=next_attempt)

    async def heartbeat(self):
        if not self._life.dead:
            await super().heartbeat()

    async def leave(self):
        if not self._life.dead:
            await super().leave()


class FuzzedBroker(MemoryBroker):
    """Its confirms get lost, and queues refuse."""

    def __init__(self, server, life):
        super().__init__(server)
        self._life = life

    async def publish_all(self, messages):
        await self._life.takes(LATENCY_S)
        chance = self._life.chance
        if messages and chance.random() < REFUSED:
            return [PublishRefused("full") for _ in messages]
        fates = await super().publish_all(messages)
        await self._life.takes(LATENCY_S)
        return [Unconfirmed("lost") if chance.random() < UNCONFIRMED else fate for fate in fates]


class LifeSink(Kept):
    """What is not flushed dies with its life."""

    def __init__(self, life):
        super().__init__()
        self._life = life

    async def flush(self):
        written = len(self.records)
        await self._life.takes(LATENCY_S)
        self._life.world.records += [record["url"] for record in self.records[self.flushed : written]]
        self.flushed = max(self.flushed, written)
