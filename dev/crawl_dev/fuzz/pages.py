"""Targets that read pages and the header fields of answers."""

import asyncio

from yarl import URL

from crawl_consumer import charset, directives, fields, links, markup
from crawl_consumer.cookies import COOKIES_PER_HOST, MAX_COOKIE_BYTES, HostCookies
from crawl_consumer.page import Page
from crawl_consumer.response import Headers, Response
from crawl_consumer.retry_after import LONGEST_MS, retry_after_ms
from crawl_consumer.tags import MAX_METAS, MAX_REFERENCES
from crawl_consumer.title import MAX_TITLE_CHARS
from crawl_dev.fuzz.target import Target, chosen, surely, text
from crawl_dev.fuzz.urls import BASE, REASONS, canonical
from crawl_producer.message import UrlMessage

_TYPES = ("text/html", "", "application/xhtml+xml", "text/plain")
_CHARSETS = (None, "utf-8", "koi8-r", "utf-16", "shift_jis", "gbk", "iso-2022-jp", "big5", "nonsense")
_MESSAGE = UrlMessage(crawl="c", url=BASE)


def _page(data: bytes) -> None:
    """Media type, charset, body."""
    media_type, data = chosen(data, _TYPES)
    header_charset, body = chosen(data, _CHARSETS)
    response = Response(url=BASE, status=200, body=body, content_type=media_type, header_charset=header_charset)
    page, skimmed = Page(response, _MESSAGE), Page(response, _MESSAGE)
    found = page.links()
    if page.parse_error is None and skimmed.skim():
        surely(_said(skimmed) == _said(page), "skimmed it says something else")
    for url in found:
        canonical(url)
    canonical(page.base_url)
    surely(len(found) <= MAX_REFERENCES and len(set(found)) == len(found), "too many links, or one twice")
    surely(page.unendorsed <= set(found), "a link that is none")
    surely(set(page.rejected) <= REASONS | {"too_many_links"}, f"refused for {set(page.rejected)}")
    surely(len(page.title or "") <= MAX_TITLE_CHARS, "the title is too long")
    surely(len(page.metas) <= MAX_METAS, "too many meta elements")
    (page.text + (page.title or "")).encode()
    directives.read(page.headers.get("x-robots-tag", ""), page.metas, "crawlmq")
    try:
        page.json()
    except ValueError:
        return


def _said(page: Page) -> tuple[object, ...]:
    return page.links(), page.unendorsed, dict(page.rejected), page.base_url, page.metas, page.title


def _tags(data: bytes) -> None:
    """Markup that is looked at where no tree can be made."""
    found = links.hrefs_of_text(data.decode("utf-8", "replace"))
    surely(len(found) <= MAX_REFERENCES and all(found), "too many references, or an empty one")


def _charset(data: bytes) -> None:
    header_charset, body = chosen(data, _CHARSETS)
    name = charset.detect(body, header_charset)
    surely(name in charset.NAMES, f"unknown: {name}")
    markup.in_utf8(body, name).decode("utf-8", "replace")
    markup.is_html("", body)


def _fields(data: bytes) -> None:
    """Name and value of a field on each line."""
    sent = [line.partition(":")[::2] for line in text(data).split("\n")]
    kept = Headers(fields.cleaned([(name, value) for name, value in sent]))
    for name, value in kept.items():
        surely(name.isascii() is False or name == name.lower(), "the name is not in lower case")
        value.encode()
        if name == "location":
            surely(value.isascii(), "a Location that is no ASCII")
    media_type, said = fields.media_type(kept.get("content-type", ""))
    surely(not media_type or "/" in media_type, f"no media type: {media_type}")
    charset.detect(b"", said)
    directives.read(kept.get("x-robots-tag", ""), [], "crawlmq")
    _is_wait(retry_after_ms(kept.get("retry-after"), now_s=784111777.0))


def _retry_after(data: bytes) -> None:
    for now_s in (0.0, 784111777.0, 4e9):
        _is_wait(retry_after_ms(text(data), now_s=now_s))


def _is_wait(wait_ms: object) -> None:
    surely(isinstance(wait_ms, int) and 0 <= wait_ms <= LONGEST_MS, f"waits {wait_ms}")


def _cookies(data: bytes) -> None:
    """A Set-Cookie field on each line, as one response sends them and as the next one."""
    asyncio.run(_kept_cookies(data.decode("latin-1").split("\n")))


async def _kept_cookies(headers: list[str]) -> None:
    jar = HostCookies()
    here, elsewhere = URL("https://a.example/x/y"), URL("https://b.a.example/x/y")
    for _ in range(2):
        jar.update_cookies_from_headers(headers, here)
        sent = jar.filter_cookies(here)
        surely(len(sent) <= COOKIES_PER_HOST, f"{len(sent)} cookies")
        surely(all(len(cookie.value) <= MAX_COOKIE_BYTES for cookie in sent.values()), "a cookie too long")
        field = sent.output(header="", sep=";")
        surely("\r" not in field and "\n" not in field, "a cookie that is more than a line")
        surely(not jar.filter_cookies(elsewhere), "a cookie of another host")


_HTML = (
    b"<!doctype html><html><head><base href=/a/><title>T\xc3\xa4</title><meta charset=utf-8>"
    b"<meta name=robots content='noindex, crawlmq: nofollow'><style>a{}</style></head><body>"
    b"<a href='b?c=d#e' rel='nofollow ugc'>x</a><area href=//f.example/g><!-- <a href=h> --><a href=\"\t\n i\">y"
    b"<script>document.write('<a href=j>')</script><p>text</p></body></html>"
)
_TAGS = (
    b"<a href=", b"<a ", b"'", b'"', b">", b"<base href=", b"<meta charset=", b"<!--", b"-->", b"<script>", b"</script",
    b"<table>", b"<b>", b"<p>", b"<a x=1 x=2>", b"<title>", b"&#0;", b"&#x10ffff;", b"\x00", b"\xff\xfe", b"<svg>",
    b"<?xml encoding=", b"<![CDATA[", b"<frameset>", b"</a", b"charset=", b"utf-16", b"iso-2022-jp", b"\x1b$B", b"=",
    b"[", b'{"a":',
)  # fmt: skip
_FIELDS = (
    b'Content-Type: text/html; charset="utf-8"\nX-Robots-Tag: crawlmq: noindex, unavailable_after: 1\n'
    b"Location: /\xc3\xbc\xff\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\nx-robots-tag: none"
)  # fmt: skip
_DATES = (
    b"120", b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994",
    b"Sun, 06 Nov 1994 08:49:37 +0100", b"-0000", b"1 Jan 99999 25:61:61 +9999",
)  # fmt: skip
_COOKIES = (
    b's=1; Path=/x; HttpOnly; Max-Age=60\nt="q\\"uo\\073te"; Domain=.example; Expires=Wed, 09 Jun 2031 10:18:14 GMT',
    b"a=b; Secure; SameSite=None\n=x\nv\n;;;\n__Host-c=\xff; expires=0",
)  # fmt: skip
_PAGES = (b"\0\0" + _HTML, b"\1\2<p>x<a href=\xc4\xc5?\xc6>", b"\3\0plain", b"\0\3" + b"<\0a\0")
_ENCODED = (b"\0" + _HTML, b"\0\xef\xbb\xbf", b"\3" + b"<?xml version='1.0' encoding='koi8-r'?>")

TARGETS = (
    Target("page", _page, _PAGES, _TAGS),
    Target("tags", _tags, (_HTML, b"<a\nhref = 'x'><a/href=y>"), _TAGS),
    Target("charset", _charset, _ENCODED, _TAGS),
    Target("fields", _fields, (_FIELDS,), (b"\nLocation: ", b"\nContent-Type:", b";charset=", b"\xff", b"\r", *_DATES)),
    Target("retry-after", _retry_after, _DATES, (b",", b":", b"-", b"+", b" ", b"GMT", b"Jan", b"99"), max_bytes=1024),
    Target("cookies", _cookies, _COOKIES, (b"; Path=", b"; Domain=", b"; Max-Age=", b"=", b";", b"\n", b'"', b"\\")),
)  # fmt: skip
