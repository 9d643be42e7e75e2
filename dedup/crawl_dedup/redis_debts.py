"""What a ledger still owes, read without joining it: outboxes, leases, and who is alive to settle them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from crawl_dedup import redis_names
from crawl_dedup.ledger import LedgerName
from crawl_dedup.redis_batch import BatchedRedis

#: Keys that one SCAN step looks at: about a millisecond of Redis' time.
_KEYS_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class LedgerDebts:
    """One ledger's debts.

    Attributes:
        outboxes: parents whose links are not all published.
        oldest_outbox_s: age of the oldest, by Redis' clock; 0 without any.
        outbox_messages: messages in outboxes, of the thousand oldest at most.
        leases: URLs that somebody has in hand.
        dead_leases: of these, those whose consumer is gone; they are void.
        alive: names of the processes whose heartbeat is fresh, consumers and others.
    """

    outboxes: int = 0
    oldest_outbox_s: float = 0.0
    outbox_messages: int = 0
    leases: int = 0
    dead_leases: int = 0
    alive: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Members:
    """How many URLs really lie in a ledger's sets, which its counters should agree with."""

    open: int
    done: int


async def read_debts(redis: BatchedRedis, name: LedgerName) -> LedgerDebts:
    """The debts. Reads through the names of all keys, a few thousand at a time.

    Raises:
        LedgerUnavailable, LedgerRefused: from Redis.
    """
    books = redis_names.prefix(name)
    _, outboxes, oldest_ms, messages = await redis.call("FCALL_RO", "ledger1_debts", 1, books)
    holders: list[bytes] = []
    alive: list[str] = []
    # Names in a and l: alive and lease; what else begins so is no string.
    async for keys in _keys(redis, name, "[al]*", kind="string"):
        alive += [key.removeprefix(books + "alive:") for key in keys if key.startswith(books + "alive:")]
        if leases := [key for key in keys if key.startswith(books + "lease:")]:
            holders += [holder for holder in await redis.call("MGET", *leases) if holder is not None]
    dead = sum(holder.decode() not in alive for holder in holders)
    return LedgerDebts(outboxes, oldest_ms / 1000, messages, len(holders), dead, tuple(sorted(alive)))


async def count_members(redis: BatchedRedis, name: LedgerName) -> Members:
    """Count a ledger's sets: a call for each few hundred URLs that it knows."""
    books, admitted, done = redis_names.prefix(name), 0, 0
    async for keys in _keys(redis, name, "[ad]*", kind="set"):
        sizes = [await size for size in [redis.call("SCARD", key) for key in keys]]
        for key, size in zip(keys, sizes, strict=True):
            if key.startswith(books + "adm:"):
                admitted += size
            else:
                done += size
    return Members(admitted, done)


async def _keys(redis: BatchedRedis, name: LedgerName, behind: str, *, kind: str) -> AsyncIterator[list[str]]:
    """The ledger's keys of this kind whose names go on so, each once."""
    pattern = redis_names.pattern(name).removesuffix("*") + behind
    cursor = b"0"
    seen: set[str] = set()
    while True:
        cursor, keys = await redis.call("SCAN", cursor, "MATCH", pattern, "COUNT", _KEYS_AT_ONCE, "TYPE", kind)
        # SCAN may bring a key twice when Redis rehashes meanwhile.
        new = [key for key in map(bytes.decode, keys) if key not in seen]
        seen.update(new)
        yield new
        if cursor == b"0":
            return
