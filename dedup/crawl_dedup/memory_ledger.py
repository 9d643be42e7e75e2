"""The ledger in dictionaries: the same promise for tests, and for small crawls within one process."""

from collections.abc import Sequence
from typing import Self

from crawl_dedup.errors import LedgerForgot
from crawl_dedup.fingerprint import is_synthetic
from crawl_dedup.ledger import (
    ALIVE_TTL_S,
    LEASE_HOLDS_S,
    REOPENED_TTL_S,
    SUSPECT_TTL_S,
    Begun,
    Claim,
    Commit,
    Committed,
    EncodedMessage,
    Finale,
    Fingerprint,
    LedgerName,
    Outbox,
    Progress,
    Standing,
    Verdict,
)
from crawl_dedup.memory_store import Books, KeptOutbox, Lease, MemoryLedgerStore
from crawl_dedup.pulse import Pulse

#: As in ledger.lua, times in seconds; the reasons stand there.
ORPHAN_AFTER_S = 10.0
SWEEP_MESSAGES = 2000
_LEASE_TRACE_S = 600.0
_BUSY_AT_LEAST_MS = 250


class MemoryLedger:
    """One crawl's memory in this process, as one consumer sees it; ``async with`` keeps it alive.

    Args:
        store: shared by all consumers.
        name: whose memory.
        consumer: a name that no other living consumer of this ledger has.
    """

    def __init__(self, store: MemoryLedgerStore, name: LedgerName, consumer: str) -> None:
        self.fingerprint = store.fingerprint
        self.seed_parent = store.fingerprint.seed_parent
        self._name = name
        self._store = store
        self._consumer = consumer
        self._pulse = Pulse(self)
        self._in_hand: set[Fingerprint] = set()
        store.books(name)

    def __repr__(self) -> str:
        return f"<MemoryLedger {self._name} consumer={self._consumer}>"

    @property
    def name(self) -> LedgerName:
        """Whose memory this is."""
        return self._name

    @property
    def born(self) -> str:
        """See :attr:`crawl_dedup.ledger.Ledger.born`."""
        return self._books.born

    @property
    def interruptions(self) -> int:
        """See :attr:`crawl_dedup.ledger.Ledger.interruptions`."""
        return self._store.interruptions

    @property
    def _books(self) -> Books:
        return self._store.books(self._name)

    async def __aenter__(self) -> Self:
        await self._pulse.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._pulse.stop()

    async def begin(self, url: Fingerprint, *, attempt: int = 0) -> Begun:
        """See :meth:`crawl_dedup.ledger.Ledger.begin`."""
        books = self._books
        if url in books.done:
            return Begun(Verdict.DONE)
        holder, alive_s = self._living_holder(url)
        if holder and holder != self._consumer:
            return Begun(Verdict.BUSY, wait_ms=max(round(alive_s * 1000), _BUSY_AT_LEAST_MS))
        if books.tries.get(url, 0) > attempt and url not in books.outboxes:
            return Begun(Verdict.DONE)
        trials = self._trials(url)
        self._lease(url)
        self._in_hand.add(url)
        if kept := books.outboxes.get(url):
            return Begun(Verdict.PUBLISH, outbox=kept.of(url))
        books.adopt(url)
        return Begun(Verdict.GO, trials=trials)

    def _trials(self, url: Fingerprint) -> int | None:
        """How often this URL was tried alone since a consumer died with it in hand, which its lease shows."""
        books, now_s = self._books, self._store.clock()
        trials, until_s = books.suspects.get(url, (0, 0.0))
        if now_s < until_s:
            return trials
        lease = books.leases.get(url)
        if lease is None or lease.holder == self._consumer or lease.renewed_s + _LEASE_TRACE_S <= now_s:
            return None
        books.suspects[url] = (0, now_s + SUSPECT_TTL_S)
        return 0

    async def commit(self, commit: Commit) -> Committed:
        """See :meth:`crawl_dedup.ledger.Ledger.commit`."""
        books, parent = self._books, commit.parent
        if commit.relies_on not in {"", books.born}:
            raise LedgerForgot(f"crawl {self._name} was forgotten", remedy="begin the URL again")
        if parent in books.done:
            self._in_hand.discard(parent)
            return Committed(None)
        if not is_synthetic(parent):
            books.adopt(parent)
        if kept := books.outboxes.get(parent):
            return Committed(kept.of(parent))
        new, duplicate, over, over_host = self._admit(commit)
        filtered = sum(by for what, by in commit.counts.items() if what.startswith("filtered:"))
        books.counts.update(commit.counts)
        books.counts.update(discovered=len(commit.messages) + filtered, duplicate=duplicate)
        books.counts["filtered:max_pages"] += over
        books.counts["filtered:max_pages_per_host"] += over_host
        if not new:
            self._in_hand.discard(parent)
            books.end(parent, commit.outcome)
            return Committed(None, 0, duplicate, over, over_host)
        books.outboxes[parent] = kept = KeptOutbox(commit.outcome, new, self._store.clock())
        self._lease(parent)
        self._in_hand.add(parent)
        return Committed(kept.of(parent), len(new), duplicate, over, over_host)

    def _admit(self, commit: Commit) -> tuple[dict[Fingerprint, EncodedMessage], int, int, int]:
        books, new, duplicate, over, over_host = self._books, {}, 0, 0, 0
        hosts = commit.hosts if commit.max_per_host else [""] * len(commit.messages)
        for (child, message), host in zip(commit.messages, hosts, strict=True):
            if child in books.admitted or child in books.done:
                duplicate += 1
            elif commit.max_admitted and books.admitted_ever >= commit.max_admitted:
                over += 1
            elif commit.max_per_host and books.hosts[host] >= commit.max_per_host:
                over_host += 1
            else:
                books.admitted.add(child)
                books.admitted_ever += 1
                books.hosts[host] += bool(commit.max_per_host)
                new[child] = message
        return new, duplicate, over, over_host

    async def finish(self, parent: Fingerprint) -> bool:
        """See :meth:`crawl_dedup.ledger.Ledger.finish`."""
        self._in_hand.discard(parent)
        books = self._books
        if kept := books.outboxes.pop(parent, None):
            books.end(parent, kept.outcome)
            return True
        return is_synthetic(parent) or parent in books.done

    async def confirmed(self, parent: Fingerprint, children: Sequence[Fingerprint]) -> None:
        """See :meth:`crawl_dedup.ledger.Ledger.confirmed`."""
        if kept := self._books.outboxes.get(parent):
            for child in children:
                kept.messages.pop(child, None)

    async def release(self, url: Fingerprint, *, next_attempt: int = 0) -> None:
        """See :meth:`crawl_dedup.ledger.Ledger.release`."""
        self._in_hand.discard(url)
        books, lease = self._books, self._books.leases.get(url)
        if lease and lease.holder == self._consumer:
            del books.leases[url]
            if next_attempt > books.tries.get(url, 0):
                books.tries[url] = next_attempt

    async def restart(self, urls: Sequence[Fingerprint]) -> None:
        """See :meth:`crawl_dedup.ledger.Ledger.restart`."""
        for url in urls:
            self._books.tries.pop(url, None)
            self._books.disown(url)

    async def trial(self, url: Fingerprint, number: int) -> None:
        """See :meth:`crawl_dedup.ledger.Ledger.trial`."""
        self._books.suspects[url] = (number, self._store.clock() + SUSPECT_TTL_S)

    async def cleared(self, url: Fingerprint) -> None:
        """See :meth:`crawl_dedup.ledger.Ledger.cleared`."""
        self._books.suspects.pop(url, None)

    async def reopen(self, url: Fingerprint, *, outcome: str, letter: str) -> bool:
        """See :meth:`crawl_dedup.ledger.Ledger.reopen`."""
        books, mine = self._books, (letter, self._store.clock() + REOPENED_TTL_S)
        books.tries.pop(url, None)
        if not self._living_holder(url)[0]:
            books.disown(url)
        if url not in books.done:
            if books.adopt(url):
                books.reopened[url] = mine
            return True
        if not outcome or self._reopened_by(url) == letter:
            return False
        books.reopened[url] = mine
        books.suspects.pop(url, None)
        books.done.remove(url)
        books.admitted.add(url)
        books.counts[f"outcome:{outcome}"] -= 1
        return True

    async def give_up(self, url: Fingerprint, outcome: str, *, letter: str = "") -> bool:
        """See :meth:`crawl_dedup.ledger.Ledger.give_up`."""
        books = self._books
        if letter and self._reopened_by(url) != letter:
            return False
        if url not in books.admitted or url in books.outboxes or self._living_holder(url)[0]:
            return False
        books.end(url, outcome)
        return True

    async def heartbeat(self) -> None:
        """See :meth:`crawl_dedup.ledger.Ledger.heartbeat`."""
        books, now_s = self._books, self._store.clock()
        books.alive_until_s[self._consumer] = now_s + ALIVE_TTL_S
        for url in self._in_hand:
            if (lease := books.leases.get(url)) and lease.holder == self._consumer:
                self._lease(url)

    async def leave(self) -> None:
        """See :meth:`crawl_dedup.ledger.Ledger.leave`."""
        self._in_hand.clear()
        self._books.alive_until_s.pop(self._consumer, None)

    async def orphans(self, *, limit: int = 10) -> Sequence[Outbox]:
        """See :meth:`crawl_dedup.ledger.Ledger.orphans`."""
        old_s = self._store.clock() - ORPHAN_AFTER_S
        found: list[Outbox] = []
        room = SWEEP_MESSAGES
        for parent, kept in self._books.outboxes.items():
            if len(found) == limit or room <= 0 or kept.committed_s > old_s:
                break
            if not self._living_holder(parent)[0]:
                self._lease(parent)
                found.append(kept.of(parent))
                room -= len(kept.messages) + 1
        return found

    async def standing(self, urls: Sequence[Fingerprint]) -> Sequence[Standing]:
        """See :meth:`crawl_dedup.ledger.Ledger.standing`."""
        return [self._standing(url) for url in urls]

    def _standing(self, url: Fingerprint) -> Standing:
        books = self._books
        if url in books.done or url not in books.admitted:
            return Standing.DONE if url in books.done else Standing.UNKNOWN
        return Standing.HELD if url in books.outboxes or self._living_holder(url)[0] else Standing.FREE

    async def claim_finale(self, what: str) -> Claim:
        """See :meth:`crawl_dedup.ledger.Ledger.claim_finale`."""
        books = self._books
        if books.admitted or books.outboxes or not books.admitted_ever:
            return Claim(Finale.OPEN)
        holder, told = books.finales.get(what, ("", 0))
        if told == books.admitted_ever:
            return Claim(Finale.OVER)
        if holder not in {"", self._consumer} and books.alive_until_s.get(holder, 0.0) > self._store.clock():
            return Claim(Finale.THEIRS)
        books.finales[what] = (self._consumer, told)
        return Claim(Finale.MINE, books.admitted_ever)

    async def finale_over(self, what: str, claim: Claim) -> None:
        """See :meth:`crawl_dedup.ledger.Ledger.finale_over`."""
        self._books.finales[what] = ("", claim.admitted)

    async def progress(self) -> Progress:
        """See :meth:`crawl_dedup.ledger.Ledger.progress`."""
        books = self._books
        counts = {what: count for what, count in books.counts.items() if count}
        return Progress(books.admitted_ever, len(books.admitted), len(books.outboxes), counts)

    def _reopened_by(self, url: Fingerprint) -> str | None:
        letter, until_s = self._books.reopened.get(url, (None, 0.0))
        return letter if self._store.clock() < until_s else None

    def _lease(self, url: Fingerprint) -> None:
        self._books.leases[url] = Lease(self._consumer, self._store.clock())

    def _living_holder(self, url: Fingerprint) -> tuple[str, float]:
        """Whose living lease lies on this URL, and for how many seconds he lives at least; or nobody's."""
        lease, now_s = self._books.leases.get(url), self._store.clock()
        if lease is None or lease.renewed_s + LEASE_HOLDS_S <= now_s:
            return "", 0.0
        alive_s = self._books.alive_until_s.get(lease.holder, 0.0) - now_s
        return (lease.holder, alive_s) if alive_s > 0 else ("", 0.0)
