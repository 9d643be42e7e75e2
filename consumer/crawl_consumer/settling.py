"""Settling: a verdict becomes an acknowledgement, always after the delivery's successor is safe."""

import logging
import time

from crawl_consumer import successors
from crawl_consumer.outcome import Dead, Park, Retry, Verdict
from crawl_consumer.tally import Tally
from crawl_dedup import Fingerprint, Ledger, Outbox
from crawl_producer.admission import Admission, Work
from crawl_producer.broker import Broker, Delivery, Outgoing
from crawl_producer.errors import PublishRefused, Unconfirmed
from crawl_producer.message import UrlMessage

log = logging.getLogger(__name__)

#: How long a URL is parked whose links a full queue refuses: long enough for consumers to make room.
FULL_QUEUE_PARK_MS = 2000


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
                await self._replace(delivery, again, release=work.parent)
            case Dead(outcome, reason):
                self._tally.dead += 1
                await self._publish(successors.buried(delivery, reason, message, outcome, status))
                await self._done(delivery, message, work, outcome)
            case _:
                await self._done(delivery, message, work, verdict.outcome)

    async def resume(self, delivery: Delivery, message: UrlMessage, outbox: Outbox) -> bool:
        """Publish what an earlier run had committed; False: Redis has lost it, and the URL must be begun again."""
        try:
            finished = await self._admission.resume(outbox)
        except PublishRefused:
            await self.park(delivery, message, FULL_QUEUE_PARK_MS, release=outbox.parent)
            return True
        if finished:
            delivery.ack()
        return finished

    async def park(
        self, delivery: Delivery, message: UrlMessage, wait_ms: float, *, release: Fingerprint | None = None
    ) -> None:
        """Bring the message back after about ``wait_ms``."""
        self._tally.parked += 1
        await self._replace(delivery, successors.parked(delivery, message, wait_ms), release=release)

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

    async def _done(self, delivery: Delivery, message: UrlMessage, work: Work, outcome: str) -> None:
        try:
            await self._admission.admit(Work(work.parent, outcome, work.links, work.counts))
        except PublishRefused:
            await self.park(delivery, message, FULL_QUEUE_PARK_MS, release=work.parent)
        else:
            delivery.ack()

    async def _replace(self, delivery: Delivery, successor: Outgoing, *, release: Fingerprint | None = None) -> None:
        """Acknowledge a delivery for its successor, once that is confirmed and the lease is dropped."""
        await self._publish(successor)
        if release is not None:
            await self._ledger.release(release)
        delivery.ack()

    async def _publish(self, message: Outgoing) -> None:
        while True:  # ends: publish() waits for a connection and raises BrokerUnreachable when there is none
            try:
                return await self._broker.publish(message)
            except Unconfirmed:
                log.info("no confirm for %s, publishing it again", message.message_id)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
