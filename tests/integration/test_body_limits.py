"""How a body may come: not in drips, not in crumbs, not behind a flood, and not in part."""

import asyncio
import socket
import tempfile
import time

import pytest

from crawl_consumer.fetch import FailureKind, Fetcher, FetchFailure, FetchLimits
from crawl_consumer.response import Response
from crawl_producer.answer import MAX_INTERIM
from crawl_producer.arrival import FREE_CHUNKS, MEAN_CHUNK_BYTES, Pace
from crawl_producer.sources.found import NotAListing
from crawl_producer.sources.web import SourceWeb, WebLimits
from crawl_producer.topology import LimitsSpec
from raw_web import LOOPBACK, answer, raw_web

HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
CHUNKED = HTML + b"Transfer-Encoding: chunked\r\n\r\n"


def fetcher(**limits):
    return Fetcher(FetchLimits(**limits), user_agent="Test/1.0", connections=4, guard=LOOPBACK)


async def fetched(said, **limits):
    async with raw_web({"/": said}) as web, fetcher(**limits) as fetch:
        return await fetch.fetch(web.url("/"))


def failed(result, kind, why):
    assert isinstance(result, FetchFailure), result
    assert (result.kind, why in result.detail) == (kind, True), result


def drip(head, drop, every_s=0.02):
    async def talk(_, writer):
        writer.write(head)
        while not writer.is_closing():
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(every_s)

    return talk


@pytest.mark.parametrize(
    "talk",
    [
        drip(HTML + b"\r\n", b"x"),
        drip(HTML + b"Content-Length: 9999\r\n\r\n", b"x"),
        drip(CHUNKED, b"1\r\nx\r\n"),
        drip(CHUNKED + b"5;", b"extension"),
        drip(CHUNKED + b"5\r\nhello\r\n", b"0"),
    ],
)
def test_a_body_that_drips_ends_long_before_its_time_is_up(run, talk):
    started = time.monotonic()
    result = run(fetched(talk, pace=Pace(after_s=0.3)))
    assert time.monotonic() - started < FetchLimits().total_s / 2
    failed(result, FailureKind.TIMEOUT, "slower than 1024 bytes/s after 0.3 s")


def test_a_body_that_began_fast_may_pause_for_as_long_as_that_allows(run):
    async def pausing(_, writer):
        writer.write(HTML + b"Content-Length: 50005\r\n\r\n" + b"x" * 50_000)
        await writer.drain()
        await asyncio.sleep(0.5)
        writer.write(b"hello")
        await writer.drain()

    result = run(fetched(pausing, pace=Pace(after_s=0.1)))  # 50,000 bytes are enough for 48 s
    assert isinstance(result, Response)
    assert len(result.body) == 50_005


def test_a_crawl_may_allow_drips(run):
    async def slow(_, writer):
        writer.write(HTML + b"Content-Length: 3\r\n\r\n")
        for _ in range(3):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.2)

    result = run(fetched(slow, pace=Pace(bytes_per_s=0, after_s=0.1)))
    assert isinstance(result, Response)
    assert result.body == b"xxx"


def chunks(count, size):
    return CHUNKED + (b"%x\r\n%b\r\n" % (size, b"x" * size)) * count + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("count", "size"), [(3, 1), (FREE_CHUNKS, 1), (FREE_CHUNKS + 5000, MEAN_CHUNK_BYTES), (20, 100_000)]
)
def test_a_body_may_come_in_chunks(run, count, size):
    result = run(fetched(chunks(count, size)))
    assert isinstance(result, Response), result
    assert (len(result.body), result.wire_bytes) == (count * size, count * size)


def test_a_body_may_not_come_in_crumbs(run):
    whole = chunks(FREE_CHUNKS + 5000, MEAN_CHUNK_BYTES - 1)
    failed(run(fetched(whole)), FailureKind.PROTOCOL, f"chunks of less than {MEAN_CHUNK_BYTES} bytes")


def test_a_body_without_length_is_whole_when_its_connection_ends_well_and_else_not(run):
    def ending(how):
        async def talk(_, writer):
            writer.write(HTML + b"\r\n" + b"<a href=/half>")
            await writer.drain()
            await asyncio.sleep(0.05)  # for it to be read: a reset takes what lies in the other's buffer with it
            if how == "reset":
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        return talk

    result = run(fetched(ending("well")))
    assert isinstance(result, Response)
    assert result.body == b"<a href=/half>"
    failed(run(fetched(ending("reset"))), FailureKind.PROTOCOL, "")


@pytest.mark.parametrize(("count", "passes"), [(1, True), (MAX_INTERIM, True), (MAX_INTERIM + 1, False), (5000, False)])
def test_so_many_interim_answers_are_passed_over(run, count, passes):
    result = run(fetched(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * count + answer(b"x")))
    if passes:
        assert isinstance(result, Response)
        assert (result.status, result.body) == (200, b"x")
    else:
        failed(result, FailureKind.PROTOCOL, f"more than {MAX_INTERIM} interim answers")


def test_a_connection_that_gave_interim_answers_is_used_again(run):
    async def story():
        said = b"HTTP/1.1 102 Processing\r\n\r\n" * 15 + answer(b"x")
        async with raw_web({"/": said}) as web, fetcher() as fetch:
            for _ in range(5):
                assert (await fetch.fetch(web.url("/"))).body == b"x"
            assert web.connections == 1

    run(story())


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ([b"X: 1"] * 126, True),
        ([b"X: 1"] * 127, False),
        ([b"X: " + b"a" * 8000], True),
        ([b"X: " + b"a" * 8200], False),
        ([b"X" * 8000 + b": a"], True),
        ([b"X" * 8200 + b": a"], False),
        ([b"X: " + b"a" * 8000] * 100, True),
    ],
)
def test_a_header_has_so_many_fields_and_each_so_many_bytes(run, fields, passes):
    result = run(fetched(answer(b"x", *fields)))  # two more are its own
    if passes:
        assert isinstance(result, Response), result
    else:
        failed(result, FailureKind.PROTOCOL, "")


def test_a_body_is_as_long_as_the_crawl_allows(run):
    allows = FetchLimits.of(LimitsSpec(body_bytes=2000, total_s=7, min_bytes_per_s=5))
    assert allows == FetchLimits(total_s=7, body_bytes=2000, pace=Pace(5))
    assert FetchLimits.of(LimitsSpec()) == FetchLimits()
    assert isinstance(run(fetched(answer(b"x" * 2000), body_bytes=2000)), Response)
    failed(run(fetched(answer(b"x" * 2001), body_bytes=2000)), FailureKind.TOO_LARGE, "body above 2000 bytes")


def test_whoever_wants_only_the_first_bytes_gets_them_of_any_body(run):
    async def story(said, first_bytes):
        async with raw_web({"/": said}) as web, fetcher(body_bytes=1000) as fetch:
            return (await fetch.fetch(web.url("/"), first_bytes=first_bytes)).body

    assert run(story(answer(b"x" * 5_000_000), 100)) == b"x" * 100
    assert run(story(answer(b"x" * 5_000_000), 3000)) == b"x" * 3000  # more than a page of this crawl may have
    assert run(story(chunks(50, 100_000), 3000)) == b"x" * 3000


def test_a_sitemap_may_not_drip_nor_hide_behind_a_flood_nor_end_with_a_broken_chunk(run):
    async def why(said):
        async with raw_web({"/s.xml": said}) as web:
            limits = WebLimits(pace=Pace(after_s=0.2))
            web_of_sources = SourceWeb(user_agent="Test/1.0", delay_s=0, guard=LOOPBACK, limits=limits, pause_s=0)
            async with web_of_sources as source:
                with tempfile.TemporaryFile() as file, pytest.raises(NotAListing) as caught:
                    await source.download(web.url("/s.xml"), file)
                return str(caught.value)

    async def late(_, writer):
        writer.write(CHUNKED + b"5\r\nhello\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)  # for the first chunk to arrive alone
        writer.write(b"zz\r\n")
        await writer.drain()

    assert run(why(drip(HTML + b"\r\n", b"x"))) == "timeout"
    assert run(why(b"HTTP/1.1 103 E\r\n\r\n" * 100)) == "protocol"
    assert run(why(late)) == "protocol"
