"""Forgetting a ledger: every key of it is deleted, in batches that never hold Redis up."""

from collections.abc import Callable

from crawl_dedup import birth, redis_names
from crawl_dedup.ledger import LedgerName
from crawl_dedup.redis_batch import BatchedRedis

#: Keys that one step looks at, and at most deletes: about a millisecond of Redis' time. UNLINK leaves the
#: freeing to another thread of Redis.
_KEYS_AT_ONCE = 1000


async def forget(redis: BatchedRedis, name: LedgerName, *, on_deleted: Callable[[int], None] = lambda _: None) -> int:
    """Delete all that Redis knows of this ledger. Stop its consumers first: they would write to it again.

    The meta key goes last, so that a forgetting that was killed can be found and run again. From the first step on it
    has a new mark of birth: whatever relies on what is being forgotten is refused, and no repair takes what was
    published before for lost, when it finds half of the memory gone.

    Args:
        redis: an open connection.
        name: whose memory.
        on_deleted: called after each batch with the number of keys deleted so far.

    Returns:
        How many keys were deleted; 0 if there was no such ledger.

    Raises:
        LedgerUnavailable, LedgerRefused: from Redis; what is deleted by then stays deleted.
    """
    meta = redis_names.meta(name).encode()
    if await redis.call("EXISTS", meta):
        await redis.call("HSET", meta, "born", birth.mark())
    deleted: int = 0
    cursor = b"0"
    while True:
        cursor, keys = await redis.call("SCAN", cursor, "MATCH", redis_names.pattern(name), "COUNT", _KEYS_AT_ONCE)
        doomed = [key for key in keys if key != meta]
        if doomed:
            deleted += await redis.call("UNLINK", *doomed)
            on_deleted(deleted)
        if cursor == b"0":
            break
    deleted += await redis.call("UNLINK", meta)
    on_deleted(deleted)
    return deleted
