"""Faults of RabbitMQ: nodes killed in turn and frozen, the cluster split, alarms, storms of lost connections.

Consumers live on, their leases hold, and what is handed out again waits: only pages that failed may be fetched more
often than planned, see :attr:`crawl_dev.chaos.faults.Fault.only_retried`.
"""

import asyncio
import json
import shlex
import time
from collections.abc import Awaitable, Callable
from functools import partial

from crawl_dev import rabbit_faults
from crawl_dev.chaos import commands
from crawl_dev.chaos.books import QUEUE
from crawl_dev.chaos.faults import Fault
from crawl_dev.chaos.standstill import standstills
from crawl_dev.chaos.world import World
from crawl_dev.errors import ServersError
from crawl_dev.rabbit_node import RabbitNode

#: How long a killed node stays away: its queues have new leaders by then.
_AWAY_S = (2.0, 5.0)
#: Beyond the 10 s of net_ticktime after which the others take a frozen node for dead, by up to a quarter.
_FROZEN_S = 16.0
#: How long a node is cut off from the others.
_SPLIT_S = (10.0, 20.0, 30.0)
#: How long an alarm lasts: beyond the heartbeat (5 s), which must not take a blocked connection for a dead one.
_ALARM_S = 12.0
_ALARMS = (("memory alarm", rabbit_faults.alarm_memory), ("disk alarm", rabbit_faults.alarm_disk))
#: Between a fetch that failed and the acknowledgement, and until a consumer hears that its connection is gone.
_ON_ITS_WAY_S = 3.0
#: crawl-doctor's exit codes: all is well, warnings, errors (docs/commands.md).
_DOCTORS_CODES = (0, 16, 17)
#: Between two storms; clients are back within a second.
_CALM_S = (1.5, 3.0)


async def kill_nodes(world: World, times: int) -> None:
    """``kill -9`` of each node in turn, and every third time of the queue's leader; each comes back with its data."""
    nodes = world.servers.rabbit.nodes
    for number in range(times):
        if not await world.at_work():
            return
        victim = await _leader(world) if number % len(nodes) == 0 else nodes[number % len(nodes)]
        await _away(world, "kill node", victim.kill, partial(_back, world, victim), world.rng.uniform(*_AWAY_S))


async def freeze_nodes(world: World, times: int) -> None:
    """SIGSTOP of the queue's leader for so long that the others take it for dead; then what an operator must do."""
    for _ in range(times):
        if not await world.at_work():
            return
        victim = await _leader(world)
        await _away(world, "freeze node", victim.pause, partial(rabbit_faults.heal, world.servers.rabbit), _FROZEN_S)


async def split_cluster(world: World, times: int) -> None:
    """Cut the queue's leader off from the other two; the second of three times all three from each other."""
    for number in range(times):
        if not await world.at_work():
            return
        apart_s = _SPLIT_S[number % len(_SPLIT_S)]
        breaks = partial(_split, world, await _leader(world), everyone=number % 3 == 1)
        await _away(world, "split", breaks, partial(rabbit_faults.heal, world.servers.rabbit), apart_s)


async def split_for_good(world: World, times: int) -> None:
    """Cut the queue's leader off, and heal the cluster only when the crawl is complete.

    RabbitMQ before 3.12.5 may then hold messages of a delay queue for as long as that node is away: who looks after the
    cluster does what crawl-doctor says.
    """
    del times
    if not await world.at_work():
        return
    lonely = await _leader(world)
    start_s = time.monotonic()
    try:
        await asyncio.to_thread(_split, world, lonely, everyone=False)
        world.note(disconnected("split", start_s))
        async for _ in standstills(world):
            await _as_the_doctor_says(world, next(node for node in world.servers.rabbit.nodes if node is not lonely))
    finally:
        await asyncio.to_thread(rabbit_faults.heal, world.servers.rabbit)


async def raise_alarms(world: World, times: int) -> None:
    """Memory and disk alarms by turns, on each node in turn: RabbitMQ reads from nobody who publishes."""
    nodes = world.servers.rabbit.nodes
    for number in range(times):
        if not await world.at_work():
            return
        node = nodes[number % len(nodes)]
        name, alarm = _ALARMS[number % len(_ALARMS)]
        await _away(world, name, partial(alarm, node), partial(rabbit_faults.end_alarms, node), _ALARM_S)


async def storm(world: World, times: int) -> None:
    """Close every client's connection at once, again and again."""
    for number in range(times):
        if not (await world.pause(world.rng.uniform(*_CALM_S)) and await world.at_work()):
            return
        start_s = time.monotonic()
        node = world.servers.rabbit.nodes[number % len(world.servers.rabbit.nodes)]
        await asyncio.to_thread(rabbit_faults.close_connections, node, world.servers.vhost)
        world.note(disconnected("close connections", start_s))


def disconnected(name: str, start_s: float) -> Fault:
    """Connections to RabbitMQ were lost between ``start_s`` and now, and with them acknowledgements."""
    now_s = time.monotonic()
    return Fault(name, start_s, now_s, consumers=None, before_s=_ON_ITS_WAY_S, after_s=_ON_ITS_WAY_S, only_retried=True)


async def _away(world: World, name: str, breaks: Callable[[], None], mends: Callable[[], None], seconds: float) -> None:
    """Break something, leave it so for a while, mend it, whatever happens, and write it down."""
    start_s = time.monotonic()
    try:
        await asyncio.to_thread(breaks)
        await world.pause(seconds)
    finally:
        await _to_its_end(asyncio.to_thread(mends))
    world.note(disconnected(name, start_s))


async def _to_its_end(mending: Awaitable[None]) -> None:
    """What has begun to be mended is mended, even if the run is given up meanwhile."""
    task = asyncio.ensure_future(mending)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def _as_the_doctor_says(world: World, node: RabbitNode) -> None:
    """Let a node of the majority do every rabbitmqctl that crawl-doctor names."""
    environment = {**world.environment, "CRAWL_RABBITMQ_MANAGEMENT": node.management_url}
    doctor = partial(commands.run, environment, "crawl-doctor", "--json", may_end_with=_DOCTORS_CODES)
    said = json.loads(await asyncio.to_thread(doctor))
    for finding in said["findings"]:
        words = shlex.split(finding["command"])
        if words[:2] == ["rabbitmqctl", "eval"]:
            start_s = time.monotonic()
            await asyncio.to_thread(node.ctl, *words[1:])
            world.note(disconnected("move leader", start_s))


async def _leader(world: World) -> RabbitNode:
    """The node that leads the work queue; after a node's death it takes seconds until all know of a new one."""
    while True:
        try:
            return await asyncio.to_thread(rabbit_faults.leader, world.servers.rabbit, QUEUE, world.servers.vhost)
        except ServersError:
            await asyncio.sleep(0.5)


def _back(world: World, node: RabbitNode) -> None:
    node.start()
    world.servers.rabbit.wait_online()


def _split(world: World, lonely: RabbitNode, *, everyone: bool) -> None:
    others = [node for node in world.servers.rabbit.nodes if node is not lonely]
    rabbit_faults.cut_off(lonely, others)
    if everyone:
        rabbit_faults.cut_off(others[0], others[1:])
