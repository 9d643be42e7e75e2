"""Asking for robots.txt politely: a host gives one of its slots for it, as for any page."""

import asyncio
from collections.abc import Mapping

from crawl_consumer.outcome import pushback_ms
from crawl_consumer.response import FetchFailure, Response
from crawl_consumer.robots_fetch import Asks
from crawl_dedup import Asked, Go, Pace, Park, Slots, Ticket, host
from crawl_producer.topology import PolitenessSpec

#: How long a robots.txt may wait for a slot. All pages of the host wait for it, and in a row of many thousands of
#: them its turn would never come: after this it is asked for all the same, once a day at most.
PATIENCE_S = 10.0


class InTurn:
    """What asks for robots.txt, taking a slot of the host first.

    Args:
        fetcher: what asks.
        slots: shared by all consumers of all crawls.
        spec: the crawl's politeness; its delay counts for this request too.
    """

    def __init__(self, fetcher: Asks, slots: Slots, spec: PolitenessSpec) -> None:
        self._fetcher = fetcher
        self._slots = slots
        self._pace = Pace(round(spec.delay_s * 1000), spec.latency_factor, spec.max_in_flight_per_host)

    async def fetch(
        self, url: str, *, first_bytes: int | None = None, headers: Mapping[str, str] | None = None
    ) -> Response | FetchFailure:
        """See :meth:`crawl_consumer.fetch.Fetcher.fetch`. Raises LedgerUnavailable, LedgerRefused."""
        name, ticket = host(url), Ticket(f"robots {url}")
        try:
            going = await self._wait(name, ticket)
            result = await self._fetcher.fetch(url, first_bytes=first_bytes, headers=headers)
        except BaseException:
            await asyncio.shield(self._slots.give_back(name, ticket))
            raise
        if going:
            await self._slots.settle(name, ticket, _asked(result))
        else:
            await self._slots.block(name, self._pace.delay_ms)
        return result

    async def _wait(self, name: str, ticket: Ticket) -> bool:
        """Until it is our turn; False: that is too far away."""
        loop = asyncio.get_running_loop()
        deadline_s, returned = loop.time() + PATIENCE_S, False
        while not isinstance(answer := await self._slots.reserve(name, ticket, self._pace, returned=returned), Go):
            if loop.time() + answer.wait_ms / 1000 > deadline_s:
                await self._slots.give_back(name, ticket)
                return False
            returned = returned or isinstance(answer, Park)
            await asyncio.sleep(answer.wait_ms / 1000)
        return True


def _asked(result: Response | FetchFailure) -> Asked:
    latency_ms = result.answered_after_ms if isinstance(result, Response) else result.elapsed_ms
    return Asked(
        since_answer_ms=int(result.elapsed_ms - latency_ms),
        latency_ms=round(latency_ms),
        # A missing robots.txt is a proper answer.
        clean=isinstance(result, Response) and result.status < 500,
        pushback_ms=pushback_ms(result),
    )
