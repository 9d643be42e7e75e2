"""Items that their models refuse: dead letters of their own, while the page's other items live."""

import asyncio
from dataclasses import dataclass
from functools import partial

import pytest
from pydantic import BaseModel, Field

from crawl_consumer.page import Page
from crawl_consumer.response import Response
from crawl_consumer.spider import Made, Spider, run
from crawl_producer.dead_ends import Ended, replay
from crawl_producer.dead_letters import Wanted
from crawl_producer.dead_search import search
from crawl_producer.message import UrlMessage
from small_world import HOME, World, html
from watched_world import Watched


class Article(BaseModel):
    title: str = Field(min_length=2)
    words: int


@dataclass
class Quote:
    who: str


class News(Spider):
    def parse(self, page):
        yield page.item(Article, title="first", words="3")
        yield page.item(Article, title="x", words="many")
        yield {"plain": 1}
        yield page.item(Quote, who=["nobody"])
        yield page.item(Quote, who="somebody")
        yield page.follow("next")


def parsed(spider, body=b""):
    response = Response(url=HOME, status=200, body=body, content_type="text/html")
    return asyncio.run(run(spider, Page(response, UrlMessage(crawl="c", url=HOME))))


def test_a_draft_is_validated_when_it_is_yielded_and_numbers_are_those_of_the_yields():
    result = parsed(News())
    assert result.items == (
        Made({"title": "first", "words": 3}, Article),
        Made({"plain": 1}),
        Made({"who": "somebody"}, Quote),
    )
    assert [item.number for item in result.items] == [0, 2, 4]
    assert [item.number for item in result.invalid] == [1, 3]
    assert result.invalid[0].error == (
        "title: String should have at least 2 characters; "
        "words: Input should be a valid integer, unable to parse string as an integer"
    )
    assert result.items[0].thing == Article(title="first", words=3)


async def letters_of(world):
    letters, client = [], world.client()
    async with client:
        await client.consume("dead.q", prefetch=100, deliver=letters.append)
        while world.broker.server.queue("dead.q").ready:
            await asyncio.sleep(0)
    return letters


def test_an_invalid_item_is_a_dead_letter_and_the_others_live():
    async def main():
        async with World({HOME: html(), HOME + "next": (404, {}, b"")}) as world:
            await world.seed(HOME)
            tally = await world.crawl(spider=News())
            book = await world.progress()
            assert world.sink.records == [{"title": "first", "words": 3}, {"plain": 1}, {"who": "somebody"}]
            assert book.outcomes == {"ok": 1, "http_404": 1}
            assert (book.counts["items:invalid"], tally.dead) == (2, 2)
            url = world.ledger("x").fingerprint(HOME)
            letters = await letters_of(world)
            assert [letter.message_id for letter in letters] == [f"{url}.1", f"{url}.3"]
            return letters

    first, second = asyncio.run(main())
    assert first.headers["crawl-reason"].startswith("item_invalid: Article 1: title: String should")
    assert first.headers["crawl-item"] == '{"title": "x", "words": "many"}'
    assert (first.headers["crawl-outcome"], second.headers["crawl-item-model"]) == ("ok", "Quote")
    assert first.headers["crawl-died-ms"] == second.headers["crawl-died-ms"]
    assert UrlMessage.decode(first.body).url == HOME


def test_the_letter_is_safe_before_the_commit():
    async def main():
        async with Watched({HOME: html(), HOME + "next": html()}) as world:
            await world.seed(HOME)
            spider = type(
                "Made", (Spider,), {"parse": lambda _, page: [page.item(Quote, who=1), page.follow("next")]}
            )()
            trail = await world.told(spider=spider)
            return trail[: trail.index("keep /") + 1]

    assert asyncio.run(main()) == ["fetch /", "dead /", "keep /"]


def test_replaying_the_letters_parses_the_page_again_once():
    async def main():
        async with World({HOME: html(), HOME + "next": html()}) as world:
            await world.seed(HOME)
            spider = type("Made", (Spider,), {"parse": lambda _, page: [page.item(Quote, who=n) for n in (1, 2)]})()
            await world.crawl(spider=spider)
            ended = Ended()
            async with world.client() as client, world.ledger("replayer") as ledger:
                again = partial(replay, broker=client, ledger=ledger, ended=ended)
                found = await search(world.topology, client, ["q"], Wanted(), lambda dead, held: again(held, dead))
            assert (found, ended.replayed) == (2, 2)
            assert (await world.progress()).open == 1
            mended = type(
                "Made", (Spider,), {"parse": lambda _, page: [page.item(Quote, who=str(n)) for n in (1, 2)]}
            )()
            await world.crawl("second", spider=mended)
            assert world.web.fetched == [HOME, HOME]
            assert world.sink.records == [{"who": "1"}, {"who": "2"}]
            assert (await world.progress()).outcomes == {"ok": 1}

    asyncio.run(main())


CIRCLE = []
CIRCLE.append(CIRCLE)


class Nameless:
    def __repr__(self):
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "fields",
    [
        {"who": object()},
        {"who": "\ud800" * 9000},
        {"who": CIRCLE},
        {"who": {("a", "tuple"): "as a key"}},
        {"who": Nameless()},
        {},
    ],
)
def test_whatever_an_item_holds_its_letter_can_be_written(fields):
    async def main():
        async with World({HOME: html()}) as world:
            await world.seed(HOME)

            class Strict(BaseModel):
                who: int

            await world.crawl(
                spider=type("Made", (Spider,), {"parse": lambda _, page: [page.item(Strict, **fields)]})()
            )
            return await world.dead()

    ((reason, headers, _),) = asyncio.run(main())
    assert reason.startswith("item_invalid: Strict 0: who: ")
    assert len(headers["crawl-item"]) <= 4000


def test_an_item_may_be_of_one_of_several_models_and_its_letter_names_them():
    spider = type("Made", (Spider,), {"parse": lambda _, page: [page.item(Article | Quote, who=n) for n in ("A", 1)]})

    async def main():
        async with World({HOME: html()}) as world:
            await world.seed(HOME)
            await world.crawl(spider=spider())
            assert world.sink.records == [{"who": "A"}]
            return await world.dead()

    ((reason, headers, _),) = asyncio.run(main())
    assert "Quote" in headers["crawl-item-model"]
    assert headers["crawl-item-model"] in reason


def test_items_of_a_page_that_says_noindex_are_not_kept_as_letters_either():
    async def main():
        async with World({HOME: (200, {"x-robots-tag": "noindex"}, b"")}) as world:
            await world.seed(HOME)
            await world.crawl(spider=News())
            assert (world.sink.records, await world.dead()) == ([], [])

    asyncio.run(main())
