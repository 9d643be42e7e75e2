"""Politeness: between begin and fetch a URL waits here for its host's turn, or learns when to come back.

Many more stories are under way than pages are fetched (see :data:`STORIES_PER_PLACE`): whoever waits for his host
holds no place of those that others fetch in. The slots themselves are agreed on in Redis
(:mod:`crawl_dedup.slots`); ``docs/politeness.md`` has the arithmetic.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Protocol

from crawl_consumer.response import FetchFailure, Response
from crawl_consumer.turn import RENEW_S, Asker, PoliteTurn, Turn
from crawl_dedup import Fingerprint, LedgerName, Pace, Slots, Ticket, host
from crawl_producer.message import UrlMessage
from crawl_producer.topology import PolitenessSpec

#: Stories under way for each one that may fetch. One that waits costs some kilobytes, and is held for two seconds
#: at most; with 32 places a process can keep about 250 hosts busy at a request a second each.
STORIES_PER_PLACE = 8
#: For how many milliseconds a message whose waiting means nothing any more may be held: any number.
_ANY_MS = float("inf")


class Gate(Protocol):
    """What a story passes before it fetches."""

    def hold_ms(self, message: UrlMessage) -> float:
        """How much too early this message may come and still be taken."""

    def turn(
        self, message: UrlMessage, url: Fingerprint, *, crawl_delay_s: float = 0.0
    ) -> AbstractAsyncContextManager[Turn]:
        """Wait for the host's turn, or learn when to come back; fetch and settle inside.

        Args:
            message: the URL.
            url: its fingerprint.
            crawl_delay_s: what the host's robots.txt asks for.

        Raises:
            LedgerUnavailable, LedgerRefused: from Redis.
        """


class OpenGate:
    """For a crawl without politeness: every moment is right, and Redis is asked nothing."""

    park_ms = 0
    at_address = False

    async def heard(self, result: Response | FetchFailure) -> None:
        """Nobody cares."""

    def hold_ms(self, message: UrlMessage) -> float:
        """A retry waits for its time; what was parked while the crawl was polite need not."""
        return _ANY_MS if message.deferrals else 0

    def turn(  # every URL is treated alike
        self,
        message: UrlMessage,  # noqa: ARG002
        url: Fingerprint,  # noqa: ARG002
        *,
        crawl_delay_s: float = 0.0,  # noqa: ARG002
    ) -> AbstractAsyncContextManager[Turn]:
        """At once."""
        return nullcontext(self)


class PoliteGate:
    """The gate of one crawl.

    Args:
        spec: the crawl's ``politeness:`` of exchanges.yaml.
        slots: shared by all consumers of all crawls.
        places: of this process, in which pages are fetched and read.
        name: the crawl and group; keeps tickets of different ones apart.
        address: of a host's server, for crawls with an ``ip_delay_s``; it answers None when there is none.
        renew_s: how often a request in flight says so.
    """

    def __init__(
        self,
        spec: PolitenessSpec,
        slots: Slots,
        places: asyncio.Semaphore,
        *,
        name: LedgerName,
        address: Callable[[str], Awaitable[str | None]] | None = None,
        renew_s: float = RENEW_S,
    ) -> None:
        self._spec = spec
        self._slots = slots
        self._places = places
        self._name = name
        self._address = address
        self._renew_s = renew_s

    def hold_ms(self, message: UrlMessage) -> float:
        """See :meth:`Gate.hold_ms`: who comes back from a delay queue a little early waits here."""
        return self._spec.hold_s * 1000 if message.deferrals else 0

    @asynccontextmanager
    async def turn(self, message: UrlMessage, url: Fingerprint, *, crawl_delay_s: float = 0.0) -> AsyncIterator[Turn]:
        """See :meth:`Gate.turn`."""
        ticket = Ticket(f"{self._name} {url} {message.attempt}")
        name, pace = host(message.url), self._pace(crawl_delay_s)
        asker = Asker(self._slots, name, ticket, pace, returned=message.deferrals > 0)
        turn = PoliteTurn(asker, await self._neighbour(name, ticket, returned=message.at_address), self._renew_s)
        try:
            await asyncio.sleep(message.early_ms() / 1000)
            if await turn.come(self._places):
                try:
                    yield turn
                finally:
                    self._places.release()
            else:
                yield turn
        finally:
            await turn.close()

    async def _neighbour(self, name: str, ticket: Ticket, *, returned: bool) -> Asker | None:
        """Who asks for the turn of the server's address, where addresses matter and this one is known."""
        spec = self._spec
        if spec.ip_delay_s is None or self._address is None:
            return None
        if (address := await self._address(name)) is None:
            return None
        pace = Pace(delay_ms=round(spec.ip_delay_s * 1000), hold_ms=round(spec.hold_s * 1000))
        return Asker(self._slots, f"ip:{address}", ticket, pace, returned=returned)

    def _pace(self, crawl_delay_s: float) -> Pace:
        spec = self._spec
        delay_s = max(spec.delay_s, min(crawl_delay_s, spec.crawl_delay_cap_s))
        return Pace(
            delay_ms=round(delay_s * 1000),
            latency_factor=spec.latency_factor,
            in_flight=spec.max_in_flight_per_host,
            hold_ms=round(spec.hold_s * 1000),
        )
