"""Responses in a folder: what is kept comes back as it was, without a request and without a wait."""

import asyncio
import shutil
import stat

import pytest

from crawl_consumer.errors import OutputFailed, OutputInvalid
from crawl_consumer.politeness import PoliteGate
from crawl_consumer.response import FailureKind, Headers, Response
from crawl_consumer.response_cache import Cached, CachedGate, ResponseCache
from crawl_dedup import LedgerName, MemorySlots
from crawl_producer.message import UrlMessage
from crawl_producer.topology import PolitenessSpec
from small_world import HOME, SmallWeb, html

RESPONSE = Response(
    url=HOME,
    status=200,
    reason="OK",
    headers=Headers({"Content-Type": "text/html", "x-ä": "ö"}),
    body=b"a\nb\x00\xff",
    content_type="text/html",
    header_charset="utf-8",
    wire_bytes=7,
    elapsed_ms=12.5,
    answered_after_ms=3.25,
    fetched_at=1_700_000_000.125,
)


def same(one, other):
    return all(
        (dict(getattr(one, name)) if name == "headers" else getattr(one, name))
        == (dict(getattr(other, name)) if name == "headers" else getattr(other, name))
        for name in Response.__dataclass_fields__
    )


def test_a_response_comes_back_as_it_was(tmp_path):
    cache = ResponseCache(tmp_path / "new" / "cache")
    assert cache.read(HOME) is None
    cache.keep(RESPONSE)
    assert same(cache.read(HOME), RESPONSE)
    assert isinstance(cache.read(HOME).headers, Headers)


def test_a_body_that_was_not_downloaded_stays_so(tmp_path):
    cache = ResponseCache(tmp_path)
    cache.keep(Response(url=HOME, status=200, content_type="image/png", body_read=False, wire_bytes=9))
    assert (cache.read(HOME).body_read, cache.read(HOME).size_bytes) == (False, 9)


def test_the_beginning_of_a_body_is_another_request_than_all_of_it(tmp_path):
    cache = ResponseCache(tmp_path)
    cache.keep(RESPONSE, 3)
    assert cache.read(HOME) is None
    assert same(cache.read(HOME, 3), RESPONSE)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_what_may_be_better_in_a_minute_is_not_kept(tmp_path, status):
    cache = ResponseCache(tmp_path)
    cache.keep(Response(url=HOME, status=status))
    assert cache.read(HOME) is None


@pytest.mark.parametrize("status", [200, 301, 404, 410])
def test_what_will_be_the_same_is_kept(tmp_path, status):
    cache = ResponseCache(tmp_path)
    cache.keep(Response(url=HOME, status=status))
    assert cache.read(HOME).status == status


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"", lambda b: b"{}\n", lambda b: b"\xff" + b,
                                    lambda b: b.replace(b'"v": 1', b'"v": 2'), lambda b: b"[1]\n"])  # fmt: skip
def test_what_cannot_be_read_is_not_there(tmp_path, damage):
    cache = ResponseCache(tmp_path)
    cache.keep(RESPONSE)
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    file.write_bytes(damage(file.read_bytes()))
    assert cache.read(HOME) is None
    cache.keep(RESPONSE)
    assert same(cache.read(HOME), RESPONSE)


def test_a_file_is_whole_or_not_there_and_its_owners_only(tmp_path):
    cache = ResponseCache(tmp_path)
    cache.keep(RESPONSE)
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (file.parent / ".new-left-by-a-kill").write_bytes(b"half")
    assert same(cache.read(HOME), RESPONSE)


def test_a_folder_that_will_not_do_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputInvalid, match="file"):
        ResponseCache(tmp_path / "file")
    cache = ResponseCache(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(OutputFailed, match="gone"):
        cache.keep(RESPONSE)


def test_what_is_kept_is_not_asked_for_again(tmp_path):
    web = SmallWeb({HOME: html("/a"), f"{HOME}slow": FailureKind.TIMEOUT})
    cached = Cached(web, ResponseCache(tmp_path))

    async def twice(url):
        return [await cached.fetch(url), await cached.fetch(url)]

    first, second = asyncio.run(twice(HOME))
    assert same(first, second)
    asyncio.run(twice(f"{HOME}slow"))
    assert web.fetched == [HOME, f"{HOME}slow", f"{HOME}slow"]


def test_what_is_kept_waits_for_no_turn_and_all_else_does(tmp_path):
    web = SmallWeb({HOME: html(), f"{HOME}a": html(), f"{HOME}b": html()})
    cache = ResponseCache(tmp_path)
    cache.keep(RESPONSE)

    async def parked():
        cached = Cached(web, cache)
        spec = PolitenessSpec(delay_s=3600)
        polite = PoliteGate(spec, MemorySlots(), asyncio.Semaphore(9), name=LedgerName("c"))
        gate = CachedGate(polite, cached)
        for url in (f"{HOME}a", HOME, f"{HOME}b"):
            async with gate.turn(UrlMessage(crawl="c", url=url), url) as turn:
                if not turn.park_ms:
                    await turn.heard(await cached.fetch(url))
                yield url, turn.park_ms > 0

    async def passed():
        return [url async for url, was_parked in parked() if not was_parked]

    assert asyncio.run(passed()) == [f"{HOME}a", HOME]
    assert web.fetched == [f"{HOME}a"]


def test_what_was_taken_for_a_turn_and_not_fetched_is_forgotten(tmp_path):
    web = SmallWeb({HOME: html(title="new")})
    cache = ResponseCache(tmp_path)
    cache.keep(RESPONSE)
    cached = Cached(web, cache)

    async def leave_and_come_again():
        async with CachedGate(
            PoliteGate(PolitenessSpec(), MemorySlots(), asyncio.Semaphore(9), name=LedgerName("c")), cached
        ).turn(UrlMessage(crawl="c", url=HOME), "1"):
            pass
        for path in tmp_path.rglob("*"):
            if path.is_file():
                path.unlink()
        return await cached.fetch(HOME)

    assert b"new" in asyncio.run(leave_and_come_again()).body


@pytest.mark.parametrize(
    "url",
    [
        f"{HOME}../../etc/passwd", f"{HOME}%2e%2e/%2e%2e/x", f"{HOME}a%00b", f"{HOME}a\x00b", f"{HOME}CON",
        f"{HOME}a. ", f"{HOME}{'x' * 5000}", f"{HOME}\u00e9", f"{HOME}e\u0301", f"{HOME}a/b\\c", f"{HOME}?\n",
    ],
)  # fmt: skip
def test_a_file_is_named_by_its_urls_hash_whatever_stands_in_the_url(tmp_path, url):
    cache = ResponseCache(tmp_path / "cache")
    cache.keep(Response(url=url, status=200, body=b"x"))
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    folder, name = file.relative_to(tmp_path / "cache").parts
    assert name.startswith(folder)
    assert len(name) == 64
    assert set(name) <= set("0123456789abcdef")
    assert cache.read(url).url == url


def test_a_folder_that_somebody_made_a_link_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    cache = ResponseCache(tmp_path / "cache")
    cache.keep(RESPONSE)
    (made,) = (tmp_path / "cache").iterdir()
    shutil.rmtree(made)
    made.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputFailed):
        cache.keep(RESPONSE)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_that_somebody_made_a_link_is_replaced_and_not_written_through(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    cache = ResponseCache(tmp_path / "cache")
    cache.keep(RESPONSE)
    (file,) = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    file.unlink()
    file.symlink_to(victim)
    cache.keep(RESPONSE)
    assert victim.read_text() == "mine"
    assert same(cache.read(HOME), RESPONSE)
