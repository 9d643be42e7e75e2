"""Seeds with times: into the ladder for every queue that they reach, back in time, and not fetched when it is over."""

import asyncio
import time

import pytest

from crawl_dedup import LedgerName, MemoryLedger, MemoryLedgerStore
from crawl_producer import names
from crawl_producer.admission import Admission
from crawl_producer.delayed import DelayedRouter, SeedTimes, router_for
from crawl_producer.derive import declarations
from crawl_producer.errors import TimesInvalid, Unroutable
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.message import UrlMessage
from crawl_producer.plan import apply, plan
from crawl_producer.routing import Router
from crawl_producer.seeding import Seeding
from crawl_producer.seeds import parse
from crawl_producer.topology import Topology

TOPOLOGY = Topology.model_validate(
    {
        "exchanges": {"x": {"type": "direct"}, "y": {"type": "fanout"}, "t": {"type": "topic"}},
        "queues": {
            "q": {"crawl": "c", "bindings": [{"exchange": "x", "key": "k"}]},
            "m.a": {"crawl": "m", "group": "a", "bindings": [{"exchange": "y"}]},
            "m.b": {"crawl": "m", "group": "b", "bindings": [{"exchange": "y"}]},
            "t.all": {"crawl": "t", "bindings": [{"exchange": "t", "key": "#"}]},
            "t.one": {"crawl": "t", "bindings": [{"exchange": "t", "key": "one"}]},
        },
        "crawls": {"c": {"exchange": "x", "key": "k"}, "m": {"exchange": "y"}, "t": {"exchange": "t", "key": "one"}},
    }
)
URL = "https://site.example/"


def now_ms():
    return time.time_ns() // 1_000_000


def in_ms(ms):
    return now_ms() + ms


@pytest.mark.parametrize(
    ("wait_ms", "rung"),
    [(1, 250), (250, 250), (499, 250), (500, 500), (600_000, 512_000), (4_096_000, 4_096_000), (1e9, 262_144_000)],
)
def test_the_first_hop_ends_before_the_time(wait_ms, rung):
    assert names.delay_exchange_within(wait_ms) == f"crawl.delay.{rung}"


def test_two_hops_are_late_by_a_third_of_the_wait_at_most():
    def rung(exchange):
        return int(exchange.rpartition(".")[2])

    for wait_ms in range(500, 4_000_000, 997):
        first = rung(names.delay_exchange_within(wait_ms))
        total = first + (rung(names.delay_exchange(wait_ms - first)) if wait_ms > first else 0)
        assert wait_ms <= total <= max(wait_ms * 4 / 3, wait_ms + 250)


@pytest.mark.parametrize(
    ("crawl", "queues"), [("c", ["q"]), ("m", ["m.a", "m.b"]), ("t", ["t.all", "t.one"])]
)  # fmt: skip
def test_each_queue_that_the_route_reaches_gets_a_copy(crawl, queues):
    router = DelayedRouter(TOPOLOGY, crawl, not_before_ms=in_ms(3_000))
    assert router.routes(URL, seed=True) == tuple([("crawl.delay.2000", queue) for queue in queues])


def test_when_the_time_is_there_the_route_is_the_crawls_own():
    router = DelayedRouter(TOPOLOGY, "c", not_before_ms=now_ms())
    assert router.routes(URL, seed=True) == (("x", "k"),)


def test_a_route_that_reaches_nothing_of_this_crawl_is_refused():
    with pytest.raises(Unroutable, match="no queue of c"):
        DelayedRouter(TOPOLOGY, "c", not_before_ms=in_ms(3_000), key="nowhere").routes(URL, seed=True)
    with pytest.raises(Unroutable, match="no queue of c"):
        DelayedRouter(TOPOLOGY, "c", not_before_ms=in_ms(3_000), exchange="y").routes(URL, seed=True)


def test_times_count_from_now():
    times = SeedTimes.asked(delay_s=600, eta_ms=None, expires_s=7200)
    assert times.not_before_ms == pytest.approx(in_ms(600_000), abs=1000)
    assert times.expires_ms == pytest.approx(in_ms(7_200_000), abs=1000)
    assert SeedTimes.asked(delay_s=None, eta_ms=None, expires_s=None) == SeedTimes()


@pytest.mark.parametrize("past", [{"delay_s": 0, "eta_ms": None}, {"delay_s": None, "eta_ms": 5}])
def test_what_is_past_is_no_delay(past):
    times = SeedTimes.asked(**past, expires_s=None)
    assert times.not_before_ms is None
    assert type(router_for(times, TOPOLOGY, "c")) is Router


@pytest.mark.parametrize(
    "wrong",
    [
        {"delay_s": 1, "eta_ms": 1 << 50, "expires_s": None},
        {"delay_s": 60, "eta_ms": None, "expires_s": 60},
        {"delay_s": None, "eta_ms": 1 << 50, "expires_s": 60},
        {"delay_s": None, "eta_ms": None, "expires_s": 0},
    ],
)
def test_times_that_contradict_each_other_are_refused(wrong):
    with pytest.raises(TimesInvalid):
        SeedTimes.asked(**wrong)


def seeded(crawl, groups, times, *urls):
    """Seed in memory, until the ladder has given everything back; returns (queue, id, message) of each copy."""

    async def main():
        store, broker = MemoryLedgerStore(), MemoryBroker()
        async with broker:
            await apply(await plan(declarations(TOPOLOGY), broker), broker)
            ledgers = [MemoryLedger(store, LedgerName(crawl, group), "seeder") for group in groups]
            admission = Admission(ledgers, broker, router_for(times, TOPOLOGY, crawl))
            for _ in range(2):  # the second time nothing is new
                seeding = Seeding(
                    crawl, admission, ledgers[0].seed_parent,
                    not_before_ms=times.not_before_ms, expires_ms=times.expires_ms,
                )  # fmt: skip
                await seeding.run(parse(urls))
            assert not any(queue.ready for name, queue in broker.server.queues.items() if not name.startswith("crawl."))
            while any(queue.ready for name, queue in broker.server.queues.items() if name.startswith("crawl.delay")):
                await asyncio.sleep(0.01)
            return sorted(
                (name, stored.message_id, UrlMessage.decode(stored.body))
                for name, queue in broker.server.queues.items()
                for stored in queue.ready
            )

    return asyncio.run(main())


def test_delayed_seeds_come_back_to_their_own_queue_once_each():
    times = SeedTimes(not_before_ms=in_ms(300))
    came = seeded("c", ["main"], times, URL, URL + "a")
    assert {(queue, message.url) for queue, _, message in came} == {("q.due", URL), ("q.due", URL + "a")}
    assert len(came) == 2
    assert {message.not_before_ms for _, _, message in came} == {times.not_before_ms}


def test_a_delayed_seed_of_two_groups_comes_to_each_once():
    came = seeded("m", ["a", "b"], SeedTimes(in_ms(300), in_ms(60_000)), URL)
    assert [queue for queue, _, _ in came] == ["m.a.due", "m.b.due"]
    assert len({message_id for _, message_id, _ in came}) == 1
    assert all(message.expires_ms for _, _, message in came)
