"""How fast ``crawl-seed`` brings URLs from a file into a crawl, on the durable path, in turn with the plain publisher.

Both go as fast as the machine lets them, so the one's rate says little without the other's of the same minute.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import harmonic_mean
from tempfile import TemporaryDirectory

from measured import cpu_s
from seed import prepared, seed
from tables import table
from verdicts import Figures, Rounds, Spread, spread

from crawl_dev.management import PASSWORD, USERNAME
from crawl_dev.servers import PrivateServers

URLS, HOSTS, ROUNDS = 1_000_000, 1000, 3
#: Of the plain publisher, before the new URLs and after them: some seconds each.
MESSAGES = 200_000
#: Longer than any of its runs takes, or the servers to become idle.
PATIENCE_S = 120
#: URLs per second that are wanted.
AIM_RATE = 20_000
#: What the servers may use of a core when they have nothing left to do.
IDLE_SHARE = 0.1

PLAIN, NEW, KNOWN = "plain pika, 100-byte messages", "crawl-seed, new URLs", "crawl-seed, the same again"
COLUMNS = {"per_s": ",.0f", "cpu_us": ".1f", "rabbit_us": ".1f", "redis_us": ".1f", "peak_mib": ".1f"}
HEADER = ["", "a second", "its own CPU, µs", "RabbitMQ's, µs", "Redis', µs", "peak memory, MiB"]


def measure(quick: bool) -> str:
    """The results as Markdown."""
    shrink = 10 if quick else 1
    rounds = [one_round(URLS // shrink, MESSAGES // shrink) for _ in range(1 if quick else ROUNDS)]
    return report({name: {n: figures[name] for n, figures in enumerate(rounds)} for name in rounds[0]})


def one_round(urls: int, messages: int) -> dict[str, Figures]:
    """Everybody's figures, on servers that have done nothing before."""
    with TemporaryDirectory(prefix="crawl-bench-") as name, PrivateServers(1) as servers:
        path, environment = prepared(Path(name), servers, urls, HOSTS)
        before = plain(servers, messages)
        new = seeded(servers, path, environment)
        after = plain(servers, messages)
        known = seeded(servers, path, environment)
    if new["admitted"] != urls or known["admitted"]:
        raise SystemExit(f"crawl-seed admitted {new['admitted']:,} of {urls:,} URLs, and then {known['admitted']:,}")
    both = {key: (before[key] + after[key]) / 2 for key in before}
    return {PLAIN: both | {"per_s": harmonic_mean([before["per_s"], after["per_s"]])}, NEW: new, KNOWN: known}


def seeded(servers: PrivateServers, path: Path, environment: dict[str, str]) -> Figures:
    used = idle_cpu_s(servers)
    run = seed(path, environment)
    shares = shares_us(servers, used, run["urls"])
    figures = {"per_s": run["urls_per_s"], "cpu_us": run["cpu_us_per_url"], "peak_mib": run["peak_mib"]}
    return figures | shares | {"admitted": run["admitted"]}


def plain(servers: PrivateServers, messages: int) -> Figures:
    used = idle_cpu_s(servers)
    url = f"amqp://{USERNAME}:{PASSWORD}@127.0.0.1:{servers.rabbit.nodes[0].port}/%2F"
    command = [sys.executable, Path(__file__).with_name("plain.py"), url, str(messages)]
    run = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=PATIENCE_S).stdout)
    return run | shares_us(servers, used, messages)


def idle_cpu_s(servers: PrivateServers) -> dict[str, float]:
    """Each server's CPU seconds once what it did before is over: RabbitMQ sorts its log for a while."""
    used = servers_cpu_s(servers)
    for _ in range(PATIENCE_S):
        time.sleep(1)
        before, used = used, servers_cpu_s(servers)
        if sum(used.values()) - sum(before.values()) < IDLE_SHARE:
            return used
    raise SystemExit(f"the servers have not become idle within {PATIENCE_S} s")


def servers_cpu_s(servers: PrivateServers) -> dict[str, float]:
    return {"rabbit": cpu_s(servers.rabbit.nodes[0].pid), "redis": cpu_s(servers.redis.pid)}


def shares_us(servers: PrivateServers, before: Mapping[str, float], number: float) -> dict[str, float]:
    """Each server's microseconds of CPU for one of so many."""
    return {f"{name}_us": (used - before[name]) * 1e6 / number for name, used in servers_cpu_s(servers).items()}


def report(figures: Mapping[str, Rounds]) -> str:
    rows = [
        [name, *(spread(rounds, key).text(form) for key, form in COLUMNS.items())] for name, rounds in figures.items()
    ]
    rate = spread(figures[NEW], "per_s")
    share = Spread.of([run["per_s"] / figures[PLAIN][n]["per_s"] for n, run in figures[NEW].items()])
    verdict = "met" if rate.median >= AIM_RATE else "**missed**"
    return (
        f"{table(HEADER, rows)}\n\n{rate.text(',.0f')} new URLs a second; target ≥ {AIM_RATE:,}: {verdict}."
        f" Of the plain publisher's rate: {share.text('.2f')}."
    )
