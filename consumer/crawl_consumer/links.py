"""The links of a parsed page, as they are written there, and the URL that they are relative to."""

import html
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from lxml import etree

from crawl_dedup.canonical import MAX_INPUT_CHARS, join
from crawl_dedup.errors import UrlInvalid

#: What the URL standard takes off both ends of a reference (https://url.spec.whatwg.org/#url-parsing).
_C0_OR_SPACE = "".join(map(chr, range(0x21)))

#: Comments, scripts and styles are passed over; all alternatives end at the end of the text, so that none
#: can fail late and make the whole quadratic.
_LINK_TAG = re.compile(
    r"""<!--.*?(?:-->|\Z) | <(script|style)\b.*?(?:</\1|\Z)
    | <(?:a|area)(?=[\s/])(?P<attributes>(?:[^>"']++|"[^"]*+"|'[^']*+')*+)""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_HREF = re.compile(
    r"""(?:^|[\s/"'])href\s*+=\s*+(?:"(?P<double>[^"]*+)"|'(?P<single>[^']*+)'|(?P<bare>[^\s"'>]++))""", re.IGNORECASE
)

#: Distinct references of a page that are read: ten times as many as a page may bring by default. A million, which
#: fit into 8 MiB, would take 600 MiB and five seconds in which nothing else could be done.
MAX_REFERENCES = 100_000
#: Characters of a ``rel`` that are read: the list of words of a longer one could take 300 MiB.
MAX_REL_CHARS = 1024
#: ``meta`` elements of a page that are read; nobody writes a tenth of them.
MAX_METAS = 1000
#: What a spider may say of URLs: regular expressions that are searched (not matched) in them.
Patterns = str | re.Pattern[str] | Iterable[str | re.Pattern[str]]

#: Elements whose href is a link; a ``link`` element counts only when a spider points at it.
_LINKING = frozenset({"a", "area", "link"})
_UNENDORSED = frozenset({"nofollow", "ugc", "sponsored"})


class Written(NamedTuple):
    """What a page says in its links and ``meta`` elements.

    Attributes:
        references: the distinct references of ``a`` and ``area`` elements in document order, without fragments, none
            empty. True: the page vouches for one of its links there, by giving it no rel of ``nofollow``, ``ugc`` or
            ``sponsored`` (https://html.spec.whatwg.org/multipage/links.html#link-type-nofollow).
        metas: name and content of every ``meta`` element that has both, the first :data:`MAX_METAS` of them.
        left_out: links behind the first :data:`MAX_REFERENCES` distinct references, which are not among them.
    """

    references: dict[str, bool]
    metas: list[tuple[str, str]]
    left_out: int = 0


def written(tree: etree._Element) -> Written:
    """Read them in one walk through the tree: another one for the ``meta`` elements took 6 % of a page's time."""
    references: dict[str, bool] = {}
    metas: list[tuple[str, str]] = []
    left_out = 0
    for element in tree.iter("a", "area", "meta"):
        href = element.get("href")
        if href is None:  # nearly all are links: to ask every one for its tag took a tenth of the walk
            name, content = element.get("name"), element.get("content")
            if name and content and element.tag == "meta" and len(metas) < MAX_METAS:
                metas.append((name, content))
            continue
        reference = href.partition("#")[0]
        if references.get(reference):
            continue
        rel = element.get("rel")
        endorsed = rel is None or _UNENDORSED.isdisjoint(rel[:MAX_REL_CHARS].lower().split())
        reference = reference.strip(_C0_OR_SPACE)
        if len(references) >= MAX_REFERENCES and reference not in references:
            left_out += 1
            continue
        references[reference] = endorsed or references.get(reference, False)
    references.pop("", None)
    return Written(references, metas, left_out)


def hrefs_of_text(markup: str) -> list[str]:
    """The references alone, by a look at the tags: for markup nested deeper than any parser's tree may be.

    At most :data:`MAX_REFERENCES` of them.
    """
    attributes = (tag["attributes"] for tag in _LINK_TAG.finditer(markup) if tag["attributes"])
    written = (_HREF.search(text) for text in attributes)
    hrefs = (_unescaped(href["double"] or href["single"] or href["bare"] or "") for href in written if href)
    found: dict[str, None] = {}
    for href in hrefs:
        found[href.partition("#")[0].strip(_C0_OR_SPACE)] = None
        if len(found) == MAX_REFERENCES:
            break
    found.pop("", None)
    return list(found)


def _unescaped(href: str) -> str:
    if len(href) > MAX_INPUT_CHARS:
        return href  # joining refuses it
    try:
        return html.unescape(href)
    except ValueError:  # a character's number of more than 4,300 digits, which Python does not read
        return href


def reference(link: Any) -> str:
    """What a text, a parsel selector or an lxml element refers to; empty when it is a link without href.

    Raises:
        TypeError: it is none of these, or an element that is no link.
    """
    root = getattr(link, "root", link)  # of a selector: an element, or the text of an attribute
    if isinstance(root, str):
        return root
    element = etree.iselement(root)
    if element and root.tag in _LINKING:
        return root.get("href") or ""
    what = f"<{root.tag}>" if element else f"{link!r:.60}"
    raise TypeError(f"{what} is no link; take a text, an <a>, <area> or <link>, or an attribute (a::attr(href))")


def references_in(region: Any) -> list[str]:
    """The distinct references in and at what a selector has found: an element, or the text of an attribute."""
    root = getattr(region, "root", region)
    if etree.iselement(root):
        return list(written(root).references)
    return [text] if isinstance(root, str) and (text := root.strip(_C0_OR_SPACE)) else []


def chosen(urls: Iterable[str], allow: Patterns, deny: Patterns) -> list[str]:
    """The URLs in which some pattern of ``allow`` is found, if there is any, and none of ``deny``.

    Raises:
        re.error: a pattern is no regular expression.
    """
    wanted, unwanted = compiled(allow), compiled(deny)
    return [
        url
        for url in urls
        if (not wanted or any(p.search(url) for p in wanted)) and not any(p.search(url) for p in unwanted)
    ]


def compiled(patterns: Patterns) -> tuple[re.Pattern[str], ...]:
    """One or several patterns. Raises re.error."""
    several = (patterns,) if isinstance(patterns, str | re.Pattern) else patterns
    return tuple([re.compile(pattern) for pattern in several])


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
