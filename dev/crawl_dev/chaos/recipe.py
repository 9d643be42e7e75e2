"""A recipe: what kind of fault is injected, how often, and into what kind of crawl."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from crawl_dev.chaos.consumers import Crowd
from crawl_dev.chaos.manners import Manners
from crawl_dev.chaos.world import World

#: Injects up to so many faults into a running crawl; returns at the latest soon after the crawl is complete.
Inject = Callable[[World, int], Awaitable[None]]


async def seed_once(world: World) -> None:
    """One page of each host, by the command."""
    await world.command("crawl-seed", *world.plan.seeds)


@dataclass(frozen=True, slots=True)
class Recipe:
    """One row of the table.

    Attributes:
        name: for ``--fault`` and the table.
        about: what is done, in a few words.
        inject: does it.
        times: faults to inject in the long run …
        quick_times: … and in the quick one.
        counts: names of the faults in the log that count as injected.
        pages: the size of each round's site; rounds follow each other until enough faults were injected.
        pause_s: how long the site takes for every answer.
        crowd: the consumers.
        groups: of the crawl, bound to one fanout exchange, the consumers by turns; empty: one group.
        manners: what the site asks of its visitors, robots.txt included; None: nothing.
        archived: whether the consumers keep responses as WARC files too.
        nodes: RabbitMQ nodes.
        queue: more settings of the work queue in exchanges.yaml.
        crawl: more settings of the crawl there.
        rabbit_settings: lines of rabbitmq.conf.
        redis_settings: lines of redis.conf.
        replicated: whether Redis has a replica, and Sentinels.
        seeding: brings the seeds in, before any consumer is started.
        exact: whether even the duplicates are known in advance; see :func:`crawl_dev.chaos.verdict.judge`.
        rolled_back: whether Redis loses writes; see there.
        may_end_with: exit codes that a consumer may end with by itself.
        deadline_s: a round that takes longer hangs.
    """

    name: str
    about: str
    inject: Inject
    times: int
    quick_times: int
    counts: tuple[str, ...]
    pages: int = 3000
    pause_s: float = 0.05
    crowd: Crowd = field(default_factory=Crowd)
    groups: tuple[str, ...] = ()
    manners: Manners | None = None
    archived: bool = False
    nodes: int = 1
    queue: Mapping[str, Any] = field(default_factory=dict)
    crawl: Mapping[str, Any] = field(default_factory=dict)
    rabbit_settings: Mapping[str, str] = field(default_factory=dict)
    redis_settings: Mapping[str, str] = field(default_factory=dict)
    replicated: bool = False
    seeding: Callable[[World], Awaitable[None]] = seed_once
    exact: bool = True
    rolled_back: bool = False
    may_end_with: frozenset[int] = frozenset()
    deadline_s: float = 240.0

    def quick(self) -> Self:
        """The same with fewer faults, in a smaller site."""
        return replace(self, times=self.quick_times, pages=max(400, self.pages // 4))
