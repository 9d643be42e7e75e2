"""The ledger in Redis: each promise of :mod:`crawl_dedup.ledger` is one function call (see ledger.lua)."""

from collections.abc import Iterator, Sequence
from typing import Any, Self

from crawl_dedup import pin, redis_names
from crawl_dedup.canonical_rules import NO_RULES
from crawl_dedup.errors import CrawlMismatch, LedgerForgot
from crawl_dedup.fingerprint import Fingerprinter
from crawl_dedup.ledger import (
    ALIVE_TTL_S,
    REOPENED_TTL_S,
    SUSPECT_TTL_S,
    Begun,
    Claim,
    Commit,
    Committed,
    Finale,
    Fingerprint,
    LedgerName,
    Outbox,
    Progress,
    Standing,
    Verdict,
)
from crawl_dedup.pulse import Pulse
from crawl_dedup.redis_batch import BatchedRedis

_ALIVE_MS = int(ALIVE_TTL_S * 1000)
_REOPENED_MS = int(REOPENED_TTL_S * 1000)
_SUSPECT_MS = int(SUSPECT_TTL_S * 1000)
#: Keys that one SCAN step looks at: about a millisecond of Redis' time.
_SCAN_COUNT = 5000

_GO, _DONE, _FINISHED = Begun(Verdict.GO), Begun(Verdict.DONE), Committed(None)


class RedisLedger:
    """One crawl's memory in Redis, as one consumer sees it: :meth:`open` it; ``async with`` keeps it alive.

    Args:
        redis: an open connection, which stays the caller's to close.
        name: whose memory.
        consumer: a name that no other living consumer of this ledger has.
        pinned: the rules that the crawl was begun under.
    """

    def __init__(self, redis: BatchedRedis, name: LedgerName, *, consumer: str, pinned: pin.Pin) -> None:
        self.fingerprint = Fingerprinter(pinned.hash_key, pinned.bucket_bits)
        self.seed_parent = self.fingerprint.seed_parent
        self.pinned = pinned
        self._name = name
        self._redis = redis
        self._consumer = consumer
        self._books = redis_names.prefix(name)
        self._alive = redis_names.alive(name, consumer)
        self._pulse = Pulse(self)
        self._in_hand: set[Fingerprint] = set()
        self._mismatch: CrawlMismatch | None = None

    @classmethod
    async def open(
        cls,
        redis: BatchedRedis,
        name: LedgerName,
        *,
        consumer: str,
        expected_urls: int,
        canonicaliser: str = NO_RULES.version,
        hash_key: bytes | None = None,
    ) -> Self:
        """Join a crawl, or begin it.

        Args:
            redis: an open connection, which stays the caller's to close.
            name: whose memory.
            consumer: a name that no other living consumer of this ledger has.
            expected_urls: sizes the ledger when the crawl is begun; later it has no effect.
            canonicaliser: version of the rules by which our URLs are made canonical.
            hash_key: the fingerprints' secret; None: whatever is pinned, or a random one for a new crawl.

        Raises:
            CrawlMismatch: the crawl was begun under rules that are not ours.
            LedgerUnavailable, LedgerRefused: from Redis.
        """
        mine = pin.wanted(expected_urls=expected_urls, canonicaliser=canonicaliser, hash_key=hash_key)
        answer = await redis.call("FCALL", "ledger1_pin", 1, redis_names.prefix(name), *mine.encode())
        pinned = pin.Pin.decode(answer)
        pin.agree(name, pinned, canonicaliser=canonicaliser, hash_key=hash_key)
        return cls(redis, name, consumer=consumer, pinned=pinned)

    def __repr__(self) -> str:
        return f"<RedisLedger {self._name} consumer={self._consumer} at {self._redis.address}>"

    @property
    def name(self) -> LedgerName:
        """Whose memory this is."""
        return self._name

    @property
    def born(self) -> str:
        """See :attr:`crawl_dedup.ledger.Ledger.born`."""
        return self.pinned.born

    @property
    def interruptions(self) -> int:
        """See :attr:`crawl_dedup.ledger.Ledger.interruptions`."""
        return self._redis.connections

    async def __aenter__(self) -> Self:
        await self._pulse.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._pulse.stop()

    async def begin(self, url: Fingerprint, *, attempt: int = 0) -> Begun:
        """See :meth:`crawl_dedup.ledger.Ledger.begin`.

        Raises:
            CrawlMismatch: see :meth:`heartbeat`.
        """
        if self._mismatch is not None:
            raise self._mismatch
        words = (self._books, url, self._consumer, _SUSPECT_MS, attempt)
        answer = await self._redis.call("FCALL", "ledger1_begin", 1, *words)
        match answer[0]:
            case b"go":
                self._in_hand.add(url)
                return _GO if len(answer) == 1 else Begun(Verdict.GO, trials=answer[1])
            case b"done":
                return _DONE
            case b"busy":
                return Begun(Verdict.BUSY, wait_ms=answer[1])
            case _:
                self._in_hand.add(url)
                return Begun(Verdict.PUBLISH, outbox=_outbox(url, answer[1]))

    async def commit(self, commit: Commit) -> Committed:
        """See :meth:`crawl_dedup.ledger.Ledger.commit`."""
        words: list[str | bytes | int] = ["FCALL", "ledger1_commit", 1, self._books]
        words += (commit.parent, self._consumer, commit.outcome, commit.max_admitted)
        words += (commit.relies_on, commit.max_per_host, len(commit.counts))
        for count in commit.counts.items():
            words += count
        if commit.max_per_host:
            for message, host in zip(commit.messages, commit.hosts, strict=True):
                words += (*message, host)
        else:
            for message in commit.messages:
                words += message
        answer = await self._redis.call(*words)
        match answer[0]:
            case b"new":
                self._in_hand.add(commit.parent)
                messages = tuple([commit.messages[index] for index in answer[4]])
                outbox = Outbox(commit.parent, commit.outcome, messages)
                return Committed(outbox, len(messages), *answer[1:4])
            case b"finished":
                self._in_hand.discard(commit.parent)
                return Committed(None, 0, *answer[1:4])
            case b"kept":
                return Committed(_outbox(commit.parent, answer[1]))
            case b"forgot":
                raise LedgerForgot(f"Redis has forgotten crawl {self._name}", remedy="begin the URL again")
            case _:
                self._in_hand.discard(commit.parent)
                return _FINISHED

    async def finish(self, parent: Fingerprint) -> bool:
        """See :meth:`crawl_dedup.ledger.Ledger.finish`."""
        answer = await self._redis.call("FCALL", "ledger1_finish", 1, self._books, parent)
        self._in_hand.discard(parent)
        return bool(answer[0] == b"finished")

    async def confirmed(self, parent: Fingerprint, children: Sequence[Fingerprint]) -> None:
        """See :meth:`crawl_dedup.ledger.Ledger.confirmed`."""
        await self._redis.call("FCALL", "ledger1_confirmed", 1, self._books, parent, *children)

    async def release(self, url: Fingerprint, *, next_attempt: int = 0) -> None:
        """See :meth:`crawl_dedup.ledger.Ledger.release`."""
        self._in_hand.discard(url)
        await self._redis.call("FCALL", "ledger1_release", 1, self._books, url, self._consumer, next_attempt)

    async def restart(self, urls: Sequence[Fingerprint]) -> None:
        """See :meth:`crawl_dedup.ledger.Ledger.restart`."""
        await self._redis.call("FCALL", "ledger1_restart", 1, self._books, *urls)

    async def trial(self, url: Fingerprint, number: int) -> None:
        """See :meth:`crawl_dedup.ledger.Ledger.trial`."""
        await self._redis.call("FCALL", "ledger1_trial", 1, self._books, url, number, _SUSPECT_MS)

    async def cleared(self, url: Fingerprint) -> None:
        """See :meth:`crawl_dedup.ledger.Ledger.cleared`."""
        await self._redis.call("FCALL", "ledger1_cleared", 1, self._books, url)

    async def reopen(self, url: Fingerprint, *, outcome: str, letter: str) -> bool:
        """See :meth:`crawl_dedup.ledger.Ledger.reopen`."""
        words = (self._books, url, outcome, letter, _REOPENED_MS)
        answer = await self._redis.call("FCALL", "ledger1_reopen", 1, *words)
        return bool(answer[0] == b"open")

    async def give_up(self, url: Fingerprint, outcome: str, *, letter: str = "") -> bool:
        """See :meth:`crawl_dedup.ledger.Ledger.give_up`."""
        answer = await self._redis.call("FCALL", "ledger1_give_up", 1, self._books, url, outcome, letter)
        return bool(answer[0] == b"ended")

    async def heartbeat(self) -> None:
        """See :meth:`crawl_dedup.ledger.Ledger.heartbeat`.

        Raises:
            CrawlMismatch: Redis lost the crawl's rules, and others have begun it anew under theirs.
        """
        mine = self.pinned
        answer = await self._redis.call(
            "FCALL",
            "ledger1_heartbeat",
            1,
            self._books,
            *mine.reborn().encode(),
            self._consumer,
            _ALIVE_MS,
            *self._in_hand,
        )
        theirs = pin.Pin.decode(answer)
        try:
            pin.agree(self._name, theirs, canonicaliser=mine.canonicaliser, hash_key=mine.hash_key)
        except CrawlMismatch as error:
            self._mismatch = error  # the pulse goes on; whoever begins a URL next must hear it
            raise
        self.pinned = theirs

    async def leave(self) -> None:
        """See :meth:`crawl_dedup.ledger.Ledger.leave`."""
        self._in_hand.clear()
        await self._redis.call("DEL", self._alive)

    async def orphans(self, *, limit: int = 10) -> Sequence[Outbox]:
        """See :meth:`crawl_dedup.ledger.Ledger.orphans`."""
        answer = await self._redis.call("FCALL", "ledger1_orphans", 1, self._books, self._consumer, limit)
        return [_outbox(Fingerprint(parent.decode()), fields) for parent, fields in answer[1:]]

    async def standing(self, urls: Sequence[Fingerprint]) -> Sequence[Standing]:
        """See :meth:`crawl_dedup.ledger.Ledger.standing`."""
        answer = await self._redis.call("FCALL_RO", "ledger1_standing", 1, self._books, *urls)
        return [Standing(word.decode()) for word in answer]

    async def claim_finale(self, what: str) -> Claim:
        """See :meth:`crawl_dedup.ledger.Ledger.claim_finale`."""
        answer = await self._redis.call("FCALL", "ledger1_claim_finale", 1, self._books, what, self._consumer)
        return Claim(Finale(answer[0].decode()), int(answer[1]) if len(answer) > 1 else 0)

    async def finale_over(self, what: str, claim: Claim) -> None:
        """See :meth:`crawl_dedup.ledger.Ledger.finale_over`."""
        await self._redis.call("FCALL", "ledger1_finale_over", 1, self._books, what, claim.admitted)

    async def progress(self) -> Progress:
        """See :meth:`crawl_dedup.ledger.Ledger.progress`."""
        return await read_progress(self._redis, self._name) or Progress(0, 0, 0, {})


async def read_progress(redis: BatchedRedis, name: LedgerName) -> Progress | None:
    """A ledger's books, read without joining it; None if there is no such ledger."""
    answer = await redis.call("FCALL_RO", "ledger1_progress", 1, redis_names.prefix(name))
    if answer[0] == b"unknown":
        return None
    counts = {key.decode(): int(value) for key, value in _pairs(answer[2]) if value != b"0"}
    return Progress(counts.pop("admitted", 0), counts.pop("open", 0), answer[1], counts)


async def ledger_names(redis: BatchedRedis) -> list[LedgerName]:
    """Every ledger in this Redis, in alphabetical order. Reads through all keys, a few thousand at a time."""
    found: set[LedgerName] = set()
    cursor = b"0"
    while True:
        cursor, keys = await redis.call(
            "SCAN", cursor, "MATCH", redis_names.META_PATTERN, "COUNT", _SCAN_COUNT, "TYPE", "hash"
        )
        found.update(name for key in keys if (name := redis_names.ledger_of(key.decode(errors="replace"))))
        if cursor == b"0":
            return sorted(found, key=str)


def _outbox(parent: Fingerprint, flat: list[bytes]) -> Outbox:
    fields = dict(_pairs(flat))
    outcome = fields.pop(b"_").decode()
    return Outbox(parent, outcome, tuple((Fingerprint(child.decode()), body) for child, body in fields.items()))


def _pairs(flat: list[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)
