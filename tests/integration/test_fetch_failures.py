"""The fetcher against the web's dirt: whatever is said or not said, a value comes back, and in time."""

import asyncio
import gzip
import random
import socket
import ssl
import time

import pytest

from crawl_consumer.fetch import FailureKind, Fetcher, FetchFailure, FetchLimits
from crawl_consumer.response import Response
from raw_web import LOOPBACK, answer, raw_web

LIMITS = FetchLimits(total_s=10, connect_s=5, idle_s=5, body_bytes=100_000)
HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"

#: For 127.0.0.1, made for these tests only, signed by nobody.
_CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6oAWPL+mPMljwP+S
maEtJ4PKYK+8SZ8F4DKv8hW27b+hRANCAASkWJpG8g3OZxmSMjikKFJzri+540vQ
hraOvDEg4pjqgYb5dtB6J0CNJ1JhL6QA/NEAjjakt+Rct7MvpMtxIKVg
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBkTCCATagAwIBAgIUJbTJrUC0QjzaPO51OtbD7N3Ko/QwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2MTEyMDIzMjY0M1oYDzIxMjYxMDI3
MjMyNjQzWjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASkWJpG8g3OZxmSMjikKFJzri+540vQhraOvDEg4pjqgYb5dtB6J0CN
J1JhL6QA/NEAjjakt+Rct7MvpMtxIKVgo2QwYjAdBgNVHQ4EFgQUVId2N+d9GQOK
8czMmbKVzuuDK5YwHwYDVR0jBBgwFoAUVId2N+d9GQOK8czMmbKVzuuDK5YwDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0kAMEYC
IQCkRUnBnlXfwpMkggFUXLHg7CuS5pjloOKfM6jXpBy+0QIhAPppvF8Me76UpbpW
mNwgIsiZOVfOeYCXliDmmbTfeCAF
-----END CERTIFICATE-----
"""


def fetcher(limits=LIMITS):
    return Fetcher(limits, user_agent="Test/1.0", connections=4, guard=LOOPBACK)


async def fetched(url, limits=LIMITS):
    async with fetcher(limits) as fetch:
        return await fetch.fetch(url)


async def said(words, limits=LIMITS):
    async with raw_web({"/": words}) as web:
        return await fetched(web.url("/"), limits)


def failed(run, story, kind):
    failure = run(story)
    assert isinstance(failure, FetchFailure)
    assert failure.kind is kind, failure
    assert failure.detail.isprintable()
    assert 0 < len(failure.detail) <= 200
    assert failure.elapsed_ms >= 0
    return failure


@pytest.mark.parametrize(
    "words",
    [
        b"garbage\r\n\r\n",
        b"<html>no header at all",
        b"HTTP/1.1 99 Too low\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        HTML + b"Content-Length: abc\r\n\r\n",
        HTML + b"Content-Length: -1\r\n\r\n",
        HTML + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nxxx",
        HTML + b"Bad Header\r\n\r\n",
        HTML + b"X: " + b"a" * 9000 + b"\r\n\r\n",
        HTML + b"X: a\r\n" * 200 + b"\r\n",
        HTML + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HTML + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_a_protocol_failure(run, words):
    failed(run, said(words), FailureKind.PROTOCOL)


@pytest.mark.parametrize(
    "words",
    [
        HTML + b"Content-Length: 100\r\n\r\n<a href=half",
        HTML + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        HTML + b"Transfer-Encoding: chunked\r\n\r\n50\r\nhello",
    ],
)
def test_half_a_page_is_no_page(run, words):
    async def half(_, writer):
        writer.write(words)
        await writer.drain()

    failed(run, said(half), FailureKind.PROTOCOL)


def test_a_chunk_that_breaks_later_is_a_protocol_failure(run):
    async def late(_, writer):
        writer.write(HTML + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)  # for the first chunk to arrive alone
        writer.write(b"zz\r\n")
        await writer.drain()

    failed(run, said(late), FailureKind.PROTOCOL)


@pytest.mark.parametrize(
    "words",
    [
        answer(gzip.compress(b"x" * 9999)[:-12], b"Content-Encoding: gzip"),
        answer(b"not gzip", b"Content-Encoding: gzip"),
        answer(b"x", b"Content-Encoding: br"),
        HTML + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"x" * 9999)[:20],
    ],
)
def test_a_broken_compression_is_a_decode_failure(run, words):
    failed(run, said(words), FailureKind.DECODE)


def test_a_closed_port_is_a_connect_failure(run):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it, and nobody answers
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        failed(run, fetched(url), FailureKind.CONNECT)


def test_a_connection_closed_without_a_word_is_a_connect_failure(run):
    async def silent(_, writer):
        writer.close()

    failed(run, said(silent), FailureKind.CONNECT)


def test_a_connection_that_is_reset_is_a_connect_failure(run):
    async def reset(_, writer):
        writer.transport.abort()

    failed(run, said(reset), FailureKind.CONNECT)


def test_a_connection_that_is_reset_within_the_body_is_a_protocol_failure(run):
    async def reset(_, writer):
        writer.write(HTML + b"Content-Length: 100\r\n\r\nxx")
        await writer.drain()
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    failed(run, said(reset), FailureKind.PROTOCOL)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".example", "a..example", "a" * 300])
def test_a_name_that_does_not_resolve_is_a_dns_failure(run, host):
    failed(run, fetched(f"http://{host}/"), FailureKind.DNS)


def test_a_certificate_that_nobody_signed_is_a_tls_failure(run, tmp_path):
    pem = tmp_path / "self-signed.pem"
    pem.write_text(_CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    async def story():
        async with raw_web({"/": answer(b"secret")}, tls=context) as web:
            failure = await fetched(web.url("/"))
            assert web.requests == []
            return failure

    assert "self-signed" in failed(run, story(), FailureKind.TLS).detail.replace(" ", "-")


def test_a_server_that_speaks_no_tls_is_a_tls_failure(run):
    async def story():
        async with raw_web({}, greeting=answer(b"plain")) as web:
            return await fetched(web.url("/").replace("http", "https"))

    failed(run, story(), FailureKind.TLS)


def in_time(run, story, kind, limit_s):
    started = time.monotonic()
    failed(run, story, kind)
    assert time.monotonic() - started < limit_s + 3


@pytest.mark.parametrize(
    ("scheme", "first_words", "limits"),
    [
        ("https", b"", FetchLimits(connect_s=0.3)),
        ("http", b"", FetchLimits(idle_s=0.3)),
        ("http", HTML, FetchLimits(idle_s=0.3)),
        ("http", HTML + b"Content-Length: 100\r\n\r\nxx", FetchLimits(idle_s=0.3)),
        ("http", HTML + b"Content-Length: 100\r\n\r\nxx", FetchLimits(total_s=0.3)),
    ],
)
def test_a_server_that_falls_silent_is_a_timeout(run, scheme, first_words, limits):
    async def stall(reader, writer):
        writer.write(first_words)
        await reader.read()

    async def story():
        async with raw_web({"/": stall}) as web:
            return await fetched(web.url("/").replace("http", scheme), limits)

    in_time(run, story(), FailureKind.TIMEOUT, 0.3)


def test_a_server_that_drips_is_a_timeout(run):
    async def drip(_, writer):
        writer.write(HTML + b"Content-Length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)  # far below the idle limit: only the total can end this

    in_time(run, said(drip, FetchLimits(total_s=0.5, idle_s=5)), FailureKind.TIMEOUT, 0.5)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:99999/", "http://[::1/", "http:///x", "ftp://127.0.0.1/", "http://127.1/", "nonsense"]
)
def test_what_is_no_url_is_a_protocol_failure(run, url):
    failed(run, fetched(url), FailureKind.PROTOCOL)


def test_any_mutilation_of_an_answer_is_a_value(run):
    whole = [
        answer(b"<a href=x>" * 20, b"Content-Type: text/html; charset=utf-8", b"ETag: x"),
        answer(gzip.compress(b"x" * 500), b"Content-Encoding: gzip"),
        HTML + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
        answer(b"", b"Location: /x", status=b"301 Moved"),
    ]
    dice = random.Random(7)  # the same mutilations each time

    def mutilated():
        words = bytearray(dice.choice(whole))
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(words))
            words[at : at + dice.randrange(3)] = dice.choice([b"", b"\0", b"\r\n", b"9", b":", b"\xff", b" "])
        return bytes(words)

    async def spoken(words):
        async def speak(_, writer):
            writer.write(words)
            await writer.drain()

        return speak

    async def story():
        answers = {f"/{n}": await spoken(mutilated()) for n in range(300)}
        limits = FetchLimits(total_s=5, body_bytes=100_000)
        async with raw_web(answers) as web, fetcher(limits) as fetch:
            return [await fetch.fetch(web.url(path)) for path in answers]

    results = run(story())
    assert {type(result) for result in results} == {Response, FetchFailure}
