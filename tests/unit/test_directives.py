"""What pages ask of crawlers, as written in header fields, meta elements and links."""

import pytest

from crawl_consumer.directives import MAX_FIELD_CHARS, Directives, obey, read
from crawl_consumer.fields import cleaned
from crawl_consumer.page import Page
from crawl_consumer.response import Headers, Response
from crawl_consumer.spider import Parsed
from crawl_producer.message import UrlMessage
from crawl_producer.topology import RobotsSpec

URL = "http://site.example/page"
BOTH, NOINDEX, NOFOLLOW, NEITHER = (
    Directives(True, True),
    Directives(noindex=True),
    Directives(nofollow=True),
    Directives(),
)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ([], NEITHER),
        (["noindex"], NOINDEX),
        (["NoIndex, NOFOLLOW"], BOTH),
        (["none"], BOTH),
        (["nofollow ,noarchive"], NOFOLLOW),
        (["noindex nofollow"], BOTH),
        (["all"], NEITHER),
        (["index, follow"], NEITHER),
        (["noindex, index"], NOINDEX),
        (["noindex", "nofollow"], BOTH),
        (["FooBot: noindex"], NOINDEX),
        (["foobot:none"], BOTH),
        (["otherbot: noindex"], NEITHER),
        (["otherbot: noindex, nofollow"], NEITHER),
        (["otherbot: noindex, foobot: nofollow"], NOFOLLOW),
        (["otherbot: noindex", "nofollow"], NOFOLLOW),
        (["nofollow, otherbot: noindex"], NOFOLLOW),
        (["*: noindex"], NOINDEX),
        (["max-image-preview: none"], NEITHER),
        (["max-snippet: 20, noindex"], NOINDEX),
        (["unavailable_after: 25 Jun 2010 15:00:00 PST"], NEITHER),
        (["unavailable_after: Friday, 25-Jun-10 15:00:00 GMT, nofollow"], NOFOLLOW),
        (["noindexing, dont-nofollow"], NEITHER),
        ([",,: ,:"], NEITHER),
    ],
)
def test_header_fields(fields, said):
    headers = Headers(cleaned([("X-Robots-Tag", field) for field in fields]))
    assert read(headers.get("x-robots-tag", ""), [], "FooBot") == said


def page(markup, **headers):
    response = Response(url=URL, status=200, headers=Headers(headers), body=markup.encode(), content_type="text/html")
    return Page(response, UrlMessage(crawl="c", url=URL))


@pytest.mark.parametrize(
    ("markup", "said"),
    [
        ("<meta name=robots content=noindex>", NOINDEX),
        ("<META NAME='ROBOTS' CONTENT='NOINDEX,NOFOLLOW'>", BOTH),
        ("<meta name=foobot content=nofollow><meta name=robots content=all>", NOFOLLOW),
        ("<meta name=otherbot content=none>", NEITHER),
        ("<meta name=robots content=noindex><meta name=robots content=nofollow>", BOTH),
        ("<body><p><meta name=robots content=none></p>", BOTH),
        ("<!-- <meta name=robots content=none> -->", NEITHER),
        ("<meta name=robots><meta content=none><meta name=description content=none>", NEITHER),
        ("<meta name=robots content='max-image-preview:none'>", NEITHER),
    ],
)
def test_meta_elements(markup, said):
    assert read("", page(markup).metas, "FooBot") == said


@pytest.mark.parametrize("filler", ["x:", "a:b,", " ", "a", ",", "a, ", "é ", "*:"])
def test_of_a_huge_element_the_beginning_is_read(filler):
    huge = filler * (MAX_FIELD_CHARS // len(filler) + 1)
    assert read("", [("robots", f"noindex,{huge}"), ("robots", f"{huge},nofollow")], "FooBot") == NOINDEX


def test_field_and_element_add_up():
    assert read("noindex", page("<meta name=robots content='index, nofollow'>").metas, "FooBot") == BOTH


LINKS = (
    "<a href=/plain>1</a><a rel=nofollow href=/no>2</a><a rel='noopener NoFollow' href=/NO2#x>3</a>"
    "<a rel=ugc href=/ugc>4</a><area rel=sponsored href=/ad><a rel=noopener href=/opener>5</a>"
    "<a rel=nofollow href=/both>6</a><a href='both#again'>7</a><a rel=nofollow href='mailto:x'>8</a>"
)


def kept(markup, *, token="FooBot", follows=None, **spec):
    seen = page(markup)
    parsed = Parsed(({"a": 1},), tuple(seen.links()) if follows is None else follows, seen.rejected)
    return obey(seen, parsed, RobotsSpec(**spec), token)


def paths(parsed):
    return [url.removeprefix("http://site.example") for url in parsed.follows]


def test_links_that_nothing_but_rel_nofollow_leads_to_are_left_out():
    result = kept(LINKS)
    assert paths(result) == ["/plain", "/opener", "/both"]
    assert result.rejected == {"rel_nofollow": 4, "scheme": 1}
    assert len(result.items) == 1


def test_what_a_spider_made_up_itself_is_no_link_of_the_page():
    result = kept(LINKS, follows=("http://site.example/made-up", "http://site.example/no"))
    assert paths(result) == ["/made-up"]
    assert kept(LINKS, follows=("http://site.example/made-up",)).rejected == {}


def test_looking_at_rel_counts_no_link_that_the_spider_did_not_ask_for():
    seen = page(LINKS)
    follows = (seen.resolve("/plain"), seen.resolve("/no"))
    result = obey(seen, Parsed((), follows, seen.rejected), RobotsSpec(), "FooBot")
    assert (paths(result), result.rejected) == (["/plain"], {"rel_nofollow": 1})
    assert len(seen.links()) == len(seen.links()) == 7
    assert seen.rejected == {"scheme": 1}


def test_rel_may_be_passed_over():
    assert len(kept(LINKS, respect_rel=False).follows) == 7


def test_nofollow_leaves_all_links_out_and_noindex_all_items():
    result = kept("<meta name=robots content=none>" + LINKS)
    assert (result.follows, result.items, result.rejected) == ((), (), {"nofollow": 7, "scheme": 1})
    result = kept("<meta name=robots content=none>" + LINKS, respect_nofollow=False)
    assert (len(result.follows), result.items) == (3, ())
    result = kept("<meta name=robots content=none>" + LINKS, respect_noindex=False)
    assert (len(result.follows), len(result.items)) == (0, 1)


def test_a_page_without_directives_is_left_as_it_is():
    seen = page("<a href=/a>1</a>")
    parsed = Parsed((), ("http://site.example/a",), seen.rejected)
    assert obey(seen, parsed, RobotsSpec(), "FooBot") is parsed
