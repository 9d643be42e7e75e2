"""Several faults at once: consumers are killed while others are frozen or leaving."""

import asyncio

from crawl_dev.chaos.kills import kill_consumers, terminate_consumers
from crawl_dev.chaos.stops import freeze_consumers
from crawl_dev.chaos.world import World


async def at_once(world: World, times: int) -> None:
    """So many kills, a third as many SIGTERMs, and one freezing of two consumers for every ten of them."""
    async with asyncio.TaskGroup() as group:
        group.create_task(kill_consumers(world, times))
        group.create_task(terminate_consumers(world, times // 3))
        group.create_task(freeze_consumers(world, times // 5))
