"""The gate of a crawl that spares addresses too: hosts that share a server share its delay."""

import asyncio
import time
from itertools import pairwise

import pytest

from crawl_consumer.addresses import Addresses, server
from crawl_consumer.politeness import PoliteGate
from crawl_consumer.resolver import HostsResolver
from crawl_consumer.response import Headers, Response
from crawl_dedup import Fingerprint, LedgerName, MemorySlots
from crawl_producer.message import UrlMessage
from crawl_producer.topology import PolitenessSpec

OK = Response(url="https://a.example/", status=200, elapsed_ms=1)
BUSY = Response(url="u", status=429, elapsed_ms=1, answered_after_ms=1, headers=Headers({"Retry-After": "60"}))
HOSTS = {"a.example": "203.0.113.7", "b.example": "203.0.113.7", "c.example": "203.0.113.8"}


class Slots(MemorySlots):
    """Remembers who asked, at which key, and who goes."""

    def __init__(self):
        super().__init__()
        self.keys, self.returned, self.given_back = [], [], []

    async def reserve(self, host, ticket, pace, *, returned=False, look=False):
        self.keys.append(host)
        self.returned.append((host, returned))
        return await super().reserve(host, ticket, pace, returned=returned, look=look)

    async def give_back(self, host, ticket):
        self.given_back.append(host)
        await super().give_back(host, ticket)


class World:
    def __init__(self, *, slots=None, hosts=HOSTS, **spec):
        self.slots = slots or Slots()
        self.names = []
        self.places = asyncio.Semaphore(4)
        self.hosts = hosts
        spec = PolitenessSpec(**{"delay_s": 0.01, **spec})
        self.gate = PoliteGate(spec, self.slots, self.places, name=LedgerName("c"), address=self.address)

    async def address(self, host):
        self.names.append(host)
        return self.hosts.get(host)

    def turn(self, url, **message):
        return self.gate.turn(UrlMessage(crawl="c", url=url, **message), Fingerprint(url))

    async def fetch(self, url, result=OK, **message):
        """The whole way; returns when it went, or for how long it was sent away."""
        async with self.turn(url, **message) as turn:
            if turn.park_ms:
                return turn.park_ms
            went = time.monotonic()
            await turn.heard(result)
            return went


def in_flight(slots, key):
    return list(slots._hosts[key].flight)


def test_two_hosts_on_one_address_are_never_asked_closer_than_its_delay():
    async def main():
        world = World(ip_delay_s=0.1)
        urls = [f"https://{name}.example/{n}" for n in range(4) for name in "ab"]
        return await asyncio.gather(*map(world.fetch, urls))

    went = sorted(asyncio.run(main()))
    assert min(b - a for a, b in pairwise(went)) >= 0.09
    assert went[-1] - went[0] < 1.2


def test_the_address_of_another_server_has_a_delay_of_its_own():
    async def main():
        world = World(ip_delay_s=30)
        return [await world.fetch(f"https://{name}.example/") for name in "acb"]

    a, c, b = asyncio.run(main())
    assert c - a < 1
    assert b == pytest.approx(30_000, abs=100)


def test_without_it_no_name_is_resolved_and_no_address_asked_for():
    async def main():
        world = World()
        await world.fetch("https://a.example/")
        assert world.names == []
        assert world.slots.keys == ["a.example"]

    asyncio.run(main())


def test_a_name_without_an_address_waits_for_its_host_only():
    async def main():
        world = World(ip_delay_s=30, hosts={})
        await world.fetch("https://a.example/")
        assert world.names == ["a.example"]
        assert world.slots.keys == ["a.example"]

    asyncio.run(main())


def test_who_holds_for_the_address_has_no_place_in_flight_at_its_host_and_none_to_fetch_in():
    async def main():
        world = World(ip_delay_s=0.3)
        await world.fetch("https://a.example/")
        held = asyncio.create_task(world.fetch("https://b.example/"))
        while world.slots.keys[-1] != "ip:203.0.113.7" or "b.example" not in world.slots.keys:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert in_flight(world.slots, "b.example") == []
        assert world.places._value == 4
        await held
        assert world.slots.given_back == []

    asyncio.run(main())


def test_with_several_requests_in_flight_the_hosts_own_delay_counts_from_the_request():
    async def main():
        world = World(delay_s=0.3, ip_delay_s=0.2, max_in_flight_per_host=3)
        await world.fetch("https://b.example/")
        return await asyncio.gather(*(world.fetch(f"https://a.example/{n}") for n in range(3)))

    went = sorted(asyncio.run(main()))
    assert min(b - a for a, b in pairwise(went)) >= 0.29


def test_who_is_parked_for_the_address_gives_its_hosts_slot_back_and_returns_to_the_address():
    async def main():
        world = World(ip_delay_s=30)
        await world.fetch("https://a.example/")
        async with world.turn("https://b.example/") as turn:
            assert turn.park_ms == pytest.approx(30_000, abs=100)
            assert turn.at_address
        assert world.slots.given_back == ["b.example"]
        world.slots.returned.clear()
        await world.fetch("https://b.example/", deferrals=1, at_address=True)
        assert world.slots.returned == [("b.example", True), ("ip:203.0.113.7", True)]

    asyncio.run(main())


def test_who_is_parked_for_its_host_takes_no_moment_of_the_address():
    async def main():
        world = World(delay_s=30, ip_delay_s=0.1)
        await world.fetch("https://a.example/1")
        world.slots.keys.clear()
        async with world.turn("https://a.example/2") as turn:
            assert turn.park_ms == pytest.approx(30_000, abs=100)
            assert not turn.at_address
        assert world.slots.keys == ["a.example"]

    asyncio.run(main())


def test_a_host_that_pushes_back_does_not_silence_its_neighbours():
    async def main():
        world = World(ip_delay_s=0.05)
        await world.fetch("https://a.example/1", BUSY)
        assert await world.fetch("https://a.example/2") == pytest.approx(60_000, abs=100)
        began = time.monotonic()
        return await world.fetch("https://b.example/") - began

    assert asyncio.run(main()) < 1


def test_a_story_that_breaks_off_frees_host_and_address():
    async def main():
        world = World(ip_delay_s=0.05)
        with pytest.raises(RuntimeError):
            async with world.turn("https://a.example/1"):
                raise RuntimeError("a defect")
        assert world.slots.given_back == ["a.example", "ip:203.0.113.7"]
        await world.fetch("https://b.example/")

    asyncio.run(asyncio.wait_for(main(), 2))


def test_whose_host_is_silenced_in_between_gives_the_address_back():
    class Silenced(Slots):
        async def reserve(self, host, ticket, pace, *, returned=False, look=False):
            answer = await super().reserve(host, ticket, pace, returned=returned, look=look)
            if host.startswith("ip:") and len(self.keys) == 2:
                await self.block("a.example", 200)
            return answer

    async def main():
        world = World(slots=Silenced(), ip_delay_s=0.01)
        await world.fetch("https://a.example/")
        assert world.slots.given_back == ["ip:203.0.113.7"]
        assert world.slots.keys.count("ip:203.0.113.7") == 2

    asyncio.run(asyncio.wait_for(main(), 3))


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        ([], None),
        (["203.0.113.7"], "203.0.113.7"),
        (["203.0.113.70", "203.0.113.9"], "203.0.113.9"),
        (["2001:db8::1", "203.0.113.7"], "203.0.113.7"),
        (["2001:db8:0:1:ffff::1"], "2001:db8:0:1::/64"),
        (["::ffff:203.0.113.7"], "203.0.113.7"),
        (["fe80::1%lo"], "fe80::/64"),
    ],
)
def test_a_server_is_known_by_one_address(addresses, expected):
    assert server(addresses) == expected


class Names(HostsResolver):
    """Counts what it is asked for."""

    def __init__(self, hosts):
        super().__init__(hosts)
        self.asked = []

    async def resolve(self, host, port=0, family=0):
        self.asked.append(host)
        await asyncio.sleep(0)
        if host not in self._hosts:
            raise OSError("no such name")
        return await super().resolve(host, port, family)


def test_a_name_is_looked_up_once_while_it_is_remembered_and_again_if_it_had_no_address():
    async def main():
        names = Names({"a.example": "203.0.113.7", "::1": "::1"})
        addresses = Addresses(names, keep_s=60, keep_hosts=2)
        assert await asyncio.gather(*(addresses.of("a.example") for _ in range(3))) == ["203.0.113.7"] * 3
        assert await addresses.of("[::1]") == "::/64"
        assert [await addresses.of("gone.example") for _ in range(2)] == [None, None]
        assert names.asked == ["a.example", "::1", "gone.example", "gone.example"]
        assert await Addresses(names, keep_s=-1, keep_hosts=2).of("a.example") == "203.0.113.7"

    asyncio.run(main())
