"""The state of memory ledgers: what Redis would hold, in dictionaries that several consumers share."""

import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from crawl_dedup import birth
from crawl_dedup.fingerprint import KEY_BYTES, Fingerprinter, is_synthetic
from crawl_dedup.ledger import EncodedMessage, Fingerprint, LedgerName, Outbox


@dataclass(slots=True)
class KeptOutbox:
    """A parent's outbox, and when it was committed."""

    outcome: str
    messages: dict[Fingerprint, EncodedMessage]
    committed_s: float

    def of(self, parent: Fingerprint) -> Outbox:
        """As the ledger answers."""
        return Outbox(parent, self.outcome, tuple(self.messages.items()))


@dataclass(frozen=True, slots=True)
class Lease:
    """Whose a URL is, and when that was last said."""

    holder: str
    renewed_s: float


@dataclass(slots=True)
class Books:
    """One ledger's state; outboxes are in the order of their commits."""

    admitted: set[Fingerprint] = field(default_factory=set)
    done: set[Fingerprint] = field(default_factory=set)
    outboxes: dict[Fingerprint, KeptOutbox] = field(default_factory=dict)
    leases: dict[Fingerprint, Lease] = field(default_factory=dict)
    alive_until_s: dict[str, float] = field(default_factory=dict)
    reopened: dict[Fingerprint, tuple[str, float]] = field(default_factory=dict)  #: by which letter, until when
    suspects: dict[Fingerprint, tuple[int, float]] = field(default_factory=dict)  #: trials so far, until when
    tries: dict[Fingerprint, int] = field(default_factory=dict)  #: the latest attempt that replaced an earlier one
    finales: dict[str, tuple[str, int]] = field(default_factory=dict)  #: who has claimed it, told at so many admitted
    counts: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)  #: URLs admitted of each, while that was limited
    admitted_ever: int = 0
    born: str = field(default_factory=birth.mark)

    def adopt(self, url: Fingerprint) -> bool:
        """Admit a URL that came without having been committed; False: it is admitted already."""
        if url in self.admitted:
            return False
        self.admitted.add(url)
        self.admitted_ever += 1
        self.counts["adopted"] += 1
        return True

    def disown(self, url: Fingerprint) -> None:
        """Whoever has the lease has it no more, and its trace stays."""
        if lease := self.leases.get(url):
            self.leases[url] = replace(lease, holder="")

    def end(self, url: Fingerprint, outcome: str) -> None:
        """Drop a parent's lease; a URL is done with this outcome."""
        self.leases.pop(url, None)
        self.tries.pop(url, None)
        if not is_synthetic(url):
            self.admitted.discard(url)
            self.done.add(url)
            self.counts[f"outcome:{outcome}"] += 1


class MemoryLedgerStore:
    """What several memory ledgers share, as several Redis ledgers share a Redis.

    Args:
        clock: seconds that never run backwards.
        hash_key: the fingerprints' secret; None: a random one.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, hash_key: bytes | None = None) -> None:
        self.clock = clock
        self.fingerprint = Fingerprinter(hash_key or secrets.token_bytes(KEY_BYTES), bucket_bits=0)
        self.interruptions = 0  #: never, unless a test plays a Redis that was away
        self._books: dict[LedgerName, Books] = {}

    def __repr__(self) -> str:
        return f"<MemoryLedgerStore ledgers={[str(name) for name in self._books]}>"

    def books(self, name: LedgerName) -> Books:
        """One ledger's state, made when it is first asked for."""
        return self._books.setdefault(name, Books())

    def names(self) -> list[LedgerName]:
        """Every ledger that was opened, in alphabetical order."""
        return sorted(self._books, key=str)

    def forget(self, name: LedgerName) -> None:
        """Drop all that is known of this ledger."""
        self._books.pop(name, None)
