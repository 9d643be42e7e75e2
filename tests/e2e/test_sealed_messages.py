"""A crawl with a message key on a broker that others write to: what they write is not fetched, all of ours is."""

import asyncio
import json

import pytest

from crawl_producer.amqp import AmqpBroker
from crawl_producer.broker import Outgoing
from crawl_producer.message import UrlMessage
from crawl_producer.seal import HEADER, Seal
from crawl_producer.topology import Connection
from dictionary_site import dictionary_site
from e2e_kit import Commands

KEY, NEXT, STRANGERS = "the key of our crawls: " + "k" * 16, "the key after it: " + "n" * 20, "s" * 40
TOPOLOGY = """\
exchanges: {crawl.docs: {type: direct}}
queues: {docs.pages: {crawl: docs, bindings: [{exchange: crawl.docs, key: page}]}}
inboxes: {docs.inbox: {crawl: docs, bindings: [{exchange: crawl.docs, key: inbox}]}}
crawls:
  docs:
    exchange: crawl.docs
    key: page
    robots: {obey: false}
    journal: {max_bytes: 2_000_000}
    retry: {max_attempts: 2, first_delay_s: 0.3}
"""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def commands(environment, tmp_path):
    (tmp_path / "exchanges.yaml").write_text(TOPOLOGY)
    commands = Commands(environment | {"CRAWL_MESSAGE_KEY": KEY}, tmp_path)
    commands.run("crawl-topology", "apply")
    return commands


@pytest.fixture
def publish(rabbit, fresh_vhost):
    """Publish as somebody who may write to the exchange and has no key."""
    connection = Connection(nodes=(f"127.0.0.1:{rabbit.nodes[0].port}",), vhost=fresh_vhost, opening_s=30)

    def publish(key, body, **headers):
        async def main():
            async with AmqpBroker(connection, name="another") as broker:
                await broker.publish(Outgoing("crawl.docs", key, body, "id", headers))

        asyncio.run(main())

    return publish


def consume(commands, **environment):
    commands.run("crawl-consumer", "--queue", "docs.*", "--until-done", "--quiet", **environment)


def letters(commands):
    return [json.loads(line) for line in commands.run("crawl-dead", "list", "--json").splitlines()]


def test_forged_messages_become_dead_letters_and_ours_take_every_way_there_is(commands, publish, rabbit, fresh_vhost):
    pages = {"/": '<a href="/moved">a</a><a href="/broken">b</a>', "/moved": (302, {"Location": "/there"}, "")}
    with dictionary_site(pages | {"/there": "x", "/broken": (503, {}, "x"), "/inbox": "x", "/late": "x"}) as site:
        forged = UrlMessage(crawl="docs", url=f"{site.home}forged").encode()
        publish("page", forged)
        publish("page", forged, **{HEADER: Seal([STRANGERS]).of(forged)})
        # The seal of a message of ours, on another body.
        publish("page", forged, **{HEADER: Seal([KEY]).of(forged.replace(b"forged", b"honest"))})
        publish("inbox", f"{site.home}inbox".encode())
        commands.run("crawl-seed", site.home)
        commands.run("crawl-seed", "--inbox", "docs.inbox")
        consume(commands)

        books = commands.status()
        assert books["outcomes"] == {"ok": 3, "redirect": 1, "failed_http_503": 1}
        assert site.asked.count("/broken") == 2
        reasons = sorted(letter["reason"] for letter in letters(commands))
        assert reasons == ["http_503", "unsealed: it has no seal", *["unsealed: its seal is of no key of ours"] * 2]

        # Looking at them, burying and replaying them gives a stranger's letters no seal.
        site.pages["/broken"] = "mended"
        told = json.loads(commands.shell("crawl-dead replay --yes --json; [ $? = 10 ]"))
        assert (told["replayed"], sum(told["skipped"].values())) == (1, 3)
        consume(commands)
        assert commands.status()["outcomes"] == {"ok": 4, "redirect": 1}
        assert len(letters(commands)) == 3

        # The queue is purged, and its messages come again from the journal, in which the forged ones lie as well.
        commands.run("crawl-seed", f"{site.home}late")
        rabbit.ctl("--vhost", fresh_vhost, "purge_queue", "docs.pages")
        (report,) = json.loads(commands.run("crawl-doctor", "docs", "--repair", "--json"))
        assert (report["republished"], report["unreadable"]) == (1, 3)
        consume(commands)
        assert commands.status()["outcomes"] == {"ok": 5, "redirect": 1}
        assert "/forged" not in site.asked


def test_a_key_is_replaced_while_messages_wait(commands):
    with dictionary_site({"/": "x", "/a": "x"}) as site:
        commands.run("crawl-seed", site.home)
        commands.run("crawl-seed", f"{site.home}a", CRAWL_MESSAGE_KEY=f"{NEXT}, {KEY}")
        consume(commands, CRAWL_MESSAGE_KEY=f"{KEY},{NEXT}")
        assert commands.status()["outcomes"] == {"ok": 2}
        assert letters(commands) == []


def test_a_key_that_is_too_short_is_refused_and_not_repeated(commands):
    said = commands.run("crawl-status", code=3, CRAWL_MESSAGE_KEY="hunter2hunter2")
    assert "CRAWL_MESSAGE_KEY: too short" in said
    assert "hunter2" not in said


def test_where_messages_must_be_sealed_a_command_without_a_key_touches_nothing(commands, tmp_path):
    (tmp_path / "exchanges.yaml").write_text(TOPOLOGY + "connection: {sealed: true}\n")
    with dictionary_site({"/": "x"}) as site:
        commands.run("crawl-seed", site.home)
        for command in (("crawl-seed", f"{site.home}a"), ("crawl-consumer", "--queue", "docs.*"), ("crawl-status",)):
            assert "set CRAWL_MESSAGE_KEY" in commands.run(*command, code=3, CRAWL_MESSAGE_KEY="")
        assert site.asked.count("/") == 0
        consume(commands)
        assert commands.status()["outcomes"] == {"ok": 1}
