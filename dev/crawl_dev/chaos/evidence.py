"""What is left after a crawl: the site's log, the output, the ledger, the queues. Gathered here, judged elsewhere."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crawl_dev.chaos import books, warc_files
from crawl_dev.chaos.books import Books
from crawl_dev.chaos.faults import Fault, Fetch
from crawl_dev.chaos.groups import Group
from crawl_dev.chaos.warc_files import Archive
from crawl_dev.chaos.world import World


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the output."""

    url: str
    title: str | None
    links: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a verdict on one group of a crawl rests on.

    Attributes:
        fetches: what its consumers have asked for, from the site's log.
        faults: what was done, to anybody: a message that is doubled comes to every group.
        records: the output's whole lines, of all files.
        books: the ledger's, after the last consumer has ended.
        leftovers: outboxes and leases that still exist.
        ready: messages in each queue that is not empty, dead letters left out.
        dead: dead letters by URL.
        pause_s: how long the site took for every answer.
        archive: the crawl's WARC files; None: it keeps none.
    """

    fetches: Sequence[Fetch]
    faults: Sequence[Fault]
    records: Sequence[Record]
    books: Books
    leftovers: Sequence[str] = ()
    ready: dict[str, int] = field(default_factory=dict)
    dead: Counter[str] = field(default_factory=Counter)
    pause_s: float = 0.0
    archive: Archive | None = None


def gather(world: World, group: Group) -> Evidence:
    """The evidence of a world whose consumers have ended, so that nothing is unacknowledged any more.

    Raises:
        ServersError: a server does not answer.
    """
    servers = world.servers
    ready = books.ready(servers.rabbit, servers.vhost)
    return Evidence(
        fetches=[fetch for fetch in world.site.fetches() if fetch.consumer.endswith(group.suffix)],
        faults=world.faults,
        records=[record for file in sorted(group.items(world.output).glob("*.jsonl")) for record in _records(file)],
        books=books.books(servers.redis, group.name) or Books(),
        leftovers=books.leftovers(servers.redis, group.name),
        ready={name: depth for name, depth in ready.items() if not name.startswith("dead.")},
        dead=books.dead_letters(servers.rabbit.nodes[0].management, servers.vhost, group.queue),
        pause_s=world.site.pause_s,
        archive=warc_files.read(sorted(world.folder.glob(world.archive))) if world.archive else None,
    )


def _records(file: Path) -> list[Record]:
    # Behind the last newline is what a killed process has not finished; its page was not done either.
    *lines, _ = file.read_bytes().split(b"\n")
    found = (json.loads(line) for line in lines)
    return [Record(one["url"], one["title"], one["links"]) for one in found]
