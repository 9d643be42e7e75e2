# a mistake is one line, as it is for its reader
"""The items section of exchanges.yaml and ``outputs:``: what they declare, what is wrong with them, who reads them."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from crawl_consumer.cli.consumer import app
from crawl_consumer.settings import ConsumerSettings
from crawl_consumer.sinks.by_queue import outputs_of
from crawl_producer.broker import Outgoing
from crawl_producer.declarations import Binding
from crawl_producer.derive import declarations
from crawl_producer.errors import TopologyInvalid
from crawl_producer.items import take
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.plan import apply, plan
from crawl_producer.render import mermaid
from crawl_producer.rotation import Rotation
from crawl_producer.topology_file import parse_topology

GOOD = """\
exchanges:
  x: {type: direct}
queues:
  a: {crawl: c, bindings: [{exchange: x, key: a}]}
  b: {crawl: c, bindings: [{exchange: x, key: b}], outputs: [b.csv]}
crawls:
  c: {exchange: x, key: a, outputs: ["exchange:found/item.{kind}", items.jsonl], rotate: 1h}
items:
  found:
    type: topic
    queues:
      found.search: {keys: [item.Article, item.Page], max_length: 1000}
      found.archive: {type: stream, max_bytes: 1_600_000, max_age_s: 604_800}
  copies: {queues: {copies.all: {}}}
"""
TOPOLOGY = parse_topology(GOOD, "exchanges.yaml")
WANTED = declarations(TOPOLOGY)


def arguments(queue):
    return next(dict(q.arguments) for q in WANTED.queues if q.name == queue)


def test_readers_have_quorum_queues_that_refuse_when_they_are_full_and_never_drop():
    limits = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}
    assert arguments("found.search") == limits | {"x-max-length": 1000, "x-overflow": "reject-publish"}
    assert arguments("copies.all") == limits


def test_a_stream_keeps_as_much_and_as_long_as_it_is_told():
    assert arguments("found.archive") == {
        "x-queue-type": "stream",
        "x-max-length-bytes": 1_600_000,
        "x-stream-max-segment-size-bytes": 100_000,
        "x-max-age": "604800s",
    }


def test_readers_are_bound_by_their_keys_or_for_everything():
    assert {exchange.name: exchange.type for exchange in WANTED.exchanges}["found"] == "topic"
    assert [b for b in WANTED.bindings if b.source in {"found", "copies"}] == [
        Binding("found", "found.search", "item.Article"),
        Binding("found", "found.search", "item.Page"),
        Binding("found", "found.archive", "#"),
        Binding("copies", "copies.all", ""),
    ]


def test_items_have_no_companions():
    names = {queue.name for queue in WANTED.queues}
    assert {"found.search", "found.archive", "copies.all"} <= names
    assert not names & {"found.search.due", "dead.found.search", "journal.found"}


def test_the_picture_shows_who_publishes_items_and_who_reads_them():
    picture = [line.strip() for line in mermaid(TOPOLOGY).splitlines()]
    for line in (
        'i_found{{"found<br>topic"}}',
        'r_found_46_archive[("found.archive<br>stream")]',
        "c_c -. items .-> i_found",
        'i_found -- "item.Article" --> r_found_46_search',
        "i_copies --> r_copies_46_all",
    ):
        assert line in picture
    assert "c_c -. items .-> i_copies" not in picture


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("copies:", "x:", "14: items.x: exchanges.x has this name; choose another: URLs and items do not share one"),
        ("copies.all:", "a:", "14: items.copies.queues.a: queues.a has this name; choose another"),
        (
            "copies.all:",
            "found.archive:",
            "14: items.copies.queues.found.archive: items.found has a queue of this name",
        ),
        ("copies.all:", "dead.a:", "14: items.copies.queues.dead.a: a reserved name; choose another"),
        ("{copies.all: {}}", "{}", "14: items.copies.queues: must not be empty; give at least one"),
        (
            "copies.all: {}",
            "copies.all: {keys: [a]}",
            "14: items.copies.queues.copies.all.keys: a fanout exchange gives",
        ),
        (
            "{queues: {cop",
            "{type: direct, queues: {cop",
            "14: items.copies.queues.copies.all: a direct exchange routes",
        ),
        ("copies.all: {}", "copies.all: {max_age_s: 5}", "14: items.copies.queues.copies.all: max_bytes and max_age_s"),
        ("type: stream,", "type: stream, max_length: 5,", "13: items.found.queues.found.archive: max_length needs"),
        ('"exchange:found/item.{kind}"', '"exchange:fund"', "7: crawls.c.outputs.0: no exchange for items is called"),
        (
            "[b.csv]",
            "[b.csv, 'exchange:fund']",
            "5: queues.b.outputs.1: no exchange for items is called 'fund'; did you",
        ),
        ("rotate: 1h", "rotate: often", "7: crawls.c.rotate: 'often' is neither a size nor a time; write 100MB or 1h"),
    ],
)
def test_a_mistake_is_named_where_it_is(old, new, mistake):
    assert GOOD.count(old) == 1
    with pytest.raises(TopologyInvalid) as caught:
        parse_topology(GOOD.replace(old, new), "exchanges.yaml")
    assert any(line.startswith(f"exchanges.yaml:{mistake}") for line in str(caught.value).splitlines()), caught.value


def test_a_key_that_no_reader_is_bound_for_is_found_before_the_crawl_would_stop():
    only_articles = GOOD.replace("      found.archive: {type: stream, max_bytes: 1_600_000, max_age_s: 604_800}\n", "")
    parse_topology(only_articles.replace("{kind}", "Article"), "exchanges.yaml")
    with pytest.raises(
        TopologyInvalid, match=r"brings the key 'item\.Price' to no queue.*'item\.Article', 'item\.Page'"
    ):
        parse_topology(only_articles.replace("{kind}", "Price"), "exchanges.yaml")


def test_outputs_are_those_of_the_command_line_or_the_queue_or_the_crawl():
    asked = ConsumerSettings(queues=("a", "b"), outputs=("-",))
    unasked = ConsumerSettings(queues=("a", "b"))
    assert outputs_of("a", unasked, TOPOLOGY) == ("exchange:found/item.{kind}", "items.jsonl")
    assert outputs_of("b", unasked, TOPOLOGY) == ("b.csv",)
    assert outputs_of("a", asked, TOPOLOGY) == outputs_of("b", asked, TOPOLOGY) == ("-",)
    assert TOPOLOGY.crawls["c"].rotate == Rotation(seconds=3600)


def test_a_queue_may_have_no_output_where_its_crawl_has_some():
    quiet = parse_topology(GOOD.replace("[b.csv]", "[]"), "exchanges.yaml")
    assert outputs_of("b", ConsumerSettings(queues=("b",)), quiet) == ()


@pytest.mark.parametrize("told", ["in the file", "on the command line"])
def test_several_processes_cannot_share_standard_output_wherever_it_is_named(tmp_path, told):
    (tmp_path / "x.yaml").write_text(GOOD.replace("[b.csv]", "['-']"))
    queue = ("--queue", "b") if told == "in the file" else ("--queue", "a", "--output", "-")
    done = CliRunner().invoke(app, [*queue, "--processes", "2", "--topology", str(tmp_path / "x.yaml")])
    assert done.exit_code == 2
    assert "cannot share standard output" in " ".join(done.output.replace("│", " ").split())


@pytest.fixture
def published():
    """Play a story with a broker whose queue ``copies.all`` has the items 0 to 9."""

    def play(story):
        async def main():
            async with MemoryBroker() as broker:
                await apply(await plan(WANTED, broker), broker)
                await publish(broker, range(10))
                await story(broker)

        asyncio.run(main())

    return play


async def publish(broker, numbers):
    for number in numbers:
        await broker.publish(Outgoing("copies", "", json.dumps({"n": number}).encode(), str(number)))


def test_whoever_takes_items_gets_them_all_in_order_and_leaves_the_queue_empty(published):
    async def story(broker):
        got = []
        assert await take(broker, "copies.all", got.extend, follow=False) == 10
        assert [json.loads(body)["n"] for body in got] == list(range(10))
        assert (await broker.depth("copies.all")).ready == 0

    published(story)


def test_what_is_beyond_the_limit_stays(published):
    async def story(broker):
        got = []
        assert await take(broker, "copies.all", got.extend, limit=3, follow=False) == 3
        assert (len(got), (await broker.depth("copies.all")).ready) == (3, 7)

    published(story)


def test_an_item_that_could_not_be_kept_stays(published):
    async def story(broker):
        def broken(_):
            raise BrokenPipeError

        with pytest.raises(BrokenPipeError):
            await take(broker, "copies.all", broken, follow=False)
        assert (await broker.depth("copies.all")).ready == 10

    published(story)


def test_a_follower_waits_for_what_is_published_later(published):
    async def story(broker):
        got, more = [], asyncio.Event()

        def keep(bodies):
            got.extend(bodies)
            more.set()

        follower = asyncio.create_task(take(broker, "copies.all", keep, limit=12, follow=True))
        while len(got) < 10:
            more.clear()
            await more.wait()
        assert not follower.done()
        await publish(broker, [10, 11])
        assert await follower == 12

    published(story)
