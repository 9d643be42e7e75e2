"""The gate before every fetch: what the origin's robots.txt says of a URL.

Each origin is asked once for all consumers: whoever gets its lease asks, the others read the answer from the
shared memory. What this process knows already costs no call to Redis.
"""

import asyncio
import logging
import random
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Protocol, Self

from crawl_consumer import robots_fetch
from crawl_consumer.fetch import user_agent
from crawl_consumer.robots_fetch import Asks
from crawl_consumer.robots_file import ALLOW_ALL, RobotsRules, parse, product_token
from crawl_dedup import CachedRobots, RobotsCache, RobotsRecord
from crawl_dedup.canonical import origin as origin_of
from crawl_producer.topology import CrawlSpec, RobotsSpec

log = logging.getLogger(__name__)

#: How long a URL is held while its origin is asked, by us or another consumer; then it is parked, because it
#: occupies a place that a URL of another origin could have …
HOLD_S = 2.0
#: … for so long.
PARK_S = 2.0
#: Between two looks at what another consumer is asking.
LOOK_S = 0.1
#: Above all that asking may take. A consumer that dies while it asks holds its origin up for this long.
LEASE_S = robots_fetch.TOTAL_S + 15.0
#: How long an origin counts as blocked before its robots.txt is tried again: as long as an address is remembered.
BLOCKED_S = 300.0
#: Characters of rules that one process remembers; in memory they take up to forty times as much.
REMEMBERED_CHARS = 2_000_000
#: What an origin without any rule counts for, so that their number is bounded too.
_ORIGIN_CHARS = 200


@dataclass(frozen=True, slots=True)
class Allowed:
    """It may be fetched, ``crawl_delay_s`` after the last one of its origin (0: it names no delay)."""

    crawl_delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Denied:
    """It must not be fetched: the file says so."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """It must not be fetched: its robots.txt is where this crawl may not go, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Nobody knows yet, so it must not be fetched before ``retry_after_s``, and then the gate is asked again."""

    retry_after_s: float


RobotsVerdict = Allowed | Denied | Blocked | Unreachable

_DENIED = Denied()


class Robots(Protocol):
    """May a URL be fetched?"""

    async def verdict(self, url: str) -> RobotsVerdict:
        """What is known of a canonical URL; takes no longer than about HOLD_S."""


class NoRobots:
    """For a crawl that does not obey: everything is allowed, and nobody is asked."""

    _ALLOWED = Allowed()

    async def verdict(self, _url: str) -> RobotsVerdict:
        """Allowed."""
        return self._ALLOWED


@dataclass(frozen=True, slots=True)
class _Known:
    """What this process knows of an origin, until a moment of the loop's clock; no rules: it cannot be reached."""

    rules: RobotsRules | None
    allowed: Allowed
    until_s: float
    blocked: Blocked | None = None

    def verdict(self, url: str, now_s: float) -> RobotsVerdict:
        if self.blocked is not None:
            return self.blocked
        if self.rules is None:
            return Unreachable(max(self.until_s - now_s, 0.0))
        return self.allowed if self.rules.allowed(url) else _DENIED


class RobotsGate:
    """Obeys robots.txt; open it with ``async with``.

    Args:
        fetcher: what asks; it must not follow redirects.
        cache: what all consumers know. No two gates may share the name that theirs holds leases under.
        spec: the crawl's rules.
        token: our name in the files.
        hold_s: how long a verdict may take.
    """

    def __init__(
        self, fetcher: Asks, cache: RobotsCache, spec: RobotsSpec, *, token: str, hold_s: float = HOLD_S
    ) -> None:
        self._fetcher = fetcher
        self._cache = cache
        self._spec = spec
        self._token = token
        self._hold_s = hold_s
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._known_chars = 0
        self._learning: dict[str, asyncio.Task[_Known | None]] = {}

    def __repr__(self) -> str:
        return f"<RobotsGate {self._token} {len(self._known)} origins known, {len(self._learning)} being asked>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        asking = list(self._learning.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def verdict(self, url: str) -> RobotsVerdict:
        """What is known of a canonical URL.

        Raises:
            LedgerUnavailable: the shared memory is gone.
        """
        origin, clock = origin_of(url), asyncio.get_running_loop().time
        known = self._known.get(origin)
        if known is not None and known.until_s > clock():
            self._known.move_to_end(origin)
        elif (known := await self._learned(origin)) is None:
            return Unreachable(PARK_S)
        return known.verdict(url, clock())

    async def _learned(self, origin: str) -> _Known | None:
        """One task an origin, which goes on when those who wait for it have parked their URLs."""
        task = self._learning.get(origin)
        if task is None:
            task = asyncio.create_task(self._learn(origin), name=f"robots.txt of {origin}")
            self._learning[origin] = task
            task.add_done_callback(partial(self._learning_ended, origin))
        await asyncio.wait([task], timeout=self._hold_s)
        return task.result() if task.done() else None

    def _learning_ended(self, origin: str, task: asyncio.Task[_Known | None]) -> None:
        del self._learning[origin]
        if not task.cancelled():
            task.exception()  # looked at: perhaps nobody waits any more, and the next one will meet it again

    async def _learn(self, origin: str) -> _Known | None:
        """What the shared memory knows, or the origin says; None while another consumer is asking it."""
        patience = asyncio.get_running_loop().time() + self._hold_s
        while True:
            cached = await self._cache.read(origin)
            if cached is not None and cached.fresh_s:
                return self._remember(origin, cached)
            if await self._cache.lease(origin, lease_s=LEASE_S):
                return self._remember(origin, await self._asked(origin))
            if asyncio.get_running_loop().time() >= patience:
                return None
            await asyncio.sleep(LOOK_S)

    async def _asked(self, origin: str) -> CachedRobots | Blocked:
        """Ask under our lease, unless somebody has done so just before we had it."""
        try:
            before = await self._cache.read(origin)
            if before is not None and before.fresh_s:
                return before
            answer = await robots_fetch.ask(self._fetcher, origin)
            if answer.blocked:  # for this crawl; another one that shares the memory may go there
                return Blocked(answer.reason)
            record, fresh_s = RobotsRecord(answer.body, answer.reason), answer.fresh_s
            if answer.body is None:
                record, fresh_s = self._failed(origin, answer.reason, before.record if before else None)
            await self._cache.keep(origin, record, fresh_s=fresh_s)
            return CachedRobots(record, fresh_s)
        finally:
            await self._cache.release(origin)

    def _failed(self, origin: str, reason: str, before: RobotsRecord | None) -> tuple[RobotsRecord, float]:
        """The record of one more failure, and after how many seconds to try again."""
        now = time.time()
        failures, since_s = (before.failures, before.failing_since_s) if before and before.failures else (0, now)
        record = RobotsRecord(None, reason, failures + 1, since_s)
        if now - since_s >= self._spec.unavailable_after_s:
            log.warning("%s/robots.txt: %s, for so long that the site counts as having none", origin, reason)
            return RobotsRecord(b"", reason, failures + 1, since_s), self._spec.retry_s[-1]
        # Spread, so that many origins of one dead server do not come back together.
        retry_s = self._spec.retry_s[min(failures, len(self._spec.retry_s) - 1)] * random.uniform(1, 1.1)  # noqa: S311
        log.info("%s/robots.txt: %s; nothing is fetched there for %.0f s", origin, reason, retry_s)
        return record, retry_s

    def _remember(self, origin: str, said: CachedRobots | Blocked) -> _Known:
        now_s = asyncio.get_running_loop().time()
        if isinstance(said, Blocked):
            known = _Known(None, Allowed(), now_s + BLOCKED_S, said)
        else:
            body = said.record.body
            rules = None if body is None else parse(body, self._token) if body else ALLOW_ALL
            known = _Known(rules, Allowed(rules.crawl_delay_s if rules else 0.0), now_s + said.fresh_s)
        self._forget(origin)
        self._known[origin] = known
        self._known_chars += _chars(known)
        while self._known_chars > REMEMBERED_CHARS and len(self._known) > 1:
            self._forget(next(iter(self._known)))
        return known

    def _forget(self, origin: str) -> None:
        known = self._known.pop(origin, None)
        if known is not None:
            self._known_chars -= _chars(known)


def token_of(spec: CrawlSpec) -> str:
    """The name by which robots.txt files and robots directives know a crawl."""
    return spec.robots.product_token or product_token(user_agent(spec.user_agent))


def _chars(known: _Known) -> int:
    return _ORIGIN_CHARS + (known.rules.size_chars if known.rules else 0)
