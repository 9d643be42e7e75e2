"""robots.txt over real sockets: what each answer, failure and redirect means; one fetch for many consumers."""

import asyncio
import gzip

import pytest

from crawl_consumer.fetch import Fetcher, FetchLimits
from crawl_consumer.robots import Allowed, Denied, RobotsGate, Unreachable
from crawl_consumer.robots_fetch import ask
from crawl_consumer.robots_file import PARSE_LIMIT_BYTES
from crawl_dedup import RedisRobots, open_redis
from crawl_producer.topology import RobotsSpec
from polling import until
from raw_web import LOOPBACK, answer, raw_web

FILE = b"User-agent: *\nDisallow: /private\n"
LIMITS = FetchLimits(total_s=5, connect_s=2, idle_s=0.3, body_bytes=700_000)


def fetcher():
    return Fetcher(LIMITS, user_agent="Test/1.0 (+http://test.example)", connections=4, guard=LOOPBACK)


def asked(answers):
    """What an origin with these answers says, and how many requests that took."""

    async def story():
        async with raw_web(answers) as web, fetcher() as fetch:
            return await ask(fetch, web.origin), len(web.requests)

    return asyncio.run(story())


def redirects(to, status=b"302 Found"):
    return answer(b"", b"Location: " + to, status=status)


@pytest.mark.parametrize("status", [b"200 OK", b"204 No Content", b"206 Partial Content"])
def test_2xx_is_the_file(status):
    said, requests = asked(
        {"/robots.txt": answer(FILE, status=status) if status[:3] != b"204" else answer(status=status)}
    )
    assert said.body == (b"" if status[:3] == b"204" else FILE)
    assert (said.reason, said.fresh_s, requests) == ("http_" + status[:3].decode(), 86400, 1)


@pytest.mark.parametrize("status", [b"400 Bad", b"401 Who", b"403 No", b"404 Not Found", b"410 Gone", b"300 Many"])
def test_without_a_file_the_body_of_the_error_means_nothing(status):
    said, _ = asked({"/robots.txt": answer(b"User-agent: *\nDisallow: /", status=status)})
    assert said.body == b""


@pytest.mark.parametrize("status", [b"429 Slow down", b"500 Oops", b"502 Bad", b"503 Later", b"504 Late"])
def test_an_error_of_the_server_is_no_answer(status):
    said, _ = asked({"/robots.txt": answer(FILE, status=status)})
    assert (said.body, said.reason) == (None, "http_" + status[:3].decode())


async def nothing(_reader, _writer):
    """Hang up."""


async def silence(reader, _writer):
    await reader.read()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (nothing, "connect"),
        (silence, "timeout"),
        (b"what?\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n" + FILE, ""),
        (answer(b"\x1f\x8bnot gzip", b"Content-Encoding: gzip"), "decode"),
    ],
    ids=["hangs up", "silent", "no http", "cut short", "broken gzip"],
)
def test_a_failure_on_the_way_is_no_answer(said, reason):
    result, _ = asked({"/robots.txt": said})
    assert result.body is None
    assert result.reason.startswith(reason)


def test_a_server_that_is_down_is_no_answer():
    async def story():
        async with fetcher() as fetch:
            return [await ask(fetch, origin) for origin in ("http://127.0.0.1:2", "http://no-such-host.invalid")]

    down, nowhere = asyncio.run(story())
    assert (down.body, nowhere.body) == (None, None)
    assert (down.reason.split(":")[0], nowhere.reason.split(":")[0]) == ("connect", "dns")


def chain(hops):
    return {
        "/robots.txt": redirects(b"/1"),
        **{f"/{n}": redirects(b"/%d" % (n + 1)) for n in range(1, hops)},
        f"/{hops}": answer(FILE),
    }


def test_five_redirects_are_followed_and_six_lead_nowhere():
    said, requests = asked(chain(5))
    assert (said.body, requests) == (FILE, 6)
    said, requests = asked(chain(6))
    assert (said.body, said.reason, requests) == (b"", "more than 5 redirects", 6)


@pytest.mark.parametrize("to", [b"/robots.txt", b"", b"robots.txt#again"])
def test_a_loop_of_redirects_leads_nowhere(to):
    said, requests = asked({"/robots.txt": redirects(to)})
    assert said.body == b""
    assert requests <= 6


@pytest.mark.parametrize("to", [b"mailto:me@site.example", b"http://", b"ftp://site.example/robots.txt"])
def test_a_redirect_to_no_web_address_leads_nowhere(to):
    said, _ = asked({"/robots.txt": redirects(to, b"301 Moved")})
    assert said.body == b""


def test_a_redirect_to_a_server_with_errors_is_no_answer():
    said, _ = asked({"/robots.txt": redirects(b"/x", b"308 Moved"), "/x": answer(status=b"503 Later")})
    assert said.body is None


def test_a_redirect_to_another_authority_speaks_for_the_first():
    async def story():
        async with raw_web({"/rules": answer(FILE)}) as other, raw_web({}) as web, fetcher() as fetch:
            web.answers["/robots.txt"] = redirects(other.url("/rules").encode(), b"307 There")
            return await ask(fetch, web.origin), len(web.requests), len(other.requests)

    said, *requests = asyncio.run(story())
    assert (said.body, requests) == (FILE, [1, 1])


@pytest.mark.parametrize("size", [PARSE_LIMIT_BYTES, 600 * 1024, 10_000_000])
def test_a_long_file_is_read_up_to_the_limit_and_no_further(size):
    line = b"Disallow: /" + b"x" * 88 + b"\n"
    body = (FILE + line * (size // len(line) + 1))[: size - 20] + b"\nDisallow: /behind\n"
    said, _ = asked({"/robots.txt": answer(body)})
    assert body.startswith(said.body)
    assert PARSE_LIMIT_BYTES - 200 < len(said.body) <= PARSE_LIMIT_BYTES
    assert said.body.endswith(b"\n")
    assert (b"/behind" in said.body) == (size == PARSE_LIMIT_BYTES)


def test_a_compressed_file_is_read_up_to_the_limit_too():
    said, _ = asked({"/robots.txt": answer(gzip.compress(FILE), b"Content-Encoding: gzip")})
    assert said.body == FILE
    said, _ = asked({"/robots.txt": answer(gzip.compress(FILE + b"#\n" * 5_000_000), b"Content-Encoding: gzip")})
    assert said.body.startswith(FILE)
    assert PARSE_LIMIT_BYTES - 2 <= len(said.body) <= PARSE_LIMIT_BYTES


@pytest.mark.parametrize("media_type", [b"text/plain", b"application/octet-stream", b"image/png", b"text/html"])
def test_the_media_type_does_not_matter(media_type):
    said, _ = asked({"/robots.txt": answer(FILE, b"Content-Type: " + media_type)})
    assert said.body == FILE


def test_an_answer_is_believed_for_as_long_as_it_says():
    said, _ = asked({"/robots.txt": answer(FILE, b"Cache-Control: public, max-age=600")})
    assert said.fresh_s == 600


def test_four_consumers_with_connections_of_their_own_fetch_once(fresh_redis):
    async def consumer(name, web, paths):
        async with await open_redis(fresh_redis, name=name) as redis, fetcher() as fetch:
            cache = RedisRobots(redis, consumer=name)
            async with RobotsGate(fetch, cache, RobotsSpec(), token="Test") as gate:
                return await asyncio.gather(*(gate.verdict(web.url(path)) for path in paths))

    async def story():
        async with raw_web({"/robots.txt": answer(FILE)}) as web:
            verdicts = await asyncio.gather(*(consumer(name, web, ["/", "/private"] * 4) for name in "abcd"))
            return {v for each in verdicts for v in each}, len(web.requests)

    assert asyncio.run(story()) == ({Allowed(), Denied()}, 1)


def test_an_outage_ends_for_all_consumers_with_the_first_good_answer(fresh_redis):
    async def story():
        async with (
            raw_web({"/robots.txt": answer(status=b"500 Oops")}) as web,
            await open_redis(fresh_redis, name="tests") as redis,
            fetcher() as fetch,
        ):
            spec = RobotsSpec(retry_s=(0.2,))
            gates = [RobotsGate(fetch, RedisRobots(redis, consumer=name), spec, token="Test") for name in "ab"]
            first = [await gate.verdict(web.url("/")) for gate in gates]
            requests = len(web.requests)
            web.answers["/robots.txt"] = answer(FILE)

            async def both_know():
                return [await gate.verdict(web.url("/private")) for gate in gates] == [Denied()] * 2

            await until(both_know)
            return first, requests, len(web.requests)

    first, *requests = asyncio.run(story())
    assert all(isinstance(verdict, Unreachable) and verdict.retry_after_s < 0.3 for verdict in first)
    assert requests == [1, 2]
