"""Asking Redis for the ledgers of some crawls."""

from collections.abc import Iterable

from crawl_dedup import BatchedRedis, LedgerName, count_members, read_debts, read_progress
from crawl_producer.doctor.facts import LedgerFacts
from crawl_producer.topology import Topology


async def observe(
    topology: Topology, crawls: Iterable[str], redis: BatchedRedis, *, deep: bool = False
) -> tuple[LedgerFacts, ...]:
    """The ledgers that were begun.

    Args:
        topology: exchanges.yaml.
        crawls: whose ledgers.
        redis: an open connection.
        deep: count the sets too: a call for each few hundred URLs.

    Raises:
        LedgerUnavailable, LedgerRefused: from Redis.
    """
    found = []
    for name in [LedgerName(crawl, group) for crawl in crawls for group in topology.groups(crawl)]:
        members = await count_members(redis, name) if deep else None
        books = await read_progress(redis, name)
        if books is not None:
            queues = tuple(
                q for q, spec in topology.queues.items() if (spec.crawl, spec.group) == (name.crawl, name.group)
            )
            found.append(LedgerFacts(name, books, await read_debts(redis, name), members, queues))
    return tuple(found)
