"""A host with a million seconds of work: how often is one of its URLs parked before its turn? A simulation.

The slots are the real ones (in memory), and so is the choice of the rung; what is simulated is time, the delay
queues (late now and then) and a window of a few held URLs. The URLs are 200,000 at five seconds each: as long a row
as a million at one a second, in a fifth of the test's time.
"""

import asyncio
import heapq
import random
from collections import Counter
from dataclasses import dataclass

import pytest

from crawl_consumer.successors import EARLIER_MS
from crawl_dedup import Asked, Go, MemorySlots, Pace, Park, Ticket
from crawl_producer import names

HOST = "huge.example"
PACE = Pace(delay_ms=5000)
URLS = 200_000
#: URLs that come out of the queue each second, all consumers together.
INTAKE_PER_S = 2000
MAX_DEFERRALS = 25


@dataclass(slots=True)
class Url:
    ticket: Ticket
    deferrals: int = 0
    not_before_s: float = 0.0


class Simulation:
    """Plays until every URL is fetched; ``late_s`` is how late a delay queue gives back, at most."""

    def __init__(self, urls, pace=PACE, *, late_s=0.3, blocks=()):
        self.now_s = 1e9
        self.started_s = self.now_s
        self.slots = MemorySlots(clock=lambda: self.now_s)
        self.pace = pace
        self.fetched = []
        self.times = []
        self._random = random.Random(7)
        self._late_s = late_s
        self._blocks = list(blocks)
        self._events = [(self.now_s + n / INTAKE_PER_S, n, Url(Ticket(f"{n:x}"))) for n in range(urls)]

    async def play(self):
        while self._events:
            at_s, n, url = heapq.heappop(self._events)
            self.now_s = max(self.now_s, at_s)
            if self._blocks and self.now_s - self.started_s > self._blocks[0][0]:
                await self.slots.block(HOST, int(self._blocks.pop(0)[1] * 1000))
            wait_s = await self._turn(url)
            if wait_s:
                heapq.heappush(self._events, (self.now_s + wait_s, n, url))

    async def _turn(self, url):
        """How long until it is to be looked at again; 0 when it was fetched."""
        early_s = url.not_before_s - self.now_s
        if early_s > 0:
            return self._hop(url, early_s * 1000) if early_s * 1000 > self.pace.hold_ms else early_s
        answer = await self.slots.reserve(HOST, url.ticket, self.pace, returned=url.deferrals > 0)
        if answer == Go():
            await self.slots.settle(HOST, url.ticket, Asked(0, 100))
            self.fetched.append(url)
            self.times.append(self.now_s)
            return 0
        if isinstance(answer, Park) and answer.wait_ms > self.pace.hold_ms:
            url.not_before_s = self.now_s + answer.wait_ms / 1000
            return self._hop(url, answer.wait_ms)
        return answer.wait_ms / 1000

    def _hop(self, url, wait_ms):
        url.deferrals += 1
        rung_ms = int(names.delay_exchange_within(wait_ms - EARLIER_MS).rpartition(".")[2])
        return rung_ms / 1000 + self._random.random() * self._late_s


def simulated(urls, **how):
    simulation = Simulation(urls, **how)
    asyncio.run(simulation.play())
    return simulation


def histogram(simulation):
    counts = Counter(url.deferrals for url in simulation.fetched)
    for deferrals in sorted(counts):
        print(f"{deferrals:3} deferrals: {counts[deferrals]:7,}")
    return counts


def assert_polite_and_busy(simulation, urls, *, idle_s=0.0, used=0.95):
    gaps = [b - a for a, b in zip(simulation.times, simulation.times[1:], strict=False)]
    assert min(gaps) >= simulation.pace.delay_ms / 1000 - 0.0101
    assert len(simulation.fetched) == urls
    taken_s = simulation.times[-1] - simulation.times[0] - idle_s
    assert urls * simulation.pace.delay_ms / 1000 >= used * taken_s


@pytest.mark.timeout(180)
def test_no_url_of_a_host_with_a_million_seconds_of_work_is_deferred_more_than_25_times():
    simulation = simulated(URLS)
    counts = histogram(simulation)
    assert max(counts) <= MAX_DEFERRALS
    assert_polite_and_busy(simulation, URLS)


def test_delay_queues_that_lag_cost_a_few_deferrals_and_little_throughput():
    simulation = simulated(5000, late_s=2.0)
    assert max(histogram(simulation)) <= MAX_DEFERRALS
    assert_polite_and_busy(simulation, 5000, used=0.9)


def test_a_host_that_pushes_back_in_between_is_worked_off_all_the_same():
    blocks = [(600, 300), (5000, 3600)]
    simulation = simulated(5000, blocks=blocks)
    assert max(histogram(simulation)) <= MAX_DEFERRALS
    assert_polite_and_busy(simulation, 5000, idle_s=3900, used=0.9)
