"""A page as a spider sees it. Nothing the web sends makes it raise, and no link is lost on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawl_consumer import markup, tags
from crawl_consumer.page import MAX_DEPTH, Follow, Page
from crawl_consumer.response import Headers, Response
from crawl_consumer.title import MAX_TITLE_CHARS
from crawl_dedup import UrlInvalid
from crawl_producer.message import UrlMessage

URL = "http://site.example/folder/page"


def page(body, *, content_type="text/html", charset=None, url=URL, **rest):
    response = Response(url=url, status=200, body=body, content_type=content_type, header_charset=charset, **rest)
    return Page(response, UrlMessage(crawl="c", url=url, depth=2, parent="http://site.example/", redirects=1))


def test_a_page_knows_its_response_and_its_way_here():
    seen = page(b"12345", headers=Headers({"X-A": "b"}), elapsed_ms=7.0, fetched_at=1000.5)
    assert (seen.url, seen.status, seen.body, seen.size_bytes) == (URL, 200, b"12345", 5)
    assert (seen.depth, seen.parent, seen.redirects) == (2, "http://site.example/", 1)
    assert (seen.elapsed_ms, seen.fetched_at, seen.headers["x-A"]) == (7.0, 1000.5, "b")
    assert URL in repr(seen)


def test_a_body_that_was_not_downloaded_keeps_its_announced_size():
    seen = page(b"", content_type="image/png", body_read=False, wire_bytes=12_345)
    assert (seen.size_bytes, seen.is_html, seen.links(), seen.title) == (12_345, False, [], None)


def test_links_are_canonical_distinct_and_in_order():
    seen = page(
        b"<a href=b>1</a><a href='./b#x'>2</a><a href='/folder/b'>3</a><a href='//other.example'>4</a><a href=?q>5</a>"
    )
    assert seen.links() == [
        "http://site.example/folder/b",
        "http://other.example/",
        "http://site.example/folder/page?q",
    ]


def test_what_is_no_url_to_crawl_is_counted_by_reason():
    schemes = "mailto:a@b", "javascript:x()", "tel:1", "data:,x", "ftp://h/"
    others = "http://[", "http://h/" + "x" * 3000
    seen = page("".join(f"<a href='{href}'>" for href in (*schemes, *others, "fine")).encode())
    assert seen.links() == seen.links() == ["http://site.example/folder/fine"]
    assert seen.rejected == {"scheme": 5, "syntax": 1, "too_long": 1}


def test_links_are_relative_to_the_base():
    assert page(b"<base href=/other/><a href=x>").links() == ["http://site.example/other/x"]


@pytest.mark.parametrize(
    ("markup", "base"),
    [
        (b"", URL),
        (b"<base>", URL),
        (b"<base href=/one/><base href=/two/>", "http://site.example/one/"),
        (b"<base href='//cdn.example/x'>", "http://cdn.example/x"),
        (b"<base href='https://cdn.example/#x'>", "https://cdn.example/"),
        (b"<base href='javascript:alert(1)'>", URL),
        (b"<base href='data:text/html,x'><base href=/two/>", URL),
        (b"<base href='http://['>", URL),
        (b"<base href=''>", URL),
    ],
)
def test_the_base_is_the_page_unless_it_names_another_on_the_web(markup, base):
    assert page(markup).base_url == base


def test_follow_resolves_and_leaves_what_cannot_be_crawled_to_be_counted_when_it_is_yielded():
    seen = page(b"")
    assert seen.follow("../x#y") == Follow("http://site.example/x")
    assert seen.follow("mailto:a@b") == Follow("mailto:a@b")
    assert seen.rejected == {}
    with pytest.raises(UrlInvalid, match="scheme"):
        seen.resolve("mailto:a@b")
    assert seen.rejected == {"scheme": 1}


@pytest.mark.parametrize("depth", [255, 300, MAX_DEPTH - 10, MAX_DEPTH + 10, 50_000])
def test_links_are_found_however_deep_they_are_nested(depth):
    seen = page(b"<a href=first>" + b"<div>" * depth + b"<a href=deep></a>" + b"</div>" * depth + b"<a href=last>")
    assert [url.rpartition("/")[2] for url in seen.links()] == ["first", "deep", "last"]
    assert (seen.parse_error is None) == (depth < MAX_DEPTH)


def test_too_deep_is_noticed_behind_many_other_errors():
    seen = page(b"</p><a b=1 b=2>" * 1000 + b"<i>" * 3000 + b"<a href=deep>")
    assert seen.links() == ["http://site.example/folder/deep"]
    assert "2048" in (seen.parse_error or "")


@pytest.mark.parametrize(
    ("charset", "wrong"),
    [
        ("utf-8", b"\xff\xc3"),
        ("windows-1252", b"\x81\x8d"),
        ("shift_jis", b"\x81\xff"),
        ("euc-jp", b"\xa1\xff"),
        ("gbk", b"\x81\xff"),
        ("big5", b"\x81\xff"),
        ("euc-kr", b"\x81\xff"),
        ("iso-8859-8", b"\xff"),
        ("windows-874", b"\xdb\xff"),
        ("iso-2022-jp", b"\x1b$B \xff\x1b(B"),
    ],
)
def test_a_wrong_byte_costs_no_link(charset, wrong):
    seen = page(b"<title>t" + wrong + b"</title><a href=1></a>" + wrong + b" <a href=2>", charset=charset)
    assert [url[-1] for url in seen.links()] == ["1", "2"]
    assert seen.title[0] == "t"


def test_nul_bytes_cost_no_link():
    assert len(page(b"\0<p>\0<a href=1>\0</a><a\0 href=x><a href=2>").links()) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "koi8-r", "cp1251", "iso-8859-5"])
def test_a_page_is_read_in_its_encoding(encoding):
    declared = None if "utf" in encoding else encoding
    seen = page("<title>Привет</title><a href='/мир?я'>мир".encode(encoding), charset=declared)
    assert seen.title == "Привет"
    assert seen.text == "мир"
    (link,) = seen.links()
    assert link.startswith("http://site.example/%D0%BC%D0%B8%D1%80?")


def test_a_declaration_in_the_page_does_not_overrule_the_header():
    assert page("<meta charset=shift_jis><title>é</title>".encode(), charset="utf-8").title == "é"


def test_queries_are_encoded_as_the_page_is():
    latin = "<meta charset=iso-8859-1><a href='/ä?ä'><a href='/x?&auml;'>".encode("latin-1")
    assert page(latin).links() == ["http://site.example/%C3%A4?%E4", "http://site.example/x?%E4"]


@pytest.mark.parametrize(
    "body", [b"", b" \n", b"<!-- only a comment -->", b"<?pi?>", b"<!doctype html>", b"\xef\xbb\xbf"]
)
def test_an_empty_page_has_an_empty_tree(body):
    seen = page(body)
    assert (seen.tree.tag, seen.title, seen.text, seen.links(), seen.parse_error) == ("html", None, "", [], None)


@pytest.mark.parametrize("body", [b"\0", b"<", b"<a", b"</", b"text", b"\xff\xff", b"&#xD800;&#x110000;", b"<a href='"])
def test_dirt_does_not_raise(body):
    seen = page(body)
    assert seen.links() == []
    assert seen.text.encode() is not None


def test_comments_and_processing_instructions_are_no_part_of_the_tree():
    seen = page(b"<p>a<!-- <a href=no> -->b<?php <a href=no2> ?>c</p>")
    assert seen.links() == []
    assert [element.tag for element in seen.tree.iter()] == ["html", "body", "p"]


def test_the_title_is_the_document_s_with_white_space_collapsed():
    assert page(b"<title>\n a <b>&amp; \xc2\xa0 b</title><svg><title>x</title></svg>").title == "a <b>& b"
    assert page(b"<head><svg><title>icon</title></svg><title>page</title>").title == "page"
    assert page(b"<body><p>x<title>late</title>").title == "late"
    assert page(b"<title></title>").title == ""


def test_of_a_huge_title_the_beginning_is_kept():
    seen = page(b"<title> " + b"two\nwords " * 100_000)
    assert seen.title == ("two words " * MAX_TITLE_CHARS)[:MAX_TITLE_CHARS]


def test_links_behind_the_last_that_is_read_are_counted(monkeypatch):
    monkeypatch.setattr(tags, "MAX_REFERENCES", 2)
    seen = page(b"<a href=1><a href=2><a href=3><a href=1><a href=4>")
    assert [url.rpartition("/")[2] for url in seen.links()] == ["1", "2"]
    assert seen.rejected == {"too_many_links": 2}


def test_reading_a_page_counts_no_link_that_nobody_asked_for():
    seen = page(b"<a href=mailto:a@b><a href=b>")
    seen.read_apart()
    assert seen.rejected == {}
    assert (seen.links(), seen.rejected) == (["http://site.example/folder/b"], {"scheme": 1})


def test_a_page_that_is_given_up_is_empty_and_says_why():
    seen = page(b"<title>a</title><meta name=robots content=none><a href=b>text")
    seen.give_up("too large")
    assert (seen.title, seen.metas, seen.links(), seen.text, seen.css("a").getall()) == (None, [], [], "", [])
    assert (seen.parse_error, seen.is_html, seen.follow("b")) == (
        "too large",
        True,
        Follow("http://site.example/folder/b"),
    )


@given(st.lists(st.sampled_from(["a", "bc", " ", "\n\t", "\u2003", "\x1f", "é"]), max_size=60), st.integers(1, 9))
def test_white_space_is_collapsed_alike_however_long_a_text_is(pieces, stretch):
    text = "".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markup, "STRETCH_CHARS", stretch)
        assert markup.collapsed(text) == " ".join(text.split())


def test_text_leaves_out_what_is_not_read():
    assert page(b"<title>t</title><style>s</style><script>j</script><p>a <b>b</b>\n c</p><p>d").text == "a b c d"


def test_selectors_look_at_the_same_tree():
    seen = page(b"<h1>a</h1><p class=x>b</p>")
    assert seen.css("h1::text").get() == "a"
    assert seen.xpath("//p[@class='x']/text()").getall() == ["b"]
    assert seen.selector.root is seen.tree


@pytest.mark.parametrize(
    ("content_type", "body", "is_html"),
    [
        ("text/html", b"", True),
        ("application/xhtml+xml", b"", True),
        ("text/plain", b"<html>", False),
        ("", b"<!DOCTYPE html>", True),
        ("", b"\xef\xbb\xbf\n <HTML >", True),
        ("", b"<!-- c --><p>", True),
        ("", b"<a href=x>", True),
        ("", b"<article>", False),
        ("", b"%PDF-1.7", False),
        ("", b"", False),
    ],
)
def test_what_counts_as_html(content_type, body, is_html):
    assert page(body, content_type=content_type).is_html is is_html


def test_other_text_is_text_and_has_no_links():
    seen = page("<a href=x> größer".encode("latin-1"), content_type="text/plain")
    assert (seen.text, seen.links(), seen.tree.tag) == ("<a href=x> größer", [], "html")


def test_json_is_read():
    assert page(b'\xef\xbb\xbf{"a": [1]}', content_type="application/json").json() == {"a": [1]}
    with pytest.raises(ValueError, match="Expecting"):
        page(b"nope", content_type="application/json").json()
    with pytest.raises(ValueError, match="too deep"):
        page(b"[" * 100_000, content_type="application/json").json()


_PIECES = (
    "<a href=|x|'|\"|>|<base href=|//[|</|<!--|-->|<title>|<meta charset=|utf-16|gbk|<svg>|<table>|<script>|&#|;|#|?"
)
_MARKUP = st.lists(st.sampled_from([*_PIECES.encode().split(b"|"), b"\0", b"\xff", b"javascript:"])).map(b"".join)


@given(_MARKUP | st.binary(), st.sampled_from([None, "utf-8", "utf-16", "big5", "iso-2022-jp", "nonsense"]))
def test_any_bytes_are_a_page(body, charset):
    seen = page(body, charset=charset)
    for url in seen.links():
        assert seen.follow(url).url == url
    assert "\ud800" not in f"{seen.title} {seen.text}"
