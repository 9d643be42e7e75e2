"""Polite crawls of a web of many hosts: consumers as processes, and what the web's own log says of their manners."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import mean

from crawl_dev.site import OWN_SITE
from crawl_dev.web import ManyHosts, WebRequest

_BIN = Path(sys.executable).parent
#: Above any crawl of the tests and benchmarks; reached only when something hangs.
_PATIENCE_S = 900.0


@dataclass(frozen=True, slots=True)
class Manners:
    """What a web saw of its visitors.

    Attributes:
        requests: how many.
        least_gap_s: the shortest time between the starts of two requests to one host.
        most_in_flight: requests to one host at the same time, at most.
        throughput: of what the delay allows, the mean over all hosts (1.0: every slot was used).
    """

    requests: int
    least_gap_s: float
    most_in_flight: int
    throughput: float


def manners(requests: Iterable[WebRequest], delay_s: float) -> Manners:
    """Read the manners from a web's log."""
    hosts = by_host(requests)
    gaps = [b.start_s - a.start_s for asked in hosts.values() for a, b in pairwise(asked)]
    used = [
        (len(asked) - 1) * delay_s / (asked[-1].start_s - asked[0].start_s)
        for asked in hosts.values()
        if len(asked) > 1
    ]
    return Manners(
        requests=sum(map(len, hosts.values())),
        least_gap_s=min(gaps, default=float("inf")),
        most_in_flight=max(map(_most_at_once, hosts.values()), default=0),
        throughput=mean(used) if used else 1.0,
    )


def by_host(requests: Iterable[WebRequest]) -> dict[str, list[WebRequest]]:
    """The requests of each host, in the order of their starts."""
    hosts: dict[str, list[WebRequest]] = {}
    for request in sorted(requests, key=lambda r: r.start_s):
        hosts.setdefault(request.host, []).append(request)
    return hosts


def _most_at_once(requests: Sequence[WebRequest]) -> int:
    # An end before a start at the same instant: one that follows the other is not beside it.
    turns = sorted([(r.start_s, 1) for r in requests] + [(r.end_s, -1) for r in requests])
    return max(accumulate(change for _, change in turns))


def interleaved(web: ManyHosts, hosts: Sequence[str], pages: int) -> Iterator[str]:
    """So many URLs of each host, one of each after the other."""
    return (url for row in zip(*(web.urls(host, pages) for host in hosts), strict=True) for url in row)


class PoliteCrawl:
    """The crawl ``polite`` of some web.

    Args:
        web: what is crawled.
        environment: leads the commands to servers.
        folder: for its files.
        delay_s: between two requests to a host.
        robots: whether robots.txt is asked for, which takes one slot of each host.
        politeness: more of it, as in exchanges.yaml.
    """

    def __init__(
        self,
        web: ManyHosts,
        environment: Mapping[str, str],
        folder: Path,
        *,
        delay_s: float,
        robots: bool = False,
        **politeness: float,
    ) -> None:
        topology = {
            "exchanges": {"polite": {"type": "direct"}},
            "queues": {"polite.pages": {"crawl": "polite", "bindings": [{"exchange": "polite", "key": "page"}]}},
            "crawls": {
                "polite": {
                    "exchange": "polite",
                    "key": "page",
                    "politeness": {"delay_s": delay_s, **politeness},
                    "robots": {"obey": robots},
                    "scope": {"any_host": True},
                    "retry": {"first_delay_s": 0.5},
                }
            },
        }
        self._web = web
        self._folder = folder
        (folder / "polite.yaml").write_text(json.dumps(topology))
        own = OWN_SITE | {"CRAWL_TOPOLOGY": str(folder / "polite.yaml"), "CRAWL_DELAY_S": ""}
        self._environment = {**os.environ, **environment, **own}
        self._run("crawl-topology", "apply")

    def seed(self, urls: Iterable[str]) -> None:
        """Bring URLs in, in this order."""
        self._run("crawl-seed", stdin="".join(f"{url}\n" for url in urls))

    @contextmanager
    def consumers(self, number: int) -> Iterator[list["subprocess.Popen[str]"]]:
        """So many consumers, which end when the crawl is complete, or the block."""
        logs = [(self._folder / f"consumer-{n}.log").open("a") for n in range(number)]
        running = [
            subprocess.Popen(
                [_BIN / "crawl-consumer", "--queue", "polite.*", "--until-done", "--json", "--concurrency", "16",
                 "--hosts", str(self._web.hosts_file)],
                env=self._environment, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True,
            )
            for log in logs
        ]  # fmt: skip
        try:
            yield running
        finally:
            for consumer, log in zip(running, logs, strict=True):
                consumer.kill()
                consumer.communicate()
                log.close()

    def run(self, consumers: int) -> list[dict[str, int]]:
        """Crawl to the end; returns the consumers' tallies.

        Raises:
            subprocess.TimeoutExpired: it does not end.
            RuntimeError: a consumer failed; its log is in the folder.
        """
        with self.consumers(consumers) as running:
            return [tally_of(consumer) for consumer in running]

    def _run(self, *command: str, stdin: str | None = None) -> None:
        subprocess.run(
            [_BIN / command[0], *command[1:]],
            env=self._environment, input=stdin, text=True, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip


def tally_of(consumer: "subprocess.Popen[str]") -> dict[str, int]:
    """Wait for a consumer's end; returns what it says that it did.

    Raises:
        subprocess.TimeoutExpired: it does not end.
        RuntimeError: it failed.
    """
    said, _ = consumer.communicate(timeout=_PATIENCE_S)
    if consumer.returncode == -signal.SIGKILL:
        return {}
    if consumer.returncode:
        raise RuntimeError(f"a consumer ended with {consumer.returncode}")
    tally: dict[str, int] = json.loads(said)
    return tally


def finished_s(requests: Iterable[WebRequest], hosts: Iterable[str], since_s: float) -> float:
    """When the last request to one of these hosts had its answer, seconds after ``since_s`` (monotonic)."""
    mine = set(hosts)
    return max(request.end_s for request in requests if request.host in mine) - since_s


def now_s() -> float:
    """The clock of the web's log."""
    return time.monotonic()
