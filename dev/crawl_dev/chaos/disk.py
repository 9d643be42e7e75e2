"""A full disk under the output: a small file system where we may mount one, else consumers that write to /dev/full."""

import asyncio
import shutil
import subprocess
import time
from pathlib import Path

from crawl_dev.chaos.faults import Fault
from crawl_dev.chaos.recipe import seed_once
from crawl_dev.chaos.world import LOOK_S, World
from crawl_dev.errors import ServersError

#: Room for some hundred records more each time that space returns.
_ROOM_KB = 96
#: What a file system is enlarged to in the end; it takes no memory that is not used.
_ENOUGH_KB = 64 * 1024
#: Consumers whose disk is full end, are replaced and end again: so many deaths show that they do.
_DEATHS = 5
#: Linux' device that always says ENOSPC (man 4 full).
_FULL = "/dev/full"


async def seed_beside_a_small_disk(world: World) -> None:
    """Seed as usual; the folder of the output is a small file system of its own, if it may be mounted."""
    if await asyncio.to_thread(_mount, world.output):
        world.afterwards.callback(_run, "umount", str(world.output))
    await seed_once(world)


async def fill_disk(world: World, times: int) -> None:
    """Let the disk be full until some consumers have given up, then make room, again and again."""
    try:
        for number in range(1, times + 1):
            if not await world.at_work() or not await _full(world, number):
                return
    finally:
        await _make_room(world, _ENOUGH_KB)


async def _full(world: World, number: int) -> bool:
    """One full disk, until some consumers have died of it. Their deaths are in the log, and explain what they cost."""
    await _no_room(world, number * _ROOM_KB)
    deaths = len(world.consumers.gave_up)
    while len(world.consumers.gave_up) == deaths:
        if not await world.pause(LOOK_S):
            return False
    start_s = time.monotonic()
    while len(world.consumers.gave_up) < deaths + _DEATHS:
        if not await world.pause(LOOK_S):
            return False
    world.consumers.more_options = ()
    await _make_room(world, (number + 1) * _ROOM_KB)
    world.note(Fault("disk full", start_s, time.monotonic()))
    return True


async def _no_room(world: World, room_kb: int) -> None:
    if world.output.is_mount():
        await _make_room(world, room_kb)
        return
    full = world.folder / "full.jsonl"  # a name that ends otherwise would be a folder's
    if not full.is_symlink():
        full.symlink_to(_FULL)
    world.consumers.more_options = ("--output", str(full))
    for life in world.consumers.alive:
        life.process.terminate()


async def _make_room(world: World, kilobytes: int) -> None:
    world.consumers.more_options = ()
    if world.output.is_mount():
        await asyncio.to_thread(_run, "mount", "-o", f"remount,size={kilobytes}k", str(world.output))


def _mount(folder: Path) -> bool:
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={_ROOM_KB}k", "crawl-chaos", str(folder))
    except ServersError:
        return False
    return True


def _run(*command: str) -> None:
    """Raises ServersError."""
    program = shutil.which(command[0])
    if program is None:
        raise ServersError(f"{command[0]} is not installed")
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServersError(f"{' '.join(command)}: {done.stderr.strip()}")
