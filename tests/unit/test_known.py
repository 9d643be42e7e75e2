"""Links that are not brought to the ledger again: which these are, and what a Redis that forgets does to them."""

import asyncio
from copy import deepcopy

import pytest

from crawl_consumer import harvest
from crawl_dedup import LedgerForgot, LedgerName, MemoryLedger
from crawl_producer.admission import Admission, Work
from crawl_producer.errors import Unroutable
from crawl_producer.known import MAX_CHARS, Known
from crawl_producer.message import UrlMessage
from crawl_producer.routing import Router
from crawl_producer.scope import Scope
from crawl_producer.topology import ScopeSpec
from small_world import HOME, World, html

C = HOME + "c"


def work(door, parent, *links):
    """A page with these links, as a consumer brings it."""
    admission, ledger = door
    page = UrlMessage(crawl="c", url=HOME + parent, root="site.example")
    gathered = harvest.links(page, links, Scope(ScopeSpec()), now_ms=7, known=admission.known)
    return Work(ledger.fingerprint(page.url), "ok", gathered.links, gathered.counts, gathered.relies_on)


def test_the_oldest_are_forgotten_and_their_number_is_bounded():
    known = Known("born", kept=10)
    for n in range(100):
        known.add([str(n)])
        assert len(known) <= 20
    assert all(str(n) in known for n in range(90, 100))
    assert "0" not in known


def test_long_ones_are_not_kept():
    known = Known("born")
    known.add([HOME, HOME + "x" * MAX_CHARS])
    assert (HOME in known, len(known)) == (True, 1)


def with_doors(story, consumers=2):
    """Run a story of a world and a few consumers' doors, each with its ledger."""

    async def main():
        async with World({}) as world:
            ledgers = [world.ledger(f"consumer {n}") for n in range(consumers)]
            router = Router(world.topology.crawls["c"])
            return await story(world, *[(Admission([ledger], world.broker, router), ledger) for ledger in ledgers])

    return asyncio.run(main())


def test_a_link_that_the_broker_has_confirmed_is_not_brought_again_and_counts_as_a_duplicate():
    async def story(world, door):
        admission, _ = door
        await admission.admit(work(door, "p", C, HOME + "d"))
        second = work(door, "r", C, HOME + "e", "https://elsewhere.example/")
        await admission.admit(second)
        counts = (await world.progress()).counts
        return [link.url for link in second.links], counts, len(world.broker.server.queue("q").ready)

    brought, counts, waiting = with_doors(story, consumers=1)
    assert brought == [HOME + "e"]
    assert counts["filtered:host"] == 1
    assert (counts["discovered"], counts["duplicate"], waiting) == (5, 1, 3)


def test_a_link_that_lies_in_the_outbox_of_a_page_which_redis_forgets_is_published_with_that_page():
    """The one that a cache of the ledger's answers would lose: its page is fetched again by who saw it admitted."""

    async def story(world, dying, living):
        (dead, his), (mine, my) = dying, living
        await his.commit(dead._commit(his, work((dead, his), "p", C), seed=False))  # and dies before it publishes
        assert (await mine.admit(work((mine, my), "r", C))).duplicate == 1
        world.store.forget(LedgerName("c"))
        assert (await mine.admit(work((mine, my), "p", C))).admitted == 1
        return len(world.broker.server.queue("q").ready)

    assert with_doors(story) == 1


def test_a_known_link_has_its_message_in_the_queue_though_redis_has_lost_its_last_second():
    async def story(world, door):
        admission, ledger = door
        earlier = deepcopy(world.store._books)
        await admission.admit(work(door, "p", C))
        world.store._books = earlier
        await admission.admit(work(door, "p", C))
        return len(world.broker.server.queue("q").ready), (await ledger.begin(ledger.fingerprint(C))).verdict.value

    assert with_doors(story, consumers=1) == (1, "go")


def test_nothing_is_known_after_the_connection_to_redis_was_lost():
    async def story(world, door):
        admission, _ = door
        await admission.admit(work(door, "p", C))
        before = len(work(door, "r", C).links)
        world.store.interruptions += 1
        return before, len(work(door, "r", C).links)

    assert with_doors(story, consumers=1) == (0, 1)


def test_a_link_that_could_not_be_published_is_brought_again():
    async def story(world, door):
        _, ledger = door
        admission = Admission([ledger], world.broker, Router(world.topology.crawls["c"], key="nowhere"))
        with pytest.raises(Unroutable):
            await admission.admit(work((admission, ledger), "p", C))
        return len(admission.known)

    assert with_doors(story, consumers=1) == 0


def test_a_page_that_a_consumer_has_brought_to_its_end_is_known_to_it():
    brought = []

    class Watched(MemoryLedger):
        async def commit(self, wanted):
            brought.append(len(wanted.messages))
            return await super().commit(wanted)

    async def main():
        async with World({HOME: html("/c"), C: html("/")}) as world:
            await world.seed(HOME)
            world.ledger = lambda consumer: Watched(world.store, LedgerName("c"), consumer)
            await world.crawl(concurrency=1)

    asyncio.run(main())
    assert brought == [1, 0]


def test_a_crawl_that_was_forgotten_and_begun_anew_gets_all_its_links():
    async def story(world, door):
        admission, ledger = door
        await admission.admit(work(door, "p", C))
        in_flight = work(door, "r", C)
        world.store.forget(LedgerName("c"))
        with pytest.raises(LedgerForgot):
            await admission.admit(in_flight)
        again = work(door, "r", C)
        await admission.admit(again)
        return in_flight.links, [link.url for link in again.links], (await ledger.progress()).admitted

    assert with_doors(story, consumers=1) == ((), [C], 2)


def test_a_consumer_that_lived_through_a_forgetting_crawls_everything_again():
    pages = {HOME: html("/a", "/b"), HOME + "a": html("/b"), HOME + "b": html("/a")}

    async def main():
        async with World(pages) as world:
            fetch = world.web.fetch

            async def forgetting(url, **options):
                if world.web.fetched == [HOME, HOME + "a", HOME + "b"]:
                    world.store.forget(LedgerName("c"))
                    await world.seed(HOME)
                return await fetch(url, **options)

            await world.seed(HOME)
            consumer = asyncio.create_task(world.crawl(until_done=False, concurrency=1))
            while (await world.progress()).open or not world.web.fetched:
                await asyncio.sleep(0)
            world.store.forget(LedgerName("c"))
            world.web.fetch = forgetting
            await world.seed(HOME)
            async with asyncio.timeout(20):
                while (await world.progress()).outcomes != {"ok": 3}:
                    await asyncio.sleep(0)
            consumer.cancel()
            return world.web.fetched

    fetched = asyncio.run(main())
    assert set(fetched[3:]) == set(pages)
