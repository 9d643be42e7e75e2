"""Links that need not be brought to the ledger again, because nothing that Redis could forget can lose them.

Most links of a page lead where others have led before. For each of those the ledger would say "duplicate", after it
was fingerprinted, enveloped, sent and looked up: a tenth of a page's time, and half of Redis'. A URL is known here
only when

* RabbitMQ has confirmed its message to *this* process, so that it is safe in a queue until a consumer is done
  with it, or
* *this* process has brought it to its end, and what it links to is safe.

That the ledger *said* it is admitted is not enough. Its message may still lie in the outbox of another page, and a
Redis that loses its last second loses that outbox together with the admission. The other page is fetched again then,
perhaps by this process, and must bring all its links. What is known here is safe whatever becomes of Redis.

When a crawl is forgotten and begun anew, nothing of this holds for the new one. So whoever leaves links out says which
memory of the crawl they are known to, and the ledger takes no such commit for another one.
"""

from collections.abc import Iterable, Sequence

#: URLs kept, at most twice as many: about 150 bytes each. Beyond it the oldest are brought to the ledger again.
KEPT = 50_000
#: Longer ones, which are seldom linked to twice, are not kept: 100,000 of the longest URLs would take 200 MB.
MAX_CHARS = 512


class Known:
    """The latest safe URLs of one crawl and group.

    Args:
        born: the memory that they are known to; see :attr:`crawl_dedup.ledger.Ledger.born`.
        kept: how many at least, once there were so many; see :data:`KEPT`.
    """

    def __init__(self, born: str, kept: int = KEPT) -> None:
        self.born = born
        self._kept = kept
        self._young: set[str] = set()
        self._old: set[str] = set()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def __contains__(self, url: object) -> bool:
        return url in self._young or url in self._old

    def strangers(self, urls: Iterable[str]) -> Sequence[str]:
        """Those that are not known, in their order."""
        young, old = self._young, self._old
        return [url for url in urls if url not in young and url not in old]

    def add(self, urls: Iterable[str]) -> None:
        """These are safe."""
        self._young.update([url for url in urls if len(url) <= MAX_CHARS])
        if len(self._young) >= self._kept:
            self._young, self._old = set(), self._young

    def renew(self, born: str) -> None:
        """Begin anew for this memory of the crawl, unless it is the one already."""
        if born != self.born:
            self.born = born
            self.clear()

    def clear(self) -> None:
        """Know nothing."""
        self._young, self._old = set(), set()
