"""The fetcher against a web server of its own: what it sends, what it brings, what it leaves alone."""

import asyncio
import gzip
import re
import zlib

import brotli
import pytest

from crawl_consumer.fetch import FailureKind, Fetcher, FetchLimits, user_agent
from crawl_consumer.response import Headers, Response
from crawl_consumer.zstd import zstd
from raw_web import LOOPBACK, answer, raw_web

LIMITS = FetchLimits(total_s=10, connect_s=5, idle_s=5, body_bytes=100_000)


def fetcher(limits=LIMITS):
    return Fetcher(limits, user_agent="Test/1.0 (+http://test.example)", connections=4, guard=LOOPBACK)


def got(run, said, path="/", limits=LIMITS):
    """What the fetcher makes of one answer."""

    async def story():
        async with raw_web({path: said}) as web, fetcher(limits) as fetch:
            return await fetch.fetch(web.url(path))

    return run(story())


def test_a_page_comes_with_all_that_is_known_of_it(run):
    said = answer(b"<p>hi", b'Content-Type: Text/HTML ;Charset="Latin1"', b"X-Two: a", b"x-two: b", b'ETag: W/"1"')
    page = got(run, said, "/page?x=1")
    assert isinstance(page, Response)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/page\?x=1", page.url)
    assert (page.status, page.reason, page.body, page.body_read) == (200, "OK", b"<p>hi", True)
    assert (page.content_type, page.header_charset) == ("text/html", "Latin1")
    assert (page.headers["x-TWO"], page.headers.get("etag"), "E-Tag" in page.headers) == ("a, b", 'W/"1"', False)
    assert (page.wire_bytes, page.size_bytes, page.location) == (5, 5, None)
    assert 0 < page.elapsed_ms < 10_000
    assert page.fetched_at > 1.7e9


def test_it_says_who_it_is_and_nothing_of_earlier_visits(run):
    async def story():
        said = answer(b"", b"Set-Cookie: a=b; Path=/")
        async with raw_web({"/": said}) as web, fetcher() as fetch:
            await fetch.fetch(web.url("/"))
            await fetch.fetch(web.url("/"))
            return web

    web = run(story())
    assert web.connections == 1
    for request in web.requests:
        line, *fields = request.decode().split("\r\n")
        sent = dict(field.lower().split(": ", 1) for field in fields if field)
        assert line == "GET / HTTP/1.1"
        assert sent["user-agent"] == "test/1.0 (+http://test.example)"
        assert sent["accept-encoding"] == "gzip, deflate, br, zstd"
        assert set(sent) == {"host", "user-agent", "accept", "accept-encoding"}


@pytest.mark.parametrize("path", ["/%7Ea%2fb", "/a|b'c?d={e}", "/a//b/?x=%C3%A4&y=+", "/x;y=1?a=b?c"])
def test_a_url_is_sent_as_it_stands(run, path):
    assert got(run, answer(b"x"), path).status == 200


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_reported_and_not_followed(run, status):
    page = got(run, answer(b"", b"Location: ../x", status=b"%d Moved" % status))
    assert (page.status, page.location) == (status, "../x")


@pytest.mark.parametrize(
    ("sent", "location"),
    [(b"/caf\xc3\xa9?q=%20", "/caf%C3%A9?q=%20"), (b"/caf\xe9", "/caf%E9"), (b"/a b", "/a b")],
)
def test_a_location_keeps_its_bytes(run, sent, location):
    assert got(run, answer(b"", b"Location: " + sent, status=b"302 Found")).location == location


def test_a_location_without_a_redirect_means_nothing(run):
    assert got(run, answer(b"", b"Location: /x", status=b"201 Created")).location is None


def test_bytes_that_are_no_utf8_in_a_header_do_no_harm(run):
    page = got(run, answer(b"", b"X-A: caf\xe9", b"X-B: caf\xc3\xa9"))
    assert (page.headers["x-a"], page.headers["x-b"]) == ("café", "café")


def test_proxies_and_passwords_of_the_environment_are_not_used(run, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    async def story():
        async with raw_web({"/": answer(b"x")}) as web, fetcher() as fetch:
            assert (await fetch.fetch(web.url("/"))).status == 200
            return web.requests[0]

    assert b"uthorization" not in run(story())


@pytest.mark.parametrize("status", [b"404 Not Found", b"500 Oops", b"418 Teapot", b"999 Denied"])
def test_every_status_is_a_response(run, status):
    page = got(run, answer(b"why", status=status))
    assert (page.status, page.body) == (int(status[:3]), b"why")


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_an_answer_without_body_is_not_too_large(run, status):
    said = b"HTTP/1.1 " + status + b"\r\nContent-Type: text/html\r\nContent-Length: 999999999\r\n\r\n"
    page = got(run, said)
    assert (page.status, page.body) == (int(status[:3]), b"")


@pytest.mark.parametrize("media_type", [b"image/png", b"application/zip", b"video/mp4; codecs=x", b"application/pdf"])
def test_a_body_that_is_no_text_is_not_downloaded(run, media_type):
    async def story():
        head = b"HTTP/1.1 200 OK\r\nContent-Type: " + media_type + b"\r\nContent-Length: 5000000000\r\n\r\n"
        async with raw_web({"/": head + b"x" * 1000, "/next": answer(b"y")}) as web, fetcher() as fetch:
            page = await fetch.fetch(web.url("/"))
            assert (page.body, page.body_read) == (b"", False)
            assert page.wire_bytes == page.size_bytes == 5_000_000_000
            assert (await fetch.fetch(web.url("/next"))).body == b"y"

    run(story())


@pytest.mark.parametrize(
    ("field", "media_type"),
    [
        (b"Content-Type: text/plain", "text/plain"),
        (b"Content-Type: application/xhtml+xml", "application/xhtml+xml"),
        (b"Content-Type: application/rss+xml", "application/rss+xml"),
        (b"Content-Type: application/ld+json", "application/ld+json"),
        (b"Content-Type: ", ""),
        (b"Content-Type: html", ""),
        (b"Content-Type: */*", ""),
        (b"Content-Type: ;charset=x", ""),
        (b"Content-Type: text/html\r\nContent-Type: image/png", "text/html"),
    ],
)
def test_text_is_read_and_so_is_what_says_nothing(run, field, media_type):
    page = got(run, answer(b"body", field))
    assert (page.content_type, page.body, page.body_read) == (media_type, b"body", True)


@pytest.mark.parametrize(
    ("coding", "pack"),
    [(b"gzip", gzip.compress), (b"deflate", zlib.compress), (b"br", brotli.compress), (b"zstd", zstd.compress)],
)
def test_compressed_pages_are_decoded(run, coding, pack):
    packed = pack(b"<p>" * 1000)
    page = got(run, answer(packed, b"Content-Encoding: " + coding))
    assert page.body == b"<p>" * 1000
    assert (page.wire_bytes, page.size_bytes) == (len(packed), 3000)


def test_a_body_without_length_is_read_to_the_end_of_the_connection(run):
    assert got(run, b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + b"x" * 50_000).body == b"x" * 50_000


def test_a_body_as_long_as_the_limit_is_whole(run):
    assert len(got(run, answer(b"x" * LIMITS.body_bytes)).body) == LIMITS.body_bytes


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100001\r\n\r\n",  # and then nothing
        answer(b"x" * 100_001),
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + b"x" * 100_001,
        answer(gzip.compress(b"x" * 100_001), b"Content-Encoding: gzip"),
        answer(gzip.compress(b"x" * 50_000_000), b"Content-Encoding: gzip"),
    ],
)
def test_a_body_above_the_limit_is_refused(run, said):
    failure = got(run, said)
    assert failure.kind is FailureKind.TOO_LARGE
    assert failure.detail == "body above 100000 bytes"


def test_an_endless_body_is_left_as_soon_as_it_is_too_long(run):
    sent = 0

    async def endless(_, writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
            sent += 0x1000
            await writer.drain()

    assert got(run, endless).kind is FailureKind.TOO_LARGE
    assert sent < 20_000_000  # what fits into the sockets' buffers


def test_a_cancelled_fetch_leaves_the_fetcher_usable(run):
    async def story():
        asked = asyncio.Event()

        async def silent(reader, _):
            asked.set()
            assert await reader.read() == b""  # the connection is closed, not kept

        async with raw_web({"/": silent, "/next": answer(b"y")}) as web, fetcher() as fetch:
            task = asyncio.create_task(fetch.fetch(web.url("/")))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await fetch.fetch(web.url("/next"))).body == b"y"

    run(story())


def test_many_fetches_share_the_connections(run):
    async def story():
        async with raw_web({"/": answer(b"x")}) as web, fetcher() as fetch:
            pages = await asyncio.gather(*(fetch.fetch(web.url("/")) for _ in range(50)))
            assert {page.status for page in pages} == {200}
            assert web.connections <= 4

    run(story())


def test_the_user_agent_is_honest_unless_the_crawl_has_its_own():
    assert re.fullmatch(r"CrawlMQ/\S+ \(\+https://github\.com/crawlmq/crawlmq\)", user_agent())
    assert user_agent("Mine/1") == "Mine/1"


@pytest.mark.parametrize("text", ["", "a\r\nX: y", "caf\u00e9", "a\0"])
def test_a_user_agent_that_fits_into_no_header_is_a_mistake(text):
    with pytest.raises(ValueError, match="user agent"):
        user_agent(text)


def test_headers_are_a_mapping_in_any_case():
    headers = Headers({"Content-Type": "a", "x": "b"})
    assert dict(headers) == {"content-type": "a", "x": "b"}
    assert (len(headers), headers["CONTENT-TYPE"], headers.get("y"), "X" in headers) == (2, "a", None, True)
    assert "content-type" in repr(headers)
