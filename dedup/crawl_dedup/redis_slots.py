"""Host slots in Redis: each promise of :mod:`crawl_dedup.slots` is one function call (see slots.lua)."""

import random

from crawl_dedup import redis_names
from crawl_dedup.redis_batch import BatchedRedis
from crawl_dedup.slots import GO, Asked, Hold, Pace, Park, Reserved, Ticket


class RedisSlots:
    """The slots of all hosts, shared by everybody who uses this Redis.

    Args:
        redis: an open connection, which stays the caller's to close.
    """

    def __init__(self, redis: BatchedRedis) -> None:
        self._redis = redis

    def __repr__(self) -> str:
        return f"<RedisSlots at {self._redis.address}>"

    async def reserve(
        self, host: str, ticket: Ticket, pace: Pace, *, returned: bool = False, look: bool = False
    ) -> Reserved:
        """See :meth:`crawl_dedup.slots.Slots.reserve`."""
        answer = await self._redis.call(
            "FCALL", "slots1_reserve", 1, redis_names.host(host), ticket,
            pace.delay_ms, str(pace.latency_factor), pace.in_flight, pace.hold_ms, int(returned), int(look),
        )  # fmt: skip
        match answer[0]:
            case b"go":
                return GO
            case b"hold":
                return Hold(answer[1])
            case _:
                return Park(answer[1])

    async def give_back(self, host: str, ticket: Ticket) -> None:
        """See :meth:`crawl_dedup.slots.Slots.give_back`."""
        await self._redis.call("FCALL", "slots1_give_back", 1, redis_names.host(host), ticket)

    async def settle(self, host: str, ticket: Ticket, asked: Asked) -> None:
        """See :meth:`crawl_dedup.slots.Slots.settle`."""
        pushback_ms = -1 if asked.pushback_ms is None else asked.pushback_ms
        jitter = random.random()  # noqa: S311 - spreads returns, guards nothing
        await self._redis.call(
            "FCALL", "slots1_settle", 1, redis_names.host(host), ticket,
            asked.since_answer_ms, asked.latency_ms, int(asked.clean), pushback_ms, f"{jitter:.3f}",
        )  # fmt: skip

    async def block(self, host: str, for_ms: int) -> None:
        """See :meth:`crawl_dedup.slots.Slots.block`."""
        await self._redis.call("FCALL", "slots1_block", 1, redis_names.host(host), for_ms)
