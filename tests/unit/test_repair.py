"""Repair on the in-memory broker and ledger: what it brings again, what it leaves alone, and where URLs come from."""

import asyncio
import gzip
import json
import time
from copy import deepcopy
from dataclasses import replace

import pytest

from crawl_dedup import Commit, LedgerName, MemoryLedger, Standing, Verdict
from crawl_producer.admission import Admission, Limits
from crawl_producer.amqp import Copy
from crawl_producer.broker import Outgoing
from crawl_producer.errors import PublishRefused, SeedsUnreadable
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.message import UrlMessage
from crawl_producer.readmission import Found
from crawl_producer.repair import BATCH, Repair
from crawl_producer.repair_sources import from_file, from_journal
from crawl_producer.routing import Router
from crawl_producer.topology import Topology
from small_world import HOME, World, html, topology

ROUTER = Router(topology().crawls["c"])
NAME = LedgerName("c")


def page(n):
    return f"{HOME}{n}"


def copy(n, **fields):
    return Copy("x", "k", UrlMessage(crawl="c", url=page(n), root="site.example", **fields).encode(), "")


def journal(*copies, topology=topology()):  # noqa: B008 - frozen
    async def read():
        for one in copies:
            yield one

    return from_journal(read(), "c", topology)


def two_groups():
    """Both get what is published as the crawl's routes say; what goes by the key "only.a" reaches one of them."""
    both = {"exchange": "x", "key": "k"}
    return Topology.model_validate(
        {
            "exchanges": {"x": {"type": "direct"}},
            "queues": {
                "q": {"crawl": "c", "group": "a", "bindings": [both, {"exchange": "x", "key": "only.a"}]},
                "r": {"crawl": "c", "group": "b", "bindings": [both]},
            },
            "crawls": {"c": {"exchange": "x", "key": "k"}},
        }
    )


async def collected(source):
    return [found async for found in source]


def repair(world, *sources, ledgers=None, **options):
    async def run():
        async with world.ledger("doctor") as ledger:
            asked = ledgers or [ledger]
            admission = Admission(asked, world.broker, ROUTER)
            return await Repair("c", asked, world.broker, admission, **options).run(sources)

    return run()


def waiting(world, queue="q"):
    """The URLs in a queue, by number."""
    return [int(UrlMessage.decode(m.body).url.removeprefix(HOME)) for m in world.broker.server.queue(queue).ready]


def in_a_small_world(story, **crawl):
    async def run():
        async with World({}, **crawl) as world:
            await story(world)

    asyncio.run(run())


def test_what_a_purge_has_taken_comes_back_and_what_ended_or_is_in_hand_does_not():
    async def story(world):
        await world.seed(*(page(n) for n in range(6)))
        await world.broker.purge("q")
        ledger = world.ledger("consumer")
        await ledger.heartbeat()
        await ledger.begin(ledger.fingerprint(page(1)))
        await ledger.begin(ledger.fingerprint(page(2)))
        await ledger.commit(Commit(ledger.fingerprint(page(2)), "ok"))
        await ledger.begin(ledger.fingerprint(page(3)))
        await ledger.commit(Commit(ledger.fingerprint(page(3)), "ok", [(ledger.fingerprint(page(9)), b"x\nk\n{}")]))
        report = await repair(world, journal(*(copy(n) for n in range(6)), copy(77)))
        assert waiting(world) == [0, 4, 5]
        assert (report.looked_at, report.republished, report.held, report.ended) == (7, 3, 2, 2)
        # Number 9 lies in an outbox, and no source names it.
        assert (report.open, report.named, report.unnamed) == (6, 5, 1)

    in_a_small_world(story)


def test_a_copy_is_published_as_it_was_and_under_its_fingerprint():
    async def story(world):
        await world.seed(page(1))
        await world.broker.purge("q")
        original = copy(1, depth=3, first_seen_ms=7)
        await repair(world, journal(original))
        (message,) = world.broker.server.queue("q").ready
        assert (message.body, message.message_id) == (original.body, world.store.fingerprint(page(1)))

    in_a_small_world(story)


def test_a_url_that_several_sources_name_is_published_once():
    async def story(world):
        urls = range(BATCH + 10)
        await world.seed(*(page(n) for n in urls))
        await world.broker.purge("q")
        twice = [copy(n) for n in urls] * 2
        report = await repair(world, journal(*twice), journal(*twice[:5]))
        assert (report.republished, report.again, report.sources) == (len(urls), len(urls) + 5, 2)
        assert sorted(waiting(world)) == list(urls)

    in_a_small_world(story)


def test_a_dry_run_counts_and_publishes_nothing():
    async def story(world):
        await world.seed(page(1))
        await world.broker.purge("q")
        report = await repair(world, journal(copy(1)), dry_run=True)
        assert (report.republished, waiting(world)) == (1, [])

    in_a_small_world(story)


def test_a_message_that_no_queue_takes_is_counted_and_another_source_may_bring_its_url():
    async def nobodys():
        yield Found(page(1), Outgoing("x", "nobody's", copy(1).body, ""))
        yield Found(page(3), Outgoing("x", "nobody's", copy(3).body, ""))

    async def story(world):
        await world.seed(page(1), page(2), page(3))
        await world.broker.purge("q")
        report = await repair(world, nobodys(), journal(copy(2), copy(3)))
        assert (report.unroutable, report.republished, waiting(world)) == (2, 2, [2, 3])
        assert (report.named, report.unnamed) == (2, 1)

    in_a_small_world(story)


def test_a_copy_whose_key_or_exchange_is_gone_goes_where_the_routes_say_now():
    async def story(world):
        await world.seed(page(1), page(2))
        await world.broker.purge("q")
        old = [replace(copy(1), routing_key="old"), replace(copy(2), exchange="old")]
        report = await repair(world, journal(*old))
        assert (report.unroutable, waiting(world)) == (0, [1, 2])

    in_a_small_world(story)


class RefusesOnce(MemoryBroker):
    """A client of a broker whose queue is full at first."""

    full = True

    async def publish_all(self, messages):
        if self.full:
            self.full = False
            return [PublishRefused("full") for _ in messages]
        return await super().publish_all(messages)


def test_a_full_queue_is_waited_for():
    async def story(world):
        await world.seed(page(1))
        await world.broker.purge("q")
        async with RefusesOnce(world.broker.server) as broker, world.ledger("doctor") as ledger:
            report = await Repair("c", [ledger], broker, Admission([ledger], broker, ROUTER)).run([journal(copy(1))])
        assert (report.republished, waiting(world)) == (1, [1])

    in_a_small_world(story)


def test_the_group_that_misses_a_url_decides():
    async def story(world):
        a = MemoryLedger(world.store, LedgerName("c", "a"), "doctor")
        b = MemoryLedger(world.store, LedgerName("c", "b"), "doctor")
        for ledger, outcome in ((a, "ok"), (b, None)):
            await ledger.heartbeat()
            url = ledger.fingerprint(page(1))
            await ledger.commit(Commit(ledger.seed_parent(b"s"), "seeded", [(url, b"x\nk\n{}")]))
            await ledger.finish(ledger.seed_parent(b"s"))
            if outcome:
                await ledger.commit(Commit(url, outcome))
        report = await repair(world, journal(copy(1)), ledgers=[a, b])
        assert (report.republished, report.open, waiting(world)) == (1, 1, [1])

    in_a_small_world(story)


def test_a_group_that_has_a_url_in_hand_keeps_it_when_another_gets_it_again():
    async def story(world):
        a = MemoryLedger(world.store, LedgerName("c", "a"), "doctor")
        b, other = (MemoryLedger(world.store, LedgerName("c", "b"), consumer) for consumer in ("at work", "other"))
        url = a.fingerprint(page(1))
        for ledger in (a, b):
            await ledger.heartbeat()
            await ledger.begin(url)
        await a.release(url)
        report = await repair(world, journal(copy(1)), ledgers=[a, b])
        assert (report.republished, waiting(world)) == (1, [1])
        assert (await other.begin(url)).verdict is Verdict.BUSY
        await b.release(url, next_attempt=1)
        assert (await other.begin(url)).verdict is Verdict.DONE

    in_a_small_world(story)


def test_what_was_retried_and_purged_is_worked_on_when_it_comes_again():
    async def story(world):
        await world.seed(page(1))
        await world.broker.purge("q")
        ledger = world.ledger("consumer")
        url = ledger.fingerprint(page(1))
        await ledger.begin(url)
        await ledger.release(url, next_attempt=2)
        await repair(world, journal(copy(1)), dry_run=True)
        assert (await ledger.begin(url)).verdict is Verdict.DONE
        await repair(world, journal(copy(1)))
        assert waiting(world) == [1]
        assert (await ledger.begin(url)).verdict is Verdict.GO

    in_a_small_world(story)


# what Redis has lost altogether


def seeded_then_rolled_back(*urls):
    """Publishes seeds; Redis then forgets them, and somebody purges the queue."""

    async def happen(world):
        ledger, earlier = world.ledger("reader"), deepcopy(world.store.books(NAME))
        await world.seed(*urls)
        world.store._books[NAME] = earlier
        await world.broker.purge("q")
        assert await ledger.standing([ledger.fingerprint(url) for url in urls]) == [Standing.UNKNOWN] * len(urls)

    return happen


def young(n, **fields):
    """A copy of what was admitted just now."""
    return copy(n, first_seen_ms=time.time_ns() // 1_000_000 + 1, **fields)


def test_what_the_ledger_has_lost_together_with_its_message_is_admitted_anew():
    async def story(world):
        await world.seed(page(0))
        await seeded_then_rolled_back(page(1), page(2))(world)
        lost = young(2, depth=3)
        report = await repair(world, journal(copy(0, first_seen_ms=1), young(1), lost, young(1)), journal(lost))
        assert (report.readmitted, report.republished, report.ended, report.again) == (2, 1, 0, 2)
        assert (report.open, report.named) == (1, 1)
        assert waiting(world) == [0, 1, 2]
        assert world.broker.server.queue("q").ready[2].body == lost.body
        books = await world.progress()
        assert (books.admitted, books.open, books.outboxes, books.counts["discovered"]) == (3, 3, 0, 3)

    in_a_small_world(story)


def test_what_is_admitted_anew_goes_where_it_went():
    async def source():
        yield Found(page(1), Outgoing("x", "other", young(1).body, ""), admitted_ms=1 << 50)

    async def story(world):
        await seeded_then_rolled_back(page(1))(world)
        report = await repair(world, source())
        assert (report.readmitted, report.unroutable) == (1, 0)
        assert [stored.routing_key for stored in world.broker.server.queue("q").ready] == ["other"]

    in_a_small_world(story, queue={"bindings": [{"exchange": "x", "key": "k"}, {"exchange": "x", "key": "other"}]})


def test_a_dry_run_counts_what_would_be_admitted_and_admits_nothing():
    async def story(world):
        await seeded_then_rolled_back(page(1))(world)
        report = await repair(world, journal(young(1)), dry_run=True)
        assert (report.readmitted, waiting(world), (await world.progress()).admitted) == (1, [], 0)

    in_a_small_world(story)


def test_a_crawl_that_was_forgotten_on_purpose_does_not_come_back():
    async def story(world):
        old = [young(n) for n in range(3)]
        while time.time_ns() // 1_000_000 <= UrlMessage.decode(old[-1].body).first_seen_ms:
            await asyncio.sleep(0)
        world.store.forget(NAME)
        await world.seed(page(9))
        report = await repair(world, journal(*old))
        assert (report.readmitted, report.ended, waiting(world)) == (0, 3, [9])

    in_a_small_world(story)


def test_nothing_comes_back_of_a_crawl_that_is_forgotten_while_it_is_repaired():
    class Forgotten(MemoryLedger):
        async def standing(self, urls):
            told = await super().standing(urls)
            self._store.forget(self._name)
            return told

    async def story(world):
        await seeded_then_rolled_back(page(1))(world)
        async with Forgotten(world.store, NAME, "doctor") as ledger:
            report = await repair(world, journal(young(1)), ledgers=[ledger])
        assert (report.readmitted, waiting(world), (await world.progress()).admitted) == (0, [], 0)

    in_a_small_world(story)


def test_of_what_the_ledger_does_not_know_only_a_journal_proves_that_it_did(tmp_path):
    (tmp_path / "urls").write_text(page(1))

    async def story(world):
        await seeded_then_rolled_back(page(1))(world)
        report = await repair(world, from_file(tmp_path / "urls", "c", ROUTER))
        assert (report.readmitted, report.ended, waiting(world)) == (0, 1, [])

    in_a_small_world(story)


def test_no_more_are_admitted_anew_than_the_crawl_may_have():
    async def story(world):
        await seeded_then_rolled_back(page(1), page(2), page(3))(world)
        report = await repair(world, journal(*(young(n) for n in (1, 2, 3))), limits=Limits(pages=2))
        assert (report.readmitted, waiting(world)) == (2, [1, 2])
        assert (await world.progress()).counts["filtered:max_pages"] == 1

    in_a_small_world(story)


def test_what_is_to_be_admitted_anew_and_no_queue_takes_stays_in_an_outbox():
    async def nobodys():
        lost = young(1)
        yield Found(page(1), Outgoing("x", "nobody's", lost.body, ""), admitted_ms=1 << 50)

    async def story(world):
        await seeded_then_rolled_back(page(1))(world)
        report = await repair(world, nobodys())
        assert (report.readmitted, report.unroutable) == (0, 1)
        assert (await world.progress()).outboxes == 1

    in_a_small_world(story)


def test_a_group_that_has_lost_what_another_has_ended_gets_it_again():
    async def story(world):
        a = MemoryLedger(world.store, LedgerName("c", "a"), "doctor")
        b = MemoryLedger(world.store, LedgerName("c", "b"), "doctor")
        await a.commit(Commit(a.fingerprint(page(1)), "ok"))
        assert b.born
        report = await repair(world, journal(young(1), topology=two_groups()), ledgers=[a, b])
        assert (report.readmitted, report.ended, waiting(world)) == (1, 0, [1])
        assert [(await ledger.progress()).admitted for ledger in (a, b)] == [1, 1]

    in_a_small_world(story)


def test_a_group_that_a_message_never_reached_has_not_lost_its_url():
    async def story(world):
        a = MemoryLedger(world.store, LedgerName("c", "a"), "doctor")
        b = MemoryLedger(world.store, LedgerName("c", "b"), "doctor")
        assert a.born
        assert b.born
        world.bind("only.a")
        copy_of_a = replace(young(1), routing_key="only.a")
        report = await repair(world, journal(copy_of_a, topology=two_groups()), ledgers=[a, b])
        assert (report.readmitted, waiting(world)) == (1, [1])
        # For a message that cannot come b would wait for ever.
        assert [(await ledger.progress()).admitted for ledger in (a, b)] == [1, 0]

    in_a_small_world(story)


def test_outboxes_of_the_dead_are_published_first():
    async def story(world):
        dead = world.ledger("dead")
        children = [(dead.fingerprint(page(n)), b"\n".join((b"x", b"k", copy(n).body))) for n in (1, 2)]
        await dead.commit(Commit(dead.seed_parent(b"s"), "seeded", children))
        world.skew_s = 20
        report = await repair(world)
        assert (report.swept, report.sources, waiting(world)) == (1, 0, [1, 2])

    in_a_small_world(story)


def test_repaired_twice_while_a_consumer_works_every_page_is_fetched_once():
    pages = {HOME: html(*range(1, 40))} | {page(n): html() for n in range(1, 40)}

    async def story():
        async with World(pages) as world:
            await world.seed(HOME)
            copies = [Copy("x", "k", UrlMessage(crawl="c", url=url, root="site.example").encode(), "") for url in pages]
            for _ in range(2):
                await repair(world, journal(*copies))
            crawl = asyncio.create_task(world.crawl())
            while len(world.web.fetched) < 10:
                await asyncio.sleep(0)
            await world.broker.purge("q")
            for _ in range(2):
                await repair(world, journal(*copies))
            async with asyncio.timeout(20):
                await crawl
            assert sorted(world.web.fetched) == sorted(pages)

    asyncio.run(story())


# sources


def test_what_is_no_message_of_the_crawl_is_told_as_such():
    other = UrlMessage(crawl="d", url=page(1)).encode()
    found = asyncio.run(collected(journal(Copy("x", "k", b"{", ""), Copy("x", "k", other, ""), copy(1))))
    assert [one.url for one in found] == ["", "", page(1)]
    assert [one.message is None for one in found] == [True, True, False]


@pytest.mark.parametrize("packed", [False, True])
def test_files_are_lists_of_urls_or_records_with_urls(tmp_path, packed):
    lines = [
        "# seeds",
        "",
        "HTTPS://Site.Example/a#x",
        json.dumps({"url": page(1), "depth": 2, "title": "one"}),
        json.dumps({"title": "no url"}),
        "[1, 2]",
        "mailto:a@b",
        '{"url":"https://site.example/long","text":"' + "x" * 100_000 + '"}',
        json.dumps({"url": page(2), "depth": -1}),
    ]
    text = ("\n".join(lines) + "\n").encode()
    path = tmp_path / "urls"
    path.write_bytes(gzip.compress(text) if packed else text)
    found = asyncio.run(collected(from_file(path, "c", ROUTER)))
    urls = [one.url for one in found]
    assert urls == ["https://site.example/a", page(1), "", "", "", "https://site.example/long", page(2)]
    messages = {one.url: UrlMessage.read(one.message.body, crawl="c") for one in found if one.message}
    assert [message.depth for message in messages.values()] == [0, 2, 0, 0]
    assert {message.root for message in messages.values()} == {"site.example"}


def test_a_file_that_cannot_be_read_ends_the_repair(tmp_path):
    with pytest.raises(SeedsUnreadable):
        asyncio.run(collected(from_file(tmp_path / "nowhere", "c", ROUTER)))


def test_urls_of_files_go_where_the_routes_say(tmp_path):
    spec = topology(
        seed_key="seeds", routes=[{"match": "/news/", "key": "news"}]
    ).crawls["c"]  # fmt: skip
    (tmp_path / "urls").write_text(f'{HOME}\n{HOME}news/1\n{{"url": "{HOME}deep", "depth": 4}}\n')
    found = asyncio.run(collected(from_file(tmp_path / "urls", "c", Router(spec))))
    assert [one.message.routing_key for one in found] == ["seeds", "news", "k"]
