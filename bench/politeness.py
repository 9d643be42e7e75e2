"""Politeness measured at a web's own door: gaps, throughput, and whether a huge host stands in small ones' way.

Consumers are processes on a private RabbitMQ and Redis; the web is one process with an address for each host, which
notes when each request comes and when it is answered. Run it with ``make bench-politeness``.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crawl_dev.polite import PoliteCrawl, finished_s, interleaved, manners, now_s
from crawl_dev.servers import PrivateServers
from crawl_dev.web import ManyHosts

DELAY_S = 0.5
CONSUMERS = 4


def many_hosts(hosts: int, pages: int) -> dict[str, Any]:
    """Every host has work all the time: how much of what the delay allows is used?"""
    with servers_and_folder() as (environment, folder), ManyHosts(hosts) as web:
        crawl = PoliteCrawl(web, environment, folder, delay_s=DELAY_S)
        crawl.seed(interleaved(web, list(web.hosts), pages))
        tallies = crawl.run(CONSUMERS)
        seen = manners(web.requests(), DELAY_S)
    deferred = sum(tally["deferred"] for tally in tallies)
    per_page = round(deferred / seen.requests, 2)
    return {"hosts": hosts, "consumers": CONSUMERS, **rounded(asdict(seen)), "deferrals_per_page": per_page}


def one_host(pages: int) -> dict[str, Any]:
    """Ten consumers want the same host."""
    with servers_and_folder() as (environment, folder), ManyHosts(1) as web:
        crawl = PoliteCrawl(web, environment, folder, delay_s=DELAY_S)
        crawl.seed(web.urls("h0.test", pages))
        crawl.run(10)
        return {"consumers": 10, **rounded(asdict(manners(web.requests(), DELAY_S)))}


def small_hosts(hosts: int, pages: int, *, big: int) -> float:
    """Seconds until the small hosts are done, beside one with so many URLs that were seeded among theirs."""
    with servers_and_folder() as (environment, folder), ManyHosts(hosts + 1) as web:
        small = list(web.hosts)[1:]
        crawl = PoliteCrawl(web, environment, folder, delay_s=1.0)
        crawl.seed(mixed(list(interleaved(web, small, pages)), web.urls("h0.test", big)))
        began = now_s()
        with crawl.consumers(CONSUMERS):
            while sum(request.host != "h0.test" for request in web.requests()) < hosts * pages:
                time.sleep(0.5)
        return finished_s(web.requests(), small, began)


def mixed(some: list[str], others: list[str]) -> Iterable[str]:
    """Both, the shorter spread evenly among the longer, as links of a crawl would come."""
    keyed = [((n + 1) / len(urls), url) for urls in (some, others) for n, url in enumerate(urls)]
    return (url for _, url in sorted(keyed))


@contextmanager
def servers_and_folder() -> Iterator[tuple[dict[str, str], Path]]:
    with tempfile.TemporaryDirectory(prefix="crawl-bench-") as folder, PrivateServers(1) as servers:
        yield os.environ | servers.environment(), Path(folder)


def rounded(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--pages", type=int, default=60, help="of each host")
    parser.add_argument("--big", type=int, default=100_000, help="URLs of the huge host")
    parser.add_argument("--small", type=int, default=300, help="small hosts beside it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result: dict[str, Any] = {"many hosts": many_hosts(options.hosts, options.pages), "one host": one_host(60)}
    alone_s = small_hosts(options.small, options.pages, big=0)
    beside_s = small_hosts(options.small, options.pages, big=options.big)
    result["small hosts"] = {
        "hosts": options.small, "big": options.big, "alone_s": round(alone_s, 1), "beside_s": round(beside_s, 1),
        "ratio": round(beside_s / alone_s, 3),
    }  # fmt: skip
    if options.json:
        print(json.dumps(result))
        return
    for name, figures in result.items():
        print(f"{name}: " + ", ".join(f"{key} {value:,}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
