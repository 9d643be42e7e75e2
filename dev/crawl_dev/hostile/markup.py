"""Hazards of what is inside: pages that are deep, wide, crowded, of no character set, or XML that would expand."""

from collections.abc import Callable, Iterator
from functools import cache, partial

from crawl_consumer.tame import TAG_BYTES
from crawl_dev.hostile.hazard import Hazard, Talk, answer

#: Just below the limit of a body.
_FULL_BYTES = (8 << 20) - 4096
_LINK = b"<a href=/next>next</a>"


def _page(make: Callable[[], bytes], *, kind: bytes = b"text/html") -> Callable[[int], bytes | Talk]:
    """The same page to everybody, made when it is first asked for."""

    @cache
    def made() -> bytes:
        body = make()
        assert len(body) <= _FULL_BYTES + 4096, len(body)
        return answer(body, kind=kind)

    return lambda _: made()


def _filled(pieces: Iterator[bytes], first: bytes = b"", last: bytes = b"", *, full_bytes: int = _FULL_BYTES) -> bytes:
    """Pieces until the page is full."""
    parts, size = [first], len(first) + len(last)
    for piece in pieces:
        size += len(piece)
        if size > full_bytes:
            break
        parts.append(piece)
    return b"".join([*parts, last])


def _numbered(pattern: bytes, start: int = 0) -> Iterator[bytes]:
    number = start
    while True:
        yield pattern % number
        number += 1


def _again(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece


def _attributes(full_bytes: int) -> bytes:
    """One element with as many as fit: libxml2 (2.14) compares each with all before it."""
    return _filled(_numbered(b" a%d=1"), b"<p", b">" + _LINK, full_bytes=full_bytes)


def _tame_attributes() -> bytes:
    """As many in each element as there may be without a trial of the page."""
    element = _filled(_numbered(b" a%d=1"), b"<p", b' id="x">', full_bytes=TAG_BYTES**2 // (2 << 20) - 8)
    return _filled(_again(element), last=_LINK, full_bytes=1 << 20)


def _new_names(visit: int) -> bytes:
    """Attributes that nobody has heard of, others at each visit: a parser that remembers names never forgets them."""
    body = _filled(_numbered(b"<p a%x>", (visit % 1_000_000 + 1) << 20), last=_LINK)
    return answer(body)


def _tame_ends() -> bytes:
    """As many tags that end, in as many elements that are open, as there may be without a trial of the page."""
    line = b"</x>" * 100 + b'<p id="x">'
    return _filled(_again(line), b"<x><div>" + b"<y>" * 240, _LINK, full_bytes=390_000)


#: Why a crowd is not parsed, in the words of :mod:`crawl_consumer.parse_child`.
_TREE, _S = "MiB to parse", "s to parse"
#: For pages that take a tenth of a limit here, and may take all of it elsewhere.
_heavy = partial(Hazard, or_else="unparsable")
_LAUGHS = b"".join(b'<!ENTITY l%d "%b">' % (n + 1, b"&l%d;" % n * 10) for n in range(9))
_EXPANDING = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">' + _LAUGHS + b"]><x>&l9;" + _LINK + b"</x>"
_EXTERNAL = b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;' + _LINK + b"</x>"

_TREES = (
    Hazard("deep-nesting", "ok", _page(lambda: b"<div>" * 100_000 + _LINK), links=1),
    _heavy("deepest-nesting", "ok", _page(lambda: _filled(_again(b"<b>"), last=_LINK)), links=1),
    _heavy("nested-links", "ok", _page(lambda: _filled(_numbered(b"<div><a href=%d>"))), links=1000),
    Hazard("ends-in-depth", "unparsable", _page(lambda: _filled(_again(b"</x>"), b"<x><div>" + b"<y>" * 2000)), _S),
    Hazard("some-ends-in-depth", "ok", _page(_tame_ends), links=1),
    Hazard("unclosed-tables", "ok", _page(lambda: _filled(_again(b"<table><tr><td>"), last=_LINK)), links=1),
    _heavy("misnested", "ok", _page(lambda: _filled(_again(b"<b><i><p></b></i>"), last=_LINK)), links=1),
    Hazard("many-links", "unparsable", _page(lambda: _filled(_numbered(b"<a href=%d>"))), _TREE),
    Hazard("enough-links", "ok", _page(lambda: _filled(_numbered(b"<a href=%d>"), full_bytes=2 << 20)), links=99_999),
    Hazard("many-attributes", "unparsable", _page(partial(_attributes, _FULL_BYTES)), _S),
    Hazard(
        "hidden-attributes", "unparsable", _page(lambda: _filled(_numbered(b" a%d='\">'"), b"<p", b">")), "s to parse"
    ),
    Hazard("tame-attributes", "ok", _page(_tame_attributes), links=1),
    Hazard("some-attributes", "ok", _page(partial(_attributes, 128 << 10)), links=1),
    Hazard("many-elements", "unparsable", _page(lambda: _filled(_again(b"<p>x"), last=_LINK)), _TREE),
    Hazard("many-metas", "unparsable", _page(lambda: _filled(_again(b"<meta name=x content=y>"), last=_LINK)), _TREE),
    Hazard("many-entities", "ok", _page(lambda: _filled(_again(b"&lt;"), last=_LINK)), links=1),
    Hazard("new-names", "unparsable", _new_names, _TREE),
)
_LONG = (
    Hazard("huge-title", "ok", _page(lambda: _filled(_again(b"x" * 999), b"<title>", b"</title>" + _LINK)), links=1),
    Hazard("long-attribute", "ok", _page(lambda: b"<p title=" + b"x" * (1 << 20) + b">" + _LINK), links=1),
    Hazard("long-href", "ok", _page(lambda: b"<a href=/" + b"x" * (1 << 20) + b">x</a>" + _LINK), links=1),
    Hazard("long-base", "ok", _page(lambda: b"<base href=/" + b"x" * (1 << 20) + b">" + _LINK)),
    Hazard("long-tag", "ok", _page(lambda: _filled(_again(b"x" * 999), b"<", b">" + _LINK))),
    Hazard("unclosed-comment", "ok", _page(lambda: _filled(_again(b"-->" + b"<!--" * 99), b"<!--", _LINK))),
    Hazard("unclosed-script", "ok", _page(lambda: _filled(_again(b"<script><!--"), last=_LINK))),
    Hazard("unclosed-quotes", "ok", _page(lambda: _filled(_again(b"<a href=\"x'"), b"<div>" * 9999))),
    Hazard("many-brackets", "ok", _page(lambda: _filled(_again(b"<")))),
    Hazard("one-word", "ok", _page(lambda: _filled(_again(b"x" * 999), last=_LINK)), links=1),
)
_CHARSETS = (
    Hazard("charset-that-lies", "ok", _page(lambda: b"\xff\xfe" * 999 + _LINK, kind=b"text/html; charset=ascii")),
    Hazard("charset-of-two-bytes", "ok", _page(lambda: _LINK * 999, kind=b"text/html; charset=utf-16")),
    Hazard("charset-that-is-none", "ok", _page(lambda: _LINK, kind=b"text/html; charset=" + b"x" * 5000), links=1),
    *[
        Hazard(
            f"charset-{name.decode()}", "ok", _page(partial(bytes, _LINK), kind=b"text/html; charset=" + name), links=1
        )
        for name in (b"zlib", b"base64", b"idna", b"unicode_escape", b"undefined", b"utf-7", b"rot13")
    ],
    _heavy("many-charsets", "ok", _page(lambda: _filled(_again(b"<meta charset=utf-16>"), last=_LINK)), links=1),
    Hazard("nothing-but-nul", "ok", _page(lambda: bytes(_FULL_BYTES))),
    Hazard("nul-between", "ok", _page(lambda: b"\0".join([_LINK] * 9999)), links=1),
    Hazard("noise", "ok", _page(lambda: bytes(range(256)) * 32_000)),
)
_XML = (
    Hazard("entities-that-expand", "ok", _page(lambda: _EXPANDING, kind=b"application/xhtml+xml")),
    Hazard("entities-in-html", "ok", _page(lambda: _EXPANDING)),
    Hazard("entity-of-a-file", "ok", _page(lambda: _EXTERNAL, kind=b"application/xhtml+xml")),
    Hazard("xml-with-entities", "ok", _page(lambda: _EXPANDING, kind=b"application/xml")),
    Hazard("deep-json", "ok", _page(lambda: b"[" * 4_000_000, kind=b"application/json")),
)

HAZARDS = (*_TREES, *_LONG, *_CHARSETS, *_XML)
