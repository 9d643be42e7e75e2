"""Hosts that bring nothing new, as this process knows them: endless URLs in front of the same few pages.

Nothing is asked before a fetch. Whoever has fetched a page tells what it brought, and learns in the same call whether
its host is a trap; so each process finds that out by a page of its own at the latest, and fetches nothing there from
then on.
"""

import logging

from crawl_consumer.response import Response
from crawl_dedup import Fingerprint, Novelty, host

log = logging.getLogger(__name__)

#: Traps that a process remembers. One that it forgets costs it another page.
REMEMBERED = 10_000


class Traps:
    """The hosts of one crawl and group that are not asked any more.

    Args:
        novelty: what hosts have brought, for all consumers; None: the crawl does not look.
    """

    def __init__(self, novelty: Novelty | None = None) -> None:
        self._novelty = novelty
        self._hosts: dict[str, None] = {}  # in the order in which they were found

    def holds(self, url: str) -> bool:
        """Whether the host of a URL is one."""
        return bool(self._hosts) and host(url) in self._hosts

    async def saw(self, url: Fingerprint, response: Response) -> None:
        """Note what a page has brought; a body that was not read says nothing.

        Raises:
            LedgerUnavailable: Redis is gone.
        """
        if self._novelty is None or not response.body_read:
            return
        name = host(response.url)
        if await self._novelty.saw(name, url, response.body) and name not in self._hosts:
            log.warning("%s brings nothing new: its other URLs end as trap, and are not fetched", name)
            if len(self._hosts) == REMEMBERED:
                del self._hosts[next(iter(self._hosts))]
            self._hosts[name] = None
