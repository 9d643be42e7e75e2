"""Consumers as processes on real RabbitMQ and Redis, and a web of many hosts that notes their manners.

Figures for larger webs: ``make bench-politeness``.
"""

import asyncio
import os
import signal
from itertools import pairwise

import pytest

from crawl_dedup import open_redis
from crawl_dev.polite import PoliteCrawl, by_host, finished_s, interleaved, manners, now_s, tally_of
from crawl_dev.web import ManyHosts
from e2e_kit import wait_until

#: What the web's clock and ours may disagree by.
TOLERANCE_S = 0.010

pytestmark = pytest.mark.timeout(180)


def assert_polite(requests, delay_s):
    seen = manners(requests, delay_s)
    print(seen)
    assert seen.least_gap_s >= delay_s - TOLERANCE_S
    assert seen.most_in_flight == 1
    return seen


def test_four_consumers_use_the_slots_of_forty_hosts_and_no_more(environment, tmp_path):
    with ManyHosts(40) as web:
        crawl = PoliteCrawl(web, environment, tmp_path, delay_s=0.5)
        crawl.seed(interleaved(web, list(web.hosts), 24))
        tallies = crawl.run(4)
        seen = assert_polite(web.requests(), 0.5)
    assert seen.requests == 40 * 24
    assert seen.throughput > 0.75  # 0.99 on a machine that has nothing else to do, 0.9 on one that is overloaded
    assert max(tally["most_hosts_in_window"] for tally in tallies) >= 30
    assert all(tally["distinct_hosts_in_window"] == 0 for tally in tallies)


def test_four_consumers_never_ask_one_host_faster_than_its_delay(environment, tmp_path):
    with ManyHosts(1) as web:
        crawl = PoliteCrawl(web, environment, tmp_path, delay_s=0.2, hold_s=0.5)
        crawl.seed(web.urls("h0.test", 60))
        crawl.run(4)
        assert assert_polite(web.requests(), 0.2).requests == 60


def test_asking_for_robots_txt_takes_a_slot_like_any_page(environment, tmp_path):
    with ManyHosts(10) as web:
        crawl = PoliteCrawl(web, environment, tmp_path, delay_s=0.3, robots=True)
        crawl.seed(interleaved(web, list(web.hosts), 6))
        crawl.run(3)
        requests = web.requests()
    assert assert_polite(requests, 0.3).requests == 10 * (1 + 6)
    assert all(asked[0].path == "/robots.txt" for asked in by_host(requests).values())


def small_hosts_done_s(environment, folder, *, big):
    """How long 30 small hosts take, beside one with so many URLs that were there before them."""
    folder.mkdir()
    with ManyHosts(31) as web:
        small = list(web.hosts)[1:]
        crawl = PoliteCrawl(web, environment, folder, delay_s=0.5)
        crawl.seed([*web.urls("h0.test", big), *interleaved(web, small, 16)])
        began = now_s()
        with crawl.consumers(2):
            wait_until(lambda: sum(r.host != "h0.test" for r in web.requests()) == 30 * 16, "the small hosts")
        requests = web.requests()
        assert_polite([r for r in requests if r.host != "h0.test"], 0.5)
        return finished_s(requests, small, began)


def test_a_host_with_thousands_of_urls_stands_in_nobodys_way(rabbit, redis_server, request, tmp_path):
    alone_s = small_hosts_done_s(request.getfixturevalue("environment"), tmp_path / "alone", big=0)
    redis_server.command("FLUSHALL")
    vhost = request.getfixturevalue("fresh_vhost")
    rabbit.delete_vhost(vhost)
    rabbit.add_vhost(vhost)
    beside_s = small_hosts_done_s(request.getfixturevalue("environment"), tmp_path / "beside", big=3000)
    print(f"alone {alone_s:.2f} s, beside a host with 3,000 URLs {beside_s:.2f} s: {beside_s / alone_s:.3f}")
    # Both contain the start of the consumers; the 3,000 URLs are taken from the queue, and parked, in between.
    assert beside_s < 1.6 * alone_s


def test_429_silences_its_host_on_every_consumer_and_no_other_host(environment, tmp_path):
    program = {"h0.test": {"status": 429, "retry_after": "3", "times": 1}}
    with ManyHosts(3, program) as web:
        crawl = PoliteCrawl(web, environment, tmp_path, delay_s=0.1)
        crawl.seed(interleaved(web, list(web.hosts), 12))
        crawl.run(3)
        requests = web.requests()
    first, second, *_ = by_host(requests)["h0.test"]
    assert first.status == 429
    assert second.start_s - first.start_s >= 3 - TOLERANCE_S
    assert sum(r.status == 200 for r in requests) == 36
    elsewhere = [r for r in requests if r.host != "h0.test" and first.start_s < r.start_s < second.start_s]
    assert len(elsewhere) > 10


def test_a_killed_consumer_leaves_no_host_blocked_and_no_burst(environment, tmp_path):
    with ManyHosts(4, {"h0.test": {"pause_s": 0.5}}) as web:
        crawl = PoliteCrawl(web, environment, tmp_path, delay_s=0.3)
        crawl.seed(interleaved(web, list(web.hosts), 25))
        with crawl.consumers(2) as (victim, stayer):
            wait_until(lambda: len(web.requests()) > 30, "the crawl to be in its middle")
            os.kill(victim.pid, signal.SIGKILL)
            tally_of(stayer)
        requests = web.requests()
    assert len({(r.host, r.path) for r in requests}) == 100
    assert len(requests) <= 104
    # A host that was being asked when its asker died may be busy for the dead: only starts are compared.
    assert manners(requests, 0.3).least_gap_s >= 0.3 - TOLERANCE_S


async def function_calls(url):
    """How many of our functions Redis has called, and how many keys of hosts there are."""
    async with await open_redis(url, name="tests") as redis:
        statistics = (await redis.call("INFO", "commandstats")).decode()
        hosts = await redis.call("KEYS", "crawl:host:*")
    calls = [line for line in statistics.splitlines() if line.startswith("cmdstat_fcall:")]
    return int(calls[0].split("calls=")[1].split(",")[0]), len(hosts)


@pytest.mark.parametrize(("delay_s", "calls_a_page", "hosts"), [(0, 2, 0), (0.01, 4, 5)])
def test_without_politeness_redis_is_asked_nothing_more_for_a_page(
    environment, redis_server, tmp_path, delay_s, calls_a_page, hosts
):
    pages = 200
    with ManyHosts(5) as web:
        crawl = PoliteCrawl(web, environment, tmp_path, delay_s=delay_s)
        crawl.seed(interleaved(web, list(web.hosts), pages // 5))
        redis_server.command("CONFIG RESETSTAT")
        crawl.run(1)
        calls, keys = asyncio.run(function_calls(environment["CRAWL_REDIS_URL"]))
    # Begin and commit for each page; a few more for pinning, heartbeats and sweeps.
    assert pages * calls_a_page <= calls
    if not delay_s:
        assert calls <= pages * calls_a_page + 20
    assert (keys > 0) == (hosts > 0)


def test_hosts_that_share_an_address_share_its_delay_on_every_consumer(environment, tmp_path):
    with ManyHosts(6) as web:
        own = web.hosts["h5.test"]
        web.hosts_file.write_text("".join(f"{own if n == 5 else '127.0.0.1'} h{n}.test\n" for n in range(6)))
        crawl = PoliteCrawl(web, environment, tmp_path, delay_s=0.3, ip_delay_s=0.2, hold_s=0.5)
        crawl.seed(interleaved(web, list(web.hosts), 8))
        crawl.run(3)
        pages = [r for r in web.requests() if r.path != "/robots.txt"]
    assert_polite(pages, 0.3)
    shared = sorted(r.start_s for r in pages if r.host != "h5.test")
    assert len(shared) == 40
    assert len(pages) == 48
    assert min(b - a for a, b in pairwise(shared)) >= 0.2 - TOLERANCE_S
    print(f"{39 * 0.2 / (shared[-1] - shared[0]):.2f} of the address's moments used")
