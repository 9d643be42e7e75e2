"""One visit: a request through the spider's middlewares, one GET, what the answer means, and what the page gives.

Items are safe in their sink when a visit is over; links and refused items are still to be published.
"""

import logging
import random
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from crawl_consumer import directives, harvest
from crawl_consumer.errors import ItemInvalid, SpiderRaised
from crawl_consumer.harvest import Harvest
from crawl_consumer.outcome import Finish, Verdict, defect, judge, refused, spider_raised, unparsable
from crawl_consumer.page import Page
from crawl_consumer.response import FetchFailure, Response
from crawl_consumer.robots import token_of
from crawl_consumer.sink import Record, Sink
from crawl_consumer.spider import Spider, run
from crawl_consumer.spiders import middlewares
from crawl_consumer.spiders.base import has, skims
from crawl_consumer.spiders.middlewares import Refuse, Request, request_of
from crawl_consumer.spiders.running import called
from crawl_consumer.tools import Tools
from crawl_consumer.turn import Turn
from crawl_dedup import CrawlError, Fingerprint, Ledger, UrlInvalid, join, shown
from crawl_dedup.crash_points import reached
from crawl_producer.admission import Admission
from crawl_producer.errand import Errand
from crawl_producer.errors import RouteInvalid
from crawl_producer.message import UrlMessage
from crawl_producer.scope import Scope
from crawl_producer.topology import CrawlSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a visit.

    Attributes:
        verdict: what it means for the URL.
        gathered: what the page gave.
        status: the HTTP status, if there was an answer.
    """

    verdict: Verdict
    gathered: Harvest = field(default_factory=Harvest)
    status: int | None = None

    @property
    def may_have_items(self) -> bool:
        """Whether a page was parsed, perhaps in part."""
        return self.status is not None and self.status < 300


class Visits:
    """Visits the URLs of one crawl.

    Args:
        spec: the crawl's section of exchanges.yaml.
        ledger: its memory, for fingerprints.
        admission: its door, for what is known.
        tools: fetcher, spiders and sinks.
    """

    def __init__(self, spec: CrawlSpec, *, ledger: Ledger, admission: Admission, tools: Tools) -> None:
        self._retry = spec.retry
        self._robots, self._token = spec.robots, token_of(spec)
        self._scope = Scope(spec.scope)
        self._rules = spec.canonical.rules()
        self._ledger = ledger
        self._admission = admission
        self._tools = tools
        self._tally = tools.tally

    async def visit(self, message: UrlMessage, turn: Turn, queue: str) -> Told:
        """Fetch a URL of a work queue, whose host's turn it is, and read what comes.

        Raises:
            CrawlError: the output is gone; whatever else goes wrong is told.
        """
        spider, sink = self._tools.spider_of(queue), self._tools.sinks[queue]
        try:
            request = request_of(message)
            if drop := await middlewares.before(spider.request_middlewares, request):
                return Told(Finish("skipped"), Harvest(counts=Counter({f"skipped:{drop.reason}": 1})))
            result = await self._tools.fetcher.fetch(message.url, **_options(request))
            reached("fetched")
            await turn.heard(result)
            self._tally.fetched += 1
            if isinstance(result, FetchFailure):
                return Told(self._judge(result, message))
            self._tally.bytes += result.size_bytes
            archived = sink.archive(result)
            told = await self._read(message, result, request, spider, sink)
            if not result.tls_verified:
                told.gathered.counts["tls:unverified"] += 1
            if archived or told.may_have_items:
                reached("items.written")
                await sink.flush()
                reached("items.kept")
        except SpiderRaised as error:  # in a middleware, before anything was fetched
            return Told(_raised(error))
        except CrawlError:
            raise
        except Exception as error:  # noqa: BLE001 - a defect of ours on one page must not end the crawl of all others
            return Told(self.defect(message, error))
        return told

    def defect(self, message: UrlMessage, error: Exception) -> Verdict:
        """What an error of our own means for the URL that we worked on; it is logged."""
        log.error("defect while working on %s", shown(message.url), exc_info=error)
        return defect(repr(error), attempt=message.attempt, retry=self._retry)

    def _judge(self, result: Response | FetchFailure, message: UrlMessage) -> Verdict:
        return judge(result, attempt=message.attempt, retry=self._retry, jitter=_jitter())

    async def _read(self, message: UrlMessage, came: Response, request: Request, spider: Spider, sink: Sink) -> Told:
        """What the response means and gives, once the spider's middlewares have seen it."""
        response, gathered = came, Harvest()
        try:
            seen = await middlewares.after(spider.response_middlewares, came, request)
            if isinstance(seen, Refuse):
                verdict = refused(
                    seen.reason, again=seen.retry, attempt=message.attempt, retry=self._retry, jitter=_jitter()
                )
                return Told(verdict, gathered, came.status)
            response, verdict = seen, self._judge(seen, message)
            page = Page(response, message)
            # Nobody else asks an answer that is no page for its tree, whatever that would cost.
            is_read = verdict == Finish("ok") or has(spider, "on_fetched")
            skimmed = skims(spider, page.to)
            async with self._tools.parsing.of(page, skimmed=skimmed) if is_read else nullcontext("") as refusal:
                if refusal:
                    log.warning("%s is not parsed: %s", shown(message.url), refusal)
                    verdict = unparsable(verdict)
                await called(spider, "on_fetched", page)
                match verdict:
                    case Finish("ok"):
                        url = self._ledger.fingerprint(message.url)
                        await self._tools.traps.saw(url, came)
                        gathered = await self._parse(message, url, page, spider, sink)
                    case Finish("redirect"):
                        gathered = self._follow_redirect(message, response)
        except (SpiderRaised, ItemInvalid, RouteInvalid) as error:
            verdict = _raised(error)
        return Told(verdict, gathered, response.status)

    async def _parse(self, message: UrlMessage, url: Fingerprint, page: Page, spider: Spider, sink: Sink) -> Harvest:
        """Items to the sink, links as messages."""
        parsed = await run(spider, page)
        kept = directives.obey(page, parsed, self._robots, self._token)
        self._tools.own_routes.check(kept.errands.values())
        for item in kept.items:  # all before the first is written: of a page that its spider fails, nothing is kept
            await called(spider, "on_item", page, item.thing)
        for item in kept.items:
            sink.write(Record(url, item.number, item.fields, item.model))
        gathered = harvest.links(
            message, kept.follows, self._scope, now_ms=_now_ms(), known=self._admission.known, errands=kept.errands,
            rules=self._rules,
        )  # fmt: skip
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
        return harvest.redirect(message, self._rules(target), self._scope, now_ms=_now_ms())


def _raised(error: Exception) -> Verdict:
    log.warning("%s", error)
    return spider_raised(str(error))


def _options(request: Request) -> dict[str, Any]:
    return {"headers": request.headers} if request.headers else {}


def _jitter() -> float:
    return random.random()  # noqa: S311 - spreads retries, guards nothing


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
