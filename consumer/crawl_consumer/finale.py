"""What spiders are told of a crawl's life: that this process begins, and, once for all of them, that it is complete."""

import logging
from collections.abc import Iterable

from crawl_consumer.errors import SpiderInvalid
from crawl_consumer.spider import Finished, Spider
from crawl_consumer.spiders import blame, hooks
from crawl_consumer.spiders.base import has
from crawl_dedup import Finale, Ledger
from crawl_dedup.crash_points import reached

log = logging.getLogger(__name__)


class Life:
    """The spiders of one crawl.

    Args:
        ledger: the crawl's memory, where it is decided who calls ``on_finish``.
        spiders: those that this process serves; the same one may be there several times.
    """

    def __init__(self, ledger: Ledger, spiders: Iterable[Spider]) -> None:
        self._ledger = ledger
        self._spiders = list({id(spider): spider for spider in spiders}.values())
        self._waiting = {spider.name: spider for spider in self._spiders if has(spider, "on_finish")}

    @property
    def awaits_the_end(self) -> bool:
        """Whether some spider wants to hear of it."""
        return bool(self._waiting)

    async def begin(self) -> None:
        """Call ``on_start``.

        Raises:
            SpiderInvalid: it raised.
        """
        for spider in self._spiders:
            if has(spider, "on_start"):
                try:
                    await hooks.call(spider, "on_start")
                except blame.RAISED as error:
                    blame.unless_we_are_stopped(error)
                    said = f"on_start of {type(spider).__qualname__} raised {type(error).__name__}: {error}"
                    raise SpiderInvalid(said, remedy="mend it; --debug shows where") from error

    async def end(self) -> bool:
        """Call ``on_finish`` if the crawl is complete and it is ours to call; True: for this end that was done."""
        return all([await self._end(name, spider) for name, spider in self._waiting.items()])

    async def _end(self, name: str, spider: Spider) -> bool:
        claim = await self._ledger.claim_finale(name)
        if claim.finale is not Finale.MINE:
            return claim.finale is Finale.OVER
        reached("finale.claimed")
        books, whose = await self._ledger.progress(), self._ledger.name
        log.info("%s is complete; calling on_finish of %s", whose, type(spider).__qualname__)
        counts = {what: n for what, n in books.counts.items() if not what.startswith("outcome:")}
        await hooks.tell(
            spider, "on_finish", Finished(whose.crawl, whose.group, claim.admitted, books.outcomes, counts)
        )
        reached("finale.run")
        await self._ledger.finale_over(name, claim)
        reached("finale.over")
        return True
