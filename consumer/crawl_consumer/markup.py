"""What bytes are HTML, the same in UTF-8, and what there is to read in its tree: whatever they are, nothing raises."""

import encodings
import re
from codecs import BOM_UTF8, charmap_decode, lookup
from functools import cache
from importlib import import_module

from lxml import etree

#: Characters whose white space is collapsed at once: a list of all words of an 8 MiB text would take 150 MiB.
STRETCH_CHARS = 1 << 18

_HTML = frozenset({"text/html", "application/xhtml+xml"})
#: How a page without a media type begins
#: (https://mimesniff.spec.whatwg.org/#rules-for-identifying-an-unknown-mime-type).
_LOOKS_LIKE_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?[\t\n\f\r ]*+"
    rb"<(?:!--|(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p)[ >])",
    re.IGNORECASE,
)
_WHITE = re.compile(r"\s")
#: What is in them is not read.
_UNREAD = frozenset({"script", "style", "title"})


def is_html(content_type: str, body: bytes) -> bool:
    """Whether it is to be read as HTML: its media type says so, or there is none and it begins like it."""
    if content_type:
        return content_type in _HTML
    return _LOOKS_LIKE_HTML.match(body) is not None


def in_utf8(body: bytes, encoding: str) -> bytes:
    """The body in UTF-8, without byte order mark."""
    if encoding == "utf-8" or (encoding == "windows-1252" and body.isascii()):
        return body.removeprefix(BOM_UTF8)
    text = charmap_decode(body, "strict", table)[0] if (table := _table(encoding)) else body.decode(encoding, "replace")
    return text.encode("utf-8", "replace").removeprefix(BOM_UTF8)


@cache
def _table(encoding: str) -> str | None:
    """The character of each byte, of encodings that have one; U+FFFD for none.

    Python's own way to replace those asks for each byte anew: a second for 8 MiB, in which nothing else is done.
    """
    module = encodings.normalize_encoding(lookup(encoding).name)
    try:
        table: str | None = getattr(import_module(f"encodings.{module}"), "decoding_table", None)
    except ImportError:
        return None
    return table.replace("\ufffe", "\ufffd") if table else None


def text(tree: etree._Element) -> str:
    """What there is to read in a tree, white space collapsed."""
    return collapsed(" ".join(_texts(tree)))


def collapsed(text: str) -> str:
    """A text without white space at its ends, and with single spaces for all other."""
    if len(text) <= STRETCH_CHARS:
        return " ".join(text.split())
    stretches = []
    begin = 0
    while begin < len(text):
        white = _WHITE.search(text, begin + STRETCH_CHARS)
        end = white.end() if white else len(text)
        stretches.append(" ".join(text[begin:end].split()))
        begin = end
    return " ".join(filter(None, stretches))


def _texts(tree: etree._Element) -> list[str]:
    # XPath takes three times as long, and hundreds of times as long where all is nested thousands deep.
    found = []
    for event, element in etree.iterwalk(tree, events=("start", "end")):
        if event == "end":
            if element.tail:
                found.append(element.tail)
        elif element.text and element.tag not in _UNREAD:
            found.append(element.text)
    return found
