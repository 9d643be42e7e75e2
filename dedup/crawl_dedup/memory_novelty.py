"""What hosts bring, in dictionaries: the same promise for tests, and for small crawls within one process."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from crawl_dedup.ledger import Fingerprint
from crawl_dedup.novelty import REMEMBERED_S, hashed


class _Seen(NamedTuple):
    page: bytes
    body: bytes
    new: bool


@dataclass(slots=True)
class _Host:
    latest: deque[_Seen]
    forgotten_s: float = 0.0


@dataclass(slots=True)
class MemoryNoveltyStore:
    """What several consumers share.

    Attributes:
        clock: seconds that never run backwards.
        traps: hosts that bring nothing new.
        hosts: what the others have brought of late.
    """

    clock: Callable[[], float] = time.monotonic
    traps: set[str] = field(default_factory=set)
    hosts: dict[str, _Host] = field(default_factory=dict)


class MemoryNovelty:
    """See :class:`crawl_dedup.novelty.Novelty`.

    Args:
        store: shared by all consumers of one crawl and group.
        of_last: the latest pages of a host to look at.
        least_new: a host of whose latest pages fewer are new is a trap.
    """

    def __init__(self, store: MemoryNoveltyStore, *, of_last: int, least_new: int) -> None:
        self._store = store
        self._of_last = of_last
        self._least_new = least_new

    def __repr__(self) -> str:
        return f"<MemoryNovelty {len(self._store.hosts)} hosts, {len(self._store.traps)} traps>"

    async def saw(self, host: str, page: Fingerprint, body: bytes) -> bool:
        """See :meth:`crawl_dedup.novelty.Novelty.saw`."""
        store = self._store
        if host in store.traps:
            return True
        latest = self._latest(host)
        what = hashed(page.encode()), hashed(body)
        if any(seen.page == what[0] for seen in latest):
            return False
        latest.append(_Seen(*what, all(seen.body != what[1] for seen in latest)))
        store.hosts[host].forgotten_s = store.clock() + REMEMBERED_S
        if len(latest) < self._of_last or sum(seen.new for seen in latest) >= self._least_new:
            return False
        store.traps.add(host)
        del store.hosts[host]
        return True

    def _latest(self, host: str) -> deque[_Seen]:
        known = self._store.hosts.get(host)
        if known is None or known.latest.maxlen != self._of_last or known.forgotten_s <= self._store.clock():
            known = self._store.hosts[host] = _Host(deque(maxlen=self._of_last), self._store.clock() + REMEMBERED_S)
        return known.latest
