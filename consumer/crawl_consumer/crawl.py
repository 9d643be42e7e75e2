"""The story of one URL, one line a step: begin, politeness, fetch, spider, sink, admission, settle.

Whatever goes wrong between two steps leaves the delivery unacknowledged, so RabbitMQ hands it out again and
``begin`` finds where the story had stopped.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from crawl_consumer import harvest, successors
from crawl_consumer.errors import ItemInvalid, SpiderRaised
from crawl_consumer.fetch import Fetcher, Response
from crawl_consumer.harvest import Harvest
from crawl_consumer.outcome import Dead, Finish, Retry, Verdict, defect, judge, spider_raised
from crawl_consumer.page import Page
from crawl_consumer.politeness import Gate, OpenGate, Turn
from crawl_consumer.sink import Sink
from crawl_consumer.spider import Spider, run
from crawl_consumer.tally import HostsInWindow, Tally
from crawl_dedup import CrawlError, Fingerprint, Ledger, Outbox, UrlInvalid, canonicalize, host, join
from crawl_dedup import Verdict as Begin
from crawl_producer.admission import Admission, Work
from crawl_producer.broker import Broker, Delivery, Outgoing
from crawl_producer.errors import MessageInvalid, PublishRefused, Unconfirmed
from crawl_producer.message import UrlMessage
from crawl_producer.scope import Scope
from crawl_producer.topology import CrawlSpec

log = logging.getLogger(__name__)

#: How long a URL is parked whose links a full queue refuses: long enough for consumers to make room.
FULL_QUEUE_PARK_MS = 2000


@dataclass(frozen=True, slots=True)
class Tools:
    """What a story needs besides the crawl's own rules."""

    broker: Broker
    fetcher: Fetcher
    spider: Spider
    sink: Sink
    gate: Gate = field(default_factory=OpenGate)
    tally: Tally = field(default_factory=Tally)


class Crawl:
    """One crawl and group, as this process works on it.

    Args:
        name: the crawl's name; messages of another crawl become dead letters.
        spec: its section of exchanges.yaml.
        ledger: its memory.
        admission: its door.
        tools: broker, fetcher, spider, sink and gate.
    """

    def __init__(self, name: str, spec: CrawlSpec, *, ledger: Ledger, admission: Admission, tools: Tools) -> None:
        self.name = name
        self.ledger = ledger
        self.admission = admission
        self.tally = tools.tally
        self._retry = spec.retry
        self._scope = Scope(spec.scope)
        self._tools = tools
        self._in_hand: dict[Fingerprint, asyncio.Event] = {}
        self._hosts = HostsInWindow(self.tally)

    async def work(self, delivery: Delivery) -> None:
        """Take one delivery to its end and settle it; after an exception it is still unacknowledged.

        Raises:
            CrawlError: broker, ledger or output are gone; the process cannot go on.
        """
        try:
            message = self._read(delivery)
        except MessageInvalid as error:
            self.tally.dead += 1
            await self._replace(delivery, successors.buried(delivery, reason=f"undecodable: {error}"))
            return
        if (early_ms := message.early_ms()) > self._tools.gate.hold_ms(message):
            await (self._defer if message.deferrals else self._park)(delivery, message, early_ms)
            return
        url = self.ledger.fingerprint(message.url)
        async with self._in_hand_alone(url):
            with self._hosts.one_of(host(message.url)):
                await self._story(delivery, message, url)

    async def _story(self, delivery: Delivery, message: UrlMessage, url: Fingerprint) -> None:
        begun = await self.ledger.begin(url)
        match begun.verdict:
            case Begin.DONE:
                delivery.ack()
            case Begin.BUSY:
                await self._park(delivery, message, begun.wait_ms)
            case Begin.PUBLISH if begun.outbox is not None:
                await self._publish_again(delivery, message, begun.outbox)
            case _:
                await self._at_its_hosts_turn(delivery, message, url)

    async def _at_its_hosts_turn(self, delivery: Delivery, message: UrlMessage, url: Fingerprint) -> None:
        async with self._tools.gate.turn(message, url) as turn:
            if turn.park_ms:
                await self._defer(delivery, message, turn.park_ms, release=url)
            else:
                await self._fetch_and_settle(delivery, message, url, turn)

    async def _fetch_and_settle(self, delivery: Delivery, message: UrlMessage, url: Fingerprint, turn: Turn) -> None:
        gathered, status = Harvest(), None
        try:
            result = await self._tools.fetcher.fetch(message.url)
            await turn.heard(result)
            self.tally.fetched += 1
            verdict = judge(result, attempt=message.attempt, retry=self._retry, jitter=random.random())  # noqa: S311 - spreads retries, guards nothing
            if isinstance(result, Response):
                status = result.status
                verdict, gathered = await self._harvest(message, result, verdict)
        except CrawlError:
            raise
        except Exception as error:  # a defect of ours on one page must not end the crawl of all others
            log.exception("defect while working on %s", message.url)
            verdict = defect(repr(error), attempt=message.attempt, retry=self._retry)
        await self._settle(delivery, message, Work(url, "", gathered.links, gathered.counts), verdict, status)

    async def _harvest(self, message: UrlMessage, response: Response, verdict: Verdict) -> tuple[Verdict, Harvest]:
        self.tally.bytes += response.size_bytes
        match verdict:
            case Finish("ok"):
                try:
                    return verdict, await self._parse(message, response)
                except (SpiderRaised, ItemInvalid) as error:
                    log.warning("%s", error)
                    return spider_raised(str(error)), Harvest()
            case Finish("redirect"):
                return verdict, self._follow_redirect(message, response)
            case _:
                return verdict, Harvest()

    async def _parse(self, message: UrlMessage, response: Response) -> Harvest:
        """Items to the sink, safely on disk when this returns; links as messages."""
        page = Page(response, message)
        parsed = await run(self._tools.spider, page)
        for item in parsed.items:
            self._tools.sink.write(item)
        if parsed.items:
            await self._tools.sink.flush()
        gathered = harvest.links(message, parsed.follows, self._scope, now_ms=_now_ms())
        gathered.counts.update({f"filtered:{reason}": n for reason, n in parsed.rejected.items()})
        return gathered

    def _follow_redirect(self, message: UrlMessage, response: Response) -> Harvest:
        try:
            target = join(message.url, response.location or "")
        except UrlInvalid as error:
            return Harvest(counts=Counter({f"filtered:{error}": 1}))
        return harvest.redirect(message, target, self._scope, now_ms=_now_ms())

    async def _settle(
        self, delivery: Delivery, message: UrlMessage, work: Work, verdict: Verdict, status: int | None
    ) -> None:
        if isinstance(verdict, Retry):
            self.tally.retried += 1
            again = successors.retried(delivery, message, reason=verdict.reason, status=status, delay_s=verdict.delay_s)
            await self._replace(delivery, again, release=work.parent)
            return
        if isinstance(verdict, Dead):
            self.tally.dead += 1
            await self._publish(successors.buried(delivery, reason=verdict.reason, message=message, status=status))
        try:
            await self.admission.admit(Work(work.parent, verdict.outcome, work.links, work.counts))
        except PublishRefused:
            await self._park(delivery, message, FULL_QUEUE_PARK_MS, release=work.parent)
        else:
            delivery.ack()

    async def _publish_again(self, delivery: Delivery, message: UrlMessage, outbox: Outbox) -> None:
        try:
            finished = await self.admission.resume(outbox)
        except PublishRefused:
            await self._park(delivery, message, FULL_QUEUE_PARK_MS, release=outbox.parent)
            return
        if finished:
            delivery.ack()
        else:
            await self._story(delivery, message, outbox.parent)

    async def _park(
        self, delivery: Delivery, message: UrlMessage, wait_ms: float, *, release: Fingerprint | None = None
    ) -> None:
        self.tally.parked += 1
        await self._replace(delivery, successors.parked(delivery, message, wait_ms), release=release)

    async def _defer(
        self, delivery: Delivery, message: UrlMessage, wait_ms: float, *, release: Fingerprint | None = None
    ) -> None:
        self.tally.deferred += 1
        await self._replace(delivery, successors.deferred(delivery, message, wait_ms), release=release)

    async def _replace(self, delivery: Delivery, successor: Outgoing, *, release: Fingerprint | None = None) -> None:
        """Acknowledge a delivery for its successor, once that is confirmed and the lease is dropped."""
        await self._publish(successor)
        if release is not None:
            await self.ledger.release(release)
        delivery.ack()

    async def _publish(self, message: Outgoing) -> None:
        while True:  # ends: publish() waits for a connection and raises BrokerUnreachable when there is none
            try:
                return await self._tools.broker.publish(message)
            except Unconfirmed:
                log.info("no confirm for %s, publishing it again", message.message_id)

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
            with suppress(CrawlError):
                await self.ledger.release(url)
            raise
        finally:
            self.tally.in_flight -= 1
            self._in_hand.pop(url).set()

    def _read(self, delivery: Delivery) -> UrlMessage:
        message = UrlMessage.decode(delivery.body)
        if message.crawl != self.name:
            raise MessageInvalid(f"a URL of crawl {message.crawl!r} in a queue of {self.name!r}")
        try:
            canonical = canonicalize(message.url)
        except UrlInvalid as error:
            raise MessageInvalid(f"url: {error}") from None
        if canonical != message.url:
            raise MessageInvalid("url: not canonical")
        return message


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
