"""Settling: a verdict becomes an acknowledgement, always after the delivery's successor is safe."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from crawl_consumer import successors
from crawl_consumer.outcome import Dead, Park, Retry, Verdict
from crawl_consumer.spiders.items import Invalid
from crawl_consumer.tally import Tally
from crawl_dedup import Fingerprint, Ledger, Outbox, shown
from crawl_dedup.crash_points import reached
from crawl_producer.admission import Admission, Work, refused_pause_s
from crawl_producer.broker import Broker, Delivery, Outgoing
from crawl_producer.errors import PublishFailed, PublishRefused, Unconfirmed
from crawl_producer.message import UrlMessage

log = logging.getLogger(__name__)

#: How long a URL is parked whose links a full queue refuses: long enough for consumers to make room …
FULL_QUEUE_PARK_MS = 2000
#: … and one whose links no queue wants, or that got no confirm: somebody must mend something first.
UNPUBLISHED_PARK_MS = 16_000
#: How long a URL is parked that another consumer has in hand. Mostly that one is nearly done with it, and a copy that
#: is still on its way would outlive the crawl; after a kill it comes back some times more.
BUSY_PARK_MS = 1000


class Settler:
    """Ends the deliveries of one crawl.

    Args:
        ledger: its memory, for leases.
        admission: its door, for links.
        broker: where successors are published.
        tally: counts what became of deliveries.
    """

    def __init__(self, ledger: Ledger, admission: Admission, broker: Broker, tally: Tally) -> None:
        self._ledger = ledger
        self._admission = admission
        self._broker = broker
        self._tally = tally
        #: monotonic time until which copies of URLs that others had in hand are on their way
        self.copies_until_s = 0.0

    async def settle(
        self, delivery: Delivery, message: UrlMessage, work: Work, verdict: Verdict, status: int | None = None
    ) -> None:
        """Do what the verdict says, and acknowledge.

        Args:
            delivery: not yet settled.
            message: its URL.
            work: the URL's fingerprint, and the links that go through the door when it is done.
            verdict: see :mod:`crawl_consumer.outcome`.
            status: the HTTP status, for retries and dead letters.
        """
        match verdict:
            case Park(delay_s):
                # Perhaps longer than the longest rung of the ladder: the message itself says until when.
                later = message.model_copy(update={"not_before_ms": _now_ms() + round(delay_s * 1000)})
                await self.park(delivery, later, delay_s * 1000, release=work.parent)
            case Retry(reason, delay_s):
                self._tally.retried += 1
                again = successors.retried(delivery, message, reason=reason, status=status, delay_s=delay_s)
                await self._replace(delivery, again, release=work.parent, next_attempt=message.attempt + 1)
            case Dead(outcome, reason):
                self._tally.dead += 1
                await self._publish(successors.buried(delivery, reason, message, outcome, status))
                reached("buried")
                await self._done(delivery, message, work, outcome)
            case _:
                await self._done(delivery, message, work, verdict.outcome)

    async def resume(self, delivery: Delivery, message: UrlMessage, outbox: Outbox) -> bool:
        """Publish what an earlier run had committed; False: Redis has lost it, and the URL must be begun again."""
        try:
            finished = await self._admission.resume(outbox)
        except PublishFailed as error:
            await self._park_unpublished(delivery, message, error, outbox.parent)
            return True
        if finished:
            acknowledge(delivery)
        return finished

    async def park(
        self, delivery: Delivery, message: UrlMessage, wait_ms: float, *, release: Fingerprint | None = None
    ) -> None:
        """Bring the message back after about ``wait_ms``."""
        self._tally.parked += 1
        await self._replace(delivery, successors.parked(delivery, message, wait_ms), release=release)

    async def park_busy(self, delivery: Delivery, message: UrlMessage, wait_ms: float) -> None:
        """Bring back what another consumer has in hand."""
        await self.park(delivery, message, min(wait_ms, BUSY_PARK_MS))
        # A rung may be twice as long as the wait.
        self.copies_until_s = time.monotonic() + 2 * BUSY_PARK_MS / 1000

    async def defer(
        self, delivery: Delivery, message: UrlMessage, wait_ms: float, *, release: Fingerprint | None = None
    ) -> None:
        """Bring the message back for its host's turn."""
        self._tally.deferred += 1
        await self._replace(delivery, successors.deferred(delivery, message, wait_ms), release=release)

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """Keep a delivery that is no message of ours as a dead letter, byte for byte."""
        self._tally.dead += 1
        await self._replace(delivery, successors.buried(delivery, reason))

    async def bury_items(
        self, delivery: Delivery, message: UrlMessage, url: Fingerprint, items: Sequence[Invalid], status: int | None
    ) -> None:
        """Keep items that their models refused as dead letters of their page, which goes on.

        That comes before the commit: after it the page is not fetched again. A crash in between brings them twice,
        under the same ids.
        """
        self._tally.dead += len(items)
        for letter in successors.buried_items(delivery, message, url, items, status):
            await self._publish(letter)
        reached("items.buried")

    async def _done(self, delivery: Delivery, message: UrlMessage, work: Work, outcome: str) -> None:
        try:
            await self._admission.admit(replace(work, outcome=outcome))
        except PublishFailed as error:
            await self._park_unpublished(delivery, message, error, work.parent)
        else:
            self._admission.known.add((message.url,))
            acknowledge(delivery)

    async def _park_unpublished(
        self, delivery: Delivery, message: UrlMessage, error: PublishFailed, url: Fingerprint
    ) -> None:
        """The links stay in the outbox; when the URL comes back they are published, and it is not fetched again."""
        wait_ms = FULL_QUEUE_PARK_MS
        if not isinstance(error, PublishRefused):
            log.error("links of %s are not published: %s", shown(message.url), error)
            wait_ms = UNPUBLISHED_PARK_MS
        await self.park(delivery, message, wait_ms, release=url)

    async def _replace(
        self, delivery: Delivery, successor: Outgoing, *, release: Fingerprint | None = None, next_attempt: int = 0
    ) -> None:
        """Acknowledge a delivery for its successor, once that is confirmed and the lease is dropped.

        Not before it is confirmed: from then on the ledger turns copies of earlier attempts away.
        """
        await self._publish(successor)
        reached("successor.confirmed")
        if release is not None:
            await self._ledger.release(release, next_attempt=next_attempt)
            reached("released")
        acknowledge(delivery)

    async def _publish(self, message: Outgoing) -> None:
        # ends: publish() waits for a connection and raises BrokerUnreachable when there is none
        for attempt in count(1):
            try:
                await self._broker.publish(message)
            except Unconfirmed:
                log.info("no confirm for %s, publishing it again", message.message_id)
            except PublishRefused as refused:
                # The queue of a delay, or of dead letters, which has lost its leader and will have another. To give
                # up would end this process and cost a fetch of all that it has in hand.
                log.warning("%s; publishing it again", refused)
                await asyncio.sleep(refused_pause_s(attempt))
            else:
                return


def acknowledge(delivery: Delivery) -> None:
    """Settle a delivery for good: whatever comes after it is safe."""
    delivery.ack()
    reached("acknowledged")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
