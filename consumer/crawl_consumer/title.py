"""The title of a page: from its tree, or from as little of the markup as tells it."""

import re

from lxml import etree

from crawl_consumer import markup, parser

#: Characters of a title that are kept; nobody shows a tenth of them.
MAX_TITLE_CHARS = 4096

#: Where a document's title ends in nearly all pages; a tree of so much is made wherever the page is parsed at once.
GLANCE_BYTES = 64 << 10

_BEGINS = re.compile(rb"<title", re.IGNORECASE)
#: What alone ends a title (https://html.spec.whatwg.org/multipage/parsing.html#rcdata-end-tag-name-state).
_ENDS = re.compile(rb"</title[\t\n\f\r />]", re.IGNORECASE)
#: Put behind what looks like the end. Where that was a part of the tag that begins the title, it becomes the title.
_MARK = "?"


def in_tree(tree: etree._Element) -> str | None:
    """The document's title, or another one in it (of a picture, say); white space collapsed, None without any."""
    element = tree.find("head/title")
    if element is None:
        element = next(tree.iter("title"), None)
    return None if element is None else _collapsed(element)


def at_a_glance(page: bytes) -> tuple[bool, str | None]:
    """Whether it is certain from the beginning of a page's markup what its title is, and that; see :func:`in_tree`.

    Args:
        page: in UTF-8.
    """
    if (begins := _BEGINS.search(page)) is None:
        return True, None
    if (ends := _ENDS.search(page, begins.end(), GLANCE_BYTES)) is None:
        return False, None
    root, _ = parser.parse(page[: ends.end()] + _MARK.encode())
    element = None if root is None else root.find("head/title")
    if element is None or element.text == _MARK:
        return False, None
    return True, _collapsed(element)


def _collapsed(element: etree._Element) -> str:
    return markup.collapsed(element.text or "")[:MAX_TITLE_CHARS]
