"""The links of a parsed page, as they are written there, and the URL that they are relative to."""

import html
import re
from urllib.parse import quote_from_bytes

from lxml import etree

from crawl_dedup.canonical import join
from crawl_dedup.errors import UrlInvalid

#: What the URL standard takes off both ends of a reference (https://url.spec.whatwg.org/#url-parsing).
_C0_OR_SPACE = "".join(map(chr, range(0x21)))

#: Comments, scripts and styles are passed over; all alternatives end at the end of the text, so that none
#: can fail late and make the whole quadratic.
_LINK_TAG = re.compile(
    r"""<!--.*?(?:-->|\Z) | <(script|style)\b.*?(?:</\1|\Z)
    | <(?:a|area)(?=[\s/])(?P<attributes>(?:[^>"']|"[^"]*"|'[^']*')*)""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_HREF = re.compile(
    r"""(?:^|[\s/"'])href\s*+=\s*+(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"'>]+))""", re.IGNORECASE
)

_UNENDORSED = frozenset({"nofollow", "ugc", "sponsored"})


def hrefs(tree: etree._Element) -> dict[str, bool]:
    """The distinct references of ``a`` and ``area`` elements in document order, without fragments, none empty.

    True: the page vouches for one of its links to it, by giving it no rel of ``nofollow``, ``ugc`` or ``sponsored``
    (https://html.spec.whatwg.org/multipage/links.html#link-type-nofollow).
    """
    found: dict[str, bool] = {}
    for element in tree.iter("a", "area"):
        if href := element.get("href"):
            reference = href.partition("#")[0].strip(_C0_OR_SPACE)
            rel = element.get("rel")
            if rel is None or _UNENDORSED.isdisjoint(rel.lower().split()):
                found[reference] = True
            else:
                found.setdefault(reference, False)
    found.pop("", None)
    return found


def hrefs_of_text(markup: str) -> list[str]:
    """The references alone, by a look at the tags: for markup nested deeper than any parser's tree may be."""
    attributes = (tag["attributes"] for tag in _LINK_TAG.finditer(markup) if tag["attributes"])
    written = (_HREF.search(text) for text in attributes)
    hrefs = (html.unescape(href["double"] or href["single"] or href["bare"] or "") for href in written if href)
    found = dict.fromkeys([href.partition("#")[0].strip(_C0_OR_SPACE) for href in hrefs])
    found.pop("", None)
    return list(found)


def metas(tree: etree._Element, *, written: int) -> list[tuple[str, str]]:
    """Name and content of every ``meta`` element that has both.

    Args:
        tree: the page's.
        written: how many of them its markup may have. Only if there are fewer in the head, where they belong, the
            whole tree is walked through, which costs as much as finding all its links.
    """
    elements = tree.findall("head/meta")
    if len(elements) < written:
        elements = list(tree.iter("meta"))
    found = [(element.get("name"), element.get("content")) for element in elements]
    return [(name, content) for name, content in found if name and content]


def base_url(tree: etree._Element, page_url: str) -> str:
    """What references are relative to: the first ``<base href>`` if it is an http(s) URL, else the page's URL.

    https://html.spec.whatwg.org/multipage/urls-and-fetching.html#document-base-url
    """
    for base in tree.iter("base"):
        if (href := base.get("href")) is not None:
            try:
                return join(page_url, href)
            except UrlInvalid:
                return page_url
    return page_url


def with_encoded_query(href: str, encoding: str) -> str:
    """A reference whose query holds the bytes that a browser sends: those of the page's own encoding.

    https://url.spec.whatwg.org/#query-state; what the encoding lacks becomes a numeric character reference.
    """
    before, mark, query = href.partition("?")
    return before + mark + "".join(c if c.isascii() else _quoted(c, encoding) for c in query)


def _quoted(character: str, encoding: str) -> str:
    return quote_from_bytes(character.encode(encoding, "xmlcharrefreplace"), safe="")
