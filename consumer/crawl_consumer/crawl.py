"""The story of one URL, one line a step: begin, robots, politeness, fetch, spider, sink, admission, settle.

Whatever goes wrong between two steps leaves the delivery unacknowledged, so RabbitMQ hands it out again and
``begin`` finds where the story had stopped.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from crawl_consumer import directives, harvest
from crawl_consumer.errors import ItemInvalid, SpiderRaised
from crawl_consumer.fetch import FetchFailure, Response
from crawl_consumer.finale import Life
from crawl_consumer.harvest import Harvest
from crawl_consumer.outcome import (
    Dead,
    Finish,
    Retry,
    Verdict,
    defect,
    forbidden,
    judge,
    no_method,
    quarantined,
    refused,
    spider_raised,
)
from crawl_consumer.page import Page
from crawl_consumer.politeness import Gate, OpenGate
from crawl_consumer.robots import Allowed, NoRobots, Robots, token_of
from crawl_consumer.robots_fetch import Asks
from crawl_consumer.settling import Settler, acknowledge
from crawl_consumer.sink import Record, Sink
from crawl_consumer.spider import Failure, Spider, lack, run
from crawl_consumer.spiders import hooks, middlewares
from crawl_consumer.spiders.base import has
from crawl_consumer.spiders.middlewares import Refuse, Request, request_of
from crawl_consumer.spiders.running import called
from crawl_consumer.suspects import MOST_TRIALS, Company, Trials
from crawl_consumer.tally import HostsInWindow, Tally
from crawl_consumer.turn import Turn
from crawl_dedup import CrawlError, Fingerprint, Ledger, LedgerForgot, UrlInvalid, host, join
from crawl_dedup import Verdict as Begin
from crawl_dedup.crash_points import reached
from crawl_producer.admission import Admission, Work
from crawl_producer.broker import Broker, Delivery
from crawl_producer.errand import Errand
from crawl_producer.errors import MessageInvalid, RouteInvalid
from crawl_producer.message import UrlMessage
from crawl_producer.names import work_queue
from crawl_producer.own_routes import AnyRoute, OwnRoutes
from crawl_producer.scope import Scope
from crawl_producer.topology import CrawlSpec

log = logging.getLogger(__name__)

#: How long a suspect is parked when others wait already to have the process to themselves.
SUSPECT_PARK_MS = 1000
#: Whoever must leave gives back his lease within this time, or not at all.
RELEASE_S = 2.0


@dataclass(frozen=True, slots=True)
class Tools:
    """What a story needs besides the crawl's own rules."""

    broker: Broker
    fetcher: Asks
    spider: Spider
    sinks: Mapping[str, Sink]  #: by the work queues that the pages' URLs come from
    robots: Robots = field(default_factory=NoRobots)
    gate: Gate = field(default_factory=OpenGate)
    company: Company = field(default_factory=Company)
    tally: Tally = field(default_factory=Tally)
    own_routes: OwnRoutes = field(default_factory=AnyRoute)
    spiders: Mapping[str, Spider] = field(default_factory=dict)  #: of work queues that have their own


@dataclass(frozen=True, slots=True)
class _Told:
    """What became of a fetch: the verdict, what the page gave, and the HTTP status if there was one."""

    verdict: Verdict
    gathered: Harvest = field(default_factory=Harvest)
    status: int | None = None

    @property
    def may_have_items(self) -> bool:
        """Whether a page was parsed, perhaps in part."""
        return self.status is not None and self.status < 300


class Crawl:
    """One crawl and group, as this process works on it.

    Args:
        name: the crawl's name; messages of another crawl become dead letters.
        spec: its section of exchanges.yaml.
        ledger: its memory.
        admission: its door.
        tools: broker, fetcher, spider, sink, robots.txt, the gate of politeness, and who else fetches here.
    """

    def __init__(self, name: str, spec: CrawlSpec, *, ledger: Ledger, admission: Admission, tools: Tools) -> None:
        self.name = name
        self.ledger = ledger
        self.admission = admission
        self.tally = tools.tally
        self._retry = spec.retry
        self._robots, self._token = spec.robots, token_of(spec)
        self._scope = Scope(spec.scope)
        self._tools = tools
        self._settler = Settler(ledger, admission, tools.broker, tools.tally)
        self._trials = Trials(ledger, tools.company)
        self.life = Life(ledger, tools.spiders.values() or [tools.spider])
        self._hosts = HostsInWindow(self.tally)
        self._in_hand: dict[Fingerprint, asyncio.Event] = {}

    @property
    def copies_until_s(self) -> float:
        """Monotonic time until which copies of what others had in hand may still come back."""
        return self._settler.copies_until_s

    async def work(self, delivery: Delivery) -> None:
        """Take one delivery to its end and settle it; after an exception it is still unacknowledged.

        Raises:
            CrawlError: broker, ledger or output are gone; the process cannot go on.
        """
        reached("delivered")
        try:
            message = UrlMessage.read(delivery.body, crawl=self.name)
        except MessageInvalid as error:
            await self._settler.bury(delivery, f"undecodable: {error}")
            return
        if (early_ms := message.early_ms()) > self._tools.gate.hold_ms(message):
            again = self._settler.defer if message.deferrals else self._settler.park
            await again(delivery, message, early_ms)
            return
        url = self.ledger.fingerprint(message.url)
        async with self._in_hand_alone(url):
            with self._hosts.one_of(host(message.url)):
                try:
                    await self._story(delivery, message, url)
                except LedgerForgot as error:
                    log.warning("%s; beginning %s again", error, message.url)
                    await self._story(delivery, message, url)

    async def _story(self, delivery: Delivery, message: UrlMessage, url: Fingerprint) -> None:
        begun = await self.ledger.begin(url, attempt=message.attempt)
        reached("begun")
        match begun.verdict:
            case Begin.DONE:
                acknowledge(delivery)
            case Begin.BUSY:
                await self._settler.park_busy(delivery, message, begun.wait_ms)
            case Begin.PUBLISH if begun.outbox is not None:
                if not await self._settler.resume(delivery, message, begun.outbox):
                    await self._story(delivery, message, url)
            case _ if message.expired():
                await self._settler.settle(delivery, message, Work(url, ""), Finish("expired"))
            case _ if begun.trials is not None and begun.trials >= MOST_TRIALS:
                log.error("%s is given up: %d consumers died over it", message.url, begun.trials + 1)
                await self._settle(delivery, message, Work(url, ""), quarantined(begun.trials))
            case _ if lacking := lack(self._spider(work_queue(delivery.queue)), message.to):
                log.error("%s: %s", message.url, lacking)
                await self._settle(delivery, message, Work(url, ""), no_method(lacking))
            case _:
                await self._fetch_if_allowed(delivery, message, url, begun.trials)

    async def _fetch_if_allowed(
        self, delivery: Delivery, message: UrlMessage, url: Fingerprint, trials: int | None
    ) -> None:
        may = await self._ask_robots(message)
        if not isinstance(may, Allowed):
            await self._settler.settle(delivery, message, Work(url, ""), may)
            return
        if trials is not None and self._trials.crowded:
            await self._settler.park(delivery, message, SUSPECT_PARK_MS, release=url)
            return
        async with (
            self._trials.of(url, trials),
            self._tools.gate.turn(message, url, crawl_delay_s=may.crawl_delay_s) as turn,
        ):
            if turn.park_ms:
                later = message.model_copy(update={"at_address": turn.at_address})
                await self._settler.defer(delivery, later, turn.park_ms, release=url)
                return
            told = await self._fetch(message, turn, work_queue(delivery.queue))
            if told.gathered.invalid:
                await self._settler.bury_items(delivery, message, url, told.gathered.invalid, told.status)
            work = Work(url, "", told.gathered.links, told.gathered.counts, told.gathered.relies_on)
            await self._settle(delivery, message, work, told.verdict, told.status)

    async def _settle(
        self, delivery: Delivery, message: UrlMessage, work: Work, verdict: Verdict, status: int | None = None
    ) -> None:
        """Tell the spider of what goes wrong, then settle."""
        spider = self._spider(work_queue(delivery.queue))
        match verdict:
            case Retry(reason, delay_s) if has(spider, "on_retry"):
                await hooks.tell(spider, "on_retry", _failure(message, reason, status), delay_s)
            case Dead(outcome, reason) if has(spider, "on_failure"):
                await hooks.tell(spider, "on_failure", _failure(message, reason, status, outcome))
        await self._settler.settle(delivery, message, work, verdict, status)

    async def _ask_robots(self, message: UrlMessage) -> Allowed | Verdict:
        try:
            may = await self._tools.robots.verdict(message.url)
        except CrawlError:
            raise
        except Exception as error:  # noqa: BLE001 - as below
            return self._defect(message, error)
        return may if isinstance(may, Allowed) else forbidden(may)

    def _spider(self, queue: str) -> Spider:
        return self._tools.spiders.get(queue, self._tools.spider)

    async def _fetch(self, message: UrlMessage, turn: Turn, queue: str) -> _Told:
        spider, sink = self._spider(queue), self._tools.sinks[queue]
        try:
            request = request_of(message)
            if drop := await middlewares.before(spider.request_middlewares, request):
                return _Told(Finish("skipped"), Harvest(counts=Counter({f"skipped:{drop.reason}": 1})))
            result = await self._tools.fetcher.fetch(message.url, **_options(request))
            reached("fetched")
            await turn.heard(result)
            self.tally.fetched += 1
            if isinstance(result, FetchFailure):
                return _Told(self._judge(result, message))
            self.tally.bytes += result.size_bytes
            archived = sink.archive(result)
            told = await self._read(message, result, request, queue)
            if archived or told.may_have_items:
                reached("items.written")
                await sink.flush()
                reached("items.kept")
        except SpiderRaised as error:  # in a middleware, before anything was fetched
            return _Told(_raised(error))
        except CrawlError:
            raise
        except Exception as error:  # noqa: BLE001 - a defect of ours on one page must not end the crawl of all others
            return _Told(self._defect(message, error))
        return told

    def _judge(self, result: Response | FetchFailure, message: UrlMessage) -> Verdict:
        return judge(result, attempt=message.attempt, retry=self._retry, jitter=_jitter())

    def _defect(self, message: UrlMessage, error: Exception) -> Verdict:
        log.error("defect while working on %s", message.url, exc_info=error)
        return defect(repr(error), attempt=message.attempt, retry=self._retry)

    async def _read(self, message: UrlMessage, came: Response, request: Request, queue: str) -> _Told:
        """What the response means and gives, once the spider's middlewares have seen it."""
        spider, response, gathered = self._spider(queue), came, Harvest()
        try:
            seen = await middlewares.after(spider.response_middlewares, came, request)
            if isinstance(seen, Refuse):
                verdict = refused(
                    seen.reason, again=seen.retry, attempt=message.attempt, retry=self._retry, jitter=_jitter()
                )
                return _Told(verdict, gathered, came.status)
            response, verdict = seen, self._judge(seen, message)
            page = Page(response, message)
            await called(spider, "on_fetched", page)
            match verdict:
                case Finish("ok"):
                    gathered = await self._parse(message, page, queue)
                case Finish("redirect"):
                    gathered = self._follow_redirect(message, response)
        except (SpiderRaised, ItemInvalid, RouteInvalid) as error:
            verdict = _raised(error)
        return _Told(verdict, gathered, response.status)

    async def _parse(self, message: UrlMessage, page: Page, queue: str) -> Harvest:
        """Items to the sink, links as messages."""
        spider, sink = self._spider(queue), self._tools.sinks[queue]
        parsed = await run(spider, page)
        kept = directives.obey(page, parsed, self._robots, self._token)
        url = self.ledger.fingerprint(message.url)
        for item in kept.items:
            await called(spider, "on_item", page, item.thing)
            sink.write(Record(url, item.number, item.fields, item.model))
        self._tools.own_routes.check(kept.errands.values())
        gathered = harvest.links(
            message, kept.follows, self._scope, now_ms=_now_ms(), known=self.admission.known, errands=kept.errands
        )
        gathered.counts.update({f"filtered:{reason}": n for reason, n in kept.rejected.items()})
        if left_out := len(parsed.items) - len(kept.items):
            gathered.counts["items:noindex"] = left_out
        if kept.invalid:
            gathered.counts["items:invalid"] = len(kept.invalid)
            gathered = replace(gathered, invalid=kept.invalid)
        return gathered

    def _follow_redirect(self, message: UrlMessage, response: Response) -> Harvest:
        try:
            target = join(message.url, response.location or "")
        except UrlInvalid as error:
            return Harvest(counts=Counter({f"filtered:{error}": 1}))
        try:
            self._tools.own_routes.check([Errand(route=message.route)])
        except RouteInvalid:  # exchanges.yaml has changed since: then where the crawl's routes say
            message = message.model_copy(update={"route": None})
        return harvest.redirect(message, target, self._scope, now_ms=_now_ms())

    @asynccontextmanager
    async def _in_hand_alone(self, url: Fingerprint) -> AsyncIterator[None]:
        """One story per URL in this process: a redelivery after a lost connection waits for its elder.

        The lease cannot tell the two apart, because both are ours.
        """
        while (elder := self._in_hand.get(url)) is not None:
            await elder.wait()
        self._in_hand[url] = asyncio.Event()
        self.tally.in_flight += 1
        try:
            yield
        except BaseException:
            # Redis may be what has failed; leaving withdraws the heartbeat, which frees the lease too.
            with suppress(CrawlError, TimeoutError):
                async with asyncio.timeout(RELEASE_S):
                    await self.ledger.release(url)
            raise
        finally:
            self.tally.in_flight -= 1
            self._in_hand.pop(url).set()


def _failure(message: UrlMessage, reason: str, status: int | None, outcome: str = "") -> Failure:
    return Failure(message.url, reason, status, message.attempt + 1, message.to, message.meta or {}, outcome)


def _raised(error: Exception) -> Verdict:
    log.warning("%s", error)
    return spider_raised(str(error))


def _options(request: Request) -> dict[str, Any]:
    return {"headers": request.headers} if request.headers else {}


def _jitter() -> float:
    return random.random()  # noqa: S311 - spreads retries, guards nothing


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
