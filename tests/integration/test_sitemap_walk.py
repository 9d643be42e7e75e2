"""From sitemap to sitemap over real sockets: scope, limits, redirects, loops, and sites that misbehave."""

import asyncio
import gzip
import time

import pytest

from crawl_dedup import CanonicalRules
from crawl_producer.seeds import Rejected, Seed
from crawl_producer.sources import walk as walking
from crawl_producer.sources.walk import Walk
from crawl_producer.sources.web import SourceWeb, WebLimits
from crawl_producer.topology import ScopeSpec
from raw_web import LOOPBACK, answer, raw_web

XML = b"Content-Type: text/xml"


def urlset(*urls, lastmod=""):
    date = f"<lastmod>{lastmod}</lastmod>" if lastmod else ""
    return ("<urlset>" + "".join(f"<url><loc>{url}</loc>{date}</url>" for url in urls) + "</urlset>").encode()


def index(*urls, lastmod=""):
    date = f"<lastmod>{lastmod}</lastmod>" if lastmod else ""
    body = "".join(f"<sitemap><loc>{url}</loc>{date}</sitemap>" for url in urls)
    return f"<sitemapindex>{body}</sitemapindex>".encode()


def moved(to):
    return b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + to.encode() + b"\r\n\r\n"


def walked(answers, *paths, limits=None, delay_s=0.0, scope=None, **options):
    """The pages as paths, the rejections as (place, reason), the walk, and the web."""

    async def play():
        served = {path: body if callable(body) else _whole(body) for path, body in answers.items()}
        async with (
            raw_web(served) as site,
            SourceWeb(user_agent="Tests/1", delay_s=delay_s, guard=LOOPBACK, limits=limits, pause_s=0.01) as web,
        ):
            walk = Walk([site.url(path) for path in paths], web, scope or ScopeSpec(), **options)
            entries = [entry async for batch in walk.batches() for entry in batch]
            return entries, walk, site

    entries, walk, site = asyncio.run(play())
    pages = [entry.url.removeprefix(site.origin) for entry in entries if isinstance(entry, Seed)]
    rejected = [(e.text.removeprefix(site.origin), e.reason) for e in entries if isinstance(e, Rejected)]
    return pages, rejected, walk, site


def _whole(body):
    return body if body.startswith(b"HTTP/1.1") else answer(body, XML)


def asked(site):
    return [head.split()[1].decode() for head in site.requests]


def test_robots_txt_index_and_gzip_lead_to_pages():
    pages, rejected, walk, site = walked(
        {
            "/robots.txt": b"Sitemap: /index.xml\nSitemap: /news.txt",
            "/index.xml": index("/1.xml.gz", "/2.xml"),
            "/1.xml.gz": gzip.compress(urlset("/a", "b")),
            "/2.xml": urlset("/c"),
            "/news.txt": b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nnonsense",
        },
        "/robots.txt",
    )
    assert pages == ["/a", "/b", "/c"]
    assert rejected == [("nonsense", "syntax")]
    assert walk.lists == 5
    assert b"User-Agent: Tests/1" in site.requests[0]


def test_indexes_in_a_circle_are_read_once():
    pages, rejected, _, site = walked(
        {"/i.xml": index("/i.xml", "/j.xml", "/j.xml"), "/j.xml": index("/i.xml", "/p.xml"), "/p.xml": urlset("/a")},
        "/i.xml",
    )
    assert (pages, rejected) == (["/a"], [])
    assert asked(site) == ["/i.xml", "/j.xml", "/p.xml"]


def test_nesting_ends_and_says_so():
    answers = {f"/{n}.xml": index(f"/{n + 1}.xml") for n in range(9)}
    pages, rejected, walk, _ = walked(answers, "/0.xml")
    assert (pages, rejected) == ([], [("/4.xml", "too_deep")])
    assert walk.lists == walking.MAX_DEPTH + 1


def test_a_run_reads_so_many_lists_and_says_so(monkeypatch):
    monkeypatch.setattr(walking, "MAX_LISTS", 3)
    answers = {"/i.xml": index("/1.xml", "/2.xml", "/3.xml"), "/1.xml": urlset("/a"), "/2.xml": urlset("/b")}
    pages, rejected, _, _ = walked(answers, "/i.xml")
    assert (pages, rejected) == (["/a", "/b"], [("/3.xml", "too_many")])


def test_entries_go_through_the_crawls_canonical_rules_before_its_scope():
    pages, _, walk, _ = walked(
        {"/s.xml": urlset("/a?utm_id=1", "/b;jsessionid=1"), "/t.xml": urlset("/c")},
        "/s.xml",
        "/t.xml",
        scope=ScopeSpec(session_ids=False),
        rules=CanonicalRules(drop_tracking=True, drop_session_ids=True),
    )
    assert (pages, walk.outside) == (["/a", "/b", "/c"], {})


def test_entries_are_in_scope_as_links_would_be():
    pages, rejected, walk, _ = walked(
        {"/s.xml": urlset("/a", "/private/b", "http://other.test/c", "ftp://x/", "/d")},
        "/s.xml",
        scope=ScopeSpec(deny=("/private/",)),
    )
    assert pages == ["/a", "/d"]
    assert rejected == [("ftp://x/", "scheme")]
    assert walk.outside == {"deny": 1, "host": 1}


def test_any_host_takes_pages_of_others_as_sites_of_their_own_and_keeps_the_other_rules():
    async def play():
        body = urlset("/a", "http://other.test/c", "http://other.test/private/")
        async with (
            raw_web({"/s.xml": answer(body)}) as site,
            SourceWeb(user_agent="T", delay_s=0, guard=LOOPBACK) as web,
        ):
            walk = Walk([site.url("/s.xml")], web, ScopeSpec(deny=("/private/",)), any_host=True)
            return [entry async for batch in walk.batches() for entry in batch], walk.outside

    (mine, other), outside = asyncio.run(play())
    assert mine.root == "127.0.0.1"
    assert (other.url, other.root) == ("http://other.test/c", "")
    assert outside == {"host": 1}


def test_an_index_names_no_lists_elsewhere_but_robots_txt_may():
    _, rejected, _, site = walked({"/i.xml": index("http://localhost:2/s.xml")}, "/i.xml")
    assert rejected == [("http://localhost:2/s.xml", "host")]
    assert asked(site) == ["/i.xml"]
    _, rejected, _, _ = walked({"/robots.txt": b"Sitemap: http://localhost:2/s.xml"}, "/robots.txt")
    assert rejected == [("http://localhost:2/s.xml", "connect")]


def test_a_site_that_moves_its_sitemap_moves_along():
    async def play():
        async with raw_web({"/s.xml": answer(urlset("/a"), XML)}) as new:
            there = new.url("/s.xml").replace("127.0.0.1", "localhost")
            async with (
                raw_web({"/s.xml": moved(there)}) as old,
                SourceWeb(user_agent="T", delay_s=0, guard=LOOPBACK) as web,
            ):
                walk = Walk([old.url("/s.xml")], web, ScopeSpec())
                return [entry async for batch in walk.batches() for entry in batch]

    (seed,) = asyncio.run(play())
    assert seed.root == "localhost"
    assert seed.url.endswith("/a")


@pytest.mark.parametrize(
    ("to", "reason", "requests"),
    [("/s.xml", "redirects", 6), ("ftp://127.0.0.1/s.xml", "redirect", 1), ("file:///etc/passwd", "redirect", 1)],
)
def test_redirects_are_followed_so_far_and_only_on_the_web(to, reason, requests):
    _, rejected, _, site = walked({"/s.xml": moved(to)}, "/s.xml")
    assert rejected == [("/s.xml", reason)]
    assert len(site.requests) == requests


def test_since_leaves_out_old_pages_and_whole_lists():
    since_ms = 1767225600_000  # 2026-01-01
    pages, rejected, walk, site = walked(
        {
            "/i.xml": index("/old.xml", lastmod="2025-12-30"),
            "/new.xml": urlset("/a", lastmod="2025-12-31")[:-9] + urlset("/b", lastmod="2026-01-01")[8:],
            "/undated.xml": urlset("/c"),
        },
        "/i.xml",
        "/new.xml",
        "/undated.xml",
        since_ms=since_ms,
    )
    # A day counts up to its end, which is the beginning of the next one.
    assert (pages, rejected) == (["/a", "/b", "/c"], [])
    assert walk.older == 1
    assert "/old.xml" not in asked(site)


def test_a_list_that_fails_costs_no_other():
    pages, rejected, walk, _ = walked(
        {
            "/i.xml": index("/gone.xml", "/page.html", "/bad.xml.gz", "/good.xml"),
            "/gone.xml": answer(b"", status=b"404 Not Found"),
            "/page.html": answer(b"<!doctype html><title>not found</title>"),
            "/bad.xml.gz": b"\x1f\x8b\x08" + b"x" * 99,
            "/good.xml": urlset("/a"),
        },
        "/i.xml",
    )
    assert pages == ["/a"]
    assert rejected == [("/gone.xml", "http_404"), ("/page.html", "html"), ("/bad.xml.gz", "damaged_gzip")]
    assert walk.lists == 4


@pytest.mark.parametrize(("status", "tries"), [(b"503 Busy", 3), (b"404 Not Found", 1), (b"403 Forbidden", 1)])
def test_what_may_yet_succeed_is_tried_again(status, tries):
    _, rejected, _, site = walked({"/s.xml": answer(b"", status=status)}, "/s.xml")
    assert rejected == [("/s.xml", f"http_{status[:3].decode()}")]
    assert len(site.requests) == tries


def test_a_site_that_asks_for_more_patience_than_a_run_has_is_left_alone():
    busy = answer(b"", b"Retry-After: 3600", status=b"429 Too Many Requests")
    _, rejected, _, site = walked({"/s.xml": busy}, "/s.xml")
    assert rejected == [("/s.xml", "http_429")]
    assert len(site.requests) == 1


def test_a_second_try_begins_with_an_empty_file():
    tries = []

    async def flaky(_reader, writer):
        tries.append(1)
        body = urlset("/a")
        cut = body if len(tries) > 1 else body[:-30]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + cut)
        await writer.drain()

    assert walked({"/s.xml": flaky}, "/s.xml")[:2] == (["/a"], [])


def test_a_body_beyond_the_limit_and_one_that_never_ends_are_given_up():
    async def endless(_reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async def silent(reader, _writer):
        await reader.read()

    _, rejected, _, _ = walked({"/s.xml": endless}, "/s.xml", limits=WebLimits(body_bytes=1 << 20))
    assert rejected == [("/s.xml", "too_large")]
    _, rejected, _, site = walked({"/s.xml": silent}, "/s.xml", limits=WebLimits(idle_s=0.1))
    assert rejected == [("/s.xml", "timeout")]
    assert len(site.requests) == 3


def test_content_coding_and_file_may_both_be_gzip_and_others_are_refused():
    twice = answer(gzip.compress(gzip.compress(urlset("/a"))), b"Content-Encoding: gzip", b"Content-Type: text/html")
    brotli = answer(b"x", b"Content-Encoding: br")
    assert walked({"/1.xml.gz": twice, "/2.xml": brotli}, "/1.xml.gz", "/2.xml")[:2] == (["/a"], [("/2.xml", "coding")])


def test_a_host_has_its_rest_between_two_requests():
    began = time.monotonic()
    walked({"/i.xml": index("/1.xml", "/2.xml"), "/1.xml": urlset(), "/2.xml": urlset()}, "/i.xml", delay_s=0.2)
    assert time.monotonic() - began >= 0.4
