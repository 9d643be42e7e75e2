"""One row of the table: rounds of a crawl with a fault injected, until it was injected often enough.

How a fault is added
--------------------
1. Write ``async def my_fault(world: World, times: int) -> None`` in a module beside this one (``kills.py`` is an
   example). It injects up to ``times`` faults, one after the other, and returns when it is through or the crawl is
   complete: ``await world.pause(s)`` and ``await world.at_work()`` say False then. Blocking calls go through
   ``asyncio.to_thread`` (``world.servers.rabbit.nodes[0].restart()`` takes seconds). Whatever it breaks it mends,
   in a ``finally``. Randomness comes from ``world.rng``.
2. When a fault is over, ``world.note(Fault(name, start_s, end_s, ...))``. Its other fields say which extra fetches it
   explains: whose (``consumers``; None is everyone), how many at most, how long before it the earlier fetch may have
   been made (a Redis that lost its last second: ``before_s=2``), and whether its victims live on (``survived``).
   A fault that should cost no fetch at all keeps the defaults, and explains none.
3. Add a :class:`Recipe` to ``recipes.py``: how often, in what kind of site (it may have manners), by which groups,
   with what outputs, on how many RabbitMQ nodes, with which server settings; ``may_end_with`` names exit codes of
   consumers that give up by themselves (they are replaced).

``python -m crawl_dev.chaos --fault NAME --quick`` then runs it alone.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from crawl_dev.chaos import books, evidence, verdict
from crawl_dev.chaos.faults import Fault
from crawl_dev.chaos.recipe import Recipe
from crawl_dev.chaos.truth_site import TruthSite
from crawl_dev.chaos.verdict import Verdict
from crawl_dev.chaos.world import LOOK_S, Broker, Sample, World, opened
from crawl_dev.errors import ServersError

#: After the crawl is complete, copies of URLs that wait on the ladder come back within this time.
_DRAIN_S = 90.0
#: The queues must have been empty for so many looks: between two of them a message may be in a consumer's hands.
_EMPTY_LOOKS = 3
#: A round in which nothing could be injected any more is not repeated for ever.
_MOST_ROUNDS = 40


@dataclass(frozen=True, slots=True)
class Round:
    """One crawl.

    Attributes:
        seed: what its site and its faults came from.
        verdict: what the oracles say.
        injected: faults that count.
        recovery_s: the longest time from a fault's end until the next URL ended.
        to_end_s: from the last fault's end until the crawl was complete.
        seconds: the crawl, without the start of servers.
    """

    seed: int
    verdict: Verdict
    injected: int
    recovery_s: float
    to_end_s: float
    seconds: float


#: Told what happens, a few times a second.
Tell = Callable[[str], None]


async def rounds(recipe: Recipe, servers: Broker, seed: int, tell: Tell) -> list[Round]:
    """Crawl after crawl, with the seeds ``seed``, ``seed + 1`` …, until enough faults were injected or one failed."""
    done: list[Round] = []
    while (left := recipe.times - sum(one.injected for one in done)) > 0 and len(done) < _MOST_ROUNDS:
        vhost = f"chaos-{seed + len(done)}"
        servers.rabbit.add_vhost(vhost)
        servers.redis.command("FLUSHALL")
        servers.redis.command("FUNCTION FLUSH")
        try:
            one = Broker(servers.rabbit, servers.redis, vhost)
            done.append(await one_round(recipe, one, seed + len(done), left, tell))
        finally:
            servers.rabbit.delete_vhost(vhost)
        if done[-1].verdict.complaints:
            break
    return done


async def one_round(recipe: Recipe, servers: Broker, seed: int, times: int, tell: Tell) -> Round:
    """One crawl of one site, judged."""
    folder = Path(tempfile.mkdtemp(prefix="crawl-chaos-"))
    try:
        with TruthSite(seed, recipe.pages, pause_s=recipe.pause_s, manners=recipe.manners) as site:
            async with opened(
                servers, site, folder, recipe.crowd,
                names=recipe.groups, archived=recipe.archived, queue=recipe.queue, crawl=recipe.crawl,
            ) as world:  # fmt: skip
                return await _judged(recipe, world, times, tell)
    finally:
        shutil.rmtree(folder)


async def _judged(recipe: Recipe, world: World, times: int, tell: Tell) -> Round:
    began_s = time.monotonic()
    hung = await _crawled(recipe, world, times, tell)
    seconds = time.monotonic() - began_s
    gave_up = set(world.consumers.gave_up) - recipe.may_end_with
    await world.consumers.stop()
    judged = await asyncio.to_thread(_judge, recipe, world)
    said = world.consumers.last_lines
    more = [*hung, *(f"a consumer ended by itself with exit code {code}: {said[code]}" for code in sorted(gave_up))]
    return Round(
        seed=world.plan.seed,
        verdict=replace(judged, complaints=(*more, *judged.complaints)),
        injected=world.faults.injected(*recipe.counts),
        recovery_s=max((recovery_s(fault, world.samples) for fault in world.faults), default=0.0),
        to_end_s=max(0.0, _complete_at(world.samples) - max((fault.end_s for fault in world.faults), default=began_s)),
        seconds=seconds,
    )


def _judge(recipe: Recipe, world: World) -> Verdict:
    """The verdict on each group, and on all of them together."""
    ways = {"exact": recipe.exact, "rolled_back": recipe.rolled_back}
    groups = world.consumers.groups
    return verdict.together(
        {group.name: verdict.judge(world.plan, evidence.gather(world, group), **ways) for group in groups}
    )


async def _crawled(recipe: Recipe, world: World, times: int, tell: Tell) -> list[str]:
    """Seed and crawl to the end; what it says if there is no end."""
    try:
        async with asyncio.timeout(recipe.deadline_s):
            await recipe.seeding(world)
            world.consumers.start()
            await _through(recipe, world, times, tell)
    except TimeoutError:
        return [await asyncio.to_thread(_diagnosis, world, recipe.deadline_s)]
    return []


async def _through(recipe: Recipe, world: World, times: int, tell: Tell) -> None:
    """Inject, and wait until the crawl is complete and the last copy of a message has come back."""
    injecting = asyncio.ensure_future(recipe.inject(world, times))
    try:
        while not injecting.done():
            await asyncio.wait([injecting], timeout=LOOK_S)
            _tell(recipe, world, times, tell)
        await injecting
        while await world.pause(LOOK_S):
            _tell(recipe, world, times, tell)
    finally:
        injecting.cancel()
        await asyncio.gather(injecting, return_exceptions=True)
    await _drained(world)


def _tell(recipe: Recipe, world: World, times: int, tell: Tell) -> None:
    done = world.samples[-1].done if world.samples else 0
    injected = world.faults.injected(*recipe.counts)
    urls = len(world.plan.reachable) * len(world.consumers.groups)
    tell(f"{recipe.name} {world.plan.seed}: {injected} of {times} faults, {done:,} of {urls:,} URLs")


async def _drained(world: World) -> None:
    empty = 0
    async with asyncio.timeout(_DRAIN_S):
        while empty < _EMPTY_LOOKS:
            empty = empty + 1 if await asyncio.to_thread(_empty, world) else 0
            await asyncio.sleep(LOOK_S)


def _empty(world: World) -> bool:
    try:
        depths = books.ready(world.servers.rabbit, world.servers.vhost)
    except ServersError:
        return False  # the last fault has only just been mended
    return all(name.startswith("dead.") for name in depths)


def recovery_s(fault: Fault, samples: list[Sample]) -> float:
    """From a fault's end until the next URL ended; 0 if none did after it."""
    before = max((sample.done for sample in samples if sample.at_s <= fault.end_s), default=0)
    after = (sample.at_s for sample in samples if sample.at_s > fault.end_s and sample.done > before)
    return next(after, fault.end_s) - fault.end_s


def _complete_at(samples: list[Sample]) -> float:
    """When the last URL had ended."""
    most = max((sample.done for sample in samples), default=0)
    return next((sample.at_s for sample in samples if sample.done == most), 0.0)


def _diagnosis(world: World, deadline_s: float) -> str:
    """What an operator would look at first."""
    return "\n".join(
        (
            f"no end within {deadline_s:.0f} s: {world.books()}",
            f"  queues: {books.ready(world.servers.rabbit, world.servers.vhost)}",
            f"  lives: {world.consumers.lives}, gave up: {world.consumers.gave_up}",
            world.consumers.last_words(),
        )
    )
