"""The running world of one crawl: servers, site, consumers, and the log of what was done to them."""

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from crawl_dev.chaos import books, commands
from crawl_dev.chaos.books import CRAWL, Books
from crawl_dev.chaos.consumers import Consumers, Crowd
from crawl_dev.chaos.faults import Fault, FaultLog
from crawl_dev.chaos.groups import Group, groups
from crawl_dev.chaos.plan import MAX_ATTEMPTS, SitePlan
from crawl_dev.chaos.truth_site import TruthSite
from crawl_dev.rabbit_cluster import RabbitCluster
from crawl_dev.redis_replicated import ReplicatedRedis
from crawl_dev.redis_server import RedisServer
from crawl_dev.site import OWN_SITE
from crawl_dev.tcp_proxy import TcpProxy

#: Between two looks at the ledger; recovery times are no finer than this.
LOOK_S = 0.1
#: Where responses are kept as WARC, in the world's folder; and when a file is full: some dozens of pages, so that
#: most consumers live to begin several.
_ARCHIVE, _FULL = "pages.warc.gz", "20kB"


@dataclass(frozen=True, slots=True)
class Broker:
    """The servers as one world uses them: a virtual host of the cluster, and all of Redis."""

    rabbit: RabbitCluster
    redis: RedisServer | ReplicatedRedis
    vhost: str

    def environment(self) -> dict[str, str]:
        """What leads the crawl-* commands there."""
        return {**os.environ, **self.rabbit.environment(self.vhost), **self.redis.environment(), **OWN_SITE}


@dataclass(frozen=True, slots=True)
class Sample:
    """How many URLs had ended at a moment."""

    at_s: float
    done: int


@dataclass(slots=True)
class World:
    """Everything that a fault may want to touch.

    Attributes:
        servers: RabbitMQ and Redis; ``servers.rabbit.nodes[n].kill()``, ``servers.redis.pause()`` …
        site: the truth: what there is to find, and every request that was made.
        consumers: the processes, each with a name that the site's log shows.
        faults: the log; :meth:`note` adds to it.
        rng: the run's own randomness, from its seed.
        folder: the run's files; items go to ``out`` in it, responses to ``pages-*.warc.gz``, if anywhere.
        environment: what leads a command to this world.
        samples: the crawl's progress so far.
        complete: set while everything that was admitted has ended.
        archive: the names of WARC files in the folder, as a pattern; empty: there are none.
        proxies: what stands between the consumers and servers, by a name for these.
        afterwards: what is to be cleaned up when the evidence is gathered and the consumers are gone.
    """

    servers: Broker
    site: TruthSite
    consumers: Consumers
    faults: FaultLog
    rng: random.Random
    folder: Path
    environment: Mapping[str, str]
    archive: str = ""
    samples: list[Sample] = field(default_factory=list)
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    proxies: dict[str, list[TcpProxy]] = field(default_factory=dict)
    afterwards: ExitStack = field(default_factory=ExitStack)

    @property
    def plan(self) -> SitePlan:
        """The site's plan."""
        return self.site.plan

    @property
    def output(self) -> Path:
        """The folder of the consumers' items."""
        return self.folder / "out"

    def books(self) -> Books | None:
        """The books of all groups together; None while Redis does not answer."""
        found = [books.books(self.servers.redis, group.name) for group in self.consumers.groups]
        told = [one for one in found if one is not None]
        return books.together(told) if len(told) == len(found) else None

    def note(self, fault: Fault) -> None:
        """Write a fault down, as soon as it is over."""
        self.faults.append(fault)

    async def pause(self, seconds: float) -> bool:
        """Wait; less when the crawl is complete before that. Returns whether it still runs."""
        try:
            async with asyncio.timeout(seconds):
                await self.complete.wait()
        except TimeoutError:
            pass
        return not self.complete.is_set()

    async def at_work(self) -> bool:
        """Wait until the next URL ends; False: the crawl is complete instead."""
        done = self.samples[-1].done if self.samples else 0
        while await self.pause(LOOK_S):
            if self.samples and self.samples[-1].done > done:
                return True
        return False

    async def watch(self) -> None:
        """Look at the ledger again and again; sets and clears ``complete``."""
        while True:
            if (now := await asyncio.to_thread(self.books)) is not None:
                self.samples.append(Sample(time.monotonic(), now.done))
                if now.complete:
                    self.complete.set()
                else:
                    self.complete.clear()
            await asyncio.sleep(LOOK_S)

    async def command(self, *words: str) -> str:
        """What a crawl-* command prints. Raises ServersError."""
        return await asyncio.to_thread(commands.run, self.environment, *words)


def topology(
    plan: SitePlan, crawled_by: Sequence[Group], queue: Mapping[str, Any], crawl: Mapping[str, Any]
) -> dict[str, Any]:
    """The topology of a chaos run: a queue for each group, all hosts of the site, short waits, a nervous heartbeat."""
    spec = {
        "exchange": CRAWL,
        "key": "page",
        **(plan.manners.settings() if plan.manners else {"politeness": {"delay_s": 0}, "robots": {"obey": False}}),
        "scope": {"hosts": list(plan.hosts)},
        "retry": {"max_attempts": MAX_ATTEMPTS, "first_delay_s": 0.3, "factor": 2},
        "expected_urls": 100_000,
    }
    bound = {"crawl": CRAWL, "bindings": [{"exchange": CRAWL, "key": "page"}], **queue}
    return {
        "connection": {"heartbeat_s": 5},
        "exchanges": {CRAWL: {"type": "fanout" if len(crawled_by) > 1 else "direct"}},
        "queues": {group.queue: {"group": group.name, **bound} for group in crawled_by},
        "crawls": {CRAWL: {**spec, **crawl}},
    }


@asynccontextmanager
async def opened(
    servers: Broker,
    site: TruthSite,
    folder: Path,
    crowd: Crowd,
    *,
    names: Sequence[str],
    archived: bool,
    queue: Mapping[str, Any],
    crawl: Mapping[str, Any],
) -> AsyncIterator[World]:
    """A world whose topology is applied and in which nobody works yet; its consumers are gone afterwards."""
    faults, crawled_by = FaultLog(), groups(names)
    for one in crawled_by:
        one.items(folder / "out").mkdir(parents=True)
    data = topology(site.plan, crawled_by, queue, crawl)
    (folder / "exchanges.yaml").write_text(json.dumps(data))
    # Whoever runs this may have set CRAWL_DELAY_S for himself: here each crawl says how polite it is.
    environment = {**servers.environment(), "CRAWL_TOPOLOGY": str(folder / "exchanges.yaml"), "CRAWL_DELAY_S": ""}
    own = ("--hosts", str(site.hosts_file), *(("--output", _ARCHIVE, "--rotate", _FULL) if archived else ()))
    crowd = replace(crowd, options=(*own, *crowd.options))
    consumers = Consumers(data, environment, folder, faults, crowd, groups=crawled_by)
    rng = random.Random(f"faults {site.plan.seed}")  # noqa: S311 - repeatable, guards nothing
    kept = _ARCHIVE.replace(".", "-*.", 1) if archived else ""
    world = World(servers, site, consumers, faults, rng, folder, environment, kept)
    await world.command("crawl-topology", "apply")
    async with asyncio.TaskGroup() as group:
        chores = [group.create_task(chore) for chore in (world.watch(), consumers.keep())]
        try:
            yield world
        finally:
            for chore in chores:
                chore.cancel()
            try:
                await consumers.stop()
            finally:
                world.afterwards.close()
