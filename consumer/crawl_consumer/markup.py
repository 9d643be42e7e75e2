"""Bytes that a server calls HTML, or that look like it, made into a tree: whatever they are, nothing here raises."""

import re
from codecs import BOM_UTF8
from typing import Any

from lxml import etree

#: libxml2 nests at most this deep, even with huge_tree (256 without it), and drops all that follows. Links behind
#: are then looked for in the markup itself.
MAX_DEPTH = 2048

_HTML = frozenset({"text/html", "application/xhtml+xml"})
#: How a page without a media type begins
#: (https://mimesniff.spec.whatwg.org/#rules-for-identifying-an-unknown-mime-type).
_LOOKS_LIKE_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?[\t\n\f\r ]*+"
    rb"<(?:!--|(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p)[ >])",
    re.IGNORECASE,
)
#: It is given nothing but UTF-8: in any other encoding libxml2 drops the whole page for one byte that is wrong in
#: it, without a word. In UTF-8 it puts U+FFFD in the byte's place.
_PARSER = etree.HTMLParser(remove_comments=True, remove_pis=True, huge_tree=True, encoding="utf-8")
_TEXT = etree.XPath("//*[not(self::script or self::style or self::title)]/text()", smart_strings=False)


def is_html(content_type: str, body: bytes) -> bool:
    """Whether it is to be read as HTML: its media type says so, or there is none and it begins like it."""
    if content_type:
        return content_type in _HTML
    return _LOOKS_LIKE_HTML.match(body) is not None


def in_utf8(body: bytes, encoding: str) -> bytes:
    """The body in UTF-8, without byte order mark."""
    if encoding == "utf-8" or (encoding == "windows-1252" and body.isascii()):
        return body.removeprefix(BOM_UTF8)
    return body.decode(encoding, "replace").encode("utf-8", "replace").removeprefix(BOM_UTF8)


def text(tree: etree._Element) -> str:
    """What there is to read in a tree, white space collapsed."""
    pieces: Any = _TEXT(tree)
    return " ".join(" ".join(pieces).split())


def parse(markup: bytes) -> tuple[etree._Element | None, str | None]:
    """The root, None when there is no element in it, and what kept the parser from reading to the end."""
    try:
        root = etree.fromstring(markup, _PARSER)
    except etree.LxmlError as error:
        return None, str(error)
    last = _PARSER.error_log.last_error
    if last is not None and last.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT:
        return root, f"nested deeper than {MAX_DEPTH} elements, the tree ends there"
    return root, None
