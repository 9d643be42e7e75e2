"""What crawl-status reads of RabbitMQ, on the in-memory broker: inboxes beside the queues."""

import asyncio

from rich.console import Console

from crawl_producer import status
from crawl_producer.broker import Outgoing
from crawl_producer.cli.status import _tables
from crawl_producer.derive import declarations
from crawl_producer.management import QueueCounts
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.names import DEAD
from crawl_producer.plan import apply, plan
from crawl_producer.topology_file import parse_topology

FILE = """
exchanges: {x: {type: direct}}
queues:
  c.a: {crawl: c, bindings: [{exchange: x, key: k}]}
  c.b: {crawl: c, group: other, bindings: [{exchange: x, key: k}]}
inboxes:
  c.inbox: {crawl: c, bindings: [{exchange: x, key: in}]}
  c.second: {crawl: c}
crawls: {c: {exchange: x, key: k}}
"""
TOPOLOGY = parse_topology(FILE, "exchanges.yaml")


async def nothing(_):
    return None


def read(*, counts=None, declared=True, served=0):
    """The status of the crawl with two messages and one dead letter in the first inbox."""

    async def main():
        async with MemoryBroker() as broker, MemoryBroker(broker.server) as reader:
            if declared:
                await apply(await plan(declarations(TOPOLOGY), broker), broker)
                await broker.publish_all([Outgoing("x", "in", b"", message_id="") for _ in range(2)])
                await broker.publish(Outgoing(DEAD, "c.inbox", b"", message_id=""))
            for _ in range(served):
                await reader.consume("c.second", prefetch=1, deliver=lambda _: None)
            return await status.read(TOPOLOGY, "c", broker, nothing, counts)

    return asyncio.run(main())


def test_inboxes_are_shown_with_the_first_group_of_their_crawl():
    first, second = read(counts={"c.inbox": QueueCounts(2, 5)}, served=2)
    assert first.inboxes == (
        status.InboxStatus("c.inbox", ready=2, unacked=5, dead=1, served_by=0),
        status.InboxStatus("c.second", ready=0, unacked=None, dead=0, served_by=2),
    )
    assert second.inboxes == ()
    assert first.as_dict()["inboxes"][0] == {
        "name": "c.inbox", "ready": 2, "unacked": 5, "dead": 1, "served_by": 0,
    }  # fmt: skip
    assert (first.dead, first.waiting) == (0, 0), "what was never admitted is in no book"


def test_inboxes_that_are_not_there_yet_are_empty():
    first, _ = read(declared=False)
    assert first.inboxes[0] == status.InboxStatus("c.inbox", 0, None, 0, 0)


def test_the_text_says_who_serves_an_inbox(capsys):
    Console(width=200).print(_tables([(group, 0.0) for group in read(served=1)]))
    said = capsys.readouterr().out
    assert "  inbox c.inbox: 2 waiting, ? unacked, 1 dead, served by nobody" in said
    assert "  inbox c.second: 0 waiting, ? unacked, 0 dead, served by 1 crawl-seed" in said
