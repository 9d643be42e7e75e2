"""The gate before the fetch, on slots in memory: who waits, who is sent away, and what is given back."""

import asyncio
import time

import pytest

from crawl_consumer.politeness import OpenGate, PoliteGate
from crawl_consumer.response import FailureKind, FetchFailure, Headers, Response
from crawl_dedup import Fingerprint, LedgerName, LedgerUnavailable, MemorySlots
from crawl_producer import names
from crawl_producer.message import UrlMessage
from crawl_producer.topology import PolitenessSpec

OK = Response(url="https://a.example/", status=200, elapsed_ms=1)


class Slots(MemorySlots):
    """Remembers the calls."""

    def __init__(self):
        super().__init__()
        self.reserved, self.settled, self.given_back = [], [], []

    async def reserve(self, host, ticket, pace, *, returned=False, look=False):
        self.reserved.append((host, ticket, pace, returned))
        return await super().reserve(host, ticket, pace, returned=returned, look=look)

    async def settle(self, host, ticket, asked):
        self.settled.append(asked)
        await super().settle(host, ticket, asked)

    async def give_back(self, host, ticket):
        self.given_back.append(ticket)
        await super().give_back(host, ticket)


class World:
    def __init__(self, *, places=4, renew_s=5.0, **spec):
        self.slots = Slots()
        self.places = asyncio.Semaphore(places)
        self.gate = PoliteGate(PolitenessSpec(**spec), self.slots, self.places, name=LedgerName("c"), renew_s=renew_s)

    def turn(self, url, **message):
        crawl_delay_s = message.pop("crawl_delay_s", 0.0)
        made = UrlMessage(crawl="c", url=url, **message)
        return self.gate.turn(made, Fingerprint(url), crawl_delay_s=crawl_delay_s)

    async def fetch(self, url, result=OK):
        """The whole way; returns when it went, or for how long it was sent away."""
        async with self.turn(url) as turn:
            if turn.park_ms:
                return turn.park_ms
            went = time.monotonic()
            await turn.heard(result)
            return went


def test_a_short_wait_is_held_and_then_it_goes():
    async def main():
        world = World(delay_s=0.2)
        return [await world.fetch(f"https://a.example/{n}") for n in range(3)]

    first, second, third = asyncio.run(main())
    assert 0.19 <= second - first < 0.35
    assert 0.19 <= third - second < 0.35


def test_who_holds_keeps_nobody_of_another_host_waiting():
    async def main():
        world = World(delay_s=0.5, places=1)
        await world.fetch("https://a.example/1")
        held = asyncio.create_task(world.fetch("https://a.example/2"))
        await asyncio.sleep(0)
        other = await world.fetch("https://b.example/")
        return await held - other

    assert asyncio.run(main()) > 0.4


def test_who_fetches_holds_a_place_until_the_end_of_its_story():
    async def main():
        world = World(delay_s=0.01, places=1)
        async with world.turn("https://a.example/") as turn:
            await turn.heard(OK)
            assert world.places.locked()
        assert not world.places.locked()

    asyncio.run(main())


def test_a_longer_wait_is_sent_away_and_needs_no_place():
    async def main():
        world = World(delay_s=60)
        await world.fetch("https://a.example/1")
        async with world.turn("https://a.example/2") as turn:
            assert turn.park_ms == pytest.approx(60_000, abs=100)
            assert not world.places.locked()
        assert world.slots.given_back == []
        return await world.fetch("https://a.example/3")

    assert asyncio.run(main()) == pytest.approx(120_000, abs=100)


def test_who_comes_back_a_little_early_waits_for_the_rest():
    async def main():
        world = World(delay_s=5)
        soon = time.time_ns() // 1_000_000 + 200
        began = time.monotonic()
        message = {"deferrals": 1, "not_before_ms": soon}
        assert world.gate.hold_ms(UrlMessage(crawl="c", url="https://a.example/", **message)) == 2000
        async with world.turn("https://a.example/", **message) as turn:
            assert turn.park_ms == 0
        ((_, _, _, returned),) = world.slots.reserved
        assert returned
        return time.monotonic() - began

    assert 0.15 <= asyncio.run(main()) < 0.5


def test_the_longest_of_the_delays_holds_and_a_crawl_delay_is_capped():
    async def main():
        world = World(delay_s=1, crawl_delay_cap_s=10, max_in_flight_per_host=3, latency_factor=4, hold_s=1.5)
        for crawl_delay_s in (0, 5, 99):
            async with world.turn(f"https://{crawl_delay_s}.example/", crawl_delay_s=crawl_delay_s):
                pass
        return [pace for _, _, pace, _ in world.slots.reserved]

    paces = asyncio.run(main())
    assert [pace.delay_ms for pace in paces] == [1000, 5000, 10_000]
    assert (paces[0].in_flight, paces[0].latency_factor, paces[0].hold_ms) == (3, 4, 1500)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Response(url="u", status=200, elapsed_ms=500, answered_after_ms=300), (200, 300, True, None)),
        (Response(url="u", status=404, elapsed_ms=500, answered_after_ms=500), (0, 500, False, None)),
        (
            Response(url="u", status=429, elapsed_ms=5, answered_after_ms=5, headers=Headers({"Retry-After": "7"})),
            (0, 5, False, 7000),
        ),
        (Response(url="u", status=503, elapsed_ms=5, answered_after_ms=5), (0, 5, False, 0)),
        (FetchFailure(FailureKind.TIMEOUT, "slow", 60_000), (0, 60_000, False, None)),
    ],
)
def test_what_the_host_said_is_told_to_its_slots(result, expected):
    async def main():
        world = World(delay_s=1)
        await world.fetch("https://a.example/", result)
        (asked,) = world.slots.settled
        return asked.since_answer_ms, asked.latency_ms, asked.clean, asked.pushback_ms

    assert asyncio.run(main()) == expected


def test_a_story_that_is_cancelled_while_it_holds_gives_its_slot_back():
    async def main():
        world = World(delay_s=1)
        await world.fetch("https://a.example/1")
        held = asyncio.create_task(world.fetch("https://a.example/2"))
        while len(world.slots.reserved) < 2:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        held.cancel()
        await asyncio.wait([held])
        assert len(world.slots.given_back) == 1
        assert world.places._value == 4
        third = asyncio.create_task(world.fetch("https://a.example/3"))
        began = time.monotonic()
        await third
        return time.monotonic() - began

    assert asyncio.run(main()) < 1.2


def test_a_story_that_breaks_off_in_its_fetch_frees_the_host():
    async def main():
        world = World(delay_s=0.05)
        with pytest.raises(RuntimeError):
            async with world.turn("https://a.example/1"):
                raise RuntimeError("a defect")
        assert len(world.slots.given_back) == 1
        await world.fetch("https://a.example/2")

    asyncio.run(asyncio.wait_for(main(), 2))


def test_a_long_fetch_says_that_it_still_waits():
    async def main():
        world = World(delay_s=1, renew_s=0.01)
        async with world.turn("https://a.example/") as turn:
            while len(world.slots.reserved) < 4:
                await asyncio.sleep(0.005)
            await turn.heard(OK)
            told = len(world.slots.reserved)
            await asyncio.sleep(0.05)
            assert len(world.slots.reserved) == told
        assert len({ticket for _, ticket, _, _ in world.slots.reserved}) == 1

    asyncio.run(asyncio.wait_for(main(), 2))


def test_without_redis_nobody_goes_and_no_place_is_lost():
    class Gone(Slots):
        async def reserve(self, host, ticket, pace, *, returned=False, look=False):
            raise LedgerUnavailable("gone")

        async def give_back(self, host, ticket):
            raise LedgerUnavailable("gone")

    async def main():
        world = World(delay_s=1)
        world.gate._slots = Gone()
        with pytest.raises(LedgerUnavailable):
            await world.fetch("https://a.example/")
        assert world.places._value == 4

    asyncio.run(main())


def test_the_open_gate_knows_no_waiting():
    async def main():
        gate = OpenGate()
        early = UrlMessage(crawl="c", url="https://a.example/", deferrals=1, not_before_ms=1 << 50)
        assert gate.hold_ms(early) > early.early_ms()
        assert gate.hold_ms(UrlMessage(crawl="c", url="https://a.example/")) == 0
        async with gate.turn(early, Fingerprint("u")) as turn:
            assert turn.park_ms == 0
            await turn.heard(OK)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("wait_ms", "rung"),
    [(0, 250), (250, 250), (499, 250), (500, 500), (10_000, 8000), (5e8, 262_144_000), (1e12, 262_144_000)],
)
def test_who_waits_for_a_turn_leaves_the_ladder_before_it(wait_ms, rung):
    assert names.delay_exchange_within(wait_ms) == f"crawl.delay.{rung}"
