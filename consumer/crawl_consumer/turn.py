"""One URL's turn: its host's, and where addresses matter its server's as well; asked for, in flight, settled.

The host is only looked at until the address says Go: who must wait for the address has no place in flight at the
host, and the host's delay begins when the request does. The address is asked second, because a URL that its host
sends away must not use up a moment at which the neighbours could have been asked.
"""

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import Protocol

from crawl_consumer.outcome import pushback_ms
from crawl_consumer.response import FetchFailure, Response
from crawl_dedup import FLIGHT_MS, Asked, DedupError, Go, Pace, Park, Reserved, Slots, Ticket

log = logging.getLogger(__name__)

#: A fetch that takes longer renews its place in flight; two renewals fit into its time to live.
RENEW_S = FLIGHT_MS / 3000


class Turn(Protocol):
    """The answer to one URL that wants to be fetched."""

    @property
    def park_ms(self) -> int:
        """Come back after so long; 0: it is this URL's turn."""

    @property
    def at_address(self) -> bool:
        """Whether that is for its server's address, not for its host."""

    async def heard(self, result: Response | FetchFailure) -> None:
        """The request has ended so."""


@dataclass(slots=True)
class Asker:
    """One ticket at one key.

    Attributes:
        slots: where the key's slots are.
        key: a host's name, or ``ip:`` and an address.
        ticket: of the URL.
        pace: how fast the key may be asked.
        returned: it stands in the key's row, and comes back from there.
        owns: the slots hold something for the ticket that must be given back.
    """

    slots: Slots
    key: str
    ticket: Ticket
    pace: Pace
    returned: bool
    owns: bool = False

    async def ask(self, *, look: bool = False) -> Reserved:
        """See :meth:`Slots.reserve`."""
        self.owns = True
        return await self.slots.reserve(self.key, self.ticket, self.pace, returned=self.returned, look=look)

    async def settle(self, asked: Asked) -> None:
        """See :meth:`Slots.settle`."""
        await self.slots.settle(self.key, self.ticket, asked)
        self.owns = False

    async def give_back(self) -> None:
        """Leave nothing behind; what Redis cannot be told now expires there."""
        if self.owns:
            try:
                await self.slots.give_back(self.key, self.ticket)
                self.owns = False
            except DedupError as error:
                log.info("a slot of %s is not given back: %s; it expires", self.key, error)

    async def renew(self) -> None:
        """Say that the request is still in flight."""
        try:
            await self.slots.reserve(self.key, self.ticket, self.pace)
        except DedupError as error:
            log.warning("the request in flight to %s is not renewed: %s", self.key, error)


@dataclass(slots=True)
class PoliteTurn:
    """See :class:`Turn`.

    Attributes:
        host: asks for the host.
        address: asks for its server's address; None: it does not matter, or is not known.
        renew_s: how often a request in flight says so.
        park_ms: see :class:`Turn`.
        at_address: see :class:`Turn`.
    """

    host: Asker
    address: Asker | None
    renew_s: float
    park_ms: int = 0
    at_address: bool = False
    _renewal: asyncio.TimerHandle | None = None
    _renewing: asyncio.Task[None] | None = None

    async def come(self, places: asyncio.Semaphore) -> bool:
        """Hold until it is our turn, and then take a place; False: ``park_ms`` says when to come back."""
        while True:
            # The place comes first: who has been told to go and then waited for it would keep his host waiting.
            await places.acquire()
            going = False
            try:
                asker, answer = await self._ask()
                going = isinstance(answer, Go)
            finally:
                if not going:
                    places.release()
            if isinstance(answer, Go):
                self._renewal = asyncio.get_running_loop().call_later(self.renew_s, self._renew)
                return True
            if isinstance(answer, Park):
                if answer.wait_ms > asker.pace.hold_ms:
                    self.park_ms, self.at_address, asker.owns = answer.wait_ms, asker is self.address, False
                    return False
                asker.returned = True
            await asyncio.sleep(answer.wait_ms / 1000)

    async def _ask(self) -> tuple[Asker, Reserved]:
        """Go of both, or the answer of the one that has to be waited for."""
        answer = await self.host.ask(look=self.address is not None)
        if self.address is None or not isinstance(answer, Go):
            return self.host, answer
        answer = await self.address.ask()
        if not isinstance(answer, Go):
            return self.address, answer
        answer = await self.host.ask()
        if not isinstance(answer, Go):  # in between it was silenced, or another URL of it went
            await self.address.give_back()
        return self.host, answer

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
            log.info("%s pushes back; all consumers leave it alone", self.host.key)
        await self.host.settle(asked)
        if self.address is not None:  # a host that pushes back speaks for itself, not for its neighbours
            await self.address.settle(replace(asked, pushback_ms=None))

    async def close(self) -> None:
        """Give back what was reserved and not used."""
        self._stop_renewing()
        for asker in self._askers():
            await asker.give_back()

    def _askers(self) -> tuple[Asker, ...]:
        return (self.host,) if self.address is None else (self.host, self.address)

    def _renew(self) -> None:
        loop = asyncio.get_running_loop()
        self._renewing = loop.create_task(self._keep_in_flight())
        self._renewal = loop.call_later(self.renew_s, self._renew)

    async def _keep_in_flight(self) -> None:
        for asker in self._askers():
            await asker.renew()

    def _stop_renewing(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
        if self._renewing is not None:
            self._renewing.cancel()
