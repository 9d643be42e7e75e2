"""Inboxes in exchanges.yaml: what is checked, what is declared, and where their dead letters belong."""

import pytest

from crawl_producer.dead_letters import queues_of
from crawl_producer.derive import declarations
from crawl_producer.errors import TopologyInvalid, UnknownName
from crawl_producer.render import mermaid
from crawl_producer.seed_routes import crawl_of_inbox
from crawl_producer.topology_file import parse_topology

FILE = """\
exchanges:
  x: {type: direct}
queues:
  a.pages: {crawl: a, group: one, bindings: [{exchange: x, key: a}]}
  b.pages: {crawl: b, bindings: [{exchange: x, key: b}]}
inboxes:
  a.inbox: {crawl: a, bindings: [{exchange: x, key: in}]}
crawls:
  a: {exchange: x, key: a}
  b: {exchange: x, key: b}
"""


def topology(text=FILE):
    return parse_topology(text, "exchanges.yaml")


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("a.inbox: {crawl: a,", "a.inbox: {crawl: z,", "inboxes.a.inbox.crawl: no crawl is called 'z'"),
        ("a.inbox: {", "a.pages: {", "inboxes.a.pages: a work queue has this name"),
        ("a.inbox: {", "dead.x: {", "inboxes.dead.x: a reserved name"),
        ("exchange: x, key: in", "exchange: y, key: in", "inboxes.a.inbox.bindings.0.exchange: no exchange is called"),
        ("exchange: x, key: in", "exchange: x", "inboxes.a.inbox.bindings.0.key: a direct exchange routes by key"),
    ],
)
def test_a_mistake_is_named_where_it_is(old, new, mistake):
    with pytest.raises(TopologyInvalid) as caught:
        topology(FILE.replace(old, new))
    assert mistake in str(caught.value)


def test_an_inbox_is_a_queue_that_counts_deliveries_and_has_dead_letters():
    declared = declarations(topology())
    queues = {queue.name: queue.arguments for queue in declared.queues}
    assert queues["a.inbox"]["x-queue-type"] == "quorum"
    assert queues["a.inbox"]["x-delivery-limit"] == 50
    assert queues["a.inbox"]["x-dead-letter-routing-key"] == "a.inbox"
    assert "dead.a.inbox" in queues
    assert "a.inbox.due" not in queues
    bindings = {(binding.source, binding.destination, binding.key) for binding in declared.bindings}
    assert {("x", "a.inbox", "in"), ("crawl.dead", "dead.a.inbox", "a.inbox")} <= bindings


def test_an_inbox_feeds_one_crawl():
    assert crawl_of_inbox(topology(), "a.inbox", None) == "a"
    assert crawl_of_inbox(topology(), "a.inbox", "a") == "a"
    with pytest.raises(UnknownName, match="feeds crawl a"):
        crawl_of_inbox(topology(), "a.inbox", "b")
    with pytest.raises(UnknownName, match="no inbox is called"):
        crawl_of_inbox(topology(), "b.inbox", None)


def test_dead_letters_of_inboxes_are_found_unless_they_are_of_no_use():
    assert queues_of(topology()) == ("a.pages", "b.pages", "a.inbox")
    assert queues_of(topology(), crawl="a", inboxes=False) == ("a.pages",)
    assert topology().ledger_of("a.inbox") == ("a", "one")
    assert topology().ledger_of("b.pages") == ("b", "main")


def test_the_picture_shows_inboxes():
    assert "-. crawl-seed .-> c_a" in mermaid(topology())
