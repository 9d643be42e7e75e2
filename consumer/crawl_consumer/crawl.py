"""The story of one URL, one line a step: begin, robots, politeness, visit, admission, settle.

Whatever goes wrong between two steps leaves the delivery unacknowledged, so RabbitMQ hands it out again and
``begin`` finds where the story had stopped.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from crawl_consumer.finale import Life
from crawl_consumer.outcome import Dead, Finish, Retry, Verdict, forbidden, no_method, quarantined
from crawl_consumer.robots import Allowed
from crawl_consumer.settling import Settler, acknowledge
from crawl_consumer.spider import Failure, lack
from crawl_consumer.spiders import hooks
from crawl_consumer.spiders.base import has
from crawl_consumer.suspects import MOST_TRIALS, Trials
from crawl_consumer.tally import HostsInWindow
from crawl_consumer.tools import Tools
from crawl_consumer.visit import Visits
from crawl_dedup import CrawlError, Fingerprint, Ledger, LedgerForgot, host, shown
from crawl_dedup import Verdict as Begin
from crawl_dedup.crash_points import reached
from crawl_producer.admission import Admission, Work
from crawl_producer.broker import Delivery
from crawl_producer.errors import MessageInvalid
from crawl_producer.message import UrlMessage
from crawl_producer.names import work_queue
from crawl_producer.topology import CrawlSpec

log = logging.getLogger(__name__)

#: How long a suspect is parked when others wait already to have the process to themselves.
SUSPECT_PARK_MS = 1000
#: Whoever must leave gives back his lease within this time, or not at all.
RELEASE_S = 2.0


class Crawl:
    """One crawl and group, as this process works on it.

    Args:
        name: the crawl's name; messages of another crawl become dead letters.
        spec: its section of exchanges.yaml.
        ledger: its memory.
        admission: its door.
        tools: what it works with.
    """

    def __init__(self, name: str, spec: CrawlSpec, *, ledger: Ledger, admission: Admission, tools: Tools) -> None:
        self.name = name
        self.ledger = ledger
        self.admission = admission
        self.tally = tools.tally
        self._tools = tools
        self._visits = Visits(spec, ledger=ledger, admission=admission, tools=tools)
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
            message = UrlMessage.read(delivery.body, crawl=self.name, doubt=delivery.doubt)
        except MessageInvalid as error:
            kind = "unsealed" if delivery.doubt else "undecodable"
            await self._settler.bury(delivery, f"{kind}: {error}")
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
                    log.warning("%s; beginning %s again", error, shown(message.url))
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
            case _ if self._tools.traps.holds(message.url):
                await self._settler.settle(delivery, message, Work(url, ""), Finish("trap"))
            case _ if begun.trials is not None and begun.trials >= MOST_TRIALS:
                log.error("%s is given up: %d consumers died over it", shown(message.url), begun.trials + 1)
                await self._settle(delivery, message, Work(url, ""), quarantined(begun.trials))
            case _ if lacking := lack(self._tools.spider_of(work_queue(delivery.queue)), message.to):
                log.error("%s: %s", shown(message.url), lacking)
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
            told = await self._visits.visit(message, turn, work_queue(delivery.queue))
            if told.gathered.invalid:
                await self._settler.bury_items(delivery, message, url, told.gathered.invalid, told.status)
            work = Work(url, "", told.gathered.links, told.gathered.counts, told.gathered.relies_on)
            await self._settle(delivery, message, work, told.verdict, told.status)

    async def _settle(
        self, delivery: Delivery, message: UrlMessage, work: Work, verdict: Verdict, status: int | None = None
    ) -> None:
        """Tell the spider of what goes wrong, then settle."""
        spider = self._tools.spider_of(work_queue(delivery.queue))
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
        except Exception as error:  # noqa: BLE001 - a defect of ours on one page must not end the crawl of all others
            return self._visits.defect(message, error)
        return may if isinstance(may, Allowed) else forbidden(may)

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
    meta, attempts = message.meta or {}, message.attempt + 1
    return Failure(message.url, reason, status, attempts, message.to, meta, outcome, message.parent)
