"""Faults of the network between consumers and servers: silence, resets, refusals, answers cut in the middle.

Consumers reach the servers through proxies. Whoever is cut off lives on, and comes back before others may take what he
holds: none of these faults explains an extra fetch, but for pages that failed while RabbitMQ was away.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from crawl_dev.chaos.brokers import disconnected
from crawl_dev.chaos.faults import Fault
from crawl_dev.chaos.recipe import seed_once
from crawl_dev.chaos.world import World
from crawl_dev.ports import LOOPBACK
from crawl_dev.tcp_proxy import TcpProxy

#: Silence that is shorter than every patience …
_SHORT_S = 3.0
#: … beyond the heartbeat of 5 s, of which RabbitMQ and pika allow two to three, so that both ends give up.
_LONG_S = 18.0
#: Redis' silence is given up after 10 s; a consumer's leases hold for 10 s at least without a heartbeat of it.
_REDIS_LONG_S = 11.0
#: How long nobody listens.
_REFUSED_S = 4.0
#: Between two faults.
_BETWEEN_S = (0.5, 2.0)
#: Where an answer of Redis is cut: within one, between two, behind some.
_TORN_BYTES = (1, 400)

_BROKER, _REDIS = "broker", "redis"


async def seed_behind_proxies(world: World) -> None:
    """Seed as usual; the consumers to come reach every server through a proxy."""
    await seed_once(world)
    world.proxies[_BROKER] = [await _proxy(world, node.port) for node in world.servers.rabbit.nodes]
    world.proxies[_REDIS] = [await _proxy(world, world.servers.redis.port)]
    nodes = ",".join(f"{LOOPBACK}:{proxy.port}" for proxy in world.proxies[_BROKER])
    url = f"redis://{LOOPBACK}:{world.proxies[_REDIS][0].port}/0"
    world.consumers.more_environment = {"CRAWL_RABBITMQ_NODES": nodes, "CRAWL_REDIS_URL": url}


async def cut_broker(world: World, times: int) -> None:
    """The network to RabbitMQ: a reset, a short silence, a long one, and nobody there, by turns."""
    await _by_turns(
        world,
        times,
        "cut broker",
        _BROKER,
        (_reset, _silence(_SHORT_S), _silence(_LONG_S), _gone),
    )


async def cut_redis(world: World, times: int) -> None:
    """The network to Redis: a reset, an answer cut in the middle, two silences, and nobody there, by turns."""
    await _by_turns(
        world, times, "cut redis", _REDIS, (_reset, _torn, _silence(_SHORT_S), _silence(_REDIS_LONG_S), _gone, _torn)
    )


_Cut = Callable[[World, TcpProxy], Awaitable[None]]


async def _by_turns(world: World, times: int, name: str, where: str, cuts: tuple[_Cut, ...]) -> None:
    for number in range(times):
        if not (await world.pause(world.rng.uniform(*_BETWEEN_S)) and await world.at_work()):
            return
        start_s = time.monotonic()
        cut = cuts[number % len(cuts)]
        await asyncio.gather(*(cut(world, proxy) for proxy in world.proxies[where]))
        explains_none = Fault(name, start_s, time.monotonic())
        world.note(disconnected(name, start_s) if where == _BROKER else explains_none)


async def _reset(_world: World, proxy: TcpProxy) -> None:
    proxy.cut()


async def _torn(world: World, proxy: TcpProxy) -> None:
    ended = proxy.ended
    proxy.tear(world.rng.randint(*_TORN_BYTES))
    await proxy.until(ended=ended + 1)


def _silence(seconds: float) -> _Cut:
    async def silence(world: World, proxy: TcpProxy) -> None:
        proxy.swallow()
        try:
            await world.pause(seconds)
        finally:
            proxy.release()

    return silence


async def _gone(world: World, proxy: TcpProxy) -> None:
    await proxy.go()
    try:
        await world.pause(_REFUSED_S)
    finally:
        await proxy.come()


async def _proxy(world: World, port: int) -> TcpProxy:
    proxy = TcpProxy(port)
    await proxy.come()
    world.afterwards.callback(proxy.abandon)
    return proxy
