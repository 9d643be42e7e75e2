"""A list, set or sorted set of Redis as a source, such as scrapy-redis' ``<spider>:start_urls``.

Members are looked at, admitted, and then removed by their value: at no moment are they nowhere, and what a crash
leaves is taken again and is known by then. Removing one twice, after a lost answer, removes another copy of what was
admitted at most. What is no URL moves to the list ``<key>:rejected``, with the reason.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crawl_dedup import BatchedRedis
from crawl_producer.errors import SeedsUnreadable
from crawl_producer.sources.service import BATCH, Written

Command = tuple[str | bytes | int, ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one type of key is read and shortened."""

    look: Callable[[str], Command]
    remove: Callable[[str, bytes], Command]


#: By Redis' name for it. The first in a list and the highest in a sorted set come first, as scrapy-redis takes them.
_KINDS = {
    b"list": _Kind(lambda key: ("LRANGE", key, 0, BATCH - 1), lambda key, member: ("LREM", key, 1, member)),
    b"set": _Kind(lambda key: ("SRANDMEMBER", key, BATCH), lambda key, member: ("SREM", key, member)),
    b"zset": _Kind(lambda key: ("ZREVRANGE", key, 0, BATCH - 1), lambda key, member: ("ZREM", key, member)),
}


class RedisKey:
    """See :class:`crawl_producer.sources.service.Source`.

    Args:
        redis: stays the caller's to close.
        key: the key's name; where there is none, it counts as empty.
    """

    def __init__(self, redis: BatchedRedis, key: str) -> None:
        self.name = key
        self._redis = redis
        self._kind: _Kind | None = None

    def __repr__(self) -> str:
        return f"<RedisKey {self.name} at {self._redis.address}>"

    async def next(self) -> Sequence[Written[bytes]]:
        """See :class:`Source`.

        Raises:
            SeedsUnreadable: the key holds something else.
            LedgerUnavailable, LedgerRefused: from Redis.
        """
        kind = await self._redis.call("TYPE", self.name)
        if kind == b"none":
            return ()
        if kind not in _KINDS:
            raise SeedsUnreadable(
                f"{self.name} in Redis is a {kind.decode()}", remedy="name a list, a set or a sorted set of URLs"
            )
        self._kind = _KINDS[kind]
        members = await self._redis.call(*self._kind.look(self.name))
        return [Written(member, member) for member in members]

    async def let_go(self, taken: Sequence[Written[bytes]], bad: Sequence[tuple[Written[bytes], str]]) -> None:
        """See :class:`Source`. Raises LedgerUnavailable, LedgerRefused."""
        if self._kind is None:
            return
        if bad:
            notes = [_note(message.body, reason) for message, reason in bad]
            await self._redis.call("RPUSH", f"{self.name}:rejected", *notes)
        members = [message.handle for message in taken] + [message.handle for message, _ in bad]
        for answer in [self._redis.call(*self._kind.remove(self.name, member)) for member in members]:
            await answer


def _note(body: bytes, reason: str) -> str:
    text = body.decode("utf-8", "backslashreplace")
    return json.dumps({"text": text, "reason": reason, "at_ms": time.time_ns() // 1_000_000})
