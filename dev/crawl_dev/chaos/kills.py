"""Faults that end processes: kill -9, SIGTERM, the seeder's death, and a supervisor's children's."""

import asyncio
import os
import signal
import subprocess
import time

from crawl_dev.chaos.commands import BIN
from crawl_dev.chaos.faults import Fault
from crawl_dev.chaos.world import World
from crawl_dev.errors import ServersError

#: Seconds between two kills: short enough for hundreds of them, long enough for a new consumer to begin its work.
_BETWEEN_KILLS_S = (0.8, 2.4)
#: … between two deaths of a supervisor's children, whose restarts wait longer each time.
_BETWEEN_CHILDREN_S = (2.0, 4.0)
#: Between two looks at how far a seeder is, whose batches follow each other in milliseconds.
_LOOK_S = 0.001


async def kill_consumers(world: World, times: int) -> None:
    """``kill -9`` of a random consumer every second or two; another one takes its place at once."""
    for _ in range(times):
        if not (await world.pause(world.rng.uniform(*_BETWEEN_KILLS_S)) and await world.at_work()):
            return
        world.consumers.kill(world.rng.choice(world.consumers.alive))


async def terminate_consumers(world: World, times: int) -> None:
    """SIGTERM to a random consumer every second or two, which finishes what it has and explains no extra fetch."""
    for _ in range(times):
        if not (await world.pause(world.rng.uniform(*_BETWEEN_KILLS_S)) and await world.at_work()):
            return
        life = world.rng.choice(world.consumers.alive)
        start_s = time.monotonic()
        life.process.terminate()
        await asyncio.to_thread(life.process.wait)
        world.note(Fault("terminate", start_s, time.monotonic()))


async def kill_children(world: World, times: int) -> None:
    """``kill -9`` of a random process under a supervisor, which starts another; every fourth time of a supervisor."""
    for number in range(1, times + 1):
        if not (await world.pause(world.rng.uniform(*_BETWEEN_CHILDREN_S)) and await world.at_work()):
            return
        supervisor = world.rng.choice(world.consumers.alive)
        if number % 4 == 0:
            world.consumers.kill(supervisor)
            continue
        if children := supervisor.children():
            start_s = time.monotonic()
            os.kill(world.rng.choice(children), signal.SIGKILL)
            world.consumers.ended("kill child", supervisor, start_s)


async def seed_and_kill(world: World) -> None:
    """Seed every page of the site; kill the seeder in the middle again and again, and let the last one end."""
    seeds = world.folder / "seeds.txt"
    seeds.write_text("".join(f"{url}\n" for url in world.plan.reachable))
    for share in (0.0, 0.2, 0.4, 0.6):
        await asyncio.to_thread(_kill_seeder, world, str(seeds), admitted=round(share * len(world.plan.reachable)))
    await world.command("crawl-seed", "--crawl", "chaos", "--file", str(seeds))


def _kill_seeder(world: World, seeds: str, *, admitted: int) -> None:
    """Kill it as soon as more than so many URLs are admitted, if it has not ended by then."""
    seeder = subprocess.Popen(
        [BIN / "crawl-seed", "--crawl", "chaos", "--file", seeds],
        env=dict(world.environment), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while seeder.poll() is None and not ((books := world.books()) and books.counts["admitted"] > admitted):
        time.sleep(_LOOK_S)
    start_s = time.monotonic()
    seeder.kill()
    if seeder.wait() == -signal.SIGKILL:
        world.note(Fault("kill seeder", start_s, time.monotonic(), doubled=True))


async def nothing_more(world: World, times: int) -> None:
    """What there was to inject was injected while the crawl was seeded.

    Raises:
        ServersError: the seeder was too fast each time.
    """
    if world.faults.injected("kill seeder") < min(times, 1):
        raise ServersError("no seeder was killed in time")
