"""Faults of Redis: killed and started again, its last writes lost, its replica promoted.

A Redis that loses its last writes goes back to an earlier moment. Whatever was begun or ended since may be fetched
again. A URL that had ended and was acknowledged since then counts as open, and no message for it exists any more:
that is mended as an operator would, with ``crawl-doctor --repair``.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from crawl_dev.chaos import commands
from crawl_dev.chaos.books import CRAWL
from crawl_dev.chaos.faults import Fault
from crawl_dev.chaos.standstill import standstills
from crawl_dev.chaos.world import World
from crawl_dev.errors import ServersError
from crawl_dev.redis_replicated import ReplicatedRedis
from crawl_dev.redis_server import RedisServer

#: Between two faults.
_BETWEEN_S = (0.5, 2.0)
#: What ``appendfsync everysec`` may lose in a power cut: what was written since an fsync that is a second old.
_UNSYNCED_S = (0.3, 1.2)
#: Under ``everysec`` Redis holds its writes back while the disk is busy with the last ones, for two seconds at most.
_HELD_BACK_S = 2.0
#: A page that was being fetched when the lost window began may have ended in it; one that was begun at its end, and
#: whose lease is lost, may be asked for a moment later.
_IN_HAND_S = 3.0
#: Half of the power cuts leave half a write on the disk: so many bytes of the first lost one.
_TORN_BYTES = (0, 40)
#: Where a master is told the time, and how often.
_CLOCK, _TICK_S = "chaos:clock", 0.1
#: How long a promoted replica's former master stays away.
_AWAY_S = (0.5, 2.0)


async def kill_redis(world: World, times: int) -> None:
    """``kill -9`` of Redis. It has written what it has answered, and the system keeps that: no fetch is explained."""
    for _ in range(times):
        if not (await world.pause(world.rng.uniform(*_BETWEEN_S)) and await world.at_work()):
            return
        start_s = time.monotonic()
        redis = _single(world)
        await asyncio.to_thread(redis.kill)
        await asyncio.to_thread(redis.heal)
        world.note(Fault("kill redis", start_s, time.monotonic()))


async def cut_power(world: World, times: int) -> None:
    """Kill Redis and take from its file what it wrote in the last second; half a write may remain."""
    async with repairs(world) as redis_up:
        for number in range(times):
            if not (await world.pause(world.rng.uniform(*_BETWEEN_S)) and await world.at_work()):
                return
            redis = _single(world)
            async with redis_up:
                start_s = time.monotonic() - _HELD_BACK_S
                survived = redis.on_disk()
                if not await world.pause(world.rng.uniform(*_UNSYNCED_S)):
                    return
                torn_bytes = world.rng.randint(*_TORN_BYTES) if number % 2 else 0
                await asyncio.to_thread(redis.cut_power, survived, torn_bytes)
                await asyncio.to_thread(redis.heal)
                world.note(_rolled_back("power cut", start_s, time.monotonic()))


async def promote(world: World, times: int) -> None:
    """Kill the master, or freeze it every second time, until the Sentinels have promoted its replica."""
    redis = world.servers.redis
    if not isinstance(redis, ReplicatedRedis):
        raise ServersError("this fault needs a replicated Redis")
    async with repairs(world) as redis_up:
        for number in range(times):
            async with _told_the_time(redis.master):
                if not await world.at_work():
                    return
                async with redis_up:
                    await _promote(world, redis, frozen=number % 2 == 1)


@asynccontextmanager
async def _told_the_time(master: RedisServer) -> AsyncIterator[None]:
    """Write down in Redis what time it is while it lives, so that a promoted replica can say what it has missed."""

    async def tell() -> None:
        with suppress(ServersError):
            while True:
                await asyncio.to_thread(master.command, f"SET {_CLOCK} {time.monotonic()}")
                await asyncio.sleep(_TICK_S)

    await asyncio.to_thread(master.command, f"SET {_CLOCK} {time.monotonic()}")
    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.wait([telling])


async def _promote(world: World, redis: ReplicatedRedis, *, frozen: bool) -> None:
    master = redis.master
    await asyncio.to_thread(master.pause if frozen else master.kill)
    try:
        promoted = await asyncio.to_thread(redis.wait_promoted, master)
        promoted_s = time.monotonic()
        # What had not reached it is lost: on loopback milliseconds, on a busy machine seconds.
        start_s = float(promoted.ask(f"GET {_CLOCK}").split("\r\n")[1]) - _TICK_S
        await world.pause(world.rng.uniform(*_AWAY_S))
    finally:
        await asyncio.to_thread(redis.start)
    # A thawed master answers those that are still connected to it, until the Sentinels make a replica of it.
    world.note(_rolled_back("promote", start_s, time.monotonic() if frozen else promoted_s))


def _rolled_back(name: str, start_s: float, end_s: float) -> Fault:
    """Explains what was in anybody's hands, or ended, since ``start_s``; found again, it is published again."""
    return Fault(name, start_s, end_s, consumers=None, before_s=_IN_HAND_S, after_s=_IN_HAND_S, doubled=True)


@asynccontextmanager
async def repairs(world: World) -> AsyncIterator[asyncio.Lock]:
    """Whenever nothing moves any more, publish again what is open, until the crawl is complete.

    The lock is for whoever takes Redis away: no repair is begun then.
    """
    redis_up = asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        group.create_task(_repair(world, redis_up))
        yield redis_up


async def _repair(world: World, redis_up: asyncio.Lock) -> None:
    async for _ in standstills(world):
        async with redis_up:
            start_s = time.monotonic()
            await asyncio.to_thread(_publish_what_is_open, world)
            world.note(Fault("repair", start_s, time.monotonic(), doubled=True))


def _publish_what_is_open(world: World) -> None:
    urls = world.folder / "urls.txt"
    urls.write_text("\n".join(world.plan.reachable))
    commands.run(world.environment, "crawl-doctor", CRAWL, "--repair", "--from", str(urls))


def _single(world: World) -> RedisServer:
    if not isinstance(world.servers.redis, RedisServer):
        raise ServersError("this fault needs a single Redis")
    return world.servers.redis
