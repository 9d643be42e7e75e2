"""Canonical URLs: one text for one resource, as the WHATWG URL standard parses and serialises it.

https://url.spec.whatwg.org/#url-parsing; on top of it the fragment and the credentials are dropped, and only
http and https are URLs to crawl. A canonical URL is printable ASCII and canonicalizes to itself.
"""

from typing import Final

import ada_url

from crawl_dedup.errors import UrlInvalid

#: Belongs to the crawl: who joins it must canonicalize alike. Raise it when any URL's canonical form changes.
CANONICALISER_VERSION: Final = 1
#: Characters of a canonical URL; what old browsers accepted, and what a URL message has room for.
MAX_URL_CHARS: Final = 2083
#: No name in the DNS is longer (RFC 1035, 2.3.4), whatever a URL may hold.
MAX_HOST_CHARS: Final = 253
#: Longer input is refused unparsed. Tabs, newlines and ``..`` shrink, but an honest link never this much.
MAX_INPUT_CHARS: Final = 16 * MAX_URL_CHARS

#: Where the authority of http://h may end at the earliest; in https URLs the host begins here.
_AUTHORITY = 8
_C0_OR_SPACE = "".join(map(chr, range(0x21)))


def canonicalize(text: str, *, max_chars: int = MAX_URL_CHARS) -> str:
    """The canonical form of an absolute URL.

    Args:
        text: what somebody wrote; surrounding white space does no harm.
        max_chars: the longest canonical URL to accept.

    Raises:
        UrlInvalid: ``scheme`` (neither http nor https), ``no_host``, ``too_long`` or ``syntax``.
    """
    if len(text) > MAX_INPUT_CHARS:
        raise UrlInvalid("too_long")
    try:
        url = ada_url.normalize_url(text)
    except ValueError:
        raise UrlInvalid(_reason(text)) from None
    return _crawlable(url, max_chars)


def join(base: str, href: str, *, max_chars: int = MAX_URL_CHARS) -> str:
    """The canonical form of a link as it stands on a page.

    Args:
        base: the page's URL, or its ``<base href>`` already joined to it.
        href: the reference, absolute or relative.
        max_chars: the longest canonical URL to accept.

    Raises:
        UrlInvalid: as :func:`canonicalize`.
    """
    if len(href) > MAX_INPUT_CHARS:
        raise UrlInvalid("too_long")
    try:
        url = ada_url.join_url(base, href)
    except ValueError:
        raise UrlInvalid(_reason(href)) from None
    return _crawlable(url, max_chars)


def host(url: str) -> str:
    """The host name of a canonical URL, without its port; IPv6 addresses keep their brackets."""
    name = url.split("/", 3)[2]
    if ":" in name and name[-1] != "]":
        return name[: name.rindex(":")]
    return name


def origin(url: str) -> str:
    """The beginning of a canonical URL up to its path: scheme, host, and port where it is not the scheme's own."""
    return url[: url.index("/", _AUTHORITY)]


def _crawlable(url: str, max_chars: int) -> str:
    """Drop fragment and credentials of a serialised URL; in it, ``#`` and ``@`` mean nothing else there."""
    if not url.startswith(("https://", "http://")):
        raise UrlInvalid("scheme")
    if "#" in url:
        url = url[: url.index("#")]
    if "@" in url:
        at = url.rfind("@", _AUTHORITY, url.index("/", _AUTHORITY))
        if at > 0:
            url = url[: url.index("/") + 2] + url[at + 1 :]
    if len(url) > max_chars:
        raise UrlInvalid("too_long")
    if len(url) > MAX_HOST_CHARS and len(host(url)) > MAX_HOST_CHARS:
        raise UrlInvalid("no_host")
    return url


def _reason(text: str) -> str:
    """Why the standard's parser failed, in a word to count by."""
    scheme, colon, rest = text.strip(_C0_OR_SPACE).lower().partition(":")
    if not colon or scheme not in {"http", "https"}:
        return "scheme" if colon and scheme.isalnum() and scheme[0].isalpha() else "syntax"
    rest = rest.lstrip("/\\")
    return "no_host" if not rest or rest[0] in "?#" else "syntax"
