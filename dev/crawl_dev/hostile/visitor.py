"""The process that visits hazards as a consumer does, fetch and links, and says what each cost: one line of JSON each.

``python -m crawl_dev.hostile.visitor ORIGIN TIMES NAME...``. Hazards that end only by waiting are visited all at once,
behind the others; what these visits cost is told as their mean.
"""

import asyncio
import gc
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from ipaddress import ip_network
from pathlib import Path

import uvloop

from crawl_consumer import harvest
from crawl_consumer.fetch import Fetcher, FetchLimits
from crawl_consumer.outcome import Dead, Finish, Verdict, judge, unparsable
from crawl_consumer.page import Page
from crawl_consumer.parsing import Parsing
from crawl_consumer.response import FetchFailure, Response
from crawl_consumer.title import MAX_TITLE_CHARS
from crawl_consumer.workbench.looking import message_for
from crawl_dedup import UrlInvalid, canonicalize, join
from crawl_dev.hostile.hazard import DEFAULT, Hazard
from crawl_dev.hostile.hazards import HAZARDS
from crawl_dev.hostile.web import MAKE
from crawl_producer import heap
from crawl_producer.guard import Guard
from crawl_producer.message import UrlMessage
from crawl_producer.scope import Scope
from crawl_producer.topology import RetrySpec, ScopeSpec

#: An ordinary page, for what a process takes that has done its work once.
_HARMLESS = "interim-few"
_LOOPBACK = Guard([ip_network("127.0.0.0/8")])
_ONCE = RetrySpec(max_attempts=1)
_KIB = 1024
_LOOPBACK = Guard([ip_network("127.0.0.0/8")])
#: CPU seconds for a page in the process that tries it: less than a consumer allows, because some hazards take all of
#: them at each visit.
PARSING_CPU_S = 3


@dataclass(slots=True)
class Cost:
    """What visiting one hazard so many times came to.

    Attributes:
        hazard: its name.
        outcomes: how often each.
        whys: the details of failures, each once.
        links: that a page had at least; None: no visit gave a page.
        longest_s: the longest visit.
        cpu_s: of all visits, with those of the process that tries pages.
        most_cpu_s: of one visit.
        peak_rss_bytes: of the process, meanwhile.
    """

    hazard: str
    outcomes: dict[str, int] = field(default_factory=dict)
    whys: list[str] = field(default_factory=list)
    links: int | None = None
    longest_s: float = 0.0
    cpu_s: float = 0.0
    most_cpu_s: float = 0.0
    peak_rss_bytes: int = 0

    def ended(self, outcome: str) -> None:
        """A visit ended so."""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def page(self, links: int) -> None:
        """A visit gave a page with so many links."""
        self.links = links if self.links is None else min(self.links, links)

    def failed(self, why: str) -> None:
        """A visit failed."""
        if why not in self.whys:
            self.whys.append(why)


class Visitor:
    """Visits hazards.

    Args:
        origin: of the hostile web.
        fetchers: by their limits.
        parsing: of pages.
    """

    def __init__(self, origin: str, fetchers: dict[FetchLimits, Fetcher], parsing: Parsing) -> None:
        self._origin = origin
        self._fetchers = fetchers
        self._parsing = parsing
        self._scope = Scope(ScopeSpec())

    async def announce(self, hazard: Hazard) -> None:
        """Let the web make its page, so that the first visit does not wait for that."""
        made = await self._fetchers[DEFAULT].fetch(f"{self._origin}/{MAKE}/{hazard.name}")
        assert isinstance(made, Response), made

    async def visit(self, hazard: Hazard, number: int, cost: Cost) -> None:
        """Once: as the default spider does, without a tree where that can be, or as others do, in turn."""
        started_s, started_cpu_s = time.monotonic(), self.cpu_s()
        url = canonicalize(f"{self._origin}/{hazard.name}?{number}")
        message = message_for("hostile", url, depth=1)  # no seed, which would lead its crawl to another host
        cost.ended(await self._outcome(message, self._fetchers[hazard.limits], cost, skimmed=number % 2 == 1))
        cost.longest_s = max(cost.longest_s, time.monotonic() - started_s)
        cost.most_cpu_s = max(cost.most_cpu_s, self.cpu_s() - started_cpu_s)

    def cpu_s(self) -> float:
        """CPU seconds of this process so far, and of the one that tries pages."""
        child = self._parsing.child_pid
        return time.process_time() + (_cpu_s_of(child) if child else 0.0)

    async def _outcome(self, message: UrlMessage, fetcher: Fetcher, cost: Cost, *, skimmed: bool) -> str:
        seen = {message.url}
        while True:
            result = await fetcher.fetch(message.url)
            verdict = judge(result, attempt=0, retry=_ONCE, jitter=0.5)
            assert isinstance(verdict, Finish | Dead)
            if isinstance(result, FetchFailure):
                cost.failed(result.detail)
                return verdict.outcome
            if verdict.outcome == "ok":
                return await self._parsed(Page(result, message), verdict, cost, skimmed=skimmed)
            if verdict.outcome != "redirect":
                return verdict.outcome
            try:
                target = join(message.url, result.location or "")
            except UrlInvalid as error:
                return f"filtered:{error}"
            led = harvest.redirect(message, target, self._scope, now_ms=0)
            if not led.links:
                return next(iter(led.counts))
            if target in seen:
                return "duplicate"
            seen.add(target)
            (message,) = led.links  # type: ignore[assignment]  # a redirect's is a whole message

    async def _parsed(self, page: Page, verdict: Verdict, cost: Cost, *, skimmed: bool) -> str:
        async with self._parsing.of(page, skimmed=skimmed) as refusal:
            if refusal:
                verdict = unparsable(verdict)
                cost.failed(refusal)
            else:
                cost.page(len(page.links()))
                assert len(page.title or "") <= MAX_TITLE_CHARS
            assert isinstance(verdict, Finish)
            return verdict.outcome


async def visit_all(origin: str, times: int, hazards: Sequence[Hazard]) -> None:
    """Visit each so many times, and print its cost."""
    async with AsyncExitStack() as stack:
        fetchers = {}
        for limits in {DEFAULT, *(hazard.limits for hazard in hazards)}:
            fetcher = Fetcher(limits, user_agent="CrawlMQ-hostile/1", connections=1000, guard=_LOOPBACK)
            fetchers[limits] = await stack.enter_async_context(fetcher)
        visitor = Visitor(origin, fetchers, await stack.enter_async_context(Parsing(cpu_s=PARSING_CPU_S)))
        await visitor.visit(HAZARDS[_HARMLESS], 0, Cost(_HARMLESS))
        heap.prepare()
        _begin_peak()
        print(json.dumps({"base_rss_bytes": _rss_bytes("VmRSS")}), flush=True)
        for hazard in hazards:
            if not hazard.is_slow:
                await visitor.announce(hazard)
                cost = Cost(hazard.name)
                await _visited(visitor, [hazard], times, [cost], at_once=1)
        if slow := [hazard for hazard in hazards if hazard.is_slow]:
            await _visited(visitor, slow, times, [Cost(hazard.name) for hazard in slow], at_once=len(slow) * times)


async def _visited(
    visitor: Visitor, hazards: Sequence[Hazard], times: int, costs: Sequence[Cost], *, at_once: int
) -> None:
    _begin_peak()
    started_cpu_s, places = visitor.cpu_s(), asyncio.Semaphore(at_once)

    async def visit(hazard: Hazard, number: int, cost: Cost) -> None:
        async with places:
            await visitor.visit(hazard, number, cost)

    async with asyncio.TaskGroup() as visits:
        for hazard, cost in zip(hazards, costs, strict=True):
            for number in range(times):
                visits.create_task(visit(hazard, number, cost))
    for cost in costs:
        cost.cpu_s = (visitor.cpu_s() - started_cpu_s) / len(costs)
        cost.peak_rss_bytes = _rss_bytes("VmHWM")
        if at_once > 1:
            cost.most_cpu_s = cost.cpu_s / times  # visits at the same time cannot be told apart
        print(json.dumps(asdict(cost)), flush=True)


def _cpu_s_of(pid: int) -> float:
    """CPU seconds of another process and its ended children (man 5 proc, /proc/pid/stat, fields 14 to 17)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _begin_peak() -> None:
    """Give back what earlier hazards have left, and forget the highest RSS so far (man 5 proc)."""
    gc.collect()
    heap.give_back()
    Path("/proc/self/clear_refs").write_text("5")


def _rss_bytes(name: str) -> int:
    """A value of /proc/self/status, which is in KiB."""
    match = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1]) * _KIB


if __name__ == "__main__":
    uvloop.run(visit_all(sys.argv[1], int(sys.argv[2]), [HAZARDS[name] for name in sys.argv[3:]]))
