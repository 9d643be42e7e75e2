"""A page of which only links and title are asked for is read without a tree, and says the same."""

import asyncio
import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from crawl_consumer import parser, tags
from crawl_consumer.page import MAX_DEPTH, Page
from crawl_consumer.parsing import Parsing
from crawl_consumer.response import Response
from crawl_consumer.spider import Rule, Spider, run
from crawl_consumer.spiders.base import skims
from crawl_consumer.title import GLANCE_BYTES, MAX_TITLE_CHARS
from crawl_producer.message import UrlMessage

URL = "http://site.example/folder/page"
MESSAGE = UrlMessage(crawl="c", url=URL)


def page(body, charset=None):
    return Page(Response(url=URL, status=200, body=body, content_type="text/html", header_charset=charset), MESSAGE)


def has_tree(seen):
    return "_parsed" in seen.__dict__


def said(seen):
    """All that it is asked for without its tree."""
    return seen.links(), seen.unendorsed, seen.rejected, seen.base_url, seen.metas, seen.title


def parsed_by(spider, seen):
    async def main():
        async with Parsing() as parsing, parsing.of(seen, skimmed=skims(spider, seen.to)) as refusal:
            assert not refusal
            return await run(spider, seen)

    return asyncio.run(main())


_PIECES = (
    b"<a href=b>", b"<a href='c?d&amp;e#f' rel=nofollow>", b"<area href=", b"x", b"'", b'"', b">", b"<base href=",
    b"//[", b"</", b"</a>", b"<!--", b"-->", b"<title>", b"</title>", b"</TITLE ", b"</titles>", b"<head>", b"<body>",
    b"<svg>", b"<table>", b"<td>", b"<script>", b"</script>", b"<meta name=robots content=none>", b"<select>", b"<p>",
    b"<style>", b"<textarea>", b"<plaintext>", b"<frameset>", b"<noscript>", b"<template>", b"<![CDATA[", b"<?", b"&#",
    b";", b"\0", b"\xff", b"javascript:", b"<meta charset=gbk>", b" ", b"\xc3\xa4", b"</body>", b"</html>", b"<a",
)  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=40).map(b"".join), st.sampled_from([None, "utf-8", "big5"]))
@example(b"<script>'<title>a</title>'</script><title>b</title>", None)
@example(b"<!-- <title>a</title> --><title>b</title>", None)
@example(b"<meta content='<title>a</title>'><title>b</title>", None)
@example(b"<head><svg><title>icon</title></svg><title>page</title>", None)
@example(b"<body><p>x<title>late</title>", None)
@example(b"<title>a</titles>b</title >c", None)
@example(b"<title>never ended <a href=b>", None)
@example(b"<TITLE>\n a &amp; \xc2\xa0 b</TITLE>", None)
@example(b"<title></title>", None)
@example(b"<meta charset=koi8-r><title>\xc4\xc5</title><a href='?\xc6'>", None)
@example(b"<p>x</p></body></html><a href=b>", None)
@example(b"x</body><area href=c></html><a href=b>", None)
@example(b"<title\r</title>t", None)
@example(b"<title x='>' </title>t</title>", None)
@example(b"<title>?</title>t", None)
@example(b"", None)
def test_skimmed_or_parsed_it_says_the_same(body, charset):
    skimmed, parsed = page(body, charset), page(body, charset)
    complete = skimmed.skim()
    assert said(skimmed) == said(parsed)
    assert has_tree(skimmed) is not complete


@pytest.mark.parametrize(
    ("body", "complete"),
    [
        (b"<title>a</title><a href=b>", True),
        (b"<html><head><meta charset=utf-8><TITLE lang=de>b</TITLE\n>", True),
        (b"<a href=b>", True),
        (b"<p>x" * (GLANCE_BYTES // 4) + b"<title>a</title>", False),
        (b"<title>a" + b"x" * GLANCE_BYTES + b"</title>", False),
        (b"<body><svg><title>a</title></svg>", False),
    ],
    ids=["first", "attributes", "none", "late", "long", "picture"],
)
def test_no_tree_is_needed_for_a_title_that_is_seen_at_a_glance(body, complete):
    seen = page(body)
    assert (seen.skim(), has_tree(seen)) == (complete, False)
    assert (seen.title, has_tree(seen)) == (page(body).title, not complete)


def test_of_a_huge_title_the_beginning_is_kept():
    seen = page(b"<title> " + b"two\nwords " * 5000 + b"</title>")
    assert seen.skim()
    assert seen.title == ("two words " * MAX_TITLE_CHARS)[:MAX_TITLE_CHARS]


@pytest.mark.parametrize("depth", [255, MAX_DEPTH + 10, 8000])
def test_links_are_found_however_deep_they_are_nested(depth):
    seen = page(b"<a href=first>" + b"<div>" * depth + b"<a href=deep></a>" + b"</div>" * depth + b"<a href=last>")
    assert seen.skim()
    assert [url.rpartition("/")[2] for url in seen.links()] == ["first", "deep", "last"]
    assert not has_tree(seen)


def test_memory_that_runs_out_leaves_nothing_to_the_next_page(monkeypatch):
    parser.skim(b"<p>")
    with monkeypatch.context() as patched:
        patched.setattr(etree.ErrorTypes, "ERR_NO_MEMORY", etree.ErrorTypes.ERR_TAG_NAME_MISMATCH)
        with pytest.raises(MemoryError, match="16 bytes"):
            parser.skim(b"<a href=old></p>")
    assert list(parser.skim(b"<a href=new>").references) == ["new"]


@pytest.mark.parametrize("error", [ValueError, MemoryError, KeyboardInterrupt])
def test_what_stops_a_skim_leaves_nothing_to_the_next_page(monkeypatch, error):
    def stop(*_):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(tags.TagReader, "_link", stop)
        with pytest.raises(error):
            parser.skim(b"<meta name=a content=b><base href=c><a href=old>")
    assert parser.skim(b"<a href=new>") == ({"new": True}, [], None, 0)


def test_threads_skim_side_by_side():
    read = {}

    def skim(name):
        markup = b"".join(b"<a href=%d.%d>" % (name, number) for number in range(2000))
        read[name] = [list(parser.skim(markup).references) for _ in range(20)]

    threads = [threading.Thread(target=skim, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == {name: [[f"{name}.{number}" for number in range(2000)]] * 20 for name in range(4)}


class Own(Spider):
    def parse(self, page):
        yield {"title": page.title}
        yield page.follow_all()


class Ruled(Spider):
    rules = (Rule(css="nav", follow=True),)


class Hooked(Spider):
    def on_fetched(self, page):
        self.heading = page.css("h1::text").get()


class Finishing(Spider):
    def on_finish(self, finished):
        print(finished)


@pytest.mark.parametrize(
    ("spider", "method", "expected"),
    [
        (Spider, None, True),
        (Spider, "parse", True),
        (Spider, "record", True),
        (Own, None, False),
        (Own, "record", True),
        (Ruled, None, False),
        (Hooked, None, False),
        (Hooked, "record", False),
        (Finishing, None, True),
        (Spider, "another", False),
    ],
)
def test_pages_are_skimmed_for_the_methods_of_every_spider(spider, method, expected):
    assert skims(spider(), method) is expected


def test_no_tree_is_made_for_the_default_spider_however_long_the_page():
    for body in (b"<title>a</title><a href=b>", b"<title>a</title><a href=b>" + b'<p class="x">some text</p>' * 7000):
        seen = page(body)
        parsed = parsed_by(Spider(), seen)
        assert (parsed.follows, parsed.items[0].thing.title) == (("http://site.example/folder/b",), "a")
        assert not has_tree(seen)


@pytest.mark.parametrize(("tags", "tree"), [(7000, False), (30_000, True)])
def test_a_page_of_many_tags_is_parsed_whatever_it_is_for(tags, tree):
    seen = page(b'<p class="x">' * tags + b"<a href=b>")
    parsed_by(Spider(), seen)
    assert has_tree(seen) is tree


def test_another_spider_finds_the_tree_of_a_long_page_made():
    seen = page(b'<p class="x">some text</p>' * 7000)
    assert skims(Own(), None) is False
    parsed_by(Own(), seen)
    assert has_tree(seen)


def test_a_page_that_is_no_html_is_not_skimmed():
    response = Response(url=URL, status=200, body=b"<a href=b>", content_type="text/plain")
    seen = Page(response, MESSAGE)
    assert parsed_by(Spider(), seen).follows == ()
