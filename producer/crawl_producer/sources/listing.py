"""What a fetched list is, by its content, and its entries: XML, JSON Feed, plain text or robots.txt.

Media types are not asked: sitemaps come as ``text/html`` and feeds as ``application/octet-stream``.
"""

import codecs
import json
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any
from urllib.parse import urlsplit

from crawl_producer.sources import markup
from crawl_producer.sources.found import SHOWN_CHARS, Damaged, Found, NotAListing
from crawl_producer.sources.mend import UTF16_MARKS, as_utf8
from crawl_producer.sources.modified import latest_ms

#: Entries of one list (https://www.sitemaps.org/protocol.html#faq_sitemap_size); those behind are not read.
MAX_ENTRIES = 50_000
#: A JSON Feed is read as a whole; one this large would be none that a feed reader could take.
MAX_JSON_BYTES = 8 << 20
#: What is read of robots.txt, as RFC 9309, 2.5 asks for at least.
MAX_ROBOTS_BYTES = 500 * 1024
#: Bytes of a line; what is longer is no URL.
MAX_LINE_BYTES = 65_536

#: How pages begin that no XML parser would recognise.
_HTML = (b"<!doctype html", b"<html")
#: Bytes that may stand before the first one that tells what it is: white space of templates.
_LOOK_BYTES = 1024


def read(chunks: Iterator[bytes], url: str, *, max_entries: int = MAX_ENTRIES) -> Iterator[Found | Damaged]:
    """The entries of a list, at most ``max_entries`` of them and then a note that there are more.

    Args:
        chunks: its bytes, uncompressed.
        url: where it was fetched from, after redirects.
        max_entries: how many are read.

    Raises:
        NotAListing: it is something else; or what ``chunks`` raises, behind its entries.
    """
    entries = _entries(chunks, url)
    yield from islice(entries, max_entries)
    if next(entries, None) is not None:
        yield Damaged(f"more than {max_entries:,} entries", "too_many")


def _entries(chunks: Iterator[bytes], url: str) -> Iterator[Found | Damaged]:
    start = _beginning(chunks)
    utf16 = start.startswith(UTF16_MARKS)
    if utf16:
        chunks = as_utf8(chain((start,), chunks))
        start = _beginning(chunks)
    content = start.removeprefix(codecs.BOM_UTF8).lstrip()
    whole = chain((content,), chunks)
    if urlsplit(url).path == "/robots.txt":
        return _robots(whole, url)
    if content[:_LOOK_BYTES].lower().startswith(_HTML):
        raise NotAListing("html")
    if content.startswith(b"<"):
        return markup.read(whole, url, encoding="utf-8" if utf16 else None)
    if content.startswith(b"{"):
        return _json_feed(whole, url)
    return _text(whole)


def _beginning(chunks: Iterator[bytes]) -> bytes:
    """As much as it takes to tell what it is."""
    start = b""
    for chunk in chunks:
        start += chunk
        if start.removeprefix(codecs.BOM_UTF8).strip() or len(start) > _LOOK_BYTES:
            break
    return start


def _text(chunks: Iterator[bytes]) -> Iterator[Found | Damaged]:
    """One URL a line (https://www.sitemaps.org/protocol.html#otherformats); blank lines are none."""
    for line in _lines(chunks):
        if text := line.decode("utf-8", "replace").strip():
            yield Found(text)


def _robots(chunks: Iterator[bytes], url: str) -> Iterator[Found | Damaged]:
    """The ``Sitemap:`` lines, which belong to no group (https://www.sitemaps.org/protocol.html#submit_robots)."""
    for line in _lines(_first(MAX_ROBOTS_BYTES, chunks)):
        name, _, value = line.partition(b"#")[0].decode("utf-8", "replace").partition(":")
        if name.strip().lower() == "sitemap" and value.strip():
            yield Found(value.strip(), url, is_sitemap=True)


def _first(size: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[:size]
        size -= len(chunk)
        if size <= 0:
            return


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Lines that end with any of LF, CR LF and CR; of one that is too long the beginning."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
        yield from (line[:MAX_LINE_BYTES] for line in lines)
        rest = rest[:MAX_LINE_BYTES]
    yield rest


def _json_feed(chunks: Iterator[bytes], url: str) -> Iterator[Found | Damaged]:
    """https://www.jsonfeed.org/version/1.1/."""
    body = b""
    for chunk in chunks:
        body += chunk
        if len(body) > MAX_JSON_BYTES:
            raise NotAListing("too_large")
    try:
        feed = json.loads(body)
        items = feed["items"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise NotAListing("not_a_feed") from None
    if not isinstance(items, list):
        raise NotAListing("not_a_feed")
    yield from (_json_item(item, url) for item in items)


def _json_item(item: Any, base: str) -> Found | Damaged:
    fields = item if isinstance(item, dict) else {}
    url = fields.get("url") or fields.get("external_url")
    if not isinstance(url, str):
        return Damaged(json.dumps(item)[:SHOWN_CHARS], "no_address")
    date = fields.get("date_modified") or fields.get("date_published")
    return Found(url, base, modified_ms=latest_ms(date) if isinstance(date, str) else None)
