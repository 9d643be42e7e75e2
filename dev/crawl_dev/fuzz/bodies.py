"""Targets that read bodies: content codings, robots.txt, sitemaps and feeds."""

import gzip
import io
import math
import zlib
from collections.abc import Iterator

import brotli

from crawl_consumer import robots_file
from crawl_consumer.decode import Decoding
from crawl_consumer.zstd import zstd
from crawl_dedup.robots_cache import MAX_FRESH_S
from crawl_dev.fuzz.target import Target, chosen, surely
from crawl_dev.fuzz.urls import canonical
from crawl_producer.sources import listing
from crawl_producer.sources.found import SHOWN_CHARS, Damaged, NotAListing
from crawl_producer.sources.mend import mended
from crawl_producer.sources.unpack import unpacked

_CODINGS = ("gzip", "deflate", "br", "zstd", "gzip, br", "zstd, gzip", "br, zstd", "deflate, deflate", "x-gzip", "")
_LIMIT_BYTES = 1 << 20
_STEPS = (1 << 20, 1, 7, 1000)
_MAX_ENTRIES = 100
_LISTS = ("https://e.org/sitemap.xml", "https://e.org/robots.txt", "https://e.org/feed")
_PATHS = ("/", "/robots.txt", "/a/b.gif?x=1", "/%7Euser/%2F", "/" + "a" * 500)


def _decoded(data: bytes) -> None:
    """Codings, the size of the pieces in which it comes, what of it is wanted, and the body."""
    codings, data = chosen(data, _CODINGS)
    step, data = chosen(data, _STEPS)
    wanted_bytes, data = chosen(data, (None, 10))
    decoding = Decoding(codings, limit_bytes=_LIMIT_BYTES, wanted_bytes=wanted_bytes)
    try:
        for start in range(0, len(data), step):
            decoding.feed(data[start : start + step])
        body = decoding.body()
    except ValueError as error:  # what it documents
        str(error).encode()
        return
    surely(len(body) <= (_LIMIT_BYTES if wanted_bytes is None else wanted_bytes), f"{len(body)} bytes are too long")
    surely(codings or body == data[: len(body)], "another body")


def _robots(data: bytes) -> None:
    rules = robots_file.parse(data, "crawlmq")
    surely(math.isfinite(rules.crawl_delay_s) and rules.crawl_delay_s >= 0, f"a delay of {rules.crawl_delay_s}")
    for sitemap in rules.sitemaps:
        canonical(sitemap)
    for path in _PATHS:
        surely(isinstance(rules.allowed("https://h.example" + path), bool), "neither allowed nor not")
    kept_s = robots_file.fresh_s({"cache-control": data.decode("latin-1")})
    surely(robots_file.FRESH_AT_LEAST_S <= kept_s <= MAX_FRESH_S, f"believed for {kept_s} s")


def _listing(data: bytes) -> None:
    """The address, and a sitemap, a feed or anything else, compressed or not."""
    url, data = chosen(data, _LISTS)
    entries = 0
    try:
        for entry in listing.read(unpacked(io.BytesIO(data), max_bytes=_LIMIT_BYTES), url, max_entries=_MAX_ENTRIES):
            entries += 1
            if isinstance(entry, Damaged):
                surely(len(entry.text) <= SHOWN_CHARS, "more is shown than should be")
            else:
                surely(entry.modified_ms is None or entry.modified_ms > 0, f"changed at {entry.modified_ms}")
    except NotAListing as error:
        surely(str(error).replace("_", "").isalpha(), f"no word to count by: {error}")
    surely(entries <= _MAX_ENTRIES + 1, f"{entries} entries")


def _mended(data: bytes) -> None:
    """The size of the pieces, and markup."""
    step, data = chosen(data, (1, 2, 3, 11, 12, 13, 50))
    whole = b"".join(mended(iter([data])))
    surely(b"".join(mended(_pieces(data, step))) == whole, "in pieces it becomes something else")
    surely(len(whole) <= 5 * len(data), "it grows")


def _pieces(data: bytes, step: int) -> Iterator[bytes]:
    for start in range(0, len(data), step):
        yield data[start : start + step]


_PAGE = b"<a href=here>" * 50
_PACKED = (gzip.compress(_PAGE, mtime=0), zlib.compress(_PAGE), brotli.compress(_PAGE), zstd.compress(_PAGE))
_BODIES = (
    *[bytes([number, 0, 0]) + packed for number, packed in enumerate(_PACKED)],
    b"\x04\x02\x00" + brotli.compress(_PACKED[0]),
    b"\x05\x01\x00" + gzip.compress(_PACKED[3], mtime=0),
    b"\x00\x00\x00" + gzip.compress(bytes(300_000), mtime=0),
    b"\x03\x00\x00" + b"\x5a\x2a\x4d\x18\x01\0\0\0x" + _PACKED[3],
    b"\x00\x00\x00" + gzip.compress(b"", mtime=0) * 30,
)
_ROBOTS = (
    (
        b"User-agent: *\nDisallow: /a*b$\nAllow: /%7Euser/\nCrawl-delay: 1.5\nSitemap: https://h.example/s.xml\n"
        b"\nUser-agent: CrawlMQ/1\nUser-agent: b\nDisallow: /\xc3\xbc%2F#x\ndisalow /x\n"
    ),
    b"\xef\xbb\xbfuser agent:crawlmq\rallow:\r\ndisallow:*\n",
)
_XML = (
    (
        b"\x00<?xml version='1.0' encoding='UTF-8'?><urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'><url>"
        b"<loc> https://e.org/a?x=1&amp;y=2&z </loc><lastmod>2026-01-01T00:00:00.1234+01:00</lastmod></url></urlset>"
    ),
    b"\x00<sitemapindex><sitemap><loc>/1.xml</loc></sitemap></sitemapindex>",
    (
        b"\x02<rss xml:base='http://b.example/'><channel><item><link>x</link><guid isPermaLink='false'>g</guid>"
        b"<pubDate>Wed, 02 Oct 2002 15:00:00 +0200</pubDate></item></channel></rss>"
    ),
    b"\x02<feed><entry><link rel='alternate' href='y'/><updated>2003-12-13T18:30:02Z</updated></entry></feed>",
    b"\x02" + b'{"items":[{"url":"z","date_modified":"2020-08-07T11:44:36-05:00"},{"external_url":1},[[]]]}',
    b"\x01User-agent: *\nSitemap: /s.xml # x\nSITEMAP:http://e.org/2.xml\r",
    b"\x00<!DOCTYPE x [<!ENTITY a 'b'>]><urlset><url><loc>&a;</loc></url></urlset>",
    b"\x00http://e.org/1\nhttp://e.org/2\r\n",
    b"\x00\xff\xfe" + "<urlset><url><loc>ü</loc></url></urlset>".encode("utf-16le"),
    b"\x00" + gzip.compress(b"<urlset><url><loc>https://e.org/</loc></url></urlset>", mtime=0),
)
_XML_WORDS = (
    b"<url>", b"<loc>", b"</loc>", b"<item>", b"<entry>", b"<link>", b"<![CDATA[", b"]]>", b"&", b"&amp;", b"&#38;",
    b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;", b"<?xml version='1.0' encoding='utf-7'?>", b"\x00", b"\xff",
    b"xml:base=",
    b"<lastmod>", b"9999-12-31", b"0001-01-01T00:00:00+14:00", b"[", b'{"items":[', b"&#x", b"1f8b", b"<x xmlns:a='b'>",
)  # fmt: skip

TARGETS = (
    Target(
        "codings", _decoded, _BODIES, (b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"\x78\x9c", b"\0\0\xff\xff", *_PACKED)
    ),
    Target(
        "robots",
        _robots,
        _ROBOTS,
        (b"user-agent:", b"allow:", b"disallow: /", b"*", b"$", b"%2a", b"\r", b"#", b"crawl-delay:", b"1e308", b"nan",
         b"sitemap: http://", b"max-age=", b"\xe2\x80\xa8"),
    ),
    Target("listing", _listing, _XML, _XML_WORDS),
    Target("mended", _mended, (*_XML, b"\x03a&amp;b&#1234567;<![CDATA[&]]>&", b"\x00&&&"), _XML_WORDS, max_bytes=2048),
)  # fmt: skip
