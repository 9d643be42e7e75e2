"""Spiders: what they may return, what happens when they fail, and how they are found."""

import asyncio
import re
import sys
from dataclasses import dataclass

import pytest
from pydantic import BaseModel

from crawl_consumer.errors import SpiderInvalid, SpiderRaised
from crawl_consumer.page import Follow, Page
from crawl_consumer.response import Response
from crawl_consumer.spider import Made, Spider, load_spider, run
from crawl_producer.message import UrlMessage

URL = "http://site.example/"


def page(body=b"<title>t</title><a href=a><a href=b><a href='mailto:x@y'>"):
    response = Response(url=URL, status=200, body=body, content_type="text/html", fetched_at=0.25)
    return Page(response, UrlMessage(crawl="c", url=URL, depth=1))


def parsed(parse):
    """What comes of a spider whose parse is this function of the page."""
    spider = type("Made", (Spider,), {"parse": lambda _, page: parse(page)})()
    return asyncio.run(run(spider, page()))


def fields(result):
    return tuple(item.fields for item in result.items)


def test_the_default_spider_records_the_page_and_follows_its_links():
    result = asyncio.run(run(Spider(), page()))
    assert fields(result) == (
        {
            "url": URL,
            "status": 200,
            "content_type": "text/html",
            "title": "t",
            "depth": 1,
            "parent": None,
            "time": "1970-01-01T00:00:00.250+00:00",
            "bytes": 57,
            "links": 2,
        },
    )
    assert result.follows == (URL + "a", URL + "b")
    assert result.rejected == {"scheme": 1}


class Model(BaseModel):
    a: int


@dataclass
class Data:
    a: int


@pytest.mark.parametrize(("item", "model"), [({"a": 1}, None), (Model(a=1), Model), (Data(a=1), Data)])
def test_items_may_be_dicts_models_and_dataclasses(item, model):
    assert parsed(lambda _: [item]).items == (Made({"a": 1}, model),)


def test_a_spider_may_return_a_list_or_nothing_or_be_any_kind_of_generator():
    async def coroutine(_):
        return [{"a": 1}]

    async def async_generator(_):
        yield {"a": 1}

    def generator(_):
        yield {"a": 1}

    for parse in (coroutine, async_generator, generator, lambda _: [{"a": 1}]):
        assert fields(parsed(parse)) == ({"a": 1},)
    assert parsed(lambda _: None).items == ()


def test_follows_are_canonical_and_distinct():
    follows = parsed(lambda page: [page.follow("x"), Follow("/x#y"), Follow("HTTP://OTHER.example")]).follows
    assert follows == (URL + "x", "http://other.example/")


def test_a_follow_that_cannot_be_crawled_is_counted():
    result = parsed(lambda _: [Follow("mailto:x"), Follow("fine")])
    assert (result.follows, result.rejected) == ((URL + "fine",), {"scheme": 1})


def test_an_error_in_a_spider_names_its_line():
    def parse(_):
        yield {"a": 1}
        raise KeyError("no such thing")

    class Broken(Spider):
        def parse(self, page):
            yield from parse(page)

    with pytest.raises(SpiderRaised) as caught:
        asyncio.run(run(Broken(), page()))
    line = parse.__code__.co_firstlineno + 2
    assert re.search(
        rf"Broken\.parse at \S*test_spider\.py:{line}: KeyError: 'no such thing' \(on {URL}\)", str(caught.value)
    )
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_error_in_an_async_spider_is_its_own_too():
    async def parse(_):
        yield {"a": 1}
        raise ValueError("line one\nline two")

    with pytest.raises(SpiderRaised, match="ValueError: line one line two"):
        parsed(parse)


def test_an_error_deep_in_a_library_names_the_spider_s_line():
    class Selecting(Spider):
        def parse(self, page):
            return [page.css("[[")]

    line = Selecting.parse.__code__.co_firstlineno + 1
    with pytest.raises(SpiderRaised, match=rf"test_spider\.py:{line}: "):
        asyncio.run(run(Selecting(), page()))


@pytest.mark.parametrize("thing", ["http://site.example/", None, 1, Data, ["nested"]])
def test_what_is_neither_item_nor_follow_is_an_error_that_says_so(thing):
    with pytest.raises(SpiderRaised, match=r"test_spider\.py:\d+: TypeError: it yielded .*; yield page\.follow"):
        parsed(lambda _: [thing])


def test_our_cancellation_is_not_a_spider_s_error():
    async def main():
        begun = asyncio.Event()

        async def parse(_):
            begun.set()
            await asyncio.Event().wait()
            yield

        spider = Spider()
        spider.parse = parse
        working = asyncio.create_task(run(spider, page()))
        await begun.wait()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working

    asyncio.run(main())


def test_a_cancellation_of_the_spider_s_own_is_its_error():
    async def parse(_):
        task = asyncio.create_task(asyncio.sleep(60))
        task.cancel()
        yield await task

    with pytest.raises(SpiderRaised, match="CancelledError"):
        parsed(parse)


def test_a_dict_may_be_filled_again_for_the_next_item():
    def parse(_):
        item = {}
        for n in range(3):
            item["n"] = n
            yield item

    assert [item.fields["n"] for item in parsed(parse).items] == [0, 1, 2]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a module into the working folder; returns its name, which no other test has."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


HEADER = "from crawl_consumer.spider import Spider\n"


def test_a_spider_is_loaded_from_the_working_folder(write):
    write("my_spiders", HEADER + "class Mine(Spider):\n    name = 'mine'\n")
    assert load_spider("my_spiders:Mine").name == "mine"


def test_the_default_spider_can_be_named():
    assert type(load_spider("crawl_consumer.spider:Spider")) is Spider


@pytest.mark.parametrize(
    ("name", "text", "message", "remedy"),
    [
        ("no_colon", "", "names no spider", "module:Class"),
        (":Mine", "", "names no spider", "module:Class"),
        ("absent_module:Mine", "", "no module 'absent_module'", "absent_module.py"),
        ("absent.inner:Mine", "", "no module 'absent.inner'", "absent.py"),
        ("needy:Mine", "import absent_library", "needs 'absent_library'", "install"),
        ("wrong:Mine", "class Mine(:", "SyntaxError", "wrong.py:1"),
        ("raises:Mine", "\n1 / 0", "ZeroDivisionError", "raises.py:2"),
        ("empty:Mine", "Mine = 1", "has no spider 'Mine'", "write a class"),
        ("other:Mine", HEADER + "class Yours(Spider): pass", "has no spider 'Mine'", "there is other:Yours"),
        (
            "needs:Mine",
            HEADER + "class Mine(Spider):\n def __init__(self, x): pass",
            "cannot be made",
            "without arguments",
        ),
    ],
)
def test_a_spider_that_cannot_be_loaded_is_an_error_with_a_way_out(write, name, text, message, remedy):
    if text:
        write(name.partition(":")[0], text)
    with pytest.raises(SpiderInvalid, match=re.escape(message)) as caught:
        load_spider(name)
    assert remedy in caught.value.remedy
    assert caught.value.exit_code == 13
