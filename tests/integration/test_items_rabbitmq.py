"""Items for other programs on a real RabbitMQ: crawl-topology makes their queues, crawl-items reads them."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from crawl_producer.amqp import AmqpBroker
from crawl_producer.broker import Outgoing
from crawl_producer.topology import Connection
from e2e_kit import Commands

TOPOLOGY = """\
exchanges:
  x: {type: direct}
queues:
  q: {crawl: c, bindings: [{exchange: x, key: k}]}
crawls:
  c: {exchange: x, key: k, outputs: ["exchange:found/item.Page"]}
items:
  found:
    type: topic
    queues:
      found.all: {type: stream, max_bytes: 2_000_000, max_age_s: 3600}
      found.pages: {keys: [item.Page], max_length: 100}
"""


@pytest.fixture
def commands(environment, tmp_path):
    (tmp_path / "exchanges.yaml").write_text(TOPOLOGY)
    commands = Commands(environment, tmp_path)
    commands.run("crawl-topology", "apply")
    yield commands
    commands.stop()


@pytest.fixture
def publish(rabbit, fresh_vhost):
    connection = Connection(nodes=(f"127.0.0.1:{rabbit.nodes[0].port}",), vhost=fresh_vhost, give_up_s=5)

    def publish(numbers, key="item.Page", others=()):
        async def main():
            async with AmqpBroker(connection, name="tests") as broker:
                bodies = [json.dumps({"n": n, "title": "größer"}).encode() for n in numbers] + list(others)
                sent = await broker.publish_all([Outgoing("found", key, body, "id") for body in bodies])
                assert set(sent) == {None}

        asyncio.run(main())

    return publish


def numbers(lines):
    return [json.loads(line)["n"] for line in lines.splitlines()]


def test_topology_knows_the_queues_of_items(commands):
    assert json.loads(commands.run("crawl-topology", "plan", "--json"))["complete"]
    commands.run("crawl-topology", "check", "--live")


def test_a_stream_is_read_from_anywhere_and_keeps_everything(commands, publish):
    publish(range(10))
    between = datetime.now(UTC)
    publish(range(10, 20), "item.Other")
    read = lambda *options: numbers(commands.run("crawl-items", "found.all", *options))  # noqa: E731
    assert read() == read("--from", "first") == list(range(20))
    assert read("--from", "12") == list(range(12, 20))
    assert read("--from", "3", "--limit", "4") == [3, 4, 5, 6]
    assert read("--from", "20") == []
    assert set(range(10, 20)) <= set(read("--from", between.isoformat())) <= set(range(20))
    assert read("--from", "last")[-1] == 19
    offsets = commands.run("crawl-items", "found.all", "--offsets", "--limit", "3")
    assert [json.loads(line) for line in offsets.splitlines()] == [
        {"n": n, "title": "größer", "_offset": n} for n in range(3)
    ]


def test_offsets_are_told_of_what_is_no_item_too(commands, publish):
    publish([], others=[b"not json \xff", b"[1]"])
    lines = commands.run("crawl-items", "found.all", "--offsets").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"_body": "not json \ufffd", "_offset": 0},
        {"_body": "[1]", "_offset": 1},
    ]


def test_a_queue_gives_each_item_once_and_only_those_of_its_keys(commands, publish):
    publish(range(10))
    publish(range(10, 20), "item.Other")
    assert numbers(commands.run("crawl-items", "found.pages", "--limit", "4")) == [0, 1, 2, 3]
    assert numbers(commands.run("crawl-items", "found.pages")) == [4, 5, 6, 7, 8, 9]
    assert commands.run("crawl-items", "found.pages") == ""


@pytest.mark.parametrize("queue", ["found.all", "found.pages"])
def test_a_follower_gets_what_is_published_later(commands, publish, queue):
    publish([0])
    assert numbers(commands.run("crawl-items", queue, "--limit", "1")) == [0]
    start = ("--from", "1") if queue == "found.all" else ()
    follower = commands.start("crawl-items", queue, "--follow", "--limit", "2", *start)
    publish([1])
    publish([2])
    assert follower.wait(60) == 0
    assert numbers((commands.folder / "crawl-items-0.log").read_text()) == [1, 2]


def test_mistakes_are_told_in_one_line(commands):
    assert "exchanges.yaml has found.all, found.pages" in commands.run("crawl-items", "found", code=9)
    assert "are for streams" in commands.run("crawl-items", "found.pages", "--from", "first", code=2)
    assert "first, last, next, or an offset" in commands.run("crawl-items", "found.all", "--from", "noon", code=2)
