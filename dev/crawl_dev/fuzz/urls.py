"""Targets that read URLs and addresses, and print them."""

from ipaddress import IPv4Address, IPv6Address

from crawl_consumer.resolving import folder as folder_of
from crawl_consumer.resolving import resolve, with_encoded_query
from crawl_dedup import UrlInvalid, canonicalize, join
from crawl_dedup.canonical import MAX_HOST_CHARS, MAX_URL_CHARS, host, origin
from crawl_dedup.canonical_rules import CanonicalRules
from crawl_dedup.shown import LOOKED_AT_CHARS, MAX_CHARS, shown
from crawl_dev.fuzz.target import Target, chosen, surely, text
from crawl_producer.guard import Guard
from crawl_producer.message import UrlMessage
from crawl_producer.special_addresses import behind
from crawl_producer.topology import ScopeSpec
from crawl_producer.trap_shapes import TrapShapes

#: The words that refused URLs are counted by.
REASONS = frozenset({"scheme", "no_host", "syntax", "too_long"})
BASE = "http://site.example/folder/page?query"

_RULES = CanonicalRules(drop_tracking=True, drop_session_ids=True, drop_parameters=["from", "pk_*"], sort_query=True)
_SHAPES = TrapShapes(ScopeSpec(session_ids=False))
_SECRET = "hunter2hunter2"  # noqa: S105 - nobody's
_ENCODINGS = ("utf-8", "koi8-r", "cp932", "gb18030", "iso-2022-jp", "utf-16le")


def canonical(url: str) -> None:
    """Raise Broken unless ``url`` is what every URL in a crawl is."""
    surely(url.startswith(("http://", "https://")), "no http(s) URL")
    surely(all("!" <= character <= "~" for character in url), "not printable ASCII")
    surely(len(url) <= MAX_URL_CHARS, "too long")
    surely("#" not in url and "@" not in url[: len(origin(url))], "a fragment or a login is left")
    surely(1 <= len(host(url)) <= MAX_HOST_CHARS, "host")
    surely(canonicalize(url) == url, "canonicalized twice it is another URL")
    surely(join(BASE, url) == url, "relative to another page it is another URL")


def _url(data: bytes) -> None:
    """A base and a reference, each on a line."""
    encoding, data = chosen(data, _ENCODINGS)
    first, _, second = text(data).partition("\n")
    base = _answer(canonicalize, first) or BASE
    for href in (second, with_encoded_query(second, encoding)):
        url = _answer(lambda written: join(base, written), href)
        surely(url == _answer(lambda written: resolve(base, folder_of(base), written), href), "resolved otherwise")
        if url:
            ruled = _RULES(url)
            canonical(ruled)
            surely(_RULES(ruled) == ruled, "by its rules twice it is another URL")
            surely(UrlMessage.decode(UrlMessage(crawl="c", url=url).encode()).url == url, "no message can hold it")
            _SHAPES(url)


def _answer(read: object, written: str) -> str | None:
    try:
        url = read(written)  # type: ignore[operator]
    except UrlInvalid as error:
        surely(str(error) in REASONS, f"refused for {error}")
        return None
    canonical(url)
    return str(url)


def _address(data: bytes) -> None:
    """16 bytes are IPv6, 4 are IPv4. What we call public the standard library does too, though not the reverse."""
    guard = Guard()
    for address in (IPv4Address(data[:4].rjust(4, b"\0")), IPv6Address(data[:16].rjust(16, b"\0"))):
        if guard.refusal(str(address), 80) is None:
            ends = behind(address)
            surely(all(end.is_global and not end.is_multicast for end in ends), f"{address} is not public")
    text_of = text(data)
    surely(guard.refusal(text_of, 80) is not None or _is_address(text_of), "a name is let through")


def _is_address(written: str) -> bool:
    return all(character in "0123456789abcdefABCDEF.:%" for character in written.partition("%")[0])


def _shown(data: bytes) -> None:
    """Somebody's text around our secrets."""
    said = text(data)
    line = shown(said)
    surely(len(line) <= MAX_CHARS and line.isprintable(), "cannot be printed")
    line.encode()
    short = said[: LOOKED_AT_CHARS // 2].replace(_SECRET, "")
    for whole in (
        f"{short} https://u:{_SECRET}@h.example/",
        f"https://u:{_SECRET}@h.example/{short}",
        f"https://h.example/?access_token={_SECRET}{short}",
        f"{short}\nhttps://h.example/?a=1&api_key={_SECRET}",
        f"{short} amqp://me:{_SECRET}@rabbit:5672/",
    ):
        surely(_SECRET not in shown(whole, 2 * LOOKED_AT_CHARS), "a secret is shown")


URLS = [
    b"\x00" + url
    for url in (
        b"https://User:pass@EXAMPLE.org:443/a/../b/%7euser?x=1&utm_source=y&sid=0123456789abcdef01234#top\n../c?d",
        b"http://xn--bcher-kva.example/\n//other.example/b\xc3\xbccher?q=gr\xc3\xb6\xc3\x9fer",
        b"http://[::ffff:7f00:1]:8080/x;jsessionid=AB12?PHPSESSID=1&b&a\nhttp:?x",
        b"http://0x7f.1/\n\\\\host\\path",
        b"http://a.example/a%2e%2e/%2E%2E%2F\n?#",
        b"mailto:a@b\njavascript:alert(1)",
        b"http://h/\nht\ttp://x\x00\xff/",
        b"https://h.example/" + b"a/" * 900 + b"\n" + b"../" * 900,
    )
]

TARGETS = (
    Target(
        "url",
        _url,
        URLS,
        (b"http://", b"https:", b"//", b"/../", b"%2e", b"%", b"@", b"[::1]", b":0", b"\xc2\xad", b"\xe2\x80\xae",
         b"xn--", b"\xef\xbc\x8e", b"&utm_x=", b";jsessionid=", b"?", b"#", b"\\", b"\xed\xa0\x80", b"\t"),
    ),
    Target(
        "address",
        _address,
        (b"\x7f\0\0\1", b"\x08\x08\x08\x08", b"\0" * 10 + b"\xff\xff\x7f\0\0\1", b"\x20\x02\x7f\0\0\1" + b"\0" * 10,
         b"\0\x64\xff\x9b" + b"\0" * 8 + b"\x0a\0\0\1", b"\x20\x01\0\0" + b"\x08" * 12, b"fe80::1%eth0", b"127.0.0.1"),
        max_bytes=64,
    ),
    Target(
        "shown",
        _shown,
        (b"https://user:pass@h.example/a?token=x", b"redis+sentinel://u:p@a:1,b:2/m/0", b"\x1b[31mred\r\n\xe2\x80\xae",
         b"x=y&password=1;jsessionid=2#id_token=3", b"failed: 'https:\\\\a:b@c'"),
        (b"https://", b"://", b":", b"@", b"?token=", b"&", b"\x1b", b"/", b"amqp:", b"[", b"%5B", b"_key"),
    ),
)  # fmt: skip
