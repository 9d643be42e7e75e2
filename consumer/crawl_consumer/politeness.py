"""Politeness: between begin and fetch a URL waits here for its host's turn, or learns when to come back.

Many more stories are under way than pages are fetched (see :data:`STORIES_PER_PLACE`): whoever waits for his host
holds no place of those that others fetch in. The slots themselves are agreed on in Redis
(:mod:`crawl_dedup.slots`); ``docs/politeness.md`` has the arithmetic.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from crawl_consumer.outcome import pushback_ms
from crawl_consumer.response import FetchFailure, Response
from crawl_dedup import FLIGHT_MS, Asked, DedupError, Fingerprint, Go, Hold, LedgerName, Pace, Slots, Ticket, host
from crawl_producer.message import UrlMessage
from crawl_producer.topology import PolitenessSpec

log = logging.getLogger(__name__)

#: Stories under way for each one that may fetch. One that waits costs some kilobytes, and is held for two seconds
#: at most; with 32 places a process can keep about 250 hosts busy at a request a second each.
STORIES_PER_PLACE = 8
#: A fetch that takes longer renews its place in flight; two renewals fit into its time to live.
RENEW_S = FLIGHT_MS / 3000
#: For how many milliseconds a message whose waiting means nothing any more may be held: any number.
_ANY_MS = float("inf")


class Turn(Protocol):
    """The answer to one URL that wants to be fetched."""

    @property
    def park_ms(self) -> int:
        """Come back after so long; 0: it is this URL's turn."""

    async def heard(self, result: Response | FetchFailure) -> None:
        """The request has ended so."""


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
        renew_s: how often a request in flight says so.
    """

    def __init__(
        self,
        spec: PolitenessSpec,
        slots: Slots,
        places: asyncio.Semaphore,
        *,
        name: LedgerName,
        renew_s: float = RENEW_S,
    ) -> None:
        self._spec = spec
        self._slots = slots
        self._places = places
        self._name = name
        self._renew_s = renew_s

    def hold_ms(self, message: UrlMessage) -> float:
        """See :meth:`Gate.hold_ms`: who comes back from a delay queue a little early waits here."""
        return self._spec.hold_s * 1000 if message.deferrals else 0

    @asynccontextmanager
    async def turn(self, message: UrlMessage, url: Fingerprint, *, crawl_delay_s: float = 0.0) -> AsyncIterator[Turn]:
        """See :meth:`Gate.turn`."""
        ticket = Ticket(f"{self._name} {url} {message.attempt}")
        turn = _Turn(self._slots, host(message.url), ticket, self._pace(crawl_delay_s), self._renew_s)
        try:
            await asyncio.sleep(message.early_ms() / 1000)
            if await turn.come(self._places, returned=message.deferrals > 0):
                try:
                    yield turn
                finally:
                    self._places.release()
            else:
                yield turn
        finally:
            await turn.close()

    def _pace(self, crawl_delay_s: float) -> Pace:
        spec = self._spec
        delay_s = max(spec.delay_s, min(crawl_delay_s, spec.crawl_delay_cap_s))
        return Pace(
            delay_ms=round(delay_s * 1000),
            latency_factor=spec.latency_factor,
            in_flight=spec.max_in_flight_per_host,
            hold_ms=round(spec.hold_s * 1000),
        )


@dataclass(slots=True)
class _Turn:
    """One ticket on its way: asking, in flight, settled."""

    slots: Slots
    host: str
    ticket: Ticket
    pace: Pace
    renew_s: float
    park_ms: int = 0
    _owns: bool = False  #: whether Redis holds something for the ticket that must be given back
    _renewal: asyncio.TimerHandle | None = None
    _renewing: asyncio.Task[None] | None = None

    async def come(self, places: asyncio.Semaphore, *, returned: bool) -> bool:
        """Hold until it is our turn, and then take a place; False: ``park_ms`` says when to come back."""
        self._owns = True
        while True:
            # The place comes first: who has been told to go and then waited for it would keep his host waiting.
            await places.acquire()
            going = False
            try:
                answer = await self.slots.reserve(self.host, self.ticket, self.pace, returned=returned)
                going = isinstance(answer, Go)
            finally:
                if not going:
                    places.release()
            match answer:
                case Go():
                    self._renewal = asyncio.get_running_loop().call_later(self.renew_s, self._renew)
                    return True
                case Hold(wait_ms):
                    pass
                case _ if answer.wait_ms > self.pace.hold_ms:
                    self.park_ms, self._owns = answer.wait_ms, False
                    return False
                case _:
                    wait_ms, returned = answer.wait_ms, True
            await asyncio.sleep(wait_ms / 1000)

    async def heard(self, result: Response | FetchFailure) -> None:
        """See :meth:`Turn.heard`."""
        self._stop_renewing()
        latency_ms = result.answered_after_ms if isinstance(result, Response) else result.elapsed_ms
        asked = Asked(
            since_answer_ms=int(result.elapsed_ms - latency_ms),
            latency_ms=round(latency_ms),
            clean=isinstance(result, Response) and result.status < 400,
            pushback_ms=pushback_ms(result),
        )
        if asked.pushback_ms is not None:
            log.info("%s pushes back; all consumers leave it alone", self.host)
        await self.slots.settle(self.host, self.ticket, asked)
        self._owns = False

    async def close(self) -> None:
        """Give back what was reserved and not used."""
        self._stop_renewing()
        if self._owns:
            try:
                await self.slots.give_back(self.host, self.ticket)
            except DedupError as error:
                log.info("a slot of %s is not given back: %s; it expires", self.host, error)

    def _renew(self) -> None:
        loop = asyncio.get_running_loop()
        self._renewing = loop.create_task(self._keep_in_flight())
        self._renewal = loop.call_later(self.renew_s, self._renew)

    async def _keep_in_flight(self) -> None:
        try:
            await self.slots.reserve(self.host, self.ticket, self.pace)
        except DedupError as error:
            log.warning("the request in flight to %s is not renewed: %s", self.host, error)

    def _stop_renewing(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
        if self._renewing is not None:
            self._renewing.cancel()
