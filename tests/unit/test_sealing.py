"""Which publications get the seal where there is a key: every URL message of ours, and nothing that strangers wrote."""

import asyncio

from crawl_producer.broker import Outgoing
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.sources.inbox import Inbox
from crawl_producer.sources.service import Written
from small_world import HOME, World, html


class Noting(MemoryBroker):
    """Notes what is published, and with which seal it would be."""

    def __init__(self, server, notes):
        super().__init__(server)
        self.notes = notes

    async def publish_all(self, messages):
        self.notes += messages
        return await super().publish_all(messages)


class NotingWorld(World):
    def __init__(self, pages, **crawl):
        super().__init__(pages, **crawl)
        self.notes = []

    def client(self):
        return Noting(self.broker.server, self.notes)


def test_what_strangers_wrote_is_never_sealed_and_all_of_ours_is():
    async def main():
        pages = {
            HOME: html("/a", "/moved", "/broken"), f"{HOME}a": html(), f"{HOME}moved": (302, {"location": "/b"}, b""),
            f"{HOME}b": html(), f"{HOME}broken": (503, {}, b""),
        }  # fmt: skip
        async with NotingWorld(pages) as world:
            await world.broker.publish(Outgoing("x", "k", b"a stranger's", "foreign"))
            await world.seed(HOME)
            await world.crawl()
            return world.notes

    notes = asyncio.run(main())
    exchanges = {note.exchange for note in notes if note.sealed}
    assert {"x", "crawl.dead"} < exchanges  # links, a dead letter, and delays
    assert [(note.exchange, note.body) for note in notes if not note.sealed] == [("crawl.dead", b"a stranger's")]


def test_a_dead_letter_of_an_inbox_is_a_strangers():
    async def main():
        async with NotingWorld({}) as world:
            await world.broker.publish(Outgoing("x", "k", b"no url", "foreign"))
            async with Inbox(world.client(), "q") as inbox:
                (message,) = await inbox.next()
                assert isinstance(message, Written)
                await inbox.let_go([], [(message, "syntax")])
            return world.notes

    (letter,) = asyncio.run(main())
    assert (letter.exchange, letter.body, letter.sealed) == ("crawl.dead", b"no url", False)
