"""Looking at a URL as the crawler does: robots.txt first, one GET, and the same again for each redirect."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from crawl_consumer.errors import NoPage
from crawl_consumer.fetch import Fetcher, FetchLimits, user_agent
from crawl_consumer.host_headers import HostHeaders
from crawl_consumer.host_tls import host_tls
from crawl_consumer.outcome import Dead, Finish, Retry, forbidden, judge
from crawl_consumer.page import Page
from crawl_consumer.response import FetchFailure, Response
from crawl_consumer.response_cache import Cached, ResponseCache
from crawl_consumer.robots import Allowed, Blocked, NoRobots, Robots, RobotsGate, RobotsVerdict, token_of
from crawl_consumer.robots_fetch import TOTAL_S, Asks
from crawl_consumer.workbench.paced import Paced
from crawl_consumer.workbench.rules import Rules
from crawl_dedup import MemoryRobots, MemoryRobotsStore, UrlInvalid, canonicalize, host, join, origin
from crawl_producer.errand import Errand
from crawl_producer.guard import Guard
from crawl_producer.message import UrlMessage
from crawl_producer.own_servers import own_servers
from crawl_producer.scope import MAX_REDIRECTS
from crawl_producer.topology import CrawlSpec

#: Requests at once; a tool makes them one by one, and robots.txt is another host's now and then.
_CONNECTIONS = 4
_NO_ERRAND = Errand()


@dataclass(frozen=True, slots=True)
class Look:
    """One URL, and what came of it.

    Attributes:
        url: canonical.
        robots: what its robots.txt says of it.
        robots_because: how that is known, for example ``http_200``; empty: the crawl does not ask.
        result: what the GET brought; None: there was none, because robots.txt forbids it.
        outcome: what a crawl would count it as, or why it would try again.
    """

    url: str
    robots: RobotsVerdict
    robots_because: str
    result: Response | FetchFailure | None
    outcome: str

    @property
    def response(self) -> Response | None:
        """The answer, if there was one."""
        return self.result if isinstance(self.result, Response) else None


class Looker:
    """Looks at URLs by a crawl's rules.

    Args:
        spec: the crawl's section of exchanges.yaml.
        asks: fetches pages, robots.txt as well.
        robots: answers for robots.txt …
        memory: … out of what stands here.
    """

    def __init__(self, spec: CrawlSpec, asks: Asks, robots: Robots, memory: MemoryRobots) -> None:
        self._spec = spec
        self._asks = asks
        self._robots = robots
        self._memory = memory

    async def look(self, url: str) -> tuple[Look, ...]:
        """The URL and, while they redirect, the ones that it leads to; a crawl would take each as a new URL."""
        looks: list[Look] = []
        while len(looks) <= MAX_REDIRECTS:
            looks.append(await self._look(url))
            response = looks[-1].response
            if response is None or not response.location:
                break
            try:
                url = join(url, response.location)
            except UrlInvalid:
                break
        return tuple(looks)

    async def _look(self, url: str) -> Look:
        may = await self._robots.verdict(url)
        known = await self._memory.read(origin(url))
        because = may.reason if isinstance(may, Blocked) else known.record.reason if known else ""
        if not isinstance(may, Allowed):
            refused = forbidden(may)
            outcome = refused.outcome if isinstance(refused, Finish) else f"parked for {refused.delay_s:.0f} s"
            return Look(url, may, because, None, outcome)
        result = await self._asks.fetch(url)
        return Look(url, may, because, result, self._outcome(result))

    def _outcome(self, result: Response | FetchFailure) -> str:
        match judge(result, attempt=0, retry=self._spec.retry, jitter=0.5):
            case Finish(outcome) | Dead(outcome):
                return outcome
            case Retry(reason, delay_s):
                return f"{reason}: tried again after {delay_s:.0f} s"
            case other:
                raise AssertionError(other)  # a fetch parks nothing


@asynccontextmanager
async def looker(rules: Rules, *, cache: Path | None = None) -> AsyncIterator[Looker]:
    """A looker that keeps the crawl's delay between its own requests to a host, and responses in ``cache``.

    Raises:
        TopologyInvalid: a secret is not set.
    """
    spec, agent = rules.spec, user_agent(rules.spec.user_agent)
    headers = HostHeaders(spec.hosts, rules.secrets) if spec.hosts else None
    memory = MemoryRobots(MemoryRobotsStore(), "looker")
    async with Fetcher(
        FetchLimits.of(spec.limits),
        user_agent=agent,
        connections=_CONNECTIONS,
        guard=Guard(spec.allow_networks, await own_servers(rules.topology)),
        host_headers=headers,
        host_tls=host_tls(rules.crawl, spec.hosts),
        cookies=spec.cookies,
    ) as fetcher:
        asks: Asks = Paced(fetcher, spec.politeness.delay_s)
        asks = Cached(asks, ResponseCache(cache)) if cache else asks
        if not spec.robots.obey:
            yield Looker(spec, asks, NoRobots(), memory)
            return
        async with RobotsGate(asks, memory, spec.robots, token=token_of(spec), hold_s=TOTAL_S + 5) as robots:
            yield Looker(spec, asks, robots, memory)


async def looked_at(rules: Rules, url: str, *, cache: Path | None = None) -> tuple[Look, ...]:
    """See :meth:`Looker.look`, with a looker for this one URL."""
    async with looker(rules, cache=cache) as looking:
        return await looking.look(url)


def page_of(
    looks: tuple[Look, ...], crawl: str, *, depth: int = 0, errand: Errand = _NO_ERRAND
) -> tuple[Page, UrlMessage]:
    """The page at the end, and the message that it would have been fetched for.

    Raises:
        NoPage: there is no answer to make one of.
    """
    last = looks[-1]
    if last.response is None:
        raise no_page(last)
    message = message_for(crawl, last.url, depth=depth, redirects=len(looks) - 1, errand=errand)
    return Page(last.response, message), message


def no_page(look: Look) -> NoPage:
    """Why a look gives no page."""
    why = f"{look.outcome} ({look.result.detail})" if isinstance(look.result, FetchFailure) else look.outcome
    if look.outcome == "blocked":
        why = look.robots.reason if isinstance(look.robots, Blocked) else why
        return NoPage(
            f"{look.url}: {why}", remedy="where an address is not public, --allow-network goes there for this once"
        )
    return NoPage(f"{look.url}: {why}", remedy=f"crawl-fetch {look.url} shows all of it")


def message_for(crawl: str, url: str, *, depth: int = 0, redirects: int = 0, errand: Errand = _NO_ERRAND) -> UrlMessage:
    """The message of a URL that is looked at on its own: it is its own root."""
    return UrlMessage(crawl=crawl, url=url, depth=depth, root=host(url), redirects=redirects, **errand.fields())


def url_of(text: str) -> str:
    """The canonical form of what somebody typed. Raises ValueError, with the remedy."""
    try:
        return canonicalize(text)
    except UrlInvalid as error:
        raise ValueError(f"{text!r} is no URL to crawl ({error}); write it with http:// or https://") from None
