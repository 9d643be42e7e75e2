"""What a spider may point at for a link, and links in markup that no tree holds."""

import html
import re
from collections.abc import Iterable
from typing import Any

from lxml import etree

from crawl_consumer import tags
from crawl_consumer.tags import C0_OR_SPACE, MAX_REFERENCES
from crawl_dedup.canonical import MAX_INPUT_CHARS

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

#: What a spider may say of URLs: regular expressions that are searched (not matched) in them.
Patterns = str | re.Pattern[str] | Iterable[str | re.Pattern[str]]

#: Elements whose href is a link; a ``link`` element counts only when a spider points at it.
_LINKING = frozenset({"a", "area", "link"})


def hrefs_of_text(markup: str) -> list[str]:
    """The references alone, by a look at the tags: for markup nested deeper than any parser's tree may be.

    At most :data:`crawl_consumer.tags.MAX_REFERENCES` of them.
    """
    attributes = (tag["attributes"] for tag in _LINK_TAG.finditer(markup) if tag["attributes"])
    matches = (_HREF.search(text) for text in attributes)
    hrefs = (_unescaped(href["double"] or href["single"] or href["bare"] or "") for href in matches if href)
    found: dict[str, None] = {}
    for href in hrefs:
        found[href.partition("#")[0].strip(C0_OR_SPACE)] = None
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
        return list(tags.in_tree(root).references)
    return [text] if isinstance(root, str) and (text := root.strip(C0_OR_SPACE)) else []


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
