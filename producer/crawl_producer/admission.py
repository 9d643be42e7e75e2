"""The one door into a crawl: commit to the ledger, publish, wait for every confirm, finish.

Seeds and found links come through here alike. Nothing is lost at any instant because the ledger keeps every
message in the parent's outbox until RabbitMQ has confirmed all of them (see crawl_dedup.ledger).
"""

import asyncio
import logging
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Self, TypeVar

from crawl_dedup.canonical import host
from crawl_dedup.crash_points import reached
from crawl_dedup.errors import LedgerForgot
from crawl_dedup.ledger import Commit, Committed, EncodedMessage, Fingerprint, Ledger, Outbox
from crawl_producer.broker import Broker, Outgoing
from crawl_producer.envelope import before_the_body, outgoing
from crawl_producer.errand import Route
from crawl_producer.errors import PublishFailed, PublishRefused, Unroutable
from crawl_producer.known import Known
from crawl_producer.routing import Router
from crawl_producer.siblings import Link, Sibling
from crawl_producer.topology import ScopeSpec

log = logging.getLogger(__name__)

#: Pause after the first refusal, doubled after each …
REFUSED_PAUSE_S = 0.1
#: … up to this.
REFUSED_PAUSE_MAX_S = 5.0

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Work:
    """What one parent brings through the door.

    Attributes:
        parent: the finished URL's fingerprint, or a seed batch's synthetic parent.
        outcome: how the parent ended.
        links: messages for its distinct in-scope links, not yet checked against the ledger.
        counts: links that stayed outside, by ``filtered:<reason>``; and those known, in ``discovered`` and
            ``duplicate``.
        relies_on: the memory that links are known to which were left out for that; see :mod:`crawl_producer.known`.
    """

    parent: Fingerprint
    outcome: str
    links: Sequence[Link] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    relies_on: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many URLs may be admitted to one ledger, and how many of one host; 0: any number."""

    pages: int = 0
    pages_per_host: int = 0

    @classmethod
    def of(cls, scope: ScopeSpec) -> Self:
        """Those of a crawl."""
        return cls(scope.max_pages or 0, scope.max_pages_per_host or 0)


#: Any number of URLs.
NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Admitted:
    """What came of it: new URLs, known ones, those beyond either limit, and leftovers of an earlier, killed run."""

    admitted: int = 0
    duplicate: int = 0
    over_limit: int = 0
    over_host_limit: int = 0
    resumed: int = 0


class Admission:
    """The door of one crawl.

    Args:
        ledgers: the memory of this crawl: one group's for a consumer, every group's for a seeder, because a
            seed belongs to all of them and one publication reaches them all.
        broker: where messages go.
        router: which exchange and key each gets.
        limits: admit no URL beyond them.
        refused_tries: how often to publish what a full queue refuses. A consumer tries once and parks its URL,
            because it holds a delivery; a seeder holds nothing and tries until it is accepted (None).
    """

    def __init__(
        self,
        ledgers: Sequence[Ledger],
        broker: Broker,
        router: Router,
        *,
        limits: Limits = NO_LIMITS,
        refused_tries: int | None = 1,
    ) -> None:
        self._ledgers = ledgers
        self._broker = broker
        self._router = router
        self._limits = limits
        self._refused_tries = refused_tries
        self._known = Known(ledgers[0].born)
        self._interruptions = ledgers[0].interruptions

    @property
    def known(self) -> Known:
        """URLs of found links that need not be brought here again (:func:`crawl_consumer.harvest.links`).

        None at first, and none again after the connection to Redis was lost: if it went back to an earlier moment, a
        queue that somebody purges now may hold the only trace of a URL.
        """
        if (interruptions := self._ledgers[0].interruptions) != self._interruptions:
            self._interruptions = interruptions
            self._known.clear()
        return self._known

    async def admit(self, work: Work, *, seed: bool = False) -> Admitted:
        """Commit, publish, confirm, finish. Returns when the broker has every new link.

        Raises:
            PublishFailed: some message is not in a queue yet; it stays in the outbox, and whoever begins
                the parent again, or sweeps, publishes it.
            LedgerUnavailable: Redis is gone; the same holds.
            LedgerForgot: links were left out that are known to a memory which is no more; nothing was committed.
        """
        while True:
            reached("admitting")
            try:
                commits = await _all([ledger.commit(self._commit(ledger, work, seed=seed)) for ledger in self._ledgers])
            except LedgerForgot:
                await self._ledgers[0].heartbeat()
                self.known.renew(self._ledgers[0].born)
                raise
            open_ones = [(ledger, c.outbox) for ledger, c in zip(self._ledgers, commits, strict=True) if c.outbox]
            reached("committed")
            await self._publish(open_ones)
            reached("confirmed")
            finished = await _all([ledger.finish(work.parent) for ledger, _ in open_ones])
            reached("finished")
            if all(finished):
                if not seed:
                    self._know(work.links, open_ones)
                return max((_admitted(committed, work) for committed in commits), key=lambda a: a.admitted)
            log.warning("Redis lost the commit of %s; committing again", work.parent)

    async def resume(self, outbox: Outbox) -> bool:
        """Publish and finish what an earlier run had committed. False: the ledger lost it, begin again."""
        (ledger,) = self._ledgers
        return await self._resume(ledger, outbox)

    async def sweep(self) -> int:
        """Resume outboxes whose committer died; returns how many. Any process of the crawl may do this."""
        swept = 0
        for ledger in self._ledgers:
            for outbox in await ledger.orphans():
                log.info("publishing %d URLs that %s had left behind", len(outbox.messages), outbox.parent)
                reached("orphans.leased")
                try:
                    await self._resume(ledger, outbox)
                except PublishFailed as error:
                    # It stays in Redis and is tried at the next sweep; other URLs need not wait for it.
                    log.warning("%d URLs stay behind: %s", len(outbox.messages), error)
                else:
                    swept += 1
        return swept

    async def _resume(self, ledger: Ledger, outbox: Outbox) -> bool:
        reached("resuming")
        await self._publish([(ledger, outbox)])
        reached("confirmed")
        finished = await ledger.finish(outbox.parent)
        reached("finished")
        return finished

    def _know(self, links: Sequence[Link], confirmed: Sequence[tuple[Ledger, Outbox]]) -> None:
        for ledger, outbox in confirmed:
            children = {child for child, _ in outbox.messages}
            self.known.add([link.url for link in links if ledger.fingerprint(link.url) in children])

    def _commit(self, ledger: Ledger, work: Work, *, seed: bool) -> Commit:
        fingerprint, envelope = ledger.fingerprint, self._envelope
        messages = [(fingerprint(link.url), envelope(link, seed=seed)) for link in work.links]
        pages, per_host = self._limits.pages, self._limits.pages_per_host
        hosts = [host(link.url) for link in work.links] if per_host else ()
        return Commit(work.parent, work.outcome, messages, work.counts, pages, work.relies_on, per_host, hosts)

    def _envelope(self, link: Link, *, seed: bool) -> EncodedMessage:
        if type(link) is not Sibling and (way := link.way) is not None:  # most are, and need not be asked
            return self._own_envelope(link, *way, seed=seed)
        return before_the_body(self._router.routes(link.url, seed=seed)) + link.encode()

    def _own_envelope(self, link: Link, route: Route | None, priority: int | None, *, seed: bool) -> EncodedMessage:
        routes = self._router.routes(link.url, seed=seed) if route is None else (self._router.named(route),)
        return before_the_body(routes, priority) + link.encode()

    async def _publish(self, outboxes: Sequence[tuple[Ledger, Outbox]]) -> None:
        """Publish every message; those of groups that share an exchange are the same, and one reaches both."""
        known_as = {envelope: child for _, outbox in outboxes for child, envelope in outbox.messages}
        waiting = [message for envelope, child in known_as.items() for message in outgoing(child, envelope)]
        for attempt in count(1):
            failed = await self._failed(waiting)
            if not failed:
                return
            waiting = [message for message, _ in failed]
            if (hopeless := self._hopeless(failed, attempt)) is not None:
                left = {message.message_id for message in waiting}
                await _keep_only({envelope for envelope, child in known_as.items() if child in left}, outboxes)
                raise hopeless
            await asyncio.sleep(refused_pause_s(attempt))

    async def _failed(self, messages: Sequence[Outgoing]) -> list[tuple[Outgoing, PublishFailed]]:
        failures = await self._broker.publish_all(messages) if messages else ()
        return [(m, f) for m, f in zip(messages, failures, strict=True) if f is not None]

    def _hopeless(self, failed: Sequence[tuple[Outgoing, PublishFailed]], attempt: int) -> PublishFailed | None:
        """The failure that another try cannot mend.

        What got no confirm is always worth one: that waits for a connection, or raises that there is none.
        """
        final = self._refused_tries is not None and attempt >= self._refused_tries
        return next(
            (f for _, f in failed if isinstance(f, Unroutable) or (final and isinstance(f, PublishRefused))), None
        )


async def _all(calls: Sequence[Awaitable[_T]]) -> Sequence[_T]:
    """The answers to calls that run side by side; a single one, which is a consumer's, goes without a task."""
    return [await calls[0]] if len(calls) == 1 else await asyncio.gather(*calls)


def refused_pause_s(attempt: int) -> float:
    """Seconds to wait after this many refusals of the same message, from 1 on."""
    return min(REFUSED_PAUSE_S * (1 << min(attempt, 10)), REFUSED_PAUSE_MAX_S)


async def _keep_only(waiting: Collection[EncodedMessage], outboxes: Sequence[tuple[Ledger, Outbox]]) -> None:
    """Let the ledgers forget what the broker has, so that the next try gets further and not the same again."""
    for ledger, outbox in outboxes:
        confirmed = [child for child, envelope in outbox.messages if envelope not in waiting]
        if confirmed:
            await ledger.confirmed(outbox.parent, confirmed)
            reached("partly.confirmed")


def _admitted(committed: Committed, work: Work) -> Admitted:
    if committed.outbox is not None and not committed.admitted:
        resumed = len(committed.outbox.messages)
        return Admitted(duplicate=len(work.links) - resumed, resumed=resumed)
    return Admitted(committed.admitted, committed.duplicate, committed.over_limit, committed.over_host_limit)
