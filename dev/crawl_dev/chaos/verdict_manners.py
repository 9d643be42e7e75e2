"""The oracle of politeness: what the site's log must show of the gaps between requests to each host.

A gap is counted as the site sees it, from its answer to the next request that it reads. That is never shorter than
the crawler's own, whose answers come later and whose requests leave earlier, however busy the machine is.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import urlsplit

from crawl_dev.chaos.complaint import some
from crawl_dev.chaos.faults import Fetch
from crawl_dev.chaos.manners import ROBOTS, Manners
from crawl_dev.chaos.plan import SitePlan

#: A slot may be met 5 ms too early (docs/politeness.md), and Redis' times are whole milliseconds at both ends; the rest
#: is what two clocks of one machine drift apart in seconds.
_EARLY_S = 0.01
#: Hosts that want to be left alone say so with this status.
_AWAY = 503


def complaints(plan: SitePlan, fetches: Sequence[Fetch], *, pause_s: float) -> Iterator[str]:
    """What is wrong with the manners of all visitors together.

    Args:
        plan: says what each host asks for; a plan without manners asks for nothing.
        fetches: the site's log.
        pause_s: how long every answer takes.
    """
    if plan.manners is None:
        return
    hosts = _by_host(fetches)
    rude = [host for host, asked in hosts.items() if not asked[0].url.endswith(ROBOTS)]
    yield from some("hosts asked for a page before their robots.txt", rude)
    gaps = [
        _Gap(earlier, later, later.at_s - earlier.at_s - pause_s)
        for asked in hosts.values()
        for earlier, later in pairwise(asked)
    ]
    soon = [str(gap) for gap in gaps if gap.seconds < _delay_s(plan, plan.manners, gap.later) - _EARLY_S]
    yield from some("requests sooner than the delay of their host", soon)
    quiet_s = plan.manners.retry_after_s - _EARLY_S
    intruding = [str(gap) for gap in gaps if gap.earlier.status == _AWAY and gap.seconds < quiet_s]
    yield from some("requests to a host that had asked to be left alone", intruding)


@dataclass(frozen=True, slots=True)
class _Gap:
    """Between the answer to one request and the next one to the same host."""

    earlier: Fetch
    later: Fetch
    seconds: float

    def __str__(self) -> str:
        return f"{self.later.url} by {self.later.consumer}, {self.seconds:.3f} s after {self.earlier.consumer}'s answer"


def _delay_s(plan: SitePlan, manners: Manners, later: Fetch) -> float:
    """What lies before a request, at least: who asks for robots.txt cannot know what it says."""
    slow = urlsplit(later.url).hostname == plan.hosts[0] and not later.url.endswith(ROBOTS)
    return manners.crawl_delay_s if slow else manners.delay_s


def _by_host(fetches: Sequence[Fetch]) -> Mapping[str, Sequence[Fetch]]:
    hosts: dict[str, list[Fetch]] = defaultdict(list)
    for fetch in sorted(fetches, key=lambda fetch: fetch.at_s):
        hosts[urlsplit(fetch.url).netloc].append(fetch)
    return hosts
