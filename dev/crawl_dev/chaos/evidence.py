"""What is left after a crawl: the site's log, the output, the ledger, the queues. Gathered here, judged elsewhere."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crawl_dev.chaos import books
from crawl_dev.chaos.books import Books
from crawl_dev.chaos.faults import Fault, Fetch
from crawl_dev.chaos.world import World


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the output."""

    url: str
    title: str | None
    links: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a verdict rests on.

    Attributes:
        fetches: the site's log.
        faults: what was done.
        records: the output's whole lines, of all files.
        books: the ledger's, after the last consumer has ended.
        leftovers: outboxes and leases that still exist.
        ready: messages in each queue that is not empty, dead letters left out.
        dead: dead letters by URL.
    """

    fetches: Sequence[Fetch]
    faults: Sequence[Fault]
    records: Sequence[Record]
    books: Books
    leftovers: Sequence[str] = ()
    ready: dict[str, int] = field(default_factory=dict)
    dead: Counter[str] = field(default_factory=Counter)


def gather(world: World) -> Evidence:
    """The evidence of a world whose consumers have ended, so that nothing is unacknowledged any more.

    Raises:
        ServersError: a server does not answer.
    """
    servers = world.servers
    ready = books.ready(servers.rabbit, servers.vhost)
    return Evidence(
        fetches=world.site.fetches(),
        faults=world.faults,
        records=[record for file in sorted(world.output.glob("*.jsonl")) for record in _records(file)],
        books=world.books() or Books(),
        leftovers=books.leftovers(servers.redis),
        ready={name: depth for name, depth in ready.items() if not name.startswith("dead.")},
        dead=books.dead_letters(servers.rabbit.nodes[0].management, servers.vhost),
    )


def _records(file: Path) -> list[Record]:
    # Behind the last newline is what a killed process has not finished; its page was not done either.
    *lines, _ = file.read_bytes().split(b"\n")
    found = (json.loads(line) for line in lines)
    return [Record(one["url"], one["title"], one["links"]) for one in found]
