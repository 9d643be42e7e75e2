"""A reference of a page becomes a canonical URL: as joining gives it, remembered for the pages of its folder."""

import re
from functools import lru_cache
from urllib.parse import quote_from_bytes

from crawl_dedup.canonical import MAX_INPUT_CHARS, MAX_URL_CHARS, join

#: References that joining only has to append, to the folder or one above it: of characters that no path changes, and
#: without dot segments but those at the beginning (https://url.spec.whatwg.org/#path-state).
_PLAIN = re.compile(r"(?P<up>(?:\.\./)*+)(?:[A-Za-z0-9_~-][A-Za-z0-9_~.-]*+/)*+(?:[A-Za-z0-9_~-][A-Za-z0-9_~.-]*+)?+")

#: Folders of pages whose references a process remembers the URLs of …
REMEMBERED_FOLDERS = 32
#: … and how many of each; they take about 400 bytes apiece …
REMEMBERED = 2048
#: … because longer ones (characters of reference and URL) are not remembered: a reference may have 33,000 characters
#: and become a short URL, and a few hundred pages of such would take 2 GB.
REMEMBERED_CHARS = 512


def folder(base: str) -> str:
    """A canonical URL up to the last slash of its path, which is all that most references are relative to."""
    path_ends = base.find("?")
    return base[: base.rindex("/", 0, path_ends if path_ends > 0 else len(base)) + 1]


def resolve(base: str, base_folder: str, href: str) -> str:
    """The canonical URL of a reference on a page: :func:`crawl_dedup.canonical.join`, remembered.

    Pages of one folder have most of their references in common, and joining all anew took 5 % of a page's time.

    Args:
        base: see :attr:`crawl_consumer.page_links.PageLinks.base_url`.
        base_folder: its :func:`folder`.
        href: the reference.

    Raises:
        UrlInvalid: from ``join``.
    """
    if not _is_relative_to_folder(href):
        return join(base, href)
    known = remembered(base_folder)
    if (url := known.get(href)) is None:
        url = _appended(base_folder, href) or join(base_folder, href)
        if len(href) + len(url) <= REMEMBERED_CHARS:
            if len(known) >= REMEMBERED:
                known.clear()
            known[href] = url
    return url


def _appended(base_folder: str, href: str) -> str | None:
    """What joining gives for a plain relative reference, in a third of the time; None for any other."""
    if (plain := _PLAIN.fullmatch(href)) is None or len(base_folder) + len(href) > MAX_URL_CHARS:
        return None
    below = plain.end("up")
    return _above(base_folder, below // len("../")) + href[below:]


def _above(base_folder: str, levels: int) -> str:
    """The folder so many levels higher, or the topmost."""
    top = base_folder.index("/", len("https://"))
    end = len(base_folder) - 1
    while levels and end > top:
        end = base_folder.rindex("/", 0, end)
        levels -= 1
    return base_folder[: end + 1]


@lru_cache(REMEMBERED_FOLDERS)
def remembered(_base_folder: str) -> dict[str, str]:
    """What :func:`resolve` has found for pages of this folder: URLs by reference."""
    return {}


def _is_relative_to_folder(href: str) -> bool:
    """Whether the last segment and the query of the base cannot matter.

    They do for references without path and authority (https://url.spec.whatwg.org/#relative-state): ``?x``, ``#x``,
    those with white space in front of that, and oddities such as ``http:?x``.
    """
    return href[:1] > " " and href[0] not in "?#" and (":" not in href or href.startswith(("http://", "https://")))


def with_encoded_query(href: str, encoding: str) -> str:
    """A reference whose query holds the bytes that a browser sends: those of the page's own encoding.

    https://url.spec.whatwg.org/#query-state; what the encoding lacks becomes a numeric character reference.
    """
    if len(href) > MAX_INPUT_CHARS:
        return href  # joining refuses it
    before, mark, query = href.partition("?")
    if len(query) - len(query.encode("ascii", "ignore")) > MAX_URL_CHARS:
        return href  # likewise: each of them becomes three characters at least
    return before + mark + "".join(c if c.isascii() else _quoted(c, encoding) for c in query)


@lru_cache(maxsize=1 << 16)
def _quoted(character: str, encoding: str) -> str:
    return quote_from_bytes(character.encode(encoding, "xmlcharrefreplace"), safe="")
