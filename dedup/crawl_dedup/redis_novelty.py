"""What hosts bring, in Redis: the promise of :mod:`crawl_dedup.novelty` is one function call (see novelty.lua)."""

from crawl_dedup import redis_names
from crawl_dedup.ledger import Fingerprint, LedgerName
from crawl_dedup.novelty import REMEMBERED_S, hashed
from crawl_dedup.redis_batch import BatchedRedis

_REMEMBERED_MS = REMEMBERED_S * 1000


class RedisNovelty:
    """See :class:`crawl_dedup.novelty.Novelty`.

    A host takes 9 bytes for each of the pages that are looked at, and Redis keeps a third as much in reserve.

    Args:
        redis: an open connection, which stays the caller's to close.
        name: whose memory.
        of_last: the latest pages of a host to look at, at most 99,999,999.
        least_new: a host of whose latest pages fewer are new is a trap.
    """

    def __init__(self, redis: BatchedRedis, name: LedgerName, *, of_last: int, least_new: int) -> None:
        self._redis = redis
        self._books = redis_names.prefix(name)
        self._rules = (of_last, least_new, _REMEMBERED_MS)

    def __repr__(self) -> str:
        return f"<RedisNovelty {self._books} at {self._redis.address}>"

    async def saw(self, host: str, page: Fingerprint, body: bytes) -> bool:
        """See :meth:`crawl_dedup.novelty.Novelty.saw`."""
        what = (host, hashed(page.encode()), hashed(body))
        answer = await self._redis.call("FCALL", "novelty1_saw", 1, self._books, *what, *self._rules)
        return bool(answer[0] == b"trap")
